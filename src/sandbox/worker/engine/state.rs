//! State of one guest: its calls, timers, log and warnings. Shared by the native functions and the
//! run's loop.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use deno_core::v8;

use super::{
    calls::{Call, Calls, TooMany},
    memory::Buffers,
    thrown::{self, Position},
};
use crate::{
    model::LogLevel,
    sandbox::{
        history,
        protocol::{Kind, Setup, level_to_u8},
        worker::{
            intake::Prepared, log::LogMeter, outbox::Outbox, repeat::Repeat, timers::Timers,
            warnings::Warnings, web::entropy::RunInputs,
        },
    },
};

/// Bytes of a frame that are not available to its JSON: the path of a call, a quarter of the head
/// of a run's end.
const FRAME_SPARE_BYTES: u64 = 64 << 10;
/// Number of unhandled promise rejections that are kept for warnings.
const REJECTIONS_KEPT_MAX: usize = 8;

/// Data of a call until its response comes.
pub(super) struct Pending {
    pub(super) resolver: v8::Global<v8::PromiseResolver>,
    /// Position in the guest's source at which the call was issued, for the error it may end in.
    pub(super) at: Option<Position>,
}

/// Connection of the current run to the broker.
pub(super) struct Link {
    pub(super) run: u32,
    pub(super) outbox: Arc<Outbox>,
}

/// State of one guest.
pub(super) struct GuestState {
    pub(super) limits: Setup,
    pub(super) buffers: Arc<Buffers>,
    pub(super) link: RefCell<Option<Link>>,
    /// The current program, for positions in its source.
    pub(super) prepared: RefCell<Option<Rc<Prepared>>>,
    pub(super) calls: RefCell<Calls<Pending>>,
    pub(super) timers: RefCell<Timers>,
    /// What the guest sees of time and chance. None before the run begins.
    pub(super) repeat: RunInputs,
    pub(super) log: RefCell<LogMeter>,
    pub(super) rejections: RefCell<Rejections>,
    /// The first error that no guest code could catch: thrown by a timer or a microtask.
    pub(super) uncaught: RefCell<Option<v8::Global<v8::Value>>>,
    pub(super) heap_hits: Cell<u32>,
    pub(super) heap_peak: Cell<u64>,
    /// Number of responses received so far, which `Parked` reports to the broker.
    pub(super) responses: Cell<u32>,
    pub(super) warnings: RefCell<Warnings>,
}

impl GuestState {
    pub(super) fn new(limits: &Setup) -> Rc<Self> {
        // A frame must hold whatever the broker allows.
        let limits = Setup {
            args_bytes_max: limits
                .args_bytes_max
                .min(Kind::Call.body_max() as u64 - FRAME_SPARE_BYTES),
            result_bytes_max: limits
                .result_bytes_max
                .min(Kind::Done.body_max() as u64 - 4 * FRAME_SPARE_BYTES),
            ..limits.clone()
        };
        Rc::new(Self {
            buffers: Buffers::new(limits.buffer_bytes_max),
            link: RefCell::new(None),
            prepared: RefCell::new(None),
            calls: RefCell::new(Calls::new(limits.calls_queued_max)),
            timers: RefCell::new(Timers::new(limits.timers_max)),
            repeat: RunInputs::default(),
            log: RefCell::new(LogMeter::new(limits.log_bytes_max, limits.log_lines_max)),
            rejections: RefCell::default(),
            uncaught: RefCell::new(None),
            heap_hits: Cell::new(0),
            heap_peak: Cell::new(0),
            responses: Cell::new(0),
            warnings: RefCell::default(),
            limits,
        })
    }

    fn send(&self, kind: Kind, parts: &[&[u8]]) {
        if let Some(link) = &*self.link.borrow() {
            link.outbox.send(kind, link.run, parts);
        }
    }

