//! A typed client of a server's owner interface, `/v1`, over HTTP on this machine.

use std::{io::Write, time::Duration};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use url::Url;

use super::args::Query;
use crate::{
    app::Failure,
    base::instance::Instance,
    model::{ErrorCode, Event, TaskId, Timestamp},
    service::{Execute, PolicyExplain, PolicyFiles, PolicyReplay, view},
};

/// Time limit for a request that waits for nothing.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// Time limit for a refresh of upstreams: twice the longest start, and some more.
const REFRESHED_WITHIN: Duration = Duration::from_secs(1_220);
/// Time limit for the whole text of an artifact.
const CONTENT_WITHIN: Duration = Duration::from_secs(600);
/// A result's JSON is read in pieces of so many bytes, where it is too large for one answer.
const PAGE_BYTES: u64 = 1024 * 1024;
/// The largest response that is read, in bytes: a page of 200 tasks with their whole source and
/// logs.
const ANSWER_BYTES_MAX: usize = 128 * 1024 * 1024;

/// A link that signs a browser in.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SignInLink {
    path: String,
    expires_at: Timestamp,
}

/// The body of a refusal.
#[derive(Deserialize)]
struct Refused {
    error: Refusal,
}

#[derive(Deserialize)]
struct Refusal {
    code: Option<String>,
    message: String,
    hint: Option<String>,
}

/// A server and the token of its owner.
pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
    token: String,
    server: Instance,
}

impl Client {
    /// A client that has not connected yet. Only a loopback URL is accepted: the token must not
    /// leave this machine.
    pub(super) fn new(instance: &Instance) -> Result<Self, Failure> {
        let base = Url::parse(&instance.url).ok().filter(is_loopback);
        let base = base.ok_or_else(|| {
            Failure::other(format!("`{}` is not a URL on this machine", instance.url))
        })?;
        let http = http_client()?;
        Ok(Self { http, base, token: instance.token.clone(), server: instance.clone() })
    }

    /// True if the server answers at all.
    pub(super) async fn is_up(&self) -> bool {
        self.ask::<serde::de::IgnoredAny>(self.get(&["healthz"], &[])).await.is_ok()
    }

    /// True while the server's process runs, also where it does not answer any more.
    pub(super) fn server_lives(&self) -> bool {
        self.server.is_alive()
    }

    /// The state of the server. Needs no token.
    pub(super) async fn health(&self) -> Result<view::Health, Failure> {
        self.ask(self.get(&["healthz"], &[])).await
    }

    /// Has the server read its configuration again; returns the state of it afterwards.
    pub(super) async fn reload_configuration(&self) -> Result<view::ConfigHealth, Failure> {
        self.ask(self.post(&["v1", "config", "reload"])).await
    }

    /// Records a task and returns its id; does not wait.
    pub(super) async fn submit(&self, request: &Execute) -> Result<TaskId, Failure> {
        let request = Execute { wait_for_result: Some(false), ..request.clone() };
        let record: view::TaskRecord = self.ask(self.post(&["v1", "tasks"]).json(&request)).await?;
        Ok(record.outcome.task_id)
    }

    /// The record of a task, as soon as it has ended, or after so long.
    pub(super) async fn task(&self, id: &str, wait: Duration) -> Result<view::TaskRecord, Failure> {
        let query = [("waitMs", wait.as_millis().to_string())];
        let (status, body) =
            self.fetch(self.get(&["v1", "tasks", id], &query), ANSWER_WITHIN + wait).await?;
        self.parse(status, &body)
    }

    /// The result of a completed task, whole, however large.
    pub(super) async fn result(&self, id: &str) -> Result<Value, Failure> {
        let mut text = String::new();
        let mut offset = 0;
        loop {
            let query =
                [("resultOffset", offset.to_string()), ("resultLimit", PAGE_BYTES.to_string())];
            let record: view::TaskRecord = self.ask(self.get(&["v1", "tasks", id], &query)).await?;
            let Some(page) = record.outcome.result_page else { break };
            text.push_str(&page.text);
            match page.next_offset {
                Some(next) if next > offset => offset = next,
                _ => break,
            }
        }
        serde_json::from_str(&text)
            .map_err(|error| Failure::other(format!("the result of `{id}` is not JSON: {error}")))
    }

    /// A task's history after an event, to its end.
    pub(super) async fn events(&self, id: &str, mut after: u64) -> Result<Vec<Event>, Failure> {
        let mut events = vec![];
        loop {
            let query = [("after", after.to_string()), ("limit", "1000".to_owned())];
            let page: view::EventPage =
                self.ask(self.get(&["v1", "tasks", id, "events"], &query)).await?;
            let last = page.events.last().map_or(after, |event| event.seq);
            events.extend(page.events);
            if last <= after {
                return Ok(events);
            }
            after = last;
        }
    }

    /// The ids on record that begin so, the newest first, at most 10.
    pub(super) async fn ids(&self, begins: &str) -> Result<Vec<String>, Failure> {
        let query = [("begins", begins.to_owned())];
        self.ask::<view::IdList>(self.get(&["v1", "ids"], &query)).await.map(|list| list.ids)
    }

