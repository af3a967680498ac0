//! The pool of worker processes: armed ones that no tenant has used, and idle ones that belong to a
//! tenant.
//!
//! Starting → armed → leased to a tenant ⇄ idle → dead, never back to armed: a process that ran one
//! tenant's guest never runs another's. A worker runs one guest at a time, so killing it never ends
//! a second guest.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use parking_lot::{Mutex, MutexGuard};
use tokio::{sync::oneshot, time::timeout};

use super::{
    config::{Isolation, SandboxConfig},
    connection::Connection,
    error::SandboxError,
    locks::LockTier,
    process::{Process, Spawner},
    protocol::{self, Armed, Kind, Setup},
};

/// Time in which a worker must arm itself, or build its next isolate.
const ARM_MAX: Duration = Duration::from_secs(10);
/// Time after which a tenant's idle worker is ended.
const IDLE_MAX: Duration = Duration::from_secs(60);
/// Interval at which workers that were idle too long are removed.
const SWEEP_EVERY: Duration = Duration::from_secs(10);

/// A worker process that is ready for a guest or runs one.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) connection: Connection,
    pub(super) process: Process,
    /// Number of guests so far; also the number of the current run.
    pub(super) runs: u32,
    /// True if the worker must not run another guest.
    pub(super) spent: bool,
    pub(super) armed: Armed,
    /// Bounds of its guests.
    pub(super) setup: Arc<Setup>,
    tenant: Option<String>,
    born: Instant,
    idle_since: Instant,
    _counted: LiveCount,
}

/// Bounds of the guests of workers that are started from now on.
#[derive(Debug)]
pub(super) struct Limits(ArcSwap<Setup>);

impl Limits {
    pub(super) fn new(setup: Setup) -> Self {
        Self(ArcSwap::from_pointee(setup))
    }

    pub(super) fn set(&self, setup: Setup) {
        self.0.store(Arc::new(setup));
    }
}

/// Counts a live process until dropped.
#[derive(Debug)]
struct LiveCount(Arc<AtomicUsize>);

impl LiveCount {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count.clone())
    }
}

impl Drop for LiveCount {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Pool of worker processes. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Pool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    spawner: Spawner,
    config: Arc<SandboxConfig>,
    limits: Arc<Limits>,
    alive: Arc<AtomicUsize>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    armed: Vec<Worker>,
    idle: HashMap<String, Vec<Worker>>,
    waiters: VecDeque<Waiter>,
    /// Number of workers that are being started.
    starting: usize,
    /// Number of workers of each tenant that build their next isolate.
    rebuilding: HashMap<String, usize>,
    closed: bool,
}

/// A request for a worker.
#[derive(Debug)]
struct Waiter {
    tenant: String,
    grant: oneshot::Sender<Result<Worker, SandboxError>>,
}

