//! The handler that rmcp calls, for every transport and every revision of the protocol.

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::FutureExt;
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CacheScope, CallToolRequestParams, CallToolResponse, CallToolResult, Implementation,
        ListToolsResult, MetaObject, PaginatedRequestParams, ProgressNotificationParam,
        ProgressToken, ProtocolVersion, ServerCapabilities, ServerConfig, ServerNotification,
        SubscriptionFilter, ToolListChangedNotification,
    },
    service::{NotificationContext, Peer, RequestContext, SubscriptionContext},
};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    McpOptions,
    answer::{self, Detail},
    arguments, describe,
    listeners::Listeners,
    schema,
};
use crate::{
    model::{ErrorCode, ErrorKind, JsonObject, Principal},
    service::{
        Execute, Patience, Progress, ResultPage, ServiceError, TaskAnswer, TaskCancel, TaskGet,
        TaskList,
    },
    transport::Port,
};

/// The tools, in the order of `tools/list`.
const TOOLS: [&str; 4] = ["execute", "task_get", "task_list", "task_cancel"];
/// How long a client may take to accept one notification of progress.
const NOTIFY_MAX: Duration = Duration::from_secs(5);
/// How long `tools/list` may be kept by a client, in milliseconds: namespaces come and go.
const LIST_TTL_MS: u64 = 60_000;
/// Characters of the name a client gives itself, at most.
const CLIENT_CHARS_MAX: usize = 64;

/// The MCP server. A cheap clone of shared state: one per session, or one per request.
#[derive(Clone)]
pub struct Mcp {
    shared: Arc<Shared>,
}

struct Shared {
    port: Arc<dyn Port>,
    options: McpOptions,
    listeners: Arc<Listeners>,
    /// Who asks where the transport itself knows it (stdio). Over HTTP the request carries its
    /// [`Principal`].
    owner: Option<Principal>,
    /// The server stops: what ends now was not cancelled by a client.
    stopping: CancellationToken,
    /// Input schemas by tool, as they are shown.
    schemas: Vec<(&'static str, Arc<JsonObject>)>,
}

impl Mcp {
    /// A server over HTTP: every request must carry its [`Principal`] in the extensions of its HTTP
    /// parts. Must be called inside a tokio runtime.
    pub fn over_http(
        port: Arc<dyn Port>,
        options: McpOptions,
        stopping: CancellationToken,
    ) -> Self {
        Self::new(port, options, None, stopping)
    }

    /// A server for the one user at the other end of a pipe. Must be called inside a tokio runtime.
    pub fn over_stdio(
        port: Arc<dyn Port>,
        options: McpOptions,
        owner: Principal,
        stopping: CancellationToken,
    ) -> Self {
        Self::new(port, options, Some(owner), stopping)
    }

    fn new(
        port: Arc<dyn Port>,
        options: McpOptions,
        owner: Option<Principal>,
        stopping: CancellationToken,
    ) -> Self {
        let listeners = Listeners::start(&port);
        let schemas = TOOLS
            .into_iter()
            .zip(schema::tools(&options, &[]).into_iter().map(|tool| tool.input_schema))
            .collect();
        Self { shared: Arc::new(Shared { port, options, listeners, owner, stopping, schemas }) }
    }

    fn who(&self, context: &RequestContext<RoleServer>) -> Result<Principal, ErrorData> {
        let carried = context
            .extensions
            .get::<http::request::Parts>()
            .and_then(|parts| parts.extensions.get::<Principal>());
        let Some(known) = self.shared.owner.as_ref().or(carried) else {
            return Err(ErrorData::internal_error("the request carries no identity", None));
        };
        let name = context.client_info().map(|client| client.name).unwrap_or_default();
        let name: String =
            name.chars().filter(|c| c.is_ascii_graphic()).take(CLIENT_CHARS_MAX).collect();
        let client_id = if name.is_empty() { known.client_id.clone() } else { name };
        Ok(Principal { client_id, ..known.clone() })
    }

    fn arguments<T: DeserializeOwned>(
        &self,
        tool: &'static str,
        given: Option<JsonObject>,
    ) -> Result<T, ServiceError> {
        let (_, schema) = self
            .shared
            .schemas
            .iter()
            .find(|(name, _)| *name == tool)
            .expect("every tool has a schema");
        arguments::read(tool, schema, given)
    }

