//! What the owner says about one upstream. Plain data: read elsewhere, checked here.

use std::{fmt, str::FromStr, time::Duration};

use super::{
    graphql::config::GraphQlConfig,
    http::config::HttpAccess,
    mcp::config::{HttpConfig, StdioConfig},
    openapi::config::OpenApiConfig,
    upstream::{CALL_TIMEOUT_MS, REFRESH_MINUTES, START_TIMEOUT_MS, response::ResponseLimits},
};
use crate::model::{NAMESPACE_CHARS_MAX, is_reserved_namespace, reserved_namespaces};

/// The name of an upstream, the first segment of its tools' paths: `[A-Za-z_][A-Za-z0-9_-]*`, at
/// most 64 characters, not reserved.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UpstreamName(String);

/// Why a text cannot name an upstream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Empty, or too long.
    #[error(
        "upstream name `{name}` has {length} characters, allowed are 1 to {NAMESPACE_CHARS_MAX}"
    )]
    Length {
        /// The head of the text.
        name: String,
        /// Its length in characters.
        length: usize,
    },
    /// A character that is not allowed.
    #[error(
        "upstream name `{0}` may hold letters, digits, `_` and `-` only, and begins with a letter \
        or `_`"
    )]
    Characters(String),
    /// One of the host's own functions.
    #[error("upstream name `{name}` is reserved, as are {}", reserved_namespaces().join(", "))]
    Reserved {
        /// The text.
        name: String,
    },
}

impl UpstreamName {
    /// The text.
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

/// One upstream.
#[derive(Debug, Clone)]
pub struct UpstreamConfig {
    /// Its name; unique among all.
    pub name: UpstreamName,
    /// How it is reached.
    pub kind: UpstreamKind,
    /// Longest time of one call, waiting for a free place included.
    pub call_timeout: Duration,
    /// Longest time of one start, from the spawn to the whole tool list; also how long a call waits
    /// for a start.
    pub start_timeout: Duration,
    /// Whether what it says of its tools (that they change nothing, that they destroy) is believed.
    pub trusted: bool,
    /// After this long its tools are asked for again, also when it does not say that they changed;
    /// zero is never.
    pub refresh_after: Duration,
}

impl UpstreamConfig {
    /// An upstream with the default limits.
    pub fn new(name: UpstreamName, kind: UpstreamKind) -> Self {
        Self {
            name,
            kind,
            call_timeout: Duration::from_millis(CALL_TIMEOUT_MS),
            start_timeout: Duration::from_millis(START_TIMEOUT_MS),
            trusted: false,
            refresh_after: Duration::from_secs(REFRESH_MINUTES * 60),
        }
    }
}

/// How an upstream is reached.
#[derive(Debug, Clone)]
pub enum UpstreamKind {
    /// An MCP server that is our child and speaks on its standard input and output.
    McpStdio(StdioConfig),
    /// An MCP server behind streamable HTTP.
    McpHttp(HttpConfig),
    /// A service that describes itself by OpenAPI.
    OpenApi(OpenApiConfig),
    /// A service that speaks GraphQL.
    GraphQl(GraphQlConfig),
}

impl UpstreamKind {
    /// How large its answers may be.
    pub(super) fn answers_mut(&mut self) -> &mut ResponseLimits {
        match self {
            Self::McpStdio(config) => &mut config.answers,
            Self::McpHttp(config) => &mut config.reach.surroundings.answers,
            Self::OpenApi(config) => &mut config.reach.surroundings.answers,
            Self::GraphQl(config) => &mut config.reach.surroundings.answers,
        }
    }

    /// How its address is reached, where it has one.
    pub(super) fn reach_mut(&mut self) -> Option<&mut HttpAccess> {
        match self {
            Self::McpStdio(_) => None,
            Self::McpHttp(config) => Some(&mut config.reach),
            Self::OpenApi(config) => Some(&mut config.reach),
            Self::GraphQl(config) => Some(&mut config.reach),
        }
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
