//! What commands print, for people and for programs, and how one finds one's way.

mod policy;
mod upstreams;
mod way;

use serde_json::{Value, json};

use crate::{
    cli::{place, say},
    support::server::{TestServer, airlock, demo},
};

/// The objects of a list.
fn objects(list: &Value) -> &[Value] {
    list.as_array().expect("a list is an array")
}

fn ids(list: &Value) -> Vec<&str> {
    objects(list).iter().map(|object| object["id"].as_str().expect("it has an id")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_pipe_reads_is_whole() {
    let server = TestServer::start().await;
    let config = server.config_file();
    let long = "long ".repeat(30);
    server.run(&format!("throw new Error({:?})", format!("{long}end of the error"))).await;
    let tasks = say(&config, &["tasks", "list"], "").await.out;
    assert!(tasks.contains("end of the error") && !tasks.contains('…'), "{tasks}");

    let tools = say(&config, &["tools", "list"], "").await.out;
    let whole = say(&config, &["tools", "list", "--json"], "").await.json();
    for tool in objects(&whole) {
        let hint = tool["hint"].as_str().unwrap();
        let hint = hint.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(tools.contains(&hint), "{hint} is in {tools}");
    }
    server.stop().await;

    let argument = "argument-".repeat(30);
    let folder = place(&format!(
        "[upstreams.long]\nkind = \"mcp\"\ncommand = \"true\"\nargs = [{argument:?}]\n"
    ));
    let listed = say(&folder.path().join("airlock.toml"), &["upstreams", "list"], "").await.out;
    assert!(listed.contains(&argument) && !listed.contains('…'), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_pages_by_the_cursor_in_the_json_or_takes_everything() {
    let server = TestServer::start().await;
    let config = server.config_file();
    for _ in 0..5 {
        server.run("return 1").await;
    }
    for list in [&["tasks", "list"][..], &["tools", "list"], &["tools", "search", "demo"]] {
        let all = say(&config, &[list, &["--all", "--json"]].concat(), "").await.json();
        assert!(objects(&all).iter().all(|object| object.get("nextCursor").is_none()), "{all}");
        let (mut paged, mut cursor) = (vec![], None::<String>);
        loop {
            let at = cursor.iter().flat_map(|cursor| ["--cursor", cursor]);
            let args: Vec<_> =
                list.iter().copied().chain(["--json", "--limit", "2"]).chain(at).collect();
            let said = say(&config, &args, "").await;
            assert_eq!(said.beside, "", "everything is in the JSON");
            let page = said.json();
            assert!(objects(&page).len() <= 2, "{page}");
            paged.extend(ids(&page).into_iter().map(str::to_owned));
            let last = objects(&page).last().expect("a page has objects").clone();
            cursor = last["nextCursor"].as_str().map(str::to_owned);
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(paged, ids(&all), "{list:?}");
        assert!(paged.len() >= 3, "{list:?}: {paged:?}");
        let text = say(&config, &[list, &["--all"]].concat(), "").await.out;
        assert!(paged.iter().all(|id| text.contains(id)), "{list:?}: {text}");
    }
    for empty in
        [&["artifacts", "list"][..], &["approvals", "list"], &["approvals", "list", "--all"]]
    {
        let said = say(&config, &[empty, &["--json"]].concat(), "").await;
        assert_eq!((said.code, said.out.trim()), (Some(0), "[]"), "{}", said.beside);
    }
    let both = say(&config, &["tasks", "list", "--all", "--limit", "3"], "").await;
    assert_eq!(both.code, Some(2), "{}", both.beside);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn under_json_an_error_is_an_object_with_a_code() {
    let folder = place("");
    let config = folder.path().join("airlock.toml");
    let table: [(&[&str], i32, &str); 7] = [
        (&["tasks", "get", "task_1"], 1, "task_not_found"),
        (&["approvals", "show", "apr_1"], 1, "approval_not_found"),
        (&["artifacts", "show", "art_1"], 1, "artifact_not_found"),
        (&["tools", "describe", "no.tool"], 1, "tool_not_found"),
        (&["open"], 69, "unavailable"),
        (&["tasks", "list", "--limit", "0"], 2, "usage"),
        (&["tasks", "lst"], 2, "usage"),
    ];
    for (args, exit, code) in table {
        let said = say(&config, &[args, &["--json"]].concat(), "").await;
        assert_eq!((said.code, said.out.as_str()), (Some(exit), ""), "{args:?} {}", said.beside);
        let error: Value = serde_json::from_str(said.beside.lines().last().unwrap()).unwrap();
        assert_eq!(error["error"]["code"], code, "{args:?}: {error}");
        assert!(error["error"]["message"].as_str().is_some_and(|text| text.len() > 5), "{error}");
    }
    let broken = place("[limits]\nheap = 1\n");
    let said = say(&broken.path().join("airlock.toml"), &["tasks", "list", "--json"], "").await;
    let error: Value = serde_json::from_str(&said.beside).unwrap();
    assert_eq!(
        (said.code, &error["error"]["code"]),
        (Some(78), &json!("invalid_configuration")),
        "{error}"
    );
    let hint = error["error"]["hint"].as_str().unwrap();
    assert!(hint.contains("airlock config reference") && !hint.contains("docs/"), "{hint}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_may_be_given_by_its_first_characters() {
    let server = TestServer::start().await;
    let config = server.config_file();
    let first = server.run("return 'one'").await["taskId"].as_str().unwrap().to_owned();
    let second = server.run("return 'two'").await["taskId"].as_str().unwrap().to_owned();
    let same = first.bytes().zip(second.bytes()).take_while(|(a, b)| a == b).count();
    let unique = &second[..=same];
    for beginning in [unique, unique.trim_start_matches("task_"), &unique.to_uppercase()[5..]] {
        let one = say(&config, &["tasks", "get", beginning, "--json"], "").await.json();
        assert_eq!(one["id"], json!(second), "{beginning}");
    }
    let shown = say(&config, &["tasks", "show", unique], "").await;
    assert!(shown.out.contains("two"), "show does what get does: {}", shown.beside);
    let several = say(&config, &["tasks", "get", &first[..same]], "").await;
    assert_eq!((several.code, several.out.as_str()), (Some(1), ""));
    assert!(
        several.beside.contains(&first) && several.beside.contains(&second),
        "{}",
        several.beside
    );
    let nothing = say(&config, &["tasks", "get", "task_ffff"], "").await;
    assert!(nothing.beside.contains("task_ffff"), "{}", nothing.beside);
    let long = server.run("await new Promise((done) => setTimeout(done, 1)); return 3").await;
    let long = long["taskId"].as_str().unwrap();
    let cancelled = say(&config, &["tasks", "cancel", &long[..long.len() - 1], "--json"], "").await;
    assert_eq!(cancelled.json()["id"], json!(long));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_is_found_by_a_beginning_and_a_lost_one_names_the_database() {
    let server = TestServer::with(&format!("[policy]\nprofile = \"auto\"\n{}", demo(&[]))).await;
    let config = server.config_file();
    let mut call = airlock(&config);
    let mut call = call
        .args(["tools", "call", "demo.notes.add", "--args", r#"{"text": "x"}"#])
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let waiting = crate::support::server::eventually("the call waits", async || {
        let (_, page) = server.owner(reqwest::Method::GET, "/v1/approvals?status=pending").await;
        page["approvals"][0]["id"].as_str().map(str::to_owned)
    })
    .await;
    let only = say(&config, &["approvals", "show"], "").await;
    assert!(only.out.contains("demo.notes.add"), "the only one is meant: {}", only.beside);
    assert!(!only.out.contains("earlier calls"), "no heading over nothing: {}", only.out);
    let nameless = say(&config, &["approvals", "approve"], "").await;
    assert_eq!(nameless.code, Some(2), "a decision names what it is about");
    let beginning = &waiting[..waiting.len() - 3];
    let shown = say(&config, &["approvals", "get", beginning, "--json"], "").await.json();
    assert_eq!(shown["id"], json!(waiting));

    // From another folder, whose configuration has another database.
    let elsewhere = place("");
    let lost = elsewhere.path().join("airlock.toml");
    let said = say(&lost, &["approvals", "approve", &waiting], "").await;
    let database = elsewhere.path().join("airlock.db");
    assert_eq!(said.code, Some(1));
    assert!(
        said.beside.contains(&database.display().to_string()) && said.beside.contains("--config"),
        "{}",
        said.beside
    );
    for command in [["tasks", "get"], ["tasks", "wait"], ["tasks", "follow"]] {
        let said = say(&lost, &[command[0], command[1], "task_ffff"], "").await;
        assert!(
            said.beside.contains(&database.display().to_string()),
            "{command:?}: {}",
            said.beside
        );
    }

    let approved = say(&config, &["approvals", "approve", beginning], "").await;
    assert_eq!(approved.code, Some(0), "{}", approved.beside);
    assert!(approved.out.starts_with(&waiting), "{}", approved.out);
    assert!(call.wait().await.unwrap().success());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn artifacts_stand_under_their_heads_and_are_found_by_a_beginning() {
    let server = TestServer::start().await;
    let config = server.config_file();
    let kept = server.run("return await tools.demo.big({ bytes: 9_000_000 })").await;
    let id = kept["result"]["$artifact"].as_str().unwrap_or_else(|| panic!("{kept}")).to_owned();
    let listed = say(&config, &["artifacts", "list"], "").await.out;
    let lines: Vec<&str> = listed.lines().collect();
    for (name, value) in [("BYTES", "9000000"), ("LINES", "1"), ("TOOL", "demo.big")] {
        let end = lines[0].find(name).unwrap() + name.len();
        let under = &lines[1][..end.min(lines[1].len())];
        let stands = under.ends_with(value) || lines[1][end - name.len()..].starts_with(value);
        assert!(stands, "{value} stands under {name}:\n{listed}");
    }
    let beginning = &id[4..id.len() - 2];
    for words in [&["artifacts", "show"][..], &["artifacts", "get"], &["artifacts", "remove"]] {
        let said = say(&config, &[words, &[beginning]].concat(), "").await;
        assert_eq!(said.code, Some(0), "{words:?}: {}", said.beside);
    }
    server.stop().await;
}
