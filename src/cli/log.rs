//! Where log lines go: standard error, always, for standard output may carry MCP or an answer.

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing_subscriber::{EnvFilter, fmt};

use crate::config::{Environment, ProcessEnvironment};

/// How log lines are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    #[default]
    Text,
    /// One JSON object a line
    Json,
}

/// Begins to log. `AIRLOCK_LOG` chooses what; without it a server tells what it does, other commands only what goes wrong.
pub(super) fn init(format: LogFormat, serves: bool) {
    // Libraries speak of every request and frame at `info`, and of bodies below it.
    let default = if serves { "warn,airlock=info" } else { "error" };
    let chosen = ProcessEnvironment.variables().remove("AIRLOCK_LOG").unwrap_or_else(|| default.to_owned());
    let filter = EnvFilter::try_new(&chosen).unwrap_or_else(|_| EnvFilter::new(default));
    let lines = fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    // A second call, in a test, keeps the first.
    match format {
        LogFormat::Text => lines.try_init().ok(),
        LogFormat::Json => lines.json().try_init().ok(),
    };
}
