//! The catalog: the tools of all upstreams, their search, the validation of arguments, and calls.
//!
//! Upstreams are connected in the background, and again whenever a connection is lost; the start
//! never waits for one. The catalog knows nothing of tasks, guests or policy: a [`ToolFilter`] says
//! what a caller may see. Everything that an upstream sends is bounded and untrusted; the secrets
//! that the owner configured for it are blanked out of its responses, errors and logs.

mod arguments;
mod config;
mod credential;
mod detect;
mod discovery;
mod document;
mod graphql;
mod http;
mod login;
mod mcp;
mod missing_secrets;
mod net;
mod openapi;
mod path;
mod redact;
mod registry;
mod schema;
mod search;
mod tool;
mod upstream;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use tokio::sync::{Semaphore, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    discovery::Outages,
    redact::Secrets,
    registry::{ToolRegistry, disk_cache::ToolCache},
    upstream::{
        Upstream,
        incomplete::Incomplete,
        start_queue::StartQueue,
        supervisor::{TrustSettings, UpstreamSupervisor},
        tool_list,
    },
};
use crate::{
    base::offload::offload,
    model::{JsonObject, RawJson},
};

pub use self::{
    arguments::ArgumentError,
    config::{UnsetSecret, UpstreamConfig, UpstreamKind},
    credential::{
        config::{ApiKey, Credential, KeyPlace, OAuthConfig, SecretSource},
        vault::{StoredSecret, VALUE_BYTES_MAX, Vault, VaultError, VaultKey},
    },
    detect::{Detected, detect},
    discovery::{
        Approval, Description, Discovered, Found, Namespace, Namespaces, ToolsPage,
        error::{FindError, ResolveError},
        host_functions::{host_arguments, host_function},
        limiter::{ASKED_MAX, CallerLimit},
        not_found::NotFound,
    },
    document::{DocumentKind, UnusableDocument, document_kind},
    graphql::config::GraphQlConfig,
    http::config::{HttpAccess, SharedResources},
    login::login,
    mcp::config::{HttpConfig, StdioConfig},
    missing_secrets::{MissingSecret, missing_secrets},
    net::guard::{Resolver, SystemResolver},
    openapi::config::OpenApiConfig,
    registry::visibility::{ToolFilter, Visibility},
    tool::{FormerToolPath, Tool},
    upstream::{
        CallNews,
        error::{UpstreamError, UpstreamErrorCode},
        response::{MediaBlock, ResponseLimits, ToolResponse},
        state::{UpstreamState, UpstreamStatus},
        supervisor::{CALLS_MAX, WAITING_MAX},
    },
};
pub use credential::oauth::login::Login;

/// Longest time in which upstreams may be ended at shutdown.
const SHUTDOWN_MAX: Duration = Duration::from_secs(8);

/// Supervisors by name.
type Supervisors = BTreeMap<Arc<str>, Arc<UpstreamSupervisor>>;

/// All upstreams and what they offer. Dropped, it ends them.
pub struct Catalog {
    registry: Arc<ToolRegistry>,
    supervisors: ArcSwap<Supervisors>,
    /// The server's own, of which a child process gets a part.
    environment: BTreeMap<String, String>,
    cache: Option<Arc<ToolCache>>,
    start_queue: StartQueue,
    stop: CancellationToken,
    tasks: TaskTracker,
    /// Queries that run at once, of all callers.
    query_slots: Arc<Semaphore>,
    /// What `tools.discover` says where no upstreams are configured.
    empty_note: String,
}

/// Upstreams that are configured no more, which end.
pub struct Retired(Supervisors);

impl Catalog {
    /// Starts to connect every upstream and returns at once. `environment` is the server's own; a
    /// child process gets a part of it. Must be called within a tokio runtime; HTTPS needs the
    /// process-wide crypto provider of rustls to be installed before.
    pub fn start(configs: Vec<UpstreamConfig>, environment: &BTreeMap<String, String>) -> Self {
        Self::begin(configs, environment, None)
    }

