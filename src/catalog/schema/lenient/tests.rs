use jsonschema::validator_for;

use super::*;

/// What becomes of a schema, and the places that no value fits.
fn relaxed(mut schema: Value) -> (Value, Vec<String>) {
    let places = relax(&mut schema);
    (schema, places)
}

fn takes(schema: &Value, value: Value) -> bool {
    let schema = any_of_for_one_of(schema);
    validator_for(&schema).unwrap_or_else(|error| panic!("{error}: {schema}")).is_valid(&value)
}

fn closed(fields: Value) -> Value {
    json!({"type": "object", "properties": fields, "additionalProperties": false})
}

#[test]
fn a_field_with_a_default_need_not_be_given_wherever_it_is_required() {
    let scale = json!({"enum": ["css", "device"], "default": "css"});
    let inner = json!({"type": "object", "properties": {"depth": {"default": null}, "id": {}},
        "required": ["depth", "id"]});
    let (plain, _) = relaxed(json!({
        "type": "object", "required": ["scale", "inner", "name"],
        "properties": {"scale": scale, "inner": inner, "name": {"type": "string"}}
    }));
    assert_eq!(plain["required"], json!(["inner", "name"]));
    assert!(takes(&plain, json!({"name": "x", "inner": {"id": 1}})));
    assert!(!takes(&plain, json!({"name": "x", "inner": {}})));
    assert!(!takes(&plain, json!({"inner": {"id": 1}})), "what has no default is still needed");
    // The default may stand in another part, or in what the field refers to.
    let (parts, _) = relaxed(json!({
        "allOf": [{"$ref": "#/$defs/Base"}, {"required": ["scale", "unit"]}],
        "$defs": {
            "Base": {"type": "object", "properties": {"scale": scale, "unit": {"$ref": "#/$defs/Unit"}}},
            "Unit": {"type": "string", "default": "px"}
        }
    }));
    assert!(takes(&parts, json!({})) && !takes(&parts, json!({"scale": "x"})), "{parts}");
    // What must not fit is left as it is.
    let not = json!({"not": {"required": ["a"], "properties": {"a": {"default": 1}}}});
    assert_eq!(relaxed(not.clone()).0, not);
}

#[test]
fn closed_parts_of_a_whole_allow_each_others_fields_and_no_others() {
    let base = closed(json!({"key": {"type": "string"}}));
    let count = json!({"type": "object", "properties": {"count": {"type": "integer"}},
        "additionalProperties": false, "required": ["count"]});
    let open = json!({"type": "object", "properties": {"more": {"type": "string"}}});
    let definitions = json!({"Base": base});
    let reference = json!({"$ref": "#/$defs/Base"});
    for (name, parts, good, bad) in [
        (
            "two closed parts",
            json!({"allOf": [base, count]}),
            json!({"key": "a", "count": 1}),
            json!({"key": "a", "count": 1, "other": 2}),
        ),
        (
            "a closed base that is extended",
            json!({"allOf": [reference, open]}),
            json!({"key": "a", "more": "m"}),
            json!({"key": "a", "other": 2}),
        ),
        (
            "a closed base beside fields",
            json!({"allOf": [reference], "properties": {"more": {}}}),
            json!({"key": "a", "more": 1}),
            json!({"other": 2}),
        ),
        (
            "parts within parts",
            json!({"allOf": [{"allOf": [reference, open]}, count]}),
            json!({"key": "a", "more": "m", "count": 1}),
            json!({"count": 1, "other": 2}),
        ),
        (
            "closed forms beside fields",
            json!({"properties": {"more": {}}, "oneOf": [reference, count], "type": "object"}),
            json!({"key": "a", "more": 1}),
            json!({"count": 1, "other": 1}),
        ),
    ] {
        let mut whole = parts;
        whole["$defs"] = definitions.clone();
        let (schema, places) = relaxed(whole);
        assert!(takes(&schema, good), "{name}: {schema}");
        assert!(!takes(&schema, bad), "{name}: {schema}");
        assert_eq!(places, Vec::<String>::new(), "{name}");
    }
    // Alone the base is as closed as before.
    let (schema, _) = relaxed(json!({
        "properties": {"alone": reference, "whole": {"allOf": [reference, open]}},
        "$defs": definitions
    }));
    assert!(!takes(&schema, json!({"alone": {"key": "a", "more": "m"}})), "{schema}");
    assert!(takes(&schema, json!({"whole": {"key": "a", "more": "m"}})), "{schema}");
    // A type of a field is checked as ever.
    let (schema, _) = relaxed(json!({"allOf": [base, count]}));
    assert!(!takes(&schema, json!({"key": "a", "count": "x"})));
    // One closed part alone is left as it is.
    let alone = json!({"allOf": [base]});
    assert_eq!(relaxed(alone.clone()).0, alone);
    // Where a part is open in one form, the whole is.
    let (schema, _) =
        relaxed(json!({"type": "object", "properties": {"a": {}}, "anyOf": [base, open]}));
    assert!(takes(&schema, json!({"a": 1, "more": "m", "other": 1})), "{schema}");
}

