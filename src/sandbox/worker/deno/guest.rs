//! The worker's loop: frames of the broker and of Deno in, the guest's clocks, timers and limits,
//! its end.
//!
//! One thread, one `poll`. What the broker sends goes on to Deno without waiting for it; what Deno
//! says is judged and goes on to the broker. A guest that must end is ended with its process: Deno
//! cannot be interrupted from outside, and is replaced anyway.

use std::{
    os::{fd::AsRawFd, unix::net::UnixStream},
    sync::Arc,
    time::{Duration, Instant},
};

use sha2::Digest;

use super::{
    child::Child,
    intake_watch::IntakeWatch,
    link::{Down, EndKind, Ended, Frame, Parts, Program, Thrown, Up},
};
use crate::sandbox::{
    lockdown::jail::LOCKS,
    protocol::{
        self, Armed, DoneOutcome, FrameError, Kind, RunHead, Setup, StopReason, VERSION, join_head,
        level_from_u8, level_to_u8, parse_answer, read_frame, split_head,
    },
    worker::{
        cpu_clock,
        ending::Ending,
        endings,
        intake::{Prepared, STACK_FRAMES_MAX},
        log::LogMeter,
        outbox::{Outbox, leave},
        refuse,
        start::Violation,
        timers::Timers,
        warnings::Warnings,
    },
};

/// How often a running guest's CPU time and memory are looked at, and those of Deno while it only
/// waits.
const WATCH_EVERY: Duration = Duration::from_millis(5);
const REST_WATCH_EVERY: Duration = Duration::from_secs(1);
/// CPU time that Deno may use while it has no run, once its next realm stands.
const REST_CPU_NS_MAX: u64 = 200_000_000;
/// Threads of Deno at the most; it has five.
const THREADS_MAX: u64 = 32;
/// The longest text that Deno's side sends for a line, a warning or a stack, in bytes, all of them
/// cut there to 8192 characters.
const TEXT_BYTES_MAX: usize = 64 * 1024;

/// Whether the guest has something to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It runs, or something is on its way to it.
    Running,
    /// It only waits; the broker knows.
    Parked,
    /// It waits, and a timer is due, for which the broker was asked.
    Woken,
}

/// The run under way.
struct Running {
    run: u32,
    prepared: Prepared,
    state: State,
    timers: Timers,
    log: LogMeter,
    warnings: Warnings,
    /// Answers and timers that were sent to Deno.
    answers: u32,
    fired: u32,
    cpu_ns_began: u64,
    cpu_ns_end: u64,
    /// CPU time of the intake.
    intake_ns: u64,
    heap_peak_bytes: u64,
}

/// See the module.
pub(super) struct Worker {
    setup: Setup,
    input: UnixStream,
    outbox: Arc<Outbox>,
    child: Child,
    watch: IntakeWatch,
    clock: libc::clockid_t,
    running: Option<Running>,
    /// CPU time of Deno when its present realm stood.
    cpu_ns_at_rest: u64,
    /// Whether Deno has a realm for the next run.
    ready: bool,
    /// The run that ended last: frames for it may still be under way.
    last: u32,
    closing: bool,
}

impl Worker {
    /// Must be made on the thread that runs it.
    pub(super) fn new(
        setup: Setup,
        input: UnixStream,
        outbox: Arc<Outbox>,
        child: Child,
        watch: IntakeWatch,
    ) -> Self {
        Self {
            setup,
            input,
            outbox,
            child,
            watch,
            clock: cpu_clock::of_this_thread(),
            running: None,
            cpu_ns_at_rest: 0,
            ready: true,
            last: 0,
            closing: false,
        }
    }

    /// Serves until the broker is gone.
    pub(super) fn serve(mut self) -> ! {
        self.cpu_ns_at_rest = self.child.cpu_ns();
        self.arm();
        loop {
            if self.closing && self.running.is_none() {
                leave(0);
            }
            let [broker, deno, complaints] = self.wait();
            if complaints {
                self.child.listen();
            }
            if deno {
                self.hear_deno();
            }
            if broker {
                match read_frame(&mut self.input) {
                    Ok(frame) => self
                        .take(frame)
                        .unwrap_or_else(|violation| fail(format_args!("{violation}"))),
                    // The broker is gone, or its frames cannot be understood any more.
                    Err(FrameError::Closed) => leave(0),
                    Err(error) => fail(format_args!("{error}")),
                }
            }
            self.look();
        }
    }

