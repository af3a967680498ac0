//! Services that speak GraphQL.

pub(in crate::catalog) mod config;
