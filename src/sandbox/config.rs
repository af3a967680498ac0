//! Configuration of a sandbox: its engine, how it isolates tenants, and its bounds.

use std::{path::PathBuf, time::Duration};

use super::{deno, error::SandboxError, locks::LockTier, process::WorkerCommand, protocol::Setup};

/// Id of the runtime with V8 in the worker process.
pub const LOCAL_V8: &str = "local-v8";
/// Id of the runtime with Deno as a jailed child of the worker process.
pub const LOCAL_DENO: &str = "local-deno";

/// Bounds of a sandbox.
#[derive(Debug, Clone)]
pub struct SandboxConfig {
    /// The engine that runs guests.
    pub engine: Engine,
    /// Isolation of tenants and tasks.
    pub isolation: Isolation,
    /// Number of guests that run at once; waiting ones do not count.
    pub running_max: usize,
    /// Number of guests that exist at once, each in a process of its own.
    pub workers_max: usize,
    /// Number of armed workers kept ready for any tenant.
    pub workers_spare: usize,
    /// Number of guests that may wait to begin.
    pub queue_max: usize,
    /// Number of guests after which a worker is replaced.
    pub tasks_per_worker: u32,
    /// Age at which a worker is replaced.
    pub worker_age_max: Duration,
    /// Bounds of each guest.
    pub setup: Setup,
}

/// Isolation of tenants and tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// A process belongs to one tenant; each task gets a fresh isolate.
    Tenant,
    /// Each task gets a fresh process.
    Task,
}

/// The engine that runs guests.
#[derive(Debug, Clone)]
pub enum Engine {
    /// V8 in the worker itself, an isolate for each task.
    V8(WorkerCommand),
    /// Deno as a jailed child of the worker, a realm for each task.
    Deno {
        /// Command that starts a worker, without the arguments for Deno.
        command: WorkerCommand,
        /// Executables of Deno that were found. The first one that may be used is taken at the
        /// start.
        candidates: Vec<PathBuf>,
        /// SHA-256 of an executable to accept in addition to the known releases, in lower-case
        /// hexadecimal digits.
        allowed_sha256: Option<String>,
    },
}

impl Engine {
    /// The id of its runtime.
    pub fn runtime_id(&self) -> &'static str {
        match self {
            Self::V8(_) => LOCAL_V8,
            Self::Deno { .. } => LOCAL_DENO,
        }
    }

    /// The lowest tier of locks that a worker with this engine must report.
    pub(super) fn tier_required(&self) -> LockTier {
        match self {
            Self::V8(_) => LockTier::Restricted,
            Self::Deno { .. } => LockTier::Jailed,
        }
    }

    /// Returns the command that starts its workers. Blocks: it reads the executable of Deno.
    pub(super) fn into_command(self) -> Result<WorkerCommand, SandboxError> {
        match self {
            Self::V8(command) => Ok(command),
            Self::Deno { command, candidates, allowed_sha256 } => {
                deno::choose(&candidates, allowed_sha256.as_deref())
                    .map(|deno| command.with_deno(&deno))
                    .map_err(|source| SandboxError::Deno { source })
            }
        }
    }
}
