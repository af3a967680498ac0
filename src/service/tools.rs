//! Tools, as the owner's own commands ask for them, and how the server is.

use serde_json::json;
use tokio::sync::watch;

use super::{Health, Kind, Service, ServiceError, ToolList};
use crate::{
    catalog::{FindError, NamespacesQuery, View, Visibility},
    model::RawJson,
};

/// What the owner may see of each tool: everything.
const VIEW: View<'static> = &|_| Visibility::Auto;
/// Namespaces that the description of `execute` may name.
const NAMESPACES_MAX: u32 = 200;

impl Service {
    /// A page of tools, as `tools.catalog.tools` answers.
    pub async fn tools(&self, request: ToolList) -> Result<RawJson, ServiceError> {
        let args = serde_json::to_string(&request).expect("strings and numbers only");
        self.find("catalog.tools", &args).await
    }

    /// One tool, as `tools.describe` answers.
    pub async fn tool(&self, path: &str) -> Result<RawJson, ServiceError> {
        self.find("describe", &json!({ "path": path }).to_string()).await
    }

    /// The namespaces and how many tools each has, in a stable order.
    pub fn namespaces(&self) -> Vec<(String, usize)> {
        let found = self.catalog.namespaces(&NamespacesQuery { limit: Some(NAMESPACES_MAX) }, VIEW);
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
        let fit = store.is_ok() && !runtimes.is_empty();
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
            upstreams: json!(upstreams),
        }
    }

    async fn find(&self, function: &str, args: &str) -> Result<RawJson, ServiceError> {
        let found = self.catalog.find(function, args, VIEW).await.expect("it is one of the finding functions");
        found.map_err(|error| match error {
            FindError::Arguments(error) => ServiceError::invalid("bad_argument", error.to_string()),
            FindError::Unresolved(error) => ServiceError::new(Kind::NotFound, "tool_not_found", error.to_string()),
        })
    }
}
