//! Where the calls of a guest come in. Every `tools.*` call, finding included, passes
//! [`Host::call`]: the one place where policy and approvals stand.
//!
//! The order of a call: tool found → arguments checked → decided → (a person asked) → its turn at
//! the upstream, decided anew where it had to wait for it → counted → recorded as asked for and
//! started, durably → sent → its end recorded. Where artifacts stand in the arguments, these are
//! checked last, once the artifacts are in them. A call that the run's end leaves behind is aborted
//! upstream and recorded as failed. What happens between finding and sending is told in
//! [`passage`](super::passage).

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures::future::BoxFuture;
use parking_lot::Mutex;

use super::{
    approval_waiters::ApprovalWaiters,
    artifacts::Artifacts,
    call::{
        budget::BudgetTracker,
        concurrency::UpstreamConcurrency,
        pipeline::{Arguments, CallPipeline},
        rejection::{self, CallRejection, failure},
    },
    engine::TaskHandle,
    policy_reload::ReloadingPolicy,
    record,
    warnings::Warnings,
};
use crate::{
    base::text::cut,
    catalog::{CallerLimit, Catalog, ResolveError, Tool, ToolFilter, Visibility, host_function},
    model::{
        ErrorCode, EventData, HostFunction, HostFunctionId, JsonObject, LogLine, NewEvent,
        NoDetails, Principal, RawJson, TaskId, TaskRunning, TaskStatus,
    },
    policy::{Caller, FixedWindow, Listing, Policy, ToolFacts, Window},
    sandbox::{CallFailure, ToolCall, ToolHost, WallClock},
    store::{CounterWindow, NewTask, Store, StoreError, TaskChange, Written},
};

/// The role of whoever runs code.
pub const ROLE: &str = "agent";
/// Refusals of one run that are remembered, the latest ones: a task that goes on after so many
/// handles them.
const REFUSED_MAX: usize = 65_536;

/// What the hosts of all tasks share.
#[derive(Clone)]
pub struct Services {
    /// Keeps the record, the counters and the approvals.
    pub store: Arc<dyn Store>,
    /// Finds and performs calls.
    pub catalog: Arc<Catalog>,
    /// Decides.
    pub policy: Arc<ReloadingPolicy>,
    /// Where calls wait for a person.
    pub waiters: Arc<ApprovalWaiters>,
    /// Whose call is under way next at an upstream.
    pub turns: UpstreamConcurrency,
    /// Keeps answers that are too large.
    pub artifacts: Artifacts,
    /// Whether the values of arguments are recorded.
    pub record_values: bool,
}

/// Answers the calls of one run.
pub struct Host(Arc<Inner>);

pub(super) struct Inner {
    pub(super) parts: Services,
    pub(super) task: TaskFacts,
    pub(super) clock: WallClock,
    pub(super) live: Arc<TaskHandle>,
    pub(super) spending: BudgetTracker,
    /// Calls that were refused by policy or by a person, and how.
    refused: Mutex<BTreeMap<u32, &'static str>>,
    /// Calls that wait for a person.
    parked: Mutex<usize>,
    /// Its questions about tools, which wait for each other.
    asker: CallerLimit,
    /// What calls that succeeded were warned of.
    warnings: Mutex<Warnings>,
}

/// What policy lets a caller see of the tools.
pub struct PolicyView {
    policy: Arc<Policy>,
    workspace: String,
    principal: String,
    key: Option<String>,
    /// Of all who see the same.
    seen_as: String,
    without: Option<String>,
}

impl PolicyView {
    /// What this policy lets this caller see. Neither its session nor its task makes a difference.
    pub fn new(policy: Arc<Policy>, caller: &Caller<'_>) -> Self {
        Self {
            workspace: caller.workspace.to_owned(),
            principal: caller.principal.to_owned(),
            key: caller.key.map(ToOwned::to_owned),
            seen_as: policy.view_key(&Caller { role: ROLE, ..*caller }),
            without: None,
            policy,
        }
    }

    /// The same without the tool of this path.
    fn without(self, path: &str) -> Self {
        Self { without: Some(path.to_owned()), ..self }
    }
}

