//! The wish to stop: the first Ctrl-C or SIGTERM asks, the second one does not ask any more.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::Failure;

/// The exit code of a process that was interrupted.
pub(super) const INTERRUPTED: u8 = 130;

/// A token that is cancelled by SIGINT or SIGTERM. A second signal ends the process at once.
pub(super) fn on_signal() -> Result<CancellationToken, Failure> {
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let stop = CancellationToken::new();
    let token = stop.clone();
    tokio::spawn(async move {
        for _ in 0..2 {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if token.is_cancelled() {
                std::process::exit(INTERRUPTED.into());
            }
            token.cancel();
        }
    });
    Ok(stop)
}

fn listen(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|error| Failure::other(format!("signals cannot be received: {error}")))
}
