//! Host functions in the catalog: found by the same search, described and validated like tools.
//!
//! They live in a snapshot of their own, which every caller sees whole. A path or a namespace
//! belongs to it if its first segment is reserved for the host. Performs only the functions of
//! discovery itself (`dispatch.rs`).

use std::sync::{Arc, LazyLock};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::not_found::{self, NotFound};
use crate::{
    base::{suggest, text::cut},
    catalog::{
        arguments::{self, ArgumentError},
        path,
        registry::Snapshot,
        search::nearest,
        tool::Tool,
    },
    model::{HOST_FUNCTIONS, HostFunction},
};

/// Bytes of a wrong path that an error repeats.
const GIVEN_BYTES_MAX: usize = 200;

/// The host functions as tools, in the order of the table.
static TOOLS: LazyLock<Vec<Arc<Tool>>> = LazyLock::new(|| {
    HOST_FUNCTIONS.iter().map(|function| Arc::new(Tool::of_host(function))).collect()
});

/// The search index over them, built when somebody first asks for one of their namespaces.
pub(super) static SNAPSHOT: LazyLock<Snapshot> = LazyLock::new(|| {
    Snapshot::build(TOOLS.clone()).unwrap_or_else(|error| {
        tracing::error!(%error, "the host functions could not be indexed");
        Snapshot::default()
    })
});

impl Tool {
    /// The tool that stands for a host function in search results and validation.
    pub(super) fn host(function: &HostFunction) -> &'static Arc<Self> {
        let found = TOOLS.iter().find(|tool| tool.path == function.path);
        found.expect("the tools are made from the table")
    }
}

/// Validates and parses the arguments of a host function. A string alone stands for the field of
/// its plain argument.
pub fn host_arguments<Args: DeserializeOwned>(
    function: &HostFunction,
    args: &str,
) -> Result<Args, ArgumentError> {
    let error = |message: String| ArgumentError { tool: function.path.to_owned(), message };
    let args = Value::Object(arguments::check(Tool::host(function), &spelled_out(function, args))?);
    // The schema is made from the same type, so only a mismatch between the two could fail here.
    serde_json::from_value(args).map_err(|mismatch| error(mismatch.to_string()))
}

/// The arguments as an object: `"x"` of `discover` is `{"query": "x"}`.
fn spelled_out(function: &HostFunction, args: &str) -> String {
    let text = function.plain_argument.and_then(|plain| {
        let text = serde_json::from_str::<String>(args).ok()?;
        Some(serde_json::json!({ plain.field: text }).to_string())
    });
    text.unwrap_or_else(|| args.to_owned())
}

/// Reserved first segment of a path or namespace.
pub(super) fn host_namespace(path: &str) -> Option<&'static str> {
    let first = path.split('.').next().unwrap_or(path);
    let mut namespaces = HOST_FUNCTIONS.iter().map(HostFunction::namespace);
    namespaces.find(|namespace| namespace.eq_ignore_ascii_case(first))
}

/// The host function at a path, also where the path is written as code or differs in case, `_` or
/// `-`. None if the first segment is not reserved, so that the path can only be a tool's.
pub fn host_function(given: &str) -> Result<Option<&'static HostFunction>, NotFound> {
    let path = path::plain(given);
    let Some(namespace) = host_namespace(&path) else { return Ok(None) };
    let wanted = suggest::fold(&path);
    match HOST_FUNCTIONS.iter().find(|function| suggest::fold(function.path) == wanted) {
        Some(function) => Ok(Some(function)),
        None => Err(not_found(given, &wanted, namespace)),
    }
}

fn not_found(given: &str, wanted: &str, namespace: &str) -> NotFound {
    let every = || {
        let all = HOST_FUNCTIONS.iter().filter(|function| function.namespace() == namespace);
        all.map(|function| function.path)
    };
    let is_namespace = wanted == namespace;
    // Only the last segment is compared: the namespace is right.
    let typos: Vec<&str> =
        every().filter(|path| suggest::is_typo(last(wanted), last(&suggest::fold(path)))).collect();
    let meant = match is_namespace {
        true => Vec::new(),
        false => nearest::among(cut(wanted, GIVEN_BYTES_MAX), &typos),
    };
    // They are few enough to name all.
    let nearest = if meant.is_empty() { every().collect() } else { meant };
    let nearest = nearest.into_iter().map(str::to_owned).collect();
    NotFound {
        path: cut(given, GIVEN_BYTES_MAX).to_owned(),
        nearest,
        discover: not_found::listing(namespace),
        is_namespace,
    }
}

fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}
