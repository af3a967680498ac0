use serde_json::json;

use super::*;

fn sent(given: &str, checked: serde_json::Value) -> Option<String> {
    let checked = checked.as_object().expect("arguments are an object");
    converted(given, checked).map(|args| args.get().to_owned())
}

#[test]
fn what_policy_judges_has_the_integers_that_are_sent_however_their_digits_are_written() {
    let checked = json!({"ref": 7_310_448_219_005_560_003_u64});
    let text = r#"{"ref":7310448219005560003}"#;
    for given in [
        r#"{"ref":"7310448219005560003"}"#,
        r#"{"ref":"\u0037310448219005560003"}"#,
        r#"{"ref":"\u0037\u0033\u0031\u0030\u0034\u0034\u0038219005560003"}"#,
        r#"{"\u0072ef":"73104482190\u00305560003"}"#,
    ] {
        assert_eq!(sent(given, checked.clone()).as_deref(), Some(text), "{given}");
    }
}

#[test]
fn arguments_that_are_sent_as_they_came_stay_the_text_that_they_are() {
    for given in [
        r#"{"ref":7310448219005560003}"#,
        r#"{ "ref" : "a\nb" }"#,
        r#"{"ref":"\u0061"}"#,
        r#"{"ref":1.50}"#,
        "{}",
    ] {
        assert_eq!(sent(given, serde_json::from_str(given).unwrap()), None, "{given}");
    }
}
