//! Tools, their declarations and their upstreams.

use serde::de::DeserializeOwned;

use super::{
    Service, ServiceError,
    command::ChangeCounters,
    requests::{ToolDescribe, ToolList, ToolRefresh, ToolTypes},
    view::{Namespace, Tool, ToolPage, UpstreamList},
};
use crate::{
    catalog::{
        self, CallerLimit, FindError, NotFound, ResolveError, ToolFilter, UpstreamState, Visibility,
    },
    model::{DiscoveryFunction, ErrorCode, NamespacesQuery, Principal, Role},
    policy::Caller,
    task::policy_view::{PolicyView, ROLE},
};

/// The task in whose name lists are shown outside of one.
const NO_TASK: &str = "";
/// Namespaces that the description of `execute` may name.
const NAMESPACES_MAX: u32 = 200;

impl Service {
    /// A page of tools, as `tools.catalog.tools` answers.
    pub(super) async fn tool_list(
        &self,
        who: &Principal,
        request: ToolList,
    ) -> Result<ToolPage, ServiceError> {
        let args = serde_json::to_string(&request).expect("strings and numbers only");
        let mut page: ToolPage = self.find(who, DiscoveryFunction::Tools, &args).await?;
        for tool in &mut page.results {
            tool.verdict = self.verdict(who, &tool.path);
        }
        Ok(page)
    }

    /// One tool, as `tools.describe` answers.
    pub(super) async fn tool_describe(
        &self,
        who: &Principal,
        request: ToolDescribe,
    ) -> Result<Tool, ServiceError> {
        let args = serde_json::to_string(&request).expect("a string only");
        let mut tool: Tool = self.find(who, DiscoveryFunction::Describe, &args).await?;
        tool.verdict = self.verdict(who, &tool.path);
        Ok(tool)
    }

    /// For an owner, what the policy decides about calls of an agent; none for anybody else, and
    /// for what is no tool of an upstream.
    fn verdict(&self, who: &Principal, path: &str) -> Option<String> {
        let tool = self.catalog.exact(path).filter(|_| who.has(Role::Admin))?;
        let verdict = match PolicyView::new(self.policy.current(), &caller(who)).see(&tool) {
            Visibility::Auto => "allow",
            Visibility::Required => "ask",
            Visibility::Hidden => "deny",
        };
        Some(verdict.into())
    }

    /// TypeScript declarations of all tools that the caller may see, or of those of one namespace.
    pub(super) async fn tool_types(
        &self,
        who: &Principal,
        request: ToolTypes,
    ) -> Result<String, ServiceError> {
        let view = PolicyView::new(self.policy.current(), &caller(who));
        let declared = self.catalog.types(request.namespace.as_deref(), &view).await;
        declared.map_err(|error| ServiceError::new(ErrorCode::InvalidArgument, error.to_string()))
    }

    /// Asks one upstream, or all, for their tools again; returns their states afterwards.
    pub(super) async fn tool_refresh(
        &self,
        request: ToolRefresh,
    ) -> Result<UpstreamList, ServiceError> {
        let upstream = request.upstream.as_deref();
        if let Some(status) = self.catalog.refresh(upstream).await {
            return Ok(UpstreamList { results: status.into_iter().map(Into::into).collect() });
        }
        let names: Vec<String> =
            self.catalog.status().into_iter().map(|status| format!("`{}`", status.name)).collect();
        let known = if names.is_empty() {
            "none is configured".to_owned()
        } else {
            format!("there are {}", names.join(", "))
        };
        let message = format!("there is no upstream `{}`, {known}", upstream.unwrap_or_default());
        Err(ServiceError::new(ErrorCode::InvalidArgument, message))
    }

    /// The namespaces that the caller may see, and how many tools each has, in a stable order; then
    /// the upstreams whose tools are not known yet.
    pub(super) fn namespaces(&self, who: &Principal) -> Vec<Namespace> {
        let view = PolicyView::new(self.policy.current(), &caller(who));
        let found =
            self.catalog.namespaces(&NamespacesQuery { limit: Some(NAMESPACES_MAX) }, &view);
        let counted = |namespace: catalog::Namespace| Namespace {
            is_down: namespace.unavailable.is_some(),
            namespace: namespace.namespace,
            tools: namespace.tool_count,
        };
        let mut all: Vec<Namespace> = found.namespaces.into_iter().map(counted).collect();
        // They are listed by name, so that nobody takes them for missing.
        let unknown = self.catalog.status().into_iter().filter(|upstream| upstream.tools == 0);
        all.extend(unknown.filter_map(|upstream| match upstream.status {
            UpstreamState::Ready => None,
            status => Some(Namespace {
                namespace: upstream.name,
                tools: 0,
                is_down: status == UpstreamState::Failed,
            }),
        }));
        all
    }

    /// Counters of the catalog and of the policy.
    pub(super) fn tool_changes(&self) -> ChangeCounters {
        [self.catalog.changed(), self.policy.changed()]
    }

    /// Answers a finding function as code of this caller would be answered; for an owner, with the
    /// tools that policy denies.
    async fn find<T: DeserializeOwned>(
        &self,
        who: &Principal,
        function: DiscoveryFunction,
        args: &str,
    ) -> Result<T, ServiceError> {
        let view = PolicyView::new(self.policy.current(), &caller(who));
        let limit = CallerLimit::default();
        // The owner also sees the tools that policy keeps from agents, with their verdicts.
        let found = match who.has(Role::Admin) {
            true => self.catalog.find_offloaded(&limit, function, args, view.with_denied()).await,
            false => self.catalog.find_offloaded(&limit, function, args, view).await,
        };
        let json = found.map_err(|error| match error {
            FindError::Arguments(error) => {
                ServiceError::new(ErrorCode::InvalidArgument, error.to_string())
            }
            FindError::Unresolved(error) => unresolved(error),
        })?;
        serde_json::from_str(json.get()).map_err(|error| {
            let message = format!("the response of {function:?} cannot be read");
            ServiceError::new(ErrorCode::Internal, message).caused_by(error)
        })
    }
}

/// The caller as policy sees code of the same account, outside of a task.
fn caller(who: &Principal) -> Caller<'_> {
    Caller {
        workspace: &who.workspace_id,
        principal: &who.account_id,
        role: ROLE,
        key: who.key_id.as_deref(),
        session: None,
        task: NO_TASK,
    }
}

/// The error for a path of no tool, with commands in its hint: the catalog's own hints are for
/// programs.
pub(super) fn unresolved(error: ResolveError) -> ServiceError {
    match error {
        ResolveError::NotFound(NotFound { path, is_namespace: true, .. }) => ServiceError::new(
            ErrorCode::ToolNotFound,
            format!("there is no tool `{path}`, it is a namespace"),
        )
        .hint("`airlock tools list --namespace NAME` shows what is in it"),
        ResolveError::NotFound(NotFound { path, nearest, .. }) => {
            let names: Vec<_> = nearest.iter().map(|path| format!("`{path}`")).collect();
            let meant = if names.is_empty() {
                String::new()
            } else {
                format!("; did you mean {}?", names.join(", "))
            };
            ServiceError::new(ErrorCode::ToolNotFound, format!("there is no tool `{path}`{meant}"))
                .hint("`airlock tools search WORDS` finds tools, `airlock tools list` shows all")
        }
        ResolveError::Unavailable(error) => {
            ServiceError::new(ErrorCode::UpstreamUnavailable, error.message)
                .hint("`airlock upstreams check` says what is wrong with it")
        }
    }
}
