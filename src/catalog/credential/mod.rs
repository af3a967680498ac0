//! Credentials for the requests to a service. Values are references until they are sent; each that
//! is read joins the secrets that are blanked out of whatever the service says. Sends nothing but
//! the requests that fetch a token.

pub(super) mod config;
mod keychain;
pub(super) mod oauth;
pub(super) mod resolve;
pub(super) mod vault;

use std::time::{Duration, Instant};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use tokio::sync::Mutex;
use url::{Url, form_urlencoded};

use self::{
    config::{ApiKey, Credential, KeyPlace, SecretSource},
    oauth::tokens::OAuth,
    resolve::resolve,
    vault::Vault,
};
use super::{net::guard::AddressPolicy, redact::Secrets};

/// Time for which a value from a file, the keychain or the store is used before it is read again. A
/// value that the service rejects is read again at once.
const FRESH_FOR: Duration = Duration::from_secs(60);

/// Credential of one request: the values that it consists of.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct RequestCredential(Vec<Part>);

impl RequestCredential {
    fn authorization(value: String) -> Self {
        Self(vec![Part { place: KeyPlace::Header, name: "authorization".to_owned(), value }])
    }

    fn bearer(token: &str) -> Self {
        Self::authorization(format!("Bearer {token}"))
    }

    /// The token, if it is one.
    fn token(&self) -> Option<&str> {
        self.0.first()?.value.strip_prefix("Bearer ")
    }

    /// Names and values of those that are fields of a body.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        let fields = self.0.iter().filter(|part| part.place == KeyPlace::Field);
        fields.map(|part| (part.name.as_str(), part.value.as_str()))
    }

    /// Puts it into address and headers of a request. Fails on characters that cannot stand there.
    pub(super) fn put(&self, headers: &mut HeaderMap, url: &mut Url) -> Result<(), String> {
        self.0.iter().try_for_each(|part| part.put(headers, url))
    }
}

/// One value of a credential, with its place in the request.
#[derive(Clone, PartialEq, Eq)]
struct Part {
    place: KeyPlace,
    name: String,
    value: String,
}

impl Part {
    fn put(&self, headers: &mut HeaderMap, url: &mut Url) -> Result<(), String> {
        let (name, value) = match self.place {
            KeyPlace::Query => {
                // An argument of the same name would be a second value, of which the service may
                // take either. The others stay as they are written: a service may tell `a,b` from
                // `a%2Cb`.
                let is_own = |pair: &str| {
                    form_urlencoded::parse(pair.as_bytes())
                        .next()
                        .is_some_and(|(name, _)| name == self.name)
                };
                let others = url
                    .query()
                    .unwrap_or_default()
                    .split('&')
                    .filter(|pair| !pair.is_empty() && !is_own(pair));
                let own = form_urlencoded::Serializer::new(String::new())
                    .append_pair(&self.name, &self.value)
                    .finish();
                let query = others.chain([own.as_str()]).collect::<Vec<_>>().join("&");
                url.set_query(Some(&query));
                return Ok(());
            }
            // It is put into the body, see `fields`.
            KeyPlace::Field => return Ok(()),
            KeyPlace::Header => (self.name.clone(), self.value.clone()),
            KeyPlace::Cookie => {
                let own = format!("{}={}", self.name, self.value);
                let others = headers
                    .get(header::COOKIE)
                    .and_then(|cookies| cookies.to_str().ok())
                    .into_iter();
                let others =
                    others.flat_map(|cookies| cookies.split(';').map(str::trim)).filter(|cookie| {
                        !cookie.is_empty()
                            && cookie
                                .split_once('=')
                                .is_none_or(|(name, _)| name.trim() != self.name)
                    });
                (
                    "cookie".to_owned(),
                    others.map(str::to_owned).chain([own]).collect::<Vec<_>>().join("; "),
                )
            }
        };
        let name = HeaderName::try_from(name.as_str())
            .map_err(|_| format!("`{name}` is not the name of a header"))?;
        let mut value = HeaderValue::try_from(value).map_err(|_| {
            format!("the value for `{}` holds characters that no header may hold", self.name)
        })?;
        value.set_sensitive(true);
        headers.insert(name, value);
        Ok(())
    }
}

