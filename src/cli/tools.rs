//! `airlock tools`: the tools that code may call.

use std::{io::Read, process::ExitCode};

use clap::{Args, Subcommand};
use serde_json::Value;

use super::{
    args::json_option,
    client::Client,
    connection::{Connection, Need},
    run,
    screen::{self, dim, heading, note, print, print_json, with_id},
};
use crate::{
    app::Failure,
    base::integers::may_be_unsafe,
    config::Config,
    service::{
        Execute,
        view::{TaskRecord, ToolRow, Upstream},
    },
};

/// Largest arguments of a call by hand, in bytes; they are part of a program, which has a bound of
/// its own.
const ARGS_BYTES_MAX: u64 = 200 * 1024;

/// The commands on tools.
#[derive(Debug, Subcommand)]
pub(super) enum ToolsCommand {
    /// List tools
    List(ListArgs),
    /// Find tools by words
    Search(SearchArgs),
    /// Show one tool: its TypeScript and its schemas
    Describe(DescribeArgs),
    /// Call one tool as a program does, under policy and on record; exits with the task's exit
    /// code
    Call(CallArgs),
    /// Print TypeScript declarations of all tools, for an editor: `airlock tools types >
    /// tools.d.ts`
    Types(TypesArgs),
    /// Ask one upstream, or all, for their tools again
    Refresh(RefreshArgs),
}

/// Arguments of `tools list`.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only tools of this upstream
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    /// Tools in the page, 1 to 200
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
    /// Cursor of the page, from the page before
    #[arg(long)]
    cursor: Option<String>,
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

/// Arguments of `tools search`.
#[derive(Debug, Args)]
pub(super) struct SearchArgs {
    /// Words
    #[arg(required = true)]
    query: Vec<String>,
    #[command(flatten)]
    list: ListArgs,
}

