//! Keeps one answer: digested, counted, written part by part, and only then visible.

use serde_json::{json, value::RawValue};

use super::{Artifacts, Failed, QUOTA};
use crate::{
    base::{digest, offload::offload},
    model::{Artifact, ArtifactId, ArtifactKind, RawJson, TaskId, Timestamp},
    sandbox::CallFailure,
    store::{ARTIFACT_PART_BYTES, ArtifactOpened, ArtifactPart},
    task::call::rejection::failure,
};

/// Bytes of an artifact's beginning that its handle shows.
const HEAD_BYTES_MAX: usize = 2 * 1024;

/// Whose answer it is.
pub(in crate::task) struct Origin<'a> {
    pub(in crate::task) workspace_id: &'a str,
    pub(in crate::task) task_id: TaskId,
    pub(in crate::task) tool: &'a str,
}

/// An answer, looked at.
struct Looked {
    text: String,
    kind: ArtifactKind,
    lines: u64,
    sha256: String,
}

impl Artifacts {
    /// Keeps the answer. It is durable and visible once this returns; where this is dropped before,
    /// nothing of it stays.
    pub(in crate::task) async fn keep(
        &self,
        origin: Origin<'_>,
        answer: RawJson,
    ) -> Result<Artifact, CallFailure> {
        let failed = |error: Failed| error.failure(origin.tool);
        let looked = offload(move || look(answer)).await.map_err(|_| failed(Failed::Unreadable))?;
        let Looked { text, kind, lines, sha256 } = looked;
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
        let store = &self.0.store;
        let bytes_max = self.0.terms.workspace_bytes_max;
        // Before it is asked for: also where this is dropped while the answer is on its way, it is
        // taken back.
        let mut unkept = Unkept { artifacts: self, artifact: &artifact, is_kept: false };
        match store
            .open_artifact(artifact.clone(), bytes_max)
            .await
            .map_err(|error| failed(Failed::Store(error)))?
        {
            ArtifactOpened::Open => {}
            ArtifactOpened::Full { used } => {
                unkept.is_kept = true;
                return Err(full(origin.tool, artifact.bytes, used, bytes_max));
            }
        }
        let mut newlines_before = 0;
        for (index, bytes) in (0..).zip(text.as_bytes().chunks(ARTIFACT_PART_BYTES)) {
            let part = ArtifactPart { index, newlines_before, bytes: bytes.to_vec() };
            newlines_before += newlines(bytes);
            // One after the other, so that the writes of other tasks come in between.
            store
                .write_artifact_part(artifact.id, part)
                .await
                .map_err(|error| failed(Failed::Store(error)))?;
        }
        store.close_artifact(artifact.id).await.map_err(|error| failed(Failed::Store(error)))?;
        unkept.is_kept = true;
        drop(unkept);
        Ok(artifact)
    }
}

/// Takes an artifact back that did not become whole.
struct Unkept<'a> {
    artifacts: &'a Artifacts,
    artifact: &'a Artifact,
    is_kept: bool,
}

impl Drop for Unkept<'_> {
    fn drop(&mut self) {
        if !self.is_kept {
            let Artifact { workspace_id, id, created_at, .. } = self.artifact;
            // Not waited for: writes keep their order. Where it fails, the next start takes it
            // back.
            drop(self.artifacts.0.store.remove_artifact(workspace_id, *id, *created_at));
            self.artifacts.0.removed.notify_one();
        }
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

/// Takes a while: some hundred milliseconds for the largest answer.
fn look(answer: RawJson) -> Looked {
    let (text, kind) = match serde_json::from_str::<String>(answer.get()) {
        Ok(text) => (text, ArtifactKind::Text),
        Err(_) => (String::from(Box::<str>::from(answer)), ArtifactKind::Json),
    };
    let sha256 = digest::sha256(&text);
    // The end of the text ends a line too, unless that is over already.
    let lines = newlines(text.as_bytes()) + u64::from(!text.ends_with('\n'));
    Looked { text, kind, lines, sha256 }
}

fn newlines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// The handle as a call's answer.
pub(in crate::task) fn answer(artifact: &Artifact) -> RawJson {
    RawValue::from_string(artifact.handle().to_string()).expect("a JSON value is JSON")
}