    /// How much is on record.
    pub(super) async fn overview(&self) -> Result<view::Overview, Failure> {
        self.ask(self.get(&["v1", "overview"], &[])).await
    }

    /// Ends a task.
    pub(super) async fn cancel(&self, id: &str) -> Result<view::TaskRecord, Failure> {
        self.ask(self.post(&["v1", "tasks", id, "cancel"]).json(&json!({}))).await
    }

    /// A page of tasks.
    pub(super) async fn tasks(&self, query: &Query) -> Result<view::TaskPage, Failure> {
        self.ask(self.get(&["v1", "tasks"], query)).await
    }

    /// A page of approvals.
    pub(super) async fn approvals(&self, query: &Query) -> Result<view::ApprovalPage, Failure> {
        self.ask(self.get(&["v1", "approvals"], query)).await
    }

    /// One approval.
    pub(super) async fn approval(&self, id: &str) -> Result<view::Approval, Failure> {
        self.ask(self.get(&["v1", "approvals", id], &[])).await
    }

    /// Approves or denies.
    pub(super) async fn decide(
        &self,
        id: &str,
        approve: bool,
        note: Option<&str>,
    ) -> Result<view::Approval, Failure> {
        let verb = if approve { "approve" } else { "deny" };
        let body = note.map_or_else(|| json!({}), |note| json!({ "note": note }));
        self.ask(self.post(&["v1", "approvals", id, verb]).json(&body)).await
    }

    /// A page of artifacts.
    pub(super) async fn artifacts(&self, query: &Query) -> Result<view::ArtifactPage, Failure> {
        self.ask(self.get(&["v1", "artifacts"], query)).await
    }

    /// One artifact, without its text.
    pub(super) async fn artifact(&self, id: &str) -> Result<view::Artifact, Failure> {
        self.ask(self.get(&["v1", "artifacts", id], &[])).await
    }

    /// Removes an artifact.
    pub(super) async fn remove_artifact(&self, id: &str) -> Result<view::Removed, Failure> {
        self.ask(self.http.delete(self.url(&["v1", "artifacts", id], &[]))).await
    }

