//! A terminal with a person in front of it: a pseudo terminal, what it shows, and keys to press.

use std::{
    ffi::OsStr,
    fs::File,
    io::{Read, Write},
    os::unix::{ffi::OsStrExt, fs::OpenOptionsExt},
    path::Path,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Instant,
};

use parking_lot::Mutex;
use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};
use tokio::{
    io::AsyncReadExt,
    process::{Child, Command},
};

use super::server::{PATIENCE, airlock, eventually};

/// A command of ours that runs at a terminal. Its standard output goes elsewhere.
pub(crate) struct AtTerminal {
    master: File,
    shown: Arc<Mutex<Vec<u8>>>,
    child: Child,
    reader: JoinHandle<()>,
    is_left: Arc<AtomicBool>,
}

impl AtTerminal {
    /// Starts the command with this configuration.
    pub(crate) fn start(config: &Path, args: &[&str]) -> Self {
        Self::start_with(config, args, &[])
    }

    /// The same, with these variables in its environment.
    pub(crate) fn start_with(config: &Path, args: &[&str], environment: &[(&str, &str)]) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).expect("there are pseudo terminals");
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        tcsetwinsize(&master, Winsize { ws_row: 60, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 })
            .unwrap();
        let name = ptsname(&master, vec![]).unwrap();
        let slave = || {
            File::options()
                .read(true)
                .write(true)
                .custom_flags(libc::O_NOCTTY)
                .open(OsStr::from_bytes(name.to_bytes()))
                .unwrap()
        };
        let own = airlock(config);
        let mut command = Command::new("setsid");
        command.arg("--ctty").arg(own.as_std().get_program()).args(own.as_std().get_args());
        command.env_clear();
        let variables = own.as_std().get_envs().filter_map(|(name, value)| Some((name, value?)));
        command.envs(variables).env("TERM", "xterm").envs(environment.iter().copied());
        let child = command
            .args(args)
            .stdin(slave())
            .stdout(Stdio::piped())
            .stderr(slave())
            .kill_on_drop(true)
            .spawn()
            .expect("`setsid` of util-linux starts the binary");
        let master = File::from(master);
        let (mut reader, shown) = (master.try_clone().unwrap(), Arc::new(Mutex::new(vec![])));
        let (kept, is_left) = (shown.clone(), Arc::new(AtomicBool::new(false)));
        let left = is_left.clone();
        // Ends with the terminal's last user, or when it is left.
        let reader = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                kept.lock().extend_from_slice(&bytes[..count]);
                if left.load(Ordering::SeqCst) {
                    return;
                }
            }
        });
        Self { master, shown, child, reader, is_left }
    }

    /// Everything that it showed so far.
    pub(crate) fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock()).into_owned()
    }

    /// Waits until it has shown this so often.
    pub(crate) async fn shows(&self, text: &str, times: usize) -> String {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let shown = self.shown();
            if shown.matches(text).count() >= times {
                return shown;
            }
            assert!(Instant::now() < give_up, "no {text:?} ({times}) in {shown:?}");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    /// Presses keys.
    pub(crate) fn press(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    /// Closes the terminal, and waits for the end of the command: its exit code.
    pub(crate) async fn close(mut self) -> Option<i32> {
        self.is_left.store(true, Ordering::SeqCst);
        // Its echo wakes the reader, which has the terminal open as well.
        self.press("\n");
        self.reader.join().unwrap();
        drop(self.master);
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        ended.expect("it ends with its terminal").unwrap().code()
    }

    /// Waits for the end: the exit code, standard output, and what was shown.
    pub(crate) async fn end(mut self) -> (Option<i32>, String, String) {
        let mut out = String::new();
        let mut stdout = self.child.stdout.take().expect("a pipe was asked for");
        let ended = async {
            stdout.read_to_string(&mut out).await.unwrap();
            self.child.wait().await.unwrap()
        };
        let status = tokio::time::timeout(PATIENCE, ended).await;
        let status = status.unwrap_or_else(|_| panic!("it goes on: {}", self.shown()));
        // The last words may still be on their way.
        let mut last = None;
        eventually("the terminal is quiet", async || {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            let shown = self.shown();
            let is_quiet = last.as_ref() == Some(&shown);
            last = Some(shown);
            is_quiet.then_some(())
        })
        .await;
        (status.code(), out, self.shown())
    }
}
