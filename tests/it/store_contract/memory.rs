//! The contract on a store of a few lines, which keeps the trait honest: nothing in it belongs to
//! one database. It is also the model that SQLite is compared with on random histories.

mod counted;
mod kept;

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use airlock::{
    model::{
        Approval, ApprovalId, ApprovalStatus, Event, EventDetails, EventKind, InstanceId, NewEvent,
        NoDetails, Task, TaskEnded, TaskId, TaskStatus, Timestamp, Usage,
    },
    store::{
        ApprovalChange, ApprovalCounts, ApprovalFilter, ApprovalPage, ApprovalStore, CounterHold,
        CounterRead, CounterStore, Created, Decided, HoldToken, IDEMPOTENCY_HOURS, JournalRow,
        JournalStore, LIST_BYTES_MAX, NewTask, Place, Recovered, Recovery, RecoveryStore, Reserved,
        ResultPiece, Slot, Store, StoreError, TaskChange, TaskEnd, TaskFilter, TaskPage, TaskStore,
        Written, counters_fit,
    },
};
use futures::future::{BoxFuture, FutureExt, ready};
use parking_lot::Mutex;

use super::Shared;
use kept::Kept;

super::contracts! {}

struct Opened;

impl Opened {
    fn store(&self) -> Shared {
        Arc::new(MemoryStore::default())
    }
}

async fn open() -> Opened {
    Opened
}

/// Tasks in a list, behind a lock; none once it is closed.
pub(crate) struct MemoryStore(Mutex<Option<Tables>>);

impl Default for MemoryStore {
    fn default() -> Self {
        Self(Mutex::new(Some(Tables::default())))
    }
}

#[derive(Default)]
struct Tables {
    rows: Vec<Row>,
    keys: BTreeMap<(String, String, String), (TaskId, Timestamp)>,
    counters: BTreeMap<(String, i64, i64), i64>,
    approvals: Vec<Approval>,
    artifacts: Vec<Kept>,
    /// Times that the store was checked.
    checks: usize,
    /// Whether the next read of a task panics.
    panics: bool,
}

struct Row {
    instance_id: InstanceId,
    task: Task,
    result: Option<String>,
    events: Vec<Event>,
    journal: Vec<JournalRow>,
}

impl Row {
    /// Whether a call has left whose end is not here.
    fn has_call_under_way(&self) -> bool {
        use EventKind::*;
        let all = |of: &[EventKind]| -> HashSet<u32> {
            self.events
                .iter()
                .filter(|event| of.contains(&event.data.kind()))
                .filter_map(|event| event.data.call())
                .collect()
        };
        !all(&[CallStarted]).is_subset(&all(&[CallCompleted, CallFailed, CallDenied]))
    }

    fn append(&mut self, event: NewEvent) {
        let seq = self.events.len() as u64 + 1;
        self.events.push(Event { task_id: self.task.task_id, seq, at: event.at, data: event.data });
    }

    fn end(&mut self, status: TaskStatus, end: TaskEnd) {
        self.result = end.result.map(|result| result.get().to_owned());
        self.task.status = status;
        self.task.completed_at = Some(end.completed_at);
        self.task.exit_code = Some(end.exit_code);
        self.task.result_bytes = self.result.as_ref().map(|result| result.len() as u64);
        (self.task.error, self.task.logs, self.task.warnings, self.task.usage) =
            (end.error, end.logs, end.warnings, end.usage);
    }
}

impl Tables {
    fn create(&mut self, new: NewTask) -> Result<Created, StoreError> {
        if self.rows.iter().any(|row| row.task.task_id == new.task_id) {
            return Err(StoreError::Conflict(new.task_id));
        }
        if let Some(key) = new.idempotency_key.clone() {
            let key = (new.principal.workspace_id.clone(), new.principal.account_id.clone(), key);
            match self.keys.get(&key) {
                Some((earlier, at))
                    if new.created_at
                        < *at + jiff::SignedDuration::from_hours(IDEMPOTENCY_HOURS) =>
                {
                    return Ok(Created::Existing(*earlier));
                }
                _ => self.keys.insert(key, (new.task_id, new.created_at)),
            };
        }
        let mut row = Row {
            instance_id: new.instance_id,
            task: queued(&new),
            result: None,
            events: vec![],
            journal: vec![],
        };
        for data in
            [EventDetails::TaskCreated(NoDetails {}), EventDetails::TaskQueued(NoDetails {})]
        {
            row.append(NewEvent { at: new.created_at, data });
        }
        self.rows.push(row);
        Ok(Created::New)
    }

