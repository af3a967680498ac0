//! How long a worker process serves: a number of tasks, or a time; then another takes its place.

use std::{collections::HashSet, path::Path, sync::Arc, time::Duration};

use airlock::{
    model::{LogLine, RawJson},
    sandbox::{
        CallFailure, Engine, Isolation, Lock, Locks, Outcome, Run, Runtime, Sandbox, SandboxConfig,
        ToolCall, ToolHost, WallClock, WorkerCommand,
    },
};
use futures::future::BoxFuture;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::support::{
    runtime,
    server::{TestServer, airlock, eventually},
    worker::limits,
};

/// No program here calls anything.
struct Nobody;

impl ToolHost for Nobody {
    fn call(&self, call: ToolCall) -> BoxFuture<'static, Result<RawJson, CallFailure>> {
        panic!("`{}` was called", call.path)
    }

    fn log(&self, _: &LogLine) {}
}

/// Pids of the processes that run this very file.
fn processes_of_file(file: &Path) -> HashSet<u32> {
    let pids = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &u32| {
        std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == file)
    })
    .collect()
}

/// Runs six programs one after the other in a pool of one process; how many processes served them.
async fn processes_for_six_runs(change: impl FnOnce(&mut SandboxConfig)) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().canonicalize().unwrap().join("airlock-of-this-test");
    std::fs::hard_link(env!("CARGO_BIN_EXE_airlock"), &file)
        .or_else(|_| std::fs::copy(env!("CARGO_BIN_EXE_airlock"), &file).map(drop))
        .unwrap();
    let mut config = SandboxConfig {
        engine: match runtime::deno() {
            None => Engine::V8(WorkerCommand::this().of(&file)),
            Some(deno) => Engine::Deno {
                command: WorkerCommand::this().of(&file),
                candidates: vec![deno],
                allowed_sha256: None,
            },
        },
        isolation: Isolation::Tenant,
        running_max: 1,
        workers_max: 1,
        workers_spare: 0,
        queue_max: 10,
        tasks_per_worker: 200,
        worker_age_max: Duration::from_secs(1800),
        setup: limits(),
    };
    change(&mut config);
    let sandbox = Sandbox::start(config).await.unwrap();
    let mut served = HashSet::new();
    for _ in 0..6 {
        let lease = sandbox.admit("tenant").await.unwrap();
        // One process at the most, so this is the one that the lease holds.
        served.extend(
            eventually("a worker is there", async || {
                Some(processes_of_file(&file)).filter(|pids| pids.len() == 1)
            })
            .await,
        );
        let run = Run::once("return 1 + 1", 60_000, 60_000);
        let report =
            lease.run(run, Arc::new(Nobody), &WallClock::new(), &CancellationToken::new()).await;
        assert!(
            matches!(&report.outcome, Outcome::Returned { value } if value.get() == "2"),
            "{:?}",
            report.outcome
        );
    }
    sandbox.close();
    eventually("no worker is left", async || processes_of_file(&file).is_empty().then_some(()))
        .await;
    served.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_serves_many_tasks_and_is_replaced_after_its_number_of_them() {
    assert_eq!(processes_for_six_runs(|_| {}).await, 1);
    assert_eq!(processes_for_six_runs(|config| config.tasks_per_worker = 2).await, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_is_replaced_when_its_time_is_over() {
    assert_eq!(processes_for_six_runs(|config| config.worker_age_max = Duration::ZERO).await, 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_names_the_locks_on_the_process_that_runs_programs() {
    let server = TestServer::start().await;
    let health: Value = server
        .stranger()
        .get(format!("{}/healthz", server.url))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let runtimes = health["sandbox"]["runtimes"].as_array().unwrap();
    let used = runtimes.iter().find(|one| one["runtimeId"] == runtime::id()).unwrap();
    assert_eq!(used["tier"], if runtime::is_deno() { "jailed" } else { "restricted" });
    let locks: Vec<Lock> = serde_json::from_value(used["locks"].clone()).unwrap();
    assert!(locks.contains(&Lock::NoNewPrivileges), "{locks:?}");
    let doctor = airlock(&server.config_file()).arg("doctor").output().await.unwrap();
    let report = String::from_utf8(doctor.stdout).unwrap();
    let locks: Locks = locks.into_iter().collect();
    assert!(report.contains(&format!("({locks})")), "{locks}: {report}");
}
