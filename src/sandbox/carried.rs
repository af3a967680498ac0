//! What a frame can carry of responses and errors, and what of them is kept.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::protocol::CallFailure;
use crate::{
    base::{integers::quote_unsafe, text::ellipsized},
    model::{ErrorCode, JsonObject, RawJson, TaskError},
};

/// Bytes of an error's text that are kept.
pub(super) const MESSAGE_BYTES_MAX: usize = 8 * 1024;
/// Bytes of JSON in a `Response` frame, which also holds the call's number and its outcome.
pub(super) const RESPONSE_BYTES_MAX: usize = 9 * 1024 * 1024 - 5;

/// Returns the response as a program can read it without losing digits.
pub(super) fn exact(response: RawJson) -> RawJson {
    match quote_unsafe(response.get()) {
        Cow::Borrowed(_) => response,
        Cow::Owned(quoted) => RawValue::from_string(quoted).unwrap_or(response),
    }
}

/// The failure of a call whose response is larger than a frame.
pub(super) fn too_large(bytes: usize) -> CallFailure {
    CallFailure {
        name: "ToolCallError".into(),
        message: format!(
            "the response is {bytes} bytes of JSON; the limit is {RESPONSE_BYTES_MAX}: request \
            less at once"
        ),
        properties: JsonObject::from_iter([
            ("code".into(), ErrorCode::ResponseTooLarge.as_str().into()),
            ("retryable".into(), false.into()),
        ]),
    }
}

/// Cuts a guest's error to its limits: the worker that sent it may be compromised.
pub(super) fn trimmed(error: TaskError) -> TaskError {
    let cut = |text: String| ellipsized(text, MESSAGE_BYTES_MAX);
    TaskError {
        name: ellipsized(error.name, 200),
        message: cut(error.message),
        code: ellipsized(error.code, 64),
        line: error.line,
        column: error.column,
        frame: error.frame.map(cut),
        stack: error.stack.map(cut),
        hint: error.hint.map(cut),
    }
}
