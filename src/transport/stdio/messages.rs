//! Messages in lines: what rmcp receives and sends over standard input and output.
//!
//! A line that is no message is answered with an error and never ends the server. `ping` is
//! answered here, because rmcp does not in the revision that has none.

use std::{sync::Arc, time::Duration};

use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        ClientRequest, ErrorCode, GetMeta, JsonRpcMessage, JsonRpcRequest, ProtocolVersion,
        RequestId,
    },
    service::{RxJsonRpcMessage, TxJsonRpcMessage},
    transport::Transport,
};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    sync::Mutex,
    task::JoinHandle,
    time::Instant,
};

use super::lines::{Line, Lines};
use crate::transport::{
    mcp::{self, Mcp},
    request_ids::{self, Repeats, RequestIds},
};

/// Time in which answers may leave after the client has closed its end. Clients kill the process
/// after 2 s.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);

/// The client at the other end of two streams.
pub(super) struct Messages<R, W> {
    lines: Lines<R>,
    line_bytes_max: usize,
    /// None once the server has closed it.
    output: Arc<Mutex<Option<W>>>,
    ids: RequestIds,
    /// Counts requests, and knows the revisions in which a client may begin without a handshake.
    mcp: Mcp,
    /// The client has begun, with or without a handshake.
    has_begun: bool,
    /// An answer of ours that is being written. Outlives a `receive` that is given up.
    answering: Option<JoinHandle<()>>,
    /// Until when answers may leave after the client has closed its end.
    leaves_at: Option<Instant>,
}

/// What a line is.
enum Received {
    /// A message for rmcp.
    Message(Box<RxJsonRpcMessage<RoleServer>>),
    /// Nothing for rmcp, and this is the answer.
    Answered(Value),
    /// Nothing.
    Ignored,
}

impl<R, W> Messages<R, W>
where
    R: AsyncRead + Send + Unpin,
    W: AsyncWrite + Send + Unpin + 'static,
{
    pub(super) fn new(input: R, output: W, line_bytes_max: usize, mcp: Mcp) -> Self {
        Self {
            lines: Lines::new(input, line_bytes_max),
            line_bytes_max,
            output: Arc::new(Mutex::new(Some(output))),
            ids: RequestIds::new(Repeats::Refused),
            mcp,
            has_begun: false,
            answering: None,
            leaves_at: None,
        }
    }

    fn line(&mut self, line: Line) -> Received {
        let line = match line {
            Line::Whole(line) => line,
            Line::TooLong(id) => {
                let message = format!("the line is larger than {} bytes", self.line_bytes_max);
                let error = ErrorData::invalid_request(message, None);
                return refused(error, id.map(RequestId::into_json_value));
            }
        };
        let line = mcp::unmarked(line.trim_ascii()).trim_ascii();
        if line.is_empty() {
            return Received::Ignored;
        }
        if let Some(error) = mcp::doubled_key(line) {
            return doubled(line, error);
        }
        if let Some(error) = mcp::wrong_id(line) {
            return refused(error, id_in(line));
        }
        let completed = mcp::completed(line);
        match serde_json::from_slice(completed.as_deref().unwrap_or(line)) {
            Ok(message) => self.message(message),
            Err(_) => no_message(line),
        }
    }

    fn message(&mut self, message: RxJsonRpcMessage<RoleServer>) -> Received {
        match message {
            JsonRpcMessage::Request(request) => self.request(request),
            // rmcp ends where anything but a request comes first.
            _ if !self.has_begun => {
                tracing::debug!("a message that came before the client's first request is ignored");
                Received::Ignored
            }
            JsonRpcMessage::Notification(mut message) => {
                match self.ids.admit_notification(&mut message.notification) {
                    true => Received::Message(JsonRpcMessage::Notification(message).into()),
                    false => Received::Ignored,
                }
            }
            other => Received::Message(other.into()),
        }
    }

    /// What comes once the client has closed its end: the cancellations of the requests that are
    /// not answered shortly. rmcp waits for those under way before it ends.
    async fn leave(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        if let Some(endless) = self.ids.cancel_endless() {
            return Some(JsonRpcMessage::notification(endless));
        }
        let until = *self.leaves_at.get_or_insert_with(|| Instant::now() + ANSWERS_WITHIN);
        // Out of time or not, what is left is cancelled.
        let _ = tokio::time::timeout_at(until, self.ids.all_answered()).await;
        self.ids.cancel_any().map(JsonRpcMessage::notification)
    }

    fn request(&mut self, mut request: JsonRpcRequest<ClientRequest>) -> Received {
        if let Err(error) = self.mcp.admit(&request.request) {
            return refused(error, Some(request.id.into_json_value()));
        }
        if matches!(request.request, ClientRequest::PingRequest(_)) {
            let id = request.id.into_json_value();
            return Received::Answered(json!({"jsonrpc": "2.0", "id": id, "result": {}}));
        }
        if let Err(error) = self.ids.admit(&mut request) {
            return refused(error, Some(request.id.into_json_value()));
        }
        self.has_begun |= self.begins(&request.request);
        Received::Message(JsonRpcMessage::Request(request).into())
    }

    /// True for the first request of a conversation: a handshake, or one that needs none.
    fn begins(&self, request: &ClientRequest) -> bool {
        match request {
            ClientRequest::InitializeRequest(_) => true,
            ClientRequest::DiscoverRequest(_) => false,
            _ => {
                let meta = request.get_meta();
                meta.missing_required_keys(&ProtocolVersion::V_2026_07_28).is_empty()
                    && meta.protocol_version().is_some_and(|version| {
                        self.mcp.supported_protocol_versions().contains(&version)
                    })
            }
        }
    }
}

