//! The configuration of a server that runs: read again when its file or a policy file changes, on
//! SIGHUP and when the owner asks, and put in force without a restart.
//!
//! A configuration is checked as a whole before anything of it is put in force. One that is not
//! valid changes nothing; [`LiveConfig`] reports the reason until the file is valid again. Keys of
//! [`FIXED_SECTIONS`](crate::config::FIXED_SECTIONS) wait for the next start. Decides nothing else:
//! each part is told its new settings.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
};

use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::{runtimes, settings, upstreams, watch::FileWatch};
use crate::{
    base::{
        instance::{Instance, InstanceFile},
        offload::offload,
        text::quoted,
    },
    catalog::{SharedResources, UpstreamConfig},
    config::{Changes, Config},
    policy::Policy,
    service::{Configuration, Service, view::ConfigHealth},
    task::{engine::TaskEngine, policy_reload::PolicySource},
    transport::{
        mcp::{LiveMcpOptions, McpOptions},
        rate_limit::RateLimits,
    },
};

/// Problems of a configuration that `/healthz` reports, in characters.
const REASON_CHARS_MAX: usize = 2_000;

/// The parts of a server whose settings can change.
pub(super) struct Adjustable {
    pub(super) service: Arc<Service>,
    pub(super) engine: TaskEngine,
    pub(super) rates: Arc<RateLimits>,
    /// Resources that all upstreams share, also those that are added later.
    pub(super) shared: SharedResources,
}

/// The configuration in force.
pub(super) struct LiveConfig {
    /// The configuration of the start, which fixed keys are compared with.
    started: Arc<Config>,
    adjustable: Adjustable,
    mcp: watch::Sender<McpOptions>,
    state: Mutex<State>,
    /// The file by which commands find this server, while it serves.
    instance: Mutex<Option<InstanceFile>>,
    /// Held while the sources are read and put in force.
    turn: tokio::sync::Mutex<()>,
}

struct State {
    in_force: Arc<Config>,
    /// Reason why the present file is not in force.
    refused: Option<Refusal>,
    /// Fixed keys that differ from those of the start.
    needs_restart: Vec<String>,
}

/// A configuration that is not put in force.
struct Refusal {
    /// The problems, for people.
    reason: String,
    /// Files that it names, which may be what is to be mended.
    files: Vec<PathBuf>,
}

impl Refusal {
    fn new(problems: &[impl ToString], files: Vec<PathBuf>) -> Self {
        let reason = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        Self { reason: reason.chars().take(REASON_CHARS_MAX).collect(), files }
    }
}

/// A valid configuration that is to come into force.
struct Candidate {
    config: Config,
    changes: Changes,
    needs_restart: Vec<String>,
    /// The policy, if its settings differ.
    policy: Option<(PolicySource, Policy)>,
    /// Upstreams that are added or configured otherwise.
    upstreams: Vec<UpstreamConfig>,
}

impl LiveConfig {
    pub(super) fn new(started: Arc<Config>, adjustable: Adjustable) -> Arc<Self> {
        let mcp = watch::Sender::new(settings::mcp(&started, &adjustable.engine));
        let state = State { in_force: started.clone(), refused: None, needs_restart: Vec::new() };
        Arc::new(Self {
            started,
            adjustable,
            mcp,
            state: Mutex::new(state),
            instance: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        })
    }

    /// The bounds that the MCP tools state.
    pub(super) fn mcp(&self) -> LiveMcpOptions {
        self.mcp.subscribe()
    }

    /// Writes the file by which commands find this server, and keeps it up to date until
    /// [`Self::withdraw`].
    pub(super) fn announce(&self, instance: Instance) -> std::io::Result<Instance> {
        let path = self.started.store.instance_file();
        let mut announced = self.instance.lock();
        let instance = Instance { config: self.in_force().identity(), ..instance };
        let file = announced.insert(instance.announce(&path)?);
        Ok(file.instance().clone())
    }

    /// Removes that file.
    pub(super) fn withdraw(&self) {
        drop(self.instance.lock().take());
    }

