//! The frames between the broker and one worker process, over a stream socket.
//!
//! `u32 length | u8 kind | u32 run | body`, little endian; the length counts everything after
//! itself. A worker runs one guest at a time, so a frame that names another run than the current
//! one is a violation. Knows no engine: any process that speaks these frames can back a
//! `runtimeId`. JSON from guests and tools passes through as bytes. Both sides read with
//! [`read_frame`], which rejects an unknown kind or a length over the kind's limit before it
//! allocates.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

use super::{
    history::{self, Entry},
    locks::Locks,
};
use crate::model::{LogLevel, RawJson, Seed, TaskError};

/// Version of the frames, raised with every change of one. A worker of another version is refused.
pub const VERSION: u32 = 5;
/// Bytes between length and body: kind and run.
pub const HEAD_BYTES: usize = 5;
/// Bytes before the body.
pub const PREFIX_BYTES: usize = 4 + HEAD_BYTES;
/// Number of calls of one run that may be in flight; a response ends one.
pub const CALLS_IN_FLIGHT_MAX: usize = 256;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Kind of a frame. Numbers below 32 go to the worker, the others come from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// [`Setup`] as JSON; the first frame, once.
    Setup = 1,
    /// `u32 length of RunHead | RunHead as JSON | u32 length of history | history | source`; only
    /// while no run is under way. The history is that of the run which this one repeats, encoded
    /// by [`history::encode`].
    Run = 2,
    /// `u32 call | u8 ok | JSON`: a value, or a [`CallFailure`]. Also permits a parked guest to
    /// continue.
    Response = 3,
    /// Permits the guest to continue after `Wake`. No body.
    Go = 4,
    /// [`StopReason`] as one byte: ends the guest now.
    Stop = 5,
    /// Ends the process once no run is under way. No body.
    Shutdown = 6,

    /// [`Armed`] as JSON: the first isolate is built and the process is locked down.
    Armed = 32,
    /// The next isolate is built; a `Run` starts without delay. No body.
    Ready = 33,
    /// `u32 call | u32 line | u16 length of path | path | arguments as JSON`. `call` counts from 1
    /// in the order in which the guest issues calls.
    Call = 34,
    /// `u8 level | text`: one line of console output, within the limits.
    Log = 35,
    /// `u32 responses`: the guest only waits, so its permit may go to another. `responses` counts
    /// the `Response` frames of this run that the worker has received: fewer than the broker sent
    /// means that the guest continues by itself.
    Parked = 36,
    /// A timer fired while parked; the guest waits for `Go`. No body.
    Wake = 37,
    /// `u32 length of DoneHead | DoneHead as JSON | result as JSON`. The run is over.
    Done = 38,
    /// [`FatalReason`] as one byte: the last frame of a process that is about to die.
    Fatal = 39,
    /// What the guest saw of time since the last such frame, encoded by [`history::encode`]. Comes
    /// before the `Call` and `Parked` that may depend on it.
    History = 40,
}

impl Kind {
    /// Returns the kind with this number.
    pub fn from_u8(byte: u8) -> Option<Self> {
        use Kind::*;
        [
            Setup, Run, Response, Go, Stop, Shutdown, Armed, Ready, Call, Log, Parked, Wake, Done,
            Fatal, History,
        ]
        .into_iter()
        .find(|kind| *kind as u8 == byte)
    }

    /// Upper bound on the body in bytes.
    pub fn body_max(self) -> usize {
        match self {
            Self::Setup | Self::Armed => 64 * KIB,
            Self::Run => 2 * MIB,
            Self::History => history::BYTES_MAX,
            Self::Response => 9 * MIB,
            Self::Call => 2 * MIB,
            Self::Log => 16 * KIB,
            Self::Done => 65 * MIB,
            Self::Parked => 4,
            Self::Stop | Self::Fatal => 1,
            Self::Go | Self::Shutdown | Self::Ready | Self::Wake => 0,
        }
    }
}

