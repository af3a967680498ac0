//! Visibility of tools in lists: the same rules, with unknown arguments.

use std::{
    cmp::Ordering,
    panic::{AssertUnwindSafe, catch_unwind},
};

use super::class_default::{Permission, class_default};
use crate::policy::{
    compiled::{CompiledEntry, CompiledLayer, CompiledRule},
    file::{Action, DefaultAction},
    loaded::{CallerAttribute, Policy},
    model::{
        call::{Caller, ToolFacts},
        class::Class,
        decision::Listing,
        layer::Profile,
    },
};

impl Policy {
    /// Returns the visibility of a tool in lists. A tool is not listed if it is hidden, or denied
    /// whatever the arguments are.
    pub fn view(&self, tool: &ToolFacts<'_>, caller: &Caller<'_>) -> Listing {
        let listing = catch_unwind(AssertUnwindSafe(|| self.listing(tool, caller)));
        listing.unwrap_or(Listing::Hidden)
    }

    /// Returns a cache key that callers share if every tool has the same visibility for them: the
    /// revision, plus the workspace, role and key as far as a file names them.
    pub fn view_key(&self, caller: &Caller<'_>) -> String {
        let named = |attribute: CallerAttribute, name: &str| {
            self.named_callers.contains(&(attribute, name.to_owned())).then(|| name.to_owned())
        };
        let workspace = named(CallerAttribute::Workspace, caller.workspace);
        let role = named(CallerAttribute::Role, caller.role);
        let key = caller.key.and_then(|key| named(CallerAttribute::Key, key));
        // Quoted, so that different values never give the same key.
        format!("{} {workspace:?} {role:?} {key:?}", self.revision)
    }

    /// Returns true if the tool does not exist for the caller.
    pub fn hides(&self, tool: &ToolFacts<'_>, caller: &Caller<'_>) -> bool {
        self.hidden_by(&self.matched(tool), caller, false).is_some()
    }

    fn listing(&self, tool: &ToolFacts<'_>, caller: &Caller<'_>) -> Listing {
        let matched = self.matched(tool);
        if self.hidden_by(&matched, caller, false).is_some() {
            return Listing::Hidden;
        }
        let entries = || {
            let entries = matched.iter().map(|matched| {
                (&self.compiled.entries[matched.entry as usize], matched.restricts_only)
            });
            entries.filter(|(entry, _)| {
                !self.compiled.layers[entry.layer].shadow
                    && self.compiled.layers[entry.layer].applies_to(caller)
            })
        };
        let rules = || {
            entries()
                .flat_map(|(entry, restricts_only)| {
                    let permits =
                        |rule: &CompiledRule| matches!(rule.action, Action::Allow | Action::Ask);
                    let may = move |rule: &&CompiledRule| !restricts_only || !permits(rule);
                    entry.rules.iter().filter(may).map(move |rule| (entry, rule))
                })
                .filter(|(_, rule)| !rule.shadow && rule.applies_to.matches(caller))
        };
        if rules().any(|(_, rule)| rule.action == Action::Deny && rule.when.is_empty()) {
            return Listing::Hidden;
        }
        let class = self.classify(tool, caller).0;
        let mut strictest: Option<Permission> = None;
        for (number, layer) in self.compiled.layers.iter().enumerate() {
            if layer.shadow || !layer.applies_to(caller) || !layer.reach.matches(tool.path) {
                continue;
            }
            let own: Vec<_> = rules().filter(|(entry, _)| entry.layer == number).collect();
            let is_listed = entries().any(|(entry, restricts_only)| {
                let applies = entry.rules.is_empty()
                    || entry
                        .rules
                        .iter()
                        .any(|rule| !rule.shadow && rule.applies_to.matches(caller));
                entry.layer == number && entry.is_listing && applies && !restricts_only
            });
            let Some(permission) = self.possible_permission(layer, &own, is_listed, class) else {
                continue;
            };
            strictest = strictest.max(Some(permission));
        }
        let restricts =
            entries().filter(|(_, restricts_only)| *restricts_only).any(|(entry, _)| {
                let asks = |rule: &CompiledRule| {
                    rule.action == Action::Ask
                        && rule.when.is_empty()
                        && !rule.shadow
                        && rule.applies_to.matches(caller)
                };
                entry.rules.iter().any(asks)
            });
        let permission = strictest.unwrap_or_else(|| class_default(self.options.profile, class).0);
        let least = if restricts { Permission::Ask } else { Permission::Allow };
        match permission.max(least) {
            Permission::Allow => Listing::Auto,
            Permission::Ask if self.options.approvals => Listing::Required,
            Permission::Ask | Permission::Deny => Listing::Hidden,
        }
    }

    /// Returns the permission of a layer without conditions; if that denies, the permission that it
    /// may give under some conditions.
    fn possible_permission(
        &self,
        layer: &CompiledLayer,
        rules: &[(&CompiledEntry, &CompiledRule)],
        is_listed: bool,
        class: Class,
    ) -> Option<Permission> {
        let permitting =
            || rules.iter().filter(|(_, rule)| matches!(rule.action, Action::Allow | Action::Ask));
        let unconditional = permitting().filter(|(_, rule)| rule.when.is_empty());
        let best = unconditional.reduce(|known, next| {
            match next.0.pattern.cmp_specificity(&known.0.pattern) {
                Ordering::Greater => next,
                Ordering::Equal if next.1.action == Action::Ask => next,
                _ => known,
            }
        });
        let permission = match (best, layer.default) {
            (Some((_, rule)), _) => {
                Some(if rule.action == Action::Ask { Permission::Ask } else { Permission::Allow })
            }
            (None, Some(DefaultAction::Deny)) if is_listed => Some(Permission::Allow),
            (None, Some(DefaultAction::Deny)) => Some(Permission::Deny),
            (None, Some(DefaultAction::Allow)) => Some(Permission::Allow),
            (None, Some(DefaultAction::Ask)) => Some(Permission::Ask),
            (None, Some(DefaultAction::Auto)) => Some(class_default(Profile::Auto, class).0),
            (None, None) if is_listed && self.options.profile == Profile::Strict => {
                Some(Permission::Allow)
            }
            (None, None) => None,
        };
        let denied = match permission {
            Some(Permission::Deny) => true,
            // If nobody can approve, asking is denying.
            Some(Permission::Ask) => !self.options.approvals,
            Some(Permission::Allow) => false,
            None => match class_default(self.options.profile, class).0 {
                Permission::Deny => true,
                Permission::Ask => !self.options.approvals,
                Permission::Allow => false,
            },
        };
        if !denied || best.is_some() && permission == Some(Permission::Allow) {
            return permission;
        }
        let mut maybe =
            permitting().filter(|(_, rule)| !rule.when.is_empty()).map(|(_, rule)| rule.action);
        match (
            maybe.clone().any(|action| action == Action::Allow),
            maybe.any(|action| action == Action::Ask),
        ) {
            (_, true) if self.options.approvals => Some(Permission::Ask),
            (true, _) => Some(Permission::Allow),
            _ => permission,
        }
    }
}

#[cfg(test)]
mod tests;
