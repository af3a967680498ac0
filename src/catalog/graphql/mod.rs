//! Services that speak GraphQL: one tool for every field of their root types.
//!
//! What is sent is built here from the schema: one operation with one root field, its arguments as
//! typed variables, its selection rebuilt from a syntax tree. No text of an agent is ever sent to a
//! service as it is. Subscriptions are not offered.

mod answer;
pub(super) mod config;
mod default;
mod factory;
mod ids;
mod input;
mod introspection;
mod literal;
mod output;
mod schema;
mod sdl;
mod select;
mod select_error;
mod tools;

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use apollo_compiler::ast::{OperationType, Selection};
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Method, header::ACCEPT};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::Notify;
use url::Url;

use self::{
    answer::{Failed, Partial},
    config::GraphQlConfig,
    introspection::ASKINGS,
    schema::{Field, ServiceSchema},
};
use super::{
    http::{
        client::{ServiceClient, ServiceConfig},
        failure::ServiceFailure,
        message::{ServiceAnswer, ServiceBody, ServiceRequest, Until},
    },
    redact::Secrets,
    tool::{
        Tool,
        omitted_fields::{self, FieldPath},
    },
    upstream::{
        Connection, ConnectionEvent, Offer, Upstream,
        error::{ConnectError, UpstreamError, UpstreamErrorCode},
        import_job,
        response::ToolResponse,
    },
};
use crate::{
    base::{file, offload::offload, plural::counted, text::decoded},
    model::{Document, JsonObject},
};

/// Shortest time between two readings of the schema that a service asks for by refusing what it
/// promised.
const STALE_PAUSE: Duration = Duration::from_secs(60);

/// A GraphQL service.
pub(super) struct GraphQl {
    pub(super) name: Arc<str>,
    pub(super) config: GraphQlConfig,
    pub(super) secrets: Secrets,
}

impl Upstream for GraphQl {
    fn kind(&self) -> &'static str {
        "graphql"
    }

    fn origin(&self) -> String {
        format!("{}\0{:?}", self.config.url, self.config.schema)
    }

    fn connect(&self) -> BoxFuture<'_, Result<Box<dyn Connection>, ConnectError>> {
        Box::pin(async move {
            let url = Url::parse(&self.config.url)
                .map_err(|error| ConnectError::new(format!("`url` is not a URL: {error}")))?;
            let config =
                ServiceConfig::new(self.name.clone(), url.clone(), self.config.access.clone());
            let client = ServiceClient::new(config, self.secrets.clone())?;
            let connection: Box<dyn Connection> = Box::new(GraphQlConnection {
                url,
                client,
                document: self.config.schema.clone(),
                schema: Mutex::default(),
                stale: Notify::new(),
                refreshed_at: Mutex::default(),
            });
            Ok(connection)
        })
    }
}

struct GraphQlConnection {
    url: Url,
    client: ServiceClient,
    /// Document with the schema; none to use introspection.
    document: Option<Document>,
    // Plain mutexes: both are held for a pointer's copy only.
    schema: Mutex<Option<Arc<ServiceSchema>>>,
    /// Notified when the service rejects something that its schema promised.
    stale: Notify,
    /// Time of the last refresh for that reason.
    refreshed_at: Mutex<Option<Instant>>,
}

/// A schema as text.
enum Text {
    /// A document in the schema definition language.
    Definitions(Vec<u8>),
    /// A response to introspection.
    Introspection(Vec<u8>),
}

impl Text {
    /// A document can be either.
    fn of(mut bytes: Vec<u8>) -> Self {
        if bytes.starts_with("\u{feff}".as_bytes()) {
            bytes.drain(..'\u{feff}'.len_utf8());
        }
        let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
        if first == Some(&b'{') { Self::Introspection(bytes) } else { Self::Definitions(bytes) }
    }

    fn read(self) -> Result<ServiceSchema, String> {
        match self {
            Self::Introspection(bytes) => introspection::read(&bytes),
            Self::Definitions(bytes) => {
                sdl::read(decoded(&bytes).map_err(|error| error.to_string())?)
            }
        }
    }
}

/// Reason why a document is no GraphQL schema with something to call, if it is none.
pub(super) fn schema_fault(bytes: &[u8]) -> Option<String> {
    match Text::of(bytes.to_vec()).read() {
        Ok(schema) if schema.query.is_some() || schema.mutation.is_some() => None,
        Ok(_) => Some("it has neither queries nor mutations".to_owned()),
        Err(reason) => Some(reason),
    }
}