impl ToolFilter for PolicyView {
    fn see(&self, tool: &Tool) -> Visibility {
        let (workspace, principal) = (self.workspace.as_str(), self.principal.as_str());
        let caller = Caller {
            workspace,
            principal,
            role: ROLE,
            key: self.key.as_deref(),
            session: None,
            task: "",
        };
        match self.policy.view(&facts(tool), &caller) {
            Listing::Hidden => Visibility::Hidden,
            Listing::Auto => Visibility::Auto,
            Listing::Required => Visibility::Required,
        }
    }

    fn key(&self) -> Option<&str> {
        Some(&self.seen_as)
    }

    fn without(&self) -> Option<&str> {
        self.without.as_deref()
    }

    fn workspace(&self) -> &str {
        &self.workspace
    }
}

/// Whose run it is.
pub(super) struct TaskFacts {
    pub(super) id: TaskId,
    id_text: String,
    pub(super) principal: Principal,
}

impl Host {
    /// The host of one run of this task, whose clock stands still while a person is asked.
    pub fn new(parts: Services, task: &NewTask, live: Arc<TaskHandle>, clock: WallClock) -> Self {
        let task = TaskFacts {
            id: task.task_id,
            id_text: task.task_id.to_string(),
            principal: task.principal.clone(),
        };
        let (spending, refused, parked, warnings) =
            (BudgetTracker::default(), Mutex::default(), Mutex::default(), Mutex::default());
        Self(Arc::new(Inner {
            parts,
            task,
            clock,
            live,
            spending,
            refused,
            parked,
            warnings,
            asker: CallerLimit::default(),
        }))
    }

    /// How the call of that number was refused, if it was. Guests cannot influence it.
    pub fn refused(&self, call: u32) -> Option<&'static str> {
        self.0.refused.lock().get(&call).copied()
    }

    /// What the caller should know of calls that succeeded.
    pub fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.warnings.lock()).told()
    }
}

impl ToolHost for Host {
    fn call(&self, call: ToolCall) -> BoxFuture<'static, Result<RawJson, CallFailure>> {
        let inner = self.0.clone();
        inner.live.tool_calls.fetch_add(1, Ordering::Relaxed);
        inner.live.tell();
        Box::pin(async move { inner.call(call).await })
    }

    fn log(&self, line: &LogLine) {
        tracing::debug!(task = %self.0.task.id, level = ?line.level, bytes = line.text.len(), "console output");
    }
}

fn invalid(tool: &Tool, message: &str) -> CallFailure {
    failure(
        rejection::ARGUMENT_ERROR,
        ErrorCode::InvalidToolArguments.as_str(),
        &tool.path,
        message,
    )
}

impl TaskFacts {
    pub(super) fn caller(&self) -> Caller<'_> {
        Caller {
            workspace: &self.principal.workspace_id,
            principal: &self.principal.account_id,
            role: ROLE,
            key: self.principal.key_id.as_deref(),
            session: self.principal.session_id.as_deref(),
            task: &self.id_text,
        }
    }
}

impl Inner {
    async fn call(&self, mut call: ToolCall) -> Result<RawJson, CallFailure> {
        match host_function(&call.path) {
            Ok(Some(function)) => return self.call_host_function(function, &call).await,
            Ok(None) => {}
            Err(absent) => return self.fail(&call, rejection::unresolved(absent.into())).await,
        }
        let admitted = match self.resolve(&call).await {
            Ok(tool) => match self.admit(&tool, &mut call).await {
                Ok(args) => Ok((tool, args)),
                // What is wrong with its arguments would tell that it is there, and what it takes.
                Err(_) if self.parts.policy.current().hides(&tool.path, &self.task.caller()) => {
                    Err(self.absent(&call.path, &tool).await)
                }
                Err(failure) => Err(failure),
            },
            Err(failure) => Err(failure),
        };
        match admitted {
            Ok((tool, args)) => CallPipeline::new(self, &call, tool, args).go().await,
            Err(failure) => self.fail(&call, failure).await,
        }
    }

