//! The published JSON Schema of the file, for editors: made from the same types that are written,
//! with the other words that reading accepts.

use serde_json::{Value, json};

use super::PolicyFile;
use crate::base::json::unwrap_descriptions;

/// Keys that may be written in other words.
const OTHER_KEYS: &[(&str, &str, &[&str])] = &[
    ("Rule", "limit", &["rate_limit"]),
    ("Rule", "message", &["on_deny", "reason"]),
    ("Limit", "message", &["on_deny", "reason"]),
    ("Spoken", "message", &["on_deny", "reason"]),
];
/// Words that may be written in other words.
const OTHER_WORDS: &[(&str, &[(&str, &str)])] = &[
    (
        "Action",
        &[
            ("approve", "The same as `allow`."),
            ("require_approval", "The same as `ask`."),
            ("block", "The same as `deny`."),
        ],
    ),
    ("Scope", &[("grant", "The same as `principal`."), ("connection", "The same as `upstream`.")]),
];

/// The schema, as text that ends in a line break.
pub fn json_schema() -> String {
    let mut schema = schemars::schema_for!(PolicyFile).to_value();
    unwrap_descriptions(&mut schema);
    schema["title"] = "Airlock policy".into();
    for (of, key, others) in OTHER_KEYS {
        let Some(properties) =
            schema.pointer_mut(&format!("/$defs/{of}/properties")).and_then(Value::as_object_mut)
        else {
            continue;
        };
        let Some(said) = properties.get(*key).cloned() else { continue };
        for other in *others {
            let mut said = said.clone();
            said["description"] = format!("The same as `{key}`.").into();
            properties.insert((*other).to_owned(), said);
        }
    }
    for (of, others) in OTHER_WORDS {
        let Some(words) =
            schema.pointer_mut(&format!("/$defs/{of}/oneOf")).and_then(Value::as_array_mut)
        else {
            continue;
        };
        words.extend(
            others.iter().map(
                |(word, means)| json!({"description": means, "type": "string", "const": word}),
            ),
        );
    }
    let mut text = serde_json::to_string_pretty(&schema).expect("a value of JSON is JSON");
    text.push('\n');
    text
}
