//! What a worker gives up before it meets a guest, and the jail of a program that is not ours.
//! Single-threaded, before any engine; must not depend on anything the broker sends.
//!
//! The order matters: every step still needs what a later one takes away.

pub(super) mod jail;
mod landlock;
mod seccomp;

use std::{
    fs::File,
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

use rustix::{
    fs::{SealFlags, fcntl_get_seals, fstat},
    mm::{MapFlags, ProtFlags, mmap},
    process::{
        DumpableBehavior, Resource, Rlimit, Signal, getppid, set_dumpable_behavior,
        set_parent_process_death_signal, setrlimit,
    },
    thread::set_no_new_privs,
};

/// Open descriptors at most. The worker itself needs three to seven; the runtime opens a few
/// briefly while it warms up.
pub(super) const DESCRIPTORS_MAX: u64 = 16;
/// What the locks of a worker that runs V8 itself are called in `Armed`.
#[cfg(feature = "v8")]
pub(super) const LOCKS: &str =
    "no new privileges, not dumpable, dies with its broker, no files, limited resources";

/// Why the process must not go on.
#[derive(Debug, thiserror::Error)]
pub enum LockdownError {
    /// A step that the kernel refused.
    #[error("{step}: {source}")]
    Refused {
        /// What was tried.
        step: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The broker died while this process started.
    #[error("the broker is gone")]
    Orphaned,
    /// Descriptor 1 could be changed under our feet.
    #[error("descriptor 1 is not a sealed memory file")]
    Unsealed,
}

fn step<T>(
    step: &'static str,
    result: Result<T, impl Into<io::Error>>,
) -> Result<T, LockdownError> {
    result.map_err(|source| LockdownError::Refused { step, source: source.into() })
}

/// Gives up everything that the worker, or what it starts, never needs.
pub(super) fn lock(descriptors_max: u64) -> Result<(), LockdownError> {
    // A broker that died before the first of these two lines shows as the end of file on descriptor
    // 0.
    let broker = getppid();
    step("set the death signal", set_parent_process_death_signal(Some(Signal::KILL)))?;
    if getppid() != broker {
        return Err(LockdownError::Orphaned);
    }
    step("give up new privileges", set_no_new_privs(true))?;
    // Before the process stops being dumpable, which makes its files in /proc unwritable. Absent in
    // some containers.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    step("become non-dumpable", set_dumpable_behavior(DumpableBehavior::NotDumpable))?;
    step("close inherited descriptors", close_above(2))?;
    limit("limit core files", Resource::Core, 0)?;
    limit("limit descriptors", Resource::Nofile, descriptors_max)?;
    limit("limit file sizes", Resource::Fsize, 0)?;
    // The place for namespaces and landlock: still one thread, nothing of V8 started.
    Ok(())
}

/// Bounds writable private memory, in bytes. Not the address space: V8 reserves far more of that
/// than it uses.
pub(super) fn limit_memory(bytes: u64) -> Result<(), LockdownError> {
    limit("limit memory", Resource::Data, bytes)
}

/// The last locks, once everything that opens files lazily has been touched.
#[cfg(feature = "v8")]
pub(super) fn seal() -> Result<(), LockdownError> {
    // The place for the system call filter: applied to all threads, before the worker says that it
    // is armed.
    Ok(())
}

fn limit(name: &'static str, resource: Resource, value: u64) -> Result<(), LockdownError> {
    // A hard limit that is already lower stays.
    let ceiling = rustix::process::getrlimit(resource).maximum;
    let value = ceiling.map_or(value, |ceiling| ceiling.min(value));
    step(name, setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) }))
}

fn close_above(last: u32) -> io::Result<()> {
    // SAFETY: no object of this process owns a descriptor above `last` yet; it is the first thing
    // the process does.
    if unsafe { libc::syscall(libc::SYS_close_range, last + 1, u32::MAX, 0) } == 0 {
        return Ok(());
    }
    // Kernels before 5.9.
    let open: Vec<i32> = std::fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|fd| *fd > last as i32)
        .collect();
    for fd in open {
        // SAFETY: as above; the listing's own descriptor is closed already and closing it again
        // only fails.
        unsafe { libc::close(fd) };
    }
    Ok(())
}

/// Maps the snapshot on descriptor 1 for the life of the process and puts /dev/null in its place:
/// nothing that prints may ever reach the broker's standard output.
pub(super) fn take_snapshot() -> Result<&'static [u8], LockdownError> {
    // SAFETY: descriptor 1 is open for the whole call and owned by nobody else.
    let file = unsafe { BorrowedFd::borrow_raw(1) };
    let seals = step("read the snapshot's seals", fcntl_get_seals(file))
        .map_err(|_| LockdownError::Unsealed)?;
    if !seals.contains(SealFlags::WRITE | SealFlags::SHRINK) {
        return Err(LockdownError::Unsealed);
    }
    let length = step("measure the snapshot", fstat(file))?.st_size as usize;
    // SAFETY: a fresh private read-only mapping; the seals keep its bytes and its length from
    // changing.
    let address = step("map the snapshot", unsafe {
        mmap(std::ptr::null_mut(), length, ProtFlags::READ, MapFlags::PRIVATE, file, 0)
    })?;
    // SAFETY: mapped above with that length and never unmapped.
    let snapshot = unsafe { std::slice::from_raw_parts(address.cast::<u8>(), length) };
    let null = step("open /dev/null", File::options().read(true).write(true).open("/dev/null"))?;
    // SAFETY: descriptor 1 is replaced atomically; the `OwnedFd` is forgotten so that it stays
    // open.
    let mut stdout = unsafe { OwnedFd::from_raw_fd(1) };
    let replaced = step("silence standard output", rustix::io::dup2(null.as_fd(), &mut stdout));
    std::mem::forget(stdout);
    replaced?;
    debug_assert_ne!(null.as_raw_fd(), 1);
    Ok(snapshot)
}

/// Gives up every capability that root has, for this thread and those that it starts. Others have
/// none.
pub(super) fn drop_capabilities() -> Result<(), LockdownError> {
    const VERSION: u32 = 0x2008_0522;
    const LAST: i32 = 63;
    for capability in 0..=LAST {
        // Refused to those who have none, and for numbers that this kernel does not know.
        // SAFETY: these options take numbers only.
        unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability) };
    }
    // SAFETY: as above.
    unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) };
    let (header, nothing) = ([VERSION, 0], [0_u32; 6]);
    // SAFETY: the kernel reads a header of that version and two triples of words.
    let dropped = unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), nothing.as_ptr()) };
    step("drop capabilities", if dropped == 0 { Ok(()) } else { Err(io::Error::last_os_error()) })
}

/// Closes all files to a worker that has everything open that it needs. Before it has a second
/// thread: landlock holds for the thread that asks and for those that it starts.
pub(super) fn close_files() -> Result<(), LockdownError> {
    limit("limit descriptors", Resource::Nofile, DESCRIPTORS_MAX)?;
    landlock::without_files()
}

/// The last lock of the worker beside Deno, once it has all its threads: few system calls.
pub(super) fn filter_calls(deno: u32) -> Result<(), LockdownError> {
    for filter in
        step("make the system call filter", seccomp::of_companion(deno).map_err(io::Error::other))?
    {
        step(
            "filter system calls",
            seccompiler::apply_filter_all_threads(&filter).map_err(io::Error::other),
        )?;
    }
    Ok(())
}