    /// Writes the text of an artifact as it arrives. A reader that has gone away (`| head`) is no
    /// failure.
    pub(super) async fn artifact_content(
        &self,
        id: &str,
        to: &mut (dyn Write + Send),
    ) -> Result<(), Failure> {
        let request = self.get(&["v1", "artifacts", id, "content"], &[]).bearer_auth(&self.token);
        let sent = request.timeout(CONTENT_WITHIN).send().await;
        let mut response = sent.map_err(|error| self.lost(&error))?;
        if !response.status().is_success() {
            let (status, body) =
                (response.status(), response.bytes().await.map_err(|error| self.lost(&error))?);
            return self.parse::<serde::de::IgnoredAny>(status, &body).map(drop);
        }
        while let Some(piece) = response.chunk().await.map_err(|error| self.lost(&error))? {
            match to.write_all(&piece) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
                Err(error) => {
                    return Err(Failure::other(format!(
                        "the text of the artifact cannot be written: {error}"
                    )));
                }
            }
        }
        to.flush().or_else(|error| match error.kind() {
            std::io::ErrorKind::BrokenPipe => Ok(()),
            _ => {
                Err(Failure::other(format!("the text of the artifact cannot be written: {error}")))
            }
        })
    }

    /// A link that signs a browser in, and until when it works.
    pub(super) async fn sign_in(&self) -> Result<(String, Timestamp), Failure> {
        let link: SignInLink = self.ask(self.post(&["v1", "sign-in"])).await?;
        let url = self.base.join(&link.path);
        url.map(|url| (url.into(), link.expires_at))
            .map_err(|_| Failure::other("the server answered without a link"))
    }

    /// A page of tools.
    pub(super) async fn tools(&self, query: &Query) -> Result<view::ToolPage, Failure> {
        self.ask(self.get(&["v1", "tools"], query)).await
    }

    /// One tool.
    pub(super) async fn tool(&self, path: &str) -> Result<view::Tool, Failure> {
        self.ask(self.get(&["v1", "tools", path], &[])).await
    }

    /// TypeScript declarations of all tools, or of those of a namespace.
    pub(super) async fn tool_types(&self, namespace: Option<&str>) -> Result<String, Failure> {
        let query: Vec<_> =
            namespace.map(|name| ("namespace", name.to_owned())).into_iter().collect();
        let (status, body) =
            self.fetch(self.get(&["v1", "tools", "types"], &query), ANSWER_WITHIN).await?;
        if !status.is_success() {
            return self.parse(status, &body);
        }
        String::from_utf8(body)
            .map_err(|_| Failure::other("the response of the server is not text"))
    }

    /// Has an upstream, or all of them, asked for their tools again.
    pub(super) async fn refresh(
        &self,
        upstream: Option<&str>,
    ) -> Result<view::UpstreamList, Failure> {
        let query: Vec<_> =
            upstream.map(|name| ("upstream", name.to_owned())).into_iter().collect();
        let request = self.http.post(self.url(&["v1", "tools", "refresh"], &query));
        let (status, body) = self.fetch(request, REFRESHED_WITHIN).await?;
        self.parse(status, &body)
    }

    /// The policy in force.
    pub(super) async fn policy(&self) -> Result<view::PolicyInForce, Failure> {
        self.ask(self.get(&["v1", "policy"], &[])).await
    }

    /// The tools of an upstream as policy sees them.
    pub(super) async fn policy_tools(
        &self,
        upstream: &str,
    ) -> Result<view::PolicyToolList, Failure> {
        let query = [("upstream", upstream.to_owned())];
        self.ask(self.get(&["v1", "policy", "tools"], &query)).await
    }

    /// The decision of the policy in force about a call, and its reasons.
    pub(super) async fn explain(
        &self,
        request: &PolicyExplain,
    ) -> Result<view::PolicyExplanation, Failure> {
        self.ask(self.post(&["v1", "policy", "explain"]).json(request)).await
    }

    /// Likely mistakes in policy files.
    pub(super) async fn lint(&self, files: &PolicyFiles) -> Result<view::PolicyFindings, Failure> {
        self.ask(self.post(&["v1", "policy", "lint"]).json(files)).await
    }

    /// Results of the tests in policy files.
    pub(super) async fn test(
        &self,
        files: &PolicyFiles,
    ) -> Result<view::PolicyTestResults, Failure> {
        self.ask(self.post(&["v1", "policy", "test"]).json(files)).await
    }

    /// Decisions of policy files about calls on record.
    pub(super) async fn replay(
        &self,
        request: &PolicyReplay,
    ) -> Result<view::PolicyReplayResults, Failure> {
        self.ask(self.post(&["v1", "policy", "replay"]).json(request)).await
    }

    fn get(&self, segments: &[&str], query: &Query) -> reqwest::RequestBuilder {
        self.http.get(self.url(segments, query))
    }

    fn post(&self, segments: &[&str]) -> reqwest::RequestBuilder {
        self.http.post(self.url(segments, &[]))
    }

    fn url(&self, segments: &[&str], query: &Query) -> Url {
        let mut url = self.base.clone();
        url.path_segments_mut().expect("an http URL has a path").pop_if_empty().extend(segments);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<T, Failure> {
        let (status, body) = self.fetch(request, ANSWER_WITHIN).await?;
        self.parse(status, &body)
    }

    async fn fetch(
        &self,
        request: reqwest::RequestBuilder,
        within: Duration,
    ) -> Result<(reqwest::StatusCode, Vec<u8>), Failure> {
        let sent = request.bearer_auth(&self.token).timeout(within).send().await;
        let mut response = sent.map_err(|error| self.lost(&error))?;
        let mut body = vec![];
        while let Some(piece) = response.chunk().await.map_err(|error| self.lost(&error))? {
            body.extend_from_slice(&piece);
            if body.len() > ANSWER_BYTES_MAX {
                return Err(Failure::other(format!(
                    "the response is larger than {ANSWER_BYTES_MAX} bytes; ask for less with \
                     `--limit`"
                )));
            }
        }
        Ok((response.status(), body))
    }

    fn parse<T: DeserializeOwned>(
        &self,
        status: reqwest::StatusCode,
        body: &[u8],
    ) -> Result<T, Failure> {
        if !status.is_success()
            && let Ok(refused) = serde_json::from_slice::<Refused>(body)
        {
            return Err(refused.error.into());
        }
        serde_json::from_slice(body).map_err(|error| {
            let message = format!("the server at {} answered {status}: {error}", self.base);
            Failure::other(message)
                .hint("the server may have another version: `airlock doctor` shows it")
        })
    }

    fn lost(&self, error: &reqwest::Error) -> Failure {
        if !self.server.is_alive() {
            return Failure::unavailable(format!("the server at {} was stopped", self.base))
                .hint("`airlock serve` starts one");
        }
        let what = if error.is_timeout() { "did not answer in time" } else { "does not answer" };
        Failure::unavailable(format!("the server at {} {what}", self.base))
            .hint("`airlock doctor` says more")
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

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let code = refusal.code.as_deref().and_then(ErrorCode::of);
        let failure = match code.is_some_and(|code| code.kind().retryable()) {
            true => Self::unavailable(refusal.message),
            false => Self::other(refusal.message),
        };
        let failure = match code {
            Some(code) => failure.coded(code.as_str()),
            None => failure,
        };
        // The server's own hint may name tools of MCP; here there are commands.
        let hint = match code {
            Some(ErrorCode::TaskNotFound) => Some("`airlock tasks list` lists the tasks"),
            Some(ErrorCode::ApprovalNotFound) => {
                Some("`airlock approvals list --all` lists all approvals")
            }
            Some(ErrorCode::ArtifactNotFound) => {
                Some("`airlock artifacts list` lists the artifacts")
            }
            _ => refusal.hint.as_deref(),
        };
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}
