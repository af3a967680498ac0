//! The one connection that writes. It takes everything that waits, makes it durable in one
//! transaction, and answers.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use sqlx::{Connection, SqliteConnection};
use tokio::{
    sync::{Mutex, mpsc, oneshot},
    task::JoinHandle,
};

use super::{
    approvals,
    artifacts::{self, ArtifactJob},
    batch::{self, Change, Outcome},
    counters::{self, Reservation},
    error::{Answer, SQLITE_CONSTRAINT, SQLITE_TOOBIG, failed, primary_code},
    file::Lock,
    recovery,
};
use crate::{
    model::{Approval, InstanceId, TaskId, Timestamp},
    store::{
        ApprovalChange, CounterHold, Created, Decided, HoldToken, NewTask, Recovered, Recovery,
        Reserved, StoreError, TaskChange, Written,
    },
};

/// Writes that may wait. Beyond it they are refused with `Busy`: the disk does not keep up.
pub(super) const QUEUE_MAX: usize = 10_000;
/// Bytes that may wait in them. One write alone may be larger.
pub(super) const QUEUE_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Writes in one transaction.
const BATCH_MAX: usize = 512;
/// Bytes in one transaction; it ends with the write that reaches them.
const BATCH_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Changes nothing, but goes through the log as any write does.
const CHECK: &str = "PRAGMA user_version = 1";

/// The handle to the connection's task.
#[derive(Debug)]
pub(super) struct Writer {
    queue: mpsc::Sender<Job>,
    load: Arc<Load>,
    task: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Load {
    bytes: AtomicUsize,
    batches: AtomicU64,
}

#[derive(Debug)]
enum Job {
    Write(Write),
    Adopt(Vec<TaskId>, InstanceId, Answer<()>),
    Recover(Box<Recovery>, Answer<Recovered>),
    Reserve(Reservation, Answer<Reserved>),
    Release(HoldToken, Answer<()>),
    AskApproval(Box<Approval>, Answer<()>),
    Decide(String, Box<ApprovalChange>, Answer<Decided>),
    Artifact(ArtifactJob),
    Check(Answer<()>),
    Close,
}

#[derive(Debug)]
struct Write {
    change: Change,
    weight: usize,
    answer: Reply,
}

#[derive(Debug)]
enum Reply {
    Created(Answer<Created>),
    Changed(Answer<()>),
}

impl Write {
    fn answer(self, outcome: Result<Outcome, StoreError>) {
        let task = self.change.task_id();
        // Nobody may be waiting; the write stands all the same.
        match self.answer {
            Reply::Created(answer) => {
                drop(answer.send(outcome.and_then(|outcome| outcome.created(task))))
            }
            Reply::Changed(answer) => {
                drop(answer.send(outcome.and_then(|outcome| outcome.changed(task))))
            }
        }
    }
}

impl Writer {
    /// Takes the connection, and the lock for as long as it may still write.
    pub(super) fn start(connection: SqliteConnection, lock: Lock) -> Self {
        let (queue, jobs) = mpsc::channel(QUEUE_MAX);
        let load = Arc::new(Load::default());
        let thread = Thread { connection, jobs, load: load.clone(), reservations: 0, _lock: lock };
        Self { queue, load, task: Mutex::new(Some(tokio::spawn(thread.run()))) }
    }

    pub(super) fn batches(&self) -> u64 {
        self.load.batches.load(Ordering::Relaxed)
    }

    pub(super) fn create(&self, task: NewTask) -> Written<Created> {
        self.write(Change::Create(Box::new(task)), Reply::Created)
    }

    pub(super) fn change(&self, change: TaskChange) -> Written {
        if change.status.is_some_and(|status| status.is_terminal()) != change.end.is_some() {
            return refused(StoreError::Invalid("a task ends exactly with a terminal status"));
        }
        self.write(Change::Change(Box::new(change)), Reply::Changed)
    }

    pub(super) fn adopt(&self, tasks: Vec<TaskId>, instance_id: InstanceId) -> Written {
        self.ask(|answer| Job::Adopt(tasks, instance_id, answer))
    }

    pub(super) fn recover(&self, recovery: Recovery) -> Written<Recovered> {
        self.ask(|answer| Job::Recover(Box::new(recovery), answer))
    }