impl GraphQlConnection {
    /// The service's schema as text, from where the owner said.
    async fn text(&self) -> Result<Text, ConnectError> {
        match &self.document {
            Some(Document::File(path)) => file(path).await.map(Text::of),
            Some(Document::Url(address)) => {
                let url = Url::parse(address)
                    .map_err(|error| ConnectError::new(format!("`spec` is not a URL: {error}")))?;
                let bytes = self.client.fetch(url, introspection::ANSWER_BYTES_MAX).await;
                let bytes = bytes.map_err(|failure| {
                    ConnectError::new(format!("its schema could not be fetched: {failure}"))
                        .permanent(matches!(failure, ServiceFailure::Refused(_)))
                })?;
                Ok(Text::of(bytes.to_vec()))
            }
            None => self.introspected().await,
        }
    }

    /// Asks the service itself, for less after each refusal.
    async fn introspected(&self) -> Result<Text, ConnectError> {
        let mut first_reason = None;
        for asking in ASKINGS {
            let body = json!({ "query": asking.document(), "operationName": "IntrospectionQuery" });
            let answer =
                self.post("introspection", &body, true, introspection::ANSWER_BYTES_MAX).await;
            let answer = answer.map_err(|failure| {
                ConnectError::new(format!("its schema could not be asked for: {failure}"))
                    .hint(
                        "check `url` of the upstream, and that the service can be reached from \
                        here",
                    )
                    .permanent(matches!(failure, ServiceFailure::Refused(_)))
            })?;
            if answer.moved_to.is_some() {
                let reason = answer::reason(&answer);
                return Err(ConnectError::new(format!(
                    "its schema could not be asked for: {reason}"
                )));
            }
            if matches!(answer.status.as_u16(), 401 | 403) {
                let message =
                    format!("it answered HTTP {}: it needs authorization", answer.status.as_u16());
                return Err(
                    ConnectError::new(message).hint("set `auth` or `headers` of the upstream")
                );
            }
            if answer.status.is_success() && introspection::is_told(&answer.body) {
                return Ok(Text::Introspection(answer.body.to_vec()));
            }
            first_reason.get_or_insert_with(|| answer::reason(&answer));
        }
        let reason = first_reason.unwrap_or_default();
        Err(ConnectError::new(format!("it does not tell its schema: {reason}")).hint(
            "where introspection is switched off, give the schema as a file in `spec` of \
                the upstream",
        ))
    }

    async fn post(
        &self,
        operation: &str,
        body: &Value,
        idempotent: bool,
        answer_bytes_max: usize,
    ) -> Result<ServiceAnswer, ServiceFailure> {
        let mut headers = HeaderMap::new();
        headers.insert(
            ACCEPT,
            HeaderValue::from_static("application/graphql-response+json, application/json;q=0.9"),
        );
        let bytes = Bytes::from(body.to_string());
        let request = ServiceRequest {
            method: Method::POST,
            url: self.url.clone(),
            headers,
            body: ServiceBody::Bytes { content_type: "application/json".to_owned(), bytes },
            idempotent,
            is_graphql: true,
            answer_bytes_max,
            until: Until::End,
        };
        self.client.send_of(operation, request).await
    }

    fn schema(&self) -> Option<Arc<ServiceSchema>> {
        self.schema.lock().clone()
    }

    /// Requests another reading of the schema, unless one was just done.
    fn request_refresh(&self) {
        let mut refreshed_at = self.refreshed_at.lock();
        if refreshed_at.is_none_or(|last| last.elapsed() > STALE_PAUSE) {
            *refreshed_at = Some(Instant::now());
            self.stale.notify_one();
        }
    }

    async fn perform(
        &self,
        tool: &Tool,
        mut args: JsonObject,
    ) -> Result<ToolResponse, UpstreamError> {
        use UpstreamErrorCode as Code;
        if self.schema().is_none() {
            // Known from before: it was never read on this connection.
            self.tools().await.map_err(|error| {
                UpstreamError::new(Code::Unavailable, tool, error.message).retryable(true)
            })?;
        }
        let schema = self.schema();
        let gone = || {
            let message =
                format!("`{}` has no such field any more; nothing was sent", tool.upstream);
            UpstreamError::new(Code::Refused, tool, message)
        };
        let schema = schema.as_deref().ok_or_else(gone)?;
        let (operation, field) = tools::field_of(schema, &tool.name).ok_or_else(gone)?;
        let chosen = chosen(schema, tool, field, &mut args)?;
        let unknown = args
            .keys()
            .find(|name| !field.args.iter().any(|arg| arg.name.as_str() == name.as_str()));
        if let Some(unknown) = unknown {
            let message =
                format!("`{}` takes no argument `{unknown}`; nothing was sent", tool.path);
            return Err(UpstreamError::new(Code::InvalidArguments, tool, message));
        }
        ids::written_out(schema, &field.args, &mut args);
        let call = RootCall { tool, operation, field, args: &args };
        let Some(chosen) = chosen else {
            return self.ask_usual(&call, schema).await;
        };
        match self.ask(&call, chosen).await {
            Ok((answer, partial)) => {
                Ok(answer.warned(partial.map(|partial| partly(&call, &partial))))
            }
            Err(failed) => Err(failed.error),
        }
    }

