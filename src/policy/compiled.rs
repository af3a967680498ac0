//! Compiled policy: the layers, entries and rules that decisions evaluate. Built by
//! [`super::compile`].

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use jsonschema::Validator;

use super::{
    classify::presets::Preset,
    condition::{Counter, Expr, Expression},
    file::{Action, DefaultAction, Positions, TestCase},
    model::{
        amount::Amount, call::Caller, class::Class, counter::Count, decision::Budget,
        layer::LayerScope, pattern::Pattern, verdict::RuleRef,
    },
};

/// Preset of each upstream, as files assign it; `None` for no preset.
pub(super) type AssignedPresets = BTreeMap<String, Option<&'static Preset>>;

/// All files, compiled.
#[derive(Debug, Default)]
pub(super) struct Compiled {
    pub(super) layers: Vec<CompiledLayer>,
    pub(super) entries: Vec<CompiledEntry>,
    pub(super) presets: AssignedPresets,
}

/// One file, compiled.
#[derive(Debug)]
pub(super) struct CompiledLayer {
    pub(super) scope: LayerScope,
    pub(super) name: Arc<str>,
    pub(super) shadow: bool,
    /// Tools that the file can decide about: those of its upstream, or all.
    pub(super) reach: Pattern,
    pub(super) default: Option<DefaultAction>,
    pub(super) default_rule: RuleRef,
    pub(super) budget: Budget,
    pub(super) tests: Vec<TestCase>,
    pub(super) positions: Positions,
}

impl CompiledLayer {
    /// Returns true if the layer applies to this caller.
    pub(super) fn applies_to(&self, caller: &Caller<'_>) -> bool {
        match &self.scope {
            LayerScope::Organisation => true,
            LayerScope::Workspace(workspace) => workspace == caller.workspace,
            LayerScope::Key(key) => caller.key == Some(key),
        }
    }
}

/// Entry of one file for one pattern.
#[derive(Debug)]
pub(super) struct CompiledEntry {
    /// Index of its layer.
    pub(super) layer: usize,
    pub(super) pattern: Pattern,
    pub(super) pointer: String,
    pub(super) hide: Option<RuleRef>,
    pub(super) class: Option<(Class, RuleRef)>,
    /// Terms of approvals, unless a rule sets its own.
    pub(super) terms: ApprovalTerms,
    pub(super) rules: Vec<CompiledRule>,
    /// The entry allows its tools under `default: deny`: it is not the catch-all, no rule of it
    /// allows or asks, and not all of its rules are in shadow mode.
    pub(super) is_listing: bool,
}

/// Terms of an approval, as far as a file sets them.
#[derive(Debug, Clone, Default)]
pub(super) struct ApprovalTerms {
    pub(super) timeout: Option<Duration>,
}

impl ApprovalTerms {
    /// Fills in the terms that are not set.
    pub(super) fn or(&self, defaults: &Self) -> Self {
        Self { timeout: self.timeout.or(defaults.timeout) }
    }
}

/// Callers that a rule applies to; an empty list is no restriction.
#[derive(Debug, Default)]
pub(super) struct CallerFilter {
    pub(super) roles: Vec<String>,
    pub(super) keys: Vec<String>,
    pub(super) workspaces: Vec<String>,
}

impl CallerFilter {
    pub(super) fn matches(&self, caller: &Caller<'_>) -> bool {
        let matches = |list: &[String], value: Option<&str>| {
            list.is_empty() || value.is_some_and(|value| list.iter().any(|item| item == value))
        };
        matches(&self.roles, Some(caller.role))
            && matches(&self.keys, caller.key)
            && matches(&self.workspaces, Some(caller.workspace))
    }

    pub(super) fn is_restricted(&self) -> bool {
        !(self.roles.is_empty() && self.keys.is_empty() && self.workspaces.is_empty())
    }
}

/// Conditions that must all hold, with the message to the caller if one does not.
#[derive(Debug)]
pub(super) struct CompiledRequirement {
    pub(super) conditions: Vec<Box<dyn Expr>>,
    pub(super) message: Option<Arc<str>>,
}

/// One rule.
pub(super) struct CompiledRule {
    pub(super) rule: RuleRef,
    pub(super) shadow: bool,
    pub(super) applies_to: CallerFilter,
    pub(super) when: Vec<Box<dyn Expr>>,
    pub(super) require: Vec<CompiledRequirement>,
    pub(super) schema: Option<Validator>,
    pub(super) required_args: bool,
    pub(super) action: Action,
    pub(super) limits: Vec<CompiledLimit>,
    pub(super) terms: ApprovalTerms,
    pub(super) message: Option<Arc<str>>,
}

impl CompiledRule {
    /// Returns the counters whose values its conditions read.
    pub(super) fn counters(&self) -> impl Iterator<Item = &Counter> {
        let required = self.require.iter().flat_map(|requirement| &requirement.conditions);
        self.when.iter().chain(required).flat_map(|condition| condition.counters())
    }
}

impl fmt::Debug for CompiledRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompiledRule")
            .field("rule", &self.rule)
            .field("action", &self.action)
            .finish_non_exhaustive()
    }
}

/// Amount that one call adds.
#[derive(Debug)]
pub(super) enum CompiledCost {
    Fixed(Amount),
    /// Value of the argument at these keys.
    Argument(Vec<Box<str>>),
    Expression(Box<Expression>),
}

/// Outcome for a call over a limit.
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
