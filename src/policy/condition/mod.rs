//! Conditions: what must be true of a call. Compiled when a policy is loaded, bounded in size,
//! depth and work.

use std::{cell::OnceCell, fmt};

use serde_json::Value;

use super::{
    Amount, Call, Class, CounterKey, CounterRead, CounterValues, Window, args::Args, file::Scope,
};

pub(super) mod cel;
mod cost;
mod structured;

pub(super) use structured::Comparison;

/// What a condition looks at.
pub(super) struct Subject<'a> {
    pub(super) args: &'a Args,
    pub(super) call: &'a Call<'a>,
    pub(super) class: Class,
    pub(super) counters: &'a CounterValues,
    /// The call in the types of CEL, made when the first expression asks.
    pub(super) bindings: OnceCell<cel::Bindings<'a>>,
}

/// Why a condition has no answer. Holds no values of the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// The value has another type than the comparison needs; for `require` that is a no.
    Mismatch(String),
    /// Evaluating failed.
    Failed(String),
}

impl NoAnswer {
    pub(super) fn reason(&self) -> &str {
        match self {
            Self::Mismatch(reason) | Self::Failed(reason) => reason,
        }
    }
}

/// An argument that a condition reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArgPath {
    /// The keys from the top of the arguments.
    pub path: Vec<String>,
    /// Whether a missing one is an error: read by an expression outside of `has()`.
    pub must_exist: bool,
}

/// A condition, in whatever language.
pub(super) trait Expr: fmt::Debug + Send + Sync {
    /// Whether it holds.
    fn holds(&self, subject: &Subject<'_>) -> Result<bool, NoAnswer>;
    /// As it was written.
    fn source(&self) -> String;
    /// What it saw, for `explain`: the values compared.
    fn observed(&self, subject: &Subject<'_>) -> String;
    /// The counters whose values it reads.
    fn counters(&self) -> &[Counter];
    /// The arguments it reads.
    fn arg_paths(&self) -> Vec<ArgPath>;
}

/// A counter as the file declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Counter {
    /// Its own name.
    pub(super) name: Box<str>,
    /// The address of its entry.
    pub(super) pattern: Box<str>,
    /// Whether that is one tool.
    pub(super) exact: bool,
    /// Over what time.
    pub(super) window: Window,
    /// For whom it stands.
    pub(super) scopes: Vec<Scope>,
}

impl Counter {
    /// The counter that this call belongs to. A counter of one tool belongs to that tool, whoever
    /// reads it.
    pub(super) fn key(&self, call: &Call<'_>) -> CounterKey {
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
                // A session is only a part of its principal: the caller chooses its name.
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

    pub(super) fn read(&self, call: &Call<'_>) -> CounterRead {
        CounterRead { key: self.key(call), window: self.window }
    }

    pub(super) fn value(&self, subject: &Subject<'_>) -> Result<Amount, NoAnswer> {
        let value = subject.counters.get(&self.key(subject.call));
        value.ok_or_else(|| {
            NoAnswer::Failed(format!("the value of counter `{}` is not known", self.name))
        })
    }
}

/// A value as `explain` shows it: at most 80 characters, nothing that would steer a terminal.
pub(super) fn shown(value: &Value) -> String {
    let text = value.to_string();
    let cut: String = text
        .chars()
        .take(80)
        .flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] })
        .collect();
    if text.chars().count() > 80 { format!("{cut}…") } else { cut }
}

#[cfg(test)]
mod tests;
