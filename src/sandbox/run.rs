//! One run of a guest: its frames, its clocks, its end.
//!
//! The worker is hostile. Every frame is checked against the frames that are legal at that moment;
//! the first illegal one ends the worker. Whatever the worker does or fails to do, a run is over at
//! most [`STOP_GRACE`] after a limit.

use std::{
    collections::VecDeque,
    ops::ControlFlow::{self, Break, Continue},
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{
    FutureExt, StreamExt,
    future::{BoxFuture, Fuse, FusedFuture},
    stream::FuturesUnordered,
};
use tokio::{sync::watch, time::sleep_until};
use tokio_util::sync::CancellationToken;

use super::{
    carried::{MESSAGE_BYTES_MAX, RESPONSE_BYTES_MAX, exact, too_large, trimmed},
    clock::{Activity, Stopwatch, WallClock},
    connection::Event,
    history,
    host::{ToolCall, ToolHost},
    pool::{Pool, Worker},
    protocol::{
        self, CALLS_IN_FLIGHT_MAX, CallFailure, DoneHead, DoneOutcome, FatalReason, Frame, Kind,
        RunHead, Setup, StopReason,
    },
    runtime::{Lease, Outcome, Run, RunReport},
    schedule::{Permit, Schedule, WorkerSlot},
};
use crate::{
    base::text::ellipsized,
    model::{LogLine, Logs, RawJson, Usage},
};

/// Time from the order to stop until the process is killed.
const STOP_GRACE: Duration = Duration::from_millis(100);
/// Interval at which a running worker's CPU time is read.
const CPU_CHECK_EVERY: Duration = Duration::from_millis(50);
/// CPU time that a worker may use beyond the budget, which it enforces itself: helper threads count
/// here and not there.
const CPU_SLACK: Duration = Duration::from_millis(200);
/// Interval at which the CPU time of a worker that reports itself parked is read.
const PARKED_CHECK_EVERY: Duration = Duration::from_secs(1);
/// Time that a guest only waits for approvals until it gives up its process, if others wait for
/// one.
const SPILL_PRESSED: Duration = Duration::from_secs(1);
/// CPU time that a worker may use while it reports itself parked.
const PARKED_CPU_MAX: Duration = Duration::from_millis(200);
/// Bytes of a run's responses that wait in the broker. Above it no further response is taken from
/// the host.
const UNDELIVERED_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Time that a guest may run without waiting before it goes to the background: its permit goes to
/// the next guest and its process gets the lowest priority, so programs that compute or loop never
/// keep short ones from running.
const FOREGROUND_MAX: Duration = Duration::from_millis(100);
/// Number of warnings that are kept.
const WARNINGS_MAX: usize = 20;
/// A worker reserved for one run, with the permit to begin it.
#[derive(Debug)]
pub(super) struct LeasedWorker {
    pub(super) schedule: Schedule,
    pub(super) pool: Pool,
    pub(super) worker: Worker,
    pub(super) slot: WorkerSlot,
    pub(super) permit: Permit,
}

/// Number of a call and its response.
type Response = (u32, Result<RawJson, CallFailure>);

impl Lease for LeasedWorker {
    fn run<'a>(
        self: Box<Self>,
        run: Run,
        host: Arc<dyn ToolHost>,
        clock: &'a WallClock,
        stop: &'a CancellationToken,
    ) -> BoxFuture<'a, RunReport> {
        Box::pin(async move {
            let Self { schedule, pool, worker, slot, permit } = *self;
            let setup = worker.setup.clone();
            let mut run_loop = RunLoop::new(worker, permit, &setup, &schedule, &run, host, clock);
            let outcome = run_loop.run_to_end(&run, stop).await;
            let (worker, report) = run_loop.into_report(outcome);
            if let Some(worker) = worker {
                pool.release(worker);
            }
            drop(slot);
            report
        })
    }
}

/// Decision to continue the loop, or the outcome that ends it.
type Step = ControlFlow<Outcome>;

