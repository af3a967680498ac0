//! Finds references of an upstream to secrets that do not exist. Sends no request and returns no
//! value.

use serde::Serialize;

use super::{
    config::{UnsetSecret, UpstreamConfig},
    credential::resolve::resolve,
    upstream::kind::SecretReference,
};

/// A reference to a secret that is missing or empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MissingSecret {
    /// The upstream.
    pub upstream: String,
    /// The key of the upstream that holds the reference: `auth`, `env.TOKEN`.
    pub key: String,
    /// Names the secret, and the remedy where it is known.
    pub message: String,
}

/// References of an upstream to secrets that are missing or empty.
pub async fn missing_secrets(upstream: &UpstreamConfig) -> Vec<MissingSecret> {
    let unset = upstream.unset.iter().map(|UnsetSecret { key, message }| MissingSecret {
        upstream: upstream.name.to_string(),
        key: key.clone(),
        message: message.clone(),
    });
    let mut missing: Vec<MissingSecret> = unset.collect();
    let known: Vec<String> = missing.iter().map(|missing| missing.key.clone()).collect();
    for SecretReference { key, source, vault } in upstream.kind.factory().secret_references() {
        if known.contains(&key) {
            continue;
        }
        if let Err(message) = resolve(source, vault).await {
            missing.push(MissingSecret { upstream: upstream.name.to_string(), key, message });
        }
    }
    missing
}