    /// Starts like [`Catalog::start`], and caches the upstreams' tools in `folder`, so that the
    /// next start knows them before it has connected. The folder is created when there is something
    /// to cache; no other process may use it at the same time.
    pub fn start_cached(
        configs: Vec<UpstreamConfig>,
        environment: &BTreeMap<String, String>,
        folder: PathBuf,
    ) -> Self {
        Self::begin(configs, environment, Some(Arc::new(ToolCache::new(folder))))
    }

    fn begin(
        configs: Vec<UpstreamConfig>,
        environment: &BTreeMap<String, String>,
        cache: Option<Arc<ToolCache>>,
    ) -> Self {
        let catalog = Self {
            registry: ToolRegistry::new(),
            supervisors: ArcSwap::default(),
            environment: environment.clone(),
            cache: cache.clone(),
            start_queue: StartQueue::default(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            query_slots: discovery::limiter::query_slots(),
            empty_note: String::new(),
        };
        let (registry, stop) = (catalog.registry.clone(), catalog.stop.clone());
        catalog.tasks.spawn(registry.clone().rebuild_loop(stop));
        let all = catalog.insert(configs);
        let tasks = catalog.tasks.clone();
        catalog.tasks.spawn(async move {
            // Cached tools are found first, so that newer lists replace them.
            recall(&all, cache.is_some(), &registry).await;
            for supervisor in &all {
                supervisor.run(&tasks);
            }
            if let Some(cache) = cache {
                let names: Vec<Arc<str>> =
                    all.iter().map(|supervisor| Arc::from(supervisor.name())).collect();
                drop(offload(move || cache.sweep(&names)));
            }
        });
        catalog
    }

    /// Makes the supervisors of upstreams, which can be called from now on and are not started.
    fn insert(&self, configs: Vec<UpstreamConfig>) -> Vec<Arc<UpstreamSupervisor>> {
        let mut supervisors = Supervisors::clone(&self.supervisors.load());
        let mut inserted = Supervisors::new();
        for mut config in configs {
            let name: Arc<str> = Arc::from(config.name.as_str());
            let times = (config.call_timeout, config.start_timeout, config.refresh_after);
            let factory = config.kind.factory_mut();
            let response_limits = factory.response_limits_mut();
            *response_limits = response_limits.of_one();
            let trust =
                TrustSettings { trusted: config.trusted, response_limits: response_limits.clone() };
            let (upstream, secrets) = built(&mut config, &name, &self.environment);
            let supervisor = UpstreamSupervisor::new(
                name.clone(),
                upstream,
                secrets,
                times,
                trust,
                (self.registry.clone(), self.cache.clone()),
                (self.start_queue.clone(), self.stop.child_token()),
            );
            if supervisors.insert(name.clone(), supervisor.clone()).is_some() {
                tracing::error!(upstream = %name, "upstream `{name}` is configured twice, the \
                    later one is used");
            }
            inserted.insert(name, supervisor);
        }
        self.supervisors.store(Arc::new(supervisors));
        // So that what lists the states of upstreams shows them.
        self.registry.note_state();
        inserted.into_values().collect()
    }

    /// Takes upstreams out: from now on they and their tools cannot be called. Calls under way have
    /// five seconds to end; then whatever was started for the upstreams ends, in the background.
    /// Names without an upstream are ignored. Must not be called twice at once, nor beside
    /// [`Catalog::add`].
    pub fn remove(&self, names: &[String]) -> Retired {
        let mut supervisors = Supervisors::clone(&self.supervisors.load());
        let retired: Supervisors =
            names.iter().filter_map(|name| supervisors.remove_entry(name.as_str())).collect();
        self.supervisors.store(Arc::new(supervisors));
        for (name, supervisor) in retired.clone() {
            self.registry.retire(&name);
            self.tasks.spawn(async move { supervisor.retire().await });
        }
        self.registry.note_state();
        Retired(retired)
    }

    /// Adds upstreams and starts to connect them. One that has the name of a retired one begins
    /// once that has ended: both may want the same port or file.
    pub fn add(&self, configs: Vec<UpstreamConfig>, retired: &Retired) {
        for supervisor in self.insert(configs) {
            let predecessor = retired.0.get(supervisor.name()).cloned();
            let (registry, has_cache) = (self.registry.clone(), self.cache.is_some());
            let tasks = self.tasks.clone();
            self.tasks.spawn(async move {
                if let Some(predecessor) = predecessor {
                    predecessor.closed().await;
                }
                recall(std::slice::from_ref(&supervisor), has_cache, &registry).await;
                supervisor.run(&tasks);
            });
        }
    }

    /// Sets what `tools.discover` says where no upstreams are configured.
    pub fn set_empty_note(&mut self, note: String) {
        self.empty_note = note;
    }

    fn supervisors(&self) -> Arc<Supervisors> {
        self.supervisors.load_full()
    }

    /// Destination of calls of this tool, for people: method, host and path, as far as the protocol
    /// has them and they are known now.
    pub fn route(&self, tool: &Tool) -> Option<String> {
        self.supervisors().get(&tool.upstream)?.route(tool)
    }

    /// Validates arguments against the tool's input schema; an empty string or `null` is an empty
    /// object. Sends nothing. An expensive validation runs on the blocking pool.
    pub async fn check(&self, tool: &Arc<Tool>, args: &str) -> Result<JsonObject, ArgumentError> {
        arguments::check_offloaded(tool, args).await
    }

    /// Validates arguments that are already an object.
    pub async fn check_value(
        &self,
        tool: &Arc<Tool>,
        args: JsonObject,
    ) -> Result<JsonObject, ArgumentError> {
        arguments::check_value_offloaded(tool, args).await
    }

    /// Returns true if the tool takes a file, as an object with `base64`, at this JSON Pointer of
    /// its arguments. Only tools of OpenAPI services do.
    pub fn takes_file(&self, tool: &Tool, args: &serde_json::Value, pointer: &str) -> bool {
        arguments::takes_file(tool, args, pointer)
    }

    /// Performs one call with arguments that were checked. Waits for an upstream that is being
    /// connected. If the future is dropped, the upstream is asked to cancel.
    pub async fn call(&self, tool: &Tool, args: JsonObject) -> Result<RawJson, UpstreamError> {
        let answer = self.call_followed(tool, args, Arc::new(|_: &str| {})).await?;
        self.learn(tool, "", &answer.json);
        Ok(answer.json)
    }

    /// Infers the type of a tool's result from a response to a workspace, if the upstream gives
    /// none; only that workspace sees it.
    pub fn learn(&self, tool: &Tool, workspace: &str, answer: &RawJson) {
        if tool.output_schema.is_none() {
            tool.observed.note(workspace, answer.get());
        }
    }

    /// Performs a call like [`Catalog::call`]; progress that the upstream reports goes to `news`.
    pub async fn call_followed(
        &self,
        tool: &Tool,
        args: JsonObject,
        news: CallNews,
    ) -> Result<ToolResponse, UpstreamError> {
        let supervisor = self.supervisors().get(&tool.upstream).cloned();
        let message = match supervisor {
            Some(supervisor) if supervisor.owns(tool) => {
                return supervisor.call(tool, args, news).await;
            }
            // What was decided about the one must not be sent to the other.
            Some(_) => format!(
                "upstream `{}` was changed in the configuration after this call was made; call it \
                again",
                tool.upstream
            ),
            None => format!("upstream `{}` is not configured any more", tool.upstream),
        };
        Err(UpstreamError::new(UpstreamErrorCode::Unavailable, tool, message))
    }

    /// Lists the tools of an upstream, or of all, again, and connects those that are down; returns
    /// their status within two start timeouts. None if there is no upstream of that name.
    pub async fn refresh(&self, upstream: Option<&str>) -> Option<Vec<UpstreamStatus>> {
        let supervisors = self.supervisors();
        let chosen: Vec<&Arc<UpstreamSupervisor>> = supervisors
            .values()
            .filter(|supervisor| upstream.is_none_or(|upstream| upstream == supervisor.name()))
            .collect();
        if chosen.is_empty() && upstream.is_some() {
            return None;
        }
        futures::future::join_all(
            chosen.iter().map(|supervisor| supervisor.refresh(upstream.is_some())),
        )
        .await;
        let status = self.status();
        Some(
            status
                .into_iter()
                .filter(|status| upstream.is_none_or(|upstream| upstream == status.name))
                .collect(),
        )
    }

    /// Upstreams that are down, and why: their tools are listed as they were last known, and calls
    /// of them fail.
    fn outages(&self) -> Outages {
        self.supervisors()
            .iter()
            .filter_map(|(name, supervisor)| Some((name.clone(), supervisor.trouble()?)))
            .collect()
    }

    /// Notifies when the tools, or the states of upstreams, have changed; the number only rises.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.registry.changed()
    }

