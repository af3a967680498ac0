//! `airlock completions`, `man` and `version`: what a shell and a person need around the program.

use std::process::ExitCode;

use clap::{Args, Command};
use clap_complete::Shell;
use serde_json::json;

use super::{args::Output, screen};
use crate::app::Failure;

/// The arguments of `completions`.
#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints a script for the shell, of the whole command line.
pub(super) fn completions(
    args: &CompletionsArgs,
    mut command: Command,
) -> Result<ExitCode, Failure> {
    let mut script = vec![];
    clap_complete::generate(args.shell, &mut command, "airlock", &mut script);
    written(&script)
}

/// Prints the manual page: the program, its commands and their options.
pub(super) fn manual(mut command: Command) -> Result<ExitCode, Failure> {
    let mut page = vec![];
    let failed = |error| Failure::other(format!("the page cannot be made: {error}"));
    command.build();
    clap_mangen::Man::new(command.clone()).render(&mut page).map_err(failed)?;
    page.extend(b".SH COMMANDS IN DETAIL\n");
    for command in command.get_subcommands().filter(|command| !command.is_hide_set()) {
        detail(&mut page, command, "airlock").map_err(failed)?;
    }
    written(&page)
}

/// A command and those below it: its words, what it does, its options.
fn detail(page: &mut Vec<u8>, command: &Command, above: &str) -> std::io::Result<()> {
    let name = format!("{above} {}", command.get_name());
    if command.get_name() == "help" {
        return Ok(());
    }
    if command.has_subcommands() {
        for below in command.get_subcommands() {
            detail(page, below, &name)?;
        }
        return Ok(());
    }
    page.extend(format!(".SS {}\n", name.replace('-', "\\-")).bytes());
    let man = clap_mangen::Man::new(command.clone());
    let mut part = vec![];
    man.render_description_section(&mut part)?;
    if command.get_arguments().any(|argument| !argument.is_hide_set()) {
        man.render_options_section(&mut part)?;
    }
    // Sections of a page of its own are paragraphs here.
    for line in String::from_utf8_lossy(&part).lines().filter(|line| !line.starts_with(".SH")) {
        page.extend(line.bytes().chain([b'\n']));
    }
    Ok(())
}

fn written(text: &[u8]) -> Result<ExitCode, Failure> {
    screen::print_while_read(&String::from_utf8_lossy(text)).map(|_| ExitCode::SUCCESS)
}

/// Prints the version, and with which engine this program was built.
pub(super) fn version(output: Output) -> Result<ExitCode, Failure> {
    let version = env!("CARGO_PKG_VERSION");
    let system = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS);
    match output.json {
        true => screen::print_json(&json!({
            "name": "airlock", "version": version, "system": system, "v8": cfg!(feature = "v8")
        }))?,
        false => screen::print(format!("airlock {version}"))?,
    }
    Ok(ExitCode::SUCCESS)
}
