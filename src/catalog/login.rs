//! Starts a login at an upstream whose credential is OAuth.

use super::{
    config::UpstreamConfig,
    credential::{
        config::Credential,
        oauth::{
            login::{self, Login},
            tokens::OAuth,
        },
    },
    redact::Secrets,
};

/// Begins to ask a person to allow an upstream whose credential is OAuth. The error names the
/// remedy.
pub async fn login(upstream: UpstreamConfig) -> Result<Login, String> {
    if let Some(unset) = upstream.unset.first() {
        return Err(unset.message.clone());
    }
    let settings = upstream.kind.factory().credential();
    let settings =
        settings.ok_or("it is a local program; its own documentation says how to log in to it")?;
    let Credential::OAuth(config) = settings.credential else {
        return Err("it has no `auth = { oauth = {} }`".to_owned());
    };
    let vault = settings.vault.cloned();
    login::begin(OAuth::new(config.clone(), vault, settings.addresses, Secrets::default())).await
}
