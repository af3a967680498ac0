//! Approvals: what waits for a person's word, everything that the person must see, and the word
//! itself.
//!
//! Who gives the word is told by the transport from a token or a session, never from a request's
//! body.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    PendingApproval, Service, ServiceError,
    policy::EVERYTHING,
    tasks::{store_error, task_id, within},
};
use crate::{
    base::digest,
    model::{
        Approval, ApprovalId, ApprovalStatus, ErrorCode, EventData, EventKind, Principal, Task,
        Timestamp,
    },
    store::{APPROVALS_LIST_MAX, ApprovalChange, ApprovalFilter, Decided},
};

/// Approvals in a page unless the caller says otherwise.
const LIST_LIMIT: u32 = 50;
/// Approvals of one task that its answer names.
const PENDING_MAX: u32 = 20;
/// Characters of a note.
const NOTE_CHARS_MAX: usize = 2000;
/// Bytes of arguments that can be shown whole. What cannot be seen whole cannot be approved.
const SHOWN_BYTES_MAX: usize = 256 * 1024;
/// Characters of a tool's description that are shown.
const ABOUT_CHARS_MAX: usize = 1000;
/// How long the catalog is asked for the tool; its upstream may be connecting.
const ABOUT_WITHIN: Duration = Duration::from_millis(500);
/// Earlier calls of the task that are shown, the latest ones, and pages of events that are looked
/// through for them.
const TRAIL_MAX: usize = 50;
const TRAIL_PAGES_MAX: usize = 20;
const TRAIL_PAGE: u32 = 1000;

/// Which approvals to list.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApprovalList {
    /// Only of this status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<ApprovalStatus>,
    /// Only of this task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
    /// How many, 1 to 200; 50 unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `nextCursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// A page of approvals.
#[derive(Debug, Clone)]
pub struct ApprovalListAnswer {
    /// The newest first.
    pub approvals: Vec<ApprovalAnswer>,
    /// Where the next page begins, if there is one.
    pub next_cursor: Option<String>,
}

/// An approval with everything that a person must see.
#[derive(Debug, Clone)]
pub struct ApprovalAnswer {
    /// The row.
    pub approval: Approval,
    /// The program; none in lists.
    pub code: Option<String>,
    /// Earlier calls of the task and what became of them, at most 50; none in lists.
    pub trail: Vec<Step>,
    /// What is known of its tool; none in lists, and where the tool is gone or another one by now.
    pub about: Option<About>,
    /// Where it is decided.
    pub url: Option<String>,
}

/// What a person is told of a tool. The upstream says it, so it is no more than a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct About {
    /// What it does, its head of at most 1000 characters.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Where the call goes, for tools over HTTP: method, host and path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
}

/// An earlier call of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// Its number in the run.
    pub seq: u64,
    /// The tool.
    pub tool: String,
    /// `completed`, `failed`, `denied`, or `started` where it is under way.
    pub outcome: String,
}

/// A person's word.
#[derive(Debug, Clone)]
pub struct Word {
    /// The approval's id.
    pub id: String,
    /// Whether the call may be made.
    pub approve: bool,
    /// What the person says, at most 2000 characters. A denial's reaches the code.
    pub note: Option<String>,
    /// Who it is, as the transport knows.
    pub by: String,
}

impl ApprovalAnswer {
    /// Whether the call can be shown whole; if not, it can only be refused.
    pub fn is_showable(&self) -> bool {
        let args = &self.approval.args;
        args.len() <= SHOWN_BYTES_MAX && serde_json::from_str::<Value>(args).is_ok()
    }

    /// The object of the contract.
    pub fn object(&self) -> Value {
        let Approval {
            id,
            status,
            principal,
            task_id,
            seq,
            tool,
            args,
            digest,
            asked,
            created_at,
            expires_at,
            ..
        } = &self.approval;
        let is_showable = self.is_showable();
        let mut object = json!({
            "id": id, "status": status, "createdAt": created_at, "expiresAt": expires_at,
            "workspaceId": principal.workspace_id,
            "taskId": task_id, "seq": seq, "tool": tool, "upstream": asked.upstream,
            "class": asked.class,
            "principal": { "accountId": principal.account_id, "clientId": principal.client_id, "sessionId": principal.session_id, "role": "agent" },
            "rule": asked.rule, "policyRevision": asked.revision, "reason": asked.reason,
            "args": if is_showable { serde_json::from_str(args).unwrap_or_default() } else { Value::Null },
            "argsComplete": is_showable, "argsBytes": args.len(), "digest": digest,
            "options": ["once"],
        });
        let mut put = |key: &str, value: Value| {
            drop(object.as_object_mut().map(|all| all.insert(key.to_owned(), value)))
        };
        if let Some(code) = &self.code {
            let sha256 = digest::sha256(code);
            let snippet =
                asked.line.and_then(|line| code.lines().nth(line.checked_sub(1)? as usize));
            put(
                "code",
                json!({ "sha256": sha256, "line": asked.line, "snippet": snippet, "text": code }),
            );
            put("trail", json!(self.trail));
        }
        let optional = [
            ("about", json!(self.about)),
            ("url", json!(self.url)),
            ("decidedBy", json!(self.approval.decided_by)),
            ("decidedAt", json!(self.approval.decided_at)),
            ("note", json!(self.approval.note)),
            ("why", json!(self.approval.why)),
        ];
        optional
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .for_each(|(key, value)| put(key, value));
        object
    }
}

