//! Large numbers given for ids. An `ID` takes an integer or a text, and means a text; many services
//! read an integer beyond 2^53 as one that is near it, so it is sent as its digits.

use apollo_compiler::ast::Type;
use serde_json::Value;

use super::schema::{InputValue, ServiceSchema, TypeKind};
use crate::model::JsonObject;

/// Largest integer that every service reads as it is: 2^53 - 1.
const EXACT_MAX: u64 = (1 << 53) - 1;
/// Deepest value that is looked into.
const DEPTH_MAX: usize = 64;

/// Writes the large integers among arguments that are ids as texts.
pub(super) fn written_out(schema: &ServiceSchema, wanted: &[InputValue], args: &mut JsonObject) {
    fields(schema, wanted, args, 0);
}

fn fields(schema: &ServiceSchema, wanted: &[InputValue], given: &mut JsonObject, depth: usize) {
    for input in wanted {
        if let Some(value) = given.get_mut(input.name.as_str()) {
            of_type(schema, &input.ty, value, depth + 1);
        }
    }
}

fn of_type(schema: &ServiceSchema, ty: &Type, value: &mut Value, depth: usize) {
    if depth > DEPTH_MAX {
        return;
    }
    match value {
        // One value may stand for a list of one.
        Value::Array(items) => {
            let of_item = if ty.is_list() { ty.item_type() } else { ty };
            items.iter_mut().for_each(|item| of_type(schema, of_item, item, depth + 1));
        }
        Value::Object(given) => {
            if let Some(TypeKind::Input { fields: wanted, .. }) = schema.kind(ty.inner_named_type())
            {
                fields(schema, wanted, given, depth);
            }
        }
        Value::Number(number) if ty.inner_named_type() == "ID" && is_large(number) => {
            *value = number.to_string().into();
        }
        _ => {}
    }
}

/// Returns true if a number is an integer that a double may not hold.
fn is_large(number: &serde_json::Number) -> bool {
    let size = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
    size.is_some_and(|size| size > EXACT_MAX)
}
