//! The `airlock` binary.

use std::process::ExitCode;

use airlock::sandbox::worker;

fn main() -> ExitCode {
    // Before anything else: a worker must not read configuration, start a runtime or open a file.
    match std::env::args_os().nth(1) {
        Some(command) if command == worker::WORKER_COMMAND => return worker::main(),
        Some(command) if command == worker::SNAPSHOT_COMMAND => return worker::snapshot(),
        _ => {}
    }
    ExitCode::SUCCESS
}
