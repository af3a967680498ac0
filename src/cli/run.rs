//! `airlock run`: one program from the shell. Its result goes to standard output, its console and
//! its end to standard error.

use std::{
    collections::BTreeSet,
    io::Read,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::Args;
use console::Style;
use tokio_util::sync::CancellationToken;

use super::{
    client::Client,
    connection::{Connection, Need},
    screen::{self, Spinner, Stream, note, print, print_json},
    stop,
};
use crate::{
    app::Failure,
    base::text::decoded,
    config::Config,
    model::{LogLevel, TaskStatus},
    service::{
        Execute,
        view::{TaskOutcome, TaskRecord},
    },
};

/// Pause between two requests for the task, where the server answers at once.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// The arguments of `run`.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// The program, TypeScript or JavaScript; `-` reads it from standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print the whole record as JSON instead of the result
    #[arg(long)]
    json: bool,
    /// Time limit of the code, in milliseconds, 1 to 600000
    #[arg(long, value_name = "MS")]
    timeout_ms: Option<u64>,
    /// The runtime, `local-v8` or `local-deno` [default: `sandbox.runtime`]
    #[arg(long, value_name = "ID")]
    runtime: Option<String>,
    /// Groups tasks, for `tasks list --session`
    #[arg(long, value_name = "NAME")]
    session: Option<String>,
}

/// Runs the program and exits as it did.
pub(super) async fn perform(args: RunArgs, config: Config) -> Result<ExitCode, Failure> {
    let request = Execute {
        code: read(&args.file, config.limits.code_kb)?,
        timeout_ms: args.timeout_ms,
        session_id: args.session,
        runtime_id: args.runtime,
        ..Execute::default()
    };
    program(request, args.json, |_| {}, &config).await
}

/// Runs a program, shows its result, and exits as it did. `adapt` changes the record before it is
/// shown to people.
pub(super) async fn program(
    request: Execute,
    json: bool,
    adapt: fn(&mut TaskRecord),
    config: &Config,
) -> Result<ExitCode, Failure> {
    let stop = stop::on_signal()?;
    let connection = tokio::select! {
        connection = Connection::open(config, Need::Tools) => connection?,
        () = stop.cancelled() => return Ok(ExitCode::from(stop::INTERRUPTED)),
    };
    let record = follow(&connection.client, &request, &stop).await;
    connection.close().await?;
    let mut record = record?;
    if json {
        print_json(&serde_json::to_value(&record).expect("a record has string keys"))?;
    } else {
        adapt(&mut record);
        show(&record.outcome)?;
    }
    let exit = record.outcome.exit_code.and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(exit.unwrap_or(1)))
}

/// Submits, waits for the end, and fetches a result that is too large for the record. A signal to
/// stop cancels the task.
async fn follow(
    client: &Client,
    request: &Execute,
    stop: &CancellationToken,
) -> Result<TaskRecord, Failure> {
    let spinner = Spinner::start("running");
    let id = client.submit(request).await?.to_string();
    let mut cancelled = false;
    let mut announced = BTreeSet::new();
    loop {
        let record = tokio::select! {
            record = client.task(&id, true) => record?,
            () = stop.cancelled(), if !cancelled => {
                cancelled = true;
                note("interrupted: the task is cancelled");
                spinner.say("cancelling");
                client.cancel(&id).await?
            }
        };
        match record.outcome.status {
            TaskStatus::Queued => spinner.say("waiting for a worker"),
            TaskStatus::AwaitingApproval => {
                spinner.say("waiting for an approval");
                announce_approvals(&record.outcome, &mut announced);
            }
            TaskStatus::Running => spinner.say("running"),
            _ => return whole(client, record).await,
        }
        tokio::time::sleep(RETRY_AFTER).await;
    }
}

/// Says once for each approval which command decides it.
fn announce_approvals(task: &TaskOutcome, announced: &mut BTreeSet<String>) {
    for approval in &task.approvals {
        let id = &approval.approval_id;
        if announced.insert(id.clone()) {
            let tool = screen::plain(&approval.tool);
            note(format!(
                "`{tool}` is waiting for your approval: airlock approvals show {id}, then approve \
                or deny"
            ));
        }
    }
}

