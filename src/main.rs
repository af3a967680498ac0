//! The `airlock` binary: starts the part that this process is.

use std::process::ExitCode;

use airlock::{base::memory, cli, demo_upstream, sandbox::worker};

fn main() -> ExitCode {
    // Before anything else: a worker must not read configuration, start a runtime or open a file.
    match std::env::args_os().nth(1) {
        Some(command) if command == worker::WORKER_COMMAND => {
            worker::main(std::env::args_os().skip(2))
        }
        Some(command) if command == worker::SNAPSHOT_COMMAND => {
            worker::snapshot(std::env::args_os().skip(2))
        }
        Some(command) if command == demo_upstream::COMMAND => {
            demo_upstream::main(std::env::args_os().skip(2))
        }
        _ => {
            memory::return_large();
            cli::main()
        }
    }
}
