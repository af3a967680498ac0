//! The sessions of legacy clients.
//!
//! A session holds nothing that lasts: an idle one ends for a new one, and one that is not known,
//! because it ended or an earlier server had it, begins anew under its old id. Only a session that
//! its client has ended stays ended, as the protocol wants. Requests of a session have ids of their
//! own inside ([`RequestIds`]), so clients may repeat theirs.

use std::{
    collections::{HashSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use async_trait::async_trait;
use dashmap::DashMap;
use futures::{Stream, StreamExt, stream};
use parking_lot::Mutex;
use rmcp::{
    RoleServer,
    model::{
        ClientCapabilities, ClientJsonRpcMessage, Implementation, InitializeRequestParams,
        JsonRpcMessage, ProtocolVersion, ServerJsonRpcMessage,
    },
    service::{RxJsonRpcMessage, TxJsonRpcMessage},
    transport::{
        Transport,
        streamable_http_server::session::{
            RestoreOutcome, ServerSseMessage, SessionId, SessionManager, SessionState,
            SessionStore,
            local::{LocalSessionManager, SessionConfig},
            store::SessionStoreError,
        },
    },
};
use tokio::sync::{Mutex as AsyncMutex, MutexGuard};

use crate::transport::{
    mcp,
    request_ids::{self, Repeats, RequestIds},
};

/// Sessions at once, at most.
pub(super) const SESSIONS_MAX: usize = 4096;
/// Sessions that their clients have ended and that are remembered.
const ENDED_MAX: usize = 4096;
/// Characters of a session's id, at most. Ours have 36.
const ID_CHARS_MAX: usize = 128;
/// Time after which a silent session ends; longer than any answer is held (15 minutes).
const KEEP_ALIVE: std::time::Duration = std::time::Duration::from_secs(30 * 60);
/// The revision of a session that begins anew: the newest that has sessions.
const VERSION: ProtocolVersion = ProtocolVersion::V_2025_11_25;

type Local = LocalSessionManager;

/// [`LocalSessionManager`] with a bound, and with ids of its own for the requests.
pub(super) struct McpSessions {
    local: Local,
    sessions: DashMap<SessionId, Session>,
    /// Sessions so far.
    count: AtomicU64,
    finished: Finished,
    max: usize,
    /// Held while a session begins anew, so that no other request of it comes before its handshake.
    beginning: AsyncMutex<()>,
}

/// Sessions by id and number whose server has ended and that rmcp is about to close. It closes by
/// the id, under which another session may have begun.
type Finished = Arc<DashMap<SessionId, Vec<u64>>>;

struct Session {
    /// Distinguishes it from others under the same id.
    number: u64,
    /// Its open streams hold a clone.
    streams: Arc<()>,
    used: Instant,
    /// The handshake is over.
    is_ready: bool,
    ids: Arc<RequestIds>,
}

impl McpSessions {
    pub(super) fn new(max: usize) -> Arc<Self> {
        let mut local = Local::default();
        local.session_config = SessionConfig::default();
        local.session_config.keep_alive = Some(KEEP_ALIVE);
        Arc::new(Self {
            local,
            sessions: DashMap::new(),
            count: AtomicU64::default(),
            finished: Finished::default(),
            max,
            beginning: AsyncMutex::default(),
        })
    }

    /// The turn of a request whose session is not known and begins anew with it; none where the
    /// session is there.
    pub(super) async fn turn(&self, id: &str) -> Option<MutexGuard<'_, ()>> {
        if self.is_ready(id) {
            return None;
        }
        let turn = self.beginning.lock().await;
        (!self.is_ready(id)).then_some(turn)
    }

    fn is_ready(&self, id: &str) -> bool {
        self.sessions.get(id).is_some_and(|session| session.is_ready)
    }

    fn ids(&self, id: &SessionId) -> Option<Arc<RequestIds>> {
        self.sessions.get(id).map(|session| session.ids.clone())
    }

    /// Adds a session that has not had its handshake.
    fn add<T>(&self, id: SessionId, transport: T) -> Tracked<T> {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let ids = Arc::new(RequestIds::new(Repeats::Answered));
        let session = Session {
            number,
            streams: Arc::default(),
            used: Instant::now(),
            is_ready: false,
            ids: ids.clone(),
        };
        self.sessions.insert(id.clone(), session);
        let end = End { finished: self.finished.clone(), id, number };
        Tracked { transport, ids, _end: end }
    }

    /// Ends the sixteenth of the sessions, so that the search is not repeated each time: first
    /// those that have nothing under way and no stream open, and among them those unused for
    /// longest.
    async fn make_room(&self) {
        if self.sessions.len() < self.max {
            return;
        }
        let mut ranks: Vec<_> = self
            .sessions
            .iter()
            .map(|session| (session.activity(), session.used, session.key().clone()))
            .collect();
        ranks.sort_unstable();
        let surplus = ranks.len().saturating_sub(self.max) + self.max.div_ceil(16);
        tracing::warn!(
            sessions = ranks.len(),
            ended = surplus,
            "too many MCP sessions: idle ones, unused for longest, are ended"
        );
        for (_, _, id) in ranks.into_iter().take(surplus) {
            if let Err(error) = self.end(&id).await {
                tracing::debug!(%error, "a session did not end cleanly");
            }
        }
    }

    /// Held by an open stream of this session.
    fn stream_of(&self, id: &SessionId) -> Option<Arc<()>> {
        self.sessions.get(id).map(|session| session.streams.clone())
    }

    /// Ends the present session of this id.
    async fn end(&self, id: &SessionId) -> Result<(), <Local as SessionManager>::Error> {
        self.sessions.remove(id);
        self.local.close_session(id).await
    }

    /// Takes note that rmcp closes a session whose server has ended, if it is one; its number.
    fn take_finished(&self, id: &SessionId) -> Option<u64> {
        let mut finished = self.finished.get_mut(id)?;
        let number = finished.pop();
        let is_last = finished.is_empty();
        drop(finished);
        if is_last {
            self.finished.remove_if(id, |_, numbers| numbers.is_empty());
        }
        number
    }
}

/// What a session does; the one that does least is ended first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Activity {
    Idle,
    Listening,
    Working,
}

