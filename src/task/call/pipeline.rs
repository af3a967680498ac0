//! Takes one call from the program to the upstream: decide, ask for approval, count, record, send.
//!
//! A doubt is a rejection. After every wait the call is decided again by the policy then in force:
//! a denial always wins, and an approval only answers the question that policy asks.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::value::RawValue;

use super::{
    budget,
    concurrency::CallPermit,
    rejection::{
        APPROVAL_DENIED, APPROVAL_EXPIRED, CallRejection, POLICY_DENIED, RATE_LIMITED, failure,
        upstream_failure,
    },
};
use crate::{
    catalog::{Tool, ToolResponse, UpstreamError, UpstreamErrorCode, Visibility},
    model::{
        Approval, ApprovalId, ApprovalRequested, ApprovalResolved, ApprovalStatus, Artifact, Asked,
        AskingRule, CallDecision, CallStarted, ErrorCode, EventData, JsonObject, NewEvent, RawJson,
        Timestamp,
    },
    policy::{
        AskTerms, Budget, Call, Count, CounterKey, CounterValues, Decision, OnExceed, Policy,
        Reservation, RuleRef, Verdict,
    },
    sandbox::{CallFailure, ToolCall},
    store::{CounterHold, CounterRead, Decided, HoldToken, Reserved, StoreError},
    task::{
        approval_waiters::PendingApproval,
        artifacts::{ANSWER_BYTES_MAX, keep, pass::Expanded},
        host::{Inner, counter_window, facts},
        record::{self, Binding},
    },
};

/// How often one call is decided at most: once, and again after each wait and each word.
const ROUNDS_MAX: usize = 1000;
/// The shortest wait for a counter that has no room.
const WAIT_MIN: Duration = Duration::from_millis(10);
/// Characters of a person's note that reach the code.
const NOTE_CHARS_MAX: usize = 2000;

/// What a call takes along.
pub(in crate::task) enum Arguments {
    /// What the tool's schema allows.
    Checked(JsonObject),
    /// With artifacts that stand for what will be sent: checked once it is there.
    PolicyStatus(JsonObject),
}

impl Arguments {
    /// Arguments in which artifacts stand.
    pub(in crate::task) fn standing(args: &str, tool: &Tool) -> Result<Self, CallFailure> {
        serde_json::from_str(args).map(Self::PolicyStatus).map_err(|_| {
            let message =
                format!("`{}` takes one object; give the artifact as one of its fields", tool.path);
            failure(
                "ToolArgumentError",
                ErrorCode::InvalidToolArguments.as_str(),
                &tool.path,
                &message,
            )
        })
    }
}

/// One call on its way.
pub(in crate::task) struct CallPipeline<'a> {
    host: &'a Inner,
    call: &'a ToolCall,
    tool: Arc<Tool>,
    args: Arguments,
    /// What is not recorded yet.
    events: Vec<NewEvent>,
    /// The decision by which it left, where that was not the first.
    decided_anew: Option<CallDecision>,
    /// Whether a person has agreed to the call, and beyond which counters.
    agreed: bool,
    beyond: HashSet<CounterKey>,
    /// The word that has not been used yet.
    approved: Option<PendingApproval>,
    /// The approval that let it go, for the record.
    approval: Option<ApprovalId>,
    /// Until when it may wait for counters.
    patience: Option<Instant>,
    /// Whether it is within the task's budget.
    admitted: bool,
    /// Its turn at the upstream, from before it is counted until it has ended.
    turn: Option<CallPermit>,
}

/// Why a call goes no further.
enum Rejected {
    /// It was refused.
    Refused(CallRejection),
    /// It must look as if the tool did not exist.
    Hidden,
    /// It failed otherwise.
    Failed(CallFailure),
}

impl From<CallRejection> for Rejected {
    fn from(refusal: CallRejection) -> Self {
        Self::Refused(refusal)
    }
}

/// A call that may leave.
struct AuthorizedCall {
    reservations: Vec<Reservation>,
    token: HoldToken,
    budget: Budget,
}

impl<'a> CallPipeline<'a> {
    pub(in crate::task) fn new(
        host: &'a Inner,
        call: &'a ToolCall,
        tool: Arc<Tool>,
        args: Arguments,
    ) -> Self {
        Self {
            host,
            call,
            tool,
            args,
            events: vec![],
            decided_anew: None,
            agreed: false,
            beyond: HashSet::new(),
            approved: None,
            approval: None,
            patience: None,
            admitted: false,
            turn: None,
        }
    }

