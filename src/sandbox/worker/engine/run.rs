//! One run: compile, enter, and the loop until the program's promise settles.
//!
//! The rule that everything here follows: after every entry into the engine the alarm is looked at,
//! and once it was raised no JavaScript is entered again. One microtask checkpoint per turn, in one
//! place.

use std::{rc::Rc, sync::Arc, time::Instant};

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
            channel::{Answer, Job, Mailbox, Reason, Woken},
            cpu_clock,
            ending::Ending,
            endings,
            intake::{self, Prepared},
            outbox::Outbox,
        },
    },
};

/// Tasks of V8's own that are run before the guest parks.
const PUMPED_MAX: usize = 64;

/// How the guest's code ended, before anything is told.
enum End {
    Returned(String),
    Threw(v8::Global<v8::Value>),
    Failed(Box<TaskError>),
    /// The alarm was raised.
    Stopped,
}

impl Guest {
    /// Runs one program to its end; none when its intake was given up meanwhile, and its end told.
    pub(in crate::sandbox::worker) fn run(
        &mut self,
        job: Job,
        mailbox: &Mailbox,
        outbox: &Arc<Outbox>,
    ) -> Option<Ending> {
        let clock = cpu_clock::of_this_thread();
        let began = cpu_clock::read_ns(clock).unwrap_or(0);
        memory::name_run(job.run);
        *self.state.link.borrow_mut() = Some(Link { run: job.run, outbox: outbox.clone() });
        self.guard_heap(mailbox);
        let prepared = intake::prepare(&job.source);
        if !mailbox.taken_in() {
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
        memory::name_run(0);
        self.state.measure(self.runtime.v8_isolate());
        let stopped = mailbox.alarm.raised().is_some();
        let log = self.state.log.borrow();
        let near = self.state.heap_hits.get() > 0;
        Some(Ending {
            outcome: outcome.outcome,
            result: outcome.result.into_bytes(),
            cpu_ms: cpu_clock::read_ns(clock).unwrap_or(began).saturating_sub(began) / 1_000_000,
            heap_peak_bytes: self.state.heap_peak.get() + self.state.buffers.peak(),
            dropped_lines: log.dropped_lines,
            dropped_bytes: log.dropped_bytes,
            warnings: self.state.warnings.take().into_texts(),
            spent: stopped || near,
        })
    }

    fn execute(&mut self, prepared: &Prepared, mailbox: &Mailbox) -> Outcome {
        let Self { hooks, state, runtime } = self;
        let platform = v8::V8::get_current_platform();
        deno_core::scope!(scope, runtime);
        let turn = Turn { hooks, state, prepared, mailbox, platform: &platform };
        let end = turn.drive(scope);
        turn.tell(scope, end)
    }
}

struct Outcome {
    outcome: DoneOutcome,
    result: String,
}

/// What every step of a run needs.
struct Turn<'a> {
    hooks: &'a Hooks,
    state: &'a GuestState,
    prepared: &'a Prepared,
    mailbox: &'a Mailbox,
    platform: &'a v8::SharedRef<v8::Platform>,
}

