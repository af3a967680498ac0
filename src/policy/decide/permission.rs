//! Determines the permission of a call: in each layer the most specific entry decides, over all
//! layers the strictest permission.

use std::{cmp::Ordering, sync::Arc};

use super::{
    class_default::{Permission, class_default},
    evaluation::{Candidate, Evaluation},
};
use crate::policy::{
    compiled::{ApprovalTerms, CompiledEntry, CompiledLayer, CompiledRule},
    file::{Action, DefaultAction, escape_token},
    model::{
        layer::Profile,
        pattern::Pattern,
        verdict::{NOT_PERMITTED, RuleRef, Verdict},
    },
};

/// Permission that one layer gives.
struct LayerPermission {
    permission: Permission,
    rule: RuleRef,
    /// The permission is a default of the class, so the limit of the class counts.
    by_class: bool,
    terms: ApprovalTerms,
    message: Option<Arc<str>>,
}

impl<'p> Evaluation<'p, '_> {
    /// Returns the verdict of all layers together, for a call that no guard denies.
    pub(super) fn permission(&mut self) -> (Verdict, RuleRef) {
        let policy = self.policy;
        let mut permissions: Vec<LayerPermission> = Vec::new();
        let mut restrictions: Vec<LayerPermission> = Vec::new();
        for (number, layer) in policy.compiled.layers.iter().enumerate() {
            if !layer.applies_to(&self.call.caller) || !layer.reach.matches(self.call.tool.path) {
                continue;
            }
            restrictions.extend(self.restriction(number));
            let Some(found) = self.layer_permission(number, layer) else { continue };
            let outcome = found.permission.as_str();
            self.step(
                &layer.name,
                &found.rule.name.clone(),
                &found.rule,
                || "permission of the file".into(),
                outcome,
                layer.shadow,
            );
            if layer.shadow {
                if found.permission != Permission::Allow {
                    self.shadow_finding(found.rule, outcome, format!("the file would {outcome}"));
                }
            } else {
                permissions.push(found);
            }
        }
        if permissions.is_empty() {
            permissions.push(self.class_permission(policy.options.profile, policy.profile_rule()));
        }
        if permissions.iter().any(|found| found.by_class) {
            self.reserve_class_limit();
        }
        // Of equal ones the rule of a file is told, not a default.
        permissions.splice(..0, restrictions);
        let strictest = permissions
            .into_iter()
            .reduce(|first, next| if next.permission > first.permission { next } else { first });
        match strictest {
            Some(found) => self.verdict(found),
            None => (Verdict::Deny(self.policy_denied("no file decides")), policy.profile_rule()),
        }
    }

    /// Returns the strictest that the entries of a layer say that may only restrict.
    fn restriction(&self, number: usize) -> Option<LayerPermission> {
        self.candidates.iter().find_map(|candidate| match candidate {
            Candidate::Restriction { layer, entry, rule } if *layer == number => {
                Some(LayerPermission {
                    permission: Permission::Ask,
                    rule: rule.rule.clone(),
                    by_class: false,
                    terms: rule.terms.or(&entry.terms),
                    message: rule.message.clone(),
                })
            }
            _ => None,
        })
    }

    /// Returns the permission of one layer: that of its most specific rule that allows or asks, or
    /// its default; `None` if it has neither.
    fn layer_permission(&self, number: usize, layer: &CompiledLayer) -> Option<LayerPermission> {
        let mut best: Option<(&CompiledEntry, &CompiledRule)> = None;
        let mut listing: Option<&Pattern> = None;
        for candidate in &self.candidates {
            match candidate {
                Candidate::Listing { layer, pattern } if *layer == number => {
                    listing = listing
                        .filter(|known| known.cmp_specificity(pattern).is_ge())
                        .or(Some(pattern));
                }
                Candidate::Rule { layer, entry, rule } if *layer == number => {
                    let better = best.is_none_or(|(known, known_rule)| {
                        match entry.pattern.cmp_specificity(&known.pattern) {
                            Ordering::Greater => true,
                            Ordering::Equal => {
                                rule.action == Action::Ask && known_rule.action == Action::Allow
                            }
                            Ordering::Less => false,
                        }
                    });
                    best = if better { Some((entry, rule)) } else { best };
                }
                _ => {}
            }
        }
        if let Some((entry, rule)) = best {
            let permission =
                if rule.action == Action::Ask { Permission::Ask } else { Permission::Allow };
            return Some(LayerPermission {
                permission,
                rule: rule.rule.clone(),
                by_class: false,
                terms: rule.terms.or(&entry.terms),
                message: rule.message.clone(),
            });
        }
        let by_default = |permission| LayerPermission {
            permission,
            rule: layer.default_rule.clone(),
            by_class: false,
            terms: self.entry_terms(),
            message: None,
        };
        let by_listing = |pattern: &Pattern| {
            let rule = RuleRef {
                name: "listed".into(),
                pointer: entry_pointer(pattern, layer),
                layer: layer.name.clone(),
            };
            LayerPermission { rule, ..by_default(Permission::Allow) }
        };
        match (layer.default, listing) {
            (Some(DefaultAction::Deny), Some(pattern)) => Some(by_listing(pattern)),
            (Some(DefaultAction::Deny), None) => Some(by_default(Permission::Deny)),
            (Some(DefaultAction::Allow), _) => Some(by_default(Permission::Allow)),
            (Some(DefaultAction::Ask), _) => Some(by_default(Permission::Ask)),
            (Some(DefaultAction::Auto), _) => {
                Some(self.class_permission(Profile::Auto, layer.default_rule.clone()))
            }
            // The profile `strict` acts as `default: deny` of every file without a default.
            (None, Some(pattern))
                if self.policy.options.profile == Profile::Strict && !layer.shadow =>
            {
                Some(by_listing(pattern))
            }
            (None, _) => None,
        }
    }

    fn class_permission(&self, profile: Profile, rule: RuleRef) -> LayerPermission {
        let (permission, limit) = class_default(profile, self.class);
        LayerPermission {
            permission,
            rule,
            by_class: limit.is_some(),
            terms: self.entry_terms(),
            message: None,
        }
    }

    /// Returns the terms that matching entries set, those of the most specific entry first.
    fn entry_terms(&self) -> ApprovalTerms {
        let entries = self
            .entries
            .iter()
            .map(|matched| &self.policy.compiled.entries[matched.entry as usize]);
        let applicable = entries.filter(|entry| {
            let layer = &self.policy.compiled.layers[entry.layer];
            layer.applies_to(&self.call.caller) && !layer.shadow
        });
        applicable.fold(ApprovalTerms::default(), |terms, entry| terms.or(&entry.terms))
    }

    fn verdict(&self, found: LayerPermission) -> (Verdict, RuleRef) {
        let LayerPermission { permission, rule, terms, message, .. } = found;
        let verdict = match permission {
            Permission::Allow => Verdict::Allow,
            Permission::Deny => Verdict::Deny(self.policy_denied(NOT_PERMITTED)),
            Permission::Ask if !self.policy.options.approvals => {
                let reason = "it needs an approval, and nobody can approve on this server";
                Verdict::Deny(self.policy_denied(reason))
            }
            Permission::Ask => Verdict::Ask(self.ask_terms(&rule, &terms, message)),
        };
        (verdict, rule)
    }
}

/// Returns the JSON Pointer of the entry with a pattern.
fn entry_pointer(pattern: &Pattern, layer: &CompiledLayer) -> Arc<str> {
    let prefix = layer.reach.as_str().strip_suffix('*').unwrap_or_default();
    let name = pattern.as_str().strip_prefix(prefix).unwrap_or(pattern.as_str());
    format!("/tools/{}", escape_token(name)).into()
}

#[cfg(test)]
mod tests;
