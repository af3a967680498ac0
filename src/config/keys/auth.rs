//! Keys of `auth`: credentials of Airlock at upstreams, and sources of secrets.

use std::{collections::BTreeMap, fmt};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Credential of Airlock at an upstream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Auth {
    /// `Authorization: Bearer …`.
    Bearer(SecretSource),
    /// `Authorization: Basic …`.
    Basic(BasicKeys),
    /// API key in each request, or a list of them.
    ApiKey(OneOrMore<ApiKeyKeys>),
    /// OAuth 2.1.
    #[serde(rename = "oauth")]
    OAuth(OAuthKeys),
}

/// User and password.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BasicKeys {
    /// User name.
    pub user: String,
    /// Password.
    pub password: SecretSource,
}

/// One table, or a list of tables.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMore<T> {
    /// One.
    One(T),
    /// Several.
    More(Vec<T>),
}

impl<T> OneOrMore<T> {
    /// All of them.
    pub fn each(&self) -> &[T] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::More(more) => more,
        }
    }
}

/// API key with its place in the request: exactly one of `header`, `query`, `cookie` and `field`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyKeys {
    /// Name of the header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub header: Option<String>,
    /// Name of the query parameter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub query: Option<String>,
    /// Name of the cookie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub cookie: Option<String>,
    /// Name of the field of a form or of a JSON object that is sent, for an `openapi` upstream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub field: Option<String>,
    /// Value of the key.
    pub value: SecretSource,
}

/// OAuth 2.1. All keys are optional for an MCP server that names its authorization server and
/// supports client registration.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OAuthKeys {
    /// `authorization_code`: a person authorizes Airlock once, with `airlock upstreams login NAME`.
    /// `client_credentials`: no person is involved.
    pub grant: Grant,
    /// Client id of Airlock; may be the `https://…` URL of a client metadata document. Default:
    /// Airlock registers itself, if the authorization server supports that.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub client_id: Option<String>,
    /// Client secret, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SecretSource")]
    pub client_secret: Option<SecretSource>,
    /// Scopes to request. Default: those that the server asks for.
    pub scopes: Vec<String>,
    /// Authorization server, if the service does not name one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub issuer: Option<String>,
    /// Authorization endpoint of an authorization server without metadata; needs `token_url`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub authorization_url: Option<String>,
    /// Token endpoint of an authorization server without metadata.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub token_url: Option<String>,
    /// Resource that the token is for (RFC 8707). Default: the URL of the upstream.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub resource: Option<String>,
    /// Loopback port of the redirect, if the registration names one. Default: a free port.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u16", range(min = 1, max = 65_535))]
    pub redirect_port: Option<u16>,
}

/// OAuth grant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Grant {
    /// A person authorizes Airlock in a browser.
    #[default]
    AuthorizationCode,
    /// The client acts for itself.
    ClientCredentials,
}

/// Additional account at the same service. It becomes an upstream of its own, `UPSTREAM-ACCOUNT`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AccountKeys {
    /// Credential of this account.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Auth")]
    pub auth: Option<Auth>,
    /// Headers of this account; they override those of the upstream.
    pub headers: BTreeMap<String, SecretSource>,
}

/// Source of a value that may be secret.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum SecretSource {
    /// Environment variable of the server, which must be set.
    Variable(Variable),
    /// First line of a file.
    File(SecretFile),
    /// Entry of the operating system's keychain.
    Keychain(Keychain),
    /// Secret stored with `airlock secrets set`.
    Stored(Stored),
    /// Literal value.
    Text(String),
}

/// Environment variable of the server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    /// Name of the variable.
    pub env: String,
}

/// File whose first line is the value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretFile {
    /// Path; a relative path is relative to the folder of the configuration file.
    pub file: String,
}

/// Entry of the keychain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Keychain {
    /// `service/account`.
    pub keychain: String,
}

/// Secret of the secret store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stored {
    /// Name of the secret.
    pub secret: String,
}

impl fmt::Debug for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(variable) => write!(f, "env {}", variable.env),
            Self::File(file) => write!(f, "file {}", file.file),
            Self::Keychain(entry) => write!(f, "keychain {}", entry.keychain),
            Self::Stored(stored) => write!(f, "secret {}", stored.secret),
            Self::Text(_) => f.write_str("[secret]"),
        }
    }
}
