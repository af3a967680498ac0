//! Performs the discovery functions and resolves paths to tools.
//!
//! This costs the server's time, not the program's. Long work therefore runs on the blocking pool,
//! a few queries at once, and callers are served in turn.

use std::{sync::Arc, time::Duration};

use super::{
    Description, Discovered, Namespaces, Outages, ToolsPage, declarations,
    error::{FindError, ResolveError},
    host_functions::{SNAPSHOT, host_arguments, host_function, host_namespace},
    limiter::CallerLimit,
    not_found::NotFound,
};
use crate::{
    base::{offload::offload, text::cut},
    catalog::{
        Catalog,
        arguments::ArgumentError,
        discovery, path,
        registry::visibility::{self, ToolFilter, Visibility},
        tool::Tool,
        upstream::{
            error::{UpstreamError, UpstreamErrorCode},
            supervisor::UpstreamSupervisor,
        },
    },
    model::{
        DescribeQuery, DiscoverQuery, DiscoveryFunction, HOST_FUNCTIONS, HostFunction,
        HostFunctionId, NamespacesQuery, RawJson, ToolsQuery,
    },
};

/// Longest wait of the discovery functions for upstreams that have never answered: a first query
/// right after the start should not find an empty catalog, and one slow upstream should not hold up
/// the others for long.
const FIND_WAIT_MAX: Duration = Duration::from_secs(5);
/// Largest declaration of all tools, in bytes.
const TYPES_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Largest arguments of a finding function, in bytes of JSON; a question has a thirtieth of it.
const ARGS_BYTES_MAX: usize = 64 * 1024;

impl Catalog {
    /// The tool at a path, also one written as code, or with other case, `_` and `-`, number of a
    /// noun or an ending such as `Api`, if only one tool can be meant and is visible. Waits for an
    /// upstream that is still being connected for the first time, at most its start timeout.
    pub async fn resolve(
        &self,
        path: &str,
        filter: &dyn ToolFilter,
    ) -> Result<Arc<Tool>, ResolveError> {
        self.seek(path, filter).await?.ok_or_else(|| self.not_found(path, filter).into())
    }