    fn change(&mut self, change: TaskChange) -> Result<(), StoreError> {
        if change.status.is_some_and(TaskStatus::is_terminal) != change.end.is_some() {
            return Err(StoreError::Invalid("a task ends exactly with a terminal status"));
        }
        let open =
            |row: &&mut Row| row.task.task_id == change.task_id && row.task.completed_at.is_none();
        let row = self.rows.iter_mut().find(open).ok_or(StoreError::Conflict(change.task_id))?;
        row.task.status = change.status.unwrap_or(row.task.status);
        row.task.started_at = change.started_at.or(row.task.started_at);
        change.events.into_iter().for_each(|event| row.append(event));
        row.journal.extend(change.journal);
        if let Some(end) = change.end {
            row.end(row.task.status, end);
        }
        Ok(())
    }

    fn recover(&mut self, recovery: &Recovery) -> Recovered {
        let mut recovered = Recovered::default();
        let own: HashSet<TaskId> = self
            .rows
            .iter()
            .filter(|row| row.instance_id == recovery.instance_id)
            .map(|row| row.task.task_id)
            .collect();
        for row in &mut self.approvals {
            let open = matches!(row.status, ApprovalStatus::Pending | ApprovalStatus::Approved);
            if open && !own.contains(&row.task_id) {
                row.status = ApprovalStatus::Void;
                row.decided_at = row.decided_at.or(Some(recovery.at));
                row.why = Some(recovery.why.clone());
                recovered.approvals += 1;
            }
        }
        for kept in &mut self.artifacts {
            let is_open = !kept.whole && kept.artifact.expires_at > Timestamp::UNIX_EPOCH;
            if is_open && !own.contains(&kept.artifact.task_id) {
                kept.artifact.expires_at = Timestamp::UNIX_EPOCH;
                recovered.artifacts += 1;
            }
        }
        for row in &mut self.rows {
            if row.task.completed_at.is_some() || own.contains(&row.task.task_id) {
                continue;
            }
            let error = if row.has_call_under_way() { &recovery.under_way } else { &recovery.idle };
            let data = EventDetails::TaskFailed(TaskEnded::at_recovery(error));
            row.append(NewEvent { at: recovery.at, data });
            (row.task.status, row.task.completed_at) = (TaskStatus::Failed, Some(recovery.at));
            (row.task.exit_code, row.task.error) = (Some(1), Some(error.clone()));
            recovered.tasks += 1;
        }
        recovered
    }

    fn list(&self, workspace: &str, filter: &TaskFilter) -> Result<TaskPage, StoreError> {
        let bad = |cursor: &str| StoreError::BadCursor(cursor.chars().take(80).collect());
        let place = |cursor: &String| {
            cursor
                .strip_prefix("at-")
                .and_then(|n| n.parse::<usize>().ok())
                .ok_or_else(|| bad(cursor))
        };
        let before = filter.cursor.as_ref().map(place).transpose()?.unwrap_or(usize::MAX);
        let mut page = TaskPage { tasks: vec![], next_cursor: None };
        let (mut last, mut bytes) = (0, 0);
        for (n, row) in self.rows.iter().enumerate().rev().filter(|(n, _)| *n < before) {
            if row.task.principal.workspace_id != workspace || !fits(&row.task, filter) {
                continue;
            }
            if page.tasks.len() == filter.limit as usize || bytes >= LIST_BYTES_MAX {
                page.next_cursor = Some(format!("at-{last}"));
                break;
            }
            (last, bytes) = (n, bytes + row.task.code.len());
            page.tasks.push(row.task.clone());
        }
        Ok(page)
    }

