//! Approvals: the calls that wait for a person's decision, everything that the person must see, and
//! the decision itself.

use std::time::Duration;

use tracing::Instrument;

use super::{
    Service, ServiceError,
    policy::EVERYTHING,
    requests::{ApprovalDecision, ApprovalList},
    tasks::{store_error, task_id, within},
    view::{self, ARGS_BYTES_MAX, ApprovalPage, PendingApproval, PriorCall, Shown, ToolAbout},
};
use crate::{
    model::{
        Approval, ApprovalId, ApprovalStatus, ErrorCode, EventDetails, EventKind, Principal, Task,
        TaskId, Timestamp,
    },
    store::{APPROVALS_LIST_MAX, ApprovalChange, ApprovalFilter, Decided},
};

/// Approvals in a page unless the caller says otherwise.
const LIST_LIMIT: u32 = 50;
/// Approvals of one task that its answer names.
const PENDING_MAX: u32 = 20;
/// Characters of a note.
const NOTE_CHARS_MAX: usize = 2000;
/// Characters of a tool's description that are shown.
const ABOUT_CHARS_MAX: usize = 1000;
/// Time limit for resolving the tool, because its upstream may be connecting.
const ABOUT_WITHIN: Duration = Duration::from_millis(500);
/// Earlier calls of the task that are shown, the latest ones.
const PRIOR_CALLS_MAX: usize = 50;
/// Pages of events that are read for them, and events in a page.
const EVENT_PAGES_MAX: usize = 20;
const EVENT_PAGE: u32 = 1000;

impl Service {
    /// Approvals of the workspace, the newest first.
    pub(super) async fn approval_list(
        &self,
        who: &Principal,
        request: ApprovalList,
    ) -> Result<ApprovalPage, ServiceError> {
        let limit =
            within("limit", request.limit.map(u64::from), 1, u64::from(APPROVALS_LIST_MAX))?;
        let filter = ApprovalFilter {
            status: request.status,
            past: request.past.unwrap_or(false),
            task_id: request.task_id.as_deref().map(task_id).transpose()?,
            limit: limit.map_or(LIST_LIMIT, |limit| limit as u32),
            cursor: request.cursor,
        };
        let page = self.store.approvals(&who.workspace_id, filter).await.map_err(store_error)?;
        let row = |row: Approval| {
            let url = self.approval_url(row.id);
            view::Approval::row(row, url)
        };
        Ok(ApprovalPage {
            approvals: page.approvals.into_iter().map(row).collect(),
            next_cursor: page.next_cursor,
        })
    }

    /// The numbers of approvals of the workspace.
    pub(super) async fn approval_count(
        &self,
        who: &Principal,
    ) -> Result<view::ApprovalCounts, ServiceError> {
        let counts = self.store.count_approvals(&who.workspace_id).await.map_err(store_error)?;
        Ok(view::ApprovalCounts { waiting: counts.waiting, past: counts.past })
    }

    /// One approval, with everything that a person must see to decide.
    pub(super) async fn approval_get(
        &self,
        who: &Principal,
        id: &str,
    ) -> Result<view::Approval, ServiceError> {
        let row = self.approval_row(who, id).await?;
        let shown = self.shown(who, &row).await?;
        let url = self.approval_url(row.id);
        Ok(view::Approval::whole(row, url, shown))
    }

    /// The parts of one approval that are not in its row.
    async fn shown(&self, who: &Principal, row: &Approval) -> Result<Shown, ServiceError> {
        Ok(Shown {
            code: self.record(who, row.task_id).await.ok().map(|task| task.code),
            prior_calls: self.prior_calls(who, row).await?,
            about: self.about(row).await,
        })
    }

