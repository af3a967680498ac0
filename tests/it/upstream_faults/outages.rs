//! Upstreams that stay away: pauses, next tries, and connecting again.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_that_is_gone_in_mid_call_is_reached_again_on_its_address() {
    let raw = RawServer::http("127.0.0.1:0", mcp).await;
    let address = raw.address().to_string();
    let config = format!(
        "[upstreams.up]\nurl = \"http://{address}/mcp\"\nallow_private = true\nstart_timeout_ms = \
        2000\n"
    );
    let server = TestServer::with(&config).await;
    raw.set(Fault::HalfOpen);
    let (error, ()) = tokio::join!(failed(&server, "tools.up.write()", Fault::Killed), async {
        eventually("the call is there", async || (raw.called() == 1).then_some(())).await;
        raw.stop().await;
    });
    assert!(error.starts_with("upstream_lost: "), "{error}");
    let gone = failed(&server, "tools.up.write()", Fault::Killed).await;
    assert!(gone.starts_with("upstream_unavailable, retryable: "), "{gone}");
    let raw = RawServer::http(&address, mcp).await;
    eventually("it is reached again", async || {
        (server.run("return await tools.up.write()").await["result"] == "fine").then_some(())
    })
    .await;
    raw.stop().await;
    server.stop().await;
}

/// The seconds that a message gives until the next try.
fn next_try(message: &str) -> u64 {
    let (_, rest) = message
        .rsplit_once("the next try is made in ")
        .unwrap_or_else(|| panic!("no next try: {message}"));
    rest.trim_end_matches(" s").parse().unwrap()
}

/// The one upstream, once it was asked for its tools again.
async fn refreshed(server: &TestServer) -> Value {
    let (_, status) = server.owner(reqwest::Method::POST, "/v1/tools/refresh").await;
    status["results"][0].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_mcp_server_over_http_that_lists_and_breaks_in_calls_is_not_called_for_a_while() {
    let raw = RawServer::http("127.0.0.1:0", mcp).await;
    let address = raw.address();
    let config = format!(
        "[upstreams.up]\nurl = \"http://{address}/mcp\"\nallow_private = true\ncall_timeout_ms = \
        {CALL_TIMEOUT_MS}\n"
    );
    let server = TestServer::with(&config).await;
    // However calls fail: a broken connection, a gateway that answers in its place.
    for fault in [Fault::Killed, Fault::Killed, Fault::Status503, Fault::Garbage, Fault::CutAnswer]
    {
        raw.set(fault);
        failed(&server, "tools.up.write()", fault).await;
    }
    assert_eq!(raw.called(), 5);
    let open = failed(&server, "tools.up.write()", Fault::Killed).await;
    assert!(
        open.starts_with(
            "upstream_unavailable, retryable: `up` is not available: it failed too often, "
        ),
        "{open}"
    );
    assert!(next_try(&open) <= 5, "{open}");
    assert_eq!(raw.called(), 5, "nothing was sent");
    let status = refreshed(&server).await;
    assert_eq!(status["status"], "ready", "{status}");
    assert!(
        status["message"]
            .as_str()
            .unwrap()
            .starts_with("it failed 5 times in a row, so no call is sent for another "),
        "{status}"
    );
    raw.set(Fault::None);
    eventually("one call finds out that it answers again", async || {
        (server.run("return await tools.up.write()").await["result"] == "fine").then_some(())
    })
    .await;
    assert_eq!(refreshed(&server).await["message"], Value::Null);
    raw.stop().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tool_that_never_answers_is_not_called_for_a_while_and_the_others_are() {
    let hanging = |heard: &Heard| match heard.body["params"]["name"].as_str() {
        Some("read") => (
            Answer(
                200,
                json!({"jsonrpc": "2.0", "id": heard.body["id"], "result": {"content": []}}),
            ),
            false,
        ),
        _ => mcp(heard),
    };
    let raw = RawServer::http("127.0.0.1:0", hanging).await;
    let address = raw.address();
    let config = format!(
        "[upstreams.up]\nurl = \"http://{address}/mcp\"\nallow_private = true\ncall_timeout_ms = \
        {CALL_TIMEOUT_MS}\n"
    );
    let server = TestServer::with(&config).await;
    raw.set(Fault::HalfOpen);
    let slow = "return (await Promise.allSettled([1, 2, 3, 4, 5].map(() => \
        tools.up.write()))).map(end => end.reason.code)";
    assert_eq!(server.run(slow).await["result"], json!(vec!["upstream_timeout"; 5]));
    assert_eq!(raw.called(), 5);
    let open = failed(&server, "tools.up.write()", Fault::HalfOpen).await;
    assert!(
        open.starts_with(
            "upstream_unavailable, retryable: `up` is not available: it failed too often, "
        ),
        "{open}"
    );
    assert_eq!(raw.called(), 5, "nothing was sent");
    let status = refreshed(&server).await;
    assert!(
        status["message"]
            .as_str()
            .unwrap()
            .starts_with("`write` was not answered in time 5 times in a row"),
        "{status}"
    );
    assert_eq!(server.run("return await tools.up.read()").await["status"], "completed");
    assert_eq!(refreshed(&server).await["message"], Value::Null, "it answers");
    raw.stop().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_that_cannot_be_started_is_told_with_the_time_of_the_next_try() {
    let server = TestServer::with("[upstreams.up]\ncommand = \"false\"\n").await;
    let message = eventually("it waits for its next try", async || {
        let answer = server.run("return await tools.up.write()").await;
        let message = answer["error"]["message"].as_str().unwrap().to_owned();
        // While it is tried, there is no next try.
        message.contains("the next try is made in").then_some(message)
    })
    .await;
    assert!(
        message.starts_with(
            "upstream `up` is not available: command `false` ended before the handshake was done"
        ),
        "{message}"
    );
    assert!((1..=30).contains(&next_try(&message)), "{message}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_is_refused_is_told_once_and_tried_again_only_when_asked() {
    let raw = RawServer::http("127.0.0.1:0", mcp).await;
    let config = format!("[upstreams.up]\nurl = \"http://{}/mcp\"\n", raw.address());
    let server = TestServer::with(&config).await;
    let tries = || server.log().matches("upstream `up` failed: ").count();
    eventually("it was tried", async || (tries() > 0).then_some(())).await;
    let answer = server.run("return await tools.up.write()").await;
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("is a loopback address; set `allow_private = true` for the upstream"),
        "{message}"
    );
    assert!((500..=600).contains(&next_try(message)), "{message}");
    assert_eq!(tries(), 1);
    let status = refreshed(&server).await;
    assert_eq!(status["status"], "failed", "{status}");
    assert!(status["message"].as_str().unwrap().contains("set `allow_private = true`"), "{status}");
    assert_eq!(tries(), 2);
    assert_eq!((raw.open(), raw.called()), (0, 0));
    raw.stop().await;
    server.stop().await;
}
