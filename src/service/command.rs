//! The one entry to the service: the closed list of commands, who may give which, and the dispatch.
//!
//! A transport calls [`Service::call`] with a request and gets the answer of that request's type.
//! Every call passes [`authorize`]; the methods behind it are not visible outside of the service.

use tokio::sync::watch;
use tracing::Instrument;

use super::{
    Service, ServiceError,
    requests::{
        ApprovalCount, ApprovalDecision, ApprovalGet, ApprovalList, ArtifactGet, ArtifactList,
        ArtifactRead, ArtifactRemove, ConfigReload, Execution, HealthCheck, IdList, NamespaceList,
        OverviewGet, PolicyExplain, PolicyLint, PolicyReplay, PolicyShow, PolicyTest, PolicyTools,
        TaskCancel, TaskEvents, TaskGet, TaskList, TaskMedia, ToolChanges, ToolDescribe, ToolList,
        ToolRefresh, ToolTypes,
    },
    view,
};
use crate::model::{ErrorCode, Principal, Role};

/// A request that the outside can make, with the type of its answer. Closed: each is a variant of
/// [`Command`].
pub trait Request: Into<Command> {
    /// The answer.
    type Reply;

    /// The answer out of the reply to this request; none for the reply to another.
    fn reply(reply: Reply) -> Option<Self::Reply>;
}

/// Two counters, of the catalog and of the policy. One of them changes whenever there may be other
/// tools to see.
pub type ChangeCounters = [watch::Receiver<u64>; 2];

