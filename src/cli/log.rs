//! Logging to standard error, always, because standard output may carry MCP or an answer.

use std::{fmt, io::IsTerminal};

use clap::ValueEnum;
use tracing::{
    Level, Metadata,
    field::{Field, Visit},
};
use tracing_subscriber::{
    EnvFilter, Layer as _,
    field::RecordFields,
    filter::{FilterExt as _, filter_fn},
    fmt::{FormatFields, format::Writer, layer},
    layer::SubscriberExt as _,
    registry,
    util::SubscriberInitExt as _,
};

use crate::config::{Environment, ProcessEnvironment};

/// The format of log lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text for people
    #[default]
    Text,
    /// One JSON object a line
    Json,
}

/// Libraries that would log bodies and headers below warnings, and credentials with them; or, as
/// the last, each line that is logged beside a file that is watched, and so without end.
const VERBOSE: [&str; 6] = ["hyper", "hyper_util", "reqwest", "sse_stream", "sqlx", "notify"];
/// A library whose errors quote servers. Its callers log their failures, without secrets.
const QUOTES: &str = "rmcp";

/// Formats fields for people: the message, then the fields that are not in it. Programs read the
/// JSON format, which has them all.
pub(super) struct TextFields;

/// A line's message and its other fields.
#[derive(Default)]
struct Line {
    message: String,
    fields: Vec<(&'static str, String)>,
}

impl<'w> FormatFields<'w> for TextFields {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut line = Line::default();
        fields.record(&mut line);
        let Line { message, fields } = line;
        writer.write_str(&message)?;
        let mut gap = if message.is_empty() { "" } else { " " };
        for (name, value) in fields.iter().filter(|(_, value)| !says(&message, value)) {
            write!(writer, "{gap}{name}={value}")?;
            gap = " ";
        }
        Ok(())
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let value = format!("{value:?}");
        // It may quote others: no line of theirs may look like one of ours, and none may move the
        // cursor.
        let value = value.chars().fold(String::with_capacity(value.len()), |mut harmless, c| {
            match c.is_control() {
                true => harmless.extend(c.escape_default()),
                false => harmless.push(c),
            }
            harmless
        });
        match field.name() {
            "message" => self.message = value,
            name => self.fields.push((name, value)),
        }
    }
}

/// True if the message holds this value as words of its own.
fn says(message: &str, value: &str) -> bool {
    let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
    let is_apart = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
    let mut places = message.match_indices(value).filter(|(_, found)| !found.is_empty());
    places.any(|(at, found)| {
        is_apart(message[..at].chars().next_back())
            && is_apart(message[at + found.len()..].chars().next())
    })
}

/// True if a line may be logged at all, whatever the filter.
fn may_be_logged(line: &Metadata<'_>) -> bool {
    let library = line.target().split("::").next().unwrap_or_default();
    library != QUOTES && (*line.level() <= Level::WARN || !VERBOSE.contains(&library))
}

/// Begins to log. `AIRLOCK_LOG` is the filter; without it a server logs its work, other commands
/// only failures.
pub(super) fn init(format: LogFormat, serves: bool) {
    // Libraries log every request and frame at `info`, and bodies below it.
    let default = if serves { "warn,airlock=info" } else { "error" };
    let chosen =
        ProcessEnvironment.variables().remove("AIRLOCK_LOG").unwrap_or_else(|| default.to_owned());
    let filter = EnvFilter::try_new(&chosen).unwrap_or_else(|_| EnvFilter::new(default));
    let filter = filter.and(filter_fn(may_be_logged));
    let lines = layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    // A second call, in a test, keeps the first.
    match format {
        LogFormat::Text => {
            registry().with(lines.fmt_fields(TextFields).with_filter(filter)).try_init().ok()
        }
        LogFormat::Json => registry().with(lines.json().with_filter(filter)).try_init().ok(),
    };
}
