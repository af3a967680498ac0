//! Reads values out of the tree of a file and collects the problems.

use serde_json::{Map, Number, Value};

use super::{
    tree::{self, ParseError, Positions, Tree, escape_token},
    values::DurationText,
};
use crate::{
    base::{plural::counted, suggest::nearest, text::cut},
    policy::model::problem::{PROBLEMS_MAX, Problem},
};

/// Longest name, pattern or message, in bytes.
const STRING_BYTES_MAX: usize = 4096;
/// Most items of one list.
const ITEMS_MAX: usize = 1000;
/// Longest part of a wrong name that a message repeats, in bytes.
const QUOTED_BYTES_MAX: usize = 80;

/// Value with its JSON Pointer.
#[derive(Debug, Clone)]
pub(super) struct Located<'v> {
    pub(super) value: &'v Value,
    pub(super) pointer: String,
}

impl<'v> Located<'v> {
    pub(super) fn member(&self, key: &str, value: &'v Value) -> Self {
        Self { value, pointer: format!("{}/{}", self.pointer, escape_token(key)) }
    }
}

/// Mapping whose keys were checked.
pub(super) struct Members<'v> {
    at: Located<'v>,
    map: &'v Map<String, Value>,
}

/// Typed access to the values of one file; collects its problems.
#[derive(Debug)]
pub(in crate::policy) struct Reader<'a> {
    file: &'a str,
    positions: &'a Positions,
    problems: Vec<Problem>,
    dropped: usize,
}

impl<'a> Reader<'a> {
    pub(in crate::policy) fn new(file: &'a str, positions: &'a Positions) -> Self {
        Self { file, positions, problems: vec![], dropped: 0 }
    }

    /// Records a problem at a pointer.
    pub(in crate::policy) fn problem(
        &mut self,
        pointer: &str,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        if self.problems.len() >= PROBLEMS_MAX {
            self.dropped += 1;
            return;
        }
        let (line, column) = self.positions.find(pointer);
        let (file, pointer) = (self.file.to_owned(), pointer.to_owned());
        self.problems.push(Problem { file, line, column, pointer, message: message.into(), hint });
    }

    /// Returns all problems.
    pub(in crate::policy) fn finish(mut self) -> Vec<Problem> {
        if self.dropped > 0 {
            let message = format!("and {}", counted(self.dropped, "more problem"));
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

    /// Returns a mapping after reporting all keys that are not in `keys`. Each key is written
    /// `key=alias=alias`.
    pub(super) fn members<'v>(&mut self, at: &Located<'v>, keys: &[&str]) -> Option<Members<'v>> {
        let Value::Object(map) = at.value else {
            self.problem(
                &at.pointer,
                format!("expected a mapping, found {}", type_name(at.value)),
                None,
            );
            return None;
        };
        for key in map.keys() {
            if !keys.iter().any(|known| known.split('=').any(|name| name == key)) {
                let pointer = format!("{}/{}", at.pointer, escape_token(key));
                self.problem(
                    &pointer,
                    format!("unknown key `{}`", cut(key, QUOTED_BYTES_MAX)),
                    Some(unknown_hint(key, keys)),
                );
            }
        }
        Some(Members { at: at.clone(), map })
    }

