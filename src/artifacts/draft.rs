//! Stores one response, or the bytes of one image, sound or blob: digested, counted, written part
//! by part, and only then visible.

use serde_json::value::RawValue;

use super::{ArtifactError, Artifacts};
use crate::{
    base::{base64_text, digest, offload::offload},
    catalog::MediaBlock,
    model::{Artifact, ArtifactId, ArtifactKind, Media, RawJson, TaskId, Timestamp},
    store::{ARTIFACT_PART_BYTES, ArtifactOpened, ArtifactPart, StoreError},
};

/// Bytes of an artifact's beginning that its handle contains.
const HEAD_BYTES_MAX: usize = 2 * 1024;

/// The call whose response it is.
#[derive(Clone, Copy)]
pub struct Origin<'a> {
    /// The workspace that will own the artifact.
    pub workspace_id: &'a str,
    /// The task whose call it is.
    pub task_id: TaskId,
    /// The tool's path.
    pub tool: &'a str,
}

/// A text that is measured and digested.
struct Measured {
    text: String,
    kind: ArtifactKind,
    lines: u64,
    sha256: String,
    media: Option<Media>,
}

/// An artifact that is not written yet.
pub struct Draft {
    /// The artifact as it will be listed.
    pub artifact: Artifact,
    text: String,
}

impl Artifacts {
    /// Makes an artifact of a response.
    pub async fn draft(
        &self,
        origin: Origin<'_>,
        response: RawJson,
    ) -> Result<Draft, ArtifactError> {
        let measured = offload(move || measure(response)).await;
        Ok(self.drafted(origin, measured.map_err(|_| ArtifactError::Unreadable)?))
    }

    /// Makes an artifact of an image, a sound or a blob.
    pub async fn draft_media(
        &self,
        origin: Origin<'_>,
        block: MediaBlock,
    ) -> Result<Draft, ArtifactError> {
        let measured = offload(move || measure_media(block)).await;
        Ok(self.drafted(origin, measured.map_err(|_| ArtifactError::Unreadable)?))
    }

    fn drafted(&self, origin: Origin<'_>, measured: Measured) -> Draft {
        let Measured { text, kind, lines, sha256, media } = measured;
        let created_at = Timestamp::now();
        let life =
            jiff::SignedDuration::try_from(self.terms().life).unwrap_or(jiff::SignedDuration::MAX);
        let head_bytes = if media.is_some() { 0 } else { HEAD_BYTES_MAX };
        let artifact = Artifact {
            id: ArtifactId::new(),
            workspace_id: origin.workspace_id.to_owned(),
            task_id: origin.task_id,
            tool: origin.tool.to_owned(),
            kind,
            bytes: text.len() as u64,
            lines,
            sha256,
            head: text[..text.floor_char_boundary(head_bytes)].to_owned(),
            media,
            created_at,
            expires_at: created_at.checked_add(life).unwrap_or(Timestamp::MAX),
        };
        Draft { artifact, text }
    }

    /// Writes an artifact. It is durable and visible once this returns. Whoever does not wait for
    /// that must [discard](Self::discard) it.
    pub async fn write(&self, draft: &Draft) -> Result<(), ArtifactError> {
        let (artifact, bytes_max) = (&draft.artifact, self.terms().workspace_bytes_max);
        match self.0.store.open_artifact(artifact.clone(), bytes_max).await {
            Ok(ArtifactOpened::Open) => {}
            Ok(ArtifactOpened::Full { used }) => {
                let (tool, bytes) = (artifact.tool.clone(), artifact.bytes);
                return Err(ArtifactError::QuotaExceeded { tool, bytes, used, bytes_max });
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

    fn not_written(&self, draft: &Draft, error: StoreError) -> ArtifactError {
        self.discard(draft);
        ArtifactError::Store(error)
    }

    /// Takes back an artifact that is not written whole. Not waited for; where it fails, the next
    /// start takes it back.
    pub fn discard(&self, draft: &Draft) {
        let Artifact { workspace_id, id, created_at, .. } = &draft.artifact;
        drop(self.0.store.remove_artifact(workspace_id, *id, *created_at));
        self.0.removed.notify_one();
    }
}

/// Takes some hundred milliseconds for the largest response.
fn measure(response: RawJson) -> Measured {
    let (text, kind) = match serde_json::from_str::<String>(response.get()) {
        Ok(text) => (text, ArtifactKind::Text),
        Err(_) => (String::from(Box::<str>::from(response)), ArtifactKind::Json),
    };
    let sha256 = digest::sha256(&text);
    // The end of the text ends a line too, unless that is over already.
    let lines = newlines(text.as_bytes()) + u64::from(!text.ends_with('\n'));
    Measured { text, kind, lines, sha256, media: None }
}

/// Its text is its base64, so that it comes back as it came.
fn measure_media(block: MediaBlock) -> Measured {
    let MediaBlock { kind, mime_type, data, .. } = block;
    let decoded = base64_text::decoded(&data);
    let media = Media { mime_type, bytes: decoded.len() as u64 };
    Measured { text: data, kind, lines: 1, sha256: digest::sha256(decoded), media: Some(media) }
}

fn newlines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// The artifact's handle, which a program gets instead of the response.
pub fn handle(artifact: &Artifact) -> RawJson {
    RawValue::from_string(artifact.handle().to_string()).expect("a JSON value is JSON")
}
