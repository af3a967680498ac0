//! Artifacts in a call's arguments: handles are stamped before policy decides, and replaced by the
//! artifacts' contents before the call is sent.

use serde_json::{Value, json, value::RawValue};

use super::{ArtifactError, Artifacts};
use crate::{
    base::{json::values_in, limiter::KeyedPermit, offload::offload},
    model::{ArtifactKind, HANDLE_KEY, JsonObject, RawJson, TaskId, handle_id, has_handle},
};

/// Bytes of all artifacts in the arguments of one call; one that occurs twice counts twice.
const EXPANDED_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Handles in the arguments of one call.
const HANDLES_MAX: usize = 64;
/// JSON values in the expanded arguments of one call; each takes some 100 bytes of memory.
const VALUES_MAX: usize = 1_000_000;

/// Arguments in which handles stand for artifacts.
pub struct Stamped {
    /// The arguments. Each handle is rewritten: the artifact's true digest, size and kind, and
    /// nothing else.
    pub args: RawJson,
}

/// Arguments without handles.
pub struct Expanded {
    /// The arguments as they will be sent.
    pub args: JsonObject,
    /// Held until the call has ended, because the arguments are in memory as long.
    pub permits: Option<[KeyedPermit; 3]>,
}

/// Returns true if the text may contain a handle. A cheap test; escapes are left to the parser.
fn may_hold(args: &str) -> bool {
    args.contains(HANDLE_KEY) || args.contains("\\u")
}

impl Artifacts {
    /// Stamps every handle in the arguments. None where there is none.
    pub async fn stamped(
        &self,
        workspace_id: &str,
        args: &str,
    ) -> Result<Option<Stamped>, ArtifactError> {
        if !may_hold(args) {
            return Ok(None);
        }
        // The validation of the arguments reports what is not JSON.
        let Ok(mut value) = serde_json::from_str::<Value>(args) else { return Ok(None) };
        let mut handles = Vec::new();
        gather(&mut value, &mut handles);
        if handles.is_empty() {
            return Ok(None);
        }
        if handles.len() > HANDLES_MAX {
            return Err(ArtifactError::ArgumentsTooLarge(format!(
                "the arguments contain {} artifacts; the limit is {HANDLES_MAX}",
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
        if bytes > EXPANDED_BYTES_MAX {
            return Err(ArtifactError::ArgumentsTooLarge(format!(
                "the artifacts in the arguments are {bytes} bytes together; the limit is \
                {EXPANDED_BYTES_MAX}"
            )));
        }
        let args =
            RawValue::from_string(value.to_string()).map_err(|_| ArtifactError::Unreadable)?;
        Ok(Some(Stamped { args }))
    }

    /// Replaces every handle in the arguments by the contents of its artifact. Images, sounds and
    /// blobs become their base64, or `{ base64, type }` where `takes_file` says of the JSON Pointer
    /// that the tool takes a file there.
    pub async fn expanded(
        &self,
        task: TaskId,
        workspace_id: &str,
        tool: &str,
        args: JsonObject,
        takes_file: impl Fn(&Value, &str) -> bool,
    ) -> Result<Expanded, ArtifactError> {
        // The narrowest first: waiting for the next one takes nothing from anybody else. None is
        // ever closed.
        let of_task = self.0.expanded_by_task.acquire(&task.to_string()).await;
        let of_workspace = self.0.expanded_by_workspace.acquire(workspace_id).await;
        let of_all = self.0.expanded.clone().acquire_owned().await.ok();
        let permits = Some([of_task, of_workspace, of_all]);
        let mut value = Value::Object(args);
        let mut places = Vec::new();
        gather_places(&value, String::new(), &mut places);
        let files: Vec<bool> = places.iter().map(|place| takes_file(&value, place)).collect();
        let mut handles = Vec::new();
        gather(&mut value, &mut handles);
        let mut values = 0;
        for (node, is_file) in handles.into_iter().zip(files) {
            let id = handle_id(node).unwrap_or_default().to_owned();
            let artifact = self.named(workspace_id, &id).await?;
            if node.get("sha256").and_then(Value::as_str) != Some(artifact.sha256.as_str()) {
                return Err(ArtifactError::Unreadable);
            }
            let text = self.text(&artifact).await?;
            *node = match artifact.kind {
                ArtifactKind::Text => Value::String(text),
                ArtifactKind::Image | ArtifactKind::Audio | ArtifactKind::Blob => {
                    let mime_type = artifact.media.map(|media| media.mime_type);
                    match is_file {
                        true => json!({ "base64": text, "type": mime_type }),
                        false => Value::String(text),
                    }
                }
                ArtifactKind::Json => {
                    values += values_in(text.as_bytes());
                    if values > VALUES_MAX {
                        return Err(ArtifactError::ArgumentsTooLarge(format!(
                            "the artifacts in the arguments contain more than {VALUES_MAX} \
                            values; pass a part, as `tools.artifacts.json({{ id, pointer }})` \
                            returns it"
                        )));
                    }
                    let parsed = offload(move || serde_json::from_str(&text)).await;
                    parsed.ok().and_then(Result::ok).ok_or(ArtifactError::Unreadable)?
                }
            };
        }
        match value {
            Value::Object(args) => Ok(Expanded { args, permits }),
            // A handle alone is not an object of arguments: its text or list has replaced it.
            _ => Err(ArtifactError::InvalidArguments(format!(
                "`{tool}` takes one object; give the artifact as one of its fields"
            ))),
        }
    }
}

/// Collects the JSON Pointers of the handles that [`gather`] collects, in the same order. The
/// handles are few by now.
fn gather_places(value: &Value, place: String, out: &mut Vec<String>) {
    if handle_id(value).is_some() {
        out.push(place);
        return;
    }
    let below = |step: &str| format!("{place}/{}", step.replace('~', "~0").replace('/', "~1"));
    match value {
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate().filter(|(_, item)| has_handle(item)) {
                gather_places(item, below(&at.to_string()), out);
            }
        }
        Value::Object(members) => {
            for (name, member) in members.iter().filter(|(_, member)| has_handle(member)) {
                gather_places(member, below(name), out);
            }
        }
        _ => {}
    }
}

/// Collects the handles in a value, none within another. The parser bounds the depth.
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
