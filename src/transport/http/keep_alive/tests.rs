use axum::Json;
use axum::response::IntoResponse;
use serde_json::json;

use super::*;

fn timing() -> Timing {
    Timing { first_byte_after: Duration::from_millis(20), comment_every: Duration::from_millis(20) }
}

async fn after(ms: u64, response: Response) -> Response {
    tokio::time::sleep(Duration::from_millis(ms)).await;
    response
}

async fn text_of(response: Response) -> String {
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

#[tokio::test]
async fn a_quick_answer_passes_unchanged() {
    let response =
        first_byte(after(0, StatusCode::ACCEPTED.into_response()), AnswerForm::Either, timing())
            .await;
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    assert!(response.headers().get("x-accel-buffering").is_none());
}

#[tokio::test]
async fn a_slow_json_answer_becomes_one_event_after_comments() {
    for form in [AnswerForm::Either, AnswerForm::Events] {
        let inner = after(150, Json(json!({"a": 1})).into_response());
        let response = first_byte(inner, form, timing()).await;
        assert_eq!(response.status(), StatusCode::OK);
        let text = text_of(response).await;
        assert!(text.starts_with(": waiting\n\n: waiting\n\n"), "{text}");
        assert!(text.ends_with("\n\ndata: {\"a\":1}\n\n"), "{text}");
    }
}

#[tokio::test]
async fn a_slow_answer_for_a_client_that_takes_only_json_comes_after_blanks() {
    let inner = after(150, Json(json!({"a": 1})).into_response());
    let response = first_byte(inner, AnswerForm::Json, timing()).await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
    let text = text_of(response).await;
    assert!(text.starts_with("\n\n"), "{text}");
    assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), json!({"a": 1}));
}

#[tokio::test]
async fn a_slow_stream_is_forwarded_and_kept_alive() {
    let events = stream::iter(["data: 1\n\n", "data: 2\n\n"]).then(async |event| {
        tokio::time::sleep(Duration::from_millis(70)).await;
        Ok::<_, Infallible>(event)
    });
    let inner =
        ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(events)).into_response();
    let text = text_of(first_byte(after(60, inner), AnswerForm::Either, timing()).await).await;
    let between = text.split("data: 1\n\n").nth(1).unwrap();
    assert!(between.starts_with(": waiting"), "{text}");
    assert!(text.ends_with("data: 2\n\n"), "{text}");
}

#[tokio::test]
async fn dropping_the_stream_drops_the_answer_that_is_made() {
    struct Flag(std::sync::Arc<std::sync::atomic::AtomicBool>);
    impl Drop for Flag {
        fn drop(&mut self) {
            self.0.store(true, std::sync::atomic::Ordering::SeqCst);
        }
    }
    let dropped = std::sync::Arc::<std::sync::atomic::AtomicBool>::default();
    let flag = Flag(dropped.clone());
    let inner = async move {
        let _flag = flag;
        std::future::pending::<Response>().await
    };
    let response = first_byte(inner, AnswerForm::Either, timing()).await;
    assert!(!dropped.load(std::sync::atomic::Ordering::SeqCst));
    drop(response);
    assert!(dropped.load(std::sync::atomic::Ordering::SeqCst));
}
