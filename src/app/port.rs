//! The service as the protocols see it. Nothing is decided here.

use futures::future::BoxFuture;
use tokio::sync::watch;

use crate::{
    model::{Artifact, Principal, RawJson},
    service::{
        ApprovalAnswer, ApprovalList, ApprovalListAnswer, ArtifactList, Execute, Health,
        NamespaceCount, Patience, PolicyQuestion, ProgressSink, Service, TaskAnswer, TaskCancel,
        TaskEvents, TaskEventsAnswer, TaskGet, TaskList, TaskListAnswer, ToolList, Word,
    },
    transport::{Asked, Port},
};

impl Port for Service {
    fn execute<'a>(
        &'a self,
        who: &'a Principal,
        request: Execute,
        patience: Patience,
        progress: ProgressSink,
    ) -> Asked<'a, TaskAnswer> {
        Box::pin(Service::execute(self, who, request, patience, progress))
    }

    fn task_get<'a>(&'a self, who: &'a Principal, request: TaskGet) -> Asked<'a, TaskAnswer> {
        Box::pin(Service::task_get(self, who, request))
    }

    fn task_list<'a>(&'a self, who: &'a Principal, request: TaskList) -> Asked<'a, TaskListAnswer> {
        Box::pin(Service::task_list(self, who, request))
    }

    fn task_cancel<'a>(&'a self, who: &'a Principal, request: TaskCancel) -> Asked<'a, TaskAnswer> {
        Box::pin(Service::task_cancel(self, who, request))
    }

    fn task_events<'a>(
        &'a self,
        who: &'a Principal,
        request: TaskEvents,
    ) -> Asked<'a, TaskEventsAnswer> {
        Box::pin(Service::task_events(self, who, request))
    }

    fn tools<'a>(&'a self, who: &'a Principal, request: ToolList) -> Asked<'a, RawJson> {
        Box::pin(Service::tools(self, who, request))
    }

    fn tool<'a>(&'a self, who: &'a Principal, path: String) -> Asked<'a, RawJson> {
        Box::pin(async move { Service::tool(self, who, &path).await })
    }

    fn tool_types<'a>(
        &'a self,
        who: &'a Principal,
        namespace: Option<String>,
    ) -> Asked<'a, String> {
        Box::pin(async move { Service::tool_types(self, who, namespace.as_deref()).await })
    }

    fn tools_refresh<'a>(
        &'a self,
        _: &'a Principal,
        upstream: Option<String>,
    ) -> Asked<'a, RawJson> {
        Box::pin(async move { Service::tools_refresh(self, upstream.as_deref()).await })
    }

    fn approvals<'a>(
        &'a self,
        who: &'a Principal,
        request: ApprovalList,
    ) -> Asked<'a, ApprovalListAnswer> {
        Box::pin(Service::approvals(self, who, request))
    }

    fn approval<'a>(&'a self, who: &'a Principal, id: &'a str) -> Asked<'a, ApprovalAnswer> {
        Box::pin(Service::approval(self, who, id))
    }

    fn artifacts<'a>(
        &'a self,
        who: &'a Principal,
        request: ArtifactList,
    ) -> Asked<'a, serde_json::Value> {
        Box::pin(Service::artifacts(self, who, request))
    }

    fn artifact<'a>(&'a self, who: &'a Principal, id: &'a str) -> Asked<'a, Artifact> {
        Box::pin(Service::artifact(self, who, id))
    }

    fn artifact_bytes<'a>(
        &'a self,
        who: &'a Principal,
        artifact: &'a Artifact,
        offset: u64,
    ) -> Asked<'a, Vec<u8>> {
        Box::pin(Service::artifact_bytes(self, who, artifact, offset))
    }

    fn remove_artifact<'a>(
        &'a self,
        who: &'a Principal,
        id: &'a str,
    ) -> Asked<'a, serde_json::Value> {
        Box::pin(Service::remove_artifact(self, who, id))
    }

    fn policy(&self, question: PolicyQuestion) -> Asked<'_, serde_json::Value> {
        Box::pin(Service::policy(self, question))
    }

    fn decide_approval<'a>(&'a self, who: &'a Principal, word: Word) -> Asked<'a, ApprovalAnswer> {
        Box::pin(Service::decide_approval(self, who, word))
    }

    fn namespaces(&self, who: &Principal) -> Vec<NamespaceCount> {
        Service::namespaces(self, who)
    }

    fn tools_changed(&self) -> [watch::Receiver<u64>; 2] {
        Service::tools_changed(self)
    }

    fn health(&self) -> BoxFuture<'_, Health> {
        Box::pin(Service::health(self))
    }
}
