//! What is done when a tool is called: an operation of a description, read once, in as few words as
//! a call needs.

use std::collections::{BTreeMap, HashSet};

use http::Method;
use url::Url;

use super::style::Spelling;
use crate::base::digest::sha256;

/// The argument that carries a request's body.
pub(super) const BODY: &str = "body";

/// The argument that asks for status and headers with the answer; no description uses such a name.
pub(super) const RESPONSE: &str = "$response";

/// How one operation is called.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) method: Method,
    /// `/pets/{petId}`, for messages.
    pub(super) route: String,
    pub(super) template: Template,
    /// What the path counts from; none where the operation is not at the upstream's origin, with
    /// that other origin.
    pub(super) base: Result<Url, String>,
    pub(super) parameters: Vec<Parameter>,
    pub(super) body: Option<Body>,
    /// The header `Accept`.
    pub(super) accept: String,
    /// Whether a successful answer is JSON and nothing else, as the description says.
    pub(super) is_json: bool,
    /// Whether a successful answer may be a stream, and of what.
    pub(super) streams: Option<Stream>,
    /// What the description says of the credential, for a refusal: `a bearer token`.
    pub(super) credential: Option<std::sync::Arc<str>>,
}

impl Plan {
    /// Tells the operation from every other one of a description; of a fixed length, and free of
    /// what the description says.
    pub(super) fn fingerprint(&self) -> String {
        sha256(format!("{} {}", self.method, self.route))
    }
}

/// What comes piece by piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    /// Lines of JSON.
    Lines,
    /// Server-sent events.
    Events,
}

/// A path with variables in it, and a query that always stands.
#[derive(Debug, Default)]
pub(super) struct Template {
    /// Encoded texts and, between them, positions of parameters.
    pub(super) parts: Vec<Part>,
    pub(super) query: Option<String>,
}

/// A part of a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Text as it stands in an address.
    Text(String),
    /// The parameter at this position.
    Variable(usize),
}

/// Where a parameter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Place {
    Path,
    Query,
    Header,
    Cookie,
}

impl Place {
    pub(super) fn of(name: &str) -> Option<Self> {
        Some(match name {
            "path" => Self::Path,
            "query" => Self::Query,
            "header" => Self::Header,
            "cookie" => Self::Cookie,
            _ => return None,
        })
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Query => "query",
            Self::Header => "header",
            Self::Cookie => "cookie",
        }
    }
}

/// A parameter.
#[derive(Debug)]
pub(super) struct Parameter {
    /// What the service calls it.
    pub(super) name: String,
    /// What code calls it.
    pub(super) argument: String,
    pub(super) place: Place,
    pub(super) spelling: Spelling,
    /// Whether its value is written as JSON.
    pub(super) json: bool,
}

/// What a request carries.
#[derive(Debug)]
pub(super) struct Body {
    /// As the description writes it; none for a wildcard, where the value must say.
    pub(super) content_type: Option<String>,
    pub(super) form: Form,
}

/// How the argument `body` becomes bytes.
#[derive(Debug)]
pub(super) enum Form {
    Json,
    /// Fields that are not written as usual.
    Urlencoded(BTreeMap<String, Spelling>),
    /// Fields that are files, and types of fields where the description names them.
    Multipart {
        files: HashSet<String>,
        types: BTreeMap<String, String>,
    },
    Text,
    Binary,
}
