//! The requests with which an authorization server is searched for. Most go to addresses that are
//! only guessed, so a bad answer rules out its address and nothing else: proxies answer 502 for
//! what they do not route, and an MCP server answers GET with a stream that has no end.

use std::{error::Error, sync::Arc, time::Duration};

use http::{HeaderValue, Method, StatusCode, header::LOCATION};
use oauth2::{HttpRequest, HttpResponse};
use parking_lot::Mutex;
use rmcp::transport::auth::{OAuthHttpClient, OAuthHttpClientFuture, OAuthHttpRequest};
use url::Url;

use super::{
    documents,
    web::{OAuthHttp, Part},
};
use crate::base::text::cut;

/// Longest wait for the answer of one address.
const PROBE_MAX: Duration = Duration::from_secs(5);
/// Redirects in a row that are followed.
const REDIRECTS_MAX: usize = 3;
/// Addresses without an answer that an error tells.
const TOLD_MAX: usize = 6;

/// Searches for the authorization server of one service. Clones share what was found on the way.
#[derive(Clone)]
pub(super) struct Probe {
    web: OAuthHttp,
    /// The service itself, whose answer matters for its headers only.
    place: Url,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    /// Why addresses were passed over, the first of them.
    passed_over: Vec<String>,
    /// Address that the last redirect led to, and redirects in a row.
    redirected: Option<(Url, usize)>,
}

impl Probe {
    pub(super) fn new(web: OAuthHttp, place: Url) -> Self {
        Self { web, place, seen: Arc::default() }
    }

    /// The addresses that were passed over, as a clause that follows an error; empty if there are
    /// none.
    pub(super) fn passed_over(&self) -> String {
        match self.seen.lock().passed_over.as_slice() {
            [] => String::new(),
            all => format!(" (passed over: {})", all.join(", ")),
        }
    }

    async fn ask(&self, request: HttpRequest) -> HttpResponse {
        let Ok(url) = Url::parse(&request.uri().to_string()) else { return nothing() };
        let part = if url == self.place { Part::Head } else { Part::Whole };
        let answer = self.web.send_within(request, PROBE_MAX, part).await;
        let why = match &answer {
            Ok(answer) => self.fault(&url, answer),
            Err(failure) => Some(failure.0.clone()),
        };
        match (answer, why) {
            (Ok(answer), None) => documents::tidied(answer, b""),
            (_, why) => {
                let mut seen = self.seen.lock();
                seen.redirected = None;
                if seen.passed_over.len() < TOLD_MAX {
                    let mut shown = url;
                    shown.set_query(None);
                    let why = why.unwrap_or_default();
                    let why = format!("`{}`: {}", cut(shown.as_str(), 200), cut(&why, 200));
                    seen.passed_over.push(why);
                }
                nothing()
            }
        }
    }

    /// Reason why an answer does not count, if it does not.
    fn fault(&self, url: &Url, answer: &HttpResponse) -> Option<String> {
        let status = answer.status();
        let may_pass = matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
        );
        if status.is_server_error() || may_pass {
            return Some(format!("HTTP {}", status.as_u16()));
        }
        if !status.is_redirection() {
            return None;
        }
        let location = answer.headers().get(LOCATION).map(HeaderValue::to_str)?;
        let next = location.ok().and_then(|location| url.join(location).ok());
        let Some(next) = next.filter(|next| next.origin() == url.origin()) else {
            return Some("a redirect to another origin".to_owned());
        };
        let mut seen = self.seen.lock();
        let redirects = match &seen.redirected {
            Some((last, redirects)) if last == url => redirects + 1,
            _ => 1,
        };
        if redirects > REDIRECTS_MAX {
            return Some(format!("more than {REDIRECTS_MAX} redirects"));
        }
        seen.redirected = Some((next, redirects));
        None
    }
}

/// The answer in place of one that does not count.
fn nothing() -> HttpResponse {
    let mut response = HttpResponse::default();
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

impl OAuthHttpClient for Probe {
    fn execute(&self, request: OAuthHttpRequest) -> OAuthHttpClientFuture<'_> {
        Box::pin(async move {
            // A registration has its effect, and its failure its reason.
            if request.request.method() == Method::GET {
                return Ok(self.ask(request.request).await);
            }
            let body = request.request.body().clone();
            let sent = self.web.send(request.request).await;
            sent.map(|answer| documents::tidied(answer, &body))
                .map_err(|failure| Box::new(failure) as Box<dyn Error + Send + Sync>)
        })
    }
}
