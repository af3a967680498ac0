//! Clocks of CPU time: a thread's own, readable from other threads, and what a clock shows.

/// The clock of this thread's CPU time.
pub(super) fn of_this_thread() -> libc::clockid_t {
    let mut clock = 0;
    // SAFETY: the thread is this one and the out pointer is valid; it cannot fail for a thread that
    // lives.
    unsafe { libc::pthread_getcpuclockid(libc::pthread_self(), &mut clock) };
    clock
}

/// What a clock shows in nanoseconds; none when its thread or process is gone.
pub(super) fn read_ns(clock: libc::clockid_t) -> Option<u64> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the out pointer is valid; an unknown clock only makes the call fail.
    (unsafe { libc::clock_gettime(clock, &mut time) } == 0)
        .then(|| time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}
