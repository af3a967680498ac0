//! `airlock tasks`: the tasks on record.

mod wait;

use std::{process::ExitCode, time::Duration};

use clap::{Args, Subcommand};
use serde_json::{Map, Value};

use super::{
    args::{One, Page, Query},
    client::Client,
    connection::{Connection, Need},
    ids,
    list::{self, Items, List},
    run,
    screen::{self, Stream, age, dim, heading, print, print_json, with_id},
    table::{Cell, Column},
};
use crate::{
    app::Failure,
    base::{plural::counted, unique_keys::duplicate_key},
    config::Config,
    model::{Event, IdKind, TaskStatus},
    service::view::{TaskRecord, TaskRow},
};

/// The columns of the list.
const COLUMNS: [Column; 5] = [
    Column::whole("ID"),
    Column::whole("STATUS"),
    Column::whole("CREATED"),
    Column::whole("TOOK"),
    Column::text("ERROR", usize::MAX),
];

/// The commands on tasks.
#[derive(Debug, Subcommand)]
pub(super) enum TasksCommand {
    /// List tasks, newest first
    List(ListArgs),
    /// Show one task: its record, its history, its result
    #[command(visible_alias = "show")]
    Get(One),
    /// Wait until one task ends; exits with its exit code
    Wait(wait::WaitArgs),
    /// Print console output and calls of one task as they come, then its end; exits with its exit
    /// code
    Follow(wait::FollowArgs),
    /// Cancel a task; a task that has ended stays as it is
    Cancel(One),
}

/// Arguments of `tasks list`.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only tasks of this status: queued, running, awaiting_approval, completed, failed, timed_out,
    /// denied, cancelled
    #[arg(long, value_parser = status)]
    status: Option<TaskStatus>,
    /// Only tasks of this session
    #[arg(long, value_name = "NAME")]
    session: Option<String>,
    /// Only tasks whose metadata has this key with this value (JSON, or else a string); if given
    /// several times, all must match
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    metadata: Vec<(String, Value)>,
    #[command(flatten)]
    page: Page,
}

/// Performs the command.
pub(super) async fn perform(command: TasksCommand, config: Config) -> Result<ExitCode, Failure> {
    let done = match command {
        TasksCommand::Wait(args) => wait::wait(args, &config).await,
        TasksCommand::Follow(args) => wait::follow(args, &config).await,
        other => Connection::ask(&config, Need::Record, async |client| match other {
            TasksCommand::Wait(_) | TasksCommand::Follow(_) => unreachable!("is done above"),
            TasksCommand::List(args) => list(client, args).await,
            TasksCommand::Get(args) => get(client, args).await,
            TasksCommand::Cancel(args) => cancel(client, args).await,
        })
        .await
        .map(|()| ExitCode::SUCCESS),
    };
    done.map_err(|failure| ids::located(failure, &config))
}

async fn list(client: &Client, args: ListArgs) -> Result<(), Failure> {
    let metadata = Value::Object(args.metadata.into_iter().collect::<Map<_, _>>()).to_string();
    let mut query = vec![];
    query.extend(args.status.map(|status| ("status", status.as_str().to_owned())));
    query.extend(args.session.map(|session| ("sessionId", session)));
    query.extend((metadata != "{}").then_some(("metadata", metadata)));
    let list = List {
        id: |task: &TaskRow| task.task_id.to_string(),
        empty: "no tasks",
        lines: &mut list::rows(&COLUMNS, cells),
    };
    let fetch = async |page: &Query| {
        let answer = client.tasks(&[page, query.as_slice()].concat()).await?;
        Ok(Items { items: answer.tasks, next_cursor: answer.next_cursor })
    };
    list.show(&args.page, fetch).await.map(drop)
}

fn cells(task: &TaskRow) -> Vec<Cell> {
    let took = task.completed_at.map(|_| screen::duration(task.usage.wall_ms));
    let error = task.error.as_ref().map_or("", |error| &error.message);
    vec![
        task.task_id.to_string().into(),
        Cell::status(task.status.as_str()),
        age(task.created_at).into(),
        took.unwrap_or_default().into(),
        Cell::dim(error),
    ]
}

