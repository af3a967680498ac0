//! One run of a guest: its frames, its clocks, its end.
//!
//! The worker is hostile. Every frame is checked against what may come now; the first that may not
//! ends the worker. Whatever the worker does or leaves undone, a run is over at most [`STOP_GRACE`]
//! after a limit.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{
    FutureExt, StreamExt,
    future::{BoxFuture, Fuse},
    stream::FuturesUnordered,
};
use tokio::{sync::watch, time::sleep_until};
use tokio_util::sync::CancellationToken;

use super::{
    CallFailure, Outcome, Run, RunReport, Sandbox, ToolCall, ToolHost,
    clock::{Doing, Stopwatch, WallClock},
    connection::Event,
    pool::{Pool, Worker},
    protocol::{
        self, CALLS_IN_FLIGHT_MAX, DoneHead, DoneOutcome, Frame, Gasp, Kind, RunHead, Setup,
        StopReason,
    },
    schedule::{Permit, Place},
};
use crate::{
    base::text::ellipsized,
    model::{ErrorCode, LogLine, Logs, RawJson, TaskError, Usage},
};

/// From the order to stop to the end of the process.
const STOP_GRACE: Duration = Duration::from_millis(100);
/// How often a running worker's CPU time is looked at, and how far beyond the budget, which the
/// worker itself holds, it may be: helper threads count here and not there.
const CPU_CHECK_EVERY: Duration = Duration::from_millis(50);
const CPU_SLACK: Duration = Duration::from_millis(200);
/// How often a worker that says it waits is looked at, and how much CPU time it may use all the
/// same.
const PARKED_CHECK_EVERY: Duration = Duration::from_secs(1);
const PARKED_CPU_MAX: Duration = Duration::from_millis(200);
/// Answers of one run that wait in the broker, in bytes; above it no further answer is taken from
/// the host.
const HELD_BYTES_MAX: usize = 16 * 1024 * 1024;
/// A guest that has run so long without waiting goes to the background: its permit goes to the next
/// guest, and its process gets the lowest priority. So a program that computes, or loops, never
/// keeps short ones from running.
const FOREGROUND_MAX: Duration = Duration::from_millis(100);
/// The longest text of an error that is kept, in bytes.
const MESSAGE_BYTES_MAX: usize = 8 * 1024;
/// Warnings that are kept, and bytes of each.
const WARNINGS_MAX: usize = 20;

/// A worker that is held for one run, with the permit to begin it.
#[derive(Debug)]
pub struct Lease {
    pub(super) sandbox: Sandbox,
    pub(super) pool: Pool,
    pub(super) worker: Worker,
    pub(super) place: Place,
    pub(super) permit: Permit,
}

type Answer = (u32, Result<RawJson, CallFailure>);

impl Lease {
    /// Runs one guest to its end. `stop` ends it early as cancelled; dropping the future kills the
    /// worker.
    pub async fn run(
        self,
        run: Run,
        host: Arc<dyn ToolHost>,
        clock: &WallClock,
        stop: &CancellationToken,
    ) -> RunReport {
        let Self { sandbox, pool, worker, place, permit } = self;
        let mut drive = Drive::new(worker, permit, &sandbox, &run, host, clock);
        let outcome = drive.until_end(&run, stop).await;
        let (worker, report) = drive.finish(outcome);
        if let Some(worker) = worker {
            pool.give_back(worker);
        }
        drop(place);
        report
    }
}

/// Why the loop goes on or ends.
enum Turn {
    On,
    End(Outcome),
}

struct Drive<'a> {
    worker: Worker,
    run: u32,
    setup: &'a Setup,
    sandbox: &'a Sandbox,
    host: Arc<dyn ToolHost>,
    /// Whether the guest only waits.
    parked: bool,
    /// None while the guest only waits, and once it is in the background.
    permit: Option<Permit>,
    /// Since when it has run without waiting.
    running_since: Instant,
    /// The permit is on its way.
    resuming: Fuse<BoxFuture<'static, Permit>>,
    calls: FuturesUnordered<BoxFuture<'static, Answer>>,
    /// Answers that wait for the permit, or for the worker to take its input, and their bytes.
    held: VecDeque<Answer>,
    held_bytes: usize,
    /// Whether the worker has said that the isolate for this run is ready; at most once.
    ready: bool,
    cpu_at_park: Duration,
    calls_seen: u32,
    answers_sent: u32,
    stopwatch: Stopwatch,
    began: Instant,
    cpu_before: Duration,
    holds: watch::Receiver<usize>,
    logs: Logs,
    log_bytes: u64,
    /// What the worker said at the end.
    done: Option<DoneHead>,
    stopping: Option<(StopReason, Instant)>,
    /// The process must not be used again.
    kill: bool,
}

