//! Builds OpenAPI upstreams from their settings.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{OpenApi, config::OpenApiConfig};
use crate::{
    catalog::{
        redact::Secrets,
        upstream::{
            Upstream,
            import_job::Progress,
            kind::{CredentialSettings, UpstreamFactory},
            response::ResponseLimits,
        },
    },
    model::Document,
};

impl UpstreamFactory for OpenApiConfig {
    fn build(
        &self,
        name: &Arc<str>,
        _environment: &BTreeMap<String, String>,
    ) -> (Box<dyn Upstream>, Secrets) {
        let spec = match &self.spec {
            Document::Url(url) => url.as_str(),
            Document::File(_) => "",
        };
        let base_url = self.base_url.as_deref().unwrap_or_default();
        let secrets = self.access.secrets([spec, base_url]);
        let upstream = OpenApi {
            name: name.clone(),
            config: self.clone(),
            secrets: secrets.clone(),
            progress: Progress::default(),
        };
        (Box::new(upstream), secrets)
    }

    fn response_limits_mut(&mut self) -> &mut ResponseLimits {
        &mut self.access.shared.answers
    }

    fn set_call_timeout(&mut self, call_timeout: Duration) {
        self.access.call_timeout = call_timeout;
    }

    fn credential(&self) -> Option<CredentialSettings<'_>> {
        Some(self.access.credential_settings())
    }
}
