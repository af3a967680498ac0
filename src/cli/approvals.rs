//! `airlock approvals`: the calls that wait for the owner's decision.

mod outcome;
mod watch;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use self::outcome::outcome;
use super::{
    args::{ID, Output, Page, Query},
    client::Client,
    connection::{Connection, Need},
    ids,
    list::{self, Items, List},
    screen::{self, age, dim, escaped, heading, print, print_json},
    table::{Cell, Column},
};
use crate::{
    app::Failure,
    base::json::written::Written,
    config::Config,
    model::{ApprovalStatus, IdKind},
    service::view::Approval,
};

/// Columns of a terminal that the path of a tool takes in a list, at most.
const TOOL_COLUMNS_MAX: usize = 40;

/// The commands on approvals.
#[derive(Debug, Subcommand)]
pub(super) enum ApprovalsCommand {
    /// List approvals, newest first; those that wait unless `--status` says otherwise
    List(ListArgs),
    /// Show calls as they begin to wait, and how they are decided, until Ctrl-C
    Watch(watch::WatchArgs),
    /// Show one approval with all its details; without an id, that of the only call that waits
    #[command(visible_alias = "get")]
    Show(ShowArgs),
    /// Approve one call: it is sent, once
    Approve(DecisionArgs),
    /// Deny one call: it is not sent
    Deny(DecisionArgs),
}

/// Arguments of `approvals list`.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only approvals of this status: pending, approved, consumed, denied, expired, cancelled,
    /// void; or `all` [default: pending; with `--all`: all]
    #[arg(long, value_parser = status)]
    status: Option<String>,
    #[command(flatten)]
    page: Page,
}

/// Arguments of `approvals show`.
#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    #[arg(help = format!("{ID}; not needed if only one call waits"))]
    id: Option<String>,
    #[command(flatten)]
    output: Output,
}

/// Arguments of a decision.
#[derive(Debug, Args)]
pub(super) struct DecisionArgs {
    #[arg(help = ID)]
    id: String,
    /// A note for the record; the program receives the note of a denial
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    #[command(flatten)]
    output: Output,
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
    .map_err(|failure| ids::located(failure, &config))
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
    let usual = if args.page.all { "all" } else { "pending" };
    let status = args.status.as_deref().unwrap_or(usual);
    let (last, empty) = match status {
        "pending" => (
            "WHY",
            "nothing is waiting for your approval; `airlock approvals list --all` shows earlier \
             ones",
        ),
        _ => ("OUTCOME", "no approvals"),
    };
    let columns = [
        Column::whole("ID"),
        Column::whole("STATUS"),
        Column::whole("REQUESTED"),
        Column::text("TOOL", TOOL_COLUMNS_MAX),
        Column::text(last, usize::MAX),
    ];
    let list = List {
        id: |approval: &Approval| approval.id.to_string(),
        empty,
        lines: &mut list::rows(&columns, cells),
    };
    let filter = (status != "all").then(|| ("status", status.to_owned()));
    let fetch = async |page: &Query| {
        let query: Vec<_> = page.iter().cloned().chain(filter.clone()).collect();
        let answer = client.approvals(&query).await?;
        Ok(Items { items: answer.approvals, next_cursor: answer.next_cursor })
    };
    list.show(&args.page, fetch).await.map(drop)
}

fn cells(approval: &Approval) -> Vec<Cell> {
    let last = match approval.status {
        ApprovalStatus::Pending => approval.reason.clone(),
        _ => outcome(approval),
    };
    vec![
        approval.id.to_string().into(),
        Cell::status(approval.status.as_str()),
        age(approval.created_at).into(),
        approval.tool.as_str().into(),
        Cell::dim(last),
    ]
}

/// The id of the only approval that waits. Only to look at it: whoever decides names what is
/// decided, because another call may begin to wait in between.
async fn only_waiting(client: &Client) -> Result<String, Failure> {
    let query = [("status", "pending".to_owned()), ("limit", "10".to_owned())];
    let waiting = client.approvals(&query).await?.approvals;
    match waiting.as_slice() {
        [only] => Ok(only.id.to_string()),
        [] => Err(Failure::other("nothing is waiting for your approval")
            .hint("`airlock approvals list --all` shows earlier ones")),
        several => {
            let names: Vec<_> = several.iter().map(|one| one.id.to_string()).collect();
            Err(Failure::other("several calls are waiting for your approval: name one")
                .coded("ambiguous_id")
                .hint(names.join(", ")))
        }
    }
}

async fn show(client: &Client, args: ShowArgs) -> Result<(), Failure> {
    let id = match &args.id {
        Some(id) => ids::whole(client, IdKind::Approval, id).await?,
        None => only_waiting(client).await?,
    };
    let approval = client.approval(&id).await?;
    if args.output.json {
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
    let calls = approval.prior_calls.as_deref().unwrap_or_default();
    if !calls.is_empty() {
        print(format!("\n{}", heading("earlier calls")))?;
    }
    for call in calls {
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
    let id = ids::whole(client, IdKind::Approval, &args.id).await?;
    let approval = client.decide(&id, approve, args.note.as_deref()).await?;
    if args.output.json {
        return print_json(&serde_json::to_value(&approval).expect("it has string keys"));
    }
    let tool = escaped(&approval.tool);
    print(format!("{} {} {tool}", approval.id, screen::status(approval.status.as_str())))
}
