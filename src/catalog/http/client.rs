//! A client of one service: its origin, credential, time, retries and breaker.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use jiff::Timestamp;
use tokio::time::Instant as Deadline;
use tracing::Instrument;
use url::Url;

use super::{
    breaker::{CallOutcome, CircuitBreaker},
    config::HttpAccess,
    exchange::{self, Target},
    failure::ServiceFailure,
    message::{ServiceAnswer, ServiceBody, ServiceRequest, Until},
    retry::{Ended, pause},
    unauthenticated::{self, Refusal},
};
use crate::{
    base::backoff::chance,
    catalog::{
        credential::{CredentialProvider, RequestCredential},
        net::guard::{AddressPolicy, IDLE_MAX},
        redact::Secrets,
        upstream::error::ConnectError,
    },
};

/// Time reserved at the end of a call, so that a service that does not answer in time is reported
/// here, where the breaker counts it, before the call itself is aborted: a twentieth, at most a
/// second.
const RESERVE: (u32, Duration) = (20, Duration::from_secs(1));

/// Operation name of requests that are not calls of a tool.
const WITHOUT_NAME: &str = "its document";

/// The time of a call without what is kept back of it.
pub(in crate::catalog) fn within(timeout: Duration) -> Duration {
    timeout - (timeout / RESERVE.0).min(RESERVE.1)
}

/// Connection settings of one service.
pub(in crate::catalog) struct ServiceConfig {
    /// Name of the upstream, for messages.
    pub(in crate::catalog) upstream: Arc<str>,
    /// Every request goes to its origin.
    pub(in crate::catalog) base_url: Url,
    /// Headers, credential and which addresses are allowed.
    pub(in crate::catalog) access: HttpAccess,
    /// Longest time of one call, retries included; a twentieth of it, at most a second, is kept
    /// back.
    pub(in crate::catalog) timeout: Duration,
}

impl ServiceConfig {
    /// A client whose calls take at most the time that the owner allows.
    pub(in crate::catalog) fn new(upstream: Arc<str>, base_url: Url, access: HttpAccess) -> Self {
        Self { upstream, base_url, timeout: access.call_timeout, access }
    }
}

/// Reaches one service. Cheap to clone.
#[derive(Clone)]
pub(in crate::catalog) struct ServiceClient {
    inner: Arc<Inner>,
}

struct Inner {
    config: ServiceConfig,
    headers: HeaderMap,
    addresses: AddressPolicy,
    client: reqwest::Client,
    /// For where redirects lead to; apart, so that no connection that was allowed at home is used
    /// elsewhere.
    elsewhere: reqwest::Client,
    credentials: CredentialProvider,
    circuit: CircuitBreaker,
    secrets: Secrets,
}

impl fmt::Debug for ServiceClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceClient")
            .field("upstream", &self.inner.config.upstream)
            .finish_non_exhaustive()
    }
}

impl ServiceClient {
    /// Ready to send; nothing is reached yet. Fails on headers that no request may hold, and on an
    /// address that is refused.
    pub(in crate::catalog) fn new(
        config: ServiceConfig,
        secrets: Secrets,
    ) -> Result<Self, ConnectError> {
        let addresses = config.access.address_policy();
        addresses.check(&config.base_url).map_err(|why| ConnectError::new(why).permanent(true))?;
        let headers = headers(&config.access)?;
        let client =
            addresses.client(&config.base_url, reqwest::redirect::Policy::none(), IDLE_MAX)?;
        let elsewhere = addresses.for_foreign_origin().client(
            &config.base_url,
            reqwest::redirect::Policy::none(),
            IDLE_MAX,
        )?;
        let credentials = config.access.credential_provider(secrets.clone());
        let circuit = CircuitBreaker::default();
        Ok(Self {
            inner: Arc::new(Inner {
                config,
                headers,
                addresses,
                client,
                elsewhere,
                credentials,
                circuit,
                secrets,
            }),
        })
    }

