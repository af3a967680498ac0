//! Answers the finding functions and resolves paths to tools.
//!
//! This costs the server's time, not the program's. Long work therefore runs on the blocking pool,
//! a few questions at once, and callers take turns.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use serde_json::Value;

use super::{
    DescribeQuery, Description, DiscoverQuery, Discovered, Namespaces, NamespacesQuery, ToolsPage,
    ToolsQuery, declarations,
    error::{FindError, ResolveError},
    limiter::CallerLimit,
    not_found::NotFound,
};
use crate::{
    base::{offload::offload, text::cut},
    catalog::{
        Catalog,
        arguments::{self, ArgumentError},
        discovery, path,
        registry::visibility::{self, ToolFilter, View, Visibility},
        tool::Tool,
        upstream::{
            error::{UpstreamError, UpstreamErrorCode},
            supervisor::UpstreamSupervisor,
        },
    },
    model::RawJson,
};

/// How long the finding functions wait for upstreams that have never answered yet: a first question
/// right after the start should not find an empty catalog, and one slow upstream should not hold up
/// the others for long.
const FIND_WAIT_MAX: Duration = Duration::from_secs(5);
/// Largest declaration of all tools, in bytes.
const TYPES_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Largest arguments of a finding function, in bytes of JSON; a question has a thirtieth of it.
const ARGS_BYTES_MAX: usize = 64 * 1024;

impl Catalog {
    /// The tool at a path, also at one that is written as code; and when case, `_` and `-`, the
    /// number of a noun or an ending such as `Api` are off and only one visible tool can be meant.
    /// Waits for an upstream that is still being connected for the first time, at most its start
    /// timeout.
    pub async fn resolve(&self, path: &str, view: View<'_>) -> Result<Arc<Tool>, ResolveError> {
        self.seek(path, view).await?.ok_or_else(|| self.not_found(path, view).into())
    }

    /// The same; none where there is no such tool, without the work of finding those that are like
    /// it.
    pub async fn seek(
        &self,
        path: &str,
        view: View<'_>,
    ) -> Result<Option<Arc<Tool>>, UpstreamError> {
        if let Some(tool) = self.look_up(path, view) {
            return Ok(Some(tool));
        }
        let Some(supervisor) = self.supervisor_of(path) else { return Ok(None) };
        supervisor.settled().await;
        if let Some(tool) = self.look_up(path, view) {
            return Ok(Some(tool));
        }
        match supervisor.outage().filter(|_| !self.registry.present().offers(supervisor.name())) {
            None => Ok(None),
            Some(message) => {
                let tool = cut(path, 200).to_owned();
                let code = UpstreamErrorCode::Unavailable;
                Err(UpstreamError { code, tool, status: None, retryable: true, message })
            }
        }
    }

    /// The tool of exactly that path, whoever may see it.
    pub fn exact(&self, path: &str) -> Option<Arc<Tool>> {
        self.registry.present().get(path).cloned()
    }

    fn look_up(&self, path: &str, view: View<'_>) -> Option<Arc<Tool>> {
        let snapshot = self.registry.present();
        let path = &*path::plain(path);
        let is_visible = |tool: &&Arc<Tool>| visibility::of(view, tool) != Visibility::Hidden;
        if let Some(tool) = snapshot.get(path).filter(is_visible) {
            return Some(tool.clone());
        }
        let mut alike = snapshot.alike(path).filter(is_visible);
        match (alike.next(), alike.next()) {
            (Some(only), None) => return Some(only.clone()),
            (Some(_), Some(_)) => return None,
            (None, _) => {}
        }
        let mut normalized = snapshot.normalized(path).filter(is_visible);
        match (normalized.next(), normalized.next()) {
            (Some(only), None) => Some(only.clone()),
            _ => None,
        }
    }

    fn supervisor_of(&self, path: &str) -> Option<&UpstreamSupervisor> {
        let first = path::normalized(path::plain(path).split('.').next().unwrap_or_default());
        self.supervisors
            .values()
            .find(|supervisor| path::normalized(supervisor.name()) == first)
            .map(Arc::as_ref)
    }

    /// What there is no tool at a path means for who asked for it: as [`Catalog::find_aside`].
    pub async fn absent_aside(
        self: &Arc<Self>,
        caller: &CallerLimit,
        path: &str,
        view: impl ToolFilter + 'static,
    ) -> NotFound {
        let (catalog, wanted) = (self.clone(), path.to_owned());
        let told = self.aside(caller, move || catalog.not_found(&wanted, &view)).await;
        told.unwrap_or_else(|| NotFound {
            path: cut(path, 200).to_owned(),
            nearest: Vec::new(),
            discover: "tools.discover(\"…\")".to_owned(),
            is_namespace: false,
        })
    }

