//! From the tree to the form: strictly, with every problem that there is.

use serde_json::{Map, Number, Value};

use super::{
    DurationText,
    text::{self, Places, step},
};
use crate::{
    base::{suggest::nearest, text::cut},
    policy::{PROBLEMS_MAX, Problem},
};

/// Longest text of a name, a pattern or a message, in bytes.
pub(super) const TEXT_BYTES_MAX: usize = 4096;
/// Most items of one list of the file.
pub(super) const ITEMS_MAX: usize = 1000;
/// Of a wrong name that a message repeats, so many bytes.
const NAMED_BYTES_MAX: usize = 80;

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct At<'v> {
    pub(crate) value: &'v Value,
    pub(crate) pointer: String,
}

impl<'v> At<'v> {
    pub(super) fn member(&self, key: &str, value: &'v Value) -> Self {
        Self { value, pointer: format!("{}/{}", self.pointer, step(key)) }
    }
}

/// A mapping whose keys are known.
pub(super) struct Members<'v> {
    at: At<'v>,
    map: &'v Map<String, Value>,
}

/// Collects what is wrong.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    file: &'a str,
    places: &'a Places,
    problems: Vec<Problem>,
    dropped: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(file: &'a str, places: &'a Places) -> Self {
        Self { file, places, problems: vec![], dropped: 0 }
    }

    /// Says that something is wrong at a place.
    pub(crate) fn problem(
        &mut self,
        pointer: &str,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        if self.problems.len() >= PROBLEMS_MAX {
            self.dropped += 1;
            return;
        }
        let (line, column) = self.places.find(pointer);
        let (file, pointer) = (self.file.to_owned(), pointer.to_owned());
        self.problems.push(Problem { file, line, column, pointer, message: message.into(), hint });
    }

    /// Everything that was wrong.
    pub(crate) fn finish(mut self) -> Vec<Problem> {
        if self.dropped > 0 {
            let message = format!("and {} problems more", self.dropped);
            self.problems.push(Problem {
                file: self.file.to_owned(),
                line: 0,
                column: 0,
                pointer: String::new(),
                message,
                hint: None,
            });
        }
        self.problems
    }

    /// A mapping with no other keys than these; an alias stands behind its key, after `=`.
    pub(super) fn members<'v>(&mut self, at: &At<'v>, keys: &[&str]) -> Option<Members<'v>> {
        let Value::Object(map) = at.value else {
            self.problem(
                &at.pointer,
                format!("expected a mapping, found {}", kind(at.value)),
                None,
            );
            return None;
        };
        for key in map.keys() {
            if !keys.iter().any(|known| known.split('=').any(|name| name == key)) {
                let pointer = format!("{}/{}", at.pointer, step(key));
                self.problem(
                    &pointer,
                    format!("unknown key `{}`", cut(key, NAMED_BYTES_MAX)),
                    Some(unknown_hint(key, keys)),
                );
            }
        }
        Some(Members { at: at.clone(), map })
    }

    /// The member of a key or of one of its aliases (`key=alias=alias`).
    pub(super) fn member<'v>(&mut self, members: &Members<'v>, key: &str) -> Option<At<'v>> {
        let mut found: Option<(&str, At<'v>)> = None;
        for name in key.split('=') {
            let Some(value) = members.map.get(name) else { continue };
            let at = members.at.member(name, value);
            match &found {
                Some((first, _)) => {
                    self.problem(
                        &at.pointer,
                        format!("`{name}` says the same as `{first}`"),
                        Some("keep one of them".into()),
                    );
                }
                None => found = Some((name, at)),
            }
        }
        found.map(|(_, at)| at)
    }

    /// A member that must be there.
    pub(super) fn needed<'v>(&mut self, members: &Members<'v>, key: &str) -> Option<At<'v>> {
        let found = self.member(members, key);
        if found.is_none() {
            let name = key.split('=').next().unwrap_or(key);
            self.problem(&members.at.pointer, format!("`{name}` is missing"), None);
        }
        found
    }

    pub(super) fn text(&mut self, at: &At<'_>) -> Option<String> {
        match at.value {
            Value::String(text) if text.len() <= TEXT_BYTES_MAX => Some(text.clone()),
            Value::String(text) => {
                self.problem(
                    &at.pointer,
                    format!("the text has {} bytes, allowed are {TEXT_BYTES_MAX}", text.len()),
                    None,
                );
                None
            }
            other => {
                let hint = matches!(other, Value::Number(_))
                    .then(|| format!("write it in quotes: \"{other}\""));
                self.problem(&at.pointer, format!("expected a text, found {}", kind(other)), hint);
                None
            }
        }
    }

    pub(super) fn truth(&mut self, at: &At<'_>) -> Option<bool> {
        let truth = at.value.as_bool();
        if truth.is_none() {
            self.problem(
                &at.pointer,
                format!("expected true or false, found {}", kind(at.value)),
                None,
            );
        }
        truth
    }

    pub(super) fn whole(&mut self, at: &At<'_>) -> Option<u64> {
        let whole = at.value.as_u64();
        if whole.is_none() {
            self.problem(
                &at.pointer,
                format!("expected a whole number, zero or more, found {}", kind(at.value)),
                None,
            );
        }
        whole
    }

    pub(super) fn number(&mut self, at: &At<'_>) -> Option<Number> {
        match at.value {
            Value::Number(number) => Some(number.clone()),
            other => {
                self.problem(
                    &at.pointer,
                    format!("expected a number, found {}", kind(other)),
                    None,
                );
                None
            }
        }
    }

    pub(super) fn items<'v>(&mut self, at: &At<'v>) -> Option<Vec<At<'v>>> {
        self.items_up_to(at, ITEMS_MAX)
    }

    pub(super) fn items_up_to<'v>(&mut self, at: &At<'v>, items_max: usize) -> Option<Vec<At<'v>>> {
        let Value::Array(items) = at.value else {
            self.problem(&at.pointer, format!("expected a list, found {}", kind(at.value)), None);
            return None;
        };
        if items.len() > items_max {
            self.problem(
                &at.pointer,
                format!("the list has {} items, allowed are {items_max}", items.len()),
                None,
            );
            return None;
        }
        let at = |(index, value)| At { value, pointer: format!("{}/{index}", at.pointer) };
        Some(items.iter().enumerate().map(at).collect())
    }

    /// One text or a list of them.
    pub(super) fn texts(&mut self, at: &At<'_>) -> Option<Vec<String>> {
        match at.value {
            Value::String(_) => Some(vec![self.text(at)?]),
            _ => self.items(at)?.iter().map(|item| self.text(item)).collect(),
        }
    }

    /// One of several words; `key=alias` as elsewhere.
    pub(super) fn word<T: Copy>(&mut self, at: &At<'_>, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(at)?;
        let found = words.iter().find(|(word, _)| word.split('=').any(|name| name == text));
        if found.is_none() {
            let names: Vec<&str> =
                words.iter().filter_map(|(word, _)| word.split('=').next()).collect();
            let hint =
                nearest(&text, names.iter().copied()).map(|near| format!("did you mean `{near}`?"));
            self.problem(
                &at.pointer,
                format!("`{}` is none of {}", cut(&text, NAMED_BYTES_MAX), list(&names)),
                hint,
            );
        }
        found.map(|(_, value)| *value)
    }

    pub(super) fn duration(&mut self, at: &At<'_>) -> Option<DurationText> {
        match at.value {
            Value::Number(number) if number.is_u64() => {
                Some(DurationText::Seconds(number.as_u64()?))
            }
            Value::String(text) if text.len() <= TEXT_BYTES_MAX => {
                Some(DurationText::Text(text.clone()))
            }
            other => {
                self.problem(
                    &at.pointer,
                    format!("expected seconds or a text such as `30m`, found {}", kind(other)),
                    None,
                );
                None
            }
        }
    }
}

