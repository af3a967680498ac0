//! Reads the body of a server's answer within the limits of a message: a large one waits for a
//! memory permit before it is read on, and one that is too large or has too many values becomes an
//! error to the call that waits for it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use reqwest::Response;
use rmcp::{
    model::{ErrorCode, ErrorData, RequestId, ServerJsonRpcMessage},
    transport::streamable_http_client::SseError,
};
use sse_stream::{Sse, SseStream};
use tokio::time::Instant;

use super::{
    incoming::{Awaited, Incoming},
    message::{BYTES_MAX, LARGE_MAX, LARGE_SILENCE_MAX, OVERSIZED, VALUES_MAX, is_crowded},
    reconnect::RETRY_MS_MAX,
};
use crate::{
    base::json::repair,
    catalog::upstream::response::{LARGE_BYTES, MemoryPermit, ResponseLimits},
};

/// What a body lacks that ends right after its last event.
const END: &[u8] = b"\n\n";

pub(super) type Events = BoxStream<'static, Result<Sse, SseError>>;

/// Limits of one message.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// Limit of one message.
    bytes_max: usize,
    /// For the rest of a large one.
    large_max: Duration,
    /// Between two pieces of it.
    large_silence_max: Duration,
}

pub(super) const SERVER: Bounds =
    Bounds { bytes_max: BYTES_MAX, large_max: LARGE_MAX, large_silence_max: LARGE_SILENCE_MAX };

/// Error response in place of one that was too large.
pub(super) fn too_long(id: Option<RequestId>) -> ServerJsonRpcMessage {
    ServerJsonRpcMessage::error(ErrorData::new(ErrorCode(OVERSIZED), "message too long", None), id)
}

/// Reason why a body ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("a message is longer than {BYTES_MAX} bytes")]
    TooLong,
    #[error("the rest of a large message did not come in time")]
    Late,
    #[error(transparent)]
    Connection(reqwest::Error),
}

/// A body, and what was read of the message that is coming in.
pub(super) struct Intake {
    body: BoxStream<'static, reqwest::Result<Bytes>>,
    response_limits: ResponseLimits,
    bounds: Bounds,
    read: usize,
    /// The place of a large one.
    permit: Option<MemoryPermit>,
    /// Until when the rest of a large one must be there.
    until: Option<Instant>,
    /// True if there is something in the line that is being read.
    in_line: bool,
    is_over: bool,
}

impl Intake {
    pub(super) fn new(response: Response, response_limits: ResponseLimits, bounds: Bounds) -> Self {
        Self {
            body: response.bytes_stream().boxed(),
            response_limits,
            bounds,
            read: 0,
            permit: None,
            until: None,
            in_line: false,
            is_over: false,
        }
    }

    /// The next piece, once there is a place for it.
    async fn piece(&mut self) -> Option<Result<Bytes, Broken>> {
        if self.is_over {
            return None;
        }
        let piece = match self.until {
            None => self.body.next().await,
            Some(until) => {
                let silent_at = Instant::now() + self.bounds.large_silence_max;
                match tokio::time::timeout_at(until.min(silent_at), self.body.next()).await {
                    Ok(piece) => piece,
                    Err(_) => return self.broken(Broken::Late),
                }
            }
        };
        let piece = match piece? {
            Ok(piece) => piece,
            Err(error) => return self.broken(Broken::Connection(error)),
        };
        self.read = self.read.saturating_add(piece.len());
        if self.read > self.bounds.bytes_max {
            return self.broken(Broken::TooLong);
        }
        if self.read > LARGE_BYTES && self.until.is_none() {
            self.permit = Some(self.response_limits.memory_permit().await);
            self.until = Some(Instant::now() + self.bounds.large_max);
        }
        Some(Ok(piece))
    }

    fn broken(&mut self, why: Broken) -> Option<Result<Bytes, Broken>> {
        self.is_over = true;
        self.permit = None;
        Some(Err(why))
    }

    /// The whole body as one message, and its place.
    pub(super) async fn whole(mut self) -> Result<(Vec<u8>, Option<MemoryPermit>), Broken> {
        let mut body = Vec::new();
        while let Some(piece) = self.piece().await {
            body.extend_from_slice(&piece?);
        }
        Ok((body, self.permit))
    }

