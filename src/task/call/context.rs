//! The surroundings of the calls of one run: the services, the task, its journal and its budget.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::{
    budget::BudgetTracker,
    concurrency::UpstreamConcurrency,
    event::DropCause,
    rejection::{self, ARGUMENT_ERROR, CallRejection, failure},
    warnings::Warnings,
};
use crate::{
    artifacts::Artifacts,
    base::text::cut,
    catalog::{CallerLimit, Catalog, ResolveError, Tool},
    model::{
        Approval, ApprovalStatus, ErrorCode, JsonObject, NewEvent, Principal, RawJson, TaskId,
    },
    policy::Caller,
    sandbox::{CallFailure, WallClock, history},
    store::{NewTask, Store, StoreError},
    task::{
        approval::{denials::Denials, waiters::ApprovalWaiters},
        handle::TaskHandle,
        journal::TaskJournal,
        machine::StopCause,
        policy_reload::ReloadingPolicy,
        policy_view::{PolicyView, ROLE, facts},
        record,
        replay::Answer,
    },
};

/// Rejections of one run that are remembered, the latest ones: a task that goes on after so many
/// handles them.
const REJECTIONS_MAX: usize = 65_536;

/// The services that all tasks share.
#[derive(Clone)]
pub struct Services {
    /// The record, the counters and the approvals.
    pub store: Arc<dyn Store>,
    /// Finds and performs calls.
    pub catalog: Arc<Catalog>,
    /// The policy in force.
    pub policy: Arc<ReloadingPolicy>,
    /// The calls that wait for an approval.
    pub waiters: Arc<ApprovalWaiters>,
    /// The permits of calls at upstreams.
    pub concurrency: UpstreamConcurrency,
    /// The responses that are too large for a program, and the images, sounds and blobs in
    /// responses.
    pub artifacts: Artifacts,
    /// True if the values of arguments are recorded.
    pub record_values: Arc<AtomicBool>,
}

impl Services {
    /// Returns true if the values of arguments are recorded.
    pub(in crate::task) fn records_values(&self) -> bool {
        self.record_values.load(Ordering::Relaxed)
    }
}

/// The identity of the task whose run it is.
pub(in crate::task) struct TaskFacts {
    pub(in crate::task) id: TaskId,
    id_text: String,
    pub(in crate::task) principal: Principal,
}

impl TaskFacts {
    pub(in crate::task) fn caller(&self) -> Caller<'_> {
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

/// The surroundings of the calls of one run.
pub(in crate::task) struct CallContext {
    pub(in crate::task) services: Services,
    pub(in crate::task) task: TaskFacts,
    pub(in crate::task) journal: Arc<TaskJournal>,
    pub(in crate::task) handle: Arc<TaskHandle>,
    /// Stands still while a person is asked.
    pub(in crate::task) clock: WallClock,
    pub(in crate::task) budget: BudgetTracker,
    /// Its searches for tools, which wait for each other.
    pub(in crate::task) caller_limit: CallerLimit,
    /// What a person denied in it.
    pub(in crate::task) denials: Denials,
    /// Approvals that an earlier process asked for, for calls of this task that were not sent.
    asked: Mutex<Vec<Approval>>,
    /// Entries of the history that were noted.
    observed: AtomicUsize,
    /// The first difference of the program to its earlier run.
    divergence: OnceLock<String>,
    /// The calls that policy or a person rejected, and the codes of their errors.
    rejected: Mutex<BTreeMap<u32, &'static str>>,
    warnings: Mutex<Warnings>,
    run_over: CancellationToken,
    drop_cause: OnceLock<DropCause>,
}

impl CallContext {
    pub(in crate::task) fn new(
        services: Services,
        task: &NewTask,
        journal: Arc<TaskJournal>,
        handle: Arc<TaskHandle>,
        clock: WallClock,
    ) -> Self {
        let task = TaskFacts {
            id: task.task_id,
            id_text: task.task_id.to_string(),
            principal: task.principal.clone(),
        };
        Self {
            services,
            task,
            journal,
            handle,
            clock,
            budget: BudgetTracker::default(),
            caller_limit: CallerLimit::default(),
            denials: Denials::default(),
            asked: Mutex::default(),
            observed: AtomicUsize::new(0),
            divergence: OnceLock::new(),
            rejected: Mutex::default(),
            warnings: Mutex::default(),
            run_over: CancellationToken::new(),
            drop_cause: OnceLock::new(),
        }
    }

