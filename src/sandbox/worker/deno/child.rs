//! Deno as a child: its jail, its start, bytes to and from it without ever waiting for it, what it
//! uses, and why it ended.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Read, Write},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::{fs::FileExt, net::UnixStream, process::ExitStatusExt},
    },
    path::Path,
    process::{self, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::link::{self, Down, Frame, Hello, Limits, Texts, Up};
use crate::sandbox::{
    buffers::Buffers,
    deno::identity_of,
    lockdown::{LockdownError, jail::Jail},
    protocol::{self, CALLS_IN_FLIGHT_MAX, Kind},
    worker::{cpu_clock, endings},
};

/// Deno's side. Inside the binary: the machine that runs it has no source tree, and the jail no
/// files.
const MAIN: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/runtime-js/deno/main.js"));
/// How long Deno may take from its start to its first realm.
const START_MAX: Duration = Duration::from_secs(9);
/// Writable private memory that Deno and V8 claim without using it, in bytes: below 600 MB V8 does
/// not start.
const CLAIMED_BYTES: u64 = 640 << 20;
/// What a guest may hold resident beyond its heap and its array buffers, in bytes: young objects,
/// compiled code, what is freed late.
const RESIDENT_SLACK_BYTES: u64 = 32 << 20;
/// How far V8's own bound on the heap lies above what a guest may hold, in bytes. V8 collects
/// garbage for many seconds before it gives up at its bound; so it is never reached, and the
/// resident memory, which is looked at from outside, decides.
const HEAP_ABOVE_BYTES: u64 = 128 << 20;
/// Bytes that wait for Deno to take them. Above it nothing more is read from the broker.
const WAITING_BYTES_MAX: usize = 64 << 20;
/// Answers to Deno's questions that wait for it to take them; it asks one at a time.
const TOLD_MAX: usize = 16;
/// Bytes of Deno's last words that are kept.
const COMPLAINT_BYTES_MAX: usize = 4096;
/// Arguments of calls that wait in Deno for a place, in bytes, all together.
const QUEUED_BYTES_MAX: usize = 64 << 20;
/// What a frame needs beside the JSON it carries, in bytes: the path of a call, a quarter of the
/// head of an end.
const FRAME_SPARE_BYTES: u64 = 64 << 10;

/// Why Deno could not be started.
#[derive(Debug, thiserror::Error)]
pub(super) enum ChildError {
    #[error(transparent)]
    Lockdown(#[from] LockdownError),
    #[error("Deno: {0}")]
    Io(#[from] io::Error),
    #[error(
        "`{0}` is another file than the one that was checked when the server started: restart it"
    )]
    Changed(String),
    #[error("Deno did not begin as it should: {0}")]
    Greeting(String),
}

/// What Deno holds at one moment.
pub(super) struct Look {
    pub(super) threads: u64,
    /// More memory than a guest within its limits can make it hold.
    pub(super) is_too_large: bool,
}

/// A running Deno. Killed at drop.
pub(super) struct Child {
    process: process::Child,
    socket: UnixStream,
    stderr: process::ChildStderr,
    stat: File,
    statm: File,
    clock: libc::clockid_t,
    /// CPU time when it was last looked at: a process that is gone has no clock.
    cpu_ns: u64,
    /// Answers to Deno's questions that may not be written yet.
    told: usize,
    /// The largest frame that it may send, in bytes: a result or an array buffer at its largest,
    /// and a head.
    frame_bytes_max: usize,
    buffers: Buffers,
    complaint: Vec<u8>,
    page_bytes: u64,
    /// Resident memory before any guest, the most that was seen, and the most that may be, in
    /// bytes.
    resident_at_start: u64,
    resident_peak: u64,
    resident_max: u64,
    /// Claimed memory above which another guest would not find what it may use, in bytes.
    worn_bytes: u64,
    pub(super) hello: Hello,
}

impl Child {
    /// Starts it and waits until it has its first realm.
    pub(super) fn start(
        path: &Path,
        identity: &OsStr,
        setup: &protocol::Setup,
        realm: &[u8],
    ) -> Result<Self, ChildError> {
        let program = File::open(path)?;
        if *identity != *identity_of(&program.metadata()?) {
            return Err(ChildError::Changed(path.display().to_string()));
        }
        let guest = setup.heap_bytes_max + setup.buffer_bytes_max;
        let (socket, theirs) = UnixStream::pair()?;
        let theirs = OwnedFd::from(theirs);
        let claim_bytes_max = CLAIMED_BYTES + 2 * guest;
        let mut command =
            Jail::for_deno(&program, claim_bytes_max)?.command(&arguments(setup), ENVIRONMENT)?;
        command
            .stdin(Stdio::from(theirs.try_clone()?))
            .stdout(Stdio::from(theirs))
            .stderr(Stdio::piped());
        let mut process = command.spawn()?;
        drop(command);
        let stderr = process.stderr.take().ok_or_else(|| io::Error::other("no pipe"))?;
        let stat = File::open(format!("/proc/{}/stat", process.id()))?;
        let statm = File::open(format!("/proc/{}/statm", process.id()))?;
        let clock = clock_of(process.id())?;
        socket.set_nonblocking(true)?;
        rustix::fs::fcntl_setfl(&stderr, rustix::fs::OFlags::NONBLOCK).map_err(io::Error::from)?;
        let mut child = Self {
            process,
            socket,
            stderr,
            stat,
            statm,
            clock,
            cpu_ns: 0,
            told: 0,
            frame_bytes_max: FRAME_SPARE_BYTES as usize * 16
                + setup.result_bytes_max.max(setup.buffer_bytes_max) as usize,
            buffers: Buffers::default(),
            complaint: Vec::new(),
            page_bytes: page_bytes(),
            resident_at_start: 0,
            resident_peak: 0,
            resident_max: u64::MAX,
            worn_bytes: claim_bytes_max - guest,
            hello: Hello { deno: String::new(), v8: String::new() },
        };
        child.greet(setup, realm)?;
        child.resident_at_start = child.threads_and_resident().1;
        child.resident_max = child.resident_at_start + guest + RESIDENT_SLACK_BYTES;
        Ok(child)
    }

    fn greet(&mut self, setup: &protocol::Setup, realm: &[u8]) -> Result<(), ChildError> {
        let realm =
            std::str::from_utf8(realm).map_err(|error| ChildError::Greeting(error.to_string()))?;
        let json = serde_json::to_vec(&setup_of(setup, realm))
            .map_err(|error| ChildError::Greeting(error.to_string()))?;
        self.send(Down::Setup, &[&json]);
        let hello = self.await_first(Up::Hello)?;
        self.hello = serde_json::from_slice(&hello.body)
            .map_err(|error| ChildError::Greeting(error.to_string()))?;
        self.await_first(Up::Ready).map(drop)
    }

    fn await_first(&mut self, kind: Up) -> Result<Frame, ChildError> {
        let end = Instant::now() + START_MAX;
        loop {
            match self.next() {
                Ok(Some(frame)) if frame.kind == kind => return Ok(frame),
                Ok(Some(frame)) => {
                    return Err(ChildError::Greeting(format!(
                        "a {:?} frame instead of {kind:?}",
                        frame.kind
                    )));
                }
                Err(what) => {
                    return Err(ChildError::Greeting(format!("{what}: {}", self.last_words())));
                }
                Ok(None) if Instant::now() >= end => {
                    return Err(ChildError::Greeting(format!(
                        "nothing within {} s: {}",
                        START_MAX.as_secs(),
                        self.last_words()
                    )));
                }
                Ok(None) => {}
            }
            let mut poll = [self.pollfd()];
            // SAFETY: one valid entry. An interrupted call counts as nothing to read.
            unsafe { libc::poll(poll.as_mut_ptr(), 1, 100) };
            self.flush();
            if !self.fill()? {
                let status = self.end()?;
                return Err(ChildError::Greeting(format!("{status}: {}", self.last_words())));
            }
        }
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.id()
    }

    pub(super) fn pollfd(&self) -> libc::pollfd {
        let events = if self.buffers.queued_bytes() == 0 {
            libc::POLLIN
        } else {
            libc::POLLIN | libc::POLLOUT
        };
        libc::pollfd { fd: self.socket.as_raw_fd(), events, revents: 0 }
    }

    /// What of it the worker polls for complaints.
    pub(super) fn stderr(&self) -> BorrowedFd<'_> {
        self.stderr.as_fd()
    }

    /// Queues a frame and writes what Deno takes at once.
    pub(super) fn send(&mut self, kind: Down, parts: &[&[u8]]) {
        self.buffers.queue(link::encode(kind, parts));
        self.flush();
    }

    /// Answers a question; false where Deno asks on without taking the answers, which no guest can
    /// make it do.
    pub(super) fn tell(&mut self, answer: &[u8]) -> bool {
        self.told = if self.buffers.queued_bytes() == 0 { 1 } else { self.told + 1 };
        self.send(Down::Told, &[answer]);
        self.told <= TOLD_MAX
    }

    /// Whether so much waits for Deno that nothing more should be taken for it.
    pub(super) fn is_full(&self) -> bool {
        self.buffers.queued_bytes() > WAITING_BYTES_MAX
    }

    /// Writes what Deno takes. That it is gone shows when it is read from.
    pub(super) fn flush(&mut self) {
        self.buffers.flush(|bytes| (&self.socket).write(bytes)).ok();
    }

    /// Reads what is there; false once Deno has closed its end.
    pub(super) fn fill(&mut self) -> io::Result<bool> {
        match self.buffers.fill(|place| (&self.socket).read(place)) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(false),
            read => Ok(read? != Some(0)),
        }
    }

    /// The next frame that has come whole.
    ///
    /// # Errors
    /// What breaks the grammar.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, String> {
        let Some((frame, bytes)) = link::parse(self.buffers.input(), self.frame_bytes_max)? else {
            return Ok(None);
        };
        self.buffers.take(bytes);
        Ok(Some(frame))
    }

    /// CPU time of all its threads so far.
    pub(super) fn cpu_ns(&mut self) -> u64 {
        self.cpu_ns = cpu_clock::read_ns(self.clock).unwrap_or(0).max(self.cpu_ns);
        self.cpu_ns
    }

    /// What it holds now.
    pub(super) fn look(&mut self) -> Look {
        let (threads, resident) = self.threads_and_resident();
        self.resident_peak = self.resident_peak.max(resident);
        Look { threads, is_too_large: resident > self.resident_max }
    }

    /// Whether a guest left so much memory claimed that the next one would not find what it may
    /// use, and the making of its realm may fail.
    pub(super) fn is_worn(&self) -> bool {
        let mut text = [0; 128];
        let length = self.statm.read_at(&mut text, 0).unwrap_or(0);
        // Pages, the sixth is what `RLIMIT_DATA` bounds: private, writable, used or not. Nothing
        // once it has ended.
        let field = std::str::from_utf8(&text[..length])
            .ok()
            .and_then(|text| text.split(' ').nth(5)?.parse::<u64>().ok());
        field.is_none_or(|pages| pages * self.page_bytes > self.worn_bytes)
    }

    /// The most memory that guests were seen to hold, in bytes.
    pub(super) fn guest_peak(&self) -> u64 {
        self.resident_peak.saturating_sub(self.resident_at_start)
    }

    /// Its threads, and its resident memory in bytes; nothing of either once it has ended.
    fn threads_and_resident(&self) -> (u64, u64) {
        let mut text = [0; 512];
        let length = self.stat.read_at(&mut text, 0).unwrap_or(0);
        let text = std::str::from_utf8(&text[..length]).unwrap_or_default();
        // After the name, which may hold anything: the third field of the line and what follows;
        // these are the 20th and the 24th.
        let mut fields = text.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ');
        let mut field =
            |skipped| fields.nth(skipped).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
        let (threads, pages) = (field(17), field(3));
        (threads, pages * self.page_bytes)
    }

    /// Takes in what Deno complains of, as far as the bound goes.
    pub(super) fn listen(&mut self) {
        let mut piece = [0; 1024];
        // As much at once as a pipe holds: who writes without end must not keep the worker here.
        for _ in 0..64 {
            let Ok(bytes @ 1..) = self.stderr.read(&mut piece) else { return };
            let room = COMPLAINT_BYTES_MAX.saturating_sub(self.complaint.len());
            self.complaint.extend_from_slice(&piece[..bytes.min(room)]);
        }
    }

    /// Its complaints so far.
    pub(super) fn last_words(&mut self) -> String {
        self.listen();
        String::from_utf8_lossy(&self.complaint).trim().to_owned()
    }

    /// Ends it at once, if it has not ended by itself; how it ended.
    ///
    /// # Errors
    /// When it cannot be killed: then it may still run.
    pub(super) fn end(&mut self) -> io::Result<ExitStatus> {
        self.process.kill()?;
        self.process.wait()
    }

    /// Whether it ended because memory ran out: V8, the allocator of Rust and that of C++ stop the
    /// process then, the last without a word.
    pub(super) fn ran_out_of_memory(&mut self, status: ExitStatus) -> bool {
        let stopped_itself = status.signal().is_some_and(|signal| {
            matches!(
                signal,
                libc::SIGTRAP | libc::SIGABRT | libc::SIGILL | libc::SIGSEGV | libc::SIGBUS
            )
        });
        let words = self.last_words();
        let said_so = ["out of memory", "OOM", "memory allocation of"]
            .iter()
            .any(|told| words.contains(told));
        stopped_itself && (said_so || words.is_empty() && self.guest_peak() > RESIDENT_SLACK_BYTES)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Where it cannot be killed, it dies with this process.
        self.end().ok();
    }
}

