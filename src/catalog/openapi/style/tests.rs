use serde_json::json;

use super::*;

fn spelling(style: &str, explode: bool) -> Spelling {
    Spelling { style: Style::of(style).unwrap(), explode, reserved: false }
}

#[test]
fn every_style_writes_what_the_specification_shows() {
    let (plain, list, object) =
        (json!("blue"), json!(["blue", "black", "brown"]), json!({"R": 100, "G": 200, "B": 150}));
    for (style, explode, of_plain, of_list, of_object) in [
        ("matrix", false, ";color=blue", ";color=blue,black,brown", ";color=R,100,G,200,B,150"),
        (
            "matrix",
            true,
            ";color=blue",
            ";color=blue;color=black;color=brown",
            ";R=100;G=200;B=150",
        ),
        ("label", false, ".blue", ".blue,black,brown", ".R,100,G,200,B,150"),
        ("label", true, ".blue", ".blue.black.brown", ".R=100.G=200.B=150"),
        ("simple", false, "blue", "blue,black,brown", "R,100,G,200,B,150"),
        ("simple", true, "blue", "blue,black,brown", "R=100,G=200,B=150"),
    ] {
        let spelling = spelling(style, explode);
        let written = [&plain, &list, &object].map(|value| spelling.in_path("color", value));
        assert_eq!(written, [of_plain, of_list, of_object], "{style} {explode}");
        if style == "simple" {
            assert_eq!(
                [&plain, &list, &object].map(|value| spelling.in_header(value)),
                [of_plain, of_list, of_object]
            );
        }
    }
    for (style, in_header, in_path) in [
        ("spaceDelimited", "blue black brown", "blue%20black%20brown"),
        ("tabDelimited", "blue\tblack\tbrown", "blue%09black%09brown"),
        ("pipeDelimited", "blue|black|brown", "blue%7Cblack%7Cbrown"),
    ] {
        let spelling = spelling(style, false);
        assert_eq!(spelling.in_header(&list), in_header);
        assert_eq!(spelling.in_path("color", &list), in_path);
    }
    for (style, explode, of_list, of_object) in [
        ("form", false, "color=blue,black,brown", "color=R,100,G,200,B,150"),
        ("form", true, "color=blue&color=black&color=brown", "R=100&G=200&B=150"),
        (
            "spaceDelimited",
            false,
            "color=blue%20black%20brown",
            "color=R%20100%20G%20200%20B%20150",
        ),
        ("tabDelimited", false, "color=blue%09black%09brown", "color=R%09100%09G%09200%09B%09150"),
        ("pipeDelimited", false, "color=blue%7Cblack%7Cbrown", "color=R%7C100%7CG%7C200%7CB%7C150"),
        (
            "deepObject",
            true,
            "color%5B%5D=blue&color%5B%5D=black&color%5B%5D=brown",
            "color%5BR%5D=100&color%5BG%5D=200&color%5BB%5D=150",
        ),
    ] {
        let spelling = spelling(style, explode);
        let written = [&list, &object].map(|value| spelling.pairs("color", value).join("&"));
        assert_eq!(written, [of_list, of_object], "{style} {explode}");
        assert_eq!(spelling.pairs("color", &plain), ["color=blue"], "{style}");
    }
}

#[test]
fn nested_values_are_told_by_brackets_or_as_json() {
    let value = json!({"a": {"b": [1, {"c": true}], "d": ["x", null]}, "e": null});
    assert_eq!(
        spelling("deepObject", true).pairs("f", &value),
        [
            "f%5Ba%5D%5Bb%5D%5B0%5D=1",
            "f%5Ba%5D%5Bb%5D%5B1%5D%5Bc%5D=true",
            "f%5Ba%5D%5Bd%5D%5B%5D=x"
        ]
    );
    assert_eq!(spelling("form", true).pairs("f", &json!([{"a": 1}])), ["f=%7B%22a%22%3A1%7D"]);
}

#[test]
fn nothing_is_left_out_rather_than_written_empty() {
    for style in ["form", "spaceDelimited", "pipeDelimited", "deepObject"] {
        for explode in [false, true] {
            for value in [json!(null), json!([]), json!([null]), json!({}), json!({"a": null})] {
                assert_eq!(
                    spelling(style, explode).pairs("x", &value),
                    [""; 0],
                    "{style} {explode} {value}"
                );
            }
        }
    }
    assert_eq!(spelling("form", true).pairs("x", &json!("")), ["x="]);
}

#[test]
fn no_value_leaves_its_place() {
    let hostile = json!("../a?b=c&d#e;f/g%2f+\r\n");
    assert_eq!(
        spelling("simple", false).in_path("x", &hostile),
        "..%2Fa%3Fb%3Dc%26d%23e%3Bf%2Fg%252f%2B%0D%0A"
    );
    assert_eq!(
        spelling("form", true).pairs("x&y", &hostile),
        ["x%26y=..%2Fa%3Fb%3Dc%26d%23e%3Bf%2Fg%252f%2B%0D%0A"]
    );
    let reserved = Spelling { reserved: true, ..spelling("form", true) };
    assert_eq!(reserved.pairs("x", &json!("a/b?c=d&e#f+%")), ["x=a/b?c=d%26e%23f%2B%25"]);
}
