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

#[test]
fn unusual_references_lead_where_they_should() {
    let old = json!({
        "swagger": "2.0", "host": "h.example",
        "paths": {
            "/a": {"post": {
                "parameters": [
                    {"name": "q", "in": "query", "type": "integer"},
                    {"name": "b", "in": "body", "schema": {"type": "object", "required": ["x"]}},
                ],
                "responses": {"200": {"schema": {"type": "array", "items": {"$ref": "Pet"}}}}
            }},
            "/b": {"post": {
                "parameters": [
                    {"$ref": "#/paths/~1a/post/parameters/0"},
                    {"name": "b", "in": "body",
                        "schema": {"$ref": "#/paths/~1a/post/parameters/1/schema"}},
                ],
                "responses": {"200": {"$ref": "#/paths/~1a/post/responses/200"},
                    "201": {"schema": {"$ref": "#/responses/R/schema"}}}
            }},
            "/c": {"$ref": "#/x-paths/c"},
            "/d": {"get": {"responses": {"200": {"schema": {"$ref": "#definitions/Pet"}},
                "201": {"schema": {"$ref": "definitions/Pet"}},
                "202": {"schema": {"$ref": "#/definitions/Pet/properties/name"}},
                "203": {"schema": {"$ref": "Nobody"}}}}},
        },
        "x-paths": {"c": {"get": {"operationId": "c", "responses": {}}}},
        "responses": {"R": {"schema": {"type": "object", "title": "R"}}},
        "definitions": {"Pet": {"type": "object", "properties": {"name": {"type": "string"}}}},
    });
    let new = converted(old).unwrap();
    let target = |value: &Value| {
        let reference = value["$ref"].as_str().unwrap_or_else(|| panic!("{value}"));
        new.pointer(reference.strip_prefix('#').unwrap()).cloned()
    };
    let b = &new["paths"]["/b"]["post"];
    assert_eq!(
        (&b["parameters"][0]["name"], &b["parameters"][0]["in"]),
        (&json!("q"), &json!("query"))
    );
    let body = &b["requestBody"]["content"]["application/json"]["schema"];
    assert_eq!(target(body), Some(json!({"type": "object", "required": ["x"]})));
    let answer = &b["responses"]["200"]["content"]["application/json"]["schema"];
    let answer = answer.get("$ref").map_or(answer.clone(), |_| target(answer).unwrap());
    assert_eq!(answer["items"], json!({"$ref": "#/components/schemas/Pet"}));
    let inner = &b["responses"]["201"]["content"]["application/json"]["schema"];
    assert_eq!(target(inner).unwrap()["title"], "R");
    assert_eq!(new["paths"]["/c"]["get"]["operationId"], "c");
    let d = &new["paths"]["/d"]["get"]["responses"];
    for (status, kind) in [("200", "object"), ("201", "object"), ("202", "string")] {
        let schema = &d[status]["content"]["application/json"]["schema"];
        assert_eq!(target(schema).unwrap()["type"], kind, "{status}");
    }
    assert_eq!(d["203"]["content"]["application/json"]["schema"], json!({"$ref": "Nobody"}));
}

#[test]
fn unusual_references_are_bounded() {
    let parameters: Vec<Value> = (0..3_000)
        .map(|n| json!({"name": format!("p{n}"), "in": "query", "type": "string"}))
        .collect();
    let uses: Vec<Value> =
        (0..3_000).map(|n| json!({"$ref": format!("#/paths/~1a/get/parameters/{n}")})).collect();
    let new = converted(json!({"swagger": "2.0", "paths": {
        "/a": {"get": {"parameters": parameters}}, "/b": {"get": {"parameters": uses}}
    }}))
    .unwrap();
    let kept = new["components"]["schemas"].as_object().unwrap();
    assert_eq!(kept.keys().filter(|name| name.starts_with("elsewhere:")).count(), 2_000);
    // What one of them leads to may be the whole, and that many times over.
    let large: Vec<Value> = (0..2_000).map(|_| json!({"type": "string"})).collect();
    let uses: Vec<Value> = (0..2_000).map(|n| json!({"$ref": format!("#/x/{n}/..")})).collect();
    let many: Vec<Value> = (0..2_000).map(|n| json!({"$ref": format!("#/x/{n}")})).collect();
    let x: Vec<Value> = (0..2_000).map(|_| json!(large)).collect();
    let whole = json!({"swagger": "2.0", "x": x, "y": [uses, many], "paths": {}});
    assert_eq!(converted(whole), None);
}
