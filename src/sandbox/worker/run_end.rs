//! The end of a run as it is reported to the broker.

use super::{intake, outbox::Outbox};
use crate::{
    model::TaskError,
    sandbox::protocol::{DoneHead, DoneOutcome, Kind, join_head},
};

/// The end of a run: its outcome and the resources it used.
pub(super) struct RunEnd {
    pub(super) outcome: DoneOutcome,
    /// The result as JSON, if the code returned.
    pub(super) result: Vec<u8>,
    pub(super) cpu_ms: u64,
    pub(super) heap_peak_bytes: u64,
    pub(super) dropped_lines: u64,
    pub(super) dropped_bytes: u64,
    pub(super) warnings: Vec<String>,
    pub(super) spent: bool,
}

impl RunEnd {
    /// An end of which only the outcome is known.
    pub(super) fn of(outcome: DoneOutcome) -> Self {
        Self {
            outcome,
            result: Vec::new(),
            cpu_ms: 0,
            heap_peak_bytes: 0,
            dropped_lines: 0,
            dropped_bytes: 0,
            warnings: Vec::new(),
            spent: false,
        }
    }

    /// The end of a run whose code was rejected by the intake.
    pub(super) fn of_intake(error: TaskError, cpu_ms: u64) -> Self {
        Self { cpu_ms, ..Self::of(DoneOutcome::Threw { error, call: None }) }
    }

    /// The end of a run whose intake took too long. Its thread cannot be stopped, so the process is
    /// not used again.
    pub(super) fn of_slow_intake() -> Self {
        Self { spent: true, ..Self::of_intake(intake::too_slow(), intake::CPU_MS_MAX) }
    }

    /// Reports the end to the broker.
    pub(super) fn send(self, outbox: &Outbox, run: u32) {
        let result =
            if matches!(self.outcome, DoneOutcome::Returned) { self.result } else { Vec::new() };
        let head = DoneHead {
            outcome: self.outcome,
            cpu_ms: self.cpu_ms,
            heap_peak_bytes: self.heap_peak_bytes,
            dropped_lines: self.dropped_lines,
            dropped_bytes: self.dropped_bytes,
            warnings: self.warnings,
            spent: self.spent,
        };
        outbox.send(Kind::Done, run, &[&join_head(&head), &result]);
    }
}
