//! Published JSON Schema of policy files, for editors: derived from the types of the file format,
//! plus the aliases that reading accepts.

use serde_json::{Value, json};

use super::policy_file::PolicyFile;
use crate::base::json::unwrap_descriptions;

/// Aliases of keys: the type, its key and the aliases.
const KEY_ALIASES: &[(&str, &str, &[&str])] = &[
    ("Rule", "limit", &["rate_limit"]),
    ("Rule", "message", &["on_deny", "reason"]),
    ("Limit", "message", &["on_deny", "reason"]),
    ("ConditionGroup", "message", &["on_deny", "reason"]),
];
/// Aliases of enum values: the type, and each alias with its description.
const VALUE_ALIASES: &[(&str, &[(&str, &str)])] = &[
    (
        "Action",
        &[
            ("approve", "Alias of `allow`."),
            ("require_approval", "Alias of `ask`."),
            ("block", "Alias of `deny`."),
        ],
    ),
    ("Scope", &[("grant", "Alias of `principal`."), ("connection", "Alias of `upstream`.")]),
];

/// Returns the schema as pretty-printed JSON that ends in a line break.
pub fn json_schema() -> String {
    let mut schema = schemars::schema_for!(PolicyFile).to_value();
    unwrap_descriptions(&mut schema);
    schema["title"] = "Airlock policy".into();
    for (definition, key, aliases) in KEY_ALIASES {
        let Some(properties) = schema
            .pointer_mut(&format!("/$defs/{definition}/properties"))
            .and_then(Value::as_object_mut)
        else {
            continue;
        };
        let Some(property) = properties.get(*key).cloned() else { continue };
        for alias in *aliases {
            let mut property = property.clone();
            property["description"] = format!("Alias of `{key}`.").into();
            properties.insert((*alias).to_owned(), property);
        }
    }
    for (definition, aliases) in VALUE_ALIASES {
        let Some(values) =
            schema.pointer_mut(&format!("/$defs/{definition}/oneOf")).and_then(Value::as_array_mut)
        else {
            continue;
        };
        values.extend(aliases.iter().map(|(alias, description)| {
            json!({"description": description, "type": "string", "const": alias})
        }));
    }
    let mut text = serde_json::to_string_pretty(&schema).expect("a value of JSON is JSON");
    text.push('\n');
    text
}
