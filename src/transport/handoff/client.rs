//! The client of an `airlock mcp`, kept while servers come and go: its standard streams, and as
//! much of its conversation as the next server needs.
//!
//! Reads the kind and the id of each message, and nothing more. A request that was pending when a
//! server ended is answered with an error, never sent a second time: its effects are not known.

use std::{
    collections::{HashMap, hash_map::Entry},
    io, mem,
};

use parking_lot::{Mutex, MutexGuard};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};

use crate::{
    model::ErrorCode,
    transport::{
        mcp::unmarked,
        stdio::{self, LINE_BYTES_MAX},
    },
};

/// Ids of pending requests that are remembered; further ones get no error when their server ends.
const PENDING_MAX: usize = 4096;
/// Length of an id that is remembered, in bytes of JSON.
const ID_BYTES_MAX: usize = 256;

type Input = Box<dyn AsyncRead + Send + Unpin>;
type Output = Box<dyn AsyncWrite + Send + Unpin>;

/// The side that ended a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedBy {
    /// The client: it has closed its end, and every request is answered.
    Client,
    /// The server. The client waits for the next one.
    Server,
}

/// A client that outlives its servers.
pub struct Client {
    requests: Lines<Input>,
    output: Output,
    conversation: Mutex<Conversation>,
}

impl Client {
    /// Takes the process's standard streams. Once.
    pub fn take() -> io::Result<Self> {
        let (input, output) = stdio::streams::take()?;
        Ok(Self {
            requests: Lines::of(Box::new(input)),
            output: Box::new(output),
            conversation: Mutex::default(),
        })
    }

    /// Passes messages both ways until either side ends. A later server is greeted as the client
    /// greeted the first.
    pub async fn pass(&mut self, far: impl AsyncRead + AsyncWrite) -> io::Result<EndedBy> {
        let (answers, mut far) = tokio::io::split(far);
        let Self { requests, output, conversation } = self;
        let there = async {
            let opening = lock(conversation).open();
            // A server that cannot be written to is gone, and reading from it says so.
            let mut is_there = far.write_all(&opening).await.is_ok();
            while let Some(piece) = requests.next().await? {
                if requests.is_whole() {
                    lock(conversation).sent(&piece);
                }
                if !is_there || far.write_all(&piece).await.is_err() {
                    is_there = false;
                    std::future::pending::<()>().await;
                }
            }
            let _ = far.shutdown().await;
            Ok::<_, io::Error>(())
        };
        let back = async {
            let mut answers = Lines::of(answers);
            // A server that breaks off has ended as well.
            while let Ok(Some(piece)) = answers.next().await {
                if !answers.is_whole() || lock(conversation).answered(&piece) {
                    output.write_all(&piece).await?;
                    output.flush().await?;
                }
            }
            Ok::<_, io::Error>(())
        };
        tokio::pin!(there, back);
        let left = tokio::select! {
            ended = &mut back => ended.map(|()| EndedBy::Server)?,
            ended = &mut there => {
                ended?;
                back.await?;
                return Ok(EndedBy::Client);
            }
        };
        Ok(left)
    }

    /// Answers the requests that the server which ended did not answer, each with an error.
    pub async fn fail_pending(&mut self) -> io::Result<()> {
        let failures = lock(&self.conversation).fail_pending();
        self.output.write_all(&failures).await?;
        self.output.flush().await
    }
}

fn lock(conversation: &Mutex<Conversation>) -> MutexGuard<'_, Conversation> {
    conversation.lock()
}

/// The state of a conversation: the greeting for the next server, and the pending requests.
#[derive(Default)]
struct Conversation {
    /// The client's `initialize` and its id, where its era of the protocol has one, and its
    /// `notifications/initialized`.
    greeting: Option<(Vec<u8>, String)>,
    greeted: Option<Vec<u8>>,
    /// The id of a greeting whose answer the client has had already.
    repeated: Option<String>,
    /// The ids of pending requests, each with the number of answers that are still to come: an id
    /// that the client repeats is answered more than once.
    pending: HashMap<String, u32>,
}

/// The part of a message that is read.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    method: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

/// The part of a cancellation that is read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cancelled<'a> {
    #[serde(borrow)]
    request_id: &'a RawValue,
}

