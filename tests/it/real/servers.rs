//! The most used MCP servers of npm and PyPI that work without the internet, each connected as an
//! upstream: its tools are listed and called from the command line, and the answers are its own.

use std::{path::Path, process::Command};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{printed, program};
use crate::support::server::{TestServer, eventually};

/// All calls are allowed, those that the profile would ask about too.
const ALLOWS: &str = "all_tools: {rules: [{action: allow}]}\n";

/// A server with one upstream, and a folder for what the upstream writes.
struct Connected {
    server: TestServer,
    name: &'static str,
    work: TempDir,
}

impl Connected {
    /// Starts `command` of the installed packages; `args` and `env` get the folder.
    async fn to(
        name: &'static str,
        command: &str,
        args: impl FnOnce(&Path) -> Vec<String>,
        env: impl FnOnce(&Path) -> Vec<(&'static str, String)>,
    ) -> Self {
        let work = TempDir::new().unwrap();
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("policy.yaml"), ALLOWS).unwrap();
        let args = args(work.path());
        // What a server keeps of its own goes there as well.
        let home = [("HOME", work.path().display().to_string())];
        let env: Vec<String> = home
            .into_iter()
            .chain(env(work.path()))
            .map(|(name, value)| format!("{name} = {value:?}"))
            .collect();
        let more = format!(
            "[policy]\nprofile = \"open\"\nfiles = [\"policy.yaml\"]\n[upstreams.{name}]\nkind = \
             \"mcp\"\ncommand = {:?}\nargs = {args:?}\nenv = {{ {} }}\n",
            program("servers", command),
            env.join(", ")
        );
        let server = TestServer::within(folder, &more).await;
        Self { server, name, work }
    }

    /// Waits until its tools are listed, and expects these among them.
    async fn lists(&self, expected: &[&str]) {
        let listed = eventually("the tools are listed", async || {
            let page = printed(
                &self.server.config_file(),
                &["tools", "list", "--namespace", self.name, "--limit", "200"],
            )
            .await;
            page.as_array().filter(|tools| !tools.is_empty()).cloned()
        })
        .await;
        let paths: Vec<&str> = listed.iter().filter_map(|tool| tool["path"].as_str()).collect();
        for tool in expected {
            let path = format!("{}.{tool}", self.name);
            assert!(paths.contains(&path.as_str()), "{path} is not among {paths:?}");
        }
    }

    /// The answer of a call.
    async fn call(&self, tool: &str, args: Value) -> Value {
        let path = format!("{}.{tool}", self.name);
        let record = printed(
            &self.server.config_file(),
            &["tools", "call", &path, "--args", &args.to_string()],
        )
        .await;
        assert_eq!(record["status"], "completed", "{path}: {record}");
        record["result"].clone()
    }

    /// The answer of a call as a text.
    async fn text(&self, tool: &str, args: Value) -> String {
        let answer = self.call(tool, args).await;
        answer.as_str().unwrap_or_else(|| panic!("{tool}: {answer}")).to_owned()
    }

    fn path(&self, name: &str) -> String {
        self.work.path().join(name).display().to_string()
    }
}

