//! Unwraps the result of a tool into the one value that code works with.

use rmcp::model::{CallToolResponse, CallToolResult, ContentBlock};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{elicitation, failure::SAID_BYTES_MAX};
use crate::{
    base::text::cut,
    catalog::{
        tool::Tool,
        upstream::{
            error::{UpstreamError, UpstreamErrorCode},
            response::ANSWER_BYTES_MAX,
        },
    },
    model::RawJson,
};

/// Beyond it a JavaScript number is not exact, so the text stays a text.
const SAFE_INTEGER_MAX: f64 = 9_007_199_254_740_991.0;

/// Structured content first; else a single text, as JSON where it is JSON; else the content blocks
/// as they are.
pub(super) fn unwrap(tool: &Tool, response: CallToolResponse) -> Result<RawJson, UpstreamError> {
    let result = match response {
        CallToolResponse::Complete(result) => result,
        CallToolResponse::InputRequired(wanted) => {
            let requests = serde_json::to_value(&wanted.input_requests).unwrap_or_default();
            let message = format!(
                "`{}` wants input before it goes on, which is refused: {}; nobody can be asked \
                during a program, so give it as \
                 arguments where the tool takes them",
                tool.path,
                elicitation::summary(&requests)
            );
            return Err(UpstreamError::new(UpstreamErrorCode::InputRequired, tool, message));
        }
        _ => {
            let message =
                format!("`{}` answered with a task of its own, which was not asked for", tool.path);
            return Err(UpstreamError::new(UpstreamErrorCode::BadAnswer, tool, message));
        }
    };
    if result.is_error == Some(true) {
        return Err(UpstreamError::new(
            UpstreamErrorCode::ToolFailed,
            tool,
            failure_text(tool, &result),
        ));
    }
    if let Some(structured) = &result.structured_content {
        return bounded(tool, structured);
    }
    match result.content.as_slice() {
        [ContentBlock::Text(block)] => match parsed(&block.text) {
            Some(json) if json.get().len() > ANSWER_BYTES_MAX => {
                Err(UpstreamError::too_large(tool, ANSWER_BYTES_MAX))
            }
            Some(json) => Ok(json),
            None => bounded(tool, &block.text),
        },
        blocks => bounded(tool, blocks),
    }
}

/// The text as JSON, when it is JSON that JavaScript can hold exactly.
fn parsed(text: &str) -> Option<RawJson> {
    let json = RawValue::from_string(text.trim().to_owned()).ok()?;
    let exact = match serde_json::from_str::<serde_json::Number>(json.get()) {
        Ok(number) => number.as_f64().is_some_and(|value| value.abs() <= SAFE_INTEGER_MAX),
        Err(_) => true,
    };
    exact.then_some(json)
}

fn bounded<T: Serialize + ?Sized>(tool: &Tool, value: &T) -> Result<RawJson, UpstreamError> {
    let json = serde_json::value::to_raw_value(value).map_err(|_| {
        UpstreamError::new(
            UpstreamErrorCode::BadAnswer,
            tool,
            format!("the answer of `{}` is not JSON", tool.path),
        )
    })?;
    if json.get().len() > ANSWER_BYTES_MAX {
        Err(UpstreamError::too_large(tool, ANSWER_BYTES_MAX))
    } else {
        Ok(json)
    }
}

/// Message of a failed tool, in its own words.
fn failure_text(tool: &Tool, result: &CallToolResult) -> String {
    let mut text = String::new();
    for block in &result.content {
        if let ContentBlock::Text(block) = block {
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(cut(&block.text, SAID_BYTES_MAX));
        }
        if text.len() > SAID_BYTES_MAX {
            break;
        }
    }
    if text.trim().is_empty() {
        text = match &result.structured_content {
            Some(structured) => structured.to_string(),
            None => format!("`{}` failed and does not say why", tool.path),
        };
    }
    cut(&text, SAID_BYTES_MAX).to_owned()
}

#[cfg(test)]
mod tests;
