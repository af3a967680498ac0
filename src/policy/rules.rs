//! The rules, compiled: what deciding walks over. Made by [`super::compile`], read by deciding,
//! explaining and lint.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use jsonschema::Validator;

use super::{
    Amount, ArgPath, Budget, Caller, Class, Count, LayerScope, Pattern, RuleRef,
    class::catalogue,
    condition::{Counter, Expr, cel::Expression},
    file::{Action, Case, Default as DefaultAnswer, Places, Scope},
};

/// One file, compiled.
#[derive(Debug)]
pub(super) struct CompiledLayer {
    pub(super) scope: LayerScope,
    pub(super) name: Arc<str>,
    pub(super) shadow: bool,
    /// The tools it speaks about at all: those of its upstream, or every one.
    pub(super) reach: Pattern,
    pub(super) default: Option<DefaultAnswer>,
    pub(super) default_rule: RuleRef,
    pub(super) budget: Budget,
    pub(super) cases: Vec<Case>,
    pub(super) places: Places,
}

impl CompiledLayer {
    /// Whether it speaks about this caller.
    pub(super) fn applies(&self, caller: &Caller<'_>) -> bool {
        match &self.scope {
            LayerScope::Organisation => true,
            LayerScope::Workspace(workspace) => workspace == caller.workspace,
            LayerScope::Key(key) => caller.key == Some(key),
        }
    }
}

/// What one file says about one address.
#[derive(Debug)]
pub(super) struct CompiledEntry {
    pub(super) layer: usize,
    pub(super) pattern: Pattern,
    pub(super) pointer: String,
    pub(super) hide: Option<RuleRef>,
    pub(super) class: Option<(Class, RuleRef)>,
    /// Terms of approvals where no rule says other ones.
    pub(super) terms: Terms,
    pub(super) rules: Vec<CompiledRule>,
    /// It may stand for an allow under `default: deny`: it is no catch-all, answers nothing itself,
    /// and does more than watch.
    pub(super) lists: bool,
}

/// Terms of an approval, as far as a file says them.
#[derive(Debug, Clone, Default)]
pub(super) struct Terms {
    pub(super) timeout: Option<Duration>,
}

/// For whom a rule speaks; empty lists are no condition.
#[derive(Debug, Default)]
pub(super) struct Applies {
    pub(super) roles: Vec<String>,
    pub(super) keys: Vec<String>,
    pub(super) workspaces: Vec<String>,
    pub(super) restricted: bool,
}

impl Applies {
    pub(super) fn to(&self, caller: &Caller<'_>) -> bool {
        let fits = |list: &[String], value: Option<&str>| {
            list.is_empty() || value.is_some_and(|value| list.iter().any(|item| item == value))
        };
        fits(&self.roles, Some(caller.role))
            && fits(&self.keys, caller.key)
            && fits(&self.workspaces, Some(caller.workspace))
    }
}

/// Conditions that must all hold, and what is said if not.
#[derive(Debug)]
pub(super) struct CompiledRequirement {
    pub(super) conditions: Vec<Box<dyn Expr>>,
    pub(super) message: Option<Arc<str>>,
}

/// One rule.
pub(super) struct CompiledRule {
    pub(super) rule: RuleRef,
    pub(super) shadow: bool,
    pub(super) applies: Applies,
    pub(super) when: Vec<Box<dyn Expr>>,
    pub(super) require: Vec<CompiledRequirement>,
    pub(super) schema: Option<Validator>,
    pub(super) required_args: bool,
    pub(super) action: Action,
    pub(super) limits: Vec<CompiledLimit>,
    pub(super) terms: Terms,
    pub(super) message: Option<Arc<str>>,
}

impl fmt::Debug for CompiledRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompiledRule")
            .field("rule", &self.rule)
            .field("action", &self.action)
            .finish_non_exhaustive()
    }
}

