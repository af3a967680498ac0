//! An operation as it stands in a description.

use serde_json::{Map, Value};

/// An operation and its path.
pub(super) struct Found<'d> {
    pub(super) method: &'static str,
    pub(super) path: &'d str,
    pub(super) item: &'d Map<String, Value>,
    pub(super) operation: &'d Map<String, Value>,
}

/// The operation as people name it: `GET /pets`.
pub(super) fn route(found: &Found<'_>) -> String {
    format!("{} {}", found.method.to_uppercase(), found.path)
}
