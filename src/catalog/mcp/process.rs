//! A server as a child process: its own process group, an environment from a list, the end of its
//! standard error kept, and a certain exit.

use std::{
    collections::{BTreeMap, VecDeque},
    io::ErrorKind,
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
};

use super::config::StdioConfig;
use crate::{
    base::text::cut,
    catalog::{redact::Secrets, upstream::error::ConnectError},
};

/// Variables of the server's environment that every child gets, beside all that begin with `LC_`:
/// those that programs need to run at all, and none that tends to hold a secret (proxy URLs do).
const ENVIRONMENT_NAMES: [&str; 8] =
    ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "LANG", "TZ"];

/// Returns true if every child gets this variable of the server's environment.
pub(super) fn is_inherited(variable: &str) -> bool {
    ENVIRONMENT_NAMES.contains(&variable) || variable.starts_with("LC_")
}

/// Time that a child has to exit by itself once its standard input is closed, and again after it
/// was sent a signal. Together less than the two seconds in which an idle server stops.
const LEAVE_WAIT: Duration = Duration::from_millis(600);
/// Lines of complaints that are logged per start; the rest is read and dropped.
const LOG_LINES_MAX: usize = 200;
/// Longest line that is kept, in bytes.
const LOG_LINE_BYTES_MAX: u64 = 2 * 1024;
/// Lines that are quoted when a child dies.
const LAST_LINES: usize = 3;

/// A running child and everything it started in its group.
pub(super) struct Process {
    child: Child,
    group: Option<Pid>,
    exit: Option<ExitStatus>,
    /// Reads what the child complains about; done when all of it was read.
    drain: tokio::task::JoinHandle<()>,
    last_lines: Arc<Mutex<VecDeque<String>>>,
}

impl Process {
    /// Starts the command with exactly `environment`.
    pub(super) fn spawn(
        name: &Arc<str>,
        config: &StdioConfig,
        environment: &BTreeMap<String, String>,
        secrets: &Secrets,
    ) -> Result<(Self, ChildStdout, ChildStdin), ConnectError> {
        let mut command = Command::new(&config.command);
        if let Some(folder) = &config.cwd {
            if !folder.is_dir() {
                let message =
                    format!("its working directory `{}` does not exist", folder.display());
                return Err(ConnectError::new(message).hint("check `cwd` of the upstream"));
            }
            command.current_dir(folder);
        }
        command
            .args(&config.args)
            .env_clear()
            .envs(environment)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let mut child =
            command.spawn().map_err(|error| of_spawn(&config.command, environment, &error))?;
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(ConnectError::new(format!(
                "command `{}` was started without pipes",
                config.command
            )));
        };
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let last_lines = Arc::new(Mutex::new(VecDeque::new()));
        let drain = tokio::spawn(drain(name.clone(), stderr, secrets.clone(), last_lines.clone()));
        Ok((Self { child, group, exit: None, drain, last_lines }, stdout, stdin))
    }

    /// Ends the whole group: waits for the child to leave, asks, then kills. Takes at most about
    /// two seconds.
    pub(super) async fn end(&mut self) {
        if self.group.is_none() {
            return;
        }
        if !self.left_within(LEAVE_WAIT).await {
            self.signal(Signal::TERM);
            self.left_within(LEAVE_WAIT).await;
        }
        // Also when the child left: what it started may still be there, and nobody else will ever
        // end it.
        self.signal(Signal::KILL);
        if self.left_within(LEAVE_WAIT).await {
            self.group = None;
        }
        // Its last words may still be in the pipe.
        let _ = tokio::time::timeout(LEAVE_WAIT, &mut self.drain).await;
    }

    async fn left_within(&mut self, wait: Duration) -> bool {
        if self.exit.is_none() {
            self.exit =
                tokio::time::timeout(wait, self.child.wait()).await.ok().and_then(Result::ok);
        }
        self.exit.is_some()
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            // No such group: all of it has left already.
            let _ = kill_process_group(group, signal);
        }
    }

    /// The end of what it complained about, free of secrets.
    pub(super) fn stderr_tail(&self) -> Option<String> {
        let lines = self.last_lines.lock();
        (!lines.is_empty())
            .then(|| lines.iter().map(|line| cut(line, 300)).collect::<Vec<_>>().join(" | "))
    }

    /// Reason of its exit, for people.
    pub(super) fn exit_reason(&self) -> String {
        let how = self.exit.map_or_else(
            || "its output ended".to_owned(),
            |status| format!("its process ended ({status})"),
        );
        self.stderr_tail().map_or_else(|| how.clone(), |stderr| format!("{how}; it said: {stderr}"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Before the child is reaped, so the number still means this group.
        self.signal(Signal::KILL);
    }
}

fn of_spawn(
    command: &str,
    environment: &BTreeMap<String, String>,
    error: &std::io::Error,
) -> ConnectError {
    match error.kind() {
        ErrorKind::NotFound if command.contains('/') => {
            ConnectError::new(format!("command `{command}` does not exist"))
                .hint("check the path in `command` of the upstream")
        }
        ErrorKind::NotFound => {
            let path = environment.get("PATH").map_or("", String::as_str);
            ConnectError::new(format!("command `{command}` is not in PATH (`{}`)", cut(path, 500)))
                .hint(format!(
                    "install `{command}`, or give its full path in `command` of the upstream"
                ))
        }
        ErrorKind::PermissionDenied => {
            ConnectError::new(format!("command `{command}` may not be executed"))
                .hint("make the file executable, or check `command` of the upstream")
        }
        _ => ConnectError::new(format!("command `{command}` could not be started: {error}")),
    }
}

/// Reads what a child complains about until it ends, so that it never blocks on it.
async fn drain(
    name: Arc<str>,
    stderr: ChildStderr,
    secrets: Secrets,
    last_lines: Arc<Mutex<VecDeque<String>>>,
) {
    let mut stderr = BufReader::new(stderr);
    let mut logged = 0usize;
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut stderr).take(LOG_LINE_BYTES_MAX).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        // The rest of a longer line is dropped: its beginning may be the second half of a secret.
        let mut rest = Vec::new();
        while !line.ends_with(b"\n") && !rest.ends_with(b"\n") {
            rest.clear();
            match (&mut stderr).take(LOG_LINE_BYTES_MAX).read_until(b'\n', &mut rest).await {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
        let text = String::from_utf8_lossy(&line);
        let text = secrets.redact(text.trim_end());
        if text.is_empty() {
            continue;
        }
        logged = logged.saturating_add(1);
        if logged <= LOG_LINES_MAX {
            tracing::info!(upstream = %name, "upstream `{name}` says: {text}");
        } else if logged == LOG_LINES_MAX + 1 {
            tracing::info!(upstream = %name, "upstream `{name}` says more than {LOG_LINES_MAX} \
                lines, the rest is dropped");
        }
        let mut last = last_lines.lock();
        if last.len() == LAST_LINES {
            last.pop_front();
        }
        last.push_back(text.into_owned());
    }
}
