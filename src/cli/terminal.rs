//! The terminal of the person who gave a command: where a question is shown and answered.
//!
//! It is opened by itself, so that no redirection and nothing that is piped in answers for the
//! person. Decides nothing.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, IsTerminal, Read, Write},
    os::unix::{ffi::OsStrExt, fs::OpenOptionsExt},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    termios::{QueueSelector, tcflush, tcgetpgrp, tcgetwinsize, ttyname},
};

use crate::app::Failure;

/// Pause between two looks for a line; nobody types faster.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Bytes of a line that are read, at most; a terminal keeps 4096.
const LINE_BYTES_MAX: usize = 8 * 1024;
/// Columns of a terminal that does not tell its size, and of one that tells nonsense, at least.
const COLUMNS: (usize, usize) = (80, 20);

/// A terminal with a person in front of it.
pub(super) struct Terminal {
    file: File,
}

impl Terminal {
    /// The terminal, where standard input and standard error are one and the command runs in its
    /// foreground; else there is nobody to ask.
    pub(super) fn of_a_person() -> Option<Self> {
        let stdin = io::stdin();
        if !stdin.is_terminal() || !io::stderr().is_terminal() {
            return None;
        }
        let named = ttyname(&stdin, vec![])
            .ok()
            .and_then(|name| open(OsStr::from_bytes(name.to_bytes())).ok());
        let file = named.or_else(|| open(OsStr::new("/dev/tty")).ok())?;
        Some(Self { file }).filter(Self::is_in_front)
    }

    /// False where the shell has put this command into the background: it would be stopped by
    /// reading. A terminal that is not ours has no background.
    fn is_in_front(&self) -> bool {
        tcgetpgrp(&self.file).map_or(true, |group| group == rustix::process::getpgrp())
    }

    /// Its width in columns.
    pub(super) fn columns(&self) -> usize {
        let columns = tcgetwinsize(&self.file).map_or(0, |size| usize::from(size.ws_col));
        if columns == 0 { COLUMNS.0 } else { columns.max(COLUMNS.1) }
    }

    /// Its height in lines, if it tells.
    pub(super) fn lines(&self) -> Option<usize> {
        tcgetwinsize(&self.file).ok().map(|size| size.ws_row.into()).filter(|lines| *lines > 0)
    }

    /// Writes text as it is. Whatever others wrote must have been made visible before.
    pub(super) fn show(&self, text: &str) -> io::Result<()> {
        (&self.file).write_all(text.as_bytes())
    }

    /// Forgets what was typed so far.
    pub(super) fn discard_typed(&self) {
        // A terminal that has gone away has nothing to forget.
        tcflush(&self.file, QueueSelector::IFlush).ok();
    }

    /// Shows a prompt and reads the line that is typed after it; none where the input ends. What
    /// was typed before is discarded. May be dropped at any time.
    pub(super) async fn ask(&self, prompt: &str) -> io::Result<Option<String>> {
        self.show(prompt)?;
        self.discard_typed();
        let mut line = vec![];
        loop {
            if !self.has_input()? {
                tokio::time::sleep(LOOK_EVERY).await;
                continue;
            }
            let mut bytes = [0; 1024];
            // The terminal gives whole lines, so this does not wait.
            let count = (&self.file).read(&mut bytes)?;
            line.extend_from_slice(&bytes[..count]);
            let end = line.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            if let Some(end) = end {
                line.truncate(end);
                return Ok(Some(String::from_utf8_lossy(&line).into_owned()));
            }
            if count == 0 || line.len() > LINE_BYTES_MAX {
                return Ok(None);
            }
        }
    }

    fn has_input(&self) -> io::Result<bool> {
        let mut files = [PollFd::new(&self.file, PollFlags::IN)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        match poll(&mut files, Some(&now)) {
            Ok(ready) => Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// The answer of the person at the terminal, no unless it is yes; none where nobody can be asked.
pub(super) async fn confirmed(question: &str) -> Result<Option<bool>, Failure> {
    let Some(terminal) = Terminal::of_a_person() else { return Ok(None) };
    let answer = terminal.ask(&format!("{question} [y/N] ")).await;
    let answer = answer.map_err(|error| Failure::other(format!("nobody can be asked: {error}")))?;
    let answer = answer.unwrap_or_default().trim().to_ascii_lowercase();
    Ok(Some(matches!(answer.as_str(), "y" | "yes")))
}

fn open(path: &OsStr) -> io::Result<File> {
    File::options().read(true).write(true).custom_flags(libc::O_NOCTTY | libc::O_CLOEXEC).open(path)
}
