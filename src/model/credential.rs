//! How a service is told who asks, as the owner says it: references to secrets, and where in a
//! request they go.

use std::{fmt, path::PathBuf};

/// Source of a secret value. Never printed with a value.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// It is here already, from the server's environment.
    Value(String),
    /// The first line of this file, absolute, read whenever it is needed.
    File(PathBuf),
    /// An entry of the operating system's keychain.
    Keychain {
        /// The service it is kept for.
        service: String,
        /// The account it belongs to.
        account: String,
    },
    /// A secret of the encrypted store, by name.
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

/// Credential that identifies Airlock to a service; what there is to say of OAuth differs by who
/// says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential<O> {
    /// Not at all.
    None,
    /// Keys, all of them in every request.
    ApiKeys(Vec<ApiKey>),
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
    OAuth(O),
}

impl<O> Credential<O> {
    /// The owner's own secrets in it; none for OAuth, which differs by who says it.
    pub fn owner_secrets(&self) -> Vec<&SecretSource> {
        match self {
            Self::None | Self::OAuth(_) => vec![],
            Self::ApiKeys(keys) => keys.iter().map(|key| &key.value).collect(),
            Self::Bearer(token) => vec![token],
            Self::Basic { password, .. } => vec![password],
        }
    }

    /// The same, to be replaced.
    pub fn owner_secrets_mut(&mut self) -> Vec<&mut SecretSource> {
        match self {
            Self::None | Self::OAuth(_) => vec![],
            Self::ApiKeys(keys) => keys.iter_mut().map(|key| &mut key.value).collect(),
            Self::Bearer(token) => vec![token],
            Self::Basic { password, .. } => vec![password],
        }
    }

    /// Replaces the settings of OAuth.
    pub fn map_oauth<T>(self, map: impl FnOnce(O) -> T) -> Credential<T> {
        match self {
            Self::None => Credential::None,
            Self::ApiKeys(keys) => Credential::ApiKeys(keys),
            Self::Bearer(token) => Credential::Bearer(token),
            Self::Basic { user, password } => Credential::Basic { user, password },
            Self::OAuth(oauth) => Credential::OAuth(map(oauth)),
        }
    }
}

/// A key that a service gave its client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its place in the request.
    pub place: KeyPlace,
    /// Name of the header, of the query parameter, of the cookie or of the field.
    pub name: String,
    /// The key.
    pub value: SecretSource,
}

/// The place of a key in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPlace {
    /// A header of its own.
    Header,
    /// A parameter of the query.
    Query,
    /// A cookie.
    Cookie,
    /// A field of the body, where that is a form or a JSON object.
    Field,
}
