//! Answers of which only some failed, schemas that do not tell all of their types, and endpoints
//! that have moved.

use std::sync::Arc;

use airlock::{
    catalog::{Catalog, UpstreamErrorCode},
    model::Document,
};
use axum::{
    http::{StatusCode, header::LOCATION},
    response::{IntoResponse, Response},
};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::{call, open, scripted, started, state, upstream, warned};

/// A service with this schema as a file, and the queries that it was sent.
struct Scripted {
    catalog: Catalog,
    sent: Arc<Mutex<Vec<String>>>,
    _folder: tempfile::TempDir,
}

impl Scripted {
    async fn with(
        sdl: &str,
        reply: impl Fn(&str) -> Response + Clone + Send + Sync + 'static,
    ) -> Self {
        let sent: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = sent.clone();
        let url = scripted(move |request| {
            let query = request["query"].as_str().unwrap();
            kept.lock().push(query.to_owned());
            reply(query)
        })
        .await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("schema.graphql");
        std::fs::write(&file, sdl).unwrap();
        let catalog = started(upstream(&url, Some(Document::File(file)))).await;
        Self { catalog, sent, _folder: folder }
    }

    fn sent(&self) -> Vec<String> {
        std::mem::take(&mut self.sent.lock())
    }
}

fn answered(body: Value) -> Response {
    axum::Json(body).into_response()
}

const ITEMS: &str = "type Query { items: [Item!] item: Item } \
    type Item { id: ID! cost: Float margin: Float owner: Owner } type Owner { login: String! }";

/// Two hundred rows, of which one has no cost, and none the margin.
fn rows(query: &str) -> Response {
    let row = |n: usize| {
        let mut row = json!({"id": n.to_string()});
        if query.contains("cost") {
            row["cost"] = if n == 199 { Value::Null } else { json!(n) };
        }
        if query.contains("margin") {
            row["margin"] = Value::Null;
        }
        row
    };
    let rows: Vec<Value> = (0..200).map(row).collect();
    let mut errors = Vec::new();
    if query.contains("cost") {
        errors.push(json!({"message": "no cost known", "path": ["items", 199, "cost"]}));
    }
    if query.contains("margin") {
        errors.extend((0..200).map(|n| {
            json!({"message": "you may not see this", "path": ["items", n, "margin"],
                "extensions": {"code": "FORBIDDEN"}})
        }));
    }
    answered(json!({"data": {"items": rows}, "errors": errors}))
}

#[tokio::test]
async fn one_bad_row_takes_no_other_row_and_no_later_call() {
    let service = Scripted::with(ITEMS, rows).await;
    for args in [json!({"select": "id cost"}), json!({}), json!({})] {
        let (found, warning) = warned(&service.catalog, "git.query.items", args.clone()).await;
        let found = found.as_array().unwrap();
        assert_eq!(
            (found.len(), &found[5]["cost"], &found[199]["cost"]),
            (200, &json!(5), &Value::Null),
            "{args}"
        );
        let warning = warning.unwrap();
        assert!(
            warning.contains("no cost known at `items[199].cost`")
                && warning.starts_with("`git.query.items` is answered in part;"),
            "{args}: {warning}"
        );
    }
    let sent = service.sent();
    assert_eq!(sent.len(), 3, "nothing is asked twice: {sent:?}");
    assert!(sent.iter().all(|query| query.contains("cost")), "{sent:?}");
    // What nobody may see is not asked for again for a while, unless it is named.
    assert!(sent[1].contains("margin") && !sent[2].contains("margin"), "{sent:?}");
    service.catalog.shutdown().await;
}

#[tokio::test]
async fn a_query_without_anything_fails_and_one_with_a_general_error_keeps_what_came() {
    let service = Scripted::with(ITEMS, |query| {
        let errors = json!([{"message": "slow today"}]);
        if query.contains("items") {
            answered(json!({"data": {"items": [null, null]}, "errors": errors}))
        } else {
            answered(json!({"data": {"item": {"id": "1"}}, "errors": errors}))
        }
    })
    .await;
    let error = call(&service.catalog, "git.query.items", json!({})).await.unwrap_err();
    assert_eq!(error.code, UpstreamErrorCode::ToolFailed);
    assert!(error.message.contains("slow today"), "{}", error.message);
    let (found, warning) = warned(&service.catalog, "git.query.item", json!({})).await;
    assert_eq!(found, json!({"id": "1"}));
    assert!(warning.unwrap().ends_with("is answered in part; the service says: slow today"));
    service.catalog.shutdown().await;
}

