//! A jail for a program that is not ours: what it gives up survives the `execve` that starts it, so it needs no cooperation.
//!
//! Prepared before the fork, entered between fork and `execve`. Files by landlock, system calls by seccomp, amounts by resource limits.
//! A step that the kernel refuses ends the start: there is no weaker jail.

use std::{fs::File, io, os::unix::process::CommandExt, process::Command};

use landlock::RulesetCreated;
use rustix::process::{Resource, Signal, set_parent_process_death_signal};
use seccompiler::BpfProgram;

use super::{LockdownError, landlock as files, limit, seccomp, step};

/// Open descriptors of the program at the most. Deno needs some fifteen.
pub(in crate::sandbox) const DESCRIPTORS_MAX: u64 = 64;
/// What the locks in force are called in `Armed`.
pub(in crate::sandbox) const LOCKS: &str = "landlock (reads its own program and the C library only), seccomp (no sockets, no \
     processes), no new privileges, dies with its broker, limited resources";

/// See the module.
pub struct Jail {
    files: Option<RulesetCreated>,
    calls: Vec<BpfProgram>,
    data_bytes_max: u64,
}

impl Jail {
    /// A jail for Deno's executable: it may be executed and read, the libraries that it is linked with may be read, and its writable
    /// private memory has a bound, in bytes.
    ///
    /// # Errors
    /// On a kernel without landlock (before Linux 5.13, or switched off).
    pub fn for_deno(program: &File, data_bytes_max: u64) -> Result<Self, LockdownError> {
        let files = files::for_program(program)?;
        let calls = step("make the system call filter", seccomp::of_deno().map_err(io::Error::other))?;
        Ok(Self { files: Some(files), calls, data_bytes_max })
    }

    /// Has the command's process enter it before anything of the program runs.
    pub fn confine(mut self, command: &mut Command) {
        // SAFETY: in the forked process only system calls are made. Nothing is allocated and no lock is taken unless one is refused, and
        // then the process ends.
        unsafe { command.pre_exec(move || self.enter().map_err(io::Error::other)) };
    }

    fn enter(&mut self) -> Result<(), LockdownError> {
        step("set the death signal", set_parent_process_death_signal(Some(Signal::KILL)))?;
        step("give up new privileges", rustix::thread::set_no_new_privs(true))?;
        limit("limit core files", Resource::Core, 0)?;
        limit("limit file sizes", Resource::Fsize, 0)?;
        limit("limit descriptors", Resource::Nofile, DESCRIPTORS_MAX)?;
        limit("limit memory", Resource::Data, self.data_bytes_max)?;
        let files = self.files.take().ok_or_else(|| io::Error::other("a command runs once"));
        files::enforce(step("close files", files)?)?;
        for filter in &self.calls {
            step("filter system calls", seccompiler::apply_filter(filter).map_err(io::Error::other))?;
        }
        Ok(())
    }
}
