//! Memory of the real server: at rest, per worker, per isolate that a program holds, and while
//! large answers come in.

use crate::{
    Outcome, Scale,
    client::{Client, Era},
    machine::{children, memory_mib, memory_most_mib},
    record::Record,
    server::{AIRLOCK, Server},
};

/// How many programs wait at once: each in a worker of its own.
const WAITING: usize = 16;
/// Size of a large answer, and how many come at once: twice as many as may be in memory.
const LARGE_MIB: u64 = 30;
const LARGE_AT_ONCE: usize = 8;

/// Counts proportional memory, so that what workers share counts once.
pub(crate) async fn memory(scale: Scale, record: &mut Record) -> Outcome {
    let server = Server::start().await?;
    let mut client = Client::connect(&server.address, Era::Modern).await?;
    let answer: serde_json::Value =
        serde_json::from_str(&client.execute("return 1 + 1", "2").await?)?;
    let heap = answer["result"]["structuredContent"]["usage"]["heapPeakBytes"]
        .as_f64()
        .ok_or("no usage in the answer")?;
    let (broker, idle) =
        (memory_mib(server.pid()).ok_or("no memory figures")?, workers(server.pid()));
    record.figure("memory", "server at rest, without its workers", broker, "MiB");
    record.figure("memory", "workers at rest", idle.len() as f64, "");
    record.figure("memory", "one worker at rest", mean(&idle), "MiB");
    record.figure(
        "memory",
        "heap of one isolate after `return 1 + 1`",
        heap / 1024.0 / 1024.0,
        "MiB",
    );

    let waiting = if scale.quick { 2 } else { WAITING };
    let code = "await new Promise((done) => setTimeout(done, 3000)); return 1";
    let mut held = Vec::new();
    for _ in 0..waiting {
        let mut client = Client::connect(&server.address, Era::Modern).await?;
        held.push(tokio::spawn(async move { client.execute(code, "1").await }));
    }
    // Until each has its worker, or as many as there will be before the programs end.
    for _ in 0..100 {
        if workers(server.pid()).len() >= idle.len() + waiting {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let busy = workers(server.pid());
    record.figure("memory", format!("one worker, {waiting} programs waiting"), mean(&busy), "MiB");
    record.figure("memory", format!("workers, {waiting} programs waiting"), busy.len() as f64, "");
    for done in held {
        done.await??;
    }
    for _ in 0..scale.times(2000) {
        client.execute("return 1 + 1", "2").await?;
    }
    let after = memory_mib(server.pid()).ok_or("no memory figures")?;
    record.figure("memory", format!("server after {} more tasks", scale.times(2000)), after, "MiB");
    large_answers(scale, record, &server, &mut client).await
}

/// One large answer that is kept as an artifact, and several at once.
async fn large_answers(
    scale: Scale,
    record: &mut Record,
    server: &Server,
    client: &mut Client,
) -> Outcome {
    let large = if scale.quick { 9 } else { LARGE_MIB };
    for at_once in [1, LARGE_AT_ONCE] {
        let code = format!(
            "const got = await Promise.all(Array.from({{ length: {at_once} }}, () => \
            tools.demo.big({{ bytes: {large} * 1024 * 1024 }})));
             return got.filter((one) => one.$artifact).length"
        );
        client.execute(&code, &at_once.to_string()).await?;
        let most = memory_most_mib(server.pid()).ok_or("no memory figures")?;
        record.figure(
            "memory",
            format!("server at most, {at_once} answers of {large} MiB at once"),
            most,
            "MiB",
        );
    }
    let after = memory_mib(server.pid()).ok_or("no memory figures")?;
    record.figure("memory", "server after these answers", after, "MiB");
    Ok(())
}

/// Memory of each worker. The other children, upstreams, are not counted.
fn workers(server: u32) -> Vec<f64> {
    let is_worker = |pid: &u32| {
        let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.contains("__worker") && line.contains(AIRLOCK.rsplit('/').next().unwrap_or(AIRLOCK))
    };
    children(server).into_iter().filter(is_worker).filter_map(memory_mib).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}
