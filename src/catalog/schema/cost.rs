//! Upper bound on the cost of validating a value against a schema, computed before validating.
//!
//! Schemas come from upstreams, and a few lines can demand more steps than there is time for: forms
//! that refer to each other, lists of forms, patterns that backtrack. The estimate is the worst
//! case.

use std::collections::{BTreeMap, HashMap, VecDeque};

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use crate::base::text::cut;

/// Schemas that may apply to one place of a value one within the other, in a row. Each takes stack.
const HEIGHT_MAX: usize = 128;
/// Limit over all nested places on the path to the deepest value.
const STACK_MAX: usize = 1_500;
/// Limit on the product of keywords such as `unevaluatedProperties` while a schema is compiled:
/// they are computed for every path to them.
const UNEVALUATED_MAX: u64 = 20_000;
/// Patterns of one schema, and what all of them together may take once compiled, in bytes.
const PATTERNS_MAX: usize = 512;
pub(in crate::catalog) const PATTERN_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Cost of a backtracking pattern, in steps, for each 64 bytes that it is tried on.
const HARD_PATTERN: u64 = 2_000;

/// Reason why the cost cannot be estimated, or has no bound.
pub(super) type Unbounded = String;

/// A schema as far as the work of checking it depends on it. One in whose place others stand comes
/// before those.
pub(in crate::catalog) struct ValidationCost {
    nodes: Box<[Node]>,
    root: u32,
    height: usize,
    /// Different places where it has a pattern.
    pub(in crate::catalog) patterns: usize,
    /// True if a value may have one of several forms, of each of which the faults are found before
    /// any is told.
    pub(super) has_forms: bool,
}

/// One schema, and where the schemas in it apply.
#[derive(Default)]
struct Node {
    /// Steps that every value costs.
    steps: u64,
    /// To the value itself, by a reference or as one of several forms.
    in_place: Vec<u32>,
    fields: HashMap<Box<str>, u32>,
    each_field: Vec<u32>,
    names: Vec<u32>,
    places: Vec<u32>,
    each_item: Vec<u32>,
    /// Patterns for a text, and for every name of an object.
    pattern: Pattern,
    name_patterns: Pattern,
    /// True if it asks what the schemas in its place left over, for which they are asked again.
    unevaluated: bool,
    unique: bool,
}

/// Patterns of which each step is bounded by the length of the text, and others.
#[derive(Clone, Copy, Default)]
struct Pattern {
    easy: u64,
    hard: u64,
}

impl Pattern {
    fn add(&mut self, pattern: &str) {
        if is_hard(pattern) { self.hard += 1 } else { self.easy += 1 }
    }

    fn on(self, bytes: usize) -> u64 {
        let bytes = bytes as u64;
        self.easy
            .saturating_mul(2 + bytes / 16)
            .saturating_add(self.hard.saturating_mul(HARD_PATTERN * (1 + bytes / 64)))
    }
}

/// Returns true if a pattern may take long for its length: it looks around or back, or counts far.
fn is_hard(pattern: &str) -> bool {
    let looks = ["(?=", "(?!", "(?<", "(?>", "(?(", "*+", "++", "?+", "\\k", "\\G", "\\K"];
    let refers =
        pattern.as_bytes().windows(2).any(|pair| pair[0] == b'\\' && pair[1].is_ascii_digit());
    let digits = |part: &str| {
        part.chars().take_while(|c| c.is_ascii_digit() || *c == ',').filter(|c| *c != ',').count()
    };
    let counts_far = pattern.split('{').skip(1).any(|part| digits(part) > 2);
    pattern.len() > 200 || refers || counts_far || looks.iter().any(|look| pattern.contains(look))
}