    /// Sends one request; an answer of whatever status is an answer. Refused when the URL is not of
    /// the base URL's origin.
    pub(in crate::catalog) async fn send(
        &self,
        request: ServiceRequest,
    ) -> Result<ServiceAnswer, ServiceFailure> {
        self.send_of(WITHOUT_NAME, request).await
    }

    /// Sends a request of this operation, whose duration says nothing about other operations.
    pub(in crate::catalog) async fn send_of(
        &self,
        operation: &str,
        request: ServiceRequest,
    ) -> Result<ServiceAnswer, ServiceFailure> {
        let origin = self.inner.config.base_url.origin();
        if request.url.origin() != origin {
            return Err(ServiceFailure::Refused(format!(
                "the address is not of `{}`",
                origin.ascii_serialization()
            )));
        }
        self.answer(operation, &request).await
    }

    /// Fetches a document that the configuration names. Headers and credential go along only where
    /// it is of the base URL's origin; a status other than 200 is [`ServiceFailure::Lost`] with the
    /// status in words.
    pub(in crate::catalog) async fn fetch(
        &self,
        url: Url,
        bytes_max: usize,
    ) -> Result<Bytes, ServiceFailure> {
        let request = ServiceRequest {
            method: Method::GET,
            url,
            headers: HeaderMap::new(),
            body: ServiceBody::None,
            idempotent: true,
            is_graphql: false,
            answer_bytes_max: bytes_max,
            until: Until::End,
        };
        let answer = self.answer(WITHOUT_NAME, &request).await?;
        match answer.status {
            StatusCode::OK => Ok(answer.body),
            status => Err(ServiceFailure::Lost(format!("it answered HTTP {}", status.as_u16()))),
        }
    }

    /// Reason why calls are not sent at present, if any.
    pub(in crate::catalog) fn trouble(&self) -> Option<String> {
        self.inner.circuit.status_line(Instant::now())
    }

    async fn answer(
        &self,
        operation: &str,
        request: &ServiceRequest,
    ) -> Result<ServiceAnswer, ServiceFailure> {
        let inner = &self.inner;
        let until = Deadline::now() + within(inner.config.timeout);
        let is_own = request.url.origin() == inner.config.base_url.origin();
        let mut tries = 0;
        loop {
            tries += 1;
            let ended = self.once(is_own.then_some(operation), request, until).await;
            let what = match &ended {
                Ok(answer) => Ended::Answered(answer.status, &answer.headers),
                Err(failure) => Ended::Failed(failure),
            };
            let left = until.saturating_duration_since(Deadline::now());
            match pause(&what, tries, left, chance(), Timestamp::now())
                .filter(|_| request.idempotent)
            {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return ended.map_err(|failure| failure.redacted(&inner.secrets)),
            }
        }
    }

    /// One try, which the circuit allows and learns from. Documents elsewhere tell nothing of the
    /// service.
    async fn once(
        &self,
        operation: Option<&str>,
        request: &ServiceRequest,
        until: Deadline,
    ) -> Result<ServiceAnswer, ServiceFailure> {
        let Some(operation) = operation else { return self.timed(request, None, until).await };
        let permit = self.inner.circuit.enter(operation, Instant::now());
        let permit = permit.map_err(|retry_after| ServiceFailure::CircuitOpen { retry_after })?;
        let ended = self.identified(request, until).await;
        if let Some(outcome) = call_outcome(&ended) {
            permit.end(outcome, Instant::now());
        }
        ended
    }

    /// Sends with the credential, and once more with a fresh one if it was rejected: an
    /// unauthorized request has no effect.
    async fn identified(
        &self,
        request: &ServiceRequest,
        until: Deadline,
    ) -> Result<ServiceAnswer, ServiceFailure> {
        let credentials = &self.inner.credentials;
        let late = |_| ServiceFailure::Timeout;
        let request_credential = tokio::time::timeout_at(until, credentials.request_credential())
            .await
            .map_err(late)?
            .map_err(ServiceFailure::Credential)?;
        let answer = self.timed(request, request_credential.as_ref(), until).await?;
        let found = refused(&answer, request);
        let Some(used) = request_credential.filter(|_| found != Refusal::None) else {
            return Ok(answer);
        };
        // What may have been begun is not repeated; the next call has the fresh one.
        let may_repeat = request.idempotent || found == Refusal::Certain;
        match tokio::time::timeout_at(until, credentials.renewed(&used)).await {
            Ok(Ok(Some(fresh))) if may_repeat => self.timed(request, Some(&fresh), until).await,
            Ok(Err(why)) if found == Refusal::Certain => Err(ServiceFailure::Credential(why)),
            _ => Ok(answer),
        }
    }

