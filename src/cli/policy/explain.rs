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
    /// Who calls: the label of a key, or parts such as
    /// `key:ci,workspace:team,principal:ann,role:agent,session:s`
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
pub(super) async fn perform(
    args: ExplainArgs,
    config: &Config,
    application: &Arc<dyn Application>,
) -> Result<ExitCode, Failure> {
    // The text itself goes to the server: what is odd about it is the policy's to judge.
    let arguments: Box<serde_json::value::RawValue> = serde_json::from_str(&args.args)
        .map_err(|error| Failure::other(format!("`--args` is not JSON: {error}")))?;
    let caller = args.caller.as_deref().map(caller).transpose()?.unwrap_or_else(|| json!({}));
    let asked = json!({ "tool": args.tool, "args": arguments, "as": caller });
    let answer = Connection::ask(config, application, Need::Tools, async |client| {
        client.policy_question("explain", &asked).await
    })
    .await?;
    if args.json {
        print_json(&answer)?;
    } else {
        tell(&answer)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// For reading in seconds: the answer and its reason, then who was asked, then how much is left.
fn tell(answer: &Value) -> Result<(), Failure> {
    let status = text(answer, "status");
    let colour = match status {
        "allow" => "approved",
        "deny" => "denied",
        _ => "warning",
    };
    let full =
        answer["holds"].as_array().into_iter().flatten().any(|hold| hold["admitted"] == false);
    let now = if full && status != "deny" { "; but a limit of it is full now" } else { "" };
    let head =
        format!("{}: {}{now}", text(answer, "tool"), screen::line(&reason(answer), usize::MAX));
    print(format!("{} {}", in_colour_of(colour, &status.to_uppercase()), screen::plain(&head)))?;
    print(screen::plain(&format!(
        "class {} ({})",
        text(answer, "class"),
        text(answer, "classSource")
    )))?;
    let steps = answer["steps"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut layers: Vec<&str> = vec![];
    layers.extend(steps.iter().map(|step| text(step, "layer")).filter(|layer| !layer.is_empty()));
    // In the order in which they first spoke.
    let mut seen = std::collections::BTreeSet::new();
    layers.retain(|layer| seen.insert(*layer));
    for layer in layers {
        print(format!("\n{}", heading(screen::plain(layer))))?;
        steps
            .iter()
            .filter(|step| text(step, "layer") == layer)
            .try_for_each(|step| print(row(step)))?;
    }
    let dropped = answer["stepsDropped"].as_u64().filter(|dropped| *dropped > 0);
    dropped.map_or(Ok(()), |dropped| print(format!("and {dropped} steps more")))?;
    let holds = answer["holds"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !holds.is_empty() {
        print(format!("\n{}", heading("limits, as they are now")))?;
        holds.iter().try_for_each(|hold| print(limit(hold)))?;
    }
    for finding in answer["shadow"].as_array().into_iter().flatten() {
        let rule = text(&finding["rule"], "name");
        print(screen::plain(&format!(
            "\nonly recorded: rule `{rule}` would {}: {}",
            text(finding, "would"),
            text(finding, "message")
        )))?;
    }
    Ok(())
}

/// Who gave the answer, where it stands, and what it says.
fn reason(answer: &Value) -> String {
    let (rule, verdict) = (&answer["rule"], &answer["verdict"]);
    let layer = text(rule, "layer");
    let said = [text(verdict, "message"), text(verdict, "reason")]
        .into_iter()
        .find(|said| !said.is_empty())
        .unwrap_or_default();
    let code = Some(text(verdict, "code")).filter(|code| !matches!(*code, "" | "policy_denied"));
    let code = code.map(|code| format!(" ({code})")).unwrap_or_default();
    let Some(line) = answer["line"].as_u64() else {
        let does = match text(answer, "status") {
            "allow" => "allows",
            "ask" => "asks about",
            _ => "refuses",
        };
        return match layer {
            "" => format!("{said}{code}"),
            _ if !code.is_empty() => format!("{layer}{code}: {said}"),
            _ => format!(
                "no file answers, and the {layer} {does} the class {}",
                text(answer, "class")
            ),
        };
    };
    let by = match text(rule, "name") {
        "default" => "`default`".to_owned(),
        name => format!("rule `{name}`"),
    };
    let said = if said.is_empty() { String::new() } else { format!(": {said}") };
    format!("{by} in {layer}:{line}{code}{said}")
}

fn row(step: &Value) -> String {
    let part = |key: &str| screen::line(text(step, key), usize::MAX);
    let name = if text(step, "rule") == text(step, "place") {
        String::new()
    } else {
        format!(" {}", part("rule"))
    };
    let shadow = if step["shadow"] == true { " (only recorded)" } else { "" };
    let outcome = match text(step, "outcome") {
        outcome @ ("deny" | "error" | "fails") => in_colour_of("denied", outcome),
        outcome @ "ask" => in_colour_of("warning", outcome),
        outcome @ "allow" => in_colour_of("approved", outcome),
        outcome => dim(outcome.to_owned()),
    };
    format!("  {}{name}{shadow}: {} → {outcome}", part("place"), part("what"))
}

fn limit(hold: &Value) -> String {
    let number = |key: &str| hold[key].as_f64().unwrap_or_default();
    let window = match text(hold, "window") {
        window @ ("minute" | "hour" | "day" | "task") => format!("this {window}"),
        window => format!("in {window}"),
    };
    let full = if hold["admitted"] == false {
        in_colour_of("denied", "; full")
    } else {
        dim(String::new())
    };
    let name = screen::plain(text(&hold["rule"], "name"));
    format!(
        "  {name}: {} of {} used {window}, this call takes {}{full}",
        number("used"),
        number("max"),
        number("cost")
    )
}

/// `ci` is a key; `key:ci,role:agent` says more.
fn caller(asked: &str) -> Result<Value, Failure> {
    let mut caller = json!({});
    for part in asked.split(',') {
        let (what, name) = part.split_once(':').unwrap_or(("key", part));
        if !["key", "workspace", "principal", "role", "session"].contains(&what) || name.is_empty()
        {
            let message = format!("`--as {asked}` says nothing that is known: `{part}`");
            return Err(Failure::other(message).hint(
                "write the label of a key, or `key:`, `workspace:`, `principal:`, `role:`, \
                    `session:` with a name",
            ));
        }
        caller[what] = name.into();
    }
    Ok(caller)
}

/// Shows what is in force.
pub(super) async fn show(
    args: &ShowArgs,
    config: &Config,
    application: &Arc<dyn Application>,
) -> Result<ExitCode, Failure> {
    let answer =
        Connection::ask(config, application, Need::Record, async |client| client.policy().await)
            .await?;
    if args.json {
        print_json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let status = text(&answer, "status");
    print(format!("{} {}", heading(text(&answer, "revision")), in_colour_of(status, status)))?;
    print(format!("profile {}", text(&answer, "profile")))?;
    for layer in answer["layers"].as_array().into_iter().flatten() {
        let upstream = layer["upstream"]
            .as_str()
            .map(|name| format!(", tools of `{name}`"))
            .unwrap_or_default();
        print(screen::plain(&format!(
            "{} {}{upstream}",
            text(layer, "path"),
            dim(text(layer, "scope"))
        )))?;
    }
    for problem in answer["problems"].as_array().into_iter().flatten() {
        print(format!(
            "{} {}",
            in_colour_of("failed", "not in force:"),
            screen::plain(problem.as_str().unwrap_or_default())
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
