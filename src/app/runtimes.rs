//! The runtimes of this build and this machine: V8 if it is built in, Deno if it is found.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::Failure;
use crate::{
    config::{self, Config, Environment, ProcessEnvironment, RuntimeId},
    sandbox::{
        self, Engine, LOCAL_DENO, LOCAL_V8, Runtime, Sandbox, SandboxConfig, SandboxError,
        V8Options, WorkerCommand,
        deno::{self, SearchPaths},
        protocol,
    },
};

/// Returns the id of the runtime for tasks that name none.
pub(super) fn default_id(config: &Config) -> &'static str {
    match config.sandbox.runtime {
        Some(RuntimeId::LocalV8) => LOCAL_V8,
        Some(RuntimeId::LocalDeno) => LOCAL_DENO,
        None if cfg!(feature = "v8") => LOCAL_V8,
        None => LOCAL_DENO,
    }
}

/// Rejects a default runtime that this build can never have.
pub(super) fn check(config: &Config) -> Result<(), Failure> {
    let built_in = |id| id != LOCAL_V8 && cfg!(feature = "intake") || cfg!(feature = "v8");
    match config.sandbox.runtime {
        Some(_) if !built_in(default_id(config)) => {
            let message = format!(
                "`sandbox.runtime` is \"{}\", which this build does not have: {}",
                default_id(config),
                how_to_get(default_id(config))
            );
            Err(Failure::config(message)
                .hint("leave `sandbox.runtime` out, or name a runtime of this build"))
        }
        _ => Ok(()),
    }
}

/// Starts the default runtime; others start when they are first used.
///
/// # Errors
/// If the default runtime is available and does not work. If it is missing, or its Deno may not be
/// used and the configuration does not name it, that is logged: everything but running code works.
pub(super) async fn start(config: &Config) -> Result<Vec<Arc<dyn Runtime>>, SandboxError> {
    let default = default_id(config);
    let mut runtimes: Vec<Arc<dyn Runtime>> = Vec::new();
    for engine in engines(config) {
        let is_default = engine.runtime_id() == default;
        let mut settings = settings(config, engine);
        let sandbox = if is_default {
            match Sandbox::start(settings).await {
                Ok(sandbox) => sandbox,
                Err(SandboxError::Deno { .. }) if config.sandbox.deno.is_none() => continue,
                Err(error) => return Err(error),
            }
        } else {
            settings.workers_spare = 0;
            Sandbox::lazy(settings)
        };
        runtimes.push(Arc::new(sandbox));
    }
    let default_runtime = runtimes.iter().find(|runtime| runtime.id() == default);
    match default_runtime.and_then(|runtime| runtime.health().engine) {
        Some(engine) if default == LOCAL_DENO => {
            let name = engine.name;
            tracing::info!(
                locks = %engine.locks,
                "programs run on `{LOCAL_DENO}`: {name}, as a jailed process"
            );
        }
        Some(_) => {}
        None => tracing::warn!(
            "no code can be run, because the runtime `{default}` is missing: {}",
            how_to_get(default)
        ),
    }
    Ok(runtimes)
}

/// The status of a runtime on this machine.
#[derive(Debug, Clone)]
pub struct RuntimeStatus {
    /// Its id.
    pub id: &'static str,
    /// True if a task that names none runs on it.
    pub is_default: bool,
    /// True if it is installed.
    pub is_installed: bool,
    /// The key of the configuration that asks for it, where one does.
    pub key: Option<&'static str>,
    /// Its engine, or how to install it.
    pub message: String,
}

