//! The worker's loop: frames from the broker and from Deno, the guest's clocks, timers and limits,
//! and the end of its run.
//!
//! One thread, one `poll`. Frames from the broker are passed on to Deno without waiting for it;
//! frames from Deno are checked and passed on to the broker. A guest that must stop is ended
//! together with its process: Deno cannot be interrupted from outside, and is replaced anyway.

use std::{
    collections::VecDeque,
    os::{fd::AsRawFd, unix::net::UnixStream},
    sync::Arc,
    time::{Duration, Instant},
};

use sha2::Digest;

use super::{
    child::Child,
    intake_watch::IntakeWatch,
    link::{BodyReader, DoneHead, DoneKind, Frame, FromDeno, GuestClock, Program, Thrown, ToDeno},
    running::{Running, State, stack_text},
};
use crate::sandbox::{
    history::Entry,
    lockdown::jail::LOCKS,
    protocol::{
        self, Armed, DoneOutcome, FrameError, Kind, Setup, StopReason, VERSION, join_head,
        level_from_u8, level_to_u8, parse_response, parse_run, read_frame, split_head,
    },
    worker::{
        cpu_clock,
        exit::{leave, refuse},
        log::LogMeter,
        messages,
        outbox::Outbox,
        repeat::Repeat,
        run_end::RunEnd,
        start::Violation,
        timers::Timers,
        warnings::Warnings,
    },
};

/// Interval at which a running guest's CPU time and memory are measured.
const WATCH_EVERY: Duration = Duration::from_millis(5);
/// Interval at which they are measured while Deno only waits.
const IDLE_WATCH_EVERY: Duration = Duration::from_secs(1);
/// CPU time that Deno may use without a run, once its next realm is built.
const IDLE_CPU_NS_MAX: u64 = 200_000_000;
/// Upper bound on Deno's threads; it has five.
const THREADS_MAX: u64 = 32;
/// Upper bound on the random bytes of one query: that of `crypto.getRandomValues`.
const RANDOM_BYTES_MAX: usize = 65_536;
/// Upper bound on a line, a warning or a stack from Deno, in bytes. Deno's side cuts each to 8192
/// characters.
const TEXT_BYTES_MAX: usize = 64 * 1024;

/// A worker with Deno as its child.
pub(super) struct Worker {
    setup: Setup,
    input: UnixStream,
    outbox: Arc<Outbox>,
    child: Child,
    watch: IntakeWatch,
    clock: libc::clockid_t,
    running: Option<Running>,
    /// CPU time of Deno when its current realm was built, in nanoseconds.
    cpu_ns_when_ready: u64,
    /// True if Deno has a realm for the next run.
    ready: bool,
    /// The run that ended last: frames for it may still arrive.
    last: u32,
    closing: bool,
}

