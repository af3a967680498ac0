//! Responses that are too large for a program: kept by the real server, read by slices, lines and
//! places, passed on, and gone in time.

mod fairness;

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

use crate::support::server::{TestServer, demo, eventually};

/// An OpenAPI service with large answers, and one operation that says what it got.
struct Service {
    url: String,
    /// Requests to the operation that says what it got.
    stored: Arc<AtomicUsize>,
    /// Requests to the one that never answers.
    held: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

const MIB: usize = 1024 * 1024;

/// JSON of more than 20 MB in one line, with one odd row.
fn rows() -> String {
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
fn lines() -> String {
    let line = |n: usize| {
        format!("{n} {} {}\n", if n % 50_000 == 7 { "ERROR here" } else { "fine" }, "ö".repeat(40))
    };
    (1..=240_000).map(line).collect()
}

impl Service {
    async fn start() -> Self {
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
                    let _taken =
                        axum::body::to_bytes(request.into_body(), 100 * MIB).await.unwrap();
                    holding.fetch_add(1, Ordering::SeqCst);
                    std::future::pending::<&str>().await
                }),
            )
            .route(
                "/rows",
                get(move || async move {
                    ([(header::CONTENT_TYPE, "application/json")], rows.to_string())
                }),
            )
            .route(
                "/lines",
                get(move || async move {
                    (
                        [(
                            header::CONTENT_TYPE,
                            "text/plain; \
                charset=utf-8",
                        )],
                        lines.to_string(),
                    )
                }),
            )
            .route(
                "/store",
                post(async move |request: Request| {
                    count.fetch_add(1, Ordering::SeqCst);
                    let body = axum::body::to_bytes(request.into_body(), 100 * MIB).await.unwrap();
                    let body: Value = serde_json::from_slice(&body).unwrap();
                    let rows = body["data"]["rows"].as_array().map(Vec::len);
                    axum::Json(json!({
                        "rows": rows, "bytes": body["data"].as_str().map(str::len),
                        "name": body["name"]
                    }))
                }),
            );
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, stored, held, task }
    }

    /// The service as an upstream, its description in this folder.
    fn upstream(&self, folder: &TempDir) -> String {
        let answer =
            |kind: &str| json!({ "200": { "description": "it", "content": { kind: {} } } });
        let spec = json!({
            "openapi": "3.0.3", "info": { "title": "big", "version": "1" },
            "servers": [{ "url": self.url }],
            "paths": {
                "/rows": { "get": {
                    "tags": ["data"], "operationId": "rows", "responses": answer("application/json")
                } },
                "/lines": { "get": {
                    "tags": ["data"], "operationId": "lines", "responses": answer("text/plain")
                } },
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
                        "properties": {
                            "data": { "type": ["object", "string"] }, "name": { "type": "string" }
                        },
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

async fn with_service(more: &str) -> (Service, TestServer) {
    let (service, folder) = (Service::start().await, TempDir::new().unwrap());
    let config = format!("{}{}{more}", service.upstream(&folder), demo(&[]));
    let server = TestServer::within(folder, &config).await;
    (service, server)
}

async fn returned(server: &TestServer, code: &str) -> Value {
    let answer = server.run(code).await;
    assert_eq!(answer["status"], "completed", "{answer}");
    answer["result"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_text_is_a_handle_whose_slices_and_lines_add_up_to_the_whole() {
    let (_service, server) = with_service("").await;
    let handle = returned(&server, "return await tools.big.data.lines()").await;
    let whole = lines();
    assert!(handle["$artifact"].as_str().unwrap().starts_with("art_"), "{handle}");
    assert_eq!(
        (&handle["bytes"], &handle["kind"], &handle["lines"]),
        (&json!(whole.len()), &json!("text"), &json!(240_000))
    );
    let head = handle["head"].as_str().unwrap();
    assert!(whole.starts_with(head) && (2000..=2048).contains(&head.len()));
    // A later task of the same owner, with what an earlier one returned.
    let digest = returned(
        &server,
        &format!(
            "const handle = {handle};
             let at = 0, bytes = 0, errors = 0, slices = 0, last = '';
             while (at !== null) {{
               const piece = await tools.artifacts.read({{ id: handle.$artifact, offset: at, length: 1048576 }});
               if (piece.offset !== at) throw new Error(`gap at ${{at}}`);
               bytes += new TextEncoder().encode(piece.text).length;
               const text = last + piece.text;
               errors += text.split('ERROR here').length - 1;
               last = text.slice(-9);
               at = piece.nextOffset; slices++;
             }}
             const page = await tools.artifacts.lines({{ id: handle.$artifact, from: 199_999, limit: 3 }});
             const end = await tools.artifacts.lines({{ id: handle.$artifact, from: 240_000 }});
             const found = await tools.artifacts.search({{ id: handle.$artifact, pattern: '^\\\\d+ ERROR', limit: 3 }});
             const more = await tools.artifacts.search({{ id: handle.$artifact, pattern: '^\\\\d+ ERROR', offset: found.nextOffset }});
             return {{ bytes, errors, slices, page: page.lines.map(l => [l.line, l.text.slice(0, 12)]), next: page.nextFrom,
                       end: [end.lines.length, end.nextFrom, end.totalLines],
                       found: found.matches.map(m => m.line), more: more.matches.map(m => m.line), over: more.nextOffset }};",
        ),
    )
    .await;
    assert_eq!(digest["bytes"], whole.len());
    assert_eq!(digest["errors"], 5, "{digest}");
    assert_eq!(
        digest["page"],
        json!([[199_999, "199999 fine "], [200_000, "200000 fine "], [200_001, "200001 fine "]])
    );
    assert_eq!((&digest["next"], &digest["end"]), (&json!(200_002), &json!([1, null, 240_000])));
    assert_eq!(
        (&digest["found"], &digest["more"]),
        (&json!([7, 50_007, 100_007]), &json!([150_007, 200_007]))
    );
    assert_eq!(digest["over"], Value::Null);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handle_says_how_it_is_read_and_stands_where_an_id_does() {
    let (_service, server) = with_service("").await;
    let code = "
        const handle = await tools.big.data.lines();
        const a = tools.artifacts, id = handle.$artifact;
        const same = [a.read(handle), a.read({ id: handle }), a.read({ ...handle }), a.read(id), a.read({ id })];
        const cut = [a.read({ id: handle, offset: 2, length: 4 }), a.read({ ...handle, offset: 2, length: 4 }), a.read(handle, { offset: 2, length: 4 }),
                     a.read(id, { offset: 2, length: 4 })];
        const [first] = await a.list().then(page => page.artifacts);
        const wrong = await a.read({ ...handle, ofset: 1 }).catch(error => error.message);
        const line = await a.lines(handle, { from: 7, limit: 1 });
        const hits = await a.search(handle, { pattern: '^7 ERROR' });
        return { read: handle.read, same: (await Promise.all(same)).map(piece => piece.text.slice(0, 6)),
                 cut: (await Promise.all(cut)).map(piece => piece.text), listed: (await a.read(first)).text.slice(0, 6), wrong,
                 line: line.lines[0].text.slice(0, 7), hits: hits.matches.length, removed: await a.remove(handle) }";
    let told = returned(&server, code).await;
    let read = told["read"].as_str().unwrap();
    for how in ["tools.artifacts.read(handle", "lines(", "search(", "json(", "as an argument"] {
        assert!(read.contains(how), "{read}");
    }
    assert_eq!((&told["same"], &told["listed"]), (&json!(vec!["1 fine"; 5]), &json!("1 fine")));
    assert_eq!(told["cut"], json!(vec!["fine"; 4]));
    assert_eq!(
        (&told["line"], &told["hits"], &told["removed"]),
        (&json!("7 ERROR"), &json!(1), &json!({ "removed": true }))
    );
    assert!(
        told["wrong"]
            .as_str()
            .unwrap()
            .contains("there is no field `ofset`, did you mean `offset`?"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_functions_of_artifacts_are_found_like_tools() {
    let server = TestServer::start().await;
    let code = "
        const told = (promise) => promise.then(value => value, error => `${error.name} ${error.code}: ${error.message}`);
        return {
          all: await told(tools.catalog.tools({ namespace: 'artifacts' })).then(page => [page.total, page.nextCursor, page.results.map(found => found.hint)]),
          page: await tools.catalog.tools({ namespace: 'tools.artifacts', limit: 4 })
            .then(first => tools.catalog.tools({ namespace: 'tools.artifacts', limit: 4, cursor: first.nextCursor }))
            .then(page => [page.nextCursor, page.results.map(found => found.path)]),
          found: await told(tools.discover('regular expression', { namespace: 'artifacts' })).then(found => found.bestPath),
          read: await told(tools.describe('artifacts.read')).then(read => [read.path, read.typescript]),
          namespace: await told(tools.describe('artifacts')),
          absent: await told(tools.describe('tools.artifacts.raed')),
          call: await told(tools.artifacts()),
          slip: await told(tools.artifacts.serch({ id: 'x' })),
          far: await told(tools.artifacts.download({ id: 'x' })),
        }";
    let told = returned(&server, code).await;
    assert_eq!((&told["all"][0], &told["all"][1]), (&json!(6), &Value::Null));
    let hint = "tools.artifacts.search(args: { id: string; pattern: string; ";
    assert!(told["all"][2][5].as_str().unwrap().starts_with(hint), "{told}");
    assert_eq!(told["page"], json!([null, ["artifacts.remove", "artifacts.search"]]));
    assert_eq!(told["found"], "artifacts.search");
    assert_eq!(told["read"][0], "artifacts.read");
    assert!(told["read"][1].as_str().unwrap().contains("nextOffset"), "{told}");
    let every = ["read", "lines", "search", "json", "list", "remove"]
        .map(|name| format!("`tools.artifacts.{name}`"))
        .join(", ");
    let find = "find one with await tools.catalog.tools({ namespace: \"artifacts\" })";
    let absent = |path: &str, what: &str| {
        json!(format!(
            "ToolNotFoundError tool_not_found: there is no tool `{path}`, {what}; {find}"
        ))
    };
    assert_eq!(told["namespace"], absent("artifacts", &format!("it is a namespace with {every}")));
    assert_eq!(told["call"], told["namespace"]);
    assert_eq!(
        told["absent"],
        absent("tools.artifacts.raed", "did you mean `tools.artifacts.read`?")
    );
    assert_eq!(told["slip"], absent("artifacts.serch", "did you mean `tools.artifacts.search`?"));
    assert_eq!(told["far"], absent("artifacts.download", &format!("did you mean {every}?")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_json_is_searched_looked_into_and_passed_on_whole() {
    let (_service, server) = with_service("").await;
    let told = returned(
        &server,
        "const handle = await tools.big.data.rows();
         const id = handle.$artifact;
         const { matches } = await tools.artifacts.search({ id, pattern: '\"name\":\"needle\"' });
         const row = await tools.artifacts.json({ id, pointer: '/rows/150000' });
         const nothing = await tools.artifacts.json({ id, pointer: '/rows/x' }).catch(error => [error.name, error.message]);
         const all = await tools.artifacts.json({ id, pointer: '/rows' }).catch(error => error.message);
         const passed = await tools.big.data.store({ body: { data: handle, name: 'rows' } });
         return { kind: handle.kind, lines: handle.lines, hits: matches.length, around: matches[0].text, row, nothing, all, passed };",
    )
    .await;
    assert_eq!(
        (&told["kind"], &told["lines"], &told["hits"]),
        (&json!("json"), &json!(1), &json!(1))
    );
    assert!(told["around"].as_str().unwrap().contains("\"id\":150000,"), "{told}");
    assert_eq!((&told["row"]["id"], &told["row"]["name"]), (&json!(150_000), &json!("needle")));
    assert_eq!(
        told["nothing"],
        json!(["ToolArgumentError", "there is nothing at `pointer` \"/rows/x\""])
    );
    assert!(told["all"].as_str().unwrap().contains("the limit is 8388608"), "{told}");
    assert_eq!(told["passed"], json!({ "rows": 220_001, "bytes": null, "name": "rows" }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_in_json_of_one_line_gives_every_match_page_by_page() {
    let (_service, server) = with_service("").await;
    let told = returned(
        &server,
        "const handle = await tools.big.data.rows();
         const ids = [];
         let offset = 0;
         for (let page = 0; page < 3; page++) {
           const found = await tools.artifacts.search({ id: handle.$artifact, pattern: '\"id\":[0-9]+,', limit: 200, offset });
           for (const match of found.matches) {
             const { text } = await tools.artifacts.read({ id: handle.$artifact, offset: match.offset, length: 16 });
             ids.push(parseInt(text.slice(5)));
           }
           offset = found.nextOffset;
         }
         return { ids, more: offset !== null };",
    )
    .await;
    assert_eq!(told["ids"], json!((0..600).collect::<Vec<_>>()));
    assert_eq!(told["more"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn artifacts_that_are_too_much_for_one_call_are_told_and_nothing_is_sent() {
    let (service, server) = with_service("").await;
    let code = "
        const handle = await tools.big.data.rows();
        const told = async (data) => {
          try { return [await tools.big.data.store({ data })] } catch ({ name, code, message }) { return `${name} ${code}: ${message}` }
        };
        return [
          await told({ all: Array(65).fill(handle) }),
          await told({ a: handle, b: handle, c: handle, d: handle }),
          await told({ a: handle, b: handle }),
        ]";
    let told = returned(&server, code).await;
    let bytes = 4 * rows().len();
    assert_eq!(
        told,
        json!([
            "ToolCallError arguments_too_large: the arguments contain 65 artifacts; the limit is 64",
            format!(
                "ToolCallError arguments_too_large: the artifacts in the arguments are {bytes} \
                bytes together; the limit is 67108864"
            ),
            "ToolCallError arguments_too_large: the artifacts in the arguments contain more than \
            1000000 values; pass a part, as \
             `tools.artifacts.json({ id, pointer })` returns it",
        ])
    );
    assert_eq!(service.stored.load(Ordering::SeqCst), 0);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_of_an_mcp_server_is_kept_and_passed_on_and_the_schema_is_asked_then() {
    let (_service, server) = with_service("").await;
    let told = returned(
        &server,
        "const handle = await tools.demo.big({ bytes: 20_000_000 });
         const passed = await tools.big.data.store({ body: { data: { $artifact: handle.$artifact, mine: 1 } } });
         const wrong = await tools.demo.add({ a: handle, b: 1 }).catch(error => [error.name, error.message.slice(0, 60)]);
         const gone = await tools.big.data.store({ body: { data: { $artifact: 'art_00000000-0000-7000-8000-000000000000' } } })
           .catch(error => [error.name, error.code]);
         const other = await tools.demo.echo({ message: JSON.stringify({ $artifact: 5 }) });
         return { passed, wrong, gone, other };",
    )
    .await;
    assert_eq!(told["passed"]["bytes"], 20_000_000);
    assert_eq!(told["wrong"][0], "ToolArgumentError", "{told}");
    assert!(told["wrong"][1].as_str().unwrap().contains("`a`"), "{told}");
    assert_eq!(told["gone"], json!(["ToolCallError", "artifact_not_found"]));
    assert_eq!(told["other"], json!({ "$artifact": 5 }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_workspace_is_told_with_the_way_out_and_removing_makes_room() {
    let (_service, server) = with_service("[artifacts]\nworkspace_mb = 25\n").await;
    let told = returned(
        &server,
        "const first = await tools.demo.big({ bytes: 20_000_000 });
         const full = await tools.demo.big({ bytes: 20_000_000 }).catch(error => error);
         const listed = await tools.artifacts.list({ limit: 1 });
         await tools.artifacts.remove({ id: first.$artifact });
         const again = await tools.artifacts.read({ id: first.$artifact }).catch(error => error.code);
         const second = await tools.demo.big({ bytes: 20_000_000 });
         return { name: full.name, code: full.code, message: full.message, retryable: full.retryable,
                  listed: listed.artifacts.map(a => [a.$artifact === first.$artifact, a.tool]), again, second: second.bytes };",
    )
    .await;
    assert_eq!(
        (&told["name"], &told["code"], &told["retryable"]),
        (&json!("ToolCallError"), &json!("artifact_quota_exceeded"), &json!(false))
    );
    let message = told["message"].as_str().unwrap();
    for part in ["20000000 of 26214400 bytes", "tools.artifacts.remove", "artifacts.workspace_mb"] {
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(
        (&told["listed"], &told["again"]),
        (&json!([[true, "demo.big"]]), &json!("artifact_not_found"))
    );
    assert_eq!(told["second"], 20_000_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_half_is_left_by_a_server_that_is_killed_while_it_keeps_an_answer() {
    let server = TestServer::start().await;
    let whole =
        returned(&server, "return (await tools.demo.big({ bytes: 9_000_000 })).$artifact").await;
    let code = "await Promise.all([1, 2, 3, 4].map(() => tools.demo.big({ bytes: 60_000_000 })))";
    server.execute(json!({ "code": code, "waitForResult": false })).await;
    let database = server.folder.path().join("airlock.db-wal");
    let grown = |bytes: u64| std::fs::metadata(&database).is_ok_and(|file| file.len() > bytes);
    let begun = std::fs::metadata(&database).map_or(0, |file| file.len());
    eventually("parts are being written", async || {
        grown(begun.max(9_000_000) + 3_000_000).then_some(())
    })
    .await;
    let folder = server.kill().await;
    let server = TestServer::within(folder, &demo(&[])).await;
    let listed = returned(
        &server,
        "return (await tools.artifacts.list({})).artifacts.map(a => [a.$artifact, a.bytes])",
    )
    .await;
    let bytes: Vec<u64> =
        listed.as_array().unwrap().iter().filter_map(|entry| entry[1].as_u64()).collect();
    assert_eq!(listed.as_array().unwrap().last().unwrap()[0], whole, "{listed}");
    assert!(bytes.iter().all(|bytes| [9_000_000, 60_000_000].contains(bytes)), "{listed}");
    let read =
        format!("return (await tools.artifacts.read({{ id: {whole}, offset: 8_999_990 }})).text");
    assert_eq!(returned(&server, &read).await, "xxxxxxxxxx");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn policy_never_looks_into_an_artifact_and_a_person_approves_its_digest() {
    let folder = TempDir::new().unwrap();
    let policy = r#"
version: "1"
default: allow
tools:
  big.data.store:
    rules:
      - { name: names-only, action: deny, conditions: [{ path: args.body.name, op: eq, value: secret }] }
      - { name: looks-inside, action: deny, when: 'has(args.body.look) && args.body.look.bytes == 1' }
      - { name: a-person, action: ask, when: 'has(args.body.ask)' }
      - { action: allow }
"#;
    let file = folder.path().join("policy.yaml");
    std::fs::write(&file, policy).unwrap();
    let service = Service::start().await;
    let config = format!(
        "{}{}[policy]\nprofile = \"open\"\nfiles = [{:?}]\n",
        service.upstream(&folder),
        demo(&[]),
        file.display().to_string()
    );
    let server = TestServer::within(folder, &config).await;
    let told = returned(
        &server,
        "const handle = await tools.demo.big({ bytes: 9_000_000 });
         const send = body => tools.big.data.store({ body }).catch(error => [error.code, error.message]);
         return { handle, plain: await send({ data: handle, name: 'x' }), looked: await send({ data: 'x', look: handle }) };",
    )
    .await;
    assert_eq!(told["plain"]["bytes"], 9_000_000, "{told}");
    assert_eq!(told["looked"][0], "policy_error", "{told}");
    let handle = &told["handle"];
    let code = format!(
        "return await tools.big.data.store({{ body: {{ data: {{ $artifact: {}, sha256: 'forged' \
        }}, ask: 1 }} }})",
        handle["$artifact"]
    );
    let task = server.execute(json!({ "code": code, "waitForResult": false })).await["taskId"]
        .as_str()
        .unwrap()
        .to_owned();
    let asked = eventually("a person is asked", async || {
        let (_, answer) = server.owner(reqwest::Method::GET, "/v1/approvals?status=pending").await;
        answer["approvals"].get(0).cloned()
    })
    .await;
    let stamp = json!({
        "$artifact": handle["$artifact"], "bytes": 9_000_000, "kind": "text",
        "sha256": handle["sha256"]
    });
    assert_eq!(asked["args"]["body"]["data"], stamp, "{asked}");
    let (status, _) = server
        .owner_post(&format!("/v1/approvals/{}/approve", asked["id"].as_str().unwrap()), json!({}))
        .await;
    assert_eq!(status, 200);
    let done = eventually("the task ends", async || {
        let (_, task) =
            server.owner(reqwest::Method::GET, &format!("/v1/tasks/{task}?waitMs=1000")).await;
        (task["status"] == "completed").then_some(task)
    })
    .await;
    assert_eq!(done["result"]["bytes"], 9_000_000, "{done}");
    let (_, events) = server.owner(reqwest::Method::GET, &format!("/v1/tasks/{task}/events")).await;
    assert!(!events.to_string().contains("xxxxxxxxxx"), "the record holds nothing of the text");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_owner_lists_reads_and_removes_what_was_kept() {
    let server = TestServer::start().await;
    let handle = returned(&server, "return await tools.demo.big({ bytes: 9_000_000 })").await;
    let id = handle["$artifact"].as_str().unwrap();
    let command = async |args: &[&str]| {
        let out = crate::support::server::airlock(&server.config_file())
            .args(args)
            .output()
            .await
            .unwrap();
        (out.status.success(), out.stdout, String::from_utf8_lossy(&out.stderr).into_owned())
    };
    let (_, listed, _) = command(&["artifacts", "list", "--json"]).await;
    let listed: Value = serde_json::from_slice(&listed).unwrap();
    assert_eq!(
        (&listed[0]["id"], &listed[0]["tool"], &listed[0]["bytes"]),
        (&json!(id), &json!("demo.big"), &json!(9_000_000))
    );
    let (_, shown, _) = command(&["artifacts", "show", id]).await;
    assert!(String::from_utf8(shown).unwrap().contains("text, 9000000 bytes, 1 line"));
    let (fine, text, _) = command(&["artifacts", "get", id]).await;
    assert!(fine && text.len() == 9_000_000 && text.iter().all(|byte| *byte == b'x'));
    assert!(command(&["artifacts", "remove", id]).await.0);
    let (fine, _, told) = command(&["artifacts", "get", id]).await;
    assert!(!fine && told.contains(&format!("there is no artifact `{id}`")), "{told}");
    let (status, answer) =
        server.owner(reqwest::Method::DELETE, &format!("/v1/artifacts/{id}")).await;
    assert_eq!((status, &answer["error"]["code"]), (404, &json!("artifact_not_found")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_over_the_owners_bound_is_refused_and_wrong_arguments_are_told() {
    let server = TestServer::with(&format!("{}[artifacts]\nanswer_mb = 10\n", demo(&[]))).await;
    let told = returned(
        &server,
        "const failed = promise => promise.then(() => 'no error', error => `${error.name} \
        ${error.code}: ${error.message}`);
         const { $artifact: id } = await tools.demo.big({ bytes: 9_000_000 });
         return [await failed(tools.demo.big({ bytes: 11_000_000 })), await failed(tools.artifacts.read({ id, length: 2_000_000 })),
                 await failed(tools.artifacts.read({ id, offset: 9_000_001 })), await failed(tools.artifacts.lines({ id, from: 2 })),
                 await failed(tools.artifacts.search({ id, pattern: '(' })), await failed(tools.artifacts.json({ id, pointer: '' })),
                 await failed(tools.artifacts.list({ cursor: 'x' })), await failed(tools.artifacts.read({ id: 'art_x' })),
                 await failed(tools.artifacts.unknown({ id }))];",
    )
    .await;
    let expected = [
        "ToolCallError response_too_large: the response of `demo.big` is larger than 10485760 bytes",
        "ToolArgumentError invalid_tool_arguments: `tools.artifacts.read`: field `length`",
        "ToolArgumentError invalid_tool_arguments: `offset` is 9000001; the artifact is 9000000 bytes",
        "ToolArgumentError invalid_tool_arguments: `from` is 2; the artifact has 1 lines",
        "ToolArgumentError invalid_tool_arguments: `pattern` does not compile",
        "ToolArgumentError invalid_tool_arguments:",
        "ToolArgumentError invalid_tool_arguments: `cursor`",
        "ToolCallError artifact_not_found: there is no artifact `art_x`",
        "ToolNotFoundError tool_not_found:",
    ];
    for (told, expected) in told.as_array().unwrap().iter().zip(expected) {
        assert!(told.as_str().unwrap().starts_with(expected), "{told}, expected {expected}");
    }
}