/// The credential of one upstream.
pub(super) struct CredentialProvider {
    credential: Credential,
    vault: Option<Vault>,
    secrets: Secrets,
    /// The tokens, where the credential is OAuth.
    oauth: Option<OAuth>,
    /// Values that were read last, with their sources. The lock is held while one is read, so that
    /// many calls read once.
    read: Mutex<Vec<(SecretSource, Instant, String)>>,
}

impl CredentialProvider {
    /// `guard` says where tokens may be asked for; what is learned of secrets is added to
    /// `secrets`.
    pub(super) fn new(
        credential: Credential,
        vault: Option<Vault>,
        addresses: AddressPolicy,
        secrets: Secrets,
    ) -> Self {
        let oauth = match &credential {
            Credential::OAuth(config) => {
                Some(OAuth::new(config.clone(), vault.clone(), addresses, secrets.clone()))
            }
            _ => None,
        };
        Self { credential, vault, secrets, oauth, read: Mutex::default() }
    }

    /// Returns true if the upstream has a credential.
    pub(super) fn is_some(&self) -> bool {
        !matches!(self.credential, Credential::None)
    }

    /// The credential to send; none if the upstream has none. The error is free of values.
    pub(super) async fn request_credential(&self) -> Result<Option<RequestCredential>, String> {
        let request_credential = match &self.credential {
            Credential::None => return Ok(None),
            Credential::ApiKeys(keys) => {
                let mut parts = Vec::with_capacity(keys.len());
                for ApiKey { place, name, value } in keys {
                    let value = held(self.value(value).await?)?;
                    parts.push(Part { place: *place, name: name.clone(), value });
                }
                RequestCredential(parts)
            }
            Credential::Bearer(token) => {
                let value = held(self.value(token).await?)?;
                let token = without_scheme(&value);
                self.secrets.add(token);
                RequestCredential::bearer(token)
            }
            Credential::OAuth(_) => match &self.oauth {
                Some(oauth) => RequestCredential::bearer(&oauth.token().await?),
                None => return Ok(None),
            },
            Credential::Basic { user, password } => {
                let pair = STANDARD.encode(format!("{user}:{}", self.value(password).await?));
                self.secrets.add(&pair);
                RequestCredential::authorization(format!("Basic {pair}"))
            }
        };
        Ok(Some(request_credential))
    }

    /// Another proof after the service refused this one, if there is one by now.
    pub(super) async fn renewed(
        &self,
        refused: &RequestCredential,
    ) -> Result<Option<RequestCredential>, String> {
        if let Some(oauth) = &self.oauth {
            let refused = refused.token().unwrap_or_default();
            let token = oauth.renewed(refused).await?;
            return Ok(token.map(|token| RequestCredential::bearer(&token)));
        }
        self.read.lock().await.clear();
        Ok(self
            .request_credential()
            .await?
            .filter(|request_credential| request_credential != refused))
    }

    async fn value(&self, source: &SecretSource) -> Result<String, String> {
        if let SecretSource::Value(value) = source {
            let value = tidied(value);
            self.secrets.add(value);
            return Ok(value.to_owned());
        }
        let mut read = self.read.lock().await;
        read.retain(|(_, when, _)| when.elapsed() < FRESH_FOR);
        if let Some((.., value)) = read.iter().find(|(known, ..)| known == source) {
            return Ok(value.clone());
        }
        let value = tidied(&resolve(source, self.vault.as_ref()).await?).to_owned();
        self.secrets.add(&value);
        read.push((source.clone(), Instant::now(), value.clone()));
        Ok(value)
    }
}

/// The value without what editors and shells leave around it: a byte order mark, the end of a line.
fn tidied(value: &str) -> &str {
    value.trim_start_matches('\u{feff}').trim_end_matches(['\r', '\n'])
}

/// The value, unless there is nothing in it.
fn held(value: String) -> Result<String, String> {
    match value.trim().is_empty() {
        false => Ok(value),
        true => Err("its value is empty; nothing was sent".to_owned()),
    }
}

/// The token of a value that has the scheme before it, as a header would.
fn without_scheme(value: &str) -> &str {
    let value = value.trim();
    let scheme = value.split_at_checked("bearer ".len());
    let token = scheme.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer "));
    token.map_or(value, |(_, token)| token.trim_start())
}

#[cfg(test)]
mod tests;
