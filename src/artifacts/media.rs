//! Images, sounds and blobs: their handles in a response, and their data for whoever gets a result
//! in which handles stand.

use serde_json::{Value, value::RawValue};

use super::{ArtifactError, Artifacts, pointer};
use crate::{
    base::{base64_text, json::splice::Splice},
    model::{Artifact, ArtifactKind, RawJson, Showable, showables},
};

/// Handles, images and sounds in one result that are looked at.
const SHOWABLE_MAX: usize = 256;
/// Images and sounds that come with one result.
pub const SHOWN_MAX: usize = 16;
/// Base64 of the images and sounds that come with one result, in bytes, together.
pub const SHOWN_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// An image or a sound that comes with a result.
#[derive(Debug, Clone)]
pub struct Shown {
    /// An image or a sound.
    pub kind: ArtifactKind,
    /// Media type, such as `image/png`.
    pub mime_type: String,
    /// Base64, as it came.
    pub data: String,
}

/// The images and sounds in a result.
#[derive(Debug, Clone, Default)]
pub struct ShownMedia {
    /// In the order in which they stand in it, each once.
    pub blocks: Vec<Shown>,
    /// What is not among them, in words.
    pub left_out: Vec<String>,
}

impl Artifacts {
    /// The images and sounds in a result, as handles or inline, within their limits.
    pub async fn shown(
        &self,
        workspace_id: &str,
        result: &Value,
    ) -> Result<ShownMedia, ArtifactError> {
        let all = showables(result);
        let mut shown = ShownMedia::default();
        let (mut bytes, mut beyond) = (0, 0);
        for showable in all.iter().take(SHOWABLE_MAX) {
            let (block, length) = match showable {
                Showable::Inline { mime_type, base64 } => {
                    let Some(data) = base64_text::normalized(base64) else { continue };
                    let kind = ArtifactKind::of_media_type(mime_type);
                    let length = data.len() as u64;
                    let (mime_type, data) = ((*mime_type).to_owned(), data.into_owned());
                    (Block::Here(Shown { kind, mime_type, data }), length)
                }
                Showable::Handle(id) => match self.named(workspace_id, id).await {
                    Ok(artifact) if is_shown(artifact.kind) => {
                        let length = artifact.bytes;
                        (Block::Stored(Box::new(artifact)), length)
                    }
                    Ok(_) => continue,
                    // Of what is gone nobody knows whether it was an image.
                    Err(ArtifactError::NotFound(_)) => {
                        shown.left_out.push(format!("`{id}` is not there any more"));
                        continue;
                    }
                    Err(error) => return Err(error),
                },
            };
            if shown.blocks.len() == SHOWN_MAX || bytes + length > SHOWN_BYTES_MAX {
                beyond += 1;
                continue;
            }
            bytes += length;
            shown.blocks.push(self.block(block).await?);
        }
        if beyond > 0 {
            shown.left_out.push(format!(
                "{beyond} images or sounds are beyond the {SHOWN_MAX} blocks and \
                {SHOWN_BYTES_MAX} bytes of base64 of one answer; return fewer at once"
            ));
        }
        if all.len() > SHOWABLE_MAX {
            shown.left_out.push(format!(
                "only the first {SHOWABLE_MAX} of {} images, sounds and handles were looked at",
                all.len()
            ));
        }
        Ok(shown)
    }

    async fn block(&self, block: Block) -> Result<Shown, ArtifactError> {
        let artifact = match block {
            Block::Here(shown) => return Ok(shown),
            Block::Stored(artifact) => artifact,
        };
        let _permit = self.0.reads.acquire().await;
        let data = self.text(&artifact).await?;
        let mime_type = artifact.media.map(|media| media.mime_type).unwrap_or_default();
        Ok(Shown { kind: artifact.kind, mime_type, data })
    }
}

/// A block, or what it is read from.
enum Block {
    Here(Shown),
    Stored(Box<Artifact>),
}

fn is_shown(kind: ArtifactKind) -> bool {
    matches!(kind, ArtifactKind::Image | ArtifactKind::Audio)
}

/// The response with handles in the places of its media; what was left there is kept with them.
pub fn with_handles(
    response: &RawValue,
    media: &[(String, Artifact)],
) -> Result<RawJson, ArtifactError> {
    let mut splice = Splice::new(response.get());
    for (place, artifact) in media {
        let steps = pointer::steps(place).map_err(|_| ArtifactError::Unreadable)?;
        let found = pointer::find(response.get(), &steps).ok().flatten();
        let left = found.ok_or(ArtifactError::Unreadable)?;
        let handle = artifact.handle().to_string();
        let members = left.get().strip_prefix('{').and_then(|left| left.strip_suffix('}'));
        let with = match members.map(str::trim) {
            None | Some("") => handle,
            Some(members) => {
                format!("{},{members}}}", handle.strip_suffix('}').unwrap_or_default())
            }
        };
        splice.replace(left, with);
    }
    let text = splice.finish().unwrap_or_else(|| response.get().to_owned());
    RawValue::from_string(text).map_err(|_| ArtifactError::Unreadable)
}
