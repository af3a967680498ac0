//! Real clients go on: over a restart of the server, over a change of its upstreams, and over a call
//! that waits for an approval.

use std::{net::TcpListener, process::Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

use super::program;
use crate::{
    approvals::ASKS,
    support::{
        clients,
        policy::Policed,
        server::{PATIENCE, demo, eventually},
    },
};

/// A program whose first call waits for the owner.
const WAITS: &str = "await tools.demo.notes.add({ text: 'a note' }); return (await \
                     tools.demo.notes.list()).notes.map((note) => note.text)";

/// A server with a policy that asks, on a port that it has again after a restart.
struct Kept {
    policed: Policed,
    listen: String,
}

impl Kept {
    async fn start() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        Self::within(TempDir::new().unwrap(), free.to_string()).await
    }

    async fn within(folder: TempDir, listen: String) -> Self {
        let environment = [("AIRLOCK_SERVER_LISTEN", listen.as_str())];
        let policed = Policed::with_environment(folder, ASKS, "", &environment).await;
        Self { policed, listen }
    }

    async fn restarted(self) -> Self {
        let folder = self.policed.server.stop().await;
        Self::within(folder, self.listen).await
    }

    /// Adds an upstream to the configuration, while the server runs.
    fn adds_an_upstream(&self) {
        let file = self.policed.server.config_file();
        let text = std::fs::read_to_string(&file).unwrap();
        let second = demo(&[]).replace("[upstreams.demo]", "[upstreams.second]");
        std::fs::write(&file, format!("{text}\n{second}")).unwrap();
    }

    fn url(&self) -> String {
        format!("{}/mcp", self.policed.server.url)
    }

    /// Waits for the one call that waits, and allows it; its approval.
    async fn approve(&self) -> Value {
        let approval = self.policed.pending(1).await.remove(0);
        let (status, decided) = self.policed.word(&approval, "approve", json!({})).await;
        assert_eq!(status, 200, "{decided}");
        approval
    }
}

