//! Tokens from an authorization server, and the three grants that obtain them.

use std::time::Duration;

use jiff::Timestamp;
use oauth2::{
    AuthType, AuthorizationCode, ClientId, ClientSecret, EndpointNotSet, EndpointSet,
    PkceCodeVerifier, RedirectUrl, RefreshToken, RequestTokenError, Scope, TokenResponse, TokenUrl,
    basic::{BasicClient, BasicErrorResponse, BasicTokenResponse},
};
use serde::{Deserialize, Serialize};

use super::{
    discovery::{self, Registered, Server},
    web::{OAuthHttp, WebFailure},
};
use crate::{base::text::cut, catalog::credential::config::OAuthConfig};

/// Longest token that is taken, in bytes: it must fit into a header.
const TOKEN_BYTES_MAX: usize = 32 * 1024;

/// Tokens, and everything that renewing them takes. Bound to where they came from and what they are
/// for.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct TokenSet {
    pub(super) access_token: String,
    #[serde(default)]
    pub(super) refresh_token: Option<String>,
    /// End of the access token's life, if the server said it.
    #[serde(default)]
    pub(super) ends: Option<Timestamp>,
    /// Its whole life, if this process fetched it and the server said it.
    #[serde(skip)]
    pub(super) life: Option<Duration>,
    #[serde(default)]
    pub(super) issuer: Option<String>,
    pub(super) token_url: String,
    pub(super) client_id: String,
    #[serde(default)]
    pub(super) client_secret: Option<String>,
    #[serde(default)]
    pub(super) secret_in_body: bool,
    #[serde(default)]
    pub(super) resource: Option<String>,
    #[serde(default)]
    pub(super) scopes: Vec<String>,
}

/// Reasons why no token was granted.
#[derive(Debug, thiserror::Error)]
pub(super) enum TokenFailure {
    /// The grant is not or no longer valid. The description is the server's own and may repeat what
    /// was sent: it is for a person who logs in, and not for the log.
    #[error("the authorization server refuses: {code}")]
    Rejected { code: String, description: Option<String> },
    /// Anything that may pass.
    #[error("{0}")]
    Failed(String),
}

impl TokenSet {
    /// Returns true if the access token is to be renewed before it is used: it ends within the time
    /// given, or after half of its life if that is later, so that a token with a short life is not
    /// renewed for each request.
    pub(super) fn is_due(&self, before: Duration) -> bool {
        let before = self.life.map_or(before, |life| before.min(life / 2));
        let soon = Timestamp::now().checked_add(before).unwrap_or(Timestamp::MAX);
        self.ends.is_some_and(|ends| ends <= soon)
    }

    /// Returns true if it was granted for what the configuration says.
    pub(super) fn is_for(&self, config: &OAuthConfig) -> bool {
        let client = config.client_id.as_ref().is_none_or(|client| *client == self.client_id);
        let token_url = config.endpoints.as_ref().is_none_or(|(_, token)| *token == self.token_url);
        let slash = |text: &str| text.trim_end_matches('/').to_owned();
        let issuer = match (&config.issuer, &self.issuer) {
            (Some(wanted), Some(issuer)) => slash(wanted) == slash(issuer),
            (Some(_), None) => false,
            (None, _) => true,
        };
        client && token_url && issuer && discovery::is_for_service(self.resource.as_deref(), config)
    }
}

type Client =
    BasicClient<EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

fn client(
    token_url: &str,
    registered: &Registered,
    secret_in_body: bool,
) -> Result<Client, TokenFailure> {
    let token_url = TokenUrl::new(token_url.to_owned())
        .map_err(|error| TokenFailure::Failed(error.to_string()))?;
    let client =
        BasicClient::new(ClientId::new(registered.client_id.clone())).set_token_uri(token_url);
    let client = match &registered.client_secret {
        Some(secret) => client.set_client_secret(ClientSecret::new(secret.clone())),
        None => client,
    };
    Ok(client.set_auth_type(if secret_in_body {
        AuthType::RequestBody
    } else {
        AuthType::BasicAuth
    }))
}

/// Tokens for the code that the browser brought back.
pub(super) async fn by_code(
    web: &OAuthHttp,
    config: &OAuthConfig,
    server: &Server,
    registered: &Registered,
    (code, verifier, redirect): (String, PkceCodeVerifier, &str),
) -> Result<TokenSet, TokenFailure> {
    let client = client(&server.token, registered, server.secret_in_body)?;
    let redirect = RedirectUrl::new(redirect.to_owned())
        .map_err(|error| TokenFailure::Failed(error.to_string()))?;
    let client = client.set_redirect_uri(redirect);
    let resource = server.resource.clone();
    let mut request =
        client.exchange_code(AuthorizationCode::new(code)).set_pkce_verifier(verifier);
    if let Some(resource) = &resource {
        request = request.add_extra_param("resource", resource.clone());
    }
    let answer = request.request_async(web).await.map_err(failure)?;
    granted(answer, server, registered, resource, discovery::scopes(config, server))
}

