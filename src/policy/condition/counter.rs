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
    /// Returns the key of the counter for this call. The counter of a single tool belongs to that
    /// tool even if the rule of another tool reads it.
    pub(in crate::policy) fn key(&self, call: &Call<'_>) -> CounterKey {
        let window = self.window.to_string();
        let (tool, upstream) = match self.exact {
            true => (&*self.pattern, self.pattern.split('.').next().unwrap_or_default()),
            false => (call.tool.path, call.tool.upstream),
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

    pub(in crate::policy) fn read(&self, call: &Call<'_>) -> CounterRead {
        CounterRead { key: self.key(call), window: self.window }
    }

    pub(super) fn value(&self, subject: &Subject<'_>) -> Result<Amount, EvaluationError> {
        let value = subject.counters.get(&self.key(subject.call));
        value.ok_or_else(|| {
            EvaluationError::Failed(format!("the value of counter `{}` is not known", self.name))
        })
    }
}
