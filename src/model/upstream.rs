//! Facts about upstreams that the configuration and the catalog share: names, defaults, and where a
//! document is.

use std::{fmt, path::PathBuf, str::FromStr, sync::LazyLock};

use super::host_function::{HOST_FUNCTIONS, HostFunction};

/// Longest name of an upstream, the first segment of its tools' paths, in characters.
pub const NAMESPACE_CHARS_MAX: usize = 64;
/// Default limit of one call, in milliseconds. Safe range: 1 000 to 900 000.
pub const CALL_TIMEOUT_MS: u64 = 60_000;
/// Default limit of one start, from the spawn to the whole tool list, in milliseconds. Long because
/// `npx` may download first.
pub const START_TIMEOUT_MS: u64 = 60_000;
/// Default time after which the tools of an upstream are listed again, in minutes. Safe range: 0
/// (never) to 10 080 (a week).
pub const REFRESH_MINUTES: u64 = 60;

/// First segments of `tools.*` that no upstream can have, in any case: those of the host functions,
/// and `then`, which would make a promise of `tools`.
pub fn reserved_namespaces() -> &'static [&'static str] {
    static NAMES: LazyLock<Vec<&str>> = LazyLock::new(|| {
        let mut names: Vec<&str> = HOST_FUNCTIONS.iter().map(HostFunction::namespace).collect();
        names.push("then");
        names.dedup();
        names
    });
    &NAMES
}

/// Returns true if no upstream can have this name.
pub fn is_reserved_namespace(name: &str) -> bool {
    reserved_namespaces().iter().any(|reserved| reserved.eq_ignore_ascii_case(name))
}

/// Location of a document: an OpenAPI document, or a GraphQL schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// An absolute path.
    File(PathBuf),
    /// `http://…` or `https://…`.
    Url(String),
}

/// The name of an upstream, the first segment of its tools' paths: `[A-Za-z_][A-Za-z0-9_-]*`, at
/// most 64 characters, not reserved.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UpstreamName(String);

/// Reason why a string cannot name an upstream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Empty, or too long.
    #[error(
        "upstream name `{name}` is {length} characters; the limit is 1 to {NAMESPACE_CHARS_MAX}"
    )]
    Length {
        /// First 80 characters of the string.
        name: String,
        /// Its length in characters.
        length: usize,
    },
    /// A character that is not allowed.
    #[error(
        "upstream name `{0}` must begin with a letter or `_` and hold only letters, digits, `_` \
        and `-`"
    )]
    Characters(String),
    /// First segment of a host function.
    #[error("upstream name `{name}` is reserved, as are {}", reserved_namespaces().join(", "))]
    Reserved {
        /// The name.
        name: String,
    },
}

impl UpstreamName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UpstreamName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let length = text.chars().count();
        if !(1..=NAMESPACE_CHARS_MAX).contains(&length) {
            return Err(InvalidName::Length { name: text.chars().take(80).collect(), length });
        }
        let begins_well = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !begins_well || !text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
        {
            return Err(InvalidName::Characters(text.to_owned()));
        }
        if is_reserved_namespace(text) {
            return Err(InvalidName::Reserved { name: text.to_owned() });
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for UpstreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for UpstreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_segment_that_is_not_taken() {
        for good in ["a", "_x", "my-up_2", &"n".repeat(64)] {
            assert_eq!(good.parse::<UpstreamName>().unwrap().as_str(), good);
        }
        for bad in [
            "",
            "2nd",
            "-a",
            "a.b",
            "a b",
            "é",
            &"n".repeat(65),
            "discover",
            "Catalog",
            "describe",
            "artifacts",
        ] {
            assert!(bad.parse::<UpstreamName>().is_err(), "{bad:?}");
        }
    }
}
