//! Services that compress what they answer, whatever is accepted.

use std::io::Write as _;

use airlock::{
    catalog::{
        Catalog, GraphQlConfig, HttpAccess, HttpConfig, UpstreamConfig, UpstreamErrorCode,
        UpstreamKind,
    },
    model::Document,
};
use axum::{body::Body, response::Response};
use flate2::{Compression, write};
use serde_json::{Value, json};

use super::{Asked, Service, call, started, upstream, written};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = write::GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = write::ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Without the head and the sum of zlib.
fn bare_deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = write::DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// What was encoded piece by piece, as a log is that grows.
fn in_parts(kind: &str, encoding: &str, parts: &[Vec<u8>]) -> Response {
    // Of chunks that do not end where a part does.
    let whole = parts.concat();
    let chunks: Vec<std::io::Result<Vec<u8>>> =
        whole.chunks(7).map(|chunk| Ok(chunk.to_vec())).collect();
    Response::builder()
        .header("content-type", kind)
        .header("content-encoding", encoding)
        .body(Body::from_stream(futures::stream::iter(chunks)))
        .unwrap()
}

fn encoded(status: u16, encoding: &str, body: Vec<u8>) -> Response {
    Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .header("content-encoding", encoding)
        .body(Body::from(body))
        .unwrap()
}

/// `{"fine":true}` by `brotli` and by `zstd`, as their own tools write it.
const BROTLI: &[u8] = &[
    0x0b, 0x06, 0x80, 0x7b, 0x22, 0x66, 0x69, 0x6e, 0x65, 0x22, 0x3a, 0x74, 0x72, 0x75, 0x65, 0x7d,
    0x03,
];
const ZSTD: &[u8] = &[
    0x28, 0xb5, 0x2f, 0xfd, 0x20, 0x0d, 0x69, 0x00, 0x00, 0x7b, 0x22, 0x66, 0x69, 0x6e, 0x65, 0x22,
    0x3a, 0x74, 0x72, 0x75, 0x65, 0x7d,
];

fn document(base: &str, paths: &[&str]) -> Value {
    let paths: serde_json::Map<String, Value> = paths
        .iter()
        .map(|path| {
            let id = path.trim_start_matches('/');
            let method = if id == "head" { "head" } else { "get" };
            let operation = json!({"operationId": id, "tags": ["z"],
                "responses": {"200": {"description": "ok"}}});
            ((*path).to_owned(), json!({ method: operation }))
        })
        .collect();
    json!({"openapi": "3.0.3", "info": {"title": "z", "version": "1"},
        "servers": [{"url": base}], "paths": paths})
}

