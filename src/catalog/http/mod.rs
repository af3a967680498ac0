//! The only way by which an upstream that is no child process is reached: origin, address guard, credentials, limits, retries
//! and circuit in one place. Knows nothing of tools, descriptions or protocols above HTTP.

mod exchange;
mod failure;

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use url::Url;

pub(in crate::catalog) use self::failure::ServiceFailure;
use super::{
    config::{CALL_TIMEOUT_MS, Reach},
    redact::Secrets,
    upstream::ConnectError,
};

/// How one service is reached.
pub(in crate::catalog) struct ServiceConfig {
    /// Name of the upstream, for messages.
    pub(in crate::catalog) upstream: Arc<str>,
    /// Every request goes to its origin.
    pub(in crate::catalog) base_url: Url,
    /// Headers, credential and which addresses are allowed.
    pub(in crate::catalog) reach: Reach,
    /// Longest time of one request, retries included.
    pub(in crate::catalog) timeout: Duration,
}

impl ServiceConfig {
    /// With the default time.
    pub(in crate::catalog) fn new(upstream: Arc<str>, base_url: Url, reach: Reach) -> Self {
        Self { upstream, base_url, reach, timeout: Duration::from_millis(CALL_TIMEOUT_MS) }
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
}

/// Reaches one service. Cheap to clone.
#[derive(Clone)]
pub(in crate::catalog) struct ServiceClient {
    inner: Arc<Inner>,
}

struct Inner {
    config: ServiceConfig,
    headers: HeaderMap,
    client: reqwest::Client,
    secrets: Secrets,
}

impl fmt::Debug for ServiceClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceClient").field("upstream", &self.inner.config.upstream).finish_non_exhaustive()
    }
}

impl ServiceClient {
    /// Ready to send; nothing is reached yet. Fails on headers that no request may hold.
    pub(in crate::catalog) fn new(config: ServiceConfig, secrets: Secrets) -> Result<Self, ConnectError> {
        // Without one the HTTP client panics.
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err(ConnectError::new("no address can be reached: no crypto provider is installed in this process"));
        }
        let headers = headers(&config.reach)?;
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|_| ConnectError::new("the HTTP client cannot be made: the system's certificates cannot be read"))?;
        Ok(Self { inner: Arc::new(Inner { config, headers, client, secrets }) })
    }

    /// Sends one request; an answer of whatever status is an answer. Refused when the URL is not of the base URL's origin.
    pub(in crate::catalog) async fn send(&self, request: ServiceRequest) -> Result<ServiceAnswer, ServiceFailure> {
        let origin = self.inner.config.base_url.origin();
        if request.url.origin() != origin {
            return Err(ServiceFailure::Refused(format!("the address is not of `{}`", origin.ascii_serialization())));
        }
        let timeout = self.inner.config.timeout;
        let sent = tokio::time::timeout(timeout, exchange::perform(&self.inner, &request)).await;
        sent.unwrap_or(Err(ServiceFailure::Timeout)).map_err(|failure| failure.redacted(&self.inner.secrets))
    }

    /// Fetches a document. Headers and credential go along only where it is of the base URL's origin; a status other than 200
    /// is [`ServiceFailure::Lost`] with the status in words.
    pub(in crate::catalog) async fn fetch(&self, url: Url, bytes_max: usize) -> Result<Bytes, ServiceFailure> {
        let request = ServiceRequest {
            method: Method::GET,
            url,
            headers: HeaderMap::new(),
            body: ServiceBody::None,
            idempotent: true,
            answer_bytes_max: bytes_max,
            until: Until::End,
        };
        let timeout = self.inner.config.timeout;
        let sent = tokio::time::timeout(timeout, exchange::perform(&self.inner, &request)).await;
        let answer = sent.unwrap_or(Err(ServiceFailure::Timeout)).map_err(|failure| failure.redacted(&self.inner.secrets))?;
        match answer.status {
            StatusCode::OK => Ok(answer.body),
            status => Err(ServiceFailure::Lost(format!("it answered HTTP {}", status.as_u16()))),
        }
    }

    /// What keeps calls from being sent at present, if anything.
    pub(in crate::catalog) fn trouble(&self) -> Option<String> {
        None
    }
}

fn headers(reach: &Reach) -> Result<HeaderMap, ConnectError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &reach.headers {
        let name =
            HeaderName::try_from(name.as_str()).map_err(|_| ConnectError::new(format!("`{name}` is not the name of a header")))?;
        let mut value = HeaderValue::try_from(value.as_str())
            .map_err(|_| ConnectError::new(format!("the value of header `{name}` holds characters that no header may hold")))?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}