    /// Takes up changes until `stop`; each notice of `reload` asks for it.
    pub(super) async fn watch(self: Arc<Self>, reload: Arc<Notify>, stop: CancellationToken) {
        let mut watch = FileWatch::start(self.files());
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = reload.notified() => {
                    tracing::info!("a hang-up signal: the configuration is read again");
                    drop(self.reload().await);
                }
                changed = watch.changed() => self.take_up_files(&changed).await,
            }
            let files = self.files();
            if files != watch.files() {
                watch = FileWatch::start(files);
            }
        }
    }

    fn in_force(&self) -> Arc<Config> {
        self.state.lock().in_force.clone()
    }

    /// The files that it depends on.
    fn files(&self) -> Vec<PathBuf> {
        let state = self.state.lock();
        let config = &state.in_force;
        let policy = config.policy.files.iter().map(|file| &file.path);
        let refused = state.refused.iter().flat_map(|refusal| &refusal.files);
        let named: BTreeSet<&PathBuf> = policy.chain(refused).collect();
        config.watched_file().into_iter().chain(named.into_iter().cloned()).collect()
    }

    async fn take_up_files(&self, changed: &[PathBuf]) {
        let own = self.in_force().watched_file();
        let is_own = |file: &PathBuf| Some(file) == own.as_ref();
        let is_refused = self.state.lock().refused.is_some();
        if is_refused || changed.iter().any(is_own) {
            self.take_up(false).await;
        }
        if !changed.iter().all(is_own) {
            self.reload_policy().await;
        }
    }

    /// Reads the sources, and puts them in force if they are valid. Unless somebody asked for it, a
    /// file with the content in force is not read again.
    async fn take_up(&self, is_asked: bool) {
        let _turn = self.turn.lock().await;
        let (in_force, was_refused) = {
            let state = self.state.lock();
            (state.in_force.clone(), state.refused.is_some())
        };
        let (started, shared) = (self.started.clone(), self.adjustable.shared.clone());
        let read = offload(move || {
            if !is_asked && !was_refused && in_force.is_current() {
                return None;
            }
            Some(Candidate::read(&in_force, &started, &shared))
        });
        match read.await {
            Ok(None) => {}
            Ok(Some(Ok(candidate))) => {
                let has_policy = candidate.policy.is_some();
                self.put_in_force(candidate);
                if has_policy {
                    // Its files may have changed since they were read.
                    self.reload_policy().await;
                }
            }
            Ok(Some(Err(refusal))) => self.refuse(refusal),
            Err(error) => tracing::error!(%error, "reading the configuration again panicked"),
        }
    }

    async fn reload_policy(&self) {
        let policy = self.adjustable.engine.services().policy.clone();
        // Reading and compiling blocks; a panic in it is a bug that must not end the watching.
        if let Err(error) = offload(move || policy.reload()).await {
            tracing::error!(%error, "the policy files could not be reloaded");
        }
    }

    fn refuse(&self, refusal: Refusal) {
        let mut state = self.state.lock();
        let reason = &refusal.reason;
        if state.refused.as_ref().is_none_or(|known| known.reason != *reason) {
            tracing::error!(
                "the changed configuration is refused, and the last valid one stays in force: \
                {reason}"
            );
        }
        state.refused = Some(refusal);
    }

    fn put_in_force(&self, candidate: Candidate) {
        let Candidate { config, changes, needs_restart, policy, upstreams } = candidate;
        let Adjustable { engine, .. } = &self.adjustable;
        let services = engine.services();
        // In this order, nothing is ever under a policy that was not meant for it: what goes is
        // gone before the policy changes, and what comes is not there yet.
        let gone = [&changes.removed[..], &changes.changed[..]].concat();
        let retired = services.catalog.remove(&gone);
        if let Some((source, policy)) = policy {
            services.policy.replace(source, policy);
        }
        if !changes.keys.is_empty() {
            self.adjust(&config, &changes);
        }
        services.catalog.add(upstreams, &retired);
        let in_force = Arc::new(config);
        let news = {
            let mut state = self.state.lock();
            let news = state.needs_restart != needs_restart && !needs_restart.is_empty();
            let config = in_force.clone();
            *state =
                State { in_force: config, refused: None, needs_restart: needs_restart.clone() };
            news
        };
        if let Some(file) = &mut *self.instance.lock()
            && let Err(error) = file.update(in_force.identity())
        {
            tracing::warn!(%error, "the instance file could not be brought up to date: commands \
                may say that the configuration has changed");
        }
        tracing::info!("the configuration was read again and is in force: {changes}");
        if news {
            let keys = quoted(&needs_restart);
            tracing::warn!("needs a restart: {keys}; everything else is in force");
        }
    }

    /// Gives the parts their settings.
    fn adjust(&self, config: &Config, changes: &Changes) {
        let Adjustable { service, engine, rates, shared } = &self.adjustable;
        let services = engine.services();
        service.set_limits(settings::service_limits(config));
        engine.set_limits(settings::engine_limits(config));
        settings::set_rates(config, rates);
        services.waiters.set_terms(settings::approval_terms(config));
        services.artifacts.set_terms(settings::artifact_terms(config));
        services.record_values.store(config.policy.record_values, Ordering::Relaxed);
        shared.response_limits.set_bytes_max(upstreams::response_bytes_max(config));
        if changes.concerns("limits") {
            let queue_max = config.limits.queue as usize;
            engine.runtimes().for_each(|runtime| {
                runtime.set_limits(runtimes::setup(config), queue_max);
            });
        }
        let options = settings::mcp(config, engine);
        self.mcp.send_if_modified(|present| {
            let differs = *present != options;
            *present = options;
            differs
        });
    }
}

