//! The catalog against real servers. Here: as children.

mod calls;
mod finding;
mod keeping;
mod over_http;
mod quality;
mod types;

use std::{sync::Arc, time::Duration};

use airlock::catalog::{
    CALLS_MAX, Catalog, ResolveError, ResponseLimits, StdioConfig, UpstreamConfig, UpstreamError,
    UpstreamErrorCode, UpstreamKind, UpstreamState, WAITING_MAX,
};
use serde_json::{Value, json};

use crate::support::upstream::{
    PATIENCE, command, demo, environment, eventually, is_alive, open, stdio,
};

fn start(configs: Vec<UpstreamConfig>) -> Catalog {
    Catalog::start(configs, &environment())
}

async fn started(configs: Vec<UpstreamConfig>) -> Catalog {
    let catalog = start(configs);
    assert!(catalog.settled(PATIENCE).await, "{:?}", catalog.status());
    catalog
}

/// One call the way a program's call goes: resolved, checked, performed.
async fn call(catalog: &Catalog, path: &str, args: Value) -> Result<Value, UpstreamError> {
    let tool = catalog.resolve(path, &open).await.unwrap_or_else(|error| panic!("{error}"));
    let args =
        catalog.check(&tool, &args.to_string()).await.unwrap_or_else(|error| panic!("{error}"));
    catalog.call(&tool, args).await.map(|json| serde_json::from_str(json.get()).unwrap())
}

async fn find(catalog: &Catalog, function: &str, args: Value) -> Value {
    let answer =
        catalog.find(function, &args.to_string(), &open).await.expect("is a finding function");
    serde_json::from_str(answer.unwrap_or_else(|error| panic!("{error}")).get()).unwrap()
}