/// Settings that hold for every run of a worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Setup {
    /// [`VERSION`] of the broker.
    pub version: u32,
    /// Limit on the heap of one guest, in bytes.
    pub heap_bytes_max: u64,
    /// Limit on the array buffers of one guest, which are outside the heap, in bytes.
    pub buffer_bytes_max: u64,
    /// Limit on a result's JSON, in bytes.
    pub result_bytes_max: u64,
    /// Limit on the JSON of one call's arguments, in bytes.
    pub args_bytes_max: u64,
    /// Limit on the console output of one run, in bytes.
    pub log_bytes_max: u64,
    /// Limit on the lines of console output of one run.
    pub log_lines_max: u64,
    /// Limit on calls that wait in the guest because [`CALLS_IN_FLIGHT_MAX`] are in flight.
    pub calls_queued_max: u64,
    /// Limit on the active timers of one guest.
    pub timers_max: u64,
    /// Options of the engine, which only the worker understands.
    pub engine_options: RawJson,
}

/// Settings of one run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunHead {
    /// Limit on the CPU time of the guest's thread in milliseconds; the worker enforces it.
    pub cpu_ms_max: u64,
    /// The wall time limit in milliseconds, for messages only: the broker enforces it.
    pub wall_ms_max: u64,
    /// The origin of the guest's clock, in milliseconds since 1970: the beginning of the first run
    /// of its task.
    pub origin_ms: u64,
    /// Milliseconds from the origin until now.
    pub elapsed_ms: u64,
    /// Seed of all random numbers of the guest.
    pub seed: Seed,
    /// Calls that the repeated run issued; 0 if none is repeated.
    pub calls: u32,
    /// Responses that the repeated run received.
    pub responses: u32,
}

/// The first frame of a worker, sent once, before any guest.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Armed {
    /// [`VERSION`] of the worker.
    pub version: u32,
    /// Name and version of the engine, for display.
    pub engine: String,
    /// Operating-system locks in force on the process that runs guests. The broker refuses a worker
    /// that lacks one its engine requires.
    pub locks: Locks,
    /// Pid of the process that runs guests, if that is a child of the worker. The broker checks
    /// whose child it is, then counts its CPU time and kills it at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine_pid: Option<u32>,
}

/// Reason for which the broker ends a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum StopReason {
    /// The wall time limit was reached.
    Wall = 1,
    /// The run was cancelled, or the server stops.
    Cancel = 2,
}

impl StopReason {
    /// Returns the reason with this number.
    pub fn from_u8(byte: u8) -> Option<Self> {
        [Self::Wall, Self::Cancel].into_iter().find(|reason| *reason as u8 == byte)
    }
}

/// Reason for which a worker dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum FatalReason {
    /// The engine ran out of memory where it could not stop the guest.
    OutOfMemory = 1,
    /// The engine detected an internal error.
    Fatal = 2,
}

impl FatalReason {
    /// Returns the reason with this number.
    pub fn from_u8(byte: u8) -> Option<Self> {
        [Self::OutOfMemory, Self::Fatal].into_iter().find(|reason| *reason as u8 == byte)
    }
}

/// The failure of a call. The guest receives an `Error` with these own properties.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallFailure {
    /// `ToolCallError`, `ToolPolicyError`, `ToolNotFoundError` or `ToolArgumentError`.
    pub name: String,
    /// Description of the failure and, if there is one, its remedy.
    pub message: String,
    /// Further properties: `code`, `tool`, `status`, `retryable`, `rule`, `retryAfterMs`,
    /// `approvalId`.
    #[serde(flatten)]
    pub properties: crate::model::JsonObject,
}

/// End of a run as the worker reports it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DoneHead {
    /// The outcome. If it is `Returned`, the result follows the head.
    pub outcome: DoneOutcome,
    /// CPU time of the guest's thread in milliseconds.
    pub cpu_ms: u64,
    /// The largest heap that was measured, array buffers included.
    pub heap_peak_bytes: u64,
    /// Number of console lines that the worker dropped.
    pub dropped_lines: u64,
    /// Number of console bytes that the worker dropped.
    pub dropped_bytes: u64,
    /// Warnings for the caller: calls that were not awaited, unhandled rejections.
    pub warnings: Vec<String>,
    /// True if the process must not run another guest: it was stopped by force or came near its
    /// memory limit.
    pub spent: bool,
}

