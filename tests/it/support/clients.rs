//! Clients: raw HTTP and TCP for what no client would send, and public MCP clients in Python and
//! TypeScript.

use std::{net::SocketAddr, path::PathBuf, process::Stdio, time::Duration};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// What an answer looked like.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    /// The body, or the data of the last event that is a message with an id.
    pub(crate) fn json(&self) -> Value {
        if let Ok(value) = serde_json::from_str(&self.text) {
            return value;
        }
        let mut events = self
            .text
            .lines()
            .filter_map(|line| line.strip_prefix("data:"))
            .filter_map(|data| serde_json::from_str(data.trim()).ok());
        events.next_back().unwrap_or_else(|| panic!("no JSON in {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// Speaks HTTP to one server, as plainly as a test wants.
#[derive(Clone)]
pub(crate) struct Raw {
    pub(crate) address: SocketAddr,
    http: reqwest::Client,
}

impl Raw {
    pub(crate) fn new(address: SocketAddr) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { address, http: reqwest::Client::builder().no_proxy().build().unwrap() }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Sends a request with these headers.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> Reply {
        let mut request = self.http.request(method.parse().unwrap(), self.url(path)).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        Reply {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: response.text().await.unwrap(),
        }
    }

    /// Posts a message of the current revision, whose metadata it adds.
    pub(crate) async fn modern(&self, mut message: Value) -> Reply {
        let method = message["method"].as_str().unwrap().to_owned();
        let name = message["params"]["name"].as_str().unwrap_or_default().to_owned();
        let meta = &mut message["params"]["_meta"];
        meta["io.modelcontextprotocol/protocolVersion"] = "2026-07-28".into();
        meta["io.modelcontextprotocol/clientCapabilities"] = json!({});
        meta["io.modelcontextprotocol/clientInfo"] = json!({"name": "raw", "version": "1"});
        let mut headers = vec![("mcp-protocol-version", "2026-07-28"), ("mcp-method", &method)];
        headers.extend([
            ("accept", "application/json, text/event-stream"),
            ("content-type", "application/json"),
        ]);
        if !name.is_empty() {
            headers.push(("mcp-name", &name));
        }
        self.send("POST", "/mcp", &headers, message.to_string()).await
    }

    /// Calls a tool in the current revision; the result.
    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> Value {
        let message = json!({
            "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {"name": tool, "arguments": arguments}
        });
        let reply = self.modern(message).await;
        let answer = reply.json();
        assert!(answer["result"].is_object(), "{reply:?}");
        answer["result"].clone()
    }

    /// Opens a connection, writes these bytes, and reads until `enough` or ten seconds have passed.
    pub(crate) async fn exchange(
        &self,
        bytes: &[u8],
        enough: impl Fn(&str) -> bool,
    ) -> (TcpStream, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut read = Vec::new();
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        while !enough(&String::from_utf8_lossy(&read)) {
            let mut chunk = [0; 4096];
            match tokio::time::timeout_at(deadline, stream.read(&mut chunk)).await {
                Ok(Ok(n)) if n > 0 => read.extend_from_slice(&chunk[..n]),
                _ => break,
            }
        }
        (stream, String::from_utf8_lossy(&read).into_owned())
    }
}

/// The bytes of a request to hear of changed tools, in the current revision, for a raw connection.
pub(crate) fn listen_post(address: SocketAddr) -> Vec<u8> {
    let params = json!({"notifications": {"toolsListChanged": true}, "_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {}}});
    let listen =
        json!({"jsonrpc": "2.0", "id": "l", "method": "subscriptions/listen", "params": params})
            .to_string();
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nAccept: \
        application/json, text/event-stream\r\n\
         MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: subscriptions/listen\r\nContent-Length: \
        {}\r\n\r\n",
        listen.len()
    );
    (head + &listen).into_bytes()
}

/// The bytes of a POST of the current revision, for a raw connection.
pub(crate) fn modern_post(address: SocketAddr, code: &str) -> Vec<u8> {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let params = json!({"name": "execute", "arguments": {"code": code}, "_meta": meta});
    let body =
        json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}).to_string();
    format!(
        "POST /mcp HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nAccept: \
        application/json, text/event-stream\r\n\
         MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: \
        execute\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// The folder of the public clients.
pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

/// Runs a public client against `target`; what it printed, one JSON object. None where it is not
/// installed: `tests/clients/setup.sh` installs them, and in continuous integration they must be
/// there.
pub(crate) async fn drive(client: &str, target: &[&str]) -> Option<Value> {
    let (program, script) = match client {
        "python-2" => (folder().join(".venv-2/bin/python"), "drive_v2.py"),
        "python-1" => (folder().join(".venv-1/bin/python"), "drive_v1.py"),
        "typescript-2" => ("node".into(), "drive_v2.mjs"),
        "typescript-1" => ("node".into(), "drive_v1.mjs"),
        other => panic!("no client `{other}`"),
    };
    let marker =
        if client.starts_with("python") { program.clone() } else { folder().join("node_modules") };
    if !marker.exists() {
        assert!(
            std::env::var_os("CI").is_none(),
            "{client} is not installed: run tests/clients/setup.sh"
        );
        eprintln!("skipped: {client} is not installed (tests/clients/setup.sh)");
        return None;
    }
    let mut command = tokio::process::Command::new(program);
    command.arg(folder().join(script)).args(target).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_secs(120), command.output())
        .await
        .expect("the client ends")
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{client} failed: {printed}\n{complaints}");
    Some(
        serde_json::from_str(&printed)
            .unwrap_or_else(|error| panic!("{client}: {error}: {printed}\n{complaints}")),
    )
}
