//! Makes a tool of every field of the root types: `query.<field>` and `mutation.<field>`.
//!
//! A root field that leads back to a root type is left out, since its fields are tools of their
//! own. Subscriptions are left out too: a call has one response.

use apollo_compiler::{
    Name, Node,
    ast::{self, Argument, OperationType, Selection, Value, VariableDefinition},
};
use serde_json::json;

use super::{
    default, input, output,
    schema::{Field, ServiceSchema, TypeKind},
};
use crate::{
    base::{
        plural::{counted, verb},
        text::cut,
    },
    catalog::{
        tool::OfferedTool,
        upstream::{
            Offer,
            import_job::{CancelToken, Stopped},
        },
    },
    model::{Annotations, JsonObject, Operation},
};

/// Tools that are taken from one service.
pub(super) const TOOLS_MAX: usize = 5_000;
/// Bytes of all its input schemas together.
const SCHEMAS_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Largest input schema, in bytes: what is needed for one call should fit into what an agent reads.
const INPUT_BYTES_MAX: usize = 64 * 1024;
/// Largest output schema, in bytes.
const OUTPUT_BYTES_MAX: usize = 16 * 1024;
/// Longest list of fields that the description of `select` holds, in bytes.
const FIELDS_BYTES_MAX: usize = 650;
/// Longest piece of the usual selection that it holds, in bytes.
const DEFAULT_BYTES_MAX: usize = 160;
/// Types that it names for a union or an interface.
const MEMBERS_MAX: usize = 20;
/// Undeclared types that the note names.
const UNDECLARED_TOLD_MAX: usize = 12;
/// Root types that become tools, with the first segment of their names.
const ROOTS: [(OperationType, &str); 2] =
    [(OperationType::Query, "query"), (OperationType::Mutation, "mutation")];

/// All tools, those of queries first, each in the service's order; none when it is told to stop.
pub(super) fn offer(schema: &ServiceSchema, stop: &CancelToken) -> Result<Offer, Stopped> {
    let roots = ROOTS.map(|(operation, prefix)| {
        (operation, prefix, schema.root(operation).map_or(&[][..], |root| schema.fields(root)))
    });
    let count: usize = roots.iter().map(|(.., fields)| fields.len()).sum();
    // The same share for each, so that it does not depend on their order which of them is told
    // whole.
    let bytes_max = (SCHEMAS_BYTES_MAX / count.clamp(1, TOOLS_MAX)).min(INPUT_BYTES_MAX);
    let mut notes: Vec<String> =
        schema.fault.iter().map(|fault| format!("its schema has a fault at {fault}")).collect();
    if !schema.undeclared.is_empty() {
        let mut names: Vec<String> = schema
            .undeclared
            .iter()
            .take(UNDECLARED_TOLD_MAX)
            .map(|name| format!("`{}`", cut(name, 60)))
            .collect();
        if schema.undeclared.len() > UNDECLARED_TOLD_MAX {
            names.push(format!("{} more", schema.undeclared.len() - UNDECLARED_TOLD_MAX));
        }
        notes.push(format!(
            "types that its schema does not declare are taken for scalars: {}",
            names.join(", ")
        ));
    }
    let mut tools = Vec::with_capacity(count.min(TOOLS_MAX));
    let mut back = 0usize;
    let mut large = 0usize;
    let sizes = input::Sizes::default();
    for (operation, prefix, fields) in roots {
        for field in fields {
            stop.check()?;
            let is_known = schema.is_leaf(field.ty.inner_named_type())
                || schema.is_composite(field.ty.inner_named_type());
            if schema.is_root(field.ty.inner_named_type()) || !is_known {
                back += 1;
            } else if tools.len() == TOOLS_MAX {
                large += 1;
            } else {
                match tool(schema, operation, (prefix, field), bytes_max, &sizes) {
                    Some(tool) => tools.push(tool),
                    None => large += 1,
                }
            }
        }
    }
    let subscriptions =
        schema.root(OperationType::Subscription).map_or(0, |root| schema.fields(root).len());
    for (count, noun, why) in [
        (subscriptions, "subscription", "not offered, because a call has only one answer"),
        (
            back,
            "field",
            "left out, because of a type that leads back to a root type or is not described",
        ),
        (large, "field", "left out, because there are too many, or their arguments are too large"),
    ] {
        if count > 0 {
            let (what, are) = (counted(count, noun), verb(count, "is", "are"));
            notes.push(format!("{what} {are} {why}"));
        }
    }
    Ok(Offer { tools, note: (!notes.is_empty()).then(|| notes.join("; ")) })
}

/// The root field of a tool of this name.
pub(super) fn field_of<'a>(
    schema: &'a ServiceSchema,
    name: &str,
) -> Option<(OperationType, &'a Field)> {
    let (prefix, field) = name.split_once('.')?;
    let (operation, _) = ROOTS.into_iter().find(|(_, known)| *known == prefix)?;
    Some((operation, schema.field(schema.root(operation)?, field)?))
}

/// The name of the argument that holds a selection: `select`, unless the field has such an argument
/// itself. No argument of a service begins with two underscores.
pub(super) fn select_key(field: &Field) -> &'static str {
    if field.args.iter().any(|arg| arg.name.as_str() == "select") { "__select" } else { "select" }
}

/// The selection for a field when the agent chose none; empty where there is nothing to choose.
pub(super) fn default_selection(schema: &ServiceSchema, field: &Field) -> Vec<Selection> {
    let named = field.ty.inner_named_type();
    if schema.is_composite(named) {
        default::selection(schema, named, field.ty.is_list())
    } else {
        Vec::new()
    }
}