    /// The tool at a path like [`Catalog::resolve`]; none if there is no such tool, without
    /// searching for similar ones.
    pub async fn seek(
        &self,
        path: &str,
        filter: &dyn ToolFilter,
    ) -> Result<Option<Arc<Tool>>, UpstreamError> {
        if let Some(tool) = self.look_up(path, filter) {
            return Ok(Some(tool));
        }
        let Some(supervisor) = self.supervisor_of(path) else { return Ok(None) };
        supervisor.settled_first().await;
        if let Some(tool) = self.look_up(path, filter) {
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

    /// The tool that has exactly that path, or had it in the release before, for every caller.
    pub fn exact(&self, path: &str) -> Option<Arc<Tool>> {
        let snapshot = self.registry.present();
        let tool = snapshot.get(path).or_else(|| snapshot.former(path)).cloned();
        tool.filter(|tool| !self.registry.is_retired(&tool.upstream))
    }

    fn look_up(&self, path: &str, filter: &dyn ToolFilter) -> Option<Arc<Tool>> {
        let snapshot = self.registry.present();
        let path = &*path::plain(path);
        // A path never means another tool because the one that it names is hidden from the caller:
        // hidden tools count in what a path may mean, and are left out at the end.
        // Nor another upstream's, because its own has not listed its tools yet.
        let first = path.split('.').next().unwrap_or_default();
        let is_configured = self.supervisors.load().contains_key(first);
        let is_own = |tool: &&Arc<Tool>| !is_configured || *tool.upstream == *first;
        let exact = snapshot.get(path).or_else(|| snapshot.former(path));
        let meant = exact.or_else(|| {
            // Several that are alike mean none, nor what is less alike.
            match only(snapshot.alike(path).filter(is_own)) {
                Meant::None => match only(snapshot.former_alike(path).filter(is_own)) {
                    Meant::None => match only(snapshot.normalized(path).filter(is_own)) {
                        Meant::One(tool) => Some(tool),
                        _ => None,
                    },
                    Meant::One(tool) => Some(tool),
                    Meant::Several => None,
                },
                Meant::One(tool) => Some(tool),
                Meant::Several => None,
            }
        });
        meant
            // The next snapshot is without it.
            .filter(|tool| !self.registry.is_retired(&tool.upstream))
            .filter(|tool| visibility::of(filter, tool) != Visibility::Hidden)
            .cloned()
    }

    fn supervisor_of(&self, path: &str) -> Option<Arc<UpstreamSupervisor>> {
        let plain = path::plain(path);
        let first = plain.split('.').next().unwrap_or_default();
        let supervisors = self.supervisors.load();
        if let Some(exact) = supervisors.get(first) {
            return Some(exact.clone());
        }
        let first = path::normalized(first);
        supervisors
            .values()
            .find(|supervisor| path::normalized(supervisor.name()) == first)
            .cloned()
    }

    /// The error for a path without a tool, worked out on the blocking pool under the limits of
    /// [`Catalog::find_offloaded`].
    pub async fn not_found_offloaded(
        self: &Arc<Self>,
        caller: &CallerLimit,
        path: &str,
        filter: impl ToolFilter + 'static,
    ) -> NotFound {
        let (catalog, wanted) = (self.clone(), path.to_owned());
        let found = self.offloaded(caller, move || catalog.not_found(&wanted, &filter)).await;
        found.unwrap_or_else(|| NotFound {
            path: cut(path, 200).to_owned(),
            nearest: Vec::new(),
            discover: "tools.discover(\"…\")".to_owned(),
            is_namespace: false,
        })
    }

    /// Performs a discovery function by its path; none where the path is not one of theirs. Right
    /// after the start it waits up to five seconds for upstreams that have not answered yet. The
    /// result is at most 4 MiB of JSON; a larger one is an error of the arguments.
    pub async fn find(
        &self,
        path: &str,
        args: &str,
        filter: &dyn ToolFilter,
    ) -> Option<Result<RawJson, FindError>> {
        let function = HOST_FUNCTIONS.iter().find(|function| function.path == path)?;
        let HostFunctionId::Discovery(id) = function.id else { return None };
        Some(match self.parse_arguments(id, args, filter).await {
            Ok(query) => self.answer(&query, filter),
            Err(error) => Err(error),
        })
    }

    /// Performs a discovery function on the blocking pool: [`ASKED_MAX`] calls of a caller at once,
    /// and of all callers as many as half of the processors, in the order in which they came. The
    /// rest is as for [`Catalog::find`].
    pub async fn find_offloaded(
        self: &Arc<Self>,
        caller: &CallerLimit,
        id: DiscoveryFunction,
        args: &str,
        filter: impl ToolFilter + 'static,
    ) -> Result<RawJson, FindError> {
        let query = self.parse_arguments(id, args, &filter).await?;
        let catalog = self.clone();
        let failed = || ArgumentError {
            tool: path_of(id).to_owned(),
            message: "the question could not be answered".to_owned(),
        };
        self.offloaded(caller, move || catalog.answer(&query, &filter))
            .await
            .unwrap_or_else(|| Err(failed().into()))
    }

    /// Runs work on the blocking pool once the caller and the catalog have a slot for it. None if
    /// it panicked.
    async fn offloaded<T: Send + 'static>(
        &self,
        caller: &CallerLimit,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        // The semaphores are never closed. Both permits are held until the work is done, also when
        // nobody waits for it any more.
        let own = caller.0.clone().acquire_owned().await.ok()?;
        let slot = self.query_slots.clone().acquire_owned().await.ok()?;
        let done = offload(move || {
            let _permits = (own, slot);
            work()
        });
        done.await
            .inspect_err(|error| tracing::error!(%error, "a question about tools was not answered"))
            .ok()
    }

    /// Parses the arguments, and waits until the upstreams that they are about have answered, as
    /// far as waiting helps.
    async fn parse_arguments(
        &self,
        id: DiscoveryFunction,
        args: &str,
        filter: &dyn ToolFilter,
    ) -> Result<Query, FindError> {
        let function = HostFunction::of(HostFunctionId::Discovery(id));
        if args.len() > ARGS_BYTES_MAX {
            let message = format!(
                "the arguments of `tools.{}` are {} bytes; the limit is {ARGS_BYTES_MAX}",
                function.path,
                args.len()
            );
            return Err(ArgumentError { tool: function.path.to_owned(), message }.into());
        }
        let query = match id {
            DiscoveryFunction::Discover => Query::Discover(host_arguments(function, args)?),
            DiscoveryFunction::Namespaces => Query::Namespaces(host_arguments(function, args)?),
            DiscoveryFunction::Tools => Query::Tools(host_arguments(function, args)?),
            DiscoveryFunction::Describe => Query::Describe(host_arguments(function, args)?),
        };
        match query.host_namespace() {
            // Of the host's own functions everything is known.
            Some(_) => {}
            None => match &query {
                Query::Describe(query) => {
                    drop(self.seek(&query.path, filter).await.map_err(ResolveError::from)?);
                }
                _ => self.listed().await,
            },
        }
        Ok(query)
    }

    fn answer(&self, query: &Query, filter: &dyn ToolFilter) -> Result<RawJson, FindError> {
        if query.host_namespace().is_some() {
            return answer_about_host(query);
        }
        match query {
            Query::Discover(query) => {
                let namespace = self.namespace("discover", query.namespace.as_deref(), filter)?;
                let query = DiscoverQuery { namespace, ..query.clone() };
                raw("discover", &self.discover(&query, filter)?)
            }
            Query::Namespaces(query) => raw("catalog.namespaces", &self.namespaces(query, filter)),
            Query::Tools(query) => {
                let namespace =
                    self.namespace("catalog.tools", query.namespace.as_deref(), filter)?;
                let query = ToolsQuery { namespace, ..query.clone() };
                raw("catalog.tools", &self.tools(&query, filter)?)
            }
            Query::Describe(query) => {
                raw("describe", &self.described(&query.path, filter).map_err(ResolveError::from)?)
            }
        }
    }

    /// The tools that match a question. Fails when their schemas were asked for and are more than 4
    /// MiB.
    pub fn discover(
        &self,
        query: &DiscoverQuery,
        filter: &dyn ToolFilter,
    ) -> Result<Discovered, ArgumentError> {
        let found = discovery::discover(&self.registry.present(), filter, &self.outages(), query);
        let is_empty = self.supervisors().is_empty() && !self.empty_note.is_empty();
        let note = is_empty.then(|| self.empty_note.clone());
        let found = found.ok_or_else(|| too_much_found("discover"))?;
        Ok(Discovered { note, ..found })
    }

    /// Waits until every upstream's tools are known, if only from the cache, or it failed; tools
    /// that are not known in time are left out.
    async fn listed(&self) {
        let supervisors = self.supervisors.load_full();
        let all =
            futures::future::join_all(supervisors.values().map(|supervisor| supervisor.listed()));
        let _ = tokio::time::timeout(FIND_WAIT_MAX, all).await;
    }

    /// Every tool, sorted by path, whatever callers may see: for the owner. Right after the start
    /// it waits up to five seconds for upstreams that have not answered yet.
    pub async fn all(&self) -> Vec<Arc<Tool>> {
        self.listed().await;
        self.registry.present().tools().to_vec()
    }

    /// The namespaces with a visible tool.
    pub fn namespaces(&self, query: &NamespacesQuery, filter: &dyn ToolFilter) -> Namespaces {
        discovery::namespaces(&self.registry.present(), filter, &self.outages(), query)
    }

    /// A page of tools. Fails on a cursor that is not one of ours.
    pub fn tools(
        &self,
        query: &ToolsQuery,
        filter: &dyn ToolFilter,
    ) -> Result<ToolsPage, ArgumentError> {
        discovery::tools(&self.registry.present(), filter, &self.outages(), query)
            .ok_or_else(invalid_cursor)
    }

    /// Describes one tool, its TypeScript declaration included.
    pub async fn describe(
        &self,
        path: &str,
        filter: &dyn ToolFilter,
    ) -> Result<Description, ResolveError> {
        self.seek(path, filter).await?;
        Ok(self.described(path, filter)?)
    }

    fn described(&self, path: &str, filter: &dyn ToolFilter) -> Result<Description, NotFound> {
        let found = self
            .look_up(path, filter)
            .and_then(|tool| discovery::describe(&tool, filter, &self.outages()));
        found.ok_or_else(|| self.not_found(path, filter))
    }

    /// TypeScript declarations of all tools, or of those of a namespace; they extend the runtime's
    /// own. At most 64 MiB, more is a fault of the arguments. Waits, like finding, for upstreams
    /// that have not answered yet. Takes a while: a millisecond for some tens of tools.
    pub async fn types(
        &self,
        namespace: Option<&str>,
        filter: &dyn ToolFilter,
    ) -> Result<String, ArgumentError> {
        self.listed().await;
        let namespace = self.namespace("types", namespace, filter)?;
        let namespace = namespace.as_deref();
        let snapshot = self.registry.present();
        let inside = |tool: &&Arc<Tool>| {
            namespace.is_none_or(|namespace| path::is_within(&tool.path, namespace))
        };
        let tools = snapshot
            .tools()
            .iter()
            .filter(inside)
            .filter(|tool| visibility::of(filter, tool) != Visibility::Hidden);
        declarations::all(tools, filter.workspace(), TYPES_BYTES_MAX).ok_or_else(|| ArgumentError {
            tool: "types".to_owned(),
            message: format!(
                "the declarations are larger than {TYPES_BYTES_MAX} bytes; ask for \
                one `namespace` at a time"
            ),
        })
    }
}

/// What a path may mean.
enum Meant<'a> {
    None,
    One(&'a Arc<Tool>),
    Several,
}

fn only<'a>(mut tools: impl Iterator<Item = &'a Arc<Tool>>) -> Meant<'a> {
    match (tools.next(), tools.next()) {
        (None, _) => Meant::None,
        (Some(tool), None) => Meant::One(tool),
        (Some(_), Some(_)) => Meant::Several,
    }
}

