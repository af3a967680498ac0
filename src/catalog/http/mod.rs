//! The only way by which an upstream that is no child process is reached: origin, address guard,
//! credentials, limits, retries and circuit in one place. Knows nothing of tools, descriptions or
//! protocols above HTTP.

pub(super) mod breaker;
pub(super) mod client;
pub(super) mod config;
pub(super) mod detect;
mod exchange;
pub(super) mod failure;
pub(super) mod message;
mod redirect;
mod retry;