    pub(super) fn reserve(&self, at: Timestamp, holds: &[CounterHold]) -> Written<Reserved> {
        self.ask(|answer| Job::Reserve(Reservation::new(at, holds), answer))
    }

    pub(super) fn release(&self, token: HoldToken) -> Written {
        self.ask(|answer| Job::Release(token, answer))
    }

    pub(super) fn ask_approval(&self, approval: Approval) -> Written {
        self.ask(|answer| Job::AskApproval(Box::new(approval), answer))
    }

    pub(super) fn decide(&self, workspace_id: String, change: ApprovalChange) -> Written<Decided> {
        self.ask(|answer| Job::Decide(workspace_id, Box::new(change), answer))
    }

    pub(super) fn artifact<T: Send + 'static>(
        &self,
        job: impl FnOnce(Answer<T>) -> ArtifactJob,
    ) -> Written<T> {
        self.ask(|answer| Job::Artifact(job(answer)))
    }

    pub(super) fn check(&self) -> Written {
        self.ask(Job::Check)
    }

    pub(super) async fn close(&self) {
        let mut task = self.task.lock().await;
        if let Some(task) = task.take() {
            // Both fail only where the task is gone already, and then everything is closed.
            drop(self.queue.send(Job::Close).await);
            drop(task.await);
        }
    }

    fn write<T: Send + 'static>(
        &self,
        change: Change,
        reply: impl FnOnce(Answer<T>) -> Reply,
    ) -> Written<T> {
        let weight = change.weight();
        let waiting = self.load.bytes.fetch_add(weight, Ordering::Relaxed);
        if waiting > 0 && waiting + weight > QUEUE_BYTES_MAX {
            self.load.bytes.fetch_sub(weight, Ordering::Relaxed);
            return refused(StoreError::Busy(self.waiting()));
        }
        let mut sent = false;
        let written = self.ask(|answer| {
            sent = true;
            Job::Write(Write { change, weight, answer: reply(answer) })
        });
        if !sent {
            self.load.bytes.fetch_sub(weight, Ordering::Relaxed);
        }
        written
    }

    /// Queues the job now, not when the answer is first polled: the order of the calls is the order
    /// of the writes.
    fn ask<T: Send + 'static>(&self, job: impl FnOnce(Answer<T>) -> Job) -> Written<T> {
        match self.queue.try_reserve() {
            Ok(place) => {
                let (answer, answered) = oneshot::channel();
                place.send(job(answer));
                Box::pin(async { answered.await.unwrap_or(Err(StoreError::Closed)) })
            }
            Err(mpsc::error::TrySendError::Full(())) => refused(StoreError::Busy(self.waiting())),
            Err(mpsc::error::TrySendError::Closed(())) => refused(StoreError::Closed),
        }
    }

    fn waiting(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }
}

fn refused<T: Send + 'static>(error: StoreError) -> Written<T> {
    Box::pin(std::future::ready(Err(error)))
}

struct Thread {
    connection: SqliteConnection,
    jobs: mpsc::Receiver<Job>,
    load: Arc<Load>,
    reservations: u64,
    _lock: Lock,
}

impl Thread {
    async fn run(mut self) {
        let mut held_over = None;
        while let Some(job) = match held_over.take() {
            Some(job) => Some(job),
            None => self.jobs.recv().await,
        } {
            match job {
                Job::Write(first) => {
                    let mut writes = vec![first];
                    held_over = self.gather(&mut writes);
                    self.write(writes).await;
                }
                Job::Close => break,
                other => self.single(other).await,
            }
        }
        // What was queued behind the close is dropped with the receiver; its callers hear that the
        // store is closed.
        drop(self.jobs);
        if let Err(error) = self.connection.close().await {
            tracing::warn!(%error, "the database did not close cleanly; the next start repairs it");
        }
    }

