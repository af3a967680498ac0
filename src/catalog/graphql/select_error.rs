//! Errors of a selection, with suggestions.

use crate::base::suggest;

/// Names that an error lists.
pub(super) const NAMES_MAX: usize = 40;

/// A selection that cannot be sent, in a sentence that says how to put it right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct SelectError(pub(super) String);

/// Suggestion for a misspelled name: the most similar name, else all that exist.
pub(super) fn did_you_mean<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.collect();
    match suggest::nearest(given, known.iter().copied()) {
        Some(near) => format!(", did you mean `{near}`?"),
        None if known.is_empty() => String::new(),
        None => {
            let more = known.len().saturating_sub(NAMES_MAX);
            let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!(
                ", only {}{rest}",
                known
                    .iter()
                    .take(NAMES_MAX)
                    .map(|name| format!("`{name}`"))
                    .collect::<Vec<_>>()
                    .join(", ")
            )
        }
    }
}
