//! The content blocks of a result, and what is odd about them.

use serde_json::value::RawValue;

use super::media;
use crate::base::{
    json::members::{is_empty, present_members},
    text::cut,
};

/// Oddities of one result that are told.
const TOLD_MAX: usize = 4;
/// Longest type of a block that is told, in bytes.
const TYPE_BYTES_MAX: usize = 60;

/// What a block that is a text, if only in name, has as its text.
pub(super) fn text(block: &RawValue) -> Option<&RawValue> {
    let [kind, text] = present_members(block.get(), ["type", "text"]).ok()?;
    text.filter(|_| kind.is_some_and(|kind| kind.get() == "\"text\""))
}

/// Returns true for a block of a kind that the protocol knows and that is no text.
pub(super) fn is_more_than_text(block: &RawValue) -> bool {
    let Ok([Some(kind)]) = present_members(block.get(), ["type"]) else { return false };
    ["image", "audio", "resource", "resource_link"].iter().any(|known| {
        kind.get().strip_prefix('"').and_then(|kind| kind.strip_suffix('"')) == Some(*known)
    })
}

/// Returns true for a text that says more than that there is nothing.
pub(super) fn is_telling_text(block: &RawValue) -> bool {
    text(block).is_some_and(|raw| match serde_json::from_str::<String>(raw.get()) {
        Ok(said) => !matches!(said.trim(), "" | "{}" | "[]" | "null"),
        Err(_) => !is_empty(raw),
    })
}

/// What the protocol does not know of these blocks, in words; at most a few.
pub(super) fn oddities(blocks: &[&RawValue]) -> Vec<String> {
    let mut all = blocks.iter().enumerate().filter_map(|(at, block)| {
        oddity(block).map(|what| format!("content block {} {what}", at + 1))
    });
    let mut first: Vec<String> = all.by_ref().take(TOLD_MAX).collect();
    if all.next().is_some() {
        first.push("and more".to_owned());
    }
    first
}

fn oddity(block: &RawValue) -> Option<String> {
    let names = ["type", "text", "data", "mimeType", "resource", "uri", "name", "annotations"];
    let Ok(members) = present_members(block.get(), names) else {
        return Some("is not an object".to_owned());
    };
    let [kind, text, data, media_type, resource, uri, name, annotations] = members;
    let Some(kind) = kind.and_then(|kind| serde_json::from_str::<String>(kind.get()).ok()) else {
        return Some("has no `type`".to_owned());
    };
    let is =
        |raw: Option<&RawValue>, first: char| raw.is_some_and(|raw| raw.get().starts_with(first));
    let wanted = match kind.as_str() {
        "text" => vec![("text", is(text, '"'))],
        "image" | "audio" => vec![
            ("data", data.is_some_and(media::is_base64)),
            ("mimeType", media_type.is_some_and(media::is_media_type)),
        ],
        "resource" => vec![("resource", is(resource, '{'))],
        "resource_link" => vec![("uri", is(uri, '"')), ("name", is(name, '"'))],
        other => return Some(format!("has the unknown type `{}`", cut(other, TYPE_BYTES_MAX))),
    };
    if let Some((member, _)) = wanted.iter().find(|(_, is_there)| !is_there) {
        return Some(format!("of type `{kind}` has no proper `{member}`"));
    }
    annotations.filter(|raw| !is_audience(raw)).map(|_| "has odd `annotations`".to_owned())
}

/// Returns true if these annotations of a block are as the protocol wants them, as far as anything
/// depends on it: whom the block is meant for.
fn is_audience(annotations: &RawValue) -> bool {
    let Ok([audience]) = present_members(annotations.get(), ["audience"]) else { return false };
    audience.is_none_or(|raw| {
        serde_json::from_str::<Vec<String>>(raw.get())
            .is_ok_and(|all| all.iter().all(|who| matches!(who.as_str(), "user" | "assistant")))
    })
}
