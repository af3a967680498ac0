//! Upstreams that are down or not connected, as commands tell of them.

use serde_json::{Value, json};

use super::{objects, place, say};
use crate::support::server::demo;

const LOST: &str = "[upstreams.lost]\nkind = \"mcp\"\ncommand = \"no-such-program\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_tools_names_the_upstream_that_failed_and_exits_with_69() {
    let folder = place(&format!("{LOST}{}", demo(&[])));
    let config = folder.path().join("airlock.toml");
    for args in [
        &["tools", "list"][..],
        &["tools", "search", "add"],
        &["tools", "list", "--namespace", "lost"],
    ] {
        let said = say(&config, args, "").await;
        assert_eq!(said.code, Some(69), "{args:?}: {}", said.beside);
        assert!(
            said.beside.contains("the upstream `lost` failed")
                && said.beside.contains("no-such-program")
                && said.beside.contains("airlock upstreams check lost"),
            "{args:?}: {}",
            said.beside
        );
        let said = say(&config, &[args, &["--json"]].concat(), "").await;
        assert_eq!(said.code, Some(69), "{args:?}");
        assert!(said.json().is_array(), "what there is is listed: {}", said.out);
        let error: Value = serde_json::from_str(said.beside.lines().last().unwrap()).unwrap();
        assert_eq!(error["error"]["code"], json!("upstream_unavailable"), "{error}");
        assert!(error["error"]["message"].as_str().unwrap().contains("`lost`"), "{error}");
    }
    let whole = say(&config, &["tools", "list", "--namespace", "demo"], "").await;
    assert_eq!(whole.code, Some(0), "another upstream is no matter here: {}", whole.beside);
    assert!(whole.out.contains("demo.add"), "{}", whole.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_server_the_list_of_upstreams_says_what_is_known() {
    let unset = "[upstreams.closed]\nkind = \"mcp\"\nurl = \"https://mcp.example.com/mcp\"\n\
        auth = { bearer = { env = \"NO_SUCH_TOKEN\" } }\n";
    let folder = place(&format!("{unset}{}", demo(&[])));
    let config = folder.path().join("airlock.toml");
    let rows = async || say(&config, &["upstreams", "list", "--json"], "").await.json();
    let one = |rows: &Value, name: &str| {
        objects(rows).iter().find(|row| row["id"] == name).expect("it is listed").clone()
    };
    let before = rows().await;
    assert_eq!(one(&before, "demo")["status"], "configured");
    assert_eq!(one(&before, "demo").get("tools"), None, "never listed: {before}");
    let message = one(&before, "closed")["message"].as_str().unwrap().to_owned();
    assert!(message.contains("NO_SUCH_TOKEN"), "{message}");
    // A command that lists the tools leaves them behind.
    let listed = say(&config, &["tools", "list", "--all", "--json"], "").await.json();
    let after = rows().await;
    assert_eq!(one(&after, "demo")["tools"], json!(objects(&listed).len()), "{after}");
    assert_eq!(one(&after, "demo")["status"], "configured");
    let text = say(&config, &["upstreams", "list"], "").await;
    assert!(text.out.contains("TOOLS") && text.out.contains("demo"), "{}", text.out);
    assert!(text.beside.contains("no server runs"), "{}", text.beside);
    let alone = say(&config, &[], "").await.out;
    assert!(alone.contains("tools when last listed"), "{alone}");
}
