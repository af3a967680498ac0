//! Default selection, used when an agent names no fields: the leaves of the response, and one level
//! below where that is cheap.
//!
//! Chosen so that a service answers it willingly: nothing that needs arguments, no lists within
//! lists, no deprecated field, nothing that leads back to a root type, and a bound on the whole.

use std::collections::HashMap;

use apollo_compiler::{
    Name, Node,
    ast::{self, InlineFragment, Selection, Type},
    name,
};

use super::schema::{Field, ServiceSchema, TypeKind};
use crate::catalog::tool::omitted_fields::FieldPath;

/// Fields of one whole selection.
pub(super) const FIELDS_MAX: usize = 100;
/// Bytes of all their names.
const BYTES_MAX: usize = 4 * 1024;
/// Leaves of the answer itself.
const LEAVES_MAX: usize = 40;
/// Leaves of an object within the answer.
const NESTED_LEAVES_MAX: usize = 6;
/// An object with no more leaves than this is a wrapping, so that what it holds is told as if it
/// were the answer itself.
const WRAPPING_LEAVES_MAX: usize = 3;
/// Members of a union that get their own selection, and fields of each.
const MEMBERS: (usize, usize) = (12, 4);
/// Objects that a page may stand in.
const WITHIN_MAX: usize = 3;
/// Names of the most informative fields, first.
const TELLING: [&str; 16] = [
    "id",
    "name",
    "title",
    "login",
    "key",
    "slug",
    "number",
    "code",
    "url",
    "state",
    "status",
    "type",
    "message",
    "email",
    "createdAt",
    "updatedAt",
];

/// The fields of a value of this type.
pub(super) fn selection(schema: &ServiceSchema, parent: &Name, is_list: bool) -> Vec<Selection> {
    let mut choice =
        Choice { schema, fields_left: FIELDS_MAX, bytes_left: BYTES_MAX, above: Vec::new() };
    choice.of(parent, LEAVES_MAX, if is_list { Below::IfBare } else { Below::Objects })
}

/// The leaves of a value of this type, at most so many.
pub(super) fn leaves_only(
    schema: &ServiceSchema,
    parent: &Name,
    fields_max: usize,
) -> Vec<Selection> {
    let fields_left = fields_max.min(LEAVES_MAX);
    let mut choice = Choice { schema, fields_left, bytes_left: BYTES_MAX, above: Vec::new() };
    choice.of(parent, LEAVES_MAX, Below::IfBare)
}

/// Returns true if a selection asks for a leaf at this way.
pub(super) fn is_leaf_at(selection: &[Selection], path: &[String]) -> bool {
    let Some((first, rest)) = path.split_first() else { return false };
    selection.iter().any(|part| match part {
        Selection::Field(field) if field.name.as_str() == first => {
            if rest.is_empty() {
                field.selection_set.is_empty()
            } else {
                is_leaf_at(&field.selection_set, rest)
            }
        }
        Selection::InlineFragment(fragment) => is_leaf_at(&fragment.selection_set, path),
        _ => false,
    })
}

/// The selection without the fields at these paths; none if nothing would be left or nothing is
/// removed.
pub(super) fn without(selection: &[Selection], paths: &[FieldPath]) -> Option<Vec<Selection>> {
    let left: Vec<Selection> = selection.iter().filter_map(|part| pruned(part, paths, 0)).collect();
    (!left.is_empty() && left != selection).then_some(left)
}

/// A part of a selection without the fields at these paths, of which `depth` steps are above it.
fn pruned(part: &Selection, paths: &[FieldPath], depth: usize) -> Option<Selection> {
    match part {
        Selection::Field(field) => {
            let here: Vec<FieldPath> = paths
                .iter()
                .filter(|path| path.get(depth).is_some_and(|name| *name == field.name.as_str()))
                .cloned()
                .collect();
            if here.iter().any(|path| path.len() == depth + 1) {
                return None;
            }
            let below: Vec<Selection> = field
                .selection_set
                .iter()
                .filter_map(|part| pruned(part, &here, depth + 1))
                .collect();
            let is_hollow = below.is_empty() && !field.selection_set.is_empty();
            let field = ast::Field { selection_set: below, ..(**field).clone() };
            (!is_hollow).then(|| Selection::Field(Node::new(field)))
        }
        Selection::InlineFragment(fragment) => {
            let below: Vec<Selection> = fragment
                .selection_set
                .iter()
                .filter_map(|part| pruned(part, paths, depth))
                .collect();
            let is_hollow = below.is_empty();
            let fragment = InlineFragment { selection_set: below, ..(**fragment).clone() };
            (!is_hollow).then(|| Selection::InlineFragment(Node::new(fragment)))
        }
        Selection::FragmentSpread(_) => None,
    }
}

