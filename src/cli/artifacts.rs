//! `airlock artifacts`: answers of tools that were too large for a program and are kept.

use std::{io::Write, path::PathBuf, process::ExitCode, sync::Arc};

use clap::{Args, Subcommand};
use serde_json::Value;

use super::{
    Application, Failure,
    client::Client,
    connection::{Connection, Need},
    list::{List, One, Page},
    screen::{self, age, heading, print, print_json, with_id},
};
use crate::config::Config;

/// The key of an artifact that names it.
const ID: &str = "$artifact";

/// What to do with artifacts.
#[derive(Debug, Subcommand)]
pub(super) enum ArtifactsCommand {
    /// List kept answers, newest first
    List(Page),
    /// Show one: what it is, and how it begins
    Show(One),
    /// Write its whole text to standard output, or to a file
    Get(GetArgs),
    /// Take one away
    Remove(One),
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
    Connection::ask(&config, application, Need::Record, async |client| match command {
        ArtifactsCommand::List(page) => {
            let heading = format!(
                "{:<41} {:<5} {:>11} {:>9} {:<11} {}",
                "ID", "KIND", "BYTES", "LINES", "KEPT", "TOOL"
            );
            let list = List { what: "artifacts", id: ID, heading, empty: "no artifacts", row };
            list.show(client, &page, vec![]).await
        }
        ArtifactsCommand::Show(args) => show(client, args).await,
        ArtifactsCommand::Get(args) => get(client, args).await,
        ArtifactsCommand::Remove(args) => remove(client, args).await,
    })
    .await
    .map(|()| ExitCode::SUCCESS)
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

async fn show(client: &Client, args: One) -> Result<(), Failure> {
    let artifact = client.artifact(&args.id).await?;
    if args.json {
        return print_json(&with_id(artifact, ID));
    }
    let text = |key: &str| screen::escaped(artifact[key].as_str().unwrap_or("–"));
    let lines = [
        ("tool", text("tool")),
        ("task", text("taskId")),
        (
            "kind",
            format!("{}, {} bytes, {} lines", text("kind"), artifact["bytes"], artifact["lines"]),
        ),
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
    let answer = client.remove_artifact(&args.id).await?;
    if args.json {
        return print_json(&answer);
    }
    print(format!("{} removed", args.id))
}
