//! The steps of a call that a person is asked about: the row of the approval, the wait for the
//! decision, and its use. An approval that an earlier process asked for is taken up again.

use std::sync::Arc;

use tokio::time::timeout;

use super::{Arguments, CallPipeline, OpenApproval, Performed, with_artifacts};
use crate::{
    catalog::{Tool, Visibility},
    model::{Approval, ApprovalId, ApprovalStatus, Timestamp},
    store::Decided,
    task::{
        approval::request::{self, ApprovalRequest},
        call::{
            event::CallEvent,
            rejection::{CallRejection, POLICY_DENIED, Rejected},
        },
    },
};

impl CallPipeline<'_> {
    fn open(&mut self) -> Result<&mut OpenApproval, CallRejection> {
        self.approval.as_mut().ok_or_else(|| CallRejection::in_doubt("no approval is open"))
    }

    pub(super) fn open_approval(&mut self, request: ApprovalRequest) -> Performed {
        if let Some(denied) = self.context.denials.rejection(self.path(), self.call.args.get()) {
            return Err(denied.into());
        }
        let waiters = &self.context.services.waiters;
        let waiting = Some(waiters.acquire_slot(self.context.task.id)?);
        let timeout = waiters.timeout(request.terms.timeout);
        let row = request.row(self.binding(self.tool()?), &self.call, timeout)?;
        let before = self.context.asked_before(&row);
        let is_asked = before.is_some();
        let row = before.unwrap_or(row);
        let left = row.expires_at.duration_since(Timestamp::now());
        let timeout = timeout.min(left.try_into().unwrap_or_default());
        let (id, pending) = (row.id, waiters.register(row.id));
        let clock = None;
        self.approval = Some(OpenApproval { row, is_asked, timeout, pending, waiting, clock });
        Ok(CallEvent::ApprovalOpened(id))
    }

    pub(super) async fn suspend(&mut self) -> Performed {
        let (context, mut events) = (self.context, std::mem::take(&mut self.events));
        let OpenApproval { row, is_asked, .. } = self.open()?;
        let row = row.clone();
        if *is_asked {
            // The record says it already.
            let recorded = context.unless_dropped(context.journal.suspend(vec![])).await?;
            recorded.map_err(|error| context.unrecorded(self.path(), &error))?;
            context.handle.asked();
            return Ok(CallEvent::Suspended);
        }
        self.cancel_unused();
        events.push(request::requested(&row));
        // Queued in this order: whoever finds the row finds the task waiting.
        let recorded = context.journal.suspend(events);
        let requested = context.journal.request_approval(row);
        let recorded = context.unless_dropped(recorded).await?;
        recorded.map_err(|error| context.unrecorded(self.path(), &error))?;
        let requested = context.unless_dropped(requested).await?;
        requested.map_err(|error| self.in_doubt(&error))?;
        context.handle.asked();
        Ok(CallEvent::Suspended)
    }

    pub(super) async fn await_decision(&mut self) -> Performed {
        let context = self.context;
        let open = self.open()?;
        open.clock = Some(context.clock.pause());
        let id = open.row.id;
        // Of an earlier process: it may be decided by now.
        let mut in_time = false;
        if open.is_asked {
            let row = context.unless_dropped(context.journal.approval(id)).await?;
            let is_pending = |row: &Approval| row.status == ApprovalStatus::Pending;
            in_time = row.ok().flatten().is_some_and(|row| !is_pending(&row));
        }
        let open = self.open()?;
        if !in_time {
            let decided = timeout(open.timeout, open.pending.decided());
            in_time = context.unless_dropped(decided).await?.is_ok();
        }
        let row = context.unless_dropped(self.decided_row(id, in_time)).await??;
        context.denials.note(&row);
        Ok(CallEvent::ApprovalDecided(Box::new(row)))
    }

    /// Cancels what an earlier process asked for this call in other words.
    pub(super) fn cancel_unused(&self) {
        let why = "policy asks on other terms now";
        self.context.cancel_unused(Some(self.call.seq), why);
    }

    /// The row once it is decided, or expired by now.
    async fn decided_row(&self, id: ApprovalId, in_time: bool) -> Result<Approval, CallRejection> {
        let journal = &self.context.journal;
        let row = match in_time {
            true => journal.approval(id).await.map_err(|error| self.in_doubt(&error))?,
            false => {
                let (from, to) = (ApprovalStatus::Pending, ApprovalStatus::Expired);
                let expired =
                    journal.change_approval(id, from, to, Some("nobody answered in time"));
                match expired.await.map_err(|error| self.in_doubt(&error))? {
                    // A decision at the last moment counts.
                    Decided::Changed(row) | Decided::Refused(row) => Some(*row),
                    Decided::Absent => None,
                }
            }
        };
        row.ok_or_else(|| CallRejection::in_doubt("the approval is not in the record any more"))
    }

    pub(super) async fn verify(&mut self, row: &Approval) -> Performed {
        let (tool, args) = self.context.unless_dropped(self.approved_call(row)).await??;
        (self.tool, self.args) = (Some(tool), args);
        Ok(CallEvent::Verified)
    }

    /// The call of the row: what was shown is what is sent, if it still means the same.
    async fn approved_call(&self, row: &Approval) -> Result<(Arc<Tool>, Arguments), Rejected> {
        let context = self.context;
        let tool = context.services.catalog.seek(&row.tool, &|_: &Tool| Visibility::Auto).await;
        let tool = tool
            .ok()
            .flatten()
            .filter(|tool| tool.path == row.tool && tool.schema_hash == row.asked.schema_hash)
            .filter(|tool| self.tool.as_ref().is_some_and(|asked| tool.is_beside(asked)))
            .ok_or_else(|| {
                let message = "the tool is another one than when it was asked for: ask again";
                CallRejection::new(POLICY_DENIED, message)
            })?;
        if self.binding(&tool).digest(&row.args).as_deref() != Some(row.digest.as_str()) {
            let message = "the stored call does not have the digest that was approved";
            return Err(CallRejection::in_doubt(message).into());
        }
        let args = match self.args {
            Arguments::Checked(_) => Arguments::Checked(context.check(&tool, &row.args).await?),
            Arguments::WithArtifacts(_) => with_artifacts(&row.args, &tool)?,
        };
        Ok((tool, args))
    }

    /// Only an approval that is still unused lets the call go on.
    pub(super) async fn consume_approval(&mut self) -> Performed {
        let (context, id) = (self.context, self.open()?.row.id);
        let (from, to) = (ApprovalStatus::Approved, ApprovalStatus::Consumed);
        let changed = context.unless_dropped(context.journal.change_approval(id, from, to, None));
        match changed.await?.map_err(|error| self.in_doubt(&error))? {
            Decided::Changed(_) => {
                self.approval = None;
                Ok(CallEvent::ApprovalConsumed)
            }
            Decided::Refused(_) | Decided::Absent => {
                Err(CallRejection::in_doubt("the approval was used already, or taken back").into())
            }
        }
    }

    pub(super) async fn withdraw_approval(&mut self, why: &str) {
        let Some(OpenApproval { row, pending, .. }) = self.approval.take() else { return };
        let (from, to) = (ApprovalStatus::Approved, ApprovalStatus::Cancelled);
        // Where the store fails the row stays approved; nothing waits for it, so it has no effect,
        // and the next start makes it void.
        let changed = self.context.journal.change_approval(row.id, from, to, Some(why)).await;
        if let Err(error) = changed {
            tracing::error!(approval = %row.id, %error, "an approval could not be taken back; its \
                call is not made");
        }
        drop(pending);
    }
}
