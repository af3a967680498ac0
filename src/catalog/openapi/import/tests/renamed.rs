//! Names of the release before in the owner's filter, and what the description of a tool tells.

use super::*;

fn document() -> Value {
    json!({
        "openapi": "3.0.0", "servers": [{"url": "https://h.example"}],
        "paths": {
            "/2015-03-31/widgets": {
                "get": {"operationId": "ListWidgets"}, "post": {"operationId": "MakeWidget"},
            },
            "/v1/pets": {"get": {"operationId": "listPets", "tags": ["pets"]},
                "post": {"operationId": "list", "tags": ["pets"]}},
        }
    })
}

fn kept(only: &[&str], except: &[&str]) -> Vec<String> {
    let patterns = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    let setting = Setting { only: patterns(only), except: patterns(except), ..Setting::default() };
    let imported = import(document().to_string().as_bytes(), &setting).unwrap();
    imported.tools.into_iter().map(|tool| tool.name).collect()
}

#[test]
fn a_filter_that_was_written_for_former_names_holds() {
    let all = ["widgets.list", "widgets.make", "pets.listPets", "pets.list"];
    assert_eq!(kept(&[], &[]), all);
    for (only, expected) in [
        ("_20150331.*", vec!["widgets.list", "widgets.make"]),
        ("_20150331.makeWidget", vec!["widgets.make"]),
        // A group that is new is meant as it is.
        ("widgets.*", vec!["widgets.list", "widgets.make"]),
        ("widgets.make", vec!["widgets.make"]),
        // This may have meant the other one only.
        ("*.list", vec!["pets.list"]),
        ("/2015-03-31/**", vec!["widgets.list", "widgets.make"]),
    ] {
        assert_eq!(kept(&[only], &[]), expected, "{only}");
    }
    for except in ["_20150331.makeWidget", "widgets.make", "*.makeWidget", "*.make"] {
        assert_eq!(
            kept(&[], &[except]),
            ["widgets.list", "pets.listPets", "pets.list"],
            "{except}"
        );
    }
}

#[test]
fn a_result_type_that_is_cut_says_so() {
    let fields = |n: usize| -> Map<String, Value> {
        (0..n).map(|n| (format!("field{n}"), json!({"type": "string"}))).collect()
    };
    let answer = |schema: &str| {
        json!({"200": {"description": "ok", "content": {"application/json": {
            "schema": {"$ref": format!("#/components/schemas/{schema}")}}}}})
    };
    let imported = read(&json!({
        "openapi": "3.0.0", "servers": [{"url": "https://h.example"}],
        "paths": {
            "/small": {"get": {"responses": answer("Small")}},
            "/deep": {"get": {"responses": answer("Deep")}},
            "/wide": {"get": {"responses": answer("Wide")}},
        },
        "components": {"schemas": {
            "Small": {"type": "object", "properties": fields(3)},
            "Wide": {"type": "object", "properties": fields(2_000)},
            "Deep": {"type": "object", "properties": {"a": {"$ref": "#/components/schemas/Half"},
                "b": {"$ref": "#/components/schemas/Other"}}},
            "Half": {"type": "object", "properties": fields(200)},
            "Other": {"type": "object", "properties": fields(250)},
        }}
    }));
    for (name, is_cut) in [("small.get", false), ("deep.get", true), ("wide.get", true)] {
        let tool = imported.tools.iter().find(|tool| tool.name == name).unwrap();
        let says_so = tool.description.contains("larger than the 10240 bytes that are kept");
        assert_eq!(says_so, is_cut, "{name}: {}", tool.description);
    }
}

#[test]
fn html_in_descriptions_becomes_text() {
    let imported = read(&json!({
        "openapi": "3.0.0", "servers": [{"url": "https://h.example"}],
        "paths": {"/charges": {"get": {
            "summary": "List <b>charges</b>",
            "description": "<p>Lists the details &amp; more, see <a href=\"https://d.example/c\">here\
                </a>.</p><ul><li>one</li><li>two</li></ul>",
        }}}
    }));
    assert_eq!(imported.tools[0].title.as_deref(), Some("List charges"));
    assert_eq!(
        imported.tools[0].description,
        "List charges.\n\nLists the details & more, see here (https://d.example/c).\n- one\n- \
         two\n\nGET /charges"
    );
}