/// The parsed arguments of a discovery function.
enum Query {
    Discover(DiscoverQuery),
    Namespaces(NamespacesQuery),
    Tools(ToolsQuery),
    Describe(DescribeQuery),
}

impl Query {
    /// The host's own namespace that it is about; none if it is about tools.
    fn host_namespace(&self) -> Option<&'static str> {
        let named = match self {
            Self::Discover(query) => query.namespace.as_deref()?,
            Self::Namespaces(_) => return None,
            Self::Tools(query) => query.namespace.as_deref()?,
            Self::Describe(query) => &query.path,
        };
        host_namespace(&path::plain(named))
    }
}

/// Answers about host functions with the same search as about tools. Every caller sees all.
fn answer_about_host(query: &Query) -> Result<RawJson, FindError> {
    let (filter, outages) = (|_: &Tool| Visibility::Auto, Outages::new());
    let plain = |namespace: &Option<String>| {
        namespace.as_deref().map(|namespace| path::plain(namespace).into_owned())
    };
    match query {
        Query::Discover(query) => {
            let query = DiscoverQuery { namespace: plain(&query.namespace), ..query.clone() };
            let found = discovery::discover(&SNAPSHOT, &filter, &outages, &query);
            raw("discover", &found.ok_or_else(|| too_much_found("discover"))?)
        }
        Query::Namespaces(query) => {
            raw("catalog.namespaces", &discovery::namespaces(&SNAPSHOT, &filter, &outages, query))
        }
        Query::Tools(query) => {
            let query = ToolsQuery { namespace: plain(&query.namespace), ..query.clone() };
            let page = discovery::tools(&SNAPSHOT, &filter, &outages, &query);
            raw("catalog.tools", &page.ok_or_else(invalid_cursor)?)
        }
        Query::Describe(query) => {
            let found = host_function(&query.path).map_err(ResolveError::from)?;
            let described =
                found.and_then(|found| discovery::describe(Tool::host(found), &filter, &outages));
            raw("describe", &described)
        }
    }
}

fn path_of(id: DiscoveryFunction) -> &'static str {
    HostFunction::of(HostFunctionId::Discovery(id)).path
}

fn invalid_cursor() -> ArgumentError {
    let message = "field `cursor` must be the `nextCursor` of the page before, asked with the \
        same `query` and `namespace`";
    ArgumentError { tool: "catalog.tools".to_owned(), message: message.to_owned() }
}

/// The answer as JSON, within its bound.
fn raw<T: serde::Serialize>(function: &str, answer: &T) -> Result<RawJson, FindError> {
    let mut text = Bounded(Vec::new());
    // Answers are structs with string keys, which always serialise; only the bound can stop it.
    serde_json::to_writer(&mut text, answer).map_err(|_| too_much_found(function))?;
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
        "the response of `tools.{function}` is larger than {} bytes; ask for fewer results with \
        `limit`, or without schemas",
        discovery::FOUND_BYTES_MAX
    );
    ArgumentError { tool: function.to_owned(), message }
}

#[cfg(test)]
mod tests;