impl ValidationCost {
    /// Reads a schema; says why where the work may have no end, or cannot be told.
    pub(in crate::catalog) fn of(schema: &Value) -> Result<Self, Unbounded> {
        let is_old = schema
            .get("$schema")
            .and_then(Value::as_str)
            .is_some_and(|draft| draft.contains("draft-04"));
        if has_reference(schema)
            && has_inner_address(schema, if is_old { "id" } else { "$id" }, true)
        {
            return Err(
                "it has `$id` within and references, so where they lead is not told".to_owned()
            );
        }
        let mut reader = Reader {
            root: schema,
            ids: HashMap::new(),
            nodes: Vec::new(),
            ahead: VecDeque::new(),
            patterns: 0,
            has_forms: false,
        };
        let root = reader.id(schema);
        while let Some((id, schema)) = reader.ahead.pop_front() {
            let node = reader.node(schema)?;
            reader.nodes[id as usize] = node;
        }
        if reader.patterns > PATTERNS_MAX {
            return Err(format!("it has {} patterns, allowed are {PATTERNS_MAX}", reader.patterns));
        }
        let (patterns, has_forms) = (reader.patterns, reader.has_forms);
        let (nodes, root) =
            ordered(reader.nodes, root).ok_or("it refers to itself with no value between")?;
        let mut counts = vec![1_u64; nodes.len()];
        let mut heights = vec![1_usize; nodes.len()];
        let mut unevaluated = 0_u64;
        for (at, node) in nodes.iter().enumerate().rev() {
            for inner in &node.in_place {
                counts[at] = counts[at].saturating_add(counts[*inner as usize]);
                heights[at] = heights[at].max(heights[*inner as usize] + 1);
            }
            if node.unevaluated {
                unevaluated = unevaluated.saturating_add(counts[at]);
            }
        }
        let height = heights.iter().copied().max().unwrap_or_default();
        if height > HEIGHT_MAX {
            return Err(format!(
                "{height} of its schemas apply to one value in a row, allowed are {HEIGHT_MAX}"
            ));
        }
        if unevaluated > UNEVALUATED_MAX {
            return Err(format!(
                "what `unevaluatedProperties` or `unevaluatedItems` ask for has more than \
                {UNEVALUATED_MAX} ways"
            ));
        }
        Ok(Self { nodes: nodes.into(), root, height, patterns, has_forms })
    }

    /// The steps that a check of the value takes at most; none when they are more than `steps_max`,
    /// or go too deep.
    pub(in crate::catalog) fn on(&self, value: &Value, steps_max: u64) -> Option<u64> {
        let mut left = steps_max;
        let deepest = self.visit(value, &[(self.root, 1)], &mut left)?;
        (deepest * self.height <= STACK_MAX).then(|| steps_max - left)
    }

    /// Takes off what the value and all in it cost, each schema as many times as it is asked. How
    /// deep the value goes.
    fn visit(&self, value: &Value, active: &[(u32, u64)], left: &mut u64) -> Option<usize> {
        let mut asked: Vec<(u32, u64)> = Vec::with_capacity(active.len());
        // In order, so that each is met when all that ask for it have been.
        let mut ahead: BTreeMap<u32, u64> = BTreeMap::new();
        for (id, count) in active {
            add(&mut ahead, *id, *count);
        }
        while let Some((id, count)) = ahead.pop_first() {
            let node = &self.nodes[id as usize];
            *left = left.checked_sub(count.saturating_mul(node.cost(value)))?;
            let again = if node.unevaluated { 2 + entries(value) } else { 1 };
            for inner in &node.in_place {
                add(&mut ahead, *inner, count.saturating_mul(again));
            }
            asked.push((id, count));
        }
        let mut deepest = 0;
        match value {
            Value::Array(items) => {
                let every = self.gathered(&asked, |node| &node.each_item);
                let has_places =
                    asked.iter().any(|(id, _)| !self.nodes[*id as usize].places.is_empty());
                if every.is_empty() && !has_places {
                    return Some(1);
                }
                for (at, item) in items.iter().enumerate() {
                    let mut inner = every.clone();
                    if has_places {
                        inner.extend(asked.iter().filter_map(|(id, n)| {
                            Some((*self.nodes[*id as usize].places.get(at)?, *n))
                        }));
                    }
                    deepest = deepest.max(self.visit_item(item, &inner, left)?);
                }
            }
            Value::Object(map) => {
                let every = self.gathered(&asked, |node| &node.each_field);
                let names = self.gathered(&asked, |node| &node.names);
                for (key, item) in map {
                    if !names.is_empty() {
                        self.visit(&Value::from(key.as_str()), &names, left)?;
                    }
                    let mut inner = every.clone();
                    inner.extend(asked.iter().filter_map(|(id, n)| {
                        Some((*self.nodes[*id as usize].fields.get(key.as_str())?, *n))
                    }));
                    deepest = deepest.max(self.visit_item(item, &inner, left)?);
                }
            }
            _ => {}
        }
        Some(deepest + 1)
    }