    /// What a counter has within its window, and where its oldest slice in use begins.
    fn counted(&self, key: &str, place: Place) -> (i64, Option<i64>) {
        let from = (key.to_owned(), place.width, place.first);
        let to = (key.to_owned(), place.width, place.bucket);
        let within: Vec<_> =
            self.counters.range(from..=to).filter(|(_, value)| **value > 0).collect();
        (
            within.iter().map(|(_, value)| **value).sum(),
            within.first().map(|((_, _, bucket), _)| *bucket),
        )
    }

    fn reserve(&mut self, at: Timestamp, holds: &[CounterHold]) -> Result<Reserved, StoreError> {
        counters_fit(holds)?;
        let slots = Slot::all(holds, at);
        for slot in &slots {
            let (value, oldest) = self.counted(&slot.key, slot.place());
            if slot.cost > slot.max.saturating_sub(value) {
                let fits = slot.cost <= slot.max;
                let retry_after = fits
                    .then(|| slot.place().retry_after(oldest.unwrap_or(slot.bucket), at))
                    .flatten();
                return Ok(Reserved::Exceeded { index: slot.index, value, retry_after });
            }
        }
        for slot in &slots {
            *self.counters.entry((slot.key.clone(), slot.width, slot.bucket)).or_default() +=
                slot.cost;
        }
        Ok(Reserved::Held(HoldToken::of(slots)))
    }

    fn release(&mut self, token: &HoldToken) {
        for slot in token.slots() {
            if let Some(value) = self.counters.get_mut(&(slot.key.clone(), slot.width, slot.bucket))
            {
                *value = (*value - slot.cost).max(0);
            }
        }
    }

    fn decide(&mut self, workspace: &str, change: ApprovalChange) -> Decided {
        let its =
            |row: &&mut Approval| row.id == change.id && row.principal.workspace_id == workspace;
        let Some(row) = self.approvals.iter_mut().find(its) else { return Decided::Absent };
        if row.status != change.from || change.by.is_some() && row.expires_at <= change.at {
            return Decided::Refused(Box::new(row.clone()));
        }
        row.status = change.to;
        row.decided_at = row.decided_at.or(Some(change.at));
        row.decided_by = change.by.or(row.decided_by.take());
        row.note = change.note.or(row.note.take());
        row.why = change.why.or(row.why.take());
        Decided::Changed(Box::new(row.clone()))
    }

    fn list_approvals(
        &self,
        workspace: &str,
        filter: &ApprovalFilter,
    ) -> Result<ApprovalPage, StoreError> {
        let bad = |cursor: &str| StoreError::BadCursor(cursor.chars().take(80).collect());
        let place = |cursor: &String| {
            cursor
                .strip_prefix("at-")
                .and_then(|n| n.parse::<usize>().ok())
                .ok_or_else(|| bad(cursor))
        };
        let before = filter.cursor.as_ref().map(place).transpose()?.unwrap_or(usize::MAX);
        let mut page = ApprovalPage { approvals: vec![], next_cursor: None };
        let mut last = 0;
        for (n, row) in self.approvals.iter().enumerate().rev().filter(|(n, _)| *n < before) {
            let fits = filter.status.is_none_or(|status| row.status == status)
                && !(filter.past && row.status == ApprovalStatus::Pending)
                && filter.task_id.is_none_or(|task| row.task_id == task)
                && row.principal.workspace_id == workspace;
            if fits && page.approvals.len() == filter.limit as usize {
                page.next_cursor = Some(format!("at-{last}"));
                break;
            }
            if fits {
                last = n;
                page.approvals.push(row.clone());
            }
        }
        Ok(page)
    }

    fn row(&self, workspace: &str, task: TaskId) -> Option<&Row> {
        self.rows
            .iter()
            .find(|row| row.task.task_id == task && row.task.principal.workspace_id == workspace)
    }
}

fn queued(new: &NewTask) -> Task {
    Task {
        task_id: new.task_id,
        status: TaskStatus::Queued,
        code: new.code.clone(),
        runtime_id: new.runtime_id.clone(),
        timeout_ms: new.timeout_ms,
        metadata: new.metadata.clone(),
        principal: new.principal.clone(),
        created_at: new.created_at,
        started_at: None,
        completed_at: None,
        exit_code: None,
        result_bytes: None,
        error: None,
        logs: Default::default(),
        warnings: vec![],
        usage: Usage::default(),
    }
}

