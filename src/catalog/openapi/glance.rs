//! A look at an OpenAPI document without importing it: its title, and the credential that it names.

use std::time::Duration;

use super::{
    document::{Document, text},
    read::parse,
    security::Security,
};
use crate::{base::text::cut, catalog::upstream::import_job::CancelToken};

/// Longest time of a look.
const LOOK_MAX: Duration = Duration::from_secs(60);
/// Bytes at the beginning of a document that say what it is.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Longest title, in bytes.
const TITLE_BYTES_MAX: usize = 80;

/// What a document says of its service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::catalog) struct Glance {
    /// Title of the API.
    pub(in crate::catalog) title: Option<String>,
    /// Credential that nearly every call needs, as a phrase.
    pub(in crate::catalog) credential: Option<String>,
}

/// Looks at a document. The error says why it is none.
pub(in crate::catalog) fn glance(bytes: &[u8]) -> Result<Glance, String> {
    let root = parse(bytes, &CancelToken::after(LOOK_MAX)).map_err(|error| error.to_string())?;
    let document = Document::new(root).map_err(|error| error.to_string())?;
    let info = document.get("info").and_then(|info| info.as_object());
    let title = info.and_then(|info| text(info, "title"));
    let security = Security::of(&document, &[], false);
    Ok(Glance {
        title: title.map(|title| cut(title, TITLE_BYTES_MAX).to_owned()),
        credential: security.needed().map(str::to_owned),
    })
}

/// Returns true if a text begins as OpenAPI or Swagger does, in JSON or YAML.
pub(in crate::catalog) fn is_description(head: &str) -> bool {
    let squeezed: String =
        head.chars().filter(|c| !c.is_whitespace()).take(HEAD_BYTES_MAX).collect();
    let as_json = squeezed.starts_with('{')
        && ["\"openapi\":\"3", "\"swagger\":\"2"].iter().any(|mark| squeezed.contains(mark));
    let mark = |line: &str| {
        let value = |key| {
            line.strip_prefix(key).map(|value: &str| value.trim_start_matches([' ', '"', '\'']))
        };
        value("openapi:").is_some_and(|value| value.starts_with('3'))
            || value("swagger:").is_some_and(|value| value.starts_with('2'))
    };
    as_json || head.lines().any(mark)
}