fn tool(
    schema: &ServiceSchema,
    operation: OperationType,
    (prefix, field): (&str, &Field),
    bytes_max: usize,
    sizes: &input::Sizes,
) -> Option<OfferedTool> {
    let mut input_schema = input::schema(schema, field, bytes_max, sizes)?;
    let selection = default_selection(schema, field);
    if !selection.is_empty()
        && let Some(properties) =
            input_schema.get_mut("properties").and_then(|properties| properties.as_object_mut())
    {
        let description = select_description(schema, field.ty.inner_named_type(), &selection);
        properties.insert(
            select_key(field).to_owned(),
            json!({ "type": "string", "description": description }),
        );
    }
    let mut output_schema =
        output::schema(schema, &field.ty, &selection, OUTPUT_BYTES_MAX.min(bytes_max));
    if let Some(output) = output_schema.as_mut().filter(|_| !selection.is_empty()) {
        let text = format!("Without `{}`; with it, the fields that it names.", select_key(field));
        output.insert("description".to_owned(), json!(text));
    }
    let is_query = operation == OperationType::Query;
    Some(OfferedTool {
        name: format!("{prefix}.{}", field.name),
        title: None,
        description: description(prefix, field),
        input_schema,
        output_schema,
        annotations: Annotations {
            read_only: is_query.then_some(true),
            idempotent: is_query.then_some(true),
            ..Annotations::default()
        },
        fingerprint: None,
        is_relaxed: false,
        former: None,
        operation: Some(if is_query { Operation::Query } else { Operation::Mutation }),
    })
}

fn description(prefix: &str, field: &Field) -> String {
    let mut text = field.description.to_string();
    if text.is_empty() {
        text = format!("GraphQL {prefix} `{}`, answers `{}`.", field.name, field.ty);
    }
    if let Some(reason) = &field.deprecated {
        text = format!("{text}\nDeprecated: {reason}");
    }
    text
}

/// Description of the `select` argument: its form, its default, and the other fields.
fn select_description(schema: &ServiceSchema, named: &Name, default: &[Selection]) -> String {
    let usual = |name: &Name| {
        default.iter().any(|part| part.as_field().is_some_and(|field| field.name == *name))
    };
    let mut further = String::new();
    for field in schema
        .fields(named)
        .iter()
        .filter(|field| !usual(&field.name) && !schema.is_root(field.ty.inner_named_type()))
    {
        let args = if field.args.is_empty() { "" } else { "(…)" };
        let below = if schema.is_composite(field.ty.inner_named_type()) { " {…}" } else { "" };
        let one =
            format!("{}{}{args}{below}", if further.is_empty() { "" } else { ", " }, field.name);
        if further.len() + one.len() > FIELDS_BYTES_MAX {
            further.push_str(", …");
            break;
        }
        further.push_str(&one);
    }
    let mut out = format!(
        "Which fields of `{named}` to answer, a GraphQL selection set such as `id name owner {{ \
        login }}`."
    );
    let default = text(default);
    let dots = if default.len() > DEFAULT_BYTES_MAX { "…" } else { "" };
    out.push_str(&format!(" Without it: `{}{dots}`.", cut(&default, DEFAULT_BYTES_MAX)));
    if !further.is_empty() {
        out.push_str(&format!(" Further fields: {further}."));
    }
    if !matches!(schema.kind(named), Some(TypeKind::Object(_))) {
        let members: Vec<&str> =
            schema.possible(named).iter().take(MEMBERS_MAX).map(Name::as_str).collect();
        out.push_str(&format!(" `... on TYPE {{ … }}` for: {}.", members.join(", ")));
    }
    out
}

/// A selection as it is written, without its outer braces.
pub(super) fn text(selection: &[Selection]) -> String {
    selection
        .iter()
        .map(|part| part.serialize().no_indent().to_string())
        .collect::<Vec<_>>()
        .join(" ")
}

/// The document of one call: one operation with one root field. Arguments are variables, typed by
/// the service; those that are not given are not named, so that the service's defaults hold.
pub(super) fn document(
    operation: OperationType,
    field: &Field,
    args: &JsonObject,
    selection: Vec<Selection>,
) -> String {
    let given: Vec<_> =
        field.args.iter().filter(|arg| args.contains_key(arg.name.as_str())).collect();
    let variables = given.iter().map(|arg| {
        let (name, ty) = (arg.name.clone(), Node::new(arg.ty.clone()));
        Node::new(VariableDefinition {
            name,
            ty,
            default_value: None,
            directives: ast::DirectiveList::new(),
        })
    });
    let arguments = given.iter().map(|arg| {
        let value = Node::new(Value::Variable(arg.name.clone()));
        Node::new(Argument { name: arg.name.clone(), value })
    });
    let root = ast::Field {
        alias: None,
        name: field.name.clone(),
        arguments: arguments.collect(),
        directives: ast::DirectiveList::new(),
        selection_set: selection,
    };
    let definition = ast::OperationDefinition {
        operation_type: operation,
        name: Some(field.name.clone()),
        variables: variables.collect(),
        directives: ast::DirectiveList::new(),
        selection_set: vec![Selection::Field(Node::new(root))],
    };
    let mut document = ast::Document::new();
    document.definitions.push(ast::Definition::OperationDefinition(Node::new(definition)));
    document.serialize().no_indent().to_string()
}

#[cfg(test)]
mod tests;
