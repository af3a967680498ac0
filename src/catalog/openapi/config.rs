//! What the owner says about a service that describes itself by OpenAPI.

use std::collections::BTreeMap;

use crate::{catalog::http::config::HttpAccess, model::Document};

/// A service with an OpenAPI description.
#[derive(Debug, Clone)]
pub struct OpenApiConfig {
    /// Its description: OpenAPI 3.x or Swagger 2.0, JSON or YAML.
    pub spec: Document,
    /// Where calls go, `http://…` or `https://…`; without it, where the description says. Never
    /// where a caller says.
    pub base_url: Option<String>,
    /// Which of the servers that the description names calls go to, by its address as it is written
    /// there or by its description; without it the first.
    pub server: Option<String>,
    /// Values for the variables of the description's server address.
    pub server_variables: BTreeMap<String, String>,
    /// How it is reached.
    pub reach: HttpAccess,
}