#[test]
fn what_only_answers_have_is_needed_by_no_part_and_taken_back_where_nothing_else_is() {
    let id = || json!({ABSENT: "Only in answers."});
    let (schema, _) = relaxed(json!({
        "allOf": [{"type": "object", "properties": {"id": id()}}, {"required": ["id", "label"],
            "properties": {"label": {"type": "string"}}}]
    }));
    assert!(takes(&schema, json!({"label": "x"})) && !takes(&schema, json!({"id": 1})), "{schema}");
    assert!(!schema.to_string().contains("\"id\"") && !schema.to_string().contains('$'));
    let (schema, _) = relaxed(closed(json!({"id": id(), "label": {"type": "string"}})));
    assert_eq!(schema["properties"]["id"], json!({"description": "Only in answers."}));
    assert!(takes(&schema, json!({"id": 7, "label": "x"})) && !takes(&schema, json!({"ids": 7})));
    let mut answer = closed(json!({"secret": id(), "label": {}}));
    answer["required"] = json!(["secret", "label"]);
    without_absent(&mut answer);
    assert_eq!(
        answer,
        json!({
            "type": "object", "properties": {"label": {}}, "additionalProperties": false,
            "required": ["label"]
        })
    );
}

#[test]
fn a_value_may_fit_several_forms_and_must_fit_one() {
    let forms = json!({"oneOf": [{"type": "integer"}, {"type": "number"}, {"minimum": 5}]});
    assert!(takes(&forms, json!(7)) && takes(&forms, json!(1.5)));
    assert!(!takes(&json!({"oneOf": [{"type": "integer"}, {"type": "null"}]}), json!("x")));
    let both =
        json!({"anyOf": [{"type": "string"}], "oneOf": [{"minLength": 1}, {"maxLength": 3}]});
    assert!(takes(&both, json!("ab")) && !takes(&both, json!(3)));
    // Left alone: values, and what must not fit.
    for same in [json!({"const": {"oneOf": [1]}}), json!({"not": {"oneOf": [{}, {}]}})] {
        assert_eq!(any_of_for_one_of(&same), same);
    }
    // A reference may lead through forms.
    let through = json!({"properties": {
        "a": {"oneOf": [{"type": "string"}, {"minLength": 0}, {"type": "number"}]},
        "b": {"$ref": "#/properties/a/oneOf/0"},
    }});
    assert!(takes(&through, json!({"a": "x", "b": "y"})), "{}", any_of_for_one_of(&through));
    assert!(!takes(&through, json!({"a": "x", "b": 1})));
    // Fields may be called as keywords are.
    let called = json!({"properties": {"not": {"oneOf": [{"type": "integer"}, {"minimum": 0}]},
        "default": {"oneOf": [{"type": "integer"}, {"minimum": 0}]}}});
    assert!(takes(&called, json!({"not": 1, "default": 1})));
}

