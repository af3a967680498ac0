//! The command line: reads the arguments and performs one command. Must not open the database.
//!
//! A command about tasks, approvals, artifacts or tools sends its requests over the owner's
//! interface (`/v1`) to the server that runs on this database. If none runs, the command starts one
//! in this process and stops it at its end; `approvals watch` and `open` fail instead. Standard
//! output carries the answer alone; notes, logs and errors go to standard error, and the question
//! about a call that waits for approval goes to the terminal.

mod approvals;
mod args;
mod artifacts;
mod card;
mod client;
mod connection;
mod doctor;
mod ids;
mod list;
mod log;
mod mcp_call;
mod open;
mod policy;
mod question;
mod run;
mod running;
mod screen;
mod secrets;
mod serve;
mod settings;
mod shell;
mod status;
mod stop;
mod table;
mod tasks;
mod terminal;
#[cfg(test)]
mod tests;
mod tools;
mod upstreams;
mod wait;

use std::{ffi::OsString, path::PathBuf, process::ExitCode};

use clap::{CommandFactory, Parser, Subcommand};

use self::{
    args::{GLOBAL, Output},
    running::Broken,
    upstreams::UpstreamsCommand,
};
use crate::{
    app::Failure,
    config::{Config, ConfigError, Flag, ProcessEnvironment, Sources},
};

pub use log::LogFormat;

/// Place of the options that every command has: behind its own.
const GLOBAL_ORDER: usize = 900;

/// The exit codes, below the help.
const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    it could not be done, a check failed, or the program threw
  2    the command line is not understood
  69   a server, an upstream or something else that the command needs is missing, does not \
answer, or is in use
  75   the task has not ended within `tasks wait --timeout`
  78   the configuration cannot be used
  124, 126, 130, 137  of `run`, `tools call`, `tasks wait` and `tasks follow`: the task ran out of \
time, a call was denied, the task was cancelled, it ran out of memory
  130  the command was interrupted";

/// Reads the command line and performs it.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let mut own = arguments.iter().take_while(|argument| *argument != "--");
    let is_json = own.any(|argument| argument == "--json");
    if is_json {
        screen::write_json_only();
    }
    match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli.perform_all(is_json),
        Err(error) if is_json && error.use_stderr() => {
            misunderstood(&error).report(true);
            ExitCode::from(USAGE)
        }
        Err(error) => error.exit(),
    }
}

/// The failure of a command line that is not understood.
fn misunderstood(error: &clap::Error) -> Failure {
    let text = error.render().to_string();
    let (message, rest) = text.split_once("\n\n").unwrap_or((&text, ""));
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let failure = Failure::other(one_line(message.trim_start_matches("error: "))).coded("usage");
    match one_line(rest) {
        rest if rest.is_empty() => failure,
        rest => failure.hint(rest),
    }
}

/// The exit code where the command line is not understood.
const USAGE: u8 = 2;

/// Runs the TypeScript of AI agents against their tools, in an isolated V8, and keeps a durable
/// record.
///
/// Without a command: shows what is configured and what runs, and which command comes next.
#[derive(Debug, Parser)]
#[command(name = "airlock", version, max_term_width = 120, after_help = EXIT_CODES)]
pub struct Cli {
    /// The configuration file [default: ./airlock.toml or ~/.config/airlock/airlock.toml, if there
    /// is one]
    #[arg(
        long, short, global = true, value_name = "FILE", help_heading = GLOBAL,
        display_order = GLOBAL_ORDER
    )]
    config: Option<PathBuf>,
    /// Format of log lines on standard error; AIRLOCK_LOG filters them
    #[arg(
        long, global = true, value_enum, default_value_t, value_name = "FORM",
        help_heading = GLOBAL, display_order = GLOBAL_ORDER + 1
    )]
    log: LogFormat,
    #[command(subcommand)]
    command: Option<Command>,
}

