//! Addresses that a request may go to. Knows IP addresses and DNS only.

pub(super) mod address;
pub(super) mod encoding;
pub(super) mod guard;
