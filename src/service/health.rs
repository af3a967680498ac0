//! The state of the server.

use super::{
    Service,
    view::{Health, PolicyHealth, RuntimeHealth, SandboxHealth, StoreHealth},
};
use crate::{
    sandbox::{self, Runtime},
    store::StoreError,
};

impl Service {
    /// The state of the server. `degraded` where the store, the engine, the policy or a changed
    /// configuration does not work; an upstream that is down is only listed.
    pub(super) async fn health(&self) -> Health {
        let store = self.store.check().await;
        if let Err(error) = &store {
            tracing::error!(%error, "the store does not work");
        }
        let sandbox = self.sandbox_health();
        let policy = self.policy_health();
        let configuration = self.configuration().map(|configuration| configuration.health());
        let is_refused = configuration.as_ref().is_some_and(|found| found.status == "degraded");
        let fit = store.is_ok()
            && !sandbox.runtimes.is_empty()
            && policy.message.is_none()
            && !is_refused;
        Health {
            status: if fit { "ok" } else { "degraded" }.into(),
            version: env!("CARGO_PKG_VERSION").into(),
            sandbox,
            store: self.store_health(store),
            policy,
            configuration,
            upstreams: self.catalog.status().into_iter().map(Into::into).collect(),
        }
    }

    fn sandbox_health(&self) -> SandboxHealth {
        let runtime = |runtime: &dyn Runtime| {
            let sandbox::RuntimeHealth { engine, workers, queued } = runtime.health();
            RuntimeHealth {
                runtime_id: runtime.id().into(),
                engine: engine.as_ref().map_or("not used yet", |engine| &engine.name).into(),
                tier: engine.as_ref().map(|engine| engine.locks.tier()),
                locks: engine.map(|engine| engine.locks).unwrap_or_default(),
                workers,
                queued,
            }
        };
        let runtimes: Vec<_> = self.engine.runtimes().map(runtime).collect();
        SandboxHealth { status: if runtimes.is_empty() { "none" } else { "ok" }.into(), runtimes }
    }

    fn store_health(&self, checked: Result<(), StoreError>) -> StoreHealth {
        match checked {
            Ok(()) => StoreHealth {
                status: "ok".into(),
                tasks: Some(self.engine.unfinished_count()),
                message: None,
            },
            Err(error) => StoreHealth {
                status: "failed".into(),
                tasks: None,
                message: Some(error.to_string()),
            },
        }
    }

    fn policy_health(&self) -> PolicyHealth {
        let policy = self.policy.status();
        let problems = Some(policy.problems.join("; ")).filter(|_| !policy.problems.is_empty());
        PolicyHealth {
            status: if problems.is_none() { "ok" } else { "degraded" }.into(),
            profile: policy.profile.as_str().into(),
            revision: policy.revision,
            parked_tasks: self.waiters.parked_tasks(),
            hint: problems
                .is_some()
                .then(|| "correct the file: it is loaded as soon as it is valid".into()),
            message: problems.map(|all| format!("the last valid policy stays in force: {all}")),
        }
    }
}