    /// Applies a person's decision. Of several at once the first counts; one that comes too late,
    /// or that policy no longer allows, is refused with the reason.
    pub(super) async fn approval_decide(
        &self,
        who: &Principal,
        decision: ApprovalDecision,
    ) -> Result<view::Approval, ServiceError> {
        let characters = decision.note.as_ref().map_or(0, |note| note.chars().count());
        if characters > NOTE_CHARS_MAX {
            let message =
                format!("`note` is {characters} characters; the limit is {NOTE_CHARS_MAX}");
            return Err(ServiceError::new(ErrorCode::InvalidArgument, message));
        }
        let row = self.approval_row(who, &decision.id).await?;
        let shown = self.shown(who, &row).await?;
        let (id, verb) = (row.id, if decision.approve { "approved" } else { "denied" });
        if row.status != ApprovalStatus::Pending {
            return Err(already_decided(&row, verb));
        }
        let url = self.approval_url(id);
        if decision.approve && !view::Approval::row(row.clone(), url.clone()).args_complete {
            let message = format!(
                "`{id}` cannot be approved: its arguments cannot be shown whole; the limit is \
                {ARGS_BYTES_MAX} bytes"
            );
            return Err(
                ServiceError::new(ErrorCode::ApprovalNotDisplayable, message).hint("deny it")
            );
        }
        if !self.is_of_use(&row).await? {
            self.void_orphan(who, id).await?;
            return Err(already_decided(&self.approval_row(who, &decision.id).await?, verb));
        }
        let to = if decision.approve { ApprovalStatus::Approved } else { ApprovalStatus::Denied };
        let note = decision.note.filter(|note| !note.trim().is_empty());
        let (from, at, by) = (ApprovalStatus::Pending, Timestamp::now(), Some(decision.decided_by));
        let change = ApprovalChange { id, from, to, at, by, note, why: None };
        match self.apply_decision(who, change).await? {
            Decided::Changed(row) => {
                let by = row.decided_by.as_deref().unwrap_or_default();
                tracing::info!(
                    approval = %id, tool = %row.tool, by, "{id} for `{}` is {verb}", row.tool
                );
            }
            Decided::Refused(row) => return Err(already_decided(&row, verb)),
            Decided::Absent => return Err(not_found(&decision.id)),
        }
        let row = self.approval_row(who, &decision.id).await?;
        match row.status {
            ApprovalStatus::Cancelled | ApprovalStatus::Void if decision.approve => {
                Err(already_decided(&row, verb))
            }
            _ => Ok(view::Approval::whole(row, url, shown)),
        }
    }

    /// Records the decision and notifies the call that waits for it. Runs in a task of its own:
    /// whoever decided may disconnect before it is recorded, and a call that is not notified would
    /// be made hours later, when its time runs out.
    async fn apply_decision(
        &self,
        who: &Principal,
        change: ApprovalChange,
    ) -> Result<Decided, ServiceError> {
        let (store, waiters, workspace) =
            (self.store.clone(), self.waiters.clone(), who.workspace_id.clone());
        let apply = async move {
            let id = change.id;
            let decided = store.decide_approval(&workspace, change).await;
            if matches!(decided, Ok(Decided::Changed(_))) {
                waiters.wake(id).await;
            }
            decided
        };
        let failed = |error| {
            ServiceError::new(ErrorCode::Internal, "the decision could not be recorded")
                .caused_by(error)
        };
        tokio::spawn(apply.in_current_span()).await.map_err(failed)?.map_err(store_error)
    }

    /// The approvals that a task waits for.
    pub(super) async fn pending(&self, task: &Task) -> Result<Vec<PendingApproval>, ServiceError> {
        if task.status.is_terminal() {
            return Ok(vec![]);
        }
        self.pending_of(&task.principal.workspace_id, task.task_id).await
    }

    /// The approvals of a task that are pending.
    pub(super) async fn pending_of(
        &self,
        workspace: &str,
        task: TaskId,
    ) -> Result<Vec<PendingApproval>, ServiceError> {
        let status = Some(ApprovalStatus::Pending);
        let filter = ApprovalFilter {
            status,
            task_id: Some(task),
            limit: PENDING_MAX,
            ..Default::default()
        };
        let page = self.store.approvals(workspace, filter).await.map_err(store_error)?;
        let pending = page.approvals.into_iter().map(|approval| PendingApproval {
            approval_id: approval.id.to_string(),
            url: self.approval_url(approval.id),
            tool: approval.tool,
            reason: approval.asked.reason,
            expires_at: approval.expires_at,
        });
        Ok(pending.collect())
    }

    async fn approval_row(&self, who: &Principal, id: &str) -> Result<Approval, ServiceError> {
        // A malformed id is no approval's, so it is not found either.
        let parsed: ApprovalId = id.parse().map_err(|_| not_found(id))?;
        let row = self.store.approval(&who.workspace_id, parsed).await.map_err(store_error)?;
        row.ok_or_else(|| not_found(id))
    }