impl Service {
    /// Approvals of the workspace, the newest first.
    pub async fn approvals(
        &self,
        who: &Principal,
        request: ApprovalList,
    ) -> Result<ApprovalListAnswer, ServiceError> {
        let limit =
            within("limit", request.limit.map(u64::from), 1, u64::from(APPROVALS_LIST_MAX))?;
        let filter = ApprovalFilter {
            status: request.status,
            task_id: request.task_id.as_deref().map(task_id).transpose()?,
            limit: limit.map_or(LIST_LIMIT, |limit| limit as u32),
            cursor: request.cursor,
        };
        let page = self.store.approvals(&who.workspace_id, filter).await.map_err(store_error)?;
        let answer = |approval: Approval| {
            let url = self.approval_url(approval.id);
            ApprovalAnswer { approval, code: None, trail: vec![], about: None, url }
        };
        Ok(ApprovalListAnswer {
            approvals: page.approvals.into_iter().map(answer).collect(),
            next_cursor: page.next_cursor,
        })
    }

    /// One approval, with everything that a person must see to decide.
    pub async fn approval(
        &self,
        who: &Principal,
        id: &str,
    ) -> Result<ApprovalAnswer, ServiceError> {
        let approval = self.approval_row(who, id).await?;
        let code = self.record(who, approval.task_id).await.ok().map(|task| task.code);
        let trail = self.trail(who, &approval).await?;
        let url = self.approval_url(approval.id);
        let about = self.about(&approval).await;
        Ok(ApprovalAnswer { approval, code, trail, about, url })
    }

    /// Takes a person's word. Of several at once the first counts; one that comes too late, or that
    /// policy does not stand by any more, is refused with the reason.
    pub async fn decide_approval(
        &self,
        who: &Principal,
        word: Word,
    ) -> Result<ApprovalAnswer, ServiceError> {
        let characters = word.note.as_ref().map_or(0, |note| note.chars().count());
        if characters > NOTE_CHARS_MAX {
            let message =
                format!("`note` has {characters} characters, allowed are {NOTE_CHARS_MAX}");
            return Err(ServiceError::new(ErrorCode::InvalidArgument, message));
        }
        let answer = self.approval(who, &word.id).await?;
        let (id, verb) = (answer.approval.id, if word.approve { "approved" } else { "denied" });
        if answer.approval.status != ApprovalStatus::Pending {
            return Err(settled(&answer.approval, verb));
        }
        if word.approve && !answer.is_showable() {
            let message = format!(
                "`{id}` cannot be approved: its arguments cannot be shown whole, at most \
                {SHOWN_BYTES_MAX} bytes"
            );
            return Err(
                ServiceError::new(ErrorCode::ApprovalNotDisplayable, message).hint("deny it")
            );
        }
        if !self.waiters.awaits(id) {
            self.forsaken(who, id).await?;
            return Err(settled(&self.approval_row(who, &word.id).await?, verb));
        }
        let to = if word.approve { ApprovalStatus::Approved } else { ApprovalStatus::Denied };
        let note = word.note.filter(|note| !note.trim().is_empty());
        let (from, at, by) = (ApprovalStatus::Pending, Timestamp::now(), Some(word.by));
        let change = ApprovalChange { id, from, to, at, by, note, why: None };
        match self.carry(who, change).await? {
            Decided::Changed(row) => {
                let by = row.decided_by.as_deref().unwrap_or_default();
                tracing::info!(approval = %id, tool = %row.tool, by, "{id} for `{}` is {verb}", row.tool);
            }
            Decided::Refused(row) => return Err(settled(&row, verb)),
            Decided::Absent => return Err(not_found(&word.id)),
        }
        let approval = self.approval_row(who, &word.id).await?;
        match approval.status {
            ApprovalStatus::Cancelled | ApprovalStatus::Void if word.approve => {
                Err(settled(&approval, verb))
            }
            _ => Ok(ApprovalAnswer { approval, ..answer }),
        }
    }

    /// Writes the word and tells the call that waits for it. In a task of its own: whoever gave the
    /// word may be gone before it is written, and a call that is not told would be made hours
    /// later, when its time runs out.
    async fn carry(
        &self,
        who: &Principal,
        change: ApprovalChange,
    ) -> Result<Decided, ServiceError> {
        let (store, waiters, workspace) =
            (self.store.clone(), self.waiters.clone(), who.workspace_id.clone());
        let carried = tokio::spawn(async move {
            let id = change.id;
            let decided = store.decide_approval(&workspace, change).await;
            if matches!(decided, Ok(Decided::Changed(_))) {
                waiters.tell(id).await;
            }
            decided
        });
        let failed = |error| {
            ServiceError::new(ErrorCode::Internal, "the word could not be taken").caused_by(error)
        };
        carried.await.map_err(failed)?.map_err(store_error)
    }

