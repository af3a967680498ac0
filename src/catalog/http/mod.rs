//! The only way by which an upstream that is no child process is reached: origin, address guard,
//! credentials, limits, retries and circuit in one place. Knows nothing of tools, descriptions or
//! protocols above HTTP.

mod address;
mod circuit;
mod detect;
mod exchange;
mod failure;
mod guard;
mod redirect;
mod retry;

use std::{
    fmt,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use jiff::Timestamp;
use tokio::time::Instant as Deadline;
use url::Url;

use self::{
    exchange::Target,
    retry::{Ended, pause},
};
use super::{
    answer::{AnswerBounds, Room},
    config::Reach,
    credential::{Identity, vault::Vault},
    redact::Secrets,
    upstream::ConnectError,
};
use crate::base::backoff::chance;

pub(in crate::catalog) use self::{
    circuit::{Circuit, Sign},
    failure::ServiceFailure,
    guard::{Guard, IDLE_MAX, refusal},
};
pub use self::{
    detect::{Detected, detect},
    guard::{Names, SystemNames},
};

/// What is kept back of the time of a call, so that a service that does not answer in time is told
/// as such here, where the circuit counts it, before the call itself is given up: a twentieth, at
/// most a second.
const RESERVE: (u32, Duration) = (20, Duration::from_secs(1));

/// What requests that are no call of a tool are counted as.
const WITHOUT_NAME: &str = "its description";

/// The time of a call without what is kept back of it.
pub(in crate::catalog) fn within(timeout: Duration) -> Duration {
    timeout - (timeout / RESERVE.0).min(RESERVE.1)
}

/// What all upstreams of a server share.
#[derive(Clone)]
pub struct Surroundings {
    /// The encrypted store of secrets, if there is one.
    pub vault: Option<Vault>,
    /// Where this server itself listens, as far as that is known: never reached.
    pub own: Vec<SocketAddr>,
    /// How names become addresses.
    pub names: Arc<dyn Names>,
    /// How large answers may be.
    pub answers: AnswerBounds,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self {
            vault: None,
            own: Vec::new(),
            names: Arc::new(SystemNames),
            answers: AnswerBounds::default(),
        }
    }
}

impl Reach {
    /// What an upstream reached in this way may reach.
    pub(in crate::catalog) fn guard(&self) -> Guard {
        let Surroundings { own, names, .. } = &self.surroundings;
        Guard {
            allow_private: self.allow_private,
            private_hint: "set `allow_private = true` for the upstream if it is meant to be there",
            allow_public: true,
            own: own.clone(),
            names: names.clone(),
        }
    }
}

/// How one service is reached.
pub(in crate::catalog) struct ServiceConfig {
    /// Name of the upstream, for messages.
    pub(in crate::catalog) upstream: Arc<str>,
    /// Every request goes to its origin.
    pub(in crate::catalog) base_url: Url,
    /// Headers, credential and which addresses are allowed.
    pub(in crate::catalog) reach: Reach,
    /// Longest time of one call, retries included; a twentieth of it, at most a second, is kept
    /// back.
    pub(in crate::catalog) timeout: Duration,
}

impl ServiceConfig {
    /// With the time that the owner allows for a call.
    pub(in crate::catalog) fn new(upstream: Arc<str>, base_url: Url, reach: Reach) -> Self {
        Self { upstream, base_url, timeout: reach.call_timeout, reach }
    }
}

/// One request.
pub(in crate::catalog) struct ServiceRequest {
    /// What is done.
    pub(in crate::catalog) method: Method,
    /// Must be of the base URL's origin.
    pub(in crate::catalog) url: Url,
    /// Beside those of the configuration, which win.
    pub(in crate::catalog) headers: HeaderMap,
    /// What is sent along.
    pub(in crate::catalog) body: ServiceBody,
    /// Whether it may be sent again when no answer came.
    pub(in crate::catalog) idempotent: bool,
    /// Most bytes of the answer's body.
    pub(in crate::catalog) answer_bytes_max: usize,
    /// How much of a stream is read.
    pub(in crate::catalog) until: Until,
}

/// How much of an answer's body is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::catalog) enum Until {
    /// All of it; more than the bound is [`ServiceFailure::TooLarge`].
    End,
    /// So many lines at the most; the rest is left, as is what exceeds the bound.
    Lines(usize),
    /// So many server-sent events at the most; the rest is left, as is what exceeds the bound.
    Events(usize),
}

/// What a request sends along.
#[derive(Clone)]
pub(in crate::catalog) enum ServiceBody {
    /// Nothing.
    None,
    /// Bytes of this type.
    Bytes {
        /// `application/json` and the like.
        content_type: String,
        /// The body.
        bytes: Bytes,
    },
    /// `multipart/form-data`.
    Multipart(Vec<Part>),
}

/// One field of a form.
#[derive(Clone)]
pub(in crate::catalog) struct Part {
    /// Its name.
    pub(in crate::catalog) name: String,
    /// Given for a file.
    pub(in crate::catalog) file_name: Option<String>,
    /// Its type.
    pub(in crate::catalog) content_type: Option<String>,
    /// Its content.
    pub(in crate::catalog) bytes: Bytes,
}

