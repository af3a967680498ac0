//! From what the owner says about an upstream to the upstream itself: the one list of the kinds.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    config::{UpstreamConfig, UpstreamKind},
    credential::{
        config::Credential,
        oauth::{
            login::{self, Login},
            tokens::OAuth,
        },
    },
    graphql,
    http::config::{Document, HttpAccess},
    mcp, openapi,
    redact::{self, Secrets},
    upstream::{Upstream, import_job::Progress},
};

/// Variables of the server's environment that every child sees, beside all that begin with `LC_`:
/// what programs need to run at all, and none that tends to hold a secret (proxy addresses do).
const ENVIRONMENT_NAMES: [&str; 8] =
    ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "LANG", "TZ"];

/// The upstream, and what is secret about it. A child sees a part of `environment`.
pub(super) fn upstream_of(
    name: &Arc<str>,
    kind: UpstreamKind,
    environment: &BTreeMap<String, String>,
) -> (Box<dyn Upstream>, Secrets) {
    match kind {
        UpstreamKind::McpStdio(config) => {
            for absent in config.env_pass.iter().filter(|name| !environment.contains_key(*name)) {
                tracing::warn!(upstream = %name, "upstream `{name}` is to be passed `{absent}`, \
                    which is not set");
            }
            let passed = config.env_pass.iter().filter_map(|name| {
                environment.get(name).map(|value| (name.clone(), value.clone()))
            });
            let own: BTreeMap<String, String> = passed.chain(config.env.clone()).collect();
            let secrets = Secrets::among(pairs(&own).chain(redact::named_arguments(&config.args)));
            let is_allowed =
                |name: &str| ENVIRONMENT_NAMES.contains(&name) || name.starts_with("LC_");
            let mut seen: BTreeMap<String, String> = environment
                .iter()
                .filter(|(name, _)| is_allowed(name))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            seen.extend(own);
            (
                Box::new(mcp::McpStdio {
                    name: name.clone(),
                    config,
                    environment: seen,
                    secrets: secrets.clone(),
                }),
                secrets,
            )
        }
        UpstreamKind::McpHttp(config) => {
            let secrets = secrets_of(&config.reach, [config.url.as_str()]);
            (Box::new(mcp::McpHttp::new(config, secrets.clone())), secrets)
        }
        UpstreamKind::OpenApi(config) => {
            let spec = match &config.spec {
                Document::Address(url) => url.as_str(),
                Document::File(_) => "",
            };
            let secrets =
                secrets_of(&config.reach, [spec, config.base_url.as_deref().unwrap_or_default()]);
            (
                Box::new(openapi::OpenApi {
                    name: name.clone(),
                    config,
                    secrets: secrets.clone(),
                    progress: Progress::default(),
                }),
                secrets,
            )
        }
        UpstreamKind::GraphQl(config) => {
            let schema = match &config.schema {
                Some(Document::Address(url)) => url.as_str(),
                Some(Document::File(_)) | None => "",
            };
            let secrets = secrets_of(&config.reach, [config.url.as_str(), schema]);
            (
                Box::new(graphql::GraphQl { name: name.clone(), config, secrets: secrets.clone() }),
                secrets,
            )
        }
    }
}

/// Begins to ask a person to allow an upstream whose credential is OAuth. The error says the way
/// out.
pub async fn login(upstream: UpstreamConfig) -> Result<Login, String> {
    let mut kind = upstream.kind;
    let reach =
        kind.reach_mut().ok_or("it is a program; what it needs to log in, it says itself")?;
    let Credential::OAuth(config) = &reach.credential else {
        return Err("it has no `auth = { oauth = {} }`".to_owned());
    };
    let vault = reach.surroundings.vault.clone();
    login::begin(OAuth::new(config.clone(), vault, reach.guard(), Secrets::default())).await
}

/// What is secret about a service behind addresses.
fn secrets_of<'a>(reach: &'a HttpAccess, urls: impl IntoIterator<Item = &'a str>) -> Secrets {
    let secrets =
        Secrets::among(pairs(&reach.headers).chain(urls.into_iter().map(|url| ("url", url))));
    for value in reach.secret_headers.iter().filter_map(|name| reach.headers.get(name)) {
        secrets.add(value);
        // Behind a scheme such as `Bearer`.
        value.split_once(' ').into_iter().for_each(|(_, token)| secrets.add(token.trim()));
    }
    secrets
}

fn pairs(map: &BTreeMap<String, String>) -> impl Iterator<Item = (&str, &str)> {
    map.iter().map(|(name, value)| (name.as_str(), value.as_str()))
}
