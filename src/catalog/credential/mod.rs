//! How Airlock identifies itself to a service. Values are references until the moment they are sent.

pub(in crate::catalog) mod config;
