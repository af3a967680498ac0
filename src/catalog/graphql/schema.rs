//! A service's types, small enough to keep: names, types, arguments and descriptions, and nothing
//! else.
//!
//! Made from introspection or from the schema definition language; knows neither. Every name in it
//! is a valid GraphQL name, so it can be written into a document as it is.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use apollo_compiler::{
    Name,
    ast::{OperationType, Type},
};

use crate::base::text::cut;

/// Longest description that is kept of one thing, in bytes.
pub(super) const DESCRIPTION_BYTES_MAX: usize = 2 * 1024;
/// Deepest nesting of lists in a type.
pub(super) const LISTS_MAX: usize = 8;
/// Longest default value that is kept, in bytes of its text.
const DEFAULT_BYTES_MAX: usize = 200;

/// All types of a service.
#[derive(Debug, Default)]
pub(super) struct ServiceSchema {
    pub(super) types: HashMap<Name, TypeDef>,
    pub(super) query: Option<Name>,
    pub(super) mutation: Option<Name>,
    pub(super) subscription: Option<Name>,
    /// Object types that a union or an interface can stand for, by name of the union or interface;
    /// sorted.
    pub(super) possible: BTreeMap<Name, Vec<Name>>,
    /// The first thing in it that makes no sense, if anything.
    pub(super) fault: Option<String>,
    /// Types that it names and does not declare: scalars of the service's own, as far as is known.
    pub(super) undeclared: BTreeSet<Name>,
}

/// One type.
#[derive(Debug)]
pub(super) struct TypeDef {
    pub(super) description: Box<str>,
    pub(super) kind: TypeKind,
}

/// Kind of a type.
#[derive(Debug)]
pub(super) enum TypeKind {
    /// A leaf without values of its own.
    Scalar {
        /// URL of its specification, if the service gives one.
        specified_by: Option<Box<str>>,
    },
    /// A leaf with these values.
    Enum(Vec<Name>),
    /// Input object, the type of arguments.
    Input {
        /// Fields in the service's order.
        fields: Vec<InputValue>,
        /// Exactly one field is given.
        one_of: bool,
    },
    /// An object, with its fields in the service's order.
    Object(Vec<Field>),
    /// An interface, likewise.
    Interface(Vec<Field>),
    /// A union.
    Union,
}

/// One field of an object or an interface.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: Name,
    pub(super) description: Box<str>,
    pub(super) ty: Type,
    pub(super) args: Vec<InputValue>,
    /// Reason for its deprecation.
    pub(super) deprecated: Option<Box<str>>,
}

/// One argument, or one field of an input object.
#[derive(Debug)]
pub(super) struct InputValue {
    pub(super) name: Name,
    pub(super) description: Box<str>,
    pub(super) ty: Type,
    /// The text of its default value.
    pub(super) default: Option<Box<str>>,
    /// True if it is deprecated.
    pub(super) deprecated: bool,
}

impl InputValue {
    /// Returns true if a call must give it.
    pub(super) fn is_required(&self) -> bool {
        self.ty.is_non_null() && self.default.is_none()
    }
}

impl TypeKind {
    /// The fields of an object or an interface; none of anything else.
    pub(super) fn fields(&self) -> &[Field] {
        match self {
            Self::Object(fields) | Self::Interface(fields) => fields,
            _ => &[],
        }
    }
}

impl ServiceSchema {
    /// Takes types of fields and arguments that are named and not declared for scalars of the
    /// service's own.
    pub(super) fn declare_scalars(&mut self) {
        let mut named: BTreeSet<Name> = BTreeSet::new();
        for def in self.types.values() {
            let inputs = match &def.kind {
                TypeKind::Input { fields, .. } => fields.as_slice(),
                _ => &[],
            };
            let fields = def.kind.fields().iter();
            named.extend(fields.clone().map(|field| field.ty.inner_named_type().clone()));
            let arguments = fields.flat_map(|field| &field.args).chain(inputs);
            named.extend(arguments.map(|argument| argument.ty.inner_named_type().clone()));
        }
        named.retain(|name| {
            !is_built_in(name) && !name.starts_with("__") && !self.types.contains_key(name)
        });
        for name in &named {
            let kind = TypeKind::Scalar { specified_by: None };
            self.types.insert(name.clone(), TypeDef { description: "".into(), kind });
        }
        self.undeclared = named;
    }

    /// The name of a root type, if the service has it.
    pub(super) fn root(&self, operation: OperationType) -> Option<&Name> {
        match operation {
            OperationType::Query => self.query.as_ref(),
            OperationType::Mutation => self.mutation.as_ref(),
            OperationType::Subscription => self.subscription.as_ref(),
        }
    }

    /// Returns true if a type is one from which operations begin.
    pub(super) fn is_root(&self, name: &str) -> bool {
        [&self.query, &self.mutation, &self.subscription]
            .into_iter()
            .flatten()
            .any(|root| root.as_str() == name)
    }

    pub(super) fn kind(&self, name: &str) -> Option<&TypeKind> {
        self.types.get(name).map(|def| &def.kind)
    }

    /// The fields of a type; none where it has none or is not known.
    pub(super) fn fields(&self, name: &str) -> &[Field] {
        self.kind(name).map_or(&[], TypeKind::fields)
    }

    pub(super) fn field(&self, parent: &str, name: &str) -> Option<&Field> {
        self.fields(parent).iter().find(|field| field.name.as_str() == name)
    }

    /// Returns true if values of the type have fields to choose from.
    pub(super) fn is_composite(&self, name: &str) -> bool {
        matches!(
            self.kind(name),
            Some(TypeKind::Object(_) | TypeKind::Interface(_) | TypeKind::Union)
        )
    }

    /// Returns true if values of the type are taken as they are.
    pub(super) fn is_leaf(&self, name: &str) -> bool {
        is_built_in(name)
            || matches!(self.kind(name), Some(TypeKind::Scalar { .. } | TypeKind::Enum(_)))
    }

    /// The object types that a composite type can turn out to be.
    pub(super) fn possible<'a>(&'a self, name: &'a Name) -> &'a [Name] {
        match self.kind(name) {
            Some(TypeKind::Object(_)) => std::slice::from_ref(name),
            _ => self.possible.get(name).map_or(&[], Vec::as_slice),
        }
    }
}

/// Returns true if every service has this scalar.
pub(super) fn is_built_in(name: &str) -> bool {
    matches!(name, "Int" | "Float" | "String" | "Boolean" | "ID")
}

/// A description within its bound.
pub(super) fn described(text: Option<&str>) -> Box<str> {
    cut(text.unwrap_or_default().trim(), DESCRIPTION_BYTES_MAX).into()
}

/// The text of a default value; a long one is told as such, since only that there is one matters.
pub(super) fn default_text(text: &str) -> Box<str> {
    if text.len() > DEFAULT_BYTES_MAX { "…".into() } else { text.into() }
}

/// Number of list levels of a type.
pub(super) fn lists(ty: &Type) -> usize {
    match ty {
        Type::Named(_) | Type::NonNullNamed(_) => 0,
        Type::List(inner) | Type::NonNullList(inner) => 1 + lists(inner),
    }
}