impl Session {
    fn activity(&self) -> Activity {
        if self.ids.under_way() > 0 {
            Activity::Working
        } else if Arc::strong_count(&self.streams) > 1 {
            Activity::Listening
        } else {
            Activity::Idle
        }
    }
}

impl SessionManager for McpSessions {
    type Error = <Local as SessionManager>::Error;
    type Transport = Tracked<<Local as SessionManager>::Transport>;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), Self::Error> {
        self.make_room().await;
        let (id, transport) = self.local.create_session().await?;
        Ok((id.clone(), self.add(id, transport)))
    }

    async fn initialize_session(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<ServerJsonRpcMessage, Self::Error> {
        let answer = self.local.initialize_session(id, message).await?;
        if let Some(mut session) = self.sessions.get_mut(id) {
            session.is_ready = true;
        }
        Ok(answer)
    }

    async fn has_session(&self, id: &SessionId) -> Result<bool, Self::Error> {
        if let Some(mut session) = self.sessions.get_mut(id) {
            session.used = Instant::now();
        }
        self.local.has_session(id).await
    }

    async fn close_session(&self, id: &SessionId) -> Result<(), Self::Error> {
        let present = self.sessions.get(id).map(|session| session.number);
        match self.take_finished(id) {
            // The session ended before, and its successor under the same id goes on.
            Some(number) if present.is_some_and(|present| present != number) => Ok(()),
            _ => self.end(id).await,
        }
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        mut message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        if let (Some(ids), JsonRpcMessage::Request(request)) = (self.ids(id), &mut message)
            && let Err(refusal) = ids.admit(request)
        {
            let refusal = JsonRpcMessage::error(refusal, Some(request.id.clone()));
            let refusal = ServerSseMessage::from_message(refusal);
            return Ok(stream::once(std::future::ready(refusal)).left_stream());
        }
        Ok(self.local.create_stream(id, message).await?.map(restored).right_stream())
    }

    async fn accept_message(
        &self,
        id: &SessionId,
        mut message: ClientJsonRpcMessage,
    ) -> Result<(), Self::Error> {
        if let (Some(ids), JsonRpcMessage::Notification(message)) = (self.ids(id), &mut message)
            && !ids.admit_notification(&mut message.notification)
        {
            return Ok(());
        }
        self.local.accept_message(id, message).await
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        let open = self.stream_of(id);
        Ok(self.local.create_standalone_stream(id).await?.map(move |event| {
            let _ = &open;
            restored(event)
        }))
    }

    async fn resume(
        &self,
        id: &SessionId,
        last_event_id: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        let open = self.stream_of(id);
        Ok(self.local.resume(id, last_event_id).await?.map(move |event| {
            let _ = &open;
            restored(event)
        }))
    }

    async fn restore_session(
        &self,
        id: SessionId,
    ) -> Result<RestoreOutcome<Self::Transport>, Self::Error> {
        self.make_room().await;
        Ok(match self.local.restore_session(id.clone()).await? {
            RestoreOutcome::Restored(transport) => {
                RestoreOutcome::Restored(self.add(id, transport))
            }
            RestoreOutcome::AlreadyPresent => RestoreOutcome::AlreadyPresent,
            _ => RestoreOutcome::NotSupported,
        })
    }
}

