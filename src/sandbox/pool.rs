//! The worker processes at hand: armed ones that no tenant has used yet, and idle ones that belong
//! to one.
//!
//! Spawning → Armed → leased to a tenant ⇄ idle → dead, never back to armed: what has run one
//! tenant's guest never runs another's. A worker runs one guest at a time, so that killing it never
//! takes a second guest along.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::{Mutex, MutexGuard};
use tokio::{sync::oneshot, time::timeout};

use super::{
    Isolation, SandboxConfig, SandboxError,
    connection::Connection,
    process::{Process, Spawner},
    protocol::{self, Armed, Kind},
};

/// How long a worker may take to arm itself, or to build its next isolate.
const ARM_MAX: Duration = Duration::from_secs(10);
/// How long a tenant's worker may wait for its next guest.
const IDLE_MAX: Duration = Duration::from_secs(60);
/// How often workers that waited too long are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(10);

/// A worker process that is ready for a guest or runs one.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) connection: Connection,
    pub(super) process: Process,
    /// Guests so far; also the number of the present run.
    pub(super) runs: u32,
    /// Unfit for another guest.
    pub(super) spent: bool,
    pub(super) armed: Armed,
    tenant: Option<String>,
    born: Instant,
    idle_since: Instant,
    _alive: Alive,
}

/// Counts a living process.
#[derive(Debug)]
struct Alive(Arc<AtomicUsize>);

impl Alive {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count.clone())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Shared by all who run guests.
#[derive(Debug, Clone)]
pub(super) struct Pool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    spawner: Spawner,
    config: SandboxConfig,
    alive: Arc<AtomicUsize>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    armed: Vec<Worker>,
    idle: HashMap<String, Vec<Worker>>,
    waiting: VecDeque<Waiting>,
    /// Workers that are being started, of no tenant yet.
    coming: usize,
    /// Workers that build their next isolate, per tenant.
    returning: HashMap<String, usize>,
    closed: bool,
}

#[derive(Debug)]
struct Waiting {
    tenant: String,
    grant: oneshot::Sender<Result<Worker, SandboxError>>,
}

