//! Asks the person at the terminal about a call that waits for approval, and carries the answer to
//! the server, as `airlock approvals approve` does.

use std::{io, time::Duration};

use super::{
    card::card,
    client::Client,
    screen::{note, plain},
    terminal::Terminal,
};
use crate::{
    app::Failure, base::confusables::escaped_line, model::ApprovalStatus, service::view::Approval,
};

const PROMPT: &str = "Approve? [y/N/d(eny with a reason)] ";
const REASON_PROMPT: &str = "Reason, which the program gets: ";
/// Answers that are not understood before the question is given up.
const TRIES: usize = 5;
/// Time for which a card has just appeared: nobody has read it, so what is typed by then was meant
/// for something else.
const UNREAD_FOR: Duration = Duration::from_secs(1);
/// Pause between two looks whether the call still waits.
const CHECK_EVERY: Duration = Duration::from_millis(500);

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    Approve,
    Deny,
    /// With a reason, which may still have to be asked for.
    DenyBecause(String),
}

/// What became of a question.
enum End {
    Answered(Answer),
    /// The call does not wait any more.
    Gone(Box<Approval>),
    /// Nobody answers here.
    Unanswered,
}

/// Asks about one call. Returns false where nobody answered: the call waits on, and is decided
/// elsewhere or not at all.
///
/// # Errors
/// The server does not answer.
pub(super) async fn ask(terminal: &Terminal, client: &Client, id: &str) -> Result<bool, Failure> {
    let approval = client.approval(id).await?;
    if approval.status != ApprovalStatus::Pending {
        return Ok(true);
    }
    // What cannot be seen whole is not asked about.
    if !approval.args_complete {
        return Ok(false);
    }
    let card = card(&approval, terminal.columns());
    let asked = Asked { terminal, is_open: true };
    let end = tokio::select! {
        answer = answer(terminal, &card) => match answer {
            Ok(Some(answer)) => End::Answered(answer),
            Ok(None) | Err(_) => End::Unanswered,
        },
        gone = gone(client, id) => End::Gone(Box::new(gone?)),
    };
    match end {
        End::Answered(answer) => {
            asked.close("");
            decide(client, id, answer).await?;
            Ok(true)
        }
        End::Gone(approval) => {
            asked.close(&format!("The question is settled: {}.\n", settled(&approval)));
            Ok(true)
        }
        End::Unanswered => {
            asked.close("\n");
            Ok(false)
        }
    }
}

/// A question on the screen. Whenever it ends, its line ends as well, and what is half typed does
/// not reach the shell.
struct Asked<'t> {
    terminal: &'t Terminal,
    is_open: bool,
}

impl Asked<'_> {
    fn close(mut self, last: &str) {
        self.is_open = false;
        if last.is_empty() {
            return;
        }
        self.terminal.discard_typed();
        // Over the prompt, which asks for nothing any more.
        self.terminal.show(&format!("\r\u{1b}[K{last}")).ok();
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if self.is_open {
            self.terminal.discard_typed();
            self.terminal.show("\r\u{1b}[K").ok();
        }
    }
}

/// Asks until the answer is understood; none where there is none.
async fn answer(terminal: &Terminal, card: &str) -> io::Result<Option<Answer>> {
    terminal.show(card)?;
    let lines = card.lines().count();
    if terminal.lines().is_some_and(|height| lines >= height) {
        terminal.show(&format!("The call above has {lines} lines: scroll up to see all.\n"))?;
    }
    // Whatever is typed until the prompt is there is discarded with it.
    tokio::time::sleep(UNREAD_FOR).await;
    for _ in 0..TRIES {
        let Some(line) = terminal.ask(PROMPT).await? else { return Ok(None) };
        match understood(&line) {
            Some(Answer::DenyBecause(reason)) if reason.is_empty() => {
                let reason = terminal.ask(REASON_PROMPT).await?.unwrap_or_default();
                return Ok(Some(match reason.trim() {
                    "" => Answer::Deny,
                    reason => Answer::DenyBecause(reason.to_owned()),
                }));
            }
            Some(answer) => return Ok(Some(answer)),
            None => terminal.show(
                "Answer with y (yes, once), n (no), or d and a reason (no, and the program gets \
                the reason).\n",
            )?,
        }
    }
    Ok(None)
}

/// The meaning of a typed line; none if it has none. Nothing typed is a no.
fn understood(line: &str) -> Option<Answer> {
    let line = line.trim();
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    match (word.to_ascii_lowercase().as_str(), rest.trim()) {
        ("y" | "yes", "") => Some(Answer::Approve),
        ("" | "n" | "no", "") => Some(Answer::Deny),
        ("d" | "deny", reason) => Some(Answer::DenyBecause(reason.to_owned())),
        _ => None,
    }
}

/// Resolves when the call does not wait any more, with its approval as it is then.
async fn gone(client: &Client, id: &str) -> Result<Approval, Failure> {
    loop {
        tokio::time::sleep(CHECK_EVERY).await;
        let approval = client.approval(id).await?;
        let is_over = approval.expires_at <= crate::model::Timestamp::now();
        if approval.status != ApprovalStatus::Pending || is_over {
            return Ok(approval);
        }
    }
}

/// Sends the answer. A decision that came first counts, and is told.
async fn decide(client: &Client, id: &str, answer: Answer) -> Result<(), Failure> {
    let (approve, reason) = match answer {
        Answer::Approve => (true, None),
        Answer::Deny => (false, None),
        Answer::DenyBecause(reason) => (false, Some(reason)),
    };
    match client.decide(id, approve, reason.as_deref()).await {
        Ok(_) => Ok(()),
        Err(refused) => {
            let now = client.approval(id).await?;
            if now.status == ApprovalStatus::Pending {
                return Err(refused);
            }
            note(format!("the answer came too late: {}", plain(&refused.message)));
            Ok(())
        }
    }
}

/// How a call ended that was asked about.
fn settled(approval: &Approval) -> String {
    let by = approval.decided_by.as_deref().map(escaped_line);
    let by = by.map(|by| format!(" by the {by}")).unwrap_or_default();
    let why = approval.why.as_deref().map(escaped_line);
    let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
    match approval.status {
        ApprovalStatus::Approved | ApprovalStatus::Consumed => format!("approved elsewhere{by}"),
        ApprovalStatus::Denied => format!("denied elsewhere{by}"),
        ApprovalStatus::Pending | ApprovalStatus::Expired => "nobody decided in time".into(),
        ApprovalStatus::Cancelled | ApprovalStatus::Void => {
            format!("the call does not wait any more{why}")
        }
    }
}

#[cfg(test)]
#[path = "question/tests.rs"]
mod tests;
