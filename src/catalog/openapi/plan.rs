//! Call of an operation: what the document says about it, read once and reduced to what a call
//! needs.

use std::collections::{BTreeMap, HashMap};

use http::Method;
use serde_json::Value;
use url::Url;

use super::style::Spelling;
use crate::base::digest::sha256;

/// The argument that carries a request's body.
pub(super) const BODY: &str = "body";

/// The argument that chooses the media type of a body that may have several; no description uses
/// such a name.
pub(super) const CONTENT_TYPE: &str = "$contentType";

/// The argument that asks for status and headers with the answer; no description uses such a name.
pub(super) const RESPONSE: &str = "$response";

/// Plan of one operation's calls.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) method: Method,
    /// `/pets/{petId}`, for messages.
    pub(super) route: String,
    pub(super) template: Template,
    /// URL that the path is relative to; if the operation is at another origin than the upstream,
    /// that origin.
    pub(super) base: Result<Url, String>,
    pub(super) parameters: Vec<Parameter>,
    pub(super) body: Option<Body>,
    /// The header `Accept`.
    pub(super) accept: String,
    /// True if a successful answer is JSON and nothing else, as the description says.
    pub(super) is_json: bool,
    /// True if a successful answer may be a stream, and of what.
    pub(super) streams: Option<Stream>,
    /// Credential that the document asks for, for error messages: `a bearer token`.
    pub(super) credential: Option<std::sync::Arc<str>>,
}

impl Plan {
    /// Tells the operation from every other one of a description; of a fixed length, and free of
    /// what the description says.
    pub(super) fn fingerprint(&self) -> String {
        sha256(format!("{} {}", self.method, self.route))
    }
}

/// Streamed response.
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
    /// Text, encoded for a URL.
    Text(String),
    /// The parameter at this position.
    Variable(usize),
}

/// Location of a parameter.
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
    /// Name at the service.
    pub(super) name: String,
    /// Name of the argument.
    pub(super) argument: String,
    pub(super) place: Place,
    pub(super) spelling: Spelling,
    /// True if its value is written as JSON.
    pub(super) json: bool,
}

/// Body of a request: the ways to write it, the usual one first. There is at least one.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) ways: Vec<MediaForm>,
}

/// One way to write a body.
#[derive(Debug)]
pub(super) struct MediaForm {
    /// Media type as the document writes it; none for a wildcard, where the value must name one.
    pub(super) content_type: Option<String>,
    pub(super) form: Form,
    /// Shapes of values that are written in this way.
    pub(super) shapes: Shapes,
    /// Fields of a JSON object, where there are several ways.
    pub(super) known: Known,
}

/// Fields of an object, as far as the description says.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) required: Box<[String]>,
    pub(super) names: Box<[String]>,
}

impl Known {
    /// How many fields of a value tell against these: such as are missing, and such as are unknown.
    pub(super) fn faults(&self, value: &Value) -> usize {
        let Value::Object(fields) = value else { return 0 };
        let missing = self.required.iter().filter(|name| !fields.contains_key(*name)).count();
        let unknown = match self.names.is_empty() {
            true => 0,
            false => fields.keys().filter(|name| !self.names.contains(name)).count(),
        };
        missing + unknown
    }
}

/// Shapes of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shapes {
    pub(super) object: bool,
    pub(super) list: bool,
    /// Texts, numbers, booleans and null.
    pub(super) plain: bool,
}

impl Shapes {
    pub(super) const ALL: Self = Self { object: true, list: true, plain: true };
    pub(super) const NONE: Self = Self { object: false, list: false, plain: false };
    pub(super) const OBJECT: Self = Self { object: true, ..Self::NONE };
    pub(super) const LIST: Self = Self { list: true, ..Self::NONE };
    pub(super) const PLAIN: Self = Self { plain: true, ..Self::NONE };

    pub(super) fn or(self, other: Self) -> Self {
        Self {
            object: self.object || other.object,
            list: self.list || other.list,
            plain: self.plain || other.plain,
        }
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self {
            object: self.object && other.object,
            list: self.list && other.list,
            plain: self.plain && other.plain,
        }
    }

    /// Returns true if a value has one of the shapes.
    pub(super) fn has(self, value: &Value) -> bool {
        match value {
            Value::Object(_) => self.object,
            Value::Array(_) => self.list,
            _ => self.plain,
        }
    }
}

/// Encoding of the argument `body`.
#[derive(Debug)]
pub(super) enum Form {
    Json,
    /// Fields that are not written as usual.
    Urlencoded(BTreeMap<String, Spelling>),
    /// Fields that are files, and types of fields where the description names them.
    Multipart {
        files: HashMap<String, FileField>,
        types: BTreeMap<String, String>,
    },
    Text,
    Binary,
}

/// A field of a form that takes files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileField {
    /// Nothing else: a text is the content of a file.
    Only,
    /// Or something that is no file, which a text is then.
    OrPlain,
}
