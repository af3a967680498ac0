//! What the tests share: a real server on a database of its own, real clients, upstreams that misbehave on demand.

pub mod server;
#[cfg(feature = "v8")]
pub(crate) mod worker;
