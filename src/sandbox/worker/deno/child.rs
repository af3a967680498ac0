//! Deno as a child process: its start in a jail, non-blocking input and output, its use of
//! resources, and the reason of its end.

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

use super::link::{self, Frame, FromDeno, Hello, Limits, Messages, ToDeno};
use crate::sandbox::{
    buffers::Buffers,
    deno::identity_of,
    lockdown::{LockdownError, jail::Jail},
    protocol::{CALLS_IN_FLIGHT_MAX, Kind, Setup},
    v8_options::V8Options,
    worker::{cpu_clock, messages},
};

/// The program that Deno runs. Part of the binary, because the machine that runs it has no source
/// tree and the jail no files.
const MAIN: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/runtime-js/deno/main.js"));
/// Time from Deno's start in which it must have its first realm.
const START_MAX: Duration = Duration::from_secs(9);
/// Writable private memory that Deno and V8 map without using it, in bytes. Below 600 MB V8 does
/// not start.
const CLAIMED_BYTES: u64 = 640 << 20;
/// Resident memory that a guest may use beyond its heap and array buffers, in bytes: young objects,
/// compiled code, memory that is freed late.
const RESIDENT_SLACK_BYTES: u64 = 32 << 20;
/// Distance of V8's own heap limit above the guest's limit, in bytes. V8 collects garbage for many
/// seconds before it fails at its limit; so that limit is never reached, and the resident memory,
/// which the worker measures, decides.
const HEAP_ABOVE_BYTES: u64 = 128 << 20;
/// Limit on bytes that wait for Deno to read them. Above it nothing more is read from the broker.
const WAITING_BYTES_MAX: usize = 64 << 20;
/// Limit on replies that wait for Deno to read them; it sends one query at a time.
const REPLIES_MAX: usize = 16;
/// Bytes of Deno's standard error that are kept.
const STDERR_BYTES_MAX: usize = 4096;
/// Limit on the total arguments of calls that wait in Deno, in bytes.
const QUEUED_BYTES_MAX: usize = 64 << 20;
/// Bytes of a frame that are not available to its JSON: the path of a call, a quarter of the head
/// of a run's end.
const FRAME_SPARE_BYTES: u64 = 64 << 10;

