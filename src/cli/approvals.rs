//! `airlock approvals`: the calls that wait for the owner's word.

use std::{process::ExitCode, sync::Arc};

use clap::{Args, Subcommand};
use serde_json::Value;

use super::{
    Application, Failure,
    client::Client,
    connection::{Connection, Need},
    list::{List, One, Page},
    screen::{self, age, dim, heading, print, print_json},
};
use crate::{config::Config, model::ApprovalStatus};

/// Columns that a list keeps for id, status, age and tool.
const LIST_COLUMNS: usize = 96;
/// Columns that what became of it has at the least: a line that is wrapped says more than one that
/// is cut.
const TOLD_COLUMNS_MIN: usize = 72;

/// What to do with approvals.
#[derive(Debug, Subcommand)]
pub(super) enum ApprovalsCommand {
    /// List approvals, newest first; those that wait unless `--status` says otherwise
    List(ListArgs),
    /// Show one approval with everything that there is to see
    Show(One),
    /// Let the call be made, once
    Approve(WordArgs),
    /// Refuse the call
    Deny(WordArgs),
}

/// Which approvals.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only of this status: pending, approved, consumed, denied, expired, cancelled, void; or `all`
    #[arg(long, default_value = "pending", value_parser = status)]
    status: String,
    /// Of every status, those that ended too: `--status all`
    #[arg(long, conflicts_with = "status")]
    all: bool,
    #[command(flatten)]
    page: Page,
}