impl Worker {
    /// Must be called on the thread that serves.
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
            cpu_ns_when_ready: 0,
            ready: true,
            last: 0,
            closing: false,
        }
    }

    /// Handles frames and enforces limits until the broker is gone.
    pub(super) fn serve(mut self) -> ! {
        self.cpu_ns_when_ready = self.child.cpu_ns();
        self.arm();
        loop {
            if self.closing && self.running.is_none() {
                leave(0);
            }
            let [broker, deno, stderr] = self.wait_for_input();
            if stderr {
                self.child.read_stderr();
            }
            if deno {
                self.read_deno();
            }
            if broker {
                match read_frame(&mut self.input) {
                    Ok(frame) => self
                        .on_broker_frame(frame)
                        .unwrap_or_else(|violation| fail(format_args!("{violation}"))),
                    // The broker is gone, or its frames are no longer intelligible.
                    Err(FrameError::Closed) => leave(0),
                    Err(error) => fail(format_args!("{error}")),
                }
            }
            self.check_limits();
        }
    }

    /// Reports that Deno is jailed and can take a run.
    fn arm(&self) {
        let engine = format!("Deno {}, V8 {}", self.child.hello.deno, self.child.hello.v8);
        let armed = Armed {
            version: VERSION,
            engine,
            locks: LOCKS.into_iter().collect(),
            engine_pid: Some(self.child.pid()),
        };
        let json = serde_json::to_vec(&armed).unwrap_or_else(|_| leave(1));
        self.outbox.send(Kind::Armed, 0, &[&json]);
        self.outbox.send(Kind::Ready, 0, &[]);
    }

    /// Waits for input or the next check. Returns which of broker, Deno and Deno's standard error
    /// have input.
    fn wait_for_input(&mut self) -> [bool; 3] {
        // The broker's frames stay in the socket while Deno does not read what it was sent.
        let events = if self.child.is_full() { 0 } else { libc::POLLIN };
        let broker = libc::pollfd { fd: self.input.as_raw_fd(), events, revents: 0 };
        let stderr =
            libc::pollfd { fd: self.child.stderr().as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let mut poll = [broker, self.child.pollfd(), stderr];
        // SAFETY: three valid entries. An interrupted call counts as no input.
        let ready =
            unsafe { libc::poll(poll.as_mut_ptr(), poll.len() as libc::nfds_t, self.timeout_ms()) };
        if ready <= 0 {
            return [false; 3];
        }
        if poll[1].revents & libc::POLLOUT != 0 {
            self.child.flush();
        }
        let [broker, deno, stderr] =
            poll.map(|entry| entry.revents & (libc::POLLIN | libc::POLLHUP | libc::POLLERR) != 0);
        [broker, deno, stderr && poll[2].revents & libc::POLLIN != 0]
    }

    /// Milliseconds until the next check.
    fn timeout_ms(&self) -> i32 {
        let running = self.running.as_ref();
        let due = running
            .filter(|running| running.state == State::Parked && running.is_live())
            .and_then(|running| Some(running.repeat.moment(running.timers.next_due()?)));
        let wait = match running {
            Some(running) if running.state == State::Running => WATCH_EVERY,
            _ => due.map_or(IDLE_WATCH_EVERY, |due| {
                due.saturating_duration_since(Instant::now()).min(IDLE_WATCH_EVERY)
            }),
        };
        wait.as_nanos().div_ceil(1_000_000) as i32
    }

    // Frames from the broker.

    fn on_broker_frame(&mut self, frame: protocol::Frame) -> Result<(), Violation> {
        match frame.kind {
            Kind::Run => return self.start_run(frame),
            Kind::Shutdown => {
                self.closing = true;
                return Ok(());
            }
            Kind::Response | Kind::Go | Kind::Stop => {}
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
                self.kill_guest(DoneOutcome::Stopped);
            }
            _ => {
                parse_response(&frame.body).map_err(Violation::Frame)?;
                running.held.push_back(frame.body);
                if running.is_live() || running.state == State::Parked {
                    self.take_turn();
                }
            }
        }
        Ok(())
    }

    fn start_run(&mut self, frame: protocol::Frame) -> Result<(), Violation> {
        if self.running.is_some() || !self.ready {
            return Err(Violation::Busy);
        }
        let (head, history, source) = parse_run(&frame.body).map_err(Violation::Frame)?;
        let fired = history.iter().filter(|entry| matches!(entry, Entry::Fired { .. })).count();
        let repeat = Repeat::new(&head, history, Instant::now());
        let began = cpu_clock::read_ns(self.clock).unwrap_or(0);
        let prepared = self.watch.prepare(frame.run, source);
        let intake_ns = cpu_clock::read_ns(self.clock).unwrap_or(began) - began;
        let prepared = match prepared {
            Ok(prepared) => prepared,
            Err(error) => {
                self.last = frame.run;
                RunEnd::of_intake(error, intake_ns / 1_000_000).send(&self.outbox, frame.run);
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
            clock: GuestClock {
                origin_ms: head.origin_ms,
                elapsed_ms: repeat.elapsed(Instant::now()).as_millis() as u64,
                ticks: repeat.ticks().collect(),
                calls: head.calls,
                turns: head.responses.saturating_add(fired as u32),
            },
        };
        self.child.send(ToDeno::Run, &[&join_head(&program), prepared.script.as_bytes()]);
        self.ready = false;
        self.running = Some(Running {
            run: frame.run,
            prepared,
            state: State::Running,
            timers: Timers::new(self.setup.timers_max),
            log: LogMeter::new(self.setup.log_bytes_max, self.setup.log_lines_max),
            warnings: Warnings::default(),
            repeat,
            held: VecDeque::new(),
            responses: 0,
            fired: 0,
            cpu_ns_began: cpu_ns,
            cpu_ns_end: cpu_ns.saturating_add(budget),
            intake_ns,
            heap_peak_bytes: 0,
        });
        Ok(())
    }

    // Limits.

    /// Ends a guest that is over a limit, and the process if Deno misbehaves. Asks the broker for
    /// permission if a timer is due.
    fn check_limits(&mut self) {
        let (used, cpu_ns) = (self.child.measure(), self.child.cpu_ns());
        if used.threads > THREADS_MAX {
            fail(format_args!("Deno has {} threads; the limit is {THREADS_MAX}", used.threads));
        }
        let Some(running) = &mut self.running else {
            // No program runs, so Deno has no reason to compute or to use more memory.
            let is_busy = cpu_ns > self.cpu_ns_when_ready + IDLE_CPU_NS_MAX;
            if self.ready && (used.is_too_large || is_busy) {
                fail(format_args!("Deno works while it has no program"));
            }
            return;
        };
        if used.is_too_large {
            return self.kill_guest(messages::heap_limit(self.setup.heap_bytes_max));
        }
        if cpu_ns >= running.cpu_ns_end {
            return self.kill_guest(DoneOutcome::CpuLimit);
        }
        if running.state == State::Parked
            && running.is_live()
            && running.timers.next_due().is_some_and(|due| due <= running.elapsed())
        {
            running.state = State::WakeRequested;
            self.outbox.send(Kind::Wake, running.run, &[]);
        }
    }

    /// Fires the timers that are due; returns true if there were any.
    fn fire_due(&mut self) -> bool {
        let Some(running) = &mut self.running else { return false };
        if !running.is_live() {
            return false;
        }
        let (now, before) = (running.elapsed(), running.fired);
        while let Some(timer) = running.timers.take_due(now) {
            running.repeat.note_fired(timer);
            running.fired += 1;
            running.state = State::Running;
            self.child.send(ToDeno::Fire, &[&timer.to_le_bytes()]);
        }
        running.fired > before
    }

    /// Sends Deno the next turn of the run that is repeated, or the responses that have come.
    /// Returns true if there was any.
    fn take_turn(&mut self) -> bool {
        let mut took = false;
        while let Some(running) = self.running.as_mut().filter(|one| !took || one.is_live()) {
            if let Some(timer) = running.repeat.next_fired() {
                if !running.timers.take(timer, running.elapsed()) {
                    self.diverged(&format!("timer {timer} does not run"));
                    return true;
                }
                running.fired += 1;
                self.child.send(ToDeno::Fire, &[&timer.to_le_bytes()]);
            } else if let Some(response) = running.held.pop_front() {
                running.responses += 1;
                running.repeat.note_received();
                self.child.send(ToDeno::Response, &[&response]);
            } else {
                break;
            }
            running.state = State::Running;
            took = true;
        }
        took
    }

    /// Ends a guest that does not do what it had done before.
    fn diverged(&mut self, difference: &str) {
        let outcome = DoneOutcome::Threw { error: messages::diverged(difference), call: None };
        self.child.send(ToDeno::End, &[]);
        self.end_run(outcome, Vec::new());
    }

    // Frames from Deno.

    fn read_deno(&mut self) {
        let open = self.child.fill().unwrap_or(false);
        loop {
            match self.child.next() {
                Ok(Some(frame)) => self.on_deno_frame(&frame).unwrap_or_else(|| {
                    fail(format_args!("Deno sent a wrong {:?} frame", frame.kind))
                }),
                Ok(None) if open => return,
                Ok(None) => return self.on_deno_exit(),
                Err(fault) => fail(format_args!("Deno broke the frame protocol: {fault}")),
            }
        }
    }

    /// Handles the end of Deno's process.
    fn on_deno_exit(&mut self) {
        let status = self
            .child
            .kill()
            .unwrap_or_else(|error| fail(format_args!("Deno could not be killed: {error}")));
        if self.running.is_some() && self.child.ran_out_of_memory(status) {
            return self.report_end(
                messages::heap_limit(self.setup.heap_bytes_max),
                Vec::new(),
                true,
            );
        }
        let messages = self.child.messages();
        fail(format_args!("Deno ended ({status}): {messages}"));
    }

    /// Handles a frame from Deno. Returns `None` if the frame is illegal now.
    fn on_deno_frame(&mut self, frame: &Frame) -> Option<()> {
        let mut body = BodyReader(&frame.body);
        if frame.kind == FromDeno::Ready {
            self.ready = true;
            self.cpu_ns_when_ready = self.child.cpu_ns();
            self.outbox.send(Kind::Ready, 0, &[]);
            return self.running.is_none().then_some(());
        }
        // Late frames of a run that the worker ended.
        let Some(running) = &mut self.running else { return (!self.ready).then_some(()) };
        match frame.kind {
            FromDeno::Call => {
                let (call, line, column) = (body.u32()?, body.u32()?, body.u32()?);
                let length = body.u16()?;
                let path = body.text(usize::from(length))?;
                if body.0.len() + path.len() + 10 > Kind::Call.body_max() {
                    return None;
                }
                let line = if line == 0 { 0 } else { running.prepared.position(line, column).0 };
                running.repeat.note_issued(call);
                running.send_history(&self.outbox);
                let (call, line, length) =
                    (call.to_le_bytes(), line.to_le_bytes(), length.to_le_bytes());
                self.outbox.send(
                    Kind::Call,
                    running.run,
                    &[&call, &line, &length, path.as_bytes(), body.0],
                );
            }
            FromDeno::Log | FromDeno::Warn if body.0.len() > TEXT_BYTES_MAX => return None,
            FromDeno::Log => {
                let level = level_from_u8(body.u8()?)?;
                let line = running.log.admit(String::from_utf8_lossy(body.0).into_owned());
                if let Some(line) = line {
                    self.outbox.send(
                        Kind::Log,
                        running.run,
                        &[&[level_to_u8(level)], line.as_bytes()],
                    );
                }
            }
            FromDeno::Warn => running.warnings.add(String::from_utf8_lossy(body.0).into_owned()),
            FromDeno::Timer => {
                let (timer, ms, repeats) = (body.u32()?, body.f64()?, body.u8()? != 0);
                let delay = Duration::try_from_secs_f64(ms / 1000.0).unwrap_or_default();
                // Both sides count: a different number means that Deno's side breaks its own rules.
                let started = running.timers.start(running.elapsed(), delay, repeats);
                return (started? == timer).then_some(());
            }
            FromDeno::Clear => running.timers.clear(body.u32()?),
            FromDeno::Tick => running.repeat.note_tick(body.u32()?, body.f64()? as u64),
            FromDeno::Idle => {
                let (responses, fired, outstanding, heap_kb) =
                    (body.u32()?, body.u32()?, body.u32()?, body.u32()?);
                running.heap_peak_bytes = running.heap_peak_bytes.max(u64::from(heap_kb) * 1024);
                // Otherwise a frame is on its way to it.
                if (responses, fired) == (running.responses, running.fired) {
                    self.on_idle(outstanding);
                }
            }
            FromDeno::Query => {
                let reply = self.reply_to(body)?;
                return self.child.reply(&reply).then_some(());
            }
            FromDeno::Done => return self.on_done(&frame.body),
            FromDeno::Hello | FromDeno::Ready => return None,
        }
        Some(())
    }

    /// Handles a guest that cannot continue by itself: fires due timers, or parks it, or ends it.
    fn on_idle(&mut self, outstanding: u32) {
        if self.take_turn() || self.fire_due() {
            return;
        }
        let Some(running) = &mut self.running else { return };
        if outstanding == 0 && !running.is_live() {
            return self.diverged("it waits for nothing, and had gone on");
        }
        if outstanding == 0 && running.timers.next_due().is_none() {
            let outcome = DoneOutcome::Threw {
                error: messages::unresolved_promise(&running.prepared),
                call: None,
            };
            self.child.send(ToDeno::End, &[]);
            return self.end_run(outcome, Vec::new());
        }
        running.state = State::Parked;
        running.send_history(&self.outbox);
        self.outbox.send(Kind::Parked, running.run, &[&running.responses.to_le_bytes()]);
    }

    /// Computes the reply to a query. Returns `None` if the query is malformed.
    fn reply_to(&mut self, mut body: BodyReader<'_>) -> Option<Vec<u8>> {
        match body.u8()? {
            1 => Some(match body.u32()? {
                1 => sha1::Sha1::digest(body.0).to_vec(),
                256 => sha2::Sha256::digest(body.0).to_vec(),
                384 => sha2::Sha384::digest(body.0).to_vec(),
                512 => sha2::Sha512::digest(body.0).to_vec(),
                _ => return None,
            }),
            2 if body.0.len() <= TEXT_BYTES_MAX => {
                let text = std::str::from_utf8(body.0).ok()?;
                Some(stack_text(self.running.as_ref(), text).into_bytes())
            }
            3 => {
                let length = body.u32()? as usize;
                let mut bytes = vec![0; Some(length).filter(|length| *length <= RANDOM_BYTES_MAX)?];
                self.running.as_mut()?.repeat.fill_random(&mut bytes);
                Some(bytes)
            }
            _ => None,
        }
    }

    // The end of a run.

    fn on_done(&mut self, body: &[u8]) -> Option<()> {
        let (head, result) = split_head::<DoneHead>(Kind::Done, body).ok()?;
        let running = self.running.as_mut()?;
        running.heap_peak_bytes = running.heap_peak_bytes.max(head.heap_kb.saturating_mul(1024));
        running.warnings.add_abandoned(head.outstanding);
        let prepared = &running.prepared;
        for rejection in &head.rejections {
            let position = rejection.frames.first().map(|(_, line, column)| {
                let (line, column) = prepared.position(*line, *column);
                format!("{}:{line}:{column}", prepared.name)
            });
            running.warnings.add_rejection(&rejection.name, &rejection.message, position);
        }
        running.warnings.add_more_rejections(head.more_rejections);
        let setup = &self.setup;
        let threw = |error| DoneOutcome::Threw { error, call: None };
        let outcome = match head.kind {
            DoneKind::Returned if result.len() as u64 <= setup.result_bytes_max => {
                DoneOutcome::Returned
            }
            DoneKind::Returned | DoneKind::ResultLimit => {
                threw(messages::result_limit(setup.result_bytes_max))
            }
            DoneKind::NotAProgram => threw(messages::not_one_program(prepared)),
            DoneKind::Threw => {
                let Thrown { name, message, call, frames } = head.thrown?;
                let at = frames.first().map(|(_, line, column)| (*line, *column));
                DoneOutcome::Threw {
                    error: prepared.describe(&name, &message, at, &frames),
                    call: (call > 0).then_some(call),
                }
            }
        };
        self.end_run(outcome, result.to_vec());
        Some(())
    }

    /// Ends the guest. Deno's process stays if it can run another one.
    fn end_run(&mut self, outcome: DoneOutcome, result: Vec<u8>) {
        if self.child.must_be_replaced() {
            self.end_with_process(outcome, result);
        } else {
            self.report_end(outcome, result, false);
        }
    }

    fn kill_guest(&mut self, outcome: DoneOutcome) {
        self.end_with_process(outcome, Vec::new());
    }

    /// Ends the guest together with Deno's process; the broker then replaces the worker.
    fn end_with_process(&mut self, outcome: DoneOutcome, result: Vec<u8>) {
        if let Err(error) = self.child.kill() {
            fail(format_args!("Deno could not be killed: {error}"));
        }
        self.report_end(outcome, result, true);
    }

    fn report_end(&mut self, outcome: DoneOutcome, result: Vec<u8>, spent: bool) {
        let Some(running) = self.running.take() else { return };
        self.last = running.run;
        let cpu_ns = self.child.cpu_ns().saturating_sub(running.cpu_ns_began) + running.intake_ns;
        let end = RunEnd {
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
            warnings: running.warnings.into_strings(),
            spent,
        };
        end.send(&self.outbox, running.run);
        if spent {
            // Nothing more runs here: the broker kills this process, or is gone.
            while read_frame(&mut self.input).is_ok() {}
            leave(0);
        }
    }
}

/// Reports why the process must end, and ends it.
fn fail(reason: std::fmt::Arguments<'_>) -> ! {
    refuse(reason);
    leave(1)
}
