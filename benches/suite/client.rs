//! A small MCP client over HTTP/1.1 keep-alive. It checks every answer and does little else,
//! because it shares the machine with the server that it measures.

use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::{json, value::RawValue};
use tokio::net::TcpStream;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Which protocol the client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Era {
    /// 2026-07-28: every request stands alone.
    Modern,
    /// 2025-11-25: a session.
    Legacy,
}

const MODERN: &str = "2026-07-28";
const LEGACY: &str = "2025-11-25";

/// One connection.
pub(crate) struct Client {
    sender: SendRequest<Full<Bytes>>,
    address: String,
    era: Era,
    session: Option<String>,
    next: u64,
}

impl Client {
    pub(crate) async fn connect(address: &str, era: Era) -> Result<Self, Error> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let mut client = Self { sender, address: address.to_owned(), era, session: None, next: 1 };
        if era == Era::Legacy {
            client.begin_session().await?;
        }
        Ok(client)
    }

    /// Runs code and checks what it returned. Gives the whole answer.
    pub(crate) async fn execute(&mut self, code: &str, expected: &str) -> Result<String, Error> {
        let id = self.next;
        self.next += 1;
        let body = execute(id, code, self.era);
        let (_, answer) = self.post("tools/call", Some("execute"), body).await?;
        check(&answer, id, expected)?;
        Ok(answer)
    }

    async fn begin_session(&mut self) -> Result<(), Error> {
        let (session, answer) = self.post("initialize", None, initialize().to_string()).await?;
        self.session = session;
        if !answer.contains("\"result\"") {
            return Err(format!("`initialize` was refused: {answer}").into());
        }
        let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        self.post("notifications/initialized", None, initialized.to_string()).await?;
        Ok(())
    }

    /// The id of the session, where the answer gives one, and the JSON-RPC message.
    async fn post(
        &mut self,
        method: &str,
        name: Option<&str>,
        body: String,
    ) -> Result<(Option<String>, String), Error> {
        let version = if self.era == Era::Modern { MODERN } else { LEGACY };
        let mut request = Request::post("/mcp")
            .header(header::HOST, &self.address)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json, text/event-stream")
            .header("mcp-protocol-version", version);
        if self.era == Era::Modern {
            request = request.header("mcp-method", method);
            request =
                name.into_iter().fold(request, |request, name| request.header("mcp-name", name));
        }
        if let Some(session) = &self.session {
            request = request.header("mcp-session-id", session);
        }
        self.sender.ready().await?;
        let response = self.sender.send_request(request.body(Full::new(body.into()))?).await?;
        let status = response.status();
        let header = |name: &str| {
            response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        let session = header("mcp-session-id");
        let is_stream =
            header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"));
        let body = String::from_utf8(response.into_body().collect().await?.to_bytes().to_vec())?;
        if !status.is_success() {
            return Err(format!("{method}: {status}: {body}").into());
        }
        Ok((session, if is_stream { last_event(&body) } else { body }))
    }
}

/// The data of the stream's last event that has any; notifications come before the answer.
fn last_event(stream: &str) -> String {
    stream
        .lines()
        .rev()
        .filter_map(|line| line.strip_prefix("data:"))
        .map(str::trim)
        .find(|data| !data.is_empty())
        .unwrap_or_default()
        .to_owned()
}

pub(crate) fn initialize() -> serde_json::Value {
    json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": LEGACY, "capabilities": {},
        "clientInfo": {"name": "bench", "version": "1"},
    }})
}

/// The request that runs code.
pub(crate) fn execute(id: u64, code: &str, era: Era) -> String {
    let mut params = json!({"name": "execute", "arguments": {"code": code}});
    if era == Era::Modern {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
        });
    }
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}).to_string()
}

/// Whether the answer is the one to this request, and the code returned what it should.
pub(crate) fn check(answer: &str, id: u64, expected: &str) -> Result<(), Error> {
    #[derive(Deserialize)]
    struct Answer<'a> {
        id: u64,
        #[serde(borrow)]
        result: Ended<'a>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Ended<'a> {
        #[serde(borrow)]
        structured_content: Content<'a>,
    }
    #[derive(Deserialize)]
    struct Content<'a> {
        status: &'a str,
        #[serde(borrow)]
        result: &'a RawValue,
    }
    match serde_json::from_str::<Answer<'_>>(answer) {
        Ok(Answer {
            id: of,
            result: Ended { structured_content: Content { status: "completed", result } },
        }) if of == id && result.get() == expected => Ok(()),
        _ => {
            Err(format!("request {id} should have returned {expected}, but the answer is {answer}")
                .into())
        }
    }
}
