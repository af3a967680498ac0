//! Tasks: run one, read one, list them, end one.

use std::{sync::Arc, time::Duration};

use serde_json::value::RawValue;
use tokio::time::timeout;

use super::{
    Service, ServiceError,
    requests::{
        Execute, Execution, ProgressSink, TaskCancel, TaskEvents, TaskGet, TaskList, TaskMedia,
        WaitPolicy,
    },
    view::{EventPage, PendingApproval, Progress, ResultPage, ShownMedia, TaskPage, TaskRecord},
};
use crate::{
    artifacts::ArtifactError,
    model::{ErrorCode, Principal, RawJson, Task, TaskId, TaskStatus, Timestamp},
    store::{NewTask, StoreError, TaskFilter},
    task::{
        TaskHandle, TaskOutcome,
        engine::{SubmitError, Submitted},
        machine::StopCause,
    },
};

/// Bounds of the contract, section 1.
pub(super) const TIMEOUT_MS_MAX: u64 = 600_000;
/// The shortest and the longest `resultTimeoutMs`.
pub(super) const RESULT_TIMEOUT_MS: (u64, u64) = (100, 900_000);
/// Metadata as JSON, in bytes.
pub(super) const METADATA_BYTES_MAX: usize = 16 * 1024;
/// `sessionId` and `idempotencyKey`, in characters.
pub(super) const NAME_CHARS_MAX: usize = 128;
/// The longest `waitMs` of `task_get`.
pub(super) const WAIT_MS_MAX: u64 = 50_000;
/// Results up to so many bytes of JSON are given whole, and so many at most in one page.
pub(super) const RESULT_BYTES_INLINE: u64 = 1024 * 1024;
/// Tasks in a page unless the caller says otherwise, and at the most.
pub(super) const LIST_LIMIT: (u32, u32) = (50, crate::store::LIST_MAX);
/// Events in a page unless the caller says otherwise, and at the most.
pub(super) const EVENTS_LIMIT: (u32, u32) = (200, 1000);

impl Service {
    /// Records a task, runs it, and waits for its end as long as the arguments and the wait policy
    /// allow. Sends the task's id to `progress` as soon as it is recorded, and each change after.
    /// Dropping the future ends the waiting, not the task.
    pub(super) async fn execute(
        &self,
        who: &Principal,
        execution: Execution,
    ) -> Result<TaskRecord, ServiceError> {
        let Execution { arguments, wait, progress } = execution;
        let hold = self.hold(&arguments, wait)?;
        let is_patient = wait == WaitPolicy::Full || arguments.result_timeout_ms.is_some();
        // The session is part of who asks, and stored with the task as such.
        let caller = Principal { session_id: arguments.session_id.clone(), ..who.clone() };
        tracing::Span::current().record("session", caller.session_id.as_deref());
        let new = self.new_task(&caller, arguments)?;
        // Whoever learns the id at once must find it after a crash; at any other time the record is
        // read from the store first.
        let live = match self.engine.submit(new, hold.is_zero()).await.map_err(submit_error)? {
            Submitted::Running(live) => live,
            Submitted::Earlier(task) => return self.recorded(who, task).await,
        };
        let reporting = self.report(who, &live, &progress);
        let approval_hold = Duration::from_millis(self.limits.load().approval_hold_ms);
        tokio::select! {
            ended = timeout(hold, live.ended()) => match ended {
                Ok(ended) => self.whole(who, live.task_id(), ended).await,
                Err(_) => self.recorded(who, live.task_id()).await,
            },
            () = awaits_approval_for(&live, approval_hold), if !is_patient => {
                self.recorded(who, live.task_id()).await
            }
            () = reporting => unreachable!("reporting goes on until it is dropped"),
        }
    }

    /// The record, waiting for its end if asked to; or a piece of its result.
    pub(super) async fn task_get(
        &self,
        who: &Principal,
        request: TaskGet,
    ) -> Result<TaskRecord, ServiceError> {
        let task = task_id(&request.task_id)?;
        let wait_ms = within("waitMs", request.wait_ms, 0, WAIT_MS_MAX)?.unwrap_or(0);
        let limit = within("resultLimit", request.result_limit, 1, RESULT_BYTES_INLINE)?;
        if wait_ms > 0
            && let Some(live) =
                self.engine.unfinished(task).filter(|live| live.workspace_id() == who.workspace_id)
        {
            // The record says which came first.
            drop(timeout(Duration::from_millis(wait_ms), live.ended()).await);
        }
        if request.result_offset.is_none() && limit.is_none() {
            return self.recorded(who, task).await;
        }
        let task = self.record(who, task).await?;
        let offset = request.result_offset.unwrap_or(0);
        let page = self.page(who, &task, offset, limit.unwrap_or(RESULT_BYTES_INLINE)).await?;
        let mut record = TaskRecord::from(&task);
        record.outcome.result_page = page;
        record.outcome.approvals = self.pending(&task).await?;
        Ok(record)
    }

