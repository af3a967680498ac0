//! Unwraps the result of a tool into the one value that code works with. What a server sent is cut
//! out of its message as it is written, so that numbers keep every digit and nothing is lost that
//! the protocol does not know.

mod blocks;
mod media;

use serde_json::value::RawValue;

use super::{elicitation, lookup::Lookup, message::SAID_BYTES_MAX, results::CallResult};
use crate::{
    base::{
        json::{
            members::{is_empty, members, present_members},
            repair,
            splice::Splice,
        },
        text::cut,
    },
    catalog::{
        tool::Tool,
        upstream::{
            error::{UpstreamError, UpstreamErrorCode},
            response::{ANSWER_BYTES_MAX, MediaBlock, ToolResponse},
        },
    },
    model::RawJson,
};

/// Member of structured content in which the content beside it is that is no text.
const MORE_CONTENT: &str = "$content";

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

/// Structured content first, with the blocks beside it that are no text as its member `$content`;
/// where there is none, or it is empty and a text is not, a single text, where one that is an
/// object or a list in JSON is read as one; else the content blocks as they are. Null counts as
/// missing. What the protocol does not know comes as it is, with a warning. Images, sounds and
/// blobs are taken out.
pub(super) fn unwrap(tool: &Tool, result: CallResult) -> Result<ToolResponse, UpstreamError> {
    let CallResult { json, has_error, repairs, permit } = result;
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
    let value = match Lookup::of(tool) {
        Some(lookup) => lookup_value(lookup, result.whole),
        None => value(&result),
    };
    let warning = value.warning(tool, has_error, repairs);
    let response = ToolResponse { json: value.json, media: value.media, permit, warning };
    match response.bytes() > ANSWER_BYTES_MAX {
        true => Err(UpstreamError::too_large(tool, ANSWER_BYTES_MAX)),
        false => Ok(response),
    }
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
    /// What was taken out of it.
    media: Vec<MediaBlock>,
    /// What was left out, in words, if anything.
    left_out: Option<String>,
}

impl Value {
    fn fine(json: &RawValue) -> Self {
        Self { json: json.to_owned(), oddities: Vec::new(), media: Vec::new(), left_out: None }
    }

    fn odd(json: &RawValue, why: impl Into<String>) -> Self {
        Self { oddities: vec![why.into()], ..Self::fine(json) }
    }

    /// What must be told of it: what is not in it, what is odd, and what was repaired.
    fn warning(&self, tool: &Tool, has_error: bool, repairs: Option<String>) -> Option<String> {
        let mut warnings = Vec::new();
        if let Some(left_out) = &self.left_out {
            warnings.push(format!("the response of `{}` is not complete: {left_out}", tool.path));
        }
        if has_error {
            warnings.push(format!(
                "the response of `{}` has an empty `error` beside its `result`, which is taken",
                tool.path
            ));
        }
        if !self.oddities.is_empty() {
            warnings.push(format!(
                "the response of `{}` does not follow the protocol and is given as the server sent \
                it: {}",
                tool.path,
                self.oddities.join(", ")
            ));
        }
        if let Some(repairs) = repairs {
            warnings.push(format!(
                "the response of `{}` was not valid JSON and was repaired: {repairs}",
                tool.path
            ));
        }
        (!warnings.is_empty()).then(|| warnings.join("; "))
    }

    /// A list of content blocks.
    fn of_blocks(list: &RawValue, place: &str, oddities: Vec<String>) -> Self {
        let media::Extracted { json, media, left_out } = media::extracted(list, place);
        Self { json: json.unwrap_or_else(|| list.to_owned()), oddities, media, left_out }
    }
}

fn value(result: &ToolResult<'_>) -> Value {
    let Some(structured) = result.structured else { return content_value(result) };
    if !is_empty(structured) || !result.content.is_some_and(|all| says_more(all, structured)) {
        return structured_value(structured, result.content);
    }
    let mut value = content_value(result);
    value.oddities.push("its `structuredContent` is empty and its content is not".to_owned());
    value
}

