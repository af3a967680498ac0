//! Idioms of schemas that JSON Schema 2020-12 does not have, and that generators write all the
//! same: `nullable` and exclusive limits as flags (OpenAPI 3.0), patterns between slashes
//! (JavaScript). Pure.

use serde_json::{Map, Value, json};

use super::lenient::OPTIONAL;

/// Flags of a schema that takes null besides.
const NULLABLE: [&str; 4] = ["nullable", "x-nullable", "x-isnullable", "x-is-nullable"];
/// Deepest nesting that is read; what is deeper stays as it is.
const DEPTH_MAX: usize = 120;

/// Returns true if a flag is set; some tools write it as a text.
pub(in crate::catalog) fn flag(object: &Map<String, Value>, key: &str) -> bool {
    match object.get(key) {
        Some(Value::Bool(flag)) => *flag,
        Some(Value::String(text)) => text.trim().eq_ignore_ascii_case("true"),
        _ => false,
    }
}

/// Returns true if a schema takes null besides: in the way of 3.0, which stays behind in documents
/// that were raised to 3.1, or of tools that extend either.
pub(in crate::catalog) fn is_nullable(schema: &Map<String, Value>) -> bool {
    NULLABLE.iter().any(|key| flag(schema, key))
}

/// The schema, and `null` besides.
pub(in crate::catalog) fn nullable(schema: Value) -> Value {
    let Value::Object(mut map) = schema else { return schema };
    if map.is_empty() {
        return Value::Object(map);
    }
    let null = || Value::from("null");
    let plain = !["$ref", "allOf", "anyOf", "oneOf", "const", "not"]
        .iter()
        .any(|key| map.contains_key(*key));
    if plain && (map.contains_key("type") || map.contains_key("enum")) {
        match map.get_mut("type") {
            Some(Value::Array(kinds)) if !kinds.contains(&null()) => kinds.push(null()),
            Some(kind @ Value::String(_)) => *kind = json!([kind.take(), "null"]),
            _ => {}
        }
        if let Some(Value::Array(options)) = map.get_mut("enum")
            && !options.contains(&Value::Null)
        {
            options.push(Value::Null);
        }
        return Value::Object(map);
    }
    // What is said of the place and not of its value stays outside.
    let of_place: Vec<(&str, Value)> = ["description", "default", OPTIONAL]
        .into_iter()
        .filter_map(|key| Some((key, map.shift_remove(key)?)))
        .collect();
    let mut out = json!({"anyOf": [Value::Object(map), {"type": "null"}]});
    for (key, value) in of_place {
        out[key] = value;
    }
    out
}

/// The regular expression that a pattern means: some write it as JavaScript does, between slashes.
/// None where the flags behind them change what it matches, or it may be either.
pub(in crate::catalog) fn of_literal(pattern: &str) -> Option<&str> {
    let Some((inner, flags)) = pattern.strip_prefix('/').and_then(|rest| rest.rsplit_once('/'))
    else {
        return Some(pattern);
    };
    if inner.is_empty() || !flags.chars().all(|flag| "dgimsuvy".contains(flag)) {
        return Some(pattern);
    }
    let is_anchored = inner.starts_with('^') || inner.ends_with('$');
    let is_plain = flags.chars().all(|flag| "dguvy".contains(flag));
    (is_plain && (is_anchored || !flags.is_empty())).then_some(inner)
}

/// Puts what JSON Schema has in the place of these idioms. What must not fit a value stays as it is
/// written, since more could fit it otherwise.
pub(in crate::catalog) fn translate(schema: &mut Value) {
    translate_at(schema, 0);
}

fn translate_at(schema: &mut Value, depth: usize) {
    let Value::Object(map) = schema else { return };
    if depth > DEPTH_MAX {
        return;
    }
    for (key, value) in map.iter_mut() {
        match (key.as_str(), value) {
            (
                "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas",
                Value::Object(schemas),
            ) => schemas.values_mut().for_each(|schema| translate_at(schema, depth + 1)),
            ("allOf" | "anyOf" | "oneOf" | "prefixItems" | "items", Value::Array(schemas)) => {
                schemas.iter_mut().for_each(|schema| translate_at(schema, depth + 1));
            }
            (
                "items"
                | "additionalItems"
                | "additionalProperties"
                | "unevaluatedProperties"
                | "unevaluatedItems"
                | "contains"
                | "then"
                | "else",
                inner,
            ) => translate_at(inner, depth + 1),
            _ => {}
        }
    }
    translate_patterns(map);
    translate_limits(map);
    if is_nullable(map) {
        NULLABLE.iter().for_each(|key| drop(map.shift_remove(*key)));
        *schema = nullable(schema.take());
    }
}

