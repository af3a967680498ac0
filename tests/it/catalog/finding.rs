//! What code is told when it looks for tools.

use airlock::{
    catalog::{ResolveError, Tool, UpstreamState, Visibility},
    model::HOST_FUNCTIONS,
};
use serde_json::{Value, json};

use super::{call, find, paths, start, started, state};
use crate::support::upstream::{Scripted, demo, http, open, result};

#[tokio::test]
async fn a_question_right_after_the_start_waits_for_the_first_lists() {
    let catalog = start(vec![demo("demo", &["--slow-start", "500"])]);
    assert_eq!(find(&catalog, "discover", json!("echo")).await["total"], 1);
    catalog.shutdown().await;
}

#[tokio::test]
async fn two_thousand_tools_are_listed_found_and_called() {
    let catalog = started(vec![demo("demo", &["--tools", "2000", "--pages", "20"])]).await;
    assert_eq!(state(&catalog), (UpstreamState::Ready, 2_008, String::new()));
    let found = find(&catalog, "discover", json!({"query": "read item 1234", "limit": 3})).await;
    assert_eq!((paths(&found)[0], found["total"].as_u64()), ("demo.item_1234", Some(2_000)));
    assert_eq!(call(&catalog, "demo.item_1234", json!({})).await, Ok(json!("1234")));
    catalog.shutdown().await;
}

#[tokio::test]
async fn the_finding_functions_answer_in_the_shapes_of_the_contract() {
    let catalog = started(vec![demo("demo", &[]), demo("other", &[])]).await;

    let found =
        find(&catalog, "discover", json!({"query": "add a note", "limit": 2, "namespace": "demo"}))
            .await;
    assert_eq!(found["bestPath"], "demo.notes.add", "{found}");
    assert_eq!(
        found["results"][0],
        json!({
            "path": "demo.notes.add", "source": "demo", "approval": "auto",
            "score": found["results"][0]["score"],
            "hint": "tools.demo.notes.add(args: { text: string }): Promise<{ id: number }>",
            "description": "Adds a note to the list and returns its number.",
        })
    );
    let found = find(&catalog, "discover", json!("add a note")).await;
    assert_eq!(found["bestPath"], Value::Null, "two upstreams have it: {found}");

    let all = find(&catalog, "catalog.namespaces", json!({"limit": 1})).await;
    assert_eq!(
        all,
        json!({
            "namespaces": [{
                "namespace": "demo", "toolCount": 8,
                "samplePaths": ["demo.add", "demo.big", "demo.crash"]
            }],
            "total": 2
        })
    );

    let first = find(&catalog, "catalog.tools", json!({"limit": 10})).await;
    let second =
        find(&catalog, "catalog.tools", json!({"limit": 10, "cursor": first["nextCursor"]})).await;
    let mut listed = paths(&first);
    listed.extend(paths(&second));
    assert_eq!(
        (listed.len(), first["total"].as_u64(), &second["nextCursor"]),
        (16, Some(16), &Value::Null)
    );
    assert!(listed.is_sorted(), "{listed:?}");

    let described = find(&catalog, "describe", json!("demo.add")).await;
    assert_eq!(
        (&described["approval"], &described["inputSchema"]["required"]),
        (&json!("auto"), &json!(["a", "b"]))
    );
    assert!(
        described["typescript"]
            .as_str()
            .unwrap()
            .contains("add(args: AddArgs): Promise<AddResult>;"),
        "{described}"
    );
    assert!(
        catalog.find("demo.add", "{}", &open).await.is_none(),
        "a tool is not a finding function"
    );
    catalog.shutdown().await;
}