    /// Tasks of the workspace, newest first.
    pub(super) async fn task_list(
        &self,
        who: &Principal,
        request: TaskList,
    ) -> Result<TaskPage, ServiceError> {
        let limit = within("limit", request.limit.map(u64::from), 1, u64::from(LIST_LIMIT.1))?;
        let filter = TaskFilter {
            status: request.status,
            session_id: request.session_id,
            metadata: request.metadata,
            limit: limit.map_or(LIST_LIMIT.0, |limit| limit as u32),
            cursor: request.cursor,
        };
        let page = self.store.tasks(&who.workspace_id, filter).await.map_err(store_error)?;
        Ok(TaskPage {
            tasks: page.tasks.iter().map(Into::into).collect(),
            next_cursor: page.next_cursor,
        })
    }

    /// Ends a task and waits until its end is recorded; one that has ended stays as it is.
    pub(super) async fn task_cancel(
        &self,
        who: &Principal,
        request: TaskCancel,
    ) -> Result<TaskRecord, ServiceError> {
        let task = task_id(&request.task_id)?;
        match self.engine.unfinished(task).filter(|live| live.workspace_id() == who.workspace_id) {
            Some(live) => {
                live.stop(StopCause::Cancelled);
                self.whole(who, task, live.ended().await).await
            }
            None => {
                let record = self.record(who, task).await?;
                if !record.status.is_terminal() {
                    // Its server is gone, and none has gone on with it.
                    self.engine.cancel_left(&who.workspace_id, task).await.map_err(store_error)?;
                }
                self.recorded(who, task).await
            }
        }
    }

    /// The record of a task that has ended, or that the next start of the server goes on with.
    async fn whole(
        &self,
        who: &Principal,
        task: TaskId,
        ended: TaskOutcome,
    ) -> Result<TaskRecord, ServiceError> {
        match ended {
            TaskOutcome::Recorded(task, result) => {
                let inline =
                    result.as_deref().filter(|raw| raw.get().len() as u64 <= RESULT_BYTES_INLINE);
                Ok(view_of(&task, inline))
            }
            TaskOutcome::Postponed => self.recorded(who, task).await,
            TaskOutcome::Unrecorded(error) => {
                let message = "the task could not be recorded; the server's log says why";
                Err(ServiceError::new(ErrorCode::StoreUnavailable, message).caused_by(error))
            }
        }
    }

    /// The images and sounds whose handles stand in a task's result, if that is at most 1 MiB.
    pub(super) async fn task_media(
        &self,
        who: &Principal,
        request: TaskMedia,
    ) -> Result<ShownMedia, ServiceError> {
        let record = self.recorded(who, request.task_id).await?;
        let shown = self.artifacts.shown(&who.workspace_id, &record.outcome.result).await;
        shown.map_err(|error| match error {
            ArtifactError::Store(error) => store_error(error),
            error => ServiceError::new(ErrorCode::Internal, error.to_string()),
        })
    }

    /// A task's history.
    pub(super) async fn task_events(
        &self,
        who: &Principal,
        request: TaskEvents,
    ) -> Result<EventPage, ServiceError> {
        let task = task_id(&request.task_id)?;
        let limit = within("limit", request.limit.map(u64::from), 1, u64::from(EVENTS_LIMIT.1))?;
        let limit = limit.map_or(EVENTS_LIMIT.0, |limit| limit as u32);
        self.record(who, task).await?;
        let events = self
            .store
            .events(&who.workspace_id, task, request.after, limit)
            .await
            .map_err(store_error)?;
        let next_after = events.last().map_or(request.after, |event| event.seq);
        Ok(EventPage { events, next_after })
    }

    pub(super) async fn record(&self, who: &Principal, task: TaskId) -> Result<Task, ServiceError> {
        self.store
            .task(&who.workspace_id, task)
            .await
            .map_err(store_error)?
            .ok_or_else(|| not_found(&task.to_string()))
    }

