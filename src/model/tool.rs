//! What a tool says about itself, and what its protocol says about it.

use serde::{Deserialize, Serialize};

/// Annotations of a tool. Claims of the upstream, not facts: unless it is trusted they
/// never make policy milder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Annotations {
    /// It changes nothing.
    pub read_only: Option<bool>,
    /// It may destroy or overwrite.
    pub destructive: Option<bool>,
    /// Repeating a call has no further effect.
    pub idempotent: Option<bool>,
    /// It reaches an open world, such as the web.
    pub open_world: Option<bool>,
}

/// The operation that a tool performs, known from the protocol; a fact and not a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Operation {
    /// HTTP GET.
    Get,
    /// HTTP HEAD.
    Head,
    /// HTTP OPTIONS.
    Options,
    /// HTTP POST.
    Post,
    /// HTTP PUT.
    Put,
    /// HTTP PATCH.
    Patch,
    /// HTTP DELETE.
    Delete,
    /// HTTP TRACE.
    Trace,
    /// A GraphQL query.
    Query,
    /// A GraphQL mutation.
    Mutation,
    /// A request of MCP that reads by the protocol: for resources or prompts.
    Read,
}

impl Operation {
    /// Returns true if it reads and changes nothing.
    pub fn reads(self) -> bool {
        matches!(self, Self::Get | Self::Head | Self::Options | Self::Query | Self::Read)
    }

    /// Returns true for a method of HTTP.
    pub fn is_http(self) -> bool {
        !matches!(self, Self::Query | Self::Mutation | Self::Read)
    }

    /// As it is written: `GET`, `query`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Options => "OPTIONS",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Trace => "TRACE",
            Self::Query => "query",
            Self::Mutation => "mutation",
            Self::Read => "read",
        }
    }
}
