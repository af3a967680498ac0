//! What the record says of calls: their decision, the keys of their arguments, their digests.
//! Values only where the owner wants them.

use serde_json::{Value, json};

use super::call::rejection::{ARGUMENT_ERROR, POLICY_ERROR};
use crate::{
    base::{digest::sha256_of_json, text::cut},
    catalog::Tool,
    model::{
        Artifact, CallCompleted, CallDecision, CallDenied, CallFailed, CallRequested, DecidingRule,
        EventData, JsonObject, NewEvent, Principal, RawJson, ShadowFinding, TaskId,
    },
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

/// A call as the code made it, with the decision about it.
pub(super) fn requested(
    call: &ToolCall,
    decision: Option<CallDecision>,
    record_values: bool,
) -> NewEvent {
    let args: Value = serde_json::from_str(call.args.get()).unwrap_or_default();
    let bytes = call.args.get().len();
    NewEvent::now(EventData::CallRequested(CallRequested {
        seq: call.seq,
        tool: cut(&call.path, NAME_BYTES_MAX).to_owned(),
        argument_keys: args
            .as_object()
            .into_iter()
            .flat_map(JsonObject::keys)
            .take(KEYS_MAX)
            .map(|key| cut(key, NAME_BYTES_MAX).to_owned())
            .collect(),
        argument_bytes: bytes as u64,
        digest: digest(&args),
        decision,
        arguments: (record_values && bytes <= VALUES_BYTES_MAX).then_some(args),
    }))
}

/// The policy's decision.
pub(super) fn decision(decision: &Decision, revision: &str) -> CallDecision {
    let denial = match &decision.verdict {
        Verdict::Deny(denial) => Some(denial),
        _ => None,
    };
    CallDecision {
        outcome: decision.verdict.as_str().to_owned(),
        code: denial.map(|denial| denial.code.as_str().to_owned()),
        hidden: denial.is_some_and(|denial| denial.hidden),
        rule: decision.rule.as_ref().map(deciding_rule),
        class: decision.class.as_str().to_owned(),
        revision: revision.to_owned(),
        elapsed_us: decision.elapsed.as_micros() as u64,
        shadow: decision
            .shadow
            .iter()
            .take(SHADOW_MAX)
            .map(|finding| ShadowFinding {
                would: finding.would.to_owned(),
                rule: deciding_rule(&finding.rule),
            })
            .collect(),
    }
}

/// The decision about a host function: always allowed, because it shows only what the caller may
/// see.
pub(super) fn built_in(rule: &str, revision: &str) -> CallDecision {
    CallDecision {
        outcome: "allow".to_owned(),
        code: None,
        hidden: false,
        rule: Some(DecidingRule {
            rule: rule.to_owned(),
            pointer: None,
            layer: "built in".to_owned(),
        }),
        class: "read".to_owned(),
        revision: revision.to_owned(),
        elapsed_us: 0,
        shadow: vec![],
    }
}

fn deciding_rule(rule: &RuleRef) -> DecidingRule {
    DecidingRule {
        rule: rule.name.to_string(),
        pointer: Some(rule.pointer.to_string()),
        layer: rule.layer.to_string(),
    }
}

/// The end of a call whose response is kept as this artifact.
pub(super) fn kept(seq: u32, artifact: &Artifact) -> NewEvent {
    completed(seq, artifact.bytes, Some(artifact))
}

/// The end of a call.
pub(super) fn ended(seq: u32, response: &Result<RawJson, CallFailure>) -> NewEvent {
    match response {
        Ok(value) => completed(seq, value.get().len() as u64, None),
        Err(failure) => failed(seq, failure),
    }
}

fn completed(seq: u32, bytes: u64, artifact: Option<&Artifact>) -> NewEvent {
    let artifact = artifact.map(|artifact| artifact.id);
    NewEvent::now(EventData::CallCompleted(CallCompleted { seq, bytes, artifact }))
}

/// A call that failed, or was denied.
pub(super) fn failed(seq: u32, failure: &CallFailure) -> NewEvent {
    let property =
        |name: &str| failure.properties.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
    let message = match failure.name.as_str() {
        // What it says to the code quotes the values.
        ARGUMENT_ERROR => "the arguments do not fit what the tool takes",
        _ => cut(&failure.message, MESSAGE_BYTES_MAX),
    };
    let (name, code, message) = (failure.name.clone(), property("code"), message.to_owned());
    NewEvent::now(match failure.name.as_str() {
        POLICY_ERROR => EventData::CallDenied(CallDenied {
            seq,
            name,
            code,
            message,
            rule: property("rule"),
            approval_id: property("approvalId"),
        }),
        _ => EventData::CallFailed(CallFailed { seq, name: Some(name), code, message }),
    })
}

/// A call that the end of its run left behind.
pub(super) fn abandoned(seq: u32) -> NewEvent {
    NewEvent::now(EventData::CallFailed(CallFailed {
        seq,
        name: None,
        code: Some("abandoned".to_owned()),
        message: "the task ended first".to_owned(),
    }))
}

/// SHA-256 over the canonical form of RFC 8785, so that the same arguments have the same digest
/// however they were written.
pub(super) fn digest(value: &Value) -> String {
    format!("sha256:{}", sha256_of_json(value))
}

/// The very call that a person agrees to: whose, which, and with what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Binding<'a> {
    pub(super) principal: &'a Principal,
    pub(super) task_id: TaskId,
    pub(super) seq: u32,
    pub(super) tool: &'a Tool,
}

impl Binding<'_> {
    /// The digest of the call with these arguments; none where they are no JSON.
    pub(super) fn digest(&self, args: &str) -> Option<String> {
        let args: Value = serde_json::from_str(args).ok()?;
        Some(digest(&json!({
            "v": DIGEST_VERSION,
            "workspace": self.principal.workspace_id,
            "task": self.task_id,
            "seq": self.seq,
            "principal": self.principal.account_id,
            "tool": self.tool.path,
            "tool_schema_hash": self.tool.schema_hash,
            "upstream": &*self.tool.upstream,
            "args": args,
        })))
    }
}
