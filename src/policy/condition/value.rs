//! JSON values in conditions.

use serde_json::Value;

/// Longest preview of a value, in characters.
const PREVIEW_CHARS_MAX: usize = 80;

/// Returns the value at a path of object keys. A path never leads into a list.
pub(super) fn value_at<'v>(value: &'v Value, keys: &[Box<str>]) -> Option<&'v Value> {
    keys.iter().try_fold(value, |value, key| value.as_object()?.get(&**key))
}

/// Formats a value for `explain`: at most [`PREVIEW_CHARS_MAX`] characters, control characters
/// escaped.
pub(super) fn preview(value: &Value) -> String {
    let json = value.to_string();
    let head: String = json
        .chars()
        .take(PREVIEW_CHARS_MAX)
        .flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] })
        .collect();
    if json.chars().count() > PREVIEW_CHARS_MAX { format!("{head}…") } else { head }
}
