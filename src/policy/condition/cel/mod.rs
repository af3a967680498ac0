//! CEL: expressions over `args`, `tool` and `caller`, with `json()`, `base64()`, `cidr()` and
//! `counter()`.
//!
//! CEL always terminates, but not always soon. Therefore the length, the depth, the nesting of
//! loops and the work are bounded; the work is estimated from the size of the call before the
//! evaluation ([`cost`]). Unknown names are refused at load. An evaluation that fails or panics has
//! no result.

pub(super) mod bindings;
mod check;
mod cost;
mod equality;
mod functions;
mod size;
mod value;
mod words;

use std::{
    cmp::Ordering,
    panic::{AssertUnwindSafe, catch_unwind},
};

use cel::{
    Context, ExecutionError, Value as CelValue,
    common::{ast::IdedExpr, types::CelDouble},
};
use serde_json::Number;

use self::{
    bindings::Bindings,
    check::{Check, FindCounter, Read, counter_name},
    functions::ENV,
};
use super::{
    counter::Counter,
    expr::Expr,
    subject::{ArgPath, EvaluationError, Subject},
    value::{preview, value_at},
};
use crate::policy::model::amount::Amount;

/// Longest expression, in bytes.
const CEL_BYTES_MAX: usize = 4096;
/// Most brackets and signs of an expression.
const NESTING_MAX: usize = 256;

/// Compiled expression.
#[derive(Debug)]
pub(in crate::policy) struct Expression {
    source: Box<str>,
    tree: IdedExpr,
    counters: Vec<Counter>,
    arg_paths: Vec<ArgPath>,
    /// Paths in the arguments that it reads.
    reads: Vec<Read>,
    /// It reads the arguments other than at literal keys.
    reads_all: bool,
}

impl Expression {
    /// Compiles an expression.
    ///
    /// # Errors
    /// A message for the owner.
    pub(in crate::policy) fn compile(source: &str, find: &FindCounter<'_>) -> Result<Self, String> {
        if source.len() > CEL_BYTES_MAX {
            return Err(format!(
                "the expression is {} bytes; the limit is {CEL_BYTES_MAX}",
                source.len()
            ));
        }
        // The parser recurses, so brackets are counted before it runs.
        let nesting = source
            .bytes()
            .filter(|byte| matches!(byte, b'(' | b'[' | b'{' | b'?' | b'!' | b'-'))
            .count();
        if nesting > NESTING_MAX {
            return Err(format!(
                "the expression has {nesting} brackets and signs; the limit is {NESTING_MAX}"
            ));
        }
        let parsed = catch_unwind(|| ENV.parser().max_recursion_depth(64).parse(source));
        let parsed = parsed.map_err(|_| "the expression cannot be parsed".to_owned())?;
        let mut tree = parsed.map_err(|errors| {
            let first = errors.errors.first().map_or("", |error| error.msg.as_str());
            let (line, column) = errors.errors.first().map_or((0, 0), |error| error.pos);
            format!(
                "the expression does not parse: {} (line {line}, column {column} of the \
                expression)",
                words::syntax(first, source)
            )
        })?;
        let mut check = Check::new(find);
        check.tree(&mut tree)?;
        let reads_all = check.reads_all();
        let Check { counters, arg_paths, reads, .. } = check;
        Ok(Self { source: source.into(), tree, counters, arg_paths, reads, reads_all })
    }

    /// Checks that the expression does not read into an artifact.
    fn check_readable(&self, subject: &Subject<'_>) -> Result<(), String> {
        if self.reads_all {
            subject.args.check_readable([], false)?;
        }
        let mut reads = self.reads.iter();
        reads.try_for_each(|read| {
            subject.args.check_readable(read.path.iter().map(String::as_str), read.presence_only)
        })
    }

    /// Evaluates it for the call. If the tool had another name in the release before, for which the
    /// expression may have been written, the result must be the same with that one.
    fn evaluate(&self, subject: &Subject<'_>) -> Result<CelValue, EvaluationError> {
        self.check_readable(subject).map_err(EvaluationError::Failed)?;
        let result = self.evaluate_with(subject.bindings(), subject)?;
        if let Some(former) = subject.former_bindings()
            && self.evaluate_with(former, subject)? != result
        {
            let former = subject.call.tool.former.map_or("", |former| former.path);
            return Err(EvaluationError::Failed(format!(
                "the expression reads the name of the tool, which was `{former}` in the release \
                before, and the result differs; write the name as the pattern of a rule"
            )));
        }
        Ok(result)
    }

