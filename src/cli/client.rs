//! Speaks to a server's owner interface, `/v1`, over HTTP on this machine.

use std::{io::Write, time::Duration};

use serde_json::{Value, json};
use url::Url;

use super::Failure;
use crate::{base::instance::Instance, model::ErrorCode};

/// How long the server may take to answer a question that waits for nothing.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// How long the server may take to have its upstreams listed again: twice the longest start, and
/// some more.
const REFRESHED_WITHIN: Duration = Duration::from_secs(1_220);
/// How long the whole text of a kept answer may take to come.
const CONTENT_WITHIN: Duration = Duration::from_secs(600);
/// How long a question about a task waits for its end on the server's side, in milliseconds; then
/// it is asked again.
const WAIT_MS: u64 = 1_000;
/// A result's JSON is read in pieces of so many bytes, where it is too large for one answer.
const PAGE_BYTES: u64 = 1024 * 1024;
/// The largest answer that is read, in bytes: a page of 200 tasks with their whole source and logs.
const ANSWER_BYTES_MAX: usize = 128 * 1024 * 1024;

/// A server and the right to ask it.
pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
    token: String,
}

impl Client {
    /// Does not connect yet. Only a loopback address is taken: the token must not leave this
    /// machine.
    pub(super) fn new(instance: &Instance) -> Result<Self, Failure> {
        let base = Url::parse(&instance.url).ok().filter(is_loopback);
        let base = base.ok_or_else(|| {
            Failure::other(format!("`{}` is not an address on this machine", instance.url))
        })?;
        let http = http_client()?;
        Ok(Self { http, base, token: instance.token.clone() })
    }

    /// How the server is. Needs no right.
    pub(super) async fn health(&self) -> Result<Value, Failure> {
        self.ask(self.http.get(self.url(&["healthz"], &[]))).await
    }

    /// Records a task and gives its id; does not wait.
    pub(super) async fn submit(&self, mut request: Value) -> Result<String, Failure> {
        request["waitForResult"] = false.into();
        let answer =
            self.ask(self.http.post(self.url(&["v1", "tasks"], &[])).json(&request)).await?;
        let id = answer["taskId"].as_str();
        id.map(str::to_owned).ok_or_else(|| Failure::other("the server answered without a task id"))
    }

    /// The record of a task, after at most [`WAIT_MS`] if `wait` and it has not ended.
    pub(super) async fn task(&self, id: &str, wait: bool) -> Result<Value, Failure> {
        let wait_ms = if wait { WAIT_MS } else { 0 };
        let url = self.url(&["v1", "tasks", id], &[("waitMs", &wait_ms.to_string())]);
        self.ask(self.http.get(url)).await
    }

    /// The result of a completed task, whole, however large.
    pub(super) async fn result(&self, id: &str) -> Result<Value, Failure> {
        let mut text = String::new();
        let mut offset = 0;
        loop {
            let query =
                [("resultOffset", offset.to_string()), ("resultLimit", PAGE_BYTES.to_string())];
            let query = query.each_ref().map(|(name, value)| (*name, value.as_str()));
            let answer = self.ask(self.http.get(self.url(&["v1", "tasks", id], &query))).await?;
            let page = &answer["resultPage"];
            text.push_str(page["text"].as_str().unwrap_or_default());
            match page["nextOffset"].as_u64() {
                Some(next) if next > offset => offset = next,
                _ => break,
            }
        }
        serde_json::from_str(&text)
            .map_err(|error| Failure::other(format!("the result of `{id}` is not JSON: {error}")))
    }

    /// A task's history, whole.
    pub(super) async fn events(&self, id: &str) -> Result<Vec<Value>, Failure> {
        let mut events = vec![];
        let mut after = 0;
        loop {
            let query = [("after", &*after.to_string()), ("limit", "1000")];
            let mut answer =
                self.ask(self.http.get(self.url(&["v1", "tasks", id, "events"], &query))).await?;
            let page = answer["events"].as_array_mut().map(std::mem::take).unwrap_or_default();
            let last = page.last().and_then(|event| event["seq"].as_u64()).unwrap_or(after);
            events.extend(page);
            if last <= after {
                return Ok(events);
            }
            after = last;
        }
    }

