//! Answers that are not quite what the specification says, and ids beyond what every service reads.

use airlock::model::Document;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::{call, scripted, started, upstream, warned};

const SDL: &str = "type Query { row(id: ID, among: [ID!], by: By, size: Float): Row } \
    input By { id: ID, next: By } type Row { id: ID!, cost: Float } type Mutation { add: Row }";

fn said(body: &'static str) -> Response {
    ([("content-type", "application/json")], body).into_response()
}

async fn service(
    reply: impl Fn(&Value) -> Response + Clone + Send + Sync + 'static,
) -> (airlock::catalog::Catalog, tempfile::TempDir) {
    let url = scripted(reply).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("schema.graphql");
    std::fs::write(&file, SDL).unwrap();
    (started(upstream(&url, Some(Document::File(file)))).await, folder)
}

#[tokio::test]
async fn data_comes_beside_what_is_no_error_and_from_what_is_nearly_json() {
    let (catalog, _folder) = service(|request| {
        let query = request["query"].as_str().unwrap();
        match query.contains("mutation") {
            true => said("{\"data\":{\"add\":{\"id\":\"7\",\"cost\":NaN}},\"errors\":[\"slow\"]}"),
            false => {
                said("\u{feff}{\"data\":{\"row\":{\"id\":\"7\",\"cost\":1}},\"errors\":false}")
            }
        }
    })
    .await;
    let got = warned(&catalog, "git.query.row", json!({})).await;
    assert_eq!(got, (json!({"id": "7", "cost": 1}), None));
    let (value, warning) = warned(&catalog, "git.mutation.add", json!({})).await;
    let warning = warning.unwrap();
    assert_eq!(value, json!({"id": "7", "cost": null}));
    for part in ["NaN) became null", "`git.mutation.add` was performed", "slow"] {
        assert!(warning.contains(part), "{part}: {warning}");
    }
}

#[tokio::test]
async fn what_is_said_in_place_of_an_answer_reaches_the_program() {
    let (catalog, _folder) = service(|request| {
        let query = request["query"].as_str().unwrap();
        match query.contains("mutation") {
            true => said("{\"data\":{\"add\":"),
            false => said("{\"message\": \"Please sign in first\"}"),
        }
    })
    .await;
    let error = call(&catalog, "git.query.row", json!({})).await.unwrap_err();
    assert!(error.message.contains("Please sign in first"), "{}", error.message);
    let error = call(&catalog, "git.mutation.add", json!({})).await.unwrap_err();
    assert!(
        error.message.contains("it is not known whether the mutation took effect"),
        "{}",
        error.message
    );
}

#[tokio::test]
async fn a_large_integer_for_an_id_is_sent_as_its_digits() {
    let (catalog, _folder) = service(|request| {
        let variables = request["variables"].to_string();
        let body = json!({"data": {"row": {"id": variables, "cost": 1}}});
        axum::Json(body).into_response()
    })
    .await;
    let large = 9_007_199_254_740_993_u64;
    for (args, sent) in [
        (json!({"id": large}), json!({"id": "9007199254740993"})),
        (json!({"id": -(large as i64)}), json!({"id": "-9007199254740993"})),
        (json!({"id": u64::MAX}), json!({"id": "18446744073709551615"})),
        (json!({"among": [large, 5, "x"]}), json!({"among": ["9007199254740993", 5, "x"]})),
        (
            json!({"by": {"id": 5, "next": {"id": large}}}),
            json!({"by": {"id": 5, "next": {"id": "9007199254740993"}}}),
        ),
        // What every service reads stays as it is, and what is no id.
        (json!({"id": 9_007_199_254_740_991_u64}), json!({"id": 9_007_199_254_740_991_u64})),
        (json!({"size": large}), json!({"size": large})),
    ] {
        let got = call(&catalog, "git.query.row", args.clone()).await.unwrap();
        let seen: Value = serde_json::from_str(got["id"].as_str().unwrap()).unwrap();
        assert_eq!(seen, sent, "{args}");
    }
}
