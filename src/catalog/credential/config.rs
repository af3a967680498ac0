//! Settings of a credential, as the owner wrote them. Plain data, never printed with its values.

pub use crate::model::{ApiKey, KeyPlace, SecretSource};

/// Credential for the requests to a service.
pub type Credential = crate::model::Credential<OAuthConfig>;

/// OAuth 2.1, as far as the owner says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuthConfig {
    /// Name of the upstream, under which the store of secrets keeps what was granted.
    pub upstream: String,
    /// The address of an MCP server, which says whom it trusts; none for other services, which say
    /// nothing.
    pub server: Option<String>,
    /// True if the client speaks for itself, rather than for a person who allowed it.
    pub client_credentials: bool,
    /// The client that Airlock is registered as; without it Airlock registers itself.
    pub client_id: Option<String>,
    /// Its secret.
    pub client_secret: Option<SecretSource>,
    /// Scopes to ask for; empty for those that the server asks for.
    pub scopes: Vec<String>,
    /// The authorization server.
    pub issuer: Option<String>,
    /// Its endpoints where it has no metadata: for the person, if one is asked, and for tokens.
    pub endpoints: Option<(Option<String>, String)>,
    /// Resource that the token is for; by default the URL of the MCP server.
    pub resource: Option<String>,
    /// The loopback port that the browser comes back to; a free one otherwise.
    pub redirect_port: Option<u16>,
}