    /// Asks for the default fields. They were not the agent's choice, so where some that fail take
    /// the whole answer with them, a query is asked again without those. A field that the token may
    /// not see is left out for a while, then tried again. A mutation is never repeated.
    async fn ask_usual(
        &self,
        call: &RootCall<'_>,
        schema: &ServiceSchema,
    ) -> Result<ToolResponse, UpstreamError> {
        let (tool, select) = (call.tool, tools::select_key(call.field));
        let usual = tools::default_selection(schema, call.field);
        let known = tool.omitted_fields.paths();
        let less = default::without(&usual, &known);
        let known = if less.is_some() { known } else { Arc::default() };
        let first = less.unwrap_or(usual);
        let failed = match self.ask_declared(call, schema, &first).await {
            Ok((answer, None)) => {
                return Ok(
                    answer.warned((!known.is_empty()).then(|| still_without(tool, &known, select)))
                );
            }
            Ok((answer, Some(partial))) => {
                // Not a whole object: that it failed may say more of what was done than of who may
                // see it.
                let fields: Vec<FieldPath> = partial
                    .denied
                    .iter()
                    .filter(|path| default::is_leaf_at(&first, path))
                    .cloned()
                    .collect();
                let mut text = partly(call, &partial);
                if default::without(&first, &fields).is_some() {
                    tool.omitted_fields.add(&fields, tool.output_schema.as_ref(), select);
                    text.push_str(&format!(
                        "; for a while, {} is asked for only if `{select}` names it",
                        omitted_fields::named(&fields)
                    ));
                }
                return Ok(answer.warned(Some(text)));
            }
            Err(failed) => failed,
        };
        // What a service says that nobody asked for is not kept.
        let is_asked =
            |path: &FieldPath| default::without(&first, std::slice::from_ref(path)).is_some();
        let fields: Vec<FieldPath> = failed.fields.into_iter().filter(is_asked).collect();
        let denied: Vec<FieldPath> = failed.denied.into_iter().filter(is_asked).collect();
        let less =
            default::without(&first, &fields).filter(|_| call.operation == OperationType::Query);
        let Some(less) = less else { return Err(failed.error) };
        let (answer, partial) = self.ask(call, less).await.map_err(|failed| failed.error)?;
        if !denied.is_empty() {
            tool.omitted_fields.add(&denied, tool.output_schema.as_ref(), select);
        }
        let path = &tool.path;
        tracing::info!(tool = %path, "`{path}` is answered without {}, which failed",
            counted(fields.len(), "default field"));
        let without: Vec<FieldPath> = known.iter().cloned().chain(fields).collect();
        let mut text = still_without(tool, &without, select);
        if let Some(partial) = partial {
            text.push_str(&format!("; {}", partly(call, &partial)));
        }
        Ok(answer.warned(Some(text)))
    }

    /// Asks for these fields. What the schema names without declaring it may be no scalar after
    /// all: it is asked for no more once the service says so, before it did anything, of those that
    /// its words name, or of any.
    async fn ask_declared(
        &self,
        call: &RootCall<'_>,
        schema: &ServiceSchema,
        selection: &[Selection],
    ) -> Result<(ToolResponse, Option<Partial>), Failed> {
        let mut asked = self.ask(call, selection.to_vec()).await;
        for names_them in [true, false] {
            let Err(failed) = &asked else { break };
            let words = names_them.then_some(failed.error.message.as_str());
            let less = default::without_undeclared(schema, call.field, selection, words);
            if let Some(less) = less.filter(|_| !failed.is_begun) {
                asked = self.ask(call, less).await;
            }
        }
        asked
    }

    async fn ask(
        &self,
        call: &RootCall<'_>,
        selection: Vec<Selection>,
    ) -> Result<(ToolResponse, Option<Partial>), Failed> {
        let query = tools::document(call.operation, call.field, call.args, selection);
        let body = json!({
            "query": query, "operationName": call.field.name.as_str(), "variables": call.args
        });
        let is_query = call.operation == OperationType::Query;
        let answer = self.post(&call.tool.name, &body, is_query, answer::BODY_BYTES_MAX).await;
        let mut answer =
            answer.map_err(|failure| Failed::whole(failure.into_upstream_error(call.tool)))?;
        let permit = answer.permit.take();
        let answer = answer::unwrap(call.tool, &call.field.name, &answer, is_query).map(|value| {
            let warning = value.repairs.map(|repairs| {
                let path = &call.tool.path;
                format!("the response of `{path}` was not valid JSON and was repaired: {repairs}")
            });
            (ToolResponse { permit, warning, ..value.json.into() }, value.partial)
        });
        if answer.as_ref().is_err_and(|failed| failed.is_stale) && self.document.is_none() {
            self.request_refresh();
        }
        answer
    }
}