fn translate_patterns(map: &mut Map<String, Value>) {
    if let Some(pattern) = map.get("pattern").and_then(Value::as_str) {
        match of_literal(pattern).map(str::to_owned) {
            Some(pattern) => drop(map.insert("pattern".to_owned(), pattern.into())),
            None => drop(map.shift_remove("pattern")),
        }
    }
    if let Some(Value::Object(fields)) = map.get_mut("patternProperties") {
        let translated = std::mem::take(fields).into_iter();
        *fields = translated
            .filter_map(|(pattern, field)| Some((of_literal(&pattern)?.to_owned(), field)))
            .collect();
    }
}

/// In 3.0 a flag beside a limit makes it exclusive.
fn translate_limits(map: &mut Map<String, Value>) {
    for (limit, exclusive) in [("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")] {
        let Some(Value::Bool(is_exclusive)) = map.get(exclusive) else { continue };
        if !is_exclusive {
            map.shift_remove(exclusive);
        } else if let Some(value) = map.shift_remove(limit) {
            map.insert(exclusive.to_owned(), value);
        } else {
            map.shift_remove(exclusive);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translated(mut schema: Value) -> Value {
        translate(&mut schema);
        schema
    }

    #[test]
    fn a_flag_for_null_becomes_the_type_wherever_it_stands() {
        let field = json!({"type": "string", "nullable": true});
        let own = json!({"type": ["string", "null"]});
        assert_eq!(
            translated(json!({"properties": {"a": field, "nullable": {"type": "boolean"}}})),
            json!({"properties": {"a": own, "nullable": {"type": "boolean"}}})
        );
        assert_eq!(translated(json!({"items": field})), json!({"items": own}));
        assert_eq!(translated(json!({"$defs": {"x": field}})), json!({"$defs": {"x": own}}));
        assert_eq!(
            translated(json!({"$ref": "#/$defs/x", "nullable": true})),
            json!({"anyOf": [{"$ref": "#/$defs/x"}, {"type": "null"}]})
        );
        assert_eq!(
            translated(json!({"type": "string", "enum": ["a"], "nullable": true})),
            json!({"type": ["string", "null"], "enum": ["a", null]})
        );
        for same in [
            json!({"type": "string", "default": {"nullable": true}}),
            json!({"not": {"type": "string", "nullable": true}}),
            json!({"enum": [{"nullable": true}]}),
        ] {
            assert_eq!(translated(same.clone()), same);
        }
    }

    #[test]
    fn a_pattern_between_slashes_is_the_one_between_them() {
        let pattern = |pattern: &str| translated(json!({"pattern": pattern}));
        assert_eq!(pattern("/^[0-9]+$/"), json!({"pattern": "^[0-9]+$"}));
        assert_eq!(pattern("/ab+/u"), json!({"pattern": "ab+"}));
        assert_eq!(pattern("/^[a-z]+$/i"), json!({}));
        assert_eq!(pattern("^/v1/"), json!({"pattern": "^/v1/"}));
        assert_eq!(
            translated(json!({"patternProperties": {"/^x-/u": {}, "/^y$/i": {}, "^z": {}}})),
            json!({"patternProperties": {"^x-": {}, "^z": {}}})
        );
    }

    #[test]
    fn flags_make_limits_exclusive() {
        assert_eq!(
            translated(json!({"minimum": 0, "exclusiveMinimum": true})),
            json!({"exclusiveMinimum": 0})
        );
        assert_eq!(
            translated(json!({"maximum": 9, "exclusiveMaximum": false})),
            json!({"maximum": 9})
        );
        assert_eq!(translated(json!({"exclusiveMaximum": 9})), json!({"exclusiveMaximum": 9}));
    }
}
