//! Where log lines go: standard error, always, for standard output may carry MCP or an answer.

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

/// How log lines are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    #[default]
    Text,
    /// One JSON object a line
    Json,
}

/// Libraries that would tell bodies and headers below warnings, and credentials with them; or, as
/// the last, each line that was logged beside a file that is watched, and so without end.
const VERBOSE: [&str; 6] = ["hyper", "hyper_util", "reqwest", "sse_stream", "sqlx", "notify"];
/// Quotes in its errors what a server said. Whoever called it tells what went wrong, without
/// secrets.
const QUOTES: &str = "rmcp";

/// Fields for people: the message, then what it does not say itself. Programs read the JSON form,
/// which has them all.
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
        // What others said is in there too: no line of theirs may look like one of ours, and none
        // may move the cursor.
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

/// Whether the message holds this value as words of its own.
fn says(message: &str, value: &str) -> bool {
    let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
    let is_apart = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
    let mut places = message.match_indices(value).filter(|(_, found)| !found.is_empty());
    places.any(|(at, found)| {
        is_apart(message[..at].chars().next_back())
            && is_apart(message[at + found.len()..].chars().next())
    })
}

/// Whether a line may be logged at all, whatever was chosen.
fn may_be_logged(line: &Metadata<'_>) -> bool {
    let library = line.target().split("::").next().unwrap_or_default();
    library != QUOTES && (*line.level() <= Level::WARN || !VERBOSE.contains(&library))
}

/// Begins to log. `AIRLOCK_LOG` chooses what; without it a server tells what it does, other
/// commands only what goes wrong.
pub(super) fn init(format: LogFormat, serves: bool) {
    // Libraries speak of every request and frame at `info`, and of bodies below it.
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
