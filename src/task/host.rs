//! Where the calls of a guest come in. Every `tools.*` call, finding included, passes [`Host::call`]: the one place where
//! policy, approvals and the journal will stand.
//!
//! The order of a call: tool found → (policy) → arguments checked → recorded as asked for and started, durably → sent → its end
//! recorded. A call that the run's end leaves behind is aborted upstream and recorded as failed.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, atomic::Ordering},
};

use futures::future::BoxFuture;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::engine::{Live, event};
use crate::{
    catalog::{Catalog, FindError, NotFound, ResolveError, Tool, UpstreamError, UpstreamErrorCode, View, Visibility},
    model::{EventKind, JsonObject, LogLine, NewEvent, RawJson, TaskId},
    sandbox::{CallFailure, ToolCall, ToolHost},
    store::{NewTask, Store, StoreError, TaskChange},
};

/// What a guest may see of each tool. There is no policy yet, so everything.
const VIEW: View<'static> = &|_| Visibility::Auto;
/// Keys of a call's arguments that its event names, and the bytes of each, and of a path.
const KEYS_MAX: usize = 32;
const NAME_BYTES_MAX: usize = 128;
/// Bytes of a failure's message in its event.
const MESSAGE_BYTES_MAX: usize = 1024;

/// Answers the calls of one run.
pub struct Host(Arc<Inner>);

struct Inner {
    task_id: TaskId,
    store: Arc<dyn Store>,
    catalog: Arc<Catalog>,
    live: Arc<Live>,
    /// Calls that were refused by policy or by a person.
    refused: Mutex<HashSet<u32>>,
}

impl Host {
    /// The host of one run of this task.
    pub fn new(store: Arc<dyn Store>, catalog: Arc<Catalog>, task: &NewTask, live: Arc<Live>) -> Self {
        Self(Arc::new(Inner { task_id: task.task_id, store, catalog, live, refused: Mutex::default() }))
    }

    /// Whether the call of that number was refused. Guests cannot influence it.
    pub fn refused(&self, call: u32) -> bool {
        self.0.refused.lock().expect("no code panics while it holds this lock").contains(&call)
    }
}

impl ToolHost for Host {
    fn call(&self, call: ToolCall) -> BoxFuture<'static, Result<RawJson, CallFailure>> {
        let inner = self.0.clone();
        inner.live.tool_calls.fetch_add(1, Ordering::Relaxed);
        inner.live.tell();
        Box::pin(async move { inner.call(call).await })
    }

    fn log(&self, line: &LogLine) {
        tracing::debug!(task = %self.0.task_id, level = ?line.level, bytes = line.text.len(), "console output");
    }
}

impl Inner {
    async fn call(&self, call: ToolCall) -> Result<RawJson, CallFailure> {
        let asked = event(EventKind::CallRequested, describe(&call));
        if let Some(found) = self.catalog.find(&call.path, call.args.get(), VIEW).await {
            let found = found.map_err(|error| not_found(&call.path, error));
            return self.noted(vec![asked, ended(call.seq, &found)], &call.path, found).await;
        }
        let (tool, args) = match self.admit(&call).await {
            Ok(admitted) => admitted,
            Err(failure) => return self.noted(vec![asked, failed(call.seq, &failure)], &call.path, Err(failure)).await,
        };
        let started = event(EventKind::CallStarted, json!({ "seq": call.seq, "tool": tool.path, "upstream": &*tool.upstream }));
        // From the moment it may be recorded as started, its end is recorded too.
        let mut unfinished = Unfinished { host: self, seq: Some(call.seq) };
        if let Err(error) = self.store.change_task(self.change(vec![asked, started])).await {
            unfinished.seq = None;
            return Err(self.unrecorded(&tool.path, &error));
        }
        let live = self.live.clone();
        let news = Arc::new(move |text: &str| live.say(Some(text)));
        let answer = self.catalog.call_followed(&tool, args, news).await.map_err(|error| upstream_failure(&error));
        unfinished.seq = None;
        self.live.say(None);
        self.note(vec![ended(call.seq, &answer)]);
        answer
    }

    /// The answer, once its events are durable: a guest is answered no faster than its calls are recorded.
    async fn noted(&self, events: Vec<NewEvent>, tool: &str, answer: Result<RawJson, CallFailure>) -> Result<RawJson, CallFailure> {
        match self.store.change_task(self.change(events)).await {
            Ok(()) => answer,
            Err(error) => Err(self.unrecorded(tool, &error)),
        }
    }

