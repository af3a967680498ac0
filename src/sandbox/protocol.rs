//! The frames between the broker and one worker process, over a stream socket.
//!
//! `u32 length | u8 kind | u32 run | body`, little endian; the length counts everything after
//! itself. A worker runs one guest at a time, so `run` is a lease: a frame that names another run
//! than the one under way is a violation. Engine-neutral: nothing here knows V8, and any process
//! that speaks these frames can stand behind a `runtimeId`. JSON from guests and tools passes
//! through as bytes. Both sides read with [`read_frame`], which refuses an unknown kind or a length
//! over the kind's cap before it allocates.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

use crate::model::{LogLevel, TaskError};

/// Raised with every change of a frame; a worker of another version is refused at `Armed`.
pub const VERSION: u32 = 3;
/// Bytes before the body: kind and run.
pub const HEAD_BYTES: usize = 5;
/// Calls of one run that may be in flight; an answer gives one back.
pub const CALLS_IN_FLIGHT_MAX: usize = 256;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// What a frame is. Numbers below 32 go to the worker, the others come from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// [`Setup`] as JSON; the first frame, once.
    Setup = 1,
    /// `u32 length of RunHead | RunHead as JSON | source`; only when idle.
    Run = 2,
    /// `u32 call | u8 ok | JSON`: a value, or a [`CallFailure`]. Also the permission to go on after
    /// `Parked`.
    Answer = 3,
    /// Permission to go on after `Wake`. No body.
    Go = 4,
    /// [`StopReason`] as one byte: end the guest now.
    Stop = 5,
    /// End the process once idle. No body.
    Shutdown = 6,

    /// [`Armed`] as JSON; the first isolate is built and the process locked down.
    Armed = 32,
    /// The next isolate is built; a `Run` now starts at once. No body.
    Ready = 33,
    /// `u32 call | u32 line | u16 length of path | path | arguments as JSON`. `call` counts from 1
    /// in the order the guest issues calls.
    Call = 34,
    /// `u8 level | text`: one line of console output, already within the caps.
    Log = 35,
    /// `u32 answers`: the guest only waits; its permit may go to another. `answers` counts the
    /// `Answer` frames of this run that the worker has taken: fewer than the broker sent means that
    /// it will go on by itself.
    Parked = 36,
    /// A timer fired while parked; the guest waits for `Go`. No body.
    Wake = 37,
    /// `u32 length of DoneHead | DoneHead as JSON | result as JSON`. The run is over.
    Done = 38,
    /// [`Gasp`] as one byte: the last frame of a process that is about to die. No other frame
    /// follows.
    Gasp = 39,
}

impl Kind {
    /// The kind of that number.
    pub fn from_u8(byte: u8) -> Option<Self> {
        use Kind::*;
        [Setup, Run, Answer, Go, Stop, Shutdown, Armed, Ready, Call, Log, Parked, Wake, Done, Gasp]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }

    /// The largest body in bytes.
    pub fn body_max(self) -> usize {
        match self {
            Self::Setup | Self::Armed => 64 * KIB,
            Self::Run => MIB,
            Self::Answer => 9 * MIB,
            Self::Call => 2 * MIB,
            Self::Log => 16 * KIB,
            Self::Done => 65 * MIB,
            Self::Parked => 4,
            Self::Stop | Self::Gasp => 1,
            Self::Go | Self::Shutdown | Self::Ready | Self::Wake => 0,
        }
    }
}

/// What stays the same for every run of a worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Setup {
    /// [`VERSION`] of the broker.
    pub version: u32,
    /// Heap of one guest in bytes.
    pub heap_bytes_max: u64,
    /// Array buffers of one guest in bytes, outside the heap.
    pub buffer_bytes_max: u64,
    /// A result's JSON in bytes.
    pub result_bytes_max: u64,
    /// One call's arguments as JSON in bytes.
    pub args_bytes_max: u64,
    /// Console text in bytes, all lines together.
    pub log_bytes_max: u64,
    /// Console lines.
    pub log_lines_max: u64,
    /// Calls waiting in the guest for one of the [`CALLS_IN_FLIGHT_MAX`] places.
    pub calls_queued_max: u64,
    /// Timers at once.
    pub timers_max: u64,
    /// Whether V8's optimising compilers are on.
    pub optimize: bool,
}

