//! The host of one run. Every `tools.*` call, finding included, passes [`Host`]: a function of the
//! host itself is answered here, and a tool is called by the
//! [pipeline](super::call::pipeline::CallPipeline), where policy and approvals stand.
//!
//! The host owns the calls that are under way. When the run is over, whatever ended it, it drives
//! each of them to its end: a call at an upstream is aborted, one that waits for a person is taken
//! back, and what was reserved for a call that was not sent is given back.

use std::{
    collections::HashMap,
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
};

use futures::future::{BoxFuture, join_all};
use parking_lot::Mutex;
use tracing::Instrument;

use super::{
    call::{
        context::{CallContext, Services},
        event::DropCause,
        pipeline::CallPipeline,
        rejection,
    },
    handle::TaskHandle,
    journal::TaskJournal,
    policy_view::PolicyView,
    record,
};
use crate::{
    base::text::cut,
    catalog::{NotFound, host_function},
    model::{HostFunction, HostFunctionId, LogLine, RawJson},
    sandbox::{CallFailure, ToolCall, ToolHost, WallClock},
    store::NewTask,
};

type Answer = Result<RawJson, CallFailure>;

/// Answers the calls of one run.
pub(super) struct Host {
    context: Arc<CallContext>,
    open: Arc<OpenCalls>,
}

impl Host {
    /// The host of the run of this task, whose clock stands still while a person is asked.
    pub(super) fn new(
        services: Services,
        task: &NewTask,
        journal: Arc<TaskJournal>,
        handle: Arc<TaskHandle>,
        clock: WallClock,
    ) -> Self {
        let context = CallContext::new(services, task, journal, handle, clock);
        Self { context: Arc::new(context), open: Arc::default() }
    }

    /// The code with which the call of that number was rejected, if it was. Guests cannot influence
    /// it.
    pub(super) fn rejected(&self, call: u32) -> Option<&'static str> {
        self.context.rejected(call)
    }

    /// Takes the warnings of calls that succeeded.
    pub(super) fn take_warnings(&self) -> Vec<String> {
        self.context.take_warnings()
    }

    /// Drives the calls that the run left behind to their ends. Writes that are still needed are
    /// queued once this returns, and nothing waits for an upstream or a person.
    pub(super) async fn drop_run(&self, cause: DropCause) {
        self.context.drop_run(cause);
        join_all(self.open.take()).await;
    }
}

impl ToolHost for Host {
    fn call(&self, call: ToolCall) -> BoxFuture<'static, Answer> {
        let context = self.context.clone();
        context.handle.count_call(&call.path);
        let seq = call.seq;
        let span = tracing::debug_span!(
            "call",
            seq,
            tool = cut(&call.path, record::NAME_BYTES_MAX),
            upstream = tracing::field::Empty
        );
        let answer = async move {
            let answered = match host_function(&call.path) {
                Ok(None) => return CallPipeline::new(&context, call).run().await,
                Ok(Some(function)) => {
                    let answer = call_host_function(&context, function, &call);
                    context.unless_dropped(answer).await
                }
                Err(absent) => {
                    context.unless_dropped(no_such_function(&context, &call, absent)).await
                }
            };
            answered.unwrap_or_else(|_| Err(rejection::abandoned()))
        };
        self.open.insert(seq, Box::pin(answer.instrument(span)));
        let open = self.open.clone();
        Box::pin(poll_fn(move |context| open.poll(seq, context)))
    }

    fn log(&self, line: &LogLine) {
        let (task, bytes) = (&self.context.task.id, line.text.len());
        tracing::debug!(%task, level = ?line.level, bytes, "console output");
        self.context.handle.report_line(line);
    }
}

/// Performs a host function. All are allowed: discovery shows only what policy lets the caller
/// see, and artifacts are only those of the workspace.
async fn call_host_function(
    context: &CallContext,
    function: &HostFunction,
    call: &ToolCall,
) -> Answer {
    let (services, task) = (&context.services, &context.task);
    let policy = services.policy.current();
    let args = call.args.get();
    let answer = match function.id {
        HostFunctionId::Discovery(id) => {
            let view = PolicyView::new(policy.clone(), &task.caller());
            let limit = &context.caller_limit;
            let found = services.catalog.find_offloaded(limit, id, args, view).await;
            found.map_err(|error| rejection::not_found(&call.path, error))
        }
        HostFunctionId::Artifacts(id) => {
            let called = services.artifacts.call(&task.principal.workspace_id, id, args).await;
            called.map_err(|error| rejection::artifact_failure(function.path, error))
        }
    };
    let decision = record::built_in(function.id.rule(), policy.revision());
    let events = vec![
        record::requested(call, Some(decision), services.records_values()),
        record::ended(call.seq, &answer),
    ];
    context.record_then(events, &call.path, answer).await
}

/// Fails a call of a host function that does not exist.
async fn no_such_function(context: &CallContext, call: &ToolCall, absent: NotFound) -> Answer {
    let failure = rejection::unresolved(absent.into());
    let events = vec![
        record::requested(call, None, context.services.records_values()),
        record::failed(call.seq, &failure),
    ];
    context.record_then(events, &call.path, Err(failure)).await
}

/// The calls of a run that have no answer yet. They belong to the host and not to the run, so that
/// the end of the run does not drop them in the middle of a step.
#[derive(Default)]
struct OpenCalls(Mutex<HashMap<u32, Option<BoxFuture<'static, Answer>>>>);

impl OpenCalls {
    fn insert(&self, seq: u32, call: BoxFuture<'static, Answer>) {
        self.0.lock().insert(seq, Some(call));
    }

    /// Polls a call on behalf of the run. The call is out of the table meanwhile: one that panics
    /// does not come back.
    fn poll(&self, seq: u32, context: &mut Context<'_>) -> Poll<Answer> {
        let taken = self.0.lock().get_mut(&seq).and_then(Option::take);
        let Some(mut call) = taken else { return Poll::Pending };
        let polled = call.as_mut().poll(context);
        let mut calls = self.0.lock();
        match polled {
            Poll::Ready(_) => drop(calls.remove(&seq)),
            Poll::Pending => drop(calls.insert(seq, Some(call))),
        }
        polled
    }

    fn take(&self) -> Vec<BoxFuture<'static, Answer>> {
        self.0.lock().drain().filter_map(|(_, call)| call).collect()
    }
}
