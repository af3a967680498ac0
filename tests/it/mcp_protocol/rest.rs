//! `/v1`, `/healthz` and `/metrics`.

use super::*;

const AUTH: (&str, &str) = ("authorization", "Bearer owner-token-of-the-test");

#[tokio::test]
async fn only_the_owners_token_opens_v1() {
    let server = Server::start().await;
    let raw = server.raw();
    for shown in [
        None,
        Some(""),
        Some("Bearer"),
        Some("Bearer wrong"),
        Some("Basic owner-token-of-the-test"),
        Some(OWNER),
        Some("Bearer owner-token-of-the-test2"),
    ] {
        let headers: Vec<_> = shown.iter().map(|value| ("authorization", *value)).collect();
        let reply = raw.send("GET", "/v1/tasks", &headers, "").await;
        assert_eq!(reply.status, 401, "{shown:?}");
        assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
        assert!(!reply.text.contains("owner-token"), "{reply:?}");
    }
    assert_eq!(raw.send("GET", "/v1/tasks", &[AUTH], "").await.status, 200);
}

#[tokio::test]
async fn a_task_is_run_read_listed_and_cancelled() {
    let server = Server::start().await;
    let raw = server.raw();
    let done = raw
        .send("POST", "/v1/tasks", &[AUTH], json!({"code": "return 1 + 1"}).to_string())
        .await
        .json();
    assert_eq!((&done["status"], &done["result"]), (&json!("completed"), &json!(2)));
    let id = done["taskId"].as_str().unwrap();
    let read = raw.send("GET", &format!("/v1/tasks/{id}?waitMs=1000"), &[AUTH], "").await.json();
    assert_eq!(read["code"], "return 1 + 1");
    let page = raw
        .send("GET", &format!("/v1/tasks/{id}?resultOffset=0&resultLimit=10"), &[AUTH], "")
        .await
        .json();
    assert_eq!(page["resultPage"]["text"], "2");
    let events =
        raw.send("GET", &format!("/v1/tasks/{id}/events?after=0"), &[AUTH], "").await.json();
    assert_eq!(events["events"][0]["type"], "task.created");
    let running = raw
        .send(
            "POST",
            "/v1/tasks",
            &[AUTH],
            json!({"code": sleep(60000), "waitForResult": false}).to_string(),
        )
        .await
        .json();
    let path = format!("/v1/tasks/{}/cancel", running["taskId"].as_str().unwrap());
    assert_eq!(raw.send("POST", &path, &[AUTH], "").await.json()["status"], "cancelled");
    let list = raw.send("GET", "/v1/tasks?status=cancelled&limit=5", &[AUTH], "").await.json();
    assert_eq!(list["tasks"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn tools_are_listed_and_described() {
    let server = Server::over(&Setup::upstream(&[])).await;
    let raw = server.raw();
    let list = raw.send("GET", "/v1/tools?query=echo&limit=3", &[AUTH], "").await;
    assert_eq!(list.header("content-type"), Some("application/json"));
    assert_eq!(list.json()["results"][0]["path"], "everything.echo");
    assert_eq!(list.json()["total"], list.json()["results"].as_array().unwrap().len());
    assert_eq!(
        raw.send("GET", "/v1/tools/everything.echo", &[AUTH], "").await.json()["path"],
        "everything.echo"
    );
    assert_eq!(raw.send("GET", "/v1/tools/everything.nothing", &[AUTH], "").await.status, 404);
}

#[tokio::test]
async fn failures_have_one_shape_and_their_own_status() {
    let server = Server::start().await;
    let raw = server.raw();
    let post = |body: Value| {
        let raw = raw.clone();
        async move { raw.send("POST", "/v1/tasks", &[AUTH], body.to_string()).await }
    };
    let unknown =
        raw.send("GET", "/v1/tasks/task_00000000-0000-7000-8000-000000000000", &[AUTH], "").await;
    assert_eq!((unknown.status, &unknown.json()["error"]["code"]), (404, &json!("task_not_found")));
    let bad = post(json!({"code": 5})).await;
    assert_eq!((bad.status, &bad.json()["error"]["code"]), (400, &json!("invalid_argument")));
    let bad = raw.send("GET", "/v1/tasks?limit=many", &[AUTH], "").await;
    assert_eq!((bad.status, &bad.json()["error"]["code"]), (400, &json!("invalid_argument")));
    let done = post(json!({"code": "return 1"})).await.json();
    let path = format!("/v1/tasks/{}", done["taskId"].as_str().unwrap());
    server.below.store.panic_once();
    let panicked = raw.send("GET", &path, &[AUTH], "").await;
    assert_eq!((panicked.status, &panicked.json()["error"]["code"]), (500, &json!("internal")));
    server.below.store.damage_results();
    let broken = raw.send("GET", &path, &[AUTH], "").await;
    assert_eq!((broken.status, &broken.json()["error"]["code"]), (500, &json!("internal")));
    assert!(!broken.text.contains("secret") && !broken.text.contains("expected"), "{broken:?}");
    let large = raw.send("POST", "/v1/tasks", &[AUTH], "x".repeat(3 * 1024 * 1024)).await;
    assert_eq!((large.status, &large.json()["error"]["code"]), (413, &json!("body_too_large")));
}

#[tokio::test]
async fn a_busy_server_says_when_to_try_again() {
    let server = Server::over(&Setup { queue_max: 0, ..Setup::default() }).await;
    let body = json!({"code": "return 1"}).to_string();
    let busy = server.raw().send("POST", "/v1/tasks", &[AUTH], body).await;
    assert_eq!((busy.status, busy.header("retry-after")), (429, Some("1")));
    assert_eq!(busy.json()["error"]["code"], "busy");
    assert_eq!(busy.json()["error"]["retryAfterMs"], 1000);
    assert_eq!(busy.json()["error"]["hint"], "try again in a second");
}

#[tokio::test]
async fn health_is_told_without_a_token() {
    let server = Server::start().await;
    let health = server.raw().send("GET", "/healthz", &[], "").await.json();
    let keys: Vec<_> = health.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["status", "version", "sandbox", "store", "policy", "upstreams"]);
}