/// Outcome of a run as the worker reports it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum DoneOutcome {
    /// The code returned; the result's JSON follows the head.
    Returned,
    /// The code threw, rejected, did not parse, or awaits a promise that can never settle.
    Threw {
        /// The error that was thrown.
        error: TaskError,
        /// Number of the failed call whose error object ended the run. The broker trusts it only if
        /// it rejected this call itself.
        call: Option<u32>,
    },
    /// Heap or array buffers reached their limit.
    MemoryLimit {
        /// Names the limit.
        message: String,
    },
    /// The CPU time limit was reached.
    CpuLimit,
    /// The broker's `Stop` took effect.
    Stopped,
}

/// A frame that was read.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Its kind.
    pub kind: Kind,
    /// The run it belongs to; 0 for the process as a whole.
    pub run: u32,
    /// Everything after the run.
    pub body: Vec<u8>,
}

/// A frame that breaks the grammar. The reader ends the connection.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The stream ended between two frames.
    #[error("the other side closed the connection")]
    Closed,
    /// Reading or writing failed, or the stream ended within a frame.
    #[error("frame input or output failed")]
    Io(#[source] io::Error),
    /// The number names no kind.
    #[error("unknown frame kind {0}")]
    UnknownKind(u8),
    /// The length is over the kind's limit.
    #[error("a {kind:?} frame is {bytes} bytes; the limit is {max}")]
    Length {
        /// The kind.
        kind: Kind,
        /// The announced length of the body.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// The body does not have the form of its kind.
    #[error("a malformed {0:?} frame")]
    Malformed(Kind),
}

/// Parses and checks the bytes before a body: kind, run and length of the body.
pub fn parse_head(head: [u8; PREFIX_BYTES]) -> Result<(Kind, u32, usize), FrameError> {
    let [l0, l1, l2, l3, kind, r0, r1, r2, r3] = head;
    let kind = Kind::from_u8(kind).ok_or(FrameError::UnknownKind(kind))?;
    let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    let max = kind.body_max();
    match length.checked_sub(HEAD_BYTES) {
        Some(bytes) if bytes <= max => Ok((kind, u32::from_le_bytes([r0, r1, r2, r3]), bytes)),
        bytes => Err(FrameError::Length { kind, bytes: bytes.unwrap_or(0), max }),
    }
}

/// Encodes a frame whose body is the concatenation of `parts`.
///
/// # Panics
/// If the body is over the kind's limit: the sender must check it before.
pub fn encode(kind: Kind, run: u32, parts: &[&[u8]]) -> Vec<u8> {
    let body: usize = parts.iter().map(|part| part.len()).sum();
    assert!(body <= kind.body_max(), "a {kind:?} frame of {body} bytes must not be sent");
    let mut bytes = Vec::with_capacity(PREFIX_BYTES + body);
    bytes.extend_from_slice(&((HEAD_BYTES + body) as u32).to_le_bytes());
    bytes.push(kind as u8);
    bytes.extend_from_slice(&run.to_le_bytes());
    for part in parts {
        bytes.extend_from_slice(part);
    }
    bytes
}

/// Writes one frame. Blocks.
pub fn write_frame(
    to: &mut impl Write,
    kind: Kind,
    run: u32,
    parts: &[&[u8]],
) -> Result<(), FrameError> {
    to.write_all(&encode(kind, run, parts)).map_err(FrameError::Io)
}

/// Reads one frame. Blocks.
pub fn read_frame(from: &mut impl Read) -> Result<Frame, FrameError> {
    let mut head = [0; PREFIX_BYTES];
    // The head comes in one piece nearly always, so this is one system call.
    match from.read(&mut head) {
        Ok(0) => return Err(FrameError::Closed),
        Ok(read) => from.read_exact(&mut head[read..]).map_err(FrameError::Io)?,
        Err(error) => return Err(FrameError::Io(error)),
    }
    let (kind, run, bytes) = parse_head(head)?;
    let mut body = vec![0; bytes];
    from.read_exact(&mut body).map_err(FrameError::Io)?;
    Ok(Frame { kind, run, body })
}

/// Splits a body into its JSON head, which its length precedes, and the rest.
pub fn split_head<'a, T: Deserialize<'a>>(
    kind: Kind,
    body: &'a [u8],
) -> Result<(T, &'a [u8]), FrameError> {
    let malformed = || FrameError::Malformed(kind);
    let (length, rest) = body.split_first_chunk::<4>().ok_or_else(malformed)?;
    let (head, rest) =
        rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(malformed)?;
    Ok((serde_json::from_slice(head).map_err(|_| malformed())?, rest))
}

/// Encodes a head as its length and its JSON, for [`encode`].
pub fn join_head<T: Serialize>(head: &T) -> Vec<u8> {
    let json = serde_json::to_vec(head).expect("a head holds only strings and numbers");
    [&(json.len() as u32).to_le_bytes()[..], &json].concat()
}

/// The parsed body of a `Call` frame.
#[derive(Debug, PartialEq)]
pub struct CallBody<'a> {
    /// Number of the call within the run, from 1.
    pub call: u32,
    /// Line of the guest's source that issued the call, from 1; 0 if unknown.
    pub line: u32,
    /// Path of the tool.
    pub path: &'a str,
    /// The arguments as JSON, unchecked.
    pub args: &'a [u8],
}