/// What a service answered, whatever its status.
#[derive(Debug)]
pub(in crate::catalog) struct ServiceAnswer {
    /// 200 and the like.
    pub(in crate::catalog) status: StatusCode,
    /// As they came, at most 100.
    pub(in crate::catalog) headers: HeaderMap,
    /// As much as was asked for. Of an answer that is no success at most 64 KiB.
    pub(in crate::catalog) body: Bytes,
    /// Whether there was more.
    pub(in crate::catalog) truncated: bool,
    /// Its place, where it is a large one.
    pub(in crate::catalog) room: Option<Room>,
}

/// Reaches one service. Cheap to clone.
#[derive(Clone)]
pub(in crate::catalog) struct ServiceClient {
    inner: Arc<Inner>,
}

struct Inner {
    config: ServiceConfig,
    headers: HeaderMap,
    guard: Guard,
    client: reqwest::Client,
    /// For where redirects lead to; apart, so that no connection that was allowed at home is used
    /// elsewhere.
    elsewhere: reqwest::Client,
    identity: Identity,
    circuit: Circuit,
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
        let guard = config.reach.guard();
        guard.check(&config.base_url).map_err(|why| ConnectError::new(why).lasting(true))?;
        let headers = headers(&config.reach)?;
        let client = guard.client(&config.base_url, reqwest::redirect::Policy::none(), IDLE_MAX)?;
        let elsewhere = guard.elsewhere().client(
            &config.base_url,
            reqwest::redirect::Policy::none(),
            IDLE_MAX,
        )?;
        let identity = Identity::new(&config.reach, secrets.clone());
        let circuit = Circuit::default();
        Ok(Self {
            inner: Arc::new(Inner {
                config,
                headers,
                guard,
                client,
                elsewhere,
                identity,
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

    /// The same for an operation of this name, whose time tells nothing of the others.
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
            answer_bytes_max: bytes_max,
            until: Until::End,
        };
        let answer = self.answer(WITHOUT_NAME, &request).await?;
        match answer.status {
            StatusCode::OK => Ok(answer.body),
            status => Err(ServiceFailure::Lost(format!("it answered HTTP {}", status.as_u16()))),
        }
    }

    /// What keeps calls from being sent at present, if anything.
    pub(in crate::catalog) fn trouble(&self) -> Option<String> {
        self.inner.circuit.told(Instant::now())
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
        let leave = self.inner.circuit.enter(operation, Instant::now());
        let leave = leave.map_err(|retry_after| ServiceFailure::CircuitOpen { retry_after })?;
        let ended = self.identified(request, until).await;
        if let Some(sign) = sign(&ended) {
            leave.end(sign, Instant::now());
        }
        ended
    }

    /// With the credential; and once more with a fresh one, when it was refused: a request that is
    /// not authorized has no effect.
    async fn identified(
        &self,
        request: &ServiceRequest,
        until: Deadline,
    ) -> Result<ServiceAnswer, ServiceFailure> {
        let identity = &self.inner.identity;
        let late = |_| ServiceFailure::Timeout;
        let proof = tokio::time::timeout_at(until, identity.proof())
            .await
            .map_err(late)?
            .map_err(ServiceFailure::Credential)?;
        let answer = self.timed(request, proof.as_ref(), until).await?;
        let Some(refused) = proof.filter(|_| answer.status == StatusCode::UNAUTHORIZED) else {
            return Ok(answer);
        };
        match tokio::time::timeout_at(until, identity.renewed(&refused)).await {
            Ok(Ok(Some(fresh))) => self.timed(request, Some(&fresh), until).await,
            Ok(Ok(None)) | Err(_) => Ok(answer),
            Ok(Err(why)) => Err(ServiceFailure::Credential(why)),
        }
    }

    async fn timed(
        &self,
        request: &ServiceRequest,
        proof: Option<&super::credential::Proof>,
        until: Deadline,
    ) -> Result<ServiceAnswer, ServiceFailure> {
        let Inner { config, headers, guard, client, elsewhere, secrets, .. } = &*self.inner;
        let target = Target {
            client,
            elsewhere,
            guard,
            origin: config.base_url.origin(),
            headers,
            proof,
            secrets,
            answers: &config.reach.surroundings.answers,
            deadline: until,
        };
        tokio::time::timeout_at(until, exchange::perform(&target, request))
            .await
            .unwrap_or(Err(ServiceFailure::Timeout))
    }
}

/// What the end of a request tells of its service, if anything.
fn sign(ended: &Result<ServiceAnswer, ServiceFailure>) -> Option<Sign> {
    match ended {
        Ok(answer) => Some(sign_of(answer.status.as_u16())),
        Err(ServiceFailure::TooLarge(_) | ServiceFailure::Astray(_)) => Some(Sign::Life),
        Err(ServiceFailure::Timeout | ServiceFailure::Silent(_)) => Some(Sign::Late),
        Err(ServiceFailure::Unreachable(_) | ServiceFailure::Lost(_)) => Some(Sign::Failure),
        // Not its fault.
        Err(
            ServiceFailure::Refused(_)
            | ServiceFailure::Credential(_)
            | ServiceFailure::CircuitOpen { .. },
        ) => None,
    }
}

/// What a status tells. A gateway says with 504 that the operation took too long.
pub(in crate::catalog) fn sign_of(status: u16) -> Sign {
    match status {
        502 | 503 => Sign::Failure,
        504 => Sign::Late,
        _ => Sign::Life,
    }
}

/// The configured headers, ready to be sent.
pub(in crate::catalog) fn headers(reach: &Reach) -> Result<HeaderMap, ConnectError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &reach.headers {
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
