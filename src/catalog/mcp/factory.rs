//! Builds MCP upstreams from their settings.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{
    McpHttp, McpStdio,
    config::{HttpConfig, StdioConfig},
    process,
};
use crate::catalog::{
    redact::{self, Secrets},
    upstream::{
        Upstream,
        kind::{CredentialSettings, SecretReference, UpstreamFactory},
        response::ResponseLimits,
    },
};

impl UpstreamFactory for StdioConfig {
    fn build(
        &self,
        name: &Arc<str>,
        environment: &BTreeMap<String, String>,
    ) -> (Box<dyn Upstream>, Secrets) {
        for absent in self.env_pass.iter().filter(|name| !environment.contains_key(*name)) {
            tracing::warn!(upstream = %name, "`env_pass` of upstream `{name}` names `{absent}`, \
                which is not set");
        }
        let passed = self
            .env_pass
            .iter()
            .filter_map(|name| environment.get(name).map(|value| (name.clone(), value.clone())));
        let own: BTreeMap<String, String> = passed.chain(self.env.clone()).collect();
        let named = own.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let secrets = Secrets::among(named.chain(redact::named_arguments(&self.args)));
        let mut environment: BTreeMap<String, String> = environment
            .iter()
            .filter(|(name, _)| process::is_inherited(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        environment.extend(own);
        let upstream = McpStdio {
            name: name.clone(),
            config: self.clone(),
            environment,
            secrets: secrets.clone(),
        };
        (Box::new(upstream), secrets)
    }

    fn response_limits_mut(&mut self) -> &mut ResponseLimits {
        &mut self.response_limits
    }

    fn secret_references(&self) -> Vec<SecretReference<'_>> {
        let all = self.env_secret.iter();
        let vault = self.vault.as_ref();
        all.map(|(name, source)| SecretReference { key: format!("env.{name}"), source, vault })
            .collect()
    }
}

impl UpstreamFactory for HttpConfig {
    fn build(
        &self,
        _name: &Arc<str>,
        _environment: &BTreeMap<String, String>,
    ) -> (Box<dyn Upstream>, Secrets) {
        let secrets = self.access.secrets([self.url.as_str()]);
        (Box::new(McpHttp::new(self.clone(), secrets.clone())), secrets)
    }

    fn response_limits_mut(&mut self) -> &mut ResponseLimits {
        &mut self.access.shared.response_limits
    }

    fn set_call_timeout(&mut self, call_timeout: Duration) {
        self.access.call_timeout = call_timeout;
    }

    fn credential(&self) -> Option<CredentialSettings<'_>> {
        Some(self.access.credential_settings())
    }
}