    /// Walks the parts of a value. Plain values, the most frequent ones, take no detour.
    fn visit_item(&self, item: &Value, active: &[(u32, u64)], left: &mut u64) -> Option<usize> {
        let is_plain = !item.is_array() && !item.is_object();
        match active {
            [] => Some(0),
            [(id, count)] if is_plain && self.nodes[*id as usize].in_place.is_empty() => {
                *left =
                    left.checked_sub(count.saturating_mul(self.nodes[*id as usize].cost(item)))?;
                Some(1)
            }
            _ => self.visit(item, active, left),
        }
    }

    fn gathered(&self, asked: &[(u32, u64)], of: impl Fn(&Node) -> &Vec<u32>) -> Vec<(u32, u64)> {
        asked
            .iter()
            .flat_map(|(id, count)| {
                of(&self.nodes[*id as usize]).iter().map(|inner| (*inner, *count))
            })
            .collect()
    }
}

impl Node {
    /// Cost of the value itself in this node, without its parts.
    fn cost(&self, value: &Value) -> u64 {
        let own = match value {
            Value::String(text) => self.pattern.on(text.len()),
            Value::Array(items) if self.unique => 4 * items.len() as u64,
            Value::Object(map) if self.name_patterns.easy + self.name_patterns.hard > 0 => {
                map.keys().fold(0, |all, key| self.name_patterns.on(key.len()).saturating_add(all))
            }
            _ => 0,
        };
        own.saturating_add(self.steps)
    }
}

fn add(ahead: &mut BTreeMap<u32, u64>, id: u32, count: u64) {
    let known = ahead.entry(id).or_default();
    *known = known.saturating_add(count);
}

fn entries(value: &Value) -> u64 {
    match value {
        Value::Array(items) => items.len() as u64,
        Value::Object(map) => map.len() as u64,
        _ => 0,
    }
}

/// The nodes, each before those in its place; none when some stand in each other's place in a
/// circle.
fn ordered(nodes: Vec<Node>, root: u32) -> Option<(Vec<Node>, u32)> {
    let mut waits_for = vec![0_usize; nodes.len()];
    for inner in nodes.iter().flat_map(|node| &node.in_place) {
        waits_for[*inner as usize] += 1;
    }
    let mut ready: Vec<usize> = (0..nodes.len()).filter(|at| waits_for[*at] == 0).collect();
    let mut order = Vec::with_capacity(nodes.len());
    while let Some(at) = ready.pop() {
        order.push(at);
        for inner in &nodes[at].in_place {
            let inner = *inner as usize;
            waits_for[inner] -= 1;
            if waits_for[inner] == 0 {
                ready.push(inner);
            }
        }
    }
    if order.len() < nodes.len() {
        return None;
    }
    let mut places = vec![0_u32; nodes.len()];
    for (new, old) in (0_u32..).zip(&order) {
        places[*old] = new;
    }
    let mut nodes: Vec<Option<Node>> = nodes.into_iter().map(Some).collect();
    let mut out = Vec::with_capacity(order.len());
    for old in order {
        let mut node = nodes[old].take()?;
        let lists = [
            &mut node.in_place,
            &mut node.each_field,
            &mut node.names,
            &mut node.places,
            &mut node.each_item,
        ];
        for id in lists.into_iter().flatten().chain(node.fields.values_mut()) {
            *id = places[*id as usize];
        }
        out.push(node);
    }
    Some((out, places[root as usize]))
}

/// Reads the schemas of one document, each once.
struct Reader<'a> {
    root: &'a Value,
    ids: HashMap<*const Value, u32>,
    nodes: Vec<Node>,
    ahead: VecDeque<(u32, &'a Value)>,
    patterns: usize,
    has_forms: bool,
}

impl<'a> Reader<'a> {
    /// The number of a schema; one that is met for the first time is read later.
    fn id(&mut self, schema: &'a Value) -> u32 {
        // A schema has at most 256 KiB, so its parts are counted by far less.
        let next = self.nodes.len() as u32;
        let id = *self.ids.entry(std::ptr::from_ref(schema)).or_insert(next);
        if id == next {
            self.nodes.push(Node::default());
            self.ahead.push_back((id, schema));
        }
        id
    }