    /// Answers a finding function: `discover`, `catalog.namespaces`, `catalog.tools` or `describe`,
    /// with or without a text for its one argument. None when the path is not one of these. Right
    /// after the start it waits up to five seconds for upstreams that have not answered yet. An
    /// answer is at most 4 MiB of JSON, a larger one is a fault of the arguments.
    pub async fn find(
        &self,
        path: &str,
        args: &str,
        view: View<'_>,
    ) -> Option<Result<RawJson, FindError>> {
        let function = FUNCTIONS.iter().find(|function| function.path == path)?;
        Some(match self.parse_arguments(function, args, view).await {
            Ok(args) => self.answer(function, args, view),
            Err(error) => Err(error),
        })
    }

    /// The same beside the runtime's threads: an asker's calls wait for each other, [`ASKED_MAX`]
    /// at once, and all askers' for a place among as many as half of the processors, in turn.
    pub async fn find_aside(
        self: &Arc<Self>,
        caller: &CallerLimit,
        path: &str,
        args: &str,
        view: impl ToolFilter + 'static,
    ) -> Option<Result<RawJson, FindError>> {
        let function = FUNCTIONS.iter().find(|function| function.path == path)?;
        let args = match self.parse_arguments(function, args, &view).await {
            Ok(args) => args,
            Err(error) => return Some(Err(error)),
        };
        let catalog = self.clone();
        let failed = || ArgumentError {
            tool: path.to_owned(),
            message: "the question could not be answered".to_owned(),
        };
        Some(
            self.aside(caller, move || catalog.answer(function, args, &view))
                .await
                .unwrap_or_else(|| Err(failed().into())),
        )
    }

    /// Does work of the catalog's own when it is the asker's turn. None where it failed.
    async fn aside<T: Send + 'static>(
        &self,
        caller: &CallerLimit,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        // The semaphores are never closed. Both places are held until the work is done, also when
        // nobody waits for it any more.
        let own = caller.0.clone().acquire_owned().await.ok()?;
        let place = self.query_slots.clone().acquire_owned().await.ok()?;
        let done = offload(move || {
            let _places = (own, place);
            work()
        });
        done.await
            .inspect_err(|error| tracing::error!(%error, "a question about tools was not answered"))
            .ok()
    }

    /// The arguments, once they fit and what is asked about is known, as far as waiting for it
    /// helps.
    async fn parse_arguments(
        &self,
        function: &Tool,
        args: &str,
        view: View<'_>,
    ) -> Result<Value, FindError> {
        if args.len() > ARGS_BYTES_MAX {
            let message = format!(
                "the arguments of `tools.{}` have {} bytes, allowed are {ARGS_BYTES_MAX}",
                function.path,
                args.len()
            );
            return Err(ArgumentError { tool: function.path.clone(), message }.into());
        }
        let args = Value::Object(arguments::check(function, &spelled_out(&function.path, args))?);
        match (function.path.as_str(), args.get("path").and_then(Value::as_str)) {
            ("describe", path) => {
                drop(self.seek(path.unwrap_or_default(), view).await.map_err(ResolveError::from)?)
            }
            _ => self.listed().await,
        }
        Ok(args)
    }

    fn answer(&self, function: &Tool, args: Value, view: View<'_>) -> Result<RawJson, FindError> {
        // The schema that the arguments were checked against is made of the same type.
        let unfit = |error: serde_json::Error| ArgumentError {
            tool: function.path.clone(),
            message: error.to_string(),
        };
        match function.path.as_str() {
            "discover" => {
                let mut query: DiscoverQuery = serde_json::from_value(args).map_err(unfit)?;
                query.namespace =
                    self.namespace(&function.path, query.namespace.as_deref(), view)?;
                raw(function, &self.discover(&query, view)?)
            }
            "catalog.namespaces" => {
                raw(function, &self.namespaces(&serde_json::from_value(args).map_err(unfit)?, view))
            }
            "catalog.tools" => {
                let mut query: ToolsQuery = serde_json::from_value(args).map_err(unfit)?;
                query.namespace =
                    self.namespace(&function.path, query.namespace.as_deref(), view)?;
                raw(function, &self.tools(&query, view)?)
            }
            _ => {
                let query: DescribeQuery = serde_json::from_value(args).map_err(unfit)?;
                raw(function, &self.described(&query.path, view).map_err(ResolveError::from)?)
            }
        }
    }

    /// The tools that match a question. Fails when their schemas were asked for and are more than 4
    /// MiB.
    pub fn discover(
        &self,
        query: &DiscoverQuery,
        view: View<'_>,
    ) -> Result<Discovered, ArgumentError> {
        discovery::discover(&self.registry.present(), view, &self.outages(), query)
            .ok_or_else(|| too_much_found("discover"))
    }

    /// Waits until every upstream's tools are known, if only from before, or it failed; what is not
    /// known in time is not told.
    async fn listed(&self) {
        let all = futures::future::join_all(
            self.supervisors.values().map(|supervisor| supervisor.listed()),
        );
        let _ = tokio::time::timeout(FIND_WAIT_MAX, all).await;
    }

    /// Every tool there is, sorted by path, whoever may see it: for the owner's questions. Right
    /// after the start it waits up to five seconds for upstreams that have not answered yet.
    pub async fn all(&self) -> Vec<Arc<Tool>> {
        self.listed().await;
        self.registry.present().tools().to_vec()
    }

    /// The namespaces with a visible tool.
    pub fn namespaces(&self, query: &NamespacesQuery, view: View<'_>) -> Namespaces {
        discovery::namespaces(&self.registry.present(), view, &self.outages(), query)
    }

    /// A page of tools. Fails on a cursor that is not one of ours.
    pub fn tools(&self, query: &ToolsQuery, view: View<'_>) -> Result<ToolsPage, ArgumentError> {
        discovery::tools(&self.registry.present(), view, &self.outages(), query).ok_or_else(|| {
            ArgumentError {
                tool: "catalog.tools".to_owned(),
                message:
                    "field `cursor` must be the `nextCursor` of the page before, asked with the \
                same `query` and `namespace`"
                        .to_owned(),
            }
        })
    }

    /// Everything about one tool, its TypeScript declaration included.
    pub async fn describe(&self, path: &str, view: View<'_>) -> Result<Description, ResolveError> {
        self.seek(path, view).await?;
        Ok(self.described(path, view)?)
    }

    fn described(&self, path: &str, view: View<'_>) -> Result<Description, NotFound> {
        let found = self
            .look_up(path, view)
            .and_then(|tool| discovery::describe(&tool, view, &self.outages()));
        found.ok_or_else(|| self.not_found(path, view))
    }

    /// TypeScript declarations of all tools, or of those of a namespace; they extend the runtime's
    /// own. At most 64 MiB, more is a fault of the arguments. Waits, like finding, for upstreams
    /// that have not answered yet. Takes a while: a millisecond for some tens of tools.
    pub async fn types(
        &self,
        namespace: Option<&str>,
        view: View<'_>,
    ) -> Result<String, ArgumentError> {
        self.listed().await;
        let namespace = self.namespace("types", namespace, view)?;
        let namespace = namespace.as_deref();
        let snapshot = self.registry.present();
        let inside = |tool: &&Arc<Tool>| {
            namespace.is_none_or(|namespace| path::is_within(&tool.path, namespace))
        };
        let tools = snapshot
            .tools()
            .iter()
            .filter(inside)
            .filter(|tool| visibility::of(view, tool) != Visibility::Hidden);
        declarations::all(tools, view.workspace(), TYPES_BYTES_MAX).ok_or_else(|| ArgumentError {
            tool: "types".to_owned(),
            message: format!(
                "the declarations are larger than {TYPES_BYTES_MAX} bytes; ask for \
                one `namespace` at a time"
            ),
        })
    }
}

