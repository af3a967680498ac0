//! Integers in arguments that a JavaScript number does not hold exactly. Programs have them as
//! strings of digits, as responses give them, or as bigints; what is sent has the type that the
//! schema wants.

use serde_json::Value;

use super::fields::{FORMS_MAX, field, part};
use crate::{
    base::integers::{is_rounded, unsafe_digits, unsafe_integer},
    catalog::schema::reference,
};

/// Integers of one call that are converted, at most; the others stay as they are.
const INTEGERS_MAX: usize = 10_000;
/// Bytes of the pointers to these integers together; integers beyond it stay as they are.
const POINTERS_BYTES_MAX: usize = 1024 * 1024;
/// Combined forms that are looked at for the types of one field.
const SCHEMAS_MAX: usize = 60;

/// Converts strings of digits where the schema wants an integer and no string, and integers where
/// it wants a string and no number; none if there are no such.
pub(super) fn converted(root: &Value, args: &Value) -> Option<Value> {
    let is_string = |value: &Value| value.as_str().and_then(unsafe_integer).is_some();
    let found = Leaves::of(args, &|value| is_string(value) || unsafe_digits(value).is_some());
    let mut converted: Option<Value> = None;
    for pointer in found {
        let Some(schema) = part(root, args, &pointer) else { continue };
        let types = Types::of(schema, root);
        let given = args.pointer(&pointer);
        let other = match given {
            Some(Value::String(text)) if types.integer && !types.string => {
                unsafe_integer(text).map(Value::Number)
            }
            Some(number) if types.string && !types.integer && !types.number => {
                unsafe_digits(number).map(Value::String)
            }
            _ => None,
        };
        if let Some(other) = other
            && let Some(place) = converted.get_or_insert_with(|| args.clone()).pointer_mut(&pointer)
        {
            *place = other;
        }
    }
    converted
}

/// Returns true if a number in the arguments may have been rounded.
pub(super) fn has_rounded(args: &Value) -> bool {
    match args {
        Value::Array(items) => items.iter().any(has_rounded),
        Value::Object(members) => members.values().any(has_rounded),
        other => is_rounded(other),
    }
}

/// Describes the first number that may have been rounded where the schema wants an integer.
pub(super) fn rounded(root: &Value, args: &Value) -> Option<String> {
    let wrong = Leaves::of(args, &is_rounded).into_iter().find(|pointer| {
        part(root, args, pointer).is_some_and(|schema| {
            let types = Types::of(schema, root);
            types.integer && !types.number
        })
    })?;
    let number = args.pointer(&wrong)?.as_f64()?;
    Some(format!(
        "field `{}` is {number}, an integer beyond 2^53 that JavaScript may have rounded: write \
        its digits as a bigint (with `n` at the end) or as a string, up to 64 bits",
        field(&wrong)
    ))
}

/// JSON Pointers of the leaves that are wanted, bounded in number and size: keys are the caller's,
/// and each leaf repeats those on its way.
struct Leaves<'w> {
    is_wanted: &'w dyn Fn(&Value) -> bool,
    found: Vec<String>,
    bytes_left: usize,
}

impl<'w> Leaves<'w> {
    fn of(args: &Value, is_wanted: &'w dyn Fn(&Value) -> bool) -> Vec<String> {
        let mut leaves = Self { is_wanted, found: vec![], bytes_left: POINTERS_BYTES_MAX };
        leaves.collect(args, &mut String::new());
        leaves.found
    }

    fn is_full(&self) -> bool {
        self.found.len() >= INTEGERS_MAX || self.bytes_left == 0
    }

    fn collect(&mut self, value: &Value, at: &mut String) {
        if self.is_full() {
            return;
        }
        let length = at.len();
        match value {
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    at.push_str(&format!("/{index}"));
                    self.collect(item, at);
                    at.truncate(length);
                }
            }
            Value::Object(members) => {
                for (name, member) in members {
                    at.push('/');
                    at.push_str(&name.replace('~', "~0").replace('/', "~1"));
                    self.collect(member, at);
                    at.truncate(length);
                }
            }
            leaf if (self.is_wanted)(leaf) => match self.bytes_left.checked_sub(at.len()) {
                Some(left) => {
                    self.bytes_left = left;
                    self.found.push(at.clone());
                }
                None => self.bytes_left = 0,
            },
            _ => {}
        }
    }
}

/// The types that a schema allows, as far as it says so.
#[derive(Debug, Default, Clone, Copy)]
struct Types {
    integer: bool,
    number: bool,
    string: bool,
}

impl Types {
    fn of(schema: &Value, root: &Value) -> Self {
        let mut types = Self::default();
        let mut ahead = vec![(schema, FORMS_MAX)];
        for _ in 0..SCHEMAS_MAX {
            let Some((schema, forms_left)) = ahead.pop() else { break };
            let Some(schema) = reference::resolved(schema, root) else { continue };
            let named = schema.get("type");
            let listed = named.and_then(Value::as_array).into_iter().flatten();
            for name in named.into_iter().chain(listed).filter_map(Value::as_str) {
                match name {
                    "integer" => types.integer = true,
                    "number" => types.number = true,
                    "string" => types.string = true,
                    _ => {}
                }
            }
            if forms_left > 0 {
                let forms = ["oneOf", "anyOf", "allOf"].iter();
                let forms = forms.filter_map(|name| schema.get(name)?.as_array()).flatten();
                ahead.extend(forms.take(SCHEMAS_MAX).map(|form| (form, forms_left - 1)));
            }
        }
        types
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pointers_to_integers_have_a_bound_whatever_the_keys() {
        let long = "/".repeat(100_000);
        let args = json!({ long: vec![1e16; 1_000], "short": 1e16 });
        let found = Leaves::of(&args, &is_rounded);
        let bytes: usize = found.iter().map(String::len).sum();
        assert!(!found.is_empty() && bytes <= POINTERS_BYTES_MAX, "{bytes}");
        let many = json!(vec![1e16; INTEGERS_MAX + 1]);
        assert_eq!(Leaves::of(&many, &is_rounded).len(), INTEGERS_MAX);
    }
}
