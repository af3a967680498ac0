//! Writes to standard output and standard error: answers, notes and JSON, in colours where the
//! terminal has them, and a spinner while a command waits. Makes the text of programs and upstreams
//! harmless for a terminal. Must not decide what is written.

use std::{
    fmt,
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use console::{Style, StyledObject, Term, style};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use serde_json::Value;

use crate::{app::Failure, model::Timestamp};

/// Between two pictures of the spinner.
const TICK: Duration = Duration::from_millis(100);

/// True where everything is written for a program: notes are lines of JSON then.
static IS_JSON: AtomicBool = AtomicBool::new(false);

/// Makes notes lines of JSON.
pub(super) fn write_json_only() {
    IS_JSON.store(true, Ordering::Relaxed);
}

/// Writes text to standard output, with a line end. A reader that has gone away (`| head`) is no
/// failure.
pub(super) fn print(text: impl AsRef<str>) -> Result<(), Failure> {
    print_to_reader(text).map(drop)
}

/// Writes text to standard output, with a line end. Returns false where the reader has gone away:
/// a command without an end of its own ends then.
pub(super) fn print_to_reader(text: impl AsRef<str>) -> Result<bool, Failure> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{}", text.as_ref()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::other(format!("standard output cannot be written: {error}"))),
    }
}

/// Writes text to standard output as it is; false if its reader has gone away.
pub(super) fn print_while_read(text: &str) -> Result<bool, Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::other(format!("standard output cannot be written: {error}"))),
    }
}

/// Writes JSON to standard output, indented.
pub(super) fn print_json(value: &Value) -> Result<(), Failure> {
    print(pretty(value))
}

/// The stream that something is written to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stream {
    /// Standard output, with the answer.
    Output,
    /// Standard error, beside the answer.
    Error,
}

impl Stream {
    /// Writes one line, or several.
    pub(super) fn write(self, text: impl AsRef<str>) -> Result<(), Failure> {
        match self {
            Self::Output => print(text),
            Self::Error => {
                note(text);
                Ok(())
            }
        }
    }

    /// Text in a colour that this stream can show.
    pub(super) fn paint(self, style: Style, text: impl fmt::Display) -> String {
        let style = match self {
            Self::Output => style.for_stdout(),
            Self::Error => style.for_stderr(),
        };
        style.apply_to(text).to_string()
    }
}

/// Writes a line to standard error; `{"note": …}` where a program reads.
pub(super) fn note(text: impl AsRef<str>) {
    let json = IS_JSON.load(Ordering::Relaxed).then(|| {
        let text = console::strip_ansi_codes(text.as_ref()).into_owned();
        serde_json::json!({ "note": text }).to_string()
    });
    let text = json.as_deref().unwrap_or(text.as_ref());
    // Where standard error is gone nobody can read it.
    writeln!(std::io::stderr().lock(), "{text}").ok();
}

/// JSON as people read it.
pub(super) fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).expect("a JSON value can be written as JSON")
}

/// The object as JSON with an `id` before everything else: every object that is printed has one.
pub(super) fn with_id(id: impl fmt::Display, object: &impl Serialize) -> Value {
    let id = ("id".to_owned(), Value::from(id.to_string()));
    match serde_json::to_value(object).expect("an answer has string keys") {
        Value::Object(rest) => std::iter::once(id).chain(rest).collect(),
        other => other,
    }
}

/// A status in its colour.
pub(super) fn status(status: &str) -> StyledObject<String> {
    in_colour_of(status, status)
}

/// Text in the colour of a status.
pub(super) fn in_colour_of(status: &str, text: &str) -> StyledObject<String> {
    style_of(status).apply_to(text.to_owned())
}

/// The colour of a status.
pub(super) fn style_of(status: &str) -> Style {
    match status {
        "completed" | "ready" | "ok" | "approved" | "consumed" | "allow" => Style::new().green(),
        "failed" | "timed_out" | "denied" | "expired" | "broken" | "deny" => Style::new().red(),
        "cancelled" | "void" | "warning" | "degraded" | "ask" => Style::new().yellow(),
        _ => Style::new().cyan(),
    }
}