/// What the service answers at each path.
fn answer(asked: &Asked) -> Response {
    let fine = br#"{"fine":true}"#;
    match asked.target.as_str() {
        "/gzip" | "/head" => encoded(200, "gzip", gzip(fine)),
        "/deflate" => encoded(200, "deflate", deflate(fine)),
        "/br" => encoded(200, "br", BROTLI.to_vec()),
        "/zstd" => encoded(200, "zstd", ZSTD.to_vec()),
        "/plain" => encoded(200, "identity", fine.to_vec()),
        "/none" => encoded(204, "gzip", Vec::new()),
        "/bomb" => encoded(200, "gzip", gzip(&[b'a'; 90 << 20])),
        "/refused" => encoded(422, "gzip", gzip(br#"{"reason": "size is wrong"}"#)),
        "/unknown" => encoded(200, "compress", fine.to_vec()),
        "/unknownRefused" => encoded(503, "compress", fine.to_vec()),
        "/broken" => encoded(200, "gzip", fine.to_vec()),
        "/log" => in_parts("text/plain", "gzip", &[gzip(b"a\n"), gzip(b"b\n"), gzip(b"c\n")]),
        "/rows" => in_parts("text/csv", "x-gzip", &[gzip(b"n\n1\n"), gzip(b""), gzip(b"2\n")]),
        "/lines" => {
            in_parts("application/x-ndjson", "GZIP", &[gzip(b"{\"n\":1}\n{\"n\""), gzip(b":2}\n")])
        }
        "/bytes" => in_parts("application/pdf", "gzip", &[gzip(b"%P"), gzip(b"DF"), vec![0; 600]]),
        "/frames" => {
            let nothing = [0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9].to_vec();
            in_parts("text/plain", "zstd", &[ZSTD.to_vec(), nothing, ZSTD.to_vec()])
        }
        "/cut" => in_parts("text/plain", "gzip", &[gzip(b"a\n"), gzip(b"b\n")[..12].to_vec()]),
        "/bare" => encoded(200, "Deflate", bare_deflate(fine)),
        "/twice" => encoded(200, "gzip, X-GZIP", gzip(&gzip(fine))),
        "/mixed" => encoded(200, "deflate, gzip", gzip(&deflate(fine))),
        "/empty" => encoded(200, "gzip", Vec::new()),
        "/parts" => {
            let part = gzip(&[b'a'; 30 << 20]);
            in_parts("application/json", "gzip", &[part.clone(), part.clone(), part])
        }
        "/graphql" => encoded(200, "gzip", gzip(br#"{"data": {"row": {"id": "7"}}}"#)),
        "/mcp" => mcp(asked),
        "/spec.json" => {
            let base = format!("http://{}", asked.header("host"));
            encoded(200, "gzip", gzip(document(&base, &["/gzip"]).to_string().as_bytes()))
        }
        other => panic!("{other} is not known"),
    }
}

fn mcp(asked: &Asked) -> Response {
    let message: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
    let result = match message["method"].as_str() {
        Some("initialize") => json!({"protocolVersion": "2025-06-18",
            "capabilities": {"tools": {}}, "serverInfo": {"name": "hx", "version": "1"}}),
        Some("tools/list") => {
            json!({"tools": [{"name": "t", "inputSchema": {"type": "object"}}]})
        }
        Some("tools/call") => json!({"content": [{"type": "text", "text": "from mcp"}]}),
        _ if message["id"].is_null() => {
            return super::answered(
                if asked.method == "POST" { 202 } else { 405 },
                "text/plain",
                "",
            );
        }
        _ => {
            let error = json!({"code": -32601, "message": "unknown"});
            let answer = json!({"jsonrpc": "2.0", "id": message["id"], "error": error});
            return encoded(200, "gzip", gzip(answer.to_string().as_bytes()));
        }
    };
    let answer = json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
    encoded(200, "gzip", gzip(answer.to_string().as_bytes()))
}

#[tokio::test]
async fn a_compressed_answer_is_read_within_the_bounds_of_what_it_holds() {
    let service = Service::start(answer).await;
    let folder = tempfile::TempDir::new().unwrap();
    let paths = [
        "/gzip",
        "/deflate",
        "/br",
        "/zstd",
        "/plain",
        "/none",
        "/head",
        "/bomb",
        "/refused",
        "/unknown",
        "/unknownRefused",
        "/broken",
    ];
    let spec = written(&folder, &document(&service.url(""), &paths).to_string());
    let catalog = started(upstream("svc", spec, None)).await;
    for name in ["gzip", "deflate", "br", "zstd", "plain"] {
        let got = call(&catalog, &format!("svc.z.{name}"), json!({})).await;
        assert_eq!(got, Ok(json!({"fine": true})), "{name}");
    }
    assert_eq!(call(&catalog, "svc.z.none", json!({})).await, Ok(Value::Null));
    assert_eq!(call(&catalog, "svc.z.head", json!({})).await.unwrap()["status"], 200);
    assert!(service.asked().iter().all(|asked| asked.header("accept-encoding").contains("gzip")));
    for (name, code, why) in [
        ("bomb", UpstreamErrorCode::AnswerTooLarge, "67108864"),
        ("refused", UpstreamErrorCode::ToolFailed, "size is wrong"),
        ("unknown", UpstreamErrorCode::BadAnswer, "has the content encoding `compress`"),
        ("unknownRefused", UpstreamErrorCode::BadAnswer, "it answered HTTP 503, and its answer"),
        ("broken", UpstreamErrorCode::BadAnswer, "not in the content encoding that it names"),
    ] {
        let error = call(&catalog, &format!("svc.z.{name}"), json!({})).await.unwrap_err();
        assert_eq!(error.code, code, "{name}: {}", error.message);
        assert!(error.message.contains(why), "{name}: {}", error.message);
        assert!(!error.message.contains('\u{fffd}'), "{}", error.message);
    }
    catalog.shutdown().await;
}

#[tokio::test]
async fn all_parts_of_a_body_are_read_and_encodings_by_all_their_names() {
    let service = Service::start(answer).await;
    let folder = tempfile::TempDir::new().unwrap();
    let paths = [
        "/log", "/rows", "/lines", "/bytes", "/frames", "/cut", "/bare", "/twice", "/mixed",
        "/empty", "/parts",
    ];
    let spec = written(&folder, &document(&service.url(""), &paths).to_string());
    let catalog = started(upstream("svc", spec, None)).await;
    let fine = json!({"fine": true});
    for (name, value) in [
        ("log", json!("a\nb\nc\n")),
        ("rows", json!("n\n1\n2\n")),
        ("lines", json!({"items": [{"n": 1}, {"n": 2}], "truncated": false})),
        // Zeros are padding.
        ("bytes", json!({"type": "application/pdf", "base64": "JVBERg==", "bytes": 4})),
        ("frames", json!("{\"fine\":true}{\"fine\":true}")),
        ("bare", fine.clone()),
        ("twice", fine.clone()),
        ("mixed", fine),
        ("empty", Value::Null),
    ] {
        let got = call(&catalog, &format!("svc.z.{name}"), json!({})).await;
        assert_eq!(got, Ok(value), "{name}");
    }
    for (name, code, why) in [
        ("cut", UpstreamErrorCode::Lost, "ends too early"),
        ("parts", UpstreamErrorCode::AnswerTooLarge, "67108864"),
    ] {
        let error = call(&catalog, &format!("svc.z.{name}"), json!({})).await.unwrap_err();
        assert_eq!(error.code, code, "{name}: {}", error.message);
        assert!(error.message.contains(why), "{name}: {}", error.message);
    }
    catalog.shutdown().await;
}

#[tokio::test]
async fn descriptions_graphql_and_mcp_are_read_when_they_are_compressed() {
    let service = Service::start(answer).await;
    let folder = tempfile::TempDir::new().unwrap();
    let access = || HttpAccess { allow_private: true, ..HttpAccess::default() };
    let far = upstream("far", Document::Url(service.url("/spec.json")), None);
    let sdl = folder.path().join("s.graphql");
    std::fs::write(&sdl, "type Query { row: Row } type Row { id: ID! }").unwrap();
    let graphql = GraphQlConfig {
        url: service.url("/graphql"),
        schema: Some(Document::File(sdl)),
        access: access(),
    };
    let graphql = UpstreamConfig::new("gq".parse().unwrap(), UpstreamKind::GraphQl(graphql));
    let mcp = HttpConfig { url: service.url("/mcp"), access: access() };
    let mcp = UpstreamConfig::new("m".parse().unwrap(), UpstreamKind::McpHttp(mcp));
    for (config, path, value) in [
        (far, "far.z.gzip", json!({"fine": true})),
        (graphql, "gq.query.row", json!({"id": "7"})),
        (mcp, "m.t", json!("from mcp")),
    ] {
        let catalog: Catalog = started(config).await;
        assert_eq!(call(&catalog, path, json!({})).await, Ok(value), "{path}");
        catalog.shutdown().await;
    }
}
