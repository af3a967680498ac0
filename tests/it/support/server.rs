//! A real server: the binary itself, on a database and a port of its own, asked over HTTP as a
//! client would.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::runtime;

/// How long anything that must happen may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A running server and its folder.
pub(crate) struct TestServer {
    pub(crate) folder: TempDir,
    pub(crate) url: String,
    pub(crate) token: String,
    child: Child,
    http: reqwest::Client,
}

/// The policy of tests that are not about policy.
pub(crate) const OPEN: &str = "[policy]\nprofile = \"open\"\n";

/// Configuration that every test server has: a free port, no limit at the door, so that tests do
/// not wait for each other, and a policy that allows the calls, unless a test says otherwise.
fn config(folder: &Path, more: &str) -> String {
    let database = folder.join("airlock.db");
    let limits = if more.contains("[limits]") { "" } else { "[limits]\nrequests_per_minute = 0\n" };
    let policy = if more.contains("[policy]") { "" } else { OPEN };
    format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[store]\nurl \
        = \"sqlite://{}\"\n{limits}{policy}{more}\n",
        database.display()
    )
}

/// The demo upstream as an upstream named `demo`, with these further arguments.
pub(crate) fn demo(args: &[&str]) -> String {
    demo_named("demo", args)
}

/// The demo upstream as an upstream of this name, with these further arguments.
pub(crate) fn demo_named(name: &str, args: &[&str]) -> String {
    let args: Vec<String> = std::iter::once("__demo-upstream")
        .chain(args.iter().copied())
        .map(|arg| format!("{arg:?}"))
        .collect();
    format!(
        "[upstreams.{name}]\nkind = \"mcp\"\ncommand = {:?}\nargs = [{}]\n",
        env!("CARGO_BIN_EXE_airlock"),
        args.join(", ")
    )
}

