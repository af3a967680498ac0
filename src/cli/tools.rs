//! `airlock tools`: what code may call, by hand.

use std::{io::Read, process::ExitCode, sync::Arc};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    Application, Failure,
    client::Client,
    connection::{Connection, Need},
    run,
    screen::{self, dim, heading, note, print, print_json, with_id},
};
use crate::config::Config;

/// Largest arguments of a call by hand, in bytes; they are part of a program, which has a bound of
/// its own.
const ARGS_BYTES_MAX: u64 = 200 * 1024;

/// What to do with tools.
#[derive(Debug, Subcommand)]
pub(super) enum ToolsCommand {
    /// List tools
    List(ListArgs),
    /// Find tools by words
    Search(SearchArgs),
    /// Show one tool: its TypeScript and its schemas
    Describe(DescribeArgs),
    /// Call one tool, the way a program does: rules and record apply; exits with the task's exit
    /// code
    Call(CallArgs),
    /// Print TypeScript declarations of all tools, for an editor: `airlock tools types >
    /// tools.d.ts`
    Types(TypesArgs),
    /// Ask one upstream, or all, for their tools again
    Refresh(RefreshArgs),
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

/// What to call.
#[derive(Debug, Args)]
pub(super) struct CallArgs {
    /// The tool's path, as `tools list` gives it
    path: String,
    /// Its arguments, a JSON object; `-` reads it from standard input
    #[arg(long, value_name = "JSON", default_value = "{}")]
    args: String,
    /// Print the whole answer as JSON instead of the result
    #[arg(long)]
    json: bool,
    /// How long the call may take, in milliseconds, 1 to 600000
    #[arg(long, value_name = "MS")]
    timeout_ms: Option<u64>,
}

/// Which tools to declare.
#[derive(Debug, Args)]
pub(super) struct TypesArgs {
    /// Only tools of this upstream, or below this path
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
}

/// Whom to ask.
#[derive(Debug, Args)]
pub(super) struct RefreshArgs {
    /// The upstream; all of them without one
    upstream: Option<String>,
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

/// Does it.
pub(super) async fn perform(
    command: ToolsCommand,
    config: Config,
    application: &Arc<dyn Application>,
) -> Result<ExitCode, Failure> {
    if let ToolsCommand::Call(args) = command {
        let mut request = json!({ "code": program(&args.path, &args.args)? });
        if let Some(ms) = args.timeout_ms {
            request["timeoutMs"] = ms.into();
        }
        return run::program(request, args.json, by_hand, &config, application).await;
    }
    Connection::ask(&config, application, Need::Tools, async |client| match command {
        ToolsCommand::Call(_) => unreachable!("was done above"),
        ToolsCommand::Types(args) => client
            .tool_types(args.namespace.as_deref())
            .await
            .and_then(|types| print(screen::plain(types.trim_end()))),
        ToolsCommand::Refresh(args) => refresh(client, args).await,
        ToolsCommand::List(args) => list(client, args, None).await,
        ToolsCommand::Search(args) => list(client, args.list, Some(args.query.join(" "))).await,
        ToolsCommand::Describe(args) => describe(client, args).await,
    })
    .await
    .map(|()| ExitCode::SUCCESS)
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
        note(
            dim(format!("more ({} in all): --cursor {cursor}", answer["total"]))
                .for_stderr()
                .to_string(),
        );
    }
    Ok(())
}

/// A program of one line that makes the call. Both texts are data in it, whatever they hold.
fn program(path: &str, args: &str) -> Result<String, Failure> {
    let mut read = String::new();
    if args == "-" {
        let stdin = std::io::stdin().lock().take(ARGS_BYTES_MAX + 1).read_to_string(&mut read);
        stdin.map_err(|error| Failure::other(format!("standard input cannot be read: {error}")))?;
    }
    let args = if args == "-" { read.as_str() } else { args };
    if args.len() as u64 > ARGS_BYTES_MAX {
        return Err(Failure::other(format!("the arguments have more than {ARGS_BYTES_MAX} bytes"))
            .hint("write a program for `airlock run`"));
    }
    if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(args) {
        return Err(Failure::other(format!("`--args` is not JSON: {error}"))
            .hint(r#"for example: --args '{"id": 7}'"#));
    }
    Ok(format!("return await tools[{}](JSON.parse({}))", Value::from(path), Value::from(args)))
}

/// Errors of a call by hand, for the person who made it: the program is ours, and what it could do
/// next are commands.
fn by_hand(answer: &mut Value) {
    let Some(error) = answer["error"].as_object_mut() else { return };
    ["line", "column", "frame"].iter().for_each(|key| drop(error.remove(*key)));
    let message = error["message"].as_str().unwrap_or_default();
    let hint = match error["name"].as_str() {
        Some("ToolNotFoundError") => {
            let message = message
                .split("; find one with await ")
                .next()
                .unwrap_or_default()
                .replace("`tools.", "`");
            error["message"] = message.into();
            "`airlock tools search WORDS` finds tools, `airlock tools list` shows all"
        }
        Some("ToolArgumentError") => {
            "`airlock tools describe PATH` shows what the tool takes; give it with `--args JSON`"
        }
        _ => return,
    };
    error.insert("hint".into(), hint.into());
}

async fn refresh(client: &Client, args: RefreshArgs) -> Result<(), Failure> {
    let mut answer = client.refresh(args.upstream.as_deref()).await?;
    let upstreams = answer["results"].as_array_mut().map(std::mem::take).unwrap_or_default();
    if args.json {
        return print_json(
            &upstreams.into_iter().map(|upstream| with_id(upstream, "name")).collect(),
        );
    }
    if upstreams.is_empty() {
        note("no upstreams are configured");
    }
    upstreams.iter().try_for_each(|upstream| {
        let text = |key: &str| screen::plain(upstream[key].as_str().unwrap_or_default());
        let message = Some(text("message")).filter(|message| !message.is_empty());
        let message = message.map(|message| format!("  {}", dim(message))).unwrap_or_default();
        print(format!(
            "{}  {}  {} tools{message}",
            heading(text("name")),
            screen::status(&text("status")),
            upstream["tools"]
        ))
    })
}

fn row(tool: &Value) -> String {
    let text = |key: &str| tool[key].as_str().unwrap_or_default();
    let columns = screen::width().saturating_sub(4);
    let hint = screen::line(text("hint"), columns);
    let description = screen::line(text("description"), columns);
    let down = tool["unavailable"]
        .as_str()
        .map(|why| format!("\n    {} {}", screen::status("failed"), screen::line(why, columns)));
    let path = heading(screen::line(text("path"), columns));
    format!("{path}\n    {hint}\n    {}{}", dim(description), down.unwrap_or_default())
}

async fn describe(client: &Client, args: DescribeArgs) -> Result<(), Failure> {
    let tool = client.tool(&args.path).await?;
    if args.json {
        return print_json(&with_id(tool, "path"));
    }
    print(heading(screen::plain(tool["path"].as_str().unwrap_or(&args.path))).to_string())?;
    print(screen::plain(tool["description"].as_str().unwrap_or_default().trim()))?;
    if let Some(why) = tool["unavailable"].as_str() {
        print(format!("{} {}", screen::status("failed"), screen::plain(why)))?;
    }
    print(format!("\n{}", screen::plain(tool["typescript"].as_str().unwrap_or_default().trim())))?;
    for (key, title) in [("inputSchema", "arguments"), ("outputSchema", "result")] {
        if tool[key].is_object() {
            print(format!("\n{}\n{}", heading(title), screen::plain(&screen::pretty(&tool[key]))))?;
        }
    }
    Ok(())
}
