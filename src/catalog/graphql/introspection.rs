//! Asks a service for its schema and reads its response, which is untrusted. Knows nothing of
//! tools.

use std::collections::BTreeMap;

use apollo_compiler::{Name, ast::Type};
use serde::Deserialize;

use super::schema::{self, Field, InputValue, ServiceSchema, TypeDef, TypeKind};
use crate::base::text::cut;

/// Largest answer, in bytes.
pub(super) const ANSWER_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Types that are read of one service.
pub(super) const TYPES_MAX: usize = 50_000;

/// Extent of the introspection query. Services reject a query as a whole if it holds one field that
/// they do not know or is nested deeper than they allow, so each rejection leads to a smaller one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asking {
    /// Introspection of the specification of 2025.
    Newest,
    /// Introspection of the specification of 2021, and the parts of its successor that most
    /// services adopted early.
    Whole,
    /// Introspection of the specification of 2018.
    Older,
    /// No more than is needed, nested no deeper than is usual.
    Least,
}

/// Queries from the fullest to the smallest.
pub(super) const ASKINGS: [Asking; 4] =
    [Asking::Newest, Asking::Whole, Asking::Older, Asking::Least];

impl Asking {
    /// The question, as a GraphQL document.
    pub(super) fn document(self) -> String {
        let (fields, deprecated, inputs, args, scalar) = match self {
            Self::Newest | Self::Whole => (
                "fields(includeDeprecated: true)",
                "isDeprecated deprecationReason",
                "inputFields(includeDeprecated: true)",
                "args(includeDeprecated: true)",
                if self == Self::Newest { "specifiedByURL isOneOf" } else { "specifiedByURL" },
            ),
            Self::Older => (
                "fields(includeDeprecated: true)",
                "isDeprecated deprecationReason",
                "inputFields",
                "args",
                "",
            ),
            Self::Least => ("fields", "", "inputFields", "args", ""),
        };
        let input_deprecated =
            if matches!(self, Self::Newest | Self::Whole) { "isDeprecated" } else { "" };
        let nested = (0..if self == Self::Least { 5 } else { 9 })
            .fold(String::new(), |inner, _| {
                format!("ofType {{ kind name {inner} }}").replace("  ", " ")
            });
        let value = format!(
            "name description defaultValue {input_deprecated} type {{ kind name {nested} }}"
        );
        format!(
            "query IntrospectionQuery {{ __schema {{ queryType {{ name }} mutationType {{ name }} \
            subscriptionType {{ name }} \
             types {{ kind name description {scalar} enumValues {{ name }} possibleTypes {{ name \
            }} \
             {fields} {{ name description {deprecated} {args} {{ {value} }} type {{ kind name \
            {nested} }} }} \
             {inputs} {{ {value} }} }} }} }}"
        )
    }
}

/// An answer, or what tools that write it to a file keep of it.
#[derive(Deserialize)]
struct Answer {
    data: Option<IntrospectionResult>,
    #[serde(rename = "__schema")]
    schema: Option<IntrospectedSchema>,
}