fn none(_: &Path) -> Vec<(&'static str, String)> {
    Vec::new()
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// The browser that the two browser servers drive, where there is one.
fn browser() -> Option<String> {
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    std::env::split_paths(&path)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|path| path.exists())
        .map(|path| path.display().to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the packages of ./x real"]
async fn everything_answers() {
    let server =
        Connected::to("everything", "node_modules/.bin/mcp-server-everything", |_| vec![], none)
            .await;
    server.lists(&["echo", "get-sum", "get-tiny-image"]).await;
    assert_eq!(server.text("echo", json!({"message": "héllo 🦀"})).await, "Echo: héllo 🦀");
    assert_eq!(
        server.text("get-sum", json!({"a": 2, "b": 40})).await,
        "The sum of 2 and 40 is 42."
    );
    let weather = server.call("get-structured-content", json!({"location": "New York"})).await;
    assert!(weather["temperature"].is_number(), "{weather}");
    let image = server.call("get-tiny-image", json!({})).await;
    assert!(image.to_string().contains("image/png"), "{image}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the packages of ./x real"]
async fn filesystem_writes_and_reads() {
    let server = Connected::to(
        "files",
        "node_modules/.bin/mcp-server-filesystem",
        |work| vec![work.display().to_string()],
        none,
    )
    .await;
    server.lists(&["write_file", "read_text_file", "list_directory"]).await;
    let file = server.path("a.txt");
    server.call("write_file", json!({"path": file, "content": "one\ntwo\n"})).await;
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "one\ntwo\n");
    let read = server.call("read_text_file", json!({"path": file, "head": 1})).await;
    assert_eq!(read["content"], "one", "{read}");
    let listed = server.call("list_directory", json!({"path": server.path("")})).await;
    assert!(listed["content"].as_str().unwrap().contains("[FILE] a.txt"), "{listed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the packages of ./x real"]
async fn memory_remembers() {
    let server = Connected::to(
        "memory",
        "node_modules/.bin/mcp-server-memory",
        |_| vec![],
        |work| vec![("MEMORY_FILE_PATH", work.join("memory.jsonl").display().to_string())],
    )
    .await;
    server.lists(&["create_entities", "search_nodes", "read_graph"]).await;
    let ada = json!({"name": "Ada", "entityType": "person", "observations": ["likes tea"]});
    server.call("create_entities", json!({"entities": [ada]})).await;
    let found = server.call("search_nodes", json!({"query": "tea"})).await;
    assert_eq!(found["entities"], json!([ada]), "{found}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the packages of ./x real"]
async fn sequential_thinking_counts_its_thoughts() {
    let server = Connected::to(
        "thinking",
        "node_modules/.bin/mcp-server-sequential-thinking",
        |_| vec![],
        none,
    )
    .await;
    server.lists(&["sequentialthinking"]).await;
    let thought = |number: u32| {
        json!({"thought": "so", "nextThoughtNeeded": number < 2, "thoughtNumber": number,
            "totalThoughts": 2})
    };
    server.call("sequentialthinking", thought(1)).await;
    let second = server.call("sequentialthinking", thought(2)).await;
    assert_eq!(
        (&second["thoughtHistoryLength"], &second["nextThoughtNeeded"]),
        (&json!(2), &json!(false)),
        "{second}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the packages of ./x real"]
async fn git_reads_a_repository() {
    let server = Connected::to("git", "venv/bin/mcp-server-git", |_| vec![], none).await;
    let repository = server.path("repository");
    for args in [
        vec!["init", "--quiet", &repository],
        vec![
            "-C",
            &repository,
            "-c",
            "user.name=Ada",
            "-c",
            "user.email=ada@example.com",
            "commit",
            "--quiet",
            "--allow-empty",
            "--message",
            "the first commit",
        ],
    ] {
        assert!(Command::new("git").args(args).status().unwrap().success());
    }
    server.lists(&["git_status", "git_log", "git_commit"]).await;
    let log = server.text("git_log", json!({"repo_path": repository, "max_count": 1})).await;
    assert!(log.contains("the first commit") && log.contains("Ada"), "{log}");
    std::fs::write(server.path("repository/new.txt"), "new\n").unwrap();
    let status = server.text("git_status", json!({"repo_path": repository})).await;
    assert!(status.contains("new.txt"), "{status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the packages of ./x real"]
async fn time_converts() {
    let server = Connected::to(
        "time",
        "venv/bin/mcp-server-time",
        |_| words(&["--local-timezone", "UTC"]),
        none,
    )
    .await;
    server.lists(&["get_current_time", "convert_time"]).await;
    let noon = json!({"source_timezone": "Asia/Tokyo", "time": "12:00", "target_timezone": "UTC"});
    let converted = server.call("convert_time", noon).await;
    assert!(
        converted["target"]["datetime"].as_str().unwrap().ends_with("T03:00:00+00:00"),
        "{converted}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the packages of ./x real"]
async fn sqlite_keeps_rows() {
    let server = Connected::to(
        "sqlite",
        "venv-sqlite/bin/mcp-server-sqlite",
        |work| vec!["--db-path".to_owned(), work.join("test.db").display().to_string()],
        none,
    )
    .await;
    server.lists(&["create_table", "write_query", "read_query"]).await;
    server.call("create_table", json!({"query": "create table t (a integer, b text)"})).await;
    server.call("write_query", json!({"query": "insert into t values (7, 'seven')"})).await;
    let rows = server.text("read_query", json!({"query": "select b from t where a = 7"})).await;
    assert_eq!(rows, "[{'b': 'seven'}]");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the packages of ./x real"]
async fn playwright_opens_a_page() {
    let output = TempDir::new().unwrap();
    let folder = output.path().to_str().unwrap();
    let mut args = words(&["--headless", "--isolated", "--no-sandbox", "--output-dir", folder]);
    let browser = browser();
    args.extend(browser.iter().flat_map(|path| words(&["--executable-path", path])));
    let server =
        Connected::to("playwright", "node_modules/.bin/playwright-mcp", |_| args, none).await;
    server.lists(&["browser_navigate", "browser_click", "browser_take_screenshot"]).await;
    if browser.is_none() {
        eprintln!("no browser here: only the list was tried");
        return;
    }
    let page = json!({"url": "data:text/html,<title>A title</title><h1>There</h1>"});
    let opened = server.text("browser_navigate", page).await;
    assert!(opened.contains("Page Title: A title"), "{opened}");
    // It lists fields with a default as required.
    let shot = server.call("browser_take_screenshot", json!({})).await;
    assert!(shot.to_string().contains("image/"), "{shot}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the packages of ./x real"]
async fn chrome_devtools_lists_its_pages() {
    let mut args = words(&["--headless", "--isolated", "--chromeArg=--no-sandbox"]);
    let browser = browser();
    args.extend(browser.iter().flat_map(|path| words(&["--executablePath", path])));
    let server =
        Connected::to("chrome", "node_modules/.bin/chrome-devtools-mcp", |_| args, none).await;
    server.lists(&["list_pages", "navigate_page", "take_screenshot"]).await;
    if browser.is_none() {
        eprintln!("no browser here: only the list was tried");
        return;
    }
    let pages = server.text("list_pages", json!({})).await;
    assert!(pages.contains("about:blank"), "{pages}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the packages of ./x real"]
async fn desktop_commander_works_on_files_and_processes() {
    let server =
        Connected::to("desktop", "node_modules/.bin/desktop-commander", |_| vec![], none).await;
    server.lists(&["write_file", "read_file", "start_process"]).await;
    let file = server.path("b.txt");
    server.call("write_file", json!({"path": file, "content": "hello\n"})).await;
    let read = server.call("read_file", json!({"path": file})).await;
    assert!(read.to_string().contains("hello"), "{read}");
    let process = json!({"command": "echo $((6 * 7))", "timeout_ms": 5000});
    let started = server.text("start_process", process).await;
    assert!(started.contains("42"), "{started}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the packages of ./x real"]
async fn markitdown_converts() {
    let server = Connected::to("markitdown", "venv/bin/markitdown-mcp", |_| vec![], none).await;
    server.lists(&["convert_to_markdown"]).await;
    let page = json!({"uri": "data:text/html,<h1>Title</h1><ul><li>one</li></ul>"});
    let converted = server.call("convert_to_markdown", page).await;
    assert_eq!(converted["result"], "# Title\n\n* one", "{converted}");
}