fn fits(task: &Task, filter: &TaskFilter) -> bool {
    filter.status.is_none_or(|status| task.status == status)
        && filter
            .session_id
            .as_ref()
            .is_none_or(|session| task.principal.session_id.as_ref() == Some(session))
        && filter
            .metadata
            .iter()
            .flatten()
            .all(|(key, value)| task.metadata.as_ref().and_then(|has| has.get(key)) == Some(value))
}

fn piece(text: &str, offset: u64, limit: u64) -> ResultPiece {
    let mut start = usize::try_from(offset).unwrap_or(usize::MAX).min(text.len());
    let mut end =
        start.saturating_add(usize::try_from(limit).unwrap_or(usize::MAX)).min(text.len());
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    if end <= start {
        end = start + text[start..].chars().next().map_or(0, char::len_utf8);
    }
    ResultPiece {
        text: text[start..end].into(),
        offset: start as u64,
        next_offset: (end < text.len()).then_some(end as u64),
        total_bytes: text.len() as u64,
    }
}

impl MemoryStore {
    fn with<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Tables) -> Result<T, StoreError>,
    ) -> BoxFuture<'static, Result<T, StoreError>> {
        ready(self.0.lock().as_mut().ok_or(StoreError::Closed).and_then(act)).boxed()
    }
}

/// For tests of what stands on a store: a look into it, and faults on demand.
impl MemoryStore {
    /// All tasks, whosever they are.
    pub(crate) fn all_tasks(&self) -> Vec<Task> {
        let tables = self.0.lock();
        tables.iter().flat_map(|tables| &tables.rows).map(|row| row.task.clone()).collect()
    }

    /// Times that the store was checked.
    pub(crate) fn checks(&self) -> usize {
        self.0.lock().as_ref().map_or(0, |tables| tables.checks)
    }

    /// Makes the next read of a task panic.
    pub(crate) fn panic_once(&self) {
        self.0.lock().iter_mut().for_each(|tables| tables.panics = true);
    }

    /// Makes every result something that is no JSON and names a secret.
    pub(crate) fn damage_results(&self) {
        let mut tables = self.0.lock();
        let rows = tables.iter_mut().flat_map(|tables| &mut tables.rows);
        rows.for_each(|row| row.result = Some("secret".into()));
    }
}

impl TaskStore for MemoryStore {
    fn create_task(&self, task: NewTask) -> Written<Created> {
        self.with(|tables| tables.create(task))
    }

    fn change_task(&self, change: TaskChange) -> Written {
        self.with(|tables| tables.change(change))
    }

    fn task<'a>(
        &'a self,
        workspace: &'a str,
        task: TaskId,
    ) -> BoxFuture<'a, Result<Option<Task>, StoreError>> {
        self.with(|tables| {
            assert!(!std::mem::take(&mut tables.panics), "a test asked for this panic");
            Ok(tables.row(workspace, task).map(|row| row.task.clone()))
        })
    }

    fn result<'a>(
        &'a self,
        workspace: &'a str,
        task: TaskId,
        offset: u64,
        limit: u64,
    ) -> BoxFuture<'a, Result<Option<ResultPiece>, StoreError>> {
        self.with(|tables| {
            Ok(tables
                .row(workspace, task)
                .and_then(|row| row.result.as_ref())
                .map(|text| piece(text, offset, limit)))
        })
    }

    fn tasks<'a>(
        &'a self,
        workspace: &'a str,
        filter: TaskFilter,
    ) -> BoxFuture<'a, Result<TaskPage, StoreError>> {
        self.with(|tables| tables.list(workspace, &filter))
    }
}