    /// Does a job that is a transaction of its own. Whoever asked may not wait for the answer.
    async fn single(&mut self, job: Job) {
        match job {
            Job::Adopt(tasks, instance, answer) => {
                drop(answer.send(recovery::adopt(&mut self.connection, &tasks, instance).await));
            }
            Job::Recover(recovery, answer) => drop(answer.send(self.recover(&recovery).await)),
            Job::Reserve(asked, answer) => drop(answer.send(self.reserve(asked).await)),
            Job::Release(token, answer) => {
                drop(
                    answer.send(
                        counters::release(&mut self.connection, &token).await.map_err(failed),
                    ),
                );
            }
            Job::AskApproval(approval, answer) => {
                drop(answer.send(
                    approvals::insert(&mut self.connection, &approval).await.map_err(failed),
                ));
            }
            Job::Decide(workspace_id, change, answer) => {
                drop(
                    answer.send(
                        approvals::decide(&mut self.connection, &workspace_id, &change)
                            .await
                            .map_err(failed),
                    ),
                );
            }
            Job::Artifact(job) => artifacts::perform(&mut self.connection, job).await,
            Job::Check(answer) => {
                let done = sqlx::query(CHECK).execute(&mut self.connection).await;
                drop(answer.send(done.map(drop).map_err(failed)));
            }
            Job::Write(_) | Job::Close => unreachable!("the loop keeps these to itself"),
        }
    }

    async fn reserve(&mut self, asked: Reservation) -> Result<Reserved, StoreError> {
        let at = asked.at();
        match counters::reserve(&mut self.connection, asked).await {
            Ok(reserved) => {
                if let Err(error) =
                    counters::forget(&mut self.connection, self.reservations, at).await
                {
                    tracing::warn!(%error, "counters whose time is over could not be removed");
                }
                self.reservations += 1;
                Ok(reserved)
            }
            Err(error) => {
                self.roll_back().await;
                Err(failed(error))
            }
        }
    }

    /// Takes what waits, up to the bounds of a batch. Returns a job that is not a write and so
    /// comes after the batch.
    fn gather(&mut self, writes: &mut Vec<Write>) -> Option<Job> {
        let mut bytes = writes.iter().map(|write| write.weight).sum::<usize>();
        while writes.len() < BATCH_MAX && bytes < BATCH_BYTES_MAX {
            match self.jobs.try_recv() {
                Ok(Job::Write(write)) => {
                    bytes += write.weight;
                    writes.push(write);
                }
                Ok(other) => return Some(other),
                Err(_) => break,
            }
        }
        None
    }

    async fn write(&mut self, writes: Vec<Write>) {
        let bytes = writes.iter().map(|write| write.weight).sum::<usize>();
        match self.commit(&writes).await {
            Ok(outcomes) => writes
                .into_iter()
                .zip(outcomes)
                .for_each(|(write, outcome)| write.answer(Ok(outcome))),
            Err(error) if is_one_writes_fault(&error) => {
                for write in writes {
                    let task = write.change.task_id();
                    let outcome = self.commit(std::slice::from_ref(&write)).await;
                    write.answer(
                        outcome
                            .map(|outcomes| outcomes[0])
                            .map_err(|error| lonely_failure(error, task)),
                    );
                }
            }
            Err(error) => {
                tracing::error!(%error, writes = writes.len(), "a batch could not be written");
                let error = batch::all_failed(error);
                writes.into_iter().for_each(|write| write.answer(Err(error())));
            }
        }
        self.load.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    async fn commit(&mut self, writes: &[Write]) -> Result<Vec<Outcome>, sqlx::Error> {
        let changes: Vec<_> = writes.iter().map(|write| &write.change).collect();
        let done = batch::commit(&mut self.connection, &changes).await;
        match &done {
            Ok(_) => drop(self.load.batches.fetch_add(1, Ordering::Relaxed)),
            Err(_) => self.roll_back().await,
        }
        done
    }

    async fn recover(&mut self, recovery: &Recovery) -> Result<Recovered, StoreError> {
        let recovered = recovery::recover(&mut self.connection, recovery).await;
        if recovered.is_err() {
            self.roll_back().await;
        }
        recovered
    }

    /// Some errors roll back by themselves; then there is nothing left to do and SQLite says so.
    async fn roll_back(&mut self) {
        drop(sqlx::query("ROLLBACK").execute(&mut self.connection).await);
    }
}

/// Returns true if the batch would have been written without one of its writes.
fn is_one_writes_fault(error: &sqlx::Error) -> bool {
    matches!(primary_code(error), Some(SQLITE_CONSTRAINT | SQLITE_TOOBIG))
}

fn lonely_failure(error: sqlx::Error, task: TaskId) -> StoreError {
    match primary_code(&error) {
        Some(SQLITE_CONSTRAINT) => StoreError::Conflict(task),
        _ => failed(error),
    }
}
