//! The journal of a task as the engine writes and reads it: what its program did and saw, in order,
//! so that it can run again to the same point. Pure: rows of text in, entries out.
//!
//! A journal ends wherever its server ended. What it lacks had no effect: whatever a call may
//! depend on is durable before the call is sent.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::{
    base::{digest::sha256, text::cut},
    model::{RawJson, Seed},
    sandbox::{CallFailure, GuestInputs, ToolCall, history},
    store::JournalRow,
};

/// Most bytes of the journal of one task. A program that needs more runs to its end, but not again.
pub(super) const BYTES_MAX: usize = 64 * 1024 * 1024;
/// Most times in a row that a server may die while the program does nothing new. Such a program may
/// be what kills it.
const DEATHS_MAX: u32 = 20;
/// Bytes of a call's arguments that are kept to tell two calls apart.
const FORM_BYTES_MAX: usize = 500;

/// The response of a call, as the program gets it.
pub(super) type Answer = Result<RawJson, CallFailure>;

/// One entry of a journal.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Entry {
    /// The program began. The first entry.
    Began {
        /// Seed of its random numbers.
        seed: Seed,
        /// The origin of its clock, in milliseconds since 1970.
        origin_ms: u64,
    },
    /// The program made a call.
    Issued {
        /// Number of the call.
        seq: u32,
        /// Digest of path and arguments.
        digest: String,
        /// Path and the beginning of the arguments.
        form: String,
        /// Milliseconds of the task's time limit that were used.
        used_ms: u64,
    },
    /// The call is about to be sent to its upstream.
    Sent {
        /// Number of the call.
        seq: u32,
    },
    /// The program got the response of a call.
    Settled {
        /// Number of the call.
        seq: u32,
        /// The response.
        answer: Answer,
    },
    /// What the program saw of time, as hexadecimal digits of the form of [`history`].
    Observed(String),
    /// Another process goes on with the program.
    Resumed,
    /// The server stopped in order.
    Stopped,
    /// Nothing more is noted, and why: the program cannot run again. The last entry.
    GivenUp(String),
}

impl Entry {
    /// The entry of a call that the program makes.
    pub(super) fn issued(call: &ToolCall, used_ms: u64) -> Self {
        let CallForm { digest, form } = CallForm::of(call);
        Self::Issued { seq: call.seq, digest, form, used_ms }
    }
}

/// A call as it is compared with that of an earlier run.
#[derive(Debug, Clone, PartialEq, Eq)]
struct CallForm {
    digest: String,
    form: String,
}

impl CallForm {
    fn of(call: &ToolCall) -> Self {
        let (path, args) = (&call.path, call.args.get());
        let form = format!("tools.{path}({})", cut(args, FORM_BYTES_MAX));
        Self { digest: sha256(format!("{path}\n{args}")), form }
    }
}

/// A journal that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum JournalError {
    /// A row or the beginning is missing.
    #[error("its journal has a gap")]
    Gap,
    /// A row cannot be read.
    #[error("its journal cannot be read")]
    Unreadable(#[source] serde_json::Error),
    /// It was given up while the program ran.
    #[error("{0}")]
    GivenUp(String),
    /// The entries contradict each other.
    #[error("its journal contradicts itself")]
    Contradiction,
}

/// What an earlier run of a task did and saw.
#[derive(Debug)]
pub(super) struct Replay {
    /// Seed of the random numbers.
    pub(super) seed: Seed,
    /// The origin of the clock, in milliseconds since 1970; 0 for the beginning of the next run.
    pub(super) origin_ms: u64,
    /// Milliseconds of the task's time limit that were used.
    pub(super) used_ms: u64,
    /// The number of the next row.
    pub(super) rows: u32,
    /// Bytes of all rows.
    pub(super) bytes: usize,
    history: Vec<history::Entry>,
    calls: BTreeMap<u32, EarlierCall>,
    /// The calls whose response the program got, in that order.
    settled: VecDeque<u32>,
}

#[derive(Debug)]
struct EarlierCall {
    form: CallForm,
    is_sent: bool,
    answer: Option<Answer>,
    /// True once the program has made it again.
    is_repeated: bool,
}

/// What the journal says of a call that the program makes.
#[derive(Debug)]
pub(super) enum Earlier {
    /// Nothing: the earlier run did not come to it.
    None,
    /// It had a response.
    Answered {
        /// The response.
        answer: Answer,
        /// True if it was sent to an upstream.
        was_sent: bool,
    },
    /// It was made and not sent.
    NotSent,
    /// It was sent, and whether it was carried out is not known.
    Sent,
    /// The earlier run made another call at this point.
    Other {
        /// That call.
        before: String,
        /// This one.
        now: String,
    },
}

impl Replay {
    /// Nothing to be repeated: a program that begins now, with this seed.
    pub(super) fn none(seed: Seed, origin_ms: u64) -> Self {
        Self {
            seed,
            origin_ms,
            used_ms: 0,
            rows: 0,
            bytes: 0,
            history: Vec::new(),
            calls: BTreeMap::new(),
            settled: VecDeque::new(),
        }
    }