/// Everything that it finds in its environment.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("TZ", "UTC"),
    ("NO_COLOR", "1"),
    ("DENO_DIR", "/nonexistent"),
    ("DENO_CACHE_DB_MODE", "memory"),
    ("DENO_NO_UPDATE_CHECK", "1"),
];

fn arguments(setup: &protocol::Setup) -> Vec<String> {
    let heap = (setup.heap_bytes_max + setup.buffer_bytes_max + HEAP_ABOVE_BYTES) >> 20;
    let mut flags = format!(
        "--v8-flags=--max-old-space-size={heap},--max-semi-space-size=4,--stack-size=2048,--single-threaded,\
         --disallow-code-generation-from-strings,--enable-sharedarraybuffer-per-context"
    );
    if !setup.optimize {
        flags.push_str(",--disable-optimizing-compilers");
    }
    let main = format!("data:text/javascript;base64,{}", STANDARD.encode(MAIN));
    // No permission is given, nothing is looked up. The jail holds whatever these say.
    [
        "run",
        "--quiet",
        "--no-prompt",
        "--no-config",
        "--no-lock",
        "--no-remote",
        "--no-npm",
        "--cached-only",
        &flags,
        &main,
    ]
    .map(str::to_owned)
    .into()
}

fn setup_of<'a>(setup: &protocol::Setup, realm: &'a str) -> link::Setup<'a> {
    link::Setup {
        realm,
        limits: Limits {
            // Whatever the broker allows, a frame must hold it.
            args_bytes_max: setup
                .args_bytes_max
                .min(Kind::Call.body_max() as u64 - FRAME_SPARE_BYTES),
            result_bytes_max: setup
                .result_bytes_max
                .min(Kind::Done.body_max() as u64 - 4 * FRAME_SPARE_BYTES),
            calls_in_flight_max: CALLS_IN_FLIGHT_MAX,
            calls_queued_max: setup.calls_queued_max,
            queued_bytes_max: QUEUED_BYTES_MAX,
            timers_max: setup.timers_max,
        },
        texts: Texts {
            too_many_calls: endings::too_many_calls(
                setup.calls_queued_max + CALLS_IN_FLIGHT_MAX as u64,
            ),
            too_many_bytes: endings::too_many_bytes(QUEUED_BYTES_MAX),
            too_many_timers: endings::too_many_timers(setup.timers_max),
            import_refused: endings::import_refused("{}"),
        },
    }
}

fn page_bytes() -> u64 {
    // SAFETY: it only answers a number, and this one is always known.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) as u64 }
}

fn clock_of(pid: u32) -> io::Result<libc::clockid_t> {
    let mut clock = 0;
    // SAFETY: the out pointer is valid. The child is not waited for before it is dropped, so its
    // number names no other process.
    match unsafe { libc::clock_getcpuclockid(pid.cast_signed(), &mut clock) } {
        0 => Ok(clock),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}
