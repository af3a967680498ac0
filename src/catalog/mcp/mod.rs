//! Upstreams that speak the Model Context Protocol, as a child process or over streamable HTTP, in
//! both eras of the protocol.
//!
//! A server is untrusted: the size and number of what it lists, sends or asks for are bounded here.
//! It is offered neither elicitation nor sampling, and asking for them anyway is refused.

mod answer;
pub(super) mod backpressure;
pub(super) mod breaker;
mod client_events;
pub(super) mod config;
pub(super) mod elicitation;
mod elsewhere;
mod factory;
mod failure;
pub(super) mod http_client;
mod incoming;
mod intake;
mod lines;
mod listing;
mod lookup;
mod message;
mod old_transport;
mod process;
mod progress;
pub(super) mod reconnect;
mod refused_credential;
mod remarks;
mod reply;
mod results;
mod session;
mod unclosed;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use parking_lot::Mutex;
use rmcp::{
    RoleClient,
    model::{CancelledNotificationParam, ProtocolVersion, RequestId, SubscriptionFilter},
    service::{
        ClientCacheConfig, ClientInitializeError, ClientLifecycleMode, ClientServiceExt, Peer,
        PeerRequestOptions, RunningService, ServiceError,
    },
    transport::{
        StreamableHttpClientTransport, async_rw::AsyncRwTransport,
        streamable_http_client::StreamableHttpClientTransportConfig,
    },
};
use tokio::sync::{Notify, watch};
use tracing::Instrument;

use self::{
    backpressure::{BoundedTransport, CloseReason},
    breaker::Breaker,
    client_events::ClientEvents,
    config::{HttpConfig, StdioConfig},
    elsewhere::AnsweredElsewhere,
    http_client::HttpTransport,
    incoming::Incoming,
    lines::LineReader,
    lookup::Lookup,
    process::Process,
    reply::ReplyReader,
    results::{CallResult, CallResults},
};
use super::{
    credential::{CredentialProvider, resolve::resolve},
    http::client,
    net::guard::AddressPolicy,
    redact::Secrets,
    tool::Tool,
    upstream::{
        CallNews, Connection, ConnectionEvent, Offer, Upstream,
        error::{ConnectError, UpstreamError, UpstreamErrorCode},
        response::ToolResponse,
    },
};
use crate::{base::backoff::Backoff, model::JsonObject};

/// Calls to one server that are on their way at once over HTTP; the supervisor in front admits no
/// more.
const HTTP_POSTS_MAX: usize = 80;
/// Longest wait for the protocol to wind down before the process is ended by force.
const CLOSE_WAIT: Duration = Duration::from_secs(2);
/// Pause before a broken subscription of the modern era is opened again.
const LISTEN_PAUSE: Backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(60));

/// An MCP server as a child process.
struct McpStdio {
    pub(super) name: Arc<str>,
    pub(super) config: StdioConfig,
    /// The child's whole environment.
    pub(super) environment: BTreeMap<String, String>,
    pub(super) secrets: Secrets,
}

/// An MCP server behind a URL.
struct McpHttp {
    config: HttpConfig,
    addresses: AddressPolicy,
    credentials: Arc<CredentialProvider>,
}

impl McpHttp {
    pub(super) fn new(config: HttpConfig, secrets: Secrets) -> Self {
        let addresses = config.access.address_policy();
        let credentials = Arc::new(config.access.credential_provider(secrets));
        Self { config, addresses, credentials }
    }
}

impl Upstream for McpStdio {
    fn kind(&self) -> &'static str {
        "mcp"
    }

    fn origin(&self) -> String {
        std::iter::once(&self.config.command)
            .chain(&self.config.args)
            .cloned()
            .collect::<Vec<_>>()
            .join("\0")
    }

    fn connect(&self) -> BoxFuture<'_, Result<Box<dyn Connection>, ConnectError>> {
        Box::pin(async move {
            // The legacy handshake comes first: servers of both eras answer it, and old ones may
            // ignore, or die of, anything else.
            match self.start(ClientLifecycleMode::Initialize).await {
                Ok(connection) => Ok(connection),
                Err(Start::Refused(refusal)) => match self.start(modern()).await {
                    Ok(connection) => Ok(connection),
                    Err(Start::Refused(_)) => Err(refusal),
                    Err(Start::Failed(error)) => Err(error),
                },
                Err(Start::Failed(error)) => Err(error),
            }
        })
    }
}

