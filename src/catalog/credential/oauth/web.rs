//! The requests of OAuth: small, short, under the address policy, without redirects.

use std::{error::Error, fmt, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use http::header::CONTENT_TYPE;
use oauth2::{AsyncHttpClient, HttpRequest, HttpResponse};
use url::{Origin, Url};

use super::token_answer;

use crate::{
    base::text::cut,
    catalog::{
        credential::config::OAuthConfig,
        net::{
            encoding,
            guard::{AddressPolicy, refusal},
        },
    },
};

/// Longest wait for one answer.
const ANSWER_MAX: Duration = Duration::from_secs(20);
/// Largest answer, in bytes.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// Sends requests to authorization servers.
#[derive(Clone)]
pub(super) struct OAuthHttp {
    addresses: AddressPolicy,
    /// The origins that the owner named: only these may be private.
    named: Arc<[Origin]>,
}

/// Part of an answer that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Status and headers only.
    Head,
    Whole,
}

/// Reason why a request failed.
#[derive(Debug)]
pub(super) struct WebFailure(pub(super) String);

impl fmt::Display for WebFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for WebFailure {}

impl OAuthHttp {
    pub(super) fn new(addresses: AddressPolicy, config: &OAuthConfig) -> Self {
        let endpoints =
            config.endpoints.iter().flat_map(|(page, token)| page.iter().chain([token]));
        let named = config.server.iter().chain(&config.issuer).chain(endpoints);
        let origins = named.filter_map(|text| Some(Url::parse(text).ok()?.origin()));
        Self { addresses, named: origins.collect() }
    }

    /// Address policy for this URL: a host that is not named must be public, and an unencrypted one
    /// private.
    fn address_policy_of(&self, url: &Url) -> AddressPolicy {
        let is_named = self.named.contains(&url.origin());
        let mut addresses =
            AddressPolicy { allow_public: url.scheme() == "https", ..self.addresses.clone() };
        if addresses.allow_private && !is_named {
            addresses.allow_private = false;
            addresses.private_hint = "`allow_private` holds for the service and what its `auth` \
                names: write the `issuer`, or \
                                  `authorization_url` and `token_url`, if it is meant to be there";
        }
        addresses
    }

    /// An address that secrets may be sent to: encrypted, or private where that is allowed.
    pub(super) fn endpoint(&self, text: &str) -> Result<Url, String> {
        let url = Url::parse(text).map_err(|_| format!("`{}` is not a URL", cut(text, 200)))?;
        let shown = url.origin().ascii_serialization();
        let addresses = self.address_policy_of(&url);
        if url.scheme() != "https" && !(url.scheme() == "http" && addresses.allow_private) {
            return Err(format!("`{shown}` is not encrypted, so no secret is sent there"));
        }
        addresses.check(&url).map_err(|why| format!("`{shown}` is refused: {why}"))?;
        Ok(url)
    }

    /// Sends one request and reads the answer, whatever its status.
    pub(super) async fn send(&self, request: HttpRequest) -> Result<HttpResponse, WebFailure> {
        self.send_within(request, ANSWER_MAX, Part::Whole).await
    }

    /// The same, within this time.
    pub(super) async fn send_within(
        &self,
        request: HttpRequest,
        limit: Duration,
        part: Part,
    ) -> Result<HttpResponse, WebFailure> {
        let sent = tokio::time::timeout(limit, self.exchange(request, part)).await;
        sent.unwrap_or_else(|_| Err(format!("no answer came within {} s", limit.as_secs())))
            .map_err(WebFailure)
    }

    async fn exchange(&self, request: HttpRequest, part: Part) -> Result<HttpResponse, String> {
        let (parts, body) = request.into_parts();
        let url = self.endpoint(&parts.uri.to_string())?;
        let client = self
            .address_policy_of(&url)
            .client(&url, reqwest::redirect::Policy::none(), 0)
            .map_err(|error| error.to_string())?;
        let place = url.origin().ascii_serialization();
        let failed = |error: reqwest::Error| match refusal(&error) {
            Some(why) => why,
            None => format!("`{place}` could not be reached: {}", error.without_url()),
        };
        let answer = client
            .request(parts.method, url.clone())
            .headers(parts.headers)
            .body(body)
            .send()
            .await
            .map_err(failed)?;
        let mut answer = encoding::decoded(answer)
            .map_err(|why| format!("the response of `{place}` cannot be read: {why}"))?;
        let mut all = Vec::new();
        // A stream of events is no document, and may have no end.
        let kind = answer.headers().get(CONTENT_TYPE);
        let is_stream = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        if part == Part::Whole && !is_stream {
            while let Some(chunk) = answer.chunk().await.map_err(failed)? {
                if all.len() + chunk.len() > ANSWER_BYTES_MAX {
                    return Err(format!(
                        "the response of `{place}` is larger than {ANSWER_BYTES_MAX} bytes"
                    ));
                }
                all.extend_from_slice(&chunk);
            }
        }
        let mut response = http::Response::new(all);
        *response.status_mut() = answer.status();
        *response.headers_mut() = answer.headers().clone();
        Ok(response)
    }
}

/// Requests of the library are requests for tokens.
impl<'c> AsyncHttpClient<'c> for OAuthHttp {
    type Error = WebFailure;
    type Future = BoxFuture<'c, Result<HttpResponse, WebFailure>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move { token_answer::tidied(self.send(request).await?).map_err(WebFailure) })
    }
}

#[cfg(test)]
mod tests;