impl Pool {
    /// Starts the spare workers in the background.
    pub(super) fn start(spawner: Spawner, config: SandboxConfig) -> Self {
        let pool = Self(Arc::new(Inner {
            spawner,
            config,
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

    /// A worker for the tenant. The caller holds a place, so there is room for one.
    pub(super) async fn take(&self, tenant: &str) -> Result<Worker, SandboxError> {
        let turn = {
            let mut state = self.lock();
            if state.closed {
                return Err(SandboxError::Closed);
            }
            if let Some(worker) = state.ready_worker(tenant) {
                drop(state);
                self.balance();
                return Ok(worker.lease(tenant));
            }
            let (grant, turn) = oneshot::channel();
            state.waiting.push_back(Waiting { tenant: tenant.to_owned(), grant });
            turn
        };
        self.balance();
        let worker = turn.await.map_err(|_| SandboxError::Closed)??;
        Ok(worker.lease(tenant))
    }

    /// Takes a worker back after a guest; it is offered again once its next isolate is built.
    pub(super) fn give_back(&self, mut worker: Worker) {
        let tenant = worker.tenant.clone().expect("a worker that ran a guest has a tenant");
        let config = &self.0.config;
        if worker.spent
            || config.isolation == Isolation::Task
            || worker.runs >= config.tasks_per_worker
            || worker.born.elapsed() >= config.worker_age_max
        {
            drop(worker);
            return self.balance();
        }
        *self.lock().returning.entry(tenant.clone()).or_default() += 1;
        let pool = self.clone();
        tokio::spawn(async move {
            let ready = timeout(ARM_MAX, worker.connection.next_frame()).await;
            pool.lock().no_longer_returning(&tenant);
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

    /// Living worker processes.
    pub(super) fn alive(&self) -> usize {
        self.0.alive.load(Ordering::Relaxed)
    }

    /// Ends all workers that run no guest and refuses further ones.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let ended = (
            std::mem::take(&mut state.armed),
            std::mem::take(&mut state.idle),
            std::mem::take(&mut state.waiting),
        );
        drop(state);
        drop(ended);
    }

    fn offer(&self, mut worker: Worker) {
        worker.idle_since = Instant::now();
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

    /// Starts as many workers as are wanted and allowed, making room where idle ones of other
    /// tenants take it.
    fn balance(&self) {
        let mut evicted = Vec::new();
        let mut state = self.lock();
        state.waiting.retain(|waiting| !waiting.grant.is_closed());
        let wanted = state.wanted() + self.0.config.workers_spare.saturating_sub(state.armed.len());
        let alive_max = self.0.config.workers_max + self.0.config.workers_spare;
        while !state.closed && state.coming < wanted {
            if self.alive() + state.coming >= alive_max + evicted.len() {
                match state.longest_idle() {
                    Some(worker) => evicted.push(worker),
                    None => break,
                }
            }
            state.coming += 1;
            let pool = self.clone();
            tokio::spawn(async move {
                let armed = pool.arm().await;
                pool.lock().coming -= 1;
                match armed {
                    Ok(worker) => pool.offer(worker),
                    Err(error) => pool.report(error),
                }
            });
        }
        drop(state);
    }

    /// A start failed: tells one who waits. Nothing is started again before somebody asks or a
    /// sweep comes.
    fn report(&self, error: SandboxError) {
        tracing::error!(error = %error, cause = ?std::error::Error::source(&error), "a worker \
            could not be started");
        if let Some(waiting) = self.lock().waiting.pop_front() {
            drop(waiting.grant.send(Err(error)));
        }
    }

    async fn arm(&self) -> Result<Worker, SandboxError> {
        let failed =
            |what: String| SandboxError::WorkerStart { source: std::io::Error::other(what) };
        let alive = Alive::new(&self.0.alive);
        let mut process =
            self.0.spawner.spawn().await.map_err(|source| SandboxError::WorkerStart { source })?;
        let socket = process.socket.take().expect("a fresh process has its socket");
        let mut connection =
            Connection::new(socket).map_err(|source| SandboxError::WorkerStart { source })?;
        let setup = serde_json::to_vec(&self.0.config.setup).expect("numbers and booleans only");
        connection.send(Kind::Setup, 0, &[&setup]);
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
            if armed.version != protocol::VERSION {
                return Err(failed(format!(
                    "it speaks frames of version {}, not {}",
                    armed.version,
                    protocol::VERSION
                )));
            }
            match connection.next_frame().await {
                Ok(frame) if frame.kind == Kind::Ready => Ok(armed),
                other => Err(failed(format!("not ready: {other:?}"))),
            }
        };
        let armed = timeout(ARM_MAX, armed)
            .await
            .map_err(|_| failed(format!("not armed after {ARM_MAX:?}")))??;
        if let Some(pid) = armed.engine_pid {
            process.take_engine(pid).map_err(|source| SandboxError::WorkerStart { source })?;
        }
        let now = Instant::now();
        Ok(Worker {
            connection,
            process,
            runs: 0,
            spent: false,
            armed,
            tenant: None,
            born: now,
            idle_since: now,
            _alive: alive,
        })
    }

    fn sweep(&self) {
        let mut old = Vec::new();
        {
            let mut state = self.lock();
            for workers in state.idle.values_mut() {
                old.extend(
                    workers.extract_if(.., |worker| worker.idle_since.elapsed() >= IDLE_MAX),
                );
            }
            state.idle.retain(|_, workers| !workers.is_empty());
            old.extend(state.armed.extract_if(.., |worker| !worker.connection.silent()));
        }
        drop(old);
        self.balance();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock()
    }
}

impl State {
    /// An idle worker of the tenant, else an armed one. One that died or spoke unasked meanwhile is
    /// passed over and buried.
    fn ready_worker(&mut self, tenant: &str) -> Option<Worker> {
        let idle = self.idle.get_mut(tenant).map(std::mem::take).unwrap_or_default();
        let mut fit: Vec<_> =
            idle.into_iter().filter(|worker| worker.connection.silent()).collect();
        let worker = fit.pop();
        if fit.is_empty() {
            self.idle.remove(tenant);
        } else {
            self.idle.insert(tenant.to_owned(), fit);
        }
        worker.or_else(|| {
            std::iter::from_fn(|| self.armed.pop()).find(|worker| worker.connection.silent())
        })
    }

    /// Gives the worker to the first who waits and may have it; gives it back where there is
    /// nobody.
    fn grant(&mut self, mut worker: Worker) -> Option<Worker> {
        let mut at = 0;
        while at < self.waiting.len() {
            if worker.tenant.as_ref().is_none_or(|tenant| *tenant == self.waiting[at].tenant) {
                let waiting = self.waiting.remove(at).expect("the index is within bounds");
                match waiting.grant.send(Ok(worker)) {
                    Ok(()) => return None,
                    Err(back) => worker = back.expect("a worker was sent, not an error"),
                }
            } else {
                at += 1;
            }
        }
        Some(worker)
    }

    /// How many workers those who wait lack, beyond the ones that return to their tenant.
    fn wanted(&self) -> usize {
        let mut per_tenant = HashMap::<&str, usize>::new();
        for waiting in &self.waiting {
            *per_tenant.entry(&waiting.tenant).or_default() += 1;
        }
        per_tenant
            .iter()
            .map(|(tenant, count)| {
                count.saturating_sub(self.returning.get(*tenant).copied().unwrap_or(0))
            })
            .sum()
    }

    fn no_longer_returning(&mut self, tenant: &str) {
        if let Some(count) = self.returning.get_mut(tenant) {
            *count -= 1;
            if *count == 0 {
                self.returning.remove(tenant);
            }
        }
    }

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

impl Worker {
    fn lease(mut self, tenant: &str) -> Self {
        debug_assert!(self.tenant.as_deref().is_none_or(|owner| owner == tenant));
        self.tenant = Some(tenant.to_owned());
        self
    }

    /// Gives the process the lowest priority. It cannot be raised again, so the worker serves no
    /// further run.
    pub(super) fn demote(&mut self) {
        self.spent = true;
        self.process.lower_priority();
    }

    /// Lets the worker serve only the run it is leased for.
    pub(super) fn retire(&mut self) {
        self.spent = true;
    }
}
