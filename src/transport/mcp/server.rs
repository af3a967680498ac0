//! The handler that rmcp calls, for every transport and every revision of the protocol.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures::FutureExt;
use parking_lot::Mutex;
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CacheScope, CallToolRequestParams, CallToolResponse, CallToolResult, ClientRequest,
        CustomRequest, CustomResult, DiscoverResult, Extensions, Implementation,
        InitializeRequestParams, InitializeResult, ListToolsResult, MetaObject,
        PaginatedRequestParams, ProtocolVersion, ResultType, ServerCapabilities, ServerConfig,
        ServerNotification, SubscriptionFilter, ToolListChangedNotification,
    },
    service::{NotificationContext, RequestContext, SubscriptionContext},
};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    answer, arguments, describe,
    listeners::Listeners,
    options::{LiveMcpOptions, McpOptions},
    reporter::Reporter,
    schema,
    unserved::{self, Unserved},
};
use crate::{
    model::{ErrorCode, ErrorKind, JsonObject, Principal, showables},
    service::{
        Execute, Execution, NamespaceList, Service, ServiceError, TaskCancel, TaskGet, TaskList,
        TaskMedia, WaitPolicy,
        view::{Namespace, Progress, ResultPage, ShownBlock, ShownMedia, TaskOutcome},
    },
    transport::{
        auth,
        rate_limit::{Counts, RateLimits},
    },
};

/// The tools, in the order of `tools/list`.
const TOOLS: [&str; 4] = ["execute", "task_get", "task_list", "task_cancel"];
/// The method that calls a tool.
const CALL: &str = "tools/call";
/// Time that a client may cache `tools/list`, in milliseconds: namespaces come and go.
const LIST_TTL_MS: u64 = 60_000;
/// Characters of the name a client gives itself, at most.
const CLIENT_CHARS_MAX: usize = 64;

/// The MCP server. A cheap clone of shared state: one per session, or one per request.
#[derive(Clone)]
pub struct Mcp {
    shared: Arc<Shared>,
}

struct Shared {
    service: Arc<Service>,
    options: LiveMcpOptions,
    listeners: Arc<Listeners>,
    /// The principal where the transport itself knows it (stdio). Over HTTP each request carries
    /// its [`Principal`].
    principal: Option<Principal>,
    /// The limits on its requests, where the transport does not count them itself (stdio).
    rates: Option<Arc<RateLimits>>,
    /// The server stops: what ends now was not cancelled by a client.
    stopping: CancellationToken,
    /// Input schemas as they were last needed.
    schemas: Mutex<Arc<Schemas>>,
}

/// Input schemas by tool, as they are listed with these options.
struct Schemas {
    options: McpOptions,
    by_tool: Vec<(&'static str, Arc<JsonObject>)>,
}

impl Schemas {
    fn new(options: &McpOptions) -> Arc<Self> {
        let schemas = schema::tools(options, &[]).into_iter().map(|tool| tool.input_schema);
        let by_tool = TOOLS.into_iter().zip(schemas).collect();
        Arc::new(Self { options: options.clone(), by_tool })
    }
}

impl Mcp {
    /// A server over HTTP: every request must carry its [`Principal`] in the extensions of its HTTP
    /// parts. Must be called inside a tokio runtime.
    pub fn over_http(
        service: Arc<Service>,
        options: LiveMcpOptions,
        stopping: CancellationToken,
    ) -> Self {
        Self::new(service, options, None, None, stopping)
    }

    /// A server for the one user at the other end of a pipe, within these limits. Must be called
    /// inside a tokio runtime.
    pub fn over_stdio(
        service: Arc<Service>,
        options: LiveMcpOptions,
        principal: Principal,
        rates: Arc<RateLimits>,
        stopping: CancellationToken,
    ) -> Self {
        Self::new(service, options, Some(principal), Some(rates), stopping)
    }

    fn new(
        service: Arc<Service>,
        options: LiveMcpOptions,
        principal: Option<Principal>,
        rates: Option<Arc<RateLimits>>,
        stopping: CancellationToken,
    ) -> Self {
        let watcher = principal.clone().unwrap_or_else(auth::agent);
        let listeners = Listeners::start(&service, options.clone(), watcher);
        let schemas = Mutex::new(Schemas::new(&options.borrow()));
        Self {
            shared: Arc::new(Shared {
                service,
                options,
                listeners,
                principal,
                rates,
                stopping,
                schemas,
            }),
        }
    }

    /// Counts a request over stdio.
    ///
    /// # Errors
    /// The refusal of one beyond the limit, with the time to wait.
    pub(in crate::transport) fn admit(&self, request: &ClientRequest) -> Result<(), ErrorData> {
        let (Some(rates), Some(who)) = (&self.shared.rates, &self.shared.principal) else {
            return Ok(());
        };
        let counts = match request {
            ClientRequest::CallToolRequest(call) => counts(Some(CALL), Some(&call.params.name)),
            _ => Counts::AsPoll,
        };
        let refusal = rates.count(counts, &who.workspace_id).and_then(|counted| counted.refusal());
        refusal.map_or(Ok(()), |refusal| Err(refusal.into()))
    }

