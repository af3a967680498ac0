//! The server as a whole: the order in which it opens, serves and closes.
//!
//! Open: the settings, the store with its lock, the runtimes with their self-test, the upstreams,
//! which nothing waits for, the tasks that an earlier server left unfinished, and the service.
//! Close: tasks, upstreams, the store.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::{
    net::TcpListener,
    sync::{Notify, oneshot},
};
use tokio_util::sync::CancellationToken;

use super::{
    Failure,
    live::{Adjustable, LiveConfig},
    runtimes, settings, upstreams,
};
use crate::{
    artifacts::Artifacts,
    base::{
        error::chain,
        instance::{ConfigIdentity, Instance},
        plural::{counted, verb},
    },
    catalog::{Catalog, SharedResources},
    config::{Config, Environment, ProcessEnvironment},
    model::{InstanceId, Task, Timestamp},
    sandbox::Runtime,
    service::{Configuration, Service},
    store::{Recovered, Recovery, RecoveryStore, SqliteStore, Store, StoreError},
    task::{
        Services, UpstreamConcurrency,
        approval::waiters::ApprovalWaiters,
        engine::TaskEngine,
        machine::{self, Calls},
    },
    transport::{
        auth::OwnerToken,
        http::{self, HttpServer},
        rate_limit::RateLimits,
    },
};

/// Time limit for tasks once the server stops.
const GRACE: Duration = Duration::from_secs(10);
/// Most tasks of an earlier server that a start goes on with.
const RESUMED_MAX: u32 = 100_000;
/// Random bytes of an owner's token.
const TOKEN_BYTES: usize = 32;

/// The callers that a server answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Agents at `/mcp`, and the owner.
    Agents,
    /// The owner alone: nobody asked for a server.
    Owner,
}

/// What a server is told from outside while it runs.
#[derive(Debug, Clone, Default)]
pub struct Signals {
    /// It is to stop.
    pub stop: CancellationToken,
    /// It is to read its configuration again.
    pub reload: Arc<Notify>,
}

/// Opens everything, serves HTTP on the listener, sends the [`Instance`] to `ready` once it
/// answers, and on the signal to stop drains and closes. Its instance file is there for as long as
/// it serves.
///
/// # Errors
/// The first part that cannot be opened, or a server that breaks off.
pub async fn serve(
    config: Config,
    listener: TcpListener,
    audience: Audience,
    ready: oneshot::Sender<Instance>,
    signals: Signals,
) -> Result<(), Failure> {
    let config = Arc::new(config);
    let resumes = audience == Audience::Agents;
    let opened = Server::open(config.clone(), signals.reload, resumes).await;
    let server = opened.map_err(|error| error.into_failure(&config))?;
    let served = server.serve(listener, audience, ready, signals.stop).await;
    server.close().await;
    served
}

/// The reason why not everything could be opened.
pub(super) enum OpenError {
    /// Another server has the database.
    InUse,
    /// Anything else.
    Failed(Failure),
}

impl From<Failure> for OpenError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl OpenError {
    pub(super) fn into_failure(self, config: &Config) -> Failure {
        match self {
            Self::InUse => Failure::database_in_use(&config.store),
            Self::Failed(failure) => failure,
        }
    }
}

/// Everything that is open while a server runs.
pub(super) struct Server {
    config: Arc<Config>,
    /// The configuration in force.
    pub(super) live: Arc<LiveConfig>,
    pub(super) service: Arc<Service>,
    engine: TaskEngine,
    /// Limits on the requests of all clients.
    pub(super) rates: Arc<RateLimits>,
    store: Arc<SqliteStore>,
    catalog: Arc<Catalog>,
    /// Ends the watching of files and the sweeping of artifacts.
    background: CancellationToken,
}

