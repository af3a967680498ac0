//! The runtimes of this build and this machine, by their ids: V8 where it is built in, Deno where
//! it is found.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{Exit, Failure};
use crate::{
    config::{self, Config, Environment, ProcessEnvironment, RuntimeId},
    sandbox::{
        self, Engine, Sandbox, SandboxConfig, SandboxError, WorkerCommand,
        deno::{self, Places},
        protocol,
    },
};

const LOCAL_V8: &str = "local-v8";
const LOCAL_DENO: &str = "local-deno";

/// The runtime of a task that names none.
pub(super) fn default_id(config: &Config) -> &'static str {
    match config.sandbox.runtime {
        Some(RuntimeId::LocalV8) => LOCAL_V8,
        Some(RuntimeId::LocalDeno) => LOCAL_DENO,
        None if cfg!(feature = "v8") => LOCAL_V8,
        None => LOCAL_DENO,
    }
}

/// Refuses a default runtime that this build can never have.
pub(super) fn check(config: &Config) -> Result<(), Failure> {
    let built_in = |id| id != LOCAL_V8 && cfg!(feature = "intake") || cfg!(feature = "v8");
    match config.sandbox.runtime {
        Some(_) if !built_in(default_id(config)) => {
            let message = format!(
                "`sandbox.runtime` is \"{}\", which this build does not have: {}",
                default_id(config),
                how_to_get(default_id(config))
            );
            Err(Failure {
                exit: Exit::Config,
                message,
                hint: Some("leave `sandbox.runtime` out, or name a runtime of this build".into()),
            })
        }
        _ => Ok(()),
    }
}

/// Starts the default runtime; others start when they are first asked for.
///
/// # Errors
/// When the default runtime is here and does not work. One that is missing is told in the log:
/// everything but running code works without. So is a Deno that may not be used, unless the owner
/// named it.
pub(super) async fn start(config: &Config) -> Result<BTreeMap<String, Sandbox>, SandboxError> {
    let default = default_id(config);
    let mut runtimes = BTreeMap::new();
    for (id, engine) in engines(config) {
        let mut settings = settings(config, engine);
        let sandbox = if id == default {
            match Sandbox::start(settings).await {
                Ok(sandbox) => sandbox,
                Err(SandboxError::Deno { .. }) if config.sandbox.deno.is_none() => continue,
                Err(error) => return Err(error),
            }
        } else {
            settings.workers_spare = 0;
            Sandbox::at_first_use(settings)
        };
        runtimes.insert(id.to_owned(), sandbox);
    }
    match runtimes.get(default).and_then(Sandbox::engine_and_locks) {
        Some((engine, locks)) if default == LOCAL_DENO => {
            tracing::info!(locks, "programs run on `{LOCAL_DENO}`: {engine}, as a jailed process");
        }
        Some(_) => {}
        None => tracing::warn!(
            "no code can be run, for the runtime `{default}` is not here: {}",
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
                found.iter().find(|(found, _)| *found == id).map(|(_, engine)| match engine {
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

fn engines(config: &Config) -> Vec<(&'static str, Engine)> {
    let mut engines = Vec::new();
    if cfg!(feature = "v8") {
        engines.push((LOCAL_V8, Engine::V8(WorkerCommand::this())));
    }
    let candidates = places(config).find();
    if cfg!(feature = "intake") && !candidates.is_empty() {
        let (command, allowed_sha256) = (WorkerCommand::this(), config.sandbox.deno_sha256.clone());
        engines.push((LOCAL_DENO, Engine::Deno { command, candidates, allowed_sha256 }));
    }
    engines
}

fn places(config: &Config) -> Places {
    let executable = std::env::current_exe().ok();
    let variables = ProcessEnvironment.variables();
    let cache =
        variables.get("XDG_CACHE_HOME").map(PathBuf::from).filter(|folder| folder.is_absolute());
    let cache = cache.or_else(|| variables.get("HOME").map(|home| Path::new(home).join(".cache")));
    Places {
        configured: config.sandbox.deno.clone(),
        beside: executable.and_then(|executable| executable.parent().map(PathBuf::from)),
        cache: cache.map(|folder| folder.join("airlock/deno")),
        path: variables.get("PATH").map(OsString::from),
    }
}

fn settings(config: &Config, engine: Engine) -> SandboxConfig {
    let (limits, sandbox) = (&config.limits, &config.sandbox);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (kib, mib) = (1024, 1024 * 1024);
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
        setup: protocol::Setup {
            version: protocol::VERSION,
            heap_bytes_max: limits.heap_mb * mib,
            buffer_bytes_max: limits.buffers_mb * mib,
            result_bytes_max: limits.result_mb * mib,
            args_bytes_max: limits.tool_args_kb * kib,
            log_bytes_max: limits.log_kb * kib,
            log_lines_max: limits.log_lines,
            calls_queued_max: limits.calls_queued,
            timers_max: limits.timers,
            optimize: sandbox.optimize,
        },
    }
}
