//! The catalog: every tool of every upstream, found by words, checked, and called.
//!
//! An upstream is reached in the background and again whenever it is lost; starting never waits for one. The catalog knows
//! nothing of tasks, guests or policy: what a caller may see, it is told through a [`View`]. Whatever an upstream sends is
//! bounded and taken for hostile; the secrets that an owner configured for it are blanked out of its answers, errors and logs.

mod answer;
mod arguments;
mod config;
mod credential;
mod find;
mod function;
mod graphql;
mod http;
mod index;
mod lane;
mod left_out;
mod mcp;
mod observed;
mod openapi;
mod paths;
mod persist;
mod question;
mod redact;
mod sample;
mod shelf;
mod synonyms;
mod tool;
mod types;
mod upstream;
mod vocabulary;
mod words;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, LazyLock},
    time::Duration,
};

use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::{
    answer::{Answer, AnswerBounds},
    arguments::ArgumentError,
    config::{
        CALL_TIMEOUT_MS, Document, HttpConfig, InvalidName, NAME_CHARS_MAX, REFRESH_MINUTES, RESERVED_NAMES, Reach,
        START_TIMEOUT_MS, StdioConfig, UpstreamConfig, UpstreamKind, UpstreamName,
    },
    credential::{
        config::{Credential, KeyPlace, OAuthConfig, SecretSource},
        missing::{MissingSecret, missing_secrets},
        oauth::Login,
        vault::{Kept, VALUE_BYTES_MAX, Vault, VaultError, VaultKey},
    },
    find::{
        Approval, DescribeQuery, Description, DiscoverQuery, Discovered, Found, Namespace, Namespaces, NamespacesQuery, ToolsPage,
        ToolsQuery, View, Visibility,
    },
    function::HostFunction,
    graphql::config::GraphQlConfig,
    http::{Detected, Names, Surroundings, SystemNames, detect},
    lane::{CALLS_MAX, UpstreamState, UpstreamStatus, WAITING_MAX},
    openapi::config::OpenApiConfig,
    tool::Tool,
    upstream::{CallNews, UpstreamError, UpstreamErrorCode},
};
use self::{
    find::Outages,
    lane::{Lane, Says},
    persist::KeptTools,
    redact::Secrets,
    shelf::Shelf,
    upstream::Upstream,
};
use crate::model::{JsonObject, RawJson};

/// Variables of the server's environment that every child sees, beside all that begin with `LC_`: what programs need to run
/// at all, and none that tends to hold a secret (proxy addresses do).
const ENVIRONMENT_NAMES: [&str; 8] = ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "LANG", "TZ"];
/// How long the finding functions wait for upstreams that have never answered yet: a first question right after the start
/// should not find an empty catalog, and one slow upstream should not hold up the others for long.
const FIND_WAIT_MAX: Duration = Duration::from_secs(5);
/// Largest declaration of all tools, in bytes.
const TYPES_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Longest time in which upstreams may be ended at shutdown.
const SHUTDOWN_MAX: Duration = Duration::from_secs(8);

