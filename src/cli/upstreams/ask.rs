//! Asks the person at the terminal.

use std::io::IsTerminal;

use console::Term;

use crate::app::Failure;

/// The answer to a question, no unless it is yes; none where nobody can be asked.
pub(super) fn confirmed(question: &str) -> Result<Option<bool>, Failure> {
    let term = Term::stderr();
    if !std::io::stdin().is_terminal() || !term.is_term() {
        return Ok(None);
    }
    let failed = |error: std::io::Error| {
        Failure::other(format!("the question cannot be asked at the terminal: {error}"))
    };
    term.write_str(&format!("{question} [y/N] ")).map_err(failed)?;
    let answer = term.read_line().map_err(failed)?;
    Ok(Some(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")))
}
