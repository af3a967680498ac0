//! One run: compiles the program, enters it, and loops until its promise settles.
//!
//! Invariant: the stop flag is checked after every entry into the engine, and once it is raised no
//! JavaScript is entered again. There is one microtask checkpoint per iteration, in one function.

use std::{cell::RefCell, collections::VecDeque, rc::Rc, sync::Arc, time::Duration};

use deno_core::v8;

use super::{
    Guest, memory,
    seal::Hooks,
    state::{GuestState, Link},
    thrown::{self, Origin},
};
use crate::{
    model::TaskError,
    sandbox::{
        protocol::DoneOutcome,
        worker::{
            channel::{Job, Mailbox, Response, StopCause, Wakeup},
            cpu_clock,
            intake::{self, Prepared},
            messages,
            outbox::Outbox,
            run_end::RunEnd,
        },
    },
};

/// Number of V8's own tasks that run before the guest parks.
const PUMPED_MAX: usize = 64;

/// Completion of the guest's code.
enum Completion {
    /// The result as JSON.
    Returned(String),
    Threw(v8::Global<v8::Value>),
    /// An error of ours.
    Failed(Box<TaskError>),
    /// The stop flag was raised.
    Stopped,
}

impl Guest {
    /// Runs one program to its end. Returns `None` if the main thread abandoned the intake and
    /// reported the end.
    pub(in crate::sandbox::worker) fn run(
        &mut self,
        job: Job,
        mailbox: &Mailbox,
        outbox: &Arc<Outbox>,
    ) -> Option<RunEnd> {
        let clock = cpu_clock::of_this_thread();
        let began = cpu_clock::read_ns(clock).unwrap_or(0);
        memory::set_run(job.run);
        *self.state.repeat.borrow_mut() = Some(job.repeat);
        *self.state.link.borrow_mut() = Some(Link { run: job.run, outbox: outbox.clone() });
        self.guard_heap(mailbox);
        let prepared = intake::prepare(&job.source);
        if !mailbox.finish_intake() {
            return None;
        }
        let outcome = match prepared {
            Ok(prepared) => {
                let prepared = Rc::new(prepared);
                *self.state.prepared.borrow_mut() = Some(prepared.clone());
                self.execute(&prepared, mailbox)
            }
            Err(error) => {
                Outcome { outcome: DoneOutcome::Threw { error, call: None }, result: String::new() }
            }
        };
        self.runtime.remove_near_heap_limit_callback(0);
        memory::set_run(0);
        self.state.measure(self.runtime.v8_isolate());
        let stopped = mailbox.stop.is_raised();
        let log = self.state.log.borrow();
        let was_near_limit = self.state.heap_hits.get() > 0;
        Some(RunEnd {
            outcome: outcome.outcome,
            result: outcome.result.into_bytes(),
            cpu_ms: cpu_clock::read_ns(clock).unwrap_or(began).saturating_sub(began) / 1_000_000,
            heap_peak_bytes: self.state.heap_peak.get() + self.state.buffers.peak(),
            dropped_lines: log.dropped_lines,
            dropped_bytes: log.dropped_bytes,
            warnings: self.state.warnings.take().into_strings(),
            spent: stopped || was_near_limit,
        })
    }

    fn execute(&mut self, prepared: &Prepared, mailbox: &Mailbox) -> Outcome {
        let Self { hooks, state, runtime } = self;
        let platform = v8::V8::get_current_platform();
        deno_core::scope!(scope, runtime);
        let arrived = RefCell::default();
        let execution = Execution { hooks, state, prepared, mailbox, platform: &platform, arrived };
        let completion = execution.run_to_completion(scope);
        execution.conclude(scope, completion)
    }
}

fn diverged(difference: &str) -> Completion {
    Completion::Failed(Box::new(messages::diverged(difference)))
}

struct Outcome {
    outcome: DoneOutcome,
    result: String,
}

/// The context of one run.
struct Execution<'a> {
    hooks: &'a Hooks,
    state: &'a GuestState,
    prepared: &'a Prepared,
    mailbox: &'a Mailbox,
    platform: &'a v8::SharedRef<v8::Platform>,
    /// Responses that have come and wait for their turn.
    arrived: RefCell<VecDeque<Response>>,
}