/// State of one run under way.
struct RunLoop<'a> {
    worker: Worker,
    run: u32,
    setup: &'a Setup,
    schedule: &'a Schedule,
    host: Arc<dyn ToolHost>,
    /// True while the guest only waits.
    parked: bool,
    /// `None` while the guest is parked or in the background.
    permit: Option<Permit>,
    /// Time since which the guest runs without waiting.
    running_since: Instant,
    /// The request for a permit to resume a parked guest.
    resuming: Fuse<BoxFuture<'static, Permit>>,
    calls: FuturesUnordered<BoxFuture<'static, Response>>,
    /// Responses that wait for the permit or for room in the worker's socket.
    undelivered: VecDeque<Response>,
    undelivered_bytes: usize,
    /// True once the worker has reported that the isolate for this run is ready.
    ready: bool,
    cpu_at_park: Duration,
    calls_seen: u32,
    responses_sent: u32,
    stopwatch: Stopwatch,
    /// Time since which the guest does nothing but wait for approvals.
    still_since: Option<Instant>,
    spill_after: Option<Duration>,
    began: Instant,
    cpu_before: Duration,
    pauses: watch::Receiver<usize>,
    clock: WallClock,
    logs: Logs,
    log_bytes: u64,
    /// The worker's final report.
    done: Option<DoneHead>,
    /// Reason of the stop that was ordered, and the moment at which the process is killed.
    stopping: Option<(StopReason, Instant)>,
    /// True if the process must not be used again.
    kill: bool,
}

impl<'a> RunLoop<'a> {
    fn new(
        mut worker: Worker,
        permit: Permit,
        setup: &'a Setup,
        schedule: &'a Schedule,
        run: &Run,
        host: Arc<dyn ToolHost>,
        clock: &WallClock,
    ) -> Self {
        worker.runs += 1;
        let Run { cpu_ms_max, wall_ms_max, guest, .. } = run;
        let history = history::encode(&guest.history);
        let head = RunHead {
            cpu_ms_max: *cpu_ms_max,
            wall_ms_max: *wall_ms_max,
            origin_ms: guest.origin_ms,
            elapsed_ms: guest.elapsed_ms,
            seed: guest.seed,
            calls: guest.calls,
            responses: guest.responses,
        };
        let length = (history.len() as u32).to_le_bytes();
        let parts = [&protocol::join_head(&head)[..], &length, &history, run.code.as_bytes()];
        worker.connection.send(Kind::Run, worker.runs, &parts);
        Self {
            run: worker.runs,
            cpu_before: worker.process.cpu().unwrap_or_default(),
            worker,
            setup,
            schedule,
            host,
            parked: false,
            permit: Some(permit),
            running_since: Instant::now(),
            resuming: Fuse::terminated(),
            calls: FuturesUnordered::new(),
            undelivered: VecDeque::new(),
            undelivered_bytes: 0,
            ready: false,
            cpu_at_park: Duration::ZERO,
            calls_seen: 0,
            responses_sent: 0,
            stopwatch: Stopwatch::start(Duration::from_millis(clock.used_ms())),
            still_since: None,
            spill_after: run.spill_after,
            began: Instant::now(),
            pauses: clock.pauses(),
            clock: clock.clone(),
            logs: Logs::default(),
            log_bytes: 0,
            done: None,
            stopping: None,
            kill: false,
        }
    }

    async fn run_to_end(&mut self, run: &Run, stop: &CancellationToken) -> Outcome {
        let wall_max = Duration::from_millis(run.wall_ms_max);
        let cpu_max = Duration::from_millis(run.cpu_ms_max);
        loop {
            self.stopwatch.switch_to(self.activity());
            self.note_stillness();
            let next_check = self.next_check(wall_max);
            let takes_responses =
                !self.calls.is_empty() && self.undelivered_bytes <= UNDELIVERED_BYTES_MAX;
            // Not biased: a flood of frames must not starve the clock.
            let step = tokio::select! {
                event = self.worker.connection.next() => match event {
                    Ok(Event::Frame(frame)) => self.on_frame(frame),
                    Ok(Event::Writable) => self.deliver_or_resume(),
                    Err(error) => self.lost(format!("the worker is gone: {error}")),
                },
                Some(response) = self.calls.next(), if takes_responses => {
                    self.on_response(response)
                }
                permit = &mut self.resuming => self.on_permit(permit),
                () = stop.cancelled(), if self.stopping.is_none() => {
                    self.order_stop(StopReason::Cancel)
                }
                Ok(()) = self.pauses.changed() => Continue(()),
                () = sleep_until(next_check.into()) => self.check_limits(wall_max, cpu_max),
            };
            if let Break(outcome) = step {
                return outcome;
            }
        }
    }