/// The status of each runtime. Starts nothing, but looks into executables: some tenths of a second.
pub fn statuses(config: &Config) -> Vec<RuntimeStatus> {
    let default = default_id(config);
    let found = engines(config);
    [LOCAL_V8, LOCAL_DENO]
        .into_iter()
        .map(|id| {
            let status =
                found.iter().find(|engine| engine.runtime_id() == id).map(|engine| match engine {
                    Engine::V8(_) => Ok("V8 is built in".to_owned()),
                    Engine::Deno { candidates, allowed_sha256, .. } => {
                        deno::choose(candidates, allowed_sha256.as_deref())
                            .map(|deno| {
                                format!("Deno at {}, in a process of its own", deno.path.display())
                            })
                            .map_err(|error| format!("{error}. {}", how_to_get(id)))
                    }
                });
            let status = status.unwrap_or_else(|| Err(how_to_get(id)));
            RuntimeStatus {
                id,
                is_default: id == default,
                is_installed: status.is_ok(),
                key: match id {
                    LOCAL_DENO if config.sandbox.deno.is_some() => Some("sandbox.deno"),
                    _ if id == default && config.sandbox.runtime.is_some() => {
                        Some("sandbox.runtime")
                    }
                    _ => None,
                },
                message: status.unwrap_or_else(|reason| reason),
            }
        })
        .collect()
}

fn how_to_get(id: &str) -> String {
    let version = deno::VERSION;
    let folder = std::env::current_exe()
        .ok()
        .and_then(|executable| Some(executable.parent()?.display().to_string()));
    match id {
        LOCAL_V8 => {
            "V8 is not built in; `cargo build --release`, with the default features, builds it in"
                .into()
        }
        _ if !cfg!(feature = "intake") => {
            "this build cannot use Deno; `cargo build --release` makes one that can".into()
        }
        _ => format!(
            "`npm install --prefix {} deno@{version}` or `pip install deno=={version}` gets Deno, \
            95 MB; then restart the server",
            folder.as_deref().unwrap_or(".")
        ),
    }
}

/// Returns the engines of this build whose executables exist.
fn engines(config: &Config) -> Vec<Engine> {
    let mut engines = Vec::new();
    if cfg!(feature = "v8") {
        engines.push(Engine::V8(WorkerCommand::this()));
    }
    let candidates = search_paths(config).find();
    if cfg!(feature = "intake") && !candidates.is_empty() {
        let (command, allowed_sha256) = (WorkerCommand::this(), config.sandbox.deno_sha256.clone());
        engines.push(Engine::Deno { command, candidates, allowed_sha256 });
    }
    engines
}

fn search_paths(config: &Config) -> SearchPaths {
    let executable = std::env::current_exe().ok();
    let variables = ProcessEnvironment.variables();
    let cache =
        variables.get("XDG_CACHE_HOME").map(PathBuf::from).filter(|folder| folder.is_absolute());
    let cache = cache.or_else(|| variables.get("HOME").map(|home| Path::new(home).join(".cache")));
    SearchPaths {
        configured: config.sandbox.deno.clone(),
        beside: executable.and_then(|executable| executable.parent().map(PathBuf::from)),
        cache: cache.map(|folder| folder.join("airlock/deno")),
        path: variables.get("PATH").map(OsString::from),
    }
}

fn settings(config: &Config, engine: Engine) -> SandboxConfig {
    let (limits, sandbox) = (&config.limits, &config.sandbox);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    SandboxConfig {
        engine,
        isolation: match sandbox.isolation {
            config::Isolation::Tenant => sandbox::Isolation::Tenant,
            config::Isolation::Task => sandbox::Isolation::Task,
        },
        running_max: cores * 2,
        workers_max: sandbox.workers_max as usize,
        workers_spare: sandbox.workers_spare as usize,
        queue_max: limits.queue as usize,
        tasks_per_worker: sandbox.tasks_per_worker as u32,
        worker_age_max: Duration::from_secs(sandbox.worker_minutes * 60),
        setup: setup(config),
    }
}

/// The bounds of programs.
pub(super) fn setup(config: &Config) -> protocol::Setup {
    let limits = &config.limits;
    let (kib, mib) = (1024, 1024 * 1024);
    protocol::Setup {
        version: protocol::VERSION,
        heap_bytes_max: limits.heap_mb * mib,
        buffer_bytes_max: limits.buffers_mb * mib,
        result_bytes_max: limits.result_mb * mib,
        args_bytes_max: limits.tool_args_kb * kib,
        log_bytes_max: limits.log_kb * kib,
        log_lines_max: limits.log_lines,
        calls_queued_max: limits.calls_queued,
        timers_max: limits.timers,
        engine_options: V8Options { optimize: config.sandbox.optimize }.to_json(),
    }
}
