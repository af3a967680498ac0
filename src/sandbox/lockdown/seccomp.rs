//! System call filters: allow-lists; any other call fails with `EPERM`.
//!
//! Builds filters and applies none. Files are landlock's concern.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule,
};

/// Calls of any program that computes, has threads and uses open descriptors.
const COMMON: &[i64] = &[
    libc::SYS_brk,
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_close,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_gettid,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_nanosleep,
    libc::SYS_ppoll,
    libc::SYS_read,
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_sigaltstack,
    libc::SYS_write,
    libc::SYS_writev,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
];

/// Further calls of Deno: for its start (the dynamic linker, the executable's own bytes), its event
/// loop and its memory.
const DENO: &[i64] = &[
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_eventfd2,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_fstat,
    libc::SYS_getcwd,
    libc::SYS_geteuid,
    libc::SYS_getppid,
    libc::SYS_getrusage,
    libc::SYS_getuid,
    libc::SYS_lseek,
    libc::SYS_newfstatat,
    libc::SYS_openat,
    libc::SYS_pipe2,
    libc::SYS_pkey_alloc,
    libc::SYS_pkey_free,
    libc::SYS_pkey_mprotect,
    libc::SYS_pread64,
    libc::SYS_readlinkat,
    libc::SYS_recvfrom,
    libc::SYS_rseq,
    libc::SYS_set_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_statx,
    libc::SYS_sysinfo,
    libc::SYS_uname,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_access,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_arch_prctl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_epoll_wait,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_open,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_readlink,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_stat,
];

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Returns the filters for Deno in the order in which they must be applied. A call that takes a
/// pid, or that can make the kernel signal a process, is allowed only with arguments that mean the
/// caller. `execve` is allowed only with the path at this address, which is unmapped in the next
/// program: a thread that executed another program would lose the death signal.
pub(super) fn of_deno(path: usize) -> Result<Vec<BpfProgram>, BackendError> {
    let mut rules = allow(COMMON.iter().chain(DENO));
    memory(&mut rules)?;
    threads_only(&mut rules)?;
    let at = SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, path as u64)?;
    rules.insert(libc::SYS_execve, vec![SeccompRule::new(vec![at])?]);
    let command = |command: i32| command as u64;
    let plain = [
        libc::F_DUPFD,
        libc::F_GETFD,
        libc::F_SETFD,
        libc::F_GETFL,
        libc::F_SETFL,
        libc::F_DUPFD_CLOEXEC,
    ]
    .map(command);
    allow_if(&mut rules, libc::SYS_fcntl, 1, &plain)?;
    allow_if(&mut rules, libc::SYS_ioctl, 1, &[libc::TCGETS, libc::FIONBIO, libc::FIOCLEX])?;
    // Names of threads and mappings; nothing that regains a privilege or changes the death signal.
    allow_if(&mut rules, libc::SYS_prctl, 0, &[libc::PR_SET_NAME as u64, libc::PR_SET_VMA as u64])?;
    // Reads its own limits only.
    rules.insert(libc::SYS_prlimit64, vec![SeccompRule::new(vec![zero(0)?, zero(2)?])?]);
    // For Tokio's signals: a stream both of whose ends belong to this process. A datagram socket
    // could send to any name.
    let family =
        SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, libc::AF_UNIX as u64)?;
    let stream = SeccompCondition::new(
        1,
        SeccompCmpArgLen::Dword,
        SeccompCmpOp::MaskedEq(0xf),
        libc::SOCK_STREAM as u64,
    )?;
    rules.insert(libc::SYS_socketpair, vec![SeccompRule::new(vec![family, stream])?]);
    connected_only(&mut rules)?;
    Ok(vec![no_clone3()?, allow_only(rules)?])
}