    fn note_stillness(&mut self) {
        let is_still = self.only_waits_for_approvals();
        let since = self.still_since.unwrap_or_else(Instant::now);
        self.still_since = is_still.then_some(since);
        self.clock.set_still(is_still);
        self.clock.set_used_ms(self.stopwatch.counted.as_millis() as u64);
    }

    /// Moment at which the guest gives up its process, if nothing comes.
    fn spill_at(&self) -> Option<Instant> {
        let (since, after) = (self.still_since?, self.spill_after?);
        let is_pressed = after > SPILL_PRESSED && self.schedule.lacks_slots();
        Some(since + if is_pressed { SPILL_PRESSED } else { after })
    }

    fn activity(&self) -> Activity {
        match self.parked {
            false => Activity::Running,
            true if *self.pauses.borrow() > 0 => Activity::ApprovalWait,
            true if !self.calls.is_empty() => Activity::ToolWait,
            true => Activity::Idle,
        }
    }

    /// True if every call under way waits for an approval, and the guest for those calls.
    fn only_waits_for_approvals(&self) -> bool {
        self.activity() == Activity::ApprovalWait
            && self.undelivered.is_empty()
            && *self.pauses.borrow() == self.calls.len()
    }

    /// Moment at which the limits are checked even if no event comes.
    fn next_check(&self, wall_max: Duration) -> Instant {
        if let Some((_, kill_at)) = self.stopping {
            return kill_at;
        }
        let now = Instant::now();
        let cpu_check = now + if self.parked { PARKED_CHECK_EVERY } else { CPU_CHECK_EVERY };
        let wall = self.stopwatch.deadline(wall_max);
        [wall, self.spill_at()].into_iter().flatten().fold(cpu_check, Instant::min)
    }

    fn check_limits(&mut self, wall_max: Duration, cpu_max: Duration) -> Step {
        self.stopwatch.switch_to(self.activity());
        if let Some((reason, kill_at)) = self.stopping {
            if Instant::now() < kill_at {
                return Continue(());
            }
            self.kill = true;
            return Break(stopped(reason));
        }
        if self.spill_at().is_some_and(|at| at <= Instant::now()) {
            self.kill = true;
            return Break(Outcome::Spilled);
        }
        if self.stopwatch.counted >= wall_max {
            return self.order_stop(StopReason::Wall);
        }
        let cpu = self.cpu();
        if cpu >= cpu_max + CPU_SLACK {
            self.kill = true;
            return Break(Outcome::CpuLimit);
        }
        if self.parked && cpu > self.cpu_at_park + PARKED_CPU_MAX {
            return self.violation("it computes while it reports itself parked");
        }
        if self.permit.is_some() && self.running_since.elapsed() >= FOREGROUND_MAX {
            self.permit = None;
            self.worker.demote();
        }
        Continue(())
    }

    /// CPU time that the worker has used for this run.
    fn cpu(&self) -> Duration {
        self.worker.process.cpu().unwrap_or_default().saturating_sub(self.cpu_before)
    }

    fn order_stop(&mut self, reason: StopReason) -> Step {
        self.stopping = Some((reason, Instant::now() + STOP_GRACE));
        self.worker.connection.send(Kind::Stop, self.run, &[&[reason as u8]]);
        Continue(())
    }

    fn on_frame(&mut self, frame: Frame) -> Step {
        // The isolate for this run may become ready only after the run was sent.
        if frame.kind == Kind::Ready && !self.ready {
            self.ready = true;
            return Continue(());
        }
        if frame.kind == Kind::Fatal && frame.body.len() == 1 {
            return self.on_fatal(frame.body[0]);
        }
        if frame.run != self.run {
            return self.violation(&format!(
                "a {:?} frame of run {} in run {}",
                frame.kind, frame.run, self.run
            ));
        }
        match frame.kind {
            Kind::Call => self.on_call(&frame.body),
            Kind::Log => self.on_log(&frame.body),
            Kind::History => self.on_history(&frame.body),
            Kind::Parked => self.on_parked(&frame.body),
            Kind::Wake => self.on_wake(),
            Kind::Done => self.on_done(&frame.body),
            kind => self.violation(&format!("a {kind:?} frame within a run")),
        }
    }

