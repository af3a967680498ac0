//! The store's traits over the writer and the readers.

use futures::future::BoxFuture;

use super::{
    SqliteStore, approvals,
    artifacts::{self, ArtifactJob},
    counters, overview, read,
};
use crate::{
    model::{
        Approval, ApprovalId, Artifact, ArtifactId, Event, IdBeginning, InstanceId, Task, TaskId,
        Timestamp,
    },
    store::{
        ApprovalChange, ApprovalCounts, ApprovalFilter, ApprovalPage, ApprovalStore, ArtifactAt,
        ArtifactFilter, ArtifactOpened, ArtifactPage, ArtifactPart, ArtifactStore, CounterHold,
        CounterRead, CounterStore, Counts, Created, Decided, HoldToken, JournalRow, JournalStore,
        NewTask, OverviewStore, Recovered, Recovery, RecoveryStore, Reserved, ResultPiece, Store,
        StoreError, Swept, TaskChange, TaskFilter, TaskPage, TaskStore, Written, counters_fit,
    },
};

impl TaskStore for SqliteStore {
    fn create_task(&self, task: NewTask) -> Written<Created> {
        self.writer.create(task)
    }

    fn change_task(&self, change: TaskChange) -> Written {
        self.writer.change(change)
    }

    fn task<'a>(
        &'a self,
        workspace_id: &'a str,
        task: TaskId,
    ) -> BoxFuture<'a, Result<Option<Task>, StoreError>> {
        Box::pin(read::task(&self.readers, workspace_id, task))
    }

    fn result<'a>(
        &'a self,
        workspace_id: &'a str,
        task: TaskId,
        offset: u64,
        limit: u64,
    ) -> BoxFuture<'a, Result<Option<ResultPiece>, StoreError>> {
        Box::pin(read::result(&self.readers, workspace_id, task, offset, limit))
    }

    fn tasks<'a>(
        &'a self,
        workspace_id: &'a str,
        filter: TaskFilter,
    ) -> BoxFuture<'a, Result<TaskPage, StoreError>> {
        Box::pin(read::tasks(&self.readers, workspace_id, filter))
    }
}

impl JournalStore for SqliteStore {
    fn events<'a>(
        &'a self,
        workspace_id: &'a str,
        task: TaskId,
        after: u64,
        limit: u32,
    ) -> BoxFuture<'a, Result<Vec<Event>, StoreError>> {
        Box::pin(read::events(&self.readers, workspace_id, task, after, limit))
    }

    fn journal<'a>(
        &'a self,
        workspace_id: &'a str,
        task: TaskId,
    ) -> BoxFuture<'a, Result<Vec<JournalRow>, StoreError>> {
        Box::pin(read::journal(&self.readers, workspace_id, task))
    }
}

impl CounterStore for SqliteStore {
    fn reserve(&self, at: Timestamp, holds: &[CounterHold]) -> Written<Reserved> {
        match counters_fit(holds) {
            Ok(()) if holds.is_empty() => {
                Box::pin(std::future::ready(Ok(Reserved::Held(HoldToken::default()))))
            }
            Ok(()) => self.writer.reserve(at, holds),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    fn release(&self, token: HoldToken) -> Written {
        if token.is_empty() {
            return Box::pin(std::future::ready(Ok(())));
        }
        self.writer.release(token)
    }

    fn counters<'a>(
        &'a self,
        at: Timestamp,
        reads: &'a [CounterRead],
    ) -> BoxFuture<'a, Result<Vec<i64>, StoreError>> {
        Box::pin(counters::values(&self.readers, at, reads))
    }
}

impl ApprovalStore for SqliteStore {
    fn ask_approval(&self, approval: Approval) -> Written {
        self.writer.ask_approval(approval)
    }

    fn decide_approval(&self, workspace_id: &str, change: ApprovalChange) -> Written<Decided> {
        self.writer.decide(workspace_id.to_owned(), change)
    }

