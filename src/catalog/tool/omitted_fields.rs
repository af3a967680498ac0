//! Result fields that a service currently refuses: default calls are sent without them, and the
//! tool's description says so.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::{base::text::cut, model::Schema};

/// Time for which a refused field is omitted from default selections.
const OMITTED_MAX: Duration = Duration::from_secs(600);
/// Fields that are kept of one tool, and told in one sentence.
const FIELDS_MAX: usize = 100;
const NAMED_MAX: usize = 8;
/// Longest note that is kept, in bytes.
const NOTE_BYTES_MAX: usize = 500;

/// Path to a field from the response root; list indices are omitted.
pub(in crate::catalog) type FieldPath = Vec<String>;

/// Fields omitted from one tool's responses. Names of the service's own schema, nothing from its
/// responses.
#[derive(Debug, Default)]
pub(in crate::catalog) struct OmittedFields {
    // A plain mutex: held for a copy, and while a schema is pruned.
    kept: Mutex<Option<Kept>>,
}

#[derive(Debug)]
struct Kept {
    since: Instant,
    paths: Arc<[FieldPath]>,
    /// The schema of the result without them, where there is one.
    output: Option<Schema>,
    /// Sentence that names them.
    summary: String,
}

impl OmittedFields {
    /// The fields that are left out now; empty where none are.
    pub(in crate::catalog) fn paths(&self) -> Arc<[FieldPath]> {
        self.of(|kept| kept.paths.clone()).unwrap_or_default()
    }

    /// The schema of the result without them; none where nothing is left out.
    pub(in crate::catalog) fn output(&self) -> Option<Schema> {
        self.of(|kept| kept.output.clone()).flatten()
    }

    /// Sentence that names the omitted fields; none if there are none.
    pub(in crate::catalog) fn summary(&self) -> Option<String> {
        self.of(|kept| kept.summary.clone())
    }

    fn of<T>(&self, look: impl FnOnce(&Kept) -> T) -> Option<T> {
        let mut kept = self.kept.lock();
        if kept.as_ref().is_some_and(|kept| kept.since.elapsed() > OMITTED_MAX) {
            *kept = None;
        }
        kept.as_ref().map(look)
    }

    /// These are left out too from now on; `full` is the schema of the result with all fields,
    /// `select` the argument that names some.
    pub(in crate::catalog) fn add(&self, paths: &[FieldPath], full: Option<&Schema>, select: &str) {
        let mut all: Vec<FieldPath> = self.paths().iter().chain(paths).cloned().collect();
        all.sort();
        all.dedup();
        all.truncate(FIELDS_MAX);
        let summary = format!(
            "Left out at present, since the service refused it: {}; `{select}` asks for it by \
            name.",
            named(&all)
        );
        let output = full.and_then(|full| pruned(full, &all, &summary));
        let kept = Kept { since: Instant::now(), paths: all.into(), output, summary };
        *self.kept.lock() = Some(kept);
    }

    /// All are asked for again.
    pub(in crate::catalog) fn clear(&self) {
        *self.kept.lock() = None;
    }
}

/// The first few of these fields, as an agent writes them.
pub(in crate::catalog) fn named(paths: &[FieldPath]) -> String {
    let mut names: Vec<String> =
        paths.iter().take(NAMED_MAX).map(|path| format!("`{}`", path.join("."))).collect();
    if let Some(more) = paths.len().checked_sub(NAMED_MAX + 1) {
        names.push(format!("{} more", more + 1));
    }
    cut(&names.join(", "), NOTE_BYTES_MAX).to_owned()
}

fn pruned(full: &Schema, paths: &[FieldPath], summary: &str) -> Option<Schema> {
    let mut schema = (*full.value()).clone();
    let paths_here: Vec<&[String]> = paths.iter().map(Vec::as_slice).collect();
    prune(&mut schema, &paths_here);
    let before = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    let text = format!("{before} {summary}");
    schema["description"] = json!(text.trim_start());
    Schema::new(&schema)
}

/// Takes what stands at these ways out of a schema of objects and lists. As deep as the schema,
/// which is bounded.
fn prune(schema: &mut Value, paths: &[&[String]]) {
    if let Some(items) = schema.get_mut("items") {
        prune(items, paths);
    }
    let mut gone: Vec<&str> = Vec::new();
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        for (name, ends) in paths
            .iter()
            .filter_map(|path| path.split_first().map(|(name, rest)| (name, rest.is_empty())))
        {
            let Some(property) = properties.get_mut(name) else { continue };
            if !ends {
                let below: Vec<&[String]> = paths
                    .iter()
                    .filter_map(|path| path.split_first().filter(|(first, _)| *first == name))
                    .map(|(_, rest)| rest)
                    .collect();
                prune(property, &below);
            }
            if ends || is_hollow(property) {
                properties.remove(name);
                gone.push(name);
            }
        }
    }
    if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
        required.retain(|name| !name.as_str().is_some_and(|name| gone.contains(&name)));
    }
}

fn is_hollow(schema: &Value) -> bool {
    let inner = schema.get("items").unwrap_or(schema);
    inner.get("properties").and_then(Value::as_object).is_some_and(serde_json::Map::is_empty)
}

#[cfg(test)]
mod tests;
