//! The service in this process, over a store in memory and a real runtime: for tests of the
//! protocols that need bounds which no configuration has, or faults which no user can cause.

use std::{path::Path, sync::Arc, time::Duration};

use airlock::{
    artifacts::{ArtifactTerms, Artifacts},
    catalog::{Catalog, StdioConfig, UpstreamConfig, UpstreamKind},
    model::{InstanceId, Principal, Task, TaskStatus},
    policy::{Options, Profile},
    sandbox::{Engine, Isolation, Sandbox, SandboxConfig, WorkerCommand},
    service::{Service, ServiceLimits, ToolRefresh},
    task::{
        Services, UpstreamConcurrency,
        approval::waiters::{ApprovalTerms, ApprovalWaiters},
        engine::{EngineConfig, EngineLimits, TaskEngine},
        policy_reload::{PolicySource, ReloadingPolicy},
    },
    transport::mcp::{LiveMcpOptions, McpOptions},
};
use serde_json::json;
use tempfile::TempDir;

use super::{runtime, worker::limits};
use crate::store_contract::memory::MemoryStore;

/// How long an upstream may take to start.
const START_MAX: Duration = Duration::from_secs(30);

/// The parts of a service that tests choose.
#[derive(Clone)]
pub(crate) struct Setup {
    /// How long an answer is held for a client that shows no progress.
    pub(crate) hold: Duration,
    /// How long an answer is held while its task waits for an approval.
    pub(crate) approval_hold: Duration,
    /// Tasks that may wait to begin.
    pub(crate) queue_max: usize,
    /// Decides about calls.
    pub(crate) profile: Profile,
    /// Arguments of the demo upstream `everything`; none: there is no upstream.
    pub(crate) upstream: Option<Vec<String>>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            hold: Duration::from_secs(50),
            approval_hold: Duration::from_secs(60),
            queue_max: 100,
            profile: Profile::Open,
            upstream: None,
        }
    }
}

impl Setup {
    /// With the demo upstream and these arguments of it.
    pub(crate) fn upstream(args: &[&str]) -> Self {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        Self { upstream: Some(args), ..Self::default() }
    }
}

/// A service and what it stands on.
#[derive(Clone)]
pub(crate) struct TestService {
    pub(crate) service: Arc<Service>,
    pub(crate) store: Arc<MemoryStore>,
}

impl TestService {
    pub(crate) async fn start(setup: &Setup) -> Self {
        let store = Arc::new(MemoryStore::default());
        let upstreams = setup.upstream.iter().map(|args| everything(args)).collect();
        let catalog = Arc::new(Catalog::start(upstreams, &std::env::vars().collect()));
        assert!(catalog.settled(START_MAX).await, "the upstream starts");
        let options = Options { profile: setup.profile, approvals: true };
        let services = Services {
            artifacts: Artifacts::new(store.clone(), artifact_terms()),
            store: store.clone(),
            catalog,
            policy: ReloadingPolicy::open(PolicySource { files: vec![], options }).unwrap(),
            waiters: ApprovalWaiters::new(ApprovalTerms {
                timeout: Duration::from_secs(60),
                calls_max: 8,
                tasks_max: 8,
            }),
            concurrency: UpstreamConcurrency::default(),
            record_values: Arc::default(),
        };
        let sandbox = Sandbox::start(sandbox_config()).await.unwrap();
        let config = EngineConfig {
            limits: EngineLimits {
                cpu_ms_max: 30_000,
                queue_max: setup.queue_max,
                spill_after: Duration::from_secs(30),
            },
            instance_id: InstanceId::new(),
        };
        let engine = TaskEngine::new(config, services, vec![Arc::new(sandbox)]);
        let limits = ServiceLimits {
            code_bytes_max: 256 * 1024,
            timeout_ms: 300_000,
            hold_ms: setup.hold.as_millis() as u64,
            approval_hold_ms: setup.approval_hold.as_millis() as u64,
            runtime_id: runtime::id().into(),
        };
        Self { service: Arc::new(Service::new(engine, limits)), store }
    }

    /// All tasks on record.
    pub(crate) fn tasks(&self) -> Vec<Task> {
        self.store.all_tasks()
    }

    /// Tasks on record of this status.
    pub(crate) fn count(&self, status: TaskStatus) -> usize {
        self.tasks().iter().filter(|task| task.status == status).count()
    }

    /// Has the upstream asked for its tools again.
    pub(crate) async fn refresh(&self) {
        let owner = Principal::owner("test");
        self.service.call(&owner, ToolRefresh::default()).await.unwrap();
    }
}

/// The options of an MCP server over this service.
pub(crate) fn mcp_options() -> McpOptions {
    McpOptions { runtime_id: runtime::id().into(), ..McpOptions::default() }
}

/// Options that never change.
pub(crate) fn fixed(options: McpOptions) -> LiveMcpOptions {
    tokio::sync::watch::channel(options).1
}

/// Writes a list of so many tools for the demo upstream's `--offer`.
pub(crate) fn offer(file: &Path, tools: usize) {
    let tool = |number: usize| {
        json!({
            "name": format!("tool_{number}"), "inputSchema": {"type": "object"}
        })
    };
    let tools: Vec<_> = (0..tools).map(tool).collect();
    std::fs::write(file, json!(tools).to_string()).unwrap();
}

/// A folder with a list of one tool in it.
pub(crate) fn offering() -> (TempDir, std::path::PathBuf) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("tools.json");
    offer(&file, 1);
    (folder, file)
}

fn everything(args: &[String]) -> UpstreamConfig {
    let args = std::iter::once("__demo-upstream".to_owned()).chain(args.iter().cloned()).collect();
    let command = env!("CARGO_BIN_EXE_airlock").to_owned();
    let config = StdioConfig { command, args, ..StdioConfig::default() };
    UpstreamConfig::new("everything".parse().unwrap(), UpstreamKind::McpStdio(config))
}

fn artifact_terms() -> ArtifactTerms {
    ArtifactTerms { life: Duration::from_secs(3600), workspace_bytes_max: 64 * 1024 * 1024 }
}

fn sandbox_config() -> SandboxConfig {
    let command = WorkerCommand::this().of(env!("CARGO_BIN_EXE_airlock"));
    SandboxConfig {
        engine: match runtime::deno() {
            None => Engine::V8(command),
            Some(deno) => Engine::Deno { command, candidates: vec![deno], allowed_sha256: None },
        },
        isolation: Isolation::Tenant,
        running_max: 4,
        workers_max: 4,
        workers_spare: 1,
        queue_max: 100,
        tasks_per_worker: 200,
        worker_age_max: Duration::from_secs(1800),
        setup: limits(),
    }
}
