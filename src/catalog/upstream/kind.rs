//! The interface between the catalog and the settings of one kind of upstream.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{Upstream, response::ResponseLimits};
use crate::catalog::{
    credential::{
        config::{Credential, SecretSource},
        vault::Vault,
    },
    net::guard::AddressPolicy,
    redact::Secrets,
};

/// Settings of one kind of upstream, which build it. Implemented once in the folder of each kind.
pub(in crate::catalog) trait UpstreamFactory: Send + Sync {
    /// Builds the upstream, not yet connected, and the secrets to blank out of what it says.
    /// `environment` is the server's own; a child process gets a part of it.
    fn build(
        &self,
        name: &Arc<str>,
        environment: &BTreeMap<String, String>,
    ) -> (Box<dyn Upstream>, Secrets);

    /// Size limits of its responses.
    fn response_limits_mut(&mut self) -> &mut ResponseLimits;

    /// Tells it the longest time of one call. Ignored by a kind whose calls the supervisor alone
    /// bounds.
    fn set_call_timeout(&mut self, _call_timeout: Duration) {}

    /// Credential for its requests; none for a child process.
    fn credential(&self) -> Option<CredentialSettings<'_>> {
        None
    }

    /// References to secrets, each with the key of the upstream that holds it.
    fn secret_references(&self) -> Vec<SecretReference<'_>> {
        let Some(CredentialSettings { credential, vault, .. }) = self.credential() else {
            return vec![];
        };
        let sources = match credential {
            Credential::OAuth(oauth) => oauth.client_secret.iter().collect(),
            other => other.owner_secrets(),
        };
        let reference = |source| SecretReference { key: "auth".to_owned(), source, vault };
        sources.into_iter().map(reference).collect()
    }
}

/// A credential, and what is needed to obtain it.
pub(in crate::catalog) struct CredentialSettings<'a> {
    pub(in crate::catalog) credential: &'a Credential,
    pub(in crate::catalog) vault: Option<&'a Vault>,
    /// Addresses that requests for a token may go to.
    pub(in crate::catalog) addresses: AddressPolicy,
}

/// A secret that is kept elsewhere.
pub(in crate::catalog) struct SecretReference<'a> {
    /// `auth`, `env.TOKEN`.
    pub(in crate::catalog) key: String,
    pub(in crate::catalog) source: &'a SecretSource,
    pub(in crate::catalog) vault: Option<&'a Vault>,
}