    /// State of every upstream, by name.
    pub fn status(&self) -> Vec<UpstreamStatus> {
        let snapshot = self.registry.present();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        let own = snapshot.tools().iter().filter(|tool| !tool.is_lookup());
        own.for_each(|tool| *counts.entry(&tool.upstream).or_default() += 1);
        self.supervisors()
            .values()
            .map(|supervisor| {
                supervisor.status(counts.get(supervisor.name()).copied().unwrap_or_default())
            })
            .collect()
    }

    /// Paths of the tools of an upstream, sorted.
    pub fn tool_paths(&self, upstream: &str) -> Vec<String> {
        let snapshot = self.registry.present();
        let own = snapshot.tools().iter().filter(|tool| *tool.upstream == *upstream);
        let mut paths: Vec<String> = own.map(|tool| tool.path.clone()).collect();
        paths.sort();
        paths
    }

    /// Waits until every upstream is ready or has failed; false if the time ran out before.
    pub async fn settled(&self, wait_max: Duration) -> bool {
        let supervisors = self.supervisors();
        let all =
            futures::future::join_all(supervisors.values().map(|supervisor| supervisor.settled()));
        tokio::time::timeout(wait_max, all).await.is_ok()
    }

    /// Ends every upstream and what it started, within about eight seconds.
    pub async fn shutdown(&self) {
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(SHUTDOWN_MAX, self.tasks.wait()).await.is_err() {
            tracing::warn!(
                "upstreams did not end within {} s, what is left of them is killed",
                SHUTDOWN_MAX.as_secs()
            );
        }
    }
}

