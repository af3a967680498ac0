//! JSON values in conditions.

use std::{cmp::Ordering, mem::discriminant};

use serde_json::{Number, Value};

/// Longest preview of a value, in characters.
const PREVIEW_CHARS_MAX: usize = 80;

/// Value on the way along a path that has no keys although the path goes on.
#[derive(Debug, Clone, Copy)]
pub(super) struct NotObject<'v> {
    pub(super) value: &'v Value,
    /// Number of keys that lead to the value.
    pub(super) depth: usize,
}

/// Returns the value at a path of object keys; `None` if a key is missing or leads to `null`.
///
/// # Errors
/// If something else than an object is on the way. A path never leads into a list.
pub(super) fn value_at<'v>(
    value: &'v Value,
    keys: &[Box<str>],
) -> Result<Option<&'v Value>, NotObject<'v>> {
    let mut value = value;
    for (depth, key) in keys.iter().enumerate() {
        value = match value {
            Value::Object(members) => match members.get(&**key) {
                Some(member) => member,
                None => return Ok(None),
            },
            Value::Null => return Ok(None),
            value => return Err(NotObject { value, depth }),
        };
    }
    Ok(Some(value))
}

/// Result of comparing two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Equality {
    Equal,
    Different,
    /// They, or values inside them, have different types, and nothing else differs.
    Incomparable,
}

impl Equality {
    /// Combines the results of the parts of two values: one difference is enough.
    pub(super) fn of_all(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut all = Self::Equal;
        for part in parts {
            match part {
                Self::Different => return Self::Different,
                Self::Incomparable => all = Self::Incomparable,
                Self::Equal => {}
            }
        }
        all
    }
}

impl From<bool> for Equality {
    fn from(equal: bool) -> Self {
        if equal { Self::Equal } else { Self::Different }
    }
}

/// Returns true if both values have the same JSON type.
pub(super) fn same_type(left: &Value, right: &Value) -> bool {
    discriminant(left) == discriminant(right)
}

/// Compares JSON values. 1 and 1.0 are equal; `null` differs from every other value.
pub(super) fn equality(left: &Value, right: &Value) -> Equality {
    match (left, right) {
        (Value::Null, _) | (_, Value::Null) => (left == right).into(),
        (Value::Number(left), Value::Number(right)) => compare_numbers(left, right).is_eq().into(),
        (Value::Array(left), Value::Array(right)) => match left.len() == right.len() {
            true => Equality::of_all(left.iter().zip(right).map(|(a, b)| equality(a, b))),
            false => Equality::Different,
        },
        (Value::Object(left), Value::Object(right)) => match left.len() == right.len() {
            true => Equality::of_all(left.iter().map(|(key, a)| match right.get(key) {
                Some(b) => equality(a, b),
                None => Equality::Different,
            })),
            false => Equality::Different,
        },
        _ if same_type(left, right) => (left == right).into(),
        _ => Equality::Incomparable,
    }
}

/// Returns true if values of different types may be the same to a service: `5` and `"5"`, or a
/// list or an object with the value in it.
pub(super) fn may_be_same(left: &Value, right: &Value) -> bool {
    let is_nested = |value: &Value| value.is_array() || value.is_object();
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    is_nested(left) || is_nested(right) || text(left).eq_ignore_ascii_case(&text(right))
}

/// Compares whole numbers exactly, others as `f64`.
pub(super) fn compare_numbers(left: &Number, right: &Number) -> Ordering {
    let whole = |number: &Number| {
        number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
    };
    match (whole(left), whole(right)) {
        (Some(left), Some(right)) => left.cmp(&right),
        // Parsed numbers are finite, so they always compare.
        _ => left.as_f64().partial_cmp(&right.as_f64()).unwrap_or(Ordering::Less),
    }
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
