//! Starts worker processes, seals the snapshot they start from, and ensures that none outlives its
//! use.
//!
//! A worker is this executable, re-executed with an empty environment and three descriptors: the
//! socket, the snapshot (or a runtime's equivalent of one) and a pipe for messages. A worker may
//! have a child that runs its guests: its CPU time is counted and it is killed here as well. One
//! thread that lives as long as the process starts all workers, because the kernel sends the death
//! signal that a worker requests when the *thread* that started it ends.

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

/// Lines of one worker's standard error that are logged.
const STDERR_LINES_MAX: usize = 50;
/// Bytes of such a line that are logged.
const STDERR_LINE_BYTES: u64 = 2_000;
/// Upper bound on the size of a snapshot in bytes.
const SNAPSHOT_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The lowest priority, as a `nice` value.
const LOWEST_PRIORITY: i32 = 19;

/// Command line of a worker.
#[derive(Debug, Clone)]
pub struct WorkerCommand {
    /// The executable.
    program: OsString,
    /// Arguments that start a worker.
    worker: Vec<OsString>,
    /// Arguments that start the process which makes the snapshot and writes it to descriptor 1.
    snapshot: Vec<OsString>,
}

impl WorkerCommand {
    /// This executable as the kernel holds it, even after an upgrade replaced the file. Starts a
    /// worker with V8 inside.
    pub fn this() -> Self {
        Self {
            program: "/proc/self/exe".into(),
            worker: vec![WORKER_COMMAND.into()],
            snapshot: vec![SNAPSHOT_COMMAND.into()],
        }
    }

    /// Adds the arguments that make Deno a child of the worker.
    pub(super) fn with_deno(mut self, deno: &Deno) -> Self {
        self.worker.extend([DENO_ARGUMENT.into(), deno.path.clone().into(), deno.identity.clone()]);
        self.snapshot.push(DENO_ARGUMENT.into());
        self
    }

    /// Replaces the executable by another one with the same arguments; for benches and tests.
    pub fn of(self, program: impl Into<OsString>) -> Self {
        Self { program: program.into(), ..self }
    }

    fn command(&self, arguments: &[OsString]) -> Command {
        let mut command = Command::new(&self.program);
        // In a process group of its own: a Ctrl-C in a terminal, or a supervisor that signals the
        // whole group, is meant for the broker, which ends its workers in order. A worker that
        // ended first would count as lost.
        command.arg0("airlock").args(arguments).env_clear().env("TZ", "UTC").process_group(0);
        command
    }
}

/// A snapshot in sealed memory, which nobody can change, workers included.
#[derive(Debug)]
pub(super) struct Snapshot(OwnedFd);

impl Snapshot {
    /// Makes a snapshot in a process of its own. Blocks for some tens of milliseconds.
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
        let mut message = String::new();
        if let Some(stderr) = child.stderr.take() {
            stderr.take(STDERR_LINE_BYTES).read_to_string(&mut message)?;
        }
        let status = child.wait()?;
        let bytes = rustix::fs::fstat(&memory)?.st_size as u64;
        if !status.success() || bytes == 0 || bytes > SNAPSHOT_BYTES_MAX {
            let message = message.trim();
            return Err(io::Error::other(format!(
                "the snapshot process ended with {status} after {bytes} bytes: {message}"
            )));
        }
        rustix::fs::fcntl_add_seals(
            &memory,
            SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL,
        )?;
        Ok(Self(memory))
    }
}

/// Starts and reaps worker processes. Dropping it does not end the workers.
#[derive(Debug)]
pub(super) struct Spawner {
    requests: mpsc::Sender<oneshot::Sender<io::Result<Process>>>,
}

/// One worker process. Killed and reaped when dropped.
#[derive(Debug)]
pub(super) struct Process {
    child: Option<Child>,
    /// The child of the worker that runs its guests, if there is one.
    engine: Option<EngineProcess>,
    reaper: mpsc::Sender<Child>,
    /// The broker's end of the socket; taken once.
    pub(super) socket: Option<UnixStream>,
}

impl Spawner {
    /// Starts the threads that start and reap workers.
    pub(super) fn start(command: WorkerCommand, snapshot: Snapshot) -> io::Result<Self> {
        let (requests, incoming) = mpsc::channel::<oneshot::Sender<io::Result<Process>>>();
        let (reaper, ended) = mpsc::channel::<Child>();
        thread::Builder::new().name("worker-spawner".into()).spawn(move || {
            for request in incoming {
                // If the requester is gone, the process is dropped and thereby killed.
                drop(request.send(spawn(&command, &snapshot, reaper.clone())));
            }
        })?;
        thread::Builder::new().name("worker-reaper".into()).spawn(move || {
            for mut child in ended {
                if let Err(error) = child.wait() {
                    tracing::warn!(%error, pid = child.id(), "a worker could not be waited for");
                }
            }
        })?;
        Ok(Self { requests })
    }

