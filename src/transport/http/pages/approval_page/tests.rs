use super::*;
use crate::model::{self, ApprovalId, Asked, Principal, TaskId, Timestamp};

fn card(args: String) -> String {
    let now = Timestamp::now();
    let row = model::Approval {
        id: ApprovalId::new(),
        status: ApprovalStatus::Pending,
        principal: Principal::local("test"),
        task_id: TaskId::new(),
        seq: 1,
        tool: "bank.pay".into(),
        args,
        digest: "sha256:00".into(),
        asked: Asked { reason: "money".into(), ..Asked::default() },
        created_at: now,
        expires_at: now + jiff::SignedDuration::from_mins(5),
        decided_at: None,
        decided_by: None,
        note: None,
        why: None,
    };
    content(&row.into(), None, "token").into_string()
}

fn approve_button(page: &str) -> &str {
    let (_, rest) = page.split_once("<button class=\"approve\"").expect("there is a button");
    rest.split_once('>').expect("a tag ends").0
}

#[test]
fn what_cannot_be_shown_whole_can_only_be_denied() {
    for args in [format!("{{\"text\":\"{}\"}}", "x".repeat(5_000_000)), "{\"a\":".to_owned()] {
        let page = card(args);
        assert!(approve_button(&page).contains("disabled"), "approve is disabled");
        assert!(
            page.contains("cannot be shown whole") && page.len() < 20_000,
            "and nothing of it is shown in part"
        );
        assert!(page.contains("<button class=\"deny\" type=\"submit\">"), "it can be denied");
    }
    let page = card(format!("{{\"text\":\"{}\"}}", "x".repeat(200_000)));
    assert!(!approve_button(&page).contains("disabled") && page.contains(&"x".repeat(200_000)));
}
