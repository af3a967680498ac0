//! Stores one response: digested, counted, written part by part, and only then visible.

use serde_json::{json, value::RawValue};

use super::{Artifacts, Failed, QUOTA};
use crate::{
    base::{digest, offload::offload},
    model::{Artifact, ArtifactId, ArtifactKind, RawJson, TaskId, Timestamp},
    sandbox::CallFailure,
    store::{ARTIFACT_PART_BYTES, ArtifactOpened, ArtifactPart, StoreError},
    task::call::rejection::failure,
};

/// Bytes of an artifact's beginning that its handle shows.
const HEAD_BYTES_MAX: usize = 2 * 1024;

/// The call whose response it is.
pub(in crate::task) struct Origin<'a> {
    pub(in crate::task) workspace_id: &'a str,
    pub(in crate::task) task_id: TaskId,
    pub(in crate::task) tool: &'a str,
}

/// A response that is measured and digested.
struct Measured {
    text: String,
    kind: ArtifactKind,
    lines: u64,
    sha256: String,
}

/// An artifact that is not written yet.
pub(in crate::task) struct Draft {
    pub(in crate::task) artifact: Artifact,
    text: String,
}

impl Artifacts {
    /// Makes an artifact of a response.
    pub(in crate::task) async fn draft(
        &self,
        origin: Origin<'_>,
        response: RawJson,
    ) -> Result<Draft, CallFailure> {
        let measured = offload(move || measure(response)).await;
        let Measured { text, kind, lines, sha256 } =
            measured.map_err(|_| Failed::Unreadable.failure(origin.tool))?;
        let created_at = Timestamp::now();
        let life =
            jiff::SignedDuration::try_from(self.0.terms.life).unwrap_or(jiff::SignedDuration::MAX);
        let artifact = Artifact {
            id: ArtifactId::new(),
            workspace_id: origin.workspace_id.to_owned(),
            task_id: origin.task_id,
            tool: origin.tool.to_owned(),
            kind,
            bytes: text.len() as u64,
            lines,
            sha256,
            head: text[..text.floor_char_boundary(HEAD_BYTES_MAX)].to_owned(),
            created_at,
            expires_at: created_at.checked_add(life).unwrap_or(Timestamp::MAX),
        };
        Ok(Draft { artifact, text })
    }

    /// Writes an artifact. It is durable and visible once this returns. Whoever does not wait for
    /// that must [discard](Self::discard) it.
    pub(in crate::task) async fn write(&self, draft: &Draft) -> Result<(), CallFailure> {
        let (artifact, bytes_max) = (&draft.artifact, self.0.terms.workspace_bytes_max);
        match self.0.store.open_artifact(artifact.clone(), bytes_max).await {
            Ok(ArtifactOpened::Open) => {}
            Ok(ArtifactOpened::Full { used }) => {
                return Err(full(&artifact.tool, artifact.bytes, used, bytes_max));
            }
            Err(error) => return Err(self.not_written(draft, error)),
        }
        self.write_parts(draft).await.map_err(|error| self.not_written(draft, error))
    }

    async fn write_parts(&self, draft: &Draft) -> Result<(), StoreError> {
        let (store, id) = (&self.0.store, draft.artifact.id);
        let mut newlines_before = 0;
        for (index, bytes) in (0..).zip(draft.text.as_bytes().chunks(ARTIFACT_PART_BYTES)) {
            let part = ArtifactPart { index, newlines_before, bytes: bytes.to_vec() };
            newlines_before += newlines(bytes);
            // One after the other, so that the writes of other tasks come in between.
            store.write_artifact_part(id, part).await?;
        }
        store.close_artifact(id).await
    }

    fn not_written(&self, draft: &Draft, error: StoreError) -> CallFailure {
        self.discard(draft);
        Failed::Store(error).failure(&draft.artifact.tool)
    }

    /// Takes back an artifact that is not written whole. Not waited for; where it fails, the next
    /// start takes it back.
    pub(in crate::task) fn discard(&self, draft: &Draft) {
        let Artifact { workspace_id, id, created_at, .. } = &draft.artifact;
        drop(self.0.store.remove_artifact(workspace_id, *id, *created_at));
        self.0.removed.notify_one();
    }
}

/// The answer is there and cannot be kept.
fn full(tool: &str, bytes: u64, used: u64, bytes_max: u64) -> CallFailure {
    let message = format!(
        "the call of `{tool}` was made, and its answer of {bytes} bytes cannot be kept: this \
        workspace has {used} of {bytes_max} bytes in \
         use; make room with `await tools.artifacts.remove({{ id }})` (`tools.artifacts.list()` \
        names the ids), ask for less, or raise \
         `artifacts.workspace_mb`"
    );
    let mut made = failure("ToolCallError", QUOTA, tool, &message);
    made.properties.extend([
        ("retryable".into(), json!(false)),
        ("usedBytes".into(), json!(used)),
        ("maxBytes".into(), json!(bytes_max)),
    ]);
    made
}

/// Takes some hundred milliseconds for the largest response.
fn measure(answer: RawJson) -> Measured {
    let (text, kind) = match serde_json::from_str::<String>(answer.get()) {
        Ok(text) => (text, ArtifactKind::Text),
        Err(_) => (String::from(Box::<str>::from(answer)), ArtifactKind::Json),
    };
    let sha256 = digest::sha256(&text);
    // The end of the text ends a line too, unless that is over already.
    let lines = newlines(text.as_bytes()) + u64::from(!text.ends_with('\n'));
    Measured { text, kind, lines, sha256 }
}

fn newlines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// The handle as a call's answer.
pub(in crate::task) fn answer(artifact: &Artifact) -> RawJson {
    RawValue::from_string(artifact.handle().to_string()).expect("a JSON value is JSON")
}
