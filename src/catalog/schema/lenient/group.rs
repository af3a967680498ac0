//! Schemas that hold for one and the same object, and what they say together of its fields.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::marks::{ABSENT, OPTIONAL};
use crate::catalog::schema::reference::{pointed, resolved};

/// Schemas of one group that are looked at.
const PARTS_MAX: usize = 64;
/// Parts within parts that are looked at.
const DEPTH_MAX: usize = 8;

/// A schema with the parts that hold for the same value.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// Fields that need not be given: they have a default, or stand only in what goes the other
    /// way.
    pub(super) optional: BTreeSet<String>,
    /// Schemas that all hold.
    all: Vec<Part>,
    /// Forms of which one holds, of each keyword that lists some.
    forms: Vec<Vec<Part>>,
}

/// What one schema says of the fields of an object.
#[derive(Debug, Default)]
struct Part {
    names: BTreeSet<String>,
    /// True if it forbids all fields that it does not name.
    is_closed: bool,
}

impl Group {
    /// The group of a schema of the document `root`.
    pub(super) fn of(schema: &Map<String, Value>, root: &Value, with_defaults: bool) -> Self {
        let mut group = Self::default();
        let mut reader = Reader { root, parts_left: PARTS_MAX, with_defaults };
        reader.read(schema, (true, 0), &mut group);
        group
    }

    /// Returns true if a part forbids a field that another part knows.
    pub(super) fn is_contradictory(&self) -> bool {
        let is_short =
            |part: &Part, names: &BTreeSet<String>| part.is_closed && !names.is_subset(&part.names);
        if self.all.len() + self.forms.len() < 2 {
            return false;
        }
        let of_all: BTreeSet<String> = names(&self.all);
        let every: BTreeSet<String> =
            self.forms.iter().flat_map(|forms| names(forms)).chain(of_all.clone()).collect();
        self.all.iter().any(|part| is_short(part, &every))
            || self.forms.iter().flatten().any(|form| is_short(form, &of_all))
    }

    /// Returns true if no field is allowed that none of the parts knows.
    pub(super) fn is_closed(&self) -> bool {
        self.all.iter().any(|part| part.is_closed)
            || self
                .forms
                .iter()
                .any(|forms| !forms.is_empty() && forms.iter().all(|form| form.is_closed))
    }
}

fn names(parts: &[Part]) -> BTreeSet<String> {
    parts.iter().flat_map(|part| part.names.iter().cloned()).collect()
}

/// Returns true if a schema says something else as a part of such a whole than alone.
pub(super) fn depends(
    schema: &Map<String, Value>,
    root: &Value,
    is_open: bool,
    optional: &BTreeSet<String>,
) -> bool {
    let mut left = PARTS_MAX;
    let mut ahead = vec![(schema, 0)];
    while let Some((schema, depth)) = ahead.pop() {
        let closes =
            |key: &str| is_open && schema.get(key).is_some_and(|rest| *rest == Value::Bool(false));
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        if closes("additionalProperties")
            || closes("unevaluatedProperties")
            || required.filter_map(Value::as_str).any(|name| optional.contains(name))
        {
            return true;
        }
        for part in parts(schema, root, &["allOf", "anyOf", "oneOf"]) {
            if depth < DEPTH_MAX && left > 0 {
                left -= 1;
                ahead.push((part, depth + 1));
            }
        }
    }
    false
}

/// The schemas that hold for the same value: what it refers to, and the parts under these keywords.
fn parts<'a>(
    schema: &'a Map<String, Value>,
    root: &'a Value,
    keywords: &[&str],
) -> Vec<&'a Map<String, Value>> {
    let referred = schema.get("$ref").and_then(Value::as_str);
    let referred = referred.and_then(|reference| pointed(reference, root));
    let listed = keywords.iter().filter_map(|key| schema.get(*key)?.as_array()).flatten();
    referred.into_iter().chain(listed).filter_map(Value::as_object).collect()
}

struct Reader<'a> {
    root: &'a Value,
    parts_left: usize,
    /// True if fields with a default need not be given.
    with_defaults: bool,
}

impl Reader<'_> {
    fn read(
        &mut self,
        schema: &Map<String, Value>,
        (is_outermost, depth): (bool, usize),
        group: &mut Group,
    ) {
        let Some(left) = self.parts_left.checked_sub(1).filter(|_| depth <= DEPTH_MAX) else {
            return;
        };
        self.parts_left = left;
        group.optional.extend(self.optional(schema));
        let part = part_of(schema, is_outermost);
        if part.is_closed || !part.names.is_empty() {
            group.all.push(part);
        }
        for part in parts(schema, self.root, &["allOf"]) {
            self.read(part, (false, depth + 1), group);
        }
        for keyword in ["anyOf", "oneOf"] {
            let Some(forms) = schema.get(keyword).and_then(Value::as_array) else { continue };
            let forms = forms.iter().map(|form| {
                let mut inner = Group::default();
                if let Some(form) = form.as_object() {
                    self.read(form, (false, depth + 1), &mut inner);
                }
                group.optional.extend(std::mem::take(&mut inner.optional));
                let is_closed = inner.is_closed();
                let names = inner.forms.iter().flat_map(|forms| names(forms));
                Part { names: names.chain(self::names(&inner.all)).collect(), is_closed }
            });
            let forms = forms.collect();
            group.forms.push(forms);
        }
    }

    /// Fields that need not be given, as this schema alone says it.
    fn optional(&self, schema: &Map<String, Value>) -> Vec<String> {
        let fields = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
        let is_optional = |field: &Value| {
            let has_default = |field: &Value| {
                self.with_defaults
                    && (field.get("default").is_some() || field.get(OPTIONAL).is_some())
            };
            field.get(ABSENT).is_some()
                || has_default(field)
                || field.get("$ref").is_some()
                    && resolved(field, self.root).is_some_and(has_default)
        };
        fields.filter(|(_, field)| is_optional(field)).map(|(name, _)| name.clone()).collect()
    }
}

fn part_of(schema: &Map<String, Value>, is_outermost: bool) -> Part {
    let is_false = |key: &str| schema.get(key) == Some(&Value::Bool(false));
    let names = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    // A pattern may allow any name.
    let has_patterns = schema
        .get("patternProperties")
        .is_some_and(|patterns| patterns.as_object().is_some_and(|patterns| !patterns.is_empty()));
    // At the whole, `unevaluatedProperties` heeds what its parts name.
    let is_closed =
        is_false("additionalProperties") || !is_outermost && is_false("unevaluatedProperties");
    Part {
        names: names.map(|(name, _)| name.clone()).collect(),
        is_closed: is_closed && !has_patterns,
    }
}