    fn on_fatal(&mut self, reason: u8) -> Step {
        self.kill = true;
        Break(match (self.stopping, FatalReason::from_u8(reason)) {
            (Some((reason, _)), _) => stopped(reason),
            (None, Some(FatalReason::OutOfMemory)) => {
                Outcome::MemoryLimit { message: self.memory_message() }
            }
            (None, _) => Outcome::Lost { detail: "the engine in the worker failed".into() },
        })
    }

    fn on_call(&mut self, body: &[u8]) -> Step {
        let Ok(call) = protocol::parse_call(body) else {
            return self.violation("a malformed call");
        };
        if call.call != self.calls_seen + 1
            || self.calls.len() + self.undelivered.len() >= CALLS_IN_FLIGHT_MAX
        {
            return self.violation("a call out of order or over the limit");
        }
        self.calls_seen = call.call;
        let seq = call.call;
        let Ok(args) = serde_json::from_slice::<RawJson>(call.args) else {
            return self.violation("arguments that are not JSON");
        };
        let response = self.host.call(ToolCall {
            seq,
            line: Some(call.line).filter(|line| *line > 0),
            path: call.path.to_owned(),
            args,
        });
        self.calls.push(response.map(move |response| (seq, response)).boxed());
        Continue(())
    }

    fn on_response(&mut self, (call, response): Response) -> Step {
        // A response that no frame can carry is a failure of its call, not of the run.
        let response = response.map(exact).and_then(|value| match value.get().len() {
            bytes if bytes <= RESPONSE_BYTES_MAX => Ok(value),
            bytes => Err(too_large(bytes)),
        });
        self.undelivered_bytes += response.as_ref().map_or(0, |value| value.get().len());
        self.undelivered.push_back((call, response));
        self.deliver_or_resume()
    }

    /// Sends the responses that have come, or requests the permit that a parked guest needs first.
    fn deliver_or_resume(&mut self) -> Step {
        if self.parked {
            if self.resuming.is_terminated() && !self.undelivered.is_empty() {
                self.request_permit();
            }
            return Continue(());
        }
        while !self.worker.connection.congested()
            && let Some((call, response)) = self.undelivered.pop_front()
        {
            self.responses_sent += 1;
            let call = call.to_le_bytes();
            match &response {
                Ok(value) => {
                    self.undelivered_bytes -= value.get().len();
                    self.worker.connection.send(
                        Kind::Response,
                        self.run,
                        &[&call, &[1], value.get().as_bytes()],
                    );
                }
                Err(failure) => {
                    let json = serde_json::to_vec(failure).expect("a failure holds only JSON");
                    self.worker.connection.send(Kind::Response, self.run, &[&call, &[0], &json]);
                }
            }
        }
        Continue(())
    }

    fn request_permit(&mut self) {
        let schedule = self.schedule.clone();
        self.resuming = async move { schedule.resume().await }.boxed().fuse();
    }

    fn on_permit(&mut self, permit: Permit) -> Step {
        self.permit = Some(permit);
        self.parked = false;
        self.running_since = Instant::now();
        if self.undelivered.is_empty() {
            self.worker.connection.send(Kind::Go, self.run, &[]);
        }
        self.deliver_or_resume()
    }

    fn on_parked(&mut self, body: &[u8]) -> Step {
        let Ok(received) = <[u8; 4]>::try_from(body) else {
            return self.violation("a malformed park");
        };
        match u32::from_le_bytes(received) {
            received if received == self.responses_sent => {
                // A repeated report changes nothing: CPU time counts from the first one.
                if !self.parked {
                    self.cpu_at_park = self.cpu();
                }
                self.parked = true;
                self.permit = None;
            }
            received if received > self.responses_sent => {
                return self.violation("more responses received than were sent");
            }
            // Responses are on their way, so the guest continues by itself.
            _ => {}
        }
        Continue(())
    }

    fn on_wake(&mut self) -> Step {
        // If it is not parked, it crossed a response, which is a permission as well.
        if self.parked && self.resuming.is_terminated() {
            self.request_permit();
        }
        Continue(())
    }