    async fn timed(
        &self,
        request: &ServiceRequest,
        request_credential: Option<&RequestCredential>,
        until: Deadline,
    ) -> Result<ServiceAnswer, ServiceFailure> {
        let Inner { config, headers, addresses, client, elsewhere, secrets, .. } = &*self.inner;
        let target = Target {
            client,
            elsewhere,
            addresses,
            origin: config.base_url.origin(),
            headers,
            request_credential,
            secrets,
            response_limits: &config.access.shared.response_limits,
            deadline: until,
        };
        // Neither the path nor the query: both may carry arguments.
        let span = tracing::debug_span!(
            "upstream request",
            upstream = %config.upstream,
            method = %request.method,
            host = request.url.host_str(),
            status = tracing::field::Empty,
        );
        let exchanged = tokio::time::timeout_at(until, exchange::perform(&target, request))
            .instrument(span.clone())
            .await
            .unwrap_or(Err(ServiceFailure::Timeout));
        if let Ok(answer) = &exchanged {
            span.record("status", answer.status.as_u16());
        }
        exchanged
    }
}

/// What an answer says of the credential. Errors beside a success are GraphQL's way; elsewhere they
/// may be about a part of a request, which is only repeated if that is safe.
fn refused(answer: &ServiceAnswer, request: &ServiceRequest) -> Refusal {
    if answer.status == StatusCode::UNAUTHORIZED
        || !request.is_graphql && unauthenticated::is_only_refusal(answer)
    {
        return Refusal::Certain;
    }
    match unauthenticated::refusal(answer) {
        Refusal::Likely if !request.is_graphql => Refusal::None,
        _ if !request.is_graphql && !request.idempotent => Refusal::None,
        found => found,
    }
}

/// Outcome of a request for the breaker, if it says anything about the service.
fn call_outcome(ended: &Result<ServiceAnswer, ServiceFailure>) -> Option<CallOutcome> {
    match ended {
        Ok(answer) => Some(outcome_of_status(answer.status.as_u16())),
        Err(
            ServiceFailure::TooLarge(_) | ServiceFailure::Astray(_) | ServiceFailure::Encoding(_),
        ) => Some(CallOutcome::Success),
        Err(ServiceFailure::Timeout | ServiceFailure::Silent(_)) => Some(CallOutcome::Timeout),
        Err(ServiceFailure::Unreachable(_) | ServiceFailure::Lost(_)) => Some(CallOutcome::Failure),
        // Not its fault.
        Err(
            ServiceFailure::Refused(_)
            | ServiceFailure::Credential(_)
            | ServiceFailure::CircuitOpen { .. },
        ) => None,
    }
}

/// Outcome for a status. A gateway says with 504 that the operation took too long.
pub(in crate::catalog) fn outcome_of_status(status: u16) -> CallOutcome {
    match status {
        502 | 503 => CallOutcome::Failure,
        504 => CallOutcome::Timeout,
        _ => CallOutcome::Success,
    }
}

/// The configured headers, ready to be sent.
pub(in crate::catalog) fn headers(access: &HttpAccess) -> Result<HeaderMap, ConnectError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &access.headers {
        let name = HeaderName::try_from(name.as_str())
            .map_err(|_| ConnectError::new(format!("`{name}` is not the name of a header")))?;
        let mut value = HeaderValue::try_from(value.as_str()).map_err(|_| {
            ConnectError::new(format!(
                "the value of header `{name}` holds characters that no header may hold"
            ))
        })?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests;
