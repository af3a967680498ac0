//! Approvals of calls: the request for one, and the calls that wait for one.

pub(in crate::task) mod request;
pub mod waiters;
