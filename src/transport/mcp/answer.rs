//! How a task looks in an MCP answer: the text for people and models, and `structuredContent` that
//! stands alone.
//!
//! Pure. Both forms say the same; some clients show the model only one of them. The one place that
//! knows the caps.

use std::{fmt::Write as _, io};

use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::{Value, json};

use crate::{
    model::{ErrorKind, JsonObject, LogLevel, Logs, Task, TaskError, TaskStatus},
    service::{ResultPage, ServiceError, TaskAnswer, TaskListAnswer},
};

/// Characters of a text block, at most.
pub const TEXT_CHARS_MAX: usize = 30_000;
/// Characters of console output in a text block, at most; `structuredContent` has all that was
/// kept.
const LOG_CHARS_MAX: usize = 4_000;
/// Characters of the `error:` line, at most; `structuredContent` has the whole message.
const ERROR_CHARS_MAX: usize = 2_000;
/// Characters of the call and of the reason in an `approval:` line, at most each.
const APPROVAL_CHARS_MAX: usize = 300;
/// What [`read_on`] takes, in characters, with what introduces it.
const READ_ON_CHARS_MAX: usize = 300;
/// Characters kept back for the fence around a result and the note that it was cut.
const FENCE_CHARS: usize = 100;
/// What an answer suggests to read at once, in bytes: fits a text block with its head.
pub const PAGE_BYTES: u64 = 25_000;
/// How long an answer suggests to wait, in milliseconds: the most that `task_get` takes.
const WAIT_MS: u64 = 50_000;

/// How much of the record an answer shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// What `execute` answers: how it ended.
    Outcome,
    /// The whole record, the code included.
    Record,
}

/// The answer of `execute` and `task_get`. `head` is the beginning of a result that is too large to
/// be in `answer`.
pub fn task(answer: &TaskAnswer, head: Option<&ResultPage>, detail: Detail) -> CallToolResult {
    let status = answer.task.status;
    let mut structured = structured(answer, detail);
    let text = text(answer, structured.get("result"), head);
    if !status.is_terminal() {
        structured.insert("next".into(), next(&answer.task).into());
    }
    finish(text, structured, status.is_terminal() && status != TaskStatus::Completed)
}

/// The answer of `task_cancel`: that the task ended as `cancelled` is what was asked for, so it is
/// no error.
pub fn cancelled(answer: &TaskAnswer) -> CallToolResult {
    let structured = structured(answer, Detail::Outcome);
    finish(text(answer, structured.get("result"), None), structured, false)
}

/// The answer of `task_list`.
pub fn task_list(answer: &TaskListAnswer) -> CallToolResult {
    let mut text = match answer.tasks.len() {
        0 => "no tasks".to_owned(),
        1 => "1 task".to_owned(),
        n => format!("{n} tasks, newest first"),
    };
    for task in &answer.tasks {
        let _ = write!(text, "\n{} {} {}", task.task_id, task.status, task.created_at);
        if let Some(error) = &task.error {
            let _ = write!(text, " {}", clip(&one_line(&error.message), 120));
        }
    }
    if let Some(cursor) = &answer.next_cursor {
        let _ = write!(
            text,
            "\n\nmore: call task_list with {{\"cursor\":{}}}",
            Value::from(cursor.as_str())
        );
    }
    finish(clip(&text, TEXT_CHARS_MAX), list_structured(answer), false)
}

