use serde_json::json;

use super::*;

#[test]
fn a_question_is_told_with_its_words_and_its_fields() {
    let form = json!({
        "message": "Which\nbranch?", "requestedSchema": {"properties": {"branch": {}, "force": {}}}
    });
    assert_eq!(
        asked("elicitation/create", &form),
        r#"it asked a person: "Which branch?" (fields `branch`, `force`)"#
    );
    let page = json!({"message": "Sign in", "url": "https://login.example/a?secret=b"});
    assert_eq!(
        asked("elicitation/create", &page),
        r#"it asked a person to open a page of `login.example`: "Sign in""#
    );
    assert_eq!(
        asked("sampling/createMessage", &json!({"messages": []})),
        "it asked a model for a message"
    );
}

#[test]
fn several_questions_are_counted() {
    let one = json!({"method": "roots/list"});
    let requests = json!({"a": one, "b": one, "c": one, "d": one});
    assert!(summary(&requests).ends_with("and 1 more question"), "{}", summary(&requests));
    assert_eq!(summary(&json!(null)), "it does not say what it asks for");
}

#[test]
fn a_question_is_told_to_the_one_call_that_can_have_caused_it() {
    let questions = Questions::default();
    let first = questions.during();
    assert_eq!(first.remark(), None);
    questions.refuse("it asked a person: \"a\"".to_owned());
    assert!(first.remark().unwrap().contains("\"a\""));
    let second = questions.during();
    assert_eq!(second.remark(), None, "it was asked before the second call");
    questions.refuse("it asked a person: \"b\"".to_owned());
    for call in [&first, &second] {
        let remark = call.remark().unwrap();
        assert!(!remark.contains("\"b\"") && remark.contains("Airlock refuses"), "{remark}");
    }
}
