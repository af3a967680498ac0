//! Memory of one guest: the limit of the heap, the array buffers outside it, and the last frame of
//! a process that runs out of memory.
//!
//! The last frame is written from inside a failing engine: no allocation, no lock, only `write` and
//! `_exit`.

use std::{
    alloc::{Layout, alloc, alloc_zeroed, dealloc},
    ffi::{c_char, c_void},
    ptr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
};

use deno_core::v8;

use crate::sandbox::{
    protocol::{FatalReason, HEAD_BYTES, Kind},
    worker::exit::leave,
};

/// Bytes by which the heap may grow once its limit is reached: the termination itself needs some.
const HEADROOM_BYTES: usize = 32 << 20;
/// Address space for compiled code in bytes. The first isolate sets it for the process.
const CODE_RANGE_BYTES: usize = 128 << 20;
/// Alignment of array buffers, as of `malloc`.
const ALIGNMENT: usize = 16;

/// The run that the last frame names. There is one guest per process, so one number.
static RUN: AtomicU32 = AtomicU32::new(0);

/// Sets the current run for the last frame; 0 for none.
pub(super) fn set_run(run: u32) {
    RUN.store(run, Ordering::Release);
}

/// Accounting of the array buffers of one guest.
pub(super) struct Buffers {
    bytes_max: u64,
    used: AtomicU64,
    peak: AtomicU64,
    refused: AtomicBool,
}

impl Buffers {
    pub(super) fn new(bytes_max: u64) -> Arc<Self> {
        Arc::new(Self {
            bytes_max,
            used: AtomicU64::new(0),
            peak: AtomicU64::new(0),
            refused: AtomicBool::new(false),
        })
    }

    /// Largest number of bytes in use at once.
    pub(super) fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }

    /// Returns true if an allocation was refused.
    pub(super) fn refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }

    fn claim(&self, bytes: usize) -> bool {
        let before = self.used.fetch_add(bytes as u64, Ordering::Relaxed);
        let after = before.saturating_add(bytes as u64);
        if after > self.bytes_max {
            self.used.fetch_sub(bytes as u64, Ordering::Relaxed);
            self.refused.store(true, Ordering::Relaxed);
            return false;
        }
        self.peak.fetch_max(after, Ordering::Relaxed);
        true
    }

    fn allocate(&self, bytes: usize, with: unsafe fn(Layout) -> *mut u8) -> *mut c_void {
        let Ok(layout) = Layout::from_size_align(bytes.max(1), ALIGNMENT) else {
            return ptr::null_mut();
        };
        if !self.claim(bytes) {
            return ptr::null_mut();
        }
        // SAFETY: the layout is not empty.
        let address = unsafe { with(layout) };
        if address.is_null() {
            self.used.fetch_sub(bytes as u64, Ordering::Relaxed);
        }
        address.cast()
    }

    /// Returns an allocator for V8 that counts here.
    fn allocator(self: &Arc<Self>) -> v8::UniqueRef<v8::Allocator> {
        // SAFETY: the handle is an `Arc` that `release` takes back, as the functions of the table
        // expect.
        unsafe { v8::new_rust_allocator(Arc::into_raw(self.clone()), &ALLOCATOR) }
    }
}

static ALLOCATOR: v8::RustAllocatorVtable<Buffers> = v8::RustAllocatorVtable {
    allocate: zeroed,
    allocate_uninitialized: uninitialized,
    free,
    drop: release,
};

unsafe extern "C" fn zeroed(buffers: &Buffers, bytes: usize) -> *mut c_void {
    buffers.allocate(bytes, alloc_zeroed)
}

unsafe extern "C" fn uninitialized(buffers: &Buffers, bytes: usize) -> *mut c_void {
    buffers.allocate(bytes, alloc)
}

unsafe extern "C" fn free(buffers: &Buffers, address: *mut c_void, bytes: usize) {
    let Ok(layout) = Layout::from_size_align(bytes.max(1), ALIGNMENT) else { return };
    // SAFETY: V8 frees what `allocate` returned, with the same length.
    unsafe { dealloc(address.cast(), layout) };
    buffers.used.fetch_sub(bytes as u64, Ordering::Relaxed);
}

unsafe extern "C" fn release(buffers: *const Buffers) {
    // SAFETY: the pointer came from `Arc::into_raw` in `allocator`, and V8 drops it once.
    drop(unsafe { Arc::from_raw(buffers) });
}

/// Returns the parameters of an isolate.
pub(super) fn params(heap_bytes_max: u64, buffers: &Arc<Buffers>) -> v8::CreateParams {
    v8::CreateParams::default()
        .heap_limits(0, heap_bytes_max as usize)
        .set_code_range_size_in_bytes(CODE_RANGE_BYTES)
        .array_buffer_allocator(buffers.allocator())
        .allow_atomics_wait(false)
}

/// Returns the heap's new limit after it was reached for the `hits`-th time: headroom is granted
/// once.
pub(super) fn limit_after_hit(hits: u32, limit: usize) -> usize {
    if hits == 1 { limit + HEADROOM_BYTES.max(limit / 4) } else { limit }
}

/// Installs the handler of V8's fatal errors.
pub(super) fn on_fatal_error() {
    v8::V8::set_fatal_error_handler(fatal);
}

/// Installs the handler of an isolate that is out of memory.
pub(super) fn on_out_of_memory(isolate: &mut v8::Isolate) {
    isolate.set_oom_error_handler(out_of_memory);
}

unsafe extern "C" fn out_of_memory(_location: *const c_char, _details: &v8::OomDetails) {
    die(FatalReason::OutOfMemory)
}

fn fatal(_file: &str, _line: i32, _message: &str) {
    die(FatalReason::Fatal)
}

/// Writes the last frame and ends the process.
fn die(reason: FatalReason) -> ! {
    let run = RUN.load(Ordering::Acquire).to_le_bytes();
    let length = (HEAD_BYTES as u32 + 1).to_le_bytes();
    let frame = [
        length[0],
        length[1],
        length[2],
        length[3],
        Kind::Fatal as u8,
        run[0],
        run[1],
        run[2],
        run[3],
        reason as u8,
    ];
    // SAFETY: descriptor 0 is the broker's socket. This is the guest's thread, which is inside V8
    // and so not in the middle of a frame.
    unsafe { libc::write(0, frame.as_ptr().cast(), frame.len()) };
    leave(134)
}