    /// Takes over the approvals that an earlier process asked for: open ones for the calls that
    /// come again, denials so that nobody is asked twice.
    pub(in crate::task) fn take_over(&self, approvals: Vec<Approval>) {
        approvals.iter().for_each(|approval| self.denials.note(approval));
        let is_open = |approval: &Approval| {
            matches!(approval.status, ApprovalStatus::Pending | ApprovalStatus::Approved)
        };
        let open: Vec<_> = approvals.into_iter().filter(is_open).collect();
        open.iter().for_each(|approval| self.services.waiters.expect(approval.id));
        self.asked.lock().extend(open);
    }

    /// The approval that was asked for in the same words, if there is one. It is taken once.
    pub(in crate::task) fn asked_before(&self, row: &Approval) -> Option<Approval> {
        let mut asked = self.asked.lock();
        let is_same = |before: &Approval| {
            let (before, now) = (before, row);
            before.seq == now.seq
                && before.digest == now.digest
                && before.asked.rule == now.asked.rule
                && before.asked.reason == now.asked.reason
        };
        let at = asked.iter().position(is_same)?;
        Some(asked.swap_remove(at))
    }

    /// Cancels the approvals that an earlier process asked for and nothing will use any more: those
    /// of one call, or of all.
    pub(in crate::task) fn cancel_unused(&self, seq: Option<u32>, why: &str) {
        let mut asked = self.asked.lock();
        for unused in asked.extract_if(.., |row| seq.is_none_or(|seq| seq == row.seq)) {
            self.services.waiters.expect_no_more(unused.id);
            self.journal.cancel_approval(unused.id, why);
        }
    }

    /// Counts entries of the program's history. False if they are too many to run it again.
    pub(in crate::task) fn note_observed(&self, entries: usize) -> bool {
        self.observed.fetch_add(entries, Ordering::Relaxed) + entries <= history::ENTRIES_MAX
    }

    /// Ends the run, because the program does not do what it had done before.
    pub(in crate::task) fn diverge(&self, difference: String) {
        self.divergence.set(difference).ok();
        self.handle.stop(StopCause::Diverged);
    }

    /// The difference of the program to its earlier run.
    pub(in crate::task) fn divergence(&self) -> Option<String> {
        self.divergence.get().cloned()
    }

    /// Counts a call that an earlier process made, and remembers its rejection.
    pub(in crate::task) fn repeat(&self, seq: u32, answer: &Answer, was_sent: bool) {
        if was_sent {
            self.budget.repeat(answer.as_ref().map_or(0, |value| value.get().len()));
        }
        let code = answer.as_ref().err().and_then(rejection::code_of);
        if let Some(code) = code {
            self.note_rejected(seq, code);
        }
    }

    /// Tells all calls that the run is over. The first cause counts.
    pub(in crate::task) fn drop_run(&self, cause: DropCause) {
        self.drop_cause.set(cause).ok();
        self.run_over.cancel();
    }

    /// Why the run is over; none while it lasts.
    pub(in crate::task) fn dropped(&self) -> Option<DropCause> {
        let cause = || self.drop_cause.get().copied().unwrap_or(DropCause::RunEnded);
        self.run_over.is_cancelled().then(cause)
    }

    /// Waits, but no longer than the run lasts.
    ///
    /// # Errors
    /// If the run is over first.
    pub(in crate::task) async fn unless_dropped<T>(
        &self,
        wait: impl Future<Output = T>,
    ) -> Result<T, DropCause> {
        tokio::select! {
            biased;
            () = self.run_over.cancelled() => {
                Err(self.dropped().unwrap_or(DropCause::RunEnded))
            }
            done = wait => Ok(done),
        }
    }

    /// The tools that the caller may see by the policy in force.
    pub(in crate::task) fn view(&self) -> PolicyView {
        PolicyView::new(self.services.policy.current(), &self.task.caller())
    }

