//! The command line, as a shell uses it: what goes to standard output, what beside it, and the exit
//! code.

use std::{path::Path, process::Stdio};

use rustix::process::{Pid, Signal};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};

use crate::support::{
    runtime,
    server::{OPEN, PATIENCE, TestServer, airlock, demo, eventually},
};

/// What a command said.
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) beside: String,
}

impl Said {
    /// What it said, as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|error| panic!("{error}: {}{}", self.out, self.beside))
    }
}

/// The binary with this configuration, these arguments and this standard input.
pub(crate) async fn say(config: &Path, args: &[&str], input: &str) -> Said {
    let mut command = airlock(config);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary starts");
    let mut pipe = child.stdin.take().expect("a pipe was asked for");
    // A command that does not read its input may have closed it.
    pipe.write_all(input.as_bytes()).await.ok();
    drop(pipe);
    let ended = tokio::time::timeout(PATIENCE, child.wait_with_output())
        .await
        .expect("the command ends")
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is text");
    Said { code: ended.status.code(), out: text(ended.stdout), beside: text(ended.stderr) }
}

/// A configuration in a folder of its own, without a server.
pub(crate) fn place(more: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("airlock.db");
    std::fs::write(
        folder.path().join("airlock.toml"),
        format!("[store]\nurl = \"sqlite://{}\"\n{OPEN}{more}", database.display()),
    )
    .unwrap();
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_server_a_program_runs_all_the_same_and_leaves_its_record() {
    let folder = place(&demo(&[]));
    let config = folder.path().join("airlock.toml");
    let program = folder.path().join("program.ts");
    std::fs::write(
        &program,
        "const sum: number = await tools.demo.add({ a: 19, b: 23 });\nreturn { sum };\n",
    )
    .unwrap();
    let said = say(&config, &["run", program.to_str().unwrap()], "").await;
    assert_eq!(said.code, Some(0), "{}", said.beside);
    assert!(said.json()["sum"].to_string().contains("42"), "{}", said.out);
    assert!(
        said.beside.contains("completed") && said.beside.contains("1 tool call"),
        "{}",
        said.beside
    );

    let listed = say(&config, &["tasks", "list", "--json"], "").await.json();
    let task = &listed.as_array().expect("a list is an array")[0];
    assert_eq!((task["status"].as_str(), task["id"] == task["taskId"]), (Some("completed"), true));
    assert!(
        !folder.path().join("airlock.db.instance.json").exists(),
        "the server for the moment has left"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_files_of_the_state_go_where_the_owner_says() {
    let folder = place("[secrets]\nkey_file = \"secrets.key\"\n");
    let config = folder.path().join("airlock.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let text = text.replace("[store]\n", "[store]\nstate_dir = \"state\"\n");
    std::fs::write(&config, text).unwrap();
    let set = say(&config, &["secrets", "set", "NOTES"], "tok-123456\n").await;
    assert_eq!(set.code, Some(0), "{}", set.beside);
    let mut server = airlock(&config);
    let mut server = server.args(["serve", "--listen", "127.0.0.1:0"]).spawn().unwrap();
    let state = folder.path().join("state");
    let files = || {
        let entries = std::fs::read_dir(&state).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("airlock.db.")).collect::<Vec<_>>()
    };
    let ends = |names: &[String], end: &str| names.iter().any(|name| name.ends_with(end));
    eventually("the server leaves its instance file in the state folder", async || {
        ends(&files(), ".instance.json").then_some(())
    })
    .await;
    let listed = say(&config, &["tasks", "list", "--json"], "").await;
    assert_eq!((listed.code, listed.json()), (Some(0), serde_json::json!([])));
    assert!(ends(&files(), ".secrets"), "{:?}", files());
    assert!(folder.path().join("airlock.db").exists(), "the database stays where it is");
    for name in ["airlock.db.instance.json", "airlock.db.secrets", "airlock.db.catalog"] {
        assert!(!folder.path().join(name).exists(), "{name}");
    }
    server.kill().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn run_exits_with_the_tasks_exit_code_and_keeps_standard_output_for_the_result() {
    let server = TestServer::start().await;
    let config = server.config_file();
    let table = [
        ("return 1 + 1", 0, "2\n"),
        ("console.log('beside'); return 'x'", 0, "\"x\"\n"),
        ("throw new TypeError('no')", 1, ""),
        ("const = 1", 1, ""),
        ("while (true) {}", 124, ""),
    ];
    for (code, exit, out) in table {
        let said = say(&config, &["run", "-", "--timeout-ms", "1000"], code).await;
        assert_eq!((said.code, said.out.as_str()), (Some(exit), out), "{code}: {}", said.beside);
    }
    let said =
        say(&config, &["run", "-"], "console.log('beside');\nthrow new TypeError('no')").await;
    assert!(
        said.beside.contains("beside\n") && said.beside.contains("TypeError: no at 2:"),
        "{}",
        said.beside
    );
    let answer = say(&config, &["run", "-", "--json"], "throw new TypeError('no')").await.json();
    assert_eq!(
        (&answer["status"], &answer["error"]["name"]),
        (&"failed".into(), &"TypeError".into())
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_speak_to_the_server_that_runs() {
    let server = TestServer::start().await;
    let config = server.config_file();
    let done = server.run("return [1, 2, 3]").await;
    let id = done["taskId"].as_str().unwrap();
    let one = say(&config, &["tasks", "get", id, "--json"], "").await.json();
    assert_eq!((&one["id"], &one["result"]), (&done["taskId"], &serde_json::json!([1, 2, 3])));
    let kinds: Vec<_> = one["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    assert_eq!((kinds.first(), kinds.last()), (Some(&"task.created"), Some(&"task.completed")));
    let shown = say(&config, &["tasks", "get", id], "").await.out;
    assert!(shown.contains("return [1, 2, 3]") && shown.contains("task.completed"), "{shown}");

    let waiting = server
        .execute(serde_json::json!({ "code": "await new Promise((done) => setTimeout(done, \
            60000))", "waitForResult": false }))
        .await;
    let id = waiting["taskId"].as_str().unwrap();
    let cancelled = say(&config, &["tasks", "cancel", id, "--json"], "").await.json();
    assert_eq!(
        (cancelled["id"].as_str(), cancelled["status"].as_str()),
        (Some(id), Some("cancelled"))
    );
    let listed =
        say(&config, &["tasks", "list", "--status", "cancelled", "--json"], "").await.json();
    assert_eq!(listed.as_array().map(Vec::len), Some(1));
    let nobody = say(&config, &["tasks", "get", "task_1"], "").await;
    assert_eq!((nobody.code, nobody.out.as_str()), (Some(1), ""));
    assert!(
        nobody.beside.contains("error: ") && nobody.beside.contains("task_1"),
        "{}",
        nobody.beside
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_are_listed_found_and_described() {
    let folder = place(&demo(&[]));
    let config = folder.path().join("airlock.toml");
    let listed = say(&config, &["tools", "list", "--json"], "").await.json();
    let ids: Vec<_> =
        listed.as_array().unwrap().iter().map(|tool| tool["id"].as_str().unwrap()).collect();
    assert!(ids.contains(&"demo.add") && ids.contains(&"demo.echo"), "{ids:?}");
    let found =
        say(&config, &["tools", "search", "add", "two", "numbers", "--json"], "").await.json();
    assert_eq!(found[0]["id"], "demo.add");
    let described = say(&config, &["tools", "describe", "demo.add"], "").await;
    assert!(
        described.out.contains("demo.add") && described.out.contains("arguments"),
        "{}",
        described.out
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_names_what_is_broken_and_exits_with_1() {
    let whole = place(&demo(&[]));
    let said = say(&whole.path().join("airlock.toml"), &["doctor", "--json"], "").await;
    assert_eq!((said.code, said.json()["status"].as_str()), (Some(0), Some("ok")), "{}", said.out);

    let broken = place("[upstreams.lost]\nkind = \"mcp\"\ncommand = \"no-such-program\"\n");
    let said = say(&broken.path().join("airlock.toml"), &["doctor"], "").await;
    assert_eq!(said.code, Some(1), "{}", said.out);
    assert!(
        said.out.contains("✗ upstreams.lost")
            && said.out.contains("`no-such-program` was not found"),
        "{}",
        said.out
    );

    // A file that may not be executed, and a folder that is not there.
    let broken = place(
        "[upstreams.shut]\ncommand = \"./notes.txt\"\ncwd = \".\"\n[upstreams.away]\ncommand = \
        \"sh\"\ncwd = \"nowhere\"\n",
    );
    std::fs::write(broken.path().join("notes.txt"), "notes").unwrap();
    let said = say(&broken.path().join("airlock.toml"), &["doctor"], "").await;
    assert_eq!(said.code, Some(1), "{}", said.out);
    for part in ["✗ upstreams.shut.command", "may not be executed", "✗ upstreams.away.cwd"] {
        assert!(said.out.contains(part), "{part}: {}", said.out);
    }

    let unusable = place("[limits]\nheap = 1\n");
    let said = say(&unusable.path().join("airlock.toml"), &["doctor"], "").await;
    assert_eq!(said.code, Some(1));
    assert!(said.out.contains("did you mean `limits.heap_mb`?"), "{}", said.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_finds_a_program_where_its_upstream_finds_it() {
    let folder = tempfile::tempdir().unwrap();
    let programs = folder.path().join("programs");
    std::fs::create_dir(&programs).unwrap();
    let program = programs.join("our-own-server");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_airlock"), program).unwrap();
    let placed = place(&format!(
        "[upstreams.by-path]\ncommand = \"our-own-server\"\nargs = [\"__demo-upstream\"]\nenv = {{ \
        PATH = {programs:?} }}\n[upstreams.by-folder]\ncommand = \"./our-own-server\"\nargs = \
        [\"__demo-upstream\"]\ncwd = {programs:?}\n"
    ));
    let said = say(&placed.path().join("airlock.toml"), &["doctor"], "").await;
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.beside);
    assert_eq!(said.out.matches("an MCP server, works, ").count(), 2, "{}", said.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_is_chosen_and_a_missing_one_is_told_where_one_looks() {
    let folder = place("[sandbox]\ndeno = \"/nonexistent/deno\"\n");
    let config = folder.path().join("airlock.toml");
    let said = say(&config, &["config", "check"], "").await;
    assert_eq!(said.code, Some(78), "{}", said.out);
    assert!(
        said.beside.contains("airlock.toml:6: `sandbox.deno`: `local-deno` is not installed"),
        "{}",
        said.beside
    );
    let whole = place("");
    let config = whole.path().join("airlock.toml");
    let said = say(&config, &["run", "-", "--runtime", "local-nothing"], "return 1").await;
    assert!(
        said.code != Some(0) && said.beside.contains("there is no runtime `local-nothing`"),
        "{}",
        said.beside
    );
    let said = say(&config, &["run", "-", "--json", "--runtime", runtime::id()], "return 1").await;
    assert_eq!(said.json()["runtimeId"], runtime::id());

    // A server that started when Deno was not there.
    let Some(deno) = runtime::find_deno() else { return };
    let home = tempfile::tempdir().unwrap();
    let nothing = home.path().to_str().unwrap();
    let environment = [("HOME", nothing), ("XDG_CACHE_HOME", nothing), ("PATH", "/nonexistent")];
    let server = TestServer::with_environment(tempfile::tempdir().unwrap(), "", &environment).await;
    let mut doctor = airlock(&server.config_file());
    let said = doctor.arg("doctor").env("AIRLOCK_SANDBOX_DENO", deno).output().await.unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(
        said.contains("sandbox.local-deno") && said.contains("installed after the server started"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_cannot_be_used_stops_every_command_with_78() {
    let folder = place("[limits]\nheap = 1\n");
    for args in [&["serve"][..], &["mcp"], &["run", "-"], &["tasks", "list"], &["config", "check"]]
    {
        let said = say(&folder.path().join("airlock.toml"), args, "").await;
        assert_eq!((said.code, said.out.as_str()), (Some(78), ""), "{args:?}");
        assert!(
            said.beside.contains("unknown key `limits.heap`; did you mean `limits.heap_mb`?"),
            "{args:?}: {}",
            said.beside
        );
        assert!(!folder.path().join("airlock.db").exists(), "nothing was opened");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_force_is_shown_with_where_it_was_written() {
    let folder = place("[limits]\nheap_mb = 32\n");
    let said = say(&folder.path().join("airlock.toml"), &["config", "--json"], "").await.json();
    let setting = said["settings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|setting| setting["key"] == "limits.heap_mb")
        .unwrap();
    assert_eq!(setting["value"], 32);
    assert!(setting["origin"].as_str().unwrap().ends_with("airlock.toml:6"), "{setting}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_client_calls_a_tool_from_the_shell() {
    let server = TestServer::start().await;
    let program = server.folder.path().join("program.ts");
    std::fs::write(&program, "return 1 + 1").unwrap();
    let endpoint = format!("{}/mcp", server.url);
    let args = ["__mcp-call", &endpoint, "execute", "--code-file", program.to_str().unwrap()];
    let said = say(&server.config_file(), &args, "").await;
    assert_eq!(said.code, Some(0), "{}", said.beside);
    assert!(
        said.out.starts_with("taskId: task_")
            && said.out.ends_with("exitCode: 0\n\n```json\n2\n```\n"),
        "{}",
        said.out
    );
    let args = ["__mcp-call", &endpoint, "execute", "--args", "{\"code\":\"throw 1\"}"];
    assert_eq!(say(&server.config_file(), &args, "").await.code, Some(1));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_is_called_by_hand_the_way_a_program_calls_it() {
    let server = TestServer::start().await;
    let config = server.config_file();
    let said =
        say(&config, &["tools", "call", "demo.add", "--args", r#"{"a": 40, "b": 2}"#], "").await;
    assert_eq!(
        (said.code, said.json()),
        (Some(0), serde_json::json!({"sum": 42})),
        "{}",
        said.beside
    );
    let whole = say(
        &config,
        &["tools", "call", "demo.echo", "--args", "-", "--json"],
        r#"{"message": "\"); return 'in'; //"}"#,
    )
    .await
    .json();
    assert_eq!(
        (whole["result"].as_str(), whole["usage"]["toolCalls"].as_u64()),
        (Some("\"); return 'in'; //"), Some(1)),
        "{whole}"
    );
    let task = say(&config, &["tasks", "list", "--json"], "").await.json();
    assert_eq!(task.as_array().map(Vec::len), Some(2), "both calls are on record: {task}");

    let wrong =
        say(&config, &["tools", "call", "demo.add", "--args", r#"{"a": 40, "c": 2}"#], "").await;
    assert_eq!(wrong.code, Some(1));
    assert!(wrong.beside.contains("correct: await tools.demo.add("), "{}", wrong.beside);
    let absent = say(&config, &["tools", "call", "demo.ad", "--args", "{}"], "").await;
    assert!(
        absent.beside.contains("did you mean `demo.add`")
            && absent.beside.contains("hint: `airlock tools search"),
        "{}",
        absent.beside
    );
    let described = say(&config, &["tools", "describe", "demo.ad"], "").await;
    assert!(described.beside.contains("did you mean `demo.add`"), "{}", described.beside);
    for said in [&absent, &described, &wrong, &say(&config, &["tasks", "get", "task_1"], "").await]
    {
        assert!(said.beside.contains("hint: `airlock t"), "{}", said.beside);
        assert!(
            !said.beside.contains("discover") && !said.beside.contains("task_list"),
            "commands, not tools: {}",
            said.beside
        );
    }
    let broken = say(&config, &["tools", "call", "demo.add", "--args", "{a"], "").await;
    assert!(
        broken.code != Some(0) && broken.beside.contains("`--args` is not valid JSON"),
        "{}",
        broken.beside
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_are_declared_and_refreshed_by_hand() {
    let server = TestServer::start().await;
    let config = server.config_file();
    let types = say(&config, &["tools", "types", "--namespace", "demo.notes"], "").await;
    assert_eq!(types.code, Some(0), "{}", types.beside);
    assert!(
        types.out.contains("interface Tools {")
            && types.out.contains("add(args: DemoNotesAddArgs): Promise<DemoNotesAddResult>;")
    );
    assert!(!types.out.contains("echo("), "{}", types.out);
    let refreshed = say(&config, &["tools", "refresh", "demo", "--json"], "").await.json();
    assert_eq!(
        (&refreshed[0]["id"], &refreshed[0]["status"], &refreshed[0]["tools"]),
        (&"demo".into(), &"ready".into(), &8.into())
    );
    let nobody = say(&config, &["tools", "refresh", "dmo"], "").await;
    assert!(
        nobody.code != Some(0)
            && nobody.beside.contains("there is no upstream `dmo`, there are `demo`"),
        "{}",
        nobody.beside
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_and_a_supervisor_that_ask_for_the_end_at_once_ask_for_one_end() {
    for _ in 0..4 {
        let folder = tempfile::tempdir().unwrap();
        let server = TestServer::within(folder, "").await;
        let signal = |signal| {
            rustix::process::kill_process(
                Pid::from_raw(server.pid().cast_signed()).unwrap(),
                signal,
            )
            .unwrap()
        };
        // Both are there when the server next looks.
        [Signal::STOP, Signal::TERM, Signal::INT, Signal::CONT].into_iter().for_each(signal);
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_told_to_stop_cancels_its_task_also_where_the_whole_group_is_told() {
    let folder = place(&demo(&[]));
    let config = folder.path().join("airlock.toml");
    let text = std::fs::read_to_string(&config).unwrap().replace("\"open\"", "\"auto\"");
    std::fs::write(&config, text).unwrap();
    let program = folder.path().join("program.ts");
    std::fs::write(&program, "return await tools.demo.notes.add({ text: 'x' })").unwrap();
    let mut command = airlock(&config);
    // As a terminal and `timeout` do it: a group of its own, which is told whole.
    command
        .process_group(0)
        .arg("run")
        .arg(&program)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary starts");
    let mut beside = tokio::io::BufReader::new(child.stderr.take().expect("a pipe was asked for"));
    let mut told = String::new();
    while !told.contains("waits for your approval") {
        assert!(beside.read_line(&mut told).await.unwrap() > 0, "it ended: {told}");
    }
    let group = rustix::process::Pid::from_raw(child.id().unwrap().cast_signed()).unwrap();
    rustix::process::kill_process_group(group, rustix::process::Signal::TERM).unwrap();
    let status = tokio::time::timeout(PATIENCE, child.wait()).await.expect("it ends").unwrap();
    beside.read_to_string(&mut told).await.unwrap();
    assert_eq!(status.code(), Some(130), "{told}");
    assert!(
        told.contains("interrupted: the task is cancelled")
            && told.contains("Cancelled: the task was cancelled"),
        "{told}"
    );
    let listed = say(&config, &["tasks", "list", "--json"], "").await.json();
    assert_eq!(
        (&listed[0]["status"], &listed[0]["error"]["code"]),
        (&"cancelled".into(), &"cancelled".into()),
        "{listed}"
    );
}
