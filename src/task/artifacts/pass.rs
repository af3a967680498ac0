//! Passing artifacts on: handles in a call's arguments, stamped before policy decides, replaced by
//! what they stand for before the call is sent.

use serde_json::{Value, value::RawValue};

use super::{Artifacts, Failed};
use crate::{
    base::{json::values_in, limiter::KeyedPermit, offload::offload},
    model::{ArtifactKind, ErrorCode, HANDLE_KEY, JsonObject, RawJson, TaskId, handle_id},
    sandbox::CallFailure,
};

/// Bytes of all artifacts in the arguments of one call, one that stands there twice counted twice.
const PASSED_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Handles in the arguments of one call.
const HANDLES_MAX: usize = 64;
/// Values of JSON that the arguments of one call become: some 100 bytes of memory each.
const VALUES_MAX: usize = 1_000_000;

/// Arguments in which handles stand for what will be sent.
pub(in crate::task) struct Stamped {
    /// The arguments, each handle written anew: the artifact's true digest, size and kind, and
    /// nothing else.
    pub(in crate::task) args: RawJson,
}

/// Arguments in which nothing stands for anything else any more.
pub(in crate::task) struct Expanded {
    pub(in crate::task) args: JsonObject,
    /// Held until the call has ended, for as long what is sent may be in memory: so many are at
    /// once.
    pub(in crate::task) places: Option<[KeyedPermit; 3]>,
}

/// Whether a handle may stand in the text. A cheap look; escapes are looked at closely by whoever
/// parses.
fn may_hold(args: &str) -> bool {
    args.contains(HANDLE_KEY) || args.contains("\\u")
}

impl Artifacts {
    /// The arguments with every handle stamped; none where there is no handle in them.
    pub(in crate::task) async fn stamped(
        &self,
        workspace_id: &str,
        tool: &str,
        args: &str,
    ) -> Result<Option<Stamped>, CallFailure> {
        if !may_hold(args) {
            return Ok(None);
        }
        // What is no JSON is told by the check of the arguments.
        let Ok(mut value) = serde_json::from_str::<Value>(args) else { return Ok(None) };
        let mut handles = Vec::new();
        gather(&mut value, &mut handles);
        if handles.is_empty() {
            return Ok(None);
        }
        let stamping = async {
            if handles.len() > HANDLES_MAX {
                return Err(too_large(format!(
                    "the arguments hold {} artifacts, allowed are {HANDLES_MAX}",
                    handles.len()
                )));
            }
            let mut bytes = 0;
            for node in handles {
                let id = handle_id(node).unwrap_or_default().to_owned();
                let artifact = self.named(workspace_id, &id).await?;
                bytes += artifact.bytes;
                *node = artifact.stamp();
            }
            if bytes > PASSED_BYTES_MAX {
                return Err(too_large(format!(
                    "the artifacts in the arguments have {bytes} bytes together, allowed are \
                    {PASSED_BYTES_MAX}"
                )));
            }
            Ok(())
        };
        stamping.await.map_err(|error: Failed| error.failure(tool))?;
        let args = RawValue::from_string(value.to_string())
            .map_err(|_| Failed::Unreadable.failure(tool))?;
        Ok(Some(Stamped { args }))
    }

    /// The arguments with every handle replaced by what it stands for.
    pub(in crate::task) async fn expanded(
        &self,
        task: TaskId,
        workspace_id: &str,
        tool: &str,
        args: JsonObject,
    ) -> Result<Expanded, CallFailure> {
        // The narrowest first: who waits for the next takes nothing from anybody else. None is ever
        // closed.
        let of_task = self.0.passing_task.acquire(&task.to_string()).await;
        let of_workspace = self.0.passing_workspace.acquire(workspace_id).await;
        let places =
            Some([of_task, of_workspace, self.0.passing.clone().acquire_owned().await.ok()]);
        let mut value = Value::Object(args);
        let mut handles = Vec::new();
        gather(&mut value, &mut handles);
        let expanding = async {
            let mut values = 0;
            for node in handles {
                let id = handle_id(node).unwrap_or_default().to_owned();
                let artifact = self.named(workspace_id, &id).await?;
                if node.get("sha256").and_then(Value::as_str) != Some(artifact.sha256.as_str()) {
                    return Err(Failed::Unreadable);
                }
                let text = self.text(&artifact).await?;
                *node = match artifact.kind {
                    ArtifactKind::Text => Value::String(text),
                    ArtifactKind::Json => {
                        values += values_in(text.as_bytes());
                        if values > VALUES_MAX {
                            return Err(too_large(format!(
                                "the artifacts in the arguments hold more than {VALUES_MAX} \
                                values; pass on a part, as \
                                 `tools.artifacts.json({{ id, pointer }})` gives it"
                            )));
                        }
                        let parsed = offload(move || serde_json::from_str(&text)).await;
                        parsed.ok().and_then(Result::ok).ok_or(Failed::Unreadable)?
                    }
                };
            }
            Ok(())
        };
        expanding.await.map_err(|error: Failed| error.failure(tool))?;
        match value {
            Value::Object(args) => Ok(Expanded { args, places }),
            // A handle alone is no object of arguments: its text or list has taken its place.
            _ => Err(Failed::Arguments(format!(
                "`{tool}` takes one object; give the artifact as one of its fields"
            ))
            .failure(tool)),
        }
    }
}

fn too_large(message: String) -> Failed {
    Failed::TooLarge(ErrorCode::ArgumentsTooLarge.as_str(), message)
}

/// The handles in a value, none within another. As deep as the parser let it become.
fn gather<'v>(value: &'v mut Value, out: &mut Vec<&'v mut Value>) {
    if handle_id(value).is_some() {
        out.push(value);
        return;
    }
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| gather(item, out)),
        Value::Object(members) => members.values_mut().for_each(|member| gather(member, out)),
        _ => {}
    }
}
