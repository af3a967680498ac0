//! Calls in flight and calls that wait for one of the slots in flight. Pure: `T` is the engine's
//! data for a call.

use std::collections::{HashMap, VecDeque};

use crate::sandbox::{protocol::CALLS_IN_FLIGHT_MAX, worker::messages};

/// Limit on the total arguments of waiting calls, in bytes.
const QUEUED_BYTES_MAX: usize = 64 << 20;

/// A call to be sent.
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

/// Reasons for which a call is rejected before it is sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum TooMany {
    #[error("{}", messages::too_many_calls(*.0))]
    Calls(u64),
    #[error("{}", messages::too_many_bytes(QUEUED_BYTES_MAX))]
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

    /// Adds a call. Returns it if it may be sent at once.
    pub(super) fn issue(
        &mut self,
        path: String,
        args: String,
        data: T,
    ) -> Result<Option<Call>, TooMany> {
        let waits = self.in_flight >= CALLS_IN_FLIGHT_MAX;
        if waits && self.queued.len() as u64 >= self.queued_max {
            return Err(TooMany::Calls(self.queued_max + CALLS_IN_FLIGHT_MAX as u64));
        }
        if waits && self.queued_bytes + args.len() > QUEUED_BYTES_MAX {
            return Err(TooMany::Bytes);
        }
        self.issued += 1;
        self.pending.insert(self.issued, data);
        let call = Call { call: self.issued, path, args };
        if waits {
            self.queued_bytes += call.args.len();
            self.queued.push_back(call);
            return Ok(None);
        }
        self.in_flight += 1;
        Ok(Some(call))
    }

    /// Removes a call that has its response and returns its data; `None` if the call is not in
    /// flight.
    pub(super) fn complete(&mut self, call: u32) -> Option<T> {
        // A waiting call was not sent, so the broker cannot know its number.
        if self.queued.front().is_some_and(|first| call >= first.call) {
            return None;
        }
        let data = self.pending.remove(&call)?;
        self.in_flight -= 1;
        Some(data)
    }

    /// Data of a call that has no response yet.
    pub(super) fn data(&self, call: u32) -> Option<&T> {
        self.pending.get(&call)
    }

    /// Removes the next waiting call that may be sent now.
    pub(super) fn next(&mut self) -> Option<Call> {
        if self.in_flight >= CALLS_IN_FLIGHT_MAX {
            return None;
        }
        let call = self.queued.pop_front()?;
        self.queued_bytes -= call.args.len();
        self.in_flight += 1;
        Some(call)
    }

    /// Number of calls that were issued, including waiting ones.
    pub(super) fn issued(&self) -> u32 {
        self.issued
    }

    /// Number of calls without a response, including waiting ones.
    pub(super) fn outstanding(&self) -> usize {
        self.pending.len()
    }
}
