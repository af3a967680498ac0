//! Names every concrete part and joins them; decides nothing.
//!
//! The order of a start: the store with its lock, then what an earlier server left unfinished is
//! ended, then the engine with its self-test, then upstreams, which nothing waits for. The order of
//! a stop is the reverse: tasks first, the store last.

mod port;
mod runtimes;
mod upstreams;

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant as Moment},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use futures::future::BoxFuture;
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::{net::TcpListener, sync::oneshot};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{
    base::{
        error::chain,
        instance::{Instance, InstanceFile},
    },
    catalog::{Catalog, Detected, Login, MissingSecret, UpstreamStatus, Vault},
    cli::{Application, Audience, Exit, Failure, RuntimeStanding, Tell},
    config::{self, Config, Environment, ProcessEnvironment},
    model::{InstanceId, Principal, Timestamp},
    policy::{LayerScope, Options, Problem, Profile},
    service::{Service, ServiceLimits},
    store::{
        Recovered, Recovery, RecoveryStore, SqliteConfig, SqliteStore, Store, StoreError,
        Synchronous,
    },
    task::{
        UpstreamConcurrency,
        approval_waiters::{ApprovalTerms, ApprovalWaiters},
        artifacts::{ArtifactTerms, Artifacts},
        engine::{EngineConfig, TaskEngine},
        host::Services,
        machine::{self, Calls},
        policy_reload::{PolicyFile, PolicySource, ReloadingPolicy},
    },
    transport::{
        Port,
        handoff::{self, JoinError, Left},
        http::{self, HttpOptions, HttpServer, OwnerToken},
        mcp::{Mcp, McpOptions},
        stdio,
    },
};

/// How long tasks may go on once the server is told to stop.
const GRACE: Duration = Duration::from_secs(10);
/// How long an `airlock mcp` that finds its database in use looks for the server that has it, and
/// how often.
const FIND_MAX: Duration = Duration::from_secs(10);
const FIND_EVERY: Duration = Duration::from_millis(50);
/// How long it waits for a server that was started to stay, and ended, to come back.
const RETURN_MAX: Duration = Duration::from_secs(60);
/// Random bytes of an owner's token.
const TOKEN_BYTES: usize = 32;

/// The application, as the command line asks for it.
pub struct App;

impl Application for App {
    fn serve(
        &self,
        config: Config,
        listener: TcpListener,
        audience: Audience,
        ready: oneshot::Sender<Instance>,
        stop: CancellationToken,
    ) -> BoxFuture<'static, Result<(), Failure>> {
        Box::pin(async move {
            let config = Arc::new(config);
            let parts = Parts::open(config.clone()).await.map_err(|error| error.tell(&config))?;
            let served = parts.serve(listener, audience, ready, stop).await;
            parts.close().await;
            served
        })
    }

    fn stdio(
        &self,
        config: Config,
        stop: CancellationToken,
    ) -> BoxFuture<'static, Result<(), Failure>> {
        Box::pin(async move {
            let config = Arc::new(config);
            let mut client = None;
            let mut give_up = Moment::now() + FIND_MAX;
            loop {
                let instance = match own_or_find(config.clone(), &stop).await? {
                    Found::Own(parts) => return parts.serve_client(client, stop).await,
                    Found::Other(instance) => instance,
                };
                let client = match &mut client {
                    Some(client) => client,
                    None => client.insert(
                        handoff::Client::take()
                            .map_err(|error| Failure::other(error.to_string()))?,
                    ),
                };
                let Instance { pid, url, .. } = &instance;
                tracing::info!(pid, %url, "this database is served by process {pid} at {url}: the \
                    client is handed to it");
                match handoff::join(client, url, &instance.token, &stop).await {
                    Ok(Left::Client) => return Ok(()),
                    Ok(Left::Server) => {
                        client.apologise().await.map_err(|error| {
                            Failure::other(format!("the client is gone: {error}"))
                        })?;
                        give_up = Moment::now() + FIND_MAX;
                    }
                    // The note of one that is about to end; another may be taking its place.
                    Err(JoinError::Refused { .. })
                        if Moment::now() < give_up && !stop.is_cancelled() =>
                    {
                        tokio::time::sleep(FIND_EVERY).await;
                        continue;
                    }
                    Err(error) => {
                        return Err(Failure::unavailable(chain(&error))
                            .hint("restart the client's connection"));
                    }
                }
                if instance.lasting {
                    // Whoever runs it will start it again, and must find the database free.
                    come_back(&config, &instance, &stop).await?;
                }
            }
        })
    }

    fn vault(&self, config: &Config) -> Vault {
        upstreams::vault(config)
    }

    fn policy(&self, config: &Config) -> PolicySource {
        policy_source(config)
    }

    fn runtimes(&self, config: &Config) -> Vec<RuntimeStanding> {
        runtimes::standings(config)
    }

    fn missing_secrets(
        &self,
        config: &Config,
    ) -> BoxFuture<'static, Result<Vec<MissingSecret>, Failure>> {
        Box::pin(upstreams::missing_secrets(config))
    }

    fn reach(
        &self,
        config: Config,
        tell: Tell,
    ) -> BoxFuture<'static, Result<Vec<UpstreamStatus>, Failure>> {
        Box::pin(async move { upstreams::reached(&config, tell).await })
    }

    fn detect<'a>(
        &'a self,
        url: &'a Url,
        allow_private: bool,
    ) -> BoxFuture<'a, Result<Detected, String>> {
        Box::pin(upstreams::detected(url, allow_private))
    }

    fn login(&self, config: &Config, name: &str) -> BoxFuture<'static, Result<Login, Failure>> {
        let begun = upstreams::login(config, name);
        Box::pin(begun)
    }
}

