//! Services that describe themselves by OpenAPI.

pub(in crate::catalog) mod config;
