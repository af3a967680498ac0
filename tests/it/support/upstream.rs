//! Upstreams for tests: our own small server as a child, the protocol's public reference server,
//! and one over HTTP that says whatever a test wants.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use airlock::catalog::{
    HttpAccess, HttpConfig, StdioConfig, Tool, UpstreamConfig, UpstreamKind, Visibility,
};
use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::MethodRouter,
};
use serde_json::{Value, json};
use tokio::sync::Notify;

/// Longest wait for anything in these tests; generous, for a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Everything is seen, nothing needs a person.
pub(crate) fn open(_: &Tool) -> Visibility {
    Visibility::Auto
}

/// The environment of the test, as the server would pass its own.
pub(crate) fn environment() -> BTreeMap<String, String> {
    std::env::vars().collect()
}

/// HTTPS, and so every HTTP client, needs one; the server installs it at its start.
pub(crate) fn install_crypto() {
    // A second installation changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A command as an upstream.
pub(crate) fn command(name: &str, command: &str, args: &[&str]) -> UpstreamConfig {
    let args = args.iter().map(|arg| (*arg).to_owned()).collect();
    stdio(name, StdioConfig { command: command.to_owned(), args, ..StdioConfig::default() })
}

/// A child with more than a command.
pub(crate) fn stdio(name: &str, config: StdioConfig) -> UpstreamConfig {
    UpstreamConfig::new(name.parse().unwrap(), UpstreamKind::McpStdio(config))
}

/// The demo upstream as a child.
pub(crate) fn demo(name: &str, flags: &[&str]) -> UpstreamConfig {
    let args: Vec<&str> = std::iter::once("__demo-upstream").chain(flags.iter().copied()).collect();
    command(name, env!("CARGO_BIN_EXE_airlock"), &args)
}

/// An address as an upstream.
pub(crate) fn http(name: &str, url: &str) -> UpstreamConfig {
    install_crypto();
    let access = HttpAccess { allow_private: true, ..HttpAccess::default() };
    UpstreamConfig::new(
        name.parse().unwrap(),
        UpstreamKind::McpHttp(HttpConfig { url: url.to_owned(), access }),
    )
}

/// An address with an `Authorization` header.
pub(crate) fn http_with(name: &str, url: &str, authorization: &str) -> UpstreamConfig {
    install_crypto();
    let headers = [("Authorization".to_owned(), authorization.to_owned())].into();
    let access = HttpAccess { headers, allow_private: true, ..HttpAccess::default() };
    UpstreamConfig::new(
        name.parse().unwrap(),
        UpstreamKind::McpHttp(HttpConfig { url: url.to_owned(), access }),
    )
}

/// Polls until the condition holds; fails the test when it never does.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Whether a process is there and has not merely been left unreaped.
pub(crate) fn is_alive(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        stat.rsplit(')').next().is_some_and(|rest| !rest.trim_start().starts_with(['Z', 'X']))
    })
}

/// The entry point of `@modelcontextprotocol/server-everything`, installed once into the build's
/// own folder, or none, with a message, where Node is missing.
pub(crate) fn everything() -> Option<PathBuf> {
    const VERSION: &str = "2026.8.31";
    if Command::new("node").arg("--version").output().is_err()
        || Command::new("npm").arg("--version").output().is_err()
    {
        assert!(
            std::env::var_os("CI").is_none(),
            "node and npm are needed for the reference server"
        );
        eprintln!("skipped: node and npm are needed for the reference server");
        return None;
    }
    let folder =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("server-everything-{VERSION}"));
    let entry = folder.join("node_modules/@modelcontextprotocol/server-everything/dist/index.js");
    std::fs::create_dir_all(&folder).unwrap();
    // Tests run in several processes at once; one installs, the others wait.
    let lock = std::fs::File::create(folder.join("lock")).unwrap();
    lock.lock().unwrap();
    if !entry.exists() {
        let package = format!("@modelcontextprotocol/server-everything@{VERSION}");
        let npm = Command::new("npm")
            .args(["install", "--no-audit", "--no-fund", "--loglevel", "error", "--prefix"])
            .arg(&folder)
            .arg(package)
            .output()
            .unwrap();
        assert!(
            npm.status.success(),
            "npm install failed: {}",
            String::from_utf8_lossy(&npm.stderr)
        );
    }
    Some(entry)
}

type Reply = Arc<dyn Fn(&Value) -> Response + Send + Sync>;

/// An MCP server over HTTP that does the handshake as it should, and everything else as the test
/// says. A message comes with the header `authorization` of its request under that name.
pub(crate) struct Scripted {
    address: SocketAddr,
    server: tokio::task::JoinHandle<()>,
}