    fn arm(&self) {
        let engine = format!("Deno {}, V8 {}", self.child.hello.deno, self.child.hello.v8);
        let armed = Armed {
            version: VERSION,
            engine,
            sandbox: LOCKS.into(),
            engine_pid: Some(self.child.pid()),
        };
        let json = serde_json::to_vec(&armed).unwrap_or_else(|_| leave(1));
        self.outbox.send(Kind::Armed, 0, &[&json]);
        self.outbox.send(Kind::Ready, 0, &[]);
    }

    /// Waits until there is something to read, or something to look at.
    fn wait(&mut self) -> [bool; 3] {
        // What the broker sends is left in the socket while Deno does not take what it was sent.
        let events = if self.child.is_full() { 0 } else { libc::POLLIN };
        let broker = libc::pollfd { fd: self.input.as_raw_fd(), events, revents: 0 };
        let complaints =
            libc::pollfd { fd: self.child.stderr().as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let mut poll = [broker, self.child.pollfd(), complaints];
        // SAFETY: three valid entries. An interrupted call counts as nothing to read.
        let ready =
            unsafe { libc::poll(poll.as_mut_ptr(), poll.len() as libc::nfds_t, self.patience()) };
        if ready <= 0 {
            return [false; 3];
        }
        if poll[1].revents & libc::POLLOUT != 0 {
            self.child.flush();
        }
        let [broker, deno, complaints] =
            poll.map(|entry| entry.revents & (libc::POLLIN | libc::POLLHUP | libc::POLLERR) != 0);
        [broker, deno, complaints && poll[2].revents & libc::POLLIN != 0]
    }

    /// Milliseconds until something must be looked at.
    fn patience(&self) -> i32 {
        let running = self.running.as_ref();
        let due = running
            .filter(|running| running.state == State::Parked)
            .and_then(|running| running.timers.next_due());
        let wait = match running {
            Some(running) if running.state == State::Running => WATCH_EVERY,
            _ => due.map_or(REST_WATCH_EVERY, |due| {
                due.saturating_duration_since(Instant::now()).min(REST_WATCH_EVERY)
            }),
        };
        wait.as_nanos().div_ceil(1_000_000) as i32
    }

    // Frames of the broker.

    fn take(&mut self, frame: protocol::Frame) -> Result<(), Violation> {
        match frame.kind {
            Kind::Run => return self.begin(frame),
            Kind::Shutdown => {
                self.closing = true;
                return Ok(());
            }
            Kind::Answer | Kind::Go | Kind::Stop => {}
            kind => return Err(Violation::Unexpected(kind)),
        }
        let Some(running) = self.running.as_mut().filter(|running| running.run == frame.run) else {
            // It crossed our `Done`.
            return if frame.run == self.last {
                Ok(())
            } else {
                Err(Violation::WrongRun(frame.run))
            };
        };
        match frame.kind {
            Kind::Go => {
                running.state = State::Parked;
                self.fire_due();
            }
            Kind::Stop => {
                let reason = frame.body.first().copied().and_then(StopReason::from_u8);
                reason.ok_or(Violation::Frame(FrameError::Malformed(Kind::Stop)))?;
                self.kill(DoneOutcome::Stopped);
            }
            _ => {
                parse_answer(&frame.body).map_err(Violation::Frame)?;
                running.answers += 1;
                running.state = State::Running;
                self.child.send(Down::Answer, &[&frame.body]);
            }
        }
        Ok(())
    }

    fn begin(&mut self, frame: protocol::Frame) -> Result<(), Violation> {
        if self.running.is_some() || !self.ready {
            return Err(Violation::Busy);
        }
        let (head, source) =
            split_head::<RunHead>(Kind::Run, &frame.body).map_err(Violation::Frame)?;
        let source = std::str::from_utf8(source)
            .map_err(|_| Violation::Frame(FrameError::Malformed(Kind::Run)))?;
        let began = cpu_clock::read_ns(self.clock).unwrap_or(0);
        let prepared = self.watch.prepare(frame.run, source);
        let intake_ns = cpu_clock::read_ns(self.clock).unwrap_or(began) - began;
        let prepared = match prepared {
            Ok(prepared) => prepared,
            Err(error) => {
                self.last = frame.run;
                Ending::of_intake(error, intake_ns / 1_000_000).send(&self.outbox, frame.run);
                self.outbox.send(Kind::Ready, 0, &[]);
                return Ok(());
            }
        };
        let cpu_ns = self.child.cpu_ns();
        let budget = head.cpu_ms_max.saturating_mul(1_000_000).saturating_sub(intake_ns);
        let program = Program {
            name: prepared.name,
            line_offset: prepared.line_offset,
            column_offset: prepared.column_offset,
        };
        self.child.send(Down::Run, &[&join_head(&program), prepared.script.as_bytes()]);
        self.ready = false;
        self.running = Some(Running {
            run: frame.run,
            prepared,
            state: State::Running,
            timers: Timers::new(self.setup.timers_max),
            log: LogMeter::new(self.setup.log_bytes_max, self.setup.log_lines_max),
            warnings: Warnings::default(),
            answers: 0,
            fired: 0,
            cpu_ns_began: cpu_ns,
            cpu_ns_end: cpu_ns.saturating_add(budget),
            intake_ns,
            heap_peak_bytes: 0,
        });
        Ok(())
    }

    // The clocks.

    /// Ends a guest that is over a limit, and Deno where it does more than it may; asks the broker
    /// where a timer is due.
    fn look(&mut self) {
        let (now, cpu_ns) = (self.child.look(), self.child.cpu_ns());
        if now.threads > THREADS_MAX {
            fail(format_args!("Deno has {} threads, allowed are {THREADS_MAX}", now.threads));
        }
        let Some(running) = &mut self.running else {
            // Nobody's program runs, so nothing may be computed or held that was not before.
            if self.ready && (now.is_too_large || cpu_ns > self.cpu_ns_at_rest + REST_CPU_NS_MAX) {
                fail(format_args!("Deno works while it has no program"));
            }
            return;
        };
        if now.is_too_large {
            return self.kill(endings::heap_limit(self.setup.heap_bytes_max));
        }
        if cpu_ns >= running.cpu_ns_end {
            return self.kill(DoneOutcome::CpuLimit);
        }
        if running.state == State::Parked
            && running.timers.next_due().is_some_and(|due| due <= Instant::now())
        {
            running.state = State::Woken;
            self.outbox.send(Kind::Wake, running.run, &[]);
        }
    }

    /// Fires the timers that are due; whether there were any.
    fn fire_due(&mut self) -> bool {
        let Some(running) = &mut self.running else { return false };
        let now = Instant::now();
        let before = running.fired;
        while let Some(timer) = running.timers.take_due(now) {
            running.fired += 1;
            running.state = State::Running;
            self.child.send(Down::Fire, &[&timer.to_le_bytes()]);
        }
        running.fired > before
    }

    // Frames of Deno.

    fn hear_deno(&mut self) {
        let open = self.child.fill().unwrap_or(false);
        loop {
            match self.child.next() {
                Ok(Some(frame)) => self.hear(&frame).unwrap_or_else(|| {
                    fail(format_args!("Deno sent a wrong {:?} frame", frame.kind))
                }),
                Ok(None) if open => return,
                Ok(None) => return self.lose_deno(),
                Err(what) => fail(format_args!("Deno sent {what}")),
            }
        }
    }

    /// Deno has ended by itself.
    fn lose_deno(&mut self) {
        let status = self
            .child
            .end()
            .unwrap_or_else(|error| fail(format_args!("Deno could not be ended: {error}")));
        if self.running.is_some() && self.child.ran_out_of_memory(status) {
            return self.end(endings::heap_limit(self.setup.heap_bytes_max), Vec::new(), true);
        }
        let words = self.child.last_words();
        fail(format_args!("Deno ended ({status}): {words}"));
    }

    /// None for a frame that breaks the rules.
    fn hear(&mut self, frame: &Frame) -> Option<()> {
        let mut parts = Parts(&frame.body);
        if frame.kind == Up::Ready {
            self.ready = true;
            self.cpu_ns_at_rest = self.child.cpu_ns();
            self.outbox.send(Kind::Ready, 0, &[]);
            return self.running.is_none().then_some(());
        }
        // What still comes of a run that was ended from here.
        let Some(running) = &mut self.running else { return (!self.ready).then_some(()) };
        match frame.kind {
            Up::Call => {
                let (call, line, column) = (parts.u32()?, parts.u32()?, parts.u32()?);
                let length = parts.u16()?;
                let path = parts.text(usize::from(length))?;
                if parts.0.len() + path.len() + 10 > Kind::Call.body_max() {
                    return None;
                }
                let line = if line == 0 { 0 } else { running.prepared.position(line, column).0 };
                let (call, line, length) =
                    (call.to_le_bytes(), line.to_le_bytes(), length.to_le_bytes());
                self.outbox.send(
                    Kind::Call,
                    running.run,
                    &[&call, &line, &length, path.as_bytes(), parts.0],
                );
            }
            Up::Log | Up::Warn if parts.0.len() > TEXT_BYTES_MAX => return None,
            Up::Log => {
                let level = level_from_u8(parts.u8()?)?;
                let line = running.log.admit(String::from_utf8_lossy(parts.0).into_owned());
                if let Some(line) = line {
                    self.outbox.send(
                        Kind::Log,
                        running.run,
                        &[&[level_to_u8(level)], line.as_bytes()],
                    );
                }
            }
            Up::Warn => running.warnings.add(String::from_utf8_lossy(parts.0).into_owned()),
            Up::Timer => {
                let (timer, ms, repeats) = (parts.u32()?, parts.f64()?, parts.u8()? != 0);
                let delay = Duration::try_from_secs_f64(ms / 1000.0).unwrap_or_default();
                // Both sides count: another number means that Deno's side does not follow its own
                // rules.
                return (running.timers.start(Instant::now(), delay, repeats)? == timer)
                    .then_some(());
            }
            Up::Clear => running.timers.clear(parts.u32()?),
            Up::Idle => {
                let (answers, fired, outstanding, heap_kb) =
                    (parts.u32()?, parts.u32()?, parts.u32()?, parts.u32()?);
                running.heap_peak_bytes = running.heap_peak_bytes.max(u64::from(heap_kb) * 1024);
                // Otherwise something is on its way to it.
                if (answers, fired) == (running.answers, running.fired) {
                    self.idle(outstanding);
                }
            }
            Up::Ask => {
                let told = self.told(parts)?;
                return self.child.tell(&told).then_some(());
            }
            Up::Done => return self.done(&frame.body),
            Up::Hello | Up::Ready => return None,
        }
        Some(())
    }

    /// Nothing in the guest can go on: timers that are due, else a park, else its end.
    fn idle(&mut self, outstanding: u32) {
        if self.fire_due() {
            return;
        }
        let Some(running) = &mut self.running else { return };
        if outstanding == 0 && running.timers.next_due().is_none() {
            let outcome = DoneOutcome::Threw {
                error: endings::unresolved_promise(&running.prepared),
                call: None,
            };
            self.child.send(Down::End, &[]);
            return self.end_alive(outcome, Vec::new());
        }
        running.state = State::Parked;
        self.outbox.send(Kind::Parked, running.run, &[&running.answers.to_le_bytes()]);
    }

    fn told(&self, mut parts: Parts<'_>) -> Option<Vec<u8>> {
        match parts.u8()? {
            1 => Some(match parts.u32()? {
                1 => sha1::Sha1::digest(parts.0).to_vec(),
                256 => sha2::Sha256::digest(parts.0).to_vec(),
                384 => sha2::Sha384::digest(parts.0).to_vec(),
                512 => sha2::Sha512::digest(parts.0).to_vec(),
                _ => return None,
            }),
            2 if parts.0.len() <= TEXT_BYTES_MAX => {
                Some(self.stack_text(std::str::from_utf8(parts.0).ok()?).into_bytes())
            }
            _ => None,
        }
    }

    /// The text of a stack with the caller's own places. `text` holds a frame a line, an empty
    /// line, the name, and the message.
    fn stack_text(&self, text: &str) -> String {
        let (frames, error) = text
            .split_once("\n\n")
            .or_else(|| Some(("", text.strip_prefix('\n')?)))
            .unwrap_or(("", text));
        let (name, message) = error.split_once('\n').unwrap_or((error, ""));
        let frame = |line: &str| {
            let mut parts = line.splitn(3, ':');
            Some((
                parts.next()?.parse().ok()?,
                parts.next()?.parse().ok()?,
                parts.next()?.to_owned(),
            ))
        };
        let frames: Vec<_> = frames
            .lines()
            .take(STACK_FRAMES_MAX)
            .filter_map(frame)
            .map(|(line, column, function)| (function, line, column))
            .collect();
        let told = self
            .running
            .as_ref()
            .and_then(|running| running.prepared.describe(name, message, None, &frames).stack);
        told.unwrap_or_else(|| {
            if message.is_empty() { name.to_owned() } else { format!("{name}: {message}") }
        })
    }

    // The end.

    fn done(&mut self, body: &[u8]) -> Option<()> {
        let (head, result) = split_head::<Ended>(Kind::Done, body).ok()?;
        let running = self.running.as_mut()?;
        running.heap_peak_bytes = running.heap_peak_bytes.max(head.heap_kb.saturating_mul(1024));
        running.warnings.add_abandoned(head.outstanding);
        let prepared = &running.prepared;
        for lost in &head.rejections {
            let place = lost.frames.first().map(|(_, line, column)| {
                let (line, column) = prepared.position(*line, *column);
                format!("{}:{line}:{column}", prepared.name)
            });
            running.warnings.add_rejection(&lost.name, &lost.message, place);
        }
        running.warnings.add_more_rejections(head.more_rejections);
        let setup = &self.setup;
        let threw = |error| DoneOutcome::Threw { error, call: None };
        let outcome = match head.kind {
            EndKind::Returned if result.len() as u64 <= setup.result_bytes_max => {
                DoneOutcome::Returned
            }
            EndKind::Returned | EndKind::ResultLimit => {
                threw(endings::result_limit(setup.result_bytes_max))
            }
            EndKind::NotAProgram => threw(endings::not_one_program(prepared)),
            EndKind::Threw => {
                let Thrown { name, message, call, frames } = head.thrown?;
                let at = frames.first().map(|(_, line, column)| (*line, *column));
                DoneOutcome::Threw {
                    error: prepared.describe(&name, &message, at, &frames),
                    call: (call > 0).then_some(call),
                }
            }
        };
        self.end_alive(outcome, result.to_vec());
        Some(())
    }

    /// Ends the guest; its process stays, if it is fit for another one.
    fn end_alive(&mut self, outcome: DoneOutcome, result: Vec<u8>) {
        if self.child.is_worn() {
            self.end_with_process(outcome, result);
        } else {
            self.end(outcome, result, false);
        }
    }

    fn kill(&mut self, outcome: DoneOutcome) {
        self.end_with_process(outcome, Vec::new());
    }

    /// Ends the guest with its process; the broker replaces this one.
    fn end_with_process(&mut self, outcome: DoneOutcome, result: Vec<u8>) {
        if let Err(error) = self.child.end() {
            fail(format_args!("Deno could not be ended: {error}"));
        }
        self.end(outcome, result, true);
    }

    fn end(&mut self, outcome: DoneOutcome, result: Vec<u8>, spent: bool) {
        let Some(running) = self.running.take() else { return };
        self.last = running.run;
        let cpu_ns = self.child.cpu_ns().saturating_sub(running.cpu_ns_began) + running.intake_ns;
        let ending = Ending {
            outcome,
            result,
            cpu_ms: cpu_ns / 1_000_000,
            heap_peak_bytes: running.heap_peak_bytes.max(if spent {
                self.child.guest_peak()
            } else {
                0
            }),
            dropped_lines: running.log.dropped_lines,
            dropped_bytes: running.log.dropped_bytes,
            warnings: running.warnings.into_texts(),
            spent,
        };
        ending.send(&self.outbox, running.run);
        if spent {
            // Nothing more is run here; the broker ends this process, or is gone.
            while read_frame(&mut self.input).is_ok() {}
            leave(0);
        }
    }
}

fn fail(reason: std::fmt::Arguments<'_>) -> ! {
    refuse(reason);
    leave(1)
}