/// All upstreams and what they offer. Dropped, it ends them.
pub struct Catalog {
    shelf: Arc<Shelf>,
    lanes: BTreeMap<Arc<str>, Arc<Lane>>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// There is no such tool, or it is hidden. The message alone is enough to find the right one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no tool `{path}`{}; find one with await {discover}", did_you_mean(nearest))]
pub struct NotFound {
    /// What was asked for.
    pub path: String,
    /// Paths of the visible tools that are most like it, at most 5.
    pub nearest: Vec<String>,
    /// A call that finds the right one: `tools.discover("get sum")`.
    pub discover: String,
}

fn did_you_mean(nearest: &[String]) -> String {
    if nearest.is_empty() {
        return String::new();
    }
    let names: Vec<String> = nearest.iter().map(|path| format!("`{}`", paths::expression(path))).collect();
    format!(", did you mean {}?", names.join(", "))
}

/// Why a path leads to no tool.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// There is none.
    #[error(transparent)]
    NotFound(#[from] NotFound),
    /// Its upstream has not yet said what it offers.
    #[error(transparent)]
    Unavailable(#[from] UpstreamError),
}

/// Why a finding function gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FindError {
    /// Its arguments do not fit.
    #[error(transparent)]
    Arguments(#[from] ArgumentError),
    /// `describe` of a path that leads to no tool.
    #[error(transparent)]
    Unresolved(#[from] ResolveError),
}

impl Catalog {
    /// Begins to reach every upstream and returns at once. `environment` is the server's own; a child sees a part of it.
    /// Must be called within a tokio runtime; HTTPS needs the process-wide crypto provider of rustls to be installed before.
    pub fn start(configs: Vec<UpstreamConfig>, environment: &BTreeMap<String, String>) -> Self {
        Self::begin(configs, environment, None)
    }

    /// The same, and keeps in `folder` what the upstreams offer, so that the next start knows their tools before it has reached
    /// them. The folder is made when there is something to keep; no other process may keep its tools there at the same time.
    pub fn start_keeping(configs: Vec<UpstreamConfig>, environment: &BTreeMap<String, String>, folder: PathBuf) -> Self {
        Self::begin(configs, environment, Some(Arc::new(KeptTools::new(folder))))
    }

    fn begin(configs: Vec<UpstreamConfig>, environment: &BTreeMap<String, String>, kept: Option<Arc<KeptTools>>) -> Self {
        let shelf = Shelf::new();
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        tasks.spawn(shelf.clone().keep(stop.clone()));
        let mut lanes = BTreeMap::new();
        for mut config in configs {
            let name: Arc<str> = Arc::from(config.name.as_str());
            let times = (config.call_timeout, config.start_timeout, config.refresh_after);
            let says = Says { trusted: config.trusted, answers: config.kind.answers() };
            if let Some(reach) = config.kind.reach_mut() {
                reach.call_timeout = config.call_timeout;
            }
            let (upstream, secrets) = upstream_of(&name, config.kind, environment);
            let lane = Lane::new(name.clone(), upstream, secrets, times, says, shelf.clone(), kept.clone());
            if lanes.insert(name.clone(), lane).is_some() {
                tracing::error!(upstream = %name, "upstream `{name}` is configured twice, the later one is used");
            }
        }
        let all: Vec<Arc<Lane>> = lanes.values().cloned().collect();
        let (begun, stopped, shelved) = (tasks.clone(), stop.clone(), shelf.clone());
        tasks.spawn(async move {
            // What is known from before can be found before anything newer can be.
            recall(&all, kept, &shelved).await;
            for lane in &all {
                lane.run(&begun, stopped.clone());
            }
        });
        tasks.close();
        Self { shelf, lanes, stop, tasks }
    }

    /// Where calls of this tool go, for people: method, host and path, as far as the protocol has them and they are known now.
    pub fn route(&self, tool: &Tool) -> Option<String> {
        self.lanes.get(&tool.upstream)?.route(tool)
    }

    /// The tool at a path, also when case, `_` and `-`, the number of a noun or an ending such as `Api` are off and only one visible
    /// tool can be meant. Waits for an
    /// upstream that is still being connected for the first time, at most its start timeout.
    pub async fn resolve(&self, path: &str, view: View<'_>) -> Result<Arc<Tool>, ResolveError> {
        if let Some(tool) = self.look_up(path, view) {
            return Ok(tool);
        }
        if let Some(lane) = self.lane_of(path) {
            lane.settled().await;
            if let Some(tool) = self.look_up(path, view) {
                return Ok(tool);
            }
            let is_known = self.shelf.present().tools().iter().any(|tool| *tool.upstream == *lane.name());
            if let Some(message) = lane.outage().filter(|_| !is_known) {
                let tool = tool::cut(path, 200).to_owned();
                let code = UpstreamErrorCode::Unavailable;
                return Err(UpstreamError { code, tool, status: None, retryable: true, message }.into());
            }
        }
        Err(self.not_found(path, view).into())
    }

    fn look_up(&self, path: &str, view: View<'_>) -> Option<Arc<Tool>> {
        let snapshot = self.shelf.present();
        let path = path.strip_prefix("tools.").unwrap_or(path);
        let is_visible = |tool: &&Arc<Tool>| view(tool) != Visibility::Hidden;
        if let Some(tool) = snapshot.get(path).filter(is_visible) {
            return Some(tool.clone());
        }
        let mut alike = snapshot.alike(path).filter(is_visible);
        match (alike.next(), alike.next()) {
            (Some(only), None) => return Some(only.clone()),
            (Some(_), Some(_)) => return None,
            (None, _) => {}
        }
        let mut healed = snapshot.healed(path).filter(is_visible);
        match (healed.next(), healed.next()) {
            (Some(only), None) => Some(only.clone()),
            _ => None,
        }
    }

    fn lane_of(&self, path: &str) -> Option<&Lane> {
        let path = path.strip_prefix("tools.").unwrap_or(path);
        let first = paths::healed(path.split('.').next().unwrap_or_default());
        self.lanes.values().find(|lane| paths::healed(lane.name()) == first).map(Arc::as_ref)
    }

    fn not_found(&self, path: &str, view: View<'_>) -> NotFound {
        let snapshot = self.shelf.present();
        let path = tool::cut(path, 200);
        let visible = snapshot.folded().filter(|(tool, _)| view(tool) != Visibility::Hidden);
        let leaf = path.rsplit('.').next().unwrap_or(path);
        let question = serde_json::Value::from(words_of(leaf));
        NotFound { path: path.to_owned(), nearest: paths::nearest(path, visible), discover: format!("tools.discover({question})") }
    }

    /// The arguments as an object when the tool's input schema allows them; an empty text or `null` is an empty object.
    /// Nothing has left the process yet. Large arguments take a while: milliseconds per megabyte.
    pub fn check(&self, tool: &Tool, args: &str) -> Result<JsonObject, ArgumentError> {
        arguments::check(tool, args)
    }

    /// The same for arguments that are an object already.
    pub fn check_value(&self, tool: &Tool, args: JsonObject) -> Result<JsonObject, ArgumentError> {
        arguments::check_value(tool, args)
    }

    /// Performs one call with arguments that were checked. Waits for an upstream that is being connected. When the future is
    /// dropped, the upstream is told to stop.
    pub async fn call(&self, tool: &Tool, args: JsonObject) -> Result<RawJson, UpstreamError> {
        self.call_followed(tool, args, Arc::new(|_: &str| {})).await.map(|answer| answer.json)
    }

    /// The same; what the upstream says meanwhile of how far it is goes to `news`.
    pub async fn call_followed(&self, tool: &Tool, args: JsonObject, news: CallNews) -> Result<Answer, UpstreamError> {
        match self.lanes.get(&tool.upstream) {
            Some(lane) => lane.call(tool, args, news).await,
            None => {
                let message = format!("upstream `{}` is not configured any more", tool.upstream);
                Err(UpstreamError::new(UpstreamErrorCode::Unavailable, tool, message))
            }
        }
    }

    /// Answers a finding function: `discover`, `catalog.namespaces`, `catalog.tools` or `describe`, with or without a text
    /// for its one argument. None when the path is not one of these. Right after the start it waits up to five seconds for
    /// upstreams that have not answered yet. An answer is at most 4 MiB of JSON, a larger one is a fault of the arguments.
    pub async fn find(&self, path: &str, args: &str, view: View<'_>) -> Option<Result<RawJson, FindError>> {
        let function = FUNCTIONS.iter().find(|function| function.path == path)?;
        Some(self.answer(function, args, view).await)
    }

    async fn answer(&self, function: &Tool, args: &str, view: View<'_>) -> Result<RawJson, FindError> {
        let args = serde_json::Value::Object(arguments::check(function, &spelled_out(&function.path, args))?);
        if function.path != "describe" {
            self.listed().await;
        }
        // The schema that the arguments were checked against is made of the same type.
        let unfit = |error: serde_json::Error| ArgumentError { tool: function.path.clone(), message: error.to_string() };
        match function.path.as_str() {
            "discover" => raw(function, &self.discover(&serde_json::from_value(args).map_err(unfit)?, view)?),
            "catalog.namespaces" => raw(function, &self.namespaces(&serde_json::from_value(args).map_err(unfit)?, view)),
            "catalog.tools" => raw(function, &self.tools(&serde_json::from_value(args).map_err(unfit)?, view)?),
            _ => {
                let query: DescribeQuery = serde_json::from_value(args).map_err(unfit)?;
                raw(function, &self.describe(&query.path, view).await?)
            }
        }
    }

    /// The tools that match a question. Fails when their schemas were asked for and are more than 4 MiB.
    pub fn discover(&self, query: &DiscoverQuery, view: View<'_>) -> Result<Discovered, ArgumentError> {
        find::discover(&self.shelf.present(), view, &self.outages(), query).ok_or_else(|| too_much_found("discover"))
    }

    /// Waits until every upstream's tools are known, if only from before, or it failed; what is not known in time is not told.
    async fn listed(&self) {
        let all = futures::future::join_all(self.lanes.values().map(|lane| lane.listed()));
        let _ = tokio::time::timeout(FIND_WAIT_MAX, all).await;
    }

    /// Every tool there is, sorted by path, whoever may see it: for the owner's questions. Right after the start it waits up to
    /// five seconds for upstreams that have not answered yet.
    pub async fn all(&self) -> Vec<Arc<Tool>> {
        self.listed().await;
        self.shelf.present().tools().to_vec()
    }

    /// The namespaces with a visible tool.
    pub fn namespaces(&self, query: &NamespacesQuery, view: View<'_>) -> Namespaces {
        find::namespaces(&self.shelf.present(), view, &self.outages(), query)
    }

    /// A page of tools. Fails on a cursor that is not one of ours.
    pub fn tools(&self, query: &ToolsQuery, view: View<'_>) -> Result<ToolsPage, ArgumentError> {
        find::tools(&self.shelf.present(), view, &self.outages(), query).ok_or_else(|| ArgumentError {
            tool: "catalog.tools".to_owned(),
            message: "field `cursor` must be the `nextCursor` of the page before, asked with the same `query` and `namespace`"
                .to_owned(),
        })
    }

    /// Everything about one tool, its TypeScript declaration included.
    pub async fn describe(&self, path: &str, view: View<'_>) -> Result<Description, ResolveError> {
        let tool = self.resolve(path, view).await?;
        find::describe(&tool, view, &self.outages()).ok_or_else(|| self.not_found(path, view).into())
    }

    /// TypeScript declarations of all tools, or of those of a namespace; they extend the runtime's own. At most 64 MiB, more is a
    /// fault of the arguments. Waits, like finding, for upstreams that have not answered yet. Takes a while: a millisecond for some
    /// tens of tools.
    pub async fn types(&self, namespace: Option<&str>, view: View<'_>) -> Result<String, ArgumentError> {
        self.listed().await;
        let snapshot = self.shelf.present();
        let inside = |tool: &&Arc<Tool>| namespace.is_none_or(|namespace| paths::is_within(&tool.path, namespace));
        let tools = snapshot.tools().iter().filter(inside).filter(|tool| view(tool) != Visibility::Hidden);
        types::all(tools, TYPES_BYTES_MAX).ok_or_else(|| ArgumentError {
            tool: "types".to_owned(),
            message: format!("the declarations are larger than {TYPES_BYTES_MAX} bytes; ask for one `namespace` at a time"),
        })
    }

    /// Asks an upstream, or all of them, for their tools again, and reaches those that are down; returns how they stand then, within
    /// two start timeouts. None where there is no upstream of that name.
    pub async fn refresh(&self, upstream: Option<&str>) -> Option<Vec<UpstreamStatus>> {
        let chosen: Vec<&Arc<Lane>> =
            self.lanes.values().filter(|lane| upstream.is_none_or(|upstream| upstream == lane.name())).collect();
        if chosen.is_empty() && upstream.is_some() {
            return None;
        }
        futures::future::join_all(chosen.iter().map(|lane| lane.refresh())).await;
        let status = self.status();
        Some(status.into_iter().filter(|status| upstream.is_none_or(|upstream| upstream == status.name)).collect())
    }

    /// Upstreams that are down, and why: their tools are listed as they were last known, and calls of them fail.
    fn outages(&self) -> Outages {
        self.lanes.iter().filter_map(|(name, lane)| Some((name.clone(), lane.trouble()?))).collect()
    }

    /// Told whenever the tools are others than before; the number only rises.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.shelf.changed()
    }

    /// Where every upstream stands, by name.
    pub fn status(&self) -> Vec<UpstreamStatus> {
        let snapshot = self.shelf.present();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        snapshot.tools().iter().for_each(|tool| *counts.entry(&tool.upstream).or_default() += 1);
        self.lanes.values().map(|lane| lane.status(counts.get(lane.name()).copied().unwrap_or_default())).collect()
    }

    /// Waits until every upstream has given its first answer or failed; false when the time ran out before.
    pub async fn settled(&self, wait_max: Duration) -> bool {
        let all = futures::future::join_all(self.lanes.values().map(|lane| lane.settled()));
        tokio::time::timeout(wait_max, all).await.is_ok()
    }

    /// Ends every upstream and what it started, within about eight seconds.
    pub async fn shutdown(&self) {
        self.stop.cancel();
        if tokio::time::timeout(SHUTDOWN_MAX, self.tasks.wait()).await.is_err() {
            tracing::warn!("upstreams did not end within {} s, what is left of them is killed", SHUTDOWN_MAX.as_secs());
        }
    }
}

impl Drop for Catalog {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Begins to ask a person to allow an upstream whose credential is OAuth. The error says the way out.
pub async fn login(upstream: UpstreamConfig) -> Result<Login, String> {
    let mut kind = upstream.kind;
    let reach = kind.reach_mut().ok_or("it is a program; what it needs to log in, it says itself")?;
    let Credential::OAuth(config) = &reach.credential else {
        return Err("it has no `auth = { oauth = {} }`".to_owned());
    };
    let vault = reach.surroundings.vault.clone();
    credential::oauth::begin(credential::oauth::OAuth::new(config.clone(), vault, reach.guard(), Secrets::default())).await
}

/// Puts on the shelf what was kept of upstreams at the last run; returns once it can be found.
async fn recall(lanes: &[Arc<Lane>], kept: Option<Arc<KeptTools>>, shelf: &Shelf) {
    let Some(kept) = kept else { return };
    let names: Vec<Arc<str>> = lanes.iter().map(|lane| Arc::from(lane.name())).collect();
    let read = lanes.iter().cloned().map(|lane| tokio::task::spawn_blocking(move || (lane.recall(), lane)));
    let read = futures::future::join_all(read).await;
    // A list that cannot be read is asked for anyway.
    let known = read.into_iter().flatten().filter_map(|(tools, lane)| Some((tools?, lane)));
    let (offers, lanes): (Vec<_>, Vec<_>) = known.map(|(tools, lane)| ((Arc::from(lane.name()), tools), lane)).unzip();
    shelf.shown(shelf.lay(offers)).await;
    lanes.iter().for_each(|lane| lane.recalled());
    drop(tokio::task::spawn_blocking(move || kept.sweep(&names)));
}

/// The finding functions, as tools that are checked like any other.
static FUNCTIONS: LazyLock<Vec<Tool>> = LazyLock::new(|| {
    vec![
        Tool::own::<DiscoverQuery>("discover"),
        Tool::own::<NamespacesQuery>("catalog.namespaces"),
        Tool::own::<ToolsQuery>("catalog.tools"),
        Tool::own::<DescribeQuery>("describe"),
    ]
});

/// A text alone stands for the field that matters: `discover("x")` is `discover({ query: "x" })`.
fn spelled_out(function: &str, args: &str) -> String {
    let field = match function {
        "discover" => "query",
        "describe" => "path",
        _ => return args.to_owned(),
    };
    match serde_json::from_str::<String>(args) {
        Ok(text) => serde_json::json!({ field: text }).to_string(),
        Err(_) => args.to_owned(),
    }
}

/// The answer as JSON, within its bound.
fn raw<T: serde::Serialize>(function: &Tool, answer: &T) -> Result<RawJson, FindError> {
    let mut text = Bounded(Vec::new());
    // Answers are structs with string keys, which always serialise; only the bound can stop it.
    serde_json::to_writer(&mut text, answer).map_err(|_| too_much_found(&function.path))?;
    let text = String::from_utf8(text.0).expect("JSON is UTF-8");
    Ok(serde_json::value::RawValue::from_string(text).expect("it was serialised a moment ago"))
}

/// A text of at most [`find::FOUND_BYTES_MAX`] bytes.
struct Bounded(Vec<u8>);

impl std::io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len() + bytes.len() > find::FOUND_BYTES_MAX {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn too_much_found(function: &str) -> ArgumentError {
    let message = format!(
        "the answer of `tools.{function}` is larger than {} bytes; ask for fewer results with `limit`, or without schemas",
        find::FOUND_BYTES_MAX
    );
    ArgumentError { tool: function.to_owned(), message }
}

/// A name as a question: `getSum` as `get sum`.
fn words_of(name: &str) -> String {
    let mut out = String::new();
    let mut was_lower = false;
    for c in name.chars() {
        if c.is_uppercase() && was_lower {
            out.push(' ');
        }
        was_lower = c.is_lowercase() || c.is_numeric();
        out.extend(if c.is_alphanumeric() { c.to_lowercase().collect::<Vec<_>>() } else { vec![' '] });
    }
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn upstream_of(name: &Arc<str>, kind: UpstreamKind, environment: &BTreeMap<String, String>) -> (Box<dyn Upstream>, Secrets) {
    match kind {
        UpstreamKind::McpStdio(config) => {
            for absent in config.env_pass.iter().filter(|name| !environment.contains_key(*name)) {
                tracing::warn!(upstream = %name, "upstream `{name}` is to be passed `{absent}`, which is not set");
            }
            let passed = config.env_pass.iter().filter_map(|name| environment.get(name).map(|value| (name.clone(), value.clone())));
            let own: BTreeMap<String, String> = passed.chain(config.env.clone()).collect();
            let secrets = Secrets::among(pairs(&own).chain(redact::named_arguments(&config.args)));
            let is_allowed = |name: &str| ENVIRONMENT_NAMES.contains(&name) || name.starts_with("LC_");
            let mut seen: BTreeMap<String, String> = environment
                .iter()
                .filter(|(name, _)| is_allowed(name))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            seen.extend(own);
            (Box::new(mcp::McpStdio { name: name.clone(), config, environment: seen, secrets: secrets.clone() }), secrets)
        }
        UpstreamKind::McpHttp(config) => {
            let secrets = secrets_of(&config.reach, [config.url.as_str()]);
            (Box::new(mcp::McpHttp::new(config, secrets.clone())), secrets)
        }
        UpstreamKind::OpenApi(config) => {
            let spec = match &config.spec {
                Document::Address(url) => url.as_str(),
                Document::File(_) => "",
            };
            let secrets = secrets_of(&config.reach, [spec, config.base_url.as_deref().unwrap_or_default()]);
            (Box::new(openapi::OpenApi { name: name.clone(), config, secrets: secrets.clone() }), secrets)
        }
        UpstreamKind::GraphQl(config) => {
            let schema = match &config.schema {
                Some(Document::Address(url)) => url.as_str(),
                Some(Document::File(_)) | None => "",
            };
            let secrets = secrets_of(&config.reach, [config.url.as_str(), schema]);
            (Box::new(graphql::GraphQl { name: name.clone(), config, secrets: secrets.clone() }), secrets)
        }
    }
}

/// What is secret about a service behind addresses.
fn secrets_of<'a>(reach: &'a Reach, urls: impl IntoIterator<Item = &'a str>) -> Secrets {
    let secrets = Secrets::among(pairs(&reach.headers).chain(urls.into_iter().map(|url| ("url", url))));
    for value in reach.secret_headers.iter().filter_map(|name| reach.headers.get(name)) {
        secrets.add(value);
        // Behind a scheme such as `Bearer`.
        value.split_once(' ').into_iter().for_each(|(_, token)| secrets.add(token.trim()));
    }
    secrets
}

fn pairs(map: &BTreeMap<String, String>) -> impl Iterator<Item = (&str, &str)> {
    map.iter().map(|(name, value)| (name.as_str(), value.as_str()))
}
