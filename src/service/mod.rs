//! The closed list of commands from outside, the roles that each needs, and their typed answers. No
//! protocol and no SQL here.

mod approvals;
mod artifacts;
mod command;
mod configuration;
mod error;
mod health;
mod overview;
mod policy;
mod requests;
mod tasks;
mod tools;
pub mod view;

use std::sync::{Arc, OnceLock, Weak};

use arc_swap::ArcSwap;

use crate::{
    artifacts::Artifacts,
    catalog::Catalog,
    store::Store,
    task::{
        approval::waiters::ApprovalWaiters, engine::TaskEngine, policy_reload::ReloadingPolicy,
    },
};

pub use command::{ChangeCounters, Command, Reply, Request, authorize};
pub use configuration::Configuration;
pub use error::ServiceError;
pub use policy::scope_text;
pub use requests::{
    ApprovalCount, ApprovalDecision, ApprovalGet, ApprovalList, ArtifactGet, ArtifactList,
    ArtifactRead, ArtifactRemove, ConfigReload, Execute, Execution, HealthCheck, IdList,
    NamespaceList, OverviewGet, PolicyCaller, PolicyExplain, PolicyFileText, PolicyFiles,
    PolicyLint, PolicyReplay, PolicyShow, PolicyTest, PolicyTools, ProgressSink, RecordedCall,
    TaskCancel, TaskEvents, TaskGet, TaskList, TaskMedia, ToolChanges, ToolDescribe, ToolList,
    ToolRefresh, ToolTypes, WaitPolicy,
};

/// Limits and defaults of the service itself.
#[derive(Debug, Clone)]
pub struct ServiceLimits {
    /// Source of a task, in bytes.
    pub code_bytes_max: usize,
    /// `timeoutMs` where the caller names none.
    pub timeout_ms: u64,
    /// The cap on an answer that is held under [`WaitPolicy::Capped`], in milliseconds; 0 for none.
    pub hold_ms: u64,
    /// Time that an answer is held while its task waits for an approval, in milliseconds, unless
    /// the client is our own or asked for longer itself.
    pub approval_hold_ms: u64,
    /// `runtimeId` where the caller names none.
    pub runtime_id: String,
}

/// Answers commands. Has no state of its own.
pub struct Service {
    engine: TaskEngine,
    store: Arc<dyn Store>,
    catalog: Arc<Catalog>,
    policy: Arc<ReloadingPolicy>,
    waiters: Arc<ApprovalWaiters>,
    artifacts: Artifacts,
    limits: ArcSwap<ServiceLimits>,
    /// The configuration, where the server can read it again.
    configuration: OnceLock<Weak<dyn Configuration>>,
    /// The URL of the pages, once the server listens.
    url: OnceLock<String>,
}

impl Service {
    /// A service over the engine and what its hosts share.
    pub fn new(engine: TaskEngine, limits: ServiceLimits) -> Self {
        let parts = engine.services();
        let (store, catalog) = (parts.store.clone(), parts.catalog.clone());
        let (policy, waiters) = (parts.policy.clone(), parts.waiters.clone());
        let artifacts = parts.artifacts.clone();
        let limits = ArcSwap::from_pointee(limits);
        let (configuration, url) = (OnceLock::new(), OnceLock::new());
        #[rustfmt::skip]
        let service = Self {
            engine, store, catalog, policy, waiters, artifacts, limits, configuration, url
        };
        service
    }

    /// Sets the limits of requests that come from now on.
    pub fn set_limits(&self, limits: ServiceLimits) {
        self.limits.store(Arc::new(limits));
    }

    /// Sets the configuration that `Health` and `ConfigReload` are about. The first one counts.
    pub fn set_configuration(&self, configuration: Weak<dyn Configuration>) {
        self.configuration.set(configuration).ok();
    }

    fn configuration(&self) -> Option<Arc<dyn Configuration>> {
        self.configuration.get()?.upgrade()
    }

    /// Sets the URL of this server's pages: `http://127.0.0.1:7411`. The first one counts.
    pub fn set_url(&self, url: &str) {
        self.url.set(url.to_owned()).ok();
    }
}