/// Returns true if content has something that an empty structured content lacks and cannot take.
fn says_more(content: &RawValue, structured: &RawValue) -> bool {
    let Ok(all) = serde_json::from_str::<Vec<&RawValue>>(content.get()) else { return false };
    let is_list = structured.get().starts_with('[');
    all.into_iter()
        .any(|block| blocks::is_telling_text(block) || is_list && blocks::is_more_than_text(block))
}

/// The value of a result without structured content.
fn content_value(result: &ToolResult<'_>) -> Value {
    let Some(content) = result.content else {
        let why = "it has neither `content` nor `structuredContent`";
        return Value::odd(result.whole, why);
    };
    let Ok(blocks) = serde_json::from_str::<Vec<&RawValue>>(content.get()) else {
        return Value::odd(content, "its `content` is not a list");
    };
    let oddities = blocks::oddities(&blocks);
    let single = match blocks.as_slice() {
        [block] => blocks::text(block),
        _ => None,
    };
    let Some(text) = single else { return Value::of_blocks(content, "", oddities) };
    // What should be a text and is an object is taken for the object that it is.
    let json = structure(text).unwrap_or_else(|| text.to_owned());
    Value { oddities, ..Value::fine(&json) }
}

/// The answer about resources or prompts: all of it, as it came.
fn lookup_value(lookup: Lookup, whole: &RawValue) -> Value {
    let Ok([list]) = present_members(whole.get(), [lookup.list()]) else {
        return Value::odd(whole, "it is not an object");
    };
    let Some(list) = list.filter(|list| list.get().starts_with('[')) else {
        return Value::odd(whole, format!("it has no list `{}`", lookup.list()));
    };
    let place = format!("/{}", lookup.list());
    let media::Extracted { json, media, left_out } = match lookup {
        Lookup::Resource => media::extracted(list, &place),
        Lookup::Prompt => media::extracted_of_messages(list, &place),
        Lookup::Resources | Lookup::Templates | Lookup::Prompts => media::Extracted::default(),
    };
    let mut splice = Splice::new(whole.get());
    if let Some(json) = json {
        splice.replace(list, json.get().to_owned());
    }
    let spliced = splice.finish().and_then(|text| RawValue::from_string(text).ok());
    let json = spliced.unwrap_or_else(|| whole.to_owned());
    Value { json, oddities: Vec::new(), media, left_out }
}

/// Structured content. The texts beside it repeat it; an image, a sound, a resource or a link does
/// not, and would be lost.
fn structured_value(structured: &RawValue, content: Option<&RawValue>) -> Value {
    let blocks = content.map(RawValue::get).unwrap_or("[]");
    let mut blocks = serde_json::from_str::<Vec<&RawValue>>(blocks).unwrap_or_default();
    blocks.retain(|block| blocks::is_more_than_text(block));
    if blocks.is_empty() {
        return Value::fine(structured);
    }
    let Ok([None]) = members(structured.get(), [MORE_CONTENT]) else {
        let why = format!(
            "its content has {} blocks that are not text, and its `structuredContent` cannot hold \
            them; they are left out",
            blocks.len()
        );
        return Value { left_out: Some(why), ..Value::fine(structured) };
    };
    let list: Vec<&str> = blocks.iter().map(|block| block.get()).collect();
    let list = RawValue::from_string(format!("[{}]", list.join(",")));
    let list = list.expect("a list of JSON values is JSON");
    let more = Value::of_blocks(&list, &format!("/{MORE_CONTENT}"), blocks::oddities(&blocks));
    let object = structured.get().trim_end().strip_suffix('}').unwrap_or_default();
    let comma = if object.trim_end().ends_with('{') { "" } else { "," };
    let json = format!("{object}{comma}\"{MORE_CONTENT}\":{}}}", more.json.get());
    Value { json: RawValue::from_string(json).expect("an object with one member more"), ..more }
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
        "`{}` asks for input in the middle of the call, which Airlock refuses: {}; nobody can be \
        asked while a program runs, so give the input as arguments, if the tool takes them",
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
