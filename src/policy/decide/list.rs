//! What lists show: the same rules, with arguments unknown.

use crate::policy::{
    Caller, Listing, NamedKind, Policy, Profile, ToolFacts,
    file::{Action, Default as DefaultAnswer},
    profile::{self, Answer},
    rules::{CompiledEntry, CompiledLayer, CompiledRule},
};

impl Policy {
    /// What lists show of a tool. What is hidden, or denied whatever the arguments are, is not
    /// shown; what may be allowed is.
    pub fn view(&self, tool: &ToolFacts<'_>, caller: &Caller<'_>) -> Listing {
        let seen =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.seen(tool, caller)));
        seen.unwrap_or(Listing::Hidden)
    }

    /// The same for all callers who see the same of every tool: the revision, and of workspace,
    /// role and key those that a file names.
    pub fn view_key(&self, caller: &Caller<'_>) -> String {
        let named = |kind: NamedKind, name: &str| {
            self.named.contains(&(kind, name.to_owned())).then(|| name.to_owned())
        };
        let workspace = named(NamedKind::Workspace, caller.workspace);
        let role = named(NamedKind::Role, caller.role);
        let key = caller.key.and_then(|key| named(NamedKind::Key, key));
        // Quoted, so that no two read the same.
        format!("{} {workspace:?} {role:?} {key:?}", self.revision)
    }

    /// Whether the tool does not exist for the caller, whatever its arguments are.
    pub fn hides(&self, path: &str, caller: &Caller<'_>) -> bool {
        self.hiding(&self.matched(path), caller, false).is_some()
    }

    fn seen(&self, tool: &ToolFacts<'_>, caller: &Caller<'_>) -> Listing {
        let numbers = self.matched(tool.path);
        if self.hiding(&numbers, caller, false).is_some() {
            return Listing::Hidden;
        }
        let entries = || {
            let entries = numbers.iter().map(|number| &self.compiled.entries[*number as usize]);
            entries.filter(|entry| {
                !self.compiled.layers[entry.layer].shadow
                    && self.compiled.layers[entry.layer].applies(caller)
            })
        };
        let rules = || {
            entries()
                .flat_map(|entry| entry.rules.iter().map(move |rule| (entry, rule)))
                .filter(|(_, rule)| !rule.shadow && rule.applies.to(caller))
        };
        if rules().any(|(_, rule)| rule.action == Action::Deny && rule.when.is_empty()) {
            return Listing::Hidden;
        }
        let class = self.classify(tool, caller).0;
        let mut strictest: Option<Answer> = None;
        for (number, layer) in self.compiled.layers.iter().enumerate() {
            if layer.shadow || !layer.applies(caller) || !layer.reach.fits(tool.path) {
                continue;
            }
            let own: Vec<_> = rules().filter(|(entry, _)| entry.layer == number).collect();
            let lists = entries().any(|entry| {
                let anyone = entry.rules.is_empty()
                    || entry.rules.iter().any(|rule| !rule.shadow && rule.applies.to(caller));
                entry.layer == number && entry.lists && anyone
            });
            let Some(answer) = self.layer_view(layer, &own, lists, class) else { continue };
            strictest = Some(strictest.map_or(answer, |known| stricter(known, answer)));
        }
        match strictest.unwrap_or_else(|| profile::by_class(self.options.profile, class).0) {
            Answer::Allow => Listing::Auto,
            Answer::Ask if self.options.approvals => Listing::Required,
            Answer::Ask | Answer::Deny => Listing::Hidden,
        }
    }

    /// What a layer answers as far as is known: what it says without conditions, and if that is a
    /// no, what it may say under some.
    fn layer_view(
        &self,
        layer: &CompiledLayer,
        rules: &[(&CompiledEntry, &CompiledRule)],
        lists: bool,
        class: crate::policy::Class,
    ) -> Option<Answer> {
        let answering =
            || rules.iter().filter(|(_, rule)| matches!(rule.action, Action::Allow | Action::Ask));
        let sure = answering().filter(|(_, rule)| rule.when.is_empty());
        let best =
            sure.reduce(|known, next| match next.0.pattern.more_specific(&known.0.pattern) {
                std::cmp::Ordering::Greater => next,
                std::cmp::Ordering::Equal if next.1.action == Action::Ask => next,
                _ => known,
            });
        let said = match (best, layer.default) {
            (Some((_, rule)), _) => {
                Some(if rule.action == Action::Ask { Answer::Ask } else { Answer::Allow })
            }
            (None, Some(DefaultAnswer::Deny)) if lists => Some(Answer::Allow),
            (None, Some(DefaultAnswer::Deny)) => Some(Answer::Deny),
            (None, Some(DefaultAnswer::Allow)) => Some(Answer::Allow),
            (None, Some(DefaultAnswer::Ask)) => Some(Answer::Ask),
            (None, Some(DefaultAnswer::Auto)) => Some(profile::by_class(Profile::Auto, class).0),
            (None, None) if lists && self.options.profile == Profile::Strict => Some(Answer::Allow),
            (None, None) => None,
        };
        let refused = match said {
            Some(Answer::Deny) => true,
            // An ask is a no where nobody can approve.
            Some(Answer::Ask) => !self.options.approvals,
            Some(Answer::Allow) => false,
            None => match profile::by_class(self.options.profile, class).0 {
                Answer::Deny => true,
                Answer::Ask => !self.options.approvals,
                Answer::Allow => false,
            },
        };
        if !refused || best.is_some() && said == Some(Answer::Allow) {
            return said;
        }
        let mut maybe =
            answering().filter(|(_, rule)| !rule.when.is_empty()).map(|(_, rule)| rule.action);
        match (
            maybe.clone().any(|action| action == Action::Allow),
            maybe.any(|action| action == Action::Ask),
        ) {
            (_, true) if self.options.approvals => Some(Answer::Ask),
            (true, _) => Some(Answer::Allow),
            _ => said,
        }
    }
}

fn stricter(known: Answer, next: Answer) -> Answer {
    match (known, next) {
        (Answer::Deny, _) | (_, Answer::Deny) => Answer::Deny,
        (Answer::Ask, _) | (_, Answer::Ask) => Answer::Ask,
        _ => Answer::Allow,
    }
}
