//! The ways in which a worker process ends by itself.

use std::{io::Write, process::ExitCode};

/// Reports over standard error, which the broker reads, why the process ends. A worker has no
/// subscriber for `tracing`.
pub(super) fn refuse(reason: std::fmt::Arguments<'_>) -> ExitCode {
    // The pipe may be closed or full; there is nobody else to report to.
    let _ = writeln!(std::io::stderr(), "airlock worker: {reason}");
    ExitCode::FAILURE
}

/// Ends the process at once, without running code that a broken engine could break.
#[cfg(feature = "intake")]
pub(super) fn leave(code: i32) -> ! {
    // SAFETY: `_exit` only ends the process.
    unsafe { libc::_exit(code) }
}
