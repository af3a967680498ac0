//! What the catalog knows after a restart, and how it comes to know better.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use airlock::catalog::{
    Catalog, ResolveError, Tool, UpstreamConfig, UpstreamErrorCode, UpstreamState, Visibility,
};
use axum::response::IntoResponse;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::{call, find, paths, state};
use crate::support::upstream::{
    PATIENCE, Scripted, command, demo, environment, eventually, http, open,
};

fn keeping(configs: Vec<UpstreamConfig>, folder: &Path) -> Catalog {
    Catalog::start_cached(configs, &environment(), folder.join("airlock.db.catalog"))
}

/// The demo upstream, always by the same command: it fails while there is a file `down`, and waits
/// while there is a file `slow`.
fn moody(folder: &Path) -> UpstreamConfig {
    let (down, slow) = (folder.join("down"), folder.join("slow"));
    let script = format!(
        "test -e {} && exit 1; while test -e {}; do sleep 0.05; done; exec {} __demo-upstream",
        down.display(),
        slow.display(),
        env!("CARGO_BIN_EXE_airlock")
    );
    command("demo", "sh", &["-c", &script])
}

#[tokio::test]
async fn after_a_restart_the_tools_are_found_before_their_upstream_answers() {
    let folder = tempfile::tempdir().unwrap();
    let first = keeping(vec![moody(folder.path())], folder.path());
    assert!(first.settled(PATIENCE).await);
    first.shutdown().await;

    std::fs::write(folder.path().join("slow"), "").unwrap();
    let second = keeping(vec![moody(folder.path())], folder.path());
    let found = find(&second, "discover", json!("add two numbers")).await;
    assert_eq!(found["bestPath"], "demo.add", "{found}");
    assert_eq!(
        state(&second).0,
        UpstreamState::Connecting,
        "it was found before the upstream answered"
    );
    assert_eq!(found["results"][0]["unavailable"], Value::Null, "it is on its way");
    let mut waiting = std::pin::pin!(call(&second, "demo.add", json!({"a": 1, "b": 2})));
    assert!(futures::poll!(waiting.as_mut()).is_pending(), "a call waits for it");
    std::fs::remove_file(folder.path().join("slow")).unwrap();
    assert_eq!(waiting.await, Ok(json!({"sum": 3.0})));
    second.shutdown().await;
}

#[tokio::test]
async fn an_upstream_that_is_down_after_a_restart_keeps_its_tools_marked() {
    let folder = tempfile::tempdir().unwrap();
    let first = keeping(vec![moody(folder.path())], folder.path());
    assert!(first.settled(PATIENCE).await);
    assert_eq!(state(&first), (UpstreamState::Ready, 8, String::new()));
    first.shutdown().await;

    std::fs::write(folder.path().join("down"), "").unwrap();
    let second = keeping(vec![moody(folder.path())], folder.path());
    assert!(second.settled(PATIENCE).await);
    let (status, tools, reason) = state(&second);
    assert_eq!((status, tools), (UpstreamState::Failed, 8));
    let found = find(&second, "discover", json!("add two numbers")).await;
    assert_eq!(found["results"][0]["path"], "demo.add");
    assert!(reason.starts_with(found["results"][0]["unavailable"].as_str().unwrap()), "{found}");
    assert!(find(&second, "describe", json!("demo.add")).await["unavailable"].is_string());
    assert!(
        find(&second, "catalog.tools", json!({})).await["results"][0]["unavailable"].is_string()
    );
    assert!(
        find(&second, "catalog.namespaces", json!({})).await["namespaces"][0]["unavailable"]
            .is_string()
    );
    let error = call(&second, "demo.add", json!({"a": 1, "b": 2})).await.unwrap_err();
    assert_eq!((error.code, error.retryable), (UpstreamErrorCode::Unavailable, true));

    std::fs::remove_file(folder.path().join("down")).unwrap();
    let status = second.refresh(Some("demo")).await.expect("there is such an upstream");
    assert_eq!((status[0].status, status[0].tools), (UpstreamState::Ready, 8));
    assert_eq!(
        find(&second, "discover", json!("add two numbers")).await["results"][0]["unavailable"],
        Value::Null
    );
    second.shutdown().await;
}

#[tokio::test]
async fn what_was_kept_of_another_command_is_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let first = keeping(vec![demo("demo", &[])], folder.path());
    assert!(first.settled(PATIENCE).await);
    first.shutdown().await;
    let second = keeping(vec![command("demo", "no-such-command", &[])], folder.path());
    assert!(second.settled(PATIENCE).await);
    assert_eq!(state(&second).1, 0);
    assert!(matches!(second.resolve("demo.add", &open).await, Err(ResolveError::Unavailable(_))));
    second.shutdown().await;
}

#[tokio::test]
async fn a_refresh_by_command_and_by_the_timer_reads_the_list_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("offer.json");
    let offer = |names: &[&str]| {
        let tools: Vec<Value> = names
            .iter()
            .map(|name| json!({"name": name, "inputSchema": {"type": "object"}}))
            .collect();
        std::fs::write(&file, Value::from(tools).to_string()).unwrap();
    };
    offer(&["one"]);
    let mut config = demo("demo", &["--offer", file.to_str().unwrap()]);
    let catalog = keeping(vec![config.clone()], folder.path());
    assert!(catalog.settled(PATIENCE).await);
    offer(&["one", "two"]);
    assert_eq!(paths(&find(&catalog, "catalog.tools", json!({})).await), ["demo.one"]);
    assert_eq!(catalog.refresh(None).await.expect("all")[0].tools, 2);
    assert_eq!(paths(&find(&catalog, "catalog.tools", json!({})).await), ["demo.one", "demo.two"]);
    assert!(catalog.refresh(Some("nobody")).await.is_none());
    catalog.shutdown().await;

    config.refresh_after = std::time::Duration::from_millis(50);
    let catalog = keeping(vec![config], folder.path());
    assert!(catalog.settled(PATIENCE).await);
    offer(&["three"]);
    eventually("the timer asked again", || catalog.status()[0].tools == 1).await;
    assert_eq!(paths(&find(&catalog, "catalog.tools", json!({})).await), ["demo.three"]);
    catalog.shutdown().await;
}