    /// Records a call that cannot be decided about, and fails it.
    async fn fail(&self, call: &ToolCall, failure: CallFailure) -> Result<RawJson, CallFailure> {
        let events = vec![
            record::requested(call, None, self.parts.record_values),
            record::failed(call.seq, &failure),
        ];
        self.noted(events, &call.path, Err(failure)).await
    }

    /// The arguments as policy decides about them. With artifacts in them, the call from here on
    /// holds their true digests.
    async fn admit(&self, tool: &Arc<Tool>, call: &mut ToolCall) -> Result<Arguments, CallFailure> {
        match self
            .parts
            .artifacts
            .stamped(&self.task.principal.workspace_id, &tool.path, call.args.get())
            .await?
        {
            None => self.check(tool, call.args.get()).await.map(Arguments::Checked),
            Some(stamped) => {
                call.args = stamped.args;
                Arguments::standing(call.args.get(), tool)
            }
        }
    }

    /// Performs a host function. All are allowed: discovery shows only what policy lets the caller
    /// see, and artifacts are only those of the workspace.
    async fn call_host_function(
        &self,
        function: &HostFunction,
        call: &ToolCall,
    ) -> Result<RawJson, CallFailure> {
        let policy = self.parts.policy.current();
        let args = call.args.get();
        let answer = match function.id {
            HostFunctionId::Discovery(id) => {
                let view = PolicyView::new(policy.clone(), &self.task.caller());
                let found = self.parts.catalog.find_offloaded(&self.asker, id, args, view).await;
                found.map_err(|error| rejection::not_found(&call.path, error))
            }
            HostFunctionId::Artifacts(id) => {
                self.parts.artifacts.call(&self.task.principal.workspace_id, id, args).await
            }
        };
        let decided = Some(record::built_in(function.id.rule(), policy.revision()));
        let events = vec![
            record::requested(call, decided, self.parts.record_values),
            record::ended(call.seq, &answer),
        ];
        self.noted(events, &call.path, answer).await
    }

    /// The tool that is called. One that lists do not show, because every call of it is refused, is
    /// found by its exact path.
    async fn resolve(&self, call: &ToolCall) -> Result<Arc<Tool>, CallFailure> {
        let (catalog, view) = (&self.parts.catalog, self.view());
        match catalog.seek(&call.path, &view).await {
            Ok(Some(tool)) => Ok(tool),
            Ok(None) => match catalog.exact(call.path.strip_prefix("tools.").unwrap_or(&call.path))
            {
                Some(tool) => Ok(tool),
                None => Err(self.not_found(&call.path, view).await),
            },
            Err(error) => Err(rejection::unresolved(error.into())),
        }
    }

    /// What a call of a tool that does not exist is answered, for one that must not be known to
    /// exist.
    pub(super) async fn absent(&self, path: &str, hidden: &Tool) -> CallFailure {
        let view = self.view().without(&hidden.path);
        match self.parts.catalog.seek(path, &view).await {
            Ok(None) => self.not_found(path, view).await,
            Err(error) => rejection::unresolved(error.into()),
            // The path leads to another tool when this one is left out: also then it is not this
            // one.
            Ok(Some(_)) => failure(
                "ToolNotFoundError",
                ErrorCode::ToolNotFound.as_str(),
                path,
                &format!("there is no tool `{path}`"),
            ),
        }
    }

    async fn not_found(&self, path: &str, view: PolicyView) -> CallFailure {
        rejection::unresolved(ResolveError::NotFound(
            self.parts.catalog.not_found_offloaded(&self.asker, path, view).await,
        ))
    }

    fn view(&self) -> PolicyView {
        PolicyView::new(self.parts.policy.current(), &self.task.caller())
    }

    /// The arguments, once the tool's schema allows them.
    pub(super) async fn check(
        &self,
        tool: &Arc<Tool>,
        args: &str,
    ) -> Result<JsonObject, CallFailure> {
        self.parts
            .catalog
            .check(tool, args)
            .await
            .map_err(|error| invalid(tool, &error.to_string()))
    }