/// The record with its result, however large that is.
pub(super) async fn whole(client: &Client, mut record: TaskRecord) -> Result<TaskRecord, Failure> {
    if record.outcome.truncated.take().is_some() {
        record.outcome.result = client.result(&record.outcome.task_id.to_string()).await?;
    }
    Ok(record)
}

fn read(file: &Path, code_kb: u64) -> Result<String, Failure> {
    let cannot = |error: std::io::Error| {
        Failure::other(format!("`{}` cannot be read: {error}", file.display()))
    };
    let limit = code_kb * 1024;
    let mut code = Vec::new();
    let read = if file == Path::new("-") {
        std::io::stdin().lock().take(limit + 1).read_to_end(&mut code)
    } else {
        std::fs::File::open(file).map_err(cannot)?.take(limit + 1).read_to_end(&mut code)
    };
    read.map_err(cannot)?;
    if code.len() as u64 > limit {
        let message =
            format!("`{}` is larger than {code_kb} KiB, the limit for a program", file.display());
        return Err(Failure::other(message).hint("raise `limits.code_kb` (at most 256)"));
    }
    decoded(&code).map(str::to_owned).map_err(|error| cannot(std::io::Error::other(error)))
}

fn show(task: &TaskOutcome) -> Result<(), Failure> {
    write_logs(task, Stream::Error)?;
    if task.status == TaskStatus::Completed {
        print(screen::pretty(&task.result))?;
    }
    for warning in &task.warnings {
        note(format!(
            "{} {}",
            Stream::Error.paint(Style::new().yellow(), "warning:"),
            screen::plain(warning)
        ));
    }
    write_error(task, Stream::Error)?;
    note(end(task));
    Ok(())
}

/// Writes console output, each line in the colour of its level.
pub(super) fn write_logs(task: &TaskOutcome, stream: Stream) -> Result<(), Failure> {
    let Some(logs) = &task.logs else { return Ok(()) };
    for line in &logs.lines {
        let style = match line.level {
            LogLevel::Error => Style::new().red(),
            LogLevel::Warn => Style::new().yellow(),
            LogLevel::Debug | LogLevel::Info => Style::new().dim(),
        };
        stream.write(stream.paint(style, screen::plain(&line.text)))?;
    }
    let dropped = logs.dropped_lines;
    if dropped > 0 {
        stream.write(stream.paint(
            Style::new().dim(),
            format!("… {dropped} more lines were dropped (`limits.log_kb`, `limits.log_lines`)"),
        ))?;
    }
    Ok(())
}

/// Writes the error of a task, with the place in its source.
pub(super) fn write_error(task: &TaskOutcome, stream: Stream) -> Result<(), Failure> {
    let Some(error) = &task.error else { return Ok(()) };
    let name = stream.paint(Style::new().red().bold(), format!("{}:", screen::plain(&error.name)));
    let place = match (error.line, error.column) {
        (Some(line), Some(column)) => {
            stream.paint(Style::new().dim(), format!(" at {line}:{column}"))
        }
        _ => String::new(),
    };
    stream.write(format!("{name} {}{place}", screen::plain(&error.message)))?;
    if let Some(frame) = &error.frame {
        stream.write(screen::plain(frame))?;
    }
    if let Some(hint) = &error.hint {
        let label = stream.paint(Style::new().cyan(), "hint:");
        stream.write(format!("{label} {}", screen::plain(hint)))?;
    }
    Ok(())
}

/// One line: its status, how long it took, how many calls it made.
fn end(task: &TaskOutcome) -> String {
    let wall = screen::duration(task.usage.wall_ms);
    let calls = match task.usage.tool_calls {
        0 => String::new(),
        1 => ", 1 tool call".into(),
        many => format!(", {many} tool calls"),
    };
    let id = task.task_id;
    let rest = Stream::Error.paint(Style::new().dim(), format!("in {wall}{calls} · {id}"));
    format!("{} {rest}", screen::status(task.status.as_str()).for_stderr())
}