/// The binary with this configuration file and nothing of the test's environment.
pub(crate) fn airlock(config: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_airlock"));
    command.env_clear();
    for name in ["PATH", "HOME", "XDG_CACHE_HOME", "LLVM_PROFILE_FILE"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    if std::env::var_os("AIRLOCK_TEST_RUNTIME").is_some() {
        command.env("AIRLOCK_SANDBOX_RUNTIME", runtime::id());
    }
    command.arg("--config").arg(config).kill_on_drop(true);
    command
}

impl TestServer {
    /// A server with the demo upstream.
    pub(crate) async fn start() -> Self {
        Self::with(&demo(&[])).await
    }

    /// A server with this added to its configuration.
    pub(crate) async fn with(more: &str) -> Self {
        Self::within(TempDir::new().unwrap(), more).await
    }

    /// A server in a folder that may hold the database of an earlier one.
    pub(crate) async fn within(folder: TempDir, more: &str) -> Self {
        Self::with_environment(folder, more, &[]).await
    }

    /// The same, with these variables in its environment.
    pub(crate) async fn with_environment(
        folder: TempDir,
        more: &str,
        environment: &[(&str, &str)],
    ) -> Self {
        let file = folder.path().join("airlock.toml");
        std::fs::write(&file, config(folder.path(), more)).unwrap();
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(folder.path().join("log.txt"))
            .unwrap();
        let mut child = airlock(&file)
            .envs(environment.iter().copied())
            .arg("serve")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the binary starts");
        let (url, token) = instance(folder.path(), &mut child).await;
        // A provider that is there already does as well.
        rustls::crypto::ring::default_provider().install_default().ok();
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE * 4).build().unwrap();
        Self { folder, url, token, child, http }
    }

    /// Changes the configuration of the running server as editors do: written beside the file, then
    /// renamed.
    pub(crate) fn configure(&self, more: &str) {
        self.write_config(&config(self.folder.path(), more));
    }

    /// Puts this text into the configuration file.
    pub(crate) fn write_config(&self, text: &str) {
        let fresh = self.folder.path().join("airlock.toml.new");
        std::fs::write(&fresh, text).unwrap();
        std::fs::rename(fresh, self.config_file()).unwrap();
    }

    /// What `/healthz` says, once it is as wanted. The answer is a second old at the most.
    pub(crate) async fn health(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        eventually("the health is as wanted", async || {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let (_, health) = self.owner(reqwest::Method::GET, "/healthz").await;
            wanted(&health).then_some(health)
        })
        .await
    }

    /// Sends the server a signal.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.pid().cast_signed()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    pub(crate) fn config_file(&self) -> PathBuf {
        self.folder.path().join("airlock.toml")
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log.txt")).unwrap_or_default()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().expect("the server runs")
    }

    /// The result of `tools/call`, as a client of 2026-07-28 gets it.
    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> Value {
        let answer =
            self.request("tools/call", json!({ "name": tool, "arguments": arguments })).await;
        assert!(answer.get("error").is_none(), "a result was expected: {answer}");
        answer["result"].clone()
    }

    /// One JSON-RPC request over HTTP, stateless; the answer whole.
    pub(crate) async fn request(&self, method: &str, mut params: Value) -> Value {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": { "name": "airlock-tests", "version": "0" },
        });
        let mut request = self
            .http
            .post(format!("{}/mcp", self.url))
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", method);
        if let Some(name) = params.get("name").and_then(Value::as_str) {
            request = request.header("mcp-name", name);
        }
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let answer = request.json(&body).send().await.expect("the server answers");
        let status = answer.status();
        let text = answer.text().await.expect("the answer is whole");
        let message = text
            .lines()
            .filter_map(|line| line.strip_prefix("data:"))
            .rfind(|data| data.contains("\"id\":1"));
        serde_json::from_str(message.unwrap_or(&text))
            .unwrap_or_else(|error| panic!("{status}: {error}: {text}"))
    }

    /// `execute` with this code; the structured answer.
    pub(crate) async fn run(&self, code: &str) -> Value {
        self.execute(json!({ "code": code })).await
    }

    /// `execute` with these arguments; the structured answer.
    pub(crate) async fn execute(&self, arguments: Value) -> Value {
        self.call("execute", arguments).await["structuredContent"].clone()
    }

    /// A request to `/v1` as the owner.
    pub(crate) async fn owner(&self, method: reqwest::Method, path: &str) -> (u16, Value) {
        let answer = self
            .http
            .request(method, format!("{}{path}", self.url))
            .bearer_auth(&self.token)
            .send()
            .await
            .expect("the server answers");
        (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null))
    }

    /// A request with a body to `/v1` as the owner.
    pub(crate) async fn owner_post(&self, path: &str, body: Value) -> (u16, Value) {
        let request =
            self.http.post(format!("{}{path}", self.url)).bearer_auth(&self.token).json(&body);
        let answer = request.send().await.expect("the server answers");
        (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null))
    }

    /// A client that follows no redirect and shows nothing by itself.
    pub(crate) fn stranger(&self) -> reqwest::Client {
        reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(PATIENCE)
            .build()
            .unwrap()
    }

    /// `kill -9`. The folder stays.
    pub(crate) async fn kill(mut self) -> TempDir {
        self.child.kill().await.unwrap();
        self.folder
    }

    /// The signal of an orderly end; waits for it.
    pub(crate) async fn stop(mut self) -> TempDir {
        self.signal(rustix::process::Signal::TERM);
        let status = tokio::time::timeout(PATIENCE, self.child.wait())
            .await
            .expect("the server ends")
            .unwrap();
        assert!(status.success(), "the server ended with {status}: {}", self.log());
        self.folder
    }
}

/// Waits for the instance file of the server that was started.
async fn instance(folder: &Path, child: &mut Child) -> (String, String) {
    let file = folder.join("airlock.db.instance.json");
    let pid = child.id().expect("the server was started");
    let give_up = Instant::now() + PATIENCE;
    loop {
        if let Ok(text) = std::fs::read(&file)
            && let Ok(instance) = serde_json::from_slice::<Value>(&text)
            && instance["pid"] == pid
        {
            let text =
                |key: &str| instance[key].as_str().expect("the instance file names it").to_owned();
            return (text("url"), text("token"));
        }
        let ended = child.try_wait().unwrap();
        let log = || std::fs::read_to_string(folder.join("log.txt")).unwrap_or_default();
        assert!(ended.is_none(), "the server ended at once with {ended:?}: {}", log());
        assert!(Instant::now() < give_up, "no instance file after {PATIENCE:?}: {}", log());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Polls until it holds, or fails the test.
pub(crate) async fn eventually<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let give_up = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = probe().await {
            return value;
        }
        assert!(Instant::now() < give_up, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Living processes that were started from the test's binary with this first argument, below the
/// server or orphaned by it.
pub(crate) fn processes_of(parent: u32) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        let Some((_, rest)) = stat.rsplit_once(") ") else { continue };
        let mut fields = rest.split(' ');
        let (state, ppid) = (fields.next(), fields.next());
        if ppid == Some(parent.to_string().as_str()) && state != Some("Z") {
            found.push(pid);
        }
    }
    found
}

/// Whether a process lives.
pub(crate) fn lives(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}
