//! A real worker process at the other end of a socket, driven frame by frame as the broker does it.

use std::{
    ffi::CString,
    fs::File,
    io::{Read, Write},
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        unix::net::UnixStream,
    },
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use airlock::{
    model::{LogLevel, Seed, TaskError},
    sandbox::{
        Locks, V8Options,
        deno::{self, Deno},
        history::{self, Entry},
        protocol::{
            Armed, CallFailure, DoneHead, DoneOutcome, FatalReason, Frame, Kind, RunHead, Setup,
            StopReason, VERSION, join_head, level_from_u8, parse_call, read_frame, split_head,
            write_frame,
        },
    },
};
use serde_json::{Value, json};

use super::runtime;

/// The longest that any frame may be waited for. Far above what is expected, so that a busy machine
/// does not fail a test.
const PATIENCE: Duration = Duration::from_secs(60);

/// The limits that tests run under; each test changes what it is about.
pub(crate) fn limits() -> Setup {
    Setup {
        version: VERSION,
        heap_bytes_max: 64 << 20,
        buffer_bytes_max: 64 << 20,
        result_bytes_max: 64 << 20,
        args_bytes_max: 1 << 20,
        log_bytes_max: 64 << 10,
        log_lines_max: 1000,
        calls_queued_max: 10_000,
        timers_max: 1000,
        engine_options: V8Options { optimize: true }.to_json(),
    }
}

/// A worker that is armed and ready, and what it wrote.
pub(crate) struct Worker {
    child: Child,
    stream: UnixStream,
    run: u32,
    /// Whether it was told to end with its run.
    closing: bool,
    /// What the worker said when it was armed.
    pub(crate) armed: Armed,
    /// What the guest of the run under way saw of time.
    pub(crate) seen: Vec<Entry>,
}

/// How a run ended, and what it said before.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) head: DoneHead,
    pub(crate) result: Value,
    pub(crate) lines: Vec<(LogLevel, String)>,
    pub(crate) took: Duration,
}

impl Ran {
    /// The error that it threw.
    #[track_caller]
    pub(crate) fn error(&self) -> &TaskError {
        match &self.head.outcome {
            DoneOutcome::Threw { error, .. } => error,
            other => panic!("it did not throw but {other:?}"),
        }
    }

    /// The value that it returned.
    #[track_caller]
    pub(crate) fn value(&self) -> &Value {
        assert!(
            matches!(self.head.outcome, DoneOutcome::Returned),
            "it did not return: {:?}",
            self.head
        );
        &self.result
    }
}

/// One call as the guest issued it.
#[derive(Debug, Clone)]
pub(crate) struct Issued {
    pub(crate) call: u32,
    pub(crate) path: String,
    pub(crate) args: Value,
}

fn snapshot(is_for_deno: bool) -> &'static [u8] {
    static SNAPSHOTS: [OnceLock<Vec<u8>>; 2] = [const { OnceLock::new() }; 2];
    SNAPSHOTS[usize::from(is_for_deno)].get_or_init(|| {
        let runtime = is_for_deno.then_some("deno");
        let mut command = Command::new(env!("CARGO_BIN_EXE_airlock"));
        let made =
            command.arg("__snapshot").args(runtime).env_clear().output().expect("the binary runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        made.stdout
    })
}

/// The engine under test where it is Deno, looked into once.
pub(crate) fn engine() -> Option<&'static Deno> {
    static DENO: OnceLock<Option<Deno>> = OnceLock::new();
    let check =
        || runtime::deno().map(|path| deno::check(&path, None).expect("the pinned release"));
    DENO.get_or_init(check).as_ref()
}

fn sealed(bytes: &[u8]) -> OwnedFd {
    let name = CString::new("snapshot").expect("no zero byte");
    // SAFETY: a valid name; the descriptor is new and owned by nobody else.
    let fd = unsafe {
        OwnedFd::from_raw_fd(libc::memfd_create(
            name.as_ptr(),
            libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING,
        ))
    };
    File::from(fd.try_clone().expect("a descriptor")).write_all(bytes).expect("memory");
    let seals = libc::F_SEAL_WRITE | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
    // SAFETY: the descriptor is open.
    assert_eq!(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_ADD_SEALS, seals) }, 0);
    fd
}

impl Worker {
    /// Starts one and waits until it is ready.
    pub(crate) fn start(setup: &Setup) -> Self {
        Self::start_on(setup, engine())
    }

    /// Starts one of which this executable is the engine, and waits until it is ready.
    pub(crate) fn start_on(setup: &Setup, deno: Option<&Deno>) -> Self {
        let mut worker = Self::spawn(setup, deno);
        let armed = worker.expect(Kind::Armed);
        worker.armed = serde_json::from_slice(&armed.body).expect("the grammar");
        worker.expect(Kind::Ready);
        worker
    }

