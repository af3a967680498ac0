//! Tasks: run one, look at one, list them, end one.

use std::{sync::Arc, time::Duration};

use tokio::time::timeout;

use super::{
    Execute, Patience, Progress, ProgressSink, ResultPage, Service, ServiceError, TaskAnswer,
    TaskCancel, TaskEvents, TaskEventsAnswer, TaskGet, TaskList, TaskListAnswer,
};
use crate::{
    model::{ErrorCode, Principal, Task, TaskId, Timestamp},
    store::{NewTask, StoreError, TaskFilter},
    task::{
        engine::{SubmitError, Submitted, TaskHandle, TaskOutcome},
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
    /// Records a task, runs it, and waits for its end as long as the request and `patience` allow.
    /// Tells `progress` the task's id as soon as it is recorded, and what changes after. Dropping
    /// the future ends the waiting, not the task.
    pub async fn execute(
        &self,
        who: &Principal,
        request: Execute,
        patience: Patience,
        progress: ProgressSink,
    ) -> Result<TaskAnswer, ServiceError> {
        let hold = self.hold(&request, patience)?;
        let new = self.new_task(who, request)?;
        // Whoever learns the id at once must find it after a crash; at any other time the record is
        // read from the store first.
        let live = match self.engine.submit(new, hold.is_zero()).await.map_err(submit_error)? {
            Submitted::TaskHandle(live) => live,
            Submitted::Earlier(task) => return self.recorded(who, task).await,
        };
        let reporting = report(&live, &progress);
        tokio::select! {
            ended = timeout(hold, live.ended()) => match ended {
                Ok(ended) => whole(ended),
                Err(_) => self.recorded(who, live.task_id()).await,
            },
            () = reporting => unreachable!("reporting goes on until it is dropped"),
        }
    }

    /// The record, waiting for its end if asked to; or a piece of its result.
    pub async fn task_get(
        &self,
        who: &Principal,
        request: TaskGet,
    ) -> Result<TaskAnswer, ServiceError> {
        let task = task_id(&request.task_id)?;
        let wait_ms = within("waitMs", request.wait_ms, 0, WAIT_MS_MAX)?.unwrap_or(0);
        let limit = within("resultLimit", request.result_limit, 1, RESULT_BYTES_INLINE)?;
        if wait_ms > 0
            && let Some(live) =
                self.engine.live(task).filter(|live| live.workspace_id() == who.workspace_id)
        {
            // Whatever comes first is told by the record.
            drop(timeout(Duration::from_millis(wait_ms), live.ended()).await);
        }
        let mut answer = self.recorded(who, task).await?;
        if request.result_offset.is_some() || limit.is_some() {
            let offset = request.result_offset.unwrap_or(0);
            answer.page =
                self.page(who, &answer.task, offset, limit.unwrap_or(RESULT_BYTES_INLINE)).await?;
            answer.result = None;
        }
        Ok(answer)
    }

    /// Tasks of the workspace, newest first.
    pub async fn task_list(
        &self,
        who: &Principal,
        request: TaskList,
    ) -> Result<TaskListAnswer, ServiceError> {
        let limit = within("limit", request.limit.map(u64::from), 1, u64::from(LIST_LIMIT.1))?;
        let filter = TaskFilter {
            status: request.status,
            session_id: request.session_id,
            metadata: request.metadata,
            limit: limit.map_or(LIST_LIMIT.0, |limit| limit as u32),
            cursor: request.cursor,
        };
        let page = self.store.tasks(&who.workspace_id, filter).await.map_err(store_error)?;
        Ok(TaskListAnswer { tasks: page.tasks, next_cursor: page.next_cursor })
    }

    /// Ends a task and waits until its end is recorded; one that has ended stays as it is.
    pub async fn task_cancel(
        &self,
        who: &Principal,
        request: TaskCancel,
    ) -> Result<TaskAnswer, ServiceError> {
        let task = task_id(&request.task_id)?;
        match self.engine.live(task).filter(|live| live.workspace_id() == who.workspace_id) {
            Some(live) => {
                live.stop(StopCause::Asked);
                whole(live.ended().await)
            }
            None => self.recorded(who, task).await,
        }
    }

    /// A task's history.
    pub async fn task_events(
        &self,
        who: &Principal,
        request: TaskEvents,
    ) -> Result<TaskEventsAnswer, ServiceError> {
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
        Ok(TaskEventsAnswer { events, next_after })
    }

    pub(super) async fn record(&self, who: &Principal, task: TaskId) -> Result<Task, ServiceError> {
        self.store
            .task(&who.workspace_id, task)
            .await
            .map_err(store_error)?
            .ok_or_else(|| not_found(&task.to_string()))
    }

    /// The record with its result, as the store has it.
    async fn recorded(&self, who: &Principal, task: TaskId) -> Result<TaskAnswer, ServiceError> {
        let task = self.record(who, task).await?;
        let mut result = None;
        if task.result_bytes.is_some_and(|bytes| bytes <= RESULT_BYTES_INLINE) {
            let page = self.page(who, &task, 0, RESULT_BYTES_INLINE).await?;
            result = page
                .map(|page| serde_json::value::RawValue::from_string(page.text))
                .transpose()
                .map_err(|error| {
                    ServiceError::new(
                        ErrorCode::Internal,
                        format!("the result of `{}` is damaged", task.task_id),
                    )
                    .caused_by(error)
                })?;
        }
        let approvals = self.pending(&task).await?;
        Ok(TaskAnswer { task, result, page: None, approvals })
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
            let message =
                format!("`resultOffset` {offset} is beyond the result, which has {total} bytes");
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

    fn new_task(&self, who: &Principal, request: Execute) -> Result<NewTask, ServiceError> {
        let bytes = request.code.len();
        if bytes == 0 || bytes > self.limits.code_bytes_max {
            let message = format!(
                "`code` has {bytes} bytes, allowed are 1 to {}",
                self.limits.code_bytes_max
            );
            return Err(ServiceError::new(ErrorCode::InvalidArgument, message));
        }
        let timeout_ms = within("timeoutMs", request.timeout_ms, 1, TIMEOUT_MS_MAX)?
            .unwrap_or(self.limits.timeout_ms);
        if let Some(metadata) = &request.metadata {
            let bytes = serde_json::to_vec(metadata).map_or(usize::MAX, |json| json.len());
            if bytes > METADATA_BYTES_MAX {
                let message = format!(
                    "`metadata` has {bytes} bytes as JSON, allowed are {METADATA_BYTES_MAX}"
                );
                return Err(ServiceError::new(ErrorCode::InvalidArgument, message));
            }
        }
        short("sessionId", request.session_id.as_deref(), 0)?;
        short("idempotencyKey", request.idempotency_key.as_deref(), 1)?;
        Ok(NewTask {
            task_id: TaskId::new(),
            code: request.code,
            runtime_id: request.runtime_id.unwrap_or_else(|| self.limits.runtime_id.clone()),
            timeout_ms,
            metadata: request.metadata,
            principal: Principal { session_id: request.session_id, ..who.clone() },
            created_at: Timestamp::now(),
            instance_id: self.engine.instance_id(),
            idempotency_key: request.idempotency_key,
        })
    }

    /// How long to hold the answer.
    fn hold(&self, request: &Execute, patience: Patience) -> Result<Duration, ServiceError> {
        let asked = within(
            "resultTimeoutMs",
            request.result_timeout_ms,
            RESULT_TIMEOUT_MS.0,
            RESULT_TIMEOUT_MS.1,
        )?;
        if request.wait_for_result == Some(false) {
            return Ok(Duration::ZERO);
        }
        let timeout_ms = request.timeout_ms.unwrap_or(self.limits.timeout_ms);
        let full = timeout_ms.saturating_add(30_000).max(120_000);
        let hold_ms = match (asked, patience, self.limits.hold_ms) {
            (Some(asked), _, _) => asked,
            (None, Patience::Long, _) | (None, Patience::Short, 0) => full,
            (None, Patience::Short, cap) => full.min(cap),
        };
        Ok(Duration::from_millis(hold_ms))
    }
}

/// Passes news of a task on for as long as it is polled.
async fn report(live: &Arc<TaskHandle>, progress: &ProgressSink) {
    let mut news = live.changes();
    loop {
        let now = Progress {
            task_id: live.task_id(),
            status: live.status(),
            tool_calls: live.tool_calls(),
            said: live.progress(),
        };
        progress.send_replace(Some(now));
        if news.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}

fn whole(ended: TaskOutcome) -> Result<TaskAnswer, ServiceError> {
    match ended {
        TaskOutcome::Recorded(task, result) => {
            let result = result
                .filter(|result| result.get().len() as u64 <= RESULT_BYTES_INLINE)
                .map(|result| (*result).clone());
            Ok(TaskAnswer { task: (*task).clone(), result, page: None, approvals: vec![] })
        }
        TaskOutcome::Unrecorded(error) => {
            let message = "the task could not be recorded; the server's log says why";
            Err(ServiceError::new(ErrorCode::StoreUnavailable, message).caused_by(error))
        }
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
            format!("`{name}` is {value}, allowed are {min} to {max}"),
        )),
        value => Ok(value),
    }
}

fn short(name: &str, value: Option<&str>, min: usize) -> Result<(), ServiceError> {
    match value.map(|value| value.chars().count()) {
        Some(count) if !(min..=NAME_CHARS_MAX).contains(&count) => Err(ServiceError::new(
            ErrorCode::InvalidArgument,
            format!("`{name}` has {count} characters, allowed are {min} to {NAME_CHARS_MAX}"),
        )),
        _ => Ok(()),
    }
}

fn submit_error(error: SubmitError) -> ServiceError {
    let message = error.to_string();
    match error {
        SubmitError::UnknownRuntime { known, .. } if known.is_empty() => {
            ServiceError::new(ErrorCode::NoRuntime, message).hint(
                "`airlock doctor`, on the server's machine, says how one is got; then \
                    restart the server",
            )
        }
        SubmitError::UnknownRuntime { .. } => ServiceError::new(ErrorCode::UnknownRuntime, message)
            .hint(
                "leave `runtimeId` out; `airlock doctor`, on the server's machine, says how \
                others are got",
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
