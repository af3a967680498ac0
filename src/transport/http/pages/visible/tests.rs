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
        assert!(
            text.contains(&format!(">{code}</span>b")) && !text.contains(hidden),
            "{hidden:?}: {text}"
        );
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
    let value: Value =
        serde_json::from_str(r#"{"to":"a\u202eb","n":1.50,"list":[true,null,{}],"<b>":""}"#)
            .unwrap();
    let text = super::value(&value).into_string();
    assert!(
        text.contains("\\u{202e}") && text.contains("1.5") && text.contains("&lt;b&gt;"),
        "{text}"
    );
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
        out.replace("&quot;", "\"")
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("\\u{202e}", "\u{202e}")
    };
    let back: Value = serde_json::from_str(&plain(&text)).unwrap();
    assert_eq!(back, value);
}

#[test]
fn letters_from_the_right_turn_nothing_round_but_themselves() {
    let text =
        super::value(&serde_json::json!({ "מאת": "אבג", "amount": [100, "דה"] })).into_string();
    let alone = |piece: &str| text.contains(&format!(" dir=\"ltr\">&quot;{piece}&quot;</bdi>"));
    assert!(["מאת", "אבג", "דה"].into_iter().all(alone), "{text}");
}

#[test]
fn a_long_text_unfolds_and_is_whole() {
    let text = super::value(&Value::from("x".repeat(5000))).into_string();
    assert!(
        text.contains("<details")
            && text.contains("a string of 5000 characters")
            && text.contains(&"x".repeat(5000))
    );
}

#[test]
fn a_letter_that_only_looks_like_one_of_its_word_is_marked() {
    let text = shown(
        "pay to p\u{430}yp\u{430}l.com or \u{440}\u{430}y\u{440}al, \u{43c}\u{438}\u{440}, \
        東京タワーです, caf\u{e9} \u{b5}m",
    );
    let marked: Vec<_> = text.split("<mark class=\"strange\" ").skip(1).collect();
    assert_eq!(marked.len(), 4, "{text}");
    assert!(
        marked[0].starts_with(
            "title=\"letters of another script than the rest of the word: U+0430\">\u{430}</mark>yp"
        ),
        "{text}"
    );
    assert!(marked[2].contains("U+0440 U+0430\">\u{440}\u{430}</mark>y"), "{text}");
    assert!(
        text.ends_with(", \u{43c}\u{438}\u{440}, 東京タワーです, caf\u{e9} \u{b5}m"),
        "whole words of one script stay: {text}"
    );
}

#[test]
fn of_many_entries_the_first_are_shown_and_the_rest_unfolds() {
    let list: Vec<u32> = (0..57).collect();
    let text = super::value(&serde_json::json!({ "list": list, "few": [1, 2] })).into_string();
    assert_eq!(text.matches("<details").count(), 1, "{text}");
    let (head, rest) = text.split_once("<details class=\"more\"><summary>").expect("it folds");
    assert!(head.contains("    19,\n") && !head.contains("    20,"), "{head}");
    assert!(
        rest.contains("… 37 more of 57</summary>    20,\n")
            && rest.contains("    56\n</details>  ]"),
        "{rest}"
    );
    let many: serde_json::Map<_, _> =
        (0..21).map(|n| (format!("k{n:02}"), serde_json::json!(n))).collect();
    let text = super::value(&Value::Object(many)).into_string();
    assert!(text.contains("… 1 more of 21") && text.contains("k20"), "{text}");
}