/// What belongs to one run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunHead {
    /// CPU time of the guest's thread in milliseconds; the worker stops the guest at it.
    pub cpu_ms_max: u64,
    /// The wall limit in milliseconds, for messages only: the broker holds the clock.
    pub wall_ms_max: u64,
}

/// Sent once, when the worker can take a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Armed {
    /// [`VERSION`] of the worker.
    pub version: u32,
    /// Name and version of the engine, for people.
    pub engine: String,
    /// The operating system's locks in force, for people.
    pub sandbox: String,
    /// The process that runs guests, where that is not the worker itself but a child of it. The
    /// broker counts its CPU time and kills it, once it has seen whose child it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine_pid: Option<u32>,
}

/// Why the broker ends a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum StopReason {
    /// The wall limit.
    Wall = 1,
    /// Somebody cancelled, or the server stops.
    Cancel = 2,
}

impl StopReason {
    /// The reason of that number.
    pub fn from_u8(byte: u8) -> Option<Self> {
        [Self::Wall, Self::Cancel].into_iter().find(|reason| *reason as u8 == byte)
    }
}

/// Why a worker dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Gasp {
    /// The engine ran out of memory where it could not stop the guest.
    OutOfMemory = 1,
    /// The engine found itself broken.
    Fatal = 2,
}

impl Gasp {
    /// The reason of that number.
    pub fn from_u8(byte: u8) -> Option<Self> {
        [Self::OutOfMemory, Self::Fatal].into_iter().find(|reason| *reason as u8 == byte)
    }
}

/// A call that failed, as the guest gets it: an `Error` with these own properties.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallFailure {
    /// `ToolCallError`, `ToolPolicyError`, `ToolNotFoundError` or `ToolArgumentError`.
    pub name: String,
    /// What went wrong and, where there is one, the way out.
    pub message: String,
    /// Further properties: `code`, `tool`, `status`, `retryable`, `rule`, `retryAfterMs`,
    /// `approvalId`.
    #[serde(flatten)]
    pub properties: crate::model::JsonObject,
}

/// How a run ended, seen from inside the worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DoneHead {
    /// The outcome; the result follows the head when it is `Returned`.
    pub outcome: DoneOutcome,
    /// CPU time of the guest's thread in milliseconds.
    pub cpu_ms: u64,
    /// The largest heap seen, array buffers included.
    pub heap_peak_bytes: u64,
    /// Console lines the worker dropped.
    pub dropped_lines: u64,
    /// Console bytes the worker dropped.
    pub dropped_bytes: u64,
    /// What the caller should know: calls not awaited, unhandled rejections.
    pub warnings: Vec<String>,
    /// Whether the process is unfit for another run (it was stopped by force or came near its
    /// memory limit).
    pub spent: bool,
}

/// The closed list of endings.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum DoneOutcome {
    /// The code returned; the result's JSON follows the head.
    Returned,
    /// It threw, rejected, did not parse, or its promise can never settle.
    Threw {
        /// What it threw.
        error: TaskError,
        /// The number of the failed call whose error ended the run, if it is that very error
        /// object. The broker believes it only where it refused this call itself.
        call: Option<u32>,
    },
    /// Heap or array buffers reached their bound.
    MemoryLimit {
        /// What names the limit.
        message: String,
    },
    /// The CPU budget ran out.
    CpuLimit,
    /// The broker's `Stop` took effect.
    Stopped,
}

/// One frame as it was read.
#[derive(Debug, Clone)]
pub struct Frame {
    /// What it is.
    pub kind: Kind,
    /// The run it belongs to; 0 for the process itself.
    pub run: u32,
    /// The rest.
    pub body: Vec<u8>,
}

/// A frame that breaks the grammar. The side that reads it ends the connection.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The stream ended between two frames.
    #[error("the other side closed the connection")]
    Closed,
    /// Reading or writing failed, or the stream ended within a frame.
    #[error("frame input or output failed")]
    Io(#[source] io::Error),
    /// A number that names no kind.
    #[error("unknown frame kind {0}")]
    UnknownKind(u8),
    /// A length outside the kind's bounds.
    #[error("a {kind:?} frame of {bytes} bytes, allowed are {max}")]
    Length {
        /// The kind.
        kind: Kind,
        /// Length of the body it announced.
        bytes: usize,
        /// The cap.
        max: usize,
    },
    /// A body that is not of its kind's form.
    #[error("a malformed {0:?} frame")]
    Malformed(Kind),
}