impl JournalStore for MemoryStore {
    fn events<'a>(
        &'a self,
        workspace: &'a str,
        task: TaskId,
        after: u64,
        limit: u32,
    ) -> BoxFuture<'a, Result<Vec<Event>, StoreError>> {
        self.with(|tables| {
            let events =
                tables.row(workspace, task).map(|row| row.events.as_slice()).unwrap_or_default();
            Ok(events
                .iter()
                .filter(|event| event.seq > after)
                .take(limit as usize)
                .cloned()
                .collect())
        })
    }

    fn journal<'a>(
        &'a self,
        workspace: &'a str,
        task: TaskId,
    ) -> BoxFuture<'a, Result<Vec<JournalRow>, StoreError>> {
        self.with(|tables| {
            Ok(tables.row(workspace, task).map(|row| row.journal.clone()).unwrap_or_default())
        })
    }
}

impl CounterStore for MemoryStore {
    fn reserve(&self, at: Timestamp, holds: &[CounterHold]) -> Written<Reserved> {
        self.with(|tables| tables.reserve(at, holds))
    }

    fn release(&self, token: HoldToken) -> Written {
        self.with(|tables| {
            tables.release(&token);
            Ok(())
        })
    }

    fn counters<'a>(
        &'a self,
        at: Timestamp,
        reads: &'a [CounterRead],
    ) -> BoxFuture<'a, Result<Vec<i64>, StoreError>> {
        self.with(|tables| {
            Ok(reads
                .iter()
                .map(|read| tables.counted(&read.key, Place::of(read.window, at)).0)
                .collect())
        })
    }
}

impl ApprovalStore for MemoryStore {
    fn ask_approval(&self, approval: Approval) -> Written {
        self.with(|tables| {
            tables.approvals.push(approval);
            Ok(())
        })
    }

    fn decide_approval(&self, workspace: &str, change: ApprovalChange) -> Written<Decided> {
        self.with(|tables| Ok(tables.decide(workspace, change)))
    }

    fn approval<'a>(
        &'a self,
        workspace: &'a str,
        id: ApprovalId,
    ) -> BoxFuture<'a, Result<Option<Approval>, StoreError>> {
        self.with(|tables| {
            Ok(tables
                .approvals
                .iter()
                .find(|row| row.id == id && row.principal.workspace_id == workspace)
                .cloned())
        })
    }

    fn approvals<'a>(
        &'a self,
        workspace: &'a str,
        filter: ApprovalFilter,
    ) -> BoxFuture<'a, Result<ApprovalPage, StoreError>> {
        self.with(|tables| tables.list_approvals(workspace, &filter))
    }

    fn count_approvals<'a>(
        &'a self,
        workspace: &'a str,
    ) -> BoxFuture<'a, Result<ApprovalCounts, StoreError>> {
        self.with(|tables| {
            let own = tables.approvals.iter().filter(|row| row.principal.workspace_id == workspace);
            let (waiting, past): (Vec<_>, Vec<_>) =
                own.partition(|row| row.status == ApprovalStatus::Pending);
            Ok(ApprovalCounts { waiting: waiting.len() as u64, past: past.len() as u64 })
        })
    }
}

impl RecoveryStore for MemoryStore {
    fn unfinished(
        &self,
        instance_id: InstanceId,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<Task>, StoreError>> {
        self.with(|tables| {
            let is_left =
                |row: &&Row| row.task.completed_at.is_none() && row.instance_id != instance_id;
            let left = tables.rows.iter().filter(is_left).take(limit as usize);
            Ok(left.map(|row| row.task.clone()).collect())
        })
    }

    fn adopt(&self, tasks: Vec<TaskId>, instance_id: InstanceId) -> Written {
        self.with(|tables| {
            let is_theirs = |row: &&mut Row| {
                row.task.completed_at.is_none() && tasks.contains(&row.task.task_id)
            };
            for row in tables.rows.iter_mut().filter(is_theirs) {
                row.instance_id = instance_id;
            }
            Ok(())
        })
    }

    fn recover(&self, recovery: Recovery) -> Written<Recovered> {
        self.with(|tables| Ok(tables.recover(&recovery)))
    }
}

impl Store for MemoryStore {
    fn check(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.with(|tables| {
            tables.checks += 1;
            Ok(())
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.0.lock().take();
        ready(()).boxed()
    }
}