/// One call of a root field, its selection aside.
struct RootCall<'a> {
    tool: &'a Tool,
    operation: OperationType,
    field: &'a Field,
    args: &'a JsonObject,
}

/// Warning about a response of which only some failed.
fn partly(call: &RootCall<'_>, partial: &Partial) -> String {
    let path = &call.tool.path;
    tracing::info!(
        tool = %path, "`{path}` is answered in part, {} of its answer failed",
        counted(partial.fields.len(), "field")
    );
    let done = if call.operation == OperationType::Query {
        "is answered in part"
    } else {
        "was performed"
    };
    match partial.fields.is_empty() {
        true => format!("`{path}` {done}; the service says: {}", partial.message),
        false => {
            format!("`{path}` {done}; of its answer these failed and are null: {}", partial.message)
        }
    }
}

/// Warning about a response without some of the default fields.
fn still_without(tool: &Tool, paths: &[FieldPath], select: &str) -> String {
    let (path, upstream, fields) = (&tool.path, &tool.upstream, omitted_fields::named(paths));
    format!(
        "`{path}` is answered without {fields}, which `{upstream}` refused; `{select}` asks for \
        it by name"
    )
}

/// The selection that the agent chose, if it did, taken out of its arguments.
fn chosen(
    schema: &ServiceSchema,
    tool: &Tool,
    field: &Field,
    args: &mut JsonObject,
) -> Result<Option<Vec<Selection>>, UpstreamError> {
    let key = tools::select_key(field);
    let named = field.ty.inner_named_type();
    if !schema.is_composite(named) {
        return Ok(None);
    }
    let text = match args.remove(key) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err("it must be a string such as \"id name\"".to_owned()),
    };
    let rebuilt =
        text.and_then(|text| select::rebuilt(schema, named, &text).map_err(|error| error.0));
    rebuilt.map(Some).map_err(|reason| {
        let message = format!("`{}`: field `{key}`: {reason}; nothing was sent", tool.path);
        UpstreamError::new(UpstreamErrorCode::InvalidArguments, tool, message)
    })
}

/// A file of the owner's, within its bound.
async fn file(path: &Path) -> Result<Vec<u8>, ConnectError> {
    let failed = |error: std::io::Error| {
        ConnectError::new(format!("its schema `{}` cannot be read: {error}", path.display()))
            .hint("check `spec` of the upstream: the path of a file, or an address")
    };
    let own = path.to_path_buf();
    let read = offload(move || file::read(&own, introspection::ANSWER_BYTES_MAX as u64)).await;
    read.map_err(std::io::Error::other).and_then(|read| read).map_err(failed)
}

impl Connection for GraphQlConnection {
    fn route(&self, tool: &Tool) -> Option<String> {
        let (origin, path) = (self.url.origin().ascii_serialization(), self.url.path());
        Some(format!("{} at {origin}{path}", tool.operation?.as_str()))
    }

    fn tools(&self) -> BoxFuture<'_, Result<Offer, ConnectError>> {
        Box::pin(async move {
            let text = self.text().await?;
            // Large schemas take a second: not on a thread that others wait for.
            let read = import_job::read(import_job::Progress::default(), move |stop| {
                let unusable = |reason: String| {
                    ConnectError::new(format!("its schema cannot be used: {reason}"))
                };
                let schema = text.read().map_err(unusable)?;
                let offer =
                    tools::offer(&schema, stop).map_err(|stopped| unusable(stopped.to_string()))?;
                Ok((schema, offer))
            });
            let (schema, offer) = read.await?;
            *self.schema.lock() = Some(Arc::new(schema));
            Ok(offer)
        })
    }

    fn call<'a>(
        &'a self,
        tool: &'a Tool,
        args: JsonObject,
    ) -> BoxFuture<'a, Result<ToolResponse, UpstreamError>> {
        Box::pin(self.perform(tool, args))
    }

    fn is_open(&self) -> bool {
        true
    }

    fn event(&self) -> BoxFuture<'_, ConnectionEvent> {
        Box::pin(async move {
            self.stale.notified().await;
            ConnectionEvent::ListChanged
        })
    }

    fn trouble(&self) -> Option<String> {
        self.client.trouble()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}
