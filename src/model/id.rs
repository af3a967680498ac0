//! Identifiers.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A prefix and a UUID of version 7, so that ids sort by the time of creation.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $invalid:ident, $prefix:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        #[doc = concat!("The text is not `", $prefix, "` and a hyphenated UUID.")]
        #[derive(Debug, thiserror::Error)]
        #[error(
            "`{0}` is not {what}: expected `{prefix}` and a UUID", what = $what, prefix = $prefix
        )]
        pub struct $invalid(String);

        impl $name {
            /// A new id of this moment.
            #[allow(clippy::new_without_default, reason = "a fresh id is not a default value")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0.as_hyphenated())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = $invalid;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.strip_prefix($prefix)
                    .filter(|rest| rest.len() == 36)
                    .and_then(|rest| Uuid::try_parse(rest).ok())
                    .map(Self)
                    .ok_or_else(|| $invalid(text.chars().take(80).collect()))
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// Names one task: `task_` and a UUID.
    TaskId,
    InvalidTaskId,
    "task_",
    "a task id"
);

id!(
    /// Names one approval: `apr_` and a UUID.
    ApprovalId,
    InvalidApprovalId,
    "apr_",
    "an approval id"
);

id!(
    /// Names one start of a server: `ins_` and a UUID.
    InstanceId,
    InvalidInstanceId,
    "ins_",
    "an instance id"
);

id!(
    /// Names one kept answer: `art_` and a UUID.
    ArtifactId,
    InvalidArtifactId,
    "art_",
    "an artifact id"
);

/// The records that people name by an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdKind {
    /// A task.
    Task,
    /// An approval.
    Approval,
    /// An artifact.
    Artifact,
}

impl IdKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Task, Self::Approval, Self::Artifact];

    /// The first characters of its ids.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Task => "task_",
            Self::Approval => "apr_",
            Self::Artifact => "art_",
        }
    }

    /// The word for one of them.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Approval => "approval",
            Self::Artifact => "artifact",
        }
    }
}

/// Characters of a UUID.
const UUID_CHARS: usize = 36;
/// Digits of an id that a beginning has, at least: fewer name nothing on purpose.
const BEGINNING_CHARS_MIN: usize = 4;

/// The first characters of an id, as people type them: at least four digits of its UUID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdBeginning {
    kind: IdKind,
    text: String,
}

/// The text is not the beginning of an id.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{0}` is not the beginning of an id: expected `task_`, `apr_` or `art_`, then at least 4 \
    digits"
)]
pub struct InvalidIdBeginning(String);

impl IdBeginning {
    /// The beginning of an id of this kind, with or without the prefix of the kind.
    ///
    /// # Errors
    /// If no id of this kind begins so.
    pub fn of(kind: IdKind, text: &str) -> Result<Self, InvalidIdBeginning> {
        let lower = text.to_ascii_lowercase();
        let digits = lower.strip_prefix(kind.prefix()).unwrap_or(&lower);
        let is_digit = |c: char| c.is_ascii_hexdigit() || c == '-';
        let fits = (BEGINNING_CHARS_MIN..=UUID_CHARS).contains(&digits.len());
        if !fits || !digits.chars().all(is_digit) {
            return Err(InvalidIdBeginning(text.chars().take(80).collect()));
        }
        Ok(Self { kind, text: format!("{}{digits}", kind.prefix()) })
    }

    /// The kind of the id.
    pub fn kind(&self) -> IdKind {
        self.kind
    }

    /// The beginning, with the prefix of its kind.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for IdBeginning {
    type Err = InvalidIdBeginning;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let kind = IdKind::ALL.into_iter().find(|kind| text.starts_with(kind.prefix()));
        kind.ok_or_else(|| InvalidIdBeginning(text.chars().take(80).collect()))
            .and_then(|kind| Self::of(kind, text))
    }
}

#[cfg(test)]
mod tests;
