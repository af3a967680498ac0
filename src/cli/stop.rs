//! Signals to stop: the first Ctrl-C or SIGTERM stops in order, a second Ctrl-C at once.
//! Supervisors may send SIGTERM more than once and mean the same.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::app::Failure;

/// The exit code of a process that was interrupted.
pub(super) const INTERRUPTED: u8 = 130;

/// A token that is cancelled by SIGINT or SIGTERM. A second SIGINT ends the process at once.
pub(super) fn on_signal() -> Result<CancellationToken, Failure> {
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let stop = CancellationToken::new();
    let token = stop.clone();
    tokio::spawn(async move {
        // Interrupts are counted alone: a supervisor may ask for the end of what a terminal has
        // interrupted, and both may be there at once.
        let mut interrupted = false;
        loop {
            tokio::select! {
                Some(()) = interrupt.recv() => match interrupted {
                    true => std::process::exit(INTERRUPTED.into()),
                    false => interrupted = true,
                },
                Some(()) = terminate.recv() => {}
                else => return,
            }
            token.cancel();
        }
    });
    Ok(stop)
}

fn listen(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|error| Failure::other(format!("signals cannot be received: {error}")))
}
