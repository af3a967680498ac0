//! Reads a schema that is written in the schema definition language. Knows nothing of networks or
//! tools.

use apollo_compiler::{
    Name, Node, Schema,
    ast::{self, Type},
    parser::Parser,
    schema::{Component, ExtendedType},
};

use super::schema::{self, Field, InputValue, ServiceSchema, TypeDef, TypeKind};
use crate::base::text::cut;

/// Largest document, in bytes: GitHub's is 1.5 MB; one in memory takes about thirty times its size
/// while it is read.
pub(super) const SDL_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Deepest nesting of anything in it; keeps the reader's stack small.
const NESTING_MAX: usize = 64;

/// The types of a document, or what is wrong with its words and where; a fault of its sense is
/// noted. Takes about a second per megabyte at the worst.
pub(super) fn read(text: &str) -> Result<ServiceSchema, String> {
    if text.len() > SDL_BYTES_MAX {
        return Err(format!("it is {} bytes; the limit is {SDL_BYTES_MAX}", text.len()));
    }
    let document = Parser::new().recursion_limit(NESTING_MAX).parse_ast(text, "schema");
    let document = document.map_err(|faulty| first_fault(&faulty.errors))?;
    let builder = Schema::builder().adopt_orphan_extensions().ignore_builtin_redefinitions();
    // Even schemas that well-known services publish define a thing twice: the first definition
    // holds, and the owner is told.
    let (read, fault) = match builder.add_ast(&document).build() {
        Ok(read) => (read, None),
        Err(faulty) => {
            let fault = first_fault(&faulty.errors);
            (faulty.partial, Some(fault))
        }
    };
    let mut out = ServiceSchema {
        query: read.root_operation(ast::OperationType::Query).cloned(),
        mutation: read.root_operation(ast::OperationType::Mutation).cloned(),
        subscription: read.root_operation(ast::OperationType::Subscription).cloned(),
        fault,
        ..ServiceSchema::default()
    };
    for (name, def) in &read.types {
        if name.starts_with("__") || schema::is_built_in(name) {
            continue;
        }
        note_possible(&mut out, name, def);
        let description = schema::described(def.description().map(|text| &**text));
        out.types.insert(name.clone(), TypeDef { description, kind: kind(def) });
    }
    out.possible.values_mut().for_each(|names| names.sort());
    out.declare_scalars();
    Ok(out)
}

/// The first thing that is wrong with a text, with its place.
pub(super) fn first_fault(errors: &apollo_compiler::validation::DiagnosticList) -> String {
    match fault(errors) {
        (Some((line, column)), message) => format!("line {line}, column {column}: {message}"),
        (None, message) => message,
    }
}

/// An error message with its position as line and column, from 1.
pub(super) fn fault(
    errors: &apollo_compiler::validation::DiagnosticList,
) -> (Option<(usize, usize)>, String) {
    let Some(first) = errors.iter().next() else {
        return (None, "it is not understood".to_owned());
    };
    let place = first.line_column_range().map(|place| (place.start.line, place.start.column));
    (place, cut(&first.to_json().message, 300).to_owned())
}

fn note_possible(out: &mut ServiceSchema, name: &Name, def: &ExtendedType) {
    match def {
        ExtendedType::Object(object) => {
            for interface in &object.implements_interfaces {
                out.possible.entry(interface.name.clone()).or_default().push(name.clone());
            }
        }
        ExtendedType::Union(union) => {
            let members = union.members.iter().map(|member| member.name.clone());
            out.possible.entry(name.clone()).or_default().extend(members);
        }
        _ => {}
    }
}

fn kind(def: &ExtendedType) -> TypeKind {
    match def {
        ExtendedType::Scalar(scalar) => {
            let by = scalar
                .directives
                .get("specifiedBy")
                .and_then(|directive| directive.specified_argument_by_name("url"));
            TypeKind::Scalar {
                specified_by: by.and_then(|url| url.as_str()).map(|url| cut(url, 300).into()),
            }
        }
        ExtendedType::Enum(def) => TypeKind::Enum(def.values.keys().cloned().collect()),
        ExtendedType::InputObject(def) => TypeKind::Input {
            fields: def.fields.values().filter_map(|field| input_value(field)).collect(),
            one_of: def.directives.has("oneOf"),
        },
        ExtendedType::Object(def) => TypeKind::Object(fields(def.fields.values())),
        ExtendedType::Interface(def) => TypeKind::Interface(fields(def.fields.values())),
        ExtendedType::Union(_) => TypeKind::Union,
    }
}

fn fields<'a>(given: impl Iterator<Item = &'a Component<ast::FieldDefinition>>) -> Vec<Field> {
    let known = given.filter(|field| is_flat(&field.ty));
    let read = known.map(|field| Field {
        name: field.name.clone(),
        description: schema::described(field.description.as_deref()),
        ty: field.ty.clone(),
        args: field.arguments.iter().filter_map(input_value).collect(),
        deprecated: deprecated(&field.directives),
    });
    read.collect()
}

fn input_value(given: &Node<ast::InputValueDefinition>) -> Option<InputValue> {
    is_flat(&given.ty).then(|| InputValue {
        name: given.name.clone(),
        description: schema::described(given.description.as_deref()),
        ty: (*given.ty).clone(),
        default: given
            .default_value
            .as_ref()
            .map(|value| schema::default_text(&value.serialize().no_indent().to_string())),
        deprecated: given.directives.has("deprecated"),
    })
}

fn is_flat(ty: &Type) -> bool {
    schema::lists(ty) <= schema::LISTS_MAX
}

fn deprecated(directives: &ast::DirectiveList) -> Option<Box<str>> {
    let directive = directives.get("deprecated")?;
    let reason = directive.specified_argument_by_name("reason").and_then(|reason| reason.as_str());
    Some(cut(reason.unwrap_or("no longer supported"), 300).into())
}

#[cfg(test)]
mod tests;