    /// The events of a body; each is one message, also the last one where the body ends without
    /// the empty line after it. `awaited` is the request whose answer comes among them.
    pub(super) fn events(self, awaited: Option<Awaited>, incoming: Incoming) -> Events {
        let has_ended = Arc::new(AtomicBool::new(false));
        let reader = EventReader { awaited, incoming, has_ended: has_ended.clone() };
        let pieces = stream::unfold(Some(self), move |intake: Option<Self>| {
            let has_ended = has_ended.clone();
            async move {
                let mut intake = intake?;
                let Some(piece) = intake.piece().await else {
                    has_ended.store(true, Ordering::Relaxed);
                    return (!intake.is_over).then(|| (Ok(Bytes::from_static(END)), None));
                };
                if let Ok(piece) = &piece {
                    intake.look(piece);
                }
                Some((piece, Some(intake)))
            }
        });
        let events = SseStream::from_bytes_stream(pieces.boxed()).map(Some);
        let events = events.chain(stream::once(std::future::ready(None)));
        let read = move |reader: &mut EventReader, event: Option<Result<Sse, SseError>>| {
            std::future::ready(Some(stream::iter(reader.read(event))))
        };
        events.scan(reader, read).flatten().boxed()
    }

    /// Looks for the ends of events, which are empty lines: what follows the last one is a message
    /// of its own.
    fn look(&mut self, piece: &[u8]) {
        for (at, byte) in piece.iter().enumerate() {
            match byte {
                b'\n' if !self.in_line => {
                    self.read = piece.len() - at - 1;
                    self.permit = None;
                    self.until = None;
                }
                b'\n' => self.in_line = false,
                b'\r' => {}
                _ => self.in_line = true,
            }
        }
    }
}

/// Reads the events of one body.
struct EventReader {
    awaited: Option<Awaited>,
    incoming: Incoming,
    /// True once the body has ended: what comes then is an event that may have been cut.
    has_ended: Arc<AtomicBool>,
}

impl EventReader {
    /// The messages of an event, each as one; at the end of the body, of none, what is to be said
    /// to the request that still waits.
    fn read(&mut self, event: Option<Result<Sse, SseError>>) -> Vec<Result<Sse, SseError>> {
        match event {
            None => {
                let missing = self.awaited.as_ref().and_then(Awaited::mistaken);
                missing.map(|error| Ok(Sse::default().data(error))).into_iter().collect()
            }
            Some(Ok(event)) if self.has_ended.load(Ordering::Relaxed) && is_cut(&event) => vec![],
            Some(Ok(event))
                if event.data.as_ref().is_some_and(|data| is_crowded(data.as_bytes())) =>
            {
                self.too_large()
            }
            Some(Ok(event)) => self.messages(event),
            Some(Err(SseError::Body(why)))
                if matches!(why.downcast_ref(), Some(Broken::TooLong)) =>
            {
                self.too_large()
            }
            Some(Err(error)) => vec![Err(error)],
        }
    }

    /// Error event in place of one that was too large, if anybody waits for it.
    fn too_large(&mut self) -> Vec<Result<Sse, SseError>> {
        tracing::warn!(
            "an upstream sent an event longer than {BYTES_MAX} bytes or of more than {VALUES_MAX} \
            values, it is dropped"
        );
        let id = self.awaited.as_mut().map(Awaited::settle);
        let error = id.and_then(|id| serde_json::to_string(&too_long(Some(id))).ok());
        error.map(|error| Ok(Sse::default().data(error))).into_iter().collect()
    }

    /// An event without any message still says where to go on after it.
    fn messages(&mut self, event: Sse) -> Vec<Result<Sse, SseError>> {
        let retry = event.retry.map(|ms| ms.min(RETRY_MS_MAX));
        let is_message = matches!(event.event.as_deref(), None | Some("" | "message"));
        let data = event.data.as_deref().filter(|_| is_message);
        let read = |data: &str| self.incoming.read(data.as_bytes(), self.awaited.as_mut(), None);
        let mut messages = data.map(read).unwrap_or_default().into_iter();
        let first = Sse { data: messages.next(), retry, ..event };
        std::iter::once(first)
            .chain(messages.map(|message| Sse::default().data(message)))
            .map(Ok)
            .collect()
    }
}

/// Returns true if the data of an event is no JSON, as where it broke off.
fn is_cut(event: &Sse) -> bool {
    let data = event.data.as_deref().unwrap_or_default();
    let is_json = |text: &str| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    match repair::repaired(data.as_bytes()) {
        Ok(None) => !is_json(data),
        Ok(Some(repaired)) => !is_json(&repaired.text),
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests;
