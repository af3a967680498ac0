//! Bounds what a server can make the client hold: requests of its own that wait for a response, and
//! messages that it does not read.
//!
//! The protocol library starts a task for each request of a server and keeps each message until it
//! is written, so a server that asks without end and never reads would grow this process. Here its
//! connection is closed instead.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rmcp::{
    RoleClient,
    model::{ClientNotification, JsonRpcMessage, RequestId, ServerNotification},
    service::{RxJsonRpcMessage, TxJsonRpcMessage},
    transport::Transport,
};
use tokio::sync::watch;

use super::{lookup, results::CallResults};
use crate::base::{json::encoded_bytes, text::cut};

/// Requests of a server without an answer, and messages to it that are not written yet, together.
/// The supervisor in front has at most 64 calls on their way, so an honest server that reads stays
/// far below.
pub(super) const OWED_MAX: usize = 512;
/// Longest time in which a child takes a message, in seconds; as long as a call may take by
/// default, since a child that works on one thread does not read meanwhile.
pub(super) const TAKE_MAX: Duration = Duration::from_secs(60);
/// Bytes of messages to a server that are not written yet. One that is larger than [`SMALL_BYTES`]
/// and finds no room is not sent, and the connection stays: it is the callers that sent much, not
/// the server that did wrong.
pub(super) const LEAVING_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Messages up to this size always leave; their number bounds them.
const SMALL_BYTES: usize = 64 * 1024;
/// Longest id of a server's request, in bytes: ids are kept until the answer is written.
const ID_BYTES_MAX: usize = 256;
/// Longest message of an error that is answered, in bytes: it may repeat what the server said.
const ERROR_BYTES_MAX: usize = 256;

/// Reason why this side ended a connection; none as long as it did not. Shared by its clones.
#[derive(Clone)]
pub(super) struct CloseReason(Arc<watch::Sender<Option<String>>>);

impl Default for CloseReason {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }
}

impl CloseReason {
    /// The reason, once there is one.
    pub(super) fn reason(&self) -> Option<String> {
        self.0.borrow().clone()
    }

    /// Ends the connection for this reason.
    pub(super) fn end(&self, reason: String) {
        // The first reason is the cause, what follows are its effects.
        self.0.send_if_modified(|present| present.is_none() && present.replace(reason).is_none());
    }

    async fn ended(&self) {
        // An error cannot come while `self` holds the sender.
        let _ = self.0.subscribe().wait_for(Option::is_some).await;
    }
}

/// A transport within these bounds.
pub(super) struct BoundedTransport<T> {
    inner: T,
    close_reason: CloseReason,
    owed_max: usize,
    take_max: Option<Duration>,
    /// Requests whose answer was not handed to us yet.
    asked: HashSet<RequestId>,
    leaving_bytes_max: usize,
    leaving: Arc<Outgoing>,
    results: CallResults,
}

/// Messages that are being sent.
#[derive(Default)]
struct Outgoing {
    messages: AtomicUsize,
    bytes: AtomicUsize,
}

impl<T> BoundedTransport<T> {
    /// `take_max` bounds the time in which a message is taken; none where that is as long as the
    /// call itself. `results` is told which calls leave.
    pub(super) fn new(
        inner: T,
        close_reason: CloseReason,
        owed_max: usize,
        take_max: Option<Duration>,
        results: CallResults,
    ) -> Self {
        let leaving_bytes_max = LEAVING_BYTES_MAX;
        Self {
            inner,
            close_reason,
            owed_max,
            take_max,
            asked: HashSet::new(),
            leaving_bytes_max,
            leaving: Arc::default(),
            results,
        }
    }

