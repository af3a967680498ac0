//! The command line: what a person or a script asks of Airlock from a shell.
//!
//! Every command that asks for tasks or tools speaks to a server over its owner's interface: the
//! one that runs on this database, else one started for the moment in this process. So there is one
//! way through, and no command touches the database. Standard output carries the answer alone;
//! everything else goes to standard error.

mod approvals;
mod artifacts;
mod client;
mod connection;
mod doctor;
mod failure;
mod list;
mod log;
mod mcp_call;
mod open;
mod policy;
mod run;
mod screen;
mod secrets;
mod serve;
mod settings;
mod stop;
mod tasks;
#[cfg(test)]
mod tests;
mod tools;
mod upstreams;

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use clap::{Args, Parser, Subcommand};
use futures::future::BoxFuture;
use tokio::{net::TcpListener, sync::oneshot};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{
    base::instance::Instance,
    catalog::{Detected, Login, MissingSecret, UpstreamStatus, Vault},
    config::{Config, Flag, ProcessEnvironment, Sources},
    task::policy_reload::PolicySource,
};

pub use failure::{Exit, Failure};
pub use log::LogFormat;

/// Whom a server answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Agents at `/mcp`, and the owner.
    Agents,
    /// The owner alone: nobody asked for a server.
    Owner,
}

/// Told how much of something is done, and how much there is.
pub type Tell = Box<dyn Fn(usize, usize) + Send + Sync>;

/// What the command line needs of the application, which stands beside it: [`crate::app`] provides
/// it.
pub trait Application: Send + Sync + 'static {
    /// Opens everything, serves HTTP on the listener, tells `ready` once it answers, and on `stop`
    /// drains and closes. Leaves an [`Instance`] note for as long as it serves.
    fn serve(
        &self,
        config: Config,
        listener: TcpListener,
        audience: Audience,
        ready: oneshot::Sender<Instance>,
        stop: CancellationToken,
    ) -> BoxFuture<'static, Result<(), Failure>>;

    /// Opens everything and serves MCP on standard input and output until the input ends or `stop`.
    fn stdio(
        &self,
        config: Config,
        stop: CancellationToken,
    ) -> BoxFuture<'static, Result<(), Failure>>;

    /// The encrypted store of secrets.
    fn vault(&self, config: &Config) -> Vault;

    /// Where policy comes from: the files as the configuration names them, and what they are
    /// compiled for.
    fn policy(&self, config: &Config) -> PolicySource;

    /// How each runtime stands on this machine. Starts nothing.
    fn runtimes(&self, config: &Config) -> Vec<RuntimeStanding>;

    /// What credentials of upstreams refer to and is not there. Reads files, keychain and store;
    /// reaches nobody.
    fn missing_secrets(
        &self,
        config: &Config,
    ) -> BoxFuture<'static, Result<Vec<MissingSecret>, Failure>>;

    /// Reaches the upstreams of the configuration anew, apart from any server, and tells where each
    /// stands; meanwhile, how far their descriptions are read.
    fn reach(
        &self,
        config: Config,
        tell: Tell,
    ) -> BoxFuture<'static, Result<Vec<UpstreamStatus>, Failure>>;

    /// Finds out what an address speaks. The error says why that is not known; it names
    /// `allow_private` where that is missing.
    fn detect<'a>(
        &'a self,
        url: &'a Url,
        allow_private: bool,
    ) -> BoxFuture<'a, Result<Detected, String>>;

    /// Begins to ask a person to allow an upstream.
    fn login(&self, config: &Config, name: &str) -> BoxFuture<'static, Result<Login, Failure>>;
}

/// How a runtime stands on this machine.
#[derive(Debug, Clone)]
pub struct RuntimeStanding {
    /// Its id.
    pub id: &'static str,
    /// Whether a task that names none runs on it.
    pub is_default: bool,
    /// Whether it is there.
    pub is_here: bool,
    /// The key of the configuration that asks for it, where one does.
    pub named_by: Option<&'static str>,
    /// What it is, or how it is got.
    pub message: String,
}

