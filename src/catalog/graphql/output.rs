//! JSON Schema of a selection's result, made from the selection and the types of the service.

use apollo_compiler::{
    Name,
    ast::{Selection, Type},
};
use serde_json::{Value, json};

use super::schema::{ServiceSchema, TypeKind};
use crate::{base::text::cut, model::JsonObject};

/// Values of an enumeration that are told; of a longer one only that it is a text.
const VALUES_MAX: usize = 50;
/// Longest description of a field, in bytes.
const DESCRIPTION_BYTES_MAX: usize = 120;

/// The schema of values of `ty` with these fields, at most so many bytes of JSON; none when it
/// would be more.
pub(super) fn schema(
    service: &ServiceSchema,
    ty: &Type,
    selection: &[Selection],
    bytes_max: usize,
) -> Option<JsonObject> {
    [true, false].into_iter().find_map(|is_described| {
        let schema = Writer { service, is_described }.of_type(ty, selection);
        let bytes = serde_json::to_string(&schema).map_or(usize::MAX, |text| text.len());
        match schema {
            Value::Object(object) if bytes <= bytes_max => Some(object),
            _ => None,
        }
    })
}

struct Writer<'a> {
    service: &'a ServiceSchema,
    is_described: bool,
}

impl Writer<'_> {
    fn of_type(&self, ty: &Type, selection: &[Selection]) -> Value {
        let nullable = !ty.is_non_null();
        match ty {
            Type::List(item) | Type::NonNullList(item) => {
                json!({ "type": kind("array", nullable), "items": self.of_type(item, selection) })
            }
            Type::Named(name) | Type::NonNullNamed(name) => self.of_name(name, nullable, selection),
        }
    }

    fn of_name(&self, name: &Name, nullable: bool, selection: &[Selection]) -> Value {
        match name.as_str() {
            "Int" => return json!({ "type": kind("integer", nullable) }),
            "Float" => return json!({ "type": kind("number", nullable) }),
            "String" | "ID" => return json!({ "type": kind("string", nullable) }),
            "Boolean" => return json!({ "type": kind("boolean", nullable) }),
            _ => {}
        }
        match self.service.kind(name) {
            Some(TypeKind::Enum(values)) if values.len() <= VALUES_MAX => {
                let null = nullable.then_some(Value::Null);
                let values = values.iter().map(|value| json!(value.as_str()));
                json!({ "enum": values.chain(null).collect::<Vec<_>>() })
            }
            Some(TypeKind::Enum(_)) => json!({ "type": kind("string", nullable) }),
            Some(TypeKind::Object(_) | TypeKind::Interface(_) | TypeKind::Union) => {
                self.object(name, nullable, selection)
            }
            _ => json!({ "description": format!("scalar `{name}`") }),
        }
    }

    fn object(&self, parent: &Name, nullable: bool, selection: &[Selection]) -> Value {
        let mut properties = JsonObject::new();
        let mut required = Vec::new();
        self.gather(parent, selection, true, &mut properties, &mut required);
        let mut out = json!({ "type": kind("object", nullable), "properties": properties });
        if !required.is_empty() {
            out["required"] = json!(required);
        }
        out
    }

    fn gather(
        &self,
        parent: &Name,
        selection: &[Selection],
        always: bool,
        properties: &mut JsonObject,
        required: &mut Vec<String>,
    ) {
        for part in selection {
            match part {
                Selection::Field(field) => {
                    let key = field.alias.as_ref().unwrap_or(&field.name).to_string();
                    let schema = match self.service.field(parent, &field.name) {
                        Some(known) => {
                            let mut schema = self.of_type(&known.ty, &field.selection_set);
                            if self.is_described && !known.description.is_empty() {
                                schema["description"] =
                                    json!(cut(&known.description, DESCRIPTION_BYTES_MAX));
                            }
                            schema
                        }
                        // `__typename`, the only one that no type lists.
                        None => json!({ "type": "string" }),
                    };
                    if always && !required.contains(&key) {
                        required.push(key.clone());
                    }
                    properties.insert(key, schema);
                }
                // Only values of that type have what stands in it.
                Selection::InlineFragment(fragment) => {
                    let inner = fragment.type_condition.as_ref().unwrap_or(parent);
                    self.gather(inner, &fragment.selection_set, false, properties, required);
                }
                Selection::FragmentSpread(_) => {}
            }
        }
    }
}

fn kind(name: &str, nullable: bool) -> Value {
    if nullable { json!([name, "null"]) } else { json!(name) }
}