    fn inspect(&mut self, message: &RxJsonRpcMessage<RoleClient>) {
        match message {
            JsonRpcMessage::Request(request) => {
                if matches!(&request.id, RequestId::String(id) if id.len() > ID_BYTES_MAX) {
                    self.close_reason.end(format!(
                        "it sent a request whose id is longer than {ID_BYTES_MAX} bytes"
                    ));
                }
                self.asked.insert(request.id.clone());
            }
            // Such a request gets no answer.
            JsonRpcMessage::Notification(notification) => {
                if let ServerNotification::CancelledNotification(cancelled) =
                    &notification.notification
                    && let Some(id) = &cancelled.params.request_id
                {
                    self.asked.remove(id);
                }
            }
            JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_) => {}
        }
        self.weigh();
    }

    /// Takes note of a message that is about to leave.
    fn outgoing(&mut self, message: &mut TxJsonRpcMessage<RoleClient>) {
        match message {
            JsonRpcMessage::Response(answer) => {
                self.asked.remove(&answer.id);
            }
            JsonRpcMessage::Error(refusal) => {
                if let Some(id) = &refusal.id {
                    self.asked.remove(id);
                }
                if refusal.error.message.len() > ERROR_BYTES_MAX {
                    refusal.error.message =
                        cut(&refusal.error.message, ERROR_BYTES_MAX).to_owned().into();
                }
            }
            JsonRpcMessage::Request(request) => {
                if lookup::is_call(&request.request) {
                    self.results.expect(&request.id);
                }
            }
            JsonRpcMessage::Notification(notification) => {
                if let ClientNotification::CancelledNotification(cancelled) =
                    &notification.notification
                    && let Some(id) = &cancelled.params.request_id
                {
                    self.results.forget(id);
                }
            }
        }
    }

    fn weigh(&self) {
        let owed = self.asked.len() + self.leaving.messages.load(Ordering::Relaxed);
        if owed > self.owed_max {
            self.close_reason.end(format!(
                "it left {owed} messages unread or unanswered; the limit is {}: it sends requests \
                without end, or does not read",
                self.owed_max
            ));
        }
    }
}

/// One message of so many bytes that is on its way out.
struct Leaving(Arc<Outgoing>, usize);

impl Leaving {
    fn new(outgoing: &Arc<Outgoing>, bytes: usize) -> Self {
        outgoing.messages.fetch_add(1, Ordering::Relaxed);
        outgoing.bytes.fetch_add(bytes, Ordering::Relaxed);
        Self(outgoing.clone(), bytes)
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.messages.fetch_sub(1, Ordering::Relaxed);
        self.0.bytes.fetch_sub(self.1, Ordering::Relaxed);
    }
}

/// Returns true if a message was not sent for want of room.
pub(super) fn is_crowded_out(error: &(dyn std::error::Error + 'static)) -> bool {
    let kind = |error: &(dyn std::error::Error + 'static)| {
        error.downcast_ref::<std::io::Error>().map(std::io::Error::kind)
    };
    std::iter::successors(Some(error), |error| error.source())
        .any(|error| kind(error) == Some(std::io::ErrorKind::QuotaExceeded))
}

/// The size of a message as it is written. Only the arguments of a call can be large.
fn weight(message: &TxJsonRpcMessage<RoleClient>) -> usize {
    match message {
        JsonRpcMessage::Request(_) => encoded_bytes(message),
        JsonRpcMessage::Response(_)
        | JsonRpcMessage::Error(_)
        | JsonRpcMessage::Notification(_) => 0,
    }
}

impl<T> Transport<RoleClient> for BoundedTransport<T>
where
    T: Transport<RoleClient>,
    T::Error: From<std::io::Error>,
{
    type Error = T::Error;

    fn send(
        &mut self,
        mut message: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        self.outgoing(&mut message);
        let bytes = weight(&message);
        let is_crowded = bytes > SMALL_BYTES
            && self.leaving.bytes.load(Ordering::Relaxed) + bytes > self.leaving_bytes_max;
        // A message that is not sent weighs nothing.
        let leaving = Leaving::new(&self.leaving, if is_crowded { 0 } else { bytes });
        self.weigh();
        let send = (!is_crowded).then(|| self.inner.send(message));
        let (close_reason, take_max, bytes_max) =
            (self.close_reason.clone(), self.take_max, self.leaving_bytes_max);
        async move {
            let _leaving = leaving;
            let Some(send) = send else {
                let message = format!("more than {bytes_max} bytes wait to be taken");
                return Err(std::io::Error::new(std::io::ErrorKind::QuotaExceeded, message).into());
            };
            let late = async {
                match take_max {
                    Some(limit) => {
                        tokio::time::sleep(limit).await;
                        close_reason.end(format!(
                            "it did not take a message within {} ms",
                            limit.as_millis()
                        ));
                    }
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                // Given up, a message also gives back what the others and the closing wait for.
                () = close_reason.ended() => {}
                sent = send => return sent,
                () = late => {}
            }
            Err(std::io::Error::new(
                std::io::ErrorKind::ConnectionAborted,
                "the connection was ended from this side",
            )
            .into())
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        let message = tokio::select! {
            biased;
            () = self.close_reason.ended() => return None,
            message = self.inner.receive() => message?,
        };
        self.inspect(&message);
        // The one that went too far is not looked at any more.
        self.close_reason.reason().is_none().then_some(message)
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.inner.close().await
    }
}

#[cfg(test)]
mod tests;