    /// Starts one worker. Must be awaited within a tokio runtime.
    pub(super) async fn spawn(&self) -> io::Result<Process> {
        let (request, started) = oneshot::channel();
        self.requests
            .send(request)
            .map_err(|_| io::Error::other("the thread that starts workers has ended"))?;
        let mut process = started
            .await
            .map_err(|_| io::Error::other("the thread that starts workers has ended"))??;
        if let Some(stderr) = process.child.as_mut().and_then(|child| child.stderr.take()) {
            let pid = process.pid();
            tokio::spawn(forward_stderr(pid, pipe::Receiver::from_owned_fd(stderr.into())?));
        }
        Ok(process)
    }
}

fn spawn(
    command: &WorkerCommand,
    snapshot: &Snapshot,
    reaper: mpsc::Sender<Child>,
) -> io::Result<Process> {
    let (ours, theirs) = UnixStream::pair()?;
    let child = command
        .command(&command.worker)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::from(snapshot.0.as_fd().try_clone_to_owned()?))
        .stderr(Stdio::piped())
        .spawn()?;
    Ok(Process { child: Some(child), engine: None, reaper, socket: Some(ours) })
}

impl Process {
    pub(super) fn pid(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// Adopts the process that, according to the worker, runs its guests.
    ///
    /// # Errors
    /// If it is not the worker's child: a compromised worker must not cause other processes to be
    /// counted or killed.
    pub(super) fn adopt_engine(&mut self, pid: u32) -> io::Result<()> {
        self.engine = Some(EngineProcess::of(pid, self.pid())?);
        Ok(())
    }

    /// CPU time of all threads of the worker and of its child, as long as they run.
    pub(super) fn cpu(&self) -> Option<Duration> {
        let own = cpu_of(self.child.as_ref()?.id());
        let engine = self.engine.as_ref().and_then(EngineProcess::cpu);
        own.map(|own| own + engine.unwrap_or_default())
    }

    /// Gives all present threads the lowest priority, except for the worker's main thread, which
    /// handles the broker's frames.
    pub(super) fn lower_priority(&self) {
        let main = self.pid().cast_signed();
        lower_threads(self.pid(), |thread| thread != main);
        if let Some(engine) = &self.engine {
            lower_threads(engine.pid, |_| true);
        }
    }
}

fn lower_threads(pid: u32, selects: impl Fn(i32) -> bool) {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return };
    let threads = threads.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    for thread in threads.filter(|thread| selects(*thread)) {
        // Fails only if the thread has ended.
        rustix::process::setpriority_process(
            rustix::process::Pid::from_raw(thread),
            LOWEST_PRIORITY,
        )
        .ok();
    }
}

/// CPU time of all threads of a process. The caller ensures that the pid was not reused.
fn cpu_of(pid: u32) -> Option<Duration> {
    let mut clock = 0;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: both calls only write to the variables they are given, which live on this stack
    // frame. A process that is not a child of the caller is identified by its pid alone; the
    // callers say why it is the right one.
    let read = unsafe {
        libc::clock_getcpuclockid(pid.cast_signed(), &mut clock) == 0
            && libc::clock_gettime(clock, &mut time) == 0
    };
    read.then(|| Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}

/// A child of a worker, held by a pidfd, because its pid may be reused once it has ended.
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
        // After the pidfd was opened, so that the status is that of the process it refers to.
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let parent = status
            .lines()
            .find_map(|line| line.strip_prefix("PPid:"))
            .and_then(|parent| parent.trim().parse::<u32>().ok());
        match parent {
            Some(parent) if parent == worker && engine.is_alive() => Ok(engine),
            parent => Err(io::Error::other(format!(
                "process {pid} is the child of {parent:?} and not of the worker {worker}"
            ))),
        }
    }

    fn is_alive(&self) -> bool {
        let mut poll = [rustix::event::PollFd::new(&self.handle, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut poll, Some(&rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 }))
            .is_ok_and(|ended| ended == 0)
    }

    fn cpu(&self) -> Option<Duration> {
        // In this order: a process that is alive after its clock was read had its pid while it was
        // read.
        cpu_of(self.pid).filter(|_| self.is_alive())
    }
}

impl Drop for EngineProcess {
    fn drop(&mut self) {
        // It dies with the worker unless the worker was compromised. Fails only if it has ended.
        rustix::process::pidfd_send_signal(&self.handle, rustix::process::Signal::KILL).ok();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Fails only if it has ended.
            drop(child.kill());
            if let Err(mpsc::SendError(mut child)) = self.reaper.send(child) {
                drop(child.wait());
            }
        }
    }
}

/// Logs a worker's standard error within the limits, and discards the rest so that the worker never
/// blocks.
async fn forward_stderr(pid: u32, pipe: pipe::Receiver) {
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
                tracing::warn!(pid, "worker: {}", String::from_utf8_lossy(&line).trim_end());
            }
            Ok(_) => {}
        }
    }
}