#[tokio::test]
async fn a_field_that_takes_the_whole_answer_with_it_is_left_out_of_this_call_alone() {
    let service = Scripted::with(ITEMS, |query| {
        if query.contains("login") {
            let error = json!({"message": "lost", "path": ["item", "owner", "login"]});
            return answered(json!({"data": {"item": null}, "errors": [error]}));
        }
        answered(json!({"data": {"item": {"id": "1"}}}))
    })
    .await;
    for _ in 0..2 {
        let (found, warning) = warned(&service.catalog, "git.query.item", json!({})).await;
        assert_eq!(found, json!({"id": "1"}));
        assert!(warning.unwrap().contains("is answered without `owner.login`"));
        let sent = service.sent();
        assert!(sent.len() == 2 && sent[0].contains("login") && !sent[1].contains("login"));
    }
    service.catalog.shutdown().await;
}

#[tokio::test]
async fn a_type_that_nobody_declared_is_a_scalar_until_the_service_says_otherwise() {
    let sdl = "type Query { now: ServiceTime post(id: ID!, since: ServiceTime, by: ByInput): Post \
        @service_key } type Post @service_auth(role: \"x\") { id: ID! createdAt: ServiceTime! \
        meta: [ServiceJson!] author: Person } input ByInput { at: ServiceDay }";
    let service = Scripted::with(sdl, |query| {
        if query.contains("author") {
            let error = json!({"message": "Field \"author\" of type \"Person\" must have a \
                selection of subfields."});
            return (StatusCode::BAD_REQUEST, axum::Json(json!({"errors": [error]})))
                .into_response();
        }
        answered(json!({"data": {
            "now": "2026-05-05T00:00:00Z", "post": {"id": "1", "createdAt": "2026-01-01T00:00:00Z"}
        }}))
    })
    .await;
    let (_, tools, note) = state(&service.catalog);
    assert_eq!(tools, 2);
    assert!(
        note.contains(
            "types that its schema does not declare are taken for scalars: `Person`, `ServiceDay`, \
            `ServiceJson`, `ServiceTime`"
        ),
        "{note}"
    );
    assert_eq!(
        call(&service.catalog, "git.query.now", json!({})).await,
        Ok(json!("2026-05-05T00:00:00Z"))
    );
    service.sent();
    let args = json!({"id": "1", "since": "2026-01-01", "by": {"at": 3}});
    let post = call(&service.catalog, "git.query.post", args).await.unwrap();
    assert_eq!(post["createdAt"], "2026-01-01T00:00:00Z");
    // The one that is an object after all takes only itself.
    let sent = service.sent();
    assert!(
        sent[0].contains("createdAt meta author") && sent[1].contains("{ id createdAt meta }"),
        "{sent:?}"
    );
    let named = json!({"id": "1", "select": "createdAt meta"});
    assert!(call(&service.catalog, "git.query.post", named).await.is_ok());
    service.catalog.shutdown().await;
}

#[tokio::test]
async fn an_endpoint_that_has_moved_is_named_and_nothing_is_sent_there() {
    let schema = "type Query { row: Row } type Row { id: ID! }";
    for (status, location, told) in [
        (301, "/graphql/", "/graphql/`"),
        (302, "https://new.example/v2/graphql?key=secret", "`https://new.example/v2/graphql`"),
        (303, "/elsewhere", "/elsewhere`"),
        (307, "https://new.example/graphql", "`https://new.example/graphql`"),
        (308, "http://127.0.0.2:1/graphql", "`http://127.0.0.2:1/graphql`"),
    ] {
        let service = Scripted::with(schema, move |_| {
            (StatusCode::from_u16(status).unwrap(), [(LOCATION, location)], "").into_response()
        })
        .await;
        let error = call(&service.catalog, "git.query.row", json!({})).await.unwrap_err();
        assert!(error.message.contains(told), "{status}: {}", error.message);
        assert!(!error.message.contains("secret"), "{}", error.message);
        assert_eq!(service.sent().len(), 1, "{status}");
        service.catalog.shutdown().await;
    }
    // Asked for its schema, it says so too.
    let url =
        scripted(|_| (StatusCode::MOVED_PERMANENTLY, [(LOCATION, "/new")], "").into_response());
    let catalog = started(upstream(&url.await, None)).await;
    let message = state(&catalog).2;
    assert!(message.contains("its endpoint has moved to `http://127.0.0.1:"), "{message}");
    assert!(catalog.resolve("git.query.row", &open).await.is_err());
    catalog.shutdown().await;
}
