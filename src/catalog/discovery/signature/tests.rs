use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::{
    base::testing::CpuTimer,
    catalog::{discovery::declarations::all, tool::OfferedTool},
};

fn object(schema: Value) -> serde_json::Map<String, Value> {
    let Value::Object(map) = schema else { panic!("a schema is an object") };
    map
}

fn tool(name: &str, description: &str, input: Value, output: Option<Value>) -> Tool {
    let offered = OfferedTool {
        name: name.to_owned(),
        description: description.to_owned(),
        input_schema: object(input),
        output_schema: output.map(object),
        ..OfferedTool::default()
    };
    Tool::admit(&Arc::from("up"), offered).unwrap()
}

fn hint_of(input: Value) -> String {
    hint(&tool("t", "", input, None), "").to_string()
}

#[test]
fn a_hint_is_the_call_in_one_line() {
    let sum = tool(
        "get-sum",
        "",
        json!({
            "type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}},
            "required": ["a", "b"]
        }),
        Some(json!({"type": "object", "properties": {"sum": {"type": "number"}}})),
    );
    assert_eq!(
        &*hint(&sum, ""),
        r#"tools.up["get-sum"](args: { a: number; b: number }): Promise<{ sum?: number }>"#
    );
    for (input, expected) in [
        (json!({"type": "object"}), "()"),
        (json!({}), "()"),
        (
            json!({"type": "object", "properties": {"a": {"type": "string"}}}),
            "(args?: { a?: string })",
        ),
        (
            json!({"type": "object", "additionalProperties": {"type": "integer"}}),
            "(args?: Record<string, number>)",
        ),
        (
            json!({"properties": {"a": {"enum": ["x", 1, null]}}, "required": ["a"]}),
            r#"(args: { a: "x" | 1 | null })"#,
        ),
        (
            json!({"properties": {"a": {"type": ["string", "null"]}}}),
            "(args?: { a?: string | null })",
        ),
        (
            json!({"properties": {"a": {
                "type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "number"}]}
            }}}),
            "(args?: { a?: (string | number)[] })",
        ),
        (
            json!({"properties": {"a": {
                "prefixItems": [{"type": "string"}, {}], "type": "array"
            }}}),
            "(args?: { a?: [string, unknown] })",
        ),
        (
            json!({"properties": {"a-b": true, "c": {"const": "k"}}}),
            r#"(args?: { "a-b"?: unknown; c?: "k" })"#,
        ),
        (
            json!({"properties": {"a": {"allOf": [
                {"properties": {"x": {"type": "string"}}}, {"properties": {"y": {"type": "string"}}}
            ]}}}),
            "(args?: { a?: { x?: string } & { y?: string } })",
        ),
        (
            json!({
                "properties": {"a": {"$ref": "#/$defs/n"}}, "$defs": {"n": {"type": "integer"}}
            }),
            "(args?: { a?: number })",
        ),
        (json!({"properties": {"a": {"$ref": "https://x.example/s"}}}), "(args?: { a?: unknown })"),
    ] {
        assert_eq!(
            hint_of(input.clone()),
            format!("tools.up.t{expected}: Promise<unknown>"),
            "{input}"
        );
    }
}

#[test]
fn a_hint_of_a_wide_or_endless_schema_stays_short() {
    let wide: serde_json::Map<String, Value> =
        (0..200).map(|n| (format!("field{n}"), json!({"type": "string"}))).collect();
    assert_eq!(
        hint_of(json!({"properties": wide, "required": ["field1"]})),
        "tools.up.t(args: { field1: string /* and 199 more */ }): Promise<unknown>"
    );
    let endless = json!({"properties": {"next": {"$ref": "#"}}});
    let text = hint_of(endless);
    assert!(text.len() <= HINT_BYTES_MAX && text.contains("next?"), "{text}");
}

