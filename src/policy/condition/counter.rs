//! Counters as a policy file declares them.

use super::subject::{EvaluationError, Subject};
use crate::policy::{
    file::Scope,
    model::{
        amount::Amount,
        call::Call,
        counter::{CounterKey, CounterRead, Window},
    },
};

/// Declared counter. Its key depends on the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::policy) struct Counter {
    /// Name of the counter.
    pub(in crate::policy) name: Box<str>,
    /// Pattern of its entry.
    pub(in crate::policy) pattern: Box<str>,
    /// The pattern names a single tool.
    pub(in crate::policy) exact: bool,
    /// Window.
    pub(in crate::policy) window: Window,
    /// Scopes; each distinct combination of values has a counter of its own.
    pub(in crate::policy) scopes: Vec<Scope>,
}

impl Counter {
    /// Returns the keys of the counter for this call: one, or two where it counts each tool and
    /// this one had another path before, so that a new name gives no new allowance.
    pub(in crate::policy) fn keys(&self, call: &Call<'_>) -> impl Iterator<Item = CounterKey> {
        let counts_each = !self.exact && self.scopes.contains(&Scope::Tool);
        let former = call.tool.former.filter(|_| counts_each);
        [Some(call.tool.path), former.map(|former| former.path)]
            .into_iter()
            .flatten()
            .map(move |path| self.key(call, path))
    }

    /// Returns the key for this call of the tool with this path. The counter of a single tool
    /// belongs to that tool even if the rule of another tool reads it.
    pub(in crate::policy) fn key(&self, call: &Call<'_>, path: &str) -> CounterKey {
        let window = self.window.to_string();
        let (tool, upstream) = match self.exact {
            true => (&*self.pattern, self.pattern.split('.').next().unwrap_or_default()),
            false => (path, call.tool.upstream),
        };
        let mut parts = vec![&*self.name, &*self.pattern, &window];
        let caller = &call.caller;
        for scope in &self.scopes {
            parts.push(scope.as_str());
            match scope {
                Scope::Global => {}
                Scope::Workspace => parts.push(caller.workspace),
                Scope::Principal => parts.extend([caller.workspace, caller.principal]),
                // The caller chooses the session, so it only subdivides the principal.
                Scope::Session => parts.extend([
                    caller.workspace,
                    caller.principal,
                    caller.session.unwrap_or_default(),
                ]),
                Scope::Task => parts.extend([caller.workspace, caller.task]),
                Scope::Tool => parts.push(tool),
                Scope::Upstream => parts.push(upstream),
            }
        }
        CounterKey::new(&parts)
    }

    pub(in crate::policy) fn reads(&self, call: &Call<'_>) -> impl Iterator<Item = CounterRead> {
        self.keys(call).map(move |key| CounterRead { key, window: self.window })
    }

    /// Returns the value of the counter; the highest if it has two keys.
    pub(super) fn value(&self, subject: &Subject<'_>) -> Result<Amount, EvaluationError> {
        let unknown = || {
            EvaluationError::Failed(format!("the value of counter `{}` is not known", self.name))
        };
        let mut highest = Amount::ZERO;
        for key in self.keys(subject.call) {
            highest = highest.max(subject.counters.get(&key).ok_or_else(unknown)?);
        }
        Ok(highest)
    }
}
