//! Keeps one upstream connected: connects, lists its tools, watches it, connects again. Bounds the
//! number and the time of calls to it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::{Semaphore, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    CallNews, Connection, ConnectionEvent, Upstream,
    error::{ConnectError, UpstreamError, UpstreamErrorCode},
    response::{LARGE_BYTES, ResponseLimits, ToolResponse},
    start_queue::{Demand, StartQueue},
    state::{ConnectionState, RetryAt, UpstreamState, UpstreamStatus},
    tool_list::{ToolList, relist_pause},
};
use crate::{
    base::{
        backoff::{Backoff, chance},
        text::cut,
    },
    catalog::{
        redact::Secrets,
        registry::{ToolRegistry, disk_cache::ToolCache},
        tool::Tool,
    },
    model::JsonObject,
};

/// Calls to one upstream that run at once.
pub const CALLS_MAX: usize = 64;
/// Calls to one upstream that wait for one of those slots.
pub const WAITING_MAX: usize = 1_024;
/// Pause before an upstream is connected to again, so that upstreams that failed together do not
/// march in step.
const BACKOFF: Backoff =
    Backoff::new(Duration::from_millis(500), Duration::from_secs(30)).with_jitter(0.25);
/// Pause before an upstream whose address was refused is tried again: that is a matter of the
/// configuration, and only the address of a name may change by itself. Asking for a refresh comes
/// before it.
const LASTING_PAUSE: Duration = Duration::from_secs(10 * 60);
/// Time that calls under way have to end once their upstream is configured no more.
const RETIRE_WITHIN: Duration = Duration::from_secs(5);
/// A connection that held this long had no trouble of its own, so the pauses start over.
const STEADY: Duration = Duration::from_secs(20);
/// Longest reason for an outage that is shown with an upstream's tools, in bytes.
const TROUBLE_BYTES_MAX: usize = 300;
/// Longest warning of a response, in bytes.
const WARNING_BYTES_MAX: usize = 2 * 1024;

/// Limits of trust in what an upstream says.
pub(in crate::catalog) struct TrustSettings {
    /// True if what it says of its tools is believed.
    pub(in crate::catalog) trusted: bool,
    /// Size limits of its responses.
    pub(in crate::catalog) response_limits: ResponseLimits,
}

/// Supervises the connection to one upstream.
pub(in crate::catalog) struct UpstreamSupervisor {
    name: Arc<str>,
    upstream: Box<dyn Upstream>,
    secrets: Secrets,
    call_timeout: Duration,
    start_timeout: Duration,
    trust: TrustSettings,
    registry: Arc<ToolRegistry>,
    /// Orders its starts among those of the others.
    start_queue: StartQueue,
    demand: Demand,
    link: watch::Sender<ConnectionState>,
    /// Cancelled when it is to end.
    stop: CancellationToken,
    /// Cancelled when calls under way are to end, because it is configured no more.
    retired: CancellationToken,
    /// True once it has ended, and everything that it started.
    closed: watch::Sender<bool>,
    /// True if the first answer or failure is in.
    settled: watch::Sender<bool>,
    /// True if its tools are known, if only from before, or it failed.
    listed: watch::Sender<bool>,
    tools: ToolList,
    refresh_after: Duration,
    /// Refreshes that were asked for, and up to which of them was answered.
    asked: watch::Sender<u64>,
    answered: watch::Sender<u64>,
    call_slots: Semaphore,
    /// Slots and queue together, so that the queue has a limit.
    entries: Semaphore,
}

impl UpstreamSupervisor {
    pub(in crate::catalog) fn new(
        name: Arc<str>,
        upstream: Box<dyn Upstream>,
        secrets: Secrets,
        (call_timeout, start_timeout, refresh_after): (Duration, Duration, Duration),
        trust: TrustSettings,
        (registry, kept): (Arc<ToolRegistry>, Option<Arc<ToolCache>>),
        (start_queue, stop): (StartQueue, CancellationToken),
    ) -> Arc<Self> {
        Arc::new(Self {
            tools: ToolList::new(
                name.clone(),
                upstream.as_ref(),
                secrets.clone(),
                trust.trusted,
                registry.clone(),
                kept,
            ),
            name,
            upstream,
            secrets,
            call_timeout,
            start_timeout,
            trust,
            registry,
            start_queue,
            demand: Demand::default(),
            link: watch::Sender::new(ConnectionState::Connecting),
            stop,
            retired: CancellationToken::new(),
            closed: watch::Sender::new(false),
            settled: watch::Sender::new(false),
            listed: watch::Sender::new(false),
            refresh_after,
            asked: watch::Sender::new(0),
            answered: watch::Sender::new(0),
            call_slots: Semaphore::new(CALLS_MAX),
            entries: Semaphore::new(CALLS_MAX + WAITING_MAX),
        })
    }

