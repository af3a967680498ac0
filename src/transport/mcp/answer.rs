//! Tasks as MCP answers: the text for people and models, and `structuredContent` that stands alone.
//!
//! Pure. Both forms say the same, because some clients show the model only one of them. The one
//! place that knows the caps.

use std::{borrow::Cow, fmt::Write as _, io};

use rmcp::model::{CallToolResult, ContentBlock};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::{
    base::text::clip,
    model::{
        ArtifactKind, ErrorKind, LogLevel, Logs, Showable, TaskError, TaskStatus, inline_media,
        showables,
    },
    service::{
        ServiceError,
        view::{ResultPage, ShownBlock, TaskOutcome, TaskPage, TaskRecord},
    },
};

/// Characters of a text block, at most.
pub(super) const TEXT_CHARS_MAX: usize = 30_000;
/// Characters of console output in a text block, at most; `structuredContent` has all that was
/// kept.
const LOG_CHARS_MAX: usize = 4_000;
/// Characters of the `error:` line, at most; `structuredContent` has the whole message.
const ERROR_CHARS_MAX: usize = 2_000;
/// Characters of the call and of the reason in an `approval:` line, at most each.
const APPROVAL_CHARS_MAX: usize = 300;
/// Characters of [`TaskOutcome::read_on`], at most, with its introduction.
const READ_ON_CHARS_MAX: usize = 300;
/// Characters kept back for the fence around a result and the note that it was cut.
const FENCE_CHARS: usize = 100;
/// Time to wait that an answer suggests, in milliseconds: the most that `task_get` takes.
const WAIT_MS: u64 = 50_000;

/// `structuredContent` about a task: its view, and the next step.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Structured<T> {
    /// The view.
    #[serde(flatten)]
    view: T,
    /// The next step for a task that goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// The answer of `execute`: how the task ended, or stands. `head` is the beginning of a result that
/// is too large to be in it; `media` are the images and sounds in the result, which follow the text
/// as blocks of their own.
pub(super) fn outcome(
    task: &TaskOutcome,
    head: Option<&ResultPage>,
    media: Vec<ShownBlock>,
) -> CallToolResult {
    task_answer(task, task, head, media)
}

/// The answer of `task_get`: the whole record.
pub(super) fn record(
    record: &TaskRecord,
    head: Option<&ResultPage>,
    media: Vec<ShownBlock>,
) -> CallToolResult {
    task_answer(record, &record.outcome, head, media)
}

fn task_answer(
    view: &impl Serialize,
    task: &TaskOutcome,
    head: Option<&ResultPage>,
    media: Vec<ShownBlock>,
) -> CallToolResult {
    let status = task.status;
    let next = (!status.is_terminal()).then(|| next(task));
    let is_error = status.is_terminal() && status != TaskStatus::Completed;
    let mut answer = finish(text(task, head), &Structured { view, next }, is_error);
    answer.content.extend(media.into_iter().map(|block| match block.kind {
        ArtifactKind::Audio => ContentBlock::audio(block.data, block.mime_type),
        _ => ContentBlock::image(block.data, block.mime_type),
    }));
    answer
}

/// The answer of `task_cancel`: that the task ended as `cancelled` was requested, so it is no
/// error.
pub(super) fn cancelled(task: &TaskOutcome) -> CallToolResult {
    finish(text(task, None), task, false)
}

/// The answer of `task_list`.
pub(super) fn task_list(page: &TaskPage) -> CallToolResult {
    let mut text = match page.tasks.len() {
        0 => "no tasks".to_owned(),
        1 => "1 task".to_owned(),
        n => format!("{n} tasks, newest first"),
    };
    for task in &page.tasks {
        let _ = write!(text, "\n{} {} {}", task.task_id, task.status, task.created_at);
        if let Some(error) = &task.error {
            let _ = write!(text, " {}", clip(&one_line(&error.message), 120));
        }
    }
    if let Some(cursor) = &page.next_cursor {
        let _ = write!(
            text,
            "\n\nmore: call task_list with {{\"cursor\":{}}}",
            Value::from(cursor.as_str())
        );
    }
    finish(clip(&text, TEXT_CHARS_MAX), page, false)
}