/// A refusal that the model can act on. Without `structuredContent`: there is no task to describe.
pub fn refusal(error: &ServiceError) -> CallToolResult {
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

/// The tasks of a list, one object each, and where the next page begins.
pub fn list_structured(answer: &TaskListAnswer) -> JsonObject {
    let mut list = JsonObject::new();
    list.insert(
        "tasks".into(),
        answer.tasks.iter().map(|task| Value::Object(summary(task))).collect(),
    );
    if let Some(cursor) = &answer.next_cursor {
        list.insert("nextCursor".into(), cursor.as_str().into());
    }
    list
}

/// The task as one object that stands alone.
pub fn structured(answer: &TaskAnswer, detail: Detail) -> JsonObject {
    let task = &answer.task;
    let mut warnings = task.warnings.clone();
    let result = result_value(answer, &mut warnings);
    let mut all = JsonObject::new();
    let mut put = |key: &str, value: Value| drop(all.insert(key.to_owned(), value));
    put("taskId", task.task_id.to_string().into());
    put("status", task.status.as_str().into());
    put("runtimeId", task.runtime_id.as_str().into());
    put("exitCode", task.exit_code.into());
    put("result", result);
    put("workspaceId", task.principal.workspace_id.as_str().into());
    put("accountId", task.principal.account_id.as_str().into());
    put("sessionId", task.principal.session_id.as_deref().into());
    if let Some(error) = &task.error {
        put("error", plain(error));
    }
    if !task.logs.is_empty() {
        put("logs", plain(&task.logs));
    }
    if !warnings.is_empty() {
        put("warnings", warnings.into());
    }
    put("usage", plain(&task.usage));
    if !answer.approvals.is_empty() {
        put("approvals", plain(&answer.approvals));
    }
    if let Some(page) = &answer.page {
        put("resultPage", plain(page));
    } else if let (TaskStatus::Completed, None, Some(bytes)) =
        (task.status, &answer.result, task.result_bytes)
    {
        put("truncated", json!({"totalBytes": bytes, "next": read_on(task, 0)}));
    }
    if detail == Detail::Record {
        put("code", task.code.as_str().into());
        put("timeoutMs", task.timeout_ms.into());
        put("metadata", task.metadata.clone().into());
        put("clientId", task.principal.client_id.as_str().into());
        put("createdAt", task.created_at.to_string().into());
        put("startedAt", task.started_at.map(|at| at.to_string()).into());
        put("completedAt", task.completed_at.map(|at| at.to_string()).into());
    }
    all
}

/// What a list says of a task: neither its code nor its output.
fn summary(task: &Task) -> JsonObject {
    let mut all = JsonObject::new();
    let mut put = |key: &str, value: Value| drop(all.insert(key.to_owned(), value));
    put("taskId", task.task_id.to_string().into());
    put("status", task.status.as_str().into());
    put("runtimeId", task.runtime_id.as_str().into());
    put("exitCode", task.exit_code.into());
    put("sessionId", task.principal.session_id.as_deref().into());
    put("metadata", task.metadata.clone().into());
    put("clientId", task.principal.client_id.as_str().into());
    put("createdAt", task.created_at.to_string().into());
    put("startedAt", task.started_at.map(|at| at.to_string()).into());
    put("completedAt", task.completed_at.map(|at| at.to_string()).into());
    put("resultBytes", task.result_bytes.into());
    if let Some(error) = &task.error {
        put(
            "error",
            json!({"name": error.name, "message": clip(&error.message, 200), "code": error.code}),
        );
    }
    put("usage", plain(&task.usage));
    all
}

/// The result as a value. One that cannot be read, as it is nested deeper than JSON readers bear,
/// is given as its text, and a warning says why.
fn result_value(answer: &TaskAnswer, warnings: &mut Vec<String>) -> Value {
    if answer.page.is_some() {
        return Value::Null;
    }
    let Some(raw) = &answer.result else { return Value::Null };
    serde_json::from_str(raw.get()).unwrap_or_else(|error| {
        let error = error.to_string();
        warnings.push(match error.starts_with("recursion limit exceeded") {
            true => {
                "the result is nested deeper than 128 levels: it is given as JSON text".to_owned()
            }
            false => {
                format!("the result is JSON that cannot be read ({error}): it is given as text")
            }
        });
        raw.get().into()
    })
}

fn text(answer: &TaskAnswer, result: Option<&Value>, head: Option<&ResultPage>) -> String {
    let task = &answer.task;
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
    for approval in &answer.approvals {
        let url = approval.url.as_deref().map_or_else(String::new, |url| format!(", {url}"));
        let line = format!(
            "{}: {} until {}{url}",
            approval.approval_id, approval.tool, approval.expires_at
        );
        let _ = write!(text, "\napproval: {}", clip(&one_line(&line), APPROVAL_CHARS_MAX));
        let _ = write!(text, " ({})", clip(&one_line(&approval.reason), APPROVAL_CHARS_MAX));
    }
    let tail = tail(answer);
    let room = TEXT_CHARS_MAX.saturating_sub(
        text.chars().count() + tail.chars().count() + FENCE_CHARS + READ_ON_CHARS_MAX,
    );
    let mut missing = 0;
    if let Some(page) = &answer.page {
        let end = page.offset + page.text.len() as u64;
        let _ =
            write!(text, "\nresultPage: bytes {} to {end} of {}", page.offset, page.total_bytes);
        fence(&mut text, Preview::of_text(&page.text, room), 0);
    } else if let Some(page) = head {
        let preview = Preview::of_text(&page.text, room);
        fence(&mut text, preview, page.total_bytes.saturating_sub(page.text.len() as u64));
    } else if let (TaskStatus::Completed, Some(value)) = (task.status, result) {
        missing = fence(&mut text, Preview::of_value(value, room), 0);
    }
    if missing > 0 {
        let _ = write!(
            text,
            "\n\nThe whole result is in `structuredContent`. To read it as text: {}",
            read_on(task, 0)
        );
    }
    text.push_str(&tail);
    text
}

/// The result in its fence; `unseen` is what follows the preview's source. How many characters are
/// not shown.
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

/// What follows the result: where the error is, console output, warnings, and what to do about a
/// task that goes on.
fn tail(answer: &TaskAnswer) -> String {
    let task = &answer.task;
    let mut tail = String::new();
    if let Some(error) = &task.error {
        if let Some(frame) = &error.frame {
            let _ = write!(tail, "\n\n```\n{}\n```", clip(frame.trim_end(), ERROR_CHARS_MAX));
        }
        if let Some(hint) = &error.hint {
            let _ = write!(tail, "\n\nhint: {}", clip(hint, ERROR_CHARS_MAX));
        }
    }
    if !task.logs.is_empty() {
        let _ = write!(tail, "\n\nlogs:\n```\n{}\n```", log_text(&task.logs));
    }
    if !task.warnings.is_empty() {
        let lines: Vec<_> =
            task.warnings.iter().map(|warning| format!("- {}", one_line(warning))).collect();
        let _ = write!(tail, "\n\nwarnings:\n{}", clip(&lines.join("\n"), ERROR_CHARS_MAX));
    }
    if !task.status.is_terminal() {
        let _ = write!(tail, "\n\n{}", next(task));
    }
    let is_large = task.result_bytes.is_some_and(|bytes| bytes > super::RESULT_BYTES_MAX);
    let next = answer.page.as_ref().map_or(is_large.then_some(0), |page| page.next_offset);
    if let Some(next) = next {
        let _ = write!(tail, "\n\nThe result is too large for one answer. {}", read_on(task, next));
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

fn next(task: &Task) -> String {
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

fn read_on(task: &Task, offset: u64) -> String {
    format!(
        "Call task_get with \
        {{\"taskId\":\"{}\",\"resultOffset\":{offset},\"resultLimit\":{PAGE_BYTES}}} and go on at \
        resultPage.nextOffset.",
        task.task_id
    )
}

fn finish(text: String, structured: JsonObject, is_error: bool) -> CallToolResult {
    let content = vec![ContentBlock::text(text)];
    let mut result =
        if is_error { CallToolResult::error(content) } else { CallToolResult::success(content) };
    result.structured_content = Some(Value::Object(structured));
    result
}

fn plain<T: serde::Serialize>(value: &T) -> Value {
    serde_json::to_value(value)
        .expect("the model's types have string keys and no failing serialiser")
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The beginning of a text, at most `max` characters, with a note of what is missing.
fn clip(text: &str, max: usize) -> String {
    let preview = Preview::of_text(text, max);
    match preview.dropped_chars {
        0 => preview.kept,
        n => format!("{}... [{n} chars more]", preview.kept),
    }
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