    /// The record with its result, as the store has it.
    async fn recorded(&self, who: &Principal, task: TaskId) -> Result<TaskRecord, ServiceError> {
        let task = self.record(who, task).await?;
        let mut raw = None;
        if task.result_bytes.is_some_and(|bytes| bytes <= RESULT_BYTES_INLINE) {
            let page = self.page(who, &task, 0, RESULT_BYTES_INLINE).await?;
            raw =
                page.map(|page| RawValue::from_string(page.text)).transpose().map_err(|error| {
                    let message = format!("the result of `{}` is damaged", task.task_id);
                    ServiceError::new(ErrorCode::Internal, message).caused_by(error)
                })?;
        }
        let mut record = view_of(&task, raw.as_ref());
        record.outcome.approvals = self.pending(&task).await?;
        if !task.status.is_terminal()
            && let Some(live) = self.engine.unfinished(task.task_id)
        {
            record.outcome.logs = Some(live.console()).filter(|logs| !logs.is_empty());
        }
        Ok(record)
    }

    async fn page(
        &self,
        who: &Principal,
        task: &Task,
        offset: u64,
        limit: u64,
    ) -> Result<Option<ResultPage>, ServiceError> {
        let total = task.result_bytes.unwrap_or(0);
        if offset > total {
            let message = format!("`resultOffset` is {offset}; the result ends at {total} bytes");
            return Err(ServiceError::new(ErrorCode::InvalidArgument, message));
        }
        let piece = self
            .store
            .result(&who.workspace_id, task.task_id, offset, limit)
            .await
            .map_err(store_error)?;
        Ok(piece.map(|piece| ResultPage {
            text: piece.text,
            offset: piece.offset,
            next_offset: piece.next_offset,
            total_bytes: piece.total_bytes,
        }))
    }

