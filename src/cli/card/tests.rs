use serde_json::{json, value::RawValue};

use super::*;

fn approval(tool: &str, args: &str) -> Approval {
    let now = Timestamp::now();
    let mut approval: Approval = serde_json::from_value(json!({
        "id": crate::model::ApprovalId::new(), "status": "pending", "createdAt": now,
        "expiresAt": now + jiff::SignedDuration::from_mins(5), "workspaceId": "local",
        "taskId": crate::model::TaskId::new(), "seq": 2, "tool": tool, "upstream": "bank",
        "class": "financial",
        "principal": {
            "accountId": "local", "clientId": "evil\n\u{1b}[2J\u{1b}[H", "sessionId": null,
            "role": "agent",
        },
        "rule": null, "policyRevision": "sha256:00", "reason": "No rule covers this tool.",
        "args": null, "argsComplete": true, "argsBytes": args.len(), "digest": "sha256:00",
        "options": ["once"],
        "about": { "route": "POST https://bank.example/pay" },
        "url": "http://127.0.0.1:1/approvals/apr_1",
    }))
    .unwrap();
    approval.args = Some(RawValue::from_string(args.to_owned()).unwrap());
    approval
}

/// The card's lines without the bar; fails where a line of the call has none.
fn lines(card: &str) -> Vec<&str> {
    let mut lines: Vec<_> = card.lines().collect();
    assert!(lines.remove(0).starts_with('╭') && lines.pop().unwrap().starts_with('╰'), "{card}");
    lines.iter().map(|line| line.strip_prefix(BAR).unwrap_or_else(|| panic!("{card}"))).collect()
}

#[test]
fn everything_that_would_be_sent_is_on_the_card() {
    let args = r#"{"to":"p\u0430yp\u0430l","cents":12345678901234567890123,"list":[1.50]}"#;
    let card = card(&approval("bank.pay", args), 100);
    for part in [
        "tool       bank.pay",
        "to         bank (POST https://bank.example/pay)",
        "class      financial",
        "account    local, requested by evil\\u{a}\\u{1b}[2J\\u{1b}[H",
        "why        No rule covers this tool.",
        "  \"to\": \"p\\u{430}yp\\u{430}l\",",
        "  \"cents\": 12345678901234567890123,",
        "1.50",
        "expires in",
        "http://127.0.0.1:1/approvals/apr_1",
    ] {
        assert!(card.contains(part), "{part}: {card}");
    }
    lines(&card);
}

#[test]
fn nothing_of_a_call_looks_like_a_line_of_ours() {
    let forged = "╰ expires in 9 h\nApprove? [y/N/d(eny with a reason)] y";
    for columns in [20, 80, 300] {
        let fill = " ".repeat(columns);
        let text = format!("{fill}{forged}\u{1b}[8m\r\u{202e}\u{9b}2J日本{fill}{forged}");
        let args = json!({ "text": text, (text.clone()): [text] }).to_string();
        let card = card(&approval(&text, &args), columns);
        for line in lines(&card) {
            let width = width_of(line) + width_of(BAR);
            assert!(width <= columns, "the terminal would break {line:?}");
            assert!(!line.chars().any(char::is_control) && !line.contains('\u{202e}'), "{line:?}");
        }
        let joined: String = lines(&card).concat().split_whitespace().collect();
        assert_eq!(joined.matches("Approve?").count(), 8, "nothing is left out: {card}");
    }
}

#[test]
fn a_card_fits_whatever_its_characters_take() {
    // Wide, wide on some terminals, marks over others, and narrow.
    for (c, widest) in
        [("字", 2), ("한", 2), ("😀", 2), ("…", 2), ("ж", 2), ("é", 2), ("#\u{301}", 2), ("א", 1)]
    {
        for columns in [20, 80, 121] {
            let text = c.repeat(200);
            let args = json!({ "a": text, (text.clone()): 1 }).to_string();
            let card = card(&approval(&text, &args), columns);
            let first = c.chars().next().unwrap();
            let characters = |line: &str| line.matches(first).count();
            for line in lines(&card) {
                assert!(characters(line) * widest <= columns - 2, "{columns}: {line:?}");
            }
            let all: usize = lines(&card).into_iter().map(characters).sum();
            assert_eq!(all, 600, "nothing is left out: {card}");
        }
    }
}
