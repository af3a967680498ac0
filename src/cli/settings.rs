//! `airlock config`: what is in force, and where each value comes from.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use super::{
    Failure,
    screen::{dim, heading, print, print_json},
};
use crate::config::{self, Config};

/// The arguments of `config`.
#[derive(Debug, Args)]
pub(super) struct SettingsArgs {
    #[command(subcommand)]
    command: Option<SettingsCommand>,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
enum SettingsCommand {
    /// Show every key, its value and where it was written (what `config` alone does)
    Show,
    /// Only check: exits with 78 and all problems if it cannot be used
    Check,
    /// Print the reference of all keys, in Markdown
    Reference,
}

impl SettingsArgs {
    /// Whether it speaks of all configurations rather than of this one.
    pub(super) fn needs_no_configuration(&self) -> bool {
        matches!(self.command, Some(SettingsCommand::Reference))
    }
}

/// Prints the reference page.
pub(super) fn reference() -> Result<ExitCode, Failure> {
    print(config::reference().trim_end()).map(|()| ExitCode::SUCCESS)
}

/// Prints what is in force.
pub(super) fn perform(args: &SettingsArgs, config: &Config) -> Result<ExitCode, Failure> {
    let file = config.file.as_ref().map(|file| file.display().to_string());
    let check = matches!(args.command, Some(SettingsCommand::Check));
    match (check, args.json) {
        (true, true) => print_json(&json!({ "status": "ok", "file": file }))?,
        (true, false) => print(format!("the configuration is in order ({})", file.as_deref().unwrap_or("no file")))?,
        (false, true) => print_json(&json!({ "file": file, "settings": config.settings }))?,
        (false, false) => show(config, file.as_deref())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn show(config: &Config, file: Option<&str>) -> Result<(), Failure> {
    print(dim(format!("# file: {}", file.unwrap_or("none"))).to_string())?;
    let mut section = "";
    for setting in &config.settings {
        let (table, key) = setting.key.split_once('.').unwrap_or(("", &setting.key));
        if table != section {
            print(format!("\n{}", heading(format!("[{table}]"))))?;
            section = table;
        }
        let line = format!("{key} = {}", setting.value);
        print(format!("{line:<48} {}", dim(format!("# {}", setting.origin))))?;
    }
    Ok(())
}
