//! SHA-256 digests as lower-case hexadecimal digits.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::integers::unsafe_digits;

/// Returns the digest of bytes, 64 digits.
pub fn sha256(bytes: impl AsRef<[u8]>) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Returns the digest of a JSON value in the canonical form of RFC 8785, so that equal values have
/// equal digests. That form rounds integers beyond 2^53 - 1, so each of them is replaced by
/// `{"$integer": DIGITS}`.
pub fn sha256_of_json(value: &Value) -> String {
    let exact = has_unsafe(value).then(|| exact(value));
    let canonical = serde_json_canonicalizer::to_vec(exact.as_ref().unwrap_or(value));
    sha256(canonical.expect("a JSON value with string keys has a canonical form"))
}

fn has_unsafe(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(has_unsafe),
        Value::Object(members) => members.values().any(has_unsafe),
        leaf => unsafe_digits(leaf).is_some(),
    }
}

fn exact(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(exact).collect(),
        Value::Object(members) => {
            members.iter().map(|(key, member)| (key.clone(), exact(member))).collect()
        }
        leaf => match unsafe_digits(leaf) {
            Some(digits) => json!({ "$integer": digits }),
            None => leaf.clone(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_tell_large_integers_apart() {
        let of = |value: Value| sha256_of_json(&value);
        let large = 9_007_199_254_740_992_u64;
        assert_ne!(of(json!({ "id": [large] })), of(json!({ "id": [large + 1] })));
        assert_ne!(of(json!(large)), of(json!(large.to_string())));
        assert_eq!(of(json!({ "a": 1, "b": 1.0 })), of(json!({ "b": 1, "a": 1 })));
    }
}
