//! Tools, as the owner's own commands ask for them, and how the server is.

use serde_json::json;
use tokio::sync::watch;

use super::{Health, Kind, Service, ServiceError, ToolList};
use crate::{
    catalog::{FindError, NamespacesQuery, Tool},
    model::{Principal, RawJson},
    policy::{Caller, Profile},
    task::host::{ROLE, visibility},
};

/// The task in whose name lists are shown outside of one.
const NO_TASK: &str = "";
/// Namespaces that the description of `execute` may name.
const NAMESPACES_MAX: u32 = 200;

impl Service {
    /// A page of tools, as `tools.catalog.tools` answers.
    pub async fn tools(&self, who: &Principal, request: ToolList) -> Result<RawJson, ServiceError> {
        let args = serde_json::to_string(&request).expect("strings and numbers only");
        self.find(who, "catalog.tools", &args).await
    }

    /// One tool, as `tools.describe` answers.
    pub async fn tool(&self, who: &Principal, path: &str) -> Result<RawJson, ServiceError> {
        self.find(who, "describe", &json!({ "path": path }).to_string()).await
    }

    /// The namespaces and how many tools each has that the caller may see, in a stable order.
    pub fn namespaces(&self, who: &Principal) -> Vec<(String, usize)> {
        let policy = self.policy.current();
        let view = |tool: &Tool| visibility(&policy, tool, &caller(who));
        let found = self.catalog.namespaces(&NamespacesQuery { limit: Some(NAMESPACES_MAX) }, &view);
        found.namespaces.into_iter().map(|namespace| (namespace.namespace, namespace.tool_count)).collect()
    }

    /// Changes whenever the tools do.
    pub fn catalog_changed(&self) -> watch::Receiver<u64> {
        self.catalog.changed()
    }

    /// How the server is. `degraded` where the store or the engine does not work; an upstream that is down is only told.
    pub async fn health(&self) -> Health {
        let store = self.store.check().await;
        let runtimes: Vec<_> = self
            .engine
            .runtimes()
            .map(|(id, sandbox)| {
                json!({
                    "runtimeId": id,
                    "engine": sandbox.engine(),
                    "tier": sandbox.locks(),
                    "workers": sandbox.workers(),
                    "queued": sandbox.queued(),
                })
            })
            .collect();
        let upstreams = self.catalog.status();
        let policy = self.policy.standing();
        let fit = store.is_ok() && !runtimes.is_empty() && policy.problems.is_empty();
        if let Err(error) = &store {
            tracing::error!(%error, "the store does not work");
        }
        Health {
            status: if fit { "ok" } else { "degraded" }.into(),
            version: env!("CARGO_PKG_VERSION").into(),
            sandbox: json!({ "status": if runtimes.is_empty() { "none" } else { "ok" }, "runtimes": runtimes }),
            store: match store {
                Ok(()) => json!({ "status": "ok", "tasks": self.engine.live_count() }),
                Err(error) => json!({ "status": "failed", "message": error.to_string() }),
            },
            policy: {
                let mut told = json!({
                    "status": if policy.problems.is_empty() { "ok" } else { "degraded" },
                    "profile": profile(policy.profile),
                    "revision": policy.revision,
                    "parkedTasks": self.desk.parked_tasks(),
                });
                if !policy.problems.is_empty() {
                    told["message"] = format!("the policy before is in force: {}", policy.problems.join("; ")).into();
                    told["hint"] = "correct the file: it is taken as soon as it is valid".into();
                }
                told
            },
            upstreams: json!(upstreams),
        }
    }

    /// As code of this caller would be answered.
    async fn find(&self, who: &Principal, function: &str, args: &str) -> Result<RawJson, ServiceError> {
        let policy = self.policy.current();
        let view = |tool: &Tool| visibility(&policy, tool, &caller(who));
        let found = self.catalog.find(function, args, &view).await.expect("it is one of the finding functions");
        found.map_err(|error| match error {
            FindError::Arguments(error) => ServiceError::invalid("bad_argument", error.to_string()),
            FindError::Unresolved(error) => ServiceError::new(Kind::NotFound, "tool_not_found", error.to_string()),
        })
    }
}

/// Whoever asks from outside of a task sees what code of the same account would.
fn caller(who: &Principal) -> Caller<'_> {
    Caller { workspace: &who.workspace_id, principal: &who.account_id, role: ROLE, key: None, session: None, task: NO_TASK }
}

/// The name of a profile in the configuration.
pub(super) fn profile(profile: Profile) -> &'static str {
    match profile {
        Profile::ReadOnly => "readonly",
        Profile::Auto => "auto",
        Profile::Open => "open",
        Profile::Strict => "strict",
    }
}