impl<'a> Drive<'a> {
    fn new(
        mut worker: Worker,
        permit: Permit,
        sandbox: &'a Sandbox,
        run: &Run,
        host: Arc<dyn ToolHost>,
        clock: &WallClock,
    ) -> Self {
        worker.runs += 1;
        let head = RunHead { cpu_ms_max: run.cpu_ms_max, wall_ms_max: run.wall_ms_max };
        worker.connection.send(
            Kind::Run,
            worker.runs,
            &[&protocol::join_head(&head), run.code.as_bytes()],
        );
        Self {
            run: worker.runs,
            cpu_before: worker.process.cpu().unwrap_or_default(),
            worker,
            setup: &sandbox.config.setup,
            sandbox,
            host,
            parked: false,
            permit: Some(permit),
            running_since: Instant::now(),
            resuming: Fuse::terminated(),
            calls: FuturesUnordered::new(),
            held: VecDeque::new(),
            held_bytes: 0,
            ready: false,
            cpu_at_park: Duration::ZERO,
            calls_seen: 0,
            answers_sent: 0,
            stopwatch: Stopwatch::start(),
            began: Instant::now(),
            holds: clock.holds(),
            logs: Logs::default(),
            log_bytes: 0,
            done: None,
            stopping: None,
            kill: false,
        }
    }

    async fn until_end(&mut self, run: &Run, stop: &CancellationToken) -> Outcome {
        let wall_max = Duration::from_millis(run.wall_ms_max);
        let cpu_max = Duration::from_millis(run.cpu_ms_max);
        loop {
            self.stopwatch.turn(self.doing());
            let alarm = self.alarm(wall_max);
            // Not biased: a flood of frames must not keep the clock from being looked at.
            let turn = tokio::select! {
                event = self.worker.connection.next() => match event {
                    Ok(Event::Frame(frame)) => self.take(frame),
                    Ok(Event::Room) => self.deliver_or_resume(),
                    Err(error) => self.lost(format!("the worker is gone: {error}")),
                },
                Some(answer) = self.calls.next(), if !self.calls.is_empty() && self.held_bytes <= HELD_BYTES_MAX => self.answer(answer),
                permit = &mut self.resuming => self.resumed(permit),
                () = stop.cancelled(), if self.stopping.is_none() => self.stop(StopReason::Cancel),
                Ok(()) = self.holds.changed() => Turn::On,
                () = sleep_until(alarm.into()) => self.ring(wall_max, cpu_max),
            };
            if let Turn::End(outcome) = turn {
                return outcome;
            }
        }
    }

    fn doing(&self) -> Doing {
        match self.parked {
            false => Doing::Running,
            true if *self.holds.borrow() > 0 => Doing::Person,
            true if !self.calls.is_empty() => Doing::Tools,
            true => Doing::Idle,
        }
    }

    /// When something must be looked at even if nothing happens.
    fn alarm(&self, wall_max: Duration) -> Instant {
        if let Some((_, end)) = self.stopping {
            return end;
        }
        let far = Instant::now() + Duration::from_secs(3600);
        let wall = self.stopwatch.deadline(wall_max).unwrap_or(far);
        wall.min(Instant::now() + if self.parked { PARKED_CHECK_EVERY } else { CPU_CHECK_EVERY })
    }

    fn ring(&mut self, wall_max: Duration, cpu_max: Duration) -> Turn {
        self.stopwatch.turn(self.doing());
        if let Some((reason, end)) = self.stopping {
            if Instant::now() < end {
                return Turn::On;
            }
            self.kill = true;
            return Turn::End(stopped(reason));
        }
        if self.stopwatch.counted >= wall_max {
            return self.stop(StopReason::Wall);
        }
        let cpu = self.worker.process.cpu().unwrap_or_default().saturating_sub(self.cpu_before);
        if cpu >= cpu_max + CPU_SLACK {
            self.kill = true;
            return Turn::End(Outcome::CpuLimit);
        }
        if self.parked && cpu > self.cpu_at_park + PARKED_CPU_MAX {
            return self.violation("it computes while it says that it waits");
        }
        if self.permit.is_some() && self.running_since.elapsed() >= FOREGROUND_MAX {
            self.permit = None;
            self.worker.demote();
        }
        Turn::On
    }