/// Returns the filters for a process that watches a jailed child, and may kill that one process.
pub(super) fn of_watcher(child: u32) -> Result<Vec<BpfProgram>, BackendError> {
    let own = [
        libc::SYS_wait4,
        libc::SYS_pread64,
        libc::SYS_recvfrom,
        libc::SYS_fcntl,
        libc::SYS_rseq,
        libc::SYS_set_robust_list,
    ];
    let mut rules = allow(COMMON.iter().chain(&own));
    memory(&mut rules)?;
    connected_only(&mut rules)?;
    allow_if(&mut rules, libc::SYS_kill, 0, &[u64::from(child)])?;
    allow_if(&mut rules, libc::SYS_prctl, 0, &[libc::PR_SET_NAME as u64])?;
    Ok(vec![allow_only(rules)?])
}

fn allow<'a>(calls: impl Iterator<Item = &'a i64>) -> Rules {
    calls.map(|call| (*call, Vec::new())).collect()
}

/// Allows a call only if one of its arguments has one of these values.
fn allow_if(
    rules: &mut Rules,
    call: i64,
    argument: u8,
    values: &[u64],
) -> Result<(), BackendError> {
    let equals = |value: &u64| {
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, *value)
    };
    let rule = |value| SeccompRule::new(vec![equals(value)?]);
    rules.insert(call, values.iter().map(rule).collect::<Result<_, _>>()?);
    Ok(())
}

/// The condition that an argument is 0.
fn zero(argument: u8) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, 0)
}

/// Allows memory that the limits count: private, and not growing by itself. Allows advice about it,
/// except for advice that affects other processes.
fn memory(rules: &mut Rules) -> Result<(), BackendError> {
    let kind = (libc::MAP_TYPE | libc::MAP_GROWSDOWN) as u64;
    let private = SeccompCondition::new(
        3,
        SeccompCmpArgLen::Dword,
        SeccompCmpOp::MaskedEq(kind),
        libc::MAP_PRIVATE as u64,
    )?;
    rules.insert(libc::SYS_mmap, vec![SeccompRule::new(vec![private])?]);
    let advice = [
        libc::MADV_NORMAL,
        libc::MADV_RANDOM,
        libc::MADV_SEQUENTIAL,
        libc::MADV_WILLNEED,
        libc::MADV_DONTNEED,
        libc::MADV_FREE,
        libc::MADV_DONTFORK,
        libc::MADV_HUGEPAGE,
        libc::MADV_NOHUGEPAGE,
        libc::MADV_DONTDUMP,
        libc::MADV_DODUMP,
    ];
    allow_if(rules, libc::SYS_madvise, 2, &advice.map(|advice| advice as u64))
}

/// Allows sending only to the peer of a connected socket, never to a name.
fn connected_only(rules: &mut Rules) -> Result<(), BackendError> {
    rules.insert(libc::SYS_sendto, vec![SeccompRule::new(vec![zero(4)?])?]);
    Ok(())
}

/// Allows new threads but no new processes.
fn threads_only(rules: &mut Rules) -> Result<(), BackendError> {
    let thread = libc::CLONE_THREAD as u64;
    let condition =
        SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(thread), thread)?;
    rules.insert(libc::SYS_clone, vec![SeccompRule::new(vec![condition])?]);
    rules.insert(libc::SYS_clone3, Vec::new());
    Ok(())
}

/// Makes `clone3` fail with `ENOSYS`: its flags are in memory, where no filter can see them. The C
/// library then uses `clone`.
fn no_clone3() -> Result<BpfProgram, BackendError> {
    let rules = allow([libc::SYS_clone3].iter());
    filter(rules, SeccompAction::Allow, SeccompAction::Errno(libc::ENOSYS as u32))
}

fn allow_only(rules: Rules) -> Result<BpfProgram, BackendError> {
    filter(rules, SeccompAction::Errno(libc::EPERM as u32), SeccompAction::Allow)
}

fn filter(
    rules: Rules,
    otherwise: SeccompAction,
    on_match: SeccompAction,
) -> Result<BpfProgram, BackendError> {
    let architecture = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules, otherwise, on_match, architecture)?.try_into()
}