    /// Ends a task.
    pub(super) async fn cancel(&self, id: &str) -> Result<Value, Failure> {
        self.ask(self.http.post(self.url(&["v1", "tasks", id, "cancel"], &[])).json(&json!({})))
            .await
    }

    /// One approval.
    pub(super) async fn approval(&self, id: &str) -> Result<Value, Failure> {
        self.ask(self.http.get(self.url(&["v1", "approvals", id], &[]))).await
    }

    /// The owner's word: `approve` or `deny`.
    pub(super) async fn decide(
        &self,
        id: &str,
        verb: &str,
        note: Option<&str>,
    ) -> Result<Value, Failure> {
        let body = note.map_or_else(|| json!({}), |note| json!({ "note": note }));
        self.ask(self.http.post(self.url(&["v1", "approvals", id, verb], &[])).json(&body)).await
    }

    /// One kept answer, its text aside.
    pub(super) async fn artifact(&self, id: &str) -> Result<Value, Failure> {
        self.ask(self.http.get(self.url(&["v1", "artifacts", id], &[]))).await
    }

    /// Takes a kept answer away.
    pub(super) async fn remove_artifact(&self, id: &str) -> Result<Value, Failure> {
        self.ask(self.http.delete(self.url(&["v1", "artifacts", id], &[]))).await
    }

    /// Writes the text of a kept answer as it comes. A reader that has gone away (`| head`) is no
    /// failure.
    pub(super) async fn artifact_content(
        &self,
        id: &str,
        to: &mut (dyn Write + Send),
    ) -> Result<(), Failure> {
        let request = self
            .http
            .get(self.url(&["v1", "artifacts", id, "content"], &[]))
            .bearer_auth(&self.token);
        let sent = request.timeout(CONTENT_WITHIN).send().await;
        let mut response = sent.map_err(|error| self.lost(&error))?;
        if !response.status().is_success() {
            let (status, body) =
                (response.status(), response.bytes().await.map_err(|error| self.lost(&error))?);
            return self.understood(status, &body).map(drop);
        }
        while let Some(piece) = response.chunk().await.map_err(|error| self.lost(&error))? {
            match to.write_all(&piece) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
                Err(error) => {
                    return Err(Failure::other(format!("the text cannot be written: {error}")));
                }
            }
        }
        to.flush().or_else(|error| match error.kind() {
            std::io::ErrorKind::BrokenPipe => Ok(()),
            _ => Err(Failure::other(format!("the text cannot be written: {error}"))),
        })
    }

    /// A link that signs a browser in, and until when it works.
    pub(super) async fn sign_in(&self) -> Result<(String, String), Failure> {
        let answer = self.ask(self.http.post(self.url(&["v1", "sign-in"], &[]))).await?;
        let text = |key: &str| answer[key].as_str().map(str::to_owned);
        let link = text("path").and_then(|path| self.base.join(&path).ok()).zip(text("expiresAt"));
        link.map(|(url, until)| (url.into(), until))
            .ok_or_else(|| Failure::other("the server answered without a link"))
    }

    /// A list: `tasks`, `tools` or `approvals`, with its filters.
    pub(super) async fn list(&self, what: &str, query: &[(&str, &str)]) -> Result<Value, Failure> {
        self.ask(self.http.get(self.url(&["v1", what], query))).await
    }

    /// One tool.
    pub(super) async fn tool(&self, path: &str) -> Result<Value, Failure> {
        self.ask(self.http.get(self.url(&["v1", "tools", path], &[]))).await
    }

    /// TypeScript declarations of all tools, or of those of a namespace.
    pub(super) async fn tool_types(&self, namespace: Option<&str>) -> Result<String, Failure> {
        let query: Vec<(&str, &str)> =
            namespace.map(|namespace| ("namespace", namespace)).into_iter().collect();
        let (status, body) = self
            .fetch(self.http.get(self.url(&["v1", "tools", "types"], &query)), ANSWER_WITHIN)
            .await?;
        if status.is_success() {
            return String::from_utf8(body)
                .map_err(|_| Failure::other("the server answered with something that is no text"));
        }
        self.understood(status, &body).map(|_| String::new())
    }

    /// Has an upstream, or all of them, asked for their tools again.
    pub(super) async fn refresh(&self, upstream: Option<&str>) -> Result<Value, Failure> {
        let query: Vec<(&str, &str)> =
            upstream.map(|upstream| ("upstream", upstream)).into_iter().collect();
        let request = self.http.post(self.url(&["v1", "tools", "refresh"], &query));
        let (status, body) = self.fetch(request, REFRESHED_WITHIN).await?;
        self.understood(status, &body)
    }

    /// The policy in force.
    pub(super) async fn policy(&self) -> Result<Value, Failure> {
        self.ask(self.http.get(self.url(&["v1", "policy"], &[]))).await
    }

    /// The tools of an upstream, or of all, as policy sees them.
    pub(super) async fn policy_tools(&self, upstream: Option<&str>) -> Result<Value, Failure> {
        let query: Vec<_> = upstream.map(|name| ("upstream", name)).into_iter().collect();
        self.ask(self.http.get(self.url(&["v1", "policy", "tools"], &query))).await
    }

    /// A question about policy: `explain`, `lint`, `test` or `replay`.
    pub(super) async fn policy_question(
        &self,
        what: &str,
        question: &Value,
    ) -> Result<Value, Failure> {
        self.ask(self.http.post(self.url(&["v1", "policy", what], &[])).json(question)).await
    }

    fn url(&self, segments: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .expect("an http address has a path")
            .pop_if_empty()
            .extend(segments);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    async fn ask(&self, request: reqwest::RequestBuilder) -> Result<Value, Failure> {
        let (status, body) =
            self.fetch(request, ANSWER_WITHIN + Duration::from_millis(WAIT_MS)).await?;
        self.understood(status, &body)
    }

    async fn fetch(
        &self,
        request: reqwest::RequestBuilder,
        patience: Duration,
    ) -> Result<(reqwest::StatusCode, Vec<u8>), Failure> {
        let sent = request.bearer_auth(&self.token).timeout(patience).send().await;
        let mut response = sent.map_err(|error| self.lost(&error))?;
        let mut body = vec![];
        while let Some(piece) = response.chunk().await.map_err(|error| self.lost(&error))? {
            body.extend_from_slice(&piece);
            if body.len() > ANSWER_BYTES_MAX {
                return Err(Failure::other(format!(
                    "the answer has more than {ANSWER_BYTES_MAX} bytes; ask for less with `--limit`"
                )));
            }
        }
        Ok((response.status(), body))
    }

    fn understood(&self, status: reqwest::StatusCode, body: &[u8]) -> Result<Value, Failure> {
        let answer: Value = serde_json::from_slice(body).map_err(|_| {
            Failure::other(format!("the server at {} answered {status} without JSON", self.base))
        })?;
        // `/healthz` answers 503 with a whole body where something is broken; that is an answer
        // too.
        if status.is_success() || answer.get("error").is_none() {
            return Ok(answer);
        }
        Err(refusal(&answer["error"]))
    }

    fn lost(&self, error: &reqwest::Error) -> Failure {
        let what = if error.is_timeout() { "did not answer in time" } else { "does not answer" };
        Failure::unavailable(format!("the server at {} {what}", self.base))
            .hint("`airlock doctor` tells more")
    }
}

