//! `airlock tasks`: the record, by hand.

use std::{process::ExitCode, sync::Arc};

use clap::{Args, Subcommand};
use serde_json::{Map, Value};

use super::{
    Application, Failure,
    client::Client,
    connection::{Connection, Need},
    list::{List, One, Page},
    run,
    screen::{self, Side, age, dim, heading, print, print_json, with_id},
};
use crate::{config::Config, model::TaskStatus};

/// Columns that a list keeps for id, status, age and duration.
const LIST_COLUMNS: usize = 84;

/// What to do with tasks.
#[derive(Debug, Subcommand)]
pub(super) enum TasksCommand {
    /// List tasks, newest first
    List(ListArgs),
    /// Show one task: its record, its history, its result
    Get(One),
    /// End a task; one that has ended stays as it is
    Cancel(One),
}

/// Which tasks.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only tasks of this status: queued, running, awaiting_approval, completed, failed, timed_out,
    /// denied, cancelled
    #[arg(long, value_parser = status)]
    status: Option<TaskStatus>,
    /// Only tasks of this session
    #[arg(long, value_name = "NAME")]
    session: Option<String>,
    /// Only tasks whose metadata has this key with this value (JSON, else a text); several must all
    /// hold
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    metadata: Vec<(String, Value)>,
    #[command(flatten)]
    page: Page,
}

/// Does it.
pub(super) async fn perform(
    command: TasksCommand,
    config: Config,
    application: &Arc<dyn Application>,
) -> Result<ExitCode, Failure> {
    Connection::ask(&config, application, Need::Record, async |client| match command {
        TasksCommand::List(args) => list(client, args).await,
        TasksCommand::Get(args) => get(client, args).await,
        TasksCommand::Cancel(args) => cancel(client, args).await,
    })
    .await
    .map(|()| ExitCode::SUCCESS)
}

async fn list(client: &Client, args: ListArgs) -> Result<(), Failure> {
    let metadata = Value::Object(args.metadata.into_iter().collect::<Map<_, _>>()).to_string();
    let mut query = vec![];
    query.extend(args.status.map(|status| ("status", status.as_str())));
    query.extend(args.session.as_deref().map(|session| ("sessionId", session)));
    query.extend((metadata != "{}").then_some(("metadata", metadata.as_str())));
    let heading =
        format!("{:<41} {:<17} {:<11} {:<11} {}", "ID", "STATUS", "CREATED", "TOOK", "ERROR");
    List { what: "tasks", id: "taskId", heading, empty: "no tasks", row }
        .show(client, &args.page, query)
        .await
}

fn row(task: &Value) -> String {
    let text = |key: &str| task[key].as_str().unwrap_or_default();
    let took = task["usage"]["wallMs"]
        .as_u64()
        .filter(|_| !task["completedAt"].is_null())
        .map(screen::duration);
    let error = task["error"]["message"].as_str().unwrap_or_default();
    // A colour code has no width, so the padding comes after it.
    let pad = " ".repeat(17usize.saturating_sub(text("status").len()));
    format!(
        "{:<41} {}{pad} {:<11} {:<11} {}",
        text("taskId"),
        screen::status(text("status")),
        age(text("createdAt")),
        took.unwrap_or_default(),
        dim(screen::line(error, screen::width().saturating_sub(LIST_COLUMNS))),
    )
}

async fn get(client: &Client, args: One) -> Result<(), Failure> {
    let task = client.task(&args.id, false).await?;
    let mut task = run::whole(client, &args.id, task).await?;
    task["events"] = client.events(&args.id).await?.into();
    if args.json {
        return print_json(&with_id(task, "taskId"));
    }
    record(&task)?;
    print(format!("\n{}", heading("history")))?;
    for event in task["events"].as_array().into_iter().flatten() {
        print(history(event))?;
    }
    print(format!(
        "\n{}\n{}",
        heading("code"),
        screen::plain(task["code"].as_str().unwrap_or_default().trim_end())
    ))?;
    if task["logs"]["lines"].as_array().is_some_and(|lines| !lines.is_empty()) {
        print(format!("\n{}", heading("console")))?;
        run::logs(&task, Side::Answer)?;
    }
    if task["status"] == "completed" {
        print(format!("\n{}\n{}", heading("result"), screen::pretty(&task["result"])))?;
    }
    if task["error"].is_object() {
        print(format!("\n{}", heading("error")))?;
        run::error(&task, Side::Answer)?;
    }
    Ok(())
}

fn record(task: &Value) -> Result<(), Failure> {
    let status = task["status"].as_str().unwrap_or("unknown");
    print(format!(
        "{} {}",
        heading(task["taskId"].as_str().unwrap_or_default()),
        screen::status(status)
    ))?;
    let plain = [
        "exitCode",
        "runtimeId",
        "createdAt",
        "startedAt",
        "completedAt",
        "sessionId",
        "clientId",
        "metadata",
    ];
    for key in plain {
        match &task[key] {
            Value::Null => {}
            Value::String(text) => print(format!("{key:<13} {}", screen::plain(text)))?,
            other => print(format!("{key:<13} {other}"))?,
        }
    }
    let usage = &task["usage"];
    let ms = |key: &str| screen::duration(usage[key].as_u64().unwrap_or(0));
    let heap = usage["heapPeakBytes"].as_u64().unwrap_or(0) as f64 / (1024.0 * 1024.0);
    let calls = usage["toolCalls"].as_u64().unwrap_or(0);
    let text = format!(
        "{} (CPU {}, tools {}, queue {}), {calls} tool call{}, heap {heap:.1} MiB",
        ms("wallMs"),
        ms("cpuMs"),
        ms("toolWaitMs"),
        ms("queueMs"),
        if calls == 1 { "" } else { "s" },
    );
    print(format!("{:<13} {text}", "usage"))
}

fn history(event: &Value) -> String {
    let at = event["at"].as_str().unwrap_or_default();
    let time = at.split_once('T').map_or(at, |(_, time)| time.get(..12).unwrap_or(time));
    let details = match &event["data"] {
        Value::Object(data) if data.is_empty() => String::new(),
        Value::Null => String::new(),
        data => screen::line(&data.to_string(), screen::width().saturating_sub(44)),
    };
    format!(
        "{:>4} {} {:<22} {}",
        event["seq"].as_u64().unwrap_or(0),
        dim(time),
        event["type"].as_str().unwrap_or_default(),
        dim(details)
    )
}

async fn cancel(client: &Client, args: One) -> Result<(), Failure> {
    let task = client.cancel(&args.id).await?;
    if args.json {
        return print_json(&with_id(task, "taskId"));
    }
    print(format!("{} {}", args.id, screen::status(task["status"].as_str().unwrap_or("unknown"))))
}

fn status(text: &str) -> Result<TaskStatus, String> {
    TaskStatus::parse(text).ok_or_else(|| {
        let names: Vec<_> = TaskStatus::ALL.iter().map(|status| status.as_str()).collect();
        format!("allowed: {}", names.join(", "))
    })
}

fn pair(text: &str) -> Result<(String, Value), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    Ok((key.to_owned(), serde_json::from_str(value).unwrap_or_else(|_| value.into())))
}