#[test]
fn what_must_not_fit_is_kept_to_the_letter_down_to_what_it_refers_to() {
    let a = json!({"type": "object", "required": ["a"], "properties": {"a": {"default": 1}}});
    let forms = json!({"oneOf": [{"type": "integer"}, {"type": "number", "minimum": 0}]});
    let never = json!({"type": "string", "enum": [1]});
    let nested = json!({"allOf": [{"$ref": "#/$defs/A"}]});
    let definitions = json!({"A": a, "Forms": forms, "Never": never, "Nested": nested});
    for (name, schema, good, bad) in [
        (
            "a definition with a default",
            json!({"not": {"$ref": "#/$defs/A"}}),
            json!({}),
            json!({"a": 1}),
        ),
        ("through another", json!({"not": {"$ref": "#/$defs/Nested"}}), json!({}), json!({"a": 1})),
        (
            "forms that are counted",
            json!({"properties": {"x": {"not": {"$ref": "#/$defs/Forms"}}}}),
            json!({"x": 5}),
            json!({"x": -1}),
        ),
        (
            "what no value fits",
            json!({"properties": {"x": {"not": {"$ref": "#/$defs/Never"}}}, "required": ["x"]}),
            json!({"x": 5}),
            json!({}),
        ),
        (
            "a condition",
            json!({"if": {"$ref": "#/$defs/A"}, "then": {"required": ["b"]}}),
            json!({}),
            json!({"a": 1}),
        ),
        (
            "a condition with another way",
            json!({"if": {"properties": {"k": {"const": 1}}, "required": ["k"]},
                "then": {"required": ["b"]}, "else": {"required": ["c"]}}),
            json!({"c": 1}),
            json!({"k": 1}),
        ),
        (
            "items that are counted",
            json!({"properties": {"l": {"type": "array", "contains": {"$ref": "#/$defs/A"},
                "maxContains": 1}}}),
            json!({"l": [{"a": 1}, {}]}),
            json!({"l": []}),
        ),
    ] {
        let mut whole = schema;
        whole["$defs"] = definitions.clone();
        let (schema, _) = relaxed(whole);
        assert!(takes(&schema, good), "{name}: {schema}");
        assert!(!takes(&schema, bad), "{name}: {schema}");
    }
    // The same definition, where it must fit, is relaxed.
    let (both, _) = relaxed(json!({
        "properties": {"yes": {"$ref": "#/$defs/A"}, "no": {"not": {"$ref": "#/$defs/A"}}},
        "$defs": definitions,
    }));
    assert!(takes(&both, json!({"yes": {}, "no": {}})) && !takes(&both, json!({"no": {"a": 1}})));
    // What refers to itself is copied once.
    let ring = json!({"type": "object", "properties": {"next": {"$ref": "#/$defs/Ring"},
        "a": {"default": 1}}, "required": ["a"]});
    let (ring, _) = relaxed(json!({"not": {"$ref": "#/$defs/Ring"}, "$defs": {"Ring": ring}}));
    assert!(takes(&ring, json!({})) && !takes(&ring, json!({"a": 1})), "{ring}");
    assert_eq!(ring["$asWritten"].as_object().unwrap().len(), 1);
}

#[test]
fn what_must_not_fit_is_given_up_where_it_is_too_much_to_keep() {
    let definitions: Map<String, Value> = (0..100)
        .map(|n| {
            let next = json!({"$ref": format!("#/$defs/D{}", (n + 1) % 100)});
            let fields = json!({"a": {"default": 1}, "next": next});
            (format!("D{n}"), json!({"properties": fields, "required": ["a"]}))
        })
        .collect();
    let (schema, _) = relaxed(json!({
        "not": {"$ref": "#/$defs/D0"},
        "properties": {"if": {"type": "string"}, "then": {"type": "string"}, "not": {"type": "string"}},
        "if": {"$ref": "#/$defs/D1"}, "then": false, "else": false,
        "$defs": definitions,
    }));
    assert!(takes(&schema, json!({"a": 1, "not": "x"})) && takes(&schema, json!({})), "{schema}");
    assert!(!takes(&schema, json!({"if": 1})), "fields that are called so are checked: {schema}");
    let missing = json!({"not": {"$ref": "#/$defs/Gone"}});
    assert!(takes(&relaxed(missing).0, json!({})));
}