impl Drop for Catalog {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The upstream of a configuration, not connected.
fn built(
    config: &mut UpstreamConfig,
    name: &Arc<str>,
    environment: &BTreeMap<String, String>,
) -> (Box<dyn Upstream>, Secrets) {
    let factory = config.kind.factory_mut();
    factory.set_call_timeout(config.call_timeout);
    let (upstream, secrets) = factory.build(name, environment);
    match config.unset_reason() {
        Some(reason) => (Box::new(Incomplete::new(upstream, reason)), secrets),
        None => (upstream, secrets),
    }
}

/// The number of tools that each upstream had when it last listed them, as the cache in `folder`
/// has it; upstreams that are not there, or were configured otherwise, are left out. Connects to
/// nobody. Blocks: it reads the lists.
pub fn cached_tool_counts(
    configs: Vec<UpstreamConfig>,
    environment: &BTreeMap<String, String>,
    folder: PathBuf,
) -> BTreeMap<String, usize> {
    let cache = ToolCache::new(folder);
    let counted = configs.into_iter().filter_map(|mut config| {
        let name: Arc<str> = Arc::from(config.name.as_str());
        let (upstream, _) = built(&mut config, &name, environment);
        // A list that cannot be read is none.
        let tools = cache.load(&name, &tool_list::origin(upstream.as_ref())).ok()??;
        Some((name.to_string(), tools.len()))
    });
    counted.collect()
}

/// Puts the cached tools of the last run into the registry; returns once they can be found.
async fn recall(supervisors: &[Arc<UpstreamSupervisor>], has_cache: bool, registry: &ToolRegistry) {
    if !has_cache {
        return;
    }
    let read = supervisors
        .iter()
        .cloned()
        .map(|supervisor| offload(move || (supervisor.recall(), supervisor)));
    let read = futures::future::join_all(read).await;
    // A list that cannot be read will be fetched anyway.
    let known =
        read.into_iter().flatten().filter_map(|(tools, supervisor)| Some((tools?, supervisor)));
    let (offers, supervisors): (Vec<_>, Vec<_>) =
        known.map(|(tools, supervisor)| ((supervisor.shared_name(), tools), supervisor)).unzip();
    registry.wait_for(registry.stage(offers)).await;
    supervisors.iter().for_each(|supervisor| supervisor.recalled());
}
