//! Configuration of one upstream, and the list of the kinds. Plain data: parsed and checked
//! elsewhere.

use std::time::Duration;

use super::{
    graphql::config::GraphQlConfig,
    mcp::config::{HttpConfig, StdioConfig},
    openapi::config::OpenApiConfig,
    upstream::kind::UpstreamFactory,
};
use crate::model::{CALL_TIMEOUT_MS, REFRESH_MINUTES, START_TIMEOUT_MS, UpstreamName};

/// One upstream.
#[derive(Debug, Clone)]
pub struct UpstreamConfig {
    /// Unique among all.
    pub name: UpstreamName,
    /// Protocol and its settings.
    pub kind: UpstreamKind,
    /// Longest time of one call, waiting for a slot included.
    pub call_timeout: Duration,
    /// Longest time of one start, from the spawn to the whole tool list; also how long a call waits
    /// for a start.
    pub start_timeout: Duration,
    /// True if its claims about its tools (that they change nothing, that they destroy) are
    /// believed.
    pub trusted: bool,
    /// Time after which its tools are listed again, also when it does not say that they changed;
    /// zero is never.
    pub refresh_after: Duration,
    /// Secrets that it needs and that are known to be missing. With any, it is never connected.
    pub unset: Vec<UnsetSecret>,
}

/// A secret that is known to be missing without asking for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsetSecret {
    /// The key of the upstream that refers to it: `auth`, `env.TOKEN`.
    pub key: String,
    /// Names the secret.
    pub message: String,
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
            unset: vec![],
        }
    }

    /// The reason for which it cannot be connected; none if no secret is known to be missing.
    pub(super) fn unset_reason(&self) -> Option<String> {
        let reasons: Vec<String> =
            self.unset.iter().map(|unset| format!("`{}`: {}", unset.key, unset.message)).collect();
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }
}

/// Declares [`UpstreamKind`] with a variant for each kind. A kind is registered by its line here;
/// everything else about it is in its folder, behind [`UpstreamFactory`].
macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $variant:ident($config:ty),)+) => {
        /// Protocol of an upstream, with its settings.
        #[derive(Debug, Clone)]
        pub enum UpstreamKind {
            $($(#[doc = $doc])+ $variant($config),)+
        }

        impl UpstreamKind {
            pub(super) fn factory(&self) -> &dyn UpstreamFactory {
                match self {
                    $(Self::$variant(config) => config,)+
                }
            }

            pub(super) fn factory_mut(&mut self) -> &mut dyn UpstreamFactory {
                match self {
                    $(Self::$variant(config) => config,)+
                }
            }
        }
    };
}

kinds! {
    /// An MCP server that is a child process and speaks on its standard input and output.
    McpStdio(StdioConfig),
    /// An MCP server behind streamable HTTP.
    McpHttp(HttpConfig),
    /// A service with an OpenAPI document.
    OpenApi(OpenApiConfig),
    /// A GraphQL service.
    GraphQl(GraphQlConfig),
}
