//! `airlock tools`: what code may call, by hand.

use std::{process::ExitCode, sync::Arc};

use clap::{Args, Subcommand};
use serde_json::Value;

use super::{
    Application, Failure,
    client::Client,
    connection::{Connection, Need},
    screen::{self, dim, heading, note, print, print_json, with_id},
};
use crate::config::Config;

/// What to do with tools.
#[derive(Debug, Subcommand)]
pub(super) enum ToolsCommand {
    /// List tools
    List(ListArgs),
    /// Find tools by words
    Search(SearchArgs),
    /// Show one tool: its TypeScript and its schemas
    Describe(DescribeArgs),
}

/// Which tools.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only tools of this upstream
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    /// How many, 1 to 200
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
    /// Where the page before ended
    #[arg(long)]
    cursor: Option<String>,
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

/// What to look for.
#[derive(Debug, Args)]
pub(super) struct SearchArgs {
    /// Words
    #[arg(required = true)]
    query: Vec<String>,
    #[command(flatten)]
    list: ListArgs,
}

/// Which tool.
#[derive(Debug, Args)]
pub(super) struct DescribeArgs {
    /// Its path, as `tools list` gives it
    path: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Does it.
pub(super) async fn perform(
    command: ToolsCommand,
    config: Config,
    application: &Arc<dyn Application>,
) -> Result<ExitCode, Failure> {
    let connection = Connection::open(&config, application, Need::Tools).await?;
    let done = match command {
        ToolsCommand::List(args) => list(&connection.client, args, None).await,
        ToolsCommand::Search(args) => list(&connection.client, args.list, Some(args.query.join(" "))).await,
        ToolsCommand::Describe(args) => describe(&connection.client, args).await,
    };
    connection.close().await?;
    done.map(|()| ExitCode::SUCCESS)
}

async fn list(client: &Client, args: ListArgs, query: Option<String>) -> Result<(), Failure> {
    let limit = args.limit.to_string();
    let mut asked = vec![("limit", limit.as_str())];
    asked.extend(query.as_deref().map(|query| ("query", query)));
    asked.extend(args.namespace.as_deref().map(|namespace| ("namespace", namespace)));
    asked.extend(args.cursor.as_deref().map(|cursor| ("cursor", cursor)));
    let mut answer = client.list("tools", &asked).await?;
    let tools = answer["results"].as_array_mut().map(std::mem::take).unwrap_or_default();
    if args.json {
        print_json(&tools.into_iter().map(|tool| with_id(tool, "path")).collect())?;
    } else if tools.is_empty() {
        note("no tools; `airlock doctor` tells how the upstreams are");
    } else {
        tools.iter().try_for_each(|tool| print(row(tool)))?;
    }
    if let Some(cursor) = answer["nextCursor"].as_str() {
        note(dim(format!("more ({} in all): --cursor {cursor}", answer["total"])).for_stderr().to_string());
    }
    Ok(())
}

fn row(tool: &Value) -> String {
    let text = |key: &str| tool[key].as_str().unwrap_or_default();
    let columns = screen::width().saturating_sub(4);
    let hint = screen::line(text("hint"), columns);
    let description = screen::line(text("description"), columns);
    format!("{}\n    {hint}\n    {}", heading(screen::line(text("path"), columns)), dim(description))
}

async fn describe(client: &Client, args: DescribeArgs) -> Result<(), Failure> {
    let tool = client.tool(&args.path).await?;
    if args.json {
        return print_json(&with_id(tool, "path"));
    }
    print(heading(screen::plain(tool["path"].as_str().unwrap_or(&args.path))).to_string())?;
    print(screen::plain(tool["description"].as_str().unwrap_or_default().trim()))?;
    print(format!("\n{}", screen::plain(tool["typescript"].as_str().unwrap_or_default().trim())))?;
    for (key, title) in [("inputSchema", "arguments"), ("outputSchema", "result")] {
        if tool[key].is_object() {
            print(format!("\n{}\n{}", heading(title), screen::plain(&screen::pretty(&tool[key]))))?;
        }
    }
    Ok(())
}