    /// The same for arguments that artifacts made large.
    pub(super) async fn check_value(
        &self,
        tool: &Arc<Tool>,
        args: JsonObject,
    ) -> Result<JsonObject, CallFailure> {
        self.parts
            .catalog
            .check_value(tool, args)
            .await
            .map_err(|error| invalid(tool, &error.to_string()))
    }

    /// Remembers a refusal, so that a task that does not handle it ends as what it was.
    pub(super) fn refuse(&self, seq: u32, tool: &str, refused: &CallRejection) -> CallFailure {
        let mut all = self.refused.lock();
        all.insert(seq, refused.code);
        if all.len() > REFUSED_MAX {
            all.pop_first();
        }
        drop(all);
        refused.failure(tool)
    }

    /// The answer, once its events are durable: a guest is answered no faster than its calls are
    /// recorded.
    pub(super) async fn noted(
        &self,
        events: Vec<NewEvent>,
        tool: &str,
        answer: Result<RawJson, CallFailure>,
    ) -> Result<RawJson, CallFailure> {
        match self.parts.store.change_task(self.change(events)).await {
            Ok(()) => answer,
            Err(error) => Err(self.unrecorded(tool, &error)),
        }
    }

    pub(super) fn unrecorded(&self, tool: &str, error: &StoreError) -> CallFailure {
        tracing::error!(task = %self.task.id, %error, "a call could not be recorded and is not \
            made");
        failure(
            "ToolCallError",
            ErrorCode::RecordWriteFailed.as_str(),
            cut(tool, record::NAME_BYTES_MAX),
            "the call could not be recorded, so it was not made",
        )
    }

    pub(super) fn change(&self, events: Vec<NewEvent>) -> TaskChange {
        TaskChange { task_id: self.task.id, status: None, started_at: None, end: None, events }
    }

    /// Keeps a warning for the end of the task.
    pub(super) fn warn(&self, text: String) {
        self.warnings.lock().add(text);
    }

    /// Records without waiting: the task's end, which is waited for, comes after.
    pub(super) fn note(&self, events: Vec<NewEvent>) {
        drop(self.parts.store.change_task(self.change(events)));
    }

    /// One more call waits for a person: with the first the task does. The statuses are written in
    /// the order in which they came.
    pub(super) fn park(&self, mut events: Vec<NewEvent>) -> Written {
        let mut parked = self.parked.lock();
        *parked += 1;
        let first = *parked == 1;
        if first {
            events.push(NewEvent::now(EventData::TaskAwaitingApproval(NoDetails {})));
            self.live.become_status(TaskStatus::AwaitingApproval);
        }
        let status = first.then_some(TaskStatus::AwaitingApproval);
        self.parts.store.change_task(TaskChange { status, ..self.change(events) })
    }

    /// One call less waits for a person: with the last the task goes on.
    pub(super) fn unpark(&self, mut events: Vec<NewEvent>) {
        let mut parked = self.parked.lock();
        *parked -= 1;
        let last = *parked == 0;
        if last {
            events.push(NewEvent::now(EventData::TaskRunning(TaskRunning::default())));
            self.live.become_status(TaskStatus::Running);
        }
        let status = last.then_some(TaskStatus::Running);
        drop(self.parts.store.change_task(TaskChange { status, ..self.change(events) }));
    }
}

/// A window of policy, as the store counts it.
pub fn counter_window(window: Window) -> CounterWindow {
    match window {
        Window::Fixed(length) => {
            CounterWindow::Fixed(Duration::from_secs(FixedWindow::seconds(length).into()))
        }
        Window::Rolling(length) => CounterWindow::Rolling(length),
        Window::Task => CounterWindow::Whole,
    }
}

/// A tool, as policy looks at it.
pub fn facts(tool: &Tool) -> ToolFacts<'_> {
    ToolFacts {
        path: &tool.path,
        upstream: &tool.upstream,
        name: &tool.name,
        input_schema: Some(&tool.input_schema),
        annotations: tool.annotations,
        trusted: tool.trusted,
        operation: tool.operation,
    }
}