/// Reasons why Deno could not be started.
#[derive(Debug, thiserror::Error)]
pub(super) enum ChildError {
    #[error(transparent)]
    Lockdown(#[from] LockdownError),
    #[error("Deno: {0}")]
    Io(#[from] io::Error),
    #[error("`{0}` was replaced after the server checked it at its start: restart the server")]
    Changed(String),
    #[error("Deno did not complete the handshake: {0}")]
    Handshake(String),
}

/// Deno's use of resources at one moment.
pub(super) struct ResourceUse {
    pub(super) threads: u64,
    /// True if Deno holds more memory than a guest within its limits can cause.
    pub(super) is_too_large: bool,
}

/// A running Deno. Killed when dropped.
pub(super) struct Child {
    process: process::Child,
    socket: UnixStream,
    stderr: process::ChildStderr,
    stat: File,
    statm: File,
    clock: libc::clockid_t,
    /// CPU time at the last reading: a process that has ended has no clock.
    cpu_ns: u64,
    /// Number of replies that may not be written yet.
    pending_replies: usize,
    /// Upper bound on a frame that Deno sends, in bytes: the largest result or array buffer, and a
    /// head.
    frame_bytes_max: usize,
    buffers: Buffers,
    /// The beginning of its standard error.
    messages: Vec<u8>,
    page_bytes: u64,
    /// Resident memory before any guest, in bytes.
    resident_at_start: u64,
    /// The largest resident memory that was measured, in bytes.
    resident_peak: u64,
    /// Limit on resident memory, in bytes.
    resident_max: u64,
    /// Mapped memory above which the next guest could not get what its limits allow, in bytes.
    reusable_bytes_max: u64,
    pub(super) hello: Hello,
}

impl Child {
    /// Starts Deno and waits until it has its first realm.
    pub(super) fn start(
        path: &Path,
        identity: &OsStr,
        setup: &Setup,
        options: V8Options,
        realm: &[u8],
    ) -> Result<Self, ChildError> {
        let program = File::open(path)?;
        if *identity != *identity_of(&program.metadata()?) {
            return Err(ChildError::Changed(path.display().to_string()));
        }
        let guest = setup.heap_bytes_max + setup.buffer_bytes_max;
        let (socket, theirs) = UnixStream::pair()?;
        let theirs = OwnedFd::from(theirs);
        let data_bytes_max = CLAIMED_BYTES + 2 * guest;
        let mut command = Jail::for_deno(&program, data_bytes_max)?
            .command(&arguments(setup, options), ENVIRONMENT)?;
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
            pending_replies: 0,
            frame_bytes_max: FRAME_SPARE_BYTES as usize * 16
                + setup.result_bytes_max.max(setup.buffer_bytes_max) as usize,
            buffers: Buffers::default(),
            messages: Vec::new(),
            page_bytes: page_bytes(),
            resident_at_start: 0,
            resident_peak: 0,
            resident_max: u64::MAX,
            reusable_bytes_max: data_bytes_max - guest,
            hello: Hello { deno: String::new(), v8: String::new() },
        };
        child.shake_hands(setup, realm)?;
        child.resident_at_start = child.threads_and_resident().1;
        child.resident_max = child.resident_at_start + guest + RESIDENT_SLACK_BYTES;
        Ok(child)
    }

    fn shake_hands(&mut self, setup: &Setup, realm: &[u8]) -> Result<(), ChildError> {
        let realm =
            std::str::from_utf8(realm).map_err(|error| ChildError::Handshake(error.to_string()))?;
        let json = serde_json::to_vec(&setup_of(setup, realm))
            .map_err(|error| ChildError::Handshake(error.to_string()))?;
        self.send(ToDeno::Setup, &[&json]);
        let hello = self.wait_for(FromDeno::Hello)?;
        self.hello = serde_json::from_slice(&hello.body)
            .map_err(|error| ChildError::Handshake(error.to_string()))?;
        self.wait_for(FromDeno::Ready).map(drop)
    }

    fn wait_for(&mut self, kind: FromDeno) -> Result<Frame, ChildError> {
        let end = Instant::now() + START_MAX;
        loop {
            match self.next() {
                Ok(Some(frame)) if frame.kind == kind => return Ok(frame),
                Ok(Some(frame)) => {
                    return Err(ChildError::Handshake(format!(
                        "a {:?} frame instead of {kind:?}",
                        frame.kind
                    )));
                }
                Err(fault) => {
                    return Err(ChildError::Handshake(format!("{fault}: {}", self.messages())));
                }
                Ok(None) if Instant::now() >= end => {
                    return Err(ChildError::Handshake(format!(
                        "no frame within {} s: {}",
                        START_MAX.as_secs(),
                        self.messages()
                    )));
                }
                Ok(None) => {}
            }
            let mut poll = [self.pollfd()];
            // SAFETY: one valid entry. An interrupted call counts as no input.
            unsafe { libc::poll(poll.as_mut_ptr(), 1, 100) };
            self.flush();
            if !self.fill()? {
                let status = self.kill()?;
                return Err(ChildError::Handshake(format!("{status}: {}", self.messages())));
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

    /// The pipe to be polled for [`Self::read_stderr`].
    pub(super) fn stderr(&self) -> BorrowedFd<'_> {
        self.stderr.as_fd()
    }

    /// Queues a frame and writes as much as Deno's socket accepts.
    pub(super) fn send(&mut self, kind: ToDeno, parts: &[&[u8]]) {
        self.buffers.queue(link::encode(kind, parts));
        self.flush();
    }

    /// Replies to a query. Returns false if Deno sends queries without reading the replies, which
    /// no guest can make it do.
    pub(super) fn reply(&mut self, reply: &[u8]) -> bool {
        self.pending_replies =
            if self.buffers.queued_bytes() == 0 { 1 } else { self.pending_replies + 1 };
        self.send(ToDeno::Reply, &[reply]);
        self.pending_replies <= REPLIES_MAX
    }

    /// Returns true if so many bytes wait for Deno that no more should be queued.
    pub(super) fn is_full(&self) -> bool {
        self.buffers.queued_bytes() > WAITING_BYTES_MAX
    }

    /// Writes as much as Deno's socket accepts. If Deno is gone, the next read reports it.
    pub(super) fn flush(&mut self) {
        self.buffers.flush(|bytes| (&self.socket).write(bytes)).ok();
    }

    /// Reads the available input. Returns false once Deno has closed its end.
    pub(super) fn fill(&mut self) -> io::Result<bool> {
        match self.buffers.fill(|space| (&self.socket).read(space)) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(false),
            read => Ok(read? != Some(0)),
        }
    }

    /// Removes the next complete frame from the input.
    ///
    /// # Errors
    /// A description of a frame that breaks the grammar.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, String> {
        let Some((frame, bytes)) = link::parse(self.buffers.input(), self.frame_bytes_max)? else {
            return Ok(None);
        };
        self.buffers.consume(bytes);
        Ok(Some(frame))
    }

    /// CPU time of all threads so far, in nanoseconds.
    pub(super) fn cpu_ns(&mut self) -> u64 {
        self.cpu_ns = cpu_clock::read_ns(self.clock).unwrap_or(0).max(self.cpu_ns);
        self.cpu_ns
    }

    /// Measures the present use of resources.
    pub(super) fn measure(&mut self) -> ResourceUse {
        let (threads, resident) = self.threads_and_resident();
        self.resident_peak = self.resident_peak.max(resident);
        ResourceUse { threads, is_too_large: resident > self.resident_max }
    }

    /// Returns true if guests left so much memory mapped that the next one could not get what its
    /// limits allow, or its realm could not be built.
    pub(super) fn must_be_replaced(&self) -> bool {
        let mut text = [0; 128];
        let length = self.statm.read_at(&mut text, 0).unwrap_or(0);
        // Pages; the sixth field is what `RLIMIT_DATA` limits: private, writable, used or not.
        // Empty once the process has ended.
        let field = std::str::from_utf8(&text[..length])
            .ok()
            .and_then(|text| text.split(' ').nth(5)?.parse::<u64>().ok());
        field.is_none_or(|pages| pages * self.page_bytes > self.reusable_bytes_max)
    }

    /// The largest memory that guests were measured to use, in bytes.
    pub(super) fn guest_peak(&self) -> u64 {
        self.resident_peak.saturating_sub(self.resident_at_start)
    }

    /// Number of threads and resident memory in bytes; both 0 once the process has ended.
    fn threads_and_resident(&self) -> (u64, u64) {
        let mut text = [0; 512];
        let length = self.stat.read_at(&mut text, 0).unwrap_or(0);
        let text = std::str::from_utf8(&text[..length]).unwrap_or_default();
        // The name may contain anything; after it comes the third field of the line. The fields in
        // question are the 20th and the 24th.
        let mut fields = text.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ');
        let mut field =
            |skipped| fields.nth(skipped).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
        let (threads, pages) = (field(17), field(3));
        (threads, pages * self.page_bytes)
    }

    /// Reads Deno's standard error and keeps it up to the limit.
    pub(super) fn read_stderr(&mut self) {
        let mut chunk = [0; 1024];
        // As much as a pipe holds: endless output must not keep the worker here.
        for _ in 0..64 {
            let Ok(bytes @ 1..) = self.stderr.read(&mut chunk) else { return };
            let room = STDERR_BYTES_MAX.saturating_sub(self.messages.len());
            self.messages.extend_from_slice(&chunk[..bytes.min(room)]);
        }
    }

    /// Deno's messages so far.
    pub(super) fn messages(&mut self) -> String {
        self.read_stderr();
        String::from_utf8_lossy(&self.messages).trim().to_owned()
    }

    /// Kills the process unless it has ended, and returns its exit status.
    ///
    /// # Errors
    /// If it cannot be killed; it may then still run.
    pub(super) fn kill(&mut self) -> io::Result<ExitStatus> {
        self.process.kill()?;
        self.process.wait()
    }

    /// Returns true if the process ended because memory ran out: V8 and the allocators of Rust and
    /// C++ then abort, the last one without a message.
    pub(super) fn ran_out_of_memory(&mut self, status: ExitStatus) -> bool {
        let stopped_itself = status.signal().is_some_and(|signal| {
            matches!(
                signal,
                libc::SIGTRAP | libc::SIGABRT | libc::SIGILL | libc::SIGSEGV | libc::SIGBUS
            )
        });
        let messages = self.messages();
        let says_so = ["out of memory", "OOM", "memory allocation of"]
            .iter()
            .any(|part| messages.contains(part));
        stopped_itself
            && (says_so || messages.is_empty() && self.guest_peak() > RESIDENT_SLACK_BYTES)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // If it cannot be killed, it dies with this process.
        self.kill().ok();
    }
}

/// The complete environment of Deno.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("TZ", "UTC"),
    ("NO_COLOR", "1"),
    ("DENO_DIR", "/nonexistent"),
    ("DENO_CACHE_DB_MODE", "memory"),
    ("DENO_NO_UPDATE_CHECK", "1"),
];

