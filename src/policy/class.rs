//! The risk classes of tools.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{RuleRef, ToolFacts};
use crate::model::Operation;

/// How much harm a call can do. The order is that of severity: an untrusted claim may only move a
/// tool to a later one.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Changes nothing.
    Read,
    /// Changes something that can be changed back.
    Write,
    /// Nothing is known about it.
    Unknown,
    /// Runs something, or stops it.
    Execute,
    /// Destroys something.
    Destructive,
    /// Moves money.
    Financial,
}

impl Class {
    /// All, the mildest first.
    pub const ALL: [Self; 6] =
        [Self::Read, Self::Write, Self::Unknown, Self::Execute, Self::Destructive, Self::Financial];

    /// Its name in files and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Unknown => "unknown",
            Self::Execute => "execute",
            Self::Destructive => "destructive",
            Self::Financial => "financial",
        }
    }
}

impl std::fmt::Display for Class {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a class comes from; the first that says something wins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ClassSource {
    /// `class:` in a file.
    Owner(RuleRef),
    /// The shipped catalogue, by the id of its entry.
    Catalogue(&'static str),
    /// The verb of HTTP or the kind of GraphQL.
    Operation,
    /// Its claims, which its owner trusts.
    Claims,
    /// A word of its name.
    Name(&'static str),
    /// Nothing says anything.
    Nothing,
}

impl std::fmt::Display for ClassSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Owner(rule) => write!(f, "said by {rule}"),
            Self::Catalogue(id) => write!(f, "catalogue `{id}`"),
            Self::Operation => f.write_str("kind of the request"),
            Self::Claims => f.write_str("claims of a trusted upstream"),
            Self::Name(word) => write!(f, "word `{word}` of its name"),
            Self::Nothing => f.write_str("nothing tells"),
        }
    }
}

/// The class of a tool that its owner says nothing about. `entry` is the entry of the catalogue
/// that its upstream is taken for.
///
/// An untrusted claim only raises what the other sources say. So do words of the name beside a
/// request that writes: the verb `POST` says nothing about money, `refund` does. A name never makes
/// a tool harmless: it is the upstream's own.
pub(super) fn classify(
    tool: &ToolFacts<'_>,
    entry: Option<&'static catalogue::Entry>,
) -> (Class, ClassSource) {
    let (mut class, source) = known(tool, entry);
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

fn known(tool: &ToolFacts<'_>, entry: Option<&'static catalogue::Entry>) -> (Class, ClassSource) {
    if let Some((entry, class)) =
        entry.and_then(|entry| Some((entry, *entry.tools.get(tool.name)?)))
    {
        return (class, ClassSource::Catalogue(&entry.id));
    }
    let word = words::word(tool.name);
    let by_operation = tool.operation.map(|operation| match operation {
        Operation::Get | Operation::Head | Operation::Options | Operation::Query => Class::Read,
        Operation::Post | Operation::Put | Operation::Patch | Operation::Mutation => Class::Write,
        Operation::Delete => Class::Destructive,
        Operation::Trace => Class::Unknown,
    });
    match (by_operation, word) {
        (Some(Class::Write), Some((class, word))) if class >= Class::Destructive => {
            return (class, ClassSource::Name(word));
        }
        (Some(class), _) => return (class, ClassSource::Operation),
        (None, _) => {}
    }
    if tool.trusted {
        match (tool.annotations.read_only, tool.annotations.destructive) {
            (Some(true), _) => return (Class::Read, ClassSource::Claims),
            (_, Some(true)) => return (Class::Destructive, ClassSource::Claims),
            (Some(false), _) | (_, Some(false)) => {
                let (class, source) = word
                    .map_or((Class::Write, ClassSource::Claims), |(class, word)| {
                        (class, ClassSource::Name(word))
                    });
                return (class.max(Class::Write), source);
            }
            (None, None) => {}
        }
    }
    word.map_or((Class::Unknown, ClassSource::Nothing), |(class, word)| {
        (class, ClassSource::Name(word))
    })
}

pub(super) mod catalogue;
mod words;

#[cfg(test)]
mod tests;