/// A refusal that the model can act on. Without `structuredContent`: there is no task to describe.
pub(super) fn refusal(error: &ServiceError) -> CallToolResult {
    let mut text = format!("error: {}", error.message);
    if let Some(hint) = &error.hint {
        let _ = write!(text, "\nhint: {hint}");
    }
    if let Some(ms) = error.retry_after_ms {
        let _ = write!(text, "\nretryAfterMs: {ms}");
    } else if error.kind() == ErrorKind::Internal {
        text.push_str("\nhint: the server's log says more");
    }
    CallToolResult::error(vec![ContentBlock::text(clip(&text, TEXT_CHARS_MAX))])
}

fn text(task: &TaskOutcome, head: Option<&ResultPage>) -> String {
    let mut text = format!(
        "taskId: {}\nstatus: {}\nruntimeId: {}",
        task.task_id, task.status, task.runtime_id
    );
    if let Some(code) = task.exit_code {
        let _ = write!(text, "\nexitCode: {code}");
    }
    if let Some(error) = &task.error {
        let _ = write!(text, "\nerror: {}", error_line(error));
    }
    for approval in &task.approvals {
        let url = approval.url.as_deref().map_or_else(String::new, |url| format!(", {url}"));
        let line = format!(
            "{}: {} until {}{url}",
            approval.approval_id, approval.tool, approval.expires_at
        );
        let _ = write!(text, "\napproval: {}", clip(&one_line(&line), APPROVAL_CHARS_MAX));
        let _ = write!(text, " ({})", clip(&one_line(&approval.reason), APPROVAL_CHARS_MAX));
    }
    let tail = tail(task);
    let room = TEXT_CHARS_MAX.saturating_sub(
        text.chars().count() + tail.chars().count() + FENCE_CHARS + READ_ON_CHARS_MAX,
    );
    let mut missing = 0;
    if let Some(page) = &task.result_page {
        let end = page.offset + page.text.len() as u64;
        let _ =
            write!(text, "\nresultPage: bytes {} to {end} of {}", page.offset, page.total_bytes);
        fence(&mut text, Preview::of_text(&page.text, room), 0);
    } else if let Some(page) = head {
        let preview = Preview::of_text(&page.text, room);
        fence(&mut text, preview, page.total_bytes.saturating_sub(page.text.len() as u64));
    } else if task.status == TaskStatus::Completed {
        let shown = without_base64(&task.result);
        missing = fence(&mut text, Preview::of_value(&shown, room), 0);
    }
    if missing > 0 {
        let _ = write!(
            text,
            "\n\nThe whole result is in `structuredContent`. To read it as text: {}",
            task.read_on(0)
        );
    }
    text.push_str(&tail);
    text
}

/// The value as it stands in a text: an image or a sound, which may follow as a block of its own,
/// without its base64, which nobody can read.
fn without_base64(value: &Value) -> Cow<'_, Value> {
    let is_inline = |showable: &Showable<'_>| matches!(showable, Showable::Inline { .. });
    if !showables(value).iter().any(is_inline) {
        return Cow::Borrowed(value);
    }
    let mut value = value.clone();
    take_base64(&mut value);
    Cow::Owned(value)
}

fn take_base64(value: &mut Value) {
    if let Some((_, base64)) = inline_media(value) {
        value["base64"] = format!("({} characters of base64)", base64.len()).into();
        return;
    }
    match value {
        Value::Array(items) => items.iter_mut().for_each(take_base64),
        Value::Object(members) => members.values_mut().for_each(take_base64),
        _ => {}
    }
}

/// Writes the result in its fence; `unseen` characters follow the preview's source. Returns how
/// many characters are not shown.
fn fence(text: &mut String, preview: Preview, unseen: u64) -> u64 {
    text.push_str("\n\n```json\n");
    text.push_str(&preview.kept);
    let missing = preview.dropped_chars as u64 + unseen;
    if missing > 0 {
        let _ = write!(text, "\n... [result preview truncated {missing} chars]");
    }
    text.push_str("\n```");
    missing
}

