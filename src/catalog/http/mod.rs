//! The only HTTP access to upstreams: origin, address policy, credentials, limits, retries and
//! circuit breaker in one place. Knows nothing of tools, documents or protocols above HTTP.

mod body;
pub(super) mod breaker;
pub(super) mod client;
pub(super) mod config;
mod exchange;
pub(super) mod failure;
pub(super) mod message;
mod redirect;
mod retry;
pub(super) mod unauthenticated;
