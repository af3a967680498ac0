//! Warnings for the caller of a run, limited in number and length.

use crate::base::plural::{counted, verb};

/// Number of warnings that are kept; further ones are counted.
const WARNINGS_MAX: usize = 20;
/// Limit on the length of a warning in bytes.
const WARNING_BYTES_MAX: usize = 1024;

/// The warnings of one run.
#[derive(Default)]
pub(super) struct Warnings {
    kept: Vec<String>,
    more: u64,
}

impl Warnings {
    /// Keeps a warning, truncated to its limit.
    pub(super) fn add(&mut self, mut warning: String) {
        if self.kept.len() >= WARNINGS_MAX {
            self.more += 1;
            return;
        }
        if warning.len() > WARNING_BYTES_MAX {
            warning.truncate(warning.floor_char_boundary(WARNING_BYTES_MAX));
            warning.push('…');
        }
        self.kept.push(warning);
    }

    /// Warns of calls that had no response when the program ended.
    pub(super) fn add_abandoned(&mut self, calls: usize) {
        if calls == 0 {
            return;
        }
        let were = verb(calls, "was", "were");
        self.add(format!(
            "{} {were} still running when the program ended; {} {were} abandoned: `await` {}",
            counted(calls, "tool call"),
            verb(calls, "it", "they"),
            verb(calls, "it", "them")
        ));
    }

    /// Warns of an unhandled promise rejection at `position`.
    pub(super) fn add_rejection(&mut self, name: &str, message: &str, position: Option<String>) {
        let position = position.map(|position| format!(" at {position}")).unwrap_or_default();
        self.add(format!("a rejected promise was not handled: {name}: {message}{position}"));
    }

    /// Warns of the number of further unhandled promise rejections.
    pub(super) fn add_more_rejections(&mut self, more: u64) {
        if more > 0 {
            self.add(format!(
                "{} {} not handled",
                counted(more, "more rejected promise"),
                verb(more, "was", "were")
            ));
        }
    }

    /// Returns the warnings, and a last one with the number of those dropped.
    pub(super) fn into_strings(self) -> Vec<String> {
        let mut strings = self.kept;
        if self.more > 0 {
            strings.push(format!("and {}", counted(self.more, "more warning")));
        }
        strings
    }
}