/// The head of a frame, checked: kind, run and the length of the body that follows.
pub fn parse_head(head: [u8; 4 + HEAD_BYTES]) -> Result<(Kind, u32, usize), FrameError> {
    let [l0, l1, l2, l3, kind, r0, r1, r2, r3] = head;
    let kind = Kind::from_u8(kind).ok_or(FrameError::UnknownKind(kind))?;
    let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    let max = kind.body_max();
    match length.checked_sub(HEAD_BYTES) {
        Some(bytes) if bytes <= max => Ok((kind, u32::from_le_bytes([r0, r1, r2, r3]), bytes)),
        bytes => Err(FrameError::Length { kind, bytes: bytes.unwrap_or(0), max }),
    }
}

/// The bytes of a frame whose body is the given parts, one after the other.
///
/// # Panics
/// When the body is over the kind's cap: the sender must have checked.
pub fn encode(kind: Kind, run: u32, parts: &[&[u8]]) -> Vec<u8> {
    let body: usize = parts.iter().map(|part| part.len()).sum();
    assert!(body <= kind.body_max(), "a {kind:?} frame of {body} bytes must not be sent");
    let mut bytes = Vec::with_capacity(4 + HEAD_BYTES + body);
    bytes.extend_from_slice(&((HEAD_BYTES + body) as u32).to_le_bytes());
    bytes.push(kind as u8);
    bytes.extend_from_slice(&run.to_le_bytes());
    for part in parts {
        bytes.extend_from_slice(part);
    }
    bytes
}

/// Blocking: writes one frame.
pub fn write_frame(
    to: &mut impl Write,
    kind: Kind,
    run: u32,
    parts: &[&[u8]],
) -> Result<(), FrameError> {
    to.write_all(&encode(kind, run, parts)).map_err(FrameError::Io)
}

/// Blocking: reads one frame.
pub fn read_frame(from: &mut impl Read) -> Result<Frame, FrameError> {
    let mut head = [0; 4 + HEAD_BYTES];
    match from.read(&mut head[..1]) {
        Ok(0) => return Err(FrameError::Closed),
        Ok(_) => from.read_exact(&mut head[1..]).map_err(FrameError::Io)?,
        Err(error) => return Err(FrameError::Io(error)),
    }
    let (kind, run, bytes) = parse_head(head)?;
    let mut body = vec![0; bytes];
    from.read_exact(&mut body).map_err(FrameError::Io)?;
    Ok(Frame { kind, run, body })
}

/// A body that is a JSON head with its length before it, and what follows it.
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

/// The length and JSON of a head, for [`encode`].
pub fn join_head<T: Serialize>(head: &T) -> Vec<u8> {
    let json = serde_json::to_vec(head).expect("heads hold only strings and numbers");
    [&(json.len() as u32).to_le_bytes()[..], &json].concat()
}

/// A `Call` frame's body taken apart.
#[derive(Debug, PartialEq)]
pub struct CallBody<'a> {
    /// Its number in the run, from 1.
    pub call: u32,
    /// The line of the guest's source that issued it, from 1; 0 where it is not known.
    pub line: u32,
    /// The tool's path.
    pub path: &'a str,
    /// The arguments as JSON, not yet looked at.
    pub args: &'a [u8],
}

/// Takes a `Call` body apart.
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

/// Takes an `Answer` body apart: the call's number, whether it succeeded, and the JSON.
pub fn parse_answer(body: &[u8]) -> Result<(u32, bool, &[u8]), FrameError> {
    let malformed = || FrameError::Malformed(Kind::Answer);
    let (call, rest) = body.split_first_chunk::<4>().ok_or_else(malformed)?;
    let (ok, json) = rest.split_first().ok_or_else(malformed)?;
    match ok {
        0 | 1 => Ok((u32::from_le_bytes(*call), *ok == 1, json)),
        _ => Err(malformed()),
    }
}

/// The byte of a log level in a `Log` frame.
pub fn level_to_u8(level: LogLevel) -> u8 {
    match level {
        LogLevel::Debug => 0,
        LogLevel::Info => 1,
        LogLevel::Warn => 2,
        LogLevel::Error => 3,
    }
}

/// The log level of a byte in a `Log` frame.
pub fn level_from_u8(byte: u8) -> Option<LogLevel> {
    [LogLevel::Debug, LogLevel::Info, LogLevel::Warn, LogLevel::Error]
        .into_iter()
        .find(|level| level_to_u8(*level) == byte)
}
