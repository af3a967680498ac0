//! Tools, as the owner's own commands ask for them, and how the server is.

use serde_json::json;
use tokio::sync::watch;

use super::{Health, NamespaceCount, Service, ServiceError, ToolList};
use crate::{
    catalog::{CallerLimit, FindError, NotFound, ResolveError, UpstreamState},
    model::{DiscoveryFunction, ErrorCode, NamespacesQuery, Principal, RawJson},
    policy::{Caller, Profile},
    sandbox::RuntimeHealth,
    task::host::{PolicyView, ROLE},
};

/// The task in whose name lists are shown outside of one.
const NO_TASK: &str = "";
/// Namespaces that the description of `execute` may name.
const NAMESPACES_MAX: u32 = 200;

impl Service {
    /// A page of tools, as `tools.catalog.tools` answers.
    pub async fn tools(&self, who: &Principal, request: ToolList) -> Result<RawJson, ServiceError> {
        let args = serde_json::to_string(&request).expect("strings and numbers only");
        self.find(who, DiscoveryFunction::Tools, &args).await
    }

    /// One tool, as `tools.describe` answers.
    pub async fn tool(&self, who: &Principal, path: &str) -> Result<RawJson, ServiceError> {
        self.find(who, DiscoveryFunction::Describe, &json!({ "path": path }).to_string()).await
    }

    /// TypeScript declarations of all tools that the caller may see, or of those of one namespace.
    pub async fn tool_types(
        &self,
        who: &Principal,
        namespace: Option<&str>,
    ) -> Result<String, ServiceError> {
        let view = PolicyView::new(self.policy.current(), &caller(who));
        let declared = self.catalog.types(namespace, &view).await;
        declared.map_err(|error| ServiceError::new(ErrorCode::InvalidArgument, error.to_string()))
    }

    /// Asks one upstream, or all, for their tools again; answers how they stand then.
    pub async fn tools_refresh(&self, upstream: Option<&str>) -> Result<RawJson, ServiceError> {
        let Some(status) = self.catalog.refresh(upstream).await else {
            let names: Vec<String> = self
                .catalog
                .status()
                .into_iter()
                .map(|status| format!("`{}`", status.name))
                .collect();
            let known = if names.is_empty() {
                "none is configured".to_owned()
            } else {
                format!("there are {}", names.join(", "))
            };
            let message =
                format!("there is no upstream `{}`, {known}", upstream.unwrap_or_default());
            return Err(ServiceError::new(ErrorCode::InvalidArgument, message));
        };
        Ok(serde_json::value::to_raw_value(&json!({ "results": status }))
            .expect("texts and numbers only"))
    }

    /// The namespaces and how many tools each has that the caller may see, in a stable order; then
    /// the upstreams of which nothing is known yet.
    pub fn namespaces(&self, who: &Principal) -> Vec<NamespaceCount> {
        let view = PolicyView::new(self.policy.current(), &caller(who));
        let found =
            self.catalog.namespaces(&NamespacesQuery { limit: Some(NAMESPACES_MAX) }, &view);
        let counted = |namespace: crate::catalog::Namespace| NamespaceCount {
            is_down: namespace.unavailable.is_some(),
            namespace: namespace.namespace,
            tools: namespace.tool_count,
        };
        let mut all: Vec<NamespaceCount> = found.namespaces.into_iter().map(counted).collect();
        // Of these nothing is known yet: they are told by name, so that nobody takes them for
        // missing.
        let unknown = self.catalog.status().into_iter().filter(|upstream| upstream.tools == 0);
        all.extend(unknown.filter_map(|upstream| match upstream.status {
            UpstreamState::Ready => None,
            status => Some(NamespaceCount {
                namespace: upstream.name,
                tools: 0,
                is_down: status == UpstreamState::Failed,
            }),
        }));
        all
    }

    /// One of them changes whenever there may be other tools to see: the catalog's, and the
    /// policy's.
    pub fn tools_changed(&self) -> [watch::Receiver<u64>; 2] {
        [self.catalog.changed(), self.policy.changed()]
    }

    /// How the server is. `degraded` where the store or the engine does not work; an upstream that
    /// is down is only told.
    pub async fn health(&self) -> Health {
        let store = self.store.check().await;
        let runtimes: Vec<_> = self
            .engine
            .runtimes()
            .map(|runtime| {
                let RuntimeHealth { engine, workers, queued } = runtime.health();
                json!({
                    "runtimeId": runtime.id(),
                    "engine": engine.as_ref().map_or("not used yet", |engine| &engine.name),
                    "tier": engine.as_ref().map(|engine| engine.locks.tier()),
                    "locks": engine.map(|engine| engine.locks).unwrap_or_default(),
                    "workers": workers,
                    "queued": queued,
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
                    "parkedTasks": self.waiters.parked_tasks(),
                });
                if !policy.problems.is_empty() {
                    told["message"] =
                        format!("the policy before is in force: {}", policy.problems.join("; "))
                            .into();
                    told["hint"] = "correct the file: it is taken as soon as it is valid".into();
                }
                told
            },
            upstreams: json!(upstreams),
        }
    }

    /// As code of this caller would be answered.
    async fn find(
        &self,
        who: &Principal,
        function: DiscoveryFunction,
        args: &str,
    ) -> Result<RawJson, ServiceError> {
        let view = PolicyView::new(self.policy.current(), &caller(who));
        let asker = CallerLimit::default();
        let found = self.catalog.find_offloaded(&asker, function, args, view).await;
        found.map_err(|error| match error {
            FindError::Arguments(error) => {
                ServiceError::new(ErrorCode::InvalidArgument, error.to_string())
            }
            FindError::Unresolved(error) => unresolved(error),
        })
    }
}

/// Whoever asks from outside of a task sees what code of the same account would.
fn caller(who: &Principal) -> Caller<'_> {
    Caller {
        workspace: &who.workspace_id,
        principal: &who.account_id,
        role: ROLE,
        key: who.key_id.as_deref(),
        session: None,
        task: NO_TASK,
    }
}

/// Why a path that the owner named leads to no tool, in the owner's words: the catalog's own are
/// for programs.
pub(super) fn unresolved(error: ResolveError) -> ServiceError {
    match error {
        ResolveError::NotFound(NotFound { path, is_namespace: true, .. }) => ServiceError::new(
            ErrorCode::ToolNotFound,
            format!("there is no tool `{path}`, it is a namespace"),
        )
        .hint("`airlock tools list --namespace NAME` shows what is in it"),
        ResolveError::NotFound(NotFound { path, nearest, .. }) => {
            let names: Vec<_> = nearest.iter().map(|path| format!("`{path}`")).collect();
            let meant = if names.is_empty() {
                String::new()
            } else {
                format!("; did you mean {}?", names.join(", "))
            };
            ServiceError::new(ErrorCode::ToolNotFound, format!("there is no tool `{path}`{meant}"))
                .hint("`airlock tools search WORDS` finds tools, `airlock tools list` shows all")
        }
        ResolveError::Unavailable(error) => {
            ServiceError::new(ErrorCode::UpstreamUnavailable, error.message)
                .hint("`airlock upstreams check` tells what is wrong with it")
        }
    }
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
