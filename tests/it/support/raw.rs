//! A server that is as bad as a test wants: one socket that speaks HTTP, or lines, by hand, so that
//! it can also do what no library lets it.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// Pause between two pieces of what drips.
const DRIP: Duration = Duration::from_millis(20);

/// What happens to a call instead of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing: it is answered.
    None,
    /// The connection is closed once the call was read.
    Killed,
    /// Nothing is ever said, and the connection stays.
    HalfOpen,
    /// The head and half of the answer come, then nothing.
    HalfAnswer,
    /// Half of the answer comes, then the connection is closed.
    CutAnswer,
    /// 500 with a stack trace.
    Status500,
    /// 503 with `Retry-After: 1`.
    Status503,
    /// One header after another, without end, slowly.
    SlowHeaders,
    /// One header after another, without end, fast.
    EndlessHeaders,
    /// A body without end.
    EndlessBody,
    /// A stream whose first event has no end.
    EndlessEvent,
    /// A stream that ends within its first event.
    CutEvent,
    /// A page where JSON was asked for.
    WrongType,
    /// Said to be JSON, and is not.
    InvalidJson,
    /// No HTTP.
    Garbage,
}

/// How a kind of upstream is spoken with: what it is answered, and whether that is a call, which a
/// fault can happen to.
pub(crate) type Script = fn(&Heard) -> (Answer, bool);

/// A request.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) method: String,
    pub(crate) body: Value,
}

/// A status and a body of JSON.
#[derive(Debug)]
pub(crate) struct Answer(pub(crate) u16, pub(crate) Value);

/// Listens until it is stopped.
pub(crate) struct RawServer {
    address: SocketAddr,
    fault: Arc<Mutex<Fault>>,
    /// Connections that are open at present.
    open: Arc<AtomicUsize>,
    /// Calls that were read so far.
    called: Arc<AtomicUsize>,
    server: JoinHandle<()>,
}

#[derive(Clone)]
struct Shared {
    fault: Arc<Mutex<Fault>>,
    open: Arc<AtomicUsize>,
    called: Arc<AtomicUsize>,
    script: Script,
    lines: bool,
}

impl RawServer {
    /// Speaks HTTP on this address, where port 0 is a free one.
    pub(crate) async fn http(address: &str, script: Script) -> Self {
        Self::start(address, script, false).await
    }

    /// Speaks JSON in lines, as an MCP server does on its standard output.
    pub(crate) async fn lines(script: Script) -> Self {
        Self::start("127.0.0.1:0", script, true).await
    }

    async fn start(address: &str, script: Script, lines: bool) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (fault, open, called) =
            (Arc::new(Mutex::new(Fault::None)), Arc::default(), Arc::default());
        let shared = Shared { fault, open, called, script, lines };
        let (fault, open, called) =
            (shared.fault.clone(), shared.open.clone(), shared.called.clone());
        let server = tokio::spawn(async move {
            // With the listener, what was accepted goes too.
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(connection(stream, shared.clone()));
            }
        });
        Self { address, fault, open, called, server }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn set(&self, fault: Fault) {
        *self.fault.lock() = fault;
    }

    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    pub(crate) fn called(&self) -> usize {
        self.called.load(Ordering::SeqCst)
    }

    /// Stops listening; what is open breaks.
    pub(crate) async fn stop(self) {
        self.server.abort();
        // It was aborted, which is what this tells.
        let _ = self.server.await;
    }
}

