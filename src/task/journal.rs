//! The one writer of a task's record: its creation, its statuses and events, its approvals, its
//! counters and its end.
//!
//! Writes of one task reach the store in the order of the calls here. What is only *enqueued* is
//! durable no later than what is committed after it; whatever a caller relies on is *committed*,
//! which means: waited for.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;

use super::{
    handle::TaskHandle,
    machine::{End, TaskEvent},
    replay::{self, Answer, Entry, Replay},
};
use crate::{
    base::backoff::Backoff,
    model::{
        Approval, ApprovalId, ApprovalResolved, ApprovalStatus, EventDetails, Logs, NewEvent,
        TaskId, Timestamp, Usage,
    },
    store::{
        ApprovalChange, CounterHold, Created, Decided, HoldToken, JournalRow, NewTask, Reserved,
        Store, StoreError, TaskChange, TaskEnd, Written,
    },
};

/// Retries of writing an end, and the pauses between: about half a minute in all.
const END_RETRIES_MAX: u32 = 12;
const END_RETRY: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));

/// Writes the record of one task.
pub(super) struct TaskJournal {
    store: Arc<dyn Store>,
    handle: Arc<TaskHandle>,
    /// Locked while a write is queued, so that rows are queued in their order.
    entries: Mutex<Entries>,
}

/// The entries that no write has taken yet, and what was written before.
struct Entries {
    /// The first entry, until another one comes: a program that calls nothing leaves no journal.
    first: Option<Entry>,
    waiting: Vec<Entry>,
    rows: u32,
    bytes: usize,
    /// The reason why nothing more is noted, if so: the program cannot run again.
    given_up: Option<&'static str>,
}

impl Entries {
    fn new(replay: &Replay) -> Self {
        let began = Entry::Began { seed: replay.seed, origin_ms: replay.origin_ms };
        Self {
            first: (replay.rows == 0).then_some(began),
            waiting: Vec::new(),
            rows: replay.rows,
            bytes: replay.bytes,
            given_up: None,
        }
    }

    fn note(&mut self, entry: Entry) {
        if self.given_up.is_none() {
            self.waiting.extend(self.first.take());
            self.waiting.push(entry);
        }
    }

    fn give_up(&mut self, why: &'static str) {
        if self.given_up.is_none() {
            self.given_up = Some(why);
            self.waiting.clear();
            self.waiting.extend(self.first.take());
            self.waiting.push(Entry::GivenUp(why.to_owned()));
        }
    }

    /// The row with all that waits.
    fn take(&mut self) -> Option<JournalRow> {
        if self.waiting.is_empty() {
            return None;
        }
        let mut entries = self.text();
        if self.bytes + entries.len() > replay::BYTES_MAX {
            self.give_up("its journal is larger than 64 MiB");
            entries = self.text();
        }
        self.waiting.clear();
        self.bytes += entries.len();
        self.rows += 1;
        Some(JournalRow { n: self.rows - 1, entries })
    }

    fn text(&self) -> String {
        serde_json::to_string(&self.waiting).expect("plain data with text keys has a JSON form")
    }
}

impl TaskJournal {
    /// Begins the record of a task with its creation.
    pub(super) fn create(
        store: Arc<dyn Store>,
        new: NewTask,
        handle: Arc<TaskHandle>,
        replay: &Replay,
    ) -> (Self, Written<Created>) {
        let written = store.create_task(new);
        (Self::reopen(store, handle, replay), written)
    }

    /// Goes on with the record of a task.
    pub(super) fn reopen(store: Arc<dyn Store>, handle: Arc<TaskHandle>, replay: &Replay) -> Self {
        let entries = Mutex::new(Entries::new(replay));
        Self { store, handle, entries }
    }

    /// Sets the origin of the program's clock, unless the journal has one.
    pub(super) fn set_origin(&self, now_ms: u64) {
        if let Some(Entry::Began { origin_ms: origin @ 0, .. }) = &mut self.entries.lock().first {
            *origin = now_ms;
        }
    }

    /// Notes what the program does or sees. It is durable with the next write.
    pub(super) fn note(&self, entry: Entry) {
        self.entries.lock().note(entry);
    }

    /// Notes that nothing more can be noted, and why.
    pub(super) fn give_up(&self, why: &'static str) {
        self.entries.lock().give_up(why);
    }

    /// The reason why the program cannot run again from its journal, if it cannot.
    pub(super) fn given_up(&self) -> Option<&'static str> {
        self.entries.lock().given_up
    }

    /// Enqueues the response of a call, with the events of its end.
    pub(super) fn settle(&self, seq: u32, answer: &Answer, events: Vec<NewEvent>) {
        self.note(Entry::Settled { seq, answer: answer.clone() });
        if !events.is_empty() {
            self.enqueue(events);
        }
    }

    /// Writes all that was noted, and reads the whole journal.
    pub(super) async fn reread(&self) -> Result<Vec<JournalRow>, StoreError> {
        self.commit(vec![]).await?;
        self.store.journal(self.handle.workspace_id(), self.task_id()).await
    }

    /// Queues a change, and all that was noted.
    fn write(&self, mut change: TaskChange) -> Written {
        let mut entries = self.entries.lock();
        change.journal.extend(entries.take());
        self.store.change_task(change)
    }

    fn task_id(&self) -> TaskId {
        self.handle.task_id()
    }

    fn change(&self, events: Vec<NewEvent>) -> TaskChange {
        TaskChange {
            task_id: self.task_id(),
            status: None,
            started_at: None,
            end: None,
            events,
            journal: vec![],
        }
    }

    /// Queues events and does not wait. A failure shows in the next write that is committed, or in
    /// the end of the task.
    pub(super) fn enqueue(&self, events: Vec<NewEvent>) {
        drop(self.commit(events));
    }

    /// Queues events; they are durable once the answer resolves.
    pub(super) fn commit(&self, events: Vec<NewEvent>) -> Written {
        self.write(self.change(events))
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
            answer(self.write(TaskChange { status, started_at, ..self.change(events) }))
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
            journal: Vec::from_iter(self.entries.lock().take()),
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

/// Writes the end of a task that nobody runs.
pub(super) async fn end_left(
    store: &dyn Store,
    task_id: TaskId,
    end: &End,
) -> Result<(), StoreError> {
    let record = TaskEnd {
        completed_at: Timestamp::now(),
        exit_code: end.exit_code,
        result: None,
        error: end.error.clone(),
        logs: Logs::default(),
        warnings: vec![],
        usage: Usage::default(),
    };
    let change = TaskChange {
        task_id,
        status: Some(end.status),
        started_at: None,
        end: Some(record),
        events: vec![NewEvent::now(end.event())],
        journal: vec![],
    };
    store.change_task(change).await
}
