//! Signals that stop a process. The first SIGINT (Ctrl-C) or SIGTERM stops it in order; a SIGINT
//! more than a second after the first ends it at once. Several within that second count as one,
//! because a terminal and a supervisor may both send one. SIGHUP stops a command in order too,
//! except under `nohup`. A server that was started to stay takes SIGHUP otherwise: see
//! [`of_server`].

use std::{
    fs::File,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::Notify,
};
use tokio_util::sync::CancellationToken;

use crate::app::{Failure, Signals};

/// The exit code of a process that was interrupted.
pub(super) const INTERRUPTED: u8 = 130;
/// Time in which further SIGINTs count as the first one.
const AT_ONCE: Duration = Duration::from_secs(1);

/// A token that is cancelled by SIGINT, SIGTERM or SIGHUP. A SIGINT more than a second after the
/// first ends the process at once.
pub(super) fn on_signal() -> Result<CancellationToken, Failure> {
    let stop = CancellationToken::new();
    let hangup = (!hangup_is_ignored()).then(|| listen(SignalKind::hangup())).transpose()?;
    watch(stop.clone(), hangup)?;
    Ok(stop)
}

/// The signals of a server that was started to stay. SIGHUP means that it reads its configuration
/// again, or that it stops, if the terminal that the server was started in is gone.
pub(super) fn of_server() -> Result<Signals, Failure> {
    let signals = Signals { stop: CancellationToken::new(), reload: Arc::new(Notify::new()) };
    let ends_with_terminal = !hangup_is_ignored() && has_terminal();
    let mut hangup = listen(SignalKind::hangup())?;
    let (stop, reload) = (signals.stop.clone(), signals.reload.clone());
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            match ends_with_terminal && !has_terminal() {
                true => stop.cancel(),
                false => reload.notify_one(),
            }
        }
    });
    watch(signals.stop.clone(), None)?;
    Ok(signals)
}

/// Cancels the token on a signal to stop, of which `hangup` may be one.
fn watch(stop: CancellationToken, mut hangup: Option<Signal>) -> Result<(), Failure> {
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    tokio::spawn(async move {
        // Interrupts are counted alone: a supervisor may ask for the end of what a terminal has
        // interrupted, and both may be there at once.
        let mut interrupted: Option<Instant> = None;
        let hung_up = async |hangup: &mut Option<Signal>| match hangup {
            Some(hangup) => hangup.recv().await,
            None => std::future::pending().await,
        };
        loop {
            tokio::select! {
                Some(()) = interrupt.recv() => match interrupted {
                    Some(at) if at.elapsed() > AT_ONCE => std::process::exit(INTERRUPTED.into()),
                    first => interrupted = first.or_else(|| Some(Instant::now())),
                },
                Some(()) = terminate.recv() => {}
                Some(()) = hung_up(&mut hangup) => {}
                else => return,
            }
            stop.cancel();
        }
    });
    Ok(())
}

fn listen(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|error| Failure::other(format!("signals cannot be received: {error}")))
}

/// True if the process has a controlling terminal. It loses it when the terminal is closed.
fn has_terminal() -> bool {
    File::open("/dev/tty").is_ok()
}

/// True if the process was started to outlive its terminal, as by `nohup`.
fn hangup_is_ignored() -> bool {
    // SAFETY: `sigaction` is plain data, for which zeroes are valid, and is only written here.
    let mut present: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: without a new action the call changes nothing, and `present` outlives it.
    let asked = unsafe { libc::sigaction(libc::SIGHUP, std::ptr::null(), &raw mut present) };
    asked == 0 && present.sa_sigaction == libc::SIG_IGN
}
