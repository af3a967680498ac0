//! The ids of the requests of one connection: unique inside the server, the client's own outside.
//!
//! Clients repeat ids and progress tokens while a request with the same one is under way, although
//! the protocol forbids it. rmcp pairs answers by id, so each request gets an id and a progress
//! token of its own on the way in, and everything that the server sends about it gets the client's
//! back on the way out. An answer can therefore never reach another request.

use std::{collections::HashMap, fmt::Display};

use parking_lot::Mutex;
use rmcp::{
    ErrorData,
    model::{
        CancelledNotification, CancelledNotificationParam, ClientNotification, ClientRequest,
        GetMeta, JsonRpcMessage, JsonRpcRequest, ProgressToken, RequestId, ServerJsonRpcMessage,
        ServerNotification, ServerResult,
    },
};
use tokio::sync::Notify;

/// Requests of one connection that may be under way.
pub(super) const REQUESTS_MAX: usize = 1024;
/// Characters of an id that a refusal repeats, at most.
const SHOWN_CHARS: usize = 80;

/// What becomes of an id or a progress token that is repeated while its first request is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeats {
    /// Each request is answered: the transport knows by itself where an answer belongs.
    Answered,
    /// The second request is refused: the client has nothing but the id to pair answers by.
    Refused,
}

/// The requests of one connection that are under way.
pub(super) struct RequestIds {
    repeats: Repeats,
    running: Mutex<Running>,
    /// Notified of each answer.
    answered: Notify,
}

#[derive(Default)]
struct Running {
    /// Requests so far.
    count: u64,
    /// What the client calls each request that is under way.
    requests: HashMap<u64, Names>,
}

/// The client's own names of a request.
struct Names {
    id: RequestId,
    token: Option<ProgressToken>,
    /// It is answered only once it is cancelled.
    is_endless: bool,
}

impl RequestIds {
    pub(super) fn new(repeats: Repeats) -> Self {
        Self { repeats, running: Mutex::default(), answered: Notify::new() }
    }

    /// Gives a request that arrives an id and, if it has one, a progress token of its own.
    ///
    /// # Errors
    /// The refusal of a repeated id or token, and of a request above [`REQUESTS_MAX`].
    pub(super) fn admit(
        &self,
        message: &mut JsonRpcRequest<ClientRequest>,
    ) -> Result<(), ErrorData> {
        let names = Names {
            id: message.id.clone(),
            token: message.request.get_meta().get_progress_token(),
            is_endless: matches!(message.request, ClientRequest::SubscriptionsListenRequest(_)),
        };
        let mut running = self.running.lock();
        if self.repeats == Repeats::Refused {
            running.refuse_repeats(&names)?;
        }
        if running.requests.len() >= REQUESTS_MAX {
            return Err(ErrorData::invalid_request(
                format!(
                    "{REQUESTS_MAX} requests of this connection are under way, which is the \
                    limit: wait for an answer before the next one"
                ),
                None,
            ));
        }
        running.count += 1;
        let number = running.count;
        message.id = own(number, &names.id);
        if let Some(token) = &names.token {
            let token = ProgressToken(own(number, &token.0));
            message.request.get_meta_mut().set_progress_token(token);
        }
        running.requests.insert(number, names);
        Ok(())
    }

    /// Gives a cancellation the server's id of its request. False for one that names no request, or
    /// several, which must not be passed on: of several nobody can tell which is meant.
    pub(super) fn admit_notification(&self, notification: &mut ClientNotification) -> bool {
        let ClientNotification::CancelledNotification(cancelled) = notification else {
            return true;
        };
        let Some(id) = &cancelled.params.request_id else { return true };
        let mut running = self.running.lock();
        let mut named = running.requests.iter().filter(|(_, names)| names.id == *id);
        let (Some((&number, _)), None) = (named.next(), named.next()) else {
            tracing::debug!(%id, "a cancellation names no request, or several: it is ignored");
            return false;
        };
        cancelled.params.request_id = Some(own(number, id));
        // rmcp sends no answer to a request that was cancelled.
        running.requests.remove(&number);
        true
    }

