//! Applies the locks of the operating system: to this process before it meets a guest, and to a
//! program of others that it starts in a jail.
//!
//! Knows no engine. Runs single-threaded, before any engine starts, and depends on nothing that the
//! broker sends. The order matters: each step needs what a later one takes away. A lock that the
//! kernel refuses is an error, never a weaker lock.

mod error;
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

use self::error::step;
use super::locks::{Lock, Locks};

pub use self::error::LockdownError;

/// Upper bound on open descriptors of a worker that runs guests itself. It needs three to seven; an
/// engine opens a few briefly while it warms up.
pub(super) const DESCRIPTORS_MAX: u64 = 16;

/// Gives up everything that neither this process nor any program it starts needs.
pub(super) fn lock(descriptors_max: u64) -> Result<Locks, LockdownError> {
    // If the broker died before the first of these two lines, descriptor 0 is at its end.
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
    let locks = [
        Lock::DiesWithBroker,
        Lock::NoNewPrivileges,
        Lock::NotDumpable,
        Lock::NoInheritedDescriptors,
    ];
    Ok(locks.into_iter().collect())
}

/// Limits writable private memory, in bytes: the last of the resource limits after [`lock`]. Not
/// the address space, of which engines reserve far more than they use.
pub(super) fn limit_memory(bytes: u64) -> Result<Lock, LockdownError> {
    limit("limit memory", Resource::Data, bytes)?;
    Ok(Lock::LimitedResources)
}

fn limit(name: &'static str, resource: Resource, value: u64) -> Result<(), LockdownError> {
    // A lower hard limit stays in force.
    let ceiling = rustix::process::getrlimit(resource).maximum;
    let value = ceiling.map_or(value, |ceiling| ceiling.min(value));
    step(name, setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) }))
}

fn close_above(last: u32) -> io::Result<()> {
    // SAFETY: no object of this process owns a descriptor above `last` yet: this runs first.
    if unsafe { libc::syscall(libc::SYS_close_range, last + 1, u32::MAX, 0) } == 0 {
        return Ok(());
    }
    // Kernels before 5.9.
    let open: Vec<i32> = std::fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|fd| *fd > last as i32)
        .collect();
    for fd in open {
        // SAFETY: as above; the descriptor of the directory is closed already, so closing it again
        // only fails.
        unsafe { libc::close(fd) };
    }
    Ok(())
}

/// Maps the snapshot on descriptor 1 for the life of the process and replaces the descriptor by
/// /dev/null, so that nothing printed reaches the broker's standard output.
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
    // SAFETY: descriptor 1 is replaced atomically, and the `OwnedFd` is forgotten so that it stays
    // open.
    let mut stdout = unsafe { OwnedFd::from_raw_fd(1) };
    let replaced = step("silence standard output", rustix::io::dup2(null.as_fd(), &mut stdout));
    std::mem::forget(stdout);
    replaced?;
    debug_assert_ne!(null.as_raw_fd(), 1);
    Ok(snapshot)
}

/// Drops all capabilities of this thread and of those that it starts. Users other than root have
/// none.
pub(super) fn drop_capabilities() -> Result<Lock, LockdownError> {
    const VERSION: u32 = 0x2008_0522;
    const LAST: i32 = 63;
    for capability in 0..=LAST {
        // Fails without capabilities, and for numbers that this kernel does not know.
        // SAFETY: these options take numbers only.
        unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability) };
    }
    // SAFETY: as above.
    unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) };
    let (header, nothing) = ([VERSION, 0], [0_u32; 6]);
    // SAFETY: the kernel reads a header of that version and two triples of words.
    let dropped = unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), nothing.as_ptr()) };
    step("drop capabilities", if dropped == 0 { Ok(()) } else { Err(io::Error::last_os_error()) })?;
    Ok(Lock::NoCapabilities)
}

/// Closes all files to this process, which must have open whatever it needs. Call it before a
/// second thread exists: landlock applies to the calling thread and to those that it starts.
pub(super) fn close_files() -> Result<(), LockdownError> {
    limit("limit descriptors", Resource::Nofile, DESCRIPTORS_MAX)?;
    landlock::without_files()
}

/// Filters the system calls of a process that watches a jailed child, and may kill that one
/// process. Call it once all threads exist.
pub(super) fn filter_calls(child: u32) -> Result<(), LockdownError> {
    for filter in
        step("make the system call filter", seccomp::of_watcher(child).map_err(io::Error::other))?
    {
        step(
            "filter system calls",
            seccompiler::apply_filter_all_threads(&filter).map_err(io::Error::other),
        )?;
    }
    Ok(())
}