    /// Lives until the catalog stops, or until it is retired.
    pub(in crate::catalog) fn run(self: &Arc<Self>, tasks: &TaskTracker) {
        let supervisor = self.clone();
        tasks.spawn(async move {
            supervisor.supervise(&supervisor.stop).await;
            let last = supervisor.link.send_replace(ConnectionState::Stopped);
            supervisor.settle();
            supervisor.answered.send_replace(u64::MAX);
            supervisor.tools.keep_now().await;
            if let ConnectionState::Ready { connection, .. } = last {
                connection.close().await;
            }
            supervisor.closed.send_replace(true);
        });
    }

    /// Ends it because it is configured no more. Calls under way have [`RETIRE_WITHIN`] to end
    /// first.
    pub(in crate::catalog) async fn retire(&self) {
        // Whoever has an entry has a call under way.
        let all = (CALLS_MAX + WAITING_MAX) as u32;
        let ended = tokio::time::timeout(RETIRE_WITHIN, self.entries.acquire_many(all)).await;
        if ended.is_err() {
            tracing::warn!(upstream = %self.name, "calls of upstream `{}`, which is configured no \
                more or otherwise, are ended", self.name);
        }
        self.retired.cancel();
        self.stop.cancel();
    }

    /// Waits until it has ended, and everything that it started.
    pub(in crate::catalog) async fn closed(&self) {
        let mut closed = self.closed.subscribe();
        // An error cannot come while `self` holds the sender.
        let _ = closed.wait_for(|closed| *closed).await;
    }

    /// Shows a new state of the connection.
    fn show(&self, state: ConnectionState) {
        self.link.send_replace(state);
        self.registry.note_state();
    }

    /// True for a tool that it offers itself, and not an earlier upstream of the same name, which
    /// may have been another service.
    pub(in crate::catalog) fn owns(&self, tool: &Tool) -> bool {
        Arc::ptr_eq(&self.name, &tool.upstream)
    }