/// The text after the result: where the error is, console output, warnings, and the next step for a
/// task that goes on.
fn tail(task: &TaskOutcome) -> String {
    let mut tail = String::new();
    if let Some(error) = &task.error {
        if let Some(frame) = &error.frame {
            let _ = write!(tail, "\n\n```\n{}\n```", clip(frame.trim_end(), ERROR_CHARS_MAX));
        }
        if let Some(hint) = &error.hint {
            let _ = write!(tail, "\n\nhint: {}", clip(hint, ERROR_CHARS_MAX));
        }
    }
    if let Some(logs) = &task.logs {
        let _ = write!(tail, "\n\nlogs:\n```\n{}\n```", log_text(logs));
    }
    if !task.warnings.is_empty() {
        let lines: Vec<_> =
            task.warnings.iter().map(|warning| format!("- {}", one_line(warning))).collect();
        let _ = write!(tail, "\n\nwarnings:\n{}", clip(&lines.join("\n"), ERROR_CHARS_MAX));
    }
    if !task.status.is_terminal() {
        let _ = write!(tail, "\n\n{}", next(task));
    }
    let start = task.truncated.as_ref().map(|_| 0);
    let next = task.result_page.as_ref().map_or(start, |page| page.next_offset);
    if let Some(next) = next {
        let _ = write!(tail, "\n\nThe result is too large for one answer. {}", task.read_on(next));
    }
    tail
}

fn log_text(logs: &Logs) -> String {
    let lines: Vec<_> = logs
        .lines
        .iter()
        .map(|line| match line.level {
            LogLevel::Info => line.text.clone(),
            LogLevel::Debug => format!("debug: {}", line.text),
            LogLevel::Warn => format!("warn: {}", line.text),
            LogLevel::Error => format!("error: {}", line.text),
        })
        .collect();
    let mut text = clip(&lines.join("\n"), LOG_CHARS_MAX);
    if logs.dropped_lines > 0 {
        let _ = write!(
            text,
            "\n... [{} lines dropped, {} bytes]",
            logs.dropped_lines, logs.dropped_bytes
        );
    }
    text
}

fn error_line(error: &TaskError) -> String {
    let mut line = clip(&format!("{}: {}", error.name, one_line(&error.message)), ERROR_CHARS_MAX);
    match (error.line, error.column) {
        (Some(at), Some(column)) => drop(write!(line, " (line {at}, column {column})")),
        (Some(at), None) => drop(write!(line, " (line {at})")),
        _ => {}
    }
    line
}

fn next(task: &TaskOutcome) -> String {
    let id = task.task_id;
    match task.status {
        TaskStatus::AwaitingApproval => format!(
            "The task waits for a person's approval and goes on after it: tell your user to run \
            `airlock approvals list` or to open the link. You cannot approve it yourself. Call \
            task_get with {{\"taskId\":\"{id}\",\"waitMs\":{WAIT_MS}}} to wait for its end, or \
            task_cancel to stop it."
        ),
        _ => format!(
            "The task goes on. Call task_get with {{\"taskId\":\"{id}\",\"waitMs\":{WAIT_MS}}} to \
            wait for its end, or task_cancel to stop it."
        ),
    }
}

fn finish(text: String, structured: &impl Serialize, is_error: bool) -> CallToolResult {
    let content = vec![ContentBlock::text(text)];
    let mut result =
        if is_error { CallToolResult::error(content) } else { CallToolResult::success(content) };
    let structured = serde_json::to_value(structured);
    result.structured_content =
        Some(structured.expect("views have string keys and no failing serialiser"));
    result
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The beginning of a text, and how much more there is. Writing into it never holds more than it
/// keeps.
struct Preview {
    kept: String,
    room: usize,
    dropped_chars: usize,
}

impl Preview {
    fn of_text(text: &str, room: usize) -> Self {
        let mut preview = Self { kept: String::new(), room, dropped_chars: 0 };
        preview.push(text);
        preview
    }

    /// Of the value's JSON, indented by two spaces.
    fn of_value(value: &Value, room: usize) -> Self {
        let mut preview = Self { kept: String::new(), room, dropped_chars: 0 };
        serde_json::to_writer_pretty(&mut preview, value)
            .expect("a JSON value is serialisable and the preview takes everything");
        preview
    }

    fn push(&mut self, text: &str) {
        match text.char_indices().nth(self.room) {
            None => {
                self.room -= text.chars().count();
                self.kept.push_str(text);
            }
            Some((cut, _)) => {
                self.kept.push_str(&text[..cut]);
                self.room = 0;
                self.dropped_chars += text[cut..].chars().count();
            }
        }
    }
}

impl io::Write for Preview {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push(std::str::from_utf8(bytes).map_err(io::Error::other)?);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
