//! The one writer of a task's record: its creation, its statuses and events, its approvals, its
//! counters and its end.
//!
//! Writes of one task reach the store in the order of the calls here. What is only *enqueued* is
//! durable no later than what is committed after it; whatever a caller relies on is *committed*,
//! which means: waited for.

use std::{sync::Arc, time::Duration};

use super::{
    handle::TaskHandle,
    machine::{End, TaskEvent},
};
use crate::{
    base::backoff::Backoff,
    model::{
        Approval, ApprovalId, ApprovalResolved, ApprovalStatus, EventDetails, NewEvent, TaskId,
        Timestamp,
    },
    store::{
        ApprovalChange, CounterHold, Created, Decided, HoldToken, NewTask, Reserved, Store,
        StoreError, TaskChange, TaskEnd, Written,
    },
};

/// Retries of writing an end, and the pauses between: about half a minute in all.
const END_RETRIES_MAX: u32 = 12;
const END_RETRY: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));

/// Writes the record of one task.
pub(super) struct TaskJournal {
    store: Arc<dyn Store>,
    handle: Arc<TaskHandle>,
}

impl TaskJournal {
    /// Begins the record of a task with its creation.
    pub(super) fn create(
        store: Arc<dyn Store>,
        new: NewTask,
        handle: Arc<TaskHandle>,
    ) -> (Self, Written<Created>) {
        let written = store.create_task(new);
        (Self { store, handle }, written)
    }

    fn task_id(&self) -> TaskId {
        self.handle.task_id()
    }

    fn change(&self, events: Vec<NewEvent>) -> TaskChange {
        TaskChange { task_id: self.task_id(), status: None, started_at: None, end: None, events }
    }

    /// Queues events and does not wait. A failure shows in the next write that is committed, or in
    /// the end of the task.
    pub(super) fn enqueue(&self, events: Vec<NewEvent>) {
        drop(self.commit(events));
    }

    /// Queues events; they are durable once the answer resolves.
    pub(super) fn commit(&self, events: Vec<NewEvent>) -> Written {
        self.store.change_task(self.change(events))
    }

    /// Enqueues that the run begins. The start of a call, or the task's end, is committed after it.
    pub(super) fn begin(&self, queue_ms: u64, started_at: Timestamp) {
        self.change_status(TaskEvent::Begun { queue_ms }, vec![], Some(started_at), drop);
    }

    /// Queues events of a call that begins to wait for an approval. With the first such call the
    /// task waits.
    pub(super) fn suspend(&self, events: Vec<NewEvent>) -> Written {
        self.change_status(TaskEvent::CallSuspended, events, None, |written| written)
    }

    /// Enqueues that a call does not wait for its approval any more, and the status that the
    /// approval came to. With the last such call the task runs again.
    pub(super) fn resume(&self, seq: u32, approval_id: ApprovalId, status: ApprovalStatus) {
        let resolved = ApprovalResolved { seq, approval_id, status };
        let events = vec![NewEvent::now(EventDetails::ApprovalResolved(resolved))];
        self.change_status(TaskEvent::CallResumed, events, None, drop);
    }

    fn change_status<T>(
        &self,
        event: TaskEvent,
        mut events: Vec<NewEvent>,
        started_at: Option<Timestamp>,
        answer: impl FnOnce(Written) -> T,
    ) -> T {
        self.handle.apply(event, |recorded| {
            let status = recorded.map(|(status, event)| {
                events.push(NewEvent::now(event));
                status
            });
            answer(self.store.change_task(TaskChange { status, started_at, ..self.change(events) }))
        })
    }

    /// Queues the row of an approval. After [`suspend`](Self::suspend), so that whoever finds the
    /// row finds the task waiting.
    pub(super) fn request_approval(&self, approval: Approval) -> Written {
        self.store.ask_approval(approval)
    }

    /// Queues a change of an approval's status that no person decides.
    pub(super) fn change_approval(
        &self,
        id: ApprovalId,
        from: ApprovalStatus,
        to: ApprovalStatus,
        why: Option<&str>,
    ) -> Written<Decided> {
        let why = why.map(str::to_owned);
        let change =
            ApprovalChange { id, from, to, at: Timestamp::now(), by: None, note: None, why };
        self.store.decide_approval(self.handle.workspace_id(), change)
    }

    /// Enqueues the cancellation of an approval, unless it is consumed or denied by then.
    pub(super) fn cancel_approval(&self, id: ApprovalId, why: &str) {
        for from in [ApprovalStatus::Pending, ApprovalStatus::Approved] {
            drop(self.change_approval(id, from, ApprovalStatus::Cancelled, Some(why)));
        }
    }

    /// Reads an approval of this task.
    pub(super) async fn approval(&self, id: ApprovalId) -> Result<Option<Approval>, StoreError> {
        self.store.approval(self.handle.workspace_id(), id).await
    }

    /// Queues a reservation on all of these counters, or on none.
    pub(super) fn reserve(&self, holds: &[CounterHold]) -> Written<Reserved> {
        self.store.reserve(Timestamp::now(), holds)
    }

    /// Enqueues that what was reserved is taken back.
    pub(super) fn give_back(&self, token: HoldToken) {
        drop(self.store.release(token));
    }

    /// Writes the end, again and again where the store is busy or full for a moment: a task must
    /// not be taken for running when it is not.
    pub(super) async fn end(
        &self,
        end: &End,
        started_at: Option<Timestamp>,
        record: TaskEnd,
    ) -> Result<(), StoreError> {
        let change = TaskChange {
            status: Some(end.status),
            started_at,
            end: Some(record),
            ..self.change(vec![NewEvent::now(end.event())])
        };
        for tries in 1..=END_RETRIES_MAX {
            match self.store.change_task(change.clone()).await {
                Err(StoreError::Busy(_) | StoreError::Full | StoreError::Database(_)) => {}
                done => return done,
            }
            tokio::time::sleep(END_RETRY.after(tries)).await;
        }
        self.store.change_task(change).await
    }
}