    fn stop(&mut self, reason: StopReason) -> Turn {
        self.stopping = Some((reason, Instant::now() + STOP_GRACE));
        self.worker.connection.send(Kind::Stop, self.run, &[&[reason as u8]]);
        Turn::On
    }

    fn take(&mut self, frame: Frame) -> Turn {
        // The isolate for this run may have become ready only after the run was sent.
        if frame.kind == Kind::Ready && !self.ready {
            self.ready = true;
            return Turn::On;
        }
        if frame.kind == Kind::Gasp && frame.body.len() == 1 {
            self.kill = true;
            return Turn::End(match (self.stopping, Gasp::from_u8(frame.body[0])) {
                (Some((reason, _)), _) => stopped(reason),
                (None, Some(Gasp::OutOfMemory)) => {
                    Outcome::MemoryLimit { message: self.memory_message() }
                }
                (None, _) => Outcome::Lost { detail: "the engine in the worker failed".into() },
            });
        }
        if frame.run != self.run {
            return self.violation(&format!(
                "a {:?} frame of run {} in run {}",
                frame.kind, frame.run, self.run
            ));
        }
        match frame.kind {
            Kind::Call => self.call(&frame.body),
            Kind::Log => self.log(&frame.body),
            Kind::Parked => self.park(&frame.body),
            Kind::Wake => self.wake(),
            Kind::Done => self.end(&frame.body),
            kind => self.violation(&format!("a {kind:?} frame within a run")),
        }
    }

    fn call(&mut self, body: &[u8]) -> Turn {
        let Ok(call) = protocol::parse_call(body) else {
            return self.violation("a malformed call");
        };
        if call.call != self.calls_seen + 1
            || self.calls.len() + self.held.len() >= CALLS_IN_FLIGHT_MAX
        {
            return self.violation("a call out of order or over the bound");
        }
        self.calls_seen = call.call;
        let seq = call.call;
        let Ok(args) = serde_json::from_slice::<RawJson>(call.args) else {
            return self.violation("arguments that are no JSON");
        };
        let answer = self.host.call(ToolCall {
            seq,
            line: Some(call.line).filter(|line| *line > 0),
            path: call.path.to_owned(),
            args,
        });
        self.calls.push(answer.map(move |answer| (seq, answer)).boxed());
        Turn::On
    }

    fn answer(&mut self, (call, answer): Answer) -> Turn {
        // An answer that no frame can carry is a failure of its call, not of the run.
        let answer = answer.and_then(|value| match value.get().len() {
            bytes if bytes <= ANSWER_BYTES_MAX => Ok(value),
            bytes => Err(too_large(bytes)),
        });
        self.held_bytes += answer.as_ref().map_or(0, |value| value.get().len());
        self.held.push_back((call, answer));
        self.deliver_or_resume()
    }

    fn deliver_or_resume(&mut self) -> Turn {
        if self.parked {
            use futures::future::FusedFuture;
            if self.resuming.is_terminated() && !self.held.is_empty() {
                self.ask_to_resume();
            }
            return Turn::On;
        }
        while !self.worker.connection.congested()
            && let Some((call, answer)) = self.held.pop_front()
        {
            self.answers_sent += 1;
            let call = call.to_le_bytes();
            match &answer {
                Ok(value) => {
                    self.held_bytes -= value.get().len();
                    self.worker.connection.send(
                        Kind::Answer,
                        self.run,
                        &[&call, &[1], value.get().as_bytes()],
                    );
                }
                Err(failure) => {
                    let json = serde_json::to_vec(failure).expect("a failure holds only JSON");
                    self.worker.connection.send(Kind::Answer, self.run, &[&call, &[0], &json]);
                }
            }
        }
        Turn::On
    }

    fn ask_to_resume(&mut self) {
        let schedule = self.sandbox.schedule.clone();
        self.resuming = async move { schedule.resume().await }.boxed().fuse();
    }

    fn resumed(&mut self, permit: Permit) -> Turn {
        self.permit = Some(permit);
        self.parked = false;
        self.running_since = Instant::now();
        if self.held.is_empty() {
            self.worker.connection.send(Kind::Go, self.run, &[]);
        }
        self.deliver_or_resume()
    }

    fn park(&mut self, body: &[u8]) -> Turn {
        let Ok(taken) = <[u8; 4]>::try_from(body) else {
            return self.violation("a malformed park");
        };
        match u32::from_le_bytes(taken) {
            taken if taken == self.answers_sent => {
                // Said again, it changes nothing: what was computed since it was first said counts.
                if !self.parked {
                    self.cpu_at_park = self
                        .worker
                        .process
                        .cpu()
                        .unwrap_or_default()
                        .saturating_sub(self.cpu_before);
                }
                self.parked = true;
                self.permit = None;
            }
            taken if taken > self.answers_sent => {
                return self.violation("more answers taken than were sent");
            }
            // Answers are on their way: it goes on by itself.
            _ => {}
        }
        Turn::On
    }

