//! `airlock tasks wait` and `airlock tasks follow`: stay with a task until it ends, and exit as it
//! did.

use std::{collections::BTreeMap, process::ExitCode, time::Duration};

use clap::Args;
use console::Style;
use jiff::SignedDuration;
use serde_json::json;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::super::{
    args::{ID, OUTPUT},
    client::Client,
    connection::{Connection, Need},
    ids, run,
    screen::{self, Stream, dim, note, print, print_json, print_to_reader, with_id},
    stop,
    wait::{Wait, Waited},
};
use crate::{
    app::{Exit, Failure},
    base::confusables::escaped_line,
    config::Config,
    model::{Event, EventDetails, IdKind, LogLevel, LogLine, TaskStatus},
    service::view::TaskRecord,
};

/// Allowed values of `--timeout`.
const TIMEOUT: (SignedDuration, SignedDuration) =
    (SignedDuration::from_secs(1), SignedDuration::from_hours(7 * 24));

/// Arguments of `tasks wait`.
#[derive(Debug, Args)]
pub(in crate::cli) struct WaitArgs {
    #[arg(help = ID)]
    id: String,
    /// Wait at most so long, such as 30s, 10m or 2h, then exit with 75 [default: until it ends]
    #[arg(long, value_name = "TIME", value_parser = time)]
    timeout: Option<Duration>,
    /// Print the record as JSON
    #[arg(long, help_heading = OUTPUT)]
    json: bool,
}

/// Arguments of `tasks follow`.
#[derive(Debug, Args)]
pub(in crate::cli) struct FollowArgs {
    #[arg(help = ID)]
    id: String,
    /// Print each event and each console line as one line of JSON
    #[arg(long, help_heading = OUTPUT)]
    json: bool,
}

fn time(text: &str) -> Result<Duration, String> {
    let allowed = || "allowed: 1s to 7d, with a unit, such as 30s, 10m or 2h".to_owned();
    let time = text.parse::<SignedDuration>().ok().or_else(|| days(text));
    let time = time.filter(|time| (TIMEOUT.0..=TIMEOUT.1).contains(time)).ok_or_else(allowed)?;
    Duration::try_from(time).map_err(|_| allowed())
}

/// A number of days, which have 24 hours here.
fn days(text: &str) -> Option<SignedDuration> {
    let days: i64 = text.trim().strip_suffix('d')?.trim().parse().ok()?;
    days.checked_mul(24).map(SignedDuration::from_hours)
}

/// Waits for the end, prints the status, and exits as the task did.
pub(super) async fn wait(args: WaitArgs, config: &Config) -> Result<ExitCode, Failure> {
    let stop = stop::on_signal()?;
    let connection = Connection::open(config, Need::Record).await?;
    let client = &connection.client;
    let mut status = TaskStatus::Queued;
    let ended = async {
        let look = async |record: TaskRecord| {
            status = record.outcome.status;
            Ok(false)
        };
        let id = ids::whole(client, IdKind::Task, &args.id).await?;
        let wait = Wait { config, client, id: &id, stop: &stop };
        let waiting = wait.for_end(look);
        let waited = match args.timeout {
            None => waiting.await?,
            Some(timeout) => tokio::select! {
                waited = waiting => waited?,
                () = sleep(timeout) => return Err(not_in_time(&id, timeout, status)),
            },
        };
        match waited {
            Waited::Ended(record) => run::whole(client, *record).await.map(Some),
            Waited::Interrupted => Ok(None),
        }
    }
    .await;
    connection.close().await?;
    let Some(record) = ended? else { return Ok(goes_on(&args.id)) };
    let task = &record.outcome;
    if args.json {
        print_json(&with_id(task.task_id, &record))?;
    } else {
        print(format!("{} {}", task.task_id, screen::status(task.status.as_str())))?;
        run::write_error(task, Stream::Error)?;
    }
    Ok(run::exit(task))
}

fn not_in_time(id: &str, timeout: Duration, status: TaskStatus) -> Failure {
    let timeout = screen::duration(timeout.as_millis() as u64);
    let message = format!("`{id}` has not ended after {timeout}: it is {status}");
    Failure { exit: Exit::NotInTime, ..Failure::other(message).coded("not_in_time") }
        .hint(format!("the task goes on; `airlock tasks wait {id}` waits longer"))
}

fn goes_on(id: &str) -> ExitCode {
    note(format!("the task goes on; `airlock tasks cancel {id}` ends it"));
    ExitCode::from(stop::INTERRUPTED)
}

/// Prints console output and calls as they come, then the end, and exits as the task did.
pub(super) async fn follow(args: FollowArgs, config: &Config) -> Result<ExitCode, Failure> {
    let stop = stop::on_signal()?;
    let connection = Connection::open(config, Need::Record).await?;
    let client = &connection.client;
    let mut news = News::new(args.json);
    // Stopped by the person, or because nobody reads any more.
    let reading = stop.child_token();
    let ended = async {
        let look = async |record: TaskRecord| news.show(client, &record, &reading).await;
        let id = ids::whole(client, IdKind::Task, &args.id).await?;
        let waiting = Wait { config, client, id: &id, stop: &reading };
        let Waited::Ended(record) = waiting.for_end(look).await? else { return Ok(None) };
        let record = run::whole(client, *record).await?;
        match news.show(client, &record, &reading).await {
            // The server that told the end may have gone by now.
            Err(failure) if failure.exit != Exit::Unavailable => Err(failure),
            _ => Ok(Some(record)),
        }
    }
    .await;
    connection.close().await?;
    match ended? {
        Some(mut record) => {
            let exit = run::exit(&record.outcome);
            if !args.json {
                record.outcome.logs = None;
                run::show(&record.outcome)?;
            }
            Ok(exit)
        }
        None if stop.is_cancelled() => Ok(goes_on(&args.id)),
        None => Ok(ExitCode::SUCCESS),
    }
}