    /// The principal behind a message, by the extensions that it carries.
    fn principal(&self, extensions: &Extensions) -> Result<Principal, ErrorData> {
        let carried = || extensions.get::<http::request::Parts>()?.extensions.get::<Principal>();
        let known = self.shared.principal.clone().or_else(|| carried().cloned());
        known.ok_or_else(|| ErrorData::internal_error("the request carries no identity", None))
    }

    /// The principal behind a request, with the name that its client gives itself.
    fn who(&self, context: &RequestContext<RoleServer>) -> Result<Principal, ErrorData> {
        let known = self.principal(&context.extensions)?;
        let name = context.client_info().map(|client| client.name).unwrap_or_default();
        let name: String =
            name.chars().filter(|c| c.is_ascii_graphic()).take(CLIENT_CHARS_MAX).collect();
        let client_id = if name.is_empty() { known.client_id.clone() } else { name };
        Ok(Principal { client_id, ..known })
    }

    /// The instructions for this caller, with the namespaces that it may see.
    async fn instructions(
        &self,
        context: &RequestContext<RoleServer>,
    ) -> Result<String, ErrorData> {
        let namespaces = self.namespaces(&self.who(context)?).await?;
        let options = self.shared.options.borrow();
        Ok(describe::instructions(&namespaces, &options.why_no_tools))
    }

    /// The input schemas with the options in force.
    fn schemas(&self) -> Arc<Schemas> {
        let options = self.shared.options.borrow();
        let mut known = self.shared.schemas.lock();
        if known.options != *options {
            *known = Schemas::new(&options);
        }
        known.clone()
    }

    async fn namespaces(&self, who: &Principal) -> Result<Vec<Namespace>, ErrorData> {
        let listed = self.shared.service.call(who, NamespaceList).await;
        listed.map_err(|error| ErrorData::internal_error(error.message, None))
    }

    fn arguments<T: DeserializeOwned>(
        &self,
        tool: &'static str,
        given: Option<JsonObject>,
    ) -> Result<T, ServiceError> {
        let schemas = self.schemas();
        let (_, schema) = schemas
            .by_tool
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
        let arguments: Execute = self.arguments("execute", given)?;
        let token = context.meta.get_progress_token();
        let is_shown = token.is_some();
        let wait = if is_shown { WaitPolicy::Progress } else { WaitPolicy::Capped };
        let (progress, mut seen) = watch::channel(None);
        let execution = Execution { arguments, wait, progress };
        let mut running = Box::pin(self.shared.service.call(who, execution));
        let mut reporter =
            Reporter::new(token, context.peer.clone(), self.shared.options.borrow().progress_every);
        let mut cancelled = false;
        let record = loop {
            tokio::select! {
                biased;
                record = &mut running => break record?,
                () = context.ct.cancelled(), if !cancelled => cancelled = true,
                () = reporter.due(), if !cancelled => {
                    let progress = seen.borrow().clone();
                    reporter.report(progress).await;
                }
                // Only a recorded task can be cancelled: its id comes with the first progress.
                Ok(()) = seen.changed(), if cancelled || is_shown => {
                    let progress = seen.borrow().clone();
                    if !cancelled && reporter.is_urgent(progress.as_ref()) {
                        reporter.report(progress).await;
                    }
                }
            }
            let recorded = if cancelled { seen.borrow().clone() } else { None };
            if let Some(task) = recorded {
                return Err(self.abandon(who, task).await);
            }
        };
        let head = self.head(who, &record.outcome).await;
        let mut outcome = record.outcome;
        let media = self.media(who, &mut outcome).await;
        Ok(answer::outcome(&outcome, head.as_ref(), media))
    }

    /// The images and sounds in a result. What cannot be among them is told as a warning.
    async fn media(&self, who: &Principal, task: &mut TaskOutcome) -> Vec<ShownBlock> {
        if showables(&task.result).is_empty() {
            return Vec::new();
        }
        match self.shared.service.call(who, TaskMedia { task_id: task.task_id }).await {
            Ok(ShownMedia { blocks, left_out }) => {
                let told = left_out.iter().map(|what| format!("not shown: {what}"));
                task.warnings.extend(told);
                blocks
            }
            Err(error) => {
                task.warnings.push(format!("images and sounds are not shown: {error}"));
                Vec::new()
            }
        }
    }

    /// Stops the task of a client that has gone, unless it is the server that stops. The answer
    /// reaches nobody.
    async fn abandon(&self, who: &Principal, task: Progress) -> ServiceError {
        if !self.shared.stopping.is_cancelled() {
            let request = TaskCancel { task_id: task.task_id.to_string() };
            if let Err(error) = self.shared.service.call(who, request).await {
                tracing::warn!(task = %task.task_id, %error, "a task whose client has gone could \
                    not be cancelled");
            }
        }
        gone()
    }

    /// The beginning of a result that is too large to be in the answer.
    async fn head(&self, who: &Principal, task: &TaskOutcome) -> Option<ResultPage> {
        task.truncated.as_ref()?;
        let request = TaskGet {
            task_id: task.task_id.to_string(),
            wait_ms: None,
            result_offset: Some(0),
            result_limit: Some(answer::TEXT_CHARS_MAX as u64),
        };
        self.shared.service.call(who, request).await.ok()?.outcome.result_page
    }

