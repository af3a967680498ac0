//! Settings of a service with an OpenAPI document.

use std::collections::BTreeMap;

use crate::{
    catalog::http::config::HttpAccess,
    model::{Document, OperationPattern},
};

/// A service with an OpenAPI description.
#[derive(Debug, Clone)]
pub struct OpenApiConfig {
    /// Its description: OpenAPI 3.x or Swagger 2.0, JSON or YAML.
    pub spec: Document,
    /// Base URL of calls, `http://…` or `https://…`; by default the document's. Never one that a
    /// caller gives.
    pub base_url: Option<String>,
    /// Server of the document to call, by its URL as it is written there or by its description; by
    /// default the first.
    pub server: Option<String>,
    /// Values for the variables of the description's server address.
    pub server_variables: BTreeMap<String, String>,
    /// Operations that become tools; empty for all.
    pub only: Vec<OperationPattern>,
    /// Operations that do not become tools.
    pub except: Vec<OperationPattern>,
    /// Access to its URL.
    pub access: HttpAccess,
}