/// Secondary text.
pub(super) fn dim<T>(text: T) -> StyledObject<T> {
    style(text).dim()
}

/// A heading.
pub(super) fn heading<T>(text: T) -> StyledObject<T> {
    style(text).bold()
}

/// Columns of the terminal that standard output is; none for a file or a pipe.
pub(super) fn terminal_width() -> Option<usize> {
    let term = Term::stdout();
    term.is_term().then(|| term.size().1.into())
}

/// Columns that a line may have: those of the terminal, and any number elsewhere.
pub(super) fn width() -> usize {
    terminal_width().unwrap_or(usize::MAX)
}

/// Text on one line, at most so many columns, with control characters made harmless: tools and
/// tasks name themselves.
pub(super) fn line(text: &str, columns: usize) -> String {
    console::truncate_str(
        &plain(text).split_whitespace().collect::<Vec<_>>().join(" "),
        columns.max(8),
        "…",
    )
    .into_owned()
}

/// Text whose control characters cannot move the cursor or colour the screen.
pub(super) fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c })
        .collect()
}

/// Text that a person decides by: whatever could hide or reorder something, or is only like the
/// letter it seems to be, is written out as its code point.
pub(super) fn escaped(text: &str) -> String {
    crate::base::confusables::escaped(text)
}

/// Milliseconds in a unit for people: `1.5 s`.
pub(super) fn duration(ms: u64) -> String {
    match ms {
        0..1000 => format!("{ms} ms"),
        1000..60_000 => format!("{:.1} s", ms as f64 / 1000.0),
        _ => format!("{} min {} s", ms / 60_000, ms % 60_000 / 1000),
    }
}

/// The time since a moment, in its largest unit.
pub(super) fn age(moment: Timestamp) -> String {
    let seconds = (Timestamp::now().as_second() - moment.as_second()).max(0);
    match seconds {
        0..60 => format!("{seconds} s ago"),
        60..3600 => format!("{} min ago", seconds / 60),
        3600..86_400 => format!("{} h ago", seconds / 3600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}

/// The time of day of a moment, as this machine's clock shows it.
pub(super) fn clock(moment: Timestamp) -> String {
    moment.to_zoned(jiff::tz::TimeZone::system()).strftime("%H:%M:%S").to_string()
}

/// A spinner on standard error while something is awaited, and a progress bar once the amount of
/// work is known; nothing where standard error is no terminal.
#[derive(Clone)]
pub(super) struct Spinner(Arc<Shown>);

struct Shown(ProgressBar);

impl Spinner {
    /// Starts it.
    pub(super) fn start(text: &str) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let form = ProgressStyle::with_template("{spinner:.cyan} {msg} {elapsed:.dim}")
            .expect("the template is a fixed, valid string");
        bar.set_style(form);
        bar.set_message(text.to_owned());
        bar.enable_steady_tick(TICK);
        Self(Arc::new(Shown(bar)))
    }

    /// Changes the text.
    pub(super) fn say(&self, text: &str) {
        self.0.0.set_message(text.to_owned());
    }

    /// Hides it until the result is dropped, so that something else can be shown.
    pub(super) fn pause(&self) -> Paused<'_> {
        self.0.0.finish_and_clear();
        Paused(self)
    }

    /// Shows how much of the work is done; nothing where there is nothing to count.
    pub(super) fn count(&self, done: usize, all: usize) {
        let bar = &self.0.0;
        if all > 0 && bar.length().is_none() {
            let form = "{spinner:.cyan} {msg} {bar:24.cyan/dim} {pos}/{len} {elapsed:.dim}";
            bar.set_style(
                ProgressStyle::with_template(form).expect("the template is a fixed, valid string"),
            );
        }
        if all > 0 {
            bar.set_length(all as u64);
            bar.set_position(done as u64);
        }
    }
}

/// A spinner that is hidden.
pub(super) struct Paused<'s>(&'s Spinner);

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        let bar = &self.0.0.0;
        bar.reset();
        bar.enable_steady_tick(TICK);
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
