//! Unwraps the result of a tool into the one value that code works with. What a server sent is cut
//! out of its message as it is written, so that numbers keep every digit and nothing is lost that
//! the protocol does not know.

mod blocks;

use serde_json::value::RawValue;

use super::{elicitation, message::SAID_BYTES_MAX, results::CallResult};
use crate::{
    base::{
        json::{members::present_members, repair},
        text::cut,
    },
    catalog::{
        tool::Tool,
        upstream::{
            error::{UpstreamError, UpstreamErrorCode},
            response::{ANSWER_BYTES_MAX, ToolResponse},
        },
    },
    model::RawJson,
};

/// The result of a tool.
struct ToolResult<'t> {
    /// All of it.
    whole: &'t RawValue,
    content: Option<&'t RawValue>,
    structured: Option<&'t RawValue>,
    is_error: bool,
    /// `complete` where it is missing.
    kind: Option<String>,
    /// Questions of a tool that wants more input.
    questions: Option<&'t RawValue>,
}

/// Structured content first; else a single text, where one that is an object or a list in JSON is
/// read as one; else the content blocks as they are. Null counts as missing. What the protocol does
/// not know comes as it is, with a warning.
pub(super) fn unwrap(tool: &Tool, result: CallResult) -> Result<ToolResponse, UpstreamError> {
    let CallResult { json, repairs, permit } = result;
    let result = ToolResult::of(&json);
    match result.kind.as_deref() {
        Some("input_required") => return Err(input_required(tool, &result)),
        Some("task") => {
            let message =
                format!("`{}` answered with a task of its own, which was not asked for", tool.path);
            return Err(UpstreamError::new(UpstreamErrorCode::BadAnswer, tool, message));
        }
        _ => {}
    }
    if result.is_error {
        let said = failure_text(tool, &result);
        return Err(UpstreamError::new(UpstreamErrorCode::ToolFailed, tool, said));
    }
    let Value { json, oddities } = value(&result);
    if json.get().len() > ANSWER_BYTES_MAX {
        return Err(UpstreamError::too_large(tool, ANSWER_BYTES_MAX));
    }
    let mut warnings = Vec::new();
    if !oddities.is_empty() {
        warnings.push(format!(
            "the response of `{}` is not as the protocol wants it and is given as it came: {}",
            tool.path,
            oddities.join(", ")
        ));
    }
    if let Some(repairs) = repairs {
        warnings.push(format!(
            "the response of `{}` was not valid JSON and was repaired: {repairs}",
            tool.path
        ));
    }
    let warning = (!warnings.is_empty()).then(|| warnings.join("; "));
    Ok(ToolResponse { json, permit, warning })
}

impl<'t> ToolResult<'t> {
    fn of(whole: &'t RawValue) -> Self {
        let names = ["content", "structuredContent", "isError", "resultType", "inputRequests"];
        // What is no object has none of them.
        let [content, structured, is_error, kind, questions] =
            present_members(whole.get(), names).unwrap_or_default();
        Self {
            whole,
            content,
            structured,
            is_error: is_error.is_some_and(|flag| matches!(flag.get(), "true" | "\"true\"" | "1")),
            kind: kind.and_then(|kind| serde_json::from_str(kind.get()).ok()),
            questions,
        }
    }
}

/// The value of a result, and what is odd about it, in words.
struct Value {
    json: RawJson,
    oddities: Vec<String>,
}

impl Value {
    fn fine(json: &RawValue) -> Self {
        Self { json: json.to_owned(), oddities: Vec::new() }
    }

    fn odd(json: &RawValue, why: impl Into<String>) -> Self {
        Self { json: json.to_owned(), oddities: vec![why.into()] }
    }
}

fn value(result: &ToolResult<'_>) -> Value {
    if let Some(structured) = result.structured {
        return Value::fine(structured);
    }
    let Some(content) = result.content else {
        let why = "it has neither `content` nor `structuredContent`";
        return Value::odd(result.whole, why);
    };
    let Ok(blocks) = serde_json::from_str::<Vec<&RawValue>>(content.get()) else {
        return Value::odd(content, "its `content` is no list");
    };
    let oddities = blocks::oddities(&blocks);
    let single = match blocks.as_slice() {
        [block] => blocks::text(block),
        _ => None,
    };
    let Some(text) = single else { return Value { json: content.to_owned(), oddities } };
    // What should be a text and is an object is taken for the object that it is.
    let json = structure(text).unwrap_or_else(|| text.to_owned());
    Value { json, oddities }
}

/// The object or the list that a text is in JSON; a number, a word or a quoted text stays the text
/// that it is, since it may be a version, a hash or a name.
fn structure(text: &RawValue) -> Option<RawJson> {
    let text = serde_json::from_str::<String>(text.get()).ok()?;
    let text = text.trim();
    if !text.starts_with(['{', '[']) {
        return None;
    }
    let json = RawValue::from_string(text.to_owned()).ok()?;
    // Only half characters and numbers beyond a double can be in it, which no reader takes.
    match repair::repaired(json.get().as_bytes()) {
        Ok(None) => Some(json),
        Ok(Some(repaired)) => RawValue::from_string(repaired.text).ok(),
        Err(_) => None,
    }
}

fn input_required(tool: &Tool, result: &ToolResult<'_>) -> UpstreamError {
    let requests = result.questions.and_then(|raw| serde_json::from_str(raw.get()).ok());
    let message = format!(
        "`{}` wants input before it goes on, which is refused: {}; nobody can be asked during a \
        program, so give it as arguments where the tool takes them",
        tool.path,
        elicitation::summary(&requests.unwrap_or_default())
    );
    UpstreamError::new(UpstreamErrorCode::InputRequired, tool, message)
}

/// Message of a failed tool, in its own words.
fn failure_text(tool: &Tool, result: &ToolResult<'_>) -> String {
    let mut text = String::new();
    let content = result.content.map(RawValue::get).unwrap_or_default();
    let blocks = serde_json::from_str::<Vec<&RawValue>>(content).unwrap_or_default();
    let texts = blocks.iter().filter_map(|block| blocks::text(block));
    for block in texts.filter_map(|raw| serde_json::from_str::<String>(raw.get()).ok()) {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(cut(&block, SAID_BYTES_MAX));
        if text.len() > SAID_BYTES_MAX {
            break;
        }
    }
    if text.trim().is_empty() {
        let quoted = || serde_json::from_str::<String>(content).ok();
        // Whatever it said stands in what it sent.
        text = match (result.structured, result.content) {
            (Some(structured), _) => cut(structured.get(), SAID_BYTES_MAX).to_owned(),
            (None, Some(content)) if content.get() != "[]" => {
                quoted().unwrap_or_else(|| cut(content.get(), SAID_BYTES_MAX).to_owned())
            }
            _ => format!("`{}` failed and does not say why", tool.path),
        };
    }
    cut(&text, SAID_BYTES_MAX).to_owned()
}

#[cfg(test)]
mod tests;
