use super::*;

const ALL: Detail = Detail { words: 100, limits: true, references: 64, bytes_max: 10_000 };

fn built(
    schemas: Value,
    top: Value,
    detail: Detail,
) -> Result<(Value, Map<String, Value>), TooLarge> {
    let document =
        Document::new(json!({"openapi": "3.1.0", "components": {"schemas": schemas}, "top": top}))
            .unwrap();
    let schemas = Schemas::new(&document);
    let mut builder = Builder::new(&schemas, Direction::Request, detail);
    let top = builder.top(document.get("top").unwrap())?;
    Ok((top, builder.definitions()?))
}

#[test]
fn what_is_small_is_put_in_its_place_and_what_is_large_has_a_name() {
    let large: Map<String, Value> =
        (0..30).map(|n| (format!("p{n}"), json!({"type": "string"}))).collect();
    let schemas = json!({"Small": {"type": "string", "enum": ["a", "b"]}, "Large": {
        "type": "object", "properties": large
    },
        "a b": {"$ref": "#/components/schemas/Large"},
        "x/Large": {"type": "object", "properties": large}});
    let top = json!({"type": "object", "properties": {
        "small": {"$ref": "#/components/schemas/Small"},
        "large": {"$ref": "#/components/schemas/Large"},
        "again": {"$ref": "#/components/schemas/Large"},
        "other": {"$ref": "#/components/schemas/x~1Large"},
        "spaced": {"$ref": "#/components/schemas/a%20b"},
        "lost": {"$ref": "#/components/schemas/None"},
    }});
    let (top, definitions) = built(schemas, top, ALL).unwrap();
    assert_eq!(top["properties"]["small"], json!({"type": "string", "enum": ["a", "b"]}));
    assert_eq!(top["properties"]["large"], json!({"$ref": "#/$defs/Large"}));
    assert_eq!(top["properties"]["again"], json!({"$ref": "#/$defs/Large"}));
    assert_eq!(top["properties"]["other"], json!({"$ref": "#/$defs/x1Large"}));
    assert_eq!(top["properties"]["spaced"], json!({"$ref": "#/$defs/a20b"}));
    assert_eq!(top["properties"]["lost"], json!({}));
    assert_eq!(definitions.keys().collect::<Vec<_>>(), ["Large", "x1Large", "a20b"]);
    assert_eq!(definitions["a20b"], json!({"$ref": "#/$defs/Large"}));
}

#[test]
fn a_bound_on_size_and_depth_holds() {
    let circle = json!({"A": {
        "type": "object",
        "properties": {
            "next": {"$ref": "#/components/schemas/A"},
            "b": {"type": "string", "description": "word"}
        }
    }});
    let top = json!({"$ref": "#/components/schemas/A"});
    let (top_schema, definitions) = built(circle.clone(), top.clone(), ALL).unwrap();
    assert_eq!(top_schema["properties"]["next"], json!({"$ref": "#/$defs/A"}));
    assert_eq!(definitions.len(), 1);
    let (got, definitions) =
        built(circle.clone(), top.clone(), Detail { references: 0, words: 0, ..ALL }).unwrap();
    assert_eq!(got["properties"], json!({"next": {}, "b": {"type": "string"}}));
    assert!(definitions.is_empty());
    assert_eq!(built(circle, top, Detail { bytes_max: 60, ..ALL }), Err(TooLarge));
    let mut deep = json!({"type": "string"});
    for _ in 0..90 {
        deep = json!({"type": "array", "items": deep});
    }
    let (got, _) = built(json!({}), deep, ALL).unwrap();
    assert_eq!(got.to_string().matches("array").count(), DEPTH_MAX + 1);
}

#[test]
fn names_stay_apart_and_long_rows_of_references_end() {
    let large: Map<String, Value> = (0..30).map(|n| (format!("p{n}"), json!(true))).collect();
    let names = ["x/A", "A", "y/A", "A-2", "z/A"];
    let mut schemas: Map<String, Value> = Map::new();
    let mut top = Map::new();
    for (at, name) in names.iter().enumerate() {
        schemas.insert((*name).to_owned(), json!({"properties": large}));
        let last = name.rsplit('/').next().unwrap();
        // The part before the last is kept in the pointer, not in the name.
        let folder = name.strip_suffix(last).unwrap().replace('/', "~1");
        top.insert(
            format!("p{at}"),
            json!({"$ref": format!("#/components/schemas/{folder}{last}")}),
        );
    }
    let (_, definitions) = built(Value::Object(schemas), json!({"properties": top}), ALL).unwrap();
    assert_eq!(definitions.len(), names.len(), "{:?}", definitions.keys().collect::<Vec<_>>());
    let row: Map<String, Value> = (0..50_000)
        .map(|n| {
            (
                format!("S{n}"),
                json!({"items": {"$ref": format!("#/components/schemas/S{}", n + 1)}}),
            )
        })
        .collect();
    let row = Value::Object(row);
    let (_, definitions) =
        built(row.clone(), json!({"$ref": "#/components/schemas/S0"}), ALL).unwrap();
    assert_eq!(definitions.len(), ALL.references);
    let (got, definitions) =
        built(row, json!({"$ref": "#/components/schemas/S0"}), Detail { references: 3, ..ALL })
            .unwrap();
    assert_eq!((got, definitions.len()), (json!({"items": {"$ref": "#/$defs/S1"}}), 3));
}

#[test]
fn what_stands_beside_a_reference_counts() {
    let schemas = json!({"S": {"type": "string"}});
    let top = json!({
        "type": "object",
        "properties": {"a": {
            "$ref": "#/components/schemas/S", "maxLength": 3, "description": "Short"
        }}
    });
    let (top, _) = built(schemas, top, ALL).unwrap();
    assert_eq!(
        top["properties"]["a"],
        json!({"allOf": [
            {"type": "string", "description": "Short"}, {"maxLength": 3, "description": "Short"}
        ]})
    );
}

#[test]
fn what_must_not_fit_is_kept_whole_or_not_at_all() {
    let fields: Map<String, Value> =
        (0..30).map(|n| (format!("p{n}"), json!({"type": "string", "minLength": 3}))).collect();
    let schemas = json!({
        "Named": {"type": "object", "required": ["a"], "properties": {"a": {"const": 1}}},
        "Long": {"type": "object", "properties": fields, "required": ["p0"]},
        "Odd": {"type": "string", "contentMediaType": "x/y"},
        "Read": {"type": "object", "properties": {"id": {"type": "string", "readOnly": true}}},
    });
    let refers = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
    let few = Detail { references: 0, limits: false, ..ALL };
    for (denied, by_all, by_few) in [
        (json!({"required": ["a"]}), true, true),
        (json!({"enum": ["a", "b"]}), true, true),
        (json!({"anyOf": [{"required": ["a"]}, {"required": ["b"]}]}), true, true),
        (refers("Named"), true, false),
        (refers("Long"), true, false),
        (json!({"minLength": 2}), true, false),
        (refers("Odd"), false, false),
        (refers("Read"), false, false),
        (refers("Gone"), false, false),
        (json!({"oneOf": [{"type": "string"}, {"minLength": 2}]}), false, false),
    ] {
        for (detail, is_kept) in [(ALL, by_all), (few, by_few)] {
            let top = json!({"not": denied, "if": denied, "then": {"type": "string"}});
            let (top, _) = built(schemas.clone(), top, detail).unwrap();
            for key in ["not", "if", "then"] {
                assert_eq!(top.get(key).is_some(), is_kept, "{key} of {denied}: {top}");
            }
        }
    }
}
