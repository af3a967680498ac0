//! The run under way: its clock, its timers and its log, and the turns that it has taken.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::sandbox::{
    history,
    protocol::Kind,
    worker::{
        intake::{Prepared, STACK_FRAMES_MAX},
        log::LogMeter,
        outbox::Outbox,
        repeat::Repeat,
        timers::Timers,
        warnings::Warnings,
    },
};

/// State of a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It runs, or a frame is on its way to it.
    Running,
    /// It only waits, and the broker knows.
    Parked,
    /// It waits, a timer is due, and the broker was asked for permission.
    WakeRequested,
}

/// The run under way.
pub(super) struct Running {
    pub(super) run: u32,
    pub(super) prepared: Prepared,
    pub(super) state: State,
    pub(super) timers: Timers,
    pub(super) log: LogMeter,
    pub(super) warnings: Warnings,
    /// What the guest sees of time and chance.
    pub(super) repeat: Repeat,
    /// Responses that have come and wait for their turn: while the guest repeats an earlier run, it
    /// takes one turn at a time.
    pub(super) held: VecDeque<Vec<u8>>,
    /// Number of responses sent to Deno.
    pub(super) responses: u32,
    /// Number of due timers sent to Deno.
    pub(super) fired: u32,
    pub(super) cpu_ns_began: u64,
    pub(super) cpu_ns_end: u64,
    /// CPU time of the intake in nanoseconds.
    pub(super) intake_ns: u64,
    pub(super) heap_peak_bytes: u64,
}

impl Running {
    /// True unless the guest still repeats an earlier run.
    pub(super) fn is_live(&self) -> bool {
        self.repeat.is_live()
    }

    /// Time since the origin of the guest's clock.
    pub(super) fn elapsed(&self) -> Duration {
        self.repeat.elapsed(Instant::now())
    }

    /// Tells the broker what the guest saw of time: what follows may depend on it.
    pub(super) fn send_history(&mut self, outbox: &Outbox) {
        let unsent = self.repeat.take_unsent();
        if !unsent.is_empty() {
            outbox.send(Kind::History, self.run, &[&history::encode(&unsent)]);
        }
    }
}

/// Formats a stack with positions of the caller's source. `text` holds a line for each frame,
/// an empty line, the name of the error, and the message.
pub(super) fn stack_text(running: Option<&Running>, text: &str) -> String {
    let (frames, error) = text
        .split_once("\n\n")
        .or_else(|| Some(("", text.strip_prefix('\n')?)))
        .unwrap_or(("", text));
    let (name, message) = error.split_once('\n').unwrap_or((error, ""));
    let frame = |line: &str| {
        let mut parts = line.splitn(3, ':');
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.to_owned()))
    };
    let frames: Vec<_> = frames
        .lines()
        .take(STACK_FRAMES_MAX)
        .filter_map(frame)
        .map(|(line, column, function)| (function, line, column))
        .collect();
    let stack =
        running.and_then(|running| running.prepared.describe(name, message, None, &frames).stack);
    stack.unwrap_or_else(|| {
        if message.is_empty() { name.to_owned() } else { format!("{name}: {message}") }
    })
}
