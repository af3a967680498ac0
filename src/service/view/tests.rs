//! Names and order of keys on the wire.

use insta::assert_json_snapshot;
use serde_json::json;

use super::*;
use crate::model::{self, ApprovalStatus, ArtifactKind, Asked, AskingRule, Principal, Timestamp};

fn at() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

fn row(args: &str) -> model::Approval {
    model::Approval {
        id: "apr_01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap(),
        status: ApprovalStatus::Pending,
        principal: Principal::local("claude-code"),
        task_id: "task_01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap(),
        seq: 2,
        tool: "bank.pay".into(),
        args: args.into(),
        digest: "sha256:00".into(),
        asked: Asked {
            upstream: "bank".into(),
            class: "financial".into(),
            rule: Some(AskingRule {
                name: "payments".into(),
                pointer: "/rules/0".into(),
                layer: "policy.yaml".into(),
            }),
            revision: "r1".into(),
            reason: "it pays".into(),
            line: Some(2),
            ..Asked::default()
        },
        created_at: at(),
        expires_at: at(),
        decided_at: None,
        decided_by: None,
        note: None,
        why: None,
    }
}

#[test]
fn an_approval_shows_the_exact_call_and_who_makes_it() {
    let shown = Shown {
        code: Some("// pays\nawait tools.bank.pay({ amount: 5 })".into()),
        prior_calls: vec![PriorCall {
            seq: 1,
            tool: "bank.balance".into(),
            outcome: "completed".into(),
        }],
        about: Some(ToolAbout { description: "Pays.".into(), route: None }),
    };
    let url = Some("http://127.0.0.1:7411/approvals/apr_1".into());
    let approval = Approval::whole(row(r#"{"amount":5}"#), url, shown);
    let json = serde_json::to_value(&approval).unwrap();
    assert_json_snapshot!(json, @r#"
    {
      "id": "apr_01890a5d-ac96-774b-bcce-b302099a8057",
      "status": "pending",
      "createdAt": "2026-01-02T03:04:05Z",
      "expiresAt": "2026-01-02T03:04:05Z",
      "workspaceId": "local",
      "taskId": "task_01890a5d-ac96-774b-bcce-b302099a8057",
      "seq": 2,
      "tool": "bank.pay",
      "upstream": "bank",
      "class": "financial",
      "principal": {
        "accountId": "local",
        "clientId": "claude-code",
        "sessionId": null,
        "role": "agent"
      },
      "rule": {
        "name": "payments",
        "pointer": "/rules/0",
        "layer": "policy.yaml"
      },
      "policyRevision": "r1",
      "reason": "it pays",
      "args": {
        "amount": 5
      },
      "argsComplete": true,
      "argsBytes": 12,
      "digest": "sha256:00",
      "options": [
        "once"
      ],
      "code": {
        "sha256": "733e6738dcd812ff0a3deffa13f5c28ff12881a6db9f5f121ef54abb0d186d26",
        "line": 2,
        "lastLine": 2,
        "snippet": "await tools.bank.pay({ amount: 5 })",
        "text": "// pays\nawait tools.bank.pay({ amount: 5 })"
      },
      "trail": [
        {
          "seq": 1,
          "tool": "bank.balance",
          "outcome": "completed"
        }
      ],
      "about": {
        "description": "Pays."
      },
      "url": "http://127.0.0.1:7411/approvals/apr_1"
    }
    "#);
}

#[test]
fn arguments_are_shown_to_the_byte_or_not_at_all() {
    let odd = r#"{"b":1, "a":1.0,"b":2}"#;
    let approval = Approval::from(row(odd));
    assert_eq!(approval.args.as_ref().unwrap().get(), odd, "as they will be sent");
    assert!(serde_json::to_string(&approval).unwrap().contains(odd));
    let large = format!("{{\"text\":\"{}\"}}", "x".repeat(ARGS_BYTES_MAX));
    for args in [large.as_str(), "{\"a\":"] {
        let approval = serde_json::to_value(Approval::from(row(args))).unwrap();
        assert_eq!(approval["args"], json!(null));
        assert_eq!(approval["argsComplete"], false);
        assert_eq!(approval["argsBytes"], args.len());
    }
}

#[test]
fn an_approval_is_read_as_it_was_written() {
    let written = serde_json::to_string(&Approval::from(row(r#"{"z":1,"a":[]}"#))).unwrap();
    let read: Approval = serde_json::from_str(&written).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), written);
}

#[test]
fn an_artifact_has_the_keys_of_a_handle() {
    let artifact = model::Artifact {
        id: "art_01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap(),
        workspace_id: "local".into(),
        task_id: "task_01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap(),
        tool: "store.read".into(),
        kind: ArtifactKind::Json,
        bytes: 9,
        lines: 1,
        sha256: "00".into(),
        head: "{".into(),
        media: None,
        created_at: at(),
        expires_at: at(),
    };
    let view = serde_json::to_value(Artifact::from(artifact)).unwrap();
    let keys: Vec<_> = view.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "$artifact",
        "bytes",
        "kind",
        "lines",
        "sha256",
        "head",
        "expiresAt",
        "tool",
        "taskId",
        "createdAt",
    ];
    assert_eq!(keys, expected);
}

#[test]
fn a_verdict_has_its_outcome_first() {
    let denied =
        PolicyVerdict::Deny { code: "policy_denied".into(), message: "no".into(), hidden: false };
    let asked = PolicyVerdict::Ask { reason: "why".into(), message: None };
    for (verdict, json) in [
        (PolicyVerdict::Allow, r#"{"outcome":"allow"}"#),
        (asked, r#"{"outcome":"ask","reason":"why","message":null}"#),
        (denied, r#"{"outcome":"deny","code":"policy_denied","message":"no","hidden":false}"#),
    ] {
        assert_eq!(serde_json::to_string(&verdict).unwrap(), json);
    }
}
