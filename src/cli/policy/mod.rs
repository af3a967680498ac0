//! `airlock policy`: writes policy files, and shows what they do before they do it.
//!
//! Commands that need no tools work on a file alone; all others ask a server, which knows its tools
//! and its policy in force.

mod explain;
mod files;
mod import;
mod lint;
mod problems;
mod replay;
mod scan;
mod test;
mod validate;

use std::process::ExitCode;

use clap::Subcommand;

use crate::{
    app::{self, Failure},
    config::Config,
};

/// The commands on policies.
#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Check a policy file, or all of the configuration, and list every problem with its line and
    /// column; exits with 1 if there is one
    Validate(validate::ValidateArgs),
    /// Find likely mistakes: paths of no tool, arguments of no schema, rules that never apply
    Lint(lint::LintArgs),
    /// Run the tests in a policy file
    Test(test::TestArgs),
    /// Show what the policy in force decides about a call, and why; nothing is called
    Explain(explain::ExplainArgs),
    /// Write a policy file over the tools of an upstream, ready to edit
    Scan(scan::ScanArgs),
    /// Import a policy that was written for another system
    Import(import::ImportArgs),
    /// Show what a policy file alone, with the profile, would have decided about the calls on
    /// record
    Replay(replay::ReplayArgs),
    /// Show the policy in force: its revision, its files with their rules, and problems of them
    #[command(visible_alias = "get")]
    Show(explain::ShowArgs),
}

/// Performs the command.
pub(super) async fn perform(command: PolicyCommand, config: Config) -> Result<ExitCode, Failure> {
    let source = app::policy_source(&config);
    match command {
        PolicyCommand::Validate(args) => validate::perform(&args, &source),
        PolicyCommand::Lint(args) => lint::perform(&args, &config, &source).await,
        PolicyCommand::Test(args) => test::perform(&args, &config, &source).await,
        PolicyCommand::Explain(args) => explain::perform(args, &config).await,
        PolicyCommand::Scan(args) => scan::perform(args, &config).await,
        PolicyCommand::Import(args) => import::perform(&args, &config),
        PolicyCommand::Replay(args) => replay::perform(&args, &config, &source).await,
        PolicyCommand::Show(args) => explain::show(&args, &config).await,
    }
}