/// Counts a connection while it is open.
struct Open(Arc<AtomicUsize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn connection(mut stream: TcpStream, shared: Shared) {
    shared.open.fetch_add(1, Ordering::SeqCst);
    let _open = Open(shared.open.clone());
    let mut ahead = Vec::new();
    // However it breaks, it is over.
    while let Ok(Some(heard)) = heard(&mut stream, &mut ahead, shared.lines).await {
        let (answer, is_call) = (shared.script)(&heard);
        let fault = if is_call { *shared.fault.lock() } else { Fault::None };
        if is_call {
            shared.called.fetch_add(1, Ordering::SeqCst);
        }
        let spoken = if shared.lines {
            say_line(&mut stream, fault, &answer).await
        } else {
            say(&mut stream, fault, &answer).await
        };
        if spoken.is_err() || !shared.lines {
            return;
        }
    }
}

/// The next request; none at the end.
async fn heard(
    stream: &mut TcpStream,
    ahead: &mut Vec<u8>,
    lines: bool,
) -> std::io::Result<Option<Heard>> {
    let end: &[u8] = if lines { b"\n" } else { b"\r\n\r\n" };
    let head = loop {
        if let Some(at) = ahead.windows(end.len()).position(|bytes| bytes == end) {
            let rest = ahead.split_off(at + end.len());
            break String::from_utf8(std::mem::replace(ahead, rest)).unwrap();
        }
        if stream.read_buf(ahead).await? == 0 {
            return Ok(None);
        }
    };
    if lines {
        return Ok(Some(Heard {
            method: String::new(),
            body: serde_json::from_str(&head).unwrap(),
        }));
    }
    let length = head.lines().find_map(|line| {
        line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok()
    });
    while ahead.len() < length.unwrap_or(0) {
        if stream.read_buf(ahead).await? == 0 {
            return Ok(None);
        }
    }
    let method = head.split(' ').next().unwrap().to_owned();
    Ok(Some(Heard { method, body: serde_json::from_slice(ahead).unwrap_or_default() }))
}

/// Says nothing more and keeps the connection until the other side gives it up.
async fn stay(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut rest = Vec::new();
    while stream.read_buf(&mut rest).await? > 0 {}
    Err(std::io::ErrorKind::ConnectionReset.into())
}

async fn drip(stream: &mut TcpStream, pieces: &str, pause: Duration) -> std::io::Result<()> {
    loop {
        stream.write_all(pieces.as_bytes()).await?;
        tokio::time::sleep(pause).await;
    }
}

fn head(status: u16, kind: &str, more: &str) -> String {
    format!("HTTP/1.1 {status} Said\r\ncontent-type: {kind}\r\nconnection: close\r\n{more}\r\n")
}

async fn say(
    stream: &mut TcpStream,
    fault: Fault,
    Answer(status, body): &Answer,
) -> std::io::Result<()> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let length = format!("content-length: {}\r\n", body.len());
    let json = |text: &str| format!("{}{text}", head(200, "application/json", ""));
    let half = format!("{}{}", head(200, "application/json", &length), &body[..body.len() / 2]);
    let text = match fault {
        Fault::None => format!("{}{body}", head(*status, "application/json", &length)),
        Fault::Killed => return Ok(()),
        Fault::HalfOpen => return stay(stream).await,
        Fault::HalfAnswer => {
            stream.write_all(half.as_bytes()).await?;
            return stay(stream).await;
        }
        Fault::CutAnswer => half,
        Fault::Status500 => format!("{}at main.c:1 in main()", head(500, "text/plain", "")),
        Fault::Status503 => format!(
            "{}{{\"error\":\"come back\"}}",
            head(503, "application/json", "retry-after: 1\r\n")
        ),
        Fault::SlowHeaders | Fault::EndlessHeaders => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n").await?;
            let (count, pause) =
                if fault == Fault::SlowHeaders { (1, DRIP) } else { (1_000, Duration::ZERO) };
            return drip(stream, &"x-more: and more\r\n".repeat(count), pause).await;
        }
        Fault::EndlessBody => {
            stream.write_all(json("[").as_bytes()).await?;
            return drip(stream, &"\"more\",".repeat(200_000), Duration::ZERO).await;
        }
        Fault::EndlessEvent => {
            stream.write_all(head(200, "text/event-stream", "").as_bytes()).await?;
            stream.write_all(b"data: ").await?;
            return drip(stream, &"more ".repeat(200_000), Duration::ZERO).await;
        }
        Fault::CutEvent => {
            format!("{}data: {}", head(200, "text/event-stream", ""), &body[..body.len() / 2])
        }
        Fault::WrongType => {
            format!("{}<html><title>Sign in</title></html>", head(200, "text/html", ""))
        }
        Fault::InvalidJson => json("{\"half\": "),
        Fault::Garbage => "I am no web server\r\n\r\n".to_owned(),
    };
    stream.write_all(text.as_bytes()).await
}

/// The same where there is no HTTP: what has no counterpart is answered well.
async fn say_line(
    stream: &mut TcpStream,
    fault: Fault,
    Answer(_, body): &Answer,
) -> std::io::Result<()> {
    if body.is_null() {
        return Ok(());
    }
    let line = format!("{body}\n");
    let error = |code: i32, message: &str| {
        format!(
            "{}\n",
            json!({"jsonrpc": "2.0", "id": body["id"], "error": {"code": code, "message": message}})
        )
    };
    let text = match fault {
        Fault::Killed => return Err(std::io::ErrorKind::ConnectionAborted.into()),
        Fault::HalfOpen => return Ok(()),
        Fault::HalfAnswer => line[..line.len() / 2].to_owned(),
        Fault::CutAnswer => {
            stream.write_all(&line.as_bytes()[..line.len() / 2]).await?;
            return Err(std::io::ErrorKind::ConnectionAborted.into());
        }
        Fault::Status500 => error(-32603, "at main.c:1 in main()"),
        Fault::EndlessBody => {
            stream.write_all(&line.as_bytes()[..line.len() - 3]).await?;
            return drip(stream, &"more ".repeat(200_000), Duration::ZERO).await;
        }
        Fault::WrongType => {
            format!("{}\n", json!({"jsonrpc": "2.0", "id": body["id"], "result": {"surprise": 1}}))
        }
        Fault::InvalidJson => "{\"half\": \n".to_owned(),
        Fault::Garbage => "I am no MCP server\n".to_owned(),
        Fault::None
        | Fault::Status503
        | Fault::SlowHeaders
        | Fault::EndlessHeaders
        | Fault::EndlessEvent
        | Fault::CutEvent => line,
    };
    stream.write_all(text.as_bytes()).await
}
