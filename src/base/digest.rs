//! SHA-256 digests as lower-case hexadecimal digits.

use serde_json::Value;
use sha2::{Digest, Sha256};

/// Returns the digest of bytes, 64 digits.
pub fn sha256(bytes: impl AsRef<[u8]>) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Returns the digest of a JSON value in the canonical form of RFC 8785, so that equal values have
/// equal digests.
pub fn sha256_of_json(value: &Value) -> String {
    let canonical = serde_json_canonicalizer::to_vec(value);
    sha256(canonical.expect("a JSON value with string keys has a canonical form"))
}