impl Server {
    /// Opens everything, in this order. Whatever can stop a start without opening anything comes
    /// first. `resumes` says that the server stays, so that it goes on with the tasks that the one
    /// before it left.
    pub(super) async fn open(
        config: Arc<Config>,
        reload: Arc<Notify>,
        resumes: bool,
    ) -> Result<Self, OpenError> {
        upstreams::install_crypto();
        runtimes::check(&config)?;
        let policy = settings::policy(&config)?;
        let store = open_store(&config).await?;
        let instance_id = InstanceId::new();
        let left = match resumes {
            true => recover(&store, instance_id).await.map_err(store_failure)?,
            false => vec![],
        };
        let runtimes = start_runtimes(&config).await?;
        let shared = upstreams::shared_resources(&config);
        let catalog = start_upstreams(&config, &shared)?;
        let background = CancellationToken::new();
        let artifacts = Artifacts::new(store.clone(), settings::artifact_terms(&config));
        tokio::spawn(artifacts.clone().sweep_until(background.clone()));
        let services = Services {
            artifacts,
            store: store.clone(),
            catalog: catalog.clone(),
            policy,
            waiters: ApprovalWaiters::new(settings::approval_terms(&config)),
            concurrency: UpstreamConcurrency::default(),
            record_values: Arc::new(config.policy.record_values.into()),
        };
        let engine = TaskEngine::new(settings::engine(&config, instance_id), services, runtimes);
        resume(&engine, left).await;
        let service = Arc::new(Service::new(engine.clone(), settings::service_limits(&config)));
        let rates = settings::rates(&config);
        #[rustfmt::skip]
        let adjustable = Adjustable {
            service: service.clone(), engine: engine.clone(), rates: rates.clone(), shared
        };
        let live = LiveConfig::new(config.clone(), adjustable);
        let configuration: Arc<dyn Configuration> = live.clone();
        service.set_configuration(Arc::downgrade(&configuration));
        tokio::spawn(live.clone().watch(reload, background.clone()));
        Ok(Self { config, live, service, engine, rates, store, catalog, background })
    }

    /// Serves HTTP, with the instance file beside the database, until `stop`; then lets tasks end
    /// and drains.
    pub(super) fn serve(
        &self,
        listener: TcpListener,
        audience: Audience,
        ready: oneshot::Sender<Instance>,
        stop: CancellationToken,
    ) -> impl Future<Output = Result<(), Failure>> + Send + use<> {
        let (config, service, engine) =
            (self.config.clone(), self.service.clone(), self.engine.clone());
        let (rates, live) = (self.rates.clone(), self.live.clone());
        async move {
            if audience == Audience::Agents {
                settings::warn(&config);
            }
            let address = listener.local_addr().map_err(|error| {
                Failure::unavailable(format!("the listener has no address: {error}"))
            })?;
            let (instance, owner) = announce(address, audience, &live)?;
            let _withdrawn = Withdraw(live.clone());
            service.set_url(&instance.url);
            let server = HttpServer {
                service,
                agents: audience == Audience::Agents,
                mcp: live.mcp(),
                options: settings::http(&config, rates),
                owner,
                metrics: PrometheusBuilder::new()
                    .install_recorder()
                    .map_err(|error| Failure::other(chain(&error)))?,
            };
            http::describe_metrics();
            // Nobody may wait for it.
            drop(ready.send(instance));
            let tasks = async {
                stop.cancelled().await;
                engine.stop(GRACE).await;
            };
            let (served, ()) = tokio::join!(http::serve(listener, server, stop.clone()), tasks);
            served.map(drop).map_err(|error| Failure::other(chain(&error)))
        }
    }

    /// Closes everything: tasks first, the store last.
    pub(super) async fn close(self) {
        self.background.cancel();
        self.engine.stop(Duration::ZERO).await;
        self.catalog.shutdown().await;
        self.store.close().await;
    }
}

async fn open_store(config: &Config) -> Result<Arc<SqliteStore>, OpenError> {
    let opened = SqliteStore::open(settings::store(config)).await;
    opened.map(Arc::new).map_err(store_failure)
}

