//! The tokens of one upstream: fetched when they are needed, renewed in time, kept in the secret
//! store.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::Mutex;

use super::{
    discovery::{self},
    grant::{self, TokenFailure, TokenSet},
    web::OAuthHttp,
};
use crate::{
    base::offload::offload,
    catalog::{
        credential::{
            config::OAuthConfig,
            resolve::resolve,
            vault::{Vault, VaultError},
        },
        net::guard::AddressPolicy,
        redact::Secrets,
    },
};

/// A token that ends within this time is renewed before it is used.
const RENEW_BEFORE: Duration = Duration::from_secs(30);

/// Tokens that are fetched because the service refused one, at the most in a minute: one that
/// refuses every token would otherwise have a new one fetched for each call.
const RENEWALS_MAX: usize = 6;
const RENEWALS_IN: Duration = Duration::from_secs(60);
/// Time for which a failed request for tokens counts for the next calls too, rather than being made
/// again for each: one that may pass, and one that the server refused. A refused refresh token is
/// never sent again.
const FAILED_FOR: Duration = Duration::from_secs(5);
const REFUSED_FOR: Duration = Duration::from_secs(60);

/// The tokens of one upstream.
pub(in crate::catalog) struct OAuth {
    pub(super) config: OAuthConfig,
    pub(super) vault: Option<Vault>,
    pub(super) web: OAuthHttp,
    pub(super) secrets: Secrets,
    /// The lock is held while tokens are fetched, so that many calls fetch once.
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    granted: Option<Arc<TokenSet>>,
    /// Times at which tokens were fetched because one was rejected.
    renewals: VecDeque<Instant>,
    /// The last request for tokens, if it failed.
    failure: Option<Failure>,
}

/// A request for tokens that failed.
struct Failure {
    /// Refresh token that was sent; none where the client spoke for itself.
    refresh_token: Option<String>,
    /// What to tell the next callers.
    why: String,
    is_refused: bool,
    at: Instant,
}

impl Failure {
    /// Returns true if asking again is of no use yet.
    fn lasts(&self) -> bool {
        let duration = match (self.is_refused, &self.refresh_token) {
            (true, Some(_)) => return true,
            (true, None) => REFUSED_FOR,
            (false, _) => FAILED_FOR,
        };
        self.at.elapsed() < duration
    }
}

impl OAuth {
    pub(in crate::catalog) fn new(
        config: OAuthConfig,
        vault: Option<Vault>,
        addresses: AddressPolicy,
        secrets: Secrets,
    ) -> Self {
        Self {
            web: OAuthHttp::new(addresses, &config),
            config,
            vault,
            secrets,
            held: Mutex::default(),
        }
    }

    /// An access token. The error is free of tokens and says the way out.
    pub(in crate::catalog::credential) async fn token(&self) -> Result<String, String> {
        let mut held = self.held.lock().await;
        let granted = match held.granted.clone() {
            Some(granted) => granted,
            None => self.first(&mut held).await?,
        };
        let granted = match granted.is_due(RENEW_BEFORE) {
            true => self.fresh(&granted, &mut held).await?,
            false => granted,
        };
        held.granted = Some(granted.clone());
        Ok(granted.access_token.clone())
    }

    /// An access token other than the one that was refused, if there is one by now.
    pub(in crate::catalog::credential) async fn renewed(
        &self,
        refused: &str,
    ) -> Result<Option<String>, String> {
        let mut held = self.held.lock().await;
        if let Some(present) =
            held.granted.as_ref().filter(|granted| granted.access_token != refused)
        {
            return Ok(Some(present.access_token.clone()));
        }
        // Somebody may have logged in anew meanwhile.
        let stored = match self.config.client_credentials {
            true => None,
            false => Some(self.first(&mut held).await?),
        };
        let present = match stored {
            Some(stored) if stored.access_token != refused => stored,
            stored => {
                held.renewals.retain(|when| when.elapsed() < RENEWALS_IN);
                if held.renewals.len() >= RENEWALS_MAX {
                    return Ok(None);
                }
                if !held.failure.as_ref().is_some_and(Failure::lasts) {
                    held.renewals.push_back(Instant::now());
                }
                match stored {
                    Some(stored) => self.fresh(&stored, &mut held).await?,
                    None => self.by_client(&mut held).await?,
                }
            }
        };
        held.granted = Some(present.clone());
        Ok(Some(present.access_token.clone()).filter(|token| token != refused))
    }

    /// Tokens of the store; a client that speaks for itself obtains them now.
    async fn first(&self, held: &mut Held) -> Result<Arc<TokenSet>, String> {
        if self.config.client_credentials {
            return self.by_client(held).await;
        }
        let stored =
            self.stored().await?.ok_or_else(|| self.login_hint("nobody has allowed it yet"))?;
        self.known(&stored);
        Ok(Arc::new(stored))
    }

