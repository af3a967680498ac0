//! What the parts cost on their own: the store, a worker's start, a run in the sandbox.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use airlock::{
    model::{
        EventDetails, InstanceId, LogLine, Logs, NewEvent, Principal, RawJson, TaskEnded, TaskId,
        TaskRunning, TaskStatus, Timestamp, Usage,
    },
    sandbox::{
        CallFailure, Engine, Isolation, Outcome as Ended, Run, Runtime, Sandbox, SandboxConfig,
        ToolCall, ToolHost, V8Options, WallClock, WorkerCommand,
        deno::SearchPaths,
        protocol::{self, Setup},
    },
    store::{NewTask, SqliteConfig, SqliteStore, Store, TaskChange, TaskEnd},
};
use futures::future::BoxFuture;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use crate::{Outcome, Scale, machine::cpu_time, record::Record, server::AIRLOCK};

/// Records and ends tasks: what a whole task costs the store, and how it batches.
pub(crate) async fn store(scale: Scale, record: &mut Record) -> Outcome {
    for writers in [1, 16, 64] {
        let folder = tempfile::tempdir()?;
        let store =
            Arc::new(SqliteStore::open(SqliteConfig::new(folder.path().join("airlock.db"))).await?);
        let each = scale.times(6400 / writers);
        let (cpu, began) = (cpu_time(), Instant::now());
        let work = (0..writers).map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut times = Vec::with_capacity(each);
                for _ in 0..each {
                    let began = Instant::now();
                    one_task(&*store).await?;
                    times.push(began.elapsed());
                }
                Ok::<_, airlock::store::StoreError>(times)
            })
        });
        let mut times = Vec::new();
        for done in futures::future::join_all(work).await {
            times.extend(done??);
        }
        let (tasks, wall) = (times.len() as f64, began.elapsed());
        let cpu = cpu_time() - cpu;
        record.latency("store", format!("record and end a task, {writers} at once"), times);
        record.figure(
            "store",
            format!("tasks a second, {writers} at once"),
            tasks / wall.as_secs_f64(),
            "1/s",
        );
        record.figure(
            "store",
            format!("CPU of one task, {writers} at once"),
            cpu.as_secs_f64() * 1e6 / tasks,
            "µs",
        );
        record.figure(
            "store",
            format!("writes in a batch, {writers} at once"),
            2.0 * tasks / store.batches() as f64,
            "",
        );
        store.close().await;
    }
    Ok(())
}

async fn one_task(store: &dyn Store) -> Result<(), airlock::store::StoreError> {
    let task_id = TaskId::new();
    let now = Timestamp::now();
    let task = NewTask {
        task_id,
        code: "return 1 + 1".into(),
        runtime_id: "local-v8".into(),
        timeout_ms: 300_000,
        metadata: None,
        principal: Principal { session_id: Some("bench".into()), ..Principal::local("bench") },
        created_at: now,
        instance_id: InstanceId::new(),
        idempotency_key: None,
    };
    store.create_task(task).await?;
    let event = |data| NewEvent { at: now, data };
    let ended = TaskEnded { exit_code: 0, error: None };
    let end = TaskEnd {
        completed_at: now,
        exit_code: 0,
        result: Some(raw("2")),
        error: None,
        logs: Logs::default(),
        warnings: vec![],
        usage: Usage::default(),
    };
    let change = TaskChange {
        task_id,
        status: Some(TaskStatus::Completed),
        started_at: Some(now),
        end: Some(end),
        events: vec![
            event(EventDetails::TaskRunning(TaskRunning { queue_ms: Some(0) })),
            event(EventDetails::TaskCompleted(ended)),
        ],
        journal: vec![],
    };
    store.change_task(change).await
}

/// The engines that are here, by their runtimes' ids; the first is what this build takes by itself.
pub(crate) fn engines() -> Vec<(&'static str, Engine)> {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(std::env::home_dir()?.join(".cache")));
    let places = SearchPaths {
        cache: cache.map(|cache| cache.join("airlock/deno")),
        path: std::env::var_os("PATH"),
        ..SearchPaths::default()
    };
    let candidates = places.find();
    let deno = (!candidates.is_empty()).then(|| {
        let command = WorkerCommand::this().of(AIRLOCK);
        ("local-deno", Engine::Deno { command, candidates, allowed_sha256: None })
    });
    let v8 = || ("local-v8", Engine::V8(WorkerCommand::this().of(AIRLOCK)));
    cfg!(feature = "v8").then(v8).into_iter().chain(deno).collect()
}

/// The engine that this build takes by itself.
fn engine() -> Result<Engine, String> {
    let first = engines().into_iter().next();
    first.map(|(_, engine)| engine).ok_or_else(|| "there is no engine to measure".to_owned())
}

