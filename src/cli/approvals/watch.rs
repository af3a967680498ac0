//! `airlock approvals watch`: shows calls that wait for approval as they come, and how they are
//! decided, until the person stops it.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::ExitCode,
    time::Duration,
};

use clap::Args;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::super::{
    args::OUTPUT,
    client::Client,
    connection::Connection,
    screen::{self, clock, dim, heading, print_to_reader, with_id},
    stop,
};
use super::outcome::outcome;
use crate::{
    app::{Exit, Failure},
    base::{backoff::Backoff, confusables::escaped_line, text::clip},
    config::Config,
    model::{ApprovalId, ApprovalStatus, Timestamp},
    service::view::Approval,
};

/// Pause between two looks: short while something happens, longer while nothing does.
const LOOK: Backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(1));
/// Approvals in one request, and requests in one look.
const PAGE: usize = 200;
const PAGES_MAX: usize = 10;
/// Approvals that were decided before the last look are told if they came at most so long before
/// it: the store may list what is newer first.
const OVERLAP: jiff::SignedDuration = jiff::SignedDuration::from_secs(10);
/// Looks in a row that may fail although the server answers.
const FAILURES_MAX: u32 = 5;
/// Characters of the arguments.
const ARGS_CHARS: usize = 160;

/// Arguments of `approvals watch`.
#[derive(Debug, Args)]
pub(in crate::cli) struct WatchArgs {
    /// Print each approval as one line of JSON when it comes, and again when it is decided
    #[arg(long, help_heading = OUTPUT)]
    json: bool,
}

/// Shows approvals until the person stops it.
pub(super) async fn perform(args: WatchArgs, config: &Config) -> Result<ExitCode, Failure> {
    let stop = stop::on_signal()?;
    let why = "only a running server has calls that wait";
    let connection = Connection::required(config, why).await?;
    let client = &connection.client;
    let reading = stop.child_token();
    let mut watch = Watch::begin(args.json);
    let (mut quiet, mut failures) = (1, 0);
    while !reading.is_cancelled() {
        let looked = tokio::select! {
            looked = watch.look(client, &reading) => looked,
            () = reading.cancelled() => break,
        };
        quiet = match looked {
            Ok(is_new) => {
                failures = 0;
                if is_new { 1 } else { quiet + 1 }
            }
            // A server that is busy answers again.
            Err(failure) if failure.exit == Exit::Unavailable && failures < FAILURES_MAX => {
                if !client.is_up().await {
                    return Err(failure);
                }
                failures += 1;
                quiet + 1
            }
            Err(failure) => return Err(failure),
        };
        tokio::select! {
            () = sleep(LOOK.after(quiet)) => {}
            () = reading.cancelled() => {}
        }
    }
    Ok(match stop.is_cancelled() {
        true => ExitCode::from(stop::INTERRUPTED),
        false => ExitCode::SUCCESS,
    })
}

/// What was shown so far.
struct Watch {
    json: bool,
    /// Those that wait, by the last look.
    waiting: BTreeSet<ApprovalId>,
    /// Those that were shown, with the time of their request; only recent ones are kept.
    shown: BTreeMap<ApprovalId, Timestamp>,
    /// What was requested before is not told unless it waits.
    since: Timestamp,
}

impl Watch {
    fn begin(json: bool) -> Self {
        let (waiting, shown) = (BTreeSet::new(), BTreeMap::new());
        Self { json, waiting, shown, since: Timestamp::now() }
    }

    /// Shows what came and what was decided since the last look; returns whether there was
    /// anything. Cancels `reading` where nobody reads.
    async fn look(
        &mut self,
        client: &Client,
        reading: &CancellationToken,
    ) -> Result<bool, Failure> {
        let begun = Timestamp::now();
        let mut waiting = vec![];
        pages(client, Some(ApprovalStatus::Pending), |approval| {
            waiting.push(approval);
            true
        })
        .await?;
        let still: BTreeSet<_> = waiting.iter().map(|approval: &Approval| approval.id).collect();
        let since = self.since;
        let mut recent = vec![];
        pages(client, None, |approval| {
            let is_recent = approval.created_at >= since;
            recent.extend(is_recent.then_some(approval));
            is_recent
        })
        .await?;
        let mut news = vec![];
        let mut seen: Vec<_> = waiting.into_iter().chain(recent).collect();
        seen.sort_by_key(|approval| approval.created_at);
        for approval in seen {
            if self.shown.insert(approval.id, approval.created_at).is_none() {
                news.push(self.coming(&approval));
                if is_settled(&approval) {
                    news.push(self.decided(&approval));
                } else {
                    self.waiting.insert(approval.id);
                }
            }
        }
        for id in self.waiting.clone().difference(&still) {
            let approval = client.approval(&id.to_string()).await?;
            if is_settled(&approval) {
                self.waiting.remove(id);
                news.push(self.decided(&approval));
            }
        }
        self.since = self.since.max(begun - OVERLAP);
        let (since, waiting) = (self.since, &self.waiting);
        self.shown.retain(|id, created_at| *created_at >= since || waiting.contains(id));
        for line in &news {
            if !print_to_reader(line)? {
                reading.cancel();
            }
        }
        Ok(!news.is_empty())
    }

    fn coming(&self, approval: &Approval) -> String {
        if self.json {
            // As it was when it came, where it is decided already.
            let mut object = with_id(approval.id, approval);
            object["status"] = ApprovalStatus::Pending.as_str().into();
            return object.to_string();
        }
        let args = match &approval.args {
            Some(args) => clip(&escaped_line(args.get()), ARGS_CHARS),
            None => format!("{} bytes", approval.args_bytes),
        };
        let page = approval.url.as_deref().map(|url| format!(", or {url}")).unwrap_or_default();
        format!(
            "{} {} {} ({}) for {}\n         {args}\n         {}\n         {}",
            dim(clock(approval.created_at)),
            screen::in_colour_of("pending", "waits"),
            heading(escaped_line(&approval.tool)),
            escaped_line(&approval.class),
            escaped_line(&approval.principal.client_id),
            escaped_line(&approval.reason),
            dim(format!("airlock approvals show {}{page}", approval.id)),
        )
    }

    fn decided(&self, approval: &Approval) -> String {
        if self.json {
            return with_id(approval.id, approval).to_string();
        }
        let status = approval.status.as_str();
        format!(
            "{} {} {}, {}",
            dim(clock(approval.decided_at.unwrap_or_else(Timestamp::now))),
            screen::in_colour_of(status, &escaped_line(&outcome(approval))),
            escaped_line(&approval.tool),
            dim(approval.id),
        )
    }
}

/// True once its status stays. What is approved is sent at once, and told together.
fn is_settled(approval: &Approval) -> bool {
    !matches!(approval.status, ApprovalStatus::Pending | ApprovalStatus::Approved)
}

/// Gives the approvals of a status, the newest first, until `take` has enough.
async fn pages(
    client: &Client,
    status: Option<ApprovalStatus>,
    mut take: impl FnMut(Approval) -> bool,
) -> Result<(), Failure> {
    let mut cursor = None;
    for _ in 0..PAGES_MAX {
        let mut query = vec![("limit", PAGE.to_string())];
        query.extend(status.map(|status| ("status", status.as_str().to_owned())));
        query.extend(cursor.map(|cursor| ("cursor", cursor)));
        let page = client.approvals(&query).await?;
        for approval in page.approvals {
            if !take(approval) {
                return Ok(());
            }
        }
        let Some(next) = page.next_cursor else { return Ok(()) };
        cursor = Some(next);
    }
    Ok(())
}