/// A client that goes straight to this machine, whatever proxies the environment names. It speaks
/// no TLS, so it needs none of the system's certificates, which minimal systems do not have.
pub(super) fn http_client() -> Result<reqwest::Client, Failure> {
    // A provider that is there already does as well.
    rustls::crypto::ring::default_provider().install_default().ok();
    let built = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .redirect(reqwest::redirect::Policy::none())
        .build();
    built.map_err(|error| Failure::other(format!("the HTTP client cannot be made: {error}")))
}

fn is_loopback(url: &Url) -> bool {
    let local = match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        _ => false,
    };
    url.scheme() == "http" && local
}

fn refusal(error: &Value) -> Failure {
    let message = error["message"].as_str().unwrap_or("the server refused without a reason");
    let code = error["code"].as_str().and_then(ErrorCode::of);
    let failure = match code.is_some_and(|code| code.kind().retryable()) {
        true => Failure::unavailable(message),
        false => Failure::other(message),
    };
    // What the server says to whoever asks may name tools of MCP; here there are commands.
    let hint = match code {
        Some(ErrorCode::TaskNotFound) => Some("`airlock tasks list` shows the tasks there are"),
        Some(ErrorCode::ArtifactNotFound) => {
            Some("`airlock artifacts list` shows those that are kept")
        }
        _ => error["hint"].as_str(),
    };
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
