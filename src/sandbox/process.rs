//! Worker processes: starting them, locking the snapshot they start from, and making sure that none
//! outlives its use.
//!
//! Workers are this executable, re-executed with an empty environment and three descriptors: the
//! socket, the snapshot (or what a runtime has in its place), a pipe for complaints. A worker may
//! have a child that runs its guests: it is counted and killed here as well. They are started by
//! one thread that lives as long as the process, because the death signal that a worker asks for is
//! sent when the *thread* that started it ends.

use std::{
    ffi::OsString,
    io::{self, Read},
    os::{
        fd::{AsFd, OwnedFd},
        unix::{net::UnixStream, process::CommandExt},
    },
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use rustix::fs::{MemfdFlags, SealFlags};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::unix::pipe,
    sync::oneshot,
};

use super::{
    deno::Deno,
    worker::{DENO_ARGUMENT, SNAPSHOT_COMMAND, WORKER_COMMAND},
};

/// Complaints of one worker that reach the log, in lines, and how much of a line, in bytes.
const STDERR_LINES_MAX: usize = 50;
const STDERR_LINE_BYTES: u64 = 2_000;
/// The largest snapshot that is accepted, in bytes.
const SNAPSHOT_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// As `nice` counts.
const LOWEST_PRIORITY: i32 = 19;

/// How a worker is started.
#[derive(Debug, Clone)]
pub struct WorkerCommand {
    /// The executable.
    program: OsString,
    /// Its arguments for a worker.
    worker: Vec<OsString>,
    /// Its arguments for the process that makes the snapshot and writes it to descriptor 1.
    snapshot: Vec<OsString>,
}

impl WorkerCommand {
    /// This very executable, as the kernel holds it: also after the file was replaced by an
    /// upgrade. With V8 in the worker.
    pub fn this() -> Self {
        Self {
            program: "/proc/self/exe".into(),
            worker: vec![WORKER_COMMAND.into()],
            snapshot: vec![SNAPSHOT_COMMAND.into()],
        }
    }

    /// The same, with Deno as the worker's child.
    pub(super) fn with_deno(mut self, deno: &Deno) -> Self {
        self.worker.extend([DENO_ARGUMENT.into(), deno.path.clone().into(), deno.identity.clone()]);
        self.snapshot.push(DENO_ARGUMENT.into());
        self
    }

    /// Another executable that answers the same arguments; for benches and tests.
    pub fn of(self, program: impl Into<OsString>) -> Self {
        Self { program: program.into(), ..self }
    }

    fn command(&self, arguments: &[OsString]) -> Command {
        let mut command = Command::new(&self.program);
        // In a group of its own: a Ctrl-C in a terminal, or a supervisor that signals the whole
        // group, means the broker, which ends its workers in order. A worker that ended first would
        // be taken for one that was lost.
        command.arg0("airlock").args(arguments).env_clear().env("TZ", "UTC").process_group(0);
        command
    }
}

/// A snapshot in sealed memory: nobody can change it any more, workers included.
#[derive(Debug)]
pub(super) struct Snapshot(OwnedFd);

impl Snapshot {
    /// Bakes one in a process of its own. Blocking, some tens of milliseconds.
    pub(super) fn bake(command: &WorkerCommand) -> io::Result<Self> {
        let memory = rustix::fs::memfd_create(
            "airlock-snapshot",
            MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING,
        )?;
        let mut child = command
            .command(&command.snapshot)
            .stdin(Stdio::null())
            .stdout(Stdio::from(memory.try_clone()?))
            .stderr(Stdio::piped())
            .spawn()?;
        let mut complaint = String::new();
        if let Some(stderr) = child.stderr.take() {
            stderr.take(STDERR_LINE_BYTES).read_to_string(&mut complaint)?;
        }
        let status = child.wait()?;
        let bytes = rustix::fs::fstat(&memory)?.st_size as u64;
        if !status.success() || bytes == 0 || bytes > SNAPSHOT_BYTES_MAX {
            let complaint = complaint.trim();
            return Err(io::Error::other(format!(
                "the snapshot process ended with {status} after {bytes} bytes: {complaint}"
            )));
        }
        rustix::fs::fcntl_add_seals(
            &memory,
            SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL,
        )?;
        Ok(Self(memory))
    }
}

/// Starts and buries worker processes. Dropping it does not end the workers.
#[derive(Debug)]
pub(super) struct Spawner {
    births: mpsc::Sender<oneshot::Sender<io::Result<Process>>>,
}

/// One worker process. Killed and buried at drop.
#[derive(Debug)]
pub(super) struct Process {
    child: Option<Child>,
    /// The child of the worker that runs its guests, where there is one.
    engine: Option<EngineProcess>,
    deaths: mpsc::Sender<Child>,
    /// The broker's end of the socket; taken once.
    pub(super) socket: Option<UnixStream>,
}

impl Spawner {
    pub(super) fn start(command: WorkerCommand, snapshot: Snapshot) -> io::Result<Self> {
        let (births, requests) = mpsc::channel::<oneshot::Sender<io::Result<Process>>>();
        let (deaths, dying) = mpsc::channel::<Child>();
        thread::Builder::new().name("worker-births".into()).spawn(move || {
            for request in requests {
                // A request whose asker is gone leaves a process that is killed at once.
                drop(request.send(spawn(&command, &snapshot, deaths.clone())));
            }
        })?;
        thread::Builder::new().name("worker-deaths".into()).spawn(move || {
            for mut child in dying {
                if let Err(error) = child.wait() {
                    tracing::warn!(%error, pid = child.id(), "a worker could not be waited for");
                }
            }
        })?;
        Ok(Self { births })
    }