    fn unrecorded(&self, tool: &str, error: &StoreError) -> CallFailure {
        tracing::error!(task = %self.task_id, %error, "a call could not be recorded and is not made");
        failure("ToolCallError", "not_recorded", cut(tool), "the call could not be recorded, so it was not made")
    }

    /// The tool and its checked arguments, once everything that can be known before the call allows it.
    async fn admit(&self, call: &ToolCall) -> Result<(Arc<Tool>, JsonObject), CallFailure> {
        let tool = self.catalog.resolve(&call.path, VIEW).await.map_err(unresolved)?;
        let args = self.catalog.check(&tool, call.args.get());
        let args = args.map_err(|error| failure("ToolArgumentError", "invalid_arguments", &tool.path, &error.to_string()))?;
        Ok((tool, args))
    }

    fn change(&self, events: Vec<NewEvent>) -> TaskChange {
        TaskChange { task_id: self.task_id, status: None, started_at: None, end: None, events }
    }

    /// Records without waiting: the task's end, which is waited for, comes after.
    fn note(&self, events: Vec<NewEvent>) {
        drop(self.store.change_task(self.change(events)));
    }
}

/// Records a call that was dropped before its end.
struct Unfinished<'a> {
    host: &'a Inner,
    seq: Option<u32>,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if let Some(seq) = self.seq {
            let data = json!({ "seq": seq, "code": "abandoned", "message": "the task ended first" });
            self.host.note(vec![event(EventKind::CallFailed, data)]);
        }
    }
}

/// A call as its event tells it: the keys of its arguments and their digest, never the values.
fn describe(call: &ToolCall) -> Value {
    let args: Value = serde_json::from_str(call.args.get()).unwrap_or_default();
    let keys: Vec<&str> = args.as_object().into_iter().flat_map(JsonObject::keys).take(KEYS_MAX).map(|key| cut(key)).collect();
    json!({ "seq": call.seq, "tool": cut(&call.path), "argumentKeys": keys, "argumentBytes": call.args.get().len(), "digest": digest(&args) })
}

/// The head of a name that a guest chose.
fn cut(name: &str) -> &str {
    &name[..name.floor_char_boundary(NAME_BYTES_MAX)]
}

/// SHA-256 over the canonical form of RFC 8785, so that the same arguments have the same digest however they were written.
fn digest(args: &Value) -> String {
    let canonical = serde_json_canonicalizer::to_vec(args).expect("a JSON value with string keys has a canonical form");
    let hex: String = Sha256::digest(canonical).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

fn ended(seq: u32, answer: &Result<RawJson, CallFailure>) -> NewEvent {
    match answer {
        Ok(value) => event(EventKind::CallCompleted, json!({ "seq": seq, "bytes": value.get().len() })),
        Err(failure) => failed(seq, failure),
    }
}

fn failed(seq: u32, failure: &CallFailure) -> NewEvent {
    let code = failure.properties.get("code").cloned().unwrap_or_default();
    let message = &failure.message[..failure.message.floor_char_boundary(MESSAGE_BYTES_MAX)];
    event(EventKind::CallFailed, json!({ "seq": seq, "name": failure.name, "code": code, "message": message }))
}

fn failure(name: &str, code: &str, tool: &str, message: &str) -> CallFailure {
    let properties = JsonObject::from_iter([("code".into(), json!(code)), ("tool".into(), json!(tool))]);
    CallFailure { name: name.into(), message: message.into(), properties }
}

fn not_found(path: &str, error: FindError) -> CallFailure {
    match error {
        FindError::Arguments(error) => failure("ToolArgumentError", "invalid_arguments", path, &error.to_string()),
        FindError::Unresolved(error) => unresolved(error),
    }
}

fn unresolved(error: ResolveError) -> CallFailure {
    match error {
        ResolveError::NotFound(error) => {
            let mut made = failure("ToolNotFoundError", "tool_not_found", &error.path, &error.to_string());
            let NotFound { nearest, discover, .. } = error;
            made.properties.extend([("nearest".into(), json!(nearest)), ("discover".into(), json!(discover))]);
            made
        }
        ResolveError::Unavailable(error) => upstream_failure(&error),
    }
}

fn upstream_failure(error: &UpstreamError) -> CallFailure {
    let is_caller = error.code == UpstreamErrorCode::InvalidArguments;
    let name = if is_caller { "ToolArgumentError" } else { "ToolCallError" };
    let mut made = failure(name, error.code.as_str(), &error.tool, &error.message);
    made.properties.insert("retryable".into(), json!(error.retryable));
    if let Some(status) = error.status {
        made.properties.insert("status".into(), json!(status));
    }
    made
}
