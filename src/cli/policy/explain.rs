//! `airlock policy explain` and `show`: the policy in force and its decisions, from the server.

use std::process::ExitCode;

use clap::Args;

use crate::{
    app::Failure,
    base::plural::counted,
    cli::{
        args::{OUTPUT, json_option},
        connection::{Connection, Need},
        screen::{self, dim, heading, in_colour_of, print, print_json},
        table::{Cell, Column, Table},
    },
    config::Config,
    service::{
        PolicyCaller, PolicyExplain,
        view::{
            PolicyExplanation, PolicyInForce, PolicyLayer, PolicyLimit, PolicyRule, PolicyStep,
            PolicyVerdict,
        },
    },
};

/// The arguments of `policy explain`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ExplainArgs {
    /// The tool, by its path
    tool: String,
    /// The arguments, as a JSON object
    #[arg(long, value_name = "JSON", default_value = "{}")]
    args: String,
    /// The caller: the label of a key, or parts such as
    /// `key:ci,workspace:team,principal:ann,role:agent,session:s`
    #[arg(long = "as", value_name = "KEY")]
    caller: Option<String>,
    /// Print JSON
    #[arg(long, help_heading = OUTPUT)]
    json: bool,
}

/// The arguments of `policy show`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ShowArgs {
    /// Print JSON
    #[arg(long, help_heading = OUTPUT)]
    json: bool,
}

/// The columns of the rules.
const RULE_COLUMNS: [Column; 5] = [
    Column::number("LINE"),
    Column::whole("ACTION"),
    Column::whole("TOOLS"),
    Column::whole("RULE"),
    Column::text("TERMS", usize::MAX),
];