/// Which approval, and what is said to it.
#[derive(Debug, Args)]
pub(super) struct WordArgs {
    /// The approval's id
    id: String,
    /// What there is to say; a denial's reaches the program
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Does it.
pub(super) async fn perform(
    command: ApprovalsCommand,
    config: Config,
    application: &Arc<dyn Application>,
) -> Result<ExitCode, Failure> {
    Connection::ask(&config, application, Need::Record, async |client| match command {
        ApprovalsCommand::List(args) => list(client, args).await,
        ApprovalsCommand::Show(args) => show(client, args).await,
        ApprovalsCommand::Approve(args) => decide(client, args, "approve").await,
        ApprovalsCommand::Deny(args) => decide(client, args, "deny").await,
    })
    .await
    .map(|()| ExitCode::SUCCESS)
}

fn status(text: &str) -> Result<String, String> {
    if text == "all" || ApprovalStatus::parse(text).is_some() {
        return Ok(text.to_owned());
    }
    let names: Vec<_> = ApprovalStatus::ALL.iter().map(|status| status.as_str()).collect();
    Err(format!("allowed: {}, all", names.join(", ")))
}

async fn list(client: &Client, args: ListArgs) -> Result<(), Failure> {
    let status = if args.all { "all" } else { args.status.as_str() };
    let query = (status != "all").then_some(("status", status));
    let (last, empty) = match status {
        "pending" => (
            "WHY",
            "nothing waits for your word; `airlock approvals list --all` shows what became of \
            earlier ones",
        ),
        _ => ("WHAT BECAME OF IT", "no approvals"),
    };
    let heading = format!("{:<41} {:<10} {:<11} {:<30} {last}", "ID", "STATUS", "ASKED", "TOOL");
    let list = List { what: "approvals", id: "id", heading, empty, row };
    list.show(client, &args.page, query.into_iter().collect()).await
}

fn row(approval: &Value) -> String {
    let text = |key: &str| approval[key].as_str().unwrap_or_default();
    let told =
        if text("status") == "pending" { text("reason").to_owned() } else { outcome(approval) };
    // A colour code has no width, so the padding comes after it.
    let pad = " ".repeat(10usize.saturating_sub(text("status").len()));
    format!(
        "{:<41} {}{pad} {:<11} {:<30} {}",
        text("id"),
        screen::status(text("status")),
        age(text("createdAt")),
        screen::line(text("tool"), 30),
        dim(screen::line(
            &told,
            screen::width().saturating_sub(LIST_COLUMNS).max(TOLD_COLUMNS_MIN)
        )),
    )
}

/// What became of it, in words: who said what, or why nobody did.
fn outcome(approval: &Value) -> String {
    let text = |key: &str| approval[key].as_str().filter(|text| !text.is_empty());
    let by = text("decidedBy").map(|by| format!(" by the {by}")).unwrap_or_default();
    let note = text("note").map(|note| format!(": {note}")).unwrap_or_default();
    let why = text("why").map(|why| format!(": {why}")).unwrap_or_default();
    match text("status").and_then(ApprovalStatus::parse) {
        Some(ApprovalStatus::Pending) => "it waits for your word".into(),
        Some(ApprovalStatus::Approved) => format!("approved{by}, not sent yet{note}"),
        Some(ApprovalStatus::Consumed) => format!("approved{by}, and sent{note}"),
        Some(ApprovalStatus::Denied) => format!("denied{by}, not sent{note}"),
        Some(ApprovalStatus::Expired) => "nobody answered in time, not sent".into(),
        Some(ApprovalStatus::Cancelled) => format!("taken back, not sent{why}"),
        Some(ApprovalStatus::Void) => format!("void, not sent{why}"),
        None => format!("not known{why}"),
    }
}

async fn show(client: &Client, args: One) -> Result<(), Failure> {
    let approval = client.approval(&args.id).await?;
    if args.json {
        return print_json(&approval);
    }
    let text = |value: &Value| screen::escaped(value.as_str().unwrap_or("–"));
    let rule = match approval["rule"].is_object() {
        true => format!(
            "{} ({}{})",
            text(&approval["rule"]["name"]),
            text(&approval["rule"]["layer"]),
            text(&approval["rule"]["pointer"])
        ),
        false => "none: the profile asks".into(),
    };
    let decided_at = approval["decidedAt"]
        .as_str()
        .map(|at| format!(" ({})", screen::escaped(at)))
        .unwrap_or_default();
    let who = &approval["principal"];
    let lines = [
        ("tool", text(&approval["tool"])),
        ("class", text(&approval["class"])),
        ("status", screen::status(approval["status"].as_str().unwrap_or_default()).to_string()),
        ("why", text(&approval["reason"])),
        ("rule", rule),
        ("asked by", format!("{}, account {}", text(&who["clientId"]), text(&who["accountId"]))),
        ("task", format!("{}, call {}", text(&approval["taskId"]), approval["seq"])),
        (
            "asked",
            format!(
                "{}, open until {}",
                text(&approval["createdAt"]),
                text(&approval["expiresAt"])
            ),
        ),
        ("digest", text(&approval["digest"])),
        ("became", format!("{}{}", screen::escaped(&outcome(&approval)), decided_at)),
        ("page", text(&approval["url"])),
    ];
    for (name, value) in lines {
        print(format!("{} {value}", heading(format!("{name:<9}"))))?;
    }
    if let Some(route) = approval["about"]["route"].as_str() {
        print(format!("{} {}", heading(format!("{:<9}", "goes to")), screen::escaped(route)))?;
    }
    if let Some(description) = approval["about"]["description"].as_str() {
        print(format!(
            "\n{}\n{}",
            heading("what its upstream says of the tool (not checked)"),
            screen::escaped(description.trim())
        ))?;
    }
    show_call(&approval)
}

/// What would be called, by which program, and what that has called before.
fn show_call(approval: &Value) -> Result<(), Failure> {
    let text = |value: &Value| screen::escaped(value.as_str().unwrap_or("–"));
    print(format!("\n{}", heading("arguments")))?;
    match approval["argsComplete"] == true {
        true => print(screen::escaped(&screen::pretty(&approval["args"])))?,
        false => print("they cannot be shown whole, so the call can only be denied")?,
    }
    print(format!("\n{}", heading("program")))?;
    let marked = approval["code"]["line"].as_u64();
    for (number, line) in (1..).zip(approval["code"]["text"].as_str().unwrap_or_default().lines()) {
        let sign = if marked == Some(number) { '>' } else { ' ' };
        print(format!("{sign} {} {}", dim(format!("{number:>4}")), screen::escaped(line)))?;
    }
    print(format!("\n{}", heading("earlier calls")))?;
    for step in approval["trail"].as_array().into_iter().flatten() {
        print(format!(
            "{:>4} {} {}",
            step["seq"],
            text(&step["tool"]),
            screen::status(step["outcome"].as_str().unwrap_or_default())
        ))?;
    }
    Ok(())
}

async fn decide(client: &Client, args: WordArgs, verb: &str) -> Result<(), Failure> {
    let approval = client.decide(&args.id, verb, args.note.as_deref()).await?;
    if args.json {
        return print_json(&approval);
    }
    let tool = screen::escaped(approval["tool"].as_str().unwrap_or_default());
    print(format!(
        "{} {} {tool}",
        args.id,
        screen::status(approval["status"].as_str().unwrap_or("unknown"))
    ))
}