/// Tokens for the client itself.
pub(super) async fn by_client(
    web: &OAuthHttp,
    config: &OAuthConfig,
    server: &Server,
    client_secret: Option<String>,
) -> Result<TokenSet, TokenFailure> {
    let client_id = config
        .client_id
        .clone()
        .ok_or_else(|| TokenFailure::Failed("`auth` has no `client_id`".to_owned()))?;
    let registered = Registered { client_id, client_secret };
    let client = client(&server.token, &registered, server.secret_in_body)?;
    let resource = server.resource.clone();
    let scopes = discovery::scopes(config, server);
    let mut request =
        client.exchange_client_credentials().add_scopes(scopes.iter().cloned().map(Scope::new));
    if let Some(resource) = &resource {
        request = request.add_extra_param("resource", resource.clone());
    }
    let answer = request.request_async(web).await.map_err(failure)?;
    granted(answer, server, &registered, resource, scopes)
}

/// Tokens for the refresh token; a server that gives no new one means the old one to stay.
pub(super) async fn refreshed(web: &OAuthHttp, old: &TokenSet) -> Result<TokenSet, TokenFailure> {
    let registered =
        Registered { client_id: old.client_id.clone(), client_secret: old.client_secret.clone() };
    let client = client(&old.token_url, &registered, old.secret_in_body)?;
    let refresh_token = RefreshToken::new(old.refresh_token.clone().unwrap_or_default());
    let mut request = client.exchange_refresh_token(&refresh_token);
    if let Some(resource) = &old.resource {
        request = request.add_extra_param("resource", resource.clone());
    }
    let answer = request.request_async(web).await.map_err(failure)?;
    let fresh = taken(&answer)?;
    Ok(TokenSet {
        refresh_token: answer
            .refresh_token()
            .map(|token| token.secret().clone())
            .or_else(|| old.refresh_token.clone()),
        ends: answer.expires_in().map(|time| moment(time.as_secs())),
        life: answer.expires_in(),
        access_token: fresh,
        ..old.clone()
    })
}

fn granted(
    answer: BasicTokenResponse,
    server: &Server,
    registered: &Registered,
    resource: Option<String>,
    asked: &[String],
) -> Result<TokenSet, TokenFailure> {
    Ok(TokenSet {
        access_token: taken(&answer)?,
        refresh_token: answer.refresh_token().map(|token| token.secret().clone()),
        ends: answer.expires_in().map(|time| moment(time.as_secs())),
        life: answer.expires_in(),
        issuer: server.issuer.clone(),
        token_url: server.token.clone(),
        client_id: registered.client_id.clone(),
        client_secret: registered.client_secret.clone(),
        secret_in_body: server.secret_in_body,
        resource,
        // One that says nothing granted what was asked for.
        scopes: answer.scopes().map_or_else(
            || asked.to_vec(),
            |scopes| scopes.iter().map(|scope| scope.to_string()).collect(),
        ),
    })
}

/// The access token, when it is one that can be sent.
fn taken(answer: &BasicTokenResponse) -> Result<String, TokenFailure> {
    let token = answer.access_token().secret();
    let is_sendable = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_sendable || token.len() > TOKEN_BYTES_MAX {
        return Err(TokenFailure::Failed(
            "the authorization server granted a token that cannot be sent".to_owned(),
        ));
    }
    let kind = answer.token_type().as_ref();
    if !kind.eq_ignore_ascii_case("bearer") {
        return Err(TokenFailure::Failed(format!(
            "the authorization server granted a token of type `{}`",
            cut(kind, 50)
        )));
    }
    Ok(token.clone())
}

fn failure(error: RequestTokenError<WebFailure, BasicErrorResponse>) -> TokenFailure {
    match error {
        RequestTokenError::ServerResponse(refusal) => TokenFailure::Rejected {
            code: cut(refusal.error().as_ref(), 100).to_owned(),
            description: refusal.error_description().map(|text| cut(text, 300).to_owned()),
        },
        RequestTokenError::Request(failure) => TokenFailure::Failed(failure.0),
        // Its text holds the whole answer, tokens included.
        RequestTokenError::Parse(..) => TokenFailure::Failed(
            "the answer of the authorization server is not understood".to_owned(),
        ),
        RequestTokenError::Other(why) => TokenFailure::Failed(cut(&why, 300).to_owned()),
    }
}

impl TokenFailure {
    /// The failure with what the server says of it, for the person who logs in.
    pub(super) fn in_full(&self) -> String {
        match self {
            Self::Rejected { description: Some(description), .. } => {
                format!("{self}: {description}")
            }
            _ => self.to_string(),
        }
    }
}

/// Seconds from now, as a moment.
fn moment(seconds: u64) -> Timestamp {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX).min(10 * 365 * 24 * 3600);
    Timestamp::now().checked_add(jiff::SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}