    /// Returns true if a program waits for the approval, or will: one that is about to run again,
    /// or that the next start of the server goes on with.
    async fn is_of_use(&self, row: &Approval) -> Result<bool, ServiceError> {
        if self.waiters.is_waiting(row.id) {
            return Ok(true);
        }
        if self.engine.unfinished(row.task_id).is_some() {
            return Ok(false);
        }
        let task = self.store.task(&row.principal.workspace_id, row.task_id).await;
        Ok(task.map_err(store_error)?.is_some_and(|task| !task.status.is_terminal()))
    }

    /// Marks an approval void that no program waits for.
    async fn void_orphan(&self, who: &Principal, id: ApprovalId) -> Result<(), ServiceError> {
        let why = Some("no program waits for it".to_owned());
        let (from, to) = (ApprovalStatus::Pending, ApprovalStatus::Void);
        let change =
            ApprovalChange { id, from, to, at: Timestamp::now(), by: None, note: None, why };
        self.store.decide_approval(&who.workspace_id, change).await.map(drop).map_err(store_error)
    }

    fn approval_url(&self, id: ApprovalId) -> Option<String> {
        self.url.get().map(|url| format!("{url}/approvals/{id}"))
    }

    /// The tool of an approval, if it is still the one that the call was made to.
    async fn about(&self, approval: &Approval) -> Option<ToolAbout> {
        let found =
            tokio::time::timeout(ABOUT_WITHIN, self.catalog.resolve(&approval.tool, EVERYTHING))
                .await;
        let tool = found.ok()?.ok().filter(|tool| {
            tool.path == approval.tool && tool.schema_hash == approval.asked.schema_hash
        })?;
        Some(ToolAbout {
            description: tool.description.chars().take(ABOUT_CHARS_MAX).collect(),
            route: self.catalog.route(&tool),
        })
    }

    /// The calls that the task made before this one, the latest [`PRIOR_CALLS_MAX`].
    async fn prior_calls(
        &self,
        who: &Principal,
        approval: &Approval,
    ) -> Result<Vec<PriorCall>, ServiceError> {
        let mut calls: Vec<PriorCall> = vec![];
        let mut after = 0;
        for _ in 0..EVENT_PAGES_MAX {
            let page = self
                .store
                .events(&who.workspace_id, approval.task_id, after, EVENT_PAGE)
                .await
                .map_err(store_error)?;
            let Some(last) = page.last().map(|event| event.seq) else { break };
            after = last;
            for event in page {
                let Some(seq) = event.data.call().filter(|seq| *seq != approval.seq) else {
                    continue;
                };
                let seq = u64::from(seq);
                if let EventDetails::CallRequested(requested) = event.data {
                    calls.push(PriorCall {
                        seq,
                        tool: requested.tool,
                        outcome: "requested".into(),
                    });
                } else if let Some(outcome) = outcome(event.data.kind())
                    && let Some(call) = calls.iter_mut().rev().find(|call| call.seq == seq)
                {
                    call.outcome = outcome.into();
                }
            }
            let surplus = calls.len().saturating_sub(PRIOR_CALLS_MAX);
            calls.drain(..surplus);
        }
        Ok(calls)
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

/// The error for a decision that comes too late.
fn already_decided(row: &Approval, verb: &str) -> ServiceError {
    let id = row.id;
    let message = match row.status {
        ApprovalStatus::Pending => {
            format!("`{id}` cannot be {verb}: it expired at {}", row.expires_at)
        }
        status => {
            let when = row.decided_at.map_or_else(String::new, |at| format!(" ({at})"));
            let why = row.why.as_ref().map_or_else(String::new, |why| format!(": {why}"));
            let was = match status {
                ApprovalStatus::Consumed => "was already approved and sent",
                ApprovalStatus::Approved => "was already approved",
                ApprovalStatus::Denied => "was already denied",
                ApprovalStatus::Expired => "has expired",
                ApprovalStatus::Void => "is void",
                _ => "was cancelled",
            };
            format!("`{id}` cannot be {verb}: it {was}{when}{why}")
        }
    };
    ServiceError::new(ErrorCode::ApprovalAlreadyDecided, message)
}
