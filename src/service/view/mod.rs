//! The answers of the service, typed: what MCP, `/v1`, the pages and the command line share. Names
//! on the wire are those of the contract.
//!
//! Plain data, and its construction from records. Must not query a store, a catalog or a policy.

mod approval;
mod artifact;
mod call_lines;
mod health;
mod overview;
mod policy;
mod task;
mod tool;

pub(super) use approval::Shown;
pub use approval::{
    ARGS_BYTES_MAX, Approval, ApprovalCounts, ApprovalPage, ApprovalPrincipal, PriorCall, Program,
    Rule, ToolAbout,
};
pub use artifact::{Artifact, ArtifactPage, Removed};
pub use health::{
    ConfigHealth, Health, PolicyHealth, RuntimeHealth, SandboxHealth, StoreHealth, Upstream,
    UpstreamList,
};
pub use overview::{IdList, Overview};
pub use policy::{
    PolicyCase, PolicyExplanation, PolicyFinding, PolicyFindings, PolicyInForce, PolicyLayer,
    PolicyLimit, PolicyReplayResult, PolicyReplayResults, PolicyRule, PolicyShadow, PolicyStep,
    PolicyTestResults, PolicyTool, PolicyToolList, PolicyVerdict, Severity,
};
pub use task::{
    EventPage, PAGE_BYTES, PendingApproval, Progress, ResultPage, TaskOutcome, TaskPage,
    TaskRecord, TaskRow, TaskRowError, Truncated,
};
pub use tool::{Namespace, Tool, ToolPage, ToolRow};

pub use crate::{
    artifacts::{Shown as ShownBlock, ShownMedia},
    task::Latest,
};

#[cfg(test)]
mod tests;
