//! What an operation is named by.

/// Parts of an operation's name.
#[derive(Debug, Clone, Copy)]
pub(in crate::catalog::openapi) struct Named<'a> {
    /// `get`, in lower case.
    pub(in crate::catalog::openapi) method: &'a str,
    /// `/pets/{petId}`.
    pub(in crate::catalog::openapi) path: &'a str,
    pub(in crate::catalog::openapi) operation_id: Option<&'a str>,
    /// The first tag.
    pub(in crate::catalog::openapi) tag: Option<&'a str>,
}
