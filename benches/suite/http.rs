//! The real endpoint: `airlock serve`, a database, and clients that wait for each answer.

use std::time::Instant;

use crate::{
    Outcome, Scale,
    client::{Client, Era},
    record::{Record, Samples, Throughput},
    server::Server,
};

/// One client after another request: nothing else to do for the machine.
pub(crate) async fn latency(scale: Scale, record: &mut Record) -> Outcome {
    let server = Server::start().await?;
    for (what, era, code, expected, times) in [
        ("`return 1 + 1`, 2026-07-28", Era::Modern, "return 1 + 1", "2", 3000),
        ("`return 1 + 1`, 2025-11-25", Era::Legacy, "return 1 + 1", "2", 2000),
        ("one call of a tool of an upstream over stdio", Era::Modern, ONE_CALL, "1", 500),
        ("100 calls of it, one after the other", Era::Modern, HUNDRED_CALLS, "100", 50),
        ("100 calls of it at once", Era::Modern, HUNDRED_AT_ONCE, "100", 50),
        ("a loop of 3 million steps", Era::Modern, LOOP, "4499998500000", 50),
    ] {
        let mut client = Client::connect(&server.address, era).await?;
        for _ in 0..scale.times(100.min(times)) {
            client.execute(code, expected).await?;
        }
        let mut samples = Vec::with_capacity(times);
        for _ in 0..scale.times(times) {
            let began = Instant::now();
            client.execute(code, expected).await?;
            samples.push(began.elapsed());
        }
        record.latency("http", what, samples);
    }
    Ok(())
}

const ONE_CALL: &str = "await tools.demo.add({ a: 0, b: 1 }); return 1";
const HUNDRED_CALLS: &str = "let n = 0; for (let i = 0; i < 100; i++) { await tools.demo.add({ a: \
    n, b: 1 }); n++ } return n";
const HUNDRED_AT_ONCE: &str = "const all = await Promise.all(Array.from({ length: 100 }, (_, i) \
    => tools.demo.add({ a: i, b: 1 }))); return all.length";
const LOOP: &str = "let sum = 0; for (let i = 0; i < 3_000_000; i++) sum += i; return sum";

/// As many tasks as the clients can get done.
pub(crate) async fn throughput(scale: Scale, record: &mut Record) -> Outcome {
    let server = Server::start().await?;
    for clients in [1, 4, 16, 64] {
        // Warm, with as many workers as these clients need.
        load(&server.address, clients, scale.watch() / 5).await?;
        let began = Instant::now();
        let times = load(&server.address, clients, scale.watch()).await?;
        let tasks_per_second = times.len() as f64 / began.elapsed().as_secs_f64();
        let microseconds = Samples::of(times);
        record.throughputs.push(Throughput {
            what: "`return 1 + 1` over HTTP",
            clients,
            tasks_per_second,
            microseconds,
        });
    }
    Ok(())
}

async fn load(
    address: &str,
    clients: usize,
    watch: std::time::Duration,
) -> Result<Vec<std::time::Duration>, Box<dyn std::error::Error + Send + Sync>> {
    let end = Instant::now() + watch;
    let work = (0..clients).map(|_| {
        let address = address.to_owned();
        tokio::spawn(async move {
            let mut client = Client::connect(&address, Era::Modern).await?;
            let mut times = Vec::new();
            while Instant::now() < end {
                let began = Instant::now();
                client.execute("return 1 + 1", "2").await?;
                times.push(began.elapsed());
            }
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(times)
        })
    });
    let mut all = Vec::new();
    for done in futures::future::join_all(work).await {
        all.extend(done??);
    }
    Ok(all)
}