    fn node(&mut self, schema: &'a Value) -> Result<Node, Unbounded> {
        let mut node = Node { steps: 1, ..Node::default() };
        for (key, value) in schema.as_object().into_iter().flatten() {
            node.steps += 1;
            match (key.as_str(), value) {
                ("$ref", Value::String(reference)) => node.in_place.extend(self.target(reference)?),
                ("$dynamicRef" | "$recursiveRef", _) => {
                    return Err(format!("it has `{key}`, which leads where it is used"));
                }
                ("allOf" | "anyOf" | "oneOf", Value::Array(forms)) => {
                    self.has_forms |= key != "allOf";
                    node.in_place.extend(forms.iter().map(|form| self.id(form)));
                }
                ("not" | "if" | "then" | "else", form) => node.in_place.push(self.id(form)),
                ("dependentSchemas" | "dependencies", Value::Object(forms)) => {
                    node.in_place.extend(
                        forms.values().filter(|form| !form.is_array()).map(|form| self.id(form)),
                    );
                    node.steps += forms.values().map(size).sum::<u64>();
                }
                ("properties", Value::Object(fields)) => {
                    node.fields = fields
                        .iter()
                        .map(|(name, field)| (name.as_str().into(), self.id(field)))
                        .collect();
                    // Where names are compared with those of the object, each is looked up.
                    node.steps += fields.len() as u64 / 4;
                }
                ("patternProperties", Value::Object(fields)) => {
                    self.pattern_properties(fields, &mut node)
                }
                ("propertyNames", names) => node.names.push(self.id(names)),
                ("additionalProperties", rest) => node.each_field.push(self.id(rest)),
                ("unevaluatedProperties", rest) => {
                    node.each_field.push(self.id(rest));
                    node.unevaluated = true;
                }
                ("unevaluatedItems", rest) => {
                    node.each_item.push(self.id(rest));
                    node.unevaluated = true;
                }
                ("items" | "prefixItems", Value::Array(places)) => {
                    node.places = places.iter().map(|place| self.id(place)).collect()
                }
                ("items" | "additionalItems" | "contains", items) => {
                    node.each_item.push(self.id(items))
                }
                ("pattern", Value::String(pattern)) => {
                    self.patterns += 1;
                    node.pattern.add(pattern);
                }
                // Some formats are patterns as well; this one is compiled, whatever the text is.
                ("format", Value::String(format)) if format.contains("regex") => {
                    node.pattern.hard += 1
                }
                ("format" | "contentEncoding" | "contentMediaType", _) => node.pattern.easy += 2,
                ("uniqueItems", _) => node.unique = true,
                ("enum" | "const" | "required" | "dependentRequired", value) => {
                    node.steps += size(value) / 4
                }
                _ => {}
            }
        }
        Ok(node)
    }

    fn pattern_properties(&mut self, fields: &'a Map<String, Value>, node: &mut Node) {
        self.patterns += fields.len();
        for (pattern, field) in fields {
            node.name_patterns.add(pattern);
            node.each_field.push(self.id(field));
        }
    }

    /// Node that a reference leads to within the document. The compiler reports one that leads
    /// nowhere.
    fn target(&mut self, reference: &str) -> Result<Option<u32>, Unbounded> {
        if reference.is_empty() {
            return Ok(None);
        }
        let pointer = reference
            .strip_prefix('#')
            .filter(|pointer| pointer.is_empty() || pointer.starts_with('/'));
        let pointer = pointer
            .ok_or_else(|| format!("`{}` leads out of it or to a name", cut(reference, 100)))?;
        let pointer = percent_decode_str(pointer).decode_utf8_lossy();
        let target = self.root.pointer(&pointer);
        Ok(target.map(|target| self.id(target)))
    }
}

/// Number of values in it, itself included.
fn size(value: &Value) -> u64 {
    match value {
        Value::Array(items) => items.iter().map(size).sum::<u64>() + 1,
        Value::Object(map) => map.values().map(size).sum::<u64>() + 1,
        _ => 1,
    }
}

/// Returns true if it refers to anything. No deeper than a schema may be, which is 100.
fn has_reference(schema: &Value) -> bool {
    match schema {
        Value::Array(items) => items.iter().any(has_reference),
        Value::Object(map) => {
            map.get("$ref").is_some_and(Value::is_string) || map.values().any(has_reference)
        }
        _ => false,
    }
}

/// Returns true if a schema within it has an address of its own, from which references count.
fn has_inner_address(schema: &Value, key: &str, is_root: bool) -> bool {
    match schema {
        Value::Array(items) => items.iter().any(|item| has_inner_address(item, key, false)),
        Value::Object(map) => {
            let has_own = map.get(key).is_some_and(Value::is_string);
            (!is_root && has_own) || map.values().any(|item| has_inner_address(item, key, false))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