impl Turn<'_> {
    fn stopped(&self) -> bool {
        self.mailbox.alarm.raised().is_some()
    }

    /// Runs the program until it settles or must end.
    fn drive(&self, scope: &mut v8::PinScope<'_, '_>) -> End {
        let promise = match self.enter(scope) {
            Ok(promise) => promise,
            Err(end) => return end,
        };
        self.checkpoint(scope);
        loop {
            if self.stopped() {
                return End::Stopped;
            }
            if let Some(uncaught) = self.state.uncaught.take() {
                return End::Threw(uncaught);
            }
            let local = v8::Local::new(scope, &promise);
            match local.state() {
                v8::PromiseState::Fulfilled => {
                    let value = local.result(scope);
                    return self.result(scope, value);
                }
                v8::PromiseState::Rejected => {
                    let reason = local.result(scope);
                    return End::Threw(v8::Global::new(scope, reason));
                }
                v8::PromiseState::Pending => {}
            }
            if let Err(end) = self.turn(scope) {
                return end;
            }
        }
    }

    /// Compiles the script and enters it: the promise of the program.
    fn enter(&self, scope: &mut v8::PinScope<'_, '_>) -> Result<v8::Global<v8::Promise>, End> {
        // The code was made ready before this; that may have taken its time.
        if self.stopped() {
            return Err(End::Stopped);
        }
        v8::tc_scope!(let scope, scope);
        let compiled = self.compile(scope).and_then(|script| script.run(scope));
        if self.stopped() {
            return Err(End::Stopped);
        }
        let Some(value) = compiled else {
            let thrown = scope.exception().unwrap_or_else(|| v8::undefined(scope).into());
            return Err(End::Threw(v8::Global::new(scope, thrown)));
        };
        let Ok(promise) = v8::Local::<v8::Promise>::try_from(value) else {
            return Err(End::Failed(Box::new(endings::not_one_program(self.prepared))));
        };
        // Its rejection is the run's end, not one that nobody handles.
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

    /// One turn of the loop: whatever can run now, or a park until something can.
    fn turn(&self, scope: &mut v8::PinScope<'_, '_>) -> Result<(), End> {
        let answers = self.mailbox.take();
        if !answers.is_empty() {
            return self.deliver(scope, answers);
        }
        if self.fire_due(scope)? {
            return Ok(());
        }
        self.pump(scope);
        if self.stopped() {
            return Err(End::Stopped);
        }
        let (calls, due) =
            (self.state.calls.borrow().outstanding(), self.state.timers.borrow().next_due());
        if calls == 0 && due.is_none() {
            return Err(End::Failed(Box::new(endings::unresolved_promise(self.prepared))));
        }
        self.park(scope, due)
    }

    /// Waits until the broker gives something, or asks it for permission once a timer is due.
    fn park(&self, scope: &mut v8::PinScope<'_, '_>, due: Option<Instant>) -> Result<(), End> {
        self.state.measure(scope);
        if !self.mailbox.park() {
            return Ok(());
        }
        self.state.send_parked();
        let mut until = due;
        loop {
            match self.mailbox.wait(until) {
                Woken::Stopped => return Err(End::Stopped),
                Woken::Answers(answers) => return self.deliver(scope, answers),
                Woken::Go if until.is_some() => {}
                Woken::Go => return self.fire_due(scope).map(|_| ()),
                Woken::Due => {
                    until = None;
                    self.state.send_wake();
                }
            }
        }
    }

    /// Settles all calls that were answered, then runs what waited for them.
    fn deliver(&self, scope: &mut v8::PinScope<'_, '_>, answers: Vec<Answer>) -> Result<(), End> {
        self.state.answers.update(|taken| taken + answers.len() as u32);
        for answer in answers {
            let pending = self.state.calls.borrow_mut().answered(answer.call);
            let Some(pending) = pending else { continue };
            v8::scope!(let scope, scope);
            let resolver = v8::Local::new(scope, &pending.resolver);
            v8::tc_scope!(let scope, scope);
            let value = v8::String::new_from_utf8(scope, &answer.json, v8::NewStringType::Normal)
                .and_then(|text| match answer.ok {
                    true => v8::json::parse(scope, text),
                    false => self.failure(scope, text, answer.call, pending.at),
                });
            match value {
                Some(value) if answer.ok => resolver.resolve(scope, value),
                Some(error) => resolver.reject(scope, error),
                None if self.stopped() => return Err(End::Stopped),
                None => {
                    let thrown = scope.exception().unwrap_or_else(|| v8::undefined(scope).into());
                    scope.reset();
                    resolver.reject(scope, thrown)
                }
            };
            if self.stopped() {
                return Err(End::Stopped);
            }
        }
        self.state.send_waiting();
        self.checkpoint(scope);
        Ok(())
    }

    fn failure<'s>(
        &self,
        scope: &mut v8::PinScope<'s, '_>,
        text: v8::Local<'s, v8::String>,
        call: u32,
        at: Option<thrown::Place>,
    ) -> Option<v8::Local<'s, v8::Value>> {
        let error = self.ask(scope, &self.hooks.failure, text.into())?;
        if let Ok(object) = v8::Local::<v8::Object>::try_from(error) {
            thrown::mark(scope, object, call, at);
        }
        Some(error)
    }

    /// Runs the timers that are due now; whether there were any. Those that they start wait for the
    /// next turn.
    fn fire_due(&self, scope: &mut v8::PinScope<'_, '_>) -> Result<bool, End> {
        let now = Instant::now();
        let mut fired = false;
        while let Some(id) = { self.state.timers.borrow_mut().take_due(now) } {
            fired = true;
            {
                v8::scope!(let scope, scope);
                v8::tc_scope!(let scope, scope);
                let id = v8::Integer::new_from_unsigned(scope, id);
                let done = self.ask(scope, &self.hooks.fire, id.into());
                if self.stopped() {
                    return Err(End::Stopped);
                }
                if done.is_none() {
                    let thrown = scope.exception().unwrap_or_else(|| v8::undefined(scope).into());
                    return Err(End::Threw(v8::Global::new(scope, thrown)));
                }
            }
            self.checkpoint(scope);
            if self.stopped() {
                return Err(End::Stopped);
            }
        }
        Ok(fired)
    }

    fn checkpoint(&self, scope: &mut v8::PinScope<'_, '_>) {
        if !self.stopped() {
            scope.perform_microtask_checkpoint();
        }
    }

    /// Lets V8 do what it put off: nothing waits for it, so a few at a time are enough.
    fn pump(&self, scope: &mut v8::PinScope<'_, '_>) {
        for _ in 0..PUMPED_MAX {
            if self.stopped() || !v8::Platform::pump_message_loop(self.platform, scope, false) {
                break;
            }
        }
        self.checkpoint(scope);
    }

    fn ask<'s>(
        &self,
        scope: &mut v8::PinScope<'s, '_>,
        hook: &v8::Global<v8::Function>,
        argument: v8::Local<'s, v8::Value>,
    ) -> Option<v8::Local<'s, v8::Value>> {
        let nothing = v8::undefined(scope).into();
        v8::Local::new(scope, hook).call(scope, nothing, &[argument])
    }

    /// The result as JSON. Getters and `toJSON` are guest code and run under the same limits.
    fn result<'s>(&self, scope: &mut v8::PinScope<'s, '_>, value: v8::Local<'s, v8::Value>) -> End {
        v8::tc_scope!(let scope, scope);
        let json = self.ask(scope, &self.hooks.result, value);
        if self.stopped() {
            return End::Stopped;
        }
        let Some(json) = json else {
            let thrown = scope.exception().unwrap_or_else(|| v8::undefined(scope).into());
            return End::Threw(v8::Global::new(scope, thrown));
        };
        let bytes_max = self.state.limits.result_bytes_max;
        let text = v8::Local::<v8::String>::try_from(json).ok();
        match text {
            Some(text) if text.utf8_length(scope) as u64 <= bytes_max => {
                End::Returned(text.to_rust_string_lossy(scope))
            }
            _ => End::Failed(Box::new(endings::result_limit(bytes_max))),
        }
    }

    /// What the broker is told.
    fn tell(&self, scope: &mut v8::PinScope<'_, '_>, end: End) -> Outcome {
        let outcome = match end {
            // The alarm decides even when the code slipped through to its end.
            _ if self.stopped() => return self.stop(),
            End::Stopped => return self.stop(),
            End::Returned(result) => {
                self.warn_of_leftovers(scope);
                return Outcome { outcome: DoneOutcome::Returned, result };
            }
            End::Failed(error) => DoneOutcome::Threw { error: *error, call: None },
            End::Threw(thrown) => self.threw(scope, &thrown),
        };
        self.warn_of_leftovers(scope);
        if self.stopped() { self.stop() } else { Outcome { outcome, result: String::new() } }
    }

    fn stop(&self) -> Outcome {
        let outcome = match self.mailbox.alarm.raised() {
            Some(Reason::Cpu) => DoneOutcome::CpuLimit,
            Some(Reason::Memory) => endings::heap_limit(self.state.limits.heap_bytes_max),
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
                endings::buffer_limit(self.state.limits.buffer_bytes_max, &name, &message)
            });
        if let Some(outcome) = refused.flatten() {
            return outcome;
        }
        DoneOutcome::Threw { error: self.prepared.describe(&name, &message, at, &stack), call }
    }

    /// Name and message of a thrown value; none when the guest was stopped meanwhile.
    fn explain<'s>(
        &self,
        scope: &mut v8::PinScope<'s, '_>,
        thrown: v8::Local<'s, v8::Value>,
    ) -> Option<(String, String)> {
        let told = self.ask(scope, &self.hooks.explain, thrown);
        if self.stopped() {
            return None;
        }
        let part = |scope: &mut v8::PinScope<'s, '_>, index| {
            let part = v8::Local::<v8::Array>::try_from(told?).ok()?.get_index(scope, index)?;
            Some(part.to_rust_string_lossy(scope))
        };
        let (name, message) = (part(scope, 0), part(scope, 1));
        // A guest that is out of stack even here still gets an answer.
        Some((
            name.unwrap_or_else(|| "Error".into()),
            message.unwrap_or_else(|| "threw a value that cannot be described".into()),
        ))
    }

    /// Tells of what was left when the program ended: calls without an answer, rejections that
    /// nobody handled.
    fn warn_of_leftovers(&self, scope: &mut v8::PinScope<'_, '_>) {
        self.state.warnings.borrow_mut().add_abandoned(self.state.calls.borrow().outstanding());
        let rejections = self.state.rejections.take();
        v8::tc_scope!(let scope, scope);
        for (_, reason) in &rejections.kept {
            let reason = v8::Local::new(scope, reason);
            let at =
                thrown::origin(scope, reason).at.map(|at| thrown::place_text(self.prepared, at));
            let Some((name, message)) = self.explain(scope, reason) else { return };
            self.state.warnings.borrow_mut().add_rejection(&name, &message, at);
        }
        self.state.warnings.borrow_mut().add_more_rejections(rejections.more);
    }
}
