//! A call that waits for a person's decision, and its outcome.

use serde::{Deserialize, Serialize};

use super::{ApprovalId, Principal, TaskId, Timestamp};

/// `pending → approved → consumed | denied | expired | cancelled | void`. Changed by
/// compare-and-set only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalStatus {
    /// A person is asked.
    Pending,
    /// A person allowed it; the call has not left yet.
    Approved,
    /// The call was let go, once.
    Consumed,
    /// A person refused.
    Denied,
    /// Nobody answered in time, which is a refusal.
    Expired,
    /// Its task ended first, or policy forbids the call by now.
    Cancelled,
    /// Its server went away, and the program that waited with it.
    Void,
}

impl ApprovalStatus {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::Approved,
        Self::Consumed,
        Self::Denied,
        Self::Expired,
        Self::Cancelled,
        Self::Void,
    ];

    /// The name in the contract and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Consumed => "consumed",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Void => "void",
        }
    }

    /// The status of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }
}

impl std::fmt::Display for ApprovalStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The row of one approval: the exact call, who asks and why, and how it was decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Approval {
    /// Its name.
    pub id: ApprovalId,
    /// Its status.
    pub status: ApprovalStatus,
    /// Whose task it is; it belongs to this identity's workspace.
    pub principal: Principal,
    /// The task whose call it is.
    pub task_id: TaskId,
    /// The call's number in its run, from 1.
    pub seq: u32,
    /// The tool's path.
    pub tool: String,
    /// The arguments as JSON text, to the byte as they will be sent.
    pub args: String,
    /// SHA-256 over RFC 8785 of everything that was asked for: `sha256:…`.
    pub digest: String,
    /// The rest of what the person must see.
    pub asked: Asked,
    /// Time of the request.
    pub created_at: Timestamp,
    /// The time at which it expires.
    pub expires_at: Timestamp,
    /// Time at which it left `pending`.
    pub decided_at: Option<Timestamp>,
    /// The person who decided it, from the session or token and never from the request's body;
    /// none if nobody did.
    pub decided_by: Option<String>,
    /// Note of the person who decided, at most 2000 characters. The program receives that of a
    /// denial.
    pub note: Option<String>,
    /// The reason for its end, if no person ended it.
    pub why: Option<String>,
}

/// The facts that a person sees beside the call itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    /// The upstream that would perform it.
    pub upstream: String,
    /// The tool's class of risk: `Write`, `Destructive`.
    pub class: String,
    /// SHA-256 over the tool's name, description and schemas, as the digest binds it.
    pub schema_hash: String,
    /// The rule that asks; none where the profile does.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rule: Option<AskingRule>,
    /// The revision of the policy that asked.
    pub revision: String,
    /// The reason for asking.
    pub reason: String,
    /// The line of the program that makes the call, where it is known. The worker says so: a help,
    /// not a fact.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub line: Option<u32>,
}

/// A rule by its name and place.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AskingRule {
    /// Its name.
    pub name: String,
    /// Its place in its file.
    pub pointer: String,
    /// The layer it belongs to.
    pub layer: String,
}
