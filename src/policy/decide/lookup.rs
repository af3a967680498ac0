//! Looks up the class of a tool and the entry that hides it.

use crate::policy::{
    classify::{ClassSource, classify, presets},
    compiled::{CompiledEntry, CompiledLayer},
    loaded::{Matched, Policy},
    model::{
        call::{Caller, ToolFacts},
        class::Class,
        verdict::RuleRef,
    },
};

impl Policy {
    /// Returns the class of a tool.
    pub fn class(&self, tool: &ToolFacts<'_>, caller: &Caller<'_>) -> Class {
        self.classify(tool, caller).0
    }

    /// Returns the class of a tool, its source, and the rule of the owner that sets it, if any.
    pub(super) fn classify(
        &self,
        tool: &ToolFacts<'_>,
        caller: &Caller<'_>,
    ) -> (Class, ClassSource, Option<RuleRef>) {
        let by_owner = |restricts_only| {
            self.has_classes.then(|| self.owner_class(tool, caller, restricts_only)).flatten()
        };
        let (class, source, rule) = match by_owner(false) {
            Some((class, rule)) => (class, ClassSource::Owner(rule.clone()), Some(rule.clone())),
            None => self.default_class(tool),
        };
        match by_owner(true).filter(|(other, _)| *other > class) {
            Some((class, rule)) => (class, ClassSource::Owner(rule.clone()), Some(rule.clone())),
            None => (class, source, rule),
        }
    }

    /// Returns the class of a tool without the files.
    fn default_class(&self, tool: &ToolFacts<'_>) -> (Class, ClassSource, Option<RuleRef>) {
        let preset = match self.compiled.presets.get(tool.upstream) {
            Some(assigned) => *assigned,
            None => presets::by_upstream_name(tool.upstream),
        };
        let (class, source) = classify(tool, preset);
        (class, source, None)
    }

    /// Returns the class that files set: in each file that of the most specific pattern, over all
    /// files the most severe. Of the entries that may only restrict, or of the others.
    fn owner_class(
        &self,
        tool: &ToolFacts<'_>,
        caller: &Caller<'_>,
        restricts_only: bool,
    ) -> Option<(Class, &RuleRef)> {
        let mut best: Vec<(usize, &CompiledEntry, Class, &RuleRef)> = Vec::new();
        let matched = self.matched(tool);
        for matched in matched.iter().filter(|matched| matched.restricts_only == restricts_only) {
            let entry = &self.compiled.entries[matched.entry as usize];
            let layer = &self.compiled.layers[entry.layer];
            let Some((class, rule)) = &entry.class else { continue };
            if layer.shadow || !layer.applies_to(caller) {
                continue;
            }
            match best.iter_mut().find(|(known, ..)| *known == entry.layer) {
                None => best.push((entry.layer, entry, *class, rule)),
                Some(known) => {
                    let order = entry.pattern.cmp_specificity(&known.1.pattern);
                    if order.is_gt() || order.is_eq() && *class > known.2 {
                        *known = (entry.layer, entry, *class, rule);
                    }
                }
            }
        }
        best.into_iter().map(|(_, _, class, rule)| (class, rule)).max_by_key(|(class, _)| *class)
    }

    /// Returns the entry that hides a tool from a caller, among the layers in shadow mode or among
    /// the others.
    pub(super) fn hidden_by(
        &self,
        entries: &[Matched],
        caller: &Caller<'_>,
        shadow: bool,
    ) -> Option<(&CompiledLayer, &CompiledEntry, &RuleRef)> {
        entries.iter().find_map(|matched| {
            let entry = &self.compiled.entries[matched.entry as usize];
            let layer = &self.compiled.layers[entry.layer];
            let rule = entry
                .hide
                .as_ref()
                .filter(|_| layer.shadow == shadow && layer.applies_to(caller))?;
            Some((layer, entry, rule))
        })
    }
}
