//! Lists the configuration in force for display: each key with its value and its origin. Secrets
//! are masked.

use serde::Serialize;
use serde_json::Value;

use super::{check::holds_secret, error::Origin, keys::Keys, resolved::Store, source::Layers};
use crate::base::digest::sha256;

/// One key with its value in force.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Setting {
    /// Key: `limits.heap_mb`.
    pub key: String,
    /// Value; `"[secret]"` if it may be a secret.
    pub value: Value,
    /// Origin: `default`, a file with the line, a variable or a flag.
    pub origin: String,
    /// Digest of the value itself, to find changes of values that are not shown.
    #[serde(skip)]
    pub(super) digest: String,
}

pub(super) fn settings(keys: &Keys, store: &Store, layers: &Layers) -> Vec<Setting> {
    let mut tree = serde_json::to_value(keys).expect("the keys are plain data with string keys");
    tree["store"]["url"] = format!("sqlite://{}", store.path.display()).into();
    let mut settings = vec![];
    walk(&tree, &mut vec![], layers, &mut settings);
    settings
}

fn walk(node: &Value, path: &mut Vec<String>, layers: &Layers, settings: &mut Vec<Setting>) {
    let inner = node
        .as_object()
        .filter(|table| !(table.is_empty() || holds_secret(path) && path.len() > 3));
    if let Some(table) = inner {
        for (key, value) in table {
            path.push(key.clone());
            walk(value, path, layers, settings);
            path.pop();
        }
        return;
    }
    let empty = node.as_object().is_some_and(serde_json::Map::is_empty)
        || node.as_array().is_some_and(Vec::is_empty);
    let value = if holds_secret(path) && !empty { masked(node, path) } else { node.clone() };
    let origin = if layers.is_set(path) { layers.origin(path) } else { Origin::Default };
    let digest = sha256(node.to_string().as_bytes());
    settings.push(Setting { key: path.join("."), value, origin: origin.to_string(), digest });
}

/// Masks a value: URLs keep everything but their query, references to secrets stay, everything else
/// is hidden.
fn masked(value: &Value, path: &[String]) -> Value {
    match (value, path.get(2).map(String::as_str)) {
        (Value::String(url), Some("url" | "base_url" | "spec")) => {
            url.split(['?', '#']).next().unwrap_or_default().into()
        }
        (Value::Array(_), Some("args")) => value.clone(),
        _ => without_secrets(value),
    }
}

/// Keys of a credential that are not secret.
const PUBLIC_KEYS: [&str; 14] = [
    "user",
    "header",
    "query",
    "cookie",
    "field",
    "grant",
    "client_id",
    "scopes",
    "issuer",
    "authorization_url",
    "token_url",
    "resource",
    "redirect_port",
    "headers",
];

fn without_secrets(value: &Value) -> Value {
    let table = match value {
        Value::Object(table) => table,
        Value::Array(list) => return list.iter().map(without_secrets).collect(),
        _ => return "[secret]".into(),
    };
    let is_reference =
        |key: &String| matches!(key.as_str(), "env" | "file" | "keychain" | "secret");
    if table.len() == 1 && table.keys().all(is_reference) {
        return value.clone();
    }
    let is_public =
        |key: &String, value: &Value| PUBLIC_KEYS.contains(&key.as_str()) && !value.is_object();
    let each = table.iter().map(|(key, value)| {
        (key.clone(), if is_public(key, value) { value.clone() } else { without_secrets(value) })
    });
    each.collect()
}