/// The selection for a field without leaves of types that the schema does not declare, which may be
/// none: those that `words` name in quotes, or all; none if there are no such leaves or nothing
/// would be left.
pub(super) fn without_undeclared(
    schema: &ServiceSchema,
    field: &Field,
    selection: &[Selection],
    words: Option<&str>,
) -> Option<Vec<Selection>> {
    if schema.undeclared.is_empty() {
        return None;
    }
    let mut paths = Vec::new();
    undeclared(schema, field.ty.inner_named_type(), selection, &mut Vec::new(), &mut paths);
    if let Some(words) = words {
        paths.retain(|path: &FieldPath| {
            let name = path.last().map_or("", String::as_str);
            [('"', '"'), ('`', '`'), ('\'', '\'')]
                .iter()
                .any(|(open, close)| words.contains(&format!("{open}{name}{close}")))
        });
    }
    without(selection, &paths)
}

/// Adds the paths of leaves of undeclared types. As deep as a selection that was made here.
fn undeclared(
    schema: &ServiceSchema,
    parent: &Name,
    selection: &[Selection],
    above: &mut FieldPath,
    paths: &mut Vec<FieldPath>,
) {
    for part in selection {
        match part {
            Selection::Field(field) => {
                let Some(known) = schema.field(parent, &field.name) else { continue };
                let named = known.ty.inner_named_type();
                above.push(field.name.to_string());
                if schema.undeclared.contains(named) {
                    paths.push(above.clone());
                }
                undeclared(schema, named, &field.selection_set, above, paths);
                above.pop();
            }
            Selection::InlineFragment(fragment) => {
                let parent = fragment.type_condition.as_ref().unwrap_or(parent);
                undeclared(schema, parent, &fragment.selection_set, above, paths);
            }
            Selection::FragmentSpread(_) => {}
        }
    }
}

/// Objects below a value that are selected with it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Below {
    /// Its own, with their leaves.
    Objects,
    /// Its own where it has no leaf, for then it would tell nothing.
    IfBare,
    /// No object.
    Nothing,
}

struct Choice<'a> {
    schema: &'a ServiceSchema,
    fields_left: usize,
    bytes_left: usize,
    /// Types that the present one stands in.
    above: Vec<Name>,
}

impl<'a> Choice<'a> {
    fn of(&mut self, parent: &Name, leaves_max: usize, nested: Below) -> Vec<Selection> {
        let schema = self.schema;
        let mut out = Vec::new();
        let kind = schema.kind(parent);
        if matches!(kind, Some(TypeKind::Interface(_) | TypeKind::Union)) {
            self.push(&mut out, name!("__typename"), Vec::new());
        }
        if matches!(kind, Some(TypeKind::Union)) {
            self.members(&mut out, parent, nested);
        }
        let fields = schema.fields(parent);
        let chosen = self.leaves(fields, leaves_max);
        for name in &chosen {
            self.push(&mut out, name.clone(), Vec::new());
        }
        self.above.push(parent.clone());
        let before = out.len();
        self.page(&mut out, fields, leaves_max);
        let is_bare = chosen.is_empty() && out.len() == before;
        let (nested_max, further) = match nested {
            Below::Objects if chosen.len() <= WRAPPING_LEAVES_MAX => (LEAVES_MAX, Below::IfBare),
            Below::Objects => (NESTED_LEAVES_MAX, Below::IfBare),
            _ => (leaves_max, Below::Nothing),
        };
        if nested == Below::Objects || (nested == Below::IfBare && is_bare) {
            for field in fields {
                // What is full takes nothing more, however wide the types below are.
                if self.fields_left > 0 && self.is_cheap(field) {
                    let below = self.of(field.ty.inner_named_type(), nested_max, further);
                    self.push(&mut out, field.name.clone(), below);
                }
            }
        }
        self.above.pop();
        if out.is_empty() {
            // A selection holds at least one field.
            out.push(Selection::Field(Node::new(bare(None, name!("__typename")))));
        }
        out
    }