macro_rules! commands {
    ($($(#[$doc:meta])* $name:ident($request:ty) as $label:literal -> $reply:ty;)*) => {
        /// The closed list of requests from outside.
        #[derive(Debug, Clone)]
        pub enum Command {
            $($(#[$doc])* $name($request),)*
        }

        /// The reply to a command, by the command's name.
        #[derive(Debug)]
        pub enum Reply {
            $($(#[$doc])* $name(Box<$reply>),)*
        }

        impl Command {
            /// Its name, for logs and traces.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$name(_) => $label,)*
                }
            }
        }

        $(
            impl From<$request> for Command {
                fn from(request: $request) -> Self {
                    Self::$name(request)
                }
            }

            impl Request for $request {
                type Reply = $reply;

                fn reply(reply: Reply) -> Option<Self::Reply> {
                    match reply {
                        Reply::$name(reply) => Some(*reply),
                        _ => None,
                    }
                }
            }
        )*
    };
}

commands! {
    /// Records a task, runs it, and waits for its end as long as the request and its wait policy
    /// allow. Dropping the future ends the waiting, not the task.
    Execute(Execution) as "execute" -> view::TaskRecord;
    /// The record of a task, waiting for its end if asked to; or a piece of its result.
    TaskGet(TaskGet) as "task_get" -> view::TaskRecord;
    /// Tasks of the workspace, newest first.
    TaskList(TaskList) as "task_list" -> view::TaskPage;
    /// Ends a task and waits until its end is recorded; one that has ended stays as it is.
    TaskCancel(TaskCancel) as "task_cancel" -> view::TaskRecord;
    /// The images and sounds whose handles stand in a task's result, within their limits.
    TaskMedia(TaskMedia) as "task_media" -> view::ShownMedia;
    /// A task's history.
    TaskEvents(TaskEvents) as "task_events" -> view::EventPage;
    /// A page of tools, as `tools.catalog.tools` answers.
    ToolList(ToolList) as "tool_list" -> view::ToolPage;
    /// One tool, as `tools.describe` answers.
    ToolDescribe(ToolDescribe) as "tool_describe" -> view::Tool;
    /// TypeScript declarations of the tools that the caller may see.
    ToolTypes(ToolTypes) as "tool_types" -> String;
    /// Asks one upstream, or all, for their tools again; returns their states afterwards.
    ToolRefresh(ToolRefresh) as "tool_refresh" -> view::UpstreamList;
    /// The namespaces that the caller may see, in a stable order; then the upstreams whose tools
    /// are not known yet.
    NamespaceList(NamespaceList) as "namespace_list" -> Vec<view::Namespace>;
    /// Notice of changes to the tools.
    ToolChanges(ToolChanges) as "tool_changes" -> ChangeCounters;
    /// Approvals of the workspace, the newest first.
    ApprovalList(ApprovalList) as "approval_list" -> view::ApprovalPage;
    /// The numbers of approvals of the workspace.
    ApprovalCount(ApprovalCount) as "approval_count" -> view::ApprovalCounts;
    /// One approval, with everything that a person must see to decide.
    ApprovalGet(ApprovalGet) as "approval_get" -> view::Approval;
    /// Decides an approval. Of several decisions at once the first counts; one that comes too
    /// late, or that policy no longer allows, is refused with the reason.
    ApprovalDecide(ApprovalDecision) as "approval_decide" -> view::Approval;
    /// Artifacts of the workspace, the newest first.
    ArtifactList(ArtifactList) as "artifact_list" -> view::ArtifactPage;
    /// One artifact, without its text.
    ArtifactGet(ArtifactGet) as "artifact_get" -> view::Artifact;
    /// Bytes of an artifact's text, at most 256 KiB at once.
    ArtifactRead(ArtifactRead) as "artifact_read" -> Vec<u8>;
    /// Removes an artifact.
    ArtifactRemove(ArtifactRemove) as "artifact_remove" -> view::Removed;
    /// The ids that begin so, the newest first.
    IdList(IdList) as "id_list" -> view::IdList;
    /// How much the workspace has on record.
    Overview(OverviewGet) as "overview" -> view::Overview;
    /// The policy in force.
    PolicyShow(PolicyShow) as "policy_show" -> view::PolicyInForce;
    /// Tools as policy sees them.
    PolicyTools(PolicyTools) as "policy_tools" -> view::PolicyToolList;
    /// The decision of the policy in force about one call, and its reasons.
    PolicyExplain(PolicyExplain) as "policy_explain" -> view::PolicyExplanation;
    /// Likely mistakes in these files.
    PolicyLint(PolicyLint) as "policy_lint" -> view::PolicyFindings;
    /// Results of the tests in these files.
    PolicyTest(PolicyTest) as "policy_test" -> view::PolicyTestResults;
    /// Decisions of these files about calls on record.
    PolicyReplay(PolicyReplay) as "policy_replay" -> view::PolicyReplayResults;
    /// Has the configuration read again, and returns its state afterwards.
    ConfigReload(ConfigReload) as "config_reload" -> view::ConfigHealth;
    /// The state of the server.
    Health(HealthCheck) as "health" -> view::Health;
}

/// Checks that the principal may give the command. What belongs to another workspace is no matter
/// of roles: it is answered as if it did not exist.
///
/// # Errors
/// [`ErrorCode::Forbidden`] where it lacks the role that the command needs.
pub fn authorize(principal: &Principal, command: &Command) -> Result<(), ServiceError> {
    let needed = match command {
        // Anybody may check the health.
        Command::Health(_) => return Ok(()),
        Command::Execute(_)
        | Command::TaskGet(_)
        | Command::TaskList(_)
        | Command::TaskCancel(_)
        | Command::TaskMedia(_)
        | Command::TaskEvents(_)
        | Command::ToolList(_)
        | Command::ToolDescribe(_)
        | Command::ToolTypes(_)
        | Command::NamespaceList(_)
        | Command::ToolChanges(_) => Role::Agent,
        Command::ApprovalList(_)
        | Command::ApprovalCount(_)
        | Command::ApprovalGet(_)
        | Command::ApprovalDecide(_) => Role::Approver,
        Command::ToolRefresh(_)
        | Command::ConfigReload(_)
        | Command::ArtifactList(_)
        | Command::ArtifactGet(_)
        | Command::ArtifactRead(_)
        | Command::ArtifactRemove(_)
        | Command::IdList(_)
        | Command::Overview(_)
        | Command::PolicyShow(_)
        | Command::PolicyTools(_)
        | Command::PolicyExplain(_)
        | Command::PolicyLint(_)
        | Command::PolicyTest(_)
        | Command::PolicyReplay(_) => Role::Admin,
    };
    if principal.has(needed) {
        return Ok(());
    }
    let (name, role) = (command.name(), needed.as_str());
    let message = format!("`{name}` needs the role `{role}`");
    Err(ServiceError::new(ErrorCode::Forbidden, message)
        .hint("the server's owner has every role; an agent can neither approve nor administer"))
}

impl Service {
    /// Answers a request of this principal, in a span that everything done for it belongs to.
    ///
    /// # Errors
    /// The failure of the command; [`ErrorCode::Forbidden`] where the principal may not give it.
    pub async fn call<R: Request>(
        &self,
        principal: &Principal,
        request: R,
    ) -> Result<R::Reply, ServiceError> {
        let command = request.into();
        let span = tracing::debug_span!(
            "command",
            name = command.name(),
            workspace = principal.workspace_id,
            account = principal.account_id,
            client = principal.client_id,
            session = principal.session_id,
        );
        let reply = async {
            authorize(principal, &command)
                .inspect_err(|refused| tracing::warn!(code = %refused.code, "{refused}"))?;
            // Boxed, for the futures of commands differ much in size.
            Box::pin(self.perform(principal, command)).await
        };
        let reply = reply.instrument(span).await?;
        Ok(R::reply(reply).expect("a command is answered with its own reply"))
    }

    async fn perform(&self, who: &Principal, command: Command) -> Result<Reply, ServiceError> {
        use Command as C;
        use Reply as R;
        Ok(match command {
            C::Execute(request) => R::Execute(self.execute(who, request).await?.into()),
            C::TaskGet(request) => R::TaskGet(self.task_get(who, request).await?.into()),
            C::TaskList(request) => R::TaskList(self.task_list(who, request).await?.into()),
            C::TaskCancel(request) => R::TaskCancel(self.task_cancel(who, request).await?.into()),
            C::TaskMedia(request) => R::TaskMedia(self.task_media(who, request).await?.into()),
            C::TaskEvents(request) => R::TaskEvents(self.task_events(who, request).await?.into()),
            C::ToolList(request) => R::ToolList(self.tool_list(who, request).await?.into()),
            C::ToolDescribe(request) => {
                R::ToolDescribe(self.tool_describe(who, request).await?.into())
            }
            C::ToolTypes(request) => R::ToolTypes(self.tool_types(who, request).await?.into()),
            C::ToolRefresh(request) => R::ToolRefresh(self.tool_refresh(request).await?.into()),
            C::NamespaceList(_) => R::NamespaceList(self.namespaces(who).into()),
            C::ToolChanges(_) => R::ToolChanges(self.tool_changes().into()),
            C::ApprovalList(request) => {
                R::ApprovalList(self.approval_list(who, request).await?.into())
            }
            C::ApprovalCount(_) => R::ApprovalCount(self.approval_count(who).await?.into()),
            C::ApprovalGet(request) => {
                R::ApprovalGet(self.approval_get(who, &request.id).await?.into())
            }
            C::ApprovalDecide(decision) => {
                R::ApprovalDecide(self.approval_decide(who, decision).await?.into())
            }
            C::ArtifactList(request) => {
                R::ArtifactList(self.artifact_list(who, request).await?.into())
            }
            C::ArtifactGet(request) => {
                R::ArtifactGet(self.artifact_get(who, &request.id).await?.into())
            }
            C::ArtifactRead(request) => {
                R::ArtifactRead(self.artifact_read(who, request).await?.into())
            }
            C::ArtifactRemove(request) => {
                R::ArtifactRemove(self.artifact_remove(who, &request.id).await?.into())
            }
            C::IdList(request) => R::IdList(self.id_list(who, &request.begins).await?.into()),
            C::Overview(_) => R::Overview(self.overview(who).await?.into()),
            C::PolicyShow(_) => R::PolicyShow(self.policy_show().into()),
            C::PolicyTools(request) => R::PolicyTools(self.policy_tools(request).await.into()),
            C::PolicyExplain(request) => {
                R::PolicyExplain(self.policy_explain(request).await?.into())
            }
            C::PolicyLint(request) => R::PolicyLint(self.policy_lint(request).await?.into()),
            C::PolicyTest(request) => R::PolicyTest(self.policy_test(request).await?.into()),
            C::PolicyReplay(request) => R::PolicyReplay(self.policy_replay(request).await?.into()),
            C::ConfigReload(_) => R::ConfigReload(self.config_reload().await?.into()),
            C::Health(_) => R::Health(self.health().await.into()),
        })
    }
}

#[cfg(test)]
mod tests;
