//! Turns the arguments of a field into the JSON Schema that calls are checked against.
//!
//! Input objects and enumerations stand under `$defs`, each once, so that recursion is named. A
//! schema that would be too large is told with less: first without descriptions, then less deep;
//! always the same for the same service.

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet, VecDeque},
};

use apollo_compiler::{Name, ast::Type};
use serde_json::{Value, json};

use super::schema::{Field, InputValue, ServiceSchema, TypeKind};
use crate::{base::text::cut, model::JsonObject};

/// Values of an enumeration that are told where it is used; a longer one stands under `$defs`.
const INLINE_VALUES_MAX: usize = 12;
/// Values of an enumeration that are told at all; of a longer one only that it is a text.
const VALUES_MAX: usize = 2_000;
/// Longest description of one thing, in bytes.
const DESCRIPTION_BYTES_MAX: usize = 400;
/// Levels of detail, from full to minimal: depth of input objects, and whether descriptions are
/// kept.
const SHRINKING: [(usize, bool); 7] =
    [(64, true), (64, false), (4, false), (3, false), (2, false), (1, false), (0, false)];

/// Size of each type's schema within the bytes that a tool may have, computed once for all fields
/// that take it.
#[derive(Default)]
pub(super) struct Sizes(RefCell<HashMap<Name, usize>>);

impl Sizes {
    /// The first of [`SHRINKING`] with which the type alone is not too much already.
    fn first(&self, service: &ServiceSchema, name: &Name, bytes_max: usize) -> usize {
        if let Some(first) = self.0.borrow().get(name) {
            return *first;
        }
        let fits = |(depth_max, is_described): &(usize, bool)| {
            let mut writer = Writer::new(service, *depth_max, *is_described, bytes_max);
            writer.of_name(name, false, 0);
            writer.definitions().is_some()
        };
        let first = SHRINKING.iter().position(fits).unwrap_or(SHRINKING.len());
        self.0.borrow_mut().insert(name.clone(), first);
        first
    }
}

/// The schema of a field's arguments, at most so many bytes of JSON; none when even the least is
/// more.
pub(super) fn schema(
    service: &ServiceSchema,
    field: &Field,
    bytes_max: usize,
    sizes: &Sizes,
) -> Option<JsonObject> {
    let first = field
        .args
        .iter()
        .map(|arg| sizes.first(service, arg.ty.inner_named_type(), bytes_max))
        .max()
        .unwrap_or_default();
    SHRINKING[first..].iter().find_map(|(depth_max, is_described)| {
        Writer::new(service, *depth_max, *is_described, bytes_max).whole(&field.args)
    })
}

struct Writer<'a> {
    service: &'a ServiceSchema,
    depth_max: usize,
    is_described: bool,
    /// Bytes that may still be written.
    bytes_left: usize,
    /// Definitions that are still to be written: the type, whether null is allowed, and how deep it
    /// stands.
    wanted: VecDeque<(Name, bool, usize)>,
    known: HashSet<(Name, bool)>,
}

impl<'a> Writer<'a> {
    fn new(
        service: &'a ServiceSchema,
        depth_max: usize,
        is_described: bool,
        bytes_left: usize,
    ) -> Self {
        Self {
            service,
            depth_max,
            is_described,
            bytes_left,
            wanted: VecDeque::new(),
            known: HashSet::new(),
        }
    }

    fn whole(&mut self, args: &[InputValue]) -> Option<JsonObject> {
        let mut out = self.object(args, 0)?;
        let definitions = self.definitions()?;
        if !definitions.is_empty() {
            out.insert("$defs".to_owned(), Value::Object(definitions));
        }
        Some(out)
    }

    /// Referenced types, and those that they reference in turn.
    fn definitions(&mut self) -> Option<JsonObject> {
        let mut definitions = JsonObject::new();
        while let Some((name, nullable, depth)) = self.wanted.pop_front() {
            let definition = self.definition(&name, nullable, depth)?;
            definitions.insert(key(self.service, &name, nullable), definition);
        }
        Some(definitions)
    }

    /// An object with exactly these properties; none when there is no room for them.
    fn object(&mut self, values: &[InputValue], depth: usize) -> Option<JsonObject> {
        let mut properties = JsonObject::new();
        let mut required = Vec::new();
        for value in values {
            let mut schema = self.of_type(&value.ty, depth);
            self.remark(&mut schema, value);
            // Its comma, quotes and colon, and once more where it is required.
            let bytes = serde_json::to_string(&schema).map_or(usize::MAX, |text| text.len());
            self.spend(bytes.saturating_add(value.name.len() * 2 + 8))?;
            if value.is_required() {
                required.push(Value::from(value.name.as_str()));
            }
            properties.insert(value.name.to_string(), schema);
        }
        let mut out = JsonObject::new();
        out.insert("type".to_owned(), json!("object"));
        out.insert("properties".to_owned(), Value::Object(properties));
        if !required.is_empty() {
            out.insert("required".to_owned(), Value::Array(required));
        }
        out.insert("additionalProperties".to_owned(), json!(false));
        self.spend(80)?;
        Some(out)
    }

    fn spend(&mut self, bytes: usize) -> Option<()> {
        self.bytes_left = self.bytes_left.checked_sub(bytes)?;
        Some(())
    }