/// Reason why a start failed.
enum Start {
    /// The server is there and does not speak this era.
    Refused(ConnectError),
    /// A server that cannot be used at all.
    Failed(ConnectError),
}

impl McpStdio {
    /// The environment with the secrets that are kept elsewhere.
    async fn whole_environment(&self) -> Result<BTreeMap<String, String>, ConnectError> {
        let mut environment = self.environment.clone();
        for (name, source) in &self.config.env_secret {
            let value = resolve(source, self.config.vault.as_ref()).await;
            let value = value.map_err(|why| {
                ConnectError::new(format!("its variable `{name}` cannot be set: {why}"))
            })?;
            self.secrets.add(&value);
            environment.insert(name.clone(), value);
        }
        Ok(environment)
    }

    async fn start(&self, era: ClientLifecycleMode) -> Result<Box<dyn Connection>, Start> {
        let environment = self.whole_environment().await.map_err(Start::Failed)?;
        let (mut process, stdout, stdin) =
            Process::spawn(&self.name, &self.config, &environment, &self.secrets)
                .map_err(Start::Failed)?;
        let (close_reason, incoming) =
            (CloseReason::default(), Incoming::new("lines to its standard output"));
        let lines = LineReader {
            response_limits: self.config.response_limits.clone(),
            incoming: incoming.clone(),
            close_reason: close_reason.clone(),
        };
        let transport = AsyncRwTransport::new_client(lines.read(stdout), stdin)
            .with_max_line_length(usize::MAX);
        let transport = BoundedTransport::new(
            transport,
            close_reason.clone(),
            backpressure::OWED_MAX,
            Some(backpressure::TAKE_MAX),
            incoming.results.clone(),
        );
        let client_events = ClientEvents::default();
        match client_events.clone().serve_with_lifecycle(transport, era).await {
            Ok(running) => {
                let endpoint = Endpoint::Child(process);
                Ok(McpConnection::over(running, client_events, (close_reason, incoming), endpoint)
                    .await)
            }
            Err(error) => {
                let refused = matches!(error, ClientInitializeError::JsonRpcError(_));
                let mut failure = failure::of_child(&self.config.command, &error);
                process.end().await;
                if let Some(stderr) = process.stderr_tail() {
                    failure.message = format!("{}; it said: {stderr}", failure.message);
                }
                Err(if refused { Start::Refused(failure) } else { Start::Failed(failure) })
            }
        }
    }
}

impl Upstream for McpHttp {
    fn kind(&self) -> &'static str {
        "mcp"
    }

    fn origin(&self) -> String {
        self.config.url.clone()
    }

    fn connect(&self) -> BoxFuture<'_, Result<Box<dyn Connection>, ConnectError>> {
        Box::pin(async move {
            let shown = failure::shown_url(&self.config.url);
            let unreachable =
                |why: String| ConnectError::new(format!("`{shown}` cannot be reached: {why}"));
            let url = url::Url::parse(&self.config.url)
                .map_err(|error| unreachable(error.to_string()))?;
            self.addresses.check(&url).map_err(|why| unreachable(why).permanent(true))?;
            // None is kept: one whose answer was not read to its end stalls the next request.
            let client = self.addresses.client(&url, http_client::redirects(), 0)?;
            let header_map = client::headers(&self.config.access)?;
            let headers =
                header_map.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
            let config = StreamableHttpClientTransportConfig::with_uri(self.config.url.as_str())
                .max_concurrent_requests(HTTP_POSTS_MAX)
                .custom_headers(headers)
                .max_sse_event_size(message::BYTES_MAX);
            let client_events = ClientEvents::default();
            let (close_reason, incoming) =
                (CloseReason::default(), Incoming::new("events to its event stream"));
            let replies = ReplyReader {
                response_limits: self.config.access.shared.response_limits.clone(),
                incoming: incoming.clone(),
                doubt: client_events.list_changed.clone(),
                elsewhere: AnsweredElsewhere::default(),
            };
            let transport = StreamableHttpClientTransport::with_client(
                HttpTransport::new(client.clone(), self.credentials.clone(), replies),
                config,
            );
            // A request is taken only once it is answered, so that the time of the call bounds it.
            let transport = BoundedTransport::new(
                transport,
                close_reason.clone(),
                backpressure::OWED_MAX,
                None,
                incoming.results.clone(),
            );
            let era = ClientLifecycleMode::Auto {
                preferred_versions: vec![ProtocolVersion::V_2026_07_28],
                legacy_version: None,
            };
            let running = client_events.clone().serve_with_lifecycle(transport, era).await;
            let running = match running {
                Ok(running) => running,
                Err(error) => {
                    let failed = failure::of_address(&shown, &error);
                    return Err(match failure::is_other_endpoint(&error) {
                        false => failed,
                        true => {
                            old_transport::named(failed, &client, &url, header_map, &shown).await
                        }
                    });
                }
            };
            let breaker = Endpoint::Http(Breaker::new(self.config.access.call_timeout));
            Ok(McpConnection::over(running, client_events, (close_reason, incoming), breaker).await)
        })
    }
}