impl Pool {
    /// Starts the spare workers in the background.
    pub(super) fn start(spawner: Spawner, config: Arc<SandboxConfig>, limits: Arc<Limits>) -> Self {
        let pool = Self(Arc::new(Inner {
            spawner,
            config,
            limits,
            alive: Arc::default(),
            state: Mutex::default(),
        }));
        pool.balance();
        let weak = Arc::downgrade(&pool.0);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(SWEEP_EVERY).await;
                let Some(inner) = weak.upgrade() else { return };
                Self(inner).sweep();
            }
        });
        pool
    }

    /// Waits for a worker for the tenant. The caller holds a slot, so there is room for one.
    pub(super) async fn acquire(&self, tenant: &str) -> Result<Worker, SandboxError> {
        let granted = {
            let mut state = self.lock();
            if state.closed {
                return Err(SandboxError::Closed);
            }
            if let Some(worker) = state.ready_worker(tenant) {
                drop(state);
                self.balance();
                return Ok(worker.lease(tenant));
            }
            let (grant, granted) = oneshot::channel();
            state.waiters.push_back(Waiter { tenant: tenant.to_owned(), grant });
            granted
        };
        self.balance();
        let worker = granted.await.map_err(|_| SandboxError::Closed)??;
        Ok(worker.lease(tenant))
    }

    /// Takes a worker back after a guest. It is offered again once its next isolate is built.
    pub(super) fn release(&self, mut worker: Worker) {
        let tenant = worker.tenant.clone().expect("a worker that ran a guest has a tenant");
        let config = &self.0.config;
        if worker.spent
            || self.is_outdated(&worker)
            || config.isolation == Isolation::Task
            || worker.runs >= config.tasks_per_worker
            || worker.born.elapsed() >= config.worker_age_max
        {
            drop(worker);
            return self.balance();
        }
        *self.lock().rebuilding.entry(tenant.clone()).or_default() += 1;
        let pool = self.clone();
        tokio::spawn(async move {
            let ready = timeout(ARM_MAX, worker.connection.next_frame()).await;
            pool.lock().finish_rebuilding(&tenant);
            match ready {
                Ok(Ok(frame)) if frame.kind == Kind::Ready => pool.offer(worker),
                other => {
                    tracing::warn!(
                        pid = worker.process.pid(),
                        "a worker did not become ready again: {other:?}"
                    );
                    drop(worker);
                    pool.balance();
                }
            }
        });
    }

    /// Ends the workers that run no guest and have other bounds than those in force now; those that
    /// run one are ended after it.
    pub(super) fn renew(&self) {
        let mut state = self.lock();
        let mut ended: Vec<Worker> =
            state.armed.extract_if(.., |worker| self.is_outdated(worker)).collect();
        for workers in state.idle.values_mut() {
            ended.extend(workers.extract_if(.., |worker| self.is_outdated(worker)));
        }
        state.idle.retain(|_, workers| !workers.is_empty());
        drop(state);
        drop(ended);
        self.balance();
    }

    fn is_outdated(&self, worker: &Worker) -> bool {
        !Arc::ptr_eq(&worker.setup, &self.0.limits.0.load())
    }

    /// Number of live worker processes.
    pub(super) fn alive(&self) -> usize {
        self.0.alive.load(Ordering::Relaxed)
    }

    /// Ends all workers that run no guest, and refuses new guests.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let ended = (
            std::mem::take(&mut state.armed),
            std::mem::take(&mut state.idle),
            std::mem::take(&mut state.waiters),
        );
        drop(state);
        drop(ended);
    }

    /// Gives a ready worker to a waiter, or keeps it.
    fn offer(&self, mut worker: Worker) {
        worker.idle_since = Instant::now();
        if self.is_outdated(&worker) {
            drop(worker);
            return self.balance();
        }
        {
            let mut state = self.lock();
            if state.closed {
                return;
            }
            if let Some(worker) = state.grant(worker) {
                match &worker.tenant {
                    None => state.armed.push(worker),
                    Some(tenant) => {
                        let tenant = tenant.clone();
                        state.idle.entry(tenant).or_default().push(worker);
                    }
                }
            }
        }
        self.balance();
    }

    /// Starts as many workers as are needed and allowed; ends idle workers of other tenants to make
    /// room.
    fn balance(&self) {
        let mut evicted = Vec::new();
        let mut state = self.lock();
        state.waiters.retain(|waiter| !waiter.grant.is_closed());
        let wanted =
            state.shortfall() + self.0.config.workers_spare.saturating_sub(state.armed.len());
        let alive_max = self.0.config.workers_max + self.0.config.workers_spare;
        while !state.closed && state.starting < wanted {
            if self.alive() + state.starting >= alive_max + evicted.len() {
                match state.longest_idle() {
                    Some(worker) => evicted.push(worker),
                    None => break,
                }
            }
            state.starting += 1;
            let pool = self.clone();
            tokio::spawn(async move {
                let armed = pool.arm().await;
                pool.lock().starting -= 1;
                match armed {
                    Ok(worker) => pool.offer(worker),
                    Err(error) => pool.fail_waiter(error),
                }
            });
        }
        drop(state);
    }

    /// Passes the error of a failed start to one waiter. The next start is attempted when a worker
    /// is requested or at the next sweep.
    fn fail_waiter(&self, error: SandboxError) {
        tracing::error!(error = %error, cause = ?std::error::Error::source(&error), "a worker \
            could not be started");
        if let Some(waiter) = self.lock().waiters.pop_front() {
            drop(waiter.grant.send(Err(error)));
        }
    }

    /// Starts a worker and waits until it is ready for a guest.
    async fn arm(&self) -> Result<Worker, SandboxError> {
        let failed =
            |what: String| SandboxError::WorkerStart { source: std::io::Error::other(what) };
        let counted = LiveCount::new(&self.0.alive);
        let mut process =
            self.0.spawner.spawn().await.map_err(|source| SandboxError::WorkerStart { source })?;
        let socket = process.socket.take().expect("a fresh process has its socket");
        let mut connection =
            Connection::new(socket).map_err(|source| SandboxError::WorkerStart { source })?;
        let setup = self.0.limits.0.load_full();
        let frame = serde_json::to_vec(&*setup).expect("numbers and JSON only");
        connection.send(Kind::Setup, 0, &[&frame]);
        let armed = async {
            let frame = connection
                .next_frame()
                .await
                .map_err(|error| failed(format!("while arming: {error}")))?;
            let armed = match frame.kind {
                Kind::Armed => serde_json::from_slice::<Armed>(&frame.body)
                    .map_err(|error| failed(error.to_string()))?,
                kind => return Err(failed(format!("`{kind:?}` instead of `Armed`"))),
            };
            check_armed(&armed, self.0.config.engine.tier_required()).map_err(failed)?;
            match connection.next_frame().await {
                Ok(frame) if frame.kind == Kind::Ready => Ok(armed),
                other => Err(failed(format!("not ready: {other:?}"))),
            }
        };
        let armed = timeout(ARM_MAX, armed)
            .await
            .map_err(|_| failed(format!("not armed after {ARM_MAX:?}")))??;
        if let Some(pid) = armed.engine_pid {
            process.adopt_engine(pid).map_err(|source| SandboxError::WorkerStart { source })?;
        }
        let now = Instant::now();
        Ok(Worker {
            connection,
            process,
            runs: 0,
            spent: false,
            armed,
            setup,
            tenant: None,
            born: now,
            idle_since: now,
            _counted: counted,
        })
    }

    /// Removes workers that were idle too long, and armed ones that died or sent something unasked.
    fn sweep(&self) {
        let mut removed = Vec::new();
        {
            let mut state = self.lock();
            for workers in state.idle.values_mut() {
                removed.extend(
                    workers.extract_if(.., |worker| worker.idle_since.elapsed() >= IDLE_MAX),
                );
            }
            state.idle.retain(|_, workers| !workers.is_empty());
            removed.extend(state.armed.extract_if(.., |worker| !worker.connection.is_silent()));
        }
        drop(removed);
        self.balance();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock()
    }
}

