use super::*;

#[test]
fn what_is_shared_stays_shared() {
    let old = json!({
        "swagger": "2.0", "host": "h.example",
        "parameters": {"P": {"name": "p", "in": "query", "type": "string"}, "B": {"in": "body", "name": "b", "schema": {"type": "object"}},
            "F": {"name": "f", "in": "formData", "type": "file"}},
        "paths": {
            "/a": {"post": {"parameters": [{"$ref": "#/parameters/P"}, {"$ref": "#/parameters/B"}]}},
            "/b": {"post": {"parameters": [{"$ref": "#/parameters/F"}], "responses": {"200": {"$ref": "#/responses/R"}}}},
        },
        "responses": {"R": {"schema": {"$ref": "#/definitions/D"}}},
        "definitions": {"D": {"type": "object", "discriminator": "kind"}},
    });
    let new = converted(old);
    assert_eq!(new["servers"], json!([{"url": "//h.example/"}]));
    let a = &new["paths"]["/a"]["post"];
    assert_eq!(a["parameters"], json!([{"$ref": "#/components/parameters/P"}]));
    assert_eq!(a["requestBody"], json!({"$ref": "#/components/requestBodies/B"}));
    let b = &new["paths"]["/b"]["post"];
    let field = &b["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]["f"];
    assert_eq!(field["$ref"], "#/components/schemas/field:F");
    assert_eq!(new["components"]["schemas"]["field:F"], json!({"type": "string", "format": "binary"}));
    assert_eq!(b["responses"]["200"]["$ref"], "#/components/responses/R");
    let answer = &new["components"]["responses"]["R"]["content"]["application/json"]["schema"];
    assert_eq!(answer["$ref"], "#/components/schemas/D");
    assert_eq!(new["components"]["schemas"]["D"]["discriminator"], json!({"propertyName": "kind"}));
}