/// Runs the TypeScript of AI agents against their tools, in an isolated V8, and keeps a durable
/// record.
#[derive(Debug, Parser)]
#[command(name = "airlock", version, max_term_width = 120)]
pub struct Cli {
    /// The configuration file [default: ./airlock.toml or ~/.config/airlock/airlock.toml, if there
    /// is one]
    #[arg(long, short, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How log lines are written to standard error; AIRLOCK_LOG says which
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORM")]
    log: LogFormat,
    #[command(subcommand)]
    command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
enum Command {
    /// Serve MCP and the owner's interface over HTTP
    Serve(serve::ServeArgs),
    /// Serve MCP on standard input and output, for clients that start their servers
    Mcp,
    /// Run one program and print its result; exits with the task's exit code
    Run(run::RunArgs),
    /// List, read or cancel tasks
    #[command(subcommand)]
    Tasks(tasks::TasksCommand),
    /// List, show, approve or deny the calls that wait for your word
    #[command(subcommand)]
    Approvals(approvals::ApprovalsCommand),
    /// List, show, get or remove answers that were too large for a program
    #[command(subcommand)]
    Artifacts(artifacts::ArtifactsCommand),
    /// Make a link that signs your browser in to the running server's pages
    Open(Output),
    /// List, search, describe or call the tools that code may call
    #[command(subcommand)]
    Tools(tools::ToolsCommand),
    /// Add, list, check or remove the services whose tools code may call
    #[command(subcommand)]
    Upstreams(upstreams::UpstreamsCommand),
    /// Keep secrets for upstreams, encrypted
    #[command(subcommand)]
    Secrets(secrets::SecretsCommand),
    /// Check, explain, test, write and bring over policies
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Check the set-up: engine, store, upstreams; exits with 1 if something is broken
    Doctor(Output),
    /// Show the configuration in force and where each value comes from
    Config(settings::SettingsArgs),
    /// Call one tool of an MCP server over HTTP, as any client would
    #[command(name = "__mcp-call", hide = true)]
    McpCall(mcp_call::McpCallArgs),
}

/// How to print.
#[derive(Debug, Clone, Copy, Args)]
struct Output {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Cli {
    /// Does what was asked, and tells on standard error why it could not.
    pub fn main(self, application: Arc<dyn Application>) -> ExitCode {
        log::init(self.log, matches!(self.command, Command::Serve(_) | Command::Mcp));
        let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                return Failure::other(format!("the process cannot start its threads: {error}"))
                    .report();
            }
        };
        let outcome = runtime.block_on(self.perform(application));
        // A blocking read of standard input must not hold the exit up.
        runtime.shutdown_background();
        outcome.unwrap_or_else(|failure| failure.report())
    }

    async fn perform(self, application: Arc<dyn Application>) -> Result<ExitCode, Failure> {
        match &self.command {
            Command::McpCall(args) => return mcp_call::perform(args).await,
            Command::Config(args) if args.needs_no_configuration() => return settings::reference(),
            _ => {}
        }
        let config = match self.load() {
            Err(failure) if matches!(self.command, Command::Doctor(_)) => {
                return doctor::broken_configuration(&self.command, &failure);
            }
            loaded => loaded?,
        };
        match self.command {
            Command::Serve(_) => serve::http(config, &application).await,
            Command::Mcp => serve::stdio(config, &application).await,
            Command::Run(args) => run::perform(args, config, &application).await,
            Command::Tasks(command) => tasks::perform(command, config, &application).await,
            Command::Approvals(command) => approvals::perform(command, config, &application).await,
            Command::Artifacts(command) => artifacts::perform(command, config, &application).await,
            Command::Open(output) => open::perform(output, &config).await,
            Command::Tools(command) => tools::perform(command, config, &application).await,
            Command::Upstreams(command) => upstreams::perform(command, config, &application).await,
            Command::Secrets(command) => secrets::perform(command, &config, &application),
            Command::Policy(command) => policy::perform(command, config, &application).await,
            Command::Doctor(output) => doctor::perform(output, config, &application).await,
            Command::Config(args) => settings::perform(&args, &config, &application).await,
            Command::McpCall(_) => unreachable!("was done above, before the configuration"),
        }
    }

    fn load(&self) -> Result<Config, Failure> {
        let folder = std::env::current_dir().map_err(|error| {
            Failure::other(format!("the current folder cannot be read: {error}"))
        })?;
        let flags: Vec<Flag> = match &self.command {
            Command::Serve(args) => args.flags(),
            _ => vec![],
        };
        let here = !matches!(self.command, Command::Mcp);
        let sources = Sources {
            file: self.config.as_deref(),
            flags: &flags,
            environment: &ProcessEnvironment,
            folder: &folder,
            search_folder: here,
        };
        Config::load(&sources).map_err(Failure::from)
    }
}
