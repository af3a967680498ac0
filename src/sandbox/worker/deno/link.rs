//! The frames between the worker and Deno: `u32 length | u8 kind | body`, little endian; the length
//! counts everything after itself.
//!
//! A separate grammar from the broker's ([`crate::sandbox::protocol`]): it carries details of the
//! engine, and its content is never trusted. `runtime-js/deno/main.js` is the other side.

use serde::{Deserialize, Serialize};

/// Kind of a frame to Deno.
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
pub(super) enum ToDeno {
    /// [`Setup`] as JSON, once.
    Setup = 1,
    /// `u32 length of Program | Program as JSON | script`.
    Run = 2,
    /// `u32 call | u8 ok | JSON`.
    Response = 3,
    /// `u32 timer`: the timer is due.
    Fire = 4,
    /// The reply to a `Query`.
    Reply = 5,
    /// The run is over, whatever it still waits for. No body.
    End = 6,
}

/// Kind of a frame from Deno.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum FromDeno {
    /// [`Hello`] as JSON, once.
    Hello = 32,
    /// The next realm is built. No body.
    Ready = 33,
    /// `u32 call | u32 line | u32 column | u16 length of path | path | arguments as JSON`.
    Call = 34,
    /// `u8 level | text`.
    Log = 35,
    /// `u32 responses received | u32 timers fired | u32 calls without a response | u32 heap in
    /// KiB`: nothing can continue by itself.
    Idle = 36,
    /// `u32 timer | f64 milliseconds | u8 repeats`: the timer starts.
    Timer = 37,
    /// `u32 timer`: the timer is stopped.
    Clear = 38,
    /// Text of a warning.
    Warn = 39,
    /// `u32 length of DoneHead | DoneHead as JSON | result as JSON`.
    Done = 40,
    /// `u8 1 | u32 algorithm | bytes`: requests a digest; `u8 2 | text`: requests the text of a
    /// stack; `u8 3 | u32 length`: requests random bytes. Deno waits for the `Reply`.
    Query = 41,
    /// `u32 readings | f64 milliseconds`: the guest's clock shows another value, after so many
    /// readings of the one before.
    Tick = 42,
}

impl FromDeno {
    /// Returns the kind with this number.
    pub(super) fn from_u8(byte: u8) -> Option<Self> {
        use FromDeno::*;
        [Hello, Ready, Call, Log, Idle, Timer, Clear, Warn, Done, Query, Tick]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// Settings that hold for every run.
#[derive(Debug, Serialize)]
pub(super) struct Setup<'a> {
    /// The script that builds a realm.
    pub(super) realm: &'a str,
    pub(super) limits: Limits,
    pub(super) messages: Messages,
}

/// Limits that Deno's side enforces where a guest must notice at once. Worker and broker enforce
/// them as well.
#[derive(Debug, Serialize)]
pub(super) struct Limits {
    pub(super) args_bytes_max: u64,
    pub(super) result_bytes_max: u64,
    pub(super) calls_in_flight_max: usize,
    pub(super) calls_queued_max: u64,
    pub(super) queued_bytes_max: usize,
    pub(super) timers_max: u64,
}

/// Messages of rejections, identical to those of the other runtime.
#[derive(Debug, Serialize)]
pub(super) struct Messages {
    pub(super) too_many_calls: String,
    pub(super) too_many_bytes: String,
    pub(super) too_many_timers: String,
    /// `{}` is a placeholder for the name of the module.
    pub(super) import_refused: String,
}

/// Name and origin of a script.
#[derive(Debug, Serialize)]
pub(super) struct Program {
    pub(super) name: &'static str,
    pub(super) line_offset: i32,
    pub(super) column_offset: i32,
    pub(super) clock: GuestClock,
}

/// The clock of a guest, and how far it repeats an earlier run.
#[derive(Debug, Serialize)]
pub(super) struct GuestClock {
    /// Its origin, in milliseconds since 1970.
    pub(super) origin_ms: u64,
    /// Milliseconds from the origin until now.
    pub(super) elapsed_ms: u64,
    /// Readings of the earlier run: `[readings, ms, readings, ms, …]`.
    pub(super) ticks: Vec<f64>,
    /// Calls that the earlier run issued.
    pub(super) calls: u32,
    /// Turns that the earlier run took: responses and timers.
    pub(super) turns: u32,
}

/// Versions of Deno and its engine.
#[derive(Debug, Deserialize)]
pub(super) struct Hello {
    pub(super) deno: String,
    pub(super) v8: String,
}

/// End of a run.
#[derive(Debug, Deserialize)]
pub(super) struct DoneHead {
    pub(super) kind: DoneKind,
    pub(super) thrown: Option<Thrown>,
    /// Number of calls without a response.
    pub(super) outstanding: usize,
    pub(super) rejections: Vec<Thrown>,
    pub(super) more_rejections: u64,
    pub(super) heap_kb: u64,
}

/// Outcomes that Deno's side distinguishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum DoneKind {
    Returned,
    Threw,
    ResultLimit,
    NotAProgram,
}

/// Description of a thrown value.
#[derive(Debug, Deserialize)]
pub(super) struct Thrown {
    pub(super) name: String,
    pub(super) message: String,
    /// The call of which it is the failure; 0 for none.
    pub(super) call: u32,
    /// Function, line and column of the guest's own stack frames, as the engine counts them.
    pub(super) frames: Vec<(String, u32, u32)>,
}

/// A frame that was read.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) kind: FromDeno,
    pub(super) body: Vec<u8>,
}

/// Parses the frame at the beginning of `input`. Returns it and its length, or `None` if it is
/// incomplete.
///
/// # Errors
/// A description of a frame that breaks the grammar.
pub(super) fn parse(input: &[u8], bytes_max: usize) -> Result<Option<(Frame, usize)>, String> {
    let Some((length, rest)) = input.split_first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_le_bytes(*length) as usize;
    if length == 0 || length > bytes_max {
        return Err(format!("a frame is {length} bytes; the limit is 1 to {bytes_max}"));
    }
    let Some((kind, body)) = rest.get(..length).and_then(<[u8]>::split_first) else {
        return Ok(None);
    };
    let kind = FromDeno::from_u8(*kind).ok_or_else(|| format!("unknown frame kind {kind}"))?;
    Ok(Some((Frame { kind, body: body.to_vec() }, 4 + length)))
}

/// Encodes a frame whose body is the concatenation of `parts`.
pub(super) fn encode(kind: ToDeno, parts: &[&[u8]]) -> Vec<u8> {
    let body: usize = parts.iter().map(|part| part.len()).sum();
    let mut bytes = Vec::with_capacity(5 + body);
    bytes.extend_from_slice(&(1 + body as u32).to_le_bytes());
    bytes.push(kind as u8);
    parts.iter().for_each(|part| bytes.extend_from_slice(part));
    bytes
}

/// Reads the parts of a body one after the other. Returns `None` if it is too short.
pub(super) struct BodyReader<'a>(pub(super) &'a [u8]);

impl<'a> BodyReader<'a> {
    pub(super) fn u8(&mut self) -> Option<u8> {
        self.bytes().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.bytes().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.bytes().map(u32::from_le_bytes)
    }

    pub(super) fn f64(&mut self) -> Option<f64> {
        self.bytes().map(f64::from_le_bytes)
    }

    pub(super) fn text(&mut self, length: usize) -> Option<&'a str> {
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        std::str::from_utf8(text).ok()
    }

    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*bytes)
    }
}
