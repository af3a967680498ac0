//! Progress notifications about a task, for a client that wants them.

use std::{
    collections::HashSet,
    fmt::Write as _,
    time::{Duration, Instant},
};

use rmcp::{
    RoleServer,
    model::{ProgressNotificationParam, ProgressToken},
    service::Peer,
};

use crate::{
    base::{plural::counted, text::clip},
    service::view::{Latest, PendingApproval, Progress},
};

/// Time limit for a client to accept one notification.
const NOTIFY_MAX: Duration = Duration::from_secs(5);
/// Approvals that one notification names; the answer names more.
const APPROVALS_MAX: usize = 3;
/// Characters of a tool's path in a notification, at most.
const TOOL_CHARS_MAX: usize = 200;

/// Sends progress notifications to a client that wants them: at once, then at an interval, and at
/// once again when a call waits for an approval.
pub(super) struct Reporter {
    token: Option<ProgressToken>,
    peer: Peer<RoleServer>,
    ticks: tokio::time::Interval,
    since: Instant,
    sent: u64,
    /// The approvals that the client was told of last.
    told: HashSet<String>,
}

impl Reporter {
    pub(super) fn new(
        token: Option<ProgressToken>,
        peer: Peer<RoleServer>,
        every: Duration,
    ) -> Self {
        Self {
            token,
            peer,
            ticks: tokio::time::interval(every),
            since: Instant::now(),
            sent: 0,
            told: HashSet::new(),
        }
    }

    /// Resolves when the next notification is due; never where none is wanted.
    pub(super) async fn due(&mut self) {
        match self.token {
            Some(_) => drop(self.ticks.tick().await),
            None => std::future::pending().await,
        }
    }

    /// True if a person must be told at once: a call waits that the client was not told of.
    pub(super) fn is_urgent(&self, progress: Option<&Progress>) -> bool {
        self.token.is_some()
            && progress.is_some_and(|progress| {
                progress.approvals.iter().any(|one| !self.told.contains(&one.approval_id))
            })
    }

    pub(super) async fn report(&mut self, progress: Option<Progress>) {
        let Some(token) = self.token.clone() else { return };
        self.sent += 1;
        self.ticks.reset();
        let message = message(progress.as_ref(), self.since.elapsed().as_secs());
        let approvals = progress.iter().flat_map(|progress| progress.approvals.iter());
        self.told = approvals.map(|one| one.approval_id.clone()).collect();
        let notice = ProgressNotificationParam::new(token, self.sent as f64).with_message(message);
        if !matches!(
            tokio::time::timeout(NOTIFY_MAX, self.peer.notify_progress(notice)).await,
            Ok(Ok(()))
        ) {
            tracing::debug!("a client did not accept a progress notification");
        }
    }
}

/// What a person reads about the progress.
fn message(progress: Option<&Progress>, seconds: u64) -> String {
    let Some(progress) = progress else { return "received".to_owned() };
    let mut text = format!("{} after {seconds} s", progress.status);
    if progress.tool_calls > 0 {
        text.push_str(&format!(", {}", counted(progress.tool_calls, "tool call")));
    }
    if !progress.approvals.is_empty() {
        text.push_str(&waits(&progress.approvals));
        return text;
    }
    let _ = match &progress.latest {
        None => Ok(()),
        Some(Latest::Console(line)) => write!(text, "; the console says: {line}"),
        Some(Latest::Call(tool)) => {
            write!(text, "; the last tool is {}", clip(tool, TOOL_CHARS_MAX))
        }
        Some(Latest::Report(report)) => write!(text, "; the last tool reports: {report}"),
    };
    text
}

/// The calls that wait, each with the page where a person decides.
fn waits(approvals: &[PendingApproval]) -> String {
    let mut text = "; a person must approve".to_owned();
    for (number, approval) in approvals.iter().take(APPROVALS_MAX).enumerate() {
        let gap = if number == 0 { "" } else { "," };
        let tool = clip(&approval.tool, TOOL_CHARS_MAX);
        let _ = match &approval.url {
            Some(url) => write!(text, "{gap} {tool}: {url}"),
            None => write!(text, "{gap} {tool}: airlock approvals show {}", approval.approval_id),
        };
    }
    if approvals.len() > APPROVALS_MAX {
        let _ = write!(text, ", and {} more", approvals.len() - APPROVALS_MAX);
    }
    text
}

#[cfg(test)]
mod tests;
