//! Resolves the keys of `auth` to a credential and rejects literal secrets in the file. Must not
//! read files, the keychain or the secret store: they are read when a secret is needed.

use url::Url;

use super::{
    expand::variable_alone,
    keys::auth::{ApiKeyKeys, Auth, Grant, OAuthKeys, SecretSource as Source},
    resolve::Resolver,
    resolved::{Credential, OAuth},
};
use crate::{
    base::plural::counted,
    model::{ApiKey, KeyPlace, SecretSource},
};

/// Most API keys of one upstream.
const API_KEYS_MAX: usize = 8;

impl Resolver<'_> {
    /// Resolves the credential at a path, `upstreams.NAME.auth`.
    pub(super) fn credential(&mut self, at: &[&str], auth: Option<&Auth>) -> Option<Credential> {
        Some(match auth {
            None => Credential::None,
            Some(Auth::Bearer(source)) => Credential::Bearer(self.reference(at, source)?),
            Some(Auth::Basic(keys)) => {
                if keys.user.contains(':') {
                    self.report(at, format!("the user in `{}` must not contain `:`", at.join(".")));
                    return None;
                }
                Credential::Basic {
                    user: keys.user.clone(),
                    password: self.reference(at, &keys.password)?,
                }
            }
            Some(Auth::ApiKey(keys)) => Credential::ApiKeys(self.api_keys(at, keys.each())?),
            Some(Auth::OAuth(keys)) => Credential::OAuth(Box::new(self.oauth(at, keys)?)),
        })
    }

    fn api_keys(&mut self, at: &[&str], keys: &[ApiKeyKeys]) -> Option<Vec<ApiKey>> {
        if keys.is_empty() || keys.len() > API_KEYS_MAX {
            let message = format!(
                "`{}` has {}; allowed: 1 to {API_KEYS_MAX}",
                at.join("."),
                counted(keys.len(), "API key")
            );
            self.report(at, message);
            return None;
        }
        let found: Vec<_> = keys.iter().map(|keys| self.api_key(at, keys)).collect();
        let found: Vec<ApiKey> = found.into_iter().collect::<Option<_>>()?;
        for (index, key) in found.iter().enumerate() {
            let is_same = |other: &&ApiKey| {
                key.place == other.place
                    && match key.place {
                        KeyPlace::Header => key.name.eq_ignore_ascii_case(&other.name),
                        _ => key.name == other.name,
                    }
            };
            if found[..index].iter().any(|other| is_same(&other)) {
                let message = format!(
                    "`{}` has two API keys with the name `{}` in the same place; keep one of them",
                    at.join("."),
                    key.name
                );
                self.report(at, message);
                return None;
            }
        }
        Some(found)
    }

    fn api_key(&mut self, at: &[&str], keys: &ApiKeyKeys) -> Option<ApiKey> {
        let places = [
            (KeyPlace::Header, &keys.header),
            (KeyPlace::Query, &keys.query),
            (KeyPlace::Cookie, &keys.cookie),
            (KeyPlace::Field, &keys.field),
        ];
        let named: Vec<_> =
            places.into_iter().filter_map(|(place, name)| Some((place, name.as_ref()?))).collect();
        let [(place, name)] = named.as_slice() else {
            let message = format!(
                "the key in `{}` needs exactly one of `header`, `query`, `cookie` and `field`, \
                each a name",
                at.join(".")
            );
            self.report(at, message);
            return None;
        };
        let is_valid = match place {
            KeyPlace::Header => http::HeaderName::from_bytes(name.as_bytes()).is_ok(),
            KeyPlace::Cookie => {
                !name.is_empty()
                    && name
                        .chars()
                        .all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c))
            }
            KeyPlace::Query | KeyPlace::Field => !name.is_empty(),
        };
        if !is_valid {
            self.report(
                at,
                format!(
                    "`{name}` in `{}` is not a valid name of a header, a parameter, a cookie or a \
                    field",
                    at.join(".")
                ),
            );
            return None;
        }
        Some(ApiKey {
            place: *place,
            name: (*name).clone(),
            value: self.reference(at, &keys.value)?,
        })
    }

    fn oauth(&mut self, at: &[&str], keys: &OAuthKeys) -> Option<OAuth> {
        let before = self.problems.len();
        let issuer = self.oauth_url(at, "issuer", keys.issuer.as_ref());
        let authorization =
            self.oauth_url(at, "authorization_url", keys.authorization_url.as_ref());
        let token = self.oauth_url(at, "token_url", keys.token_url.as_ref());
        let resource = self.oauth_url(at, "resource", keys.resource.as_ref());
        let client_credentials = keys.grant == Grant::ClientCredentials;
        let mut wrong = vec![];
        if client_credentials && (keys.client_id.is_none() || keys.client_secret.is_none()) {
            wrong.push(
                "has the grant \"client_credentials\", which needs `client_id` and `client_secret`",
            );
        }
        if keys.client_secret.is_some() && keys.client_id.is_none() {
            wrong.push("has a `client_secret` without a `client_id`");
        }
        if authorization.is_some() && token.is_none()
            || token.is_some() && authorization.is_none() && !client_credentials
        {
            wrong.push("needs `authorization_url` and `token_url` together, or neither");
        }
        if token.is_some() && issuer.is_some() {
            wrong.push("has both `issuer` and `token_url`; keep one of them");
        }
        if keys.client_secret.is_some() && issuer.is_none() && token.is_none() {
            wrong.push(
                "has a `client_secret`, which would be sent to any authorization server that \
                the service names; set `issuer` or `token_url`",
            );
        }
        if token.is_some() && keys.client_id.is_none() {
            wrong.push("has a `token_url`, which needs the `client_id` that is registered there");
        }
        for wrong in wrong {
            self.report(at, format!("`{}` {wrong}", at.join(".")));
        }
        let client_secret = match &keys.client_secret {
            Some(source) => Some(self.reference(at, source)?),
            None => None,
        };
        (self.problems.len() == before).then(|| OAuth {
            client_credentials,
            client_id: keys.client_id.clone(),
            client_secret,
            scopes: keys.scopes.clone(),
            issuer,
            endpoints: token.map(|token| (authorization, token)),
            resource,
            redirect_port: keys.redirect_port,
        })
    }

    fn oauth_url(&mut self, at: &[&str], key: &str, text: Option<&String>) -> Option<Url> {
        let text = text?;
        let url = Url::parse(text)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let plain = url.filter(|url| {
            url.username().is_empty() && url.password().is_none() && url.fragment().is_none()
        });
        if plain.is_none() {
            let at_key = format!("`{key}` in `{}`", at.join("."));
            self.report(
                at,
                format!(
                    "{at_key} is not a URL; allowed: \"https://HOST/PATH\", \
                without user or password"
                ),
            );
        }
        plain
    }

    /// Resolves a reference to a secret; a literal secret is a problem.
    pub(super) fn reference(&mut self, at: &[&str], source: &Source) -> Option<SecretSource> {
        let path = at.join(".");
        match source {
            Source::Text(text) => {
                let message = match variable_alone(text) {
                    Some(name) => format!(
                        "`{path}` is a string, in which variables are not expanded; write `{{ env \
                        = \"{name}\" }}`"
                    ),
                    None => format!(
                        "`{path}` contains a literal secret, which does not belong in this file; \
                        store it with `airlock secrets set NAME` and write `{{ secret = \"NAME\" \
                        }}`; or write `{{ env = \"NAME\" }}`, `{{ file = \"PATH\" }}` or `{{ \
                        keychain = \"SERVICE/ACCOUNT\" }}`"
                    ),
                };
                self.report(at, message);
                None
            }
            Source::Variable(_) => self
                .secret(at, source)
                .map(|secret| SecretSource::Value(secret.expose().to_owned())),
            Source::File(file) if file.file.trim().is_empty() => {
                self.report(at, format!("`{path}` names a file with an empty path"));
                None
            }
            Source::File(file) => Some(SecretSource::File(self.absolute(at, &file.file))),
            Source::Keychain(entry) => match entry.keychain.split_once('/') {
                Some((service, account)) if !service.is_empty() && !account.is_empty() => {
                    Some(SecretSource::Keychain {
                        service: service.to_owned(),
                        account: account.to_owned(),
                    })
                }
                _ => {
                    self.report(
                        at,
                        format!(
                            "`{path}` is not an entry of the keychain; \
                            allowed: \"SERVICE/ACCOUNT\""
                        ),
                    );
                    None
                }
            },
            Source::Stored(stored) => Some(SecretSource::Stored(stored.secret.clone())),
        }
    }
}