    /// Must be awaited within a tokio runtime.
    pub(super) async fn spawn(&self) -> io::Result<Process> {
        let (request, answer) = oneshot::channel();
        self.births
            .send(request)
            .map_err(|_| io::Error::other("the thread that starts workers has ended"))?;
        let mut process = answer
            .await
            .map_err(|_| io::Error::other("the thread that starts workers has ended"))??;
        if let Some(stderr) = process.child.as_mut().and_then(|child| child.stderr.take()) {
            let pid = process.pid();
            tokio::spawn(complain(pid, pipe::Receiver::from_owned_fd(stderr.into())?));
        }
        Ok(process)
    }
}

fn spawn(
    command: &WorkerCommand,
    snapshot: &Snapshot,
    deaths: mpsc::Sender<Child>,
) -> io::Result<Process> {
    let (ours, theirs) = UnixStream::pair()?;
    let child = command
        .command(&command.worker)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::from(snapshot.0.as_fd().try_clone_to_owned()?))
        .stderr(Stdio::piped())
        .spawn()?;
    Ok(Process { child: Some(child), engine: None, deaths, socket: Some(ours) })
}

impl Process {
    pub(super) fn pid(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// Takes charge of the process that the worker says runs its guests.
    ///
    /// # Errors
    /// When it is not the worker's child: a worker that was taken over must not have other
    /// processes counted or killed.
    pub(super) fn take_engine(&mut self, pid: u32) -> io::Result<()> {
        self.engine = Some(EngineProcess::of(pid, self.pid())?);
        Ok(())
    }

    /// CPU time of all threads of the worker and of its child, as far as they still run.
    pub(super) fn cpu(&self) -> Option<Duration> {
        let own = cpu_of(self.child.as_ref()?.id());
        let engine = self.engine.as_ref().and_then(EngineProcess::cpu);
        own.map(|own| own + engine.unwrap_or_default())
    }

    /// Gives all threads that it has now the lowest priority, but for the worker's first, which
    /// takes the broker's orders.
    pub(super) fn lower_priority(&self) {
        let first = self.pid().cast_signed();
        lower_threads(self.pid(), |thread| thread != first);
        if let Some(engine) = &self.engine {
            lower_threads(engine.pid, |_| true);
        }
    }
}

fn lower_threads(pid: u32, which: impl Fn(i32) -> bool) {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return };
    let threads = threads.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    for thread in threads.filter(|thread| which(*thread)) {
        // Fails only where the thread has ended.
        rustix::process::setpriority_process(
            rustix::process::Pid::from_raw(thread),
            LOWEST_PRIORITY,
        )
        .ok();
    }
}

/// CPU time of all threads of a process. Its number must not have been given to another one.
fn cpu_of(pid: u32) -> Option<Duration> {
    let mut clock = 0;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: both calls only write to the places they are given, which live on this stack frame. A
    // process that is no child of the caller is known by its number only; see the callers for why
    // that is the right one.
    let read = unsafe {
        libc::clock_getcpuclockid(pid.cast_signed(), &mut clock) == 0
            && libc::clock_gettime(clock, &mut time) == 0
    };
    read.then(|| Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}

/// A child of a worker, held by a descriptor, since its number may be given to another process once
/// it has ended.
#[derive(Debug)]
struct EngineProcess {
    pid: u32,
    handle: OwnedFd,
}

impl EngineProcess {
    fn of(pid: u32, worker: u32) -> io::Result<Self> {
        let number =
            rustix::process::Pid::from_raw(pid.cast_signed()).ok_or(io::ErrorKind::InvalidInput)?;
        let handle = rustix::process::pidfd_open(number, rustix::process::PidfdFlags::empty())?;
        let engine = Self { pid, handle };
        // After the descriptor was opened, so that the answer is about the process that it holds.
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let parent = status
            .lines()
            .find_map(|line| line.strip_prefix("PPid:"))
            .and_then(|parent| parent.trim().parse::<u32>().ok());
        match parent {
            Some(parent) if parent == worker && engine.lives() => Ok(engine),
            parent => Err(io::Error::other(format!(
                "process {pid} is the child of {parent:?} and not of the worker {worker}"
            ))),
        }
    }

    fn lives(&self) -> bool {
        let mut poll = [rustix::event::PollFd::new(&self.handle, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut poll, Some(&rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 }))
            .is_ok_and(|ended| ended == 0)
    }

    fn cpu(&self) -> Option<Duration> {
        // In this order: a process that lives after its clock was read had its number while it was
        // read.
        cpu_of(self.pid).filter(|_| self.lives())
    }
}

impl Drop for EngineProcess {
    fn drop(&mut self) {
        // It dies with the worker; this makes sure of it where that one was taken over. Fails only
        // where it has ended already.
        rustix::process::pidfd_send_signal(&self.handle, rustix::process::Signal::KILL).ok();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Fails only where it has ended already.
            drop(child.kill());
            if let Err(mpsc::SendError(mut child)) = self.deaths.send(child) {
                drop(child.wait());
            }
        }
    }
}

/// Passes a worker's complaints on, as far as the bounds go, and reads the rest away so that it
/// never blocks.
async fn complain(pid: u32, pipe: pipe::Receiver) {
    let mut lines = 0;
    let mut pipe = BufReader::new(pipe);
    loop {
        let mut line = Vec::new();
        match tokio::io::AsyncReadExt::take(&mut pipe, STDERR_LINE_BYTES)
            .read_until(b'\n', &mut line)
            .await
        {
            Ok(0) | Err(_) => return,
            Ok(_) if lines < STDERR_LINES_MAX => {
                lines += 1;
                tracing::warn!(pid, "worker says: {}", String::from_utf8_lossy(&line).trim_end());
            }
            Ok(_) => {}
        }
    }
}
