//! The driver of one call: performs the actions of [`CallState`] and feeds it their events.
//!
//! Decides nothing. It holds the call itself, which the machine never sees: the tool, the
//! arguments, the approval's row, permits and the response.

mod approval;
mod response;

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::FutureExt;
use serde_json::{Value, value::RawValue};
use tokio::time::sleep;

use super::{
    budget,
    concurrency::CallPermit,
    context::CallContext,
    event::{CallAction, CallEvent, PolicyDecision},
    machine::CallState,
    rejection::{
        self, ARGUMENT_ERROR, CallRejection, Rejected, artifact_failure, failure, upstream_failure,
    },
};
use crate::{
    artifacts::{self, Expanded, RESPONSE_BYTES_MAX},
    base::integers::may_be_unsafe,
    catalog::{Tool, ToolResponse},
    model::{
        Approval, ApprovalId, Artifact, CallDecision, CallStarted, ErrorCode, EventDetails,
        JsonObject, NewEvent, RawJson, Timestamp,
    },
    policy::{Amount, Budget, Call, Class, CounterValues},
    sandbox::{CallFailure, ClockPause, ToolCall},
    store::{CounterHold, CounterRead, HoldToken, Reserved, StoreError},
    task::{
        approval::waiters::{PendingApproval, WaiterSlot},
        policy_view::{counter_window, facts},
        record::{self, Binding},
        replay::{Answer, Entry},
    },
};

/// The arguments of a call.
enum Arguments {
    /// Valid by the tool's schema.
    Checked(JsonObject),
    /// With handles of artifacts. Validated once these are expanded.
    WithArtifacts(JsonObject),
}

/// An approval that the call asked for.
struct OpenApproval {
    row: Approval,
    /// True if an earlier process asked for it.
    is_asked: bool,
    timeout: Duration,
    pending: PendingApproval,
    /// Held while the call waits.
    waiting: Option<WaiterSlot>,
    clock: Option<ClockPause>,
}

/// One tool call under way.
pub(in crate::task) struct CallPipeline<'a> {
    context: &'a CallContext,
    call: ToolCall,
    began: Instant,
    tool: Option<Arc<Tool>>,
    args: Arguments,
    /// Events that go with the next commit.
    events: Vec<NewEvent>,
    approval: Option<OpenApproval>,
    /// Held from before the call is counted until it has ended.
    permit: Option<CallPermit>,
    expanded: Option<Expanded>,
    response: Option<ToolResponse>,
    artifact: Option<Artifact>,
    answer: Option<Answer>,
    /// Events of its end, which are recorded once the program has the answer.
    end: Vec<NewEvent>,
    /// True if an earlier process sent it, and did not get an answer.
    was_sent: bool,
}

/// The event of an action. An error is an event that ends the action early.
type Performed = Result<CallEvent, CallEvent>;

impl<'a> CallPipeline<'a> {
    /// `was_sent` says that an earlier process sent the call and did not get an answer: it is sent
    /// again if that does no harm.
    pub(in crate::task) fn new(context: &'a CallContext, call: ToolCall, was_sent: bool) -> Self {
        Self {
            context,
            call,
            began: Instant::now(),
            tool: None,
            args: Arguments::Checked(JsonObject::new()),
            events: vec![],
            approval: None,
            permit: None,
            expanded: None,
            response: None,
            artifact: None,
            answer: None,
            end: vec![],
            was_sent,
        }
    }

    /// Takes the call to its end. Returns the answer, and events that are to be recorded with it.
    pub(in crate::task) async fn run(mut self) -> (Answer, Vec<NewEvent>) {
        let (mut state, mut actions) = CallState::begin();
        loop {
            let mut event = None;
            for action in actions {
                // A panic of ours rejects the call: what it holds is still given back and recorded.
                let performed = AssertUnwindSafe(self.perform(action)).catch_unwind().await;
                event = performed.unwrap_or_else(|_| {
                    Some(CallRejection::in_doubt("the server failed; its log says more").into())
                });
            }
            let Some(event) = event else {
                let answer = self.answer.unwrap_or_else(|| Err(rejection::abandoned()));
                return (answer, self.end);
            };
            (state, actions) = match (self.context.dropped(), event) {
                // A reservation is made although its run is over, and must be known to be given
                // back.
                (Some(cause), event @ (CallEvent::Reserved(_) | CallEvent::Exceeded { .. })) => {
                    let (state, _) = state.step(cause.into());
                    state.step(event)
                }
                // Its start would be recorded, and the call never sent.
                (Some(cause), CallEvent::Expanded) => state.step(cause.into()),
                (_, event) => state.step(event),
            };
        }
    }

