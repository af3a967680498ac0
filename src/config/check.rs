//! Checks the merged layers against the [`Shape`] and describes, for each problem, the allowed
//! values.

use jsonschema::{ValidationError, error::ValidationErrorKind, paths::LocationSegment};
use serde_json::Value;

use super::{error::Problem, shape::Shape, source::Layers};
use crate::base::{suggest::nearest, text::quoted};

/// Longest preview of an invalid value in a message, in characters.
const PREVIEW_CHARS_MAX: usize = 80;

/// Returns all problems and removes the invalid keys, so that the rest can be resolved.
pub(super) fn check(layers: &mut Layers, shape: &Shape) -> Vec<Problem> {
    let mut problems = vec![];
    let validator = jsonschema::validator_for(shape.schema())
        .expect("the schema is generated from our own types and is valid");
    let merged = Value::Object(layers.tree.clone());
    let mut invalid = vec![];
    for error in validator.iter_errors(&merged) {
        for (path, message) in explain(&error, shape) {
            problems.push(Problem { origin: layers.origin(&path), message });
            invalid.push(path);
        }
    }
    for path in invalid {
        layers.remove(&path);
    }
    problems
}

fn explain(error: &ValidationError<'_>, shape: &Shape) -> Vec<(Vec<String>, String)> {
    let mut path: Vec<String> = error
        .instance_path()
        .iter()
        .map_while(|segment| match segment {
            LocationSegment::Property(name) => Some(name.into_owned()),
            LocationSegment::Index(_) => None,
        })
        .collect();
    if let ValidationErrorKind::AdditionalProperties { unexpected } = error.kind() {
        let keys = shape.at(&path).map(|shape| shape.keys()).unwrap_or_default();
        return unexpected.iter().map(|key| unknown(&path, key, &keys)).collect();
    }
    // The parts of a secret are not named: the key is `upstreams.x.env.TOKEN`, whatever it
    // contains.
    let secret = holds_secret(&path);
    let is_auth = path.get(2).is_some_and(|key| key == "auth");
    path.truncate(match (secret, is_auth) {
        (true, true) => 3,
        (true, false) => 4,
        (false, _) => path.len(),
    });
    let allowed = shape.at(&path).map_or_else(String::new, |shape| shape.allowed());
    let found =
        if secret { "is not valid".into() } else { format!("is {}", preview(error.instance())) };
    let message = format!("`{}` {found}; allowed: {allowed}", path.join("."));
    vec![(path, message)]
}

fn unknown(path: &[String], key: &str, keys: &[String]) -> (Vec<String>, String) {
    let full = [path, &[key.to_owned()]].concat();
    let prefix = if path.is_empty() { String::new() } else { format!("{}.", path.join(".")) };
    let hint = match nearest(key, keys.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{prefix}{near}`?"),
        None => format!("the known keys are {}", quoted(keys)),
    };
    (full.clone(), format!("unknown key `{}`; {hint}", full.join(".")))
}

/// Returns true if values at this path must not appear in messages.
pub(super) fn holds_secret(path: &[String]) -> bool {
    path.first().is_some_and(|section| section == "upstreams")
        && path.get(2).is_some_and(|key| {
            matches!(
                key.as_str(),
                "env" | "headers" | "auth" | "accounts" | "url" | "base_url" | "spec" | "args"
            )
        })
}

fn preview(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(PREVIEW_CHARS_MAX) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text,
    }
}