    /// Reads a journal. None if it is empty: the earlier run left no trace.
    pub(super) fn read(rows: &[JournalRow]) -> Result<Option<Self>, JournalError> {
        let Some(first) = rows.first() else { return Ok(None) };
        let Some(Entry::Began { seed, origin_ms }) = entries(first)?.into_iter().next() else {
            return Err(JournalError::Gap);
        };
        let (mut replay, mut deaths) = (Self::none(seed, origin_ms), 0);
        for (n, row) in rows.iter().enumerate() {
            if row.n as usize != n {
                return Err(JournalError::Gap);
            }
            replay.bytes += row.entries.len();
            for entry in entries(row)? {
                deaths = if matches!(entry, Entry::Resumed) { deaths + 1 } else { 0 };
                replay.add(entry)?;
            }
        }
        if deaths >= DEATHS_MAX {
            let why = format!("{deaths} servers in a row died while it ran");
            return Err(JournalError::GivenUp(why));
        }
        replay.rows = rows.len() as u32;
        Ok(Some(replay))
    }

    fn add(&mut self, entry: Entry) -> Result<(), JournalError> {
        match entry {
            Entry::Began { .. } | Entry::Resumed | Entry::Stopped => {}
            Entry::Issued { seq, digest, form, used_ms } => {
                if seq as usize != self.calls.len() + 1 {
                    return Err(JournalError::Contradiction);
                }
                let form = CallForm { digest, form };
                self.calls.insert(
                    seq,
                    EarlierCall { form, is_sent: false, answer: None, is_repeated: false },
                );
                self.used_ms = used_ms;
            }
            Entry::Sent { seq } => self.call(seq)?.is_sent = true,
            Entry::Settled { seq, answer } => {
                let call = self.call(seq)?;
                if call.answer.replace(answer).is_some() {
                    return Err(JournalError::Contradiction);
                }
                self.settled.push_back(seq);
            }
            Entry::GivenUp(why) => return Err(JournalError::GivenUp(why)),
            Entry::Observed(text) => {
                let bytes = hex::decode(text).map_err(|_| JournalError::Contradiction)?;
                self.history.extend(history::decode(&bytes).ok_or(JournalError::Contradiction)?);
            }
        }
        Ok(())
    }

    fn call(&mut self, seq: u32) -> Result<&mut EarlierCall, JournalError> {
        self.calls.get_mut(&seq).ok_or(JournalError::Contradiction)
    }

    /// What the guest of the next run sees of time and chance.
    pub(super) fn inputs(&mut self, now_ms: u64) -> GuestInputs {
        if self.origin_ms == 0 {
            self.origin_ms = now_ms;
        }
        GuestInputs {
            origin_ms: self.origin_ms,
            elapsed_ms: now_ms.saturating_sub(self.origin_ms),
            seed: self.seed,
            history: std::mem::take(&mut self.history),
            calls: self.calls.len() as u32,
            responses: self.settled.len() as u32,
        }
    }

    /// What is known of a call that the program makes now. The response of each is taken once.
    pub(super) fn earlier(&mut self, call: &ToolCall) -> Earlier {
        let Some(earlier) = self.calls.get_mut(&call.seq) else { return Earlier::None };
        let form = CallForm::of(call);
        if earlier.form.digest != form.digest {
            return Earlier::Other { before: earlier.form.form.clone(), now: form.form };
        }
        earlier.is_repeated = true;
        match earlier.answer.take() {
            Some(answer) => Earlier::Answered { answer, was_sent: earlier.is_sent },
            None if earlier.is_sent => Earlier::Sent,
            None => Earlier::NotSent,
        }
    }

    /// True if the response of this call is the next one that the program gets. It counts as got.
    pub(super) fn is_next(&mut self, seq: u32) -> bool {
        let is_next = self.settled.front() == Some(&seq);
        if is_next {
            self.settled.pop_front();
        }
        is_next
    }

    /// What the program did not do again, if anything: a call that was not made, or a response that
    /// it did not wait for.
    pub(super) fn unrepeated(&self) -> Option<String> {
        let call = self.calls.values().find(|call| !call.is_repeated);
        let response = || self.settled.front().and_then(|seq| self.calls.get(seq));
        let missing = call.map(|call| ("it ended without calling", call));
        let missing = missing.or_else(|| Some(("it ended before the response of", response()?)));
        missing.map(|(what, call)| format!("{what} {}", call.form.form))
    }

    /// True once the program has every response of the earlier run.
    pub(super) fn is_over(&self) -> bool {
        self.settled.is_empty()
    }
}

fn entries(row: &JournalRow) -> Result<Vec<Entry>, JournalError> {
    serde_json::from_str(&row.entries).map_err(JournalError::Unreadable)
}

#[cfg(test)]
#[path = "replay/tests.rs"]
mod tests;
