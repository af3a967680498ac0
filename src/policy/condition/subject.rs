//! Input and errors of conditions.

use std::cell::OnceCell;

use super::cel::bindings::Bindings;
use crate::policy::{
    args::Args,
    model::{
        call::{Call, ToolFacts},
        class::Class,
        counter::CounterValues,
    },
};

/// Call that a condition is evaluated for.
pub(in crate::policy) struct Subject<'a> {
    pub(in crate::policy) args: &'a Args,
    pub(in crate::policy) call: &'a Call<'a>,
    pub(in crate::policy) class: Class,
    pub(in crate::policy) counters: &'a CounterValues,
    /// The call as CEL values, converted when the first expression needs it.
    bindings: OnceCell<Bindings<'a>>,
    /// The same with the path and the name that the tool had in the release before, if any.
    former: OnceCell<Option<Bindings<'a>>>,
}

impl<'a> Subject<'a> {
    pub(in crate::policy) fn new(
        args: &'a Args,
        call: &'a Call<'a>,
        class: Class,
        counters: &'a CounterValues,
    ) -> Self {
        let (bindings, former) = (OnceCell::new(), OnceCell::new());
        Self { args, call, class, counters, bindings, former }
    }

    pub(super) fn bindings(&self) -> &Bindings<'a> {
        let facts = (self.call.tool, self.call.caller);
        self.bindings.get_or_init(|| Bindings::new(self.args, facts, self.class))
    }

    pub(super) fn former_bindings(&self) -> Option<&Bindings<'a>> {
        let former = || {
            let tool = self.call.tool;
            let (path, name) = (tool.former?.path, tool.former_name()?);
            let tool = ToolFacts { path, name, ..tool };
            Some(Bindings::new(self.args, (tool, self.call.caller), self.class))
        };
        self.former.get_or_init(former).as_ref()
    }
}

/// Reason why a condition has no result. Contains no values of the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::policy) enum EvaluationError {
    /// The value has another type than the comparison needs. Under `require` this counts as false.
    TypeMismatch(String),
    /// The evaluation failed.
    Failed(String),
}

impl EvaluationError {
    pub(in crate::policy) fn reason(&self) -> &str {
        match self {
            Self::TypeMismatch(reason) | Self::Failed(reason) => reason,
        }
    }
}

/// Argument that a condition reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArgPath {
    /// Keys from the top of the arguments.
    pub path: Vec<String>,
    /// A missing argument is an error, because an expression reads it outside of `has()`.
    pub must_exist: bool,
}