    /// Finds the tool that is called. One that lists do not show, because every call of it is
    /// denied, is found by its exact path.
    pub(in crate::task) async fn resolve(&self, path: &str) -> Result<Arc<Tool>, CallFailure> {
        let (catalog, view) = (&self.services.catalog, self.view());
        let tool = match catalog.seek(path, &view).await {
            Ok(Some(tool)) => tool,
            Ok(None) => match catalog.exact(path.strip_prefix("tools.").unwrap_or(path)) {
                Some(tool) => tool,
                None => return Err(self.not_found(path, view).await),
            },
            Err(error) => return Err(rejection::unresolved(error.into())),
        };
        let is_hidden = || self.services.policy.current().hides(&facts(&tool), &self.task.caller());
        // The notice would tell that a hidden tool exists.
        if let Some(notice) = tool.renamed_from(path).filter(|_| !is_hidden()) {
            self.warn(notice);
        }
        Ok(tool)
    }

    /// The failure of a call of a hidden tool: the one of a tool that does not exist.
    pub(in crate::task) async fn hidden(&self, path: &str, tool: Option<&Tool>) -> CallFailure {
        let view = match tool {
            Some(tool) => self.view().without(&tool.path),
            None => self.view(),
        };
        match self.services.catalog.seek(path, &view).await {
            Ok(None) => self.not_found(path, view).await,
            Err(error) => rejection::unresolved(error.into()),
            // The path leads to another tool where this one is left out. It is not that one either.
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
            self.services.catalog.not_found_offloaded(&self.caller_limit, path, view).await,
        ))
    }

    /// Parses the arguments and validates them against the tool's schema.
    pub(in crate::task) async fn check(
        &self,
        tool: &Arc<Tool>,
        args: &str,
    ) -> Result<JsonObject, CallFailure> {
        let checked = self.services.catalog.check(tool, args).await;
        checked.map_err(|error| invalid_arguments(tool, &error.to_string()))
    }

    /// Validates arguments that expanded artifacts made large.
    pub(in crate::task) async fn check_value(
        &self,
        tool: &Arc<Tool>,
        args: JsonObject,
    ) -> Result<JsonObject, CallFailure> {
        let checked = self.services.catalog.check_value(tool, args).await;
        checked.map_err(|error| invalid_arguments(tool, &error.to_string()))
    }

    /// Remembers a rejection, so that a task that does not handle it ends with its code. Returns
    /// the error that the program sees.
    pub(in crate::task) fn reject(
        &self,
        seq: u32,
        tool: &str,
        rejection: &CallRejection,
    ) -> CallFailure {
        self.note_rejected(seq, rejection.code);
        rejection.failure(tool)
    }

    fn note_rejected(&self, seq: u32, code: &'static str) {
        let mut all = self.rejected.lock();
        all.insert(seq, code);
        if all.len() > REJECTIONS_MAX {
            all.pop_first();
        }
    }

    /// The code with which the call of that number was rejected. Guests cannot influence it.
    pub(in crate::task) fn rejected(&self, call: u32) -> Option<&'static str> {
        self.rejected.lock().get(&call).copied()
    }

    /// Commits events, then returns the answer: a program is answered no faster than its calls are
    /// recorded.
    pub(in crate::task) async fn record_then(
        &self,
        events: Vec<NewEvent>,
        tool: &str,
        answer: Result<RawJson, CallFailure>,
    ) -> Result<RawJson, CallFailure> {
        match self.journal.commit(events).await {
            Ok(()) => answer,
            Err(error) => Err(self.unrecorded(tool, &error)),
        }
    }

    /// The failure of a call that could not be recorded.
    pub(in crate::task) fn unrecorded(&self, tool: &str, error: &StoreError) -> CallFailure {
        tracing::error!(task = %self.task.id, %error, "a call could not be recorded and is not \
            made");
        failure(
            "ToolCallError",
            ErrorCode::RecordWriteFailed.as_str(),
            cut(tool, record::NAME_BYTES_MAX),
            "the call could not be recorded, so it was not made",
        )
    }

    /// Keeps a warning for the end of the task.
    pub(in crate::task) fn warn(&self, text: String) {
        self.warnings.lock().add(text);
    }

    /// Takes the warnings of calls that succeeded.
    pub(in crate::task) fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut *self.warnings.lock()).into_texts()
    }
}

fn invalid_arguments(tool: &Tool, message: &str) -> CallFailure {
    failure(ARGUMENT_ERROR, ErrorCode::InvalidToolArguments.as_str(), &tool.path, message)
}