fn raw(text: &str) -> RawJson {
    RawValue::from_string(text.into()).expect("it is JSON")
}

pub(crate) fn config(engine: Engine, spare: usize, isolation: Isolation) -> SandboxConfig {
    const MIB: u64 = 1024 * 1024;
    SandboxConfig {
        engine,
        isolation,
        running_max: 4,
        workers_max: 64,
        workers_spare: spare,
        queue_max: 1000,
        tasks_per_worker: 200,
        worker_age_max: Duration::from_secs(1800),
        setup: Setup {
            version: protocol::VERSION,
            heap_bytes_max: 64 * MIB,
            buffer_bytes_max: 64 * MIB,
            result_bytes_max: 64 * MIB,
            args_bytes_max: MIB,
            log_bytes_max: 64 * 1024,
            log_lines_max: 1000,
            calls_queued_max: 10_000,
            timers_max: 1000,
            engine_options: V8Options { optimize: true }.to_json(),
        },
    }
}

/// Answers every call at once with what it was given, so that only the bridge is measured.
struct Echo;

impl ToolHost for Echo {
    fn call(&self, call: ToolCall) -> BoxFuture<'static, Result<RawJson, CallFailure>> {
        Box::pin(async move { Ok(call.args) })
    }

    fn log(&self, _: &LogLine) {}
}

pub(crate) async fn returned(
    sandbox: &Sandbox,
    tenant: &str,
    code: &str,
    expected: &str,
) -> Outcome {
    let lease = sandbox.admit(tenant).await?;
    let run = Run::once(code, 60_000, 60_000);
    let report = lease.run(run, Arc::new(Echo), &WallClock::new(), &CancellationToken::new()).await;
    match report.outcome {
        Ended::Returned { value } if value.get() == expected => Ok(()),
        other => Err(format!("expected {expected}, not {other:?}").into()),
    }
}

/// How long a program takes, once it has run some times.
pub(crate) async fn warm(
    sandbox: &Sandbox,
    scale: Scale,
    code: &str,
    expected: &str,
    times: usize,
) -> Result<Vec<Duration>, Box<dyn std::error::Error + Send + Sync>> {
    for _ in 0..scale.times(50) {
        returned(sandbox, "bench", code, expected).await?;
    }
    let mut samples = Vec::new();
    for _ in 0..scale.times(times) {
        let began = Instant::now();
        returned(sandbox, "bench", code, expected).await?;
        samples.push(began.elapsed());
    }
    Ok(samples)
}

/// From nothing to a worker that has run its first program: with no spare ones every task starts a
/// process.
pub(crate) async fn worker_start(scale: Scale, record: &mut Record) -> Outcome {
    let began = Instant::now();
    let sandbox = Sandbox::start(config(engine()?, 0, Isolation::Task)).await?;
    record.figure(
        "worker_start",
        "start of the sandbox: snapshot, first worker, self-test",
        began.elapsed().as_secs_f64() * 1e3,
        "ms",
    );
    let (mut starts, mut whole) = (Vec::new(), Vec::new());
    for _ in 0..scale.times(100) {
        let began = Instant::now();
        let lease = sandbox.admit("bench").await?;
        starts.push(began.elapsed());
        let run = Run::once("return 1 + 1", 60_000, 60_000);
        let report =
            lease.run(run, Arc::new(Echo), &WallClock::new(), &CancellationToken::new()).await;
        let Ended::Returned { .. } = report.outcome else {
            return Err(format!("{:?}", report.outcome).into());
        };
        whole.push(began.elapsed());
    }
    record.latency("worker_start", "a worker process, until it is armed", starts);
    record.latency("worker_start", "a worker process and `return 1 + 1` in it", whole);
    sandbox.close();
    Ok(())
}

/// Warm runs without the rest of the server: no record, no protocol.
pub(crate) async fn sandbox(scale: Scale, record: &mut Record) -> Outcome {
    let sandbox = Sandbox::start(config(engine()?, 2, Isolation::Tenant)).await?;
    let hundred = "let n = 0; for (let i = 0; i < 100; i++) n += (await tools.demo.echo({ n: 1 \
        })).n; return n";
    let parallel = "const all = await Promise.all(Array.from({ length: 100 }, () => \
        tools.demo.echo({ n: 1 }))); return all.length";
    for (what, code, expected, times) in [
        ("`return 1 + 1`", "return 1 + 1", "2", 2000),
        ("one tool call", "return (await tools.demo.echo({ n: 1 })).n", "1", 1000),
        ("100 tool calls, one after the other", hundred, "100", 200),
        ("100 tool calls at once", parallel, "100", 200),
    ] {
        let samples = warm(&sandbox, scale, code, expected, times).await?;
        record.latency("sandbox", what, samples);
    }
    sandbox.close();
    Ok(())
}