    /// Returns the member of a key or of one of its aliases (`key=alias=alias`).
    pub(super) fn member<'v>(&mut self, members: &Members<'v>, key: &str) -> Option<Located<'v>> {
        let mut found: Option<(&str, Located<'v>)> = None;
        for name in key.split('=') {
            let Some(value) = members.map.get(name) else { continue };
            let at = members.at.member(name, value);
            match &found {
                Some((first, _)) => {
                    self.problem(
                        &at.pointer,
                        format!("`{name}` is an alias of `{first}`"),
                        Some("keep one of them".into()),
                    );
                }
                None => found = Some((name, at)),
            }
        }
        found.map(|(_, at)| at)
    }

    /// Returns a member and reports a problem if it is missing.
    pub(super) fn required<'v>(&mut self, members: &Members<'v>, key: &str) -> Option<Located<'v>> {
        let found = self.member(members, key);
        if found.is_none() {
            let name = key.split('=').next().unwrap_or(key);
            self.problem(&members.at.pointer, format!("`{name}` is missing"), None);
        }
        found
    }

    pub(super) fn string(&mut self, at: &Located<'_>) -> Option<String> {
        match at.value {
            Value::String(text) if text.len() <= STRING_BYTES_MAX => Some(text.clone()),
            Value::String(text) => {
                self.problem(
                    &at.pointer,
                    format!("the string is {} bytes; the limit is {STRING_BYTES_MAX}", text.len()),
                    None,
                );
                None
            }
            other => {
                let hint = matches!(other, Value::Number(_))
                    .then(|| format!("write it in quotes: \"{other}\""));
                self.problem(
                    &at.pointer,
                    format!("expected a string, found {}", type_name(other)),
                    hint,
                );
                None
            }
        }
    }

    pub(super) fn boolean(&mut self, at: &Located<'_>) -> Option<bool> {
        let boolean = at.value.as_bool();
        if boolean.is_none() {
            self.problem(
                &at.pointer,
                format!("expected true or false, found {}", type_name(at.value)),
                None,
            );
        }
        boolean
    }

    pub(super) fn whole(&mut self, at: &Located<'_>) -> Option<u64> {
        let whole = at.value.as_u64();
        if whole.is_none() {
            self.problem(
                &at.pointer,
                format!(
                    "expected a whole number that is not negative, found {}",
                    type_name(at.value)
                ),
                None,
            );
        }
        whole
    }

    pub(super) fn number(&mut self, at: &Located<'_>) -> Option<Number> {
        match at.value {
            Value::Number(number) => Some(number.clone()),
            other => {
                self.problem(
                    &at.pointer,
                    format!("expected a number, found {}", type_name(other)),
                    None,
                );
                None
            }
        }
    }

    pub(super) fn items<'v>(&mut self, at: &Located<'v>) -> Option<Vec<Located<'v>>> {
        self.items_up_to(at, ITEMS_MAX)
    }

    pub(super) fn items_up_to<'v>(
        &mut self,
        at: &Located<'v>,
        items_max: usize,
    ) -> Option<Vec<Located<'v>>> {
        let Value::Array(items) = at.value else {
            self.problem(
                &at.pointer,
                format!("expected a list, found {}", type_name(at.value)),
                None,
            );
            return None;
        };
        if items.len() > items_max {
            self.problem(
                &at.pointer,
                format!("the list has {} items; the limit is {items_max}", items.len()),
                None,
            );
            return None;
        }
        let at = |(index, value)| Located { value, pointer: format!("{}/{index}", at.pointer) };
        Some(items.iter().enumerate().map(at).collect())
    }

    /// Returns one string or a list of strings as a list.
    pub(super) fn strings(&mut self, at: &Located<'_>) -> Option<Vec<String>> {
        match at.value {
            Value::String(_) => Some(vec![self.string(at)?]),
            _ => self.items(at)?.iter().map(|item| self.string(item)).collect(),
        }
    }

    /// Returns the value of one of several names, each written `name=alias=alias`.
    pub(super) fn one_of<T: Copy>(&mut self, at: &Located<'_>, choices: &[(&str, T)]) -> Option<T> {
        let text = self.string(at)?;
        let found = choices.iter().find(|(names, _)| names.split('=').any(|name| name == text));
        if found.is_none() {
            let names: Vec<&str> =
                choices.iter().filter_map(|(names, _)| names.split('=').next()).collect();
            let hint =
                nearest(&text, names.iter().copied()).map(|near| format!("did you mean `{near}`?"));
            self.problem(
                &at.pointer,
                format!("`{}` is not one of {}", cut(&text, QUOTED_BYTES_MAX), list(&names)),
                hint,
            );
        }
        found.map(|(_, value)| *value)
    }

    pub(super) fn duration(&mut self, at: &Located<'_>) -> Option<DurationText> {
        match at.value {
            Value::Number(number) if number.is_u64() => {
                Some(DurationText::Seconds(number.as_u64()?))
            }
            Value::String(text) if text.len() <= STRING_BYTES_MAX => {
                Some(DurationText::Text(text.clone()))
            }
            other => {
                self.problem(
                    &at.pointer,
                    format!(
                        "expected seconds or a string such as `30m`, found {}",
                        type_name(other)
                    ),
                    None,
                );
                None
            }
        }
    }
}

fn unknown_hint(key: &str, keys: &[&str]) -> String {
    /// Keys of other products and of earlier versions, with the reason why they are unknown.
    const FOREIGN_KEYS: [(&str, &str); 9] = [
        ("catalogue", "the key is `presets`"),
        ("by", "approvers with roles are not supported yet: the owner of the server decides"),
        ("remember", "grants are not supported yet: an approval is for one call"),
        ("spend", "write a spending limit as `limits` with `cost`"),
        ("idempotency", "responses of repeated calls are not cached"),
        ("idempotency_window", "responses of repeated calls are not cached"),
        ("schedule", "times of day are not supported"),
        ("approvals", "approvals are configured on the server"),
        ("notify", "approvals are configured on the server"),
    ];
    if let Some((_, reason)) = FOREIGN_KEYS.iter().find(|(known, _)| *known == key) {
        return (*reason).to_owned();
    }
    let names: Vec<&str> = keys.iter().flat_map(|key| key.split('=')).collect();
    match nearest(key, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the known keys are {}", list(&names)),
    }
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Returns the type of a value for messages, with an article.
pub(in crate::policy) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

/// Parses a text into a tree; an error is one problem.
pub(super) fn read_tree(file: &str, text: &str) -> Result<Tree, Vec<Problem>> {
    tree::parse(text).map_err(|error| {
        let ParseError { line, column, message, hint } = error;
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