fn modern() -> ClientLifecycleMode {
    ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] }
}

/// An open connection to a server.
struct McpConnection {
    peer: Peer<RoleClient>,
    client_events: ClientEvents,
    close_reason: CloseReason,
    incoming: Incoming,
    /// True once the protocol has ended.
    closed: watch::Receiver<bool>,
    stop: tokio_util::sync::CancellationToken,
    // A plain mutex: the process is only taken out, never awaited under the lock.
    process: Mutex<Option<Process>>,
    /// Breaker for the calls of a server behind a URL.
    breaker: Option<Breaker>,
}

/// The other end of a connection.
enum Endpoint {
    Child(Process),
    Http(Breaker),
}

impl McpConnection {
    async fn over(
        running: RunningService<RoleClient, ClientEvents>,
        client_events: ClientEvents,
        (close_reason, incoming): (CloseReason, Incoming),
        endpoint: Endpoint,
    ) -> Box<dyn Connection> {
        let peer = running.peer().clone();
        let mut cache = ClientCacheConfig::default();
        cache.enabled = false;
        peer.set_response_cache_config(cache).await;
        let stop = tokio_util::sync::CancellationToken::new();
        let (closed_sender, closed) = watch::channel(false);
        let end = running.cancellation_token();
        let stopped = stop.clone();
        tokio::spawn(async move {
            let mut waiting = std::pin::pin!(running.waiting());
            tokio::select! {
                _ = &mut waiting => {}
                () = stopped.cancelled() => {
                    end.cancel();
                    // Whatever it answers, it has ended.
                    let _ = waiting.await;
                }
            }
            closed_sender.send_replace(true);
        });
        let modern = peer.peer_info().is_some_and(|info| !info.protocol_version.has_initialize());
        if modern {
            tokio::spawn(listen(
                peer.clone(),
                client_events.list_changed.clone(),
                closed.clone(),
                stop.clone(),
            ));
        }
        let (process, breaker) = match endpoint {
            Endpoint::Child(process) => (Some(process), None),
            Endpoint::Http(breaker) => (None, Some(breaker)),
        };
        Box::new(Self {
            peer,
            client_events,
            close_reason,
            incoming,
            closed,
            stop,
            process: Mutex::new(process),
            breaker,
        })
    }

    /// Sends one call; if it is dropped before its end, the server is asked to cancel.
    async fn send(
        &self,
        tool: &Tool,
        args: JsonObject,
        news: CallNews,
    ) -> Result<CallResult, ServiceError> {
        let request = lookup::request(tool, args);
        let method = Lookup::of(tool).map_or("tools/call", Lookup::method);
        // The library's own way of calling keeps the token to itself.
        let handle =
            self.peer.send_cancellable_request(request, PeerRequestOptions::no_options()).await?;
        let _followed = self.client_events.progress.follow(handle.progress_token.clone(), news);
        let id = handle.id.clone();
        let results = &self.incoming.results;
        let mut unfinished =
            Unfinished { peer: &self.peer, results, id: id.clone(), is_cancelled: true };
        let span = tracing::debug_span!(
            "upstream request",
            upstream = %tool.upstream,
            method,
            id = %handle.id,
        );
        let result = handle.await_response().instrument(span).await;
        unfinished.is_cancelled = false;
        result?;
        results.take(&id).ok_or(ServiceError::UnexpectedResponse)
    }

    /// Waits until the protocol has ended.
    async fn ended(&self) {
        // An error means the same: nobody is left who could say that it ended.
        let _ = self.closed.clone().wait_for(|closed| *closed).await;
    }

    fn take_process(&self) -> Option<Process> {
        self.process.lock().take()
    }
}