/// Waits for a server that was started to stay, and ended, to be there again.
async fn come_back(
    config: &Config,
    ended: &Instance,
    stop: &CancellationToken,
) -> Result<(), Failure> {
    let Instance { pid, url, .. } = ended;
    tracing::info!(pid, %url, "the server at {url} ended; waiting up to {} s for it to come back", RETURN_MAX.as_secs());
    let give_up = Moment::now() + RETURN_MAX;
    while Moment::now() < give_up && !stop.is_cancelled() {
        if let Ok(Some(instance)) = Instance::find(&config.store.path)
            && instance.pid != ended.pid
        {
            return Ok(());
        }
        tokio::time::sleep(FIND_EVERY).await;
    }
    let message = format!(
        "the server at {url} ended and did not come back within {} s",
        RETURN_MAX.as_secs()
    );
    Err(Failure::unavailable(message)
        .hint("start it again with `airlock serve`, then restart the client's connection"))
}

/// Who serves a database.
enum Found {
    Own(Parts),
    Other(Instance),
}

/// Opens everything, or finds the server that has the database. Of several that start at once, one
/// opens and the others find it.
async fn own_or_find(config: Arc<Config>, stop: &CancellationToken) -> Result<Found, Failure> {
    let give_up = Moment::now() + FIND_MAX;
    loop {
        match Parts::open(config.clone()).await {
            Ok(parts) => return Ok(Found::Own(parts)),
            Err(OpenError::InUse) if Moment::now() < give_up && !stop.is_cancelled() => {
                // The other's note may be about to be written, or its lock about to be given back.
                if let Ok(Some(instance)) = Instance::find(&config.store.path) {
                    return Ok(Found::Other(instance));
                }
                tokio::time::sleep(FIND_EVERY).await;
            }
            Err(error) => return Err(error.tell(&config)),
        }
    }
}

/// Why not everything could be opened.
enum OpenError {
    InUse,
    Failed(Failure),
}

impl From<Failure> for OpenError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl OpenError {
    fn tell(self, config: &Config) -> Failure {
        match self {
            Self::InUse => Failure::database_in_use(&config.store.path),
            Self::Failed(failure) => failure,
        }
    }
}

/// Everything that is open while a server runs.
struct Parts {
    config: Arc<Config>,
    store: Arc<SqliteStore>,
    catalog: Arc<Catalog>,
    engine: TaskEngine,
    service: Arc<Service>,
    /// Ends the following of the policy files and the sweeping of artifacts.
    following: CancellationToken,
}

