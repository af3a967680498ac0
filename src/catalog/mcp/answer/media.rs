//! Takes images, sounds and blobs out of content, so that a program gets a handle and no base64.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::{
    base::{
        base64_text,
        json::{members::present_members, splice::Splice},
    },
    catalog::upstream::response::MediaBlock,
    model::{ArtifactKind, RawJson},
};

/// Blocks of one answer that become handles; the data of the next ones is left out, and named.
const BLOCKS_MAX: usize = 64;
/// Longest media type, in bytes.
const TYPE_BYTES_MAX: usize = 127;
/// Media type of bytes that do not say what they are.
const UNKNOWN_TYPE: &str = "application/octet-stream";
/// Characters of base64 at the beginning that tell what the bytes are.
const HEAD_CHARS: usize = 16;

/// Content without the data of its images, sounds and blobs.
#[derive(Default)]
pub(super) struct Extracted {
    /// The content; none where nothing was taken out.
    pub(super) json: Option<RawJson>,
    /// What was taken out.
    pub(super) media: Vec<MediaBlock>,
    /// What was left out, in words, if anything.
    pub(super) left_out: Option<String>,
}

/// Takes the media out of the objects of a list that stands at this JSON Pointer: of content blocks
/// and, with a `blob`, of the contents of resources.
pub(super) fn extracted(list: &RawValue, place: &str) -> Extracted {
    extracted_by(list, |extraction, item, at| extraction.item(item, &format!("{place}/{at}")))
}

/// Takes the media out of the messages of a prompt, whose `content` is one block or a list of them.
pub(super) fn extracted_of_messages(list: &RawValue, place: &str) -> Extracted {
    extracted_by(list, |extraction, message, at| {
        let Ok([Some(content)]) = present_members(message.get(), ["content"]) else { return };
        let place = format!("{place}/{at}/content");
        match serde_json::from_str::<Vec<&RawValue>>(content.get()) {
            Ok(blocks) => {
                for (at, block) in blocks.into_iter().enumerate() {
                    extraction.item(block, &format!("{place}/{at}"));
                }
            }
            Err(_) => extraction.item(content, &place),
        }
    })
}

fn extracted_by<'t>(
    list: &'t RawValue,
    take: impl Fn(&mut Extraction<'t>, &'t RawValue, usize),
) -> Extracted {
    let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(list.get()) else {
        return Extracted::default();
    };
    let mut extraction =
        Extraction { splice: Splice::new(list.get()), media: Vec::new(), left_out: (0, 0) };
    for (at, item) in items.into_iter().enumerate() {
        take(&mut extraction, item, at);
    }
    let Extraction { splice, media, left_out: (count, bytes) } = extraction;
    Extracted {
        json: splice.finish().and_then(|text| RawValue::from_string(text).ok()),
        media,
        left_out: (count > 0).then(|| {
            format!(
                "its images, sounds and blobs beyond the first {BLOCKS_MAX} are left out: {count} \
                of them, {bytes} bytes"
            )
        }),
    }
}

struct Extraction<'t> {
    splice: Splice<'t>,
    media: Vec<MediaBlock>,
    /// The number of blocks whose data is left out, and their bytes.
    left_out: (usize, u64),
}

