//! `airlock run`: one program from the shell. Its result goes to standard output, its console and
//! its end to standard error.

use std::{
    collections::BTreeSet,
    io::Read,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use clap::Args;
use console::Style;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{
    Application, Failure,
    client::Client,
    connection::{Connection, Need},
    screen::{self, Side, Spinner, note, print, print_json},
    stop,
};
use crate::config::Config;

/// How often the spinner's text follows a task, where the server does not answer sooner.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// The arguments of `run`.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// The program, TypeScript or JavaScript; `-` reads it from standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print the whole answer as JSON instead of the result
    #[arg(long)]
    json: bool,
    /// How long the code may run, in milliseconds, 1 to 600000
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
pub(super) async fn perform(
    args: RunArgs,
    config: Config,
    application: &Arc<dyn Application>,
) -> Result<ExitCode, Failure> {
    let code = read(&args.file, config.limits.code_kb)?;
    let mut request = json!({ "code": code });
    if let Some(ms) = args.timeout_ms {
        request["timeoutMs"] = ms.into();
    }
    if let Some(session) = &args.session {
        request["sessionId"] = session.as_str().into();
    }
    if let Some(runtime) = &args.runtime {
        request["runtimeId"] = runtime.as_str().into();
    }
    program(request, args.json, |_| {}, &config, application).await
}

/// Runs a program, shows what it gave, and exits as it did. `words` puts an answer for people into
/// words of its own.
pub(super) async fn program(
    request: Value,
    json: bool,
    words: fn(&mut Value),
    config: &Config,
    application: &Arc<dyn Application>,
) -> Result<ExitCode, Failure> {
    let stop = stop::on_signal()?;
    let connection = tokio::select! {
        connection = Connection::open(config, application, Need::Tools) => connection?,
        () = stop.cancelled() => return Ok(ExitCode::from(stop::INTERRUPTED)),
    };
    let answer = follow(&connection.client, request, &stop).await;
    connection.close().await?;
    let mut answer = answer?;
    if json {
        print_json(&answer)?;
    } else {
        words(&mut answer);
        show(&answer)?;
    }
    let exit = answer["exitCode"].as_u64().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(exit.unwrap_or(1)))
}

/// Submits, waits for the end, and fetches a result that is too large for the record. A wish to
/// stop cancels the task.
async fn follow(
    client: &Client,
    request: Value,
    stop: &CancellationToken,
) -> Result<Value, Failure> {
    let spinner = Spinner::start("running");
    let id = client.submit(request).await?;
    let mut cancelled = false;
    let mut told = BTreeSet::new();
    loop {
        let task = tokio::select! {
            task = client.task(&id, true) => task?,
            () = stop.cancelled(), if !cancelled => {
                cancelled = true;
                note("told to stop: the task is cancelled");
                spinner.say("cancelling");
                client.cancel(&id).await?
            }
        };
        match task["status"].as_str() {
            Some("queued") => spinner.say("waiting for a worker"),
            Some("awaiting_approval") => {
                spinner.say("waiting for an approval");
                asked(&task, &mut told);
            }
            Some("running") => spinner.say("running"),
            _ => return whole(client, &id, task).await,
        }
        tokio::time::sleep(RETRY_AFTER).await;
    }
}

/// Says once for each approval how it is given.
fn asked(task: &Value, told: &mut BTreeSet<String>) {
    for approval in task["approvals"].as_array().into_iter().flatten() {
        let Some(id) = approval["approvalId"].as_str().filter(|id| told.insert((*id).to_owned()))
        else {
            continue;
        };
        let tool = screen::plain(approval["tool"].as_str().unwrap_or_default());
        note(format!(
            "`{tool}` waits for your word: airlock approvals show {id}, then approve or deny"
        ));
    }
}

