//! Requests of a server to people or models during a call, as one sentence. Nobody can answer yet,
//! so all are refused; a bridge to a person would belong here.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use serde_json::Value;

use crate::base::{plural::counted, text::cut};

/// Longest piece of a server's own words in it, in bytes.
const WORDS_BYTES_MAX: usize = 300;
/// Fields of a form that are named.
const FIELDS_MAX: usize = 12;
/// Questions of one answer that are told.
const QUESTIONS_MAX: usize = 3;

/// The questions on one connection.
#[derive(Default)]
pub(super) struct Questions {
    refused: AtomicU64,
    calls: AtomicUsize,
    /// Last request that came while only one call was running: only then it certainly concerns that
    /// call and may be reported to its caller.
    last: Mutex<Option<String>>,
}

impl Questions {
    /// Notes that this was asked and refused.
    pub(super) fn refuse(&self, question: String) {
        let alone = self.calls.load(Ordering::Relaxed) == 1;
        *self.last.lock() = alone.then_some(question);
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// A call begins.
    pub(super) fn during(&self) -> During<'_> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        During { questions: self, before: self.refused.load(Ordering::Relaxed) }
    }
}

/// Scope of one running call.
pub(super) struct During<'a> {
    questions: &'a Questions,
    before: u64,
}

impl During<'_> {
    /// Requests since the call began, as a clause that follows an error message.
    pub(super) fn remark(&self) -> Option<String> {
        if self.questions.refused.load(Ordering::Relaxed) == self.before {
            return None;
        }
        let last = self.questions.last.lock().clone();
        let what = last.unwrap_or_else(|| "it asked for a person's or a model's input".to_owned());
        Some(format!(
            " (while it ran {what}, which Airlock refuses: nobody can be asked while a program \
            runs)"
        ))
    }
}

impl Drop for During<'_> {
    fn drop(&mut self) {
        self.questions.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Questions that came in place of an answer, as a sentence; `requests` holds them by name, each
/// with `method` and `params`.
pub(super) fn summary(requests: &Value) -> String {
    let Some(requests) = requests.as_object().filter(|requests| !requests.is_empty()) else {
        return "it does not say what it asks for".to_owned();
    };
    let one =
        |request: &Value| asked(request["method"].as_str().unwrap_or_default(), &request["params"]);
    let mut all: Vec<String> = requests.values().take(QUESTIONS_MAX).map(one).collect();
    if requests.len() > QUESTIONS_MAX {
        all.push(counted(requests.len() - QUESTIONS_MAX, "more question"));
    }
    all.join(", and ")
}

/// One question as part of a sentence.
pub(super) fn asked(method: &str, params: &Value) -> String {
    let words = |key: &str| {
        params[key].as_str().map(|text| cut(text, WORDS_BYTES_MAX).replace(char::is_control, " "))
    };
    let message = words("message").unwrap_or_default();
    match method {
        "elicitation/create" if params["url"].is_string() => {
            let host = words("url")
                .and_then(|url| Some(url::Url::parse(&url).ok()?.host_str()?.to_owned()));
            format!(
                "it asked a person to open a page of `{}`: {message:?}",
                host.unwrap_or_default()
            )
        }
        "elicitation/create" => {
            let fields = params["requestedSchema"]["properties"].as_object();
            let names: Vec<String> = fields
                .into_iter()
                .flatten()
                .take(FIELDS_MAX)
                .map(|(name, _)| format!("`{}`", cut(name, 80)))
                .collect();
            let fields = if names.is_empty() {
                String::new()
            } else {
                format!(" (fields {})", names.join(", "))
            };
            format!("it asked a person: {message:?}{fields}")
        }
        "sampling/createMessage" => "it asked a model for a message".to_owned(),
        "roots/list" => "it asked for a list of folders".to_owned(),
        _ => "it asked for something".to_owned(),
    }
}

#[cfg(test)]
mod tests;