/// The commands.
#[derive(Debug, Subcommand)]
enum Command {
    /// Serve MCP and the owner's interface over HTTP
    Serve(serve::ServeArgs),
    /// Serve MCP on standard input and output, for clients that start their servers
    Mcp,
    /// Run one program and print its result; exits with the task's exit code
    Run(run::RunArgs),
    /// List, read, follow or cancel tasks
    #[command(subcommand)]
    Tasks(tasks::TasksCommand),
    /// List, watch, show, approve or deny the calls that wait for your approval
    #[command(subcommand)]
    Approvals(approvals::ApprovalsCommand),
    /// List, show, get or remove artifacts: large responses, images, sounds and blobs
    #[command(subcommand)]
    Artifacts(artifacts::ArtifactsCommand),
    /// Open the running server's pages in your browser, signed in; without a desktop, print a link
    Open(open::OpenArgs),
    /// List, search, describe or call the tools that code may call
    #[command(subcommand)]
    Tools(tools::ToolsCommand),
    /// Add, list, check or remove the services whose tools code may call
    #[command(subcommand)]
    Upstreams(UpstreamsCommand),
    /// Keep secrets for upstreams, encrypted
    #[command(subcommand)]
    Secrets(secrets::SecretsCommand),
    /// Check, explain, test, write and import policies
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Check the set-up: engine, store, upstreams; exits with 1 if something is broken
    Doctor(Output),
    /// Show the configuration in force and where each value comes from
    Config(settings::SettingsArgs),
    /// Print a script that completes commands and options: bash, zsh, fish and others
    Completions(shell::CompletionsArgs),
    /// Print the manual page, in roff: `airlock man > airlock.1`
    Man,
    /// Print the version
    Version(Output),
    /// Call one tool of an MCP server over HTTP, as any client would
    #[command(name = "__mcp-call", hide = true)]
    McpCall(mcp_call::McpCallArgs),
}

impl Cli {
    /// Performs the command; a failure goes to standard error.
    fn perform_all(self, is_json: bool) -> ExitCode {
        log::init(self.log, matches!(self.command, Some(Command::Serve(_) | Command::Mcp)));
        let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                return Failure::other(format!("the process cannot start its threads: {error}"))
                    .report(is_json);
            }
        };
        let outcome = runtime.block_on(self.perform());
        // A blocking read of standard input must not hold the exit up.
        runtime.shutdown_background();
        outcome.unwrap_or_else(|failure| failure.report(is_json))
    }

    async fn perform(self) -> Result<ExitCode, Failure> {
        match &self.command {
            Some(Command::McpCall(args)) => return mcp_call::perform(args).await,
            Some(Command::Config(args)) if args.needs_no_configuration() => {
                return settings::reference();
            }
            Some(Command::Completions(args)) => return shell::completions(args, Self::command()),
            Some(Command::Man) => return shell::manual(Self::command()),
            Some(Command::Version(output)) => return shell::version(*output),
            _ => {}
        }
        let config = match (self.load()?, &self.command) {
            (Err(error), Some(Command::Doctor(output))) => {
                return doctor::broken_configuration(*output, &Broken::new(error).await);
            }
            (Err(error), Some(Command::Upstreams(UpstreamsCommand::List(output)))) => {
                return upstreams::list_broken(*output, Broken::new(error).await);
            }
            (loaded, _) => loaded?,
        };
        let Some(command) = self.command else { return status::perform(&config).await };
        match command {
            Command::Serve(_) => serve::http(config).await,
            Command::Mcp => serve::stdio(config).await,
            Command::Run(args) => run::perform(args, config).await,
            Command::Tasks(command) => tasks::perform(command, config).await,
            Command::Approvals(command) => approvals::perform(command, config).await,
            Command::Artifacts(command) => artifacts::perform(command, config).await,
            Command::Open(args) => open::perform(args, &config).await,
            Command::Tools(command) => tools::perform(command, config).await,
            Command::Upstreams(command) => upstreams::perform(command, config).await,
            Command::Secrets(command) => secrets::perform(command, &config),
            Command::Policy(command) => policy::perform(command, config).await,
            Command::Doctor(output) => doctor::perform(output, config).await,
            Command::Config(args) => settings::perform(&args, &config).await,
            Command::McpCall(_) | Command::Completions(_) | Command::Man | Command::Version(_) => {
                unreachable!("was done above, before the configuration")
            }
        }
    }

    fn load(&self) -> Result<Result<Config, ConfigError>, Failure> {
        let folder = std::env::current_dir().map_err(|error| {
            Failure::other(format!("the current folder cannot be read: {error}"))
        })?;
        let flags: Vec<Flag> = match &self.command {
            Some(Command::Serve(args)) => args.flags(),
            _ => vec![],
        };
        let here = !matches!(self.command, Some(Command::Mcp));
        let sources = Sources {
            file: self.config.as_deref(),
            flags: &flags,
            environment: &ProcessEnvironment,
            folder: &folder,
            search_folder: here,
        };
        Ok(Config::load(&sources))
    }
}