impl<'t> Extraction<'t> {
    /// One content block, or one of a resource's contents.
    fn item(&mut self, item: &'t RawValue, place: &str) {
        let names = ["type", "data", "mimeType", "resource", "annotations", "_meta"];
        let Ok(members) = present_members(item.get(), names) else { return };
        let [kind, data, mime_type, resource, annotations, meta] = members;
        match kind.map(RawValue::get) {
            Some(kind @ (r#""image""# | r#""audio""#)) => {
                let kind = match kind {
                    r#""image""# => ArtifactKind::Image,
                    _ => ArtifactKind::Audio,
                };
                let Some(data) = data.and_then(base64) else { return };
                let mime_type = media_type(mime_type, &data);
                let rest = [("annotations", annotations), ("_meta", meta)];
                self.take(
                    item,
                    rest,
                    MediaBlock { place: place.to_owned(), kind, mime_type, data },
                );
            }
            Some(r#""resource""#) => {
                if let Some(resource) = resource {
                    self.blob(resource, &format!("{place}/resource"));
                }
            }
            // The contents of a resource have no type.
            None => self.blob(item, place),
            Some(_) => {}
        }
    }

    fn blob(&mut self, contents: &'t RawValue, place: &str) {
        let Ok([blob, mime_type]) = present_members(contents.get(), ["blob", "mimeType"]) else {
            return;
        };
        let Some((blob, data)) = blob.and_then(|blob| Some((blob, base64(blob)?))) else { return };
        let mime_type = media_type(mime_type, &data);
        let kind = ArtifactKind::of_media_type(&mime_type);
        self.take(blob, [], MediaBlock { place: format!("{place}/blob"), kind, mime_type, data });
    }

    /// Leaves an object with these members in place of the value.
    fn take<const N: usize>(
        &mut self,
        value: &'t RawValue,
        members: [(&str, Option<&'t RawValue>); N],
        block: MediaBlock,
    ) {
        let mut members: Vec<String> = members
            .into_iter()
            .filter_map(|(name, raw)| Some(format!("\"{name}\":{}", raw?.get())))
            .collect();
        if self.media.len() == BLOCKS_MAX {
            let bytes = base64_text::decoded_bytes(&block.data);
            self.left_out = (self.left_out.0 + 1, self.left_out.1 + bytes);
            let mime_type = serde_json::Value::from(block.mime_type);
            members.push(format!(
                "\"type\":\"{}\",\"mimeType\":{mime_type},\"bytes\":{bytes},\"leftOut\":true",
                block.kind.as_str()
            ));
        } else {
            self.media.push(block);
        }
        self.splice.replace(value, format!("{{{}}}", members.join(",")));
    }
}

/// Returns true for a string that is base64.
pub(super) fn is_base64(value: &RawValue) -> bool {
    let plain = serde_json::from_str::<&str>(value.get());
    match plain {
        Ok(text) => base64_text::normalized(text).is_some(),
        Err(_) => base64(value).is_some(),
    }
}

/// The base64 that a string is.
fn base64(value: &RawValue) -> Option<String> {
    let text = serde_json::from_str::<String>(value.get()).ok()?;
    let rewritten = match base64_text::normalized(&text)? {
        Cow::Borrowed(_) => None,
        Cow::Owned(rewritten) => Some(rewritten),
    };
    Some(rewritten.unwrap_or(text))
}

/// Returns true for a string that is a media type.
pub(super) fn is_media_type(value: &RawValue) -> bool {
    media_type_of(value).is_some()
}

/// The media type that is given; where that is none, the one that the bytes begin like.
fn media_type(given: Option<&RawValue>, data: &str) -> String {
    given.and_then(media_type_of).unwrap_or_else(|| {
        let head = base64_text::decoded(&data[..data.len().min(HEAD_CHARS)]);
        let known = match head.as_slice() {
            [0x89, b'P', b'N', b'G', ..] => "image/png",
            [0xff, 0xd8, 0xff, ..] => "image/jpeg",
            [b'G', b'I', b'F', b'8', ..] => "image/gif",
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P'] => "image/webp",
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E'] => "audio/wav",
            [b'I', b'D', b'3', ..] => "audio/mpeg",
            [b'O', b'g', b'g', b'S', ..] => "audio/ogg",
            [b'f', b'L', b'a', b'C', ..] => "audio/flac",
            _ => UNKNOWN_TYPE,
        };
        known.to_owned()
    })
}

/// `type/subtype`, also with parameters.
fn media_type_of(value: &RawValue) -> Option<String> {
    let is_token = |text: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&byte);
        !text.is_empty() && text.bytes().all(allowed)
    };
    let text = serde_json::from_str::<String>(value.get()).ok()?;
    let text = text.trim();
    let kind = text.split(';').next().unwrap_or_default().trim_end();
    let is_fit =
        text.len() <= TYPE_BYTES_MAX && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    let is_type = |(kind, rest): (&str, &str)| is_token(kind) && is_token(rest);
    (is_fit && kind.split_once('/').is_some_and(is_type)).then(|| text.to_owned())
}
