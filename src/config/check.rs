//! Compares what was written with the [`Shape`] and says, for each thing that does not fit, what
//! would.

use jsonschema::{ValidationError, error::ValidationErrorKind, paths::LocationSegment};
use serde_json::Value;

use super::{error::Problem, shape::Shape, source::Layers};
use crate::base::suggest::nearest;

/// Characters of a refused value that a message repeats.
const SHOWN_CHARS: usize = 80;

/// Finds what does not fit and takes it out of the layers, so that the rest can be judged further.
pub(super) fn check(layers: &mut Layers, shape: &Shape) -> Vec<Problem> {
    let mut problems = vec![];
    let validator = jsonschema::validator_for(shape.schema())
        .expect("the schema is made from our own types and is valid");
    let written = Value::Object(layers.tree.clone());
    let mut refused = vec![];
    for error in validator.iter_errors(&written) {
        for (path, message) in explain(&error, shape) {
            problems.push(Problem { origin: layers.origin(&path), message });
            refused.push(path);
        }
    }
    for path in refused {
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
    // A secret's own parts are not told apart: `upstreams.x.env.TOKEN` is the key, whatever is
    // inside it.
    let secret = holds_secret(&path);
    let is_auth = path.get(2).is_some_and(|key| key == "auth");
    path.truncate(match (secret, is_auth) {
        (true, true) => 3,
        (true, false) => 4,
        (false, _) => path.len(),
    });
    let allowed = shape.at(&path).map_or_else(String::new, |shape| shape.allowed());
    let shown =
        if secret { "does not fit".into() } else { format!("is {}", shown(error.instance())) };
    let message = format!("`{}` {shown}; allowed: {allowed}", path.join("."));
    vec![(path, message)]
}

fn unknown(path: &[String], key: &str, keys: &[String]) -> (Vec<String>, String) {
    let full = [path, &[key.to_owned()]].concat();
    let prefix = if path.is_empty() { String::new() } else { format!("{}.", path.join(".")) };
    let hint = match nearest(key, keys.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{prefix}{near}`?"),
        None => format!(
            "known here: {}",
            keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")
        ),
    };
    (full.clone(), format!("unknown key `{}`; {hint}", full.join(".")))
}

/// Whether values at this path are kept out of messages.
pub(super) fn holds_secret(path: &[String]) -> bool {
    path.first().is_some_and(|section| section == "upstreams")
        && path.get(2).is_some_and(|key| {
            matches!(
                key.as_str(),
                "env" | "headers" | "auth" | "accounts" | "url" | "base_url" | "spec" | "args"
            )
        })
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text,
    }
}