fn paths(answer: &Value) -> Vec<&str> {
    answer["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|found| found["path"].as_str().unwrap())
        .collect()
}

fn state(catalog: &Catalog) -> (UpstreamState, usize, String) {
    let status = catalog.status().remove(0);
    (status.status, status.tools, status.message.unwrap_or_default())
}

#[tokio::test]
async fn a_child_is_listed_page_by_page_found_and_called() {
    let catalog = started(vec![demo("demo", &["--pages", "3"])]).await;
    assert_eq!(state(&catalog), (UpstreamState::Ready, 8, String::new()));
    assert_eq!(
        call(&catalog, "demo.add", json!({"a": 2, "b": 40})).await,
        Ok(json!({"sum": 42.0}))
    );
    assert_eq!(
        call(&catalog, "demo.notes.add", json!({"text": "milk"})).await,
        Ok(json!({"id": 1}))
    );
    assert_eq!(
        call(&catalog, "demo.notes.list", json!({})).await,
        Ok(json!({"notes": [{"id": 1, "text": "milk"}]}))
    );
    assert_eq!(
        call(&catalog, "Demo.NOTES.List", Value::Null).await.unwrap()["notes"][0]["text"],
        "milk"
    );
    catalog.shutdown().await;
}

#[tokio::test]
async fn starting_does_not_wait_and_a_call_waits_for_its_upstream() {
    let began = std::time::Instant::now();
    let catalog = start(vec![demo("demo", &["--slow-start", "700"])]);
    assert!(began.elapsed() < Duration::from_millis(500), "starting waited {:?}", began.elapsed());
    assert_eq!(state(&catalog).0, UpstreamState::Connecting);
    assert_eq!(call(&catalog, "demo.echo", json!({"message": "hi"})).await, Ok(json!("hi")));
    catalog.shutdown().await;
}

#[tokio::test]
async fn an_upstream_that_does_not_start_in_time_says_so_and_is_worth_a_retry() {
    let mut config = demo("demo", &["--slow-start", "60000"]);
    config.start_timeout = Duration::from_millis(300);
    let catalog = start(vec![config]);
    let error = match catalog.resolve("demo.echo", &open).await {
        Err(ResolveError::Unavailable(error)) => error,
        other => panic!("{other:?}"),
    };
    assert!(error.retryable, "{error:?}");
    eventually("the failure is shown", || state(&catalog).0 == UpstreamState::Failed).await;
    let message = state(&catalog).2;
    assert!(message.contains("300 ms") && message.contains("start_timeout_ms"), "{message}");
    catalog.shutdown().await;
}

#[tokio::test]
async fn a_path_never_means_another_upstream_while_its_own_has_not_listed_yet() {
    let mut late = demo("work_notes", &["--slow-start", "60000"]);
    late.start_timeout = Duration::from_millis(300);
    let catalog = start(vec![demo("work-notes", &[]), demo("worknote", &[]), late]);
    eventually("two are listed", || {
        let ready = |status: &airlock::catalog::UpstreamStatus| status.tools > 0;
        catalog.status().iter().filter(|status| ready(status)).count() == 2
    })
    .await;
    for path in ["work_notes.echo", "work_notes.Echo", "tools.work_notes.echo", "work_notes.echos"]
    {
        match catalog.resolve(path, &open).await {
            Err(ResolveError::Unavailable(error)) => assert!(error.retryable, "{path}: {error:?}"),
            other => panic!("{path} is not the tool of another upstream: {other:?}"),
        }
    }
    // A name that is no upstream's heals as long as only one can be meant.
    let healed = catalog.resolve("worknote.Echo", &open).await.unwrap();
    assert_eq!(healed.path, "worknote.echo");
    catalog.shutdown().await;
}

#[tokio::test]
async fn a_server_of_the_modern_era_alone_is_spoken_with_too() {
    let catalog = started(vec![demo("demo", &["--modern-only", "--grow"])]).await;
    assert_eq!(call(&catalog, "demo.echo", json!({"message": "hi"})).await, Ok(json!("hi")));
    eventually("the list grew", || state(&catalog).1 == 9).await;
    catalog.shutdown().await;
}

#[tokio::test]
async fn a_queue_that_is_full_says_so_at_once() {
    let catalog = started(vec![demo("demo", &[])]).await;
    let tool = catalog.resolve("demo.wait", &open).await.unwrap();
    let args = catalog.check(&tool, r#"{"ms": 60000}"#).await.unwrap();
    let wait = || catalog.call(&tool, args.clone());
    let mut pending: Vec<_> = (0..CALLS_MAX + WAITING_MAX).map(|_| Box::pin(wait())).collect();
    for call in &mut pending {
        assert!(futures::poll!(call).is_pending());
    }
    let error = wait().await.unwrap_err();
    assert_eq!((error.code, error.retryable), (UpstreamErrorCode::Busy, true));
    assert!(error.message.contains("1088 calls"), "{}", error.message);
    drop(pending);
    assert_eq!(
        call(&catalog, "demo.echo", json!({"message": "free again"})).await,
        Ok(json!("free again"))
    );
    catalog.shutdown().await;
}

#[tokio::test]
async fn a_list_that_changes_is_read_again_and_told_downstream() {
    let catalog = started(vec![demo("demo", &["--grow"])]).await;
    let mut changed = catalog.changed();
    let before = *changed.borrow_and_update();
    assert!(matches!(catalog.resolve("demo.grown", &open).await, Err(ResolveError::NotFound(_))));
    call(&catalog, "demo.echo", json!({"message": "hi"})).await.unwrap();
    tokio::time::timeout(PATIENCE, changed.wait_for(|now| *now > before))
        .await
        .expect("told in time")
        .unwrap();
    assert_eq!(call(&catalog, "demo.grown", json!({})).await, Ok(json!("here I am")));
    catalog.shutdown().await;
}

#[tokio::test]
async fn a_crash_fails_the_call_keeps_the_tools_and_the_upstream_comes_back() {
    let catalog = started(vec![demo("demo", &[])]).await;
    let error = call(&catalog, "demo.crash", json!({})).await.unwrap_err();
    assert_eq!(
        (error.code, error.retryable, error.tool.as_str()),
        (UpstreamErrorCode::Lost, false, "demo.crash")
    );
    assert_eq!(state(&catalog).1, 8, "the tools stay listed");
    assert_eq!(call(&catalog, "demo.echo", json!({"message": "again"})).await, Ok(json!("again")));
    catalog.shutdown().await;
}

#[tokio::test]
async fn a_tool_that_fails_says_what_it_said() {
    let catalog = started(vec![demo("demo", &[])]).await;
    let error = call(&catalog, "demo.fail", json!({"message": "no such file"})).await.unwrap_err();
    assert_eq!(
        (error.code, error.message.as_str(), error.retryable),
        (UpstreamErrorCode::ToolFailed, "no such file", false)
    );
    catalog.shutdown().await;
}

#[tokio::test]
async fn an_answer_beyond_either_bound_is_refused_and_names_it() {
    let mut config = demo("demo", &[]);
    let UpstreamKind::McpStdio(child) = &mut config.kind else {
        panic!("the demo upstream is a child")
    };
    child.response_limits = ResponseLimits::new(9_000_000);
    let catalog = started(vec![config, demo("wide", &[])]).await;
    for (tool, bytes, bound) in
        [("demo.big", 9_000_000, "9000000"), ("wide.big", 64 * 1024 * 1024, "67108864")]
    {
        let error = call(&catalog, tool, json!({"bytes": bytes})).await.unwrap_err();
        assert_eq!(error.code, UpstreamErrorCode::AnswerTooLarge);
        assert!(error.message.contains(bound), "{}", error.message);
    }
    assert!(call(&catalog, "demo.big", json!({"bytes": 8_999_998})).await.is_ok());
    assert_eq!(call(&catalog, "demo.big", json!({"bytes": 3})).await, Ok(json!("xxx")));
    catalog.shutdown().await;
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_cancelled_upstream() {
    let folder = tempfile::tempdir().unwrap();
    let counts = folder.path().join("counts");
    let mut config = demo("demo", &["--count-file", counts.to_str().unwrap()]);
    config.call_timeout = Duration::from_millis(200);
    let catalog = started(vec![config]).await;
    let error = call(&catalog, "demo.wait", json!({"ms": 60000})).await.unwrap_err();
    assert_eq!((error.code, error.retryable), (UpstreamErrorCode::Timeout, true));
    assert!(error.message.contains("200 ms"), "{}", error.message);
    eventually("the upstream heard it", || {
        std::fs::read_to_string(&counts).unwrap_or_default() == "wait\nwait cancelled\n"
    })
    .await;
    catalog.shutdown().await;
}

#[tokio::test]
async fn a_dropped_call_is_cancelled_upstream() {
    let folder = tempfile::tempdir().unwrap();
    let counts = folder.path().join("counts");
    let catalog = started(vec![demo("demo", &["--count-file", counts.to_str().unwrap()])]).await;
    let read = || std::fs::read_to_string(&counts).unwrap_or_default();
    {
        let mut pending = std::pin::pin!(call(&catalog, "demo.wait", json!({"ms": 60000})));
        let arrived = eventually("the call arrived", || read() == "wait\n");
        tokio::select! {
            outcome = &mut pending => panic!("{outcome:?}"),
            () = arrived => {}
        }
    }
    eventually("the upstream heard it", || read() == "wait\nwait cancelled\n").await;
    catalog.shutdown().await;
}

#[tokio::test]
async fn fifty_calls_to_one_upstream_run_side_by_side() {
    let catalog = started(vec![demo("demo", &[])]).await;
    let began = std::time::Instant::now();
    let catalog = Arc::new(catalog);
    // On tasks of their own, as programs do it.
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let catalog = catalog.clone();
            tokio::spawn(async move { call(&catalog, "demo.wait", json!({"ms": 200})).await })
        })
        .collect();
    for outcome in calls {
        assert_eq!(outcome.await.unwrap(), Ok(json!("waited 200 ms")));
    }
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "one after another would take ten seconds, took {:?}",
        began.elapsed()
    );
    let asking = catalog.clone();
    let found =
        tokio::spawn(async move { find(&asking, "discover", json!("wait")).await }).await.unwrap();
    assert_eq!(found["bestPath"], "demo.wait");
    catalog.shutdown().await;
}