fn unknown_hint(key: &str, keys: &[&str]) -> String {
    const KNOWN_ELSEWHERE: [(&str, &str); 8] = [
        ("by", "approvers with roles are not supported yet: whoever owns the server decides"),
        ("remember", "nothing of an approval is remembered yet: it holds for one call"),
        ("spend", "limits of money are written as `limits` with `cost`"),
        ("idempotency", "repeated calls are not answered from memory"),
        ("idempotency_window", "repeated calls are not answered from memory"),
        ("schedule", "times of day are not supported"),
        ("approvals", "approvals are configured on the server"),
        ("notify", "approvals are configured on the server"),
    ];
    if let Some((_, reason)) = KNOWN_ELSEWHERE.iter().find(|(known, _)| *known == key) {
        return (*reason).to_owned();
    }
    let names: Vec<&str> = keys.iter().flat_map(|key| key.split('=')).collect();
    match nearest(key, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known here are {}", list(&names)),
    }
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// What a value is, for messages.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

/// Reads a tree out of a text; what is unreadable is one problem.
pub(super) fn tree(file: &str, text: &str) -> Result<text::Tree, Vec<Problem>> {
    text::parse(text).map_err(|error| {
        let text::Unreadable { line, column, message, hint } = error;
        vec![Problem {
            file: file.to_owned(),
            line,
            column,
            pointer: String::new(),
            message,
            hint: hint.map(str::to_owned),
        }]
    })
}
