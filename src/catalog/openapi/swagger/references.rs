//! References that lead to where OpenAPI 3 has something else, or that are written in a way of
//! their own: into the middle of a path, a parameter or a response, or by a bare name.

use std::collections::HashMap;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use crate::catalog::openapi::read::{DEPTH_MAX, NODES_MAX};

/// Unusual references of one document.
const UNUSUAL_MAX: usize = 2_000;

/// The unusual references that lead somewhere, each with the one that is written in its place.
pub(super) fn unusual(root: &Value) -> HashMap<String, String> {
    let mut found = HashMap::new();
    gather(root, root, 0, &mut found);
    found
}

fn gather(value: &Value, root: &Value, depth: usize, found: &mut HashMap<String, String>) {
    if depth > DEPTH_MAX || found.len() >= UNUSUAL_MAX {
        return;
    }
    match value {
        Value::Array(items) => items.iter().for_each(|item| gather(item, root, depth + 1, found)),
        Value::Object(map) => {
            if let Some(Value::String(reference)) = map.get("$ref")
                && !found.contains_key(reference)
                && let Some(now) = instead(reference, root, found.len())
            {
                found.insert(reference.clone(), now);
            }
            map.values().for_each(|item| gather(item, root, depth + 1, found));
        }
        _ => {}
    }
}

/// The reference that an unusual one becomes; none where it is a usual one, or leads nowhere.
fn instead(reference: &str, root: &Value, nth: usize) -> Option<String> {
    let Some(pointer) = reference.strip_prefix("#/") else {
        // `Pet`, `definitions/Pet`, `#definitions/Pet`.
        let name = reference.trim_start_matches('#');
        let name = name.strip_prefix("definitions/").unwrap_or(name);
        let is_bare = !name.is_empty() && !name.contains(['/', '#']);
        let is_known = root.get("definitions").is_some_and(|known| known.get(name).is_some());
        return (is_bare && is_known).then(|| format!("#/definitions/{name}"));
    };
    let is_usual = match pointer.split_once('/') {
        Some(("definitions", _)) => true,
        Some(("parameters" | "responses", name)) => !name.contains('/'),
        _ => false,
    };
    if is_usual || pointed(reference, root).is_none() {
        return None;
    }
    Some(format!("#/components/schemas/{}", name(nth)))
}

fn name(nth: usize) -> String {
    format!("elsewhere:{nth}")
}

fn pointed<'a>(reference: &str, root: &'a Value) -> Option<&'a Value> {
    let pointer = reference.strip_prefix('#')?;
    root.pointer(pointer).or_else(|| root.pointer(&percent_decode_str(pointer).decode_utf8().ok()?))
}

/// What the unusual references lead to, by name; none where that is more than a document may hold.
pub(super) fn targets(
    root: &Value,
    unusual: &HashMap<String, String>,
) -> Option<Map<String, Value>> {
    let mut left = NODES_MAX;
    let mut targets = Map::new();
    for (reference, now) in unusual {
        let Some(name) = now.strip_prefix("#/components/schemas/") else { continue };
        let Some(target) = pointed(reference, root) else { continue };
        left = left.checked_sub(count(target))?;
        targets.insert(name.to_owned(), target.clone());
    }
    Some(targets)
}

fn count(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(count).sum::<usize>() + 1,
        Value::Object(map) => map.values().map(count).sum::<usize>() + 1,
        _ => 1,
    }
}