    /// To its end.
    pub(in crate::task) async fn go(mut self) -> Result<RawJson, CallFailure> {
        let (host, seq) = (self.host, self.call.seq);
        let stop = match self.clear().await {
            Ok(cleared) => return self.send(cleared).await,
            Err(stop) => stop,
        };
        self.withdraw(&stop).await;
        let path = self.tool.path.clone();
        let failure = match stop {
            Rejected::Refused(refusal) => host.refuse(seq, &path, &refusal),
            Rejected::Hidden => host.absent(&self.call.path, &self.tool).await,
            Rejected::Failed(failure) => failure,
        };
        let mut events = std::mem::take(&mut self.events);
        events.push(record::failed(seq, &failure));
        host.noted(events, &path, Err(failure)).await
    }

    /// Everything that must hold before it leaves.
    async fn clear(&mut self) -> Result<AuthorizedCall, Rejected> {
        for round in 0..ROUNDS_MAX {
            let policy = self.host.parts.policy.current();
            let decision = self.decide(&policy).await?;
            let decided = record::decision(&decision, policy.revision());
            if round == 0 {
                self.events.push(record::requested(
                    self.call,
                    Some(decided),
                    self.host.parts.record_values,
                ));
            } else {
                self.decided_anew = Some(decided);
            }
            let budget = policy.budget(&self.host.task.caller());
            match decision.verdict.clone() {
                Verdict::Deny(denial) if denial.hidden => return Err(Rejected::Hidden),
                Verdict::Deny(denial) => {
                    let refusal = CallRejection::new(denial.code.as_str(), denial.message)
                        .rule(decision.rule.as_ref());
                    return Err(refusal.retry_after(denial.retry_after).into());
                }
                verdict => {
                    self.admit(&budget)?;
                    if let Verdict::Ask(terms) = verdict
                        && !self.agreed
                    {
                        self.ask(&decision, decision.rule.as_ref(), &terms, &policy).await?;
                        self.agreed = true;
                        continue;
                    }
                }
            }
            if self.turn.is_none() {
                let (host, upstream) = (self.host, &self.tool.upstream);
                let turn = host
                    .parts
                    .turns
                    .take(host.task.id, &host.task.principal.workspace_id, upstream)
                    .await;
                let is_late = turn.is_late;
                self.turn = Some(turn);
                if is_late {
                    continue;
                }
            }
            self.use_word().await?;
            match self.reserve(&decision.reservations).await? {
                Reserved::Held(token) => {
                    return Ok(AuthorizedCall {
                        reservations: decision.reservations,
                        token,
                        budget,
                    });
                }
                Reserved::Exceeded { index, retry_after, .. } => {
                    self.turn = None;
                    let hold = decision
                        .reservations
                        .get(index)
                        .ok_or_else(|| CallRejection::in_doubt("a limit is not known"))?
                        .clone();
                    self.exceeded(hold, retry_after, &decision, &policy).await?;
                }
            }
        }
        Err(CallRejection::in_doubt(format!("it was decided {ROUNDS_MAX} times without an end"))
            .into())
    }