/// The task with its result, however large that is.
pub(super) async fn whole(client: &Client, id: &str, mut task: Value) -> Result<Value, Failure> {
    if task["status"] == "completed"
        && task.get("truncated").is_some_and(|truncated| !truncated.is_null())
    {
        task["result"] = client.result(id).await?;
        if let Some(record) = task.as_object_mut() {
            record.remove("truncated");
        }
    }
    Ok(task)
}

fn read(file: &Path, code_kb: u64) -> Result<String, Failure> {
    let cannot = |error: std::io::Error| {
        Failure::other(format!("`{}` cannot be read: {error}", file.display()))
    };
    let limit = code_kb * 1024;
    let mut code = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().lock().take(limit + 1).read_to_string(&mut code)
    } else {
        std::fs::File::open(file).map_err(cannot)?.take(limit + 1).read_to_string(&mut code)
    };
    read.map_err(cannot)?;
    if code.len() as u64 > limit {
        let message =
            format!("`{}` has more than {code_kb} KiB, the limit for a program", file.display());
        return Err(Failure::other(message).hint("raise `limits.code_kb` (at most 256)"));
    }
    Ok(code)
}

fn show(task: &Value) -> Result<(), Failure> {
    logs(task, Side::Beside)?;
    if task["status"] == "completed" {
        print(screen::pretty(&task["result"]))?;
    }
    for warning in task["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        note(format!(
            "{} {}",
            Side::Beside.paint(Style::new().yellow(), "warning:"),
            screen::plain(warning)
        ));
    }
    error(task, Side::Beside)?;
    note(end(task));
    Ok(())
}

/// Console output, each line in the colour of its level.
pub(super) fn logs(task: &Value, side: Side) -> Result<(), Failure> {
    for line in task["logs"]["lines"].as_array().into_iter().flatten() {
        let look = match line["level"].as_str() {
            Some("error") => Style::new().red(),
            Some("warn") => Style::new().yellow(),
            _ => Style::new().dim(),
        };
        side.tell(side.paint(look, screen::plain(line["text"].as_str().unwrap_or_default())))?;
    }
    let dropped = task["logs"]["droppedLines"].as_u64().unwrap_or(0);
    if dropped > 0 {
        side.tell(side.paint(
            Style::new().dim(),
            format!("… {dropped} more lines were dropped (`limits.log_kb`, `limits.log_lines`)"),
        ))?;
    }
    Ok(())
}

/// Why a task did not complete, with the place in its source.
pub(super) fn error(task: &Value, side: Side) -> Result<(), Failure> {
    let error = &task["error"];
    let Some(message) = error["message"].as_str() else { return Ok(()) };
    let name = side.paint(
        Style::new().red().bold(),
        format!("{}:", screen::plain(error["name"].as_str().unwrap_or("Error"))),
    );
    let place = match (error["line"].as_u64(), error["column"].as_u64()) {
        (Some(line), Some(column)) => {
            side.paint(Style::new().dim(), format!(" at {line}:{column}"))
        }
        _ => String::new(),
    };
    side.tell(format!("{name} {}{place}", screen::plain(message)))?;
    if let Some(frame) = error["frame"].as_str() {
        side.tell(screen::plain(frame))?;
    }
    if let Some(hint) = error["hint"].as_str() {
        side.tell(format!("{} {}", side.paint(Style::new().cyan(), "hint:"), screen::plain(hint)))?;
    }
    Ok(())
}

/// One line: how it ended, how long it took, what it was called.
fn end(task: &Value) -> String {
    let usage = &task["usage"];
    let status = task["status"].as_str().unwrap_or("unknown");
    let wall = screen::duration(usage["wallMs"].as_u64().unwrap_or(0));
    let calls = match usage["toolCalls"].as_u64() {
        Some(0) | None => String::new(),
        Some(1) => ", 1 tool call".into(),
        Some(many) => format!(", {many} tool calls"),
    };
    let id = task["taskId"].as_str().unwrap_or_default();
    let rest = Side::Beside.paint(Style::new().dim(), format!("in {wall}{calls} · {id}"));
    format!("{} {rest}", screen::status(status).for_stderr())
}
