//! Commands that wait: for the end of a task, for calls to approve, and for a server that is
//! stopped meanwhile.

use std::{
    path::Path,
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::Child,
};

use crate::{
    approvals::ASKS,
    cli::{place, say},
    support::{
        policy::Policed,
        server::{PATIENCE, TestServer, airlock, eventually},
        terminal::AtTerminal,
    },
};

/// A command that runs for a while, and the lines that it has printed.
struct Running {
    child: Child,
    out: Arc<Mutex<String>>,
    beside: Arc<Mutex<String>>,
}

impl Running {
    fn start(config: &Path, args: &[&str]) -> Self {
        let mut command = airlock(config);
        command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let out = collect(child.stdout.take().unwrap());
        let beside = collect(child.stderr.take().unwrap());
        Self { child, out, beside }
    }

    async fn prints(&self, text: &str) -> String {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let out = self.out.lock().clone();
            if out.contains(text) {
                return out;
            }
            assert!(Instant::now() < give_up, "no {text:?} in {out:?} {}", self.beside.lock());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn says(&self, text: &str) {
        eventually(text, async || self.beside.lock().contains(text).then_some(())).await;
    }

    fn interrupt(&self) {
        let pid = Pid::from_raw(self.child.id().unwrap().cast_signed()).unwrap();
        kill_process(pid, Signal::INT).unwrap();
    }

    /// The exit code, standard output and standard error.
    async fn end(mut self) -> (Option<i32>, String, String) {
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        let status = status
            .unwrap_or_else(|_| panic!("it goes on: {}{}", self.out.lock(), self.beside.lock()));
        // The readers end with the command.
        let (out, beside) = (self.out.clone(), self.beside.clone());
        eventually("its output is read", async || {
            (Arc::strong_count(&out) == 2 && Arc::strong_count(&beside) == 2).then_some(())
        })
        .await;
        (status.unwrap().code(), out.lock().clone(), beside.lock().clone())
    }
}

fn collect(pipe: impl tokio::io::AsyncRead + Send + Unpin + 'static) -> Arc<Mutex<String>> {
    let text = Arc::new(Mutex::new(String::new()));
    let kept = text.clone();
    tokio::spawn(async move {
        let mut lines = BufReader::new(pipe).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let mut kept = kept.lock();
            kept.push_str(&line);
            kept.push('\n');
        }
    });
    text
}

