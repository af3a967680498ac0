use serde_json::json;

use super::*;

fn round_trip(data: EventData, wire: Value) {
    let event =
        Event { task_id: TaskId::new(), seq: 7, at: Timestamp::UNIX_EPOCH, data: data.clone() };
    let text = serde_json::to_value(&event).unwrap();
    let kind = data.kind().as_str();
    let whole = json!({
        "taskId": event.task_id, "seq": 7, "at": "1970-01-01T00:00:00Z",
        "type": kind, "data": wire,
    });
    assert_eq!(text, whole);
    assert_eq!(serde_json::from_value::<Event>(text).unwrap(), event);
    let mut details = vec![];
    data.serialize_details(&mut serde_json::Serializer::new(&mut details)).unwrap();
    let details = String::from_utf8(details).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&details).unwrap(), wire);
    assert_eq!(EventData::parse(kind, &details).unwrap(), data);
}

fn decision() -> CallDecision {
    CallDecision {
        outcome: "allow".into(),
        code: None,
        hidden: false,
        rule: None,
        class: "read".into(),
        revision: "r1".into(),
        elapsed_us: 3,
        shadow: vec![],
    }
}

#[test]
fn an_event_without_details_has_an_empty_object() {
    round_trip(EventData::TaskCreated(NoDetails {}), json!({}));
    round_trip(EventData::TaskRunning(TaskRunning { queue_ms: None }), json!({}));
    round_trip(EventData::TaskRunning(TaskRunning { queue_ms: Some(4) }), json!({ "queueMs": 4 }));
}

#[test]
fn a_decision_names_its_rule_beside_its_other_fields() {
    let bare = json!({ "outcome": "allow", "class": "read", "revision": "r1", "elapsedUs": 3 });
    let started = |decision| {
        EventData::CallStarted(CallStarted {
            seq: 2,
            tool: "a.b".into(),
            upstream: "a".into(),
            approval_id: None,
            decision: Some(decision),
        })
    };
    let wire =
        |decision: Value| json!({ "seq": 2, "tool": "a.b", "upstream": "a", "decision": decision });
    round_trip(started(decision()), wire(bare.clone()));
    let rule = DecidingRule { rule: "x".into(), pointer: Some("/0".into()), layer: "team".into() };
    let mut full = bare;
    full["rule"] = "x".into();
    full["pointer"] = "/0".into();
    full["layer"] = "team".into();
    full["hidden"] = true.into();
    full["shadow"] = json!([{ "would": "deny", "rule": "x", "pointer": "/0", "layer": "team" }]);
    let shadow = vec![ShadowFinding { would: "deny".into(), rule: rule.clone() }];
    let decided = CallDecision { hidden: true, rule: Some(rule), shadow, ..decision() };
    round_trip(started(decided), wire(full));
}

#[test]
fn a_kind_that_is_not_known_is_named() {
    let error = EventData::parse("task.lost", "{}").unwrap_err().to_string();
    assert!(error.contains("task.lost"), "{error}");
    assert!(EventData::parse("tool.call.completed", "{}").is_err());
}
