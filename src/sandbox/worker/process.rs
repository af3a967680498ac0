//! The life of a worker process with V8: its start, incoming frames, and enforcement of the guest's
//! CPU time limit.
//!
//! Runs on the main thread, which never enters V8 after the start. Each guest has a thread and an
//! isolate of its own. The next isolate is built as soon as a run is over, and only then is the old
//! one dropped, so the process is never without an isolate: V8 frees what all isolates share along
//! with the last of them.

use std::{
    os::{fd::FromRawFd, unix::net::UnixStream},
    panic::{self, AssertUnwindSafe},
    process::ExitCode,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use super::{
    channel::{Job, Mailbox, Response, StopCause},
    cpu_clock,
    engine::{self, Engine, Guest},
    exit::{leave, refuse},
    intake,
    outbox::Outbox,
    repeat::Repeat,
    run_end::RunEnd,
    start::{StartError, Violation, read_setup},
};
use crate::sandbox::{
    lockdown,
    locks::Locks,
    protocol::{
        Armed, Frame, FrameError, Kind, Setup, StopReason, VERSION, parse_response, parse_run,
        read_frame,
    },
    v8_options::V8Options,
};

/// Interval at which a running guest's CPU time is read.
const WATCH_EVERY: Duration = Duration::from_millis(5);
/// Stack of a guest's thread in bytes: twice the limit that V8 is given.
const STACK_BYTES: usize = 4 << 20;
/// Memory of a process without its guests, in bytes: code, snapshot, thread stacks, one large
/// frame.
const MEMORY_BASE_BYTES: u64 = 1 << 30;

/// A guest's thread, which waits for a run or executes one.
struct GuestThread {
    mailbox: Mailbox,
    isolate: engine::Handle,
    clock: libc::clockid_t,
}

impl GuestThread {
    /// CPU time of the thread in nanoseconds; `None` if it has ended.
    fn cpu_ns(&self) -> Option<u64> {
        cpu_clock::read_ns(self.clock)
    }

    fn stop(&self, cause: StopCause) {
        self.mailbox.stop(cause);
        self.isolate.terminate();
    }
}

/// State that the main thread and the guests' threads share.
struct Process {
    engine: Engine,
    setup: Setup,
    outbox: Arc<Outbox>,
    /// Locks in force on this process.
    locks: Locks,
    /// The guest that is ready for a run.
    idle: Mutex<Option<Arc<GuestThread>>>,
}

/// The run under way.
struct Running {
    run: u32,
    guest: Arc<GuestThread>,
    /// Reading of the thread's clock at which the intake is abandoned.
    intake_ns_end: u64,
    /// Reading of the thread's clock at which the guest is stopped.
    cpu_ns_end: u64,
}

/// Runs a worker. Returns only if it could not start.
pub(super) fn main() -> ExitCode {
    match start() {
        Ok(never) => never,
        Err(error) => refuse(format_args!("{error}")),
    }
}

fn start() -> Result<ExitCode, StartError> {
    let mut locks = lockdown::lock(lockdown::DESCRIPTORS_MAX)?;
    let snapshot = lockdown::take_snapshot()?;
    // SAFETY: descriptor 0 is the connected socket from the broker; nothing else in this process
    // owns it.
    let mut input = unsafe { UnixStream::from_raw_fd(0) };
    let setup = read_setup(&mut input)?;
    let options: V8Options =
        serde_json::from_str(setup.engine_options.get()).map_err(StartError::Options)?;
    let memory_max = MEMORY_BASE_BYTES
        + 3 * (setup.heap_bytes_max + setup.buffer_bytes_max)
        + 2 * setup.result_bytes_max;
    locks.extend([lockdown::drop_capabilities()?, lockdown::limit_memory(memory_max)?]);
    let output = input.try_clone().map_err(StartError::Socket)?;
    // On the main thread: later threads inherit V8's memory protection keys.
    let engine =
        Engine::start(snapshot, options).map_err(|error| StartError::Engine(Box::new(error)))?;
    let process = Arc::new(Process {
        engine,
        setup,
        outbox: Arc::new(Outbox::new(output)),
        locks,
        idle: Mutex::new(None),
    });
    spawn_guest(&process, true);
    MainLoop { process, input, running: None, last: 0, closing: false }.serve()
}

/// The main thread after the start.
struct MainLoop {
    process: Arc<Process>,
    input: UnixStream,
    running: Option<Running>,
    /// The run that ended last: frames for it may still arrive.
    last: u32,
    closing: bool,
}

impl MainLoop {
    /// Handles frames and enforces limits until the broker is gone.
    fn serve(mut self) -> ! {
        loop {
            self.check_limits();
            if self.closing && self.running.is_none() {
                leave(0);
            }
            if !self.wait_for_input() {
                continue;
            }
            match read_frame(&mut self.input) {
                Ok(frame) => {
                    if let Err(violation) = self.on_frame(frame) {
                        refuse(format_args!("{violation}"));
                        leave(1);
                    }
                }
                // The broker is gone, or its frames are no longer intelligible.
                Err(FrameError::Closed) => leave(0),
                Err(error) => {
                    refuse(format_args!("{error}"));
                    leave(1);
                }
            }
        }
    }

    /// Stops a guest that has reached its CPU time limit; forgets a run that is over.
    fn check_limits(&mut self) {
        let Some(running) = &self.running else { return };
        let guest = &running.guest;
        if guest.mailbox.is_over() {
            self.last = running.run;
            self.running = None;
            return;
        }
        let cpu_ns = guest.cpu_ns().unwrap_or(0);
        if cpu_ns >= running.cpu_ns_end {
            guest.stop(StopCause::Cpu);
        } else if cpu_ns >= running.intake_ns_end && guest.mailbox.abandon_intake() {
            // Its thread cannot be stopped and sends nothing more; the broker replaces this
            // process.
            guest.mailbox.finish();
            RunEnd::of_slow_intake().send(&self.process.outbox, running.run);
        }
    }

    /// Waits for input. Returns false without input if a running guest is to be checked.
    fn wait_for_input(&self) -> bool {
        let (watched, full) = match self.running.as_ref().map(|running| &running.guest.mailbox) {
            Some(mailbox) => (!mailbox.is_parked(), mailbox.is_full()),
            None => (false, false),
        };
        let mut poll =
            libc::pollfd { fd: 0, events: if full { 0 } else { libc::POLLIN }, revents: 0 };
        let timeout =
            if watched || full || self.closing { WATCH_EVERY.as_millis() as i32 } else { -1 };
        // SAFETY: one valid entry. An interrupted call counts as no input.
        unsafe { libc::poll(&mut poll, 1, timeout) > 0 }
    }

    fn on_frame(&mut self, frame: Frame) -> Result<(), Violation> {
        match frame.kind {
            Kind::Run => return self.start_run(frame),
            Kind::Shutdown => {
                self.closing = true;
                return Ok(());
            }
            Kind::Response | Kind::Go | Kind::Stop => {}
            kind => return Err(Violation::Unexpected(kind)),
        }
        self.check_limits();
        let Some(running) = self.running.as_ref().filter(|running| running.run == frame.run) else {
            // It crossed our `Done`.
            return if frame.run == self.last {
                Ok(())
            } else {
                Err(Violation::WrongRun(frame.run))
            };
        };
        match frame.kind {
            Kind::Go => running.guest.mailbox.go(),
            Kind::Stop => {
                let reason = frame.body.first().copied().and_then(StopReason::from_u8);
                reason.ok_or(Violation::Frame(FrameError::Malformed(Kind::Stop)))?;
                running.guest.stop(StopCause::Broker);
            }
            _ => {
                let (call, ok, json) = parse_response(&frame.body).map_err(Violation::Frame)?;
                running.guest.mailbox.respond(Response { call, ok, json: json.to_vec() });
            }
        }
        Ok(())
    }

    fn start_run(&mut self, frame: Frame) -> Result<(), Violation> {
        self.check_limits();
        let guest = self.process.idle.lock().take();
        let (Some(guest), None) = (guest, &self.running) else { return Err(Violation::Busy) };
        let (head, history, source) = parse_run(&frame.body).map_err(Violation::Frame)?;
        let now = guest.cpu_ns().unwrap_or(0);
        let end = |ms: u64| now.saturating_add(ms.saturating_mul(1_000_000));
        let (intake_ns_end, cpu_ns_end) = (end(intake::CPU_MS_MAX), end(head.cpu_ms_max));
        let repeat = Repeat::new(&head, history, Instant::now());
        guest.mailbox.start(Job { run: frame.run, source: source.to_owned(), repeat });
        self.running = Some(Running { run: frame.run, guest, intake_ns_end, cpu_ns_end });
        Ok(())
    }
}

/// Starts the thread of the next guest. The channel closes once its isolate is built.
fn spawn_guest(process: &Arc<Process>, first: bool) -> mpsc::Receiver<()> {
    let (building, built) = mpsc::channel();
    let process = process.clone();
    let spawned =
        thread::Builder::new().name("guest".into()).stack_size(STACK_BYTES).spawn(move || {
            // A thread that panicked would leave its run without an end; the broker notices at once
            // if the process is gone.
            let run = AssertUnwindSafe(|| run_guest(&process, first, building));
            if panic::catch_unwind(run).is_err() {
                leave(101);
            }
        });
    if let Err(error) = spawned {
        refuse(format_args!("no thread for the next guest: {error}"));
        leave(1);
    }
    built
}

/// Body of a guest's thread: builds the isolate, waits for the run, executes it and starts the next
/// guest's thread.
fn run_guest(process: &Arc<Process>, first: bool, building: mpsc::Sender<()>) {
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
    let thread = Arc::new(GuestThread {
        mailbox: Mailbox::default(),
        isolate: guest.handle(),
        clock: cpu_clock::of_this_thread(),
    });
    intake::prepare_thread();
    *process.idle.lock() = Some(thread.clone());
    process.outbox.send(Kind::Ready, 0, &[]);
    // After `Ready`: it lets the previous thread drop its isolate, whose memory takes long to
    // unmap.
    drop(building);

    let job = thread.mailbox.job();
    let run = job.run;
    let Some(end) = guest.run(job, &thread.mailbox, &process.outbox) else { park_forever() };
    let spent = end.spent;
    // Before `Done`: frames that the broker sends after receiving it must find the run over.
    thread.mailbox.finish();
    end.send(&process.outbox, run);
    if spent {
        park_forever();
    }
    // The channel is closed, never sent to, so this only waits for the next isolate.
    let _ = spawn_guest(process, false).recv();
    drop(guest);
}

/// Waits until the broker replaces this process: the damaged isolate must not be dropped.
fn park_forever() -> ! {
    loop {
        thread::park();
    }
}

/// Reports that the process is locked down and can take a run.
fn arm(process: &Process) {
    let armed = Armed {
        version: VERSION,
        engine: engine::version(),
        locks: process.locks.clone(),
        engine_pid: None,
    };
    let json = serde_json::to_vec(&armed).unwrap_or_else(|_| leave(1));
    process.outbox.send(Kind::Armed, 0, &[&json]);
}