impl Parts {
    async fn open(config: Arc<Config>) -> Result<Self, OpenError> {
        upstreams::install_crypto();
        let store = SqliteConfig {
            synchronous: match config.store.synchronous {
                config::Synchronous::Normal => Synchronous::Normal,
                config::Synchronous::Full => Synchronous::Full,
            },
            ..SqliteConfig::new(&config.store.path)
        };
        // Before anything is opened: a runtime that cannot be, or a policy that cannot be read,
        // stops the start.
        runtimes::check(&config)?;
        let policy = policy(&config)?;
        let store = Arc::new(SqliteStore::open(store).await.map_err(store_failure)?);
        let instance_id = InstanceId::new();
        recover(&store, instance_id).await.map_err(store_failure)?;
        let runtimes = runtimes::start(&config).await.map_err(|error| {
            Failure::unavailable(chain(&error))
                .hint("`airlock doctor` tells more; the log above may hold the worker's own words")
        })?;
        let kept = config.store.path.with_added_extension("catalog");
        let catalog = Arc::new(Catalog::start_keeping(
            upstreams::configured(&config)?,
            &ProcessEnvironment.variables(),
            kept,
        ));
        let limits = EngineConfig {
            cpu_ms_max: config.limits.cpu_ms,
            queue_max: config.limits.queue as usize,
            instance_id,
        };
        let artifacts = Artifacts::new(store.clone(), artifact_terms(&config.artifacts));
        let parts = Services {
            artifacts: artifacts.clone(),
            store: store.clone(),
            catalog: catalog.clone(),
            policy: policy.clone(),
            waiters: ApprovalWaiters::new(approval_terms(&config.approvals)),
            turns: UpstreamConcurrency::default(),
            record_values: config.policy.record_values,
        };
        let engine = TaskEngine::new(limits, parts, runtimes);
        let following = CancellationToken::new();
        tokio::spawn(artifacts.tidy(following.clone()));
        tokio::spawn(policy.watch_files(following.clone()));
        let limits = ServiceLimits {
            code_bytes_max: config.limits.code_kb as usize * 1024,
            timeout_ms: config.limits.timeout_ms,
            hold_ms: config.limits.hold_ms,
            runtime_id: runtimes::default_id(&config).into(),
        };
        let service = Arc::new(Service::new(engine.clone(), limits));
        Ok(Self { config, store, catalog, engine, service, following })
    }

    fn port(&self) -> Arc<dyn Port> {
        self.service.clone()
    }

    /// Serves the client of this process, on its standard streams or where an earlier server left
    /// it, until it leaves or `stop`.
    async fn serve_client(
        self,
        client: Option<handoff::Client>,
        stop: CancellationToken,
    ) -> Result<(), Failure> {
        // The owner's commands reach this server as they reach any other, on a port of its own.
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await;
        let listener = listener.map_err(|error| {
            Failure::unavailable(format!("no loopback port can be had: {error}"))
        })?;
        let ended = CancellationToken::new();
        let http = self.serve(listener, Audience::Owner, oneshot::channel().0, ended.clone());
        let mcp = Mcp::over_stdio(
            self.port(),
            mcp_options(&self.config, &self.engine),
            Principal::local("stdio"),
            stop.clone(),
        );
        let served = async {
            let served = match client {
                None => stdio::serve(mcp, stop.clone()).await,
                Some(mut client) => handoff::adopt(mcp, &mut client, stop.clone()).await,
            };
            ended.cancel();
            served.map_err(|error| Failure::other(chain(&error)))
        };
        let (http, served) = tokio::join!(http, served);
        self.close().await;
        served.and(http)
    }

    /// Serves HTTP and leaves the instance's note until `stop`; then lets tasks end and drains.
    fn serve(
        &self,
        listener: TcpListener,
        audience: Audience,
        ready: oneshot::Sender<Instance>,
        stop: CancellationToken,
    ) -> BoxFuture<'static, Result<(), Failure>> {
        let (config, service, engine) =
            (self.config.clone(), self.service.clone(), self.engine.clone());
        Box::pin(async move {
            let address = listener.local_addr().map_err(|error| {
                Failure::unavailable(format!("the listener has no address: {error}"))
            })?;
            let (note, owner) = announce(address, audience, &config)?;
            service.answers_at(&note.instance().url);
            let server = HttpServer {
                port: service,
                agents: audience == Audience::Agents,
                mcp: mcp_options(&config, &engine),
                options: HttpOptions {
                    allowed_hosts: config.server.allowed_hosts.clone(),
                    allowed_origins: config.server.allowed_origins.clone(),
                    requests_per_minute: config.limits.requests_per_minute as u32,
                    ..HttpOptions::default()
                },
                owner,
                metrics: PrometheusBuilder::new()
                    .install_recorder()
                    .map_err(|error| Failure::other(chain(&error)))?,
            };
            http::describe_metrics();
            // Nobody may wait for it.
            drop(ready.send(note.instance().clone()));
            let tasks = async {
                stop.cancelled().await;
                engine.stop(GRACE).await;
            };
            let (served, ()) = tokio::join!(http::serve(listener, server, stop.clone()), tasks);
            served.map(drop).map_err(|error| Failure::other(chain(&error)))
        })
    }

    async fn close(self) {
        self.following.cancel();
        self.engine.stop(Duration::ZERO).await;
        self.catalog.shutdown().await;
        self.store.close().await;
    }
}

