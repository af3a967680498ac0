//! Formats errors.

use std::iter;

/// Formats an error and its causes on one line, outermost first.
pub fn chain(error: &dyn std::error::Error) -> String {
    let causes = iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