    async fn task_get(
        &self,
        who: &Principal,
        given: Option<JsonObject>,
    ) -> Result<CallToolResult, ServiceError> {
        let request: TaskGet = self.arguments("task_get", given)?;
        let mut record = self.shared.service.call(who, request).await?;
        let head = self.head(who, &record.outcome).await;
        let media = self.media(who, &mut record.outcome).await;
        Ok(answer::record(&record, head.as_ref(), media))
    }

    async fn task_list(
        &self,
        who: &Principal,
        given: Option<JsonObject>,
    ) -> Result<CallToolResult, ServiceError> {
        let request: TaskList = self.arguments("task_list", given)?;
        Ok(answer::task_list(&self.shared.service.call(who, request).await?))
    }

    async fn task_cancel(
        &self,
        who: &Principal,
        given: Option<JsonObject>,
    ) -> Result<CallToolResult, ServiceError> {
        let request: TaskCancel = self.arguments("task_cancel", given)?;
        Ok(answer::cancelled(&self.shared.service.call(who, request).await?.outcome))
    }

    async fn until_cancelled<T>(
        &self,
        context: &RequestContext<RoleServer>,
        reply: impl Future<Output = Result<T, ServiceError>>,
    ) -> Result<T, ServiceError> {
        tokio::select! {
            biased;
            answer = reply => answer,
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
    /// The part that is the same for every caller; the instructions depend on the caller.
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(
            ServerCapabilities::builder().enable_tools().enable_tool_list_changed().build(),
        )
        .with_server_info(Self::identity())
    }

    async fn initialize(
        &self,
        request: InitializeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<InitializeResult, ErrorData> {
        context.peer.set_peer_info(request.clone());
        let mut result = self.negotiate_initialize(&request)?;
        result.instructions = Some(self.instructions(&context).await?);
        Ok(result)
    }

    async fn discover(
        &self,
        context: RequestContext<RoleServer>,
    ) -> Result<DiscoverResult, ErrorData> {
        let info = self.get_info().with_instructions(self.instructions(&context).await?);
        let versions = self.supported_protocol_versions().into_owned();
        Ok(DiscoverResult::from_server_info(versions, info))
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let namespaces = self.namespaces(&self.who(&context)?).await?;
        let tools = schema::tools(&self.shared.options.borrow(), &namespaces);
        let mut list = ListToolsResult::with_all_items(tools);
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
                tracing::error!(%tool, "a handler panicked while a tool was called");
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

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        let error = match unserved::judge(&request, &TOOLS) {
            Unserved::Call(error) => error,
            Unserved::Refused(error) => return Err(error),
        };
        let is_modern = is_modern(&context);
        let mut result = refuse(&error).with_meta(is_modern.then(server_meta));
        result.result_type = is_modern.then_some(ResultType::COMPLETE);
        let result = serde_json::to_value(result).expect("a result is serialisable");
        Ok(CustomResult::new(result))
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        match self.principal(&context.extensions) {
            Ok(who) => self.shared.listeners.add(context.peer, who).await,
            Err(error) => tracing::error!(%error, "a session cannot be notified of changes"),
        }
    }

    fn accepted_subscription_filter(
        &self,
        _requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        Some(SubscriptionFilter::builder().tools_list_changed().build())
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let listeners = &self.shared.listeners;
        let who = self.principal(&context.request_context().extensions)?;
        let mut changes = listeners.changes();
        let mut seen = listeners.seen(who).await;
        loop {
            tokio::select! {
                () = context.cancelled() => return Ok(()),
                () = self.shared.stopping.cancelled() => return Ok(()),
                changed = changes.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                    let notice = ToolListChangedNotification::default();
                    let notice = ServerNotification::ToolListChangedNotification(notice);
                    if listeners.differs(&mut seen).await
                        && context.sink().send(notice).await.is_err()
                    {
                        return Ok(());
                    }
                }
            }
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

/// True if the request is of the revision of the protocol that wants the server named in every
/// result.
fn is_modern(context: &RequestContext<RoleServer>) -> bool {
    context
        .protocol_version()
        .is_some_and(|version| version.as_str() >= ProtocolVersion::V_2026_07_28.as_str())
}

/// What a request counts as, by its method and, for a call, its tool: only `execute` starts work.
pub(in crate::transport) fn counts(method: Option<&str>, tool: Option<&str>) -> Counts {
    match (method, tool) {
        (Some(CALL), Some("execute")) => Counts::AsWork,
        _ => Counts::AsPoll,
    }
}

/// The tool's name as a label, from a closed list: a name that a caller made up must not become
/// one.
fn known(tool: &str) -> &'static str {
    TOOLS.into_iter().find(|name| *name == tool).unwrap_or("other")
}

fn server_meta() -> MetaObject {
    let identity =
        serde_json::to_value(Mcp::identity()).expect("a name and a version are serialisable");
    MetaObject(JsonObject::from_iter([("io.modelcontextprotocol/serverInfo".to_owned(), identity)]))
}
