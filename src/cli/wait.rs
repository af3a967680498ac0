//! Waits for the end of a task, for every command that does: `run`, `tools call`, `tasks wait` and
//! `tasks follow`; also over a restart of the server.

use std::{pin::pin, time::Duration};

use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    client::Client,
    connection::{Connection, Need},
    screen::note,
};
use crate::{
    app::{Exit, Failure},
    base::backoff::Backoff,
    config::Config,
    model::ErrorCode,
    service::view::TaskRecord,
};

/// Pause between two looks at a task: short while something happens, longer while nothing does.
const LOOK: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(1));
/// Time that one request waits on the server for the end. One is always under way, so that a server
/// that is stopped tells the end before it closes.
const HOLD: Duration = Duration::from_secs(20);
/// Time for what is being shown when the task ends.
const LAST_LOOK: Duration = Duration::from_secs(1);
/// Requests in a row that may fail although the server answers others.
const FAILURES_MAX: u32 = 5;
/// Time for a server that was restarted to come back.
const BACK_WITHIN: Duration = Duration::from_secs(3);
/// Time for a server that stops to close.
const CLOSED_WITHIN: Duration = Duration::from_secs(20);
/// Pause between two looks for it.
const BACK_EVERY: Duration = Duration::from_millis(200);

/// The outcome of waiting.
pub(super) enum Waited {
    /// The task has ended.
    Ended(Box<TaskRecord>),
    /// The person stopped the command; the task goes on.
    Interrupted,
}

/// A task that is waited for.
pub(super) struct Wait<'c> {
    pub(super) config: &'c Config,
    pub(super) client: &'c Client,
    pub(super) id: &'c str,
    /// Ends the waiting.
    pub(super) stop: &'c CancellationToken,
}

impl Wait<'_> {
    /// Waits for the end. `look` gets each record before it, and returns whether there was
    /// something new. It is dropped soon after the task ends, and when the person stops the
    /// command.
    ///
    /// # Errors
    /// Those of `look`; and where the server went away without telling the end.
    pub(super) async fn for_end(
        &self,
        mut look: impl AsyncFnMut(TaskRecord) -> Result<bool, Failure>,
    ) -> Result<Waited, Failure> {
        let mut end = pin!(self.end());
        let mut quiet = 1;
        loop {
            let mut looking = pin!(async {
                let looked = async {
                    let record = self.client.task(self.id, Duration::ZERO).await?;
                    match record.outcome.status.is_terminal() {
                        true => Ok(true),
                        false => look(record).await,
                    }
                };
                match looked.await {
                    // The request that waits for the end tells it, or what hinders it.
                    Err(failure) if failure.exit == Exit::Unavailable => Ok(false),
                    other => other,
                }
            });
            tokio::select! {
                looked = &mut looking => quiet = if looked? { 1 } else { quiet + 1 },
                ended = &mut end => {
                    // What is shown about a call that has ended ends by itself.
                    drop(timeout(LAST_LOOK, looking).await);
                    return self.ended(ended?);
                }
                () = self.stop.cancelled() => return Ok(Waited::Interrupted),
            }
            tokio::select! {
                () = sleep(LOOK.after(quiet)) => {}
                ended = &mut end => return self.ended(ended?),
                () = self.stop.cancelled() => return Ok(Waited::Interrupted),
            }
        }
    }

    /// The record of the task once it has ended, on whichever server that is.
    async fn end(&self) -> Result<TaskRecord, Failure> {
        let mut next: Option<Connection> = None;
        loop {
            let client = next.as_ref().map_or(self.client, |connection| &connection.client);
            if let Some(record) = self.end_at(client).await? {
                return Ok(record);
            }
            match self.next_server(client).await {
                Some(connection) => next = Some(connection),
                None => return self.left().await,
            }
        }
    }

    /// The record of the task once it has ended; none if the server is gone first.
    async fn end_at(&self, client: &Client) -> Result<Option<TaskRecord>, Failure> {
        let mut failures = 0;
        loop {
            match client.task(self.id, HOLD).await {
                Ok(record) if record.outcome.status.is_terminal() => return Ok(Some(record)),
                Ok(_) => failures = 0,
                Err(failure) if failure.exit != Exit::Unavailable => return Err(failure),
                Err(_) if !client.is_up().await => return Ok(None),
                Err(failure) => {
                    failures += 1;
                    if failures == FAILURES_MAX {
                        return Err(failure);
                    }
                    sleep(LOOK.after(failures)).await;
                }
            }
        }
    }

    /// The server that was started after this one, which goes on with the task, if one comes soon.
    async fn next_server(&self, client: &Client) -> Option<Connection> {
        let lost = Instant::now();
        let is_awaited = || {
            let time = if client.server_lives() { CLOSED_WITHIN } else { BACK_WITHIN };
            lost.elapsed() < time
        };
        while is_awaited() {
            if let Ok(Some(next)) = Connection::running(self.config, Need::Record).await
                && next.client.is_up().await
            {
                return Some(next);
            }
            sleep(BACK_EVERY).await;
        }
        None
    }

    /// The record of a task that no server runs, read by one of our own, as for every command.
    ///
    /// # Errors
    /// If it has not ended: then the next server goes on with it.
    async fn left(&self) -> Result<TaskRecord, Failure> {
        if let Ok(own) = Connection::open(self.config, Need::Record).await {
            let record = self.recorded(&own.client).await;
            own.close().await?;
            if let Some(record) = record {
                return Ok(record);
            }
        }
        let id = self.id;
        let message =
            format!("the server was stopped; task {id} goes on once `airlock serve` runs again");
        Err(Failure::unavailable(message)
            .hint(format!("`airlock tasks get {id}` shows its record")))
    }

    /// The record, if the task has ended by it.
    async fn recorded(&self, client: &Client) -> Option<TaskRecord> {
        let record = client.task(self.id, Duration::ZERO).await.ok()?;
        record.outcome.status.is_terminal().then_some(record)
    }

    /// The end, with a word about the server where that was the cause.
    fn ended(&self, record: TaskRecord) -> Result<Waited, Failure> {
        let task = &record.outcome;
        let code = task.error.as_ref().map(|error| error.code.as_str());
        if let Some(code) = code.filter(|code| *code == ErrorCode::ServerStopped.as_str()) {
            let (id, status) = (task.task_id, task.status);
            note(format!(
                "the server was stopped, so task {id} ended with the status {status} ({code})"
            ));
        }
        Ok(Waited::Ended(Box::new(record)))
    }
}