    fn on_log(&mut self, body: &[u8]) -> Step {
        let line = body.split_first().and_then(|(level, text)| {
            Some(LogLine {
                level: protocol::level_from_u8(*level)?,
                text: std::str::from_utf8(text).ok()?.to_owned(),
            })
        });
        let Some(line) = line else { return self.violation("a malformed line of console output") };
        let bytes = self.log_bytes + line.text.len() as u64;
        if bytes > self.setup.log_bytes_max
            || self.logs.lines.len() as u64 >= self.setup.log_lines_max
        {
            self.logs.dropped_lines += 1;
            self.logs.dropped_bytes += line.text.len() as u64;
        } else {
            self.log_bytes = bytes;
            self.host.log(&line);
            self.logs.lines.push(line);
        }
        Continue(())
    }

    fn on_history(&mut self, body: &[u8]) -> Step {
        let Some(entries) = history::decode(body) else {
            return self.violation("a malformed history");
        };
        self.host.observed(entries);
        Continue(())
    }

    fn on_done(&mut self, body: &[u8]) -> Step {
        let Ok((head, result)) = protocol::split_head::<DoneHead>(Kind::Done, body) else {
            return self.violation("a malformed end");
        };
        self.kill |= head.spent;
        let outcome = match (&self.stopping, &head.outcome) {
            (Some((reason, _)), _) => stopped(*reason),
            (None, DoneOutcome::Returned) if result.len() as u64 > self.setup.result_bytes_max => {
                return self.violation("a result over its limit");
            }
            (None, DoneOutcome::Returned) => match serde_json::from_slice(result) {
                Ok(value) => Outcome::Returned { value },
                Err(_) => return self.violation("a result that is not JSON"),
            },
            (None, DoneOutcome::Threw { error, call }) => {
                Outcome::Threw { error: trimmed(error.clone()), call: *call }
            }
            (None, DoneOutcome::MemoryLimit { .. }) => {
                Outcome::MemoryLimit { message: self.memory_message() }
            }
            (None, DoneOutcome::CpuLimit) => Outcome::CpuLimit,
            (None, DoneOutcome::Stopped) => return self.violation("a stop that nobody ordered"),
        };
        self.done = Some(head);
        Break(outcome)
    }

    fn memory_message(&self) -> String {
        let mb = |bytes: u64| bytes / (1024 * 1024);
        let (heap, buffers) = (mb(self.setup.heap_bytes_max), mb(self.setup.buffer_bytes_max));
        format!("memory limit {heap} MB exceeded (array buffers apart: {buffers} MB)")
    }

    fn violation(&mut self, what: &str) -> Step {
        tracing::error!(
            pid = self.worker.process.pid(),
            "worker broke the frame protocol and is killed: {what}"
        );
        self.lost("the worker broke the frame protocol".into())
    }

    fn lost(&mut self, detail: String) -> Step {
        self.kill = true;
        Break(match self.stopping {
            Some((reason, _)) => stopped(reason),
            None => Outcome::Lost { detail },
        })
    }

    /// Returns the report, and the worker if it may serve another run.
    fn into_report(mut self, outcome: Outcome) -> (Option<Worker>, RunReport) {
        self.stopwatch.switch_to(Activity::Running);
        let millis = |duration: Duration| duration.as_millis() as u64;
        let cpu_ms = millis(self.cpu());
        let mut report = RunReport {
            outcome,
            usage: Usage {
                wall_ms: millis(self.began.elapsed()),
                cpu_ms,
                tool_wait_ms: millis(self.stopwatch.tool_wait),
                approval_wait_ms: millis(self.stopwatch.approval_wait),
                tool_calls: u64::from(self.calls_seen),
                ..Usage::default()
            },
            logs: self.logs,
            warnings: Vec::new(),
        };
        if let Some(done) = self.done {
            report.usage.cpu_ms = done.cpu_ms.min(cpu_ms + 1);
            report.usage.heap_peak_bytes = done.heap_peak_bytes;
            report.logs.dropped_lines += done.dropped_lines;
            report.logs.dropped_bytes += done.dropped_bytes;
            report.warnings = done
                .warnings
                .into_iter()
                .take(WARNINGS_MAX)
                .map(|text| ellipsized(text, MESSAGE_BYTES_MAX))
                .collect();
        }
        (Some(self.worker).filter(|_| !self.kill), report)
    }
}

fn stopped(reason: StopReason) -> Outcome {
    match reason {
        StopReason::Wall => Outcome::WallLimit,
        StopReason::Cancel => Outcome::Cancelled,
    }
}