    /// Performs one action. None where it has no event.
    async fn perform(&mut self, action: CallAction) -> Option<CallEvent> {
        let performed = match action {
            CallAction::Resolve => self.resolve().await,
            CallAction::Check => self.check().await,
            CallAction::Decide => self.decide().await,
            CallAction::CountAgainst(budget) => self.count(&budget),
            CallAction::OpenApproval(request) => self.open_approval(*request),
            CallAction::Suspend => self.suspend().await,
            CallAction::AwaitDecision => self.await_decision().await,
            CallAction::Verify(row) => self.verify(&row).await,
            CallAction::AcquirePermit => self.acquire_permit().await,
            CallAction::ConsumeApproval => self.consume_approval().await,
            CallAction::Reserve(holds) => self.reserve(&holds).await,
            CallAction::Wait(wait) => self.wait(wait).await,
            CallAction::Expand => self.expand().await,
            CallAction::RecordStart(approval, decision) => {
                self.record_start(approval, decision).await
            }
            CallAction::Dispatch(budget) => self.dispatch(&budget).await,
            CallAction::StoreResponse => self.store_response().await,
            silent => {
                self.perform_silently(silent).await;
                return None;
            }
        };
        Some(performed.unwrap_or_else(|event| event))
    }

    /// Performs an action that has no event.
    async fn perform_silently(&mut self, action: CallAction) {
        let journal = &self.context.journal;
        match action {
            CallAction::NoteRequested(decision) => {
                let values = self.context.services.records_values();
                self.events.push(record::requested(&self.call, decision, values));
            }
            CallAction::Resume(id, status) => {
                journal.resume(self.call.seq, id, status);
                if let Some(approval) = &mut self.approval {
                    (approval.waiting, approval.clock) = (None, None);
                }
            }
            CallAction::CancelApproval(cause) => {
                if let Some(approval) = self.approval.take() {
                    journal.cancel_approval(approval.row.id, cause.as_str());
                }
            }
            CallAction::CloseApproval => self.approval = None,
            CallAction::WithdrawApproval(why) => self.withdraw_approval(&why).await,
            CallAction::ReleasePermit => self.permit = None,
            CallAction::GiveBack(token) => journal.give_back(token),
            CallAction::Complete => self.complete(),
            CallAction::Reject(rejected) => self.reject(rejected).await,
            CallAction::Fail(rejected) => {
                let failure = self.failure(rejected).await;
                self.end.push(record::failed(self.call.seq, &failure));
                self.answer = Some(Err(failure));
            }
            CallAction::GiveUp(rejected) => {
                self.answer = Some(Err(self.failure(rejected).await));
            }
            CallAction::Abandon => journal.enqueue(vec![record::abandoned(self.call.seq)]),
            // Those with an event are performed above.
            _ => {}
        }
    }

    fn tool(&self) -> Result<&Arc<Tool>, CallRejection> {
        self.tool.as_ref().ok_or_else(|| CallRejection::in_doubt("the tool is not known"))
    }

    fn path(&self) -> &str {
        self.tool.as_ref().map_or(&self.call.path, |tool| &tool.path)
    }

    fn in_doubt(&self, error: &StoreError) -> CallRejection {
        tracing::error!(task = %self.context.task.id, tool = %self.path(), %error, "a call is \
            rejected because the store fails");
        CallRejection::in_doubt(
            "the record does not answer, and without it no limit and no approval can be kept",
        )
    }

    async fn resolve(&mut self) -> Performed {
        let found = self.context.resolve(&self.call.path);
        let tool = self.context.unless_dropped(found).await??;
        tracing::Span::current().record("upstream", &*tool.upstream);
        if self.was_sent && !self.is_repeatable(&tool) {
            return Err(Rejected::from(rejection::outcome_unknown(&tool.path)).into());
        }
        self.tool = Some(tool);
        Ok(CallEvent::Resolved)
    }

    /// Returns true if sending the call twice does what sending it once does: it only reads, or an
    /// upstream that is trusted says that it is idempotent.
    fn is_repeatable(&self, tool: &Tool) -> bool {
        let policy = self.context.services.policy.current();
        let class = policy.class(&facts(tool), &self.context.task.caller());
        class == Class::Read || tool.trusted && tool.annotations.idempotent == Some(true)
    }

    /// From here on the call holds its arguments as they are judged and sent: the true digests of
    /// artifacts, and integers in the type that the tool wants.
    async fn check(&mut self) -> Performed {
        let (context, tool) = (self.context, self.tool()?.clone());
        match context.unless_dropped(self.checked(&tool)).await? {
            Ok((args, stamped)) => {
                self.args = args;
                if let Some(stamped) = stamped {
                    self.call.args = stamped;
                }
                Ok(CallEvent::Checked)
            }
            // The fault of the arguments would tell that the tool exists, and what it takes.
            Err(_)
                if context
                    .services
                    .policy
                    .current()
                    .hides(&facts(&tool), &context.task.caller()) =>
            {
                Err(Rejected::Hidden.into())
            }
            Err(failure) => Err(failure.into()),
        }
    }