/// Arguments of `tools describe`.
#[derive(Debug, Args)]
pub(super) struct DescribeArgs {
    /// Its path, as `tools list` gives it
    path: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `tools call`.
#[derive(Debug, Args)]
pub(super) struct CallArgs {
    /// The tool's path, as `tools list` gives it
    path: String,
    /// Its arguments, a JSON object; `-` reads it from standard input
    #[arg(long, value_name = "JSON", default_value = "{}")]
    args: String,
    /// Print the whole record as JSON instead of the result
    #[arg(long)]
    json: bool,
    /// Time limit of the call, in milliseconds, 1 to 600000
    #[arg(long, value_name = "MS")]
    timeout_ms: Option<u64>,
    #[command(flatten)]
    input: run::Input,
}

/// Arguments of `tools types`.
#[derive(Debug, Args)]
pub(super) struct TypesArgs {
    /// Only tools of this upstream, or below this path
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
}

/// Arguments of `tools refresh`.
#[derive(Debug, Args)]
pub(super) struct RefreshArgs {
    /// The upstream; all of them without one
    upstream: Option<String>,
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

/// Performs the command.
pub(super) async fn perform(command: ToolsCommand, config: Config) -> Result<ExitCode, Failure> {
    if let ToolsCommand::Call(args) = command {
        let request = Execute {
            code: program(&args.path, &args.args)?,
            timeout_ms: args.timeout_ms,
            ..Execute::default()
        };
        let shape = run::Shape { json: args.json, input: args.input, adapt: for_people };
        return run::program(request, shape, &config).await;
    }
    let hint = match config.upstreams.is_empty() {
        true => "no upstreams are configured; `airlock upstreams add …` adds one",
        false => "no tools; `airlock doctor` shows the status of the upstreams",
    };
    Connection::ask(&config, Need::Tools, async |client| match command {
        ToolsCommand::Call(_) => unreachable!("was done above"),
        ToolsCommand::Types(args) => client
            .tool_types(args.namespace.as_deref())
            .await
            .and_then(|types| print(screen::plain(types.trim_end()))),
        ToolsCommand::Refresh(args) => refresh(client, args).await,
        ToolsCommand::List(args) => list(client, args, None, hint).await,
        ToolsCommand::Search(args) => {
            list(client, args.list, Some(args.query.join(" ")), hint).await
        }
        ToolsCommand::Describe(args) => describe(client, args).await,
    })
    .await
    .map(|()| ExitCode::SUCCESS)
}

async fn list(
    client: &Client,
    args: ListArgs,
    words: Option<String>,
    hint: &str,
) -> Result<(), Failure> {
    let mut query = vec![("limit", args.limit.to_string())];
    query.extend(words.map(|words| ("query", words)));
    query.extend(args.namespace.map(|namespace| ("namespace", namespace)));
    query.extend(args.cursor.map(|cursor| ("cursor", cursor)));
    let page = client.tools(&query).await?;
    if args.json {
        print_json(&page.results.iter().map(|tool| with_id(&tool.path, tool)).collect())?;
    } else if page.results.is_empty() {
        note(hint);
    } else {
        page.results.iter().try_for_each(|tool| print(row(tool)))?;
    }
    if let Some(cursor) = page.next_cursor {
        let more = format!("more ({} in all): --cursor {cursor}", page.total);
        note(dim(more).for_stderr().to_string());
    }
    Ok(())
}

/// A program of one line that makes the call. Both strings are data in it, whatever they hold.
fn program(path: &str, args: &str) -> Result<String, Failure> {
    let mut read = String::new();
    if args == "-" {
        let stdin = std::io::stdin().lock().take(ARGS_BYTES_MAX + 1).read_to_string(&mut read);
        stdin.map_err(|error| Failure::other(format!("standard input cannot be read: {error}")))?;
    }
    let args = if args == "-" { read.as_str() } else { args };
    if args.len() as u64 > ARGS_BYTES_MAX {
        return Err(Failure::other(format!(
            "the arguments are larger than {ARGS_BYTES_MAX} bytes"
        ))
        .hint("write a program for `airlock run`"));
    }
    json_option::<serde::de::IgnoredAny>("--args", args)
        .map_err(|refused| refused.hint(r#"for example: --args '{"id": 7}'"#))?;
    let (path, json) = (Value::from(path), Value::from(args));
    Ok(match may_be_unsafe(args.as_bytes()) {
        false => format!("return await tools[{path}](JSON.parse({json}))"),
        // Integers that a JavaScript number would round become bigints.
        true => format!(
            "const exact = (key, value, {{ source }}) => typeof value === 'number' && \
                /^-?\\d+$/.test(source) && !Number.isSafeInteger(value) ? BigInt(source) : value; \
                return await tools[{path}](JSON.parse({json}, exact))"
        ),
    })
}

/// Adapts the error of a call to the person who made it: the program is ours, and the next steps
/// are commands.
fn for_people(record: &mut TaskRecord) {
    let Some(error) = &mut record.outcome.error else { return };
    (error.line, error.column, error.frame) = (None, None, None);
    let hint = match error.name.as_str() {
        "ToolNotFoundError" => {
            let message = error.message.split("; find one with await ").next().unwrap_or_default();
            error.message = message.replace("`tools.", "`");
            "`airlock tools search WORDS` finds tools, `airlock tools list` shows all"
        }
        "ToolArgumentError" => {
            "`airlock tools describe PATH` shows what the tool takes; give it with `--args JSON`"
        }
        _ => return,
    };
    error.hint = Some(hint.into());
}

async fn refresh(client: &Client, args: RefreshArgs) -> Result<(), Failure> {
    let upstreams = client.refresh(args.upstream.as_deref()).await?.results;
    if args.json {
        return print_json(
            &upstreams.iter().map(|upstream| with_id(&upstream.name, upstream)).collect(),
        );
    }
    if upstreams.is_empty() {
        note("no upstreams are configured");
    }
    upstreams.iter().try_for_each(|upstream| {
        let Upstream { name, status, tools, message, .. } = upstream;
        let message = message
            .as_deref()
            .map(|message| format!("  {}", dim(screen::plain(message))))
            .unwrap_or_default();
        print(format!(
            "{}  {}  {tools} tools{message}",
            heading(screen::plain(name)),
            screen::status(status)
        ))
    })
}

fn row(tool: &ToolRow) -> String {
    let columns = screen::width().saturating_sub(4);
    let hint = screen::line(&tool.hint, columns);
    let description = screen::line(&tool.description, columns);
    let down = tool
        .unavailable
        .as_deref()
        .map(|why| format!("\n    {} {}", screen::status("failed"), screen::line(why, columns)));
    let path = heading(screen::line(&tool.path, columns));
    format!("{path}\n    {hint}\n    {}{}", dim(description), down.unwrap_or_default())
}

async fn describe(client: &Client, args: DescribeArgs) -> Result<(), Failure> {
    let tool = client.tool(&args.path).await?;
    if args.json {
        return print_json(&with_id(&tool.path, &tool));
    }
    print(heading(screen::plain(&tool.path)).to_string())?;
    print(screen::plain(tool.description.trim()))?;
    if let Some(why) = &tool.unavailable {
        print(format!("{} {}", screen::status("failed"), screen::plain(why)))?;
    }
    print(format!("\n{}", screen::plain(tool.typescript.trim())))?;
    let schemas =
        [("arguments", Some(&tool.input_schema)), ("result", tool.output_schema.as_ref())];
    for (title, schema) in schemas {
        if let Some(schema) = schema.filter(|schema| schema.is_object()) {
            print(format!("\n{}\n{}", heading(title), screen::plain(&screen::pretty(schema))))?;
        }
    }
    Ok(())
}
