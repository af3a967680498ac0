//! How much is on record, and ids by their first characters.

use airlock::{
    model::{ApprovalStatus, IdBeginning, IdKind, Timestamp},
    store::{Counts, IDS_MAX, OverviewStore, StoreError},
};
use futures::future::BoxFuture;

use super::{MemoryStore, Tables};

impl Tables {
    fn ids_of(&self, workspace: &str, at: Timestamp, kind: IdKind) -> Vec<String> {
        match kind {
            IdKind::Task => self
                .rows
                .iter()
                .filter(|row| row.task.principal.workspace_id == workspace)
                .map(|row| row.task.task_id.to_string())
                .collect(),
            IdKind::Approval => self
                .approvals
                .iter()
                .filter(|row| row.principal.workspace_id == workspace)
                .map(|row| row.id.to_string())
                .collect(),
            IdKind::Artifact => self
                .artifacts
                .iter()
                .filter(|kept| kept.is_there(workspace, at))
                .map(|kept| kept.artifact.id.to_string())
                .collect(),
        }
    }
}

impl OverviewStore for MemoryStore {
    fn ids<'a>(
        &'a self,
        workspace: &'a str,
        at: Timestamp,
        beginning: IdBeginning,
    ) -> BoxFuture<'a, Result<Vec<String>, StoreError>> {
        self.with(|tables| {
            let mut ids = tables.ids_of(workspace, at, beginning.kind());
            ids.retain(|id| id.starts_with(beginning.as_str()));
            ids.sort_unstable_by(|a, b| b.cmp(a));
            ids.truncate(IDS_MAX as usize);
            Ok(ids)
        })
    }

    fn counts<'a>(
        &'a self,
        workspace: &'a str,
        at: Timestamp,
    ) -> BoxFuture<'a, Result<Counts, StoreError>> {
        self.with(|tables| {
            let own =
                || tables.rows.iter().filter(|row| row.task.principal.workspace_id == workspace);
            let pending = tables.approvals.iter().filter(|row| {
                row.principal.workspace_id == workspace && row.status == ApprovalStatus::Pending
            });
            Ok(Counts {
                tasks: own().count() as u64,
                unfinished_tasks: own().filter(|row| !row.task.status.is_terminal()).count() as u64,
                pending_approvals: pending.count() as u64,
                artifacts: tables.ids_of(workspace, at, IdKind::Artifact).len() as u64,
            })
        })
    }
}
