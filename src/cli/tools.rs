//! `airlock tools`: the tools that code may call.

use std::{io::Read, process::ExitCode, time::Duration};

use clap::{Args, Subcommand};
use serde_json::Value;

use super::{
    args::{OUTPUT, Output, Page, Query, json_option},
    client::Client,
    connection::{Connection, Need},
    list::{Items, List},
    run,
    screen::{self, dim, heading, note, print, print_json, with_id},
};
use crate::{
    app::{Exit, Failure},
    base::{integers::may_be_unsafe, plural::counted},
    config::Config,
    model::ErrorCode,
    service::{
        Execute,
        view::{TaskRecord, ToolRow, Upstream},
    },
};

/// Largest arguments of a call by hand, in bytes; they are part of a program, which has a bound of
/// its own.
const ARGS_BYTES_MAX: u64 = 200 * 1024;

/// Age of the state that a server tells of itself, and a little more.
const HEALTH_AGE_MAX: Duration = Duration::from_millis(1200);

/// The commands on tools.
#[derive(Debug, Subcommand)]
pub(super) enum ToolsCommand {
    /// List tools, with what the policy says about calls of them: allow, ask or deny
    List(ListArgs),
    /// Find tools by words
    Search(SearchArgs),
    /// Show one tool: its TypeScript and its schemas
    #[command(visible_aliases = ["show", "get"])]
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
    #[command(flatten)]
    page: Page,
}

/// Arguments of `tools search`.
#[derive(Debug, Args)]
pub(super) struct SearchArgs {
    /// Words that say what the tool does
    #[arg(required = true)]
    query: Vec<String>,
    #[command(flatten)]
    list: ListArgs,
}

/// Arguments of `tools describe`.
#[derive(Debug, Args)]
pub(super) struct DescribeArgs {
    /// The tool's path, as `tools list` prints it
    path: String,
    #[command(flatten)]
    output: Output,
}

/// Arguments of `tools call`.
#[derive(Debug, Args)]
pub(super) struct CallArgs {
    /// The tool's path, as `tools list` prints it
    path: String,
    /// Its arguments, as a JSON object; `-` reads them from standard input
    #[arg(long, value_name = "JSON", default_value = "{}")]
    args: String,
    /// Time limit of the call, in milliseconds, 1 to 600000
    #[arg(long, value_name = "MS")]
    timeout_ms: Option<u64>,
    #[command(flatten)]
    input: run::Input,
    /// Print the whole record as JSON instead of the result
    #[arg(long, help_heading = OUTPUT)]
    json: bool,
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
    /// The upstream's name; without it, all upstreams are asked
    upstream: Option<String>,
    #[command(flatten)]
    output: Output,
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
    let done = Connection::ask(&config, Need::Tools, async |client| match command {
        ToolsCommand::Call(_) => unreachable!("was done above"),
        ToolsCommand::Types(args) => client
            .tool_types(args.namespace.as_deref())
            .await
            .and_then(|types| print(screen::plain(types.trim_end())))
            .map(|()| ExitCode::SUCCESS),
        ToolsCommand::Refresh(args) => refresh(client, args).await.map(|()| ExitCode::SUCCESS),
        ToolsCommand::List(args) => list(client, args, None).await,
        ToolsCommand::Search(args) => list(client, args.list, Some(args.query.join(" "))).await,
        ToolsCommand::Describe(args) => describe(client, args).await.map(|()| ExitCode::SUCCESS),
    });
    done.await
}

/// Lists, and exits with 69 where an upstream that may have more has failed.
async fn list(client: &Client, args: ListArgs, words: Option<String>) -> Result<ExitCode, Failure> {
    let mut filter = vec![];
    filter.extend(words.map(|words| ("query", words)));
    filter.extend(args.namespace.clone().map(|namespace| ("namespace", namespace)));
    let upstreams = client.health().await?.upstreams;
    let list = List {
        id: |tool: &ToolRow| tool.path.clone(),
        empty: match upstreams.is_empty() {
            true => "no tools: no upstream is configured; `airlock upstreams add URL` adds one",
            false => "no tools",
        },
        lines: &mut |tools: &[ToolRow], _| tools.iter().map(row).collect(),
    };
    let fetch = async |page: &Query| {
        let answer = client.tools(&[page, filter.as_slice()].concat()).await?;
        Ok(Items { items: answer.results, next_cursor: answer.next_cursor })
    };
    list.show(&args.page, fetch).await?;
    // Looked at afterwards: the list waits for upstreams that are connecting.
    let failed = failed_upstreams(client, args.namespace.as_deref()).await?;
    for failure in &failed {
        failure.report(args.page.json);
    }
    Ok(match failed.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(Exit::Unavailable as u8),
    })
}

/// A failure for each upstream that is down, of those with tools in the namespace.
async fn failed_upstreams(
    client: &Client,
    namespace: Option<&str>,
) -> Result<Vec<Failure>, Failure> {
    let first = namespace.map(|namespace| namespace.split('.').next().unwrap_or_default());
    let is_wanted = |upstream: &Upstream| first.is_none_or(|first| first == upstream.name);
    let of = |Upstream { name, status, tools, message, .. }: Upstream| {
        let why = message.unwrap_or_else(|| "it did not answer in time".into());
        let known = match (status.as_str(), tools) {
            ("connecting", _) => "is still connecting",
            (_, 0) => "failed, and its tools are not known",
            _ => "failed, and its tools are listed as they were last known",
        };
        Failure::unavailable(screen::plain(&format!("the upstream `{name}` {known}: {why}")))
            .coded(ErrorCode::UpstreamUnavailable.as_str())
            .hint(format!("`airlock upstreams check {name}` connects to it"))
    };
    let mut upstreams = client.health().await?.upstreams;
    if upstreams.iter().any(|upstream| upstream.status == "connecting" && is_wanted(upstream)) {
        // What was said may be from before the list was waited for.
        tokio::time::sleep(HEALTH_AGE_MAX).await;
        upstreams = client.health().await?.upstreams;
    }
    Ok(upstreams
        .into_iter()
        .filter(|upstream| upstream.status != "ready" && is_wanted(upstream))
        .map(of)
        .collect())
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
    if args.output.json {
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
            "{}  {}  {}{message}",
            heading(screen::plain(name)),
            screen::status(status),
            counted(*tools, "tool"),
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
    let verdict = tool.verdict.as_deref().unwrap_or("allow");
    let verdict = screen::in_colour_of(verdict, &format!("{verdict:<5}"));
    let path = heading(screen::line(&tool.path, columns.saturating_sub(6)));
    format!("{verdict} {path}\n    {hint}\n    {}{}", dim(description), down.unwrap_or_default())
}

async fn describe(client: &Client, args: DescribeArgs) -> Result<(), Failure> {
    let tool = client.tool(&args.path).await?;
    if args.output.json {
        return print_json(&with_id(&tool.path, &tool));
    }
    print(heading(screen::plain(&tool.path)).to_string())?;
    if let Some(verdict) = &tool.verdict {
        let means = match verdict.as_str() {
            "deny" => "policy denies every call, and agents do not see the tool",
            "ask" => "a call waits for your approval",
            _ => "a call needs no approval, as far as the policy can say without its arguments",
        };
        print(format!("{}: {means}", screen::in_colour_of(verdict, verdict)))?;
    }
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
