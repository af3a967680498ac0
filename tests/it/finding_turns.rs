//! Finding costs the server's time: what one program asks does not keep others waiting.

use serde_json::{Value, json};

use crate::support::server::{TestServer, demo, eventually};

/// Asks for ever, two hundred and fifty-six questions at once.
const FLOOD: &str = "
    const ask = async n => n % 2 ? await tools.discover('read item ' + n) : await tools.demo['itme_' + n]().catch(() => null);
    let asked = 0;
    for (;;) await Promise.all(Array.from({ length: 256 }, async () => { for (;;) await ask(asked++) }));
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_that_ask_for_ever_keep_no_other_program_from_its_end() {
    let server = TestServer::with(&demo(&["--tools", "2000", "--pages", "20"])).await;
    assert_eq!(
        server.run("return (await tools.catalog.namespaces()).namespaces[0].toolCount").await["result"],
        2_008
    );
    let mut floods = Vec::new();
    for _ in 0..2 {
        let begun = server
            .execute(json!({ "code": FLOOD, "waitForResult": false, "timeoutMs": 120_000 }))
            .await;
        floods.push(begun["taskId"].clone());
    }
    let get = async |task: &Value| {
        server.call("task_get", json!({ "taskId": task })).await["structuredContent"].clone()
    };
    for flood in &floods {
        eventually("it asks", async || (get(flood).await["status"] == "running").then_some(()))
            .await;
    }
    for n in 10..13 {
        let code = format!(
            "return [(await tools.discover('read item {n}')).total, await tools.demo.item_{n}()]"
        );
        let answer = server.run(&code).await;
        assert_eq!(answer["result"], json!([2_000, n.to_string()]), "{answer}");
    }
    for flood in &floods {
        assert_eq!(get(flood).await["status"], "running");
        server.call("task_cancel", json!({ "taskId": flood })).await;
    }
    server.stop().await;
}
