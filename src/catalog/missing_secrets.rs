//! Finds what the credentials of an upstream refer to and is not there. Reaches nobody, and tells
//! no value.

use serde::Serialize;

use super::{
    config::{UpstreamConfig, UpstreamKind},
    credential::{
        config::{Credential, SecretSource},
        resolve::resolve,
    },
};

/// A reference to a secret that leads to nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MissingSecret {
    /// The upstream.
    pub upstream: String,
    /// The key of the upstream that holds the reference: `auth`, `env.TOKEN`.
    pub key: String,
    /// What is missing, and the way out where it is known.
    pub message: String,
}

/// The references of an upstream that lead to nothing. One whose value is empty is missing too.
pub async fn missing_secrets(upstream: &UpstreamConfig) -> Vec<MissingSecret> {
    let (reach, mut references) = match &upstream.kind {
        UpstreamKind::McpStdio(stdio) => (
            None,
            stdio
                .env_secret
                .iter()
                .map(|(name, source)| (format!("env.{name}"), source, stdio.vault.as_ref()))
                .collect(),
        ),
        UpstreamKind::McpHttp(http) => (Some(&http.reach), vec![]),
        UpstreamKind::OpenApi(openapi) => (Some(&openapi.reach), vec![]),
        UpstreamKind::GraphQl(graphql) => (Some(&graphql.reach), vec![]),
    };
    let credential = reach
        .and_then(|reach| Some((reference(&reach.credential)?, reach.surroundings.vault.as_ref())));
    references.extend(credential.map(|(source, vault)| ("auth".to_owned(), source, vault)));
    let mut missing = vec![];
    for (key, source, vault) in references {
        if let Err(message) = resolve(source, vault).await {
            missing.push(MissingSecret { upstream: upstream.name.to_string(), key, message });
        }
    }
    missing
}

/// Where the secret of a credential comes from, if it has one of the owner's.
fn reference(credential: &Credential) -> Option<&SecretSource> {
    match credential {
        Credential::None => None,
        Credential::ApiKey { value, .. } => Some(value),
        Credential::Bearer(token) => Some(token),
        Credential::Basic { password, .. } => Some(password),
        Credential::OAuth(oauth) => oauth.client_secret.as_ref(),
    }
}
