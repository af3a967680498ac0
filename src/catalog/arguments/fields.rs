//! Finds the schema of a mistyped or misplaced field, and the fields beside it. Schemas come from
//! the upstream, so the number of them that are searched is bounded.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::{
    catalog::schema::{example, reference},
    model::JsonObject,
};

/// Unknown names that are told of one object.
pub(super) const UNKNOWN_MAX: usize = 6;

/// Forms within forms that are gone into, to tell what is wrong with the one that was meant.
pub(super) const FORMS_MAX: usize = 4;

/// Allowed values that are listed at once.
pub(super) const OPTIONS_MAX: usize = 12;

/// Names of fields that are looked at, for the one that was meant.
pub(super) const PROPERTIES_MAX: usize = 500;

/// Combined forms that are looked at for one field.
const SCHEMAS_MAX: usize = 60;
/// Objects that are looked into for a field that stands beside them.
const INNER_MAX: usize = 64;

/// The one field that is an object with a field of this name, as the body of a request is beside
/// what stands in its address.
pub(super) fn belongs<'a>(schema: &'a Value, root: &Value, name: &str) -> Option<&'a str> {
    let fields = schema.get("properties")?.as_object()?;
    let objects = fields
        .iter()
        .take(PROPERTIES_MAX)
        .filter(|(_, field)| reference::resolved(field, root).is_some_and(example::is_object));
    let mut inner = objects
        .take(INNER_MAX)
        .filter(|(_, field)| properties(Some(field), root).iter().any(|known| known == name));
    let (only, None) = (inner.next()?, inner.next()) else { return None };
    Some(only.0)
}

/// The arguments, with first fields that stand beside the object they belong in moved into it.
pub(super) fn moved(root: &Value, given: &Value) -> Value {
    let (Some(schema), Some(fields)) = (reference::resolved(root, root), given.as_object()) else {
        return given.clone();
    };
    let known: HashSet<String> = properties(Some(schema), root).into_iter().collect();
    let mut moved = fields.clone();
    for (name, value) in
        fields.iter().filter(|(name, _)| !known.contains(*name)).take(UNKNOWN_MAX * 2)
    {
        let Some(inner) = belongs(schema, root, name) else { continue };
        // Laid out flat, an issue's own `body` stands in the place of the request's.
        let itself =
            moved.get(inner).filter(|given| !given.is_object() && !given.is_null()).cloned();
        if let Some(itself) = itself.filter(|_| belongs(schema, root, inner) == Some(inner)) {
            moved.insert(inner.to_owned(), json!({ inner: itself }));
        }
        if let Value::Object(inner) = moved.entry(inner).or_insert_with(|| json!({})) {
            inner.entry(name).or_insert_with(|| value.clone());
        }
    }
    Value::Object(moved)
}

/// The schema at a place in the arguments, as far as properties, items, combined forms and local
/// references lead.
pub(super) fn part<'a>(root: &'a Value, args: &Value, pointer: &str) -> Option<&'a Value> {
    let mut schema = reference::resolved(root, root)?;
    let mut value = args;
    for segment in pointer.split('/').skip(1) {
        let segment = segment.replace("~1", "/").replace("~0", "~");
        value = match value {
            Value::Array(items) => items.get(segment.parse::<usize>().ok()?)?,
            Value::Object(map) => map.get(&segment)?,
            _ => return None,
        };
        schema = step(schema, root, &segment, FORMS_MAX)?;
    }
    Some(schema)
}

/// The schema of a field or an item, here or in one of the forms that this one combines.
pub(super) fn step<'a>(
    schema: &'a Value,
    root: &'a Value,
    segment: &str,
    forms_left: usize,
) -> Option<&'a Value> {
    let place = segment.parse::<usize>().ok();
    let mut ahead = vec![(schema, forms_left)];
    for _ in 0..SCHEMAS_MAX {
        let (schema, forms_left) = ahead.pop()?;
        let named = schema.get("properties").and_then(|properties| properties.get(segment));
        let listed = || match schema.get("prefixItems").or_else(|| schema.get("items"))? {
            Value::Array(places) => places.get(place?),
            items => place.and(Some(items)),
        };
        let found = named
            .or_else(listed)
            .or_else(|| schema.get("additionalProperties").filter(|rest| rest.is_object()));
        if let Some(found) = found {
            return reference::resolved(found, root);
        }
        if forms_left > 0 {
            // The first form is looked at first, and what it combines before the second.
            let forms =
                ["oneOf", "anyOf", "allOf"].iter().filter_map(|name| schema.get(name)?.as_array());
            let forms = forms.flat_map(|forms| forms[..forms.len().min(SCHEMAS_MAX)].iter().rev());
            ahead.extend(
                forms.filter_map(|form| Some((reference::resolved(form, root)?, forms_left - 1))),
            );
        }
    }
    None
}

/// The names of the fields, those of all the forms that the schema combines.
pub(super) fn properties(schema: Option<&Value>, root: &Value) -> Vec<String> {
    let mut names = Vec::new();
    let mut seen: HashSet<&str> = HashSet::new();
    let mut looks_left = PROPERTIES_MAX * 2;
    let mut ahead: Vec<(&Value, usize)> =
        schema.into_iter().map(|schema| (schema, FORMS_MAX)).collect();
    for _ in 0..SCHEMAS_MAX {
        let Some((schema, forms_left)) = ahead.pop() else { break };
        let Some(schema) = reference::resolved(schema, root) else { continue };
        let fields = schema
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flat_map(JsonObject::keys);
        for name in fields.take(looks_left) {
            looks_left -= 1;
            if names.len() < PROPERTIES_MAX && seen.insert(name) {
                names.push(name.clone());
            }
        }
        if forms_left > 0 && names.len() < PROPERTIES_MAX {
            let forms =
                ["oneOf", "anyOf", "allOf"].iter().filter_map(|name| schema.get(name)?.as_array());
            ahead.extend(
                forms
                    .flat_map(|forms| forms.iter().take(OPTIONS_MAX))
                    .map(|form| (form, forms_left - 1)),
            );
        }
    }
    names
}

/// `/a/0/b` as `a[0].b`.
pub(super) fn field(pointer: &str) -> String {
    pointer.split('/').skip(1).fold(String::new(), |path, segment| {
        let segment = segment.replace("~1", "/").replace("~0", "~");
        match segment.parse::<usize>() {
            Ok(index) => format!("{path}[{index}]"),
            Err(_) => joined(&path, &segment),
        }
    })
}

pub(super) fn joined(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
}
