//! `airlock upstreams add`: looks before it writes, and never writes a secret.

mod clients;

mod readme;
mod secrets;

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Stdio,
};

use serde_json::json;

use crate::{
    cli::{Said, place},
    support::{
        server::{PATIENCE, airlock},
        upstream::{Scripted, one_tool, result},
    },
};

/// The binary, with the folder of its configuration as the working directory.
pub(crate) async fn at(folder: &Path, args: &[&str], environment: &[(&str, &str)]) -> Said {
    let mut command = airlock(&folder.join("airlock.toml"));
    command.args(args).envs(environment.iter().copied()).current_dir(folder);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("the binary starts");
    let ended = tokio::time::timeout(PATIENCE * 2, child.wait_with_output())
        .await
        .expect("the command ends")
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is text");
    Said { code: ended.status.code(), out: text(ended.stdout), beside: text(ended.stderr) }
}

/// A configuration whose secrets have a key of their own.
pub(crate) fn own_place() -> tempfile::TempDir {
    place("[secrets]\nkey_file = \"secrets.key\"\n# the last line\n")
}

pub(crate) fn file(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("airlock.toml")).unwrap()
}

/// A program that writes down its arguments and these variables, and is the demo upstream.
pub(crate) fn program(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    let binary = env!("CARGO_BIN_EXE_airlock");
    let script = format!(
        "#!/bin/sh\n{{ echo \"args: $*\"; echo \"pwd: $PWD\"; env; }} >> '{}.seen'\nexec \
        '{binary}' __demo-upstream\n",
        path.display()
    );
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// What the program saw when it was last started.
pub(crate) fn seen(program: &Path) -> String {
    std::fs::read_to_string(format!("{}.seen", program.display())).unwrap_or_default()
}

/// An MCP server that asks for nothing.
pub(crate) async fn server() -> Scripted {
    Scripted::start(|request| match request["method"].as_str() {
        Some("tools/list") => one_tool(request),
        _ => result(request, json!({"content": [{"type": "text", "text": "done"}]})),
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_for_something_else_is_told_and_not_written() {
    let folder = own_place();
    let folder = folder.path();
    let before = file(folder);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let closed = format!("localhost:{}/mcp", closed.port());
    for (name, text) in [
        ("parcels.graphql", "type Query { parcel(id: ID!): String }"),
        ("schema.json", r#"{"data": {"__schema": {"queryType": {"name": "Q"}, "types": []}}}"#),
        ("broken.graphql", "type Query { parcel(id: ID!: String }"),
        ("mcp.json", "{ // mine\n\"mcpServers\": {\"time\": {\"command\": \"x\"}}}"),
        ("codex.toml", "[mcp_servers.time]\ncommand = \"x\"\n"),
        ("notes.yaml", "name: nothing\n"),
        ("notes.md", "# Notes\n"),
        ("api.yaml", "openapi: 3.1.0\npaths: [\n"),
        ("server.py", "print('no')\n"),
        ("empty.json", ""),
    ] {
        std::fs::write(folder.join(name), text).unwrap();
    }
    std::fs::write(folder.join("wide.json"), b"\xff\xfe{\0}\0").unwrap();
    std::fs::create_dir(folder.join("docs")).unwrap();
    let large = std::fs::File::create(folder.join("large.json")).unwrap();
    large.set_len(64 * 1024 * 1024 + 1).unwrap();
    for (target, words) in [
        ("parcels.graphql", &["GraphQL schema", "--spec /", "/parcels.graphql"][..]),
        ("schema.json", &["GraphQL schema", "--spec /", "/schema.json"]),
        ("broken.graphql", &["not a valid GraphQL schema", "line 1"]),
        ("mcp.json", &["1 MCP server of a client (time)", "upstreams import mcp.json"]),
        ("codex.toml", &["1 MCP server of a client (time)", "upstreams import codex.toml"]),
        ("notes.yaml", &["neither an OpenAPI document, nor a GraphQL schema"]),
        ("notes.md", &["neither an OpenAPI document, nor a GraphQL schema"]),
        ("empty.json", &["neither an OpenAPI document, nor a GraphQL schema"]),
        ("wide.json", &["UTF-16"]),
        ("api.yaml", &["not a valid OpenAPI document"]),
        ("server.py", &["-- python3 server.py"]),
        ("large.json", &["is larger than 67108864 bytes"]),
        ("./docs", &["is a folder"]),
        ("missing.yaml", &["there is no file `"]),
        ("no-such-program", &["`no-such-program` was not found in PATH"]),
        ("no-such-program -y some-server", &["`no-such-program` was not found in PATH"]),
        ("cat a | sh", &["-- sh -c"]),
        ("./no-such-program", &["there is no program `./no-such-program`"]),
        ("ftp://host.example/", &["is not a URL"]),
        ("", &["is empty"]),
        (&closed, &["http://localhost:", "cannot find out the protocol"]),
    ] {
        let said = at(folder, &["upstreams", "add", target], &[]).await;
        assert!(matches!(said.code, Some(1 | 69)), "{target}: {:?} {}", said.code, said.beside);
        for word in words {
            assert!(said.beside.contains(word), "{target}: {word}: {}", said.beside);
        }
        assert_eq!(file(folder), before, "{target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_is_started_and_its_tools_are_shown_before_it_is_written() {
    let folder = own_place();
    let folder = folder.path();
    let before = file(folder);
    let server = program(folder, "weather-server");
    let added = at(folder, &["upstreams", "add", "./weather-server"], &[]).await;
    assert_eq!(added.code, Some(0), "{}{}", added.out, added.beside);
    assert!(added.out.starts_with("found MCP server with "), "{}", added.out);
    assert!(added.out.contains(" tools: add, "), "{}", added.out);
    let table = format!("\n[upstreams.weather]\nkind = \"mcp\"\ncommand = {:?}\n", server);
    assert_eq!(file(folder), format!("{before}{table}"));

    // A second copy of it is refused, whatever its name, until it is wanted.
    let path = server.to_str().unwrap();
    for again in [&["upstreams", "add", path][..], &["upstreams", "add", "--name", "w", "--", path]]
    {
        let said = at(folder, again, &[]).await;
        assert_eq!(said.code, Some(1), "{}{}", said.out, said.beside);
        assert!(said.beside.contains("`weather` is this server already"), "{}", said.beside);
        assert!(said.beside.contains("--yes"), "{}", said.beside);
    }
    assert_eq!(file(folder), format!("{before}{table}"));
    let said = at(folder, &["upstreams", "add", "--yes", path, "--json"], &[]).await;
    assert_eq!(said.json()["id"], "weather-2", "{}", said.beside);
    let said = at(folder, &["upstreams", "add", "--yes", path, "--name", "weather"], &[]).await;
    assert!(said.beside.contains("`weather` already"), "{}", said.beside);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_line_in_one_string_is_split_and_its_paths_stay_right() {
    let folder = own_place();
    let folder = folder.path();
    let server = program(folder, "s");
    std::fs::write(folder.join("notes.txt"), "").unwrap();
    let line = format!("{} --file notes.txt 'two words'", server.display());
    let added = at(folder, &["upstreams", "add", &line, "--name", "split"], &[]).await;
    assert_eq!(added.code, Some(0), "{}{}", added.out, added.beside);
    let text = file(folder);
    assert!(text.contains("args = [\"--file\", \"notes.txt\", \"two words\"]"), "{text}");
    let here = folder.canonicalize().unwrap();
    assert!(text.contains(&format!("cwd = {:?}", here)), "{text}");
    assert!(seen(&server).contains("args: --file notes.txt two words"), "{}", seen(&server));
    assert!(seen(&server).contains(&format!("pwd: {}\n", here.display())), "{}", seen(&server));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_no_server_is_not_written_unless_it_is_not_to_be_checked() {
    let folder = own_place();
    let folder = folder.path();
    let before = file(folder);
    let args = ["upstreams", "add", "--", "sh", "-c", "echo 'no license' >&2; exit 3"];
    let said = at(folder, &args, &[]).await;
    assert_eq!(said.code, Some(69), "{}{}", said.out, said.beside);
    for word in ["nothing was written", "no license", "--no-check"] {
        assert!(said.beside.contains(word), "{word}: {}", said.beside);
    }
    assert_eq!(file(folder), before);
    for option in ["--no-check", "--force"] {
        let args = ["upstreams", "add", option, "--yes", "--json", "--", "sh", "-c", "exit 3"];
        let said = at(folder, &args, &[]).await;
        assert_eq!(said.code, Some(0), "{}", said.beside);
        assert!(said.json().get("tools").is_none(), "{}", said.out);
    }
    assert!(file(folder).starts_with(&before));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_needs_no_scheme_and_is_found_out() {
    let folder = own_place();
    let folder = folder.path();
    let server = server().await;
    let bare = server.url().replace("http://", "");
    let added = at(folder, &["upstreams", "add", &bare, "--name", "notes"], &[]).await;
    assert_eq!(added.code, Some(0), "{}{}", added.out, added.beside);
    assert!(added.out.contains("found MCP server with 1 tool: t"), "{}", added.out);
    assert!(file(folder).contains(&format!("url = \"{}\"", server.url())), "{}", file(folder));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_options_become_keys_and_documents_are_read() {
    let folder = own_place();
    let folder = folder.path();
    std::fs::write(
        folder.join("openapi.yaml"),
        r"openapi: 3.1.0
info: {title: Parcel Service, version: '1'}
security: [{key: []}]
paths:
  /a: {get: {operationId: getA, responses: {}}}
  /b: {get: {operationId: getB, responses: {}}}
components: {securitySchemes: {key: {type: http, scheme: bearer}}}
",
    )
    .unwrap();
    let relative = at(folder, &["upstreams", "add", "openapi.yaml"], &[]).await;
    assert_eq!(relative.code, Some(69), "{}{}", relative.out, relative.beside);
    assert!(relative.beside.contains("--base-url URL"), "{}", relative.beside);
    let args = [
        "upstreams",
        "add",
        "openapi.yaml",
        "--base-url",
        "localhost:9",
        "--only",
        "/a",
        "--except",
        "/c",
        "--trusted",
        "--bearer-env",
        "PARCEL_TOKEN",
    ];
    let unset = at(folder, &args, &[]).await;
    assert_eq!(unset.code, Some(69), "{}{}", unset.out, unset.beside);
    assert!(unset.beside.contains("`PARCEL_TOKEN` is not set"), "{}", unset.beside);
    let added = at(folder, &args, &[("PARCEL_TOKEN", "tok-1234567")]).await;
    assert_eq!(added.code, Some(0), "{}{}", added.out, added.beside);
    assert!(added.out.contains("found OpenAPI service with 1 tool"), "{}", added.out);
    let text = file(folder);
    for line in [
        "[upstreams.parcel-service]",
        "kind = \"openapi\"",
        "base_url = \"http://localhost:9/\"",
        "auth = { bearer = { env = \"PARCEL_TOKEN\" } }",
        "only = [\"/a\"]",
        "except = [\"/c\"]",
        "allow_private = true",
        "trusted = true",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    std::fs::write(folder.join("s.graphql"), "type Query { parcel(id: ID!): String }").unwrap();
    let args = ["upstreams", "add", "https://shop.example/graphql", "--spec", "s.graphql"];
    let added = at(folder, &args, &[]).await;
    assert_eq!(added.code, Some(0), "{}{}", added.out, added.beside);
    let text = file(folder);
    assert!(
        text.contains(
            "[upstreams.shop]\nkind = \"graphql\"\nurl = \"https://shop.example/graphql\""
        ),
        "{text}"
    );
    let wanted = ["upstreams", "add", "openapi.yaml", "--base-url", "https://p.example", "--yes"];
    let said = at(folder, &wanted, &[]).await;
    assert!(said.out.contains("it wants a bearer token"), "{}{}", said.out, said.beside);
}

#[tokio::test(flavor = "multi_thread")]
async fn config_check_looks_at_programs_folders_and_documents() {
    let folder = place(
        "[upstreams.a]\ncommand = \"no-such-program\"\n[upstreams.b]\ncommand = \"sh\"\ncwd = \
        \"nowhere\"\n[upstreams.c]\nkind = \"openapi\"\nspec = \"missing.yaml\"\nbase_url = \
        \"https://h.example\"\n[upstreams.d]\nkind = \"openapi\"\nspec = \
        \"schema.graphql\"\n[upstreams.e]\nkind = \"graphql\"\nspec = \"notes.md\"\nurl = \
        \"https://h.example/graphql\"\n",
    );
    std::fs::write(folder.path().join("schema.graphql"), "type Query { a: Int }").unwrap();
    std::fs::write(folder.path().join("notes.md"), "# Notes").unwrap();
    let said = at(folder.path(), &["config", "check"], &[]).await;
    assert_eq!(said.code, Some(78), "{}{}", said.out, said.beside);
    for words in [
        &["`upstreams.a.command`", "`no-such-program` was not found in PATH", "airlock.toml:"][..],
        &["`upstreams.b.cwd`", "there is no folder"],
        &["`upstreams.c.spec`", "there is no file"],
        &["`upstreams.d.spec`", "is a GraphQL schema"],
        &["`upstreams.e.spec`", "neither an OpenAPI document nor a GraphQL schema"],
    ] {
        let line = said.beside.lines().find(|line| line.contains(words[0]));
        let line = line.unwrap_or_else(|| panic!("{}: {}", words[0], said.beside));
        assert!(words.iter().all(|word| line.contains(word)), "{words:?}: {line}");
    }
    let checked = at(folder.path(), &["upstreams", "check"], &[]).await;
    assert_eq!(checked.code, Some(1), "{}", checked.out);
    for word in ["no-such-program", "nowhere", "missing.yaml"] {
        assert!(checked.out.contains(word), "{word}: {}", checked.out);
    }
}