/// What was printed of a task so far.
struct News {
    json: bool,
    /// Lines of the console.
    lines: usize,
    /// Number of the last event.
    event: u64,
    /// The tools of calls that have not ended, by their numbers.
    tools: BTreeMap<u32, String>,
}

impl News {
    fn new(json: bool) -> Self {
        Self { json, lines: 0, event: 0, tools: BTreeMap::new() }
    }

    /// Prints what has happened since. Returns whether there was anything. Cancels `reading` where
    /// nobody reads.
    async fn show(
        &mut self,
        client: &Client,
        record: &TaskRecord,
        reading: &CancellationToken,
    ) -> Result<bool, Failure> {
        let id = record.outcome.task_id.to_string();
        let mut news = vec![];
        let lines = record.outcome.logs.as_ref().map_or(&[][..], |logs| &logs.lines);
        for line in lines.iter().skip(self.lines) {
            news.push(match self.json {
                true => json!({ "taskId": id, "type": "log", "data": line }).to_string(),
                false => console_line(line),
            });
        }
        self.lines = self.lines.max(lines.len());
        for event in client.events(&id, self.event).await? {
            self.event = event.seq;
            match self.json {
                true => news.push(serde_json::to_string(&event).expect("it has string keys")),
                false => news.extend(self.event_line(&event)),
            }
        }
        for line in &news {
            if !print_to_reader(line)? {
                reading.cancel();
            }
        }
        Ok(!news.is_empty())
    }

    /// An event for people; none for the end, which is shown as a whole.
    fn event_line(&mut self, event: &Event) -> Option<String> {
        let tool = event.data.call().and_then(|seq| self.tools.get(&seq).cloned());
        let tool = tool.unwrap_or_default();
        let (sign, text) = match &event.data {
            EventDetails::TaskCreated(_) => (" ", "created".into()),
            EventDetails::TaskQueued(_) => (" ", "queued".into()),
            EventDetails::TaskRunning(_) => (" ", "running".into()),
            EventDetails::TaskAwaitingApproval(_) => (" ", "waiting for an approval".into()),
            EventDetails::CallRequested(call) => {
                let tool = escaped_line(&call.tool);
                let keys = call.argument_keys.iter().map(|key| escaped_line(key));
                let keys = keys.collect::<Vec<_>>().join(", ");
                let text = format!("{} {tool}({keys})", call.seq);
                self.tools.insert(call.seq, tool);
                ("→", text)
            }
            EventDetails::CallStarted(_) => return None,
            EventDetails::CallCompleted(call) => {
                self.tools.remove(&call.seq);
                ("←", format!("{} {tool}: {} bytes", call.seq, call.bytes))
            }
            EventDetails::CallFailed(call) => {
                self.tools.remove(&call.seq);
                ("✗", format!("{} {tool} failed: {}", call.seq, escaped_line(&call.message)))
            }
            EventDetails::CallDenied(call) => {
                self.tools.remove(&call.seq);
                ("✗", format!("{} {tool} denied: {}", call.seq, escaped_line(&call.message)))
            }
            EventDetails::ApprovalRequested(approval) => {
                let (id, reason) = (approval.approval_id, escaped_line(&approval.reason));
                let ways = format!("airlock approvals show {id}");
                ("?", format!("{} {tool} waits for approval: {reason} {ways}", approval.seq))
            }
            EventDetails::ApprovalResolved(approval) => {
                ("?", format!("{} {tool} {}", approval.seq, approval.status))
            }
            EventDetails::TaskCompleted(_)
            | EventDetails::TaskFailed(_)
            | EventDetails::TaskTimedOut(_)
            | EventDetails::TaskDenied(_)
            | EventDetails::TaskCancelled(_) => return None,
        };
        Some(format!("{} {sign} {text}", dim(screen::clock(event.at))))
    }
}

fn console_line(line: &LogLine) -> String {
    let style = match line.level {
        LogLevel::Error => Style::new().red(),
        LogLevel::Warn => Style::new().yellow(),
        LogLevel::Debug | LogLevel::Info => Style::new(),
    };
    Stream::Output.paint(style, screen::plain(&line.text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_has_a_unit_and_bounds() {
        for (text, seconds) in
            [("1s", 1), ("90 s", 90), ("10m", 600), ("1h 30m", 5400), ("2h", 7200), ("7d", 604_800)]
        {
            assert_eq!(time(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "5", "0s", "500ms", "8d", "169h", "-1s", "soon", "1e9h", "9999999999999d"]
        {
            assert!(time(text).unwrap_err().starts_with("allowed: 1s to 7d"), "{text}");
        }
    }
}