impl Execution<'_> {
    fn stopped(&self) -> bool {
        self.mailbox.stop.is_raised()
    }

    /// Runs the program until it settles or must stop.
    fn run_to_completion(&self, scope: &mut v8::PinScope<'_, '_>) -> Completion {
        let promise = match self.enter(scope) {
            Ok(promise) => promise,
            Err(completion) => return completion,
        };
        self.checkpoint(scope);
        loop {
            if self.stopped() {
                return Completion::Stopped;
            }
            if let Some(uncaught) = self.state.uncaught.take() {
                return Completion::Threw(uncaught);
            }
            let local = v8::Local::new(scope, &promise);
            match local.state() {
                v8::PromiseState::Fulfilled => {
                    let value = local.result(scope);
                    return self.result(scope, value);
                }
                v8::PromiseState::Rejected => {
                    let reason = local.result(scope);
                    return Completion::Threw(v8::Global::new(scope, reason));
                }
                v8::PromiseState::Pending => {}
            }
            if let Err(completion) = self.step(scope) {
                return completion;
            }
        }
    }

    /// Compiles the script and enters it. Returns the promise of the program.
    fn enter(
        &self,
        scope: &mut v8::PinScope<'_, '_>,
    ) -> Result<v8::Global<v8::Promise>, Completion> {
        // The intake before this may have taken long.
        if self.stopped() {
            return Err(Completion::Stopped);
        }
        v8::tc_scope!(let scope, scope);
        let compiled = self.compile(scope).and_then(|script| script.run(scope));
        if self.stopped() {
            return Err(Completion::Stopped);
        }
        let Some(value) = compiled else {
            let thrown = scope.exception().unwrap_or_else(|| v8::undefined(scope).into());
            return Err(Completion::Threw(v8::Global::new(scope, thrown)));
        };
        let Ok(promise) = v8::Local::<v8::Promise>::try_from(value) else {
            return Err(Completion::Failed(Box::new(messages::not_one_program(self.prepared))));
        };
        // Its rejection ends the run; it is not an unhandled one.
        promise.mark_as_handled();
        Ok(v8::Global::new(scope, promise))
    }

    fn compile<'s>(&self, scope: &mut v8::PinScope<'s, '_>) -> Option<v8::Local<'s, v8::Script>> {
        let source = v8::String::new(scope, &self.prepared.script)?;
        let name = v8::String::new(scope, self.prepared.name)?;
        let Prepared { line_offset, column_offset, .. } = *self.prepared;
        let origin = v8::ScriptOrigin::new(
            scope,
            name.into(),
            line_offset,
            column_offset,
            false,
            0,
            None,
            false,
            false,
            false,
            None,
        );
        v8::Script::compile(scope, source, Some(&origin))
    }

    /// Takes one turn: a response, or the timers that are due. Parks if there is neither.
    fn step(&self, scope: &mut v8::PinScope<'_, '_>) -> Result<(), Completion> {
        if let Some(timer) = self.next_repeated() {
            return self.fire_again(scope, timer);
        }
        self.arrived.borrow_mut().extend(self.mailbox.take());
        let response = self.arrived.borrow_mut().pop_front();
        if let Some(response) = response {
            return self.deliver(scope, &response);
        }
        let is_live = !self.state.repeats();
        if is_live && self.fire_due(scope)? {
            return Ok(());
        }
        self.pump(scope);
        if self.stopped() {
            return Err(Completion::Stopped);
        }
        let (calls, due) =
            (self.state.calls.borrow().outstanding(), self.state.timers.borrow().next_due());
        if calls == 0 && !is_live {
            return Err(diverged("it waits for nothing, and had gone on"));
        }
        if calls == 0 && due.is_none() {
            return Err(Completion::Failed(Box::new(messages::unresolved_promise(self.prepared))));
        }
        self.park(scope, due.filter(|_| is_live))
    }

    /// The timer that fired here in the run that is repeated.
    fn next_repeated(&self) -> Option<u32> {
        self.state.repeat.borrow_mut().as_mut()?.next_fired()
    }

    fn fire_again(&self, scope: &mut v8::PinScope<'_, '_>, timer: u32) -> Result<(), Completion> {
        let now = self.state.elapsed();
        if !self.state.timers.borrow_mut().take(timer, now) {
            return Err(diverged(&format!("timer {timer} does not run")));
        }
        self.fire(scope, timer)
    }

    /// Waits for a message of the broker; requests permission to continue once a timer is due.
    fn park(
        &self,
        scope: &mut v8::PinScope<'_, '_>,
        due: Option<Duration>,
    ) -> Result<(), Completion> {
        self.state.measure(scope);
        if !self.mailbox.park() {
            return Ok(());
        }
        self.state.send_parked();
        let mut until = due
            .and_then(|due| self.state.repeat.borrow().as_ref().map(|repeat| repeat.moment(due)));
        loop {
            match self.mailbox.wait(until) {
                Wakeup::Stopped => return Err(Completion::Stopped),
                Wakeup::Responses(responses) => {
                    self.arrived.borrow_mut().extend(responses);
                    return Ok(());
                }
                Wakeup::Go if until.is_some() => {}
                Wakeup::Go => return self.fire_due(scope).map(|_| ()),
                Wakeup::TimerDue => {
                    until = None;
                    self.state.send_wake();
                }
            }
        }
    }

    /// Settles a call, then runs the code that awaited it. One response is one turn, so that the
    /// order of the responses alone decides what the program does next.
    fn deliver(
        &self,
        scope: &mut v8::PinScope<'_, '_>,
        response: &Response,
    ) -> Result<(), Completion> {
        self.state.received();
        let pending = self.state.calls.borrow_mut().complete(response.call);
        if let Some(pending) = pending {
            v8::scope!(let scope, scope);
            let resolver = v8::Local::new(scope, &pending.resolver);
            v8::tc_scope!(let scope, scope);
            let value = v8::String::new_from_utf8(scope, &response.json, v8::NewStringType::Normal)
                .and_then(|text| match response.ok {
                    true => v8::json::parse(scope, text),
                    false => self.failure(scope, text, response.call, pending.at),
                });
            match value {
                Some(value) if response.ok => resolver.resolve(scope, value),
                Some(error) => resolver.reject(scope, error),
                None if self.stopped() => return Err(Completion::Stopped),
                None => {
                    let thrown = scope.exception().unwrap_or_else(|| v8::undefined(scope).into());
                    scope.reset();
                    resolver.reject(scope, thrown)
                }
            };
            if self.stopped() {
                return Err(Completion::Stopped);
            }
        }
        self.state.send_waiting();
        self.checkpoint(scope);
        Ok(())
    }

    /// Creates the error of a failed call.
    fn failure<'s>(
        &self,
        scope: &mut v8::PinScope<'s, '_>,
        text: v8::Local<'s, v8::String>,
        call: u32,
        at: Option<thrown::Position>,
    ) -> Option<v8::Local<'s, v8::Value>> {
        let error = self.call_hook(scope, &self.hooks.failure, text.into())?;
        if let Ok(object) = v8::Local::<v8::Object>::try_from(error) {
            thrown::mark(scope, object, call, at);
        }
        Some(error)
    }

    /// Runs the timers that are due now; returns true if there were any. Timers that they start
    /// wait for the next iteration.
    fn fire_due(&self, scope: &mut v8::PinScope<'_, '_>) -> Result<bool, Completion> {
        let (now, mut fired) = (self.state.elapsed(), false);
        while let Some(timer) = { self.state.timers.borrow_mut().take_due(now) } {
            fired = true;
            if let Some(repeat) = &mut *self.state.repeat.borrow_mut() {
                repeat.note_fired(timer);
            }
            self.fire(scope, timer)?;
        }
        Ok(fired)
    }

    /// Runs one timer, and the code that awaited it.
    fn fire(&self, scope: &mut v8::PinScope<'_, '_>, timer: u32) -> Result<(), Completion> {
        {
            v8::scope!(let scope, scope);
            v8::tc_scope!(let scope, scope);
            let timer = v8::Integer::new_from_unsigned(scope, timer);
            let done = self.call_hook(scope, &self.hooks.fire, timer.into());
            if self.stopped() {
                return Err(Completion::Stopped);
            }
            if done.is_none() {
                let thrown = scope.exception().unwrap_or_else(|| v8::undefined(scope).into());
                return Err(Completion::Threw(v8::Global::new(scope, thrown)));
            }
        }
        self.checkpoint(scope);
        if self.stopped() { Err(Completion::Stopped) } else { Ok(()) }
    }

    fn checkpoint(&self, scope: &mut v8::PinScope<'_, '_>) {
        if !self.stopped() {
            scope.perform_microtask_checkpoint();
        }
    }

    /// Runs V8's deferred tasks. Nothing waits for them, so a few at a time are enough.
    fn pump(&self, scope: &mut v8::PinScope<'_, '_>) {
        for _ in 0..PUMPED_MAX {
            if self.stopped() || !v8::Platform::pump_message_loop(self.platform, scope, false) {
                break;
            }
        }
        self.checkpoint(scope);
    }

    /// Calls one of our functions in the realm.
    fn call_hook<'s>(
        &self,
        scope: &mut v8::PinScope<'s, '_>,
        hook: &v8::Global<v8::Function>,
        argument: v8::Local<'s, v8::Value>,
    ) -> Option<v8::Local<'s, v8::Value>> {
        let nothing = v8::undefined(scope).into();
        v8::Local::new(scope, hook).call(scope, nothing, &[argument])
    }

    /// Encodes the result as JSON. Getters and `toJSON` are guest code and run under the same
    /// limits.
    fn result<'s>(
        &self,
        scope: &mut v8::PinScope<'s, '_>,
        value: v8::Local<'s, v8::Value>,
    ) -> Completion {
        v8::tc_scope!(let scope, scope);
        let json = self.call_hook(scope, &self.hooks.result, value);
        if self.stopped() {
            return Completion::Stopped;
        }
        let Some(json) = json else {
            let thrown = scope.exception().unwrap_or_else(|| v8::undefined(scope).into());
            return Completion::Threw(v8::Global::new(scope, thrown));
        };
        let bytes_max = self.state.limits.result_bytes_max;
        let text = v8::Local::<v8::String>::try_from(json).ok();
        match text {
            Some(text) if text.utf8_length(scope) as u64 <= bytes_max => {
                Completion::Returned(text.to_rust_string_lossy(scope))
            }
            _ => Completion::Failed(Box::new(messages::result_limit(bytes_max))),
        }
    }

    /// Converts a completion to the outcome that the broker receives.
    fn conclude(&self, scope: &mut v8::PinScope<'_, '_>, completion: Completion) -> Outcome {
        let outcome = match completion {
            // The stop flag decides even if the code reached its end meanwhile.
            _ if self.stopped() => return self.stopped_outcome(),
            Completion::Stopped => return self.stopped_outcome(),
            Completion::Returned(result) => {
                self.warn_of_leftovers(scope);
                return Outcome { outcome: DoneOutcome::Returned, result };
            }
            Completion::Failed(error) => DoneOutcome::Threw { error: *error, call: None },
            Completion::Threw(thrown) => self.threw(scope, &thrown),
        };
        self.warn_of_leftovers(scope);
        if self.stopped() {
            self.stopped_outcome()
        } else {
            Outcome { outcome, result: String::new() }
        }
    }

    fn stopped_outcome(&self) -> Outcome {
        let outcome = match self.mailbox.stop.cause() {
            Some(StopCause::Cpu) => DoneOutcome::CpuLimit,
            Some(StopCause::Memory) => messages::heap_limit(self.state.limits.heap_bytes_max),
            _ => DoneOutcome::Stopped,
        };
        Outcome { outcome, result: String::new() }
    }

    fn threw(
        &self,
        scope: &mut v8::PinScope<'_, '_>,
        thrown: &v8::Global<v8::Value>,
    ) -> DoneOutcome {
        v8::tc_scope!(let scope, scope);
        let thrown = v8::Local::new(scope, thrown);
        let Origin { at, stack, call } = thrown::origin(scope, thrown);
        let Some((name, message)) = self.explain(scope, thrown) else {
            return DoneOutcome::Stopped;
        };
        let refused =
            self.state.buffers.refused().then(|| {
                messages::buffer_limit(self.state.limits.buffer_bytes_max, &name, &message)
            });
        if let Some(outcome) = refused.flatten() {
            return outcome;
        }
        DoneOutcome::Threw { error: self.prepared.describe(&name, &message, at, &stack), call }
    }

    /// Returns name and message of a thrown value; `None` if the guest was stopped meanwhile.
    fn explain<'s>(
        &self,
        scope: &mut v8::PinScope<'s, '_>,
        thrown: v8::Local<'s, v8::Value>,
    ) -> Option<(String, String)> {
        let described = self.call_hook(scope, &self.hooks.explain, thrown);
        if self.stopped() {
            return None;
        }
        let part = |scope: &mut v8::PinScope<'s, '_>, index| {
            let part =
                v8::Local::<v8::Array>::try_from(described?).ok()?.get_index(scope, index)?;
            Some(part.to_rust_string_lossy(scope))
        };
        let (name, message) = (part(scope, 0), part(scope, 1));
        // A guest that is out of stack even here still gets a description.
        Some((
            name.unwrap_or_else(|| "Error".into()),
            message.unwrap_or_else(|| "threw a value that cannot be described".into()),
        ))
    }

    /// Adds warnings of what the program left behind: calls without a response, unhandled
    /// rejections.
    fn warn_of_leftovers(&self, scope: &mut v8::PinScope<'_, '_>) {
        self.state.warnings.borrow_mut().add_abandoned(self.state.calls.borrow().outstanding());
        let rejections = self.state.rejections.take();
        v8::tc_scope!(let scope, scope);
        for (_, reason) in &rejections.kept {
            let reason = v8::Local::new(scope, reason);
            let at =
                thrown::origin(scope, reason).at.map(|at| thrown::position_text(self.prepared, at));
            let Some((name, message)) = self.explain(scope, reason) else { return };
            self.state.warnings.borrow_mut().add_rejection(&name, &message, at);
        }
        self.state.warnings.borrow_mut().add_more_rejections(rejections.more);
    }
}