/// Asks, and prints every step to the decision.
pub(super) async fn perform(args: ExplainArgs, config: &Config) -> Result<ExitCode, Failure> {
    // The text itself goes to the server: the policy judges what is odd about it.
    let arguments: Box<serde_json::value::RawValue> = json_option("--args", &args.args)?;
    let caller = args.caller.as_deref().map(caller).transpose()?.unwrap_or_default();
    let request = PolicyExplain { tool: args.tool, args: Some(arguments), caller };
    let explanation =
        Connection::ask(config, Need::Tools, async |client| client.explain(&request).await).await?;
    if args.json {
        print_json(&serde_json::to_value(&explanation).expect("it has string keys"))?;
    } else {
        show_explanation(&explanation)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints the decision and its reason, then the steps of each layer, then limits.
fn show_explanation(explanation: &PolicyExplanation) -> Result<(), Failure> {
    let status = explanation.status.as_str();
    let colour = match status {
        "allow" => "approved",
        "deny" => "denied",
        _ => "warning",
    };
    let full = explanation.holds.iter().any(|limit| !limit.admitted);
    let now = if full && status != "deny" { "; but one of its limits is used up now" } else { "" };
    let reason = screen::line(&reason(explanation), usize::MAX);
    let head = format!("{}: {reason}{now}", explanation.tool);
    print(format!("{} {}", in_colour_of(colour, &status.to_uppercase()), screen::plain(&head)))?;
    print(screen::plain(&format!("class {} ({})", explanation.class, explanation.class_source)))?;
    show_steps(explanation)?;
    if !explanation.holds.is_empty() {
        print(format!("\n{}", heading("limits at present")))?;
        explanation.holds.iter().try_for_each(|hold| print(limit(hold)))?;
    }
    for finding in &explanation.shadow {
        print(screen::plain(&format!(
            "\nonly recorded: rule `{}` would {}: {}",
            finding.rule.name, finding.would, finding.message
        )))?;
    }
    Ok(())
}

/// The steps by layer, in the order in which the layers first had one.
fn show_steps(explanation: &PolicyExplanation) -> Result<(), Failure> {
    let mut layers: Vec<&str> = explanation.steps.iter().map(|step| step.layer.as_str()).collect();
    let mut seen = std::collections::BTreeSet::new();
    layers.retain(|layer| !layer.is_empty() && seen.insert(*layer));
    for layer in layers {
        print(format!("\n{}", heading(screen::plain(layer))))?;
        explanation
            .steps
            .iter()
            .filter(|step| step.layer == layer)
            .try_for_each(|step| print(row(step)))?;
    }
    match explanation.steps_dropped {
        0 => Ok(()),
        dropped => print(format!("and {} more", counted(dropped, "step"))),
    }
}

/// The rule that decides, where it stands, and its message.
fn reason(explanation: &PolicyExplanation) -> String {
    let (layer, name) = explanation
        .rule
        .as_ref()
        .map_or(("", ""), |rule| (rule.layer.as_str(), rule.name.as_str()));
    let (message, code) = match &explanation.verdict {
        PolicyVerdict::Allow => ("", ""),
        PolicyVerdict::Ask { reason, message } => {
            (message.as_deref().filter(|text| !text.is_empty()).unwrap_or(reason), "")
        }
        PolicyVerdict::Deny { code, message, .. } => (message.as_str(), code.as_str()),
    };
    let code = match code {
        "" | "policy_denied" => String::new(),
        code => format!(" ({code})"),
    };
    let Some(line) = explanation.line else {
        let does = match explanation.status.as_str() {
            "allow" => "allows",
            "ask" => "asks about",
            _ => "refuses",
        };
        return match layer {
            "" => format!("{message}{code}"),
            _ if !code.is_empty() => format!("{layer}{code}: {message}"),
            _ => format!("no file decides, and the {layer} {does} the class {}", explanation.class),
        };
    };
    let by = match name {
        "default" => "`default`".to_owned(),
        name => format!("rule `{name}`"),
    };
    let message = if message.is_empty() { String::new() } else { format!(": {message}") };
    format!("{by} in {layer}:{line}{code}{message}")
}

fn row(step: &PolicyStep) -> String {
    let name = if step.rule == step.place {
        String::new()
    } else {
        format!(" {}", screen::line(&step.rule, usize::MAX))
    };
    let shadow = if step.shadow { " (only recorded)" } else { "" };
    let outcome = match step.outcome.as_str() {
        outcome @ ("deny" | "error" | "fails") => in_colour_of("denied", outcome),
        outcome @ "ask" => in_colour_of("warning", outcome),
        outcome @ "allow" => in_colour_of("approved", outcome),
        // What it uses says that it counts.
        "counts" => dim(String::new()),
        outcome => dim(outcome.to_owned()),
    };
    let (place, what) =
        (screen::line(&step.place, usize::MAX), screen::line(&step.what, usize::MAX));
    let arrow = if step.outcome == "counts" { "" } else { " → " };
    format!("  {place}{name}{shadow}: {what}{arrow}{outcome}")
}

fn limit(limit: &PolicyLimit) -> String {
    let window = match limit.window.as_str() {
        window @ ("minute" | "hour" | "day" | "task") => format!("this {window}"),
        window => format!("in {window}"),
    };
    let full = match limit.admitted {
        false => in_colour_of("denied", "; full"),
        true => dim(String::new()),
    };
    let name = screen::plain(&limit.rule.name);
    let PolicyLimit { used, max, cost, .. } = limit;
    format!("  {name}: {used} of {max} used {window}, this call takes {cost}{full}")
}

/// Parses `--as`: `ci` is a key; `key:ci,role:agent` says more.
fn caller(text: &str) -> Result<PolicyCaller, Failure> {
    let mut caller = PolicyCaller::default();
    for part in text.split(',') {
        let (what, name) = part.split_once(':').unwrap_or(("key", part));
        let field = match what {
            "key" => &mut caller.key,
            "workspace" => &mut caller.workspace,
            "principal" => &mut caller.principal,
            "role" => &mut caller.role,
            "session" => &mut caller.session,
            _ => return Err(unknown_caller(text, part)),
        };
        if name.is_empty() {
            return Err(unknown_caller(text, part));
        }
        *field = Some(name.to_owned());
    }
    Ok(caller)
}

fn unknown_caller(text: &str, part: &str) -> Failure {
    Failure::other(format!("`--as {text}` is not understood: `{part}`")).hint(
        "write the label of a key, or `key:`, `workspace:`, `principal:`, `role:`, `session:` \
        with a name",
    )
}

/// Shows the policy in force.
pub(super) async fn show(args: &ShowArgs, config: &Config) -> Result<ExitCode, Failure> {
    let policy =
        Connection::ask(config, Need::Record, async |client| client.policy().await).await?;
    if args.json {
        print_json(&serde_json::to_value(&policy).expect("it has string keys"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let status = &policy.status;
    print(format!("{} {}", heading(&policy.revision), in_colour_of(status, status)))?;
    print(format!("profile {}: decides if no policy file does", policy.profile))?;
    for layer in &policy.layers {
        show_layer(&policy, layer)?;
    }
    if policy.layers.is_empty() {
        print("no policy file: `policy.files` names none")?;
    }
    for problem in &policy.problems {
        let label = in_colour_of("failed", "not in force:");
        print(format!("{label} {}", screen::plain(problem)))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A file with its rules.
fn show_layer(policy: &PolicyInForce, layer: &PolicyLayer) -> Result<(), Failure> {
    let upstream =
        layer.upstream.as_ref().map(|name| format!(", tools of `{name}`")).unwrap_or_default();
    let shadow = if layer.shadow { ", only recorded" } else { "" };
    let head = screen::plain(&layer.path);
    let about = screen::plain(&format!("{}{upstream}{shadow}", layer.scope));
    print(format!("\n{} {}", heading(head), dim(about)))?;
    let name = std::path::Path::new(&layer.path).file_name().unwrap_or_default().to_string_lossy();
    let rows: Vec<Vec<Cell>> =
        policy.rules.iter().filter(|rule| *rule.file == *name).map(rule_cells).collect();
    Table::new(&RULE_COLUMNS).lines(&rows, !rows.is_empty()).iter().try_for_each(print)?;
    match &layer.default {
        Some(default) => print(format!("default {default}: for tools that no rule decides about")),
        None => print("no default: the profile decides about other tools"),
    }
}

fn rule_cells(rule: &PolicyRule) -> Vec<Cell> {
    let mut terms = vec![];
    terms.extend(rule.conditional.then(|| "under conditions".to_owned()));
    terms.extend(rule.restricted.then(|| "for some callers".to_owned()));
    terms.extend((rule.limits > 0).then(|| counted(rule.limits, "limit")));
    terms.extend(rule.shadow.then(|| "only recorded".to_owned()));
    vec![
        rule.line.to_string().into(),
        Cell::status(&rule.action),
        Cell::bold(rule.tools.as_str()),
        rule.name.as_str().into(),
        Cell::dim(terms.join(", ")),
    ]
}
