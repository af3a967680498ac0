//! A jail for a third-party program. Its locks survive the `execve` that starts the program, so the
//! program need not cooperate.
//!
//! Prepared before the fork, entered between fork and `execve`. Landlock closes files, seccomp
//! filters system calls, resource limits bound amounts. A step that the kernel refuses ends the
//! start: there is no weaker jail.

use std::{
    ffi::{CString, c_char},
    fs::File,
    io,
    os::{fd::AsRawFd, unix::process::CommandExt},
    process::Command,
    ptr,
};

use landlock::RulesetCreated;
use rustix::process::{Pid, Resource, Signal, getpid, getppid, set_parent_process_death_signal};
use seccompiler::BpfProgram;

use super::{
    drop_capabilities,
    error::{LockdownError, step},
    landlock as files, limit, seccomp,
};
use crate::sandbox::locks::Lock;

/// Upper bound on open descriptors of the program. Deno needs about fifteen.
pub(in crate::sandbox) const DESCRIPTORS_MAX: u64 = 64;
/// Locks in force on a program in the jail.
pub(in crate::sandbox) const LOCKS: [Lock; 6] = [
    Lock::Landlock,
    Lock::Seccomp,
    Lock::NoNewPrivileges,
    Lock::NoCapabilities,
    Lock::DiesWithBroker,
    Lock::LimitedResources,
];

/// A jail for one program, prepared but not entered.
pub struct Jail {
    files: Option<RulesetCreated>,
    calls: Vec<BpfProgram>,
    data_bytes_max: u64,
    parent: Pid,
    /// Path that executes the program by the descriptor that was checked.
    name: CString,
}

impl Jail {
    /// Prepares a jail for Deno's executable: it may be executed and read, the libraries that it is
    /// linked with may be read, and its writable private memory is limited to `data_bytes_max`.
    /// `program` must stay open until the command has started.
    ///
    /// # Errors
    /// On a kernel without landlock (before Linux 5.13, or disabled).
    pub fn for_deno(program: &File, data_bytes_max: u64) -> Result<Self, LockdownError> {
        let name = CString::new(format!("/proc/self/fd/{}", program.as_raw_fd()))
            .map_err(io::Error::other);
        let name = step("name the program", name)?;
        let files = files::for_program(program)?;
        let calls = seccomp::of_deno(name.as_ptr().addr()).map_err(io::Error::other);
        let calls = step("make the system call filter", calls)?;
        Ok(Self { files: Some(files), calls, data_bytes_max, parent: getpid(), name })
    }

    /// Returns a command that runs the program in the jail with these arguments and exactly this
    /// environment. The caller chooses its streams.
    ///
    /// # Errors
    /// If a string contains a zero byte.
    pub fn command(
        mut self,
        arguments: &[String],
        environment: &[(&str, &str)],
    ) -> io::Result<Command> {
        let argv = std::iter::once("deno".to_owned()).chain(arguments.iter().cloned());
        let arguments = CStrings::new(argv)?;
        let environment =
            CStrings::new(environment.iter().map(|(name, value)| format!("{name}={value}")))?;
        let mut command = Command::new("/proc/self/exe");
        // SAFETY: the forked process only makes system calls. It allocates and takes locks only if
        // one of them is refused, and then it ends.
        unsafe {
            command.pre_exec(move || {
                self.enter().map_err(io::Error::other)?;
                // Not left to the caller of this closure: the filter allows `execve` with exactly
                // this address of the path only.
                libc::execve(self.name.as_ptr(), arguments.as_ptr(), environment.as_ptr());
                Err(io::Error::last_os_error())
            })
        };
        Ok(command)
    }

    /// Applies the locks to this process. Called between fork and `execve`.
    fn enter(&mut self) -> Result<(), LockdownError> {
        step("set the death signal", set_parent_process_death_signal(Some(Signal::KILL)))?;
        if getppid() != Some(self.parent) {
            return Err(LockdownError::Orphaned);
        }
        step("give up new privileges", rustix::thread::set_no_new_privs(true))?;
        drop_capabilities()?;
        limit("limit core files", Resource::Core, 0)?;
        limit("limit file sizes", Resource::Fsize, 0)?;
        limit("limit descriptors", Resource::Nofile, DESCRIPTORS_MAX)?;
        limit("limit memory", Resource::Data, self.data_bytes_max)?;
        let files = self.files.take().ok_or_else(|| io::Error::other("a command runs once"));
        files::enforce(step("close files", files)?)?;
        for filter in &self.calls {
            step(
                "filter system calls",
                seccompiler::apply_filter(filter).map_err(io::Error::other),
            )?;
        }
        Ok(())
    }
}

/// A null-terminated array of C strings, as `execve` takes it.
struct CStrings {
    pointers: Vec<*const c_char>,
    _strings: Vec<CString>,
}

// SAFETY: the pointers lead into strings that are owned here and never change.
unsafe impl Send for CStrings {}
// SAFETY: as above.
unsafe impl Sync for CStrings {}

impl CStrings {
    fn new(strings: impl Iterator<Item = String>) -> io::Result<Self> {
        let strings = strings.map(CString::new).collect::<Result<Vec<_>, _>>()?;
        let pointers = strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect();
        Ok(Self { pointers, _strings: strings })
    }

    fn as_ptr(&self) -> *const *const c_char {
        self.pointers.as_ptr()
    }
}
