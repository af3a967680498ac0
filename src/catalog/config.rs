//! What the owner says about one upstream. Plain data: read elsewhere, checked here.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use super::{
    answer::AnswerBounds,
    credential::{
        config::{Credential, SecretSource},
        vault::Vault,
    },
    graphql::config::GraphQlConfig,
    http::Surroundings,
    openapi::config::OpenApiConfig,
};

/// First segments of `tools.*` that the host's own functions take.
pub const RESERVED_NAMES: [&str; 4] = ["discover", "catalog", "describe", "artifacts"];
/// Longest name of an upstream, in characters.
pub const NAME_CHARS_MAX: usize = 64;
/// Default bound of one call, in milliseconds. Safe range: 1 000 to 900 000.
pub const CALL_TIMEOUT_MS: u64 = 60_000;
/// Default bound of one start, from the spawn to the whole tool list, in milliseconds. Long because
/// `npx` may download first.
pub const START_TIMEOUT_MS: u64 = 60_000;

/// Default time after which the tools of an upstream are asked for again, in minutes. Safe range: 0
/// (never) to 10 080 (a week).
pub const REFRESH_MINUTES: u64 = 60;

/// The name of an upstream, the first segment of its tools' paths: `[A-Za-z_][A-Za-z0-9_-]*`, at
/// most 64 characters, not reserved.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UpstreamName(String);

/// Why a text cannot name an upstream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Empty, or too long.
    #[error("upstream name `{name}` has {length} characters, allowed are 1 to {NAME_CHARS_MAX}")]
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
    #[error(
        "upstream name `{0}` is reserved, as are `discover`, `catalog`, `describe` and `artifacts`"
    )]
    Reserved(String),
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
        if !(1..=NAME_CHARS_MAX).contains(&length) {
            return Err(InvalidName::Length { name: text.chars().take(80).collect(), length });
        }
        let begins_well = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !begins_well || !text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
        {
            return Err(InvalidName::Characters(text.to_owned()));
        }
        if RESERVED_NAMES.contains(&text.to_ascii_lowercase().as_str()) {
            return Err(InvalidName::Reserved(text.to_owned()));
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
    pub(super) fn answers_mut(&mut self) -> &mut AnswerBounds {
        match self {
            Self::McpStdio(config) => &mut config.answers,
            Self::McpHttp(config) => &mut config.reach.surroundings.answers,
            Self::OpenApi(config) => &mut config.reach.surroundings.answers,
            Self::GraphQl(config) => &mut config.reach.surroundings.answers,
        }
    }

    /// How its address is reached, where it has one.
    pub(super) fn reach_mut(&mut self) -> Option<&mut Reach> {
        match self {
            Self::McpStdio(_) => None,
            Self::McpHttp(config) => Some(&mut config.reach),
            Self::OpenApi(config) => Some(&mut config.reach),
            Self::GraphQl(config) => Some(&mut config.reach),
        }
    }
}

/// Where a document is: a description, or a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// A file; absolute.
    File(PathBuf),
    /// An address, `http://…` or `https://…`.
    Address(String),
}

/// A command to run. It sees nothing of the server's environment but a short list of harmless names
/// and those in `env_pass`.
#[derive(Clone, Default)]
pub struct StdioConfig {
    /// The program: a path, or a name that is looked up in `PATH`.
    pub command: String,
    /// Its arguments. Values that a flag such as `--token` tells, or that look random, are blanked
    /// out of what it says.
    pub args: Vec<String>,
    /// Variables with their values. Values that look like secrets, by name or by themselves, are
    /// blanked out of what it says.
    pub env: BTreeMap<String, String>,
    /// Variables whose values are secrets kept elsewhere, read at each start of the program.
    pub env_secret: BTreeMap<String, SecretSource>,
    /// The store that some of them are in.
    pub vault: Option<Vault>,
    /// Names of further variables that are taken from the server's environment; for their values
    /// the same holds.
    pub env_pass: Vec<String>,
    /// How large its answers may be.
    pub answers: AnswerBounds,
}

/// An address and how it is reached.
#[derive(Clone, Default)]
pub struct HttpConfig {
    /// `http://…` or `https://…`, the endpoint itself. A password, and what looks secret in its
    /// path and query, is blanked out.
    pub url: String,
    /// How it is reached.
    pub reach: Reach,
}

/// How a service behind an address is reached, whatever it speaks.
#[derive(Clone)]
pub struct Reach {
    /// Headers of every request. Values that look like secrets, by name or by themselves, are
    /// blanked out of what it says.
    pub headers: BTreeMap<String, String>,
    /// Those whose values are secrets whatever they look like.
    pub secret_headers: BTreeSet<String>,
    /// How Airlock identifies itself; blanked out likewise.
    pub credential: Credential,
    /// Whether it may be on a private or loopback address.
    pub allow_private: bool,
    /// Longest time of one call; the catalog sets it to that of the upstream.
    pub call_timeout: Duration,
    /// What it shares with all other upstreams.
    pub surroundings: Surroundings,
}

impl Default for Reach {
    fn default() -> Self {
        Self {
            headers: BTreeMap::new(),
            secret_headers: BTreeSet::new(),
            credential: Credential::None,
            allow_private: false,
            call_timeout: Duration::from_millis(CALL_TIMEOUT_MS),
            surroundings: Surroundings::default(),
        }
    }
}

// Values may be secrets, so neither is printed with them.
impl fmt::Debug for StdioConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StdioConfig")
            .field("command", &self.command)
            .field("env", &self.env.keys())
            .field("env_secret", &self.env_secret)
            .field("env_pass", &self.env_pass)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for HttpConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpConfig").field("reach", &self.reach).finish_non_exhaustive()
    }
}

impl fmt::Debug for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reach")
            .field("headers", &self.headers.keys())
            .field("credential", &self.credential)
            .field("allow_private", &self.allow_private)
            .finish_non_exhaustive()
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

    #[test]
    fn a_configuration_is_printed_without_its_values() {
        let stdio = StdioConfig {
            env: [("TOKEN".to_owned(), "tok-123456".to_owned())].into(),
            ..StdioConfig::default()
        };
        let url = "https://host.example/mcp?key=tok-654321".to_owned();
        let headers = [("Authorization".to_owned(), "tok-123456".to_owned())].into();
        let http = HttpConfig { url, reach: Reach { headers, ..Reach::default() } };
        let printed = format!("{stdio:?} {http:?}");
        assert!(
            printed.contains("TOKEN")
                && printed.contains("Authorization")
                && !printed.contains("tok-"),
            "{printed}"
        );
    }
}