    async fn checked(&self, tool: &Arc<Tool>) -> Result<(Arguments, Option<RawJson>), CallFailure> {
        let (context, args) = (self.context, self.call.args.get());
        let workspace = &context.task.principal.workspace_id;
        let stamped = context.services.artifacts.stamped(workspace, args).await;
        match stamped.map_err(|error| artifact_failure(&tool.path, error))? {
            None => {
                let checked = context.check(tool, args).await?;
                let converted = converted(args, &checked);
                Ok((Arguments::Checked(checked), converted))
            }
            Some(stamped) => Ok((with_artifacts(stamped.args.get(), tool)?, Some(stamped.args))),
        }
    }

    async fn decide(&mut self) -> Performed {
        let (context, policy) = (self.context, self.context.services.policy.current());
        let is_empty = self.call.args.get().trim().is_empty();
        let args = if is_empty { RawValue::NULL } else { &self.call.args };
        let now = Timestamp::now();
        let call = Call { tool: facts(self.tool()?), args, caller: context.task.caller(), now };
        let wanted = policy.counters_read(&call);
        let values = match wanted.is_empty() {
            true => CounterValues::none(),
            false => {
                let reads: Vec<_> = wanted
                    .iter()
                    .map(|read| CounterRead {
                        key: read.key.to_string(),
                        window: counter_window(read.window),
                    })
                    .collect();
                let values = context.unless_dropped(context.services.store.counters(now, &reads));
                let values = values.await?.map_err(|error| self.in_doubt(&error))?;
                let known = wanted.into_iter().zip(values);
                known
                    .filter_map(|(read, value)| Some((read.key, Amount::from_millionths(value)?)))
                    .collect()
            }
        };
        let decision = policy.decide(&call, &values);
        let revision = policy.revision().to_owned();
        let budget = policy.budget(&context.task.caller());
        Ok(CallEvent::Decided(Box::new(PolicyDecision { decision, revision, budget })))
    }

    fn count(&self, budget: &Budget) -> Performed {
        self.context.budget.count_call(budget)?;
        Ok(CallEvent::Counted)
    }

    fn binding<'b>(&'b self, tool: &'b Tool) -> Binding<'b> {
        let task = &self.context.task;
        Binding { principal: &task.principal, task_id: task.id, seq: self.call.seq, tool }
    }

    async fn acquire_permit(&mut self) -> Performed {
        let (context, task) = (self.context, &self.context.task);
        let (workspace, upstream) = (&task.principal.workspace_id, &self.tool()?.upstream);
        let permit = context.services.concurrency.acquire(task.id, workspace, upstream);
        let permit = context.unless_dropped(permit).await?;
        let waited = permit.waited;
        self.permit = Some(permit);
        Ok(CallEvent::PermitAcquired { waited })
    }

    /// Not cut short by the end of the run: what is reserved must be known to be given back.
    async fn reserve(&self, holds: &[CounterHold]) -> Performed {
        if self.was_sent {
            // It was counted when it was sent first.
            return Ok(CallEvent::Reserved(HoldToken::default()));
        }
        let reserved = self.context.journal.reserve(holds).await;
        Ok(match reserved.map_err(|error| self.in_doubt(&error))? {
            Reserved::Held(token) => CallEvent::Reserved(token),
            Reserved::Exceeded { index, retry_after, .. } => {
                CallEvent::Exceeded { index, retry_after, at: self.began.elapsed() }
            }
        })
    }

    async fn wait(&self, wait: Duration) -> Performed {
        self.context.unless_dropped(sleep(wait)).await?;
        Ok(CallEvent::Waited)
    }

    /// Puts the artifacts into the arguments. Only then the schema can be asked.
    async fn expand(&mut self) -> Performed {
        let args = std::mem::replace(&mut self.args, Arguments::Checked(JsonObject::new()));
        self.expanded = Some(match args {
            Arguments::Checked(args) => Expanded { args, permits: None },
            Arguments::WithArtifacts(args) => {
                let (context, tool) = (self.context, self.tool()?);
                let failed = |error| artifact_failure(&tool.path, error);
                let takes_file = |args: &Value, pointer: &str| {
                    context.services.catalog.takes_file(tool, args, pointer)
                };
                let expanding = async {
                    let (artifacts, task) = (&context.services.artifacts, &context.task);
                    let workspace = &task.principal.workspace_id;
                    let Expanded { args, permits } = artifacts
                        .expanded(task.id, workspace, &tool.path, args, takes_file)
                        .await
                        .map_err(failed)?;
                    Ok(Expanded { args: context.check_value(tool, args).await?, permits })
                };
                let expanded: Result<_, CallFailure> = context.unless_dropped(expanding).await?;
                expanded?
            }
        });
        Ok(CallEvent::Expanded)
    }

