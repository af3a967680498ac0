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
