//! One request to a service, and its response.

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use url::Url;

use crate::catalog::upstream::response::MemoryPermit;

/// One request.
pub(in crate::catalog) struct ServiceRequest {
    /// Method of the request.
    pub(in crate::catalog) method: Method,
    /// Must be of the base URL's origin.
    pub(in crate::catalog) url: Url,
    /// Headers beside those of the configuration, which take precedence.
    pub(in crate::catalog) headers: HeaderMap,
    /// Body of the request.
    pub(in crate::catalog) body: ServiceBody,
    /// True if it may be sent again when no answer came.
    pub(in crate::catalog) idempotent: bool,
    /// True for GraphQL, which tells within a success that a credential was refused, and whose
    /// requests no redirect may make another method of.
    pub(in crate::catalog) is_graphql: bool,
    /// Most bytes of the answer's body.
    pub(in crate::catalog) answer_bytes_max: usize,
    /// Part of a stream to read.
    pub(in crate::catalog) until: Until,
}

/// Part of a response body to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::catalog) enum Until {
    /// All of it; more than the bound is [`ServiceFailure::TooLarge`].
    End,
    /// Lines at most; the rest is dropped, as is everything over the size limit.
    Lines(usize),
    /// Server-sent events at most; the rest is dropped, as is everything over the size limit.
    Events(usize),
}

/// Body of a request.
#[derive(Clone)]
pub(in crate::catalog) enum ServiceBody {
    /// No body.
    None,
    /// Bytes of this type.
    Bytes {
        /// `application/json` and the like.
        content_type: String,
        /// The body.
        bytes: Bytes,
    },
    /// `multipart/form-data`.
    Multipart(Vec<Part>),
}

/// One field of a form.
#[derive(Clone)]
pub(in crate::catalog) struct Part {
    /// Its name.
    pub(in crate::catalog) name: String,
    /// File name of a part that is a file.
    pub(in crate::catalog) file_name: Option<String>,
    /// Its type.
    pub(in crate::catalog) content_type: Option<String>,
    /// Its content.
    pub(in crate::catalog) bytes: Bytes,
}

/// Response of a service, whatever its status.
#[derive(Debug)]
pub(in crate::catalog) struct ServiceAnswer {
    /// 200 and the like.
    pub(in crate::catalog) status: StatusCode,
    /// Headers as received, at most 100.
    pub(in crate::catalog) headers: HeaderMap,
    /// The requested part of the body. For an unsuccessful response at most 64 KiB.
    pub(in crate::catalog) body: Bytes,
    /// True if there was more.
    pub(in crate::catalog) truncated: bool,
    /// Its place, where it is a large one.
    pub(in crate::catalog) permit: Option<MemoryPermit>,
    /// Address that a redirect which is not followed leads to, without its query.
    pub(in crate::catalog) moved_to: Option<String>,
}
