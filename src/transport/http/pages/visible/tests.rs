use serde_json::value::to_raw_value;

use super::*;

fn shown(text: &str) -> String {
    visible(text, true).into_string()
}

fn json(value: &Value) -> String {
    super::value(&Written::read(&to_raw_value(value).unwrap())).into_string()
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
    let text = json(&value);
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
    let text = json(&serde_json::json!({ "מאת": "אבג", "amount": [100, "דה"] }));
    let alone = |piece: &str| text.contains(&format!(" dir=\"ltr\">&quot;{piece}&quot;</bdi>"));
    assert!(["מאת", "אבג", "דה"].into_iter().all(alone), "{text}");
}

#[test]
fn a_long_text_shows_its_beginning_and_the_rest_unfolds() {
    let text = json(&Value::from(format!("begin {}", "x".repeat(5000))));
    let (head, rest) = text.split_once("<details").expect("it folds");
    assert!(head.contains("a string of 5006 characters") && head.contains("begin xxx"), "{head}");
    assert_eq!(head.matches('x').count() + rest.matches('x').count(), 5000, "it is whole");
    let whole = json(&Value::from("x".repeat(300)));
    assert!(!whole.contains("<details") && whole.contains(&"x".repeat(300)), "{whole}");
}

#[test]
fn what_is_marked_stays_so_where_its_word_is_divided() {
    // The letters of another script stand on one side of the fold, the rest of the word on the
    // other; a code point is not divided.
    for (before, word) in [(298, "pa\u{443}pal"), (296, "\u{440}ay"), (299, "\u{202e}a")] {
        let text = json(&Value::from(format!("{} {word}", "x".repeat(before))));
        assert!(text.contains("mark class=\"strange\"") || text.contains(">\\u{202e}<"), "{text}");
        assert!(!text.contains('\u{202e}'), "{text}");
    }
}

#[test]
fn a_brief_text_says_that_it_was_cut() {
    assert_eq!(brief("abcdef", 4).into_string(), "abcd…");
    assert_eq!(brief("abcd", 4).into_string(), "abcd");
    let cut = brief("pa\u{443}pal", 2).into_string();
    assert_eq!(cut, "pa…");
}

#[test]
fn numbers_are_shown_with_every_digit() {
    let raw = serde_json::value::RawValue::from_string(
        r#"{"id":12345678901234567890123,"rate":1.50}"#.to_owned(),
    );
    let text = super::value(&Written::read(&raw.unwrap())).into_string();
    assert!(text.contains("12345678901234567890123") && text.contains("1.50"), "{text}");
}

#[test]
fn names_in_messages_are_set_apart_and_stay_harmless() {
    assert_eq!(
        prose("The `open` profile asks, `<b>` too.").into_string(),
        "The <code>open</code> profile asks, <code>&lt;b&gt;</code> too."
    );
    assert_eq!(prose("a ` alone").into_string(), "a ` alone");
    assert!(prose("`a\u{202e}b`").into_string().contains("\\u{202e}"));
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
    let text = json(&serde_json::json!({ "list": list, "few": [1, 2] }));
    assert_eq!(text.matches("<details").count(), 1, "{text}");
    let (head, rest) = text.split_once("<details class=\"more\"><summary>").expect("it folds");
    assert!(head.contains(">19</bdi>,\n") && !head.contains(">20</bdi>,"), "{head}");
    assert!(
        rest.contains("… 37 more of 57</summary>    <bdi dir=\"ltr\">20</bdi>,\n")
            && rest.contains("    <bdi dir=\"ltr\">56</bdi>\n</details>  ]"),
        "{rest}"
    );
    let many: serde_json::Map<_, _> =
        (0..21).map(|n| (format!("k{n:02}"), serde_json::json!(n))).collect();
    let text = json(&Value::Object(many));
    assert!(text.contains("… 1 more of 21") && text.contains("k20"), "{text}");
}