    /// The number of requests under way.
    pub(super) fn under_way(&self) -> usize {
        self.running.lock().requests.len()
    }

    /// The cancellation of a request that would never end by itself; none where there is no more.
    /// For a client that has left.
    pub(super) fn cancel_endless(&self) -> Option<ClientNotification> {
        self.cancel(|names| names.is_endless)
    }

    /// The cancellation of any request; none where there is no more. For a client that has left.
    pub(super) fn cancel_any(&self) -> Option<ClientNotification> {
        self.cancel(|_| true)
    }

    fn cancel(&self, is_meant: impl Fn(&Names) -> bool) -> Option<ClientNotification> {
        let mut running = self.running.lock();
        let number = *running.requests.iter().find(|(_, names)| is_meant(names))?.0;
        let names = running.requests.remove(&number)?;
        let params = CancelledNotificationParam::new(Some(own(number, &names.id)), None);
        Some(ClientNotification::CancelledNotification(CancelledNotification::new(params)))
    }

    /// Waits until every request is answered.
    pub(super) async fn all_answered(&self) {
        loop {
            let answered = self.answered.notified();
            if self.running.lock().requests.is_empty() {
                return;
            }
            answered.await;
        }
    }

    /// Ends the request that this message answers, if it answers one.
    pub(super) fn answered(&self, message: &ServerJsonRpcMessage) {
        let id = match message {
            JsonRpcMessage::Response(response) => Some(&response.id),
            JsonRpcMessage::Error(error) => error.id.as_ref(),
            _ => None,
        };
        if let Some((number, _)) = id.and_then(clients) {
            self.running.lock().requests.remove(&number);
            self.answered.notify_waiters();
        }
    }
}

impl Running {
    fn refuse_repeats(&self, names: &Names) -> Result<(), ErrorData> {
        let refusal = |what: &str, name: &dyn Display| {
            let name: String = name.to_string().chars().take(SHOWN_CHARS).collect();
            let message = format!(
                "a request with the {what} `{name}` is under way: give each request its own"
            );
            Err(ErrorData::invalid_request(message, None))
        };
        if self.requests.values().any(|other| other.id == names.id) {
            return refusal("id", &names.id);
        }
        match &names.token {
            Some(token) if self.requests.values().any(|other| other.token == names.token) => {
                refusal("progress token", &token.0)
            }
            _ => Ok(()),
        }
    }
}

/// Gives a message of the server the client's own id and progress token back.
pub(super) fn restore(message: &mut ServerJsonRpcMessage) {
    match message {
        JsonRpcMessage::Response(response) => {
            put_back(&mut response.id);
            if let ServerResult::SubscriptionsListenResult(result) = &mut response.result
                && let Some((_, id)) = result.meta.subscription_id().as_ref().and_then(clients)
            {
                result.meta.set_subscription_id(id);
            }
        }
        JsonRpcMessage::Error(error) => {
            if let Some(id) = &mut error.id {
                put_back(id);
            }
        }
        JsonRpcMessage::Notification(message) => {
            let notification = &mut message.notification;
            if let ServerNotification::ProgressNotification(progress) = notification {
                put_back(&mut progress.params.progress_token.0);
            }
            let subscription = notification.get_meta().subscription_id();
            if let Some((_, id)) = subscription.as_ref().and_then(clients) {
                notification.get_meta_mut().set_subscription_id(id);
            }
        }
        JsonRpcMessage::Request(_) => {}
    }
}

fn put_back(id: &mut RequestId) {
    if let Some((_, clients)) = clients(id) {
        *id = clients;
    }
}

/// The server's own name of the request with this number: holds the client's, so that a message can
/// be restored however late it is sent.
fn own(number: u64, clients: &RequestId) -> RequestId {
    let clients = clients.clone().into_json_value();
    RequestId::String(format!("{number} {clients}").into())
}

/// The number and the client's own name, out of the server's.
fn clients(own: &RequestId) -> Option<(u64, RequestId)> {
    let RequestId::String(own) = own else { return None };
    let (number, clients) = own.split_once(' ')?;
    Some((number.parse().ok()?, serde_json::from_str(clients).ok()?))
}

#[cfg(test)]
mod tests;