    async fn record_start(
        &mut self,
        approval_id: Option<ApprovalId>,
        decision: Option<CallDecision>,
    ) -> Performed {
        let (context, mut events) = (self.context, std::mem::take(&mut self.events));
        let tool = self.tool()?;
        events.push(NewEvent::now(EventDetails::CallStarted(CallStarted {
            seq: self.call.seq,
            tool: tool.path.clone(),
            upstream: tool.upstream.to_string(),
            approval_id,
            decision,
        })));
        self.cancel_unused();
        if !self.was_sent {
            context.journal.note(Entry::Sent { seq: self.call.seq });
        }
        let recorded = context.unless_dropped(context.journal.commit(events)).await?;
        recorded.map_err(|error| context.unrecorded(self.path(), &error))?;
        Ok(CallEvent::Started)
    }

    async fn dispatch(&mut self, budget: &Budget) -> Performed {
        let (context, tool) = (self.context, self.tool()?.clone());
        let expanded = self.expanded.take();
        let Expanded { args, permits } =
            expanded.ok_or_else(|| CallRejection::in_doubt("the arguments are not known"))?;
        let handle = context.handle.clone();
        let progress = Arc::new(move |text: &str| handle.report_progress(text));
        let call = context.services.catalog.call_followed(&tool, args, progress);
        let response = context.unless_dropped(context.budget.run_within(budget, call)).await?;
        drop(permits);
        let mut response = match response {
            None => return Err(budget::out_of_time(budget).into()),
            Some(Err(error)) if error.code.had_no_effect() => {
                return Err(CallEvent::NoEffect(upstream_failure(&error).into()));
            }
            Some(Err(error)) => return Err(upstream_failure(&error).into()),
            Some(Ok(response)) => response,
        };
        context.budget.count_response(budget, response.bytes())?;
        if let Some(warning) = response.warning.take() {
            context.warn(warning);
        }
        let has_media = !response.media.is_empty();
        let is_stored = has_media || response.json.get().len() > RESPONSE_BYTES_MAX;
        if !has_media {
            self.learn(&tool, &response.json);
        }
        self.response = Some(response);
        Ok(CallEvent::Responded { is_stored })
    }

    fn complete(&mut self) {
        let seq = self.call.seq;
        let (answer, event) = match (self.artifact.take(), self.response.take()) {
            (Some(artifact), _) => (Ok(artifacts::handle(&artifact)), record::kept(seq, &artifact)),
            (None, Some(response)) => {
                let answer = Ok(response.parted().0);
                let event = record::ended(seq, &answer);
                (answer, event)
            }
            (None, None) => return,
        };
        self.end.push(event);
        self.answer = Some(answer);
    }

    async fn reject(&mut self, rejected: Rejected) {
        let context = self.context;
        let Ok(failure) = context.unless_dropped(self.failure(rejected)).await else { return };
        let mut events = std::mem::take(&mut self.events);
        events.push(record::failed(self.call.seq, &failure));
        let recorded = context.record_then(events, self.path(), Err(failure));
        if let Ok(answer) = context.unless_dropped(recorded).await {
            self.answer = Some(answer);
        }
    }

    /// The error that the program sees.
    async fn failure(&self, rejected: Rejected) -> CallFailure {
        match rejected {
            Rejected::ByPolicy(rejection) => {
                self.context.reject(self.call.seq, self.path(), &rejection)
            }
            Rejected::Hidden => self.context.hidden(&self.call.path, self.tool.as_deref()).await,
            Rejected::Failed(failure) => failure,
        }
    }
}

/// Returns the arguments as they are sent, if the check converted integers in them.
fn converted(given: &str, checked: &JsonObject) -> Option<RawJson> {
    // Digits can be escaped, too.
    let is_same = !(may_be_unsafe(given.as_bytes()) || given.contains('\\'))
        || serde_json::from_str::<JsonObject>(given).is_ok_and(|given| given == *checked);
    let text = if is_same { None } else { serde_json::to_string(checked).ok() };
    text.and_then(|text| RawValue::from_string(text).ok())
}

/// Arguments that hold artifacts.
fn with_artifacts(args: &str, tool: &Tool) -> Result<Arguments, CallFailure> {
    serde_json::from_str(args).map(Arguments::WithArtifacts).map_err(|_| {
        let message =
            format!("`{}` takes one object; give the artifact as one of its fields", tool.path);
        failure(ARGUMENT_ERROR, ErrorCode::InvalidToolArguments.as_str(), &tool.path, &message)
    })
}

#[cfg(test)]
mod tests;
