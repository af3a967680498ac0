use crate::model::{TaskId, TaskStatus, Timestamp};

use super::*;

fn progress(tool_calls: u64, latest: Option<Latest>, approvals: Vec<PendingApproval>) -> Progress {
    let status = match approvals.is_empty() {
        true => TaskStatus::Running,
        false => TaskStatus::AwaitingApproval,
    };
    Progress { task_id: TaskId::new(), status, tool_calls, latest, approvals: approvals.into() }
}

fn approval(tool: &str, url: Option<&str>) -> PendingApproval {
    PendingApproval {
        approval_id: format!("apr_{tool}"),
        tool: tool.to_owned(),
        reason: "a rule".to_owned(),
        expires_at: Timestamp::now(),
        url: url.map(str::to_owned),
    }
}

#[test]
fn the_latest_is_told_by_its_kind() {
    assert_eq!(message(None, 3), "received");
    for (calls, latest, expected) in [
        (0, None, "running after 3 s"),
        (0, Some(Latest::Console("row 7".into())), "running after 3 s; the console says: row 7"),
        (
            1,
            Some(Latest::Call("shop.buy".into())),
            "running after 3 s, 1 tool call; the last tool is shop.buy",
        ),
        (
            2,
            Some(Latest::Report("1 of 2".into())),
            "running after 3 s, 2 tool calls; the last tool reports: 1 of 2",
        ),
    ] {
        assert_eq!(message(Some(&progress(calls, latest, vec![])), 3), expected);
    }
}

#[test]
fn calls_that_wait_are_named_with_the_page_where_a_person_decides() {
    let told =
        |approvals| message(Some(&progress(1, Some(Latest::Call("x".into())), approvals)), 0);
    let one = told(vec![approval("shop.buy", Some("http://127.0.0.1:1/approvals/apr_1"))]);
    assert_eq!(
        one,
        "awaiting_approval after 0 s, 1 tool call; a person must approve shop.buy: \
        http://127.0.0.1:1/approvals/apr_1"
    );
    let unlinked = told(vec![approval("shop.buy", None)]);
    assert!(unlinked.ends_with("shop.buy: airlock approvals show apr_shop.buy"), "{unlinked}");
    let many = told((0..5).map(|n| approval(&format!("t{n}"), Some("u"))).collect());
    assert!(many.ends_with("a person must approve t0: u, t1: u, t2: u, and 2 more"), "{many}");
}