    fn wake(&mut self) -> Turn {
        use futures::future::FusedFuture;
        // Where it is not parked, an answer, which is a permission too, crossed it.
        if self.parked && self.resuming.is_terminated() {
            self.ask_to_resume();
        }
        Turn::On
    }

    fn log(&mut self, body: &[u8]) -> Turn {
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
        Turn::On
    }

    fn end(&mut self, body: &[u8]) -> Turn {
        let Ok((head, result)) = protocol::split_head::<DoneHead>(Kind::Done, body) else {
            return self.violation("a malformed end");
        };
        self.kill |= head.spent;
        let outcome = match (&self.stopping, &head.outcome) {
            (Some((reason, _)), _) => stopped(*reason),
            (None, DoneOutcome::Returned) if result.len() as u64 > self.setup.result_bytes_max => {
                return self.violation("a result over its bound");
            }
            (None, DoneOutcome::Returned) => match serde_json::from_slice(result) {
                Ok(value) => Outcome::Returned { value },
                Err(_) => return self.violation("a result that is no JSON"),
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
        Turn::End(outcome)
    }

    fn memory_message(&self) -> String {
        let mb = |bytes: u64| bytes / (1024 * 1024);
        let (heap, buffers) = (mb(self.setup.heap_bytes_max), mb(self.setup.buffer_bytes_max));
        format!("memory limit {heap} MB exceeded (array buffers apart: {buffers} MB)")
    }

    fn violation(&mut self, what: &str) -> Turn {
        tracing::error!(
            pid = self.worker.process.pid(),
            "worker broke the frame protocol and is killed: {what}"
        );
        self.lost("the worker broke the frame protocol".into())
    }

    fn lost(&mut self, detail: String) -> Turn {
        self.kill = true;
        Turn::End(match self.stopping {
            Some((reason, _)) => stopped(reason),
            None => Outcome::Lost { detail },
        })
    }

    /// The report, and the worker if it may serve again.
    fn finish(mut self, outcome: Outcome) -> (Option<Worker>, RunReport) {
        self.stopwatch.turn(Doing::Running);
        let cpu = self.worker.process.cpu().unwrap_or_default().saturating_sub(self.cpu_before);
        let millis = |duration: Duration| duration.as_millis() as u64;
        let mut report = RunReport {
            outcome,
            usage: Usage {
                wall_ms: millis(self.began.elapsed()),
                cpu_ms: millis(cpu),
                tool_wait_ms: millis(self.stopwatch.tools),
                approval_wait_ms: millis(self.stopwatch.person),
                tool_calls: u64::from(self.calls_seen),
                ..Usage::default()
            },
            logs: self.logs,
            warnings: Vec::new(),
        };
        if let Some(done) = self.done {
            report.usage.cpu_ms = done.cpu_ms.min(millis(cpu) + 1);
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

/// Bytes of JSON that an `Answer` frame carries beside the call's number and its outcome.
const ANSWER_BYTES_MAX: usize = 9 * 1024 * 1024 - 5;

fn too_large(bytes: usize) -> CallFailure {
    CallFailure {
        name: "ToolCallError".into(),
        message: format!(
            "the answer has {bytes} bytes as JSON, allowed are {ANSWER_BYTES_MAX}: ask for less \
            at once"
        ),
        properties: crate::model::JsonObject::from_iter([
            ("code".into(), ErrorCode::ResponseTooLarge.as_str().into()),
            ("retryable".into(), false.into()),
        ]),
    }
}

fn stopped(reason: StopReason) -> Outcome {
    match reason {
        StopReason::Wall => Outcome::WallLimit,
        StopReason::Cancel => Outcome::Cancelled,
    }
}

/// A guest's error within its bounds: the worker that sent it may have been taken over.
fn trimmed(error: TaskError) -> TaskError {
    let cut = |text: String| ellipsized(text, MESSAGE_BYTES_MAX);
    TaskError {
        name: ellipsized(error.name, 200),
        message: cut(error.message),
        code: ellipsized(error.code, 64),
        line: error.line,
        column: error.column,
        frame: error.frame.map(cut),
        stack: error.stack.map(cut),
        hint: error.hint.map(cut),
    }
}