/// What one call adds.
#[derive(Debug)]
pub(super) enum CompiledCost {
    Fixed(Amount),
    /// The argument at these keys.
    Argument(Vec<Box<str>>),
    Expression(Box<Expression>),
}

/// What happens over a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CompiledExceed {
    Deny,
    Wait(Duration),
    Ask,
}

/// One limit.
#[derive(Debug)]
pub(super) struct CompiledLimit {
    pub(super) rule: RuleRef,
    pub(super) counter: Counter,
    pub(super) max: Amount,
    pub(super) cost: CompiledCost,
    pub(super) count: Count,
    pub(super) on_exceed: CompiledExceed,
    pub(super) message: Option<Arc<str>>,
}

/// Which entry of the catalogue each upstream is taken for, as files say it; none: for none.
pub(super) type Catalogue = BTreeMap<String, Option<&'static catalogue::Entry>>;

/// One rule, for those who look at a policy without deciding: lint, `scan`, pages.
#[derive(Debug, Clone)]
pub struct RuleView<'p> {
    /// The file.
    pub file: &'p str,
    /// For whom the file speaks.
    pub layer: &'p LayerScope,
    /// The position of the file among the layers.
    pub layer_index: usize,
    /// The address.
    pub pattern: &'p Pattern,
    /// The rule.
    pub rule: &'p RuleRef,
    /// What it answers.
    pub action: Action,
    /// Whether it speaks only under conditions on the call: `when`.
    pub conditional: bool,
    /// Whether it speaks only to some callers: `applies_to`.
    pub restricted: bool,
    /// Whether it is only recorded.
    pub shadow: bool,
    /// It does nothing but answer: no requirement, no limit, no schema.
    pub answers_only: bool,
    /// Whether its answer can hang on the arguments of a call.
    pub looks_at_args: bool,
    /// The arguments it reads, in conditions and costs.
    pub arg_paths: Vec<ArgPath>,
    /// The scopes of its limits.
    pub limit_scopes: Vec<&'p [Scope]>,
    /// Line and column of the rule, from 1.
    pub place: (usize, usize),
}

/// One entry, as [`RuleView`].
#[derive(Debug, Clone)]
pub struct EntryView<'p> {
    /// The file.
    pub file: &'p str,
    /// The position of the file among the layers.
    pub layer_index: usize,
    /// The address.
    pub pattern: &'p Pattern,
    /// JSON Pointer of the entry.
    pub pointer: String,
    /// Whether its tools are hidden.
    pub hidden: bool,
    /// Line and column of the entry, from 1.
    pub place: (usize, usize),
}

impl CompiledRule {
    /// The counters whose values its conditions read.
    pub(super) fn counters(&self) -> impl Iterator<Item = &Counter> {
        let required = self.require.iter().flat_map(|requirement| &requirement.conditions);
        self.when.iter().chain(required).flat_map(|condition| condition.counters())
    }

    pub(super) fn view<'p>(
        &'p self,
        layer: &'p CompiledLayer,
        entry: &'p CompiledEntry,
    ) -> RuleView<'p> {
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
            restricted: self.applies.restricted,
            shadow: self.shadow,
            answers_only: self.require.is_empty()
                && self.limits.is_empty()
                && self.schema.is_none()
                && !self.required_args,
            looks_at_args: !arg_paths.is_empty()
                || !self.when.is_empty()
                || !self.require.is_empty()
                || self.schema.is_some()
                || self.required_args,
            arg_paths,
            limit_scopes: self.limits.iter().map(|limit| limit.counter.scopes.as_slice()).collect(),
            place: layer.places.find(&self.rule.pointer),
        }
    }
}

impl CompiledEntry {
    pub(super) fn view<'p>(&'p self, layer: &'p CompiledLayer) -> EntryView<'p> {
        EntryView {
            file: &layer.name,
            layer_index: self.layer,
            pattern: &self.pattern,
            pointer: self.pointer.clone(),
            hidden: self.hide.is_some(),
            place: layer.places.find(&self.pointer),
        }
    }
}