#[derive(Deserialize)]
struct IntrospectionResult {
    #[serde(rename = "__schema")]
    schema: Option<IntrospectedSchema>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IntrospectedSchema {
    query_type: Option<Named>,
    mutation_type: Option<Named>,
    subscription_type: Option<Named>,
    types: Vec<IntrospectedType>,
}

#[derive(Deserialize)]
struct Named {
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IntrospectedType {
    kind: String,
    name: Option<String>,
    description: Option<String>,
    #[serde(rename = "specifiedByURL")]
    specified_by_url: Option<String>,
    fields: Option<Vec<IntrospectedField>>,
    input_fields: Option<Vec<IntrospectedValue>>,
    enum_values: Option<Vec<Named>>,
    possible_types: Option<Vec<Named>>,
    is_one_of: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IntrospectedField {
    name: String,
    description: Option<String>,
    #[serde(default)]
    args: Vec<IntrospectedValue>,
    #[serde(rename = "type")]
    ty: Reference,
    is_deprecated: Option<bool>,
    deprecation_reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IntrospectedValue {
    name: String,
    description: Option<String>,
    #[serde(rename = "type")]
    ty: Reference,
    default_value: Option<String>,
    is_deprecated: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reference {
    kind: String,
    name: Option<String>,
    of_type: Option<Box<Reference>>,
}

/// Returns true if an answer holds a schema at all, whatever is in it.
pub(super) fn is_told(answer: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Glance {
        data: Option<Inner>,
    }
    #[derive(Deserialize)]
    struct Inner {
        #[serde(rename = "__schema")]
        schema: Option<serde::de::IgnoredAny>,
    }
    serde_json::from_slice::<Glance>(answer)
        .is_ok_and(|glance| glance.data.is_some_and(|data| data.schema.is_some()))
}

/// The types that an answer tells; `Err` says what it is instead. What has no usable name or type
/// is left out.
pub(super) fn read(answer: &[u8]) -> Result<ServiceSchema, String> {
    let answer: Answer = serde_json::from_slice(answer)
        .map_err(|error| format!("its answer is not a schema: {error}"))?;
    let introspected = answer
        .data
        .and_then(|data| data.schema)
        .or(answer.schema)
        .ok_or("its answer holds no schema")?;
    if introspected.types.len() > TYPES_MAX {
        return Err(format!(
            "its schema has {} types; the limit is {TYPES_MAX}",
            introspected.types.len()
        ));
    }
    let root = |named: Option<Named>| named.and_then(|named| name(&named.name?));
    let mut possible: BTreeMap<Name, Vec<Name>> = BTreeMap::new();
    let mut types = std::collections::HashMap::with_capacity(introspected.types.len());
    for introspected in introspected.types {
        let Some(named) = introspected.name.as_deref().and_then(name) else { continue };
        if named.starts_with("__") || schema::is_built_in(&named) {
            continue;
        }
        if matches!(introspected.kind.as_str(), "INTERFACE" | "UNION") {
            let mut names: Vec<Name> = names(introspected.possible_types.as_deref());
            names.sort();
            possible.insert(named.clone(), names);
        }
        let description = schema::described(introspected.description.as_deref());
        if let Some(kind) = kind(introspected) {
            types.insert(named, TypeDef { description, kind });
        }
    }
    let mut schema = ServiceSchema {
        query: root(introspected.query_type),
        mutation: root(introspected.mutation_type),
        subscription: root(introspected.subscription_type),
        types,
        possible,
        ..ServiceSchema::default()
    };
    schema.declare_scalars();
    Ok(schema)
}

fn kind(introspected: IntrospectedType) -> Option<TypeKind> {
    let fields = |fields: Option<Vec<IntrospectedField>>| {
        fields.into_iter().flatten().filter_map(field).collect()
    };
    Some(match introspected.kind.as_str() {
        "SCALAR" => TypeKind::Scalar {
            specified_by: introspected.specified_by_url.map(|url| cut(&url, 300).into()),
        },
        "ENUM" => TypeKind::Enum(names(introspected.enum_values.as_deref())),
        "INPUT_OBJECT" => TypeKind::Input {
            fields: introspected
                .input_fields
                .into_iter()
                .flatten()
                .filter_map(input_value)
                .collect(),
            one_of: introspected.is_one_of == Some(true),
        },
        "OBJECT" => TypeKind::Object(fields(introspected.fields)),
        "INTERFACE" => TypeKind::Interface(fields(introspected.fields)),
        "UNION" => TypeKind::Union,
        _ => return None,
    })
}

fn field(introspected: IntrospectedField) -> Option<Field> {
    let is_deprecated = introspected.is_deprecated == Some(true);
    Some(Field {
        name: name(&introspected.name)?,
        description: schema::described(introspected.description.as_deref()),
        ty: ty(&introspected.ty, 0)?,
        args: introspected.args.into_iter().filter_map(input_value).collect(),
        deprecated: is_deprecated.then(|| {
            cut(introspected.deprecation_reason.as_deref().unwrap_or("no longer supported"), 300)
                .into()
        }),
    })
}

fn input_value(introspected: IntrospectedValue) -> Option<InputValue> {
    Some(InputValue {
        name: name(&introspected.name)?,
        description: schema::described(introspected.description.as_deref()),
        ty: ty(&introspected.ty, 0)?,
        default: introspected.default_value.as_deref().map(schema::default_text),
        deprecated: introspected.is_deprecated == Some(true),
    })
}

fn ty(introspected: &Reference, lists: usize) -> Option<Type> {
    let inner = || introspected.of_type.as_deref();
    Some(match introspected.kind.as_str() {
        // Twice in a row it is not GraphQL, and would not end.
        "NON_NULL" => match inner()
            .filter(|inner| inner.kind != "NON_NULL")
            .and_then(|inner| ty(inner, lists))?
        {
            Type::Named(name) => Type::NonNullNamed(name),
            Type::List(inner) => Type::NonNullList(inner),
            other => other,
        },
        "LIST" if lists < schema::LISTS_MAX => Type::List(Box::new(ty(inner()?, lists + 1)?)),
        "LIST" => return None,
        _ => Type::Named(name(introspected.name.as_deref()?)?),
    })
}

fn names(introspected: Option<&[Named]>) -> Vec<Name> {
    introspected.into_iter().flatten().filter_map(|named| name(named.name.as_deref()?)).collect()
}

/// The text as a name, if it is one and no longer than names are.
fn name(text: &str) -> Option<Name> {
    Name::new(text).ok().filter(|name| name.len() <= NAME_BYTES_MAX)
}

/// Longest name that is taken, in bytes; the longest of GitHub's has 60.
const NAME_BYTES_MAX: usize = 100;

#[cfg(test)]
mod tests;
