use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::*;
use crate::catalog::tool::OfferedTool;

fn tool() -> Tool {
    Tool::admit(&Arc::from("up"), OfferedTool { name: "t".to_owned(), ..OfferedTool::default() })
        .unwrap()
}

fn response(result: &str) -> Result<ToolResponse, UpstreamError> {
    let json = RawValue::from_string(result.to_owned()).unwrap();
    unwrap(&tool(), CallResult { json, has_error: false, repairs: None, permit: None })
}

/// The value of a result that is as the protocol wants it.
fn unwrapped(result: &Json) -> Result<Json, UpstreamError> {
    response(&result.to_string()).map(|response| {
        assert_eq!(response.warning, None, "{result}");
        serde_json::from_str(response.json.get()).unwrap()
    })
}

fn text(text: &str) -> Json {
    json!({"content": [{"type": "text", "text": text}]})
}

#[test]
fn structured_content_wins_over_its_copy_as_text() {
    let result =
        json!({"content": [{"type": "text", "text": "3"}], "structuredContent": {"sum": 3}});
    assert_eq!(unwrapped(&result), Ok(json!({"sum": 3})));
    assert_eq!(unwrapped(&json!({"structuredContent": [41]})), Ok(json!([41])));
}

#[test]
fn members_that_are_null_count_as_missing() {
    let mut result = text("{\"sum\": 7}");
    for member in ["structuredContent", "isError", "_meta", "resultType"] {
        result[member] = Json::Null;
    }
    assert_eq!(unwrapped(&result), Ok(json!({"sum": 7})));
    let result = json!({"content": null, "structuredContent": {"sum": 7}});
    assert_eq!(unwrapped(&result), Ok(json!({"sum": 7})));
}

#[test]
fn a_single_text_is_read_where_it_is_an_object_or_a_list_and_else_stays_the_text_it_is() {
    assert_eq!(unwrapped(&text(" {\"a\": [1]}\n")), Ok(json!({"a": [1]})));
    assert_eq!(unwrapped(&text("[1, 2]")), Ok(json!([1, 2])));
    for scalar in [
        "1.10",
        "12e4567",
        "null",
        "true",
        "123",
        "-0",
        "3.0",
        " 42\n",
        "\"quoted\"",
        "Echo: hi",
        "",
        "{half",
        "[INFO] done",
        "{} {}",
        "{\"v\": NaN}",
    ] {
        assert_eq!(unwrapped(&text(scalar)), Ok(json!(scalar)));
    }
}

#[test]
fn numbers_keep_every_digit() {
    for digits in ["12345678901234567890123", "0.10", "1E5", "7310448219005560003"] {
        let structured = format!("{{\"structuredContent\":{{\"n\":{digits}}}}}");
        assert_eq!(response(&structured).unwrap().json.get(), format!("{{\"n\":{digits}}}"));
        let inner = text(&format!("{{\"n\":{digits}}}")).to_string();
        assert_eq!(response(&inner).unwrap().json.get(), format!("{{\"n\":{digits}}}"));
    }
}

#[test]
fn several_blocks_come_as_they_are() {
    let blocks = json!([
        {"type": "text", "text": "a", "extra": 1},
        {"type": "resource_link", "uri": "ui://v", "name": "v"},
        {"type": "resource", "resource": {"uri": "ui://v", "text": "x"}},
        {"type": "text", "text": "b", "annotations": {"audience": ["user", "assistant"]}}
    ]);
    assert_eq!(unwrapped(&json!({"content": blocks})), Ok(blocks));
    assert_eq!(unwrapped(&json!({"content": []})), Ok(json!([])));
}