impl Configuration for LiveConfig {
    fn health(&self) -> ConfigHealth {
        let state = self.state.lock();
        let needs_restart = state.needs_restart.clone();
        let (status, message, hint) = match &state.refused {
            Some(Refusal { reason, .. }) => (
                "degraded",
                Some(format!("the last valid configuration stays in force: {reason}")),
                Some(
                    "correct the file: it is taken up as soon as it is valid; `airlock config \
                    check` checks it",
                ),
            ),
            None if !needs_restart.is_empty() => (
                "restart_needed",
                Some(format!("needs a restart: {}", quoted(&needs_restart))),
                Some("restart the server to apply them; everything else is in force"),
            ),
            None => ("ok", None, None),
        };
        let hint = hint.map(str::to_owned);
        ConfigHealth { status: status.into(), needs_restart, message, hint }
    }

    fn reload(&self) -> BoxFuture<'_, ConfigHealth> {
        Box::pin(async move {
            self.take_up(true).await;
            self.reload_policy().await;
            self.health()
        })
    }
}

impl Candidate {
    /// Reads the sources and checks everything that could not be put in force. Blocks.
    fn read(
        in_force: &Config,
        started: &Config,
        shared: &SharedResources,
    ) -> Result<Self, Refusal> {
        let read = in_force.reread().map_err(|error| Refusal::new(&error.problems, vec![]))?;
        let needs_restart = read.needs_restart(started);
        let config = read.fixed_as(started);
        let changes = config.changes_since(in_force);
        let decides = ["policy.profile", "policy.files", "approvals.by"];
        // What comes never runs under a policy that was saved before it: its own may have been
        // saved with it, and may not be valid.
        let brings = !changes.added.is_empty() || !changes.changed.is_empty();
        let policy = match brings || decides.iter().any(|key| changes.concerns(key)) {
            false => None,
            true => {
                let source = settings::policy_source(&config);
                let files = || source.files.iter().map(|file| file.path.clone()).collect();
                let policy = source.load().map_err(|problems| Refusal::new(&problems, files()))?;
                settings::warn_of_denials(&source);
                Some((source, policy))
            }
        };
        let upstreams = upstreams::configured(&config, shared)
            .map_err(|failure| Refusal::new(&[failure.message], vec![]))?;
        let is_new = |name: &str| {
            changes.added.iter().chain(&changes.changed).any(|changed| changed == name)
        };
        let upstreams =
            upstreams.into_iter().filter(|upstream| is_new(upstream.name.as_str())).collect();
        Ok(Self { config, changes, needs_restart, policy, upstreams })
    }
}
