//! What the record says of calls: their decision, the keys of their arguments, their digests.
//! Values only where the owner wants them.

use serde_json::{Map, Value, json};

use super::{call::rejection::ARGUMENT_ERROR, engine::event};
use crate::{
    base::{digest::sha256_of_json, text::cut},
    catalog::Tool,
    model::{Artifact, EventKind, JsonObject, NewEvent, RawJson, TaskId},
    policy::{Decision, RuleRef, Verdict},
    sandbox::{CallFailure, ToolCall},
};

/// Keys of a call's arguments that its event names, and the bytes of each, and of a path.
const KEYS_MAX: usize = 32;
pub(super) const NAME_BYTES_MAX: usize = 128;
/// Bytes of a failure's message in its event.
const MESSAGE_BYTES_MAX: usize = 1024;
/// Bytes of arguments whose values are recorded, where that is asked for; larger ones are left out.
const VALUES_BYTES_MAX: usize = 64 * 1024;
/// Findings of shadow rules in one event.
const SHADOW_MAX: usize = 16;
/// The form of what a digest is made over; a change of it is a new number.
const DIGEST_VERSION: u32 = 1;

/// A call as it was asked for, with the decision about it.
pub(super) fn requested(call: &ToolCall, decided: Option<Value>, values: bool) -> NewEvent {
    let args: Value = serde_json::from_str(call.args.get()).unwrap_or_default();
    let keys: Vec<&str> = args
        .as_object()
        .into_iter()
        .flat_map(JsonObject::keys)
        .take(KEYS_MAX)
        .map(|key| cut(key, NAME_BYTES_MAX))
        .collect();
    let bytes = call.args.get().len();
    let mut data = json!({ "seq": call.seq, "tool": cut(&call.path, NAME_BYTES_MAX), "argumentKeys": keys, "argumentBytes": bytes, "digest": digest(&args) });
    if let Some(decided) = decided {
        data["decision"] = decided;
    }
    if values && bytes <= VALUES_BYTES_MAX {
        data["arguments"] = args;
    }
    event(EventKind::CallRequested, data)
}

/// What policy said.
pub(super) fn decision(decision: &Decision, revision: &str) -> Value {
    let mut data = Map::new();
    data.insert("outcome".into(), decision.verdict.as_str().into());
    if let Verdict::Deny(denial) = &decision.verdict {
        data.insert("code".into(), denial.code.as_str().into());
        if denial.hidden {
            data.insert("hidden".into(), true.into());
        }
    }
    if let Some(rule) = &decision.rule {
        insert_rule(&mut data, rule);
    }
    data.insert("class".into(), decision.class.as_str().into());
    data.insert("revision".into(), revision.into());
    data.insert("elapsedUs".into(), (decision.elapsed.as_micros() as u64).into());
    if !decision.shadow.is_empty() {
        let told = decision.shadow.iter().take(SHADOW_MAX).map(|finding| {
            let mut told =
                JsonObject::from_iter([("would".to_owned(), Value::from(finding.would))]);
            insert_rule(&mut told, &finding.rule);
            Value::Object(told)
        });
        data.insert("shadow".into(), told.collect());
    }
    Value::Object(data)
}

/// The decision about a function of the host itself: allowed always, for it shows only what the
/// caller may see.
pub(super) fn built_in(rule: &str, revision: &str) -> Value {
    json!({ "outcome": "allow", "rule": rule, "layer": "built in", "class": "read", "revision": revision, "elapsedUs": 0 })
}

fn insert_rule(data: &mut JsonObject, rule: &RuleRef) {
    data.insert("rule".into(), (*rule.name).into());
    data.insert("pointer".into(), (*rule.pointer).into());
    data.insert("layer".into(), (*rule.layer).into());
}

/// The end of a call whose answer was kept as this artifact.
pub(super) fn kept(seq: u32, artifact: &Artifact) -> NewEvent {
    event(
        EventKind::CallCompleted,
        json!({ "seq": seq, "bytes": artifact.bytes, "artifact": artifact.id }),
    )
}

pub(super) fn ended(seq: u32, answer: &Result<RawJson, CallFailure>) -> NewEvent {
    match answer {
        Ok(value) => {
            event(EventKind::CallCompleted, json!({ "seq": seq, "bytes": value.get().len() }))
        }
        Err(failure) => failed(seq, failure),
    }
}

/// A call that failed, or was refused.
pub(super) fn failed(seq: u32, failure: &CallFailure) -> NewEvent {
    let property = |name: &str| failure.properties.get(name).cloned().unwrap_or_default();
    let message = match failure.name.as_str() {
        // What it says to the code quotes the values.
        ARGUMENT_ERROR => "the arguments do not fit what the tool takes",
        _ => &failure.message[..failure.message.floor_char_boundary(MESSAGE_BYTES_MAX)],
    };
    let mut data =
        json!({ "seq": seq, "name": failure.name, "code": property("code"), "message": message });
    if failure.name != super::call::rejection::POLICY_ERROR {
        return event(EventKind::CallFailed, data);
    }
    for name in ["rule", "approvalId"] {
        let value = property(name);
        if !value.is_null() {
            data[name] = value;
        }
    }
    event(EventKind::CallDenied, data)
}

/// SHA-256 over the canonical form of RFC 8785, so that the same arguments have the same digest
/// however they were written.
pub(super) fn digest(value: &Value) -> String {
    format!("sha256:{}", sha256_of_json(value))
}

/// The very call that a person agrees to: whose, which, and with what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Binding<'a> {
    pub(super) workspace_id: &'a str,
    pub(super) task_id: TaskId,
    pub(super) seq: u32,
    pub(super) account_id: &'a str,
    pub(super) tool: &'a Tool,
}

impl Binding<'_> {
    /// The digest of the call with these arguments; none where they are no JSON.
    pub(super) fn digest(&self, args: &str) -> Option<String> {
        let args: Value = serde_json::from_str(args).ok()?;
        Some(digest(&json!({
            "v": DIGEST_VERSION,
            "workspace": self.workspace_id,
            "task": self.task_id,
            "seq": self.seq,
            "principal": self.account_id,
            "tool": self.tool.path,
            "tool_schema_hash": self.tool.schema_hash,
            "upstream": &*self.tool.upstream,
            "args": args,
        })))
    }
}
