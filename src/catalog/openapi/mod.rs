//! Services with an OpenAPI 3.x or Swagger 2.0 document: each operation is a tool.
//!
//! The document is untrusted: bounded, read on the blocking pool, and without influence on where
//! credentials go. Arguments become a request of exactly the documented operation. Requests are
//! sent by [`super::http`], which alone knows credentials and addresses.

mod answer;
pub(super) mod config;
mod document;
mod factory;
pub(super) mod glance;
mod import;
mod media;
mod names;
mod plan;
mod read;
mod request;
mod schema;
mod security;
mod servers;
mod source;
mod style;
mod swagger;
mod words;

use std::{collections::HashMap, sync::Arc};

use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::Mutex as AsyncMutex;
use url::Url;

use self::{
    config::OpenApiConfig,
    import::Imported,
    plan::Plan,
    servers::Setting,
    source::{Source, Version},
};
use super::{
    credential::config::{ApiKey, Credential, KeyPlace},
    http::client::{ServiceClient, ServiceConfig},
    redact::Secrets,
    tool::Tool,
    upstream::{
        Connection, ConnectionEvent, Offer, Upstream,
        error::{ConnectError, UpstreamError, UpstreamErrorCode},
        import_job::{self, Progress},
        response::ToolResponse,
    },
};
use crate::{
    base::memory,
    model::{Document, JsonObject, OperationPattern},
};

/// A service with an OpenAPI description.
pub(super) struct OpenApi {
    pub(super) name: Arc<str>,
    pub(super) config: OpenApiConfig,
    pub(super) secrets: Secrets,
    /// Progress of reading its document.
    pub(super) progress: Progress,
}

impl Upstream for OpenApi {
    fn kind(&self) -> &'static str {
        "openapi"
    }

    fn progress(&self) -> (usize, usize) {
        self.progress.pieces()
    }

    fn origin(&self) -> String {
        let OpenApiConfig { spec, base_url, server, server_variables, only, except, access: _ } =
            &self.config;
        let patterns = |all: &[OperationPattern]| {
            all.iter().map(OperationPattern::as_str).collect::<Vec<_>>().join("\0")
        };
        let filter = match only.is_empty() && except.is_empty() {
            true => String::new(),
            false => format!("\0{}\0\0{}", patterns(only), patterns(except)),
        };
        format!("{spec:?}\0{base_url:?}\0{server:?}\0{server_variables:?}{filter}")
    }

    fn connect(&self) -> BoxFuture<'_, Result<Box<dyn Connection>, ConnectError>> {
        Box::pin(async move {
            let source = Source::new(&self.name, &self.config, &self.secrets)?;
            let (bytes, version) = source.read().await?;
            let setting = self.setting()?;
            let imported = imported(bytes, setting.clone(), self.progress.clone()).await?;
            self.check_origin(&imported.base, &setting)?;
            let config = ServiceConfig::new(
                self.name.clone(),
                imported.base.clone(),
                self.config.access.clone(),
            );
            let client = ServiceClient::new(config, self.secrets.clone())?;
            let base = imported.base.clone();
            let connection: Box<dyn Connection> = Box::new(OpenApiConnection {
                name: self.name.clone(),
                secrets: self.secrets.clone(),
                client,
                base,
                source,
                setting,
                version: AsyncMutex::new(version),
                fresh: Mutex::new(Some(imported)),
                plans: Mutex::default(),
                stale: Mutex::default(),
            });
            Ok(connection)
        })
    }
}

impl OpenApi {
    fn setting(&self) -> Result<Setting, ConnectError> {
        let parsed = |text: &str| {
            Url::parse(text).map_err(|_| ConnectError::new("`base_url` or `spec` is not a URL"))
        };
        let base = self.config.base_url.as_deref().map(parsed).transpose()?;
        let spec = match &self.config.spec {
            Document::Url(url) => Some(parsed(url)?),
            Document::File(_) => None,
        };
        let access = &self.config.access;
        let mut owned: Vec<(String, String)> =
            access.headers.keys().map(|name| ("header".to_owned(), name.clone())).collect();
        if let Credential::ApiKeys(keys) = &access.credential {
            let place = |key: &ApiKey| match key.place {
                KeyPlace::Header => "header",
                KeyPlace::Query => "query",
                KeyPlace::Cookie => "cookie",
                KeyPlace::Field => "field",
            };
            owned.extend(keys.iter().map(|key| (place(key).to_owned(), key.name.clone())));
        }
        let has_credential = self.has_credential();
        let (server, variables) =
            (self.config.server.clone(), self.config.server_variables.clone());
        let (only, except) = (self.config.only.clone(), self.config.except.clone());
        Ok(Setting { base, spec, server, variables, only, except, owned, has_credential })
    }

    fn has_credential(&self) -> bool {
        !self.config.access.headers.is_empty() || self.config.access.credential != Credential::None
    }

    /// A description from elsewhere may not decide where a credential is sent.
    fn check_origin(&self, base: &Url, setting: &Setting) -> Result<(), ConnectError> {
        // The owner wrote the origin itself, or chose among what the description says.
        let is_written = setting
            .server
            .as_deref()
            .and_then(|server| Url::parse(server).ok())
            .is_some_and(|url| url.origin() == base.origin());
        let is_elsewhere = setting.base.is_none()
            && !is_written
            && setting.spec.as_ref().is_some_and(|spec| spec.origin() != base.origin());
        if self.has_credential() && is_elsewhere {
            let origin = base.origin().ascii_serialization();
            let message = format!(
                "its OpenAPI document, which is from another origin, sends calls and their \
                credential to `{origin}`"
            );
            return Err(
                ConnectError::new(message).hint("if that is right, set `base_url` of the upstream")
            );
        }
        Ok(())
    }
}