impl<R, W> Transport<RoleServer> for Messages<R, W>
where
    R: AsyncRead + Send + Unpin,
    W: AsyncWrite + Send + Unpin + 'static,
{
    type Error = std::io::Error;

    fn send(
        &mut self,
        mut item: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        self.ids.answered(&item);
        request_ids::restore(&mut item);
        mcp::explain(&mut item);
        let output = self.output.clone();
        async move { write(&output, serde_json::to_vec(&item)?).await }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            if let Some(answering) = &mut self.answering {
                // A client that no longer reads is noticed at the next read or write.
                drop(answering.await);
                self.answering = None;
            }
            let Some(line) = self.lines.next().await else { return self.leave().await };
            match self.line(line) {
                Received::Message(message) => return Some(*message),
                Received::Answered(answer) => {
                    let output = self.output.clone();
                    self.answering = Some(tokio::spawn(async move {
                        let answer = answer.to_string().into_bytes();
                        if let Err(error) = write(&output, answer).await {
                            tracing::debug!(%error, "an answer could not be written");
                        }
                    }));
                }
                Received::Ignored => {}
            }
        }
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        drop(self.output.lock().await.take());
        Ok(())
    }
}

async fn write<W: AsyncWrite + Unpin>(
    output: &Mutex<Option<W>>,
    mut line: Vec<u8>,
) -> std::io::Result<()> {
    line.push(b'\n');
    match &mut *output.lock().await {
        Some(output) => {
            output.write_all(&line).await?;
            output.flush().await
        }
        None => Err(std::io::ErrorKind::NotConnected.into()),
    }
}

/// The refusal of a message with a doubled key, if anybody waits for an answer to it.
fn doubled(line: &[u8], error: ErrorData) -> Received {
    match serde_json::from_slice::<Value>(line) {
        Ok(message) if message.get("id").is_none() || message.get("method").is_none() => {
            tracing::debug!("a message without an answer is ignored: {}", error.message);
            Received::Ignored
        }
        Ok(_) => refused(error, id_in(line)),
        Err(_) => no_message(line),
    }
}

/// The refusal of a line that is not a message of the protocol.
fn no_message(line: &[u8]) -> Received {
    let parse_error =
        |message| refused(ErrorData::new(ErrorCode::PARSE_ERROR, message, None), None);
    let Ok(text) = std::str::from_utf8(line) else {
        return parse_error("the line is not UTF-8".to_owned());
    };
    if let Err(error) = serde_json::from_str::<IgnoredAny>(text) {
        return parse_error(format!("the line is not JSON: {error}"));
    }
    let message = match text.starts_with('[') {
        true => "batches are not part of this protocol: send one message in each line",
        false => "the line is not a JSON-RPC message of this protocol",
    };
    refused(ErrorData::invalid_request(message, None), id_in(line))
}

/// The id of a request, as far as it is one and stands there once.
fn id_in(line: &[u8]) -> Option<Value> {
    #[derive(Deserialize)]
    struct Envelope {
        #[serde(default)]
        id: Value,
    }
    let id = serde_json::from_slice::<Envelope>(line).map(|envelope| envelope.id).ok();
    id.filter(|id| id.is_string() || id.is_number())
}

fn refused(error: ErrorData, id: Option<Value>) -> Received {
    Received::Answered(json!({"jsonrpc": "2.0", "id": id, "error": error}))
}
