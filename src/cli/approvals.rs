//! `airlock approvals`: the calls that wait for the owner's decision.

mod outcome;
mod watch;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use self::outcome::outcome;
use super::{
    args::{One, Page},
    client::Client,
    connection::{Connection, Need},
    list::List,
    screen::{self, age, dim, escaped, heading, print, print_json},
};
use crate::{
    app::Failure, base::json::written::Written, config::Config, model::ApprovalStatus,
    service::view::Approval,
};

/// Columns that a list keeps for id, status, age and tool.
const LIST_COLUMNS: usize = 96;
/// Columns of the outcome in a list, at least: a line that is wrapped says more than one that is
/// cut.
const OUTCOME_COLUMNS_MIN: usize = 72;

/// The commands on approvals.
#[derive(Debug, Subcommand)]
pub(super) enum ApprovalsCommand {
    /// List approvals, newest first; those that wait unless `--status` says otherwise
    List(ListArgs),
    /// Show calls as they begin to wait, and how they are decided, until Ctrl-C
    Watch(watch::WatchArgs),
    /// Show one approval with everything that there is to see
    Show(One),
    /// Let the call be made, once
    Approve(DecisionArgs),
    /// Refuse the call
    Deny(DecisionArgs),
}

/// Arguments of `approvals list`.
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

/// Arguments of a decision.
#[derive(Debug, Args)]
pub(super) struct DecisionArgs {
    /// The approval's id
    id: String,
    /// A note; a denial's reaches the program
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Performs the command.
pub(super) async fn perform(
    command: ApprovalsCommand,
    config: Config,
) -> Result<ExitCode, Failure> {
    let command = match command {
        ApprovalsCommand::Watch(args) => return watch::perform(args, &config).await,
        other => other,
    };
    Connection::ask(&config, Need::Record, async |client| match command {
        ApprovalsCommand::Watch(_) => unreachable!("was done above"),
        ApprovalsCommand::List(args) => list(client, args).await,
        ApprovalsCommand::Show(args) => show(client, args).await,
        ApprovalsCommand::Approve(args) => decide(client, args, true).await,
        ApprovalsCommand::Deny(args) => decide(client, args, false).await,
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
    let status = if args.all { "all".to_owned() } else { args.status };
    let (last, empty) = match status.as_str() {
        "pending" => (
            "WHY",
            "nothing is waiting for your approval; `airlock approvals list --all` shows earlier \
             ones",
        ),
        _ => ("OUTCOME", "no approvals"),
    };
    let mut query = args.page.query();
    query.extend((status != "all").then_some(("status", status)));
    let page = client.approvals(&query).await?;
    let list = List {
        items: &page.approvals,
        next_cursor: page.next_cursor.as_deref(),
        id: |approval| approval.id.to_string(),
        heading: format!("{:<41} {:<10} {:<11} {:<30} {last}", "ID", "STATUS", "REQUESTED", "TOOL"),
        empty,
        row,
    };
    list.show(&args.page)
}

fn row(approval: &Approval) -> String {
    let last = match approval.status {
        ApprovalStatus::Pending => approval.reason.clone(),
        _ => outcome(approval),
    };
    let status = approval.status.as_str();
    // A colour code has no width, so the padding comes after it.
    let pad = " ".repeat(10usize.saturating_sub(status.len()));
    format!(
        "{:<41} {}{pad} {:<11} {:<30} {}",
        approval.id.to_string(),
        screen::status(status),
        age(approval.created_at),
        screen::line(&approval.tool, 30),
        dim(screen::line(
            &last,
            screen::width().saturating_sub(LIST_COLUMNS).max(OUTCOME_COLUMNS_MIN)
        )),
    )
}

async fn show(client: &Client, args: One) -> Result<(), Failure> {
    let approval = client.approval(&args.id).await?;
    if args.json {
        return print_json(&serde_json::to_value(&approval).expect("it has string keys"));
    }
    let rule = match &approval.rule {
        Some(rule) => format!("{} ({}{})", rule.name, rule.layer, rule.pointer),
        None => "none: the profile asks".into(),
    };
    let decided_at = approval.decided_at.map(|at| format!(" ({at})")).unwrap_or_default();
    let who = &approval.principal;
    let lines = [
        ("tool", escaped(&approval.tool)),
        ("class", escaped(&approval.class)),
        ("status", screen::status(approval.status.as_str()).to_string()),
        ("why", escaped(&approval.reason)),
        ("rule", escaped(&rule)),
        ("requested by", escaped(&format!("{}, account {}", who.client_id, who.account_id))),
        ("task", format!("{}, call {}", approval.task_id, approval.seq)),
        ("requested", format!("{}, open until {}", approval.created_at, approval.expires_at)),
        ("digest", escaped(&approval.digest)),
        ("outcome", format!("{}{decided_at}", escaped(&outcome(&approval)))),
        ("page", escaped(approval.url.as_deref().unwrap_or("–"))),
    ];
    for (name, value) in lines {
        print(format!("{} {value}", heading(format!("{name:<12}"))))?;
    }
    if let Some(about) = &approval.about {
        if let Some(route) = &about.route {
            print(format!("{} {}", heading(format!("{:<12}", "goes to")), escaped(route)))?;
        }
        if !about.description.is_empty() {
            print(format!(
                "\n{}\n{}",
                heading("its upstream's description of the tool (not checked)"),
                escaped(about.description.trim())
            ))?;
        }
    }
    show_call(&approval)
}

/// The call, the program that makes it, and the calls that this made before.
fn show_call(approval: &Approval) -> Result<(), Failure> {
    print(format!("\n{}", heading("arguments")))?;
    match &approval.args {
        Some(args) => {
            print(escaped(&Written::read(args).indented()))?;
        }
        None => print("they cannot be shown whole, so the call can only be denied")?,
    }
    print(format!("\n{}", heading("program")))?;
    if let Some(program) = &approval.code {
        for (number, line) in (1_u32..).zip(program.text.lines()) {
            let first = program.line.unwrap_or(u32::MAX);
            let is_call = (first..=program.last_line.unwrap_or(first)).contains(&number);
            let sign = if is_call { '>' } else { ' ' };
            print(format!("{sign} {} {}", dim(format!("{number:>4}")), escaped(line)))?;
        }
    }
    print(format!("\n{}", heading("earlier calls")))?;
    for call in approval.prior_calls.iter().flatten() {
        print(format!(
            "{:>4} {} {}",
            call.seq,
            escaped(&call.tool),
            screen::status(&call.outcome)
        ))?;
    }
    Ok(())
}

async fn decide(client: &Client, args: DecisionArgs, approve: bool) -> Result<(), Failure> {
    let approval = client.decide(&args.id, approve, args.note.as_deref()).await?;
    if args.json {
        return print_json(&serde_json::to_value(&approval).expect("it has string keys"));
    }
    let tool = escaped(&approval.tool);
    print(format!("{} {} {tool}", args.id, screen::status(approval.status.as_str())))
}