impl Scripted {
    /// Serves on a free port.
    pub(crate) async fn start(reply: impl Fn(&Value) -> Response + Send + Sync + 'static) -> Self {
        Self::start_on("127.0.0.1:0".parse().unwrap(), Arc::default(), reply).await
    }

    /// Serves on a free port and speaks the modern era alone.
    pub(crate) async fn modern(reply: impl Fn(&Value) -> Response + Send + Sync + 'static) -> Self {
        let discovered = json!({"resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}, "ttlMs": 0,
            "cacheScope": "private"});
        let script = move |request: &Value| match request["method"].as_str() {
            Some("server/discover") => result(request, discovered.clone()),
            Some("initialize") => error(request, -32601, "no such method"),
            _ => reply(request),
        };
        Self::serve("127.0.0.1:0".parse().unwrap(), Arc::default(), script, MethodRouter::new())
            .await
    }

    /// Serves on a free port, in a session whose stream is what `stream` says.
    pub(crate) async fn start_with<F: Future<Output = Response> + Send + 'static>(
        stream: impl Fn() -> F + Clone + Send + Sync + 'static,
        reply: impl Fn(&Value) -> Response + Send + Sync + 'static,
    ) -> Self {
        let legacy = legacy(reply);
        let script = move |request: &Value| {
            let mut response = legacy(request);
            response.headers_mut().insert("mcp-session-id", header::HeaderValue::from_static("s"));
            response
        };
        Self::serve(
            "127.0.0.1:0".parse().unwrap(),
            Arc::default(),
            script,
            axum::routing::get(stream),
        )
        .await
    }

    /// Serves on a given port; `answered` is told when the client answers a request of the
    /// server's.
    pub(crate) async fn start_on(
        address: SocketAddr,
        answered: Arc<Notify>,
        reply: impl Fn(&Value) -> Response + Send + Sync + 'static,
    ) -> Self {
        Self::serve(address, answered, legacy(reply), MethodRouter::new()).await
    }

    async fn serve(
        address: SocketAddr,
        answered: Arc<Notify>,
        reply: impl Fn(&Value) -> Response + Send + Sync + 'static,
        more: MethodRouter<(Reply, Arc<Notify>)>,
    ) -> Self {
        install_crypto();
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let state: (Reply, Arc<Notify>) = (Arc::new(reply), answered);
        let router = Router::new().route("/mcp", more.post(answer)).with_state(state);
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, server }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The endpoint.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// Stops listening; what is open breaks.
    pub(crate) async fn stop(self) {
        self.server.abort();
        let _ = self.server.await;
    }
}

/// Does the handshake of the legacy era; the rest is as `reply` says.
fn legacy(
    reply: impl Fn(&Value) -> Response + Send + Sync + 'static,
) -> impl Fn(&Value) -> Response + Send + Sync + 'static {
    move |request: &Value| match request["method"].as_str() {
        Some("server/discover") => error(request, -32601, "no such method"),
        Some("initialize") => result(
            request,
            json!({
                "protocolVersion": "2025-11-25",
                "capabilities": {"tools": {"listChanged": true}},
                "serverInfo": {"name": "scripted", "version": "1"},
            }),
        ),
        _ => reply(request),
    }
}

async fn answer(
    State((reply, answered)): State<(Reply, Arc<Notify>)>,
    headers: HeaderMap,
    body: String,
) -> Response {
    let mut message: Value = serde_json::from_str(&body).unwrap();
    if let Some(authorization) = headers.get(header::AUTHORIZATION) {
        message["authorization"] = authorization.to_str().unwrap().into();
    }
    match message["method"].as_str() {
        None => {
            answered.notify_one();
            StatusCode::ACCEPTED.into_response()
        }
        _ if message.get("id").is_none() => StatusCode::ACCEPTED.into_response(),
        _ => reply(&message),
    }
}

/// A JSON-RPC result.
pub(crate) fn result(request: &Value, result: Value) -> Response {
    reply(&json!({"jsonrpc": "2.0", "id": request["id"], "result": result}))
}

/// A JSON-RPC error.
pub(crate) fn error(request: &Value, code: i32, message: &str) -> Response {
    reply(&json!({
        "jsonrpc": "2.0", "id": request["id"], "error": {"code": code, "message": message}
    }))
}

/// Any text as the body of a 200, said to be JSON.
pub(crate) fn body(text: impl Into<Body>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text.into()).into_response()
}

fn reply(message: &Value) -> Response {
    body(message.to_string())
}

/// A tool list with one tool, `t`, that takes anything.
pub(crate) fn one_tool(request: &Value) -> Response {
    result(request, json!({"tools": [{"name": "t", "inputSchema": {"type": "object"}}]}))
}
