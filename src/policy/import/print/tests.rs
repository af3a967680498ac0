use proptest::prelude::*;
use serde_json::{Value, json};

use super::yaml;
use crate::policy::import::tree;

fn plain(value: &Value) -> String {
    yaml(value, &|_| vec![])
}

#[test]
fn a_policy_reads_as_a_person_would_write_it() {
    let file = json!({
        "version": "1",
        "default": "deny",
        "hide": ["github.delete_repository"],
        "tools": {
            "github.get_issue": {},
            "github.*": { "rules": [
                {
                    "name": "no drafts",
                    "require": [{ "path": "args.state", "op": "neq", "value": "draft" }],
                    "message": "no: drafts"
                },
                {
                    "name": "hourly",
                    "limit": { "max": 5, "window": "hour", "scope": ["workspace", "tool"] }
                },
            ] },
        },
    });
    let text = yaml(&file, &|pointer| match pointer {
        "/tools/github.get_issue" => vec!["read".into()],
        _ => vec![],
    });
    insta::assert_snapshot!(text, @r##"
    version: "1"
    default: deny
    hide: [github.delete_repository]
    tools:
      # read
      github.get_issue: {}
      "github.*":
        rules:
          - name: no drafts
            require:
              - {path: args.state, op: neq, value: draft}
            message: "no: drafts"
          - name: hourly
            limit: {max: 5, window: hour, scope: [workspace, tool]}
    "##);
}

#[test]
fn what_a_reader_might_take_for_something_else_stands_in_quotes() {
    for text in [
        "yes",
        "No",
        "1",
        "1e3",
        "",
        " a",
        "a ",
        "a: b",
        "a #b",
        "*",
        "&a",
        "-",
        "null",
        "~",
        "0x10",
        "12:30",
        "\u{202e}x",
        "\u{85}",
    ] {
        let page = plain(&json!({ "k": text }));
        assert_eq!(tree::read(&page).unwrap().to_value(), json!({ "k": text }), "{page}");
        assert!(page.is_ascii(), "{page}");
    }
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e9..1e9).prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        "[a-z*.:# -]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z*.~/ 0-9]{1,8}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_is_written_is_read_back(value in values()) {
        let file = json!({ "top": value });
        let text = plain(&file);
        prop_assert_eq!(tree::read(&text).ok().map(|node| node.to_value()), Some(file), "{}", text);
    }
}
