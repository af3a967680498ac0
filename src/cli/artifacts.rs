//! `airlock artifacts`: tool responses that were too large for a program, and the images, sounds
//! and blobs in responses.

use std::{io::Write, path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand};

use super::{
    args::{ID, One, Page, Query},
    client::Client,
    connection::{Connection, Need},
    ids,
    list::{self, Items, List},
    screen::{age, escaped, heading, print, print_json, with_id},
    table::{Cell, Column},
};
use crate::{
    app::Failure, base::plural::counted, config::Config, model::IdKind, service::view::Artifact,
};

/// The columns of the list.
const COLUMNS: [Column; 6] = [
    Column::whole("ID"),
    Column::whole("KIND"),
    Column::number("BYTES"),
    Column::number("LINES"),
    Column::whole("CREATED"),
    Column::text("TOOL", usize::MAX),
];

/// The commands on artifacts.
#[derive(Debug, Subcommand)]
pub(super) enum ArtifactsCommand {
    /// List artifacts, newest first
    List(Page),
    /// Show one artifact: its kind, its size, and how its text begins
    Show(One),
    /// Write the whole text of one artifact, or the bytes of an image, a sound or a blob, to
    /// standard output or to a file
    Get(GetArgs),
    /// Remove one artifact
    Remove(One),
}

/// Arguments of `artifacts get`.
#[derive(Debug, Args)]
pub(super) struct GetArgs {
    #[arg(help = ID)]
    id: String,
    /// Write to this file, which is created or overwritten
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
    .map_err(|failure| ids::located(failure, &config))
    .map(|()| ExitCode::SUCCESS)
}

async fn list(client: &Client, page: &Page) -> Result<(), Failure> {
    let list = List {
        id: |artifact: &Artifact| artifact.id.to_string(),
        empty: "no artifacts",
        lines: &mut list::rows(&COLUMNS, cells),
    };
    let fetch = async |query: &Query| {
        let answer = client.artifacts(query).await?;
        Ok(Items { items: answer.artifacts, next_cursor: answer.next_cursor })
    };
    list.show(page, fetch).await.map(drop)
}

fn cells(artifact: &Artifact) -> Vec<Cell> {
    vec![
        artifact.id.to_string().into(),
        artifact.kind.as_str().into(),
        artifact.bytes.to_string().into(),
        artifact.lines.to_string().into(),
        age(artifact.created_at).into(),
        artifact.tool.as_str().into(),
    ]
}

async fn show(client: &Client, args: One) -> Result<(), Failure> {
    let id = ids::whole(client, IdKind::Artifact, &args.id).await?;
    let artifact = client.artifact(&id).await?;
    if args.output.json {
        return print_json(&with_id(artifact.id, &artifact));
    }
    let Artifact { kind, bytes, lines, created_at, expires_at, .. } = &artifact;
    let about = match &artifact.mime_type {
        None => {
            format!("{}, {}, {}", kind.as_str(), counted(*bytes, "byte"), counted(*lines, "line"))
        }
        Some(mime_type) => {
            format!("{}, {}, {}", kind.as_str(), escaped(mime_type), counted(*bytes, "byte"))
        }
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
    let id = ids::whole(client, IdKind::Artifact, &args.id).await?;
    match args.output {
        None => client.artifact_content(&id, &mut std::io::stdout()).await,
        Some(path) => {
            let failed = |error: std::io::Error| {
                Failure::other(format!("`{}` cannot be written: {error}", path.display()))
            };
            let mut file = std::fs::File::create(&path).map_err(failed)?;
            client.artifact_content(&id, &mut file).await?;
            file.flush().map_err(failed)
        }
    }
}

async fn remove(client: &Client, args: One) -> Result<(), Failure> {
    let id = ids::whole(client, IdKind::Artifact, &args.id).await?;
    let removed = client.remove_artifact(&id).await?;
    if args.output.json {
        return print_json(&serde_json::to_value(removed).expect("it has string keys"));
    }
    print(format!("{id} removed"))
}
