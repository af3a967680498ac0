//! A server of every kind that says back whatever it got, in whatever place it is asked to.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    extract::{Request, State},
    response::Response,
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE},
};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// Where and how it can say it. Of those that `cut` it, the beginning stands where somebody may cut
/// a text.
pub(super) const WAYS: [&str; 25] = [
    "plain", "json", "escaped", "base64", "urlsafe", "shifted", "hex", "encoded", "lower", "fail",
    "error", "status", "page", "binary", "header", "type", "location", "away", "invalid", "notice",
    "question", "cut 200", "cut 300", "cut 500", "cut 3500",
];

/// Both servers: one speaks HTTP, the other is what a child passes on.
pub(super) struct Echo {
    address: SocketAddr,
    lines: SocketAddr,
    heard: Heard,
    servers: [JoinHandle<()>; 2],
}

type Heard = Arc<Mutex<String>>;

impl Echo {
    pub(super) async fn start() -> Self {
        crate::support::upstream::install_crypto();
        let heard = Heard::default();
        let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let raw = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, lines) = (http.local_addr().unwrap(), raw.local_addr().unwrap());
        let router = Router::new().fallback(answered).with_state(heard.clone());
        let noted = heard.clone();
        let servers = [
            tokio::spawn(async move { axum::serve(http, router).await.unwrap() }),
            tokio::spawn(async move {
                while let Ok((stream, _)) = raw.accept().await {
                    tokio::spawn(child(stream, noted.clone()));
                }
            }),
        ];
        Self { address, lines, heard, servers }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn lines(&self) -> SocketAddr {
        self.lines
    }

    /// Whether it was sent this.
    pub(super) fn heard(&self, text: &str) -> bool {
        self.heard.lock().contains(text)
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.servers.iter().for_each(JoinHandle::abort);
    }
}

/// Says it in one way; what is about the place rather than the words is said as it is.
fn said(how: &str, got: &str) -> String {
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    let encoded = || url::form_urlencoded::byte_serialize(got.as_bytes()).collect::<String>();
    match how {
        "escaped" => Value::from(got).to_string().replace('/', "\\/"),
        "base64" => STANDARD.encode(got),
        "urlsafe" => URL_SAFE.encode(got),
        "shifted" => format!(
            "{} {}",
            STANDARD.encode(format!("x{got}")),
            STANDARD.encode(format!("xy{got}"))
        ),
        "hex" => format!("{} {}", hex(got), hex(got).to_uppercase()),
        "encoded" => encoded(),
        "lower" => encoded()
            .to_ascii_lowercase()
            .replace(&encoded().to_ascii_lowercase(), &lower(&encoded())),
        _ => match how.strip_prefix("cut ").and_then(|at| at.parse::<usize>().ok()) {
            // So that what is cut there holds half of what is last, which is the credential.
            Some(at) => {
                let last = got.rsplit([' ', '=']).find(|word| word.len() > 20).unwrap_or(got);
                format!("{}{last} and so on{}", "x".repeat(at - 30), "y".repeat(200))
            }
            None => got.to_owned(),
        },
    }
}

/// `%2F` as `%2f`.
fn lower(encoded: &str) -> String {
    let mut parts = encoded.split('%');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        format!("{text}%{}{}", part[..2].to_ascii_lowercase(), &part[2..])
    })
}