    /// Starts one that must refuse to work: what it said.
    pub(crate) fn refusal(setup: &Setup) -> String {
        let mut worker = Self::spawn(setup, engine());
        assert!(worker.ends());
        worker.last_words()
    }

    fn spawn(setup: &Setup, deno: Option<&Deno>) -> Self {
        let (stream, theirs) = UnixStream::pair().expect("a socket pair");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let snapshot = snapshot(deno.is_some());
        let deno = deno.into_iter().flat_map(|deno| {
            ["deno".into(), deno.path.clone().into_os_string(), deno.identity.clone()]
        });
        let child = Command::new(env!("CARGO_BIN_EXE_airlock"))
            .arg("__worker")
            .args(deno)
            .env_clear()
            .env("TZ", "UTC")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::from(sealed(snapshot)))
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let armed =
            Armed { version: 0, engine: String::new(), locks: Locks::default(), engine_pid: None };
        let mut worker = Self { child, stream, run: 0, closing: false, armed, seen: vec![] };
        worker.send(Kind::Setup, 0, &[&serde_json::to_vec(setup).expect("plain data")]);
        worker
    }

    /// Writes one frame.
    pub(crate) fn send(&mut self, kind: Kind, run: u32, parts: &[&[u8]]) {
        self.closing |= kind == Kind::Shutdown;
        write_frame(&mut self.stream, kind, run, parts).expect("the worker reads");
    }

    /// Reads one frame. What tells of time is kept and passed over.
    #[track_caller]
    pub(crate) fn read(&mut self) -> Frame {
        loop {
            match read_frame(&mut self.stream) {
                Ok(frame) if frame.kind == Kind::History => {
                    self.seen.extend(history::decode(&frame.body).expect("the grammar"));
                }
                Ok(frame) => return frame,
                Err(error) => panic!("{error}; the worker said: {}", self.last_words()),
            }
        }
    }

    /// Reads one frame, which must be of that kind.
    #[track_caller]
    pub(crate) fn expect(&mut self, kind: Kind) -> Frame {
        let frame = self.read();
        assert_eq!(frame.kind, kind, "{}", String::from_utf8_lossy(&frame.body));
        frame
    }

    /// Starts a run; the number it has.
    pub(crate) fn begin(&mut self, code: &str, cpu_ms_max: u64) -> u32 {
        // Each run of a worker has numbers of its own; the first run is the one that is repeated.
        let seed = Seed([self.run as u8; 32]);
        self.begin_with(seed, code, cpu_ms_max, &[], (0, 0))
    }

    /// Starts a run that repeats an earlier one: what that saw of time, and the numbers of its calls
    /// and of its responses.
    pub(crate) fn begin_again(
        &mut self,
        code: &str,
        cpu_ms_max: u64,
        seen: &[Entry],
        numbers: (u32, u32),
    ) -> u32 {
        self.begin_with(Seed([0; 32]), code, cpu_ms_max, seen, numbers)
    }

    fn begin_with(
        &mut self,
        seed: Seed,
        code: &str,
        cpu_ms_max: u64,
        seen: &[Entry],
        (calls, responses): (u32, u32),
    ) -> u32 {
        self.run += 1;
        self.seen.clear();
        let head = join_head(&RunHead {
            cpu_ms_max,
            wall_ms_max: 60_000,
            origin_ms: 1_700_000_000_000,
            elapsed_ms: 0,
            seed,
            calls,
            responses,
        });
        let seen = history::encode(seen);
        let length = (seen.len() as u32).to_le_bytes();
        self.send(Kind::Run, self.run, &[&head, &length, &seen, code.as_bytes()]);
        self.run
    }

    /// Answers a call with a value.
    pub(crate) fn answer(&mut self, call: u32, value: &Value) {
        self.send(
            Kind::Response,
            self.run,
            &[&call.to_le_bytes(), &[1], value.to_string().as_bytes()],
        );
    }

    /// Answers a call with a failure.
    pub(crate) fn fail(&mut self, call: u32, failure: &CallFailure) {
        let json = serde_json::to_vec(failure).expect("plain data");
        self.send(Kind::Response, self.run, &[&call.to_le_bytes(), &[0], &json]);
    }

    /// Ends the run under way.
    pub(crate) fn stop(&mut self, reason: StopReason) {
        self.send(Kind::Stop, self.run, &[&[reason as u8]]);
    }

    /// Reads the next call.
    #[track_caller]
    pub(crate) fn call(&mut self) -> Issued {
        let frame = self.expect(Kind::Call);
        issued(&frame)
    }

    /// Runs one program to its end, with tools that answer `{path, args}`, and waits until the
    /// worker is ready again.
    #[track_caller]
    pub(crate) fn run(&mut self, code: &str) -> Ran {
        self.run_with(code, 30_000, |call| Ok(json!({ "path": call.path, "args": call.args })))
    }

    /// Runs one program to its end with these tools.
    #[track_caller]
    pub(crate) fn run_with(
        &mut self,
        code: &str,
        cpu_ms_max: u64,
        mut tool: impl FnMut(&Issued) -> Result<Value, CallFailure>,
    ) -> Ran {
        let began = Instant::now();
        self.begin(code, cpu_ms_max);
        self.follow(began, &mut tool)
    }

    /// Follows the run under way to its end.
    #[track_caller]
    pub(crate) fn finish(&mut self) -> Ran {
        self.follow(Instant::now(), &mut |call| Ok(call.args.clone()))
    }

    #[track_caller]
    fn follow(
        &mut self,
        began: Instant,
        tool: &mut dyn FnMut(&Issued) -> Result<Value, CallFailure>,
    ) -> Ran {
        self.follow_or_death(began, tool)
            .unwrap_or_else(|reason| panic!("{reason:?}; the worker said: {}", self.last_words()))
    }

    #[track_caller]
    fn follow_or_death(
        &mut self,
        began: Instant,
        tool: &mut dyn FnMut(&Issued) -> Result<Value, CallFailure>,
    ) -> Result<Ran, FatalReason> {
        let mut lines = Vec::new();
        loop {
            let frame = self.read();
            assert_eq!(frame.run, self.run, "{:?} of another run", frame.kind);
            match frame.kind {
                Kind::Call => {
                    let call = issued(&frame);
                    match tool(&call) {
                        Ok(value) => self.answer(call.call, &value),
                        Err(failure) => self.fail(call.call, &failure),
                    }
                }
                Kind::Log => lines.push((
                    level_from_u8(frame.body[0]).expect("a level"),
                    String::from_utf8(frame.body[1..].to_vec()).expect("text"),
                )),
                Kind::Parked => {}
                Kind::Wake => self.send(Kind::Go, frame.run, &[]),
                Kind::Done => {
                    let took = began.elapsed();
                    return Ok(Ran { lines, took, ..self.ended(&frame) });
                }
                Kind::Fatal => return Err(FatalReason::from_u8(frame.body[0]).expect("a reason")),
                kind => panic!(
                    "unexpected {kind:?}: {:?}; the worker said: {}",
                    frame.body,
                    self.last_words()
                ),
            }
        }
    }

    /// The end that a frame tells, once the worker is ready again.
    #[track_caller]
    pub(crate) fn ended(&mut self, done: &Frame) -> Ran {
        let (head, result) = split_head::<DoneHead>(Kind::Done, &done.body).expect("the grammar");
        let result = match result {
            [] => Value::Null,
            json => serde_json::from_slice(json).expect("JSON"),
        };
        if !head.spent && !self.closing {
            self.expect(Kind::Ready);
        }
        Ran { head, result, lines: vec![], took: Duration::ZERO }
    }

    /// Follows the run under way to its end, or until the process ran out of memory.
    #[track_caller]
    pub(crate) fn finish_or_death(&mut self) -> Result<Ran, FatalReason> {
        self.follow_or_death(Instant::now(), &mut |call| Ok(call.args.clone()))
    }

    /// Whether the process ends by itself, within the patience.
    pub(crate) fn ends(&mut self) -> bool {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if self.child.try_wait().expect("it is our child").is_some() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    /// Writes bytes that need not be a frame.
    pub(crate) fn send_raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the worker reads");
    }

    /// Closes the broker's end.
    pub(crate) fn hang_up(&mut self) {
        self.stream.shutdown(std::net::Shutdown::Both).expect("it is open");
    }

    /// The process's number.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it, if it has not ended, and gives what it complained of.
    pub(crate) fn last_words(&mut self) -> String {
        let _ = self.child.kill();
        let mut words = String::new();
        if let Some(stderr) = &mut self.child.stderr {
            let _ = stderr.read_to_string(&mut words);
        }
        words
    }
}

/// The call that a frame tells.
#[track_caller]
pub(crate) fn issued(frame: &Frame) -> Issued {
    let body = parse_call(&frame.body).expect("the grammar");
    Issued {
        call: body.call,
        path: body.path.to_owned(),
        args: serde_json::from_slice(body.args).expect("JSON"),
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