/// A call that is on its way. If it is dropped before its end, the server is asked to cancel it.
struct Unfinished<'a> {
    peer: &'a Peer<RoleClient>,
    results: &'a CallResults,
    id: RequestId,
    is_cancelled: bool,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.results.forget(&self.id);
        // Outside of a runtime there is no connection left either.
        if self.is_cancelled
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let (peer, id) = (self.peer.clone(), self.id.clone());
            let cancelled =
                CancelledNotificationParam::new(Some(id), Some("nobody waits for it".to_owned()));
            runtime.spawn(async move {
                // Where it cannot be told, it has gone.
                let _ = peer.notify_cancelled(cancelled).await;
            });
        }
    }
}

impl Drop for McpConnection {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Keeps a subscription to list changes open, as the modern era wants it, until the connection ends
/// or the server has none.
async fn listen(
    peer: Peer<RoleClient>,
    changed: Arc<Notify>,
    mut closed: watch::Receiver<bool>,
    stop: tokio_util::sync::CancellationToken,
) {
    let mut failures = 0;
    let receive_events = async {
        loop {
            let filter = SubscriptionFilter::builder().tools_list_changed().build();
            match peer.listen(filter).await {
                Ok(subscription)
                    if subscription.acknowledged().tools_list_changed != Some(true) =>
                {
                    return;
                }
                Ok(mut subscription) => {
                    while let Ok(Some(_)) = subscription.next().await {
                        failures = 0;
                        changed.notify_one();
                    }
                }
                // It has no such thing.
                Err(ServiceError::McpError(_)) => return,
                Err(_) => {}
            }
            failures += 1;
            tokio::time::sleep(LISTEN_PAUSE.after(failures)).await;
            // A change in the meantime was not notified.
            changed.notify_one();
        }
    };
    tokio::select! {
        () = receive_events => {}
        () = stop.cancelled() => {}
        _ = closed.wait_for(|closed| *closed) => {}
    }
}

impl Connection for McpConnection {
    fn tools(&self) -> BoxFuture<'_, Result<Offer, ConnectError>> {
        Box::pin(listing::all(&self.peer))
    }

    fn call<'a>(
        &'a self,
        tool: &'a Tool,
        args: JsonObject,
    ) -> BoxFuture<'a, Result<ToolResponse, UpstreamError>> {
        self.call_followed(tool, args, Arc::new(|_: &str| {}))
    }

    fn call_followed<'a>(
        &'a self,
        tool: &'a Tool,
        args: JsonObject,
        news: CallNews,
    ) -> BoxFuture<'a, Result<ToolResponse, UpstreamError>> {
        Box::pin(async move {
            let during = self.client_events.questions.during();
            let call = self.send(tool, args, news);
            let sent = match &self.breaker {
                Some(breaker) => breaker.pass(tool, call).await,
                None => Ok(call.await),
            };
            let outcome = match sent {
                Ok(Ok(result)) => answer::unwrap(tool, result),
                Err(error) => {
                    if error.code == UpstreamErrorCode::Timeout {
                        self.note_timeout();
                    }
                    Err(error)
                }
                Ok(Err(error)) => {
                    if failure::is_transport(&error) {
                        // Listing again finds out whether the server is gone for good.
                        self.client_events.list_changed.notify_one();
                    }
                    Err(failure::of_call(tool, &error))
                }
            };
            outcome.map_err(|mut error| {
                error.message.push_str(&during.remark().unwrap_or_default());
                error
            })
        })
    }

    fn note_timeout(&self) {
        // A server that does not list its tools in time either is started or connected again.
        self.client_events.list_changed.notify_one();
    }

    fn trouble(&self) -> Option<String> {
        self.breaker.as_ref()?.trouble()
    }

    fn remark(&self) -> Option<String> {
        self.incoming.remarks.note()
    }

    fn is_open(&self) -> bool {
        !*self.closed.borrow() && !self.peer.is_transport_closed()
    }

    fn event(&self) -> BoxFuture<'_, ConnectionEvent> {
        Box::pin(async move {
            let changed = self.client_events.list_changed.notified();
            tokio::select! {
                () = self.ended() => {}
                () = changed => return ConnectionEvent::ListChanged,
            }
            let process = self.take_process();
            let exit_reason = match process {
                Some(mut process) => {
                    process.end().await;
                    process.exit_reason()
                }
                None => "the connection was closed".to_owned(),
            };
            ConnectionEvent::Closed(self.close_reason.reason().unwrap_or(exit_reason))
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.stop.cancel();
            let process = self.take_process();
            // Winding down closes the child's standard input, after which a good child leaves.
            let _ = tokio::time::timeout(CLOSE_WAIT, self.ended()).await;
            if let Some(mut process) = process {
                process.end().await;
            }
        })
    }
}