/// An event with the client's own id and progress token.
fn restored(mut event: ServerSseMessage) -> ServerSseMessage {
    if let Some(message) = event.message.take() {
        let mut message = Arc::unwrap_or_clone(message);
        request_ids::restore(&mut message);
        event.message = Some(Arc::new(message));
    }
    event
}

/// The server's end of a session, which sees each answer.
pub(super) struct Tracked<T> {
    transport: T,
    ids: Arc<RequestIds>,
    _end: End,
}

/// Notes the end of a session's server when it is dropped.
struct End {
    finished: Finished,
    id: SessionId,
    number: u64,
}

impl Drop for End {
    fn drop(&mut self) {
        self.finished.entry(self.id.clone()).or_default().push(self.number);
    }
}

impl<T: Transport<RoleServer>> Transport<RoleServer> for Tracked<T> {
    type Error = T::Error;

    fn send(
        &mut self,
        mut item: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        self.ids.answered(&item);
        mcp::explain(&mut item);
        self.transport.send(item)
    }

    fn receive(&mut self) -> impl Future<Output = Option<RxJsonRpcMessage<RoleServer>>> + Send {
        self.transport.receive()
    }

    fn close(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send {
        self.transport.close()
    }
}

/// What rmcp asks about sessions that are not known: each may begin anew, unless its client has
/// ended it.
#[derive(Default)]
pub(super) struct LostSessions {
    ended: Mutex<Ended>,
}

#[derive(Default)]
struct Ended {
    ids: HashSet<Arc<str>>,
    /// The oldest first.
    order: VecDeque<Arc<str>>,
}

impl LostSessions {
    fn may_begin(&self, id: &str) -> bool {
        (1..=ID_CHARS_MAX).contains(&id.len()) && !self.ended.lock().ids.contains(id)
    }

    fn end(&self, id: &str) {
        let mut ended = self.ended.lock();
        let id: Arc<str> = id.into();
        if id.len() > ID_CHARS_MAX || !ended.ids.insert(id.clone()) {
            return;
        }
        ended.order.push_back(id);
        if ended.order.len() > ENDED_MAX
            && let Some(oldest) = ended.order.pop_front()
        {
            ended.ids.remove(&oldest);
        }
    }
}

#[async_trait]
impl SessionStore for LostSessions {
    async fn load(&self, id: &str) -> Result<Option<SessionState>, SessionStoreError> {
        let client = Implementation::new("", "");
        let params = InitializeRequestParams::new(ClientCapabilities::default(), client)
            .with_protocol_version(VERSION);
        Ok(self.may_begin(id).then(|| SessionState::new(params)))
    }

    async fn store(&self, _: &str, _: &SessionState) -> Result<(), SessionStoreError> {
        Ok(())
    }

    async fn delete(&self, id: &str) -> Result<(), SessionStoreError> {
        self.end(id);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