/// A client that stays connected: `session.mjs` and its siblings of `tests/clients`.
struct Session {
    name: &'static str,
    /// Ends with this.
    _child: Child,
    input: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Session {
    async fn start(name: &'static str, command: &[String]) -> Self {
        let mut child = Command::new(&command[0])
            .args(&command[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", command[0]));
        let input = child.stdin.take().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut session = Self { name, _child: child, input, lines };
        assert_eq!(session.answer().await, json!({"connected": true}), "{name}");
        session
    }

    async fn ask(&mut self, code: &str) {
        let call = json!({"name": "execute", "arguments": {"code": code}});
        self.input.write_all(format!("{call}\n").as_bytes()).await.unwrap();
    }

    async fn answer(&mut self) -> Value {
        let line = timeout(PATIENCE * 2, self.lines.next_line()).await;
        let line = line.unwrap_or_else(|_| panic!("{} says nothing", self.name)).unwrap();
        let line = line.unwrap_or_else(|| panic!("{} ended", self.name));
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{}: {error}: {line}", self.name))
    }

    /// The result of a program.
    async fn run(&mut self, code: &str) -> Value {
        self.ask(code).await;
        let answer = self.answer().await;
        assert_eq!(answer["isError"], false, "{}: {answer}", self.name);
        answer["structured"]["result"].clone()
    }

    /// Goes on over everything that may happen; connected to this server.
    async fn goes_on(mut self, server: Kept) {
        assert_eq!(self.run("return 1 + 1").await, 2, "{}", self.name);
        let server = server.restarted().await;
        assert_eq!(self.run("return 20 + 1").await, 21, "{} after a restart", self.name);

        // Another upstream, while the client stays connected.
        server.adds_an_upstream();
        eventually("the new upstream is there", async || {
            let found = self.run("return await tools.catalog.namespaces()").await;
            let namespaces = found["namespaces"].as_array().cloned().unwrap_or_default();
            namespaces.iter().any(|one| one["namespace"] == "second").then_some(())
        })
        .await;
        assert_eq!(self.run("return await tools.second.wait({ ms: 0 })").await, "waited 0 ms");

        self.ask(WAITS).await;
        let approval = server.approve().await;
        let answer = self.answer().await;
        assert_eq!(answer["structured"]["result"], json!(["a note"]), "{}: {answer}", self.name);
        let link = format!("/approvals/{}", approval["id"].as_str().unwrap());
        let progress = answer["progress"].as_array().unwrap();
        let told = progress.iter().filter_map(Value::as_str).any(|message| message.contains(&link));
        assert!(told, "{} was not told of {link}: {progress:?}", self.name);
    }
}

/// The command of a client of `tests/clients`, without its target.
fn session(client: &str) -> Vec<String> {
    let in_folder = |path: &str| clients::folder().join(path).display().to_string();
    let python =
        |python: String, library: &str| vec![python, in_folder("session.py"), library.into()];
    match client {
        "typescript-1" => vec!["node".into(), in_folder("session_v1.mjs")],
        "typescript-2" => vec!["node".into(), in_folder("session_v2.mjs")],
        "python-1" => python(in_folder(".venv-1/bin/python"), "mcp-1"),
        "python-2" => python(in_folder(".venv-2/bin/python"), "mcp-2"),
        "fastmcp" => python(program("clients", "venv/bin/python"), "fastmcp"),
        other => panic!("no client `{other}`"),
    }
}

/// A client over HTTP, and over the `airlock mcp` that it starts, which joins the server.
async fn goes_on(client: &'static str) {
    let server = Kept::start().await;
    let over_http = [session(client), vec!["http".into(), server.url()]].concat();
    Session::start(client, &over_http).await.goes_on(server).await;

    let server = Kept::start().await;
    let file = server.policed.server.config_file().display().to_string();
    let command = [env!("CARGO_BIN_EXE_airlock"), "--config", &file, "mcp"];
    let target = ["stdio"].into_iter().chain(command).map(str::to_owned).collect();
    Session::start(client, &[session(client), target].concat()).await.goes_on(server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the packages of ./x real"]
async fn typescript_1_goes_on() {
    goes_on("typescript-1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the packages of ./x real"]
async fn typescript_2_goes_on() {
    goes_on("typescript-2").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the packages of ./x real"]
async fn python_1_goes_on() {
    goes_on("python-1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the packages of ./x real"]
async fn python_2_goes_on() {
    goes_on("python-2").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the packages of ./x real"]
async fn fastmcp_goes_on() {
    goes_on("fastmcp").await;
}

/// Clients that speak over standard streams alone reach the server through it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the packages of ./x real"]
async fn mcp_remote_goes_on() {
    let server = Kept::start().await;
    let remote = program("clients", "node_modules/.bin/mcp-remote");
    let target = vec!["stdio".into(), remote, server.url(), "--allow-http".into()];
    let command = [session("typescript-1"), target].concat();
    Session::start("mcp-remote", &command).await.goes_on(server).await;
}

/// An application of the command line, in a home of its own.
struct Application {
    program: String,
    home: TempDir,
}

impl Application {
    fn new(path: &str) -> Self {
        Self { program: program("clients", path), home: TempDir::new().unwrap() }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(args).current_dir(self.home.path()).kill_on_drop(true).stdin(Stdio::null());
        command.env_clear().env("HOME", self.home.path()).env("NO_COLOR", "1");
        command.env("PATH", std::env::var_os("PATH").unwrap());
        command
    }

    /// What it prints, all of it.
    async fn says(&self, args: &[&str]) -> String {
        said(&self.program, args, self.command(args).output()).await
    }
}

async fn said(
    program: &str,
    args: &[&str],
    output: impl Future<Output = std::io::Result<std::process::Output>>,
) -> String {
    let output = timeout(PATIENCE * 2, output).await.expect("the application ends").unwrap();
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(output.status.success(), "{program} {args:?}: {text}");
    text
}

/// Adds the server to an application, whose list then says so, also after a restart.
async fn is_listed(application: &Application, add: &[&str], connected: &str) {
    let server = Kept::start().await;
    let url = server.url();
    let add: Vec<&str> =
        add.iter().map(|word| if *word == "URL" { url.as_str() } else { word }).collect();
    application.says(&add).await;
    let check = async || {
        let list = application.says(&["mcp", "list"]).await;
        let line = list.lines().find(|line| line.contains("airlock")).unwrap_or_default();
        assert!(line.contains(connected), "{list}");
    };
    check().await;
    let _server = server.restarted().await;
    check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the packages of ./x real"]
async fn claude_code_finds_the_server_again() {
    let claude = Application::new("node_modules/@anthropic-ai/claude-code-linux-x64/claude");
    let add = ["mcp", "add", "--transport", "http", "airlock", "URL"];
    is_listed(&claude, &add, "Connected").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the packages of ./x real"]
async fn codex_lists_the_server() {
    let codex = Application::new("node_modules/.bin/codex");
    is_listed(&codex, &["mcp", "add", "airlock", "--url", "URL"], "enabled").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the packages of ./x real"]
async fn gemini_cli_finds_the_server_again() {
    let gemini = Application::new("node_modules/.bin/gemini");
    // It uses no server in a folder that nobody told it to trust.
    let trusts = json!({"security": {"folderTrust": {"enabled": false}}});
    std::fs::create_dir(gemini.home.path().join(".gemini")).unwrap();
    let settings = gemini.home.path().join(".gemini/settings.json");
    std::fs::write(settings, trusts.to_string()).unwrap();
    let add = ["mcp", "add", "--scope", "user", "--transport", "http", "airlock", "URL"];
    is_listed(&gemini, &add, "Connected").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the packages of ./x real"]
async fn the_inspector_calls_before_and_after_a_restart_and_over_an_approval() {
    let inspector = Application::new("node_modules/.bin/mcp-inspector");
    let server = Kept::start().await;
    let url = server.url();
    let call = |code: &str| {
        ["--cli", &url, "--transport", "http", "--method", "tools/call", "--tool-name", "execute"]
            .map(str::to_owned)
            .into_iter()
            .chain(["--tool-arg".to_owned(), format!("code={code}")])
            .collect::<Vec<_>>()
    };
    let result = async |code: &str| {
        let args = call(code);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let said = inspector.says(&args).await;
        let answer: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}"));
        answer["structuredContent"]["result"].clone()
    };
    assert_eq!(result("return 'before'").await, "before");
    let server = server.restarted().await;
    assert_eq!(result("return 'after'").await, "after");
    let (result, _) = tokio::join!(result(WAITS), server.approve());
    assert_eq!(result, json!(["a note"]));
}
