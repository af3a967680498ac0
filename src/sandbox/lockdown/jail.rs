//! A jail for a program that is not ours: what it gives up survives the `execve` that starts it, so
//! it needs no cooperation.
//!
//! Prepared before the fork, entered between fork and `execve`. Files by landlock, system calls by
//! seccomp, amounts by resource limits. A step that the kernel refuses ends the start: there is no
//! weaker jail.

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

use super::{LockdownError, drop_capabilities, landlock as files, limit, seccomp, step};

/// Open descriptors of the program at the most. Deno needs some fifteen.
pub(in crate::sandbox) const DESCRIPTORS_MAX: u64 = 64;
/// What the locks in force are called in `Armed`.
pub(in crate::sandbox) const LOCKS: &str = "landlock (reads its own program and the C library \
    only), seccomp (no sockets, no \
     processes), no new privileges, dies with its broker, limited resources";

/// See the module.
pub struct Jail {
    files: Option<RulesetCreated>,
    calls: Vec<BpfProgram>,
    data_bytes_max: u64,
    parent: Pid,
    /// How the program is executed: by the descriptor that was looked at.
    name: CString,
}

impl Jail {
    /// A jail for Deno's executable: it may be executed and read, the libraries that it is linked
    /// with may be read, and its writable private memory has a bound, in bytes. `program` must stay
    /// open until the command was started.
    ///
    /// # Errors
    /// On a kernel without landlock (before Linux 5.13, or switched off).
    pub fn for_deno(program: &File, data_bytes_max: u64) -> Result<Self, LockdownError> {
        let name = CString::new(format!("/proc/self/fd/{}", program.as_raw_fd()))
            .map_err(io::Error::other);
        let name = step("name the program", name)?;
        let files = files::for_program(program)?;
        let calls = seccomp::of_deno(name.as_ptr().addr()).map_err(io::Error::other);
        let calls = step("make the system call filter", calls)?;
        Ok(Self { files: Some(files), calls, data_bytes_max, parent: getpid(), name })
    }

    /// A command that runs the program in it, with these arguments and nothing in its environment
    /// but this. Its streams are the caller's to choose.
    ///
    /// # Errors
    /// When a text holds a zero byte.
    pub fn command(
        mut self,
        arguments: &[String],
        environment: &[(&str, &str)],
    ) -> io::Result<Command> {
        let words = std::iter::once("deno".to_owned()).chain(arguments.iter().cloned());
        let arguments = Words::new(words)?;
        let environment =
            Words::new(environment.iter().map(|(name, value)| format!("{name}={value}")))?;
        let mut command = Command::new("/proc/self/exe");
        // SAFETY: in the forked process only system calls are made. Nothing is allocated and no
        // lock is taken unless one is refused, and then the process ends.
        unsafe {
            command.pre_exec(move || {
                self.enter().map_err(io::Error::other)?;
                // Not left to the caller of this closure: the filter allows it by this very address
                // of the name only.
                libc::execve(self.name.as_ptr(), arguments.as_ptr(), environment.as_ptr());
                Err(io::Error::last_os_error())
            })
        };
        Ok(command)
    }

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

/// Texts as `execve` takes them.
struct Words {
    pointers: Vec<*const c_char>,
    _texts: Vec<CString>,
}

// SAFETY: the pointers lead into texts that are owned here and never change.
unsafe impl Send for Words {}
// SAFETY: as above.
unsafe impl Sync for Words {}

impl Words {
    fn new(words: impl Iterator<Item = String>) -> io::Result<Self> {
        let texts = words.map(CString::new).collect::<Result<Vec<_>, _>>()?;
        let pointers = texts.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect();
        Ok(Self { pointers, _texts: texts })
    }

    fn as_ptr(&self) -> *const *const c_char {
        self.pointers.as_ptr()
    }
}
