//! Builds GraphQL upstreams from their settings.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{GraphQl, config::GraphQlConfig};
use crate::{
    catalog::{
        redact::Secrets,
        upstream::{
            Upstream,
            kind::{CredentialSettings, UpstreamFactory},
            response::ResponseLimits,
        },
    },
    model::Document,
};

impl UpstreamFactory for GraphQlConfig {
    fn build(
        &self,
        name: &Arc<str>,
        _environment: &BTreeMap<String, String>,
    ) -> (Box<dyn Upstream>, Secrets) {
        let schema = match &self.schema {
            Some(Document::Url(url)) => url.as_str(),
            Some(Document::File(_)) | None => "",
        };
        let secrets = self.access.secrets([self.url.as_str(), schema]);
        let upstream =
            GraphQl { name: name.clone(), config: self.clone(), secrets: secrets.clone() };
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
