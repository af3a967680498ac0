use super::*;

fn shown(text: &str) -> String {
    visible(text, true).into_string()
}

#[test]
fn what_cannot_be_seen_is_written_out() {
    for hidden in [
        '\u{202e}',
        '\u{2066}',
        '\u{200b}',
        '\u{feff}',
        '\u{1b}',
        '\u{7f}',
        '\u{85}',
        '\u{e0041}',
        '\u{ad}',
        '\u{a0}',
        '\u{2800}',
        '\r',
    ] {
        let text = shown(&format!("a{hidden}b"));
        let code = format!("\\u{{{:x}}}", u32::from(hidden));
        assert!(text.contains(&format!(">{code}</span>b")) && !text.contains(hidden), "{hidden:?}: {text}");
    }
}

#[test]
fn what_can_be_seen_stays_as_it_is() {
    let text = "plain äöü 日本 שלום 🙂\n\ttab";
    assert_eq!(shown(text), text);
    assert_eq!(shown("<script>&\"'"), "&lt;script&gt;&amp;&quot;'");
}

#[test]
fn the_value_reads_as_the_json_it_is() {
    let value: Value = serde_json::from_str(r#"{"to":"a\u202eb","n":1.50,"list":[true,null,{}],"<b>":""}"#).unwrap();
    let text = super::value(&value).into_string();
    assert!(text.contains("\\u{202e}") && text.contains("1.5") && text.contains("&lt;b&gt;"), "{text}");
    let plain = |text: &str| {
        let mut out = String::new();
        let mut inside = false;
        for c in text.chars() {
            match c {
                '<' => inside = true,
                '>' => inside = false,
                c if !inside => out.push(c),
                _ => {}
            }
        }
        out.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("\\u{202e}", "\u{202e}")
    };
    let back: Value = serde_json::from_str(&plain(&text)).unwrap();
    assert_eq!(back, value);
}

#[test]
fn letters_from_the_right_turn_nothing_round_but_themselves() {
    let text = super::value(&serde_json::json!({ "מאת": "אבג", "amount": [100, "דה"] })).into_string();
    let alone = |piece: &str| text.contains(&format!(" dir=\"ltr\">&quot;{piece}&quot;</bdi>"));
    assert!(["מאת", "אבג", "דה"].into_iter().all(alone), "{text}");
}

#[test]
fn a_long_text_unfolds_and_is_whole() {
    let text = super::value(&Value::from("x".repeat(5000))).into_string();
    assert!(text.contains("<details") && text.contains("a text of 5000 characters") && text.contains(&"x".repeat(5000)));
}
