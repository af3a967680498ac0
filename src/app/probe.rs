//! Tries upstreams out without a server: what a URL speaks, and which tools upstreams offer.

use std::{collections::BTreeMap, time::Duration};

use url::Url;

use super::{
    Failure,
    upstreams::{OnProgress, alone, http_access, install_crypto, settle, shared_resources},
};
use crate::{
    catalog::{self, Catalog, Detected, HttpAccess, UpstreamStatus},
    config::{Config, Environment, ProcessEnvironment, Transport},
    model::SecretSource,
};

/// What an upstream offered.
#[derive(Debug, Clone)]
pub struct Probed {
    /// State of its connection, and how many tools it has.
    pub status: UpstreamStatus,
    /// Paths of its tools, sorted.
    pub tools: Vec<String>,
}

/// Finds out the protocol of a URL. The error says why it is not known; it names `allow_private`
/// where that is missing. Sends no credential.
pub async fn detect(url: &Url, allow_private: bool) -> Result<Detected, String> {
    install_crypto();
    catalog::detect(url, &HttpAccess { allow_private, ..HttpAccess::default() }).await
}

/// Finds out the protocol of a URL as [`detect`] does, with the credential and the headers of the
/// only upstream of the configuration; `given` are secrets that are not stored yet, by name.
pub async fn detect_as(
    url: &Url,
    config: &Config,
    given: &BTreeMap<String, String>,
) -> Result<Detected, String> {
    install_crypto();
    let config = with_values(config, given);
    let upstream = config.upstreams.first().ok_or("there is no upstream")?;
    catalog::detect(url, &http_access(upstream, &shared_resources(&config))).await
}

/// Connects to all upstreams, without a server, and lists their tools; `given` are secrets that are
/// not stored yet, by name.
pub async fn probe(
    config: &Config,
    given: &BTreeMap<String, String>,
    on_progress: OnProgress,
) -> Result<Vec<Probed>, Failure> {
    install_crypto();
    let config = with_values(config, given);
    let longest = config.upstreams.iter().map(|upstream| upstream.start_timeout_ms).max();
    let catalog = Catalog::start(alone(&config)?, &ProcessEnvironment.variables());
    settle(&catalog, Duration::from_millis(longest.unwrap_or_default()), on_progress).await;
    let probed = catalog.status().into_iter().map(|status| {
        let tools = catalog.tool_paths(&status.name);
        Probed { status, tools }
    });
    let probed = probed.collect();
    catalog.shutdown().await;
    Ok(probed)
}

/// The configuration with these secrets in place of the references to them.
fn with_values(config: &Config, given: &BTreeMap<String, String>) -> Config {
    let fill = |source: &mut SecretSource| {
        if let SecretSource::Stored(name) = source
            && let Some(value) = given.get(name)
        {
            *source = SecretSource::Value(value.clone());
        }
    };
    let mut config = config.clone();
    for upstream in &mut config.upstreams {
        if let Transport::Stdio { env_secret, .. } = &mut upstream.transport {
            env_secret.values_mut().for_each(fill);
        }
        if let Some(access) = &mut upstream.access {
            access.credential.owner_secrets_mut().into_iter().for_each(fill);
        }
    }
    config
}