impl State {
    /// Removes an idle worker of the tenant, or else an armed one. Drops those that died or sent
    /// something unasked meanwhile.
    fn ready_worker(&mut self, tenant: &str) -> Option<Worker> {
        let idle = self.idle.get_mut(tenant).map(std::mem::take).unwrap_or_default();
        let mut fit: Vec<_> =
            idle.into_iter().filter(|worker| worker.connection.is_silent()).collect();
        let worker = fit.pop();
        if fit.is_empty() {
            self.idle.remove(tenant);
        } else {
            self.idle.insert(tenant.to_owned(), fit);
        }
        worker.or_else(|| {
            std::iter::from_fn(|| self.armed.pop()).find(|worker| worker.connection.is_silent())
        })
    }

    /// Gives the worker to the first waiter that may have it; returns it if there is none.
    fn grant(&mut self, mut worker: Worker) -> Option<Worker> {
        let mut at = 0;
        while at < self.waiters.len() {
            if worker.tenant.as_ref().is_none_or(|tenant| *tenant == self.waiters[at].tenant) {
                let waiter = self.waiters.remove(at).expect("the index is within bounds");
                match waiter.grant.send(Ok(worker)) {
                    Ok(()) => return None,
                    Err(back) => worker = back.expect("a worker was sent, not an error"),
                }
            } else {
                at += 1;
            }
        }
        Some(worker)
    }

    /// Number of workers that waiters need beyond those that their tenant's rebuilding workers will
    /// provide.
    fn shortfall(&self) -> usize {
        let mut per_tenant = HashMap::<&str, usize>::new();
        for waiter in &self.waiters {
            *per_tenant.entry(&waiter.tenant).or_default() += 1;
        }
        per_tenant
            .iter()
            .map(|(tenant, count)| {
                count.saturating_sub(self.rebuilding.get(*tenant).copied().unwrap_or(0))
            })
            .sum()
    }

    fn finish_rebuilding(&mut self, tenant: &str) {
        if let Some(count) = self.rebuilding.get_mut(tenant) {
            *count -= 1;
            if *count == 0 {
                self.rebuilding.remove(tenant);
            }
        }
    }

    /// Removes the worker that has been idle for the longest time.
    fn longest_idle(&mut self) -> Option<Worker> {
        let tenant = self
            .idle
            .iter()
            .filter_map(|(tenant, workers)| {
                Some((workers.iter().map(|worker| worker.idle_since).min()?, tenant))
            })
            .min()?
            .1
            .clone();
        let workers = self.idle.get_mut(&tenant)?;
        let at = (0..workers.len()).min_by_key(|at| workers[*at].idle_since)?;
        let worker = workers.swap_remove(at);
        if workers.is_empty() {
            self.idle.remove(&tenant);
        }
        Some(worker)
    }
}

/// Checks what a worker reports of itself before it runs its first guest.
fn check_armed(armed: &Armed, required: LockTier) -> Result<(), String> {
    let (version, expected) = (armed.version, protocol::VERSION);
    if version != expected {
        return Err(format!("it speaks frames of version {version}, not {expected}"));
    }
    let (tier, locks) = (armed.locks.tier(), &armed.locks);
    if tier < required {
        return Err(format!("its locks are of the tier `{tier}`, not `{required}`: {locks}"));
    }
    Ok(())
}

impl Worker {
    fn lease(mut self, tenant: &str) -> Self {
        debug_assert!(self.tenant.as_deref().is_none_or(|owner| owner == tenant));
        self.tenant = Some(tenant.to_owned());
        self
    }

    /// Gives the process the lowest priority. That cannot be undone, so the worker serves no
    /// further run.
    pub(super) fn demote(&mut self) {
        self.spent = true;
        self.process.lower_priority();
    }

    /// Marks the worker to be ended after its current run.
    pub(super) fn retire(&mut self) {
        self.spent = true;
    }
}

#[cfg(test)]
#[path = "pool/tests.rs"]
mod tests;