async fn start_runtimes(config: &Config) -> Result<Vec<Arc<dyn Runtime>>, Failure> {
    runtimes::start(config).await.map_err(|error| {
        Failure::unavailable(chain(&error))
            .hint("`airlock doctor` says more; the log above may hold the worker's own messages")
    })
}

/// Begins to connect to upstreams; what they offered last time is known at once.
fn start_upstreams(config: &Config, shared: &SharedResources) -> Result<Arc<Catalog>, Failure> {
    let cache = config.store.tool_cache();
    let mut catalog = Catalog::start_cached(
        upstreams::configured(config, shared)?,
        &ProcessEnvironment.variables(),
        cache,
    );
    catalog.set_empty_note(settings::why_no_tools(config));
    Ok(Arc::new(catalog))
}

/// Writes the file by which the owner's commands find this server, with a fresh token.
fn announce(
    address: SocketAddr,
    audience: Audience,
    live: &LiveConfig,
) -> Result<(Instance, OwnerToken), Failure> {
    let mut secret = [0; TOKEN_BYTES];
    getrandom::fill(&mut secret)
        .map_err(|error| Failure::other(format!("the system gives no random numbers: {error}")))?;
    let token = URL_SAFE_NO_PAD.encode(secret);
    let owner = OwnerToken::new(&token);
    let url = format!("http://{address}");
    let lasting = audience == Audience::Agents;
    let instance = Instance {
        pid: std::process::id(),
        url,
        token,
        version: env!("CARGO_PKG_VERSION").into(),
        config: ConfigIdentity::default(),
        lasting,
    };
    let announced = live.announce(instance).map_err(|error| {
        Failure::unavailable(format!("the instance file cannot be written: {error}"))
    })?;
    Ok((announced, owner))
}

/// Removes the instance file when the server does not serve any more.
struct Withdraw(Arc<LiveConfig>);

impl Drop for Withdraw {
    fn drop(&mut self) {
        self.0.withdraw();
    }
}

/// Takes over the tasks that the last server left unfinished, and cleans up the rest of what it
/// left.
async fn recover(store: &SqliteStore, instance_id: InstanceId) -> Result<Vec<Task>, StoreError> {
    let left = store.unfinished(instance_id, RESUMED_MAX).await?;
    store.adopt(left.iter().map(|task| task.task_id).collect(), instance_id).await?;
    let recovery = Recovery {
        instance_id,
        at: Timestamp::now(),
        under_way: machine::server_stopped(Calls::Outstanding),
        idle: machine::server_stopped(Calls::None),
        why: "the server ended without stopping in order, and the program that waited ended with \
            it"
        .into(),
    };
    let Recovered { tasks, approvals, .. } = store.recover(recovery).await?;
    if approvals > 0 {
        tracing::warn!(
            approvals,
            "{} {} open when the last server stopped, now void",
            counted(approvals, "approval"),
            verb(approvals, "was", "were")
        );
    }
    if tasks > 0 {
        tracing::warn!(
            tasks,
            "{} had not ended when the last server stopped, now recorded as failed",
            counted(tasks, "task")
        );
    }
    Ok(left)
}

/// Goes on with these tasks.
async fn resume(engine: &TaskEngine, left: Vec<Task>) {
    let (mut resumed, mut failed) = (0_usize, 0_usize);
    for task in left {
        match engine.resume(task).await {
            true => resumed += 1,
            false => failed += 1,
        }
    }
    if resumed > 0 {
        tracing::info!(
            resumed,
            "{} had not ended when the last server stopped, and {} on now",
            counted(resumed, "task"),
            verb(resumed, "goes", "go")
        );
    }
    if failed > 0 {
        tracing::warn!(
            failed,
            "{} had not ended when the last server stopped and cannot go on, now recorded as \
            failed",
            counted(failed, "task")
        );
    }
}

fn store_failure(error: StoreError) -> OpenError {
    match error {
        StoreError::InUse { .. } => OpenError::InUse,
        other => Failure::unavailable(chain(&other))
            .hint("choose another `store.url`, or make its folder writable")
            .into(),
    }
}