    fn approval<'a>(
        &'a self,
        workspace_id: &'a str,
        id: ApprovalId,
    ) -> BoxFuture<'a, Result<Option<Approval>, StoreError>> {
        Box::pin(approvals::approval_of(&self.readers, workspace_id, id))
    }

    fn approvals<'a>(
        &'a self,
        workspace_id: &'a str,
        filter: ApprovalFilter,
    ) -> BoxFuture<'a, Result<ApprovalPage, StoreError>> {
        Box::pin(approvals::list(&self.readers, workspace_id, filter))
    }

    fn count_approvals<'a>(
        &'a self,
        workspace_id: &'a str,
    ) -> BoxFuture<'a, Result<ApprovalCounts, StoreError>> {
        Box::pin(approvals::count(&self.readers, workspace_id))
    }
}

impl ArtifactStore for SqliteStore {
    fn open_artifact(
        &self,
        artifact: Artifact,
        workspace_bytes_max: u64,
    ) -> Written<ArtifactOpened> {
        self.writer
            .artifact(|answer| ArtifactJob::Open(Box::new(artifact), workspace_bytes_max, answer))
    }

    fn write_artifact_part(&self, id: ArtifactId, part: ArtifactPart) -> Written {
        self.writer.artifact(|answer| ArtifactJob::Part(id, part, answer))
    }

    fn close_artifact(&self, id: ArtifactId) -> Written {
        self.writer.artifact(|answer| ArtifactJob::Close(id, answer))
    }

    fn artifact<'a>(
        &'a self,
        workspace_id: &'a str,
        id: ArtifactId,
        at: Timestamp,
    ) -> BoxFuture<'a, Result<Option<Artifact>, StoreError>> {
        Box::pin(artifacts::one(&self.readers, workspace_id, id, at))
    }

    fn artifact_part<'a>(
        &'a self,
        workspace_id: &'a str,
        id: ArtifactId,
        at: Timestamp,
        place: ArtifactAt,
    ) -> BoxFuture<'a, Result<Option<ArtifactPart>, StoreError>> {
        Box::pin(artifacts::part(&self.readers, workspace_id, id, at, place))
    }

    fn artifacts<'a>(
        &'a self,
        workspace_id: &'a str,
        at: Timestamp,
        filter: ArtifactFilter,
    ) -> BoxFuture<'a, Result<ArtifactPage, StoreError>> {
        Box::pin(artifacts::list(&self.readers, workspace_id, at, filter))
    }

    fn remove_artifact(&self, workspace_id: &str, id: ArtifactId, at: Timestamp) -> Written<bool> {
        let workspace_id = workspace_id.to_owned();
        self.writer.artifact(move |answer| ArtifactJob::Remove(workspace_id, id, at, answer))
    }

    fn sweep_artifacts(&self, at: Timestamp) -> Written<Swept> {
        self.writer.artifact(|answer| ArtifactJob::Sweep(at, answer))
    }
}

impl RecoveryStore for SqliteStore {
    fn unfinished(
        &self,
        instance_id: InstanceId,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<Task>, StoreError>> {
        Box::pin(read::unfinished(&self.readers, instance_id, limit))
    }

    fn adopt(&self, tasks: Vec<TaskId>, instance_id: InstanceId) -> Written {
        self.writer.adopt(tasks, instance_id)
    }

    fn recover(&self, recovery: Recovery) -> Written<Recovered> {
        self.writer.recover(recovery)
    }
}

impl Store for SqliteStore {
    fn check(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async {
            read::check(&self.readers).await?;
            self.writer.check().await
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.readers.close().await;
            self.writer.close().await;
            tracing::debug!(path = %self.path.display(), "the database is closed");
        })
    }
}

impl OverviewStore for SqliteStore {
    fn ids<'a>(
        &'a self,
        workspace_id: &'a str,
        at: Timestamp,
        beginning: IdBeginning,
    ) -> BoxFuture<'a, Result<Vec<String>, StoreError>> {
        Box::pin(overview::ids(&self.readers, workspace_id, at, beginning))
    }

    fn counts<'a>(
        &'a self,
        workspace_id: &'a str,
        at: Timestamp,
    ) -> BoxFuture<'a, Result<Counts, StoreError>> {
        Box::pin(overview::counts(&self.readers, workspace_id, at))
    }
}