/// Requests to `/v1` that the server has answered.
async fn requests(server: &TestServer) -> u64 {
    let answer = server.stranger().get(format!("{}/metrics", server.url)).send().await.unwrap();
    let text = answer.text().await.unwrap();
    let own = text.lines().filter(|line| {
        line.starts_with("airlock_http_requests_total{") && line.contains("route=\"/v1\"")
    });
    own.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

/// Waits until a command that was started when there were so many waits for its task: it has
/// looked twice.
async fn waits(server: &TestServer, before: u64) {
    eventually("the command waits", async || (requests(server).await >= before + 2).then_some(()))
        .await;
}

async fn begin(server: &TestServer, code: &str) -> String {
    let task = server.execute(json!({ "code": code, "waitForResult": false })).await;
    task["taskId"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_for_a_task_exits_as_the_task_did() {
    let server = TestServer::start().await;
    let config = server.config_file();
    for (code, status, exit) in [
        ("await tools.demo.wait({ ms: 300 }); return 1", "completed", 0),
        ("await tools.demo.wait({ ms: 300 }); throw new TypeError('no')", "failed", 1),
    ] {
        let id = begin(&server, code).await;
        // While it runs, and when it has ended.
        for _ in 0..2 {
            let said = say(&config, &["tasks", "wait", &id], "").await;
            assert_eq!(said.code, Some(exit), "{}", said.beside);
            assert_eq!(said.out, format!("{id} {status}\n"));
            assert_eq!(said.beside.contains("TypeError"), exit == 1, "{}", said.beside);
        }
        let record = say(&config, &["tasks", "wait", &id, "--json"], "").await;
        assert_eq!((record.code, &record.json()["status"]), (Some(exit), &json!(status)));
    }
    let id = begin(&server, "await tools.demo.wait({ ms: 60000 })").await;
    let said = say(&config, &["tasks", "wait", &id, "--timeout", "1s"], "").await;
    assert_eq!((said.code, said.out.as_str()), (Some(75), ""));
    assert!(said.beside.contains("has not ended after 1.0 s: it is running"), "{}", said.beside);
    let waiting = Running::start(&config, &["tasks", "wait", &id]);
    say(&config, &["tasks", "cancel", &id], "").await;
    let (code, out, _) = waiting.end().await;
    assert_eq!((code, out), (Some(130), format!("{id} cancelled\n")));
    for (args, expected) in [
        (&["tasks", "wait", "task_1"][..], "there is no task `task_1`"),
        (&["tasks", "follow", "task_1"], "there is no task `task_1`"),
        (&["tasks", "wait", &id, "--timeout", "5"], "allowed: 1s to 7d"),
    ] {
        let said = say(&config, args, "").await;
        assert!(
            said.code != Some(0) && said.beside.contains(expected),
            "{args:?}: {}",
            said.beside
        );
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_wait_leaves_the_task_alone() {
    let server = TestServer::start().await;
    let config = server.config_file();
    let id = begin(&server, "console.log('begun'); await tools.demo.wait({ ms: 60000 })").await;
    for args in [["tasks", "wait"], ["tasks", "follow"]] {
        let before = requests(&server).await;
        let waiting = Running::start(&config, &[args[0], args[1], &id]);
        waits(&server, before).await;
        waiting.interrupt();
        let (code, _, beside) = waiting.end().await;
        assert_eq!(code, Some(130), "{args:?}");
        assert!(beside.contains("the task goes on"), "{beside}");
    }
    let (_, task) = server.owner(reqwest::Method::GET, &format!("/v1/tasks/{id}")).await;
    assert_eq!(task["status"], "running", "{task}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_followed_task_shows_its_console_and_its_calls_as_they_come() {
    let policed = Policed::start(ASKS).await;
    let code = "console.log('one \\u001b[31m red');
        await tools.demo.echo({ message: 'x' });
        try { await tools.demo.add({ a: 'no' }) } catch {}
        await tools.demo.notes.add({ text: 'x' });
        console.warn('two');
        return { sum: 3 }";
    let id = begin(&policed.server, code).await;
    let config = policed.server.config_file();
    let people = Running::start(&config, &["tasks", "follow", &id]);
    let programs = Running::start(&config, &["tasks", "follow", &id, "--json"]);
    // Before the end: it waits for an approval.
    let approval = policed.pending(1).await.remove(0);
    let out = people.prints("waits for approval").await;
    for part in [
        "one \u{fffd}[31m red\n",
        "→ 1 demo.echo(message)",
        "← 1 demo.echo: ",
        "→ 2 demo.add(a)",
        "✗ 2 demo.add failed: ",
        "? 3 demo.notes.add waits for approval: notes stay airlock approvals show apr_",
    ] {
        assert!(out.contains(part), "{part}: {out}");
    }
    assert!(!out.contains("two"), "{out}");
    programs.prints("approval.requested").await;
    policed.word(&approval, "approve", json!({})).await;
    let (code, out, beside) = people.end().await;
    assert_eq!(code, Some(0), "{beside}");
    assert!(out.contains("? 3 demo.notes.add consumed") || out.contains("approved"), "{out}");
    assert!(out.contains("two\n") && out.ends_with("{\n  \"sum\": 3\n}\n"), "{out}");
    assert_eq!(out.matches("one ").count(), 1, "{out}");
    assert!(beside.contains("completed"), "{beside}");
    let (code, out, _) = programs.end().await;
    assert_eq!(code, Some(0));
    let lines: Vec<Value> =
        out.lines().map(|line| serde_json::from_str(line).expect("one object a line")).collect();
    let kinds: Vec<_> = lines.iter().map(|line| line["type"].as_str().unwrap()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "log").count(), 2, "{kinds:?}");
    assert!(
        kinds.contains(&"tool.call.requested") && kinds.last() == Some(&"task.completed"),
        "{kinds:?}"
    );
    assert!(lines.iter().all(|line| line["taskId"] == *id), "{lines:?}");
    // A task that has ended is shown whole.
    let again = say(&config, &["tasks", "follow", &id], "").await;
    assert!(again.out.contains("one ") && again.out.contains("\"sum\": 3"), "{}", again.out);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_goes_away_ends_what_follows() {
    let server = TestServer::start().await;
    let code =
        "for (let i = 0; i < 1000; i++) { console.log(i); await tools.demo.wait({ ms: 50 }) }";
    let id = begin(&server, code).await;
    let mut command = airlock(&server.config_file());
    command.args(["tasks", "follow", &id]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    let mut first = [0; 1];
    let mut out = child.stdout.take().unwrap();
    out.read_exact(&mut first).await.unwrap();
    drop(out);
    let status = tokio::time::timeout(PATIENCE, child.wait()).await.expect("it ends").unwrap();
    assert_eq!(status.code(), Some(0));
    server.call("task_cancel", json!({ "taskId": id })).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watching_shows_calls_that_wait_and_how_they_are_decided() {
    let policed = Policed::start(ASKS).await;
    let config = policed.server.config_file();
    let code = |text: &str| format!("return await tools.demo.notes.add({{ text: {text:?} }})");
    policed.begin(json!({ "code": code("before") })).await;
    let before = policed.pending(1).await.remove(0);
    let people = Running::start(&config, &["approvals", "watch"]);
    let programs = Running::start(&config, &["approvals", "watch", "--json"]);
    let id = |approval: &Value| approval["id"].as_str().unwrap().to_owned();
    let show = format!("airlock approvals show {}", id(&before));
    let out = people.prints(&show).await;
    for part in ["waits demo.notes.add (", "airlock-tests", "notes stay", &show, "/approvals/apr_"]
    {
        assert!(out.contains(part), "{part}: {out}");
    }
    programs.prints(&id(&before)).await;
    policed.begin(json!({ "code": code("later \u{202e}") })).await;
    let later = policed.pending(2).await.remove(1);
    people.prints("later \\u{202e}").await;
    policed.word(&before, "approve", json!({})).await;
    people.prints("approved by the owner (command line), and sent").await;
    policed.word(&later, "deny", json!({ "note": "no\nway" })).await;
    people.prints("denied by the owner (command line), not sent: no\\u{a}way").await;
    // One that comes and goes between two looks is shown as well.
    let task = policed.begin(json!({ "code": code("brief") })).await;
    let brief = policed.pending(1).await.remove(0);
    policed.server.call("task_cancel", json!({ "taskId": task })).await;
    people.prints("brief").await;
    let out = people.prints("cancelled, not sent").await;
    assert!(!out.contains('\u{202e}'), "{out}");
    programs.prints("\"status\":\"cancelled\"").await;
    people.interrupt();
    programs.interrupt();
    let (code, _, beside) = people.end().await;
    assert_eq!((code, beside.as_str()), (Some(130), ""), "it ends quietly");
    let (_, out, _) = programs.end().await;
    let lines: Vec<Value> =
        out.lines().map(|line| serde_json::from_str(line).expect("one object a line")).collect();
    let statuses = |approval: &Value| -> Vec<_> {
        let own = lines.iter().filter(|line| line["id"] == approval["id"]);
        own.map(|line| line["status"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(statuses(&before), ["pending", "consumed"]);
    assert_eq!(statuses(&later), ["pending", "denied"]);
    assert_eq!(statuses(&brief), ["pending", "cancelled"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watching_needs_a_server_and_says_when_it_was_stopped() {
    let folder = place("");
    let config = folder.path().join("airlock.toml");
    let said = say(&config, &["approvals", "watch"], "").await;
    assert!(
        said.code == Some(69) && said.beside.contains("`airlock serve --config"),
        "{}",
        said.beside
    );
    let policed = Policed::start(ASKS).await;
    let task = policed.begin(json!({ "code": "await tools.demo.notes.add({ text: 'x' })" })).await;
    policed.pending(1).await;
    let watching = Running::start(&policed.server.config_file(), &["approvals", "watch"]);
    watching.prints("waits").await;
    policed.server.call("task_cancel", json!({ "taskId": task })).await;
    let _folder = policed.server.stop().await;
    let (code, _, beside) = watching.end().await;
    assert_eq!(code, Some(69), "{beside}");
    assert!(beside.contains("was stopped") && !beside.contains("does not answer"), "{beside}");
}

/// Every command that waits for a task, on a server that ends meanwhile.
async fn stopped(kill: bool) {
    let policed = Policed::start(ASKS).await;
    let config = policed.server.config_file();
    let code = "return await tools.demo.notes.add({ text: 'x' })";
    let file = policed.server.folder.path().join("program.ts");
    std::fs::write(&file, code).unwrap();
    let id = begin(&policed.server, code).await;
    let before = requests(&policed.server).await;
    let wait = Running::start(&config, &["tasks", "wait", &id]);
    waits(&policed.server, before).await;
    let follow = Running::start(&config, &["tasks", "follow", &id]);
    follow.prints("waits for approval").await;
    let run = Running::start(&config, &["run", file.to_str().unwrap()]);
    run.says("waits for your approval").await;
    let _folder = match kill {
        true => policed.server.kill().await,
        false => policed.server.stop().await,
    };
    for (name, waiting) in [("wait", wait), ("follow", follow), ("run", run)] {
        let (code, _, beside) = waiting.end().await;
        assert_eq!(code, Some(69), "{name}: {beside}");
        let (_, rest) = beside.split_once("the server was stopped; task task_").expect(&beside);
        assert!(rest.contains(" goes on once `airlock serve` runs again"), "{name}: {beside}");
        assert!(!beside.contains("does not answer"), "{name}: {beside}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_learns_that_the_server_was_stopped_and_that_the_task_goes_on() {
    stopped(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_learns_that_the_server_was_killed_too() {
    stopped(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_ends_while_its_server_stops_ends_as_it_did() {
    let server = TestServer::start().await;
    let file = server.folder.path().join("program.ts");
    std::fs::write(&file, "console.log('on'); await tools.demo.wait({ ms: 1500 }); return 'done'")
        .unwrap();
    let config = server.config_file();
    let before = requests(&server).await;
    let running = Running::start(&config, &["run", file.to_str().unwrap()]);
    // It has submitted its program, and waits for it.
    waits(&server, before + 1).await;
    let _folder = server.stop().await;
    let (code, out, beside) = running.end().await;
    assert_eq!((code, out.as_str()), (Some(0), "\"done\"\n"), "{beside}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_goes_away_with_its_server() {
    let policed = Policed::start(ASKS).await;
    let file = policed.server.folder.path().join("program.ts");
    std::fs::write(&file, "return await tools.demo.notes.add({ text: 'x' })").unwrap();
    let config = policed.server.config_file();
    let terminal = AtTerminal::start(&config, &["run", file.to_str().unwrap()]);
    terminal.shows("Approve? [y/N", 1).await;
    let _folder = policed.server.stop().await;
    let (code, _, shown) = terminal.end().await;
    assert_eq!(code, Some(69), "{shown}");
    assert!(shown.contains("goes on once") && shown.contains("the server was"), "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_is_opened_with_a_page_that_only_the_owner_can_read() {
    use std::os::unix::fs::PermissionsExt;

    let server = TestServer::start().await;
    let config = server.config_file();
    let folder = tempfile::tempdir().unwrap();
    let (opener, opened) = (folder.path().join("xdg-open"), folder.path().join("opened"));
    let open = async |script: &str, display: &str, args: &[&str]| {
        std::fs::write(&opener, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&opener, std::fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
        let mut command = airlock(&config);
        command.arg("open").args(args).env("PATH", path).env("DISPLAY", display);
        let output = command.output().await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        assert!(output.status.success());
        (text(output.stdout), text(output.stderr))
    };
    let keep = format!("echo \"$@\" > {}", opened.display());
    let (out, beside) = open(&keep, ":0", &[]).await;
    assert!(out.is_empty() && beside.contains("opened in your browser"), "{out}{beside}");
    let page = std::fs::read_to_string(&opened).unwrap();
    assert!(!page.contains("sign-in/"), "others can read the arguments of a program: {page}");
    let page = Path::new(page.trim());
    let mode = std::fs::metadata(page).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let html = std::fs::read_to_string(page).unwrap();
    let (_, link) = html.split_once("url=").unwrap();
    let link = link.split('"').next().unwrap();
    assert!(link.starts_with(&format!("{}/sign-in/", server.url)), "{html}");
    assert_eq!(server.stranger().get(link).send().await.unwrap().status(), 200);

    let link = format!("{}/sign-in/", server.url);
    for (script, display, args, why) in [
        (keep.as_str(), "", &[][..], "there is no desktop here"),
        ("exit 3", ":0", &[], "`xdg-open` failed with exit status: 3"),
        (&keep, ":0", &["--print"], "works once"),
    ] {
        std::fs::remove_file(&opened).ok();
        let (out, beside) = open(script, display, args).await;
        assert!(out.starts_with(&link) && beside.contains(why), "{why}: {out}{beside}");
        assert!(!opened.exists(), "{why}");
    }
}
