//! `airlock artifacts`: answers of tools that were too large for a program and are kept.

use std::{io::Write, path::PathBuf, process::ExitCode, sync::Arc};

use clap::{Args, Subcommand};
use serde_json::Value;

use super::{
    Application, Failure,
    client::Client,
    connection::{Connection, Need},
    screen::{self, dim, heading, note, print, print_json},
    tasks::age,
};
use crate::config::Config;

/// What to do with artifacts.
#[derive(Debug, Subcommand)]
pub(super) enum ArtifactsCommand {
    /// List kept answers, newest first
    List(ListArgs),
    /// Show one: what it is, and how it begins
    Show(OneArgs),
    /// Write its whole text to standard output, or to a file
    Get(GetArgs),
    /// Take one away
    Remove(OneArgs),
}

/// Which artifacts.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// How many, 1 to 200
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
    /// Where the page before ended
    #[arg(long)]
    cursor: Option<String>,
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

/// Which artifact.
#[derive(Debug, Args)]
pub(super) struct OneArgs {
    /// The artifact's id
    id: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Which artifact, and where to.
#[derive(Debug, Args)]
pub(super) struct GetArgs {
    /// The artifact's id
    id: String,
    /// A file that is made anew
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Does it.
pub(super) async fn perform(
    command: ArtifactsCommand,
    config: Config,
    application: &Arc<dyn Application>,
) -> Result<ExitCode, Failure> {
    let connection = Connection::open(&config, application, Need::Record).await?;
    let done = match command {
        ArtifactsCommand::List(args) => list(&connection.client, args).await,
        ArtifactsCommand::Show(args) => show(&connection.client, args).await,
        ArtifactsCommand::Get(args) => get(&connection.client, args).await,
        ArtifactsCommand::Remove(args) => remove(&connection.client, args).await,
    };
    connection.close().await?;
    done.map(|()| ExitCode::SUCCESS)
}

async fn list(client: &Client, args: ListArgs) -> Result<(), Failure> {
    let limit = args.limit.to_string();
    let mut query = vec![("limit", limit.as_str())];
    query.extend(args.cursor.as_deref().map(|cursor| ("cursor", cursor)));
    let mut answer = client.list("artifacts", &query).await?;
    let artifacts = answer["artifacts"].as_array_mut().map(std::mem::take).unwrap_or_default();
    if args.json {
        print_json(&artifacts.into_iter().map(with_id).collect())?;
    } else if artifacts.is_empty() {
        note("no artifacts");
    } else {
        print(heading(format!("{:<41} {:<5} {:>11} {:>9} {:<11} {}", "ID", "KIND", "BYTES", "LINES", "KEPT", "TOOL")).to_string())?;
        artifacts.iter().try_for_each(|artifact| print(row(artifact)))?;
    }
    if let Some(cursor) = answer["nextCursor"].as_str() {
        note(dim(format!("more: --cursor {cursor}")).for_stderr().to_string());
    }
    Ok(())
}

/// Lists of all commands have an `id`.
fn with_id(mut artifact: Value) -> Value {
    artifact["id"] = artifact["$artifact"].clone();
    artifact
}

fn row(artifact: &Value) -> String {
    let text = |key: &str| artifact[key].as_str().unwrap_or_default();
    format!(
        "{:<41} {:<5} {:>11} {:>9} {:<11} {}",
        text("$artifact"),
        text("kind"),
        artifact["bytes"],
        artifact["lines"],
        age(text("createdAt")),
        screen::line(text("tool"), 40),
    )
}

async fn show(client: &Client, args: OneArgs) -> Result<(), Failure> {
    let artifact = client.artifact(&args.id).await?;
    if args.json {
        return print_json(&with_id(artifact));
    }
    let text = |key: &str| screen::escaped(artifact[key].as_str().unwrap_or("–"));
    let lines = [
        ("tool", text("tool")),
        ("task", text("taskId")),
        ("kind", format!("{}, {} bytes, {} lines", text("kind"), artifact["bytes"], artifact["lines"])),
        ("sha256", text("sha256")),
        ("kept", format!("{}, until {}", text("createdAt"), text("expiresAt"))),
    ];
    for (name, value) in lines {
        print(format!("{} {value}", heading(format!("{name:<7}"))))?;
    }
    print(format!("\n{}\n{}", heading("begins"), text("head")))
}

async fn get(client: &Client, args: GetArgs) -> Result<(), Failure> {
    match args.output {
        None => client.artifact_content(&args.id, &mut std::io::stdout()).await,
        Some(path) => {
            let failed = |error: std::io::Error| Failure::other(format!("`{}` cannot be written: {error}", path.display()));
            let mut file = std::fs::File::create(&path).map_err(failed)?;
            client.artifact_content(&args.id, &mut file).await?;
            file.flush().map_err(failed)
        }
    }
}

async fn remove(client: &Client, args: OneArgs) -> Result<(), Failure> {
    let answer = client.remove_artifact(&args.id).await?;
    if args.json {
        return print_json(&answer);
    }
    print(format!("{} removed", args.id))
}