    fn definition(&mut self, name: &Name, nullable: bool, depth: usize) -> Option<Value> {
        let def = self.service.types.get(name)?;
        let mut out = match &def.kind {
            TypeKind::Input { fields, one_of } => {
                let mut out = self.object(fields, depth + 1)?;
                if nullable {
                    out.insert("type".to_owned(), json!(["object", "null"]));
                }
                if *one_of {
                    out.insert("minProperties".to_owned(), json!(1));
                    out.insert("maxProperties".to_owned(), json!(1));
                }
                Value::Object(out)
            }
            TypeKind::Enum(values) => {
                let out = enumeration(values, nullable);
                self.spend(values.iter().map(|value| value.len() + 3).sum::<usize>() + 40)?;
                out
            }
            _ => json!({}),
        };
        if self.is_described && !def.description.is_empty() {
            let text = cut(&def.description, DESCRIPTION_BYTES_MAX);
            self.spend(text.len() + 20)?;
            out["description"] = json!(text);
        }
        Some(out)
    }

    fn of_type(&mut self, ty: &Type, depth: usize) -> Value {
        let nullable = !ty.is_non_null();
        match ty {
            Type::List(item) | Type::NonNullList(item) => {
                let items = self.of_type(item, depth);
                json!({ "type": kinds(&["array"], nullable), "items": items })
            }
            Type::Named(name) | Type::NonNullNamed(name) => self.of_name(name, nullable, depth),
        }
    }

    fn of_name(&mut self, name: &Name, nullable: bool, depth: usize) -> Value {
        match name.as_str() {
            "Int" => return json!({ "type": kinds(&["integer"], nullable) }),
            "Float" => return json!({ "type": kinds(&["number"], nullable) }),
            "String" => return json!({ "type": kinds(&["string"], nullable) }),
            "Boolean" => return json!({ "type": kinds(&["boolean"], nullable) }),
            "ID" => return json!({ "type": kinds(&["string", "integer"], nullable) }),
            _ => {}
        }
        match self.service.kind(name) {
            Some(TypeKind::Enum(values)) if values.len() <= INLINE_VALUES_MAX => {
                enumeration(values, nullable)
            }
            Some(TypeKind::Enum(_)) => self.reference(name, nullable, depth),
            Some(TypeKind::Input { .. }) if depth < self.depth_max => {
                self.reference(name, nullable, depth)
            }
            Some(TypeKind::Input { .. }) => {
                json!({ "type": kinds(&["object"], nullable), "description": format!("input \
                    object `{name}`, not told for its size") })
            }
            // What a scalar of the service's own may hold, it alone knows.
            Some(TypeKind::Scalar { specified_by }) => {
                let by =
                    specified_by.as_ref().map(|url| format!(", see {url}")).unwrap_or_default();
                json!({ "description": format!("scalar `{name}`{by}") })
            }
            _ => json!({ "description": format!("`{name}`") }),
        }
    }

    fn reference(&mut self, name: &Name, nullable: bool, depth: usize) -> Value {
        if self.known.insert((name.clone(), nullable)) {
            self.wanted.push_back((name.clone(), nullable, depth));
        }
        json!({ "$ref": format!("#/$defs/{}", key(self.service, name, nullable)) })
    }

    /// Says what the service says of a value, its default included.
    fn remark(&self, schema: &mut Value, value: &InputValue) {
        let mut text = String::new();
        if self.is_described {
            cut(&value.description, DESCRIPTION_BYTES_MAX).clone_into(&mut text);
            if let Some(kind) = schema.get("description").and_then(Value::as_str) {
                text = if text.is_empty() { kind.to_owned() } else { format!("{text} ({kind})") };
            }
            if value.deprecated {
                text.push_str(" Deprecated.");
            }
        }
        if let Some(default) = &value.default {
            match literal(self.service, &value.ty, default) {
                Some(default) => schema["default"] = default,
                None => text = format!("{text} Default: `{default}`."),
            }
        }
        if !text.trim().is_empty() {
            schema["description"] = json!(text.trim());
        }
    }
}

/// The name of a definition. One type has two where null is allowed in some places and not in
/// others.
fn key(service: &ServiceSchema, name: &Name, nullable: bool) -> String {
    let mut key = name.to_string();
    if nullable {
        key.push_str("OrNull");
        while service.types.contains_key(key.as_str()) {
            key.push('_');
        }
    }
    key
}

fn kinds(names: &[&str], nullable: bool) -> Value {
    let mut all: Vec<&str> = names.to_vec();
    if nullable {
        all.push("null");
    }
    if let [only] = all.as_slice() { json!(only) } else { json!(all) }
}

fn enumeration(values: &[Name], nullable: bool) -> Value {
    if values.len() > VALUES_MAX {
        return json!({ "type": kinds(&["string"], nullable), "description": format!("one of {} \
            values, not told for their number", values.len()) });
    }
    let null = nullable.then_some(Value::Null);
    Value::Object(JsonObject::from_iter([(
        "enum".to_owned(),
        values.iter().map(|value| json!(value.as_str())).chain(null).collect(),
    )]))
}

/// A default value as JSON where that is plain.
fn literal(service: &ServiceSchema, ty: &Type, text: &str) -> Option<Value> {
    if let Type::Named(name) | Type::NonNullNamed(name) = ty
        && let Some(TypeKind::Enum(values)) = service.kind(name)
    {
        return values.iter().any(|value| value.as_str() == text).then(|| json!(text));
    }
    serde_json::from_str::<Value>(text).ok()
}

#[cfg(test)]
mod tests;
