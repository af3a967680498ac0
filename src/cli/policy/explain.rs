//! `airlock policy explain` and `show`: what the policy in force says, by the server that holds it.

use std::{process::ExitCode, sync::Arc};

use clap::Args;
use serde_json::{Value, json};

use super::text;
use crate::{
    cli::{
        Application, Failure,
        connection::{Connection, Need},
        screen::{self, dim, heading, in_colour_of, print, print_json},
    },
    config::Config,
};

/// The arguments of `policy explain`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ExplainArgs {
    /// The tool, by its address
    tool: String,
    /// The arguments, as a JSON object
    #[arg(long, value_name = "JSON", default_value = "{}")]
    args: String,
    /// Who calls: the label of a key, or parts such as `key:ci,workspace:team,principal:ann,role:agent,session:s`
    #[arg(long = "as", value_name = "KEY")]
    caller: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// How to show the policy in force.
#[derive(Debug, Args)]
pub(in crate::cli) struct ShowArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Asks, and prints every step to the answer.
pub(super) async fn perform(args: ExplainArgs, config: &Config, application: &Arc<dyn Application>) -> Result<ExitCode, Failure> {
    // The text itself goes to the server: what is odd about it is the policy's to judge.
    let arguments: Box<serde_json::value::RawValue> =
        serde_json::from_str(&args.args).map_err(|error| Failure::other(format!("`--args` is not JSON: {error}")))?;
    let caller = args.caller.as_deref().map(caller).transpose()?.unwrap_or_else(|| json!({}));
    let asked = json!({ "tool": args.tool, "args": arguments, "as": caller });
    let connection = Connection::open(config, application, Need::Tools).await?;
    let answer = connection.client.policy_question("explain", &asked).await;
    connection.close().await?;
    let answer = answer?;
    if args.json {
        print_json(&answer)?;
    } else {
        print(screen::plain(text(&answer, "text")))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// `ci` is a key; `key:ci,role:agent` says more.
fn caller(asked: &str) -> Result<Value, Failure> {
    let mut caller = json!({});
    for part in asked.split(',') {
        let (what, name) = part.split_once(':').unwrap_or(("key", part));
        if !["key", "workspace", "principal", "role", "session"].contains(&what) || name.is_empty() {
            let message = format!("`--as {asked}` says nothing that is known: `{part}`");
            return Err(Failure::other(message)
                .hint("write the label of a key, or `key:`, `workspace:`, `principal:`, `role:`, `session:` with a name"));
        }
        caller[what] = name.into();
    }
    Ok(caller)
}

/// Shows what is in force.
pub(super) async fn show(args: &ShowArgs, config: &Config, application: &Arc<dyn Application>) -> Result<ExitCode, Failure> {
    let connection = Connection::open(config, application, Need::Record).await?;
    let answer = connection.client.policy().await;
    connection.close().await?;
    let answer = answer?;
    if args.json {
        print_json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let status = text(&answer, "status");
    print(format!("{} {}", heading(text(&answer, "revision")), in_colour_of(status, status)))?;
    print(format!("profile {}", text(&answer, "profile")))?;
    for layer in answer["layers"].as_array().into_iter().flatten() {
        let upstream = layer["upstream"].as_str().map(|name| format!(", tools of `{name}`")).unwrap_or_default();
        print(screen::plain(&format!("{} {}{upstream}", text(layer, "path"), dim(text(layer, "scope")))))?;
    }
    for problem in answer["problems"].as_array().into_iter().flatten() {
        print(format!("{} {}", in_colour_of("failed", "not in force:"), screen::plain(problem.as_str().unwrap_or_default())))?;
    }
    Ok(ExitCode::SUCCESS)
}