/// The finding functions, as tools that are checked like any other.
pub(super) static FUNCTIONS: LazyLock<Vec<Tool>> = LazyLock::new(|| {
    vec![
        Tool::own::<DiscoverQuery>("discover"),
        Tool::own::<NamespacesQuery>("catalog.namespaces"),
        Tool::own::<ToolsQuery>("catalog.tools"),
        Tool::own::<DescribeQuery>("describe"),
    ]
});

/// A text alone stands for the field that matters: `discover("x")` is `discover({ query: "x" })`.
pub(super) fn spelled_out(function: &str, args: &str) -> String {
    let field = match function {
        "discover" => "query",
        "describe" => "path",
        _ => return args.to_owned(),
    };
    match serde_json::from_str::<String>(args) {
        Ok(text) => serde_json::json!({ field: text }).to_string(),
        Err(_) => args.to_owned(),
    }
}

/// The answer as JSON, within its bound.
pub(in crate::catalog) fn raw<T: serde::Serialize>(
    function: &Tool,
    answer: &T,
) -> Result<RawJson, FindError> {
    let mut text = Bounded(Vec::new());
    // Answers are structs with string keys, which always serialise; only the bound can stop it.
    serde_json::to_writer(&mut text, answer).map_err(|_| too_much_found(&function.path))?;
    let text = String::from_utf8(text.0).expect("JSON is UTF-8");
    Ok(serde_json::value::RawValue::from_string(text).expect("it was serialised a moment ago"))
}

/// A text of at most [`discovery::FOUND_BYTES_MAX`] bytes.
struct Bounded(Vec<u8>);

impl std::io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len() + bytes.len() > discovery::FOUND_BYTES_MAX {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn too_much_found(function: &str) -> ArgumentError {
    let message = format!(
        "the answer of `tools.{function}` is larger than {} bytes; ask for fewer results with \
        `limit`, or without schemas",
        discovery::FOUND_BYTES_MAX
    );
    ArgumentError { tool: function.to_owned(), message }
}

#[cfg(test)]
mod tests;
