//! SHA-256 digests as text: lower-case hexadecimal digits.

use serde_json::Value;
use sha2::{Digest, Sha256};

/// The digest of these bytes, 64 digits.
pub fn sha256(bytes: impl AsRef<[u8]>) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// The digest of a JSON value in the canonical form of RFC 8785: the same for the same value,
/// however it was written.
pub fn sha256_of_json(value: &Value) -> String {
    let canonical = serde_json_canonicalizer::to_vec(value);
    sha256(canonical.expect("a JSON value with string keys has a canonical form"))
}
