use std::collections::BTreeSet;

use super::*;
use crate::{
    model::{ArtifactId, ErrorKind, TaskId},
    service::requests::{Execute, PolicyCaller, PolicyFiles, WaitPolicy},
};

/// One command of each kind.
fn commands() -> Vec<Command> {
    let id = || "id".to_owned();
    let files = || PolicyFiles { files: vec![] };
    let explain = PolicyExplain { tool: id(), args: None, caller: PolicyCaller::default() };
    let decision =
        ApprovalDecision { id: id(), approve: true, note: None, decided_by: "test".into() };
    vec![
        Execution::unwatched(Execute::default(), WaitPolicy::Full).into(),
        TaskGet::default().into(),
        TaskList::default().into(),
        TaskCancel { task_id: id() }.into(),
        TaskEvents { task_id: id(), after: 0, limit: None }.into(),
        TaskMedia { task_id: TaskId::new() }.into(),
        ToolList::default().into(),
        ToolDescribe { path: id() }.into(),
        ToolTypes::default().into(),
        ToolRefresh::default().into(),
        NamespaceList.into(),
        ToolChanges.into(),
        ApprovalList::default().into(),
        ApprovalCount.into(),
        ApprovalGet { id: id() }.into(),
        decision.into(),
        ArtifactList::default().into(),
        ArtifactGet { id: id() }.into(),
        ArtifactRead { id: ArtifactId::new(), part: 0 }.into(),
        ArtifactRemove { id: id() }.into(),
        IdList { begins: id() }.into(),
        OverviewGet.into(),
        PolicyShow.into(),
        PolicyTools::default().into(),
        explain.into(),
        PolicyLint(files()).into(),
        PolicyTest(files()).into(),
        PolicyReplay { files: vec![], calls: vec![] }.into(),
        ConfigReload.into(),
        HealthCheck.into(),
    ]
}

/// The names of the commands that a principal with these roles may give.
fn allowed(roles: &[Role]) -> BTreeSet<&'static str> {
    let who = Principal { roles: roles.iter().copied().collect(), ..Principal::local("test") };
    let commands = commands();
    commands.iter().filter(|command| authorize(&who, command).is_ok()).map(Command::name).collect()
}

#[test]
fn each_role_allows_exactly_its_own_commands() {
    let agent = [
        "execute",
        "task_get",
        "task_list",
        "task_cancel",
        "task_events",
        "task_media",
        "tool_list",
        "tool_describe",
        "tool_types",
        "namespace_list",
        "tool_changes",
        "health",
    ];
    assert_eq!(allowed(&[Role::Agent]), agent.into());
    let approver = ["approval_list", "approval_count", "approval_get", "approval_decide", "health"];
    assert_eq!(allowed(&[Role::Approver]), approver.into());
    let admin = [
        "tool_refresh",
        "config_reload",
        "artifact_list",
        "artifact_get",
        "artifact_read",
        "artifact_remove",
        "id_list",
        "overview",
        "policy_show",
        "policy_tools",
        "policy_explain",
        "policy_lint",
        "policy_test",
        "policy_replay",
        "health",
    ];
    assert_eq!(allowed(&[Role::Admin]), admin.into());
    assert_eq!(allowed(&[]), ["health"].into(), "a caller without roles learns the health alone");
}

#[test]
fn the_owner_may_give_every_command_and_each_has_a_name_of_its_own() {
    let commands = commands();
    let names: BTreeSet<_> = commands.iter().map(Command::name).collect();
    assert_eq!(names.len(), commands.len());
    assert_eq!(allowed(&[Role::Agent, Role::Approver, Role::Admin]), names);
}

#[test]
fn a_refusal_names_the_command_and_the_role() {
    let decision =
        ApprovalDecision { id: "a".into(), approve: true, note: None, decided_by: "me".into() };
    let refused = authorize(&Principal::local("test"), &decision.into()).unwrap_err();
    assert_eq!(refused.code, ErrorCode::Forbidden);
    assert_eq!(refused.kind(), ErrorKind::Denied);
    assert_eq!(refused.message, "`approval_decide` needs the role `approver`");
}
