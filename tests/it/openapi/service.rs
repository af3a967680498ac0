//! A service over HTTP that records what it is asked and answers as a test says.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    extract::{Request, State},
    response::Response,
};
use parking_lot::Mutex;

/// A request as it came in.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// Path and query, as they were written.
    pub(crate) target: String,
    pub(crate) headers: axum::http::HeaderMap,
    pub(crate) body: Bytes,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// `GET /x?y`.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }
}

type Reply = Arc<dyn Fn(&Asked) -> Response + Send + Sync>;

/// Listens on a free port of the loopback until it is dropped.
pub(crate) struct Service {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    server: tokio::task::JoinHandle<()>,
}

impl Service {
    pub(crate) async fn start(reply: impl Fn(&Asked) -> Response + Send + Sync + 'static) -> Self {
        crate::support::upstream::install_crypto();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let state: (Reply, Arc<Mutex<Vec<Asked>>>) = (Arc::new(reply), asked.clone());
        let router = Router::new().fallback(answer).with_state(state);
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, asked, server }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Everything it was asked so far, which it forgets.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.asked.lock())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(
    State((reply, asked)): State<(Reply, Arc<Mutex<Vec<Asked>>>)>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 64 * 1024 * 1024).await.unwrap();
    let target = parts.uri.path_and_query().map_or_else(String::new, ToString::to_string);
    let one = Asked { method: parts.method.to_string(), target, headers: parts.headers, body };
    asked.lock().push(one.clone());
    reply(&one)
}

/// An answer of this status, type and body.
pub(crate) fn answered(status: u16, kind: &str, body: impl Into<axum::body::Body>) -> Response {
    Response::builder().status(status).header("content-type", kind).body(body.into()).unwrap()
}
