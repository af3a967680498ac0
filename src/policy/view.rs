//! Read-only views of rules and entries, for code that inspects a policy without deciding: lint,
//! `scan`, pages.

use super::{
    compiled::{CompiledCost, CompiledEntry, CompiledLayer, CompiledRule},
    condition::{ArgPath, Expr},
    file::{Action, DefaultAction, Scope},
    loaded::Policy,
    model::{layer::LayerScope, pattern::Pattern, verdict::RuleRef},
};

/// One rule.
#[derive(Debug, Clone)]
pub struct RuleView<'p> {
    /// Name of the file.
    pub file: &'p str,
    /// Callers that the file applies to.
    pub layer: &'p LayerScope,
    /// Index of the file among the layers.
    pub layer_index: usize,
    /// Pattern of the entry.
    pub pattern: &'p Pattern,
    /// Reference to the rule.
    pub rule: &'p RuleRef,
    /// Action of the rule.
    pub action: Action,
    /// The rule applies only under conditions on the call: `when`.
    pub conditional: bool,
    /// The rule applies only to some callers: `applies_to`.
    pub restricted: bool,
    /// The rule is only recorded.
    pub shadow: bool,
    /// The rule has an action only: no requirement, no limit, no schema.
    pub action_only: bool,
    /// The effect of the rule can depend on the arguments of a call.
    pub depends_on_args: bool,
    /// Arguments that conditions and costs read.
    pub arg_paths: Vec<ArgPath>,
    /// Scopes of each limit.
    pub limit_scopes: Vec<&'p [Scope]>,
    /// Line and column of the rule, from 1.
    pub position: (usize, usize),
}

/// What one file decides about tools that its rules leave open.
#[derive(Debug, Clone)]
pub struct LayerView<'p> {
    /// Name of the file.
    pub file: &'p str,
    /// Default of the file: `allow`, `ask`, `deny` or `auto`; none leaves it to the profile.
    pub default: Option<&'static str>,
    /// The file is only recorded.
    pub shadow: bool,
}

/// One entry.
#[derive(Debug, Clone)]
pub struct EntryView<'p> {
    /// Name of the file.
    pub file: &'p str,
    /// Index of the file among the layers.
    pub layer_index: usize,
    /// Pattern of the entry.
    pub pattern: &'p Pattern,
    /// JSON Pointer of the entry.
    pub pointer: String,
    /// The entry hides its tools.
    pub hidden: bool,
    /// Line and column of the entry, from 1.
    pub position: (usize, usize),
}

impl Policy {
    /// Returns all files, in their order.
    pub fn layers(&self) -> impl Iterator<Item = LayerView<'_>> {
        self.compiled.layers.iter().map(|layer| LayerView {
            file: &layer.name,
            default: layer.default.map(DefaultAction::as_str),
            shadow: layer.shadow,
        })
    }

    /// Returns all rules.
    pub fn rules(&self) -> impl Iterator<Item = RuleView<'_>> {
        self.compiled.entries.iter().flat_map(|entry| {
            let layer = &self.compiled.layers[entry.layer];
            entry.rules.iter().map(move |rule| rule.view(layer, entry))
        })
    }

    /// Returns all entries, including those of `hide`.
    pub fn entries(&self) -> impl Iterator<Item = EntryView<'_>> {
        self.compiled.entries.iter().map(|entry| entry.view(&self.compiled.layers[entry.layer]))
    }

    /// Returns the line of a rule in its file, from 1; `None` if the rule is not in a file.
    pub fn line_of(&self, rule: &RuleRef) -> Option<usize> {
        let layer = self
            .compiled
            .layers
            .iter()
            .find(|layer| layer.name == rule.layer)
            .filter(|_| !rule.pointer.is_empty())?;
        Some(layer.positions.find(&rule.pointer).0)
    }
}

impl CompiledRule {
    fn view<'p>(&'p self, layer: &'p CompiledLayer, entry: &'p CompiledEntry) -> RuleView<'p> {
        let required = self.require.iter().flat_map(|requirement| &requirement.conditions);
        let mut arg_paths: Vec<ArgPath> =
            self.when.iter().chain(required).flat_map(|condition| condition.arg_paths()).collect();
        for limit in &self.limits {
            match &limit.cost {
                CompiledCost::Fixed(_) => {}
                CompiledCost::Argument(keys) => {
                    arg_paths.push(ArgPath {
                        path: keys.iter().map(|key| key.to_string()).collect(),
                        must_exist: true,
                    });
                }
                CompiledCost::Expression(expression) => arg_paths.extend(expression.arg_paths()),
            }
        }
        RuleView {
            file: &layer.name,
            layer: &layer.scope,
            layer_index: entry.layer,
            pattern: &entry.pattern,
            rule: &self.rule,
            action: self.action,
            conditional: !self.when.is_empty(),
            restricted: self.applies_to.is_restricted(),
            shadow: self.shadow,
            action_only: self.require.is_empty()
                && self.limits.is_empty()
                && self.schema.is_none()
                && !self.required_args,
            depends_on_args: !arg_paths.is_empty()
                || !self.when.is_empty()
                || !self.require.is_empty()
                || self.schema.is_some()
                || self.required_args,
            arg_paths,
            limit_scopes: self.limits.iter().map(|limit| limit.counter.scopes.as_slice()).collect(),
            position: layer.positions.find(&self.rule.pointer),
        }
    }
}

impl CompiledEntry {
    fn view<'p>(&'p self, layer: &'p CompiledLayer) -> EntryView<'p> {
        EntryView {
            file: &layer.name,
            layer_index: self.layer,
            pattern: &self.pattern,
            pointer: self.pointer.clone(),
            hidden: self.hide.is_some(),
            position: layer.positions.find(&self.pointer),
        }
    }
}

#[cfg(test)]
mod tests;
