//! `airlock run`: one program from the shell. Its result goes to standard output, its console and
//! its end to standard error.

use std::{
    collections::BTreeSet,
    io::Read,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use console::Style;
use tokio_util::sync::CancellationToken;

use super::{
    args::OUTPUT,
    client::Client,
    connection::{Connection, Need},
    question,
    screen::{self, Spinner, Stream, note, print, print_json},
    stop,
    terminal::Terminal,
    wait::{Wait, Waited},
};
use crate::{
    app::Failure,
    base::{
        plural::{counted, verb},
        text::decoded,
    },
    config::Config,
    model::{LogLevel, TaskStatus},
    service::{
        Execute,
        view::{PendingApproval, TaskOutcome, TaskRecord},
    },
};

/// The arguments of `run`.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// The program, TypeScript or JavaScript; `-` reads it from standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Time limit of the code, in milliseconds, 1 to 600000
    #[arg(long, value_name = "MS")]
    timeout_ms: Option<u64>,
    /// The runtime, `local-v8` or `local-deno` [default: `sandbox.runtime`]
    #[arg(long, value_name = "ID")]
    runtime: Option<String>,
    /// Groups tasks, for `tasks list --session`
    #[arg(long, value_name = "NAME")]
    session: Option<String>,
    #[command(flatten)]
    input: Input,
    /// Print the whole record as JSON instead of the result
    #[arg(long, help_heading = OUTPUT)]
    json: bool,
}

/// Whether the person at the terminal may be asked.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Input {
    /// Do not ask at the terminal about calls that wait for approval; print how they are decided
    #[arg(long)]
    no_input: bool,
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
    program(request, Shape { json: args.json, input: args.input, adapt: |_| {} }, &config).await
}

/// How the end of a program is shown, and how the person takes part before.
pub(super) struct Shape {
    /// The whole record as JSON, and nothing for people.
    pub(super) json: bool,
    /// Whether the person may be asked.
    pub(super) input: Input,
    /// Changes the record before it is shown to people.
    pub(super) adapt: fn(&mut TaskRecord),
}

/// Runs a program, shows its result, and exits as it did.
pub(super) async fn program(
    request: Execute,
    shape: Shape,
    config: &Config,
) -> Result<ExitCode, Failure> {
    let stop = stop::on_signal()?;
    let connection = tokio::select! {
        connection = Connection::open(config, Need::Tools) => connection?,
        () = stop.cancelled() => return Ok(ExitCode::from(stop::INTERRUPTED)),
    };
    let asks = !shape.json && !shape.input.no_input;
    let record = follow(&connection.client, &request, asks, &stop, config).await;
    connection.close().await?;
    let mut record = record?;
    let exit = exit(&record.outcome);
    if shape.json {
        print_json(&serde_json::to_value(&record).expect("a record has string keys"))?;
    } else {
        (shape.adapt)(&mut record);
        show(&record.outcome)?;
    }
    Ok(exit)
}

/// The exit code of a task that has ended.
pub(super) fn exit(task: &TaskOutcome) -> ExitCode {
    let exit = task.exit_code.and_then(|code| u8::try_from(code).ok());
    ExitCode::from(exit.unwrap_or(1))
}

/// Submits, waits for the end, and fetches a result that is too large for the record. A signal to
/// stop cancels the task. `asks`: the person at the terminal, if there is one, is asked about calls
/// that wait for approval.
async fn follow(
    client: &Client,
    request: &Execute,
    asks: bool,
    stop: &CancellationToken,
    config: &Config,
) -> Result<TaskRecord, Failure> {
    let spinner = Spinner::start("running");
    let id = client.submit(request).await?.to_string();
    let mut announced = BTreeSet::new();
    let look = async |record: TaskRecord| {
        match record.outcome.status {
            TaskStatus::Queued => spinner.say("waiting for a worker"),
            TaskStatus::AwaitingApproval => spinner.say("waiting for an approval"),
            _ => spinner.say("running"),
        }
        let mut is_new = false;
        for approval in &record.outcome.approvals {
            if !announced.insert(approval.approval_id.clone()) {
                continue;
            }
            is_new = true;
            let terminal = if asks { Terminal::of_a_person() } else { None };
            let is_settled = match terminal {
                Some(terminal) => {
                    let _quiet = spinner.pause();
                    question::ask(&terminal, client, &approval.approval_id).await?
                }
                None => false,
            };
            if !is_settled {
                announce(approval);
            }
        }
        Ok(is_new)
    };
    let record = match (Wait { config, client, id: &id, stop }).for_end(look).await? {
        Waited::Ended(record) => *record,
        Waited::Interrupted => {
            note("interrupted: the task is cancelled");
            spinner.say("cancelling");
            client.cancel(&id).await?
        }
    };
    whole(client, record).await
}

/// Says where a call that waits is decided.
fn announce(approval: &PendingApproval) {
    let (id, tool) = (&approval.approval_id, screen::plain(&approval.tool));
    let page = approval.url.as_deref().map(|url| format!(", or open {url}")).unwrap_or_default();
    note(format!(
        "`{tool}` waits for your approval: look at it with `airlock approvals show {id}`, then \
        decide with `airlock approvals approve` or `deny`{page}"
    ));
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

/// Shows an end: console output, result, warnings, error, and one line.
pub(super) fn show(task: &TaskOutcome) -> Result<(), Failure> {
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
            format!(
                "… {} more {} dropped (`limits.log_kb`, `limits.log_lines`)",
                counted(dropped, "line"),
                verb(dropped, "was", "were")
            ),
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
        calls => format!(", {}", counted(calls, "tool call")),
    };
    let id = task.task_id;
    let rest = Stream::Error.paint(Style::new().dim(), format!("in {wall}{calls} · {id}"));
    format!("{} {rest}", screen::status(task.status.as_str()).for_stderr())
}
