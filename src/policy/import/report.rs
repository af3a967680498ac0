//! Collects the mappings and problems of an import, and reads typed values of the source. Must not
//! know any dialect.

use serde_json::{Map, Number, Value};

use super::{
    imported::{ImportOptions, Imported, ImportedLayer, Mapping},
    tree::{Content, Entry, Node, Position},
};
use crate::{
    base::{
        plural::{counted, verb},
        suggest::nearest,
    },
    policy::model::problem::Problem,
};

/// Most problems that are listed; further ones are only counted.
const PROBLEMS_MAX: usize = 200;
/// Longest quotation of the source in a message, in characters.
const QUOTE_CHARS_MAX: usize = 60;

/// Mappings and problems of one import.
pub(super) struct ImportReport<'a> {
    file: &'a str,
    options: ImportOptions<'a>,
    mappings: Vec<Mapping>,
    errors: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl<'a> ImportReport<'a> {
    pub(super) fn new(file: &'a str, options: ImportOptions<'a>) -> Self {
        Self { file, options, mappings: vec![], errors: vec![], warnings: vec![] }
    }

    /// Returns the upstream of the tools that the source names without one.
    pub(super) fn upstream(&self) -> Option<&'a str> {
        self.options.upstream
    }

    /// Returns the full path of a tool of the converted file.
    pub(super) fn qualified(&self, name: &str) -> String {
        self.options
            .upstream
            .map_or_else(|| name.to_owned(), |upstream| format!("{upstream}.{name}"))
    }

    /// Records a mapping.
    pub(super) fn mapped(
        &mut self,
        position: Position,
        source: impl Into<String>,
        target: impl Into<String>,
    ) {
        self.mappings.push(Mapping { position, source: source.into(), target: target.into() });
    }

    /// Records an error.
    pub(super) fn error(
        &mut self,
        at: Position,
        pointer: &str,
        message: impl Into<String>,
        hint: Option<&str>,
    ) {
        let problem = self.problem(at, pointer, message.into(), hint);
        self.errors.push(problem);
    }

    /// Records a part that is not supported here: an error, or a warning if the owner asked for
    /// that.
    pub(super) fn unsupported(
        &mut self,
        at: Position,
        pointer: &str,
        message: impl Into<String>,
        hint: Option<&str>,
    ) {
        let problem = self.problem(at, pointer, message.into(), hint);
        if self.options.compat_warn {
            self.warnings.push(problem);
        } else {
            self.errors.push(problem);
        }
    }

    /// Records a warning.
    pub(super) fn warn(
        &mut self,
        at: Position,
        pointer: &str,
        message: impl Into<String>,
        hint: Option<&str>,
    ) {
        let problem = self.problem(at, pointer, message.into(), hint);
        self.warnings.push(problem);
    }

    fn problem(&self, at: Position, pointer: &str, message: String, hint: Option<&str>) -> Problem {
        Problem {
            file: self.file.to_owned(),
            line: at.line,
            column: at.column,
            pointer: pointer.to_owned(),
            message,
            hint: hint.map(str::to_owned),
        }
    }

    /// Returns the result, or all errors.
    pub(super) fn finish(mut self, layers: Vec<ImportedLayer>) -> Result<Imported, Vec<Problem>> {
        self.mappings.sort_by_key(|mapping| mapping.position);
        self.warnings.sort_by_key(|problem| (problem.line, problem.column));
        if self.errors.is_empty() {
            return Ok(Imported { layers, mappings: self.mappings, warnings: self.warnings });
        }
        self.errors.sort_by_key(|problem| (problem.line, problem.column));
        let more = self.errors.len().saturating_sub(PROBLEMS_MAX);
        self.errors.truncate(PROBLEMS_MAX);
        if let (1.., Some(last)) = (more, self.errors.last_mut()) {
            let are = verb(more, "is", "are");
            last.hint = Some(format!("{} {are} not listed", counted(more, "more problem")));
        }
        Err(self.errors)
    }

    // Typed values of the source. A value of another type is an error, and reading continues.

    /// Returns the entries of a mapping.
    pub(super) fn entries<'n>(&mut self, node: &'n Node, pointer: &str, what: &str) -> &'n [Entry] {
        match &node.content {
            Content::Map(entries) => entries,
            Content::Null => &[],
            _ => {
                self.error(
                    node.at,
                    pointer,
                    format!("{what} must be a mapping, not {}", node.type_name()),
                    None,
                );
                &[]
            }
        }
    }

    /// Returns the items of a list.
    pub(super) fn items<'n>(&mut self, node: &'n Node, pointer: &str, what: &str) -> &'n [Node] {
        match &node.content {
            Content::List(items) => items,
            Content::Null => &[],
            _ => {
                self.error(
                    node.at,
                    pointer,
                    format!("{what} must be a list, not {}", node.type_name()),
                    None,
                );
                &[]
            }
        }
    }

    /// Returns a string. A number becomes its digits, as in the original products.
    pub(super) fn string(&mut self, node: &Node, pointer: &str, what: &str) -> Option<String> {
        match &node.content {
            Content::String(text) => Some(text.clone()),
            Content::Number(number) => Some(number.to_string()),
            _ => {
                self.error(
                    node.at,
                    pointer,
                    format!("{what} must be a string, not {}", node.type_name()),
                    None,
                );
                None
            }
        }
    }

    /// Returns a finite number.
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
                    format!("{what} must be a number, not {}", node.type_name()),
                    None,
                );
                None
            }
        }
    }

    /// Returns one of several names.
    pub(super) fn one_of<'w>(
        &mut self,
        node: &Node,
        pointer: &str,
        what: &str,
        names: &[&'w str],
    ) -> Option<&'w str> {
        let text = self.string(node, pointer, what)?;
        if let Some(name) = names.iter().find(|name| **name == text) {
            return Some(name);
        }
        let hint =
            nearest(&text, names.iter().copied()).map(|name| format!("did you mean `{name}`?"));
        let allowed = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        self.error(
            node.at,
            pointer,
            format!("{what} is `{}`; it must be one of {allowed}", quote(&text)),
            hint.as_deref(),
        );
        None
    }

    /// Records an unknown key; it is never dropped silently.
    pub(super) fn unknown_key(&mut self, entry: &Entry, pointer: &str, known: &[&str]) {
        let hint = match nearest(&entry.key, known.iter().copied()) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("the known keys are {}", known.join(", ")),
        };
        self.unsupported(
            entry.at,
            &child_pointer(pointer, &entry.key),
            format!("unknown key `{}`", quote(&entry.key)),
            Some(&hint),
        );
    }
}

/// Returns the pointer of a key below another pointer.
pub(super) fn child_pointer(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// Quotes the source for a message: on one line, at most [`QUOTE_CHARS_MAX`] characters.
pub(super) fn quote(text: &str) -> String {
    let clean = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c });
    let mut head: String = clean.take(QUOTE_CHARS_MAX).collect();
    if text.chars().count() > QUOTE_CHARS_MAX {
        head.push('…');
    }
    head
}

/// Builds an object of all entries that are not null.
pub(super) fn object<const N: usize>(entries: [(&str, Value); N]) -> Map<String, Value> {
    entries
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}