/// The messages that answer a request of the protocol.
fn protocol(request: &Value, got: &str) -> Vec<Value> {
    let id = &request["id"];
    let result = |result: Value| vec![json!({"jsonrpc": "2.0", "id": id, "result": result})];
    let text = |text: &str| json!([{"type": "text", "text": text}]);
    match request["method"].as_str().unwrap_or_default() {
        "initialize" => {
            let server = json!({"name": "echo", "version": got});
            result(
                json!({"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": server, "instructions": got}),
            )
        }
        "tools/list" => {
            let how = json!({"type": "string", "description": got, "examples": [got]});
            let schema = json!({"type": "object", "title": got, "properties": {"how": how}, "additionalProperties": true});
            let tool = |name: &str| json!({"name": name, "title": got, "description": format!("Says {got}"), "inputSchema": schema});
            result(json!({"tools": [tool("echo"), tool("asked"), tool(got)]}))
        }
        "tools/call" => {
            let how = request["params"]["arguments"]["how"].as_str().unwrap_or_default();
            let words = said(how, got);
            let progress = json!({"progressToken": request["params"]["_meta"]["progressToken"], "progress": 1, "message": words});
            let question = json!({"message": words, "requestedSchema": {"type": "object", "properties": {got: {"type": "string"}}}});
            match how {
                "json" => result(json!({"content": [], "structuredContent": {got: [got, {"deep": got}]}})),
                "error" => vec![json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32000, "message": words, "data": got}})],
                "invalid" => vec![json!({"jsonrpc": "2.0", "id": id, "result": {got: words}})],
                "notice" => [
                    vec![json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": progress})],
                    result(json!({"content": text("told")})),
                ]
                .concat(),
                "question" => [
                    vec![json!({"jsonrpc": "2.0", "id": 9, "method": "elicitation/create", "params": question})],
                    result(json!({"content": text(&words), "isError": true})),
                ]
                .concat(),
                _ if how == "fail" || how.starts_with("cut") => result(json!({"content": text(&words), "isError": true})),
                _ => result(json!({"content": text(&words)})),
            }
        }
        method if method.starts_with("notifications/") || request.get("id").is_none() => Vec::new(),
        _ => vec![
            json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32601, "message": format!("no \
                such method, {got}")}}),
        ],
    }
}

/// What is behind a child: its first line is what it was given.
async fn child(stream: TcpStream, heard: Heard) {
    let (from, mut to) = stream.into_split();
    let mut lines = BufReader::new(from).lines();
    let Ok(Some(got)) = lines.next_line().await else { return };
    heard.lock().push_str(&format!("{got}\n"));
    while let Ok(Some(line)) = lines.next_line().await {
        for message in protocol(&serde_json::from_str(&line).unwrap(), &got) {
            if to.write_all(format!("{message}\n").as_bytes()).await.is_err() {
                return;
            }
        }
    }
}

async fn answered(State(heard): State<Heard>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1024 * 1024).await.unwrap();
    let target = parts.uri.path_and_query().map_or_else(String::new, ToString::to_string);
    let query: Vec<(String, String)> =
        url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
            .into_owned()
            .collect();
    let asked =
        |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let mut got = format!("{} {target}", parts.method);
    for name in ["authorization", "x-key", "x-more"] {
        if let Some(value) = parts.headers.get(name) {
            let value = value.to_str().unwrap();
            got.push_str(&format!(" {value}"));
            if let Some(pair) = value.strip_prefix("Basic ") {
                got.push_str(&format!(
                    " {}",
                    String::from_utf8(STANDARD.decode(pair).unwrap()).unwrap()
                ));
            }
        }
    }
    got.push_str(&asked("key").map(|key| format!(" {key}")).unwrap_or_default());
    heard.lock().push_str(&format!("{got}\n"));
    match parts.uri.path() {
        "/mcp" if parts.method != "POST" => reply(405, "text/plain", got),
        "/mcp" => mcp(&body, &got),
        "/graphql" => graphql(&body, &got),
        "/schema.graphql" => reply(
            200,
            "text/plain",
            format!(
                "type Query {{\n\"\"\"Says {got}\"\"\"\necho(\"{}\" how: String): String }}\n",
                got.replace('"', "'")
            ),
        ),
        path if path.ends_with("/spec.json") => reply(200, "application/json", description(&got)),
        _ => operation(&asked("how").unwrap_or_default(), &got),
    }
}

fn reply(status: u16, kind: &str, body: impl Into<axum::body::Body>) -> Response {
    Response::builder().status(status).header("content-type", kind).body(body.into()).unwrap()
}

fn description(got: &str) -> String {
    let how = json!({"name": "how", "in": "query", "description": got, "schema": {"type": "string", "title": got}});
    let responses = json!({"200": {"description": got, "content": {"*/*": {}}}});
    let operation = json!({"operationId": "echo", "tags": ["all"], "summary": format!("Says \
        {got}"), "description": got, "parameters": [how], "responses": responses});
    json!({"openapi": "3.1.0", "info": {"title": got}, "paths": {"/echo": {"get": operation}}})
        .to_string()
}