    fn evaluate_with(
        &self,
        bindings: &Bindings<'_>,
        subject: &Subject<'_>,
    ) -> Result<CelValue, EvaluationError> {
        let failed = |reason: &str| EvaluationError::Failed(reason.to_owned());
        let (steps, _) = cost::estimate(
            &self.tree,
            &mut vec![
                ("args", bindings.args_size),
                ("caller", bindings.facts_size),
                ("tool", bindings.facts_size),
            ],
        );
        // NaN counts as too many.
        if !matches!(steps.partial_cmp(&cost::STEPS_MAX), Some(Ordering::Less | Ordering::Equal)) {
            return Err(EvaluationError::Failed(format!(
                "the arguments are too large for an expression: it takes about {steps:.0} steps; \
                the limit is {}",
                cost::STEPS_MAX
            )));
        }
        let mut context = Context::with_env(ENV.clone());
        context.set_variable_resolver(bindings);
        for (index, counter) in self.counters.iter().enumerate() {
            let value = counter.value(subject)?.as_f64();
            context.add_variable_as_val(counter_name(index), Box::new(CelDouble::from(value)));
        }
        let result = catch_unwind(AssertUnwindSafe(|| CelValue::resolve(&self.tree, &context)));
        result
            .map_err(|_| failed("the expression cannot be evaluated"))?
            .map_err(|error| EvaluationError::Failed(reason(&error)))
    }

    /// Evaluates the expression to an amount.
    pub(in crate::policy) fn amount(
        &self,
        subject: &Subject<'_>,
    ) -> Result<Amount, EvaluationError> {
        let amount = match self.evaluate(subject)? {
            CelValue::Int(value) => Amount::from_number(&Number::from(value)),
            CelValue::UInt(value) => Amount::whole(value),
            CelValue::Float(value) => Amount::from_f64(value),
            _ => {
                return Err(EvaluationError::Failed(
                    "the expression for `cost` must return a number".into(),
                ));
            }
        };
        amount.map_err(|error| EvaluationError::Failed(format!("the cost {error}")))
    }
}

impl Expr for Expression {
    fn holds(&self, subject: &Subject<'_>) -> Result<bool, EvaluationError> {
        match self.evaluate(subject)? {
            CelValue::Bool(holds) => Ok(holds),
            _ => Err(EvaluationError::Failed("the expression must return a boolean".into())),
        }
    }

    fn source(&self) -> String {
        self.source.to_string()
    }

    fn observed(&self, subject: &Subject<'_>) -> String {
        let values = self.arg_paths.iter().take(8).map(|read| {
            let keys: Vec<Box<str>> = read.path.iter().map(|key| key.as_str().into()).collect();
            let path = read.path.join(".");
            match value_at(&subject.args.value, &keys) {
                Ok(Some(value)) => format!("args.{path} = {}", preview(value)),
                Ok(None) => format!("args.{path} is missing"),
                Err(_) => format!("args.{path} cannot be read: an object is missing on the way"),
            }
        });
        values.collect::<Vec<_>>().join(", ")
    }

    fn counters(&self) -> &[Counter] {
        &self.counters
    }

    fn arg_paths(&self) -> Vec<ArgPath> {
        self.arg_paths.clone()
    }
}

/// Returns the reason of a failed evaluation without the values that the interpreter's own messages
/// contain.
fn reason(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(key) => {
            let key: String = key.chars().take(64).collect();
            format!("the expression reads `{key}`, which is missing; test it with `has()` first")
        }
        ExecutionError::NoSuchOverload(error) => {
            format!("the expression has a type error: {}", words::types(error))
        }
        ExecutionError::UnexpectedType { got, want } => {
            format!("the expression has a type error: {}", words::unexpected(got, want))
        }
        ExecutionError::UndeclaredReference(name) => {
            format!("the expression reads `{name}`, which is not known")
        }
        ExecutionError::FunctionError { function, message } if function == equality::MISMATCH => {
            message.clone()
        }
        ExecutionError::FunctionError { function, .. } => {
            format!("`{function}` failed in the expression")
        }
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            "the expression divides by zero".into()
        }
        ExecutionError::Overflow(..) => "the expression overflows".into(),
        ExecutionError::IndexOutOfBounds(_) => {
            "the expression reads beyond the end of a list".into()
        }
        _ => "the expression has a type error".into(),
    }
}
