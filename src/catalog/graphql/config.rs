//! What the owner says about a service that speaks GraphQL.

use crate::{catalog::http::config::HttpAccess, model::Document};

/// A GraphQL service.
#[derive(Debug, Clone)]
pub struct GraphQlConfig {
    /// Its endpoint, `http://…` or `https://…`.
    pub url: String,
    /// Its schema in the schema definition language; without one the endpoint is asked by
    /// introspection.
    pub schema: Option<Document>,
    /// How it is reached.
    pub reach: HttpAccess,
}