#[tokio::test]
async fn arguments_that_do_not_fit_never_leave_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let counts = folder.path().join("counts");
    let catalog = started(vec![demo("demo", &["--count-file", counts.to_str().unwrap()])]).await;
    let tool = catalog.resolve("demo.add", &open).await.unwrap();
    let error = catalog.check(&tool, r#"{"a": 1, "c": 2}"#).await.unwrap_err();
    assert!(
        error.message.contains("`b`") && error.message.contains("tools.demo.add("),
        "{}",
        error.message
    );
    assert!(!counts.exists());
    catalog.shutdown().await;
}

#[tokio::test]
async fn shutdown_ends_the_child_and_what_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids");
    // A grandchild that heeds nothing but the kill, as a child of npx might.
    let script = format!(
        "trap '' TERM; sh -c 'trap \"\" TERM; echo $$ >> {0}; while :; do sleep 1; done' & echo \
        $$ >> {0}; {1} __demo-upstream",
        pids.display(),
        env!("CARGO_BIN_EXE_airlock")
    );
    let catalog = started(vec![command("demo", "sh", &["-c", &script])]).await;
    let read = || std::fs::read_to_string(&pids).unwrap_or_default();
    eventually("both wrote their numbers", || read().lines().count() == 2).await;
    let all: Vec<i32> = read().lines().map(|line| line.parse().unwrap()).collect();
    assert!(all.iter().all(|pid| is_alive(*pid)));
    catalog.shutdown().await;
    // The kill was sent; the system may take a moment to carry it out.
    eventually("nobody is left", || !all.iter().any(|pid| is_alive(*pid))).await;
}

