//! The declarations of all tools, as the TypeScript compiler takes them.

use std::{path::Path, process::Command};

use serde_json::{Value, json};

use super::started;
use crate::support::upstream::{demo, open};

/// Schemas as services write them, and as nobody should.
fn awkward() -> Vec<Value> {
    let tool = |name: &str, input: Value, output: Value| {
        let mut tool =
            json!({"name": name, "description": "Does */ it.\n@param {x} y", "inputSchema": input});
        if !output.is_null() {
            tool["outputSchema"] = output;
        }
        tool
    };
    let object = |properties: Value| json!({"type": "object", "properties": properties});
    let mut tree = object(
        json!({"value": {"type": "integer"}, "children": {"type": "array", "items": {"$ref": "#/$defs/Node"}}}),
    );
    tree["$defs"] = json!({"Node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}, "any": {"$ref": "#"}}}});
    let mut circles = object(json!({
        "self": {"$ref": "#/$defs/Self"}, "one": {"$ref": "#/$defs/One"},
        "map": {"$ref": "#/$defs/Map"},
        "either": {"$ref": "#/$defs/Either"}, "nowhere": {"$ref": "#/$defs/Nowhere"},
        "list": {"$ref": "#/$defs/List"},
    }));
    circles["$defs"] = json!({
        "Self": {"$ref": "#/$defs/Self"},
        "One": {"$ref": "#/$defs/Two"}, "Two": {"$ref": "#/$defs/One"},
        "Map": {"type": "object", "additionalProperties": {"$ref": "#/$defs/Map"}},
        "Either": {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/Either"}]},
        "List": {"type": "array", "items": {"$ref": "#/$defs/List"}},
    });
    vec![
        tool(
            "tree.put",
            tree,
            json!({"$ref": "#/$defs/T", "type": "object", "$defs": {"T": {"type": "object", "properties": {"a-b": {"const": "x"}}}}}),
        ),
        tool("circles", circles, Value::Null),
        tool(
            "forms",
            object(json!({
                "tuple": {"prefixItems": [{"type": "string"}, {"type": "number"}], "minItems": 1, "items": {"type": "boolean"}},
                "nullable": {"type": "string", "nullable": true, "enum": ["a", "b"]},
                "constant": {"const": {"a": [1, "two", null]}},
                "both": {"allOf": [{"type": "object", "properties": {"a": {"type": "string"}}}, {"type": "object", "required": ["b"]}]},
                "either": {"oneOf": [{"type": "object", "properties": {"kind": {"const": "a"}}}, {"type": "null"}]},
                "record": {"type": "object", "additionalProperties": {"type": ["number", "null"]}},
                "patterns": {"type": "object", "patternProperties": {"^x-": {"type": "string"}}},
                "open": {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": {"type": "number"}},
                "nothing": false, "anything": true, "class": {"type": "string"},
                "2nd": {"type": "string"}, "a\"b\nc": {"type": "string"},
                "old": {"type": "string", "deprecated": true, "description": "line one\nline */ \
                    two"},
            })),
            json!({"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}),
        ),
        // A tool and a namespace in one, and names that fall together once they are types.
        tool("forms.inner", json!({"type": "object"}), Value::Null),
        tool("forms-inner", json!({"type": "object", "properties": {"a": {}}}), Value::Null),
        tool("delete", json!({"type": "object"}), Value::Null),
    ]
}

/// Checks declarations and a program against them; whether there is a compiler, and what it said.
fn compiled(folder: &Path, types: &str, program: &str) -> Option<(bool, String)> {
    if Command::new("node").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "node is needed for the TypeScript compiler");
        eprintln!("skipped: node is needed for the TypeScript compiler");
        return None;
    }
    let (declared, checked) = (folder.join("tools.d.ts"), folder.join("program.ts"));
    std::fs::write(&declared, types).unwrap();
    std::fs::write(&checked, program).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("typings/check.sh");
    let said = Command::new("sh").arg(script).args([declared, checked]).output().unwrap();
    Some((
        said.status.success(),
        String::from_utf8_lossy(&said.stdout).into_owned() + &String::from_utf8_lossy(&said.stderr),
    ))
}

#[tokio::test]
async fn the_declarations_of_all_tools_pass_the_compiler_and_hold_programs_to_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("offer.json");
    std::fs::write(&file, Value::from(awkward()).to_string()).unwrap();
    let catalog =
        started(vec![demo("awk-ward", &["--offer", file.to_str().unwrap()]), demo("demo", &[])])
            .await;
    let types = catalog.types(None, &open).await.unwrap();
    assert!(
        !types.contains("any;") && !types.contains(": any") && !types.contains("<any"),
        "{types}"
    );
    let right = r#"
        const { sum } = await tools.demo.add({ a: 1, b: 2 });
        const all: { id: number; text: string }[] = (await tools.demo.notes.list()).notes;
        const done = await tools["awk-ward"].forms({ tuple: ["a", 1, true], nullable: null, constant: { a: [1, "two", null] }, record: { x: null } });
        await tools["awk-ward"].forms.inner();
        await tools["awk-ward"].circles({ map: { a: { b: {} } }, list: [[[]]] });
        await tools["awk-ward"].tree.put({ value: 1, children: [{ next: { next: {} } }] });
        return [sum.toFixed(), all.length, done.ok satisfies boolean];
    "#;
    if let Some((fine, said)) = compiled(folder.path(), &types, right) {
        assert!(fine, "{said}\n{types}");
        for wrong in [
            "return await tools.demo.add({ a: 1 });",
            "return await tools.demo.add({ a: 1, b: \"2\" });",
            "return (await tools.demo.add({ a: 1, b: 2 })).total;",
            "return await tools[\"awk-ward\"].forms({ nullable: \"c\" });",
            "return await tools[\"awk-ward\"].forms({ tuple: [1] });",
        ] {
            let (fine, said) = compiled(folder.path(), &types, wrong).unwrap();
            assert!(!fine && said.contains("program.ts"), "{wrong}: {said}");
        }
    }
    assert_eq!(
        catalog.types(Some("demo.notes"), &open).await.unwrap().matches("Promise<").count(),
        2
    );
    catalog.shutdown().await;
}

#[tokio::test]
async fn an_mcp_tool_asks_for_no_more_than_its_server_needs() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("offer.json");
    let scale = json!({"type": "string", "enum": ["css", "device"], "default": "css"});
    let closed = |name: &str| {
        json!({"type": "object", "properties": {name: {"type": "string"}}, "required": [name],
            "additionalProperties": false})
    };
    let offer = json!([
        // As zod writes a field with a default, and an intersection.
        {"name": "snap", "inputSchema": {"type": "object", "additionalProperties": false,
            "required": ["scale"], "properties": {"scale": scale}}},
        {"name": "both", "inputSchema": {"type": "object", "allOf": [closed("a"), closed("b")]}},
        {"name": "odd", "inputSchema": {"type": "object", "required": ["size"], "properties": {
            "size": {"type": "integer", "minimum": 5, "maximum": 1}, "name": {"type": "string"}}}},
    ]);
    std::fs::write(&file, offer.to_string()).unwrap();
    let catalog = started(vec![demo("demo", &["--offer", file.to_str().unwrap()])]).await;
    let checked = async |name: &str, args: Value| {
        let tool = catalog.resolve(&format!("demo.{name}"), &open).await.unwrap();
        catalog.check(&tool, &args.to_string()).await.map(Value::Object)
    };
    for (name, args) in [
        ("snap", json!({})),
        ("snap", json!({"scale": "device"})),
        ("both", json!({"a": "x", "b": "y"})),
        ("odd", json!({"size": 3})),
    ] {
        // Nothing is filled in: what is decided about is what is sent.
        assert_eq!(checked(name, args.clone()).await, Ok(args), "{name}");
    }
    for (name, args) in [
        ("snap", json!({"scale": "x"})),
        ("snap", json!({"size": 1})),
        ("both", json!({"a": "x"})),
        ("both", json!({"a": "x", "b": "y", "c": 1})),
        ("odd", json!({"size": 3, "name": 1})),
    ] {
        assert!(checked(name, args.clone()).await.is_err(), "{name} {args}");
    }
    let described = catalog.describe("demo.snap", &open).await.unwrap().typescript;
    assert!(described.contains("scale?: \"css\" | \"device\""), "{described}");
    let note = catalog.status().remove(0).message.unwrap();
    assert!(
        note.contains(
            "tools with arguments that are not checked, because their schema admits nothing: 1, \
            the first `size` of `odd`"
        ),
        "{note}"
    );
    catalog.shutdown().await;
}