fn mcp(body: &Bytes, got: &str) -> Response {
    let request: Value = serde_json::from_slice(body).unwrap();
    let how = request["params"]["arguments"]["how"].as_str().unwrap_or_default();
    match how {
        "status" => return reply(400, "text/plain", got.to_owned()),
        "page" | "type" => {
            return reply(200, &format!("text/html; say=\"{got}\""), format!("<html>{got}</html>"));
        }
        "binary" => return reply(200, "application/json", format!("{{\"half\": \"{got}")),
        "location" | "away" => return moved(how, got),
        _ => {}
    }
    let messages = protocol(&request, got);
    match messages.as_slice() {
        [] => reply(202, "text/plain", got.to_owned()),
        [one] => reply(200, "application/json", one.to_string()),
        several => {
            let events: String =
                several.iter().map(|message| format!("data: {message}\n\n")).collect();
            reply(200, "text/event-stream", events)
        }
    }
}

/// Somewhere that cannot be reached, with what it got in the address.
fn moved(how: &str, got: &str) -> Response {
    let encoded: String = url::form_urlencoded::byte_serialize(got.as_bytes()).collect();
    let place = if how == "away" { "http://127.0.0.1:1" } else { "http://169.254.169.254" };
    let location = format!("{place}/{encoded}?key={encoded}");
    Response::builder()
        .status(307)
        .header("location", location)
        .header("content-type", "text/plain")
        .body(got.to_owned().into())
        .unwrap()
}

fn graphql(body: &Bytes, got: &str) -> Response {
    let request: Value = serde_json::from_slice(body).unwrap();
    let how = request["variables"]["how"].as_str().unwrap_or_default();
    let words = said(how, got);
    let json = |status: u16, body: Value| reply(status, "application/json", body.to_string());
    match how {
        "fail" | "question" => {
            let error =
                json!({"message": words, "path": ["echo", got], "extensions": {"code": got}});
            json(200, json!({"data": {"echo": got}, "errors": [error, error]}))
        }
        "status" | "error" => reply(500, "text/plain", words),
        "page" | "type" => {
            reply(200, &format!("text/html; say=\"{got}\""), format!("<html>{got}</html>"))
        }
        "invalid" | "binary" => reply(200, "application/json", format!("{{\"data\": \"{words}")),
        "location" | "away" => moved(how, got),
        _ if how.starts_with("cut") => json(
            200,
            json!({"errors": [{"message": words, "extensions": {"code": words}}, {"message": "and"}]}),
        ),
        _ => json(200, json!({"data": {"echo": words}})),
    }
}

fn operation(how: &str, got: &str) -> Response {
    let words = said(how, got);
    match how {
        "json" => reply(200, "application/json", json!({got: [got]}).to_string()),
        "fail" => reply(422, "application/json", json!({"message": words}).to_string()),
        "error" => reply(500, "text/plain", words),
        "status" => Response::builder()
            .status(429)
            .header("retry-after", format!("{got} s"))
            .body(words.into())
            .unwrap(),
        "page" => reply(404, "text/html", format!("<html><title>{got}</title></html>")),
        "binary" => reply(200, "image/png", format!("\u{1}{got}")),
        "header" => Response::builder()
            .header("x-said", got)
            .header("set-cookie", got)
            .header("link", format!("<{got}>"))
            .body("x".into())
            .unwrap(),
        "type" => reply(
            200,
            &format!("application/x-echo; say=\"{got}{}\"", "x".repeat(150)),
            got.to_owned(),
        ),
        "location" | "away" => moved(how, got),
        "invalid" => reply(200, "application/json", format!("{{\"half\": \"{words}")),
        "notice" => {
            reply(200, "text/event-stream", format!("event: {got}\nid: {got}\ndata: {got}\n\n"))
        }
        "question" => {
            reply(200, "application/x-ndjson", format!("{}\n{got}\n", json!({"said": got})))
        }
        _ if how.starts_with("cut") => Response::builder()
            .status(429)
            .header("content-type", "text/plain")
            .header("retry-after", "0")
            .body(words.into())
            .unwrap(),
        _ => reply(200, "text/plain", words),
    }
}