    async fn supervise(&self, stop: &CancellationToken) {
        let mut failures = 0u32;
        loop {
            let began = Instant::now();
            let asked = *self.asked.borrow();
            let reached = tokio::select! {
                reached = self.connect_and_list() => reached,
                () = stop.cancelled() => return,
            };
            let next = match reached {
                Ok(connection) => {
                    failures += 1;
                    let why = tokio::select! {
                        why = self.watch(connection.as_ref()) => why,
                        () = stop.cancelled() => return,
                    };
                    if began.elapsed() > STEADY {
                        failures = 1;
                    }
                    tracing::warn!(upstream = %self.name, "upstream `{}` is lost and will be \
                        reached again: {why}", self.name);
                    let next = RetryAt {
                        at: Instant::now() + BACKOFF.after_with(failures, chance()),
                        permanent: false,
                    };
                    self.show(if failures > 3 {
                        ConnectionState::Failed { reason: why, next }
                    } else {
                        ConnectionState::Connecting
                    });
                    connection.close().await;
                    next
                }
                Err(error) => {
                    failures += 1;
                    let reason = self.reason(&error);
                    tracing::warn!(
                        upstream = %self.name, "upstream `{}` failed: {reason}", self.name
                    );
                    let pause = if error.permanent {
                        LASTING_PAUSE
                    } else {
                        BACKOFF.after_with(failures, chance())
                    };
                    let next = RetryAt { at: Instant::now() + pause, permanent: error.permanent };
                    self.show(ConnectionState::Failed { reason, next });
                    self.settle();
                    self.answered.send_replace(asked);
                    next
                }
            };
            tokio::select! {
                () = tokio::time::sleep_until(next.at.into()) => {}
                // A requested refresh does not wait for the pause.
                () = self.refresh_asked() => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Connects and lists; ready only once its tools can be found.
    async fn connect_and_list(&self) -> Result<Arc<dyn Connection>, ConnectError> {
        let asked = *self.asked.borrow();
        let start = async {
            let connection: Arc<dyn Connection> = Arc::from(self.upstream.connect().await?);
            let offer = match connection.tools().await {
                Ok(offer) => offer,
                Err(error) => {
                    connection.close().await;
                    return Err(error);
                }
            };
            Ok((connection, offer))
        };
        let start = tokio::time::timeout(self.start_timeout, start);
        let started = self.start_queue.perform(&self.demand, start).await;
        let (connection, offer) = started.unwrap_or_else(|_| {
            let limit = self.start_timeout.as_millis();
            Err(ConnectError::new(format!(
                "it did not finish its handshake and tool list within {limit} ms"
            ))
            .hint("raise `start_timeout_ms` of the upstream if it is merely slow"))
        })?;
        let note = self.tools.publish(offer).await;
        self.show(ConnectionState::Ready { connection: connection.clone(), note });
        self.settle();
        self.answered.send_replace(asked);
        Ok(connection)
    }

    fn settle(&self) {
        self.settled.send_replace(true);
        self.listed.send_replace(true);
    }

    /// Returns at once while a refresh is asked for and not answered, else when one is.
    async fn refresh_asked(&self) {
        let mut asked = self.asked.subscribe();
        // An error cannot come while `self` holds the sender.
        let _ = asked.wait_for(|asked| *asked > *self.answered.borrow()).await;
    }

    /// Lists the tools again, or connects the upstream again if it is down; waits for the outcome,
    /// at most as long as two starts may take.
    pub(in crate::catalog) async fn refresh(&self, is_alone: bool) {
        let _waiting = is_alone.then(|| self.demand.wait());
        let mut mine = 0;
        self.asked.send_modify(|asked| {
            *asked += 1;
            mine = *asked;
        });
        let mut answered = self.answered.subscribe();
        // Running out of time is an outcome too: the status tells how it stands.
        let _ = tokio::time::timeout(
            self.start_timeout * 2,
            answered.wait_for(|answered| *answered >= mine),
        )
        .await;
    }

    /// Refreshes the list as often as the upstream asks, within reason; returns why the connection
    /// is of no more use.
    async fn watch(&self, connection: &dyn Connection) -> String {
        // Kept over a refresh: the end of a connection is notified once.
        let mut event = connection.event();
        let (mut listed, mut not_before, mut is_wanted) = (Instant::now(), Instant::now(), false);
        loop {
            tokio::select! {
                happened = &mut event => match happened {
                    ConnectionEvent::Closed(why) => return why,
                    ConnectionEvent::ListChanged => {
                        event = connection.event();
                        is_wanted = true;
                        continue;
                    }
                },
                () = tokio::time::sleep_until(not_before.into()), if is_wanted => {}
                () = self.refresh_asked() => {}
                // Listed again without a notification; never, if the owner says so.
                () = tokio::time::sleep_until((listed + self.refresh_after).into()),
                    if !self.refresh_after.is_zero() => {}
                () = self.tools.keep_due() => {
                    self.tools.keep_now().await;
                    continue;
                }
            }
            is_wanted = false;
            let (began, asked) = (Instant::now(), *self.asked.borrow());
            let relisted = tokio::time::timeout(self.start_timeout, connection.tools()).await;
            match relisted {
                Ok(Ok(offer)) => {
                    let note = self.tools.publish(offer).await;
                    self.link.send_modify(|link| {
                        if let ConnectionState::Ready { note: shown, .. } = link {
                            *shown = note;
                        }
                    });
                    self.answered.send_replace(asked);
                }
                Ok(Err(error)) => return self.reason(&error),
                Err(_) => {
                    return format!(
                        "it did not list its tools within {} ms",
                        self.start_timeout.as_millis()
                    );
                }
            }
            listed = Instant::now();
            not_before = listed + relist_pause(began.elapsed());
        }
    }

    /// Cached tools of the last run. Blocks.
    pub(in crate::catalog) fn recall(&self) -> Option<Vec<Arc<Tool>>> {
        self.tools.recall()
    }

    /// Its tools of the last run can be found.
    pub(in crate::catalog) fn recalled(&self) {
        self.listed.send_replace(true);
    }

    /// Waits until its tools are known, if only from before, or it failed.
    pub(in crate::catalog) async fn listed(&self) {
        let mut listed = self.listed.subscribe();
        // The caller bounds the wait; an error cannot come while `self` holds the sender.
        let _ = listed.wait_for(|listed| *listed).await;
    }

    /// Reason why calls fail, while they do.
    pub(in crate::catalog) fn trouble(&self) -> Option<String> {
        match &*self.link.borrow() {
            ConnectionState::Failed { reason, .. } => {
                Some(cut(reason, TROUBLE_BYTES_MAX).to_owned())
            }
            _ => None,
        }
    }

    fn reason(&self, error: &ConnectError) -> String {
        let text = match &error.hint {
            Some(hint) => format!("{}; {hint}", error.message),
            None => error.message.clone(),
        };
        cut(&self.secrets.redact(&text), 2_000).to_owned()
    }

    pub(in crate::catalog) fn name(&self) -> &str {
        &self.name
    }

    /// Its name, by whose identity its tools are known as its own.
    pub(in crate::catalog) fn shared_name(&self) -> Arc<str> {
        self.name.clone()
    }

    /// Its status; `tools` is the number that the catalog holds.
    pub(in crate::catalog) fn status(&self, tools: usize) -> UpstreamStatus {
        let (status, message) = match &*self.link.borrow() {
            ConnectionState::Connecting => (UpstreamState::Connecting, None),
            ConnectionState::Ready { connection, note } => {
                let remark =
                    connection.remark().map(|remark| self.secrets.redact(&remark).into_owned());
                let notes: Vec<String> = note.iter().cloned().chain(remark).collect();
                let notes = (!notes.is_empty()).then(|| notes.join("; "));
                (UpstreamState::Ready, connection.trouble().or(notes))
            }
            ConnectionState::Failed { reason, .. } => (UpstreamState::Failed, Some(reason.clone())),
            ConnectionState::Stopped => {
                (UpstreamState::Failed, Some("the server is stopping".to_owned()))
            }
        };
        let progress = self.upstream.progress();
        UpstreamStatus {
            name: self.name.to_string(),
            kind: self.upstream.kind(),
            status,
            tools,
            message,
            progress,
        }
    }

    /// Waits for the first answer or failure like [`Self::settled`], and has its start come first:
    /// somebody calls it.
    pub(in crate::catalog) async fn settled_first(&self) {
        let _waiting = self.demand.wait();
        self.settled().await;
    }

    /// Waits for the first answer or failure, at most as long as a start may take.
    pub(in crate::catalog) async fn settled(&self) {
        let mut settled = self.settled.subscribe();
        // Running out of time is an outcome too: the caller looks at what there is.
        let _ =
            tokio::time::timeout(self.start_timeout, settled.wait_for(|settled| *settled)).await;
    }

    /// Reason why nothing is known of it, for a path that begins with its name.
    pub(in crate::catalog) fn outage(&self) -> Option<String> {
        match &*self.link.borrow() {
            ConnectionState::Ready { .. } => None,
            ConnectionState::Connecting => {
                Some(format!("upstream `{}` is still being connected", self.name))
            }
            ConnectionState::Failed { reason, next } => Some(format!(
                "upstream `{}` is not available: {reason}; {}",
                self.name,
                next.summary()
            )),
            ConnectionState::Stopped => {
                Some(format!("upstream `{}` is not available: the server is stopping", self.name))
            }
        }
    }

    /// Performs one call; if it is dropped, the upstream is asked to cancel. Progress that it
    /// reports goes to `news`, free of secrets.
    pub(in crate::catalog) async fn call(
        &self,
        tool: &Tool,
        args: JsonObject,
        news: CallNews,
    ) -> Result<ToolResponse, UpstreamError> {
        let secrets = self.secrets.clone();
        let news: CallNews = Arc::new(move |text: &str| news(&secrets.redact(text)));
        match self.call_unredacted(tool, args, news).await {
            Ok(response) => self.redacted(tool, response).await,
            Err(mut error) => {
                error.message = cut(&self.secrets.redact(&error.message), 4_096).to_owned();
                Err(error)
            }
        }
    }

    /// The response without secrets, if it is within the owner's limit.
    async fn redacted(
        &self,
        tool: &Tool,
        response: ToolResponse,
    ) -> Result<ToolResponse, UpstreamError> {
        let ToolResponse { json, media, mut permit, warning } = response;
        let media_bytes: usize = media.iter().map(|block| block.data.len()).sum();
        if json.get().len().saturating_add(media_bytes) > LARGE_BYTES && permit.is_none() {
            permit = Some(self.trust.response_limits.memory_permit().await);
        }
        let is_secret = media
            .iter()
            .any(|block| self.secrets.is_in(&block.data) || self.secrets.is_in(&block.mime_type));
        let json = self.secrets.redact_json(json).filter(|_| !is_secret).ok_or_else(|| {
            let message = format!(
                "the response of `{}` contains a configured secret that cannot be redacted",
                tool.path
            );
            UpstreamError::new(UpstreamErrorCode::BadAnswer, tool, message)
        })?;
        let warning =
            warning.map(|text| cut(&self.secrets.redact(&text), WARNING_BYTES_MAX).to_owned());
        let response = ToolResponse { json, media, permit, warning };
        // Checked last: what stands in for a secret may be longer than the secret.
        let bytes_max = self.trust.response_limits.bytes_max();
        match response.bytes() > bytes_max {
            true => Err(UpstreamError::too_large(tool, bytes_max)),
            false => Ok(response),
        }
    }

    async fn call_unredacted(
        &self,
        tool: &Tool,
        args: JsonObject,
        news: CallNews,
    ) -> Result<ToolResponse, UpstreamError> {
        let Ok(_entry) = self.entries.try_acquire() else {
            let message = format!(
                "{} calls wait for `{}` already, which is the limit",
                CALLS_MAX + WAITING_MAX,
                self.name
            );
            return Err(UpstreamError::new(UpstreamErrorCode::Busy, tool, message).retryable(true));
        };
        let connection = self.connection(tool).await?;
        let perform = async {
            // The semaphore is never closed; were it, the call would go on without a slot.
            let _slot = self.call_slots.acquire().await;
            connection.call_followed(tool, args, news).await
        };
        let performed = tokio::select! {
            performed = tokio::time::timeout(self.call_timeout, perform) => {
                performed.unwrap_or_else(|_| {
                    connection.note_timeout();
                    Err(UpstreamError::late(tool, self.call_timeout))
                })
            }
            () = self.retired.cancelled() => Err(UpstreamError::retired(tool)),
        };
        performed.map_err(|error| {
            // The loss may be seen before its cause.
            let is_cut = error.code == UpstreamErrorCode::Lost && self.retired.is_cancelled();
            if is_cut { UpstreamError::retired(tool) } else { error }
        })
    }

    /// Destination of calls of this tool, if it is known now.
    pub(in crate::catalog) fn route(&self, tool: &Tool) -> Option<String> {
        match &*self.link.borrow() {
            ConnectionState::Ready { connection, .. } => connection.route(tool),
            _ => None,
        }
    }

    /// The connection, waiting for one that is being made.
    async fn connection(&self, tool: &Tool) -> Result<Arc<dyn Connection>, UpstreamError> {
        let unavailable = |message: String| {
            UpstreamError::new(UpstreamErrorCode::Unavailable, tool, message).retryable(true)
        };
        let _waiting = self.demand.wait();
        let mut link = self.link.subscribe();
        // A connection that broke a moment ago may still be shown; the next thing shown is a better
        // one, or why there is none.
        let is_decided = |link: &ConnectionState| match link {
            ConnectionState::Connecting => false,
            ConnectionState::Ready { connection, .. } => connection.is_open(),
            ConnectionState::Failed { .. } | ConnectionState::Stopped => true,
        };
        let decided = tokio::time::timeout(self.start_timeout, link.wait_for(is_decided)).await;
        match decided {
            Ok(Ok(link)) => match &*link {
                ConnectionState::Ready { connection, .. } => Ok(connection.clone()),
                ConnectionState::Failed { reason, next } => {
                    let message = format!(
                        "upstream `{}` is not available: {reason}; {}",
                        self.name,
                        next.summary()
                    );
                    Err(unavailable(message).retryable(!next.permanent))
                }
                ConnectionState::Connecting | ConnectionState::Stopped => {
                    Err(unavailable(format!("upstream `{}` is being stopped", self.name)))
                }
            },
            Ok(Err(_)) => Err(unavailable(format!("upstream `{}` is being stopped", self.name))),
            Err(_) => {
                let waited = self.start_timeout.as_millis();
                Err(unavailable(format!(
                    "upstream `{}` is still connecting after {waited} ms; try again later",
                    self.name
                )))
            }
        }
    }
}
