//! CPU time clocks: that of the current thread, and the reading of a clock from any thread.

/// Returns the CPU time clock of the current thread.
pub(super) fn of_this_thread() -> libc::clockid_t {
    let mut clock = 0;
    // SAFETY: the thread is the current one and the out pointer is valid. It cannot fail for a live
    // thread.
    unsafe { libc::pthread_getcpuclockid(libc::pthread_self(), &mut clock) };
    clock
}

/// Reads a clock in nanoseconds. Returns `None` if its thread or process has ended.
pub(super) fn read_ns(clock: libc::clockid_t) -> Option<u64> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the out pointer is valid; an unknown clock only makes the call fail.
    (unsafe { libc::clock_gettime(clock, &mut time) } == 0)
        .then(|| time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}
