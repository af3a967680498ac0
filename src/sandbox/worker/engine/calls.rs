//! Which calls are under way and which still wait for a place. Pure: `T` is what the engine keeps
//! per call.

use std::collections::{HashMap, VecDeque};

use crate::sandbox::{protocol::CALLS_IN_FLIGHT_MAX, worker::endings};

/// Arguments of calls that wait for a place, in bytes, all together.
const QUEUED_BYTES_MAX: usize = 64 << 20;

/// One call as it leaves.
pub(super) struct Call {
    pub(super) call: u32,
    pub(super) path: String,
    pub(super) args: String,
}

/// The calls of one run.
pub(super) struct Calls<T> {
    queued_max: u64,
    issued: u32,
    in_flight: usize,
    queued: VecDeque<Call>,
    queued_bytes: usize,
    pending: HashMap<u32, T>,
}

/// Why a call is refused before it leaves.
#[derive(Debug, thiserror::Error)]
pub(super) enum TooMany {
    #[error("{}", endings::too_many_calls(*.0))]
    Calls(u64),
    #[error("{}", endings::too_many_bytes(QUEUED_BYTES_MAX))]
    Bytes,
}

impl<T> Calls<T> {
    pub(super) fn new(queued_max: u64) -> Self {
        Self {
            queued_max,
            issued: 0,
            in_flight: 0,
            queued: VecDeque::new(),
            queued_bytes: 0,
            pending: HashMap::new(),
        }
    }

    /// Takes a call in; answers it back when it may leave at once.
    pub(super) fn issue(
        &mut self,
        path: String,
        args: String,
        kept: T,
    ) -> Result<Option<Call>, TooMany> {
        let waits = self.in_flight >= CALLS_IN_FLIGHT_MAX;
        if waits && self.queued.len() as u64 >= self.queued_max {
            return Err(TooMany::Calls(self.queued_max + CALLS_IN_FLIGHT_MAX as u64));
        }
        if waits && self.queued_bytes + args.len() > QUEUED_BYTES_MAX {
            return Err(TooMany::Bytes);
        }
        self.issued += 1;
        self.pending.insert(self.issued, kept);
        let call = Call { call: self.issued, path, args };
        if waits {
            self.queued_bytes += call.args.len();
            self.queued.push_back(call);
            return Ok(None);
        }
        self.in_flight += 1;
        Ok(Some(call))
    }

    /// What was kept for a call that was answered; none for a number that is not under way. Frees a
    /// place.
    pub(super) fn answered(&mut self, call: u32) -> Option<T> {
        // One that still waits has not left: the broker cannot know its number.
        if self.queued.front().is_some_and(|first| call >= first.call) {
            return None;
        }
        let kept = self.pending.remove(&call)?;
        self.in_flight -= 1;
        Some(kept)
    }

    /// What is kept for a call that has no answer yet.
    pub(super) fn kept(&self, call: u32) -> Option<&T> {
        self.pending.get(&call)
    }

    /// The next call that may leave now.
    pub(super) fn next(&mut self) -> Option<Call> {
        if self.in_flight >= CALLS_IN_FLIGHT_MAX {
            return None;
        }
        let call = self.queued.pop_front()?;
        self.queued_bytes -= call.args.len();
        self.in_flight += 1;
        Some(call)
    }

    /// Calls without an answer, those that wait included.
    pub(super) fn outstanding(&self) -> usize {
        self.pending.len()
    }
}
