//! Bounds what a server can make us owe it: its requests that wait for their answers, and the messages it does not take.
//!
//! The protocol library starts a task for every request of a server and keeps every message until it is written, so a server
//! that asks without end and never reads would grow this process. Here its connection ends instead.

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
    model::{JsonRpcMessage, RequestId, ServerNotification},
    service::{RxJsonRpcMessage, TxJsonRpcMessage},
    transport::Transport,
};
use tokio::sync::watch;

use crate::catalog::tool::cut;

/// Requests of a server without an answer, and messages to it that are not written yet, together. The lane in front has at
/// most 64 calls on their way, so an honest server that reads stays far below.
pub(super) const OWED_MAX: usize = 512;
/// Longest time in which a child takes a message, in seconds; as long as a call may take by default, since a child that works
/// on one thread does not read meanwhile.
pub(super) const TAKE_MAX: Duration = Duration::from_secs(60);
/// Longest id of a server's request, in bytes: ids are kept until the answer is written.
const ID_BYTES_MAX: usize = 256;
/// Longest message of an error that is answered, in bytes: it may repeat what the server said.
const ERROR_BYTES_MAX: usize = 256;

/// Why a connection was ended from our side; none as long as it was not. Shared by its clones.
#[derive(Clone)]
pub(super) struct Verdict(Arc<watch::Sender<Option<String>>>);

impl Default for Verdict {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }
}

impl Verdict {
    /// The reason, once there is one.
    pub(super) fn reason(&self) -> Option<String> {
        self.0.borrow().clone()
    }

    fn end(&self, reason: String) {
        // The first reason is the cause, what follows are its effects.
        self.0.send_if_modified(|present| present.is_none() && present.replace(reason).is_none());
    }

    async fn ended(&self) {
        // An error cannot come while `self` holds the sender.
        let _ = self.0.subscribe().wait_for(Option::is_some).await;
    }
}

/// A transport within these bounds.
pub(super) struct Guarded<T> {
    inner: T,
    verdict: Verdict,
    owed_max: usize,
    take_max: Option<Duration>,
    /// Requests whose answer was not handed to us yet.
    asked: HashSet<RequestId>,
    /// Messages that are on their way out.
    leaving: Arc<AtomicUsize>,
}

impl<T> Guarded<T> {
    /// `take_max` bounds the time in which a message is taken; none where that is as long as the call itself.
    pub(super) fn new(inner: T, verdict: Verdict, owed_max: usize, take_max: Option<Duration>) -> Self {
        Self { inner, verdict, owed_max, take_max, asked: HashSet::new(), leaving: Arc::default() }
    }

    fn heard(&mut self, message: &RxJsonRpcMessage<RoleClient>) {
        match message {
            JsonRpcMessage::Request(request) => {
                if matches!(&request.id, RequestId::String(id) if id.len() > ID_BYTES_MAX) {
                    self.verdict.end(format!("it sent a request whose id is longer than {ID_BYTES_MAX} bytes"));
                }
                self.asked.insert(request.id.clone());
            }
            // Such a request gets no answer.
            JsonRpcMessage::Notification(notification) => {
                if let ServerNotification::CancelledNotification(cancelled) = &notification.notification
                    && let Some(id) = &cancelled.params.request_id
                {
                    self.asked.remove(id);
                }
            }
            JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_) => {}
        }
        self.weigh();
    }

    fn weigh(&self) {
        let owed = self.asked.len() + self.leaving.load(Ordering::Relaxed);
        if owed > self.owed_max {
            self.verdict.end(format!(
                "it left {owed} messages unread or unanswered, allowed are {}: it asks without end or does not read",
                self.owed_max
            ));
        }
    }
}

/// One message that is on its way out.
struct Leaving(Arc<AtomicUsize>);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<T> Transport<RoleClient> for Guarded<T>
where
    T: Transport<RoleClient>,
    T::Error: From<std::io::Error>,
{
    type Error = T::Error;

    fn send(
        &mut self,
        mut message: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        match &mut message {
            JsonRpcMessage::Response(answer) => {
                self.asked.remove(&answer.id);
            }
            JsonRpcMessage::Error(refusal) => {
                if let Some(id) = &refusal.id {
                    self.asked.remove(id);
                }
                if refusal.error.message.len() > ERROR_BYTES_MAX {
                    refusal.error.message = cut(&refusal.error.message, ERROR_BYTES_MAX).to_owned().into();
                }
            }
            JsonRpcMessage::Request(_) | JsonRpcMessage::Notification(_) => {}
        }
        self.leaving.fetch_add(1, Ordering::Relaxed);
        let leaving = Leaving(self.leaving.clone());
        self.weigh();
        let (send, verdict, take_max) = (self.inner.send(message), self.verdict.clone(), self.take_max);
        async move {
            let _leaving = leaving;
            let late = async {
                match take_max {
                    Some(limit) => {
                        tokio::time::sleep(limit).await;
                        verdict.end(format!("it did not take a message within {} ms", limit.as_millis()));
                    }
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                // Given up, a message also gives back what the others and the closing wait for.
                () = verdict.ended() => {}
                sent = send => return sent,
                () = late => {}
            }
            Err(std::io::Error::new(std::io::ErrorKind::ConnectionAborted, "the connection was ended from this side").into())
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        let message = tokio::select! {
            biased;
            () = self.verdict.ended() => return None,
            message = self.inner.receive() => message?,
        };
        self.heard(&message);
        // The one that went too far is not looked at any more.
        self.verdict.reason().is_none().then_some(message)
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.inner.close().await
    }
}

#[cfg(test)]
mod tests;
