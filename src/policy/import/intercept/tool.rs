//! Tool whose rules are converted.

/// Context of the rules of one tool.
pub(super) struct Tool<'a> {
    /// Name in the source.
    pub(super) source: &'a str,
    /// Name in the converted file.
    pub(super) target: &'a str,
    /// Scopes of its counters: each tool, or all tools of the file.
    pub(super) scopes: Vec<&'static str>,
}
