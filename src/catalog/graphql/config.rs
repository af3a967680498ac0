//! Settings of a GraphQL service.

use crate::{catalog::http::config::HttpAccess, model::Document};

/// A GraphQL service.
#[derive(Debug, Clone)]
pub struct GraphQlConfig {
    /// Its endpoint, `http://…` or `https://…`.
    pub url: String,
    /// Its schema in the schema definition language; without one the endpoint is asked by
    /// introspection.
    pub schema: Option<Document>,
    /// Access to its URL.
    pub access: HttpAccess,
}