    async fn call(
        &self,
        request: CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResult, ErrorData> {
        let who = self.who(context)?;
        let given = request.arguments;
        let outcome = match request.name.as_ref() {
            "execute" => self.execute(&who, given, context).await,
            "task_get" => self.until_cancelled(context, self.task_get(&who, given)).await,
            "task_list" => self.until_cancelled(context, self.task_list(&who, given)).await,
            "task_cancel" => self.task_cancel(&who, given).await,
            other => {
                let known = TOOLS.join(", ");
                let name: String = other.chars().take(128).collect();
                return Err(ErrorData::invalid_params(
                    format!("unknown tool `{name}`: the tools are {known}"),
                    None,
                ));
            }
        };
        Ok(outcome.unwrap_or_else(|error| refuse(&error)))
    }

    async fn execute(
        &self,
        who: &Principal,
        given: Option<JsonObject>,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResult, ServiceError> {
        let request: Execute = self.arguments("execute", given)?;
        let token = context.meta.get_progress_token();
        let patience = if token.is_some() { Patience::Long } else { Patience::Short };
        let (sink, mut seen) = watch::channel(None);
        let mut running = self.shared.port.execute(who, request, patience, sink);
        let mut reporter =
            Reporter::new(token, context.peer.clone(), self.shared.options.progress_every);
        let mut cancelled = false;
        let answer = loop {
            tokio::select! {
                biased;
                answer = &mut running => break answer?,
                () = context.ct.cancelled(), if !cancelled => cancelled = true,
                () = reporter.due(), if !cancelled => {
                    let progress = seen.borrow().clone();
                    reporter.tell(progress).await;
                }
                // Only a recorded task can be cancelled: its id comes with the first progress.
                Ok(()) = seen.changed(), if cancelled => {}
            }
            let recorded = if cancelled { seen.borrow().clone() } else { None };
            if let Some(task) = recorded {
                return Err(self.abandon(who, task).await);
            }
        };
        let head = self.head(who, &answer).await;
        Ok(answer::task(&answer, head.as_ref(), Detail::Outcome))
    }

    /// The client has gone: stops the task, unless it is the server that goes. The answer reaches
    /// nobody.
    async fn abandon(&self, who: &Principal, task: Progress) -> ServiceError {
        if !self.shared.stopping.is_cancelled() {
            let request = TaskCancel { task_id: task.task_id.to_string() };
            if let Err(error) = self.shared.port.task_cancel(who, request).await {
                tracing::warn!(task = %task.task_id, %error, "a task whose client has gone could \
                    not be cancelled");
            }
        }
        gone()
    }

    /// The beginning of a result that is too large to be in the answer.
    async fn head(&self, who: &Principal, answer: &TaskAnswer) -> Option<ResultPage> {
        let large = answer.task.result_bytes.is_some_and(|bytes| bytes > super::RESULT_BYTES_MAX);
        if !large || answer.result.is_some() || answer.page.is_some() {
            return None;
        }
        let request = TaskGet {
            task_id: answer.task.task_id.to_string(),
            wait_ms: None,
            result_offset: Some(0),
            result_limit: Some(answer::TEXT_CHARS_MAX as u64),
        };
        self.shared.port.task_get(who, request).await.ok()?.page
    }

    async fn task_get(
        &self,
        who: &Principal,
        given: Option<JsonObject>,
    ) -> Result<CallToolResult, ServiceError> {
        let answer = self.shared.port.task_get(who, self.arguments("task_get", given)?).await?;
        let head = self.head(who, &answer).await;
        Ok(answer::task(&answer, head.as_ref(), Detail::Record))
    }

    async fn task_list(
        &self,
        who: &Principal,
        given: Option<JsonObject>,
    ) -> Result<CallToolResult, ServiceError> {
        let request: TaskList = self.arguments("task_list", given)?;
        Ok(answer::task_list(&self.shared.port.task_list(who, request).await?))
    }

    async fn task_cancel(
        &self,
        who: &Principal,
        given: Option<JsonObject>,
    ) -> Result<CallToolResult, ServiceError> {
        let request: TaskCancel = self.arguments("task_cancel", given)?;
        Ok(answer::cancelled(&self.shared.port.task_cancel(who, request).await?))
    }

    async fn until_cancelled<T>(
        &self,
        context: &RequestContext<RoleServer>,
        asked: impl Future<Output = Result<T, ServiceError>>,
    ) -> Result<T, ServiceError> {
        tokio::select! {
            biased;
            answer = asked => answer,
            () = context.ct.cancelled() => Err(gone()),
        }
    }

    fn identity() -> Implementation {
        Implementation::new("airlock", env!("CARGO_PKG_VERSION"))
            .with_title("Airlock")
            .with_description(
                "Runs TypeScript in an isolated sandbox whose only way out is the connected tools",
            )
    }
}

impl ServerHandler for Mcp {
    fn get_info(&self) -> ServerConfig {
        // Who asks is not told here; whoever does is the one user of this server.
        let namespaces = self.shared.port.namespaces(&Principal::local("mcp"));
        ServerConfig::new(
            ServerCapabilities::builder().enable_tools().enable_tool_list_changed().build(),
        )
        .with_server_info(Self::identity())
        .with_instructions(describe::instructions(&namespaces))
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let namespaces = self.shared.port.namespaces(&self.who(&context)?);
        let mut list =
            ListToolsResult::with_all_items(schema::tools(&self.shared.options, &namespaces));
        list.ttl_ms = Some(LIST_TTL_MS);
        list.cache_scope = Some(CacheScope::Private);
        list.meta = is_modern(&context).then(server_meta);
        Ok(list)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let tool = request.name.clone();
        // rmcp drops the panic of a handler, and with it the answer.
        let answered = AssertUnwindSafe(self.call(request, &context))
            .catch_unwind()
            .await
            .unwrap_or_else(|_| {
                tracing::error!(%tool, "a panic while a tool was called");
                let error = ServiceError::new(
                    ErrorCode::Internal,
                    "the server failed while it worked on this call",
                );
                Ok(refuse(&error))
            });
        let outcome = match &answered {
            Ok(result) if result.is_error == Some(true) => "error",
            Ok(_) => "ok",
            Err(_) => "refused",
        };
        metrics::counter!("airlock_mcp_calls_total", "tool" => known(&tool), "outcome" => outcome)
            .increment(1);
        let meta = is_modern(&context).then(server_meta);
        answered.map(|result| CallToolResponse::Complete(result.with_meta(meta)))
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        self.shared.listeners.add(context.peer);
    }

    fn accepted_subscription_filter(
        &self,
        _requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        Some(SubscriptionFilter::builder().tools_list_changed().build())
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let mut changes = self.shared.listeners.changes();
        loop {
            tokio::select! {
                () = context.cancelled() => return Ok(()),
                () = self.shared.stopping.cancelled() => return Ok(()),
                changed = changes.changed() => {
                    let notice = ServerNotification::ToolListChangedNotification(ToolListChangedNotification::default());
                    if changed.is_err() || context.sink().send(notice).await.is_err() {
                        return Ok(());
                    }
                }
            }
        }
    }
}

/// Tells a client that asked for it how a call gets on: at once, and then every so often.
struct Reporter {
    token: Option<ProgressToken>,
    peer: Peer<RoleServer>,
    ticks: tokio::time::Interval,
    since: Instant,
    told: u64,
}

impl Reporter {
    fn new(token: Option<ProgressToken>, peer: Peer<RoleServer>, every: Duration) -> Self {
        Self { token, peer, ticks: tokio::time::interval(every), since: Instant::now(), told: 0 }
    }

    /// Resolves when the next notice is due; never where none is wanted.
    async fn due(&mut self) {
        match self.token {
            Some(_) => drop(self.ticks.tick().await),
            None => std::future::pending().await,
        }
    }

    async fn tell(&mut self, progress: Option<Progress>) {
        let Some(token) = self.token.clone() else { return };
        let seconds = self.since.elapsed().as_secs();
        self.told += 1;
        let message = match progress {
            None => "received".to_owned(),
            Some(Progress { status, tool_calls: 0, .. }) => format!("{status} after {seconds} s"),
            Some(Progress { status, tool_calls, said, .. }) => {
                let said =
                    said.map(|said| format!("; the last tool says: {said}")).unwrap_or_default();
                format!("{status} after {seconds} s, {tool_calls} tool calls{said}")
            }
        };
        let notice = ProgressNotificationParam::new(token, self.told as f64).with_message(message);
        if !matches!(
            tokio::time::timeout(NOTIFY_MAX, self.peer.notify_progress(notice)).await,
            Ok(Ok(()))
        ) {
            tracing::debug!("a client did not take a notice of progress");
        }
    }
}

fn refuse(error: &ServiceError) -> CallToolResult {
    if error.kind() == ErrorKind::Internal {
        tracing::error!(error = %crate::base::error::chain(error), "a call failed");
    }
    answer::refusal(error)
}

fn gone() -> ServiceError {
    ServiceError::new(ErrorCode::Cancelled, "the client has gone")
}

/// Whether the request speaks the revision of the protocol that wants the server named in every
/// result.
fn is_modern(context: &RequestContext<RoleServer>) -> bool {
    context
        .protocol_version()
        .is_some_and(|version| version.as_str() >= ProtocolVersion::V_2026_07_28.as_str())
}

/// A closed list: a name of a stranger's choice must not become a label.
fn known(tool: &str) -> &'static str {
    TOOLS.into_iter().find(|name| *name == tool).unwrap_or("other")
}

fn server_meta() -> MetaObject {
    let identity =
        serde_json::to_value(Mcp::identity()).expect("a name and a version are serialisable");
    MetaObject(JsonObject::from_iter([("io.modelcontextprotocol/serverInfo".to_owned(), identity)]))
}
