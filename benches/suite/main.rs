//! How fast, how many at once, how much memory: measured on the real binary and, where that tells
//! more, on the library.
//!
//! `cargo bench` measures everything and writes a dated report; `cargo bench -- NAME…` measures
//! some and prints them. Without `--bench` (as `cargo test` starts it) every bench runs once on
//! tiny input, so that none of them rots. See `benches/README.md`.

#![allow(clippy::print_stdout, reason = "its report is what this program is for")]
#![allow(clippy::disallowed_methods, reason = "benches have an environment of their own")]

mod client;
mod finding;
mod fresh;
mod http;
mod library;
mod machine;
mod memory;
mod plot;
mod policy;
mod record;
mod report;
mod runtimes;
mod server;
mod stdio;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use futures::future::BoxFuture;

use record::Record;

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// How much to measure.
#[derive(Debug, Clone, Copy)]
struct Scale {
    quick: bool,
}

impl Scale {
    /// So many repetitions, or a handful.
    fn times(self, full: usize) -> usize {
        if self.quick { full.min(3) } else { full }
    }

    /// How long a throughput is watched.
    fn watch(self) -> Duration {
        if self.quick { Duration::from_millis(100) } else { Duration::from_secs(5) }
    }
}

struct Bench {
    name: &'static str,
    run: for<'a> fn(Scale, &'a mut Record) -> BoxFuture<'a, Outcome>,
}

/// In the order of the report: from the inside to the outside.
const BENCHES: &[Bench] = &[
    Bench { name: "policy", run: |scale, record| Box::pin(policy::policy(scale, record)) },
    Bench { name: "store", run: |scale, record| Box::pin(library::store(scale, record)) },
    Bench {
        name: "worker_start",
        run: |scale, record| Box::pin(library::worker_start(scale, record)),
    },
    Bench { name: "sandbox", run: |scale, record| Box::pin(library::sandbox(scale, record)) },
    Bench { name: "runtimes", run: |scale, record| Box::pin(runtimes::runtimes(scale, record)) },
    Bench { name: "finding", run: |scale, record| Box::pin(finding::finding(scale, record)) },
    Bench { name: "stdio", run: |scale, record| Box::pin(stdio::latency(scale, record)) },
    Bench { name: "http", run: |scale, record| Box::pin(http::latency(scale, record)) },
    Bench { name: "throughput", run: |scale, record| Box::pin(http::throughput(scale, record)) },
    Bench { name: "memory", run: |scale, record| Box::pin(memory::memory(scale, record)) },
];

#[derive(Default)]
struct Arguments {
    names: Vec<String>,
    quick: bool,
    list: bool,
    bench: bool,
    out: Option<PathBuf>,
}

fn arguments() -> Result<Arguments, String> {
    let mut given = Arguments::default();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--bench" => given.bench = true,
            "--quick" => given.quick = true,
            "--list" => given.list = true,
            "--out" => given.out = Some(words.next().ok_or("`--out` needs a folder")?.into()),
            // What a test runner adds.
            "--exact" | "--nocapture" | "--ignored" | "--format" | "terse" | "--test-threads=1" => {
            }
            word if word.starts_with('-') => return Err(format!("unknown option `{word}`")),
            name => given.names.push(name.to_owned()),
        }
    }
    match given.names.iter().find(|name| !BENCHES.iter().any(|bench| bench.name == **name)) {
        Some(name) => Err(format!(
            "no bench `{name}`; there are {}",
            BENCHES.iter().map(|bench| bench.name).collect::<Vec<_>>().join(", ")
        )),
        None => Ok(given),
    }
}

fn main() -> ExitCode {
    // As the server does.
    airlock::base::memory::return_large();
    let mut words = std::env::args().skip(1);
    if words.next().as_deref() == Some(fresh::COMMAND) {
        return fresh::main(words);
    }
    let given = match arguments() {
        Ok(given) => given,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(2);
        }
    };
    if given.list {
        // The form in which test runners ask. None is to be ignored.
        let ignored = std::env::args().any(|word| word == "--ignored");
        BENCHES.iter().filter(|_| !ignored).for_each(|bench| println!("{}: test", bench.name));
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime can be built");
    match runtime.block_on(measure(&given)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(given: &Arguments) -> Outcome {
    let scale = Scale { quick: given.quick || !given.bench };
    let mut record = Record::new(machine::Machine::this(), scale.quick);
    for bench in BENCHES {
        if !given.names.is_empty() && !given.names.iter().any(|name| name == bench.name) {
            continue;
        }
        eprintln!("{} …", bench.name);
        (bench.run)(scale, &mut record)
            .await
            .map_err(|error| format!("{}: {error}", bench.name))?;
    }
    println!("{}", report::markdown(&record));
    if let Some(folder) = given
        .out
        .clone()
        .or_else(|| (!scale.quick && given.names.is_empty()).then(|| report::folder(&record)))
    {
        report::write(&record, &folder)?;
        eprintln!("written to {}", folder.display());
    }
    Ok(())
}