#[tokio::test]
async fn a_hidden_tool_cannot_be_told_from_one_that_does_not_exist() {
    let catalog = started(vec![demo("demo", &[])]).await;
    let view = |tool: &Tool| match tool.name.as_str() {
        "crash" => Visibility::Hidden,
        "notes.add" => Visibility::Required,
        _ => Visibility::Auto,
    };
    let ask = async |function: &str, args: &str| catalog.find(function, args, &view).await.unwrap();
    let answer = |json: airlock::model::RawJson| serde_json::from_str::<Value>(json.get()).unwrap();

    for path in ["demo.crash", "demo.CRASH", "demo.crsh"] {
        match catalog.resolve(path, &view).await {
            Err(ResolveError::NotFound(absent)) => {
                assert!(!absent.nearest.contains(&"demo.crash".to_owned()), "{absent:?}")
            }
            other => panic!("{other:?}"),
        }
    }
    let described = ask("describe", r#""demo.crash""#).await.unwrap_err().to_string();
    assert!(described.starts_with("there is no tool `demo.crash`"), "{described}");
    assert_eq!(answer(ask("discover", r#"{"query": "crash"}"#).await.unwrap())["total"], 0);
    assert_eq!(answer(ask("catalog.tools", "{}").await.unwrap())["total"], 7);
    assert_eq!(
        answer(ask("catalog.namespaces", "").await.unwrap())["namespaces"][0]["toolCount"],
        7
    );
    assert_eq!(
        answer(ask("discover", r#""add a note""#).await.unwrap())["results"][0]["approval"],
        "required"
    );
    catalog.shutdown().await;
}

#[tokio::test]
async fn host_functions_are_found_and_described_like_tools() {
    let catalog = started(vec![]).await;
    for function in &HOST_FUNCTIONS {
        let described = find(&catalog, "describe", json!(function.path)).await;
        assert_eq!(described["path"], function.path);
        assert_eq!(described["outputSchema"], (function.output)(), "{}", function.path);
        let namespace = json!({ "namespace": function.namespace() });
        let listed = find(&catalog, "catalog.tools", namespace).await;
        let results = listed["results"].as_array().unwrap();
        assert!(results.iter().any(|found| found["path"] == function.path), "{listed}");
    }
    let failed = catalog.find("describe", r#""tools.catalog.tolls""#, &open).await.unwrap();
    insta::assert_snapshot!(
        failed.unwrap_err().to_string(),
        @r#"there is no tool `tools.catalog.tolls`, did you mean `tools.catalog.tools`?; find one with await tools.catalog.tools({ namespace: "catalog" })"#
    );
    catalog.shutdown().await;
}

#[tokio::test]
async fn what_discovery_returns_has_its_declared_output_schema() {
    let catalog = started(vec![demo("demo", &[])]).await;
    let calls = [
        ("discover", json!({ "query": "add a note", "includeSchemas": true })),
        ("catalog.namespaces", json!({})),
        ("catalog.tools", json!({ "limit": 1 })),
        ("describe", json!({ "path": "demo.add" })),
    ];
    for (path, args) in calls {
        let function = HOST_FUNCTIONS.iter().find(|function| function.path == path).unwrap();
        let result = find(&catalog, path, args).await;
        if let Err(error) = jsonschema::validate(&(function.output)(), &result) {
            panic!("{path}: {error}: {result}");
        }
    }
    catalog.shutdown().await;
}

#[tokio::test]
async fn the_errors_of_finding_are_enough_to_ask_right() {
    let catalog = started(vec![demo("demo", &[])]).await;
    let failed = async |function: &str, args: &str| {
        catalog.find(function, args, &open).await.unwrap().unwrap_err().to_string()
    };
    insta::assert_snapshot!(
        failed("discover", r#"{"qeury": "x"}"#).await,
        @r#"`tools.discover`: there is no field `qeury`, did you mean `query`?; correct: await tools.discover({ query: "x" })"#
    );
    insta::assert_snapshot!(
        failed("discover", r#"{"query": "x", "limit": 500}"#).await,
        @r#"`tools.discover`: field `limit` must be at most 50, got number 500; correct: await tools.discover({ query: "x", limit: 50 })"#
    );
    insta::assert_snapshot!(failed("catalog.tools", r#"{"cursor": "nonsense"}"#).await, @"field \
        `cursor` must be the `nextCursor` of the page before, asked with the same `query` and \
        `namespace`");
    insta::assert_snapshot!(
        failed("describe", "{}").await,
        @r#"`tools.describe`: field `path` is missing (string); correct: await tools.describe({ path: "…" })"#
    );
    insta::assert_snapshot!(
        failed("describe", r#""demo.notes.lst""#).await,
        @r#"there is no tool `demo.notes.lst`, did you mean `tools.demo.notes.list`?; find one with await tools.discover("lst")"#
    );
    catalog.shutdown().await;
}

#[tokio::test]
async fn a_namespace_that_is_not_there_is_a_fault_that_names_the_one_that_was_meant() {
    let mut absent = demo("absent", &["--slow-start", "60000"]);
    absent.start_timeout = std::time::Duration::from_millis(200);
    let catalog = started(vec![demo("github", &[]), demo("shop", &[]), absent]).await;
    let failed = async |function: &str, args: Value| {
        let found = catalog.find(function, &args.to_string(), &open).await.unwrap();
        found.map_or_else(|error| error.to_string(), |found| panic!("{found}"))
    };
    insta::assert_snapshot!(failed("discover", json!({"query": "add", "namespace": "gihub"})).await, @"there is no namespace `gihub`, did you mean \
        `github`?");
    insta::assert_snapshot!(
        failed("catalog.tools", json!({"namespace": "github.note"})).await,
        @"there is no namespace `github.note`, did you mean `github.notes`?"
    );
    insta::assert_snapshot!(failed("catalog.tools", json!({"namespace": "xyz"})).await, @"there \
        is no namespace `xyz`, there are `absent`, `github`, `shop`");
    insta::assert_snapshot!(
        failed("describe", json!("github.notes")).await,
        @r#"there is no tool `github.notes`, it is a namespace; find one with await tools.catalog.tools({ namespace: "github.notes" })"#
    );
    insta::assert_snapshot!(
        failed("describe", json!("tools.shop")).await,
        @r#"there is no tool `tools.shop`, it is a namespace; find one with await tools.catalog.tools({ namespace: "shop" })"#
    );
    // Of an upstream that has never answered nobody knows what is in it.
    for namespace in ["absent", "absent.notes", "Absent", ""] {
        find(&catalog, "discover", json!({"query": "add", "namespace": namespace})).await;
    }
    let of = async |namespace: &str| {
        find(&catalog, "catalog.tools", json!({"namespace": namespace})).await["total"].clone()
    };
    for (namespace, total) in [
        ("tools.github", 8),
        ("GitHub.notes", 2),
        (r#"tools["github"]["notes"]"#, 2),
        ("github.notes.add", 1),
    ] {
        assert_eq!(of(namespace).await, total, "{namespace}");
    }
    assert!(
        catalog
            .types(Some("gihub"), &open)
            .await
            .unwrap_err()
            .message
            .contains("did you mean `github`?")
    );

    // What the caller may not see is no more there than what never was.
    let view =
        |tool: &Tool| if &*tool.upstream == "shop" { Visibility::Hidden } else { Visibility::Auto };
    let hidden = catalog
        .find("catalog.tools", r#"{"namespace": "shop"}"#, &view)
        .await
        .unwrap()
        .unwrap_err()
        .to_string();
    insta::assert_snapshot!(hidden, @"there is no namespace `shop`, there are `absent`, `github`");
    let hidden =
        catalog.find("describe", r#""shop.notes""#, &view).await.unwrap().unwrap_err().to_string();
    assert!(!hidden.contains("namespace"), "{hidden}");
    catalog.shutdown().await;
}

#[tokio::test]
async fn a_path_that_is_written_as_code_leads_to_its_tool() {
    let catalog = started(vec![demo("demo-up", &[])]).await;
    let hint = find(&catalog, "discover", json!("add a note")).await["results"][0]["hint"].clone();
    assert_eq!(
        hint,
        r#"tools["demo-up"].notes.add(args: { text: string }): Promise<{ id: number }>"#
    );
    for path in [
        hint.as_str().unwrap(),
        r#"tools["demo-up"].notes.add"#,
        "tools['demo-up']['notes'].add",
        "tools.demo-up.notes.add",
    ] {
        assert_eq!(
            find(&catalog, "describe", json!(path)).await["path"],
            "demo-up.notes.add",
            "{path}"
        );
        assert_eq!(
            call(&catalog, path, json!({"text": "x"})).await.map(|note| note["id"].is_u64()),
            Ok(true),
            "{path}"
        );
    }
    let wrong = catalog
        .find("describe", r#"{"path": "tools[\"demo-up\"].notes.ad"}"#, &open)
        .await
        .unwrap()
        .unwrap_err();
    insta::assert_snapshot!(
        wrong,
        @r#"there is no tool `tools["demo-up"].notes.ad`, did you mean `tools["demo-up"].notes.add`?; find one with await tools.discover("ad")"#
    );
    catalog.shutdown().await;
}

#[tokio::test]
async fn an_answer_of_finding_beyond_four_mebibytes_is_refused_with_the_way_out() {
    let server = Scripted::start(|request| {
        let heavy = |number: usize| {
            let schema = json!({
                "type": "object",
                "properties": {"a": {"type": "string", "description": "x".repeat(200 * 1024)}}
            });
            json!({
                "name": format!("heavy_{number}"), "description": "y".repeat(100 * 1024),
                "inputSchema": schema
            })
        };
        result(request, json!({"tools": (0..30).map(heavy).collect::<Vec<_>>()}))
    })
    .await;
    let catalog = started(vec![http("up", &server.url())]).await;
    assert_eq!(state(&catalog), (UpstreamState::Ready, 30, String::new()));
    let ask = async |args: Value| catalog.find("discover", &args.to_string(), &open).await.unwrap();
    let error = ask(json!({"query": "heavy", "limit": 30, "includeSchemas": true}))
        .await
        .unwrap_err()
        .to_string();
    insta::assert_snapshot!(error, @"the response of `tools.discover` is larger than 4194304 bytes; \
        ask for fewer results with `limit`, or without schemas");
    for enough in [
        json!({"query": "heavy", "limit": 30}),
        json!({"query": "heavy", "limit": 20, "includeSchemas": true}),
    ] {
        assert!(ask(enough.clone()).await.is_ok(), "{enough}");
    }
    // Descriptions count as well: twenty schemas are 4 000 KiB, and each description is 8 KiB.
    let error =
        ask(json!({"query": "heavy", "limit": 20, "includeSchemas": true, "compact": false}))
            .await
            .unwrap_err();
    assert!(error.to_string().contains("4194304"), "{error}");
    catalog.shutdown().await;
    server.stop().await;
}
