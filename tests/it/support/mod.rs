//! What the tests share: a real server on a database of its own, real clients, upstreams that misbehave on demand.

pub(crate) mod upstream;
