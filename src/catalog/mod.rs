//! The catalog: the tools of all upstreams, their search, the validation of arguments, and calls.
//!
//! Upstreams are connected in the background, and again whenever a connection is lost; the start
//! never waits for one. The catalog knows nothing of tasks, guests or policy: a [`ToolFilter`] says
//! what a caller may see. Everything that an upstream sends is bounded and untrusted; the secrets
//! that the owner configured for it are blanked out of its responses, errors and logs.

mod arguments;
mod config;
mod credential;
mod discovery;
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

use tokio::sync::{Semaphore, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    discovery::Outages,
    registry::{ToolRegistry, disk_cache::ToolCache},
    upstream::{
        Upstream,
        incomplete::Incomplete,
        supervisor::{TrustSettings, UpstreamSupervisor},
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
        config::{Credential, KeyPlace, OAuthConfig, SecretSource},
        vault::{StoredSecret, VALUE_BYTES_MAX, Vault, VaultError, VaultKey},
    },
    discovery::{
        Approval, Description, Discovered, Found, Namespace, Namespaces, ToolsPage,
        error::{FindError, ResolveError},
        host_functions::{host_arguments, host_function},
        limiter::{ASKED_MAX, CallerLimit},
        not_found::NotFound,
    },
    graphql::config::GraphQlConfig,
    http::{
        config::{HttpAccess, SharedResources},
        detect::{Detected, detect},
    },
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
        response::{ResponseLimits, ToolResponse},
        supervisor::{CALLS_MAX, UpstreamState, UpstreamStatus, WAITING_MAX},
    },
};
pub use credential::oauth::login::Login;

/// Longest time in which upstreams may be ended at shutdown.
const SHUTDOWN_MAX: Duration = Duration::from_secs(8);

/// All upstreams and what they offer. Dropped, it ends them.
pub struct Catalog {
    registry: Arc<ToolRegistry>,
    supervisors: BTreeMap<Arc<str>, Arc<UpstreamSupervisor>>,
    stop: CancellationToken,
    tasks: TaskTracker,
    /// Queries that run at once, of all callers.
    query_slots: Arc<Semaphore>,
}

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
        let registry = ToolRegistry::new();
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        tasks.spawn(registry.clone().rebuild_loop(stop.clone()));
        let mut supervisors = BTreeMap::new();
        for mut config in configs {
            let name: Arc<str> = Arc::from(config.name.as_str());
            let times = (config.call_timeout, config.start_timeout, config.refresh_after);
            let factory = config.kind.factory_mut();
            factory.set_call_timeout(config.call_timeout);
            let response_limits = factory.response_limits_mut();
            *response_limits = response_limits.of_one();
            let trust =
                TrustSettings { trusted: config.trusted, response_limits: response_limits.clone() };
            let (upstream, secrets) = factory.build(&name, environment);
            let upstream: Box<dyn Upstream> = match config.unset_reason() {
                Some(reason) => Box::new(Incomplete::new(upstream, reason)),
                None => upstream,
            };
            let supervisor = UpstreamSupervisor::new(
                name.clone(),
                upstream,
                secrets,
                times,
                trust,
                registry.clone(),
                cache.clone(),
            );
            if supervisors.insert(name.clone(), supervisor).is_some() {
                tracing::error!(upstream = %name, "upstream `{name}` is configured twice, the \
                    later one is used");
            }
        }
        let all: Vec<Arc<UpstreamSupervisor>> = supervisors.values().cloned().collect();
        let (tracker, stop_token, staged) = (tasks.clone(), stop.clone(), registry.clone());
        tasks.spawn(async move {
            // Cached tools are found first, so that newer lists replace them.
            recall(&all, cache, &staged).await;
            for supervisor in &all {
                supervisor.run(&tracker, stop_token.clone());
            }
        });
        tasks.close();
        Self { registry, supervisors, stop, tasks, query_slots: discovery::limiter::query_slots() }
    }

    /// Destination of calls of this tool, for people: method, host and path, as far as the protocol
    /// has them and they are known now.
    pub fn route(&self, tool: &Tool) -> Option<String> {
        self.supervisors.get(&tool.upstream)?.route(tool)
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
        match self.supervisors.get(&tool.upstream) {
            Some(supervisor) => supervisor.call(tool, args, news).await,
            None => {
                let message = format!("upstream `{}` is not configured any more", tool.upstream);
                Err(UpstreamError::new(UpstreamErrorCode::Unavailable, tool, message))
            }
        }
    }

    /// Lists the tools of an upstream, or of all, again, and connects those that are down; returns
    /// their status within two start timeouts. None if there is no upstream of that name.
    pub async fn refresh(&self, upstream: Option<&str>) -> Option<Vec<UpstreamStatus>> {
        let chosen: Vec<&Arc<UpstreamSupervisor>> = self
            .supervisors
            .values()
            .filter(|supervisor| upstream.is_none_or(|upstream| upstream == supervisor.name()))
            .collect();
        if chosen.is_empty() && upstream.is_some() {
            return None;
        }
        futures::future::join_all(chosen.iter().map(|supervisor| supervisor.refresh())).await;
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
        self.supervisors
            .iter()
            .filter_map(|(name, supervisor)| Some((name.clone(), supervisor.trouble()?)))
            .collect()
    }

    /// Notifies when the tools have changed; the number only rises.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.registry.changed()
    }

    /// State of every upstream, by name.
    pub fn status(&self) -> Vec<UpstreamStatus> {
        let snapshot = self.registry.present();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        snapshot.tools().iter().for_each(|tool| *counts.entry(&tool.upstream).or_default() += 1);
        self.supervisors
            .values()
            .map(|supervisor| {
                supervisor.status(counts.get(supervisor.name()).copied().unwrap_or_default())
            })
            .collect()
    }

    /// Waits until every upstream is ready or has failed; false if the time ran out before.
    pub async fn settled(&self, wait_max: Duration) -> bool {
        let all = futures::future::join_all(
            self.supervisors.values().map(|supervisor| supervisor.settled()),
        );
        tokio::time::timeout(wait_max, all).await.is_ok()
    }

    /// Ends every upstream and what it started, within about eight seconds.
    pub async fn shutdown(&self) {
        self.stop.cancel();
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

/// Puts the cached tools of the last run into the registry; returns once they can be found.
async fn recall(
    supervisors: &[Arc<UpstreamSupervisor>],
    cache: Option<Arc<ToolCache>>,
    registry: &ToolRegistry,
) {
    let Some(cache) = cache else { return };
    let names: Vec<Arc<str>> =
        supervisors.iter().map(|supervisor| Arc::from(supervisor.name())).collect();
    let read = supervisors
        .iter()
        .cloned()
        .map(|supervisor| offload(move || (supervisor.recall(), supervisor)));
    let read = futures::future::join_all(read).await;
    // A list that cannot be read will be fetched anyway.
    let known =
        read.into_iter().flatten().filter_map(|(tools, supervisor)| Some((tools?, supervisor)));
    let (offers, supervisors): (Vec<_>, Vec<_>) = known
        .map(|(tools, supervisor)| ((Arc::from(supervisor.name()), tools), supervisor))
        .unzip();
    registry.wait_for(registry.stage(offers)).await;
    supervisors.iter().for_each(|supervisor| supervisor.recalled());
    drop(offload(move || cache.sweep(&names)));
}