/// Parses the body of a `Call` frame.
pub fn parse_call(body: &[u8]) -> Result<CallBody<'_>, FrameError> {
    let malformed = || FrameError::Malformed(Kind::Call);
    let (call, rest) = body.split_first_chunk::<4>().ok_or_else(malformed)?;
    let (line, rest) = rest.split_first_chunk::<4>().ok_or_else(malformed)?;
    let (length, rest) = rest.split_first_chunk::<2>().ok_or_else(malformed)?;
    let (path, args) =
        rest.split_at_checked(u16::from_le_bytes(*length) as usize).ok_or_else(malformed)?;
    let path = std::str::from_utf8(path).map_err(|_| malformed())?;
    Ok(CallBody { call: u32::from_le_bytes(*call), line: u32::from_le_bytes(*line), path, args })
}

/// Parses the body of a `Response` frame: number of the call, success, JSON.
pub fn parse_response(body: &[u8]) -> Result<(u32, bool, &[u8]), FrameError> {
    let malformed = || FrameError::Malformed(Kind::Response);
    let (call, rest) = body.split_first_chunk::<4>().ok_or_else(malformed)?;
    let (ok, json) = rest.split_first().ok_or_else(malformed)?;
    match ok {
        0 | 1 => Ok((u32::from_le_bytes(*call), *ok == 1, json)),
        _ => Err(malformed()),
    }
}

/// Splits the body of a `Run` frame: its head, its history and the source.
pub fn parse_run(body: &[u8]) -> Result<(RunHead, Vec<Entry>, &str), FrameError> {
    let malformed = || FrameError::Malformed(Kind::Run);
    let (head, rest) = split_head(Kind::Run, body)?;
    let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(malformed)?;
    let (history, source) =
        rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(malformed)?;
    let history = history::decode(history).ok_or_else(malformed)?;
    Ok((head, history, std::str::from_utf8(source).map_err(|_| malformed())?))
}

/// Encodes a log level as in a `Log` frame.
pub fn level_to_u8(level: LogLevel) -> u8 {
    match level {
        LogLevel::Debug => 0,
        LogLevel::Info => 1,
        LogLevel::Warn => 2,
        LogLevel::Error => 3,
    }
}

/// Decodes a log level of a `Log` frame.
pub fn level_from_u8(byte: u8) -> Option<LogLevel> {
    [LogLevel::Debug, LogLevel::Info, LogLevel::Warn, LogLevel::Error]
        .into_iter()
        .find(|level| level_to_u8(*level) == byte)
}
