//! Problems of policy files, as the answer of a command.

use std::process::ExitCode;

use serde_json::json;

use crate::{app::Failure, cli::screen, policy::Problem};

/// Prints the problems of files that cannot be used.
pub(super) fn invalid(problems: &[Problem], json: bool) -> Result<ExitCode, Failure> {
    if json {
        screen::print_json(&json!({ "status": "invalid", "problems": problems }))?;
    } else {
        problems
            .iter()
            .try_for_each(|problem| screen::print(screen::plain(&problem.to_string())))?;
    }
    Ok(ExitCode::FAILURE)
}
