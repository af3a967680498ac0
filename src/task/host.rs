//! The host of a program. Every `tools.*` call, finding included, passes [`Host`]: a function of
//! the host itself is answered here, and a tool is called by the
//! [pipeline](super::call::pipeline::CallPipeline), where policy and approvals stand.
//!
//! A run that repeats an earlier one gets the responses of then, in the order of then, and nothing
//! is sent again. The host owns the calls that are under way. When the last run is over, whatever
//! ended it, it drives each of them to its end: a call at an upstream is aborted, one that waits
//! for a person is taken back, and what was reserved for a call that was not sent is given back.

use std::{
    collections::HashMap,
    future::{pending, poll_fn},
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};

use futures::future::{BoxFuture, FutureExt, join_all};
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
    replay::{Answer, Earlier, Entry, Replay},
};
use crate::{
    base::text::cut,
    catalog::{NotFound, host_function},
    model::{HostFunction, HostFunctionId, LogLine, NewEvent},
    sandbox::{GuestInputs, ToolCall, ToolHost, WallClock, history},
    store::NewTask,
};

/// The response of a call, and the events that are recorded with it.
type Ended = (Answer, Vec<NewEvent>);

/// Answers the calls of a task's program, over all its runs.
pub(super) struct Host {
    context: Arc<CallContext>,
    open: Arc<OpenCalls>,
    gate: Arc<Gate>,
}

impl Host {
    /// The host of this task, whose clock stands still while a person is asked.
    pub(super) fn new(
        services: Services,
        task: &NewTask,
        journal: Arc<TaskJournal>,
        handle: Arc<TaskHandle>,
        clock: WallClock,
        replay: Replay,
    ) -> Self {
        let context = CallContext::new(services, task, journal, handle, clock);
        Self { context: Arc::new(context), open: Arc::default(), gate: Arc::new(Gate::new(replay)) }
    }

    /// The surroundings of its calls.
    pub(super) fn context(&self) -> &Arc<CallContext> {
        &self.context
    }

    /// What the program sees of time and chance in the next run.
    pub(super) fn guest_inputs(&self, now_ms: u64) -> GuestInputs {
        self.gate.0.lock().replay.inputs(now_ms)
    }

    /// Prepares for another run in this process, which repeats the last one. The calls that have no
    /// response stay as they are.
    pub(super) fn run_again(&self, replay: Replay) {
        let (waiting, is_after_restart) = (Vec::new(), false);
        *self.gate.0.lock() = GateState { replay, waiting, is_after_restart };
    }

    /// The difference to the earlier run of a program that has ended, if there is one.
    pub(super) fn unrepeated(&self) -> Option<String> {
        self.context.divergence().or_else(|| self.gate.0.lock().replay.unrepeated())
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

    /// Waits, while no run does, until a call that is under way has its response.
    pub(super) async fn call_ended(&self) {
        poll_fn(|context| self.open.poll_all(context)).await;
    }

    /// Drives the calls that the run left behind to their ends. Writes that are still needed are
    /// queued once this returns, and nothing waits for an upstream or a person.
    pub(super) async fn drop_run(&self, cause: DropCause) {
        self.context.drop_run(cause);
        if cause != DropCause::Postponed {
            self.context.cancel_unused(None, cause.as_str());
        }
        for (_, events) in join_all(self.open.take()).await {
            if !events.is_empty() {
                self.context.journal.enqueue(events);
            }
        }
    }

    /// Begins a call that has no response yet.
    fn begin(&self, call: ToolCall, was_sent: bool) -> BoxFuture<'static, Ended> {
        let context = self.context.clone();
        let span = tracing::debug_span!(
            "call",
            seq = call.seq,
            tool = cut(&call.path, record::NAME_BYTES_MAX),
            upstream = tracing::field::Empty
        );
        let ended = async move {
            let answered = match host_function(&call.path) {
                Ok(None) => return CallPipeline::new(&context, call, was_sent).run().await,
                Ok(Some(function)) => {
                    let answer = call_host_function(&context, function, &call);
                    context.unless_dropped(answer).await
                }
                Err(absent) => {
                    context.unless_dropped(no_such_function(&context, &call, absent)).await
                }
            };
            (answered.unwrap_or_else(|_| Err(rejection::abandoned())), vec![])
        };
        Box::pin(ended.instrument(span))
    }
}

