//! Concurrency at upstreams: one task cannot take its workspace's share of an upstream, nor one
//! workspace the share of all others. Callers wait for a permit here.

use futures::FutureExt;

use crate::{
    base::limiter::{KeyedLimiter, KeyedPermit},
    model::TaskId,
};

/// Calls of one task that run at once at one upstream: half of those that an upstream takes.
const TASK_CALLS_MAX: usize = 32;
/// Calls of all tasks of one workspace that run at once at one upstream: three quarters.
const WORKSPACE_CALLS_MAX: usize = 48;

/// The permits of calls at upstreams. Cheap to clone.
#[derive(Clone)]
pub struct UpstreamConcurrency {
    of_tasks: KeyedLimiter,
    of_workspaces: KeyedLimiter,
}

impl Default for UpstreamConcurrency {
    fn default() -> Self {
        Self {
            of_tasks: KeyedLimiter::new(TASK_CALLS_MAX),
            of_workspaces: KeyedLimiter::new(WORKSPACE_CALLS_MAX),
        }
    }
}

/// The permit of a call to run at an upstream, given back when dropped.
pub(in crate::task) struct CallPermit {
    /// True if it was waited for.
    pub(in crate::task) waited: bool,
    _permits: (KeyedPermit, KeyedPermit),
}

impl UpstreamConcurrency {
    /// Waits for a permit for a call of this task at this upstream.
    pub(in crate::task) async fn acquire(
        &self,
        task: TaskId,
        workspace_id: &str,
        upstream: &str,
    ) -> CallPermit {
        let acquire = async || {
            let of_task = self.of_tasks.acquire(&format!("{task}\0{upstream}")).await;
            (of_task, self.of_workspaces.acquire(&format!("{workspace_id}\0{upstream}")).await)
        };
        match acquire().now_or_never() {
            Some(permits) => CallPermit { waited: false, _permits: permits },
            None => CallPermit { waited: true, _permits: acquire().await },
        }
    }
}

#[cfg(test)]
mod tests;