#[test]
fn a_schema_that_doubles_at_every_step_is_told_within_the_bound() {
    let mut definitions = serde_json::Map::new();
    for n in 0..60 {
        let next = json!({"$ref": format!("#/$defs/d{}", n + 1)});
        definitions.insert(format!("d{n}"), json!({"properties": {"a": next, "b": next}}));
    }
    definitions.insert("d60".to_owned(), json!({"type": "string"}));
    let tool = tool(
        "t",
        "",
        json!({"properties": {"a": {"$ref": "#/$defs/d0"}}, "$defs": definitions}),
        None,
    );
    let began = CpuTimer::start();
    hint(&tool, "");
    declaration(&tool, "");
    assert!(began.elapsed() < std::time::Duration::from_secs(2), "{:?}", began.elapsed());
}

#[test]
fn a_declaration_tells_everything_and_names_what_recurs() {
    let tree = tool(
        "trees.put-tree",
        "Stores a tree.\n\nReplaces the one of the same name. */ evil();",
        json!({
            "type": "object",
            "properties": {
                "name": {"type": "string", "description": "Its name", "maxLength": 40},
                "root": {"$ref": "#/$defs/Node"},
                "mode": {"enum": ["fast", "safe"], "default": "safe"},
            },
            "required": ["name", "root"],
            "$defs": {
                "Node": {
                    "description": "One node",
                    "type": "object",
                    "properties": {
                        "value": {"type": "integer"},
                        "children": {"type": "array", "items": {"$ref": "#/$defs/Node"}}
                    },
                    "required": ["value"],
                },
            },
        }),
        Some(json!({
            "type": "object", "properties": {"id": {"type": "string", "format": "uuid"}},
            "required": ["id"]
        })),
    );
    insta::assert_snapshot!(declaration(&tree, ""), @r###"
declare const tools: {
  up: {
    trees: {
      /**
       * Stores a tree.
       * Replaces the one of the same name. *\/ evil();
       */
      "put-tree"(args: TreesPutTreeArgs): Promise<TreesPutTreeResult>;
    };
  };
};

type TreesPutTreeArgs = {
  /**
   * Its name
   * Characters at most: 40
   */
  name: string;
  root: TreesPutTreeNode;
  /** Default: "safe" */
  mode?: "fast" | "safe";
};

/** One node */
type TreesPutTreeNode = {
  /** Integer */
  value: number;
  children?: TreesPutTreeNode[];
};

type TreesPutTreeResult = {
  /** Format: uuid */
  id: string;
};
"###);
}

#[test]
fn nothing_known_is_unknown_and_never_any() {
    let bare = declaration(&tool("t", "", json!({}), None), "");
    insta::assert_snapshot!(bare, @r###"
declare const tools: {
  up: {
    t(): Promise<TResult>;
  };
};

/** The upstream does not describe its result. A text that is an object or a list in JSON comes as its value. */
type TResult = unknown;
"###);
}

#[test]
fn all_tools_extend_the_tools_of_the_runtime_and_are_bounded() {
    let tools = [
        Arc::new(tool(
            "notes",
            "Reads one.",
            json!({"properties": {"id": {"type": "integer"}}, "required": ["id"]}),
            None,
        )),
        Arc::new(tool(
            "notes.list",
            "",
            json!({}),
            Some(json!({"type": "array", "items": {"type": "string"}})),
        )),
    ];
    insta::assert_snapshot!(all(tools.iter(), "", 10_000).unwrap(), @r#"
    // The tools that code may call, beside `typings/runtime.d.ts`. Written by `airlock tools types`.

    interface Tools {
      readonly up: {
        readonly notes: {
          /** Reads one. */
          (args: UpNotesArgs): Promise<UpNotesResult>;
          list(): Promise<UpNotesListResult>;
        };
      };
    }

    type UpNotesArgs = {
      /** Integer */
      id: number;
    };

    /** The upstream does not describe its result. A text that is an object or a list in JSON comes as its value. */
    type UpNotesResult = unknown;


    type UpNotesListResult = string[];
    "#);
    assert_eq!(all(tools.iter(), "", 100), None);
}

#[test]
fn a_type_that_is_made_of_itself_alone_is_unknown_and_one_that_holds_itself_is_named() {
    let circles = tool(
        "t",
        "",
        json!({
            "properties": {"one": {"$ref": "#/$defs/One"}, "map": {"$ref": "#/$defs/Map"}},
            "$defs": {
                "One": {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/Two"}]},
                "Two": {"$ref": "#/$defs/One"},
                "Map": {"type": "object", "additionalProperties": {"$ref": "#/$defs/Map"}},
            },
        }),
        None,
    );
    let got = declaration(&circles, "");
    for line in [
        "type TOne = string | TTwo;",
        "type TTwo = unknown;",
        "type TMap = { [key: string]: TMap };",
    ] {
        assert!(got.contains(line), "{line}: {got}");
    }
}

#[test]
fn a_hint_of_a_call_with_a_large_body_tells_what_the_body_must_have_and_leaves_the_result_out_first()
 {
    let many = |prefix: &str| -> serde_json::Map<String, Value> {
        (0..40).map(|n| (format!("{prefix}{n}"), json!({"type": ["string", "null"]}))).collect()
    };
    let mut body = many("setting");
    body.insert("title".to_owned(), json!({"oneOf": [{"type": "string"}, {"type": "integer"}]}));
    let create = tool(
        "issues.create",
        "",
        json!({
            "properties": {
                "owner": {"type": "string"}, "repo": {"type": "string"},
                "body": {"type": "object", "properties": body, "required": ["title"]},
                "$response": {"type": "boolean"},
            },
            "required": ["owner", "repo", "body"],
        }),
        Some(json!({"properties": many("field")})),
    );
    let expected = "tools.up.issues.create(args: { owner: string; repo: string; body: { title: \
        string | number /* and 40 more */ } /* and 1 more */ }): Promise<object>";
    assert_eq!(&*hint(&create, ""), expected);
    let optional = json!({
        "properties": {"body": {"type": "object", "properties": many("setting")}},
        "required": ["body"]
    });
    let expected = "tools.up.t(args: { body: { setting0?: string | null; setting1?: string | \
        null; setting10?: string | null /* and 37 more */ } }): Promise<unknown>";
    assert_eq!(hint_of(optional), expected.replace("setting10", "setting2"));
}

#[test]
fn declarations_of_schemas_that_refer_to_themselves_everywhere_are_bounded() {
    let many = |n: usize, of: &dyn Fn(usize) -> Value| -> serde_json::Map<String, Value> {
        (0..n).map(|at| (format!("f{at}"), of(at))).collect()
    };
    let names: Vec<String> = (0..5_000).map(|at| format!("f{at}")).collect();
    let began = CpuTimer::start();
    for schema in [
        json!({
            "type": "object", "properties": many(5_000, &|_| json!({"$ref": "#"})),
            "required": names
        }),
        json!({
            "properties": many(3_000, &|_| json!({"$ref": "#/$defs/c"})),
            "$defs": {"c": {"const": "x".repeat(100_000)}}
        }),
        json!({
            "properties": many(3_000, &|_| json!({"$ref": "#/$defs/e"})),
            "$defs": {"e": {"enum": names}}
        }),
        json!({
            "$ref": "#/$defs/f0",
            "$defs": many(3_000, &|at| json!({"allOf": [{"$ref": format!("#/$defs/f{}", at + 1)}]}))
        }),
        json!({"properties": many(
            3_000, &|at| json!({"$ref": format!("#/$defs/{}", "-".repeat(at % 50) + "a")})
        ),
            "$defs": (0..50).map(|at| (
                "-".repeat(at) + "a", json!({"type": vec!["object"; 9]})
            )).collect::<serde_json::Map<_,
            _>>()}),
    ] {
        let hostile = tool("t", "", schema.clone(), Some(schema));
        let declared = declaration(&hostile, "");
        assert!(declared.len() < 2_000_000, "{} bytes", declared.len());
        assert!(hint(&hostile, "").len() < 2_000, "{} bytes", hint(&hostile, "").len());
    }
    assert!(began.elapsed() < std::time::Duration::from_secs(10), "{:?}", began.elapsed());
}
