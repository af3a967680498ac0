//! Brings policies written for other systems into the form of our own file. Must not decide
//! anything, and must not know files or the network: text comes in, text goes out.
//!
//! An import never changes meaning silently. What cannot be carried over is an error with its line
//! and column, or, where the owner asks for it, a warning in a list. What became what is told line
//! by line.

mod claude_code;
mod executor;
mod intercept;
mod policylayer;
pub mod print;
mod scribe;
#[cfg(test)]
mod tests;
mod tree;

use serde_json::Value;

use super::{Pattern, Problem};
use scribe::Scribe;
pub use tree::At;

/// Whose form a text has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Intercept's `POLICY.md` YAML, and the YAML of PolicyLayer's website.
    Intercept,
    /// PolicyLayer's hosted JSON.
    PolicyLayer,
    /// Executor's rows of owner, pattern, action and position.
    Executor,
    /// The `permissions` of Claude Code's settings.
    ClaudeCode,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::Intercept, Self::PolicyLayer, Self::Executor, Self::ClaudeCode];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Intercept => "intercept",
            Self::PolicyLayer => "policylayer",
            Self::Executor => "executor",
            Self::ClaudeCode => "claude-code",
        }
    }
}

/// How to import.
#[derive(Debug, Clone, Copy, Default)]
pub struct ImportOptions<'a> {
    /// The upstream whose tools the text names without saying so.
    pub upstream: Option<&'a str>,
    /// Whether what cannot be carried over is left out with a warning instead of being an error.
    pub compat_warn: bool,
}

/// What an import made.
#[derive(Debug, Clone)]
pub struct Imported {
    /// The files, at least one: a layer for each owner where the form has owners.
    pub layers: Vec<ImportedLayer>,
    /// What became what, in the order of the text.
    pub map: Vec<Carried>,
    /// What was left out or reads differently, each with its place.
    pub warnings: Vec<Problem>,
}

/// One file of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedLayer {
    /// Whose it is: `policy`, or the owner (`org`, `user`).
    pub owner: String,
    /// Its YAML.
    pub text: String,
}

/// One thing that was carried over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    /// Where it stood.
    pub at: At,
    /// What it was there.
    pub theirs: String,
    /// What it is here.
    pub ours: String,
}

/// Imports a text. `file` is the name in problems.
///
/// # Errors
/// All that cannot be carried over, in the order of the text.
pub fn import(
    dialect: Dialect,
    file: &str,
    text: &str,
    options: ImportOptions<'_>,
) -> Result<Imported, Vec<Problem>> {
    let mut scribe = Scribe::new(file, options);
    // JSON may be indented with tabs, which YAML does not know. Inside of JSON's strings there are
    // none.
    let untabbed = text.trim_start().starts_with(['{', '[']).then(|| text.replace('\t', " "));
    let made = match tree::read(untabbed.as_deref().unwrap_or(text)) {
        Ok(root) => match dialect {
            Dialect::Intercept => vec![("policy", intercept::convert(&root, &mut scribe))],
            Dialect::PolicyLayer => vec![("policy", policylayer::convert(&root, &mut scribe))],
            Dialect::Executor => executor::convert(&root, &mut scribe),
            Dialect::ClaudeCode => vec![("policy", claude_code::convert(&root, &mut scribe))],
        },
        Err(unreadable) => {
            let at = At { line: unreadable.line.max(1), column: unreadable.column.max(1) };
            scribe.error(at, "", unreadable.message, unreadable.hint);
            vec![]
        }
    };
    let head = format!("# Imported from {} ({}).\n", one_line(file), dialect.name());
    let layer = |(owner, value): (&str, Value)| ImportedLayer {
        owner: owner.to_owned(),
        text: format!("{head}{}", print::yaml(&value, &|_| vec![])),
    };
    let layers = made.into_iter().map(layer).collect();
    scribe.finish(layers)
}

/// Whether every tool that `inner` names is named by `outer` too.
fn covers(outer: &str, inner: &str) -> bool {
    let parsed = Pattern::parse(outer).and_then(|outer| Ok((outer, Pattern::parse(inner)?)));
    parsed.is_ok_and(|(outer, inner)| outer.covers(&inner))
}

fn one_line(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