#[test]
fn images_sounds_and_blobs_are_taken_out_and_their_places_are_known() {
    let result = json!({"content": [
        {"type": "text", "text": "a"},
        {"type": "image", "data": "AA==", "mimeType": "image/png", "_meta": {"n": 1}},
        {"type": "resource", "resource": {"uri": "f:1", "mimeType": "audio/ogg", "blob": "Qk\nI-"}},
        {"type": "resource", "resource": {"uri": "f:2", "blob": "Q0M"}},
    ]});
    let answer = response(&result.to_string()).unwrap();
    assert_eq!(answer.warning, None);
    assert_eq!(
        serde_json::from_str::<Json>(answer.json.get()).unwrap(),
        json!([
            {"type": "text", "text": "a"}, {"_meta": {"n": 1}},
            {"type": "resource", "resource": {"uri": "f:1", "mimeType": "audio/ogg", "blob": {}}},
            {"type": "resource", "resource": {"uri": "f:2", "blob": {}}},
        ])
    );
    let taken: Vec<_> = answer
        .media
        .iter()
        .map(|block| (&*block.place, block.kind.as_str(), &*block.mime_type, &*block.data))
        .collect();
    assert_eq!(
        taken,
        [
            ("/1", "image", "image/png", "AA=="),
            ("/2/resource/blob", "audio", "audio/ogg", "QkI+"),
            ("/3/resource/blob", "blob", "application/octet-stream", "Q0M"),
        ]
    );
}

#[test]
fn content_beside_structured_content_is_kept_where_it_is_no_text() {
    let image = json!({"type": "image", "data": "AA==", "mimeType": "image/png"});
    let link = json!({"type": "resource_link", "uri": "f:1", "name": "f"});
    let result = |structured: Json| {
        let text = json!({"type": "text", "text": "copy"});
        json!({"structuredContent": structured, "content": [text, image, link]}).to_string()
    };
    let answer = response(&result(json!({"n": 1}))).unwrap();
    let json = json!({"n": 1, "$content": [{}, link]});
    assert_eq!(serde_json::from_str::<Json>(answer.json.get()).unwrap(), json);
    assert_eq!((answer.media.len(), &*answer.media[0].place), (1, "/$content/0"));
    assert_eq!(answer.warning, None);
    // What is empty cannot be what the text repeats.
    for structured in [json!({}), json!([])] {
        let answer = response(&result(structured)).unwrap();
        let text = json!({"type": "text", "text": "copy"});
        assert_eq!(
            serde_json::from_str::<Json>(answer.json.get()).unwrap(),
            json!([text, {}, link])
        );
        assert!(answer.warning.unwrap().contains("`structuredContent` is empty"));
    }
    for structured in [json!([1]), json!({"$content": 1})] {
        let answer = response(&result(structured.clone())).unwrap();
        assert_eq!(serde_json::from_str::<Json>(answer.json.get()).unwrap(), structured);
        assert!(answer.warning.is_some_and(|warning| warning.contains("2 blocks")));
    }
}