    /// A new access token: by the refresh token, or as the client.
    async fn fresh(&self, old: &TokenSet, held: &mut Held) -> Result<Arc<TokenSet>, String> {
        if self.config.client_credentials {
            return self.by_client(held).await;
        }
        if old.refresh_token.is_none() {
            return Err(self.login_hint("the access that was granted has ended"));
        }
        let last = held
            .failure
            .as_ref()
            .filter(|failure| failure.lasts() && failure.refresh_token == old.refresh_token);
        if let Some(last) = last {
            return self.other_than(old).await?.ok_or_else(|| last.why.clone());
        }
        let (why, is_refused) = match grant::refreshed(&self.web, old).await {
            Ok(fresh) => {
                held.failure = None;
                self.known(&fresh);
                self.keep(&fresh).await?;
                return Ok(Arc::new(fresh));
            }
            Err(TokenFailure::Rejected { code, .. }) => {
                // Another process that shares the store may have used the refresh token first.
                if let Some(stored) = self.other_than(old).await? {
                    return Ok(stored);
                }
                let why = format!("the access that was granted is withdrawn ({code})");
                (self.login_hint(&why), true)
            }
            Err(TokenFailure::Failed(why)) => {
                (format!("the access token cannot be renewed: {why}"), false)
            }
        };
        let refresh_token = old.refresh_token.clone();
        held.failure =
            Some(Failure { refresh_token, why: why.clone(), is_refused, at: Instant::now() });
        Err(why)
    }

    /// The tokens of the store, if others than these have come there.
    async fn other_than(&self, old: &TokenSet) -> Result<Option<Arc<TokenSet>>, String> {
        let stored = self.stored().await?;
        let other = stored.filter(|stored| stored.refresh_token != old.refresh_token);
        Ok(other.map(|other| {
            self.known(&other);
            Arc::new(other)
        }))
    }

    async fn by_client(&self, held: &mut Held) -> Result<Arc<TokenSet>, String> {
        if let Some(last) = held.failure.as_ref().filter(|failure| failure.lasts()) {
            return Err(last.why.clone());
        }
        match self.ask_as_client().await {
            Ok(granted) => {
                held.failure = None;
                self.known(&granted);
                Ok(Arc::new(granted))
            }
            Err(failure) => {
                let is_refused = matches!(failure, TokenFailure::Rejected { .. });
                let why = failure.to_string();
                let (refresh_token, at) = (None, Instant::now());
                held.failure = Some(Failure { refresh_token, why: why.clone(), is_refused, at });
                Err(why)
            }
        }
    }

    async fn ask_as_client(&self) -> Result<TokenSet, TokenFailure> {
        let server =
            discovery::find(&self.web, &self.config).await.map_err(TokenFailure::Failed)?;
        let secret = self.client_secret().await.map_err(TokenFailure::Failed)?;
        grant::by_client(&self.web, &self.config, &server, secret).await
    }

    pub(super) async fn client_secret(&self) -> Result<Option<String>, String> {
        match &self.config.client_secret {
            // The service would say where the secret goes.
            Some(_) if self.config.issuer.is_none() && self.config.endpoints.is_none() => {
                Err("it has a `client_secret`, and `auth` does not name the `issuer` or \
                    `token_url` that it is for"
                    .to_owned())
            }
            Some(source) => {
                let secret = resolve(source, self.vault.as_ref()).await?;
                self.secrets.add(&secret);
                Ok(Some(secret))
            }
            None => Ok(None),
        }
    }

    /// Adds every secret value in it to the secrets of the upstream.
    pub(super) fn known(&self, granted: &TokenSet) {
        let all = [
            Some(&granted.access_token),
            granted.refresh_token.as_ref(),
            granted.client_secret.as_ref(),
        ];
        all.into_iter().flatten().for_each(|secret| self.secrets.add(secret));
    }

    async fn stored(&self) -> Result<Option<TokenSet>, String> {
        let vault = self.vault.clone().ok_or("there is no secret store")?;
        let name = entry(&self.config.upstream);
        let opened = offload(move || vault.get(&name)).await;
        let text = match opened.map_err(|_| "the secret store could not be read".to_owned())? {
            Err(VaultError::Absent(_)) => return Ok(None),
            opened => opened.map_err(|error| error.to_string())?,
        };
        let granted: TokenSet = serde_json::from_str(&text)
            .map_err(|_| self.login_hint("its entry in the secret store cannot be read"))?;
        // Allowed for another service under the same name, a token is not shown to this one.
        match granted.is_for(&self.config) {
            true => Ok(Some(granted)),
            false => Err(self.login_hint(
                "the access was granted for another address or client than the configuration names",
            )),
        }
    }

    pub(super) async fn keep(&self, granted: &TokenSet) -> Result<(), String> {
        let vault = self.vault.clone().ok_or("there is no secret store")?;
        let text = serde_json::to_string(granted).expect("a grant is plain data");
        let name = entry(&self.config.upstream);
        let kept = offload(move || vault.set(&name, &text)).await;
        kept.map_err(|_| "the secret store could not be written".to_owned())?
            .map_err(|error| error.to_string())
    }

    pub(super) fn login_hint(&self, why: &str) -> String {
        format!("{why}; run `airlock upstreams login {}`", self.config.upstream)
    }
}

/// Entry of the store for the tokens of an upstream.
pub(in crate::catalog::credential) fn entry(upstream: &str) -> String {
    format!("oauth:{upstream}")
}
