//! Result fields that a service currently refuses: default calls are sent without them, and the
//! tool's description says so.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::{base::text::cut, model::Schema};

/// How long a field that was refused is not asked for unless it is named.
const KEPT_MAX: Duration = Duration::from_secs(600);
/// Fields that are kept of one tool, and told in one sentence.
const FIELDS_MAX: usize = 100;
const TOLD_MAX: usize = 8;
/// Longest note that is kept, in bytes.
const NOTE_BYTES_MAX: usize = 500;

/// Path to a field from the response root; list indices are omitted.
pub(in crate::catalog) type FieldPath = Vec<String>;

/// What is left out of one tool's answers. Names of the service's own schema, nothing that it
/// answered.
#[derive(Debug, Default)]
pub(in crate::catalog) struct OmittedFields {
    // A plain mutex: held for a copy, and while a schema is pruned.
    kept: Mutex<Option<Kept>>,
}

#[derive(Debug)]
struct Kept {
    since: Instant,
    ways: Arc<[FieldPath]>,
    /// The schema of the result without them, where there is one.
    output: Option<Schema>,
    /// That they are, in a sentence.
    told: String,
}

impl OmittedFields {
    /// The fields that are left out now; empty where none are.
    pub(in crate::catalog) fn ways(&self) -> Arc<[FieldPath]> {
        self.of(|kept| kept.ways.clone()).unwrap_or_default()
    }

    /// The schema of the result without them; none where nothing is left out.
    pub(in crate::catalog) fn output(&self) -> Option<Schema> {
        self.of(|kept| kept.output.clone()).flatten()
    }

    /// That fields are left out, in a sentence; none where nothing is.
    pub(in crate::catalog) fn told(&self) -> Option<String> {
        self.of(|kept| kept.told.clone())
    }

    fn of<T>(&self, look: impl FnOnce(&Kept) -> T) -> Option<T> {
        let mut kept = self.kept.lock();
        if kept.as_ref().is_some_and(|kept| kept.since.elapsed() > KEPT_MAX) {
            *kept = None;
        }
        kept.as_ref().map(look)
    }

    /// These are left out too from now on; `whole` is the schema of the result with all fields,
    /// `select` the argument that names some.
    pub(in crate::catalog) fn add(&self, ways: &[FieldPath], whole: Option<&Schema>, select: &str) {
        let mut all: Vec<FieldPath> = self.ways().iter().chain(ways).cloned().collect();
        all.sort();
        all.dedup();
        all.truncate(FIELDS_MAX);
        let told = format!(
            "Left out at present, since the service refused it: {}; `{select}` asks for it by \
            name.",
            named(&all)
        );
        let output = whole.and_then(|whole| pruned(whole, &all, &told));
        let kept = Kept { since: Instant::now(), ways: all.into(), output, told };
        *self.kept.lock() = Some(kept);
    }

    /// All are asked for again.
    pub(in crate::catalog) fn clear(&self) {
        *self.kept.lock() = None;
    }
}

/// The first few of these fields, as an agent writes them.
pub(in crate::catalog) fn named(ways: &[FieldPath]) -> String {
    let mut names: Vec<String> =
        ways.iter().take(TOLD_MAX).map(|way| format!("`{}`", way.join("."))).collect();
    if let Some(more) = ways.len().checked_sub(TOLD_MAX + 1) {
        names.push(format!("{} more", more + 1));
    }
    cut(&names.join(", "), NOTE_BYTES_MAX).to_owned()
}

fn pruned(whole: &Schema, ways: &[FieldPath], told: &str) -> Option<Schema> {
    let mut schema = (*whole.value()).clone();
    let ways_here: Vec<&[String]> = ways.iter().map(Vec::as_slice).collect();
    prune(&mut schema, &ways_here);
    let before = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    let text = format!("{before} {told}");
    schema["description"] = json!(text.trim_start());
    Schema::new(&schema)
}

/// Takes what stands at these ways out of a schema of objects and lists. As deep as the schema,
/// which is bounded.
fn prune(schema: &mut Value, ways: &[&[String]]) {
    if let Some(items) = schema.get_mut("items") {
        prune(items, ways);
    }
    let mut gone: Vec<&str> = Vec::new();
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        for (name, ends) in ways
            .iter()
            .filter_map(|way| way.split_first().map(|(name, rest)| (name, rest.is_empty())))
        {
            let Some(property) = properties.get_mut(name) else { continue };
            if !ends {
                let below: Vec<&[String]> = ways
                    .iter()
                    .filter_map(|way| way.split_first().filter(|(first, _)| *first == name))
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
