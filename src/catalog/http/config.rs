//! Settings of a service behind a URL, and the resources that all such services share.

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

/// Access to a service behind a URL, whatever its protocol.
#[derive(Clone)]
pub struct HttpAccess {
    /// Headers of every request. Values that look like secrets, by name or by themselves, are
    /// blanked out of what it says.
    pub headers: BTreeMap<String, String>,
    /// Names of headers whose values are secrets whatever they look like.
    pub secret_headers: BTreeSet<String>,
    /// Credential of its requests; blanked out likewise.
    pub credential: Credential,
    /// True if it may be on a private or loopback address.
    pub allow_private: bool,
    /// Longest time of one call; the catalog sets it to that of the upstream.
    pub call_timeout: Duration,
    /// Resources shared with all other upstreams.
    pub shared: SharedResources,
}

impl Default for HttpAccess {
    fn default() -> Self {
        Self {
            headers: BTreeMap::new(),
            secret_headers: BTreeSet::new(),
            credential: Credential::None,
            allow_private: false,
            call_timeout: Duration::from_millis(CALL_TIMEOUT_MS),
            shared: SharedResources::default(),
        }
    }
}

impl HttpAccess {
    /// The credential, and what is needed to obtain it.
    pub(in crate::catalog) fn credential_settings(&self) -> CredentialSettings<'_> {
        CredentialSettings {
            credential: &self.credential,
            vault: self.shared.vault.as_ref(),
            addresses: self.address_policy(),
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

    /// Provider of the credential for its requests.
    pub(in crate::catalog) fn credential_provider(&self, secrets: Secrets) -> CredentialProvider {
        let vault = self.shared.vault.clone();
        CredentialProvider::new(self.credential.clone(), vault, self.address_policy(), secrets)
    }

    /// Addresses that its requests may go to.
    pub(in crate::catalog) fn address_policy(&self) -> AddressPolicy {
        let SharedResources { own, names, .. } = &self.shared;
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

/// Resources that all upstreams of a server share.
#[derive(Clone)]
pub struct SharedResources {
    /// The encrypted store of secrets, if there is one.
    pub vault: Option<Vault>,
    /// Addresses that this server itself listens on, as far as they are known: no request may go to
    /// them.
    pub own: Vec<SocketAddr>,
    /// Resolver of host names.
    pub names: Arc<dyn Resolver>,
    /// Size limits of responses.
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
