//! Where log lines go: standard error, always, for standard output may carry MCP or an answer.

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing::{Level, Metadata};
use tracing_subscriber::{
    EnvFilter, Layer as _,
    filter::{FilterExt as _, filter_fn},
    fmt,
    layer::SubscriberExt as _,
    registry,
    util::SubscriberInitExt as _,
};

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

/// Libraries that would tell bodies and headers below warnings, and credentials with them; or, as the last, each line that was logged
/// beside a file that is watched, and so without end.
const TELL_ALL: [&str; 6] = ["hyper", "hyper_util", "reqwest", "sse_stream", "sqlx", "notify"];
/// Quotes in its errors what a server said. Whoever called it tells what went wrong, without secrets.
const QUOTES: &str = "rmcp";

/// Whether a line may be logged at all, whatever was chosen.
fn may_be_told(line: &Metadata<'_>) -> bool {
    let library = line.target().split("::").next().unwrap_or_default();
    library != QUOTES && (*line.level() <= Level::WARN || !TELL_ALL.contains(&library))
}

/// Begins to log. `AIRLOCK_LOG` chooses what; without it a server tells what it does, other commands only what goes wrong.
pub(super) fn init(format: LogFormat, serves: bool) {
    // Libraries speak of every request and frame at `info`, and of bodies below it.
    let default = if serves { "warn,airlock=info" } else { "error" };
    let chosen = ProcessEnvironment.variables().remove("AIRLOCK_LOG").unwrap_or_else(|| default.to_owned());
    let filter = EnvFilter::try_new(&chosen).unwrap_or_else(|_| EnvFilter::new(default));
    let filter = filter.and(filter_fn(may_be_told));
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    // A second call, in a test, keeps the first.
    match format {
        LogFormat::Text => registry().with(lines.with_filter(filter)).try_init().ok(),
        LogFormat::Json => registry().with(lines.json().with_filter(filter)).try_init().ok(),
    };
}
