//! The sessions of legacy clients, with a bound: the least recently used one ends for a new one.

use std::{sync::Arc, time::Instant};

use dashmap::DashMap;
use futures::Stream;
use rmcp::{
    model::{ClientJsonRpcMessage, ServerJsonRpcMessage},
    transport::streamable_http_server::session::{
        RestoreOutcome, ServerSseMessage, SessionId, SessionManager,
        local::{LocalSessionManager, SessionConfig},
    },
};

/// Sessions at once, at most.
pub(super) const SESSIONS_MAX: usize = 4096;
/// Time after which a silent session ends; longer than any answer is held (15 minutes).
const KEEP_ALIVE: std::time::Duration = std::time::Duration::from_secs(30 * 60);

type Local = LocalSessionManager;

/// [`LocalSessionManager`] that forgets the oldest session where there are too many. Many clients
/// never end theirs.
pub(super) struct McpSessions {
    local: Local,
    used: DashMap<SessionId, Instant>,
    max: usize,
}

impl McpSessions {
    pub(super) fn new(max: usize) -> Arc<Self> {
        let mut local = Local::default();
        local.session_config = SessionConfig::default();
        local.session_config.keep_alive = Some(KEEP_ALIVE);
        Arc::new(Self { local, used: DashMap::new(), max })
    }

    /// Ends the sixteenth of the sessions that were unused for longest, so that the search is not
    /// repeated each time.
    async fn make_room(&self) {
        let mut ages: Vec<_> =
            self.used.iter().map(|entry| (*entry.value(), entry.key().clone())).collect();
        ages.sort_unstable_by_key(|(used, _)| *used);
        let surplus = ages.len().saturating_sub(self.max) + self.max.div_ceil(16);
        tracing::warn!(
            sessions = ages.len(),
            ended = surplus,
            "too many MCP sessions: those unused for longest are ended"
        );
        for (_, id) in ages.into_iter().take(surplus) {
            if let Err(error) = self.close_session(&id).await {
                tracing::debug!(%error, "a session did not end cleanly");
            }
        }
    }
}

impl SessionManager for McpSessions {
    type Error = <Local as SessionManager>::Error;
    type Transport = <Local as SessionManager>::Transport;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), Self::Error> {
        if self.used.len() >= self.max {
            self.make_room().await;
        }
        let (id, transport) = self.local.create_session().await?;
        self.used.insert(id.clone(), Instant::now());
        Ok((id, transport))
    }

    async fn initialize_session(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<ServerJsonRpcMessage, Self::Error> {
        self.local.initialize_session(id, message).await
    }

    async fn has_session(&self, id: &SessionId) -> Result<bool, Self::Error> {
        if let Some(mut used) = self.used.get_mut(id) {
            *used = Instant::now();
        }
        self.local.has_session(id).await
    }

    async fn close_session(&self, id: &SessionId) -> Result<(), Self::Error> {
        self.used.remove(id);
        self.local.close_session(id).await
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        self.local.create_stream(id, message).await
    }

    async fn accept_message(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<(), Self::Error> {
        self.local.accept_message(id, message).await
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        self.local.create_standalone_stream(id).await
    }

    async fn resume(
        &self,
        id: &SessionId,
        last_event_id: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        self.local.resume(id, last_event_id).await
    }

    async fn restore_session(
        &self,
        id: SessionId,
    ) -> Result<RestoreOutcome<Self::Transport>, Self::Error> {
        self.local.restore_session(id).await
    }
}

#[cfg(test)]
mod tests;