#[tokio::test]
async fn dropping_the_catalog_ends_the_children_too() {
    let folder = tempfile::tempdir().unwrap();
    let pid = folder.path().join("pid");
    let script = format!(
        "echo $$ > {}; exec {} __demo-upstream",
        pid.display(),
        env!("CARGO_BIN_EXE_airlock")
    );
    let catalog = started(vec![command("demo", "sh", &["-c", &script])]).await;
    let child: i32 = std::fs::read_to_string(&pid).unwrap().trim().parse().unwrap();
    assert!(is_alive(child));
    drop(catalog);
    eventually("the child is gone", || !is_alive(child)).await;
}

#[tokio::test]
async fn a_child_sees_only_what_is_allowed_of_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let seen = folder.path().join("seen");
    let script =
        format!("env > {}; exec {} __demo-upstream", seen.display(), env!("CARGO_BIN_EXE_airlock"));
    let config = StdioConfig {
        command: "sh".to_owned(),
        args: vec!["-c".to_owned(), script],
        env: [("OWN".to_owned(), "value".to_owned())].into(),
        env_pass: vec!["PASSED".to_owned(), "ABSENT".to_owned()],
        ..StdioConfig::default()
    };
    let mut server = environment();
    for (name, value) in [
        ("PASSED", "on"),
        ("AWS_SECRET_ACCESS_KEY", "hush"),
        ("HTTPS_PROXY", "http://u:p@proxy"),
        ("LC_ALL", "C"),
    ] {
        server.insert(name.to_owned(), value.to_owned());
    }
    let catalog = Catalog::start(vec![stdio("demo", config)], &server);
    assert!(catalog.settled(PATIENCE).await);
    let seen = std::fs::read_to_string(&seen).unwrap();
    // What the shell sets by itself says nothing of the server.
    let mut names: Vec<&str> = seen.lines().filter_map(|line| line.split('=').next()).collect();
    names.retain(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name));
    let allowed = [
        "PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "LANG", "TZ", "LC_ALL", "OWN",
        "PASSED",
    ];
    assert!(
        names.iter().all(|name| allowed.contains(name) || name.starts_with("LC_")),
        "{names:?}"
    );
    assert!(
        ["PATH", "LC_ALL", "OWN", "PASSED"].iter().all(|name| names.contains(name)),
        "{names:?}"
    );
    catalog.shutdown().await;
}

