//! Determines the risk class of a tool from everything except policy files.

use std::fmt;

use self::presets::Preset;
use super::model::{call::ToolFacts, class::Class, verdict::RuleRef};
use crate::model::Operation;

pub(super) mod presets;
mod words;

/// Source of a class, in order of precedence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ClassSource {
    /// `class` of an entry in a policy file.
    Owner(RuleRef),
    /// Shipped preset, by its id.
    Preset(&'static str),
    /// HTTP method, kind of GraphQL operation, or request of MCP.
    Operation,
    /// Annotations of an upstream that the owner trusts.
    Annotations,
    /// Word in the tool's name.
    Name(&'static str),
    /// No source.
    None,
}

impl fmt::Display for ClassSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Owner(rule) => write!(f, "set by {rule}"),
            Self::Preset(id) => write!(f, "preset `{id}`"),
            Self::Operation => f.write_str("kind of request"),
            Self::Annotations => f.write_str("annotations of a trusted upstream"),
            Self::Name(word) => write!(f, "word `{word}` in its name"),
            Self::None => f.write_str("no source"),
        }
    }
}

/// Determines the class of a tool whose class no policy file sets. `preset` is the preset of its
/// upstream.
///
/// An untrusted annotation can only raise the class that the other sources give. The same holds for
/// words in the name of a tool whose request writes: the method `POST` says nothing about money,
/// but `refund` does. A name never makes a tool harmless, because the upstream chooses it.
pub(super) fn classify(
    tool: &ToolFacts<'_>,
    preset: Option<&'static Preset>,
) -> (Class, ClassSource) {
    let (mut class, mut source) = classify_named(tool, tool.name, preset);
    // A new name makes no tool more harmless.
    if let Some(former) = tool.former_name() {
        let (former_class, former_source) = classify_named(tool, former, preset);
        if former_class > class {
            (class, source) = (former_class, former_source);
        }
    }
    if !tool.trusted {
        if tool.annotations.read_only == Some(false) {
            class = class.max(Class::Write);
        }
        if tool.annotations.destructive == Some(true) && tool.annotations.read_only != Some(true) {
            class = class.max(Class::Destructive);
        }
    }
    (class, source)
}

/// Determines the class of a tool of this name without untrusted annotations.
fn classify_named(
    tool: &ToolFacts<'_>,
    name: &str,
    preset: Option<&'static Preset>,
) -> (Class, ClassSource) {
    if let Some((preset, class)) =
        preset.and_then(|preset| Some((preset, *preset.tools.get(name)?)))
    {
        return (class, ClassSource::Preset(&preset.id));
    }
    let by_name = words::worst_word(name);
    let by_operation = tool.operation.map(|operation| match operation {
        Operation::Get
        | Operation::Head
        | Operation::Options
        | Operation::Query
        | Operation::Read => Class::Read,
        Operation::Post | Operation::Put | Operation::Patch | Operation::Mutation => Class::Write,
        Operation::Delete => Class::Destructive,
        Operation::Trace => Class::Unknown,
    });
    match (by_operation, by_name) {
        (Some(Class::Write), Some((class, word))) if class >= Class::Destructive => {
            return (class, ClassSource::Name(word));
        }
        (Some(class), _) => return (class, ClassSource::Operation),
        (None, _) => {}
    }
    if tool.trusted {
        match (tool.annotations.read_only, tool.annotations.destructive) {
            (Some(true), _) => return (Class::Read, ClassSource::Annotations),
            (_, Some(true)) => return (Class::Destructive, ClassSource::Annotations),
            (Some(false), _) | (_, Some(false)) => {
                let (class, source) = by_name
                    .map_or((Class::Write, ClassSource::Annotations), |(class, word)| {
                        (class, ClassSource::Name(word))
                    });
                return (class.max(Class::Write), source);
            }
            (None, None) => {}
        }
    }
    by_name.map_or((Class::Unknown, ClassSource::None), |(class, word)| {
        (class, ClassSource::Name(word))
    })
}

#[cfg(test)]
mod tests;