fn arguments(setup: &Setup, options: V8Options) -> Vec<String> {
    let heap = (setup.heap_bytes_max + setup.buffer_bytes_max + HEAP_ABOVE_BYTES) >> 20;
    let mut flags = format!(
        "--v8-flags=--max-old-space-size={heap},--max-semi-space-size=4,--stack-size=2048,\
         --single-threaded,--disallow-code-generation-from-strings,\
         --enable-sharedarraybuffer-per-context"
    );
    if !options.optimize {
        flags.push_str(",--disable-optimizing-compilers");
    }
    let main = format!("data:text/javascript;base64,{}", STANDARD.encode(MAIN));
    // No permission is granted and nothing is resolved. The jail holds even without these flags.
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

fn setup_of<'a>(setup: &Setup, realm: &'a str) -> link::Setup<'a> {
    link::Setup {
        realm,
        limits: Limits {
            // A frame must hold whatever the broker allows.
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
        messages: Messages {
            too_many_calls: messages::too_many_calls(
                setup.calls_queued_max + CALLS_IN_FLIGHT_MAX as u64,
            ),
            too_many_bytes: messages::too_many_bytes(QUEUED_BYTES_MAX),
            too_many_timers: messages::too_many_timers(setup.timers_max),
            import_refused: messages::import_refused("{}"),
        },
    }
}

fn page_bytes() -> u64 {
    // SAFETY: it only returns a number, and this one is always known.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) as u64 }
}

fn clock_of(pid: u32) -> io::Result<libc::clockid_t> {
    let mut clock = 0;
    // SAFETY: the out pointer is valid. The child is not waited for before it is dropped, so its
    // pid is not reused.
    match unsafe { libc::clock_getcpuclockid(pid.cast_signed(), &mut clock) } {
        0 => Ok(clock),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}
