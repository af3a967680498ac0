use serde_json::json;

use super::*;

/// Upper bound on the steps of validating the value; none if it is over a million or unbounded.
fn steps(schema: Value, value: Value) -> Option<u64> {
    ValidationCost::of(&schema).ok()?.on(&value, 1_000_000)
}

/// Each of `n` schemas leads to the next through a keyword that has it `width` times.
fn fan(n: usize, keyword: &str, width: usize) -> Value {
    let link = |at: usize| json!({ keyword: vec![json!({"$ref": format!("#/$defs/a{}", at + 1)}); width] });
    let mut all: Map<String, Value> = (0..n).map(|at| (format!("a{at}"), link(at))).collect();
    all.insert(format!("a{n}"), json!({"type": "string"}));
    json!({"$ref": "#/$defs/a0", "$defs": all})
}

#[test]
fn plain_schemas_cost_a_few_steps_for_each_value() {
    let schema = json!({
        "type": "object",
        "properties": {
            "title": {"type": "string"}, "labels": {"type": "array", "items": {"type": "string"}}
        },
        "required": ["title"],
    });
    assert!(steps(schema.clone(), json!({"title": "x"})).unwrap() < 20);
    let many = steps(schema, json!({"title": "x", "labels": vec!["a"; 10_000]})).unwrap();
    assert!((10_000..50_000).contains(&many), "{many}");
}

#[test]
fn forms_that_refer_to_forms_are_counted_as_often_as_they_are_asked() {
    for keyword in ["anyOf", "oneOf", "allOf"] {
        let few = steps(fan(8, keyword, 2), json!({})).unwrap();
        assert!((1 << 8..1 << 12).contains(&few), "{few}");
        assert_eq!(steps(fan(40, keyword, 2), json!({})), None);
        assert_eq!(steps(fan(100, keyword, 100), json!({})), None);
    }
}

#[test]
fn recursion_counts_by_the_depth_of_the_value() {
    let twice = json!({"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [
        {"properties": {"x": {"$ref": "#/$defs/a"}}}, {"properties": {"x": {"$ref": "#/$defs/a"}}},
    ]}}});
    let nested = |depth: usize| (0..depth).fold(json!({}), |inner, _| json!({"x": inner}));
    assert!(steps(twice.clone(), nested(5)).is_some());
    assert_eq!(steps(twice, nested(40)), None);
    let once =
        json!({"$ref": "#/$defs/a", "$defs": {"a": {"properties": {"x": {"$ref": "#/$defs/a"}}}}});
    assert!(steps(once, nested(100)).unwrap() < 2_000);
}

#[test]
fn what_has_no_bound_or_cannot_be_told_is_said_to_be_so() {
    let refused = |schema: Value| ValidationCost::of(&schema).err().unwrap();
    let circle = json!({
        "$ref": "#/$defs/a",
        "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/b"}]}, "b": {"not": {"$ref": "#/$defs/a"}}}
    });
    assert_eq!(refused(circle), "it refers to itself with no value between");
    assert!(refused(fan(HEIGHT_MAX, "allOf", 1)).contains("apply to one value in a row"));
    assert!(refused(json!({"items": {"$dynamicRef": "#a"}})).contains("`$dynamicRef`"));
    assert!(refused(json!({"items": {"$ref": "https://h/s"}})).contains("leads out of it"));
    assert!(
        refused(json!({"items": {"$id": "https://h/", "$ref": "#/x"}})).contains("`$id` within")
    );
    let mut left_over = fan(16, "anyOf", 2);
    left_over["unevaluatedProperties"] = json!(false);
    assert!(refused(left_over).contains("`unevaluatedProperties`"));
    let patterns: Map<String, Value> =
        (0..=PATTERNS_MAX).map(|at| (format!("^{at}$"), json!({}))).collect();
    assert!(
        refused(json!({"patternProperties": patterns})).contains("513 patterns; the limit is 512")
    );
}

#[test]
fn a_property_that_is_called_like_a_keyword_is_a_property() {
    assert!(
        ValidationCost::of(&json!({
            "properties": {"$id": {"$ref": "#/$defs/a"}, "$ref": {"type": "string"}},
            "$defs": {"a": {}}
        }))
        .is_ok()
    );
}

#[test]
fn patterns_that_go_back_and_forth_count_for_much() {
    let texts = json!(vec!["aaaaaaaaaaaaaaaaaaaaaaaa"; 1_000]);
    assert!(steps(json!({"items": {"pattern": "^[a-z-]+$"}}), texts.clone()).is_some());
    for hard in ["^(a|a)*\\1$", "^(?=(a+)+$)", "^a{1,500}$"] {
        assert_eq!(steps(json!({"items": {"pattern": hard}}), texts.clone()), None, "{hard}");
    }
}