async fn get(client: &Client, args: One) -> Result<(), Failure> {
    let id = ids::whole(client, IdKind::Task, &args.id).await?;
    let record = run::whole(client, client.task(&id, Duration::ZERO).await?).await?;
    let events = client.events(&id, 0).await?;
    if args.output.json {
        let mut object = with_id(record.outcome.task_id, &record);
        object["events"] = serde_json::to_value(&events).expect("events have string keys");
        return print_json(&object);
    }
    show_record(&record)?;
    print(format!("\n{}", heading("history")))?;
    events.iter().try_for_each(|event| print(history(event)))?;
    print(format!("\n{}\n{}", heading("code"), screen::plain(record.code.trim_end())))?;
    let task = &record.outcome;
    if task.logs.as_ref().is_some_and(|logs| !logs.lines.is_empty()) {
        print(format!("\n{}", heading("console")))?;
        run::write_logs(task, Stream::Output)?;
    }
    if task.status == TaskStatus::Completed {
        print(format!("\n{}\n{}", heading("result"), screen::pretty(&task.result)))?;
    }
    if task.error.is_some() {
        print(format!("\n{}", heading("error")))?;
        run::write_error(task, Stream::Output)?;
    }
    Ok(())
}

fn show_record(record: &TaskRecord) -> Result<(), Failure> {
    let task = &record.outcome;
    print(format!("{} {}", heading(task.task_id), screen::status(task.status.as_str())))?;
    let metadata = record.metadata.clone().map(|metadata| Value::Object(metadata).to_string());
    let lines = [
        ("exitCode", task.exit_code.map(|code| code.to_string())),
        ("runtimeId", Some(task.runtime_id.clone())),
        ("createdAt", Some(record.created_at.to_string())),
        ("startedAt", record.started_at.map(|at| at.to_string())),
        ("completedAt", record.completed_at.map(|at| at.to_string())),
        ("sessionId", task.session_id.clone()),
        ("clientId", Some(record.client_id.clone())),
        ("metadata", metadata),
    ];
    for (key, value) in lines {
        if let Some(value) = value {
            print(format!("{key:<13} {}", screen::plain(&value)))?;
        }
    }
    let usage = &task.usage;
    let heap = usage.heap_peak_bytes as f64 / (1024.0 * 1024.0);
    let text = format!(
        "{} (CPU {}, tools {}, queue {}), {}, heap {heap:.1} MiB",
        screen::duration(usage.wall_ms),
        screen::duration(usage.cpu_ms),
        screen::duration(usage.tool_wait_ms),
        screen::duration(usage.queue_ms),
        counted(usage.tool_calls, "tool call"),
    );
    print(format!("{:<13} {text}", "usage"))
}

fn history(event: &Event) -> String {
    let at = event.at.to_string();
    let time = at.split_once('T').map_or(&*at, |(_, time)| time.get(..12).unwrap_or(time));
    let details = match event.data.details() {
        Value::Object(details) if details.is_empty() => String::new(),
        details => screen::line(&details.to_string(), screen::width().saturating_sub(44)),
    };
    format!("{:>4} {} {:<22} {}", event.seq, dim(time), event.data.kind().as_str(), dim(details))
}

async fn cancel(client: &Client, args: One) -> Result<(), Failure> {
    let id = ids::whole(client, IdKind::Task, &args.id).await?;
    let record = client.cancel(&id).await?;
    let task = &record.outcome;
    if args.output.json {
        return print_json(&with_id(task.task_id, &record));
    }
    print(format!("{} {}", task.task_id, screen::status(task.status.as_str())))
}

fn status(text: &str) -> Result<TaskStatus, String> {
    TaskStatus::parse(text).ok_or_else(|| {
        let names: Vec<_> = TaskStatus::ALL.iter().map(|status| status.as_str()).collect();
        format!("allowed: {}", names.join(", "))
    })
}

fn pair(text: &str) -> Result<(String, Value), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    if let Some(doubled) = duplicate_key(value.as_bytes()) {
        return Err(format!("the value has {doubled}"));
    }
    Ok((key.to_owned(), serde_json::from_str(value).unwrap_or_else(|_| value.into())))
}
