//! What the tests share: a real server on a database of its own, real clients, upstreams that
//! misbehave on demand.

pub(crate) mod authority;
pub(crate) mod clients;
pub(crate) mod description;
pub(crate) mod policy;
pub(crate) mod questions;
pub(crate) mod raw;
pub(crate) mod runtime;
pub(crate) mod server;
pub(crate) mod service;
pub(crate) mod terminal;
pub(crate) mod upstream;
pub(crate) mod worker;