    async fn decide(&self, policy: &Arc<Policy>) -> Result<Decision, Rejected> {
        let args =
            if self.call.args.get().trim().is_empty() { RawValue::NULL } else { &self.call.args };
        let now = Timestamp::now();
        let call = Call { tool: facts(&self.tool), args, caller: self.host.task.caller(), now };
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
                let values = self
                    .host
                    .parts
                    .store
                    .counters(now, &reads)
                    .await
                    .map_err(|error| self.in_doubt(&error))?;
                let known = wanted.into_iter().zip(values);
                known
                    .filter_map(|(read, value)| {
                        Some((read.key, crate::policy::Amount::from_millionths(value)?))
                    })
                    .collect()
            }
        };
        Ok(policy.decide(&call, &values))
    }

    fn in_doubt(&self, error: &StoreError) -> CallRejection {
        tracing::error!(task = %self.host.task.id, tool = %self.tool.path, %error, "a call is \
            refused because the store fails");
        CallRejection::in_doubt(
            "the record does not answer, and without it no limit and no approval can be kept",
        )
    }

    /// Counts the call against the task's budget, once.
    fn admit(&mut self, budget: &Budget) -> Result<(), CallRejection> {
        if !self.admitted {
            self.host.spending.admit(budget)?;
            self.admitted = true;
        }
        Ok(())
    }

    /// Counts all holds, or none. Those that a person let it go beyond are counted without their
    /// bound.
    async fn reserve(&self, holds: &[Reservation]) -> Result<Reserved, Rejected> {
        let holds: Vec<_> = holds
            .iter()
            .map(|hold| CounterHold {
                key: hold.key.to_string(),
                window: counter_window(hold.window),
                max: if self.beyond.contains(&hold.key) { i64::MAX } else { hold.max.millionths() },
                cost: hold.cost.millionths(),
            })
            .collect();
        if holds.is_empty() {
            return Ok(Reserved::Held(HoldToken::default()));
        }
        let reserved = self.host.parts.store.reserve(Timestamp::now(), &holds).await;
        reserved.map_err(|error| self.in_doubt(&error).into())
    }

    /// What a counter without room means: refused, or waited for, or a person asked. Then it is
    /// decided again.
    async fn exceeded(
        &mut self,
        hold: Reservation,
        retry_after: Option<Duration>,
        decision: &Decision,
        policy: &Arc<Policy>,
    ) -> Result<(), Rejected> {
        let refusal = || {
            let denial = hold.denial(retry_after);
            Rejected::from(
                CallRejection::new(RATE_LIMITED, denial.message)
                    .rule(Some(&hold.rule))
                    .retry_after(retry_after),
            )
        };
        match &hold.on_exceed {
            OnExceed::Deny => Err(refusal()),
            OnExceed::Wait { max } => {
                let until = *self.patience.get_or_insert_with(|| Instant::now() + *max);
                let wait = retry_after.ok_or_else(refusal)?.max(WAIT_MIN);
                if Instant::now() + wait > until {
                    return Err(refusal());
                }
                tokio::time::sleep(wait).await;
                Ok(())
            }
            // Nothing but the bound stops it then, so it is asked once.
            OnExceed::Ask(_) if self.beyond.contains(&hold.key) => Err(refusal()),
            OnExceed::Ask(terms) => {
                let mut terms = terms.clone();
                terms.reason = format!("{}: {}", terms.reason, hold.denial(None).message);
                self.ask(decision, Some(&hold.rule), &terms, policy).await?;
                self.beyond.insert(hold.key);
                Ok(())
            }
        }
    }

    /// Asks a person and waits for the word. The task's clock stands still meanwhile.
    async fn ask(
        &mut self,
        decision: &Decision,
        rule: Option<&RuleRef>,
        terms: &AskTerms,
        policy: &Policy,
    ) -> Result<(), Rejected> {
        let host = self.host;
        let _place = host.parts.waiters.place(host.task.id)?;
        let timeout = host.parts.waiters.timeout(terms.timeout);
        let approval = self.approval(decision, rule, terms, policy.revision(), timeout)?;
        let open = host.parts.waiters.open(
            approval.id,
            &host.task.principal.workspace_id,
            host.parts.store.clone(),
        );
        let mut events = std::mem::take(&mut self.events);
        events.push(NewEvent::now(EventData::ApprovalRequested(approval_requested(&approval))));
        // Writes keep their order: whoever finds the row finds the task waiting.
        let parked = Parked { host, approval: &approval, outcome: ApprovalStatus::Cancelled };
        let (recorded, asked) =
            (host.park(events), host.parts.store.ask_approval(approval.clone()));
        recorded
            .await
            .map_err(|error| Rejected::Failed(host.unrecorded(&self.tool.path, &error)))?;
        asked.await.map_err(|error| self.in_doubt(&error))?;
        let pause = host.clock.pause();
        let decided = tokio::time::timeout(timeout, open.decided()).await.is_ok();
        let row = self.outcome(&open, decided).await?;
        parked.over(row.status);
        drop(pause);
        match row.status {
            ApprovalStatus::Approved => {
                self.approved = Some(open);
                self.release(&row).await
            }
            status => {
                open.settle();
                Err(refused(&row, status).into())
            }
        }
    }

    /// The row once it is decided, or expired by now.
    async fn outcome(&self, open: &PendingApproval, decided: bool) -> Result<Approval, Rejected> {
        let (store, workspace) = (&self.host.parts.store, &self.host.task.principal.workspace_id);
        if !decided {
            let change = open.change(
                ApprovalStatus::Pending,
                ApprovalStatus::Expired,
                Some("nobody answered in time"),
            );
            let decided = store
                .decide_approval(workspace, change)
                .await
                .map_err(|error| self.in_doubt(&error))?;
            return match decided {
                // The word that came at the last moment counts.
                Decided::Changed(row) | Decided::Refused(row) => Ok(*row),
                Decided::Absent => {
                    Err(CallRejection::in_doubt("the approval is not in the record any more")
                        .into())
                }
            };
        }
        let row =
            store.approval(workspace, open.id).await.map_err(|error| self.in_doubt(&error))?;
        row.ok_or_else(|| {
            CallRejection::in_doubt("the approval is not in the record any more").into()
        })
    }

    /// Takes the call from the row: what was shown is what is sent, if it still means the same.
    async fn release(&mut self, row: &Approval) -> Result<(), Rejected> {
        let tool = self.host.parts.catalog.seek(&row.tool, &|_: &Tool| Visibility::Auto).await;
        let tool = tool
            .ok()
            .flatten()
            .filter(|tool| tool.path == row.tool && tool.schema_hash == row.asked.schema_hash);
        let Some(tool) = tool else {
            return Err(CallRejection::new(
                POLICY_DENIED,
                "the tool is another one than when it was asked for: ask again",
            )
            .into());
        };
        if self.binding(&tool).digest(&row.args).as_deref() != Some(row.digest.as_str()) {
            return Err(CallRejection::in_doubt(
                "the stored call does not have the digest that was approved",
            )
            .into());
        }
        let args = match self.args {
            Arguments::Checked(_) => {
                self.host.check(&tool, &row.args).await.map(Arguments::Checked)
            }
            Arguments::PolicyStatus(_) => Arguments::standing(&row.args, &tool),
        };
        self.args = args.map_err(Rejected::Failed)?;
        self.tool = tool;
        Ok(())
    }

    /// Uses the person's word, once. Only a word that is still unused lets the call go on.
    async fn use_word(&mut self) -> Result<(), Rejected> {
        let Some(open) = &self.approved else { return Ok(()) };
        let change = open.change(ApprovalStatus::Approved, ApprovalStatus::Consumed, None);
        let workspace = &self.host.task.principal.workspace_id;
        let decided = self
            .host
            .parts
            .store
            .decide_approval(workspace, change)
            .await
            .map_err(|error| self.in_doubt(&error))?;
        match decided {
            Decided::Changed(_) => {
                self.approval = Some(open.id);
                self.approved.take().into_iter().for_each(PendingApproval::settle);
                Ok(())
            }
            Decided::Refused(_) | Decided::Absent => {
                Err(CallRejection::in_doubt("the approval was used already, or taken back").into())
            }
        }
    }

    /// Takes an unused word back, with the reason.
    async fn withdraw(&mut self, stop: &Rejected) {
        let Some(open) = self.approved.take() else { return };
        let why = match stop {
            Rejected::Refused(refusal) => {
                format!("policy refuses the call now: {}", refusal.message)
            }
            Rejected::Hidden => "policy hides the tool now".to_owned(),
            Rejected::Failed(failure) => failure.message.clone(),
        };
        let change = open.change(ApprovalStatus::Approved, ApprovalStatus::Cancelled, Some(&why));
        // Where the store fails the row stays approved; nothing waits for it, so it has no effect,
        // and the next start makes it void.
        if let Err(error) = self
            .host
            .parts
            .store
            .decide_approval(&self.host.task.principal.workspace_id, change)
            .await
        {
            tracing::error!(approval = %open.id, %error, "an approval could not be taken back; \
                its call is not made");
        }
        open.settle();
    }

    fn binding<'b>(&'b self, tool: &'b Tool) -> Binding<'b> {
        let task = &self.host.task;
        Binding { principal: &task.principal, task_id: task.id, seq: self.call.seq, tool }
    }

    fn approval(
        &self,
        decision: &Decision,
        rule: Option<&RuleRef>,
        terms: &AskTerms,
        revision: &str,
        timeout: Duration,
    ) -> Result<Approval, Rejected> {
        let (task, now) = (&self.host.task, Timestamp::now());
        let args = self.call.args.get().to_owned();
        let digest = self
            .binding(&self.tool)
            .digest(&args)
            .ok_or_else(|| CallRejection::in_doubt("the arguments are no JSON"))?;
        let expires_at = jiff::SignedDuration::try_from(timeout)
            .ok()
            .and_then(|timeout| now.checked_add(timeout).ok());
        Ok(Approval {
            id: ApprovalId::new(),
            status: ApprovalStatus::Pending,
            principal: task.principal.clone(),
            task_id: task.id,
            seq: self.call.seq,
            tool: self.tool.path.clone(),
            args,
            digest,
            asked: Asked {
                upstream: self.tool.upstream.to_string(),
                class: decision.class.to_string(),
                schema_hash: self.tool.schema_hash.clone(),
                rule: rule.map(asking),
                revision: revision.to_owned(),
                reason: terms.reason.clone(),
                line: self.call.line,
            },
            created_at: now,
            expires_at: expires_at
                .ok_or_else(|| CallRejection::in_doubt("the time to wait has no end"))?,
            decided_at: None,
            decided_by: None,
            note: None,
            why: None,
        })
    }

    /// The arguments as they leave. What stood for artifacts is in them now, and only now the
    /// schema can be asked.
    async fn complete(&mut self) -> Result<Expanded, CallFailure> {
        let (artifacts, task) = (&self.host.parts.artifacts, &self.host.task);
        match std::mem::replace(&mut self.args, Arguments::Checked(JsonObject::new())) {
            Arguments::Checked(args) => Ok(Expanded { args, places: None }),
            Arguments::PolicyStatus(args) => {
                let Expanded { args, places } = artifacts
                    .expanded(task.id, &task.principal.workspace_id, &self.tool.path, args)
                    .await?;
                Ok(Expanded { args: self.host.check_value(&self.tool, args).await?, places })
            }
        }
    }

    /// Completes the arguments, records the start, sends, and records the end.
    async fn send(mut self, cleared: AuthorizedCall) -> Result<RawJson, CallFailure> {
        let (host, seq) = (self.host, self.call.seq);
        let expanded = match self.complete().await {
            Ok(expanded) => expanded,
            Err(failure) => {
                self.give_back(&cleared, |_| true);
                let mut events = std::mem::take(&mut self.events);
                events.push(record::failed(seq, &failure));
                return host.noted(events, &self.tool.path, Err(failure)).await;
            }
        };
        let mut events = std::mem::take(&mut self.events);
        events.push(NewEvent::now(EventData::CallStarted(CallStarted {
            seq,
            tool: self.tool.path.clone(),
            upstream: self.tool.upstream.to_string(),
            approval_id: self.approval,
            decision: self.decided_anew.take(),
        })));
        // From the moment it may be recorded as started, its end is recorded too.
        let mut unfinished = Unfinished { host, seq: Some(seq) };
        if let Err(error) = host.parts.store.change_task(host.change(events)).await {
            unfinished.seq = None;
            self.give_back(&cleared, |_| true);
            return Err(host.unrecorded(&self.tool.path, &error));
        }
        let answer = match self.perform(&cleared, expanded).await {
            Ok(answer) if answer.json.get().len() > ANSWER_BYTES_MAX => self.keep(answer).await,
            answer => answer.map(|answer| (answer.json, None)),
        };
        unfinished.seq = None;
        let (answer, kept) =
            answer.map_or_else(|failure| (Err(failure), None), |(value, kept)| (Ok(value), kept));
        host.note(vec![
            kept.map_or_else(
                || record::ended(seq, &answer),
                |artifact| record::kept(seq, &artifact),
            ),
        ]);
        answer
    }

    /// Keeps an answer that is too large for the program, which gets a handle.
    async fn keep(&self, answer: ToolResponse) -> Result<(RawJson, Option<Artifact>), CallFailure> {
        let task = &self.host.task;
        let origin = keep::Origin {
            workspace_id: &task.principal.workspace_id,
            task_id: task.id,
            tool: &self.tool.path,
        };
        // Its place among the large answers is held until it is written.
        let (json, _place) = answer.parted();
        let artifact = self.host.parts.artifacts.keep(origin, json).await?;
        Ok((keep::answer(&artifact), Some(artifact)))
    }

    async fn perform(
        &self,
        cleared: &AuthorizedCall,
        expanded: Expanded,
    ) -> Result<ToolResponse, CallFailure> {
        let (host, seq, path) = (self.host, self.call.seq, self.tool.path.clone());
        let live = host.live.clone();
        let changes = Arc::new(move |text: &str| live.say(Some(text)));
        let call = host.parts.catalog.call_followed(&self.tool, expanded.args, changes);
        match host.spending.within(&cleared.budget, call).await {
            None => Err(host.refuse(seq, &path, &budget::out_of_time(&cleared.budget))),
            Some(Err(error)) => {
                if had_no_effect(&error) {
                    self.give_back(cleared, |hold| hold.count == Count::Success);
                }
                Err(upstream_failure(&error))
            }
            Some(Ok(mut answer)) => {
                match host.spending.receive(&cleared.budget, answer.json.get().len()) {
                    Ok(()) => {
                        host.parts.catalog.learn(
                            &self.tool,
                            &host.task.principal.workspace_id,
                            &answer.json,
                        );
                        if let Some(warning) = answer.warning.take() {
                            host.warn(warning);
                        }
                        Ok(answer)
                    }
                    Err(refusal) => Err(host.refuse(seq, &path, &refusal)),
                }
            }
        }
    }

    /// Takes back what was counted for holds of this kind. Not waited for: writes keep their order.
    fn give_back(&self, cleared: &AuthorizedCall, which: impl Fn(&Reservation) -> bool) {
        let token = cleared.token.part(|index| cleared.reservations.get(index).is_some_and(&which));
        drop(self.host.parts.store.release(token));
    }
}