/// Reads a description where that blocks nobody.
async fn imported(
    bytes: bytes::Bytes,
    setting: Setting,
    progress: Progress,
) -> Result<Imported, ConnectError> {
    import_job::read(progress, move |stop| {
        let imported = import::import(&bytes, &setting, stop);
        drop(bytes);
        memory::trim();
        imported
    })
    .await
}

/// A service whose description was read.
struct OpenApiConnection {
    name: Arc<str>,
    secrets: Secrets,
    client: ServiceClient,
    /// Base URL that the client was made for; a document with another one needs a new connection.
    base: Url,
    source: Source,
    setting: Setting,
    /// Version of the document that was read last. Locked while it is read again.
    version: AsyncMutex<Version>,
    // Plain locks: held for a moment only.
    /// Import that was read and not yet offered.
    fresh: Mutex<Option<Imported>>,
    plans: Mutex<Arc<HashMap<String, Arc<Plan>>>>,
    /// Reason why the previous document is still used.
    stale: Mutex<Option<String>>,
}

impl OpenApiConnection {
    fn take_fresh(&self) -> Option<Imported> {
        self.fresh.lock().take()
    }

    fn plan(&self, name: &str) -> Option<Arc<Plan>> {
        self.plans.lock().get(name).cloned()
    }

    fn offer(&self, imported: Imported) -> Offer {
        *self.plans.lock() = Arc::new(imported.plans);
        Offer { tools: imported.tools, note: imported.note }
    }

    /// Waits until the description is another one and can be read; meanwhile what was read before
    /// holds.
    async fn changed(&self) -> ConnectionEvent {
        let mut version = self.version.lock().await;
        loop {
            let (bytes, newer) =
                self.source.newer(&mut version, |failure| self.tell(failure)).await;
            match imported(bytes, self.setting.clone(), Progress::default()).await {
                Ok(imported) if imported.base != self.base => {
                    return ConnectionEvent::Closed(
                        "its OpenAPI document names another server now".to_owned(),
                    );
                }
                Ok(imported) => {
                    *version = newer;
                    self.tell(None);
                    *self.fresh.lock() = Some(imported);
                    return ConnectionEvent::ListChanged;
                }
                Err(error) => {
                    // Not tried again until it is another one.
                    *version = newer;
                    self.tell(Some(&error));
                }
            }
        }
    }

    /// Says, here and in the status, why the description of before is still used.
    fn tell(&self, failure: Option<&ConnectError>) {
        let reason = failure.map(|failure| {
            // The text may repeat what the document says.
            let failure = self.secrets.redact(&failure.message);
            tracing::warn!(upstream = %self.name, %failure, "the new OpenAPI document of upstream \
                `{}` cannot be used: {failure}", self.name);
            format!(
                "its new OpenAPI document cannot be used, so the last one stays in force: {failure}"
            )
        });
        *self.stale.lock() = reason;
    }
}

impl Connection for OpenApiConnection {
    fn route(&self, tool: &Tool) -> Option<String> {
        let plan = self.plan(&tool.name)?;
        let base = plan.base.as_ref().ok()?;
        let (origin, path) =
            (base.origin().ascii_serialization(), base.path().trim_end_matches('/'));
        Some(format!("{} {origin}{path}{}", plan.method, plan.route))
    }

    fn tools(&self) -> BoxFuture<'_, Result<Offer, ConnectError>> {
        Box::pin(async move {
            if let Some(fresh) = self.take_fresh() {
                return Ok(self.offer(fresh));
            }
            let (bytes, version) = self.source.read().await?;
            let imported = imported(bytes, self.setting.clone(), Progress::default()).await?;
            if imported.base != self.base {
                return Err(ConnectError::new("its OpenAPI document names another server now"));
            }
            if let Ok(mut known) = self.version.try_lock() {
                *known = version;
            }
            Ok(self.offer(imported))
        })
    }

    fn call<'a>(
        &'a self,
        tool: &'a Tool,
        args: JsonObject,
    ) -> BoxFuture<'a, Result<ToolResponse, UpstreamError>> {
        Box::pin(async move {
            let refused = |why: String| UpstreamError::new(UpstreamErrorCode::Refused, tool, why);
            let plan = self.plan(&tool.name).ok_or_else(|| {
                refused(format!(
                    "`{}` is no longer in the OpenAPI document of `{}`",
                    tool.path, tool.upstream
                ))
            })?;
            // A new description may give the name to something else; what was decided, and
            // approved, is the operation of before.
            if tool.fingerprint != Some(plan.fingerprint()) {
                let message = format!(
                    "`{}` was not sent: it is another operation since `{}` changed; call it again",
                    tool.path, tool.upstream
                );
                return Err(refused(message).retryable(true));
            }
            let (request, with_response) = request::request(&plan, args).map_err(|why| {
                let code = if plan.base.is_ok() {
                    UpstreamErrorCode::InvalidArguments
                } else {
                    UpstreamErrorCode::Refused
                };
                UpstreamError::new(code, tool, format!("`{}` was not sent: {why}", tool.path))
            })?;
            let mut answer = self
                .client
                .send_of(&tool.name, request)
                .await
                .map_err(|failure| failure.into_upstream_error(tool))?;
            let permit = answer.permit.take();
            answer::value(tool, &plan, answer, with_response).map(|(json, warning)| ToolResponse {
                permit,
                warning,
                ..json.into()
            })
        })
    }

    fn is_open(&self) -> bool {
        true
    }

    fn event(&self) -> BoxFuture<'_, ConnectionEvent> {
        Box::pin(self.changed())
    }

    fn trouble(&self) -> Option<String> {
        self.client.trouble().or_else(|| self.stale.lock().clone())
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}