    /// Leaves without arguments that must be given, the telling ones first when there are too many;
    /// in the service's order.
    fn leaves(&self, fields: &[Field], leaves_max: usize) -> Vec<Name> {
        let schema = self.schema;
        let mut chosen: Vec<(usize, &Field)> = fields
            .iter()
            .enumerate()
            .filter(|(_, field)| schema.is_leaf(field.ty.inner_named_type()) && is_usual(field))
            .collect();
        if chosen.len() > leaves_max {
            chosen.sort_by_key(|(at, field)| {
                (
                    TELLING
                        .iter()
                        .position(|name| *name == field.name.as_str())
                        .unwrap_or(TELLING.len()),
                    *at,
                )
            });
            chosen.truncate(leaves_max);
            chosen.sort_by_key(|(at, _)| *at);
        }
        chosen.into_iter().map(|(_, field)| field.name.clone()).collect()
    }

    /// The page that a connection holds: its objects, and what is needed for the next page.
    fn page(&mut self, out: &mut Vec<Selection>, fields: &[Field], leaves_max: usize) {
        let schema = self.schema;
        if !is_connection(schema, fields) || self.above.len() > WITHIN_MAX {
            return;
        }
        let (above, is_new) = (self.above.clone(), |above: &[Name], name: &Name| {
            !above.contains(name) && !schema.is_root(name)
        });
        let by_name = |name: &str| {
            let field = fields.iter().find(|field| field.name.as_str() == name && is_usual(field));
            field.filter(|field| is_new(&above, field.ty.inner_named_type()))
        };
        if let Some(info) =
            by_name("pageInfo").filter(|info| schema.is_composite(info.ty.inner_named_type()))
        {
            let known = schema.fields(info.ty.inner_named_type()).iter();
            let wanted = known.filter(|field| {
                matches!(field.name.as_str(), "hasNextPage" | "endCursor") && is_usual(field)
            });
            let below: Vec<Selection> = wanted
                .map(|field| Selection::Field(Node::new(bare(None, field.name.clone()))))
                .collect();
            if !below.is_empty() {
                self.push(out, info.name.clone(), below);
            }
        }
        if let Some(nodes) = by_name("nodes") {
            let below = self.of(nodes.ty.inner_named_type(), leaves_max, Below::IfBare);
            self.push(out, nodes.name.clone(), below);
            return;
        }
        let Some(edges) = by_name("edges") else { return };
        let node = schema.field(edges.ty.inner_named_type(), "node").filter(|node| is_usual(node));
        let is_object = |name: &Name| schema.is_composite(name) && is_new(&above, name);
        if let Some(node) = node.filter(|node| is_object(node.ty.inner_named_type())) {
            let below = self.of(node.ty.inner_named_type(), leaves_max, Below::IfBare);
            let mut edge = Vec::new();
            self.push(&mut edge, node.name.clone(), below);
            if !edge.is_empty() {
                self.push(out, edges.name.clone(), edge);
            }
        }
    }

    /// The members of a union, each with the few fields that tell what it is: leaves, or where it
    /// has none that does, objects with theirs.
    fn members(&mut self, out: &mut Vec<Selection>, union: &Name, nested: Below) {
        let schema = self.schema;
        // The same name in two members must be of one type, or the service refuses the whole.
        let mut types: HashMap<&'a str, &'a Type> = HashMap::new();
        for member in
            schema.possible(union).iter().filter(|name| !schema.is_root(name)).take(MEMBERS.0)
        {
            let mut below = Vec::new();
            for wanted in TELLING {
                let field = schema
                    .field(member, wanted)
                    .filter(|field| schema.is_leaf(field.ty.inner_named_type()) && is_usual(field));
                let Some(field) = field.filter(|_| below.len() < MEMBERS.1) else { continue };
                if **types.entry(field.name.as_str()).or_insert(&field.ty) == field.ty {
                    self.push(&mut below, field.name.clone(), Vec::new());
                }
            }
            if below.is_empty() {
                self.other_leaves(&mut below, member, &mut types);
            }
            // Without an `id` it may be that of an object that tells which one it was: an order
            // that was placed.
            let is_known = below
                .iter()
                .any(|part| part.as_field().is_some_and(|field| field.name.as_str() == "id"));
            if (below.is_empty() && nested != Below::Nothing)
                || (!is_known && nested == Below::Objects)
            {
                self.member_objects(&mut below, (union, member), &mut types);
            }
            if !below.is_empty() {
                let fragment = InlineFragment {
                    type_condition: Some(member.clone()),
                    directives: ast::DirectiveList::new(),
                    selection_set: below,
                };
                out.push(Selection::InlineFragment(Node::new(fragment)));
            }
        }
    }

