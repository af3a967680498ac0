use super::*;

#[test]
fn what_is_shared_stays_shared() {
    let old = json!({
        "swagger": "2.0", "host": "h.example",
        "parameters": {"P": {"name": "p", "in": "query", "type": "string"}, "B": {
            "in": "body", "name": "b", "schema": {"type": "object"}
        },
            "F": {"name": "f", "in": "formData", "type": "file"}},
        "paths": {
            "/a": {"post": {"parameters": [
                {"$ref": "#/parameters/P"}, {"$ref": "#/parameters/B"}
            ]}},
            "/b": {"post": {
                "parameters": [{"$ref": "#/parameters/F"}],
                "responses": {"200": {"$ref": "#/responses/R"}}
            }},
        },
        "responses": {"R": {"schema": {"$ref": "#/definitions/D"}}},
        "definitions": {"D": {"type": "object", "discriminator": "kind"}},
    });
    let new = converted(old).unwrap();
    assert_eq!(new["servers"], json!([{"url": "//h.example/"}]));
    let a = &new["paths"]["/a"]["post"];
    assert_eq!(a["parameters"], json!([{"$ref": "#/components/parameters/P"}]));
    assert_eq!(a["requestBody"], json!({"$ref": "#/components/requestBodies/B"}));
    let b = &new["paths"]["/b"]["post"];
    let field = &b["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]["f"];
    assert_eq!(field["$ref"], "#/components/schemas/field:F");
    assert_eq!(
        new["components"]["schemas"]["field:F"],
        json!({"type": "string", "format": "binary"})
    );
    assert_eq!(b["responses"]["200"]["$ref"], "#/components/responses/R");
    let answer = &new["components"]["responses"]["R"]["content"]["application/json"]["schema"];
    assert_eq!(answer["$ref"], "#/components/schemas/D");
    assert_eq!(new["components"]["schemas"]["D"]["discriminator"], json!({"propertyName": "kind"}));
}

#[test]
fn what_a_path_says_for_all_its_operations_stands_once() {
    let large: Vec<String> = (0..1_000).map(|at| format!("option {at}")).collect();
    let types: Vec<String> = (0..8).map(|at| format!("application/vnd.{at}+json")).collect();
    let mut item = json!({"parameters": [
        {
            "in": "body", "name": "b",
            "schema": {"type": "object", "properties": {"a": {"enum": large}}}
        },
        {"in": "query", "name": "q", "type": "array", "items": {"type": "string", "enum": large}},
    ]});
    for method in METHODS {
        item[method] = json!({"responses": {"200": {
            "description": "", "schema": {"type": "array", "items": {"enum": ["a", "b"]}}
        }}});
    }
    let new = converted(
        json!({"swagger": "2.0", "consumes": types, "produces": types, "paths": {"/a": item}}),
    )
    .unwrap();
    assert_eq!(new.to_string().matches("option 999").count(), 2);
    let schema =
        &new["paths"]["/a"]["put"]["requestBody"]["content"]["application/vnd.7+json"]["schema"];
    let name = schema["$ref"].as_str().unwrap().strip_prefix("#/components/schemas/").unwrap();
    assert_eq!(new["components"]["schemas"][name]["properties"]["a"]["enum"][999], "option 999");
}

#[test]
fn what_becomes_too_much_is_refused_before_it_is_made() {
    let types: Vec<String> = (0..8).map(|at| format!("application/vnd.{at}+json")).collect();
    let responses: Map<String, Value> = (0..20_000)
        .map(|at| (at.to_string(), json!({"schema": {"$ref": "#/definitions/D"}})))
        .collect();
    let mut item = json!({});
    for method in METHODS {
        item[method] = json!({"responses": responses});
    }
    assert_eq!(
        converted(json!({"swagger": "2.0", "produces": types, "paths": {"/a": item}})),
        None
    );
}
