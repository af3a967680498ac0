//! `airlock artifacts`: tool responses that were too large for a program.

use std::{io::Write, path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand};

use super::{
    args::{One, Page},
    client::Client,
    connection::{Connection, Need},
    list::List,
    screen::{self, age, escaped, heading, print, print_json, with_id},
};
use crate::{app::Failure, config::Config, service::view::Artifact};

/// The commands on artifacts.
#[derive(Debug, Subcommand)]
pub(super) enum ArtifactsCommand {
    /// List artifacts, newest first
    List(Page),
    /// Show one: its kind, its size, and how it begins
    Show(One),
    /// Write its whole text to standard output, or to a file
    Get(GetArgs),
    /// Remove one
    Remove(One),
}

/// Arguments of `artifacts get`.
#[derive(Debug, Args)]
pub(super) struct GetArgs {
    /// The artifact's id
    id: String,
    /// A file that is created or overwritten
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Performs the command.
pub(super) async fn perform(
    command: ArtifactsCommand,
    config: Config,
) -> Result<ExitCode, Failure> {
    Connection::ask(&config, Need::Record, async |client| match command {
        ArtifactsCommand::List(page) => list(client, &page).await,
        ArtifactsCommand::Show(args) => show(client, args).await,
        ArtifactsCommand::Get(args) => get(client, args).await,
        ArtifactsCommand::Remove(args) => remove(client, args).await,
    })
    .await
    .map(|()| ExitCode::SUCCESS)
}

async fn list(client: &Client, page: &Page) -> Result<(), Failure> {
    let answer = client.artifacts(&page.query()).await?;
    let heading = format!(
        "{:<41} {:<5} {:>11} {:>9} {:<11} {}",
        "ID", "KIND", "BYTES", "LINES", "CREATED", "TOOL"
    );
    let list = List {
        items: &answer.artifacts,
        next_cursor: answer.next_cursor.as_deref(),
        id: |artifact| artifact.id.to_string(),
        heading,
        empty: "no artifacts",
        row,
    };
    list.show(page)
}

fn row(artifact: &Artifact) -> String {
    format!(
        "{:<41} {:<5} {:>11} {:>9} {:<11} {}",
        artifact.id.to_string(),
        artifact.kind.as_str(),
        artifact.bytes,
        artifact.lines,
        age(artifact.created_at),
        screen::line(&artifact.tool, 40),
    )
}

async fn show(client: &Client, args: One) -> Result<(), Failure> {
    let artifact = client.artifact(&args.id).await?;
    if args.json {
        return print_json(&with_id(artifact.id, &artifact));
    }
    let Artifact { kind, bytes, lines, created_at, expires_at, .. } = &artifact;
    let about = match &artifact.mime_type {
        None => format!("{}, {bytes} bytes, {lines} lines", kind.as_str()),
        Some(mime_type) => format!("{}, {}, {bytes} bytes", kind.as_str(), escaped(mime_type)),
    };
    let lines = [
        ("tool", escaped(&artifact.tool)),
        ("task", artifact.task_id.to_string()),
        ("kind", about),
        ("sha256", escaped(&artifact.sha256)),
        ("created", format!("{created_at}, expires {expires_at}")),
    ];
    for (name, value) in lines {
        print(format!("{} {value}", heading(format!("{name:<7}"))))?;
    }
    match artifact.mime_type {
        None => print(format!("\n{}\n{}", heading("begins"), escaped(&artifact.head))),
        Some(_) => Ok(()),
    }
}

async fn get(client: &Client, args: GetArgs) -> Result<(), Failure> {
    match args.output {
        None => client.artifact_content(&args.id, &mut std::io::stdout()).await,
        Some(path) => {
            let failed = |error: std::io::Error| {
                Failure::other(format!("`{}` cannot be written: {error}", path.display()))
            };
            let mut file = std::fs::File::create(&path).map_err(failed)?;
            client.artifact_content(&args.id, &mut file).await?;
            file.flush().map_err(failed)
        }
    }
}

async fn remove(client: &Client, args: One) -> Result<(), Failure> {
    let removed = client.remove_artifact(&args.id).await?;
    if args.json {
        return print_json(&serde_json::to_value(removed).expect("it has string keys"));
    }
    print(format!("{} removed", args.id))
}