#[test]
fn what_the_protocol_does_not_know_comes_as_it_is_with_a_warning() {
    for (result, value, word) in [
        (
            r#"{"content":[{"type":"json","json":{"n":41}}]}"#,
            r#"[{"type":"json","json":{"n":41}}]"#,
            "`json`",
        ),
        (r#"{"content":[{"type":"text","text":{"n":41}}]}"#, r#"{"n":41}"#, "`text`"),
        (r#"{"content":[{"type":"text","text":41}]}"#, "41", "`text`"),
        (r#"{"n":41,"list":[1]}"#, r#"{"n":41,"list":[1]}"#, "neither `content`"),
        ("{}", "{}", "neither `content`"),
        (r#""saved as 41""#, r#""saved as 41""#, "neither `content`"),
        ("[41]", "[41]", "neither `content`"),
        ("null", "null", "neither `content`"),
        (r#"{"content":"saved as 41"}"#, r#""saved as 41""#, "not a list"),
        (
            r#"{"content":{"type":"text","text":"41"}}"#,
            r#"{"type":"text","text":"41"}"#,
            "not a list",
        ),
        (
            r#"{"content":["a",41]}"#,
            r#"["a",41]"#,
            "content block 1 is not an object, content block 2",
        ),
        (r#"{"content":[{"text":"a"}]}"#, r#"[{"text":"a"}]"#, "no `type`"),
        (
            r#"{"content":[{"type":"image","data":"QQ=="},{"type":"text","text":"41"}]}"#,
            r#"[{},{"type":"text","text":"41"}]"#,
            "`mimeType`",
        ),
        (
            r#"{"content":[{"type":"audio","data":"Q.","mimeType":"audio/wav"},41]}"#,
            r#"[{"type":"audio","data":"Q.","mimeType":"audio/wav"},41]"#,
            "no proper `data`",
        ),
        (
            r#"{"content":[{"type":"text","text":"41"},{"type":"resource_link","uri":"ui://v"}]}"#,
            r#"[{"type":"text","text":"41"},{"type":"resource_link","uri":"ui://v"}]"#,
            "content block 2 of type `resource_link` has no proper `name`",
        ),
        (
            r#"{"content":[{"type":"text","text":"41","annotations":{"audience":["robot"]}}]}"#,
            r#""41""#,
            "`annotations`",
        ),
    ] {
        let response = response(result).unwrap();
        assert_eq!(response.json.get(), value, "{result}");
        let warning = response.warning.unwrap_or_else(|| panic!("no warning: {result}"));
        assert!(warning.contains(word) && warning.contains("`up.t`"), "{result}: {warning}");
    }
    let many = format!("{{\"content\":[{}1]}}", "1,".repeat(1_000));
    assert!(response(&many).unwrap().warning.unwrap().len() < 400);
}

#[test]
fn repairs_of_the_message_are_told() {
    let json = RawValue::from_string(r#"{"structuredContent":{"v":null}}"#.to_owned()).unwrap();
    let repairs = Some("1 value".to_owned());
    let result = CallResult { json, has_error: false, repairs, permit: None };
    let response = unwrap(&tool(), result).unwrap();
    assert!(response.warning.unwrap().ends_with("was repaired: 1 value"));
    // A text that is JSON on the inside only is repaired where no reader would take it.
    let inner = text(r#"{"a":"cut \ud83d","b":1e400}"#);
    assert_eq!(unwrapped(&inner), Ok(json!({"a": "cut \u{FFFD}", "b": null})));
}

#[test]
fn a_failed_tool_is_an_error_with_its_own_words_cut() {
    let mut result = text(&"é".repeat(10_000));
    result["isError"] = json!(true);
    let error = unwrapped(&result).unwrap_err();
    assert_eq!((error.code, error.retryable), (UpstreamErrorCode::ToolFailed, false));
    assert!(
        error.message.len() <= SAID_BYTES_MAX && error.message.starts_with("éé"),
        "{}",
        error.message.len()
    );
    for (content, words) in [
        (json!("it broke"), "it broke"),
        (json!([{"type": "json", "json": {"why": "it broke"}}]), "it broke"),
        (json!([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]), "a\nb"),
        (json!([]), "does not say why"),
        (Json::Null, "does not say why"),
    ] {
        let result = json!({"content": content, "structuredContent": null, "isError": "true"});
        let error = unwrapped(&result).unwrap_err();
        assert!(error.message.contains(words), "{}", error.message);
    }
}

#[test]
fn what_wants_input_first_is_refused_with_the_question() {
    let asked = json!({"q": {"method": "elicitation/create", "params": {"message": "which?"}}});
    let result = json!({"resultType": "input_required", "inputRequests": asked});
    let error = unwrapped(&result).unwrap_err();
    assert_eq!(error.code, UpstreamErrorCode::InputRequired);
    assert!(error.message.contains("which?"), "{}", error.message);
}

#[test]
fn an_answer_over_the_largest_is_refused_with_the_bound() {
    let error = unwrapped(&text(&"x".repeat(ANSWER_BYTES_MAX))).unwrap_err();
    assert_eq!(error.code, UpstreamErrorCode::AnswerTooLarge);
    assert!(error.message.contains("67108864"), "{}", error.message);
}
