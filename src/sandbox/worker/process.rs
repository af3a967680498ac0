//! The life of a worker process: the start, the frames that come in, the watch over the guest's CPU
//! time.
//!
//! Runs on the main thread and never enters V8 after its start. Each guest has a thread and an
//! isolate of its own; the next one is built as soon as a run is over, and only then is the old one
//! dropped, so that the process never is without an isolate (V8 frees what all isolates share with
//! the last of them).

use std::{
    os::{fd::FromRawFd, unix::net::UnixStream},
    panic::{self, AssertUnwindSafe},
    process::ExitCode,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use parking_lot::Mutex;

use super::{
    channel::{Answer, Job, Mailbox, Reason},
    cpu_clock,
    ending::Ending,
    engine::{self, Engine, Guest},
    intake,
    outbox::{Outbox, leave},
    refuse,
    start::{StartError, Violation, read_setup},
};
use crate::sandbox::{
    lockdown,
    protocol::{
        Armed, Frame, FrameError, Kind, RunHead, Setup, StopReason, VERSION, parse_answer,
        read_frame, split_head,
    },
};

/// How often a running guest's CPU time is read.
const WATCH_EVERY: Duration = Duration::from_millis(5);
/// Stack of a guest's thread in bytes; twice what V8 is told that it may use.
const STACK_BYTES: usize = 4 << 20;
/// What a process needs beside its guests, in bytes: code, snapshot, thread stacks, one large
/// frame.
const MEMORY_BASE_BYTES: u64 = 1 << 30;

/// A guest's thread that waits for a run, or runs one.
struct Seat {
    mailbox: Mailbox,
    isolate: engine::Handle,
    clock: libc::clockid_t,
}

impl Seat {
    /// CPU time of the guest's thread in nanoseconds; none when the thread is gone.
    fn cpu_ns(&self) -> Option<u64> {
        cpu_clock::read_ns(self.clock)
    }

    fn stop(&self, reason: Reason) {
        self.mailbox.stop(reason);
        self.isolate.terminate();
    }
}

/// What the main thread and the guests' threads share.
struct Process {
    engine: Engine,
    setup: Setup,
    outbox: Arc<Outbox>,
    /// The guest that is ready for a run.
    idle: Mutex<Option<Arc<Seat>>>,
}

/// The run under way.
struct Running {
    run: u32,
    seat: Arc<Seat>,
    /// What the thread's clock shows when the intake has taken too long, and when the run has.
    intake_ns_end: u64,
    cpu_ns_end: u64,
}

/// Runs a worker; returns only when it could not start.
pub(super) fn main() -> ExitCode {
    match start() {
        Ok(never) => never,
        Err(error) => refuse(format_args!("{error}")),
    }
}

fn start() -> Result<ExitCode, StartError> {
    lockdown::lock(lockdown::DESCRIPTORS_MAX)?;
    let snapshot = lockdown::take_snapshot()?;
    // SAFETY: descriptor 0 is the connected socket that the broker gave; nothing else in this
    // process owns it.
    let mut input = unsafe { UnixStream::from_raw_fd(0) };
    let setup = read_setup(&mut input)?;
    lockdown::drop_capabilities()?;
    lockdown::limit_memory(
        MEMORY_BASE_BYTES
            + 3 * (setup.heap_bytes_max + setup.buffer_bytes_max)
            + 2 * setup.result_bytes_max,
    )?;
    let output = input.try_clone().map_err(StartError::Socket)?;
    // On the main thread: V8's memory protection keys are inherited by the threads that come after.
    let engine = Engine::start(snapshot, setup.optimize)
        .map_err(|error| StartError::Engine(Box::new(error)))?;
    let process = Arc::new(Process {
        engine,
        setup,
        outbox: Arc::new(Outbox::new(output)),
        idle: Mutex::new(None),
    });
    spawn_guest(&process, true);
    Reader { process, input, running: None, last: 0, closing: false }.read()
}

/// The main thread after the start.
struct Reader {
    process: Arc<Process>,
    input: UnixStream,
    running: Option<Running>,
    /// The run that ended last: frames for it may still be under way.
    last: u32,
    closing: bool,
}

impl Reader {
    /// Reads frames and watches the guest, for ever.
    fn read(mut self) -> ! {
        loop {
            self.watch();
            if self.closing && self.running.is_none() {
                leave(0);
            }
            if !self.wait_for_input() {
                continue;
            }
            match read_frame(&mut self.input) {
                Ok(frame) => {
                    if let Err(violation) = self.take(frame) {
                        refuse(format_args!("{violation}"));
                        leave(1);
                    }
                }
                // The broker is gone, or its frames cannot be understood any more.
                Err(FrameError::Closed) => leave(0),
                Err(error) => {
                    refuse(format_args!("{error}"));
                    leave(1);
                }
            }
        }
    }

    /// Stops a guest whose CPU budget is used up; forgets a run that is over.
    fn watch(&mut self) {
        let Some(running) = &self.running else { return };
        let seat = &running.seat;
        let cpu_ns = seat.cpu_ns().unwrap_or(0);
        if seat.mailbox.is_over() {
            self.last = running.run;
            self.running = None;
        } else if cpu_ns >= running.cpu_ns_end {
            seat.stop(Reason::Cpu);
        } else if cpu_ns >= running.intake_ns_end && seat.mailbox.give_up_intake() {
            // Its thread cannot be stopped and says nothing any more; the broker replaces this
            // process.
            seat.mailbox.finish();
            Ending::of_slow_intake().send(&self.process.outbox, running.run);
        }
    }

    /// Whether there is something to read. Returns early to watch a guest that runs.
    fn wait_for_input(&self) -> bool {
        let (watched, full) = match &self.running {
            Some(running) => (!running.seat.mailbox.is_parked(), running.seat.mailbox.is_full()),
            None => (false, false),
        };
        let mut poll =
            libc::pollfd { fd: 0, events: if full { 0 } else { libc::POLLIN }, revents: 0 };
        let timeout =
            if watched || full || self.closing { WATCH_EVERY.as_millis() as i32 } else { -1 };
        // SAFETY: one valid entry. An interrupted call counts as nothing to read.
        unsafe { libc::poll(&mut poll, 1, timeout) > 0 }
    }

    fn take(&mut self, frame: Frame) -> Result<(), Violation> {
        match frame.kind {
            Kind::Run => return self.begin(frame),
            Kind::Shutdown => {
                self.closing = true;
                return Ok(());
            }
            Kind::Answer | Kind::Go | Kind::Stop => {}
            kind => return Err(Violation::Unexpected(kind)),
        }
        self.watch();
        let Some(running) = self.running.as_ref().filter(|running| running.run == frame.run) else {
            // It crossed our `Done`.
            return if frame.run == self.last {
                Ok(())
            } else {
                Err(Violation::WrongRun(frame.run))
            };
        };
        match frame.kind {
            Kind::Go => running.seat.mailbox.go(),
            Kind::Stop => {
                let reason = frame.body.first().copied().and_then(StopReason::from_u8);
                reason.ok_or(Violation::Frame(FrameError::Malformed(Kind::Stop)))?;
                running.seat.stop(Reason::Told);
            }
            _ => {
                let (call, ok, json) = parse_answer(&frame.body).map_err(Violation::Frame)?;
                running.seat.mailbox.answer(Answer { call, ok, json: json.to_vec() });
            }
        }
        Ok(())
    }

    fn begin(&mut self, frame: Frame) -> Result<(), Violation> {
        self.watch();
        let seat = self.process.idle.lock().take();
        let (Some(seat), None) = (seat, &self.running) else { return Err(Violation::Busy) };
        let (head, source) =
            split_head::<RunHead>(Kind::Run, &frame.body).map_err(Violation::Frame)?;
        let source = std::str::from_utf8(source)
            .map_err(|_| Violation::Frame(FrameError::Malformed(Kind::Run)))?
            .to_owned();
        let end = |ms: u64| seat.cpu_ns().unwrap_or(0).saturating_add(ms.saturating_mul(1_000_000));
        let (intake_ns_end, cpu_ns_end) = (end(intake::CPU_MS_MAX), end(head.cpu_ms_max));
        self.running =
            Some(Running { run: frame.run, seat: seat.clone(), intake_ns_end, cpu_ns_end });
        seat.mailbox.start(Job { run: frame.run, source });
        Ok(())
    }
}

/// Starts the thread of the next guest; the channel closes when its isolate stands.
fn spawn_guest(process: &Arc<Process>, first: bool) -> mpsc::Receiver<()> {
    let (built, standing) = mpsc::channel();
    let process = process.clone();
    let spawned =
        thread::Builder::new().name("guest".into()).stack_size(STACK_BYTES).spawn(move || {
            // A thread that is gone would leave its run without an end; a process that is gone is
            // seen at once.
            if panic::catch_unwind(AssertUnwindSafe(|| seat_guest(&process, first, built))).is_err()
            {
                leave(101);
            }
        });
    if let Err(error) = spawned {
        refuse(format_args!("no thread for the next guest: {error}"));
        leave(1);
    }
    standing
}

/// The thread of one guest: builds it, waits for its run, runs it, and makes room for the next.
fn seat_guest(process: &Arc<Process>, first: bool, built: mpsc::Sender<()>) {
    let mut guest = match Guest::build(&process.engine, &process.setup) {
        Ok(guest) => guest,
        Err(error) => {
            refuse(format_args!("{error}"));
            leave(1);
        }
    };
    if first {
        guest.warm_up();
        arm(process);
    }
    let seat = Arc::new(Seat {
        mailbox: Mailbox::default(),
        isolate: guest.handle(),
        clock: cpu_clock::of_this_thread(),
    });
    *process.idle.lock() = Some(seat.clone());
    drop(built);
    process.outbox.send(Kind::Ready, 0, &[]);

    let job = seat.mailbox.job();
    let run = job.run;
    let Some(ending) = guest.run(job, &seat.mailbox, &process.outbox) else { rest() };
    let spent = ending.spent;
    // Before `Done`: what the broker sends once it has that must find the run over.
    seat.mailbox.finish();
    ending.send(&process.outbox, run);
    if spent {
        rest();
    }
    // Closed, not sent to: either way the next isolate stands.
    let _ = spawn_guest(process, false).recv();
    drop(guest);
}

/// The broker replaces this process. Nothing more is built, and the damaged isolate is not taken
/// apart.
fn rest() -> ! {
    loop {
        thread::park();
    }
}

fn arm(process: &Process) {
    if let Err(error) = lockdown::seal() {
        refuse(format_args!("{error}"));
        leave(1);
    }
    let armed = Armed {
        version: VERSION,
        engine: engine::version(),
        sandbox: lockdown::LOCKS.into(),
        engine_pid: None,
    };
    let json = serde_json::to_vec(&armed).unwrap_or_else(|_| leave(1));
    process.outbox.send(Kind::Armed, 0, &[&json]);
}