    /// Leaves of a member that has none of the telling ones.
    fn other_leaves(
        &mut self,
        below: &mut Vec<Selection>,
        member: &Name,
        types: &mut HashMap<&'a str, &'a Type>,
    ) {
        for name in self.leaves(self.schema.fields(member), MEMBERS.1) {
            let Some(field) = self.schema.field(member, &name) else { continue };
            if **types.entry(field.name.as_str()).or_insert(&field.ty) == field.ty {
                self.push(below, name, Vec::new());
            }
        }
    }

    /// Objects of a member that has no leaf to be known by, with their leaves.
    fn member_objects(
        &mut self,
        below: &mut Vec<Selection>,
        (union, member): (&Name, &Name),
        types: &mut HashMap<&'a str, &'a Type>,
    ) {
        let schema = self.schema;
        self.above.extend([union.clone(), member.clone()]);
        let mut left = MEMBERS.1;
        for field in schema.fields(member) {
            if left == 0 || self.fields_left == 0 || !self.is_cheap(field) {
                continue;
            }
            if **types.entry(field.name.as_str()).or_insert(&field.ty) == field.ty {
                let inner = self.of(field.ty.inner_named_type(), NESTED_LEAVES_MAX, Below::Nothing);
                self.push(below, field.name.clone(), inner);
                left -= 1;
            }
        }
        self.above.truncate(self.above.len() - 2);
    }

    /// Returns true if an object within the answer comes without being asked for: it takes no
    /// arguments, is no page of a longer list, and does not lead back to where we are.
    fn is_cheap(&self, field: &Field) -> bool {
        let named = field.ty.inner_named_type();
        let schema = self.schema;
        schema.is_composite(named)
            && field.args.is_empty()
            && field.deprecated.is_none()
            && !schema.is_root(named)
            && !self.above.contains(named)
            && !is_connection(schema, schema.fields(named))
            && !matches!(field.name.as_str(), "pageInfo" | "nodes" | "edges")
    }

    fn push(&mut self, out: &mut Vec<Selection>, name: Name, below: Vec<Selection>) {
        let (Some(fields), Some(bytes)) =
            (self.fields_left.checked_sub(1), self.bytes_left.checked_sub(name.len() + 1))
        else {
            return;
        };
        (self.fields_left, self.bytes_left) = (fields, bytes);
        out.push(Selection::Field(Node::new(ast::Field {
            selection_set: below,
            ..bare(None, name)
        })));
    }
}

/// Returns true if a field can be asked for without thinking.
fn is_usual(field: &Field) -> bool {
    field.deprecated.is_none() && !field.args.iter().any(super::schema::InputValue::is_required)
}

/// Returns true if these are the fields of one page of a longer list.
fn is_connection(schema: &ServiceSchema, fields: &[Field]) -> bool {
    let is_list_of_objects =
        |field: &Field| field.ty.is_list() && schema.is_composite(field.ty.inner_named_type());
    let has = |name: &str| {
        fields.iter().any(|field| field.name.as_str() == name && is_list_of_objects(field))
    };
    has("edges")
        || (has("nodes")
            && fields.iter().any(|field| matches!(field.name.as_str(), "pageInfo" | "totalCount")))
}

/// A field with nothing to it but its name.
pub(super) fn bare(alias: Option<Name>, name: Name) -> ast::Field {
    ast::Field {
        alias,
        name,
        arguments: Vec::new(),
        directives: ast::DirectiveList::new(),
        selection_set: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