    /// What a task waits for.
    pub(super) async fn pending(&self, task: &Task) -> Result<Vec<PendingApproval>, ServiceError> {
        if task.status.is_terminal() {
            return Ok(vec![]);
        }
        let status = Some(ApprovalStatus::Pending);
        let filter = ApprovalFilter {
            status,
            task_id: Some(task.task_id),
            limit: PENDING_MAX,
            cursor: None,
        };
        let page = self
            .store
            .approvals(&task.principal.workspace_id, filter)
            .await
            .map_err(store_error)?;
        let told = page.approvals.into_iter().map(|approval| PendingApproval {
            approval_id: approval.id.to_string(),
            url: self.approval_url(approval.id),
            tool: approval.tool,
            reason: approval.asked.reason,
            expires_at: approval.expires_at,
        });
        Ok(told.collect())
    }

    async fn approval_row(&self, who: &Principal, id: &str) -> Result<Approval, ServiceError> {
        // A malformed id is no approval's, so it is not found either.
        let parsed: ApprovalId = id.parse().map_err(|_| not_found(id))?;
        let row = self.store.approval(&who.workspace_id, parsed).await.map_err(store_error)?;
        row.ok_or_else(|| not_found(id))
    }

    /// No program waits for this word: the row must not say that one does.
    async fn forsaken(&self, who: &Principal, id: ApprovalId) -> Result<(), ServiceError> {
        let why = Some("no program waits for it".to_owned());
        let (from, to) = (ApprovalStatus::Pending, ApprovalStatus::Void);
        let change =
            ApprovalChange { id, from, to, at: Timestamp::now(), by: None, note: None, why };
        self.store.decide_approval(&who.workspace_id, change).await.map(drop).map_err(store_error)
    }

    fn approval_url(&self, id: ApprovalId) -> Option<String> {
        self.url.get().map(|url| format!("{url}/approvals/{id}"))
    }

    /// What is known of the tool as it was when the call was made.
    async fn about(&self, approval: &Approval) -> Option<About> {
        let found =
            tokio::time::timeout(ABOUT_WITHIN, self.catalog.resolve(&approval.tool, EVERYTHING))
                .await;
        let tool = found.ok()?.ok().filter(|tool| {
            tool.path == approval.tool && tool.schema_hash == approval.asked.schema_hash
        })?;
        Some(About {
            description: tool.description.chars().take(ABOUT_CHARS_MAX).collect(),
            route: self.catalog.route(&tool),
        })
    }

    /// The calls that the task made before this one.
    async fn trail(&self, who: &Principal, approval: &Approval) -> Result<Vec<Step>, ServiceError> {
        let mut steps: Vec<Step> = vec![];
        let mut after = 0;
        for _ in 0..TRAIL_PAGES_MAX {
            let page = self
                .store
                .events(&who.workspace_id, approval.task_id, after, TRAIL_PAGE)
                .await
                .map_err(store_error)?;
            let Some(last) = page.last().map(|event| event.seq) else { break };
            after = last;
            for event in page {
                let Some(seq) = event.data.call().filter(|seq| *seq != approval.seq) else {
                    continue;
                };
                let seq = u64::from(seq);
                if let EventData::CallRequested(requested) = event.data {
                    steps.push(Step { seq, tool: requested.tool, outcome: "requested".into() });
                } else if let Some(outcome) = outcome(event.data.kind())
                    && let Some(step) = steps.iter_mut().rev().find(|step| step.seq == seq)
                {
                    step.outcome = outcome.into();
                }
            }
            let surplus = steps.len().saturating_sub(TRAIL_MAX);
            steps.drain(..surplus);
        }
        Ok(steps)
    }
}

fn outcome(kind: EventKind) -> Option<&'static str> {
    match kind {
        EventKind::CallStarted => Some("started"),
        EventKind::CallCompleted => Some("completed"),
        EventKind::CallFailed => Some("failed"),
        EventKind::CallDenied => Some("denied"),
        EventKind::ApprovalRequested => Some("waits"),
        _ => None,
    }
}

fn not_found(id: &str) -> ServiceError {
    let shown: String = id.chars().take(80).collect();
    ServiceError::new(ErrorCode::ApprovalNotFound, format!("there is no approval `{shown}`"))
        .hint("`airlock approvals list` shows those that wait")
}

/// Why a word does not count any more.
fn settled(row: &Approval, verb: &str) -> ServiceError {
    let id = row.id;
    let message = match row.status {
        ApprovalStatus::Pending => {
            format!("`{id}` cannot be {verb}: its time was over at {}", row.expires_at)
        }
        status => {
            let when = row.decided_at.map_or_else(String::new, |at| format!(" since {at}"));
            let why = row.why.as_ref().map_or_else(String::new, |why| format!(": {why}"));
            format!("`{id}` cannot be {verb}: it is {status}{when}{why}")
        }
    };
    ServiceError::new(ErrorCode::ApprovalAlreadyDecided, message)
}