#[tokio::test]
async fn a_configured_value_is_in_no_error_and_no_status() {
    let config = StdioConfig {
        command: "sh".to_owned(),
        args: vec!["-c".to_owned(), "echo \"cannot log in with $TOKEN\" >&2; exit 1".to_owned()],
        env: [("TOKEN".to_owned(), "tok-123456".to_owned())].into(),
        ..StdioConfig::default()
    };
    let catalog = started(vec![stdio("up", config)]).await;
    let (status, _, message) = state(&catalog);
    assert_eq!(status, UpstreamState::Failed);
    assert!(
        message.contains("cannot log in with [redacted]") && !message.contains("tok-123456"),
        "{message}"
    );
    catalog.shutdown().await;
}

#[tokio::test]
async fn a_secret_argument_is_in_no_error_and_no_status() {
    let script = "echo \"invalid --token $2 for $3\" >&2; exit 1";
    let catalog = started(vec![command(
        "up",
        "sh",
        &["-c", script, "sh", "--token", "tok-123456", "--key=tok-654321"],
    )])
    .await;
    let (status, _, message) = state(&catalog);
    assert_eq!(status, UpstreamState::Failed);
    assert!(message.contains("invalid --token [redacted] for --key=[redacted]"), "{message}");
    let error = catalog.resolve("up.anything", &open).await.unwrap_err().to_string();
    assert!(
        error.contains("[redacted]") && !format!("{message}{error}").contains("tok-"),
        "{message} {error}"
    );
    catalog.shutdown().await;
}

#[tokio::test]
async fn a_child_that_asks_without_end_and_never_reads_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids");
    // It is honest until it is listed and the first call has come.
    let script = format!(
        r#"say() {{ read -r line; id=$(expr "$line" : '.*"id":\([0-9]*\)'); printf '{{"jsonrpc":"2.0","id":%s,"result":%s}}\n' "$id" "$1"; }}
        echo $$ >> {}
        say '{{"protocolVersion":"2025-11-25","capabilities":{{"tools":{{}}}},"serverInfo":{{"name":"flood","version":"1"}}}}'
        read -r initialized
        say '{{"tools":[{{"name":"t","inputSchema":{{"type":"object"}}}}]}}'
        read -r called
        i=0; while :; do i=$((i+1)); printf '{{"jsonrpc":"2.0","id":%s,"method":"ping"}}\n' $i; done"#,
        pids.display()
    );
    let catalog = started(vec![command("up", "sh", &["-c", &script])]).await;
    assert_eq!(state(&catalog), (UpstreamState::Ready, 1, String::new()));
    let child: i32 = std::fs::read_to_string(&pids).unwrap().trim().parse().unwrap();
    assert!(is_alive(child));
    let error = call(&catalog, "up.t", json!({})).await.unwrap_err();
    assert_eq!((error.code, error.retryable), (UpstreamErrorCode::Lost, false), "{error:?}");
    eventually("the child is gone", || !is_alive(child)).await;
    catalog.shutdown().await;
}

#[tokio::test]
async fn a_missing_command_is_named_with_the_way_out() {
    let catalog = started(vec![command("up", "no-such-command", &[])]).await;
    let (status, tools, message) = state(&catalog);
    assert_eq!((status, tools), (UpstreamState::Failed, 0));
    assert!(
        message.contains("`no-such-command` is not in PATH") && message.contains("install"),
        "{message}"
    );
    let error = catalog.resolve("up.anything", &open).await.unwrap_err().to_string();
    assert!(error.contains("no-such-command"), "{error}");
    catalog.shutdown().await;
}

#[tokio::test]
async fn more_tools_than_are_taken_end_with_a_note() {
    let catalog = started(vec![demo("demo", &["--tools", "5000", "--pages", "10"])]).await;
    let (status, tools, message) = state(&catalog);
    assert_eq!((status, tools), (UpstreamState::Ready, 5_000));
    assert!(message.contains("more than 5000 tools"), "{message}");
    catalog.shutdown().await;
}