#[tokio::test]
async fn a_path_that_is_nearly_right_heals_when_one_tool_can_be_meant() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("offer.json");
    let names = [
        "issues.create",
        "issues.list_for_repo",
        "key.get",
        "keys.get",
        "Thing.read",
        "thing.read",
    ];
    let tools: Vec<Value> =
        names.iter().map(|name| json!({"name": name, "inputSchema": {"type": "object"}})).collect();
    std::fs::write(&file, Value::from(tools).to_string()).unwrap();
    let catalog =
        keeping(vec![demo("git-hub", &["--offer", file.to_str().unwrap()])], folder.path());
    assert!(catalog.settled(PATIENCE).await);
    for (given, meant) in [
        ("GitHub.Issues.Create", "git-hub.issues.create"),
        ("github_api.issue.create", "git-hub.issues.create"),
        ("gitHub.issues.listForRepos", "git-hub.issues.list_for_repo"),
        ("github.key.get", "git-hub.key.get"),
        ("github.keys.get", "git-hub.keys.get"),
    ] {
        let tool =
            catalog.resolve(given, &open).await.unwrap_or_else(|error| panic!("{given}: {error}"));
        assert_eq!(tool.path, meant, "{given}");
    }
    for unclear in ["github.keysApi.get", "github.THING.read", "github.issues.delete"] {
        assert!(
            matches!(catalog.resolve(unclear, &open).await, Err(ResolveError::NotFound(_))),
            "{unclear}"
        );
    }
    catalog.shutdown().await;
}

#[tokio::test]
async fn a_path_of_a_hidden_tool_never_means_its_neighbour() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("offer.json");
    let names = ["shop_buy", "shop-buy", "key.get", "keys.get", "refunds", "orders.list"];
    let tools: Vec<Value> =
        names.iter().map(|name| json!({"name": name, "inputSchema": {"type": "object"}})).collect();
    std::fs::write(&file, Value::from(tools).to_string()).unwrap();
    let catalog = keeping(vec![demo("fx", &["--offer", file.to_str().unwrap()])], folder.path());
    assert!(catalog.settled(PATIENCE).await);
    let view = |tool: &Tool| match tool.name.as_str() {
        "shop_buy" | "key.get" | "refunds" => Visibility::Hidden,
        _ => Visibility::Auto,
    };
    for path in [
        "fx.shop_buy",
        "fx.ShopBuy",
        "FX.shop_buy",
        r#"tools["fx"]["shop_buy"]"#,
        "fx.key.get",
        "fx.KEY.get",
        "fx.keysApi.get",
        "fx.refunds",
        "fx.refund",
    ] {
        let found = catalog.resolve(path, &view).await;
        assert!(matches!(found, Err(ResolveError::NotFound(_))), "{path}: {found:?}");
    }
    for (path, meant) in [
        ("fx.shop-buy", "fx.shop-buy"),
        ("fx.keys.get", "fx.keys.get"),
        ("fx.KEYS.get", "fx.keys.get"),
        ("fx.order.list", "fx.orders.list"),
    ] {
        assert_eq!(catalog.resolve(path, &view).await.unwrap().path, meant, "{path}");
    }
    catalog.shutdown().await;
}

#[tokio::test]
async fn a_list_that_changes_all_the_time_is_read_and_written_seldom() {
    let folder = tempfile::tempdir().unwrap();
    let listed: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let times = listed.clone();
    let server = Scripted::start(move |request| {
        let number = {
            let mut times = times.lock();
            times.push(Instant::now());
            times.len()
        };
        let changed = json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"});
        let tools = json!([{
            "name": "t", "description": format!("version {number}"),
            "inputSchema": {"type": "object"}
        }]);
        let list = json!({"jsonrpc": "2.0", "id": request["id"], "result": {"tools": tools}});
        // It takes its time, and says at once that there is another one.
        let slowly = futures::stream::once(async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            Ok::<_, std::io::Error>(format!("data: {changed}\n\ndata: {list}\n\n"))
        });
        ([("content-type", "text/event-stream")], axum::body::Body::from_stream(slowly))
            .into_response()
    })
    .await;
    let catalog = keeping(vec![http("up", &server.url())], folder.path());
    eventually("the list was read four times", || listed.lock().len() >= 4).await;
    let times = listed.lock().clone();
    for pair in times[1..].windows(2) {
        assert!(
            pair[1] - pair[0] >= Duration::from_millis(2_000),
            "twenty times as long as it took: {times:?}"
        );
    }
    let kept =
        || std::fs::read_to_string(folder.path().join("airlock.db.catalog/up.tools")).unwrap();
    assert!(kept().contains("version 1"), "written once, in the beginning: {}", kept());
    // Whoever asks for it does not wait.
    let before = listed.lock().len();
    catalog.refresh(Some("up")).await.expect("there is such an upstream");
    assert!(listed.lock().len() > before);
    let last = catalog.resolve("up.t", &open).await.unwrap().description.clone();
    catalog.shutdown().await;
    assert!(kept().contains(&last), "and again at the stop: {last}, {}", kept());
    server.stop().await;
}
