//! The `airlock` binary: which of its parts this process is.

use std::{process::ExitCode, sync::Arc};

use airlock::{app::App, cli::Cli, demo_upstream, sandbox::worker};
use clap::Parser;

fn main() -> ExitCode {
    // Before anything else: a worker must not become more than it needs to be.
    match std::env::args().nth(1).as_deref() {
        Some("__worker") => worker::main(),
        Some("__snapshot") => worker::snapshot(),
        Some("__demo-upstream") => demo_upstream::main(std::env::args().skip(2)),
        _ => Cli::parse().main(Arc::new(App)),
    }
}
