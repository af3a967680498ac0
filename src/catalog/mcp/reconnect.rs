//! Decides when a server's event stream may be opened again. Servers close streams at will and
//! choose the client's delay themselves, which may be none. Told the time, so tests need not wait.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::base::backoff::Backoff;

/// Pause between two openings of the stream on which a server speaks unasked; doubled each time it
/// did not last.
const PAUSE: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
/// A stream that was opened this long ago lasted, so the pauses begin anew.
const STEADY: Duration = Duration::from_secs(20);
/// Pause before the stream of one call is taken up where it broke off. There are no more of them
/// than there are calls.
pub(super) const RESUME_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause that a server may ask for, in milliseconds.
pub(super) const RETRY_MS_MAX: u64 = 60_000;

/// The openings of one connection.
#[derive(Debug, Default)]
pub(super) struct ReconnectBackoff(Mutex<Option<Last>>);

#[derive(Debug)]
struct Last {
    opened: Instant,
    /// Attempts in a row, this one included, since a connection last lasted.
    tries: u32,
}

impl ReconnectBackoff {
    /// Time of the next attempt, which counts as made then.
    pub(super) fn next(&self, now: Instant) -> Instant {
        let mut last = self.0.lock();
        let (opened, tries) = match &*last {
            None => (now, 1),
            Some(last)
                if now.saturating_duration_since(last.opened)
                    >= STEADY.max(PAUSE.after(last.tries)) =>
            {
                (now, 1)
            }
            Some(last) => {
                (now.max(last.opened + PAUSE.after(last.tries)), last.tries.saturating_add(1))
            }
        };
        *last = Some(Last { opened, tries });
        opened
    }
}

#[cfg(test)]
mod tests;
