//! `airlock policy`: writing policy files, and knowing what they do before they do it.
//!
//! What needs no tools works on a file alone; everything else asks a server, which knows its tools
//! and its policy in force.

mod explain;
mod files;
mod import;
mod lint;
mod replay;
mod scan;
mod test;
mod validate;

use std::{process::ExitCode, sync::Arc};

use clap::Subcommand;
use serde_json::{Value, json};

use super::{Application, Failure, screen};
use crate::{config::Config, policy::Problem};

/// What to do with policies.
#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Check a policy file, or all of the configuration, and tell every problem with its line and
    /// column; exits with 1 if there is one
    Validate(validate::ValidateArgs),
    /// Find what is probably not meant: addresses of no tool, arguments of no schema, rules that
    /// never speak
    Lint(lint::LintArgs),
    /// Run the tests that stand in a policy file
    Test(test::TestArgs),
    /// Tell what the policy in force answers about a call, and why; nothing is called
    Explain(explain::ExplainArgs),
    /// Write a policy file over the tools of an upstream, ready to edit
    Scan(scan::ScanArgs),
    /// Bring a policy over that was written for another system
    Import(import::ImportArgs),
    /// Tell what a policy file alone, with the profile, would have answered to the calls on record
    Replay(replay::ReplayArgs),
    /// Show the policy in force: its revision, its files and how they are
    Show(explain::ShowArgs),
}

/// Does it.
pub(super) async fn perform(
    command: PolicyCommand,
    config: Config,
    application: &Arc<dyn Application>,
) -> Result<ExitCode, Failure> {
    let source = application.policy(&config);
    match command {
        PolicyCommand::Validate(args) => validate::perform(&args, &source),
        PolicyCommand::Lint(args) => lint::perform(&args, &config, &source).await,
        PolicyCommand::Test(args) => test::perform(&args, &config, &source).await,
        PolicyCommand::Explain(args) => explain::perform(args, &config, application).await,
        PolicyCommand::Scan(args) => scan::perform(args, &config, application).await,
        PolicyCommand::Import(args) => import::perform(&args, &config),
        PolicyCommand::Replay(args) => replay::perform(&args, &config, &source, application).await,
        PolicyCommand::Show(args) => explain::show(&args, &config, application).await,
    }
}

/// Prints problems, one a line, as the answer.
fn print_problems(problems: &[Problem]) -> Result<(), Failure> {
    problems.iter().try_for_each(|problem| screen::print(screen::plain(&problem.to_string())))
}

/// Problems of files that cannot be used, as the only answer of a command that needs them.
fn invalid(problems: &[Problem], json: bool) -> Result<ExitCode, Failure> {
    if json {
        screen::print_json(&json!({ "status": "invalid", "problems": problems }))?;
    } else {
        print_problems(problems)?;
    }
    Ok(ExitCode::FAILURE)
}

/// A JSON text of an answer.
fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_default()
}