fn asking(rule: &RuleRef) -> AskingRule {
    AskingRule {
        name: rule.name.to_string(),
        pointer: rule.pointer.to_string(),
        layer: rule.layer.to_string(),
    }
}

/// A call that waits for a person, so that the task's status follows also where the run ends first.
struct Parked<'a> {
    host: &'a Inner,
    approval: &'a Approval,
    outcome: ApprovalStatus,
}

impl Parked<'_> {
    fn over(mut self, outcome: ApprovalStatus) {
        self.outcome = outcome;
    }
}

impl Drop for Parked<'_> {
    fn drop(&mut self) {
        let Approval { seq, id, .. } = *self.approval;
        let resolved = ApprovalResolved { seq, approval_id: id, status: self.outcome };
        self.host.unpark(vec![NewEvent::now(EventData::ApprovalResolved(resolved))]);
    }
}

/// Records a call that was dropped before its end.
struct Unfinished<'a> {
    host: &'a Inner,
    seq: Option<u32>,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if let Some(seq) = self.seq {
            self.host.note(vec![record::abandoned(seq)]);
        }
    }
}

fn approval_requested(approval: &Approval) -> ApprovalRequested {
    ApprovalRequested {
        seq: approval.seq,
        approval_id: approval.id,
        tool: approval.tool.clone(),
        digest: approval.digest.clone(),
        rule: approval.asked.rule.as_ref().map(|rule| rule.name.clone()),
        reason: approval.asked.reason.clone(),
        expires_at: approval.expires_at,
    }
}

/// What the code is told where no person agreed.
fn refused(row: &Approval, status: ApprovalStatus) -> CallRejection {
    match status {
        ApprovalStatus::Denied => {
            let note: String =
                row.note.iter().flat_map(|note| note.chars()).take(NOTE_CHARS_MAX).collect();
            let message = if note.is_empty() { "no reason was given".to_owned() } else { note };
            CallRejection::by(row, APPROVAL_DENIED, message)
        }
        ApprovalStatus::Expired => CallRejection::by(
            row,
            APPROVAL_EXPIRED,
            format!("nobody answered until {}", row.expires_at),
        ),
        other => {
            let why = row.why.clone().unwrap_or_else(|| format!("the approval is {other}"));
            CallRejection::by(row, APPROVAL_DENIED, why)
        }
    }
}

/// Whether what was counted for a success is given back: everything but what may have worked, or
/// did.
fn had_no_effect(error: &UpstreamError) -> bool {
    use UpstreamErrorCode::{AnswerTooLarge, BadAnswer, Lost, Timeout};
    !matches!(error.code, Timeout | Lost | AnswerTooLarge | BadAnswer)
}