/// Leaves the note by which the owner's commands find this server, with a fresh token.
fn announce(
    address: SocketAddr,
    audience: Audience,
    config: &Config,
) -> Result<(InstanceFile, OwnerToken), Failure> {
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
        lasting,
    };
    let note = instance.announce(&config.store.path).map_err(|error| {
        Failure::unavailable(format!(
            "the note `{}` cannot be written: {error}",
            Instance::path(&config.store.path).display()
        ))
    })?;
    Ok((note, owner))
}

/// The policy that the files make now.
fn policy(config: &Config) -> Result<Arc<ReloadingPolicy>, Failure> {
    let source = policy_source(config);
    if !source.options.approvals {
        tracing::warn!(
            "nobody can approve (`approvals.by` is \"nobody\"): what policy would ask for is \
            refused"
        );
    }
    ReloadingPolicy::open(source).map_err(|problems| invalid_policy(&problems))
}

/// Where policy comes from.
fn policy_source(config: &Config) -> PolicySource {
    let profile = match config.policy.profile {
        config::Profile::Readonly => Profile::ReadOnly,
        config::Profile::Auto => Profile::Auto,
        config::Profile::Open => Profile::Open,
        config::Profile::Strict => Profile::Strict,
    };
    let file = |file: &config::PolicyFile| PolicyFile {
        path: file.path.clone(),
        scope: match &file.scope {
            config::PolicyScope::Organisation => LayerScope::Organisation,
            config::PolicyScope::Workspace(name) => LayerScope::Workspace(name.clone()),
            config::PolicyScope::Key(name) => LayerScope::Key(name.clone()),
        },
        upstream: file.upstream.clone(),
    };
    let options = Options { profile, approvals: config.approvals.by == config::Approver::Owner };
    PolicySource { files: config.policy.files.iter().map(file).collect(), options }
}

fn invalid_policy(problems: &[Problem]) -> Failure {
    let lines: String = problems.iter().map(|problem| format!("\n  {problem}")).collect();
    let message = format!("the policy cannot be used:{lines}");
    let hint = Some("`airlock policy validate` checks the files of the configuration".into());
    Failure { exit: Exit::Config, message, hint }
}

fn approval_terms(approvals: &config::Approvals) -> ApprovalTerms {
    ApprovalTerms {
        timeout: Duration::from_millis(approvals.timeout_ms),
        calls_max: approvals.calls_max as usize,
        tasks_max: approvals.tasks_max as usize,
    }
}

fn artifact_terms(artifacts: &config::Artifacts) -> ArtifactTerms {
    ArtifactTerms {
        life: Duration::from_secs(artifacts.ttl_hours * 3600),
        workspace_bytes_max: artifacts.workspace_mb * 1024 * 1024,
    }
}

fn mcp_options(config: &Config, engine: &TaskEngine) -> McpOptions {
    McpOptions {
        code_bytes_max: config.limits.code_kb as usize * 1024,
        timeout_ms: config.limits.timeout_ms,
        runtime_id: runtimes::default_id(config).into(),
        runtimes: engine.runtimes().map(|runtime| runtime.id().to_owned()).collect(),
        ..McpOptions::default()
    }
}

/// Ends in the record what the last server left unfinished.
async fn recover(store: &SqliteStore, instance_id: InstanceId) -> Result<(), StoreError> {
    let recovery = Recovery {
        instance_id,
        at: Timestamp::now(),
        under_way: machine::server_stopped(Calls::UnderWay),
        idle: machine::server_stopped(Calls::None),
        why: "the server stopped, and the program that waited with it".into(),
    };
    let Recovered { tasks, approvals, .. } = store.recover(recovery).await?;
    if approvals > 0 {
        tracing::warn!(
            approvals,
            "{approvals} approvals were open when the last server stopped; they are void"
        );
    }
    if tasks > 0 {
        tracing::warn!(
            tasks,
            "{tasks} tasks had not ended when the last server stopped; they are recorded as failed"
        );
    }
    Ok(())
}

fn store_failure(error: StoreError) -> OpenError {
    match error {
        StoreError::InUse { .. } => OpenError::InUse,
        other => Failure::unavailable(chain(&other))
            .hint("choose another `store.url`, or make its folder writable")
            .into(),
    }
}
