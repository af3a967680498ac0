//! Approvals, with everything that a person must see to decide.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

use super::call_lines;
use crate::{
    base::digest,
    model::{self, ApprovalId, ApprovalStatus, RawJson, Role, TaskId, Timestamp},
};

/// Bytes of arguments that can be shown whole. What cannot be seen whole cannot be approved.
pub const ARGS_BYTES_MAX: usize = 256 * 1024;

/// A page of approvals.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalPage {
    /// The newest first.
    pub approvals: Vec<Approval>,
    /// Cursor of the next page; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// Numbers of approvals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApprovalCounts {
    /// Those that wait for a decision.
    pub waiting: u64,
    /// The others.
    pub past: u64,
}

/// An approval: the exact call, its caller and reason, and its decision.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Approval {
    /// Its id.
    #[schemars(with = "String")]
    pub id: ApprovalId,
    /// Its status.
    pub status: ApprovalStatus,
    /// Time of the request.
    #[schemars(with = "String")]
    pub created_at: Timestamp,
    /// Time of expiry.
    #[schemars(with = "String")]
    pub expires_at: Timestamp,
    /// The workspace it belongs to.
    pub workspace_id: String,
    /// The task whose call it is.
    #[schemars(with = "String")]
    pub task_id: TaskId,
    /// The call's number in its run, from 1.
    pub seq: u32,
    /// The tool's path.
    pub tool: String,
    /// The upstream that would perform the call.
    pub upstream: String,
    /// The tool's class of risk.
    pub class: String,
    /// The caller.
    pub principal: ApprovalPrincipal,
    /// The rule that asks; null where the profile does.
    pub rule: Option<Rule>,
    /// The revision of the policy that asked.
    pub policy_revision: String,
    /// The reason for the request.
    pub reason: String,
    /// The arguments, to the byte as they will be sent; null where they cannot be shown whole.
    #[schemars(with = "Value")]
    pub args: Option<RawJson>,
    /// True if `args` is there whole; if not, the call can only be denied.
    pub args_complete: bool,
    /// Length of the arguments in bytes.
    pub args_bytes: usize,
    /// SHA-256 over everything that is approved: `sha256:…`.
    pub digest: String,
    /// The ways to approve it.
    pub options: Vec<String>,
    /// The program that makes the call; absent in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Program>,
    /// Earlier calls of the task, at most 50; absent in lists.
    #[serde(default, rename = "trail", skip_serializing_if = "Option::is_none")]
    pub prior_calls: Option<Vec<PriorCall>>,
    /// The tool; absent in lists, and where the tool is gone or has changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<ToolAbout>,
    /// The page where it is decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The person who decided it; absent where nobody did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
    /// Time when it left `pending`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub decided_at: Option<Timestamp>,
    /// The note of the person who decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The reason why it ended, where no person ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// The caller of a call that waits for approval.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalPrincipal {
    /// The account.
    pub account_id: String,
    /// The program that speaks for it, by the name it gives itself.
    pub client_id: String,
    /// The caller's grouping.
    pub session_id: Option<String>,
    /// The role it calls in.
    pub role: Role,
}

/// A policy rule by its name and place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// JSON Pointer into its file; empty where no file has it.
    pub pointer: String,
    /// Its file, or the profile.
    pub layer: String,
}

/// A program, and the line in it that makes a call.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Program {
    /// SHA-256 of the text.
    pub sha256: String,
    /// The line that makes the call, from 1; null where it is not known.
    pub line: Option<u32>,
    /// The last line of that call, which may take several; null where it is not known.
    #[serde(default, rename = "lastLine")]
    pub last_line: Option<u32>,
    /// The text of `line`.
    pub snippet: Option<String>,
    /// The text.
    pub text: String,
}

/// An earlier call of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PriorCall {
    /// Its number in the run.
    pub seq: u64,
    /// The tool.
    pub tool: String,
    /// `completed`, `failed` or `denied`; `requested`, `waits` or `started` where it has not ended.
    pub outcome: String,
}

/// A tool as its upstream describes it, which nobody checks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ToolAbout {
    /// The description, at most its first 1000 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Destination of the call, for tools over HTTP: method, host and path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
}

/// The parts of one approval that are not in its row, and not in a list.
pub(in crate::service) struct Shown {
    /// The source of its task, where that is on record.
    pub(in crate::service) code: Option<String>,
    /// Earlier calls of the task.
    pub(in crate::service) prior_calls: Vec<PriorCall>,
    /// Its tool.
    pub(in crate::service) about: Option<ToolAbout>,
}

impl From<model::Approval> for Approval {
    fn from(row: model::Approval) -> Self {
        Self::row(row, None)
    }
}

impl Approval {
    /// The view of a row in a list.
    pub(in crate::service) fn row(row: model::Approval, url: Option<String>) -> Self {
        let asked = row.asked;
        let args_bytes = row.args.len();
        let is_readable =
            args_bytes <= ARGS_BYTES_MAX && serde_json::from_str::<Value>(&row.args).is_ok();
        let args = is_readable.then(|| RawValue::from_string(row.args).ok()).flatten();
        Self {
            id: row.id,
            status: row.status,
            created_at: row.created_at,
            expires_at: row.expires_at,
            workspace_id: row.principal.workspace_id,
            task_id: row.task_id,
            seq: row.seq,
            tool: row.tool,
            upstream: asked.upstream,
            class: asked.class,
            principal: ApprovalPrincipal {
                account_id: row.principal.account_id,
                client_id: row.principal.client_id,
                session_id: row.principal.session_id,
                role: Role::Agent,
            },
            rule: asked.rule.map(|rule| Rule {
                name: rule.name,
                pointer: rule.pointer,
                layer: rule.layer,
            }),
            policy_revision: asked.revision,
            reason: asked.reason,
            args_complete: args.is_some(),
            args,
            args_bytes,
            digest: row.digest,
            options: vec!["once".into()],
            code: None,
            prior_calls: None,
            about: None,
            url,
            decided_by: row.decided_by,
            decided_at: row.decided_at,
            note: row.note,
            why: row.why,
        }
    }

    /// The view of one approval with everything that a person must see.
    pub(in crate::service) fn whole(
        row: model::Approval,
        url: Option<String>,
        shown: Shown,
    ) -> Self {
        let line = row.asked.line;
        let Shown { code, prior_calls, about } = shown;
        let code = code.map(|text| Program {
            sha256: digest::sha256(&text),
            line,
            last_line: line.and_then(|line| call_lines::last_line(&text, line)),
            snippet: line
                .and_then(|line| text.lines().nth(line.checked_sub(1)? as usize))
                .map(str::to_owned),
            text,
        });
        let prior_calls = code.is_some().then_some(prior_calls);
        Self { code, prior_calls, about, ..Self::row(row, url) }
    }
}
