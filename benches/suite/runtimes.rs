//! Both engines side by side, without record and protocol: what an owner gives up where V8 cannot
//! be linked.

use std::time::{Duration, Instant};

use airlock::sandbox::{Engine, Isolation, Runtime, Sandbox};
use futures::{StreamExt, stream};

use crate::{
    Outcome, Scale,
    library::{self, config, engines, returned},
    machine::{children, memory_mib},
    record::Record,
};

/// Programs at once where throughput is measured.
const AT_ONCE: usize = 8;
/// How long processes are given to come to rest before their memory is read.
const REST: Duration = Duration::from_secs(1);

/// Measures each engine in the same way.
pub(crate) async fn runtimes(scale: Scale, record: &mut Record) -> Outcome {
    for (id, engine) in engines() {
        start(scale, record, id, engine.clone()).await?;
        warm(scale, record, id, engine).await?;
    }
    Ok(())
}

/// Every program starts a process.
async fn start(scale: Scale, record: &mut Record, id: &str, engine: Engine) -> Outcome {
    let began = Instant::now();
    let sandbox = Sandbox::start(config(engine, 0, Isolation::Task)).await?;
    record.figure(
        "runtimes",
        format!("{id}: start of the sandbox, with its self-test"),
        began.elapsed().as_secs_f64() * 1e3,
        "ms",
    );
    let mut samples = Vec::new();
    for _ in 0..scale.times(100) {
        let began = Instant::now();
        returned(&sandbox, "bench", "return 1 + 1", "2").await?;
        samples.push(began.elapsed());
    }
    record.latency("runtimes", format!("{id}: a process and `return 1 + 1` in it"), samples);
    sandbox.close();
    Ok(())
}

/// Processes are there, and serve one tenant.
async fn warm(scale: Scale, record: &mut Record, id: &str, engine: Engine) -> Outcome {
    let sandbox = Sandbox::start(config(engine, 2, Isolation::Tenant)).await?;
    let looped = "let n = 0; for (let i = 0; i < 3_000_000; i++) n = (n + i) % 1000; return n";
    for (what, code, expected, times) in [
        ("`return 1 + 1`", "return 1 + 1", "2", 2000),
        ("one tool call", "return (await tools.demo.echo({ n: 1 })).n", "1", 1000),
        ("a loop of 3 million steps", looped, "0", 100),
    ] {
        let samples = library::warm(&sandbox, scale, code, expected, times).await?;
        record.latency("runtimes", format!("{id}: {what}"), samples);
    }
    let (began, count) = (Instant::now(), scale.times(2000));
    let runs = stream::iter((0..count).map(|_| returned(&sandbox, "bench", "return 1 + 1", "2")))
        .buffer_unordered(AT_ONCE);
    for done in runs.collect::<Vec<_>>().await {
        done?;
    }
    let rate = count as f64 / began.elapsed().as_secs_f64();
    record.figure("runtimes", format!("{id}: programs a second, {AT_ONCE} at once"), rate, "1/s");
    tokio::time::sleep(REST).await;
    let (processes, memory) = memory_of_workers();
    record.figure(
        "runtimes",
        format!("{id}: memory of an idle worker, with its child"),
        memory / processes.max(1) as f64,
        "MiB",
    );
    sandbox.close();
    Ok(())
}

/// The workers below this process and the proportional memory of all of them and of theirs.
fn memory_of_workers() -> (usize, f64) {
    let workers = children(std::process::id());
    let all = workers.iter().flat_map(|worker| children(*worker).into_iter().chain([*worker]));
    (workers.len(), all.filter_map(memory_mib).sum())
}
