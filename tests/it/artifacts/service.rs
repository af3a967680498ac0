//! An OpenAPI service whose responses are too large for a program.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    Router,
    extract::Request,
    http::header,
    routing::{get, post},
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// An OpenAPI service with large answers, and one operation that says what it got.
pub(super) struct Service {
    url: String,
    /// Requests to the operation that says what it got.
    pub(super) stored: Arc<AtomicUsize>,
    /// Requests to the one that never answers.
    pub(super) held: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

const MIB: usize = 1024 * 1024;

/// JSON of more than 20 MB in one line, with one odd row.
pub(super) fn rows() -> String {
    let mut out = String::from("{\"rows\":[");
    for n in 0..220_000 {
        let name = if n == 150_000 { "needle" } else { "hay" };
        out.push_str(&format!(
            "{{\"id\":{n},\"name\":\"{name}\",\"note\":\"{}\"}},",
            "ü".repeat(30)
        ));
    }
    out.push_str("null]}");
    assert!(out.len() > 20 * MIB, "{}", out.len());
    out
}

/// A text of more than 20 MB in lines.
pub(super) fn lines() -> String {
    let line = |n: usize| {
        format!("{n} {} {}\n", if n % 50_000 == 7 { "ERROR here" } else { "fine" }, "ö".repeat(40))
    };
    (1..=240_000).map(line).collect()
}

impl Service {
    pub(super) async fn start() -> Self {
        let (rows, lines) = (Arc::new(rows()), Arc::new(lines()));
        let stored = Arc::new(AtomicUsize::new(0));
        let count = stored.clone();
        let held: Arc<AtomicUsize> = Arc::default();
        let holding = held.clone();
        let app = Router::new()
            .route(
                "/held",
                post(async move |request: Request| {
                    // All of it is taken, and nothing said.
                    let _taken = axum::body::to_bytes(request.into_body(), 100 * MIB).await.unwrap();
                    holding.fetch_add(1, Ordering::SeqCst);
                    std::future::pending::<&str>().await
                }),
            )
            .route("/rows", get(move || async move { ([(header::CONTENT_TYPE, "application/json")], rows.to_string()) }))
            .route("/lines", get(move || async move { ([(header::CONTENT_TYPE, "text/plain; \
                charset=utf-8")], lines.to_string()) }))
            .route(
                "/store",
                post(async move |request: Request| {
                    count.fetch_add(1, Ordering::SeqCst);
                    let body = axum::body::to_bytes(request.into_body(), 100 * MIB).await.unwrap();
                    let body: Value = serde_json::from_slice(&body).unwrap();
                    let rows = body["data"]["rows"].as_array().map(Vec::len);
                    axum::Json(json!({ "rows": rows, "bytes": body["data"].as_str().map(str::len), "name": body["name"] }))
                }),
            );
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, stored, held, task }
    }

    /// The service as an upstream, its description in this folder.
    pub(super) fn upstream(&self, folder: &TempDir) -> String {
        let answer =
            |kind: &str| json!({ "200": { "description": "it", "content": { kind: {} } } });
        let spec = json!({
            "openapi": "3.0.3", "info": { "title": "big", "version": "1" },
            "servers": [{ "url": self.url }],
            "paths": {
                "/rows": { "get": { "tags": ["data"], "operationId": "rows", "responses": answer("application/json") } },
                "/lines": { "get": { "tags": ["data"], "operationId": "lines", "responses": answer("text/plain") } },
                "/held": { "post": {
                    "tags": ["data"], "operationId": "held",
                    "requestBody": { "required": true, "content": { "application/json": { "schema": {
                        "type": "object", "required": ["data"],
                        "properties": { "data": { "type": "object" } },
                    } } } },
                    "responses": answer("application/json"),
                } },
                "/store": { "post": {
                    "tags": ["data"], "operationId": "store",
                    "requestBody": { "required": true, "content": { "application/json": { "schema": {
                        "type": "object", "required": ["data"],
                        "properties": { "data": { "type": ["object", "string"] }, "name": { "type": "string" } },
                    } } } },
                    "responses": answer("application/json"),
                } },
            },
        });
        let file = folder.path().join("big.json");
        std::fs::write(&file, spec.to_string()).unwrap();
        format!(
            "[upstreams.big]\nkind = \"openapi\"\nspec = {:?}\nallow_private = true\n",
            file.display().to_string()
        )
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.task.abort();
    }
}
