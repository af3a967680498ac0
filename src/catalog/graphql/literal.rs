//! Checks a value that is written in a selection against the type that the service gives its place.
//! Knows nothing of fields.

use apollo_compiler::{
    Name, Node,
    ast::{Type, Value},
};

use super::{
    schema::{InputValue, ServiceSchema, TypeKind, is_built_in},
    select_error::{SelectError, did_you_mean},
};
use crate::base::text::cut;

/// The value as it may be sent, or what does not fit and what would. `at` names the place, such as
/// `issues(states:)`.
pub(super) fn checked(
    schema: &ServiceSchema,
    ty: &Type,
    value: &Value,
    at: &str,
) -> Result<Node<Value>, SelectError> {
    let unfit = || Err(SelectError(format!("`{at}` must be `{ty}`, got `{}`", shown(value))));
    match (ty, value) {
        (_, Value::Variable(name)) => Err(variable(name, at)),
        (Type::NonNullNamed(_) | Type::NonNullList(_), Value::Null) => unfit(),
        (_, Value::Null) => Ok(Node::new(Value::Null)),
        (Type::List(item) | Type::NonNullList(item), Value::List(values)) => {
            let items: Result<Vec<_>, _> =
                values.iter().map(|value| checked(schema, item, value, at)).collect();
            Ok(Node::new(Value::List(items?)))
        }
        // One value stands for a list of one.
        (Type::List(item) | Type::NonNullList(item), single) => checked(schema, item, single, at),
        (Type::Named(name) | Type::NonNullNamed(name), value) => {
            if is_built_in(name) {
                return if fits(name, value) { Ok(Node::new(value.clone())) } else { unfit() };
            }
            match schema.kind(name) {
                Some(TypeKind::Enum(values)) => one_of(values, value, at),
                Some(TypeKind::Input { fields, one_of }) => {
                    object(schema, name, fields, *one_of, value, at)
                }
                // Only the service knows what a scalar of its own may hold.
                Some(TypeKind::Scalar { .. }) => {
                    without_variables(value, at).map(|()| Node::new(value.clone()))
                }
                _ => unfit(),
            }
        }
    }
}

/// Returns true if a value is one of a scalar that every service has.
fn fits(scalar: &str, value: &Value) -> bool {
    match (scalar, value) {
        ("Int", Value::Int(number)) => number.try_to_i32().is_ok(),
        ("Float", Value::Int(number)) => number.try_to_f64().is_ok(),
        ("Float", Value::Float(number)) => number.try_to_f64().is_ok(),
        ("String" | "ID", Value::String(_))
        | ("ID", Value::Int(_))
        | ("Boolean", Value::Boolean(_)) => true,
        _ => false,
    }
}

fn one_of(values: &[Name], given: &Value, at: &str) -> Result<Node<Value>, SelectError> {
    // Quotes around it are a slip that can mean nothing else.
    let text = given.as_enum().map(Name::as_str).or_else(|| given.as_str());
    if let Some(known) = text.and_then(|text| values.iter().find(|value| value.as_str() == text)) {
        return Ok(Node::new(Value::Enum(known.clone())));
    }
    let known = values.iter().map(Name::as_str);
    let hint = did_you_mean(text.unwrap_or_default(), known);
    Err(SelectError(format!("`{at}` must be one of its values, got `{}`{hint}", shown(given))))
}

fn object(
    schema: &ServiceSchema,
    name: &Name,
    fields: &[InputValue],
    one_of: bool,
    given: &Value,
    at: &str,
) -> Result<Node<Value>, SelectError> {
    let Value::Object(entries) = given else {
        return Err(SelectError(format!(
            "`{at}` must be an object of type `{name}`, got `{}`",
            shown(given)
        )));
    };
    let mut out: Vec<(Name, Node<Value>)> = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        let Some(field) = fields.iter().find(|field| field.name == *key) else {
            let hint = did_you_mean(key, fields.iter().map(|field| field.name.as_str()));
            return Err(SelectError(format!("`{at}` of type `{name}` has no field `{key}`{hint}")));
        };
        if out.iter().any(|(known, _)| known == key) {
            return Err(SelectError(format!("`{at}` gives `{key}` twice")));
        }
        out.push((field.name.clone(), checked(schema, &field.ty, value, &format!("{at}.{key}"))?));
    }
    if let Some(missing) = fields
        .iter()
        .find(|field| field.is_required() && !out.iter().any(|(key, _)| *key == field.name))
    {
        return Err(SelectError(format!(
            "`{at}` lacks `{}`, which is `{}`",
            missing.name, missing.ty
        )));
    }
    if one_of && (out.len() != 1 || out[0].1.is_null()) {
        return Err(SelectError(format!(
            "`{at}` takes exactly one of the fields of `{name}`, got {}",
            out.len()
        )));
    }
    Ok(Node::new(Value::Object(out)))
}

fn without_variables(value: &Value, at: &str) -> Result<(), SelectError> {
    match value {
        Value::Variable(name) => Err(variable(name, at)),
        Value::List(values) => values.iter().try_for_each(|value| without_variables(value, at)),
        Value::Object(entries) => {
            entries.iter().try_for_each(|(_, value)| without_variables(value, at))
        }
        _ => Ok(()),
    }
}

fn variable(name: &Name, at: &str) -> SelectError {
    SelectError(format!("`{at}` is the variable `${name}`; write the value itself there"))
}

/// A value, short.
fn shown(value: &Value) -> String {
    let text = value.serialize().no_indent().to_string();
    if text.len() > 60 { format!("{}…", cut(&text, 60)) } else { text }
}
