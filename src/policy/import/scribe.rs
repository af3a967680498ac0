//! What every import keeps while it reads: what was carried over, what is wrong, and where. Must
//! not know any dialect.

use serde_json::{Map, Number, Value};

use super::{
    At, Carried, ImportOptions, Imported, ImportedLayer,
    tree::{Content, Entry, Node},
};
use crate::{base::suggest::nearest, policy::Problem};

/// Problems that are listed; what comes after is counted.
const PROBLEMS_MAX: usize = 200;
/// Characters of a foreign text that a message repeats.
const SHOWN_MAX: usize = 60;

/// Collects.
pub(super) struct Scribe<'a> {
    file: &'a str,
    options: ImportOptions<'a>,
    map: Vec<Carried>,
    errors: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl<'a> Scribe<'a> {
    pub(super) fn new(file: &'a str, options: ImportOptions<'a>) -> Self {
        Self { file, options, map: vec![], errors: vec![], warnings: vec![] }
    }

    /// The upstream whose tools are meant.
    pub(super) fn upstream(&self) -> Option<&'a str> {
        self.options.upstream
    }

    /// The address of a tool of our file, for people.
    pub(super) fn told(&self, name: &str) -> String {
        self.options
            .upstream
            .map_or_else(|| name.to_owned(), |upstream| format!("{upstream}.{name}"))
    }

    /// Something was carried over.
    pub(super) fn carried(&mut self, at: At, theirs: impl Into<String>, ours: impl Into<String>) {
        self.map.push(Carried { at, theirs: theirs.into(), ours: ours.into() });
    }

    /// Something is wrong.
    pub(super) fn error(
        &mut self,
        at: At,
        pointer: &str,
        message: impl Into<String>,
        hint: Option<&str>,
    ) {
        let problem = self.problem(at, pointer, message.into(), hint);
        self.errors.push(problem);
    }

    /// Something has no counterpart here: an error, or, where the owner wants it so, left out with
    /// a warning.
    pub(super) fn lost(
        &mut self,
        at: At,
        pointer: &str,
        message: impl Into<String>,
        hint: Option<&str>,
    ) {
        let problem = self.problem(at, pointer, message.into(), hint);
        if self.options.compat_warn {
            self.warnings.push(problem)
        } else {
            self.errors.push(problem)
        }
    }

    /// Something is as it was, yet worth a look.
    pub(super) fn warn(
        &mut self,
        at: At,
        pointer: &str,
        message: impl Into<String>,
        hint: Option<&str>,
    ) {
        let problem = self.problem(at, pointer, message.into(), hint);
        self.warnings.push(problem);
    }

    fn problem(&self, at: At, pointer: &str, message: String, hint: Option<&str>) -> Problem {
        Problem {
            file: self.file.to_owned(),
            line: at.line,
            column: at.column,
            pointer: pointer.to_owned(),
            message,
            hint: hint.map(str::to_owned),
        }
    }

    /// What was made, if nothing was wrong.
    pub(super) fn finish(mut self, layers: Vec<ImportedLayer>) -> Result<Imported, Vec<Problem>> {
        self.map.sort_by_key(|carried| carried.at);
        self.warnings.sort_by_key(|problem| (problem.line, problem.column));
        if self.errors.is_empty() {
            return Ok(Imported { layers, map: self.map, warnings: self.warnings });
        }
        self.errors.sort_by_key(|problem| (problem.line, problem.column));
        let more = self.errors.len().saturating_sub(PROBLEMS_MAX);
        self.errors.truncate(PROBLEMS_MAX);
        if let (1.., Some(last)) = (more, self.errors.last_mut()) {
            last.hint = Some(format!("{more} more problems are not listed"));
        }
        Err(self.errors)
    }

    // What a part must be. Whatever it is not is an error, and the reading goes on.

    /// A mapping's entries.
    pub(super) fn entries<'n>(&mut self, node: &'n Node, pointer: &str, what: &str) -> &'n [Entry] {
        match &node.content {
            Content::Map(entries) => entries,
            Content::Null => &[],
            _ => {
                self.error(
                    node.at,
                    pointer,
                    format!("{what} must be a mapping, not {}", node.kind()),
                    None,
                );
                &[]
            }
        }
    }

    /// A list's items.
    pub(super) fn items<'n>(&mut self, node: &'n Node, pointer: &str, what: &str) -> &'n [Node] {
        match &node.content {
            Content::List(items) => items,
            Content::Null => &[],
            _ => {
                self.error(
                    node.at,
                    pointer,
                    format!("{what} must be a list, not {}", node.kind()),
                    None,
                );
                &[]
            }
        }
    }

    /// A text. A number stands for its digits, as in the originals.
    pub(super) fn text(&mut self, node: &Node, pointer: &str, what: &str) -> Option<String> {
        match &node.content {
            Content::Text(text) => Some(text.clone()),
            Content::Number(number) => Some(number.to_string()),
            _ => {
                self.error(
                    node.at,
                    pointer,
                    format!("{what} must be a text, not {}", node.kind()),
                    None,
                );
                None
            }
        }
    }

    /// A finite number.
    pub(super) fn number<'n>(
        &mut self,
        node: &'n Node,
        pointer: &str,
        what: &str,
    ) -> Option<&'n Number> {
        match &node.content {
            Content::Number(number) => Some(number),
            _ => {
                self.error(
                    node.at,
                    pointer,
                    format!("{what} must be a number, not {}", node.kind()),
                    None,
                );
                None
            }
        }
    }

    /// One of a few words.
    pub(super) fn word<'w>(
        &mut self,
        node: &Node,
        pointer: &str,
        what: &str,
        words: &[&'w str],
    ) -> Option<&'w str> {
        let text = self.text(node, pointer, what)?;
        if let Some(word) = words.iter().find(|word| **word == text) {
            return Some(word);
        }
        let hint =
            nearest(&text, words.iter().copied()).map(|word| format!("did you mean `{word}`?"));
        let allowed = words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
        self.error(
            node.at,
            pointer,
            format!("{what} is `{}`; allowed are {allowed}", shown(&text)),
            hint.as_deref(),
        );
        None
    }

    /// A key that means nothing: never silently dropped.
    pub(super) fn unknown_key(&mut self, entry: &Entry, pointer: &str, known: &[&str]) {
        let hint = match nearest(&entry.key, known.iter().copied()) {
            Some(word) => format!("did you mean `{word}`?"),
            None => format!("known here: {}", known.join(", ")),
        };
        self.lost(
            entry.at,
            &below(pointer, &entry.key),
            format!("unknown key `{}`", shown(&entry.key)),
            Some(&hint),
        );
    }
}

/// The pointer of a key below another.
pub(super) fn below(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// A foreign text as a message may repeat it: bounded, on one line.
pub(super) fn shown(text: &str) -> String {
    let clean = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c });
    let mut head: String = clean.take(SHOWN_MAX).collect();
    if text.chars().count() > SHOWN_MAX {
        head.push('…');
    }
    head
}

/// An object of these entries, without those that are null.
pub(super) fn object<const N: usize>(entries: [(&str, Value); N]) -> Map<String, Value> {
    entries
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}