#[test]
fn what_no_value_fits_is_found_told_and_left_to_the_service() {
    for (part, inner) in [
        (json!({"allOf": [{"type": "string"}, {"type": "object"}]}), ""),
        (json!({"type": "string", "enum": [1, 2]}), ""),
        (json!({"enum": ["a"], "allOf": [{"enum": ["b"]}]}), ""),
        (json!({"type": "integer", "minimum": 10, "maximum": 1}), ""),
        (json!({"type": "string", "minLength": 4, "maxLength": 2}), ""),
        (json!({"type": "array", "minItems": 3, "maxItems": 1}), ""),
        (json!({"type": "object", "required": ["b"], "additionalProperties": false}), ""),
        (json!({"type": "object", "required": ["b"], "properties": {"b": false}}), ""),
        (
            json!({"type": "object", "required": ["b"],
            "properties": {"b": {"type": "number", "minimum": 2, "maximum": 1}}}),
            ".b",
        ),
        (json!({"anyOf": [{"type": "string", "enum": [1]}, {"allOf": [false]}]}), ""),
        (json!({"type": "array", "minItems": 1, "items": {"enum": []}}), "[]"),
        (json!({"$ref": "#/$defs/Ring"}), "Ring"),
    ] {
        let (schema, places) = relaxed(json!({
            "type": "object", "required": ["a"], "properties": {"a": part, "c": {"type": "string"}},
            "$defs": {"Ring": {"type": "object", "required": ["next"],
                "properties": {"next": {"$ref": "#/$defs/Ring"}}}}
        }));
        let told: Vec<&str> =
            places.iter().map(String::as_str).filter(|place| !place.starts_with("Ring")).collect();
        let wanted = if inner.starts_with("Ring") { vec![] } else { vec![format!("a{inner}")] };
        assert_eq!(told, wanted, "{part}");
        assert!(places.contains(&"Ring".to_owned()), "{places:?}");
        let any = if inner.is_empty() { json!(5) } else { json!({"b": 1, "next": 2}) };
        let any = if inner == "[]" { json!([1]) } else { any };
        assert!(takes(&schema, json!({"a": any})), "{part}: {schema}");
        assert!(!takes(&schema, json!({"a": any, "c": 1})), "the rest is checked: {schema}");
    }
}

#[test]
fn what_some_value_fits_is_left_alone() {
    for schema in [
        json!({"type": "object", "properties": {"gone": false}, "additionalProperties": false}),
        json!({"allOf": [{"type": "number"}, {"type": "integer", "minimum": 1}]}),
        json!({"enum": [1, "a"], "type": ["string", "integer"]}),
        json!({"enum": [1.0], "type": "integer"}),
        json!({"anyOf": [{"allOf": [false]}, {"type": "string"}]}),
        json!({"type": "object", "required": ["next"],
            "properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}}),
        json!({"$ref": "#/$defs/Node", "$defs": {"Node": {"type": "object", "required": ["below"],
            "properties": {"below": {"type": "array", "items": {"$ref": "#/$defs/Node"}}}}}}),
        json!({"allOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}], "$defs": {
            "A": {"$ref": "#/$defs/Base"}, "B": {"allOf": [{"$ref": "#/$defs/Base"}]},
            "Base": {"type": "object", "required": ["x"], "properties": {"x": {}}}}}),
        json!({"type": "object", "required": ["anything"]}),
        json!({"exclusiveMinimum": 0, "maximum": 0, "type": ["integer", "string"]}),
    ] {
        assert_eq!(relaxed(schema.clone()), (schema.clone(), Vec::<String>::new()), "{schema}");
    }
}

#[test]
fn second_forms_are_bounded_and_the_same_whole_needs_one() {
    let definitions: Map<String, Value> = (0..200)
        .map(|n| {
            let fields = json!({format!("f{n}"): {"type": "string"}});
            (format!("D{n}"), closed(fields))
        })
        .collect();
    let wholes: Map<String, Value> = (0..200)
        .map(|n| {
            let part = json!({"$ref": format!("#/$defs/D{n}")});
            (format!("p{n}"), json!({"allOf": [part, {"properties": {"more": {}}}]}))
        })
        .collect();
    let (schema, _) = relaxed(json!({"properties": wholes, "$defs": definitions}));
    let known = schema["$defs"].as_object().unwrap();
    assert_eq!(known.len(), 200 + VARIANTS_MAX);
    assert!(takes(&schema, json!({"p0": {"f0": "a", "more": 1}})));
}

#[test]
fn the_search_for_what_no_value_fits_is_bounded() {
    // Each of forty levels refers to the next one many times.
    let definitions: Map<String, Value> = (0..40)
        .map(|n| {
            let next = json!({"$ref": format!("#/$defs/L{}", n + 1)});
            let fields: Map<String, Value> =
                (0..10).map(|field| (format!("f{field}"), next.clone())).collect();
            let required: Vec<String> = fields.keys().cloned().collect();
            let forms: Vec<Value> = (0..10).map(|_| next.clone()).collect();
            (
                format!("L{n}"),
                json!({"type": "object", "properties": fields,
                "required": required, "anyOf": forms}),
            )
        })
        .collect();
    let began = std::time::Instant::now();
    let (_, places) = relaxed(json!({"$ref": "#/$defs/L0", "$defs": definitions}));
    assert_eq!(places, Vec::<String>::new());
    assert!(began.elapsed() < std::time::Duration::from_secs(20));
}