    /// Forwards the changes of a task for as long as it is polled.
    async fn report(&self, who: &Principal, live: &Arc<TaskHandle>, progress: &ProgressSink) {
        let mut changes = live.changes();
        let mut read = None;
        let mut approvals: Arc<[PendingApproval]> = Arc::from([]);
        loop {
            let (status, version) = (live.status(), live.approvals());
            if read != Some((status, version)) {
                read = Some((status, version));
                approvals = match status {
                    // What cannot be read now is told with the answer.
                    TaskStatus::AwaitingApproval => {
                        let workspace = &who.workspace_id;
                        let pending = self.pending_of(workspace, live.task_id()).await;
                        pending.unwrap_or_default().into()
                    }
                    _ => Arc::from([]),
                };
            }
            let now = Progress {
                task_id: live.task_id(),
                status,
                tool_calls: live.tool_calls(),
                latest: live.latest(),
                approvals: approvals.clone(),
            };
            progress.send_replace(Some(now));
            if changes.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    fn new_task(&self, who: &Principal, request: Execute) -> Result<NewTask, ServiceError> {
        let limits = self.limits.load();
        let bytes = request.code.len();
        if bytes == 0 || bytes > limits.code_bytes_max {
            let message =
                format!("`code` is {bytes} bytes; the limit is 1 to {}", limits.code_bytes_max);
            return Err(ServiceError::new(ErrorCode::InvalidArgument, message));
        }
        let timeout_ms = within("timeoutMs", request.timeout_ms, 1, TIMEOUT_MS_MAX)?
            .unwrap_or(limits.timeout_ms);
        if let Some(metadata) = &request.metadata {
            let bytes = serde_json::to_vec(metadata).map_or(usize::MAX, |json| json.len());
            if bytes > METADATA_BYTES_MAX {
                let message = format!(
                    "`metadata` is {bytes} bytes as JSON; the limit is {METADATA_BYTES_MAX}"
                );
                return Err(ServiceError::new(ErrorCode::InvalidArgument, message));
            }
        }
        check_length("sessionId", who.session_id.as_deref(), 0)?;
        check_length("idempotencyKey", request.idempotency_key.as_deref(), 1)?;
        Ok(NewTask {
            task_id: TaskId::new(),
            code: request.code,
            runtime_id: request.runtime_id.unwrap_or_else(|| limits.runtime_id.clone()),
            timeout_ms,
            metadata: request.metadata,
            principal: who.clone(),
            created_at: Timestamp::now(),
            instance_id: self.engine.instance_id(),
            idempotency_key: request.idempotency_key,
        })
    }

    /// Time to hold the answer.
    fn hold(&self, request: &Execute, wait: WaitPolicy) -> Result<Duration, ServiceError> {
        let requested = within(
            "resultTimeoutMs",
            request.result_timeout_ms,
            RESULT_TIMEOUT_MS.0,
            RESULT_TIMEOUT_MS.1,
        )?;
        if request.wait_for_result == Some(false) {
            return Ok(Duration::ZERO);
        }
        let limits = self.limits.load();
        let timeout_ms = request.timeout_ms.unwrap_or(limits.timeout_ms);
        let full = timeout_ms.saturating_add(30_000).max(120_000);
        let hold_ms = match (requested, wait, limits.hold_ms) {
            (Some(requested), _, _) => requested,
            (None, WaitPolicy::Full | WaitPolicy::Progress, _) | (None, WaitPolicy::Capped, 0) => {
                full
            }
            (None, WaitPolicy::Capped, cap) => full.min(cap),
        };
        Ok(Duration::from_millis(hold_ms))
    }
}

/// Resolves once a task has waited for approvals for so long without a pause.
async fn awaits_approval_for(live: &TaskHandle, time: Duration) {
    let mut changes = live.changes();
    let is_waiting = || live.status() == TaskStatus::AwaitingApproval;
    loop {
        if is_waiting() {
            let goes_on = async { while is_waiting() && changes.changed().await.is_ok() {} };
            if timeout(time, goes_on).await.is_err() {
                return;
            }
        } else if changes.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}

/// The record with its result, where it completed: `raw` where that is at most 1 MiB.
fn view_of(task: &Task, raw: Option<&RawJson>) -> TaskRecord {
    let record = TaskRecord::from(task);
    match task.result_bytes.filter(|_| task.status == TaskStatus::Completed) {
        Some(bytes) => record.with_result(raw, bytes),
        None => record,
    }
}

pub(super) fn task_id(text: &str) -> Result<TaskId, ServiceError> {
    // A malformed id is no task's, so it is not found either.
    text.parse().map_err(|_| not_found(text))
}

fn not_found(task: &str) -> ServiceError {
    let shown: String = task.chars().take(80).collect();
    ServiceError::new(ErrorCode::TaskNotFound, format!("there is no task `{shown}`"))
        .hint("`task_list` shows the tasks there are")
}

pub(super) fn within(
    name: &str,
    value: Option<u64>,
    min: u64,
    max: u64,
) -> Result<Option<u64>, ServiceError> {
    match value {
        Some(value) if !(min..=max).contains(&value) => Err(ServiceError::new(
            ErrorCode::InvalidArgument,
            format!("`{name}` is {value}; the limit is {min} to {max}"),
        )),
        value => Ok(value),
    }
}

fn check_length(name: &str, value: Option<&str>, min: usize) -> Result<(), ServiceError> {
    match value.map(|value| value.chars().count()) {
        Some(count) if !(min..=NAME_CHARS_MAX).contains(&count) => Err(ServiceError::new(
            ErrorCode::InvalidArgument,
            format!("`{name}` is {count} characters; the limit is {min} to {NAME_CHARS_MAX}"),
        )),
        _ => Ok(()),
    }
}

fn submit_error(error: SubmitError) -> ServiceError {
    let message = error.to_string();
    match error {
        SubmitError::UnknownRuntime { known, .. } if known.is_empty() => {
            ServiceError::new(ErrorCode::NoRuntime, message).hint(
                "`airlock doctor`, on the server's machine, says how to install one; then restart \
                the server",
            )
        }
        SubmitError::UnknownRuntime { .. } => ServiceError::new(ErrorCode::UnknownRuntime, message)
            .hint(
                "leave `runtimeId` out; `airlock doctor`, on the server's machine, says how to \
                install others",
            ),
        SubmitError::Busy { .. } => ServiceError {
            retry_after_ms: Some(1000),
            ..ServiceError::new(ErrorCode::Busy, message)
        }
        .hint("try again in a second"),
        SubmitError::Stopping => ServiceError::new(ErrorCode::ShuttingDown, message),
        SubmitError::Store(error) => store_error(error),
    }
}

pub(super) fn store_error(error: StoreError) -> ServiceError {
    match error {
        StoreError::BadCursor(_) => ServiceError::new(ErrorCode::InvalidCursor, error.to_string())
            .hint("take `nextCursor` of the page before"),
        StoreError::Busy(_) => ServiceError {
            retry_after_ms: Some(1000),
            ..ServiceError::new(ErrorCode::Busy, error.to_string())
        },
        other => ServiceError::new(ErrorCode::StoreUnavailable, "the store does not answer")
            .caused_by(other),
    }
}