impl ToolHost for Host {
    fn call(&self, call: ToolCall) -> BoxFuture<'static, Answer> {
        let (context, seq) = (self.context.clone(), call.seq);
        context.handle.note_call(seq, &call.path);
        let earlier = self.gate.0.lock().replay.earlier(&call);
        let was_sent = match earlier {
            Earlier::Answered { answer, was_sent } => {
                if self.gate.0.lock().is_after_restart {
                    context.repeat(seq, &answer, was_sent);
                }
                let gate = self.gate.clone();
                return poll_fn(move |context| gate.poll_turn(seq, context))
                    .map(|()| answer)
                    .boxed();
            }
            Earlier::Other { before, now } => {
                context.diverge(format!("it called {now} where it had called {before}"));
                return pending().boxed();
            }
            Earlier::None => {
                context.journal.note(Entry::issued(&call, context.clock.used_ms()));
                false
            }
            Earlier::NotSent => false,
            Earlier::Sent => true,
        };
        if !self.open.has(seq) {
            self.open.insert(seq, self.begin(call, was_sent));
        }
        let (open, gate) = (self.open.clone(), self.gate.clone());
        Box::pin(poll_fn(move |polled| {
            ready!(gate.poll_over(polled));
            let (answer, events) = ready!(open.poll(seq, polled));
            context.journal.settle(seq, &answer, events);
            Poll::Ready(answer)
        }))
    }

    fn log(&self, line: &LogLine) {
        let (task, bytes) = (&self.context.task.id, line.text.len());
        tracing::debug!(%task, level = ?line.level, bytes, "console output");
        self.context.handle.report_line(line);
    }

    fn observed(&self, entries: Vec<history::Entry>) {
        let journal = &self.context.journal;
        match self.context.note_observed(entries.len()) {
            true => journal.note(Entry::Observed(hex::encode(history::encode(&entries)))),
            false => journal.give_up("it looked at the clock, or its timers fired, too often"),
        }
    }
}

/// Lets responses through in the order of the earlier run, and others once that one is repeated.
struct Gate(Mutex<GateState>);

struct GateState {
    replay: Replay,
    waiting: Vec<Waker>,
    /// True if another process made the calls of the earlier run.
    is_after_restart: bool,
}

impl Gate {
    fn new(replay: Replay) -> Self {
        let (waiting, is_after_restart) = (Vec::new(), true);
        Self(Mutex::new(GateState { replay, waiting, is_after_restart }))
    }

    /// Waits for the turn of a response of the earlier run.
    fn poll_turn(&self, seq: u32, context: &Context<'_>) -> Poll<()> {
        let mut state = self.0.lock();
        if !state.replay.is_next(seq) {
            state.waiting.push(context.waker().clone());
            return Poll::Pending;
        }
        state.waiting.drain(..).for_each(Waker::wake);
        Poll::Ready(())
    }

    /// Waits until all responses of the earlier run are through.
    fn poll_over(&self, context: &Context<'_>) -> Poll<()> {
        let mut state = self.0.lock();
        if state.replay.is_over() {
            return Poll::Ready(());
        }
        state.waiting.push(context.waker().clone());
        Poll::Pending
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

/// The calls that have no answer yet. They belong to the host and not to the run, so that the end
/// of the run does not drop them in the middle of a step.
#[derive(Default)]
struct OpenCalls(Mutex<HashMap<u32, Open>>);

enum Open {
    /// It goes on when it is polled.
    Running(BoxFuture<'static, Ended>),
    /// It has ended, and no run has taken its response.
    Ended(Box<Ended>),
    /// It is polled now, or panicked when it was.
    Taken,
}

impl OpenCalls {
    fn has(&self, seq: u32) -> bool {
        self.0.lock().contains_key(&seq)
    }

    fn insert(&self, seq: u32, call: BoxFuture<'static, Ended>) {
        self.0.lock().insert(seq, Open::Running(call));
    }

    /// Polls a call on behalf of the run. The call is out of the table meanwhile: one that panics
    /// does not come back.
    fn poll(&self, seq: u32, context: &mut Context<'_>) -> Poll<Ended> {
        let taken = self.0.lock().insert(seq, Open::Taken);
        let polled = match taken {
            Some(Open::Ended(ended)) => Poll::Ready(*ended),
            Some(Open::Running(mut call)) => match call.as_mut().poll(context) {
                Poll::Ready(ended) => Poll::Ready(ended),
                Poll::Pending => {
                    self.insert(seq, call);
                    return Poll::Pending;
                }
            },
            Some(Open::Taken) | None => return Poll::Pending,
        };
        self.0.lock().remove(&seq);
        polled
    }

    /// Polls all calls, and keeps the response of each that has ended. Ready if there is one.
    fn poll_all(&self, context: &mut Context<'_>) -> Poll<()> {
        let all: Vec<u32> = self.0.lock().keys().copied().collect();
        let mut polled = Poll::Pending;
        for seq in all {
            if let Poll::Ready(ended) = self.poll(seq, context) {
                self.0.lock().insert(seq, Open::Ended(Box::new(ended)));
                polled = Poll::Ready(());
            }
        }
        polled
    }

    fn take(&self) -> Vec<BoxFuture<'static, Ended>> {
        let open = self.0.lock().drain().map(|(_, call)| call).collect::<Vec<_>>();
        let left = open.into_iter().filter_map(|call| match call {
            Open::Running(call) => Some(call),
            Open::Ended(ended) => Some(std::future::ready(*ended).boxed()),
            Open::Taken => None,
        });
        left.collect()
    }
}
