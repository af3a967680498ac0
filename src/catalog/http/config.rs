//! What the owner says about a service behind an address, and what all such services share.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use crate::{
    catalog::{
        credential::{CredentialProvider, config::Credential, vault::Vault},
        net::guard::{AddressPolicy, Resolver, SystemNames},
        redact::Secrets,
        upstream::{kind::CredentialSettings, response::ResponseLimits},
    },
    model::CALL_TIMEOUT_MS,
};

/// How a service behind an address is reached, whatever it speaks.
#[derive(Clone)]
pub struct HttpAccess {
    /// Headers of every request. Values that look like secrets, by name or by themselves, are
    /// blanked out of what it says.
    pub headers: BTreeMap<String, String>,
    /// Those whose values are secrets whatever they look like.
    pub secret_headers: BTreeSet<String>,
    /// How Airlock identifies itself; blanked out likewise.
    pub credential: Credential,
    /// Whether it may be on a private or loopback address.
    pub allow_private: bool,
    /// Longest time of one call; the catalog sets it to that of the upstream.
    pub call_timeout: Duration,
    /// What it shares with all other upstreams.
    pub surroundings: SharedResources,
}

impl Default for HttpAccess {
    fn default() -> Self {
        Self {
            headers: BTreeMap::new(),
            secret_headers: BTreeSet::new(),
            credential: Credential::None,
            allow_private: false,
            call_timeout: Duration::from_millis(CALL_TIMEOUT_MS),
            surroundings: SharedResources::default(),
        }
    }
}

impl HttpAccess {
    /// The credential, and what is needed to obtain it.
    pub(in crate::catalog) fn credential_settings(&self) -> CredentialSettings<'_> {
        CredentialSettings {
            credential: &self.credential,
            vault: self.surroundings.vault.as_ref(),
            addresses: self.guard(),
        }
    }

    /// Secrets among the headers, and among what the URLs hold.
    pub(in crate::catalog) fn secrets<'a>(
        &'a self,
        urls: impl IntoIterator<Item = &'a str>,
    ) -> Secrets {
        let headers = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let secrets = Secrets::among(headers.chain(urls.into_iter().map(|url| ("url", url))));
        for value in self.secret_headers.iter().filter_map(|name| self.headers.get(name)) {
            secrets.add(value);
            // Behind a scheme such as `Bearer`.
            value.split_once(' ').into_iter().for_each(|(_, token)| secrets.add(token.trim()));
        }
        secrets
    }

    /// How Airlock identifies itself to it.
    pub(in crate::catalog) fn identity(&self, secrets: Secrets) -> CredentialProvider {
        let vault = self.surroundings.vault.clone();
        CredentialProvider::new(self.credential.clone(), vault, self.guard(), secrets)
    }

    /// What an upstream reached in this way may reach.
    pub(in crate::catalog) fn guard(&self) -> AddressPolicy {
        let SharedResources { own, names, .. } = &self.surroundings;
        AddressPolicy {
            allow_private: self.allow_private,
            private_hint: "set `allow_private = true` for the upstream if it is meant to be there",
            allow_public: true,
            own: own.clone(),
            names: names.clone(),
        }
    }
}

// Values may be secrets, so it is not printed with them.
impl fmt::Debug for HttpAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpAccess")
            .field("headers", &self.headers.keys())
            .field("credential", &self.credential)
            .field("allow_private", &self.allow_private)
            .finish_non_exhaustive()
    }
}

/// What all upstreams of a server share.
#[derive(Clone)]
pub struct SharedResources {
    /// The encrypted store of secrets, if there is one.
    pub vault: Option<Vault>,
    /// Where this server itself listens, as far as that is known: never reached.
    pub own: Vec<SocketAddr>,
    /// How names become addresses.
    pub names: Arc<dyn Resolver>,
    /// How large answers may be.
    pub answers: ResponseLimits,
}

impl Default for SharedResources {
    fn default() -> Self {
        Self {
            vault: None,
            own: Vec::new(),
            names: Arc::new(SystemNames),
            answers: ResponseLimits::default(),
        }
    }
}