    /// Adds a call and sends it unless too many are in flight.
    pub(super) fn issue<'s>(
        &self,
        scope: &mut v8::PinScope<'s, '_>,
        path: String,
        args: String,
        resolver: v8::Local<'s, v8::PromiseResolver>,
    ) -> Result<(), TooMany> {
        let pending =
            Pending { at: thrown::caller(scope), resolver: v8::Global::new(scope, resolver) };
        let sendable = self.calls.borrow_mut().issue(path, args, pending)?;
        self.with_repeat(|repeat| repeat.note_issued(self.calls.borrow().issued()));
        if let Some(call) = sendable {
            self.send_call(&call);
        }
        Ok(())
    }

    /// Sends the waiting calls that may now be in flight.
    pub(super) fn send_waiting(&self) {
        while let Some(call) = { self.calls.borrow_mut().next() } {
            self.send_call(&call);
        }
    }

    /// Counts a response.
    pub(super) fn received(&self) {
        self.responses.update(|received| received + 1);
        self.with_repeat(Repeat::note_received);
    }

    fn with_repeat(&self, apply: impl FnOnce(&mut Repeat)) {
        self.repeat.borrow_mut().as_mut().map(apply);
    }

    /// True if the guest still repeats an earlier run.
    pub(super) fn repeats(&self) -> bool {
        self.repeat.borrow().as_ref().is_some_and(|repeat| !repeat.is_live())
    }

    /// Time since the origin of the guest's clock.
    pub(super) fn elapsed(&self) -> Duration {
        let repeat = self.repeat.borrow();
        repeat.as_ref().map_or(Duration::ZERO, |repeat| repeat.elapsed(Instant::now()))
    }

    /// Tells the broker what the guest saw of time: what follows may depend on it.
    fn send_history(&self) {
        let unsent = self.repeat.borrow_mut().as_mut().map(Repeat::take_unsent);
        if let Some(unsent) = unsent.filter(|unsent| !unsent.is_empty()) {
            self.send(Kind::History, &[&history::encode(&unsent)]);
        }
    }

    fn send_call(&self, call: &Call) {
        self.send_history();
        let length = u16::try_from(call.path.len()).unwrap_or(u16::MAX);
        let path = &call.path.as_bytes()[..usize::from(length)];
        let line = self.line_of(call.call).to_le_bytes();
        self.send(
            Kind::Call,
            &[&call.call.to_le_bytes(), &line, &length.to_le_bytes(), path, call.args.as_bytes()],
        );
    }

    /// Line of the caller's source that issued a call; 0 if unknown.
    fn line_of(&self, call: u32) -> u32 {
        let at = self.calls.borrow().data(call).and_then(|pending| pending.at);
        let prepared = self.prepared.borrow();
        at.zip(prepared.as_ref())
            .map_or(0, |((line, column), prepared)| prepared.position(line, column).0)
    }

    /// Sends one line of console output, within the limits.
    pub(super) fn log(&self, level: LogLevel, line: String) {
        let admitted = self.log.borrow_mut().admit(line);
        if let Some(line) = admitted {
            self.send(Kind::Log, &[&[level_to_u8(level)], line.as_bytes()]);
        }
    }

    /// Reports that the guest only waits.
    pub(super) fn send_parked(&self) {
        self.send_history();
        self.send(Kind::Parked, &[&self.responses.get().to_le_bytes()]);
    }

    /// Reports that a timer is due.
    pub(super) fn send_wake(&self) {
        self.send(Kind::Wake, &[]);
    }

    /// Adds a warning.
    pub(super) fn warn(&self, warning: String) {
        self.warnings.borrow_mut().add(warning);
    }

    /// Updates the peak size of the heap.
    pub(super) fn measure(&self, isolate: &mut v8::Isolate) {
        let used = isolate.get_heap_statistics().used_heap_size() as u64;
        self.heap_peak.set(self.heap_peak.get().max(used));
    }
}

/// Unhandled promise rejections: the first few with their reason, the others counted.
#[derive(Default)]
pub(super) struct Rejections {
    pub(super) kept: Vec<(v8::Global<v8::Promise>, v8::Global<v8::Value>)>,
    pub(super) more: u64,
}

impl Rejections {
    pub(super) fn add(&mut self, promise: v8::Global<v8::Promise>, reason: v8::Global<v8::Value>) {
        if self.kept.len() < REJECTIONS_KEPT_MAX {
            self.kept.push((promise, reason))
        } else {
            self.more += 1
        }
    }

    pub(super) fn handled(&mut self, promise: &v8::Global<v8::Promise>) {
        match self.kept.iter().position(|(kept, _)| kept == promise) {
            Some(index) => drop(self.kept.swap_remove(index)),
            None => self.more = self.more.saturating_sub(1),
        }
    }
}
