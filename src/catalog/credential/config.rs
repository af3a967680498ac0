//! What the owner says about a credential. Plain data, never printed with its values.

use std::{fmt, path::PathBuf};

/// Where a secret value comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// It was resolved already, from the server's environment.
    Value(String),
    /// The first line of this file, read whenever it is needed.
    File(PathBuf),
    /// The keychain of the operating system.
    Keychain {
        /// The service it is kept for.
        service: String,
        /// The account it belongs to.
        account: String,
    },
    /// The encrypted store of secrets, by name.
    Stored(String),
}

impl fmt::Debug for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(_) => f.write_str("[secret]"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Keychain { service, account } => write!(f, "keychain {service}/{account}"),
            Self::Stored(name) => write!(f, "secret {name}"),
        }
    }
}

/// How Airlock identifies itself to a service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Credential {
    /// Not at all.
    #[default]
    None,
    /// A key in every request.
    ApiKey {
        /// Where in the request.
        place: KeyPlace,
        /// Name of the header, of the query parameter or of the cookie.
        name: String,
        /// The key.
        value: SecretSource,
    },
    /// `Authorization: Bearer …`.
    Bearer(SecretSource),
    /// `Authorization: Basic …`.
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: SecretSource,
    },
    /// OAuth 2.1.
    OAuth(OAuthConfig),
}

/// OAuth 2.1, as far as the owner says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuthConfig {
    /// Name of the upstream, under which the store of secrets keeps what was granted.
    pub upstream: String,
    /// The address of an MCP server, which says whom it trusts; none for other services, which say nothing.
    pub server: Option<String>,
    /// Whether the client speaks for itself, rather than for a person who allowed it.
    pub client_credentials: bool,
    /// The client that Airlock is registered as; without it Airlock registers itself.
    pub client_id: Option<String>,
    /// Its secret.
    pub client_secret: Option<SecretSource>,
    /// What is asked for; empty: what the server asks for.
    pub scopes: Vec<String>,
    /// The authorization server.
    pub issuer: Option<String>,
    /// Its endpoints where it has no metadata: for the person, if one is asked, and for tokens.
    pub endpoints: Option<(Option<String>, String)>,
    /// What the token is for; without it the address of the MCP server.
    pub resource: Option<String>,
    /// The loopback port that the browser comes back to; a free one otherwise.
    pub redirect_port: Option<u16>,
}

/// Where in a request a key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPlace {
    /// A header of its own.
    Header,
    /// A parameter of the query.
    Query,
    /// A cookie.
    Cookie,
}
