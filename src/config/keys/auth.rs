//! The keys of `auth`: how Airlock identifies itself to an upstream, and where secret values come
//! from.

use std::{collections::BTreeMap, fmt};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How Airlock identifies itself to an upstream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Auth {
    /// `Authorization: Bearer …`.
    Bearer(SecretSource),
    /// `Authorization: Basic …`.
    Basic(BasicKeys),
    /// A key of its own in each request.
    ApiKey(ApiKeyKeys),
    /// OAuth 2.1.
    #[serde(rename = "oauth")]
    OAuth(OAuthKeys),
}

/// A user and a password.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BasicKeys {
    /// The user's name.
    pub user: String,
    /// The user's password.
    pub password: SecretSource,
}

/// A key, and where in the request it stands: exactly one of `header`, `query` and `cookie`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyKeys {
    /// Name of the header that it stands in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub header: Option<String>,
    /// Name of the parameter of the query that it stands in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub query: Option<String>,
    /// Name of the cookie that it stands in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub cookie: Option<String>,
    /// The key itself.
    pub value: SecretSource,
}

/// OAuth 2.1. All may be left out for an MCP server that says where its authorization server is and
/// lets clients register.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OAuthKeys {
    /// `authorization_code`: a person allows it once, with `airlock upstreams login NAME`.
    /// `client_credentials`: nobody is asked.
    pub grant: Grant,
    /// The client that Airlock is registered as; also the `https://…` address of a client metadata
    /// document. Without it Airlock registers itself where the authorization server allows that.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub client_id: Option<String>,
    /// The client's secret, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SecretSource")]
    pub client_secret: Option<SecretSource>,
    /// What is asked for. Without it, what the server asks for.
    pub scopes: Vec<String>,
    /// The authorization server, where the service does not say which one it trusts.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub issuer: Option<String>,
    /// Where a person allows it, for an authorization server without metadata; together with
    /// `token_url`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub authorization_url: Option<String>,
    /// Where tokens are given out, for an authorization server without metadata.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub token_url: Option<String>,
    /// What the token is for (RFC 8707), if that is not the upstream's own address.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub resource: Option<String>,
    /// The loopback port that the browser comes back to, where the registration names one; else a
    /// free one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u16", range(min = 1, max = 65_535))]
    pub redirect_port: Option<u16>,
}

/// How a token is got.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Grant {
    /// A person allows it in a browser.
    #[default]
    AuthorizationCode,
    /// The client speaks for itself.
    ClientCredentials,
}

/// A further account at the same service. It becomes an upstream of its own, `UPSTREAM-ACCOUNT`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AccountKeys {
    /// How Airlock identifies itself as this account.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Auth")]
    pub auth: Option<Auth>,
    /// Headers of this account, over those of the upstream.
    pub headers: BTreeMap<String, SecretSource>,
}

/// Where a value comes from that may be a secret.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum SecretSource {
    /// A variable of the server's environment, which must be set.
    Variable(Variable),
    /// The first line of a file.
    File(SecretFile),
    /// An entry of the operating system's keychain.
    Keychain(Keychain),
    /// A secret that `airlock secrets set` keeps.
    Stored(Stored),
    /// The value itself.
    Text(String),
}

/// A variable of the server's environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    /// Its name.
    pub env: String,
}

/// A file whose first line is the value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretFile {
    /// Its path; a relative one counts from the folder of the file that names it.
    pub file: String,
}

/// An entry of the keychain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Keychain {
    /// `service/account`.
    pub keychain: String,
}

/// A secret of the encrypted store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stored {
    /// Its name.
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
