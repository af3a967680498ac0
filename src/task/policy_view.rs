//! Views of the policy: the tools that a caller may see, and tools and counters in policy's terms.

use std::{sync::Arc, time::Duration};

use crate::{
    catalog::{Tool, ToolFilter, Visibility},
    policy::{Caller, FixedWindow, FormerPath, Listing, Policy, ToolFacts, Window},
    store::CounterWindow,
};

/// The role of whoever runs code.
pub const ROLE: &str = "agent";

/// The tools that policy lets one caller see. Neither its session nor its task makes a difference.
pub struct PolicyView {
    policy: Arc<Policy>,
    workspace: String,
    principal: String,
    key: Option<String>,
    /// Shared by all callers with this view.
    view_key: String,
    without: Option<String>,
    /// Tools that are hidden or always denied are shown too.
    with_denied: bool,
}

impl PolicyView {
    /// The view of this caller by this policy.
    pub fn new(policy: Arc<Policy>, caller: &Caller<'_>) -> Self {
        Self {
            workspace: caller.workspace.to_owned(),
            principal: caller.principal.to_owned(),
            key: caller.key.map(ToOwned::to_owned),
            view_key: policy.view_key(&Caller { role: ROLE, ..*caller }),
            without: None,
            with_denied: false,
            policy,
        }
    }

    /// This view with the tools that are hidden or always denied, for the owner.
    pub fn with_denied(self) -> Self {
        Self { view_key: format!("{} with denied", self.view_key), with_denied: true, ..self }
    }

    /// This view without the tool of that path.
    pub(super) fn without(self, path: &str) -> Self {
        Self { without: Some(path.to_owned()), ..self }
    }
}

impl ToolFilter for PolicyView {
    fn see(&self, tool: &Tool) -> Visibility {
        let caller = Caller {
            workspace: &self.workspace,
            principal: &self.principal,
            role: ROLE,
            key: self.key.as_deref(),
            session: None,
            task: "",
        };
        match self.policy.view(&facts(tool), &caller) {
            Listing::Hidden if self.with_denied => Visibility::Auto,
            Listing::Hidden => Visibility::Hidden,
            Listing::Auto => Visibility::Auto,
            Listing::Required => Visibility::Required,
        }
    }

    fn key(&self) -> Option<&str> {
        Some(&self.view_key)
    }

    fn without(&self) -> Option<&str> {
        self.without.as_deref()
    }

    fn workspace(&self) -> &str {
        &self.workspace
    }
}

/// The window of a counter of policy, in the store's terms.
pub fn counter_window(window: Window) -> CounterWindow {
    match window {
        Window::Fixed(length) => {
            CounterWindow::Fixed(Duration::from_secs(FixedWindow::seconds(length).into()))
        }
        Window::Rolling(length) => CounterWindow::Rolling(length),
        Window::Task => CounterWindow::Whole,
    }
}

/// The facts about a tool that policy decides by.
pub fn facts(tool: &Tool) -> ToolFacts<'_> {
    ToolFacts {
        path: &tool.path,
        upstream: &tool.upstream,
        name: &tool.name,
        input_schema: Some(&tool.input_schema),
        annotations: tool.annotations,
        trusted: tool.trusted,
        operation: tool.operation,
        former: tool
            .former
            .as_ref()
            .map(|former| FormerPath { path: &former.path, new_from: former.new_from }),
    }
}
