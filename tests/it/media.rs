//! Images, sounds and other bytes of upstreams: a program has them as handles, and whoever called
//! `execute` gets them as blocks, never as text. And the resources and prompts of upstreams, in
//! which they are found as well.

mod lookups;

use std::{process::Stdio, sync::Arc};

use axum::{
    Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    time::timeout,
};

use crate::support::{
    server::{PATIENCE, TestServer, airlock},
    upstream::{error, install_crypto, result},
};

type Answer = dyn Fn(&str, &Value) -> Option<Value> + Send + Sync;

/// An MCP server that offers tools, resources and prompts, and answers as the test says.
pub(crate) struct Service {
    url: String,
    /// The parameters of the requests after the handshake, by method.
    asked: Arc<Mutex<Vec<(String, Value)>>>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Clone)]
struct Script {
    answer: Arc<Answer>,
    asked: Arc<Mutex<Vec<(String, Value)>>>,
    capabilities: Value,
}

impl Service {
    /// A server with these tools whose results are made of name and arguments.
    pub(crate) async fn with_tools(
        names: &'static [&'static str],
        call: impl Fn(&str, &Value) -> Value + Send + Sync + 'static,
    ) -> Self {
        let answer = move |method: &str, params: &Value| match method {
            "tools/list" => {
                let tool = |name: &&str| json!({"name": name, "inputSchema": {"type": "object"}});
                Some(json!({"tools": names.iter().map(tool).collect::<Vec<_>>()}))
            }
            "tools/call" => {
                Some(call(params["name"].as_str().expect("a name"), &params["arguments"]))
            }
            _ => None,
        };
        Self::start(json!({"tools": {}}), answer).await
    }

    async fn start(
        capabilities: Value,
        answer: impl Fn(&str, &Value) -> Option<Value> + Send + Sync + 'static,
    ) -> Self {
        async fn perform(State(script): State<Script>, body: String) -> Response {
            let message: Value = serde_json::from_str(&body).unwrap();
            let method = message["method"].as_str().unwrap_or_default();
            match method {
                _ if message.get("id").is_none() => StatusCode::ACCEPTED.into_response(),
                "initialize" => result(
                    &message,
                    json!({
                        "protocolVersion": "2025-06-18", "capabilities": script.capabilities,
                        "serverInfo": {"name": "media", "version": "1"}
                    }),
                ),
                method => {
                    script.asked.lock().push((method.to_owned(), message["params"].clone()));
                    match (script.answer)(method, &message["params"]) {
                        Some(answer) => result(&message, answer),
                        None => error(&message, -32601, "no such method"),
                    }
                }
            }
        }
        install_crypto();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<(String, Value)>>> = Arc::default();
        let script = Script { answer: Arc::new(answer), asked: asked.clone(), capabilities };
        let router = Router::new().route("/mcp", post(perform)).with_state(script);
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, asked, task }
    }

    pub(crate) fn upstream(&self, name: &str) -> String {
        format!("[upstreams.{name}]\nurl = \"{}\"\nallow_private = true\n", self.url)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The base64 of so many bytes that tell one number from another.
fn base64(number: u8, bytes: usize) -> String {
    use base64::Engine as _;
    let bytes: Vec<u8> = (0..bytes).map(|at| number ^ (at % 251) as u8).collect();
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn image(data: &str) -> Value {
    json!({"type": "image", "data": data, "mimeType": "image/png"})
}

/// The text of an answer, and the other blocks.
fn parts(answer: &Value) -> (String, Vec<Value>) {
    let blocks = answer["content"].as_array().expect("content");
    let texts = blocks.iter().filter_map(|block| block["text"].as_str()).collect();
    let others = blocks.iter().filter(|block| block["type"] != "text").cloned().collect();
    (texts, others)
}

async fn camera() -> Service {
    Service::with_tools(&["shot", "song", "both", "sees"], |name, _| match name {
        "shot" => json!({"content": [
            {"type": "text", "text": "picture of the page"}, image(&base64(1, 40_000)),
        ]}),
        // Without padding, as some write it.
        "song" => json!({"content": [{
            "type": "audio", "data": "UklGRiQAAABXQVZFZm10IBAAAA", "mimeType": "audio/wav",
            "annotations": {"audience": ["user"]},
        }]}),
        "both" => json!({
            "structuredContent": {"width": 3}, "content": [
                {"type": "text", "text": "{\"width\":3}"}, image(&base64(2, 30)),
                {"type": "resource", "resource": {
                    "uri": "file:///a.pdf", "mimeType": "application/pdf", "blob": base64(3, 33),
                }},
                {"type": "resource", "resource": {
                    "uri": "file:///a.gif", "mimeType": "image/gif", "blob": base64(4, 44),
                }},
                {"type": "resource_link", "uri": "file:///b", "name": "b"},
            ]
        }),
        _ => json!({"content": [{"type": "text", "text": "seen"}]}),
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_that_is_returned_comes_as_a_block_and_never_as_text() {
    let camera = camera().await;
    let server = TestServer::with(&camera.upstream("cam")).await;
    let data = base64(1, 40_000);
    for code in [
        "return await tools.cam.shot({})",
        "return (await tools.cam.shot({}))[1]",
        "return [[(await tools.cam.shot({}))[1]]]",
        "const [text, shot] = await tools.cam.shot({}); return { ok: true, deep: [{ shot }] }",
    ] {
        let answer = server.call("execute", json!({ "code": code })).await;
        let (text, blocks) = parts(&answer);
        assert_eq!(blocks, [image(&data)], "{code}");
        assert!(!text.contains(&data[..40]) && text.len() < 2_000, "{code}: {text}");
        assert!(!answer["structuredContent"].to_string().contains(&data[..40]), "{code}");
    }
    let answer = server.run("return (await tools.cam.shot({}))[1]").await;
    let handle = &answer["result"];
    assert_eq!(
        (&handle["type"], &handle["mimeType"], &handle["bytes"], &handle["kind"]),
        (&json!("image"), &json!("image/png"), &json!(40_000), &json!("image")),
        "{handle}"
    );
    assert!(handle["$artifact"].as_str().is_some_and(|id| id.starts_with("art_")), "{handle}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sounds_blobs_and_images_beside_structured_content_are_there_too() {
    let camera = camera().await;
    let server = TestServer::with(&camera.upstream("cam")).await;
    let answer = server.call("execute", json!({"code": "return await tools.cam.song({})"})).await;
    let sound = json!({
        "type": "audio", "data": "UklGRiQAAABXQVZFZm10IBAAAA", "mimeType": "audio/wav"
    });
    assert_eq!(parts(&answer).1, [sound], "as it came, without padding");
    let handle = &answer["structuredContent"]["result"][0];
    assert_eq!((&handle["type"], &handle["bytes"]), (&json!("audio"), &json!(19)), "{handle}");
    assert_eq!(handle["annotations"], json!({"audience": ["user"]}), "{handle}");

    let answer = server.call("execute", json!({"code": "return await tools.cam.both({})"})).await;
    let (_, blocks) = parts(&answer);
    let gif = json!({"type": "image", "data": base64(4, 44), "mimeType": "image/gif"});
    assert_eq!(blocks, [image(&base64(2, 30)), gif], "what is neither stays a handle");
    let result = &answer["structuredContent"]["result"];
    assert_eq!(result["width"], 3, "{result}");
    let more = result["$content"].as_array().expect("the rest of the content");
    assert_eq!(more[1]["resource"]["uri"], "file:///a.pdf");
    let blob = &more[1]["resource"]["blob"];
    assert_eq!(
        (&blob["type"], &blob["mimeType"], &blob["bytes"]),
        (&json!("blob"), &json!("application/pdf"), &json!(33)),
        "{blob}"
    );
    assert_eq!(more[3], json!({"type": "resource_link", "uri": "file:///b", "name": "b"}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handle_passed_on_gives_the_tool_the_base64_and_the_program_can_read_it() {
    let camera = camera().await;
    let server = TestServer::with(&camera.upstream("cam")).await;
    let code = "
        const [, shot] = await tools.cam.shot({});
        await tools.cam.sees({ image: shot, list: [{ shot }] });
        const piece = await tools.artifacts.read(shot, { length: 8 });
        const lines = await tools.artifacts.lines(shot).catch((error) => error.message);
        return [piece, lines];";
    let answer = server.run(code).await;
    let data = base64(1, 40_000);
    let asked = camera.asked.lock().clone();
    let (_, sent) = asked.iter().rfind(|(method, _)| method == "tools/call").expect("a call");
    assert_eq!(sent["arguments"], json!({"image": data, "list": [{"shot": data}]}));
    assert_eq!(answer["result"][0]["text"], json!(data[..8]), "{answer}");
    let refused = answer["result"][1].as_str().unwrap_or_default();
    assert!(refused.contains("is image/png of 40000 bytes"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_outlives_its_program_and_the_server() {
    let camera = camera().await;
    let upstream = camera.upstream("cam");
    let server = TestServer::with(&upstream).await;
    let data = base64(1, 40_000);
    let started = server
        .execute(json!({"code": "return await tools.cam.shot({})", "waitForResult": false}))
        .await;
    let id = started["taskId"].as_str().expect("an id").to_owned();
    let ended = server.call("task_get", json!({"taskId": id, "waitMs": 30_000})).await;
    assert_eq!(parts(&ended).1, [image(&data)], "{}", parts(&ended).0);

    // The owner gets the file itself.
    let handle = ended["structuredContent"]["result"][1].clone();
    let artifact = handle["$artifact"].as_str().expect("an id").to_owned();
    let (_, listed) =
        server.owner(reqwest::Method::GET, &format!("/v1/artifacts/{artifact}")).await;
    assert_eq!((&listed["mimeType"], &listed["bytes"]), (&json!("image/png"), &json!(40_000)));
    let content = server
        .stranger()
        .get(format!("{}/v1/artifacts/{artifact}/content", server.url))
        .bearer_auth(&server.token)
        .send()
        .await
        .unwrap();
    assert_eq!(content.headers()["content-type"], "image/png");
    let bytes = content.bytes().await.unwrap();
    assert_eq!((bytes.len(), bytes[0], bytes[1]), (40_000, 1, 0));

    let server = TestServer::within(server.kill().await, &upstream).await;
    let again = server.call("task_get", json!({"taskId": id})).await;
    assert_eq!(parts(&again).1, [image(&data)]);
    let code = format!("return {{ kept: {handle} }}");
    let later = server.call("execute", json!({ "code": code })).await;
    assert_eq!(parts(&later).1, [image(&data)], "a handle is good in later tasks");

    let removed = format!("/v1/artifacts/{artifact}");
    server.owner(reqwest::Method::DELETE, &removed).await;
    let gone = server.call("task_get", json!({"taskId": id})).await;
    let (text, blocks) = parts(&gone);
    assert!(blocks.is_empty() && text.contains("is not there any more"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_comes_over_standard_output_too() {
    let camera = camera().await;
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("airlock.toml");
    let database = folder.path().join("airlock.db");
    let config = format!(
        "[store]\nurl = \"sqlite://{}\"\n[policy]\nprofile = \"open\"\n{}",
        database.display(),
        camera.upstream("cam")
    );
    std::fs::write(&file, config).unwrap();
    let mut child = airlock(&file)
        .arg("mcp")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts");
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "execute", "arguments": {"code": "return await tools.cam.shot({})"},
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        },
    }});
    let mut input = child.stdin.take().expect("it is piped");
    input.write_all(format!("{call}\n").as_bytes()).await.unwrap();
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let line = timeout(PATIENCE, lines.next_line()).await.expect("an answer").unwrap();
    let answer: Value = serde_json::from_str(&line.expect("a line")).unwrap();
    let (text, blocks) = parts(&answer["result"]);
    assert_eq!(blocks, [image(&base64(1, 40_000))], "{text}");
    drop(input);
    timeout(PATIENCE, child.wait()).await.expect("it ends").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_beyond_the_bounds_is_left_out_and_named() {
    let many = Service::with_tools(&["many", "large", "crowd"], |name, _| {
        let blocks: Vec<Value> = match name {
            "many" => (0..18).map(|n| image(&base64(n, 20))).collect(),
            // Of 4 MB of base64 each.
            "large" => (0..3).map(|n| image(&base64(n, 3_000_000))).collect(),
            _ => (0..66).map(|n| image(&base64(n, 10))).collect(),
        };
        json!({"content": blocks})
    })
    .await;
    let server = TestServer::with(&many.upstream("cam")).await;
    for (tool, shown, told) in [
        ("many", 16, "2 images or sounds are beyond the 16 blocks"),
        ("large", 2, "1 images or sounds are beyond"),
    ] {
        let code = format!("return await tools.cam.{tool}({{}})");
        let answer = server.call("execute", json!({ "code": code })).await;
        let (text, blocks) = parts(&answer);
        assert_eq!(blocks.len(), shown, "{tool}");
        assert_eq!(
            blocks[1]["data"].as_str().map(str::len),
            Some(match tool {
                "many" => 28,
                _ => 4_000_000,
            })
        );
        assert!(text.contains(told), "{tool}: {text}");
        let warnings = answer["structuredContent"]["warnings"].to_string();
        assert!(warnings.contains(told), "{tool}: {warnings}");
    }
    let answer = server.run("return (await tools.cam.crowd({})).slice(62)").await;
    let result = &answer["result"];
    assert!(result[1]["$artifact"].is_string() && result[2]["$artifact"].is_null(), "{result}");
    let left = json!({"type": "image", "mimeType": "image/png", "bytes": 10, "leftOut": true});
    assert_eq!(result[3], left);
    let warnings = answer["warnings"].to_string();
    assert!(warnings.contains("beyond the first 64 are left out: 2 of them"), "{warnings}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_blocks_come_as_they_are_or_as_what_their_bytes_are() {
    let png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAf";
    let odd = Service::with_tools(&["words", "untyped", "broken"], move |name, _| {
        let block = match name {
            "words" => json!({"type": "image", "data": "not base64!", "mimeType": "image/png"}),
            "untyped" => json!({"type": "image", "data": png}),
            _ => json!({"type": "audio", "data": "aG\nVs-G8_", "mimeType": "audio/x y"}),
        };
        json!({"content": [block]})
    })
    .await;
    let server = TestServer::with(&odd.upstream("odd")).await;
    let answer = server.run("return await tools.odd.words({})").await;
    let block = json!({"type": "image", "data": "not base64!", "mimeType": "image/png"});
    assert_eq!(answer["result"], json!([block]));
    assert!(answer["warnings"].to_string().contains("has no proper `data`"), "{answer}");
    let answer =
        server.call("execute", json!({"code": "return await tools.odd.untyped({})"})).await;
    assert_eq!(parts(&answer).1, [image(png)]);
    let answer = server.call("execute", json!({"code": "return await tools.odd.broken({})"})).await;
    let sound =
        json!({"type": "audio", "data": "aGVs+G8/", "mimeType": "application/octet-stream"});
    assert_eq!(parts(&answer).1, [sound]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_in_which_a_secret_stands_goes_nowhere() {
    let leaky = Service::with_tools(&["shot", "plain"], |name, _| {
        let data = match name {
            "shot" => {
                use base64::Engine as _;
                let bytes = b"xx the token is tok-4711-0815-secret yy";
                base64::engine::general_purpose::STANDARD.encode(bytes)
            }
            _ => base64(1, 100),
        };
        json!({"content": [image(&data)]})
    })
    .await;
    let upstream =
        format!("{}auth = {{ bearer = {{ env = \"MEDIA_TOKEN\" }} }}\n", leaky.upstream("cam"));
    let folder = tempfile::TempDir::new().unwrap();
    let variables = [("MEDIA_TOKEN", "tok-4711-0815-secret")];
    let server = TestServer::with_environment(folder, &upstream, &variables).await;
    let answer = server.call("execute", json!({"code": "return await tools.cam.shot({})"})).await;
    let (text, blocks) = parts(&answer);
    assert!(blocks.is_empty() && text.contains("contains a configured secret"), "{text}");
    let answer = server.call("execute", json!({"code": "return await tools.cam.plain({})"})).await;
    assert_eq!(parts(&answer).1, [image(&base64(1, 100))]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_long_text_within_an_answer_is_read_by_lines() {
    let files = Service::with_tools(&["read"], |_, _| {
        let line = |n: usize| match n % 50_000 {
            7 => format!("ERROR {n} ü\n"),
            _ => format!("{n} {}\n", "fine ".repeat(8)),
        };
        let text: String = (1..=200_000).map(line).collect();
        assert!(text.len() > 9_000_000, "{}", text.len());
        json!({"structuredContent": {"path": "a.log", "content": text}})
    })
    .await;
    let server = TestServer::with(&files.upstream("files")).await;
    let answer = server
        .run(
            "const log = await tools.files.read({});
            const said = (call) => call.catch((error) => error.message);
            const first = await tools.artifacts.search(log,
                { pattern: '^ERROR', pointer: '/content', limit: 1 });
            const { kind, lines: count } = log;
            return {
                kind, count, first,
                next: await tools.artifacts.search({ id: log, pattern: '^ERROR',
                    pointer: '/content', limit: 1, offset: first.nextOffset }),
                from: await tools.artifacts.search({ id: log, pattern: '^ERROR',
                    pointer: '/content', from: 150_000 }),
                lines: await tools.artifacts.lines(log, { pointer: '/content', from: 7, limit: 2 }),
                last: await tools.artifacts.lines(log, { pointer: '/content', from: 200_000 }),
                read: await tools.artifacts.read({ id: log, pointer: '/content', length: 4 }),
                missing: await said(tools.artifacts.lines(log, { pointer: '/missing' })),
                far: await said(tools.artifacts.lines(log, { pointer: '/content', from: 200_001 })),
            };",
        )
        .await;
    let result = &answer["result"];
    assert_eq!((&result["kind"], &result["count"]), (&json!("json"), &json!(1)), "{answer}");
    let matches = |name: &str| {
        let all = result[name]["matches"].as_array().expect("matches");
        all.iter().map(|hit| hit["line"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(matches("first"), [7]);
    assert_eq!(result["first"]["totalLines"], 200_000);
    assert_eq!(matches("next"), [50_007]);
    assert_eq!(matches("from"), [150_007]);
    assert_eq!(result["lines"]["lines"][0]["text"], "ERROR 7 ü");
    assert_eq!(result["lines"]["nextFrom"], 9);
    assert_eq!(result["last"]["nextFrom"], Value::Null);
    assert_eq!(result["read"]["text"], "1 fi");
    let told = |name: &str| result[name].as_str().unwrap_or_default().to_owned();
    assert!(told("missing").contains("no string at `pointer` \"/missing\""), "{answer}");
    assert!(told("far").contains("the string has 200000 lines"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_of_an_openapi_service_is_shown_too_and_its_base64_is_no_text() {
    let png = |bytes: Vec<u8>| {
        move || async move { ([(axum::http::header::CONTENT_TYPE, "image/png")], bytes) }
    };
    let router = Router::new().route("/chart", axum::routing::get(png(vec![7; 3_000])));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let folder = tempfile::TempDir::new().unwrap();
    let spec = folder.path().join("spec.json");
    let answer = json!({"200": {"description": "ok", "content": {"image/png": {}}}});
    let description = json!({"openapi": "3.1.0", "paths": {
        "/chart": {"get": {"operationId": "draw", "tags": ["charts"], "responses": answer}},
    }});
    std::fs::write(&spec, description.to_string()).unwrap();
    let server = TestServer::with(&format!(
        "[upstreams.svc]\nkind = \"openapi\"\nspec = {spec:?}\nbase_url = {url:?}\n\
         allow_private = true\n"
    ))
    .await;
    for code in [
        "return await tools.svc.charts.draw({})",
        "return { all: [{ chart: await tools.svc.charts.draw({}) }] }",
    ] {
        let answer = server.call("execute", json!({ "code": code })).await;
        let (text, blocks) = parts(&answer);
        assert_eq!(blocks.len(), 1, "{text}");
        assert_eq!(blocks[0]["data"].as_str().map(str::len), Some(4_000), "{text}");
        assert!(text.contains("(4000 characters of base64)"), "{text}");
        // The program's value is what it was, also for whoever reads it whole.
        let whole = answer["structuredContent"]["result"].to_string();
        assert!(whole.len() > 4_000, "{whole}");
    }
    task.abort();
}