impl Head<'_> {
    fn of(line: &[u8]) -> Option<Head<'_>> {
        serde_json::from_slice(unmarked(line)).ok()
    }

    fn id(&self) -> Option<String> {
        self.id.and_then(id)
    }

    /// The request that a cancellation names.
    fn cancelled(&self) -> Option<String> {
        id(serde_json::from_str::<Cancelled<'_>>(self.params?.get()).ok()?.request_id)
    }
}

fn id(raw: &RawValue) -> Option<String> {
    let id = raw.get();
    (id.len() <= ID_BYTES_MAX && id != "null").then(|| id.to_owned())
}

impl Conversation {
    /// The messages that a new server gets first.
    fn open(&mut self) -> Vec<u8> {
        let Some((greeting, id)) = &self.greeting else { return Vec::new() };
        // A client that has not had the answer yet gets an error and greets again.
        let Some(greeted) = &self.greeted else {
            self.greeting = None;
            return Vec::new();
        };
        self.repeated = Some(id.clone());
        [greeting.as_slice(), greeted].concat()
    }

    fn sent(&mut self, line: &[u8]) {
        let Some(head) = Head::of(line) else { return };
        match (head.method.as_deref(), head.id()) {
            (Some("initialize"), Some(id)) => {
                (self.greeting, self.greeted) = (Some((line.to_vec(), id.clone())), None);
                self.await_answer(id);
            }
            (Some("notifications/initialized"), None) => self.greeted = Some(line.to_vec()),
            // A request that was cancelled is not answered.
            (Some("notifications/cancelled"), None) => {
                head.cancelled().into_iter().for_each(|id| self.end(id));
            }
            (Some(_), Some(id)) if self.pending.len() < PENDING_MAX => self.await_answer(id),
            _ => {}
        }
    }

    /// True if the answer is passed on to the client.
    fn answered(&mut self, line: &[u8]) -> bool {
        let Some(id) =
            Head::of(line).filter(|head| head.method.is_none()).and_then(|head| head.id())
        else {
            return true;
        };
        if self.repeated.as_ref() == Some(&id) {
            self.repeated = None;
            return false;
        }
        self.end(id);
        true
    }

    fn await_answer(&mut self, id: String) {
        *self.pending.entry(id).or_default() += 1;
    }

    /// Ends one request with this id.
    fn end(&mut self, id: String) {
        if let Entry::Occupied(mut answers) = self.pending.entry(id) {
            *answers.get_mut() -= 1;
            if *answers.get() == 0 {
                answers.remove();
            }
        }
    }

    fn fail_pending(&mut self) -> Vec<u8> {
        let mut failures = Vec::new();
        for id in mem::take(&mut self.pending).into_keys() {
            let message = "the server that had this request ended; what it did so far is in its \
                tasks (`task_list`)";
            let error = serde_json::json!({
                "code": -32603, "message": message,
                "data": { "code": ErrorCode::ServerLost.as_str() }
            });
            failures.extend_from_slice(
                format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{error}}}\n").as_bytes(),
            );
        }
        failures
    }
}

/// Lines with their ends. One that is too long to be buffered comes in pieces.
struct Lines<R> {
    from: BufReader<R>,
    line: Vec<u8>,
    /// True if the latest piece was part of a longer line, and true if that line goes on.
    in_pieces: bool,
    goes_on: bool,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    fn of(from: R) -> Self {
        Self {
            from: BufReader::with_capacity(64 * 1024, from),
            line: Vec::new(),
            in_pieces: false,
            goes_on: false,
        }
    }

    /// True if the latest piece is a whole line.
    fn is_whole(&self) -> bool {
        !self.in_pieces
    }

    /// The next line or piece; none at the end. May be dropped at any time: nothing is lost.
    async fn next(&mut self) -> io::Result<Option<Vec<u8>>>
    where
        BufReader<R>: AsyncBufRead,
    {
        loop {
            let read = self.from.fill_buf().await?;
            if read.is_empty() {
                self.in_pieces = self.goes_on;
                return Ok(Some(mem::take(&mut self.line)).filter(|line| !line.is_empty()));
            }
            let end = read.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
            let taken = end.unwrap_or(read.len());
            self.line.extend_from_slice(&read[..taken]);
            self.from.consume(taken);
            if end.is_some() || self.line.len() > LINE_BYTES_MAX {
                self.in_pieces = self.goes_on || end.is_none();
                self.goes_on = end.is_none();
                return Ok(Some(mem::take(&mut self.line)));
            }
        }
    }
}

#[cfg(test)]
mod tests;
