//! What the tests share: a real server on a database of its own, real clients, upstreams that misbehave on demand.

pub mod clients;
pub mod server;
pub mod stand_in;
pub mod upstream;
#[cfg(feature = "v8")]
pub mod worker;
