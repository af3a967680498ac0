//! Comparisons `{path, op, value}`, with the operators of Intercept.
//!
//! If the value is missing, every comparison is false except `exists: false`. A value compares only
//! with values of its own type: `"5"` is not 5, and a list of strings is not a string. A service
//! may take either, so such a value proves nothing: a type mismatch under `when` is an error and so
//! a denial, because a rule that cannot be evaluated must not let a call pass; under `require` it
//! counts as false. A `null` never mismatches.

use std::borrow::Cow;

use regex::Regex;
use serde_json::{Number, Value};

use super::{
    counter::Counter,
    expr::Expr,
    regex::compile_regex,
    subject::{ArgPath, EvaluationError, Subject},
    value::{Equality, compare_numbers, equality, may_be_same, preview, same_type, value_at},
};
use crate::policy::file::{Op, type_name};

/// Most items of the list of `in` and `not_in`.
const LIST_MAX: usize = 1000;

/// Left side: the value that is read from the call.
#[derive(Debug)]
enum Operand {
    /// Argument, by its keys from the top.
    Arg(Vec<Box<str>>),
    /// Value of a counter.
    Counter(Box<[Counter; 1]>),
}

/// Right side: the value that the file gives.
#[derive(Debug)]
enum Expected {
    Value(Value),
    List(Vec<Value>),
    Number(Number),
    Regex(Regex),
    Exists(bool),
}

/// Compiled comparison.
#[derive(Debug)]
pub(in crate::policy) struct CompiledComparison {
    path: Box<str>,
    operand: Operand,
    op: Op,
    expected: Expected,
}

impl CompiledComparison {
    /// Compiles a comparison of an argument; `path` begins with `args.`.
    pub(in crate::policy) fn of_arg(
        path: &str,
        op: Op,
        value: Option<&Value>,
    ) -> Result<Self, String> {
        let keys: Vec<Box<str>> =
            path.strip_prefix("args.").unwrap_or_default().split('.').map(Into::into).collect();
        if keys.iter().any(|key| key.is_empty()) {
            return Err(format!("`{path}` is not the path of an argument, such as `args.a.b`"));
        }
        Ok(Self {
            path: path.into(),
            operand: Operand::Arg(keys),
            op,
            expected: expected(op, value)?,
        })
    }

    /// Compiles a comparison of a counter.
    pub(in crate::policy) fn of_counter(
        path: &str,
        counter: Counter,
        op: Op,
        value: Option<&Value>,
    ) -> Result<Self, String> {
        Ok(Self {
            path: path.into(),
            operand: Operand::Counter(Box::new([counter])),
            op,
            expected: expected(op, value)?,
        })
    }

    fn compare(&self, value: &Value) -> Result<bool, EvaluationError> {
        match (&self.expected, self.op) {
            (Expected::Value(expected), Op::Eq) => self.equals(value, expected),
            (Expected::Value(expected), Op::Neq) => Ok(!self.equals(value, expected)?),
            (Expected::List(list), Op::In) => self.is_in(value, list),
            (Expected::List(list), Op::NotIn) => Ok(!self.is_in(value, list)?),
            // A null counts as a missing value.
            (Expected::Number(_) | Expected::Regex(_), _) if value.is_null() => Ok(false),
            (Expected::Number(expected), op) => {
                let Value::Number(number) = value else {
                    return Err(self.mismatch(value, "a number"));
                };
                let order = compare_numbers(number, expected);
                Ok(match op {
                    Op::Lt => order.is_lt(),
                    Op::Lte => order.is_le(),
                    Op::Gt => order.is_gt(),
                    _ => order.is_ge(),
                })
            }
            (Expected::Regex(regex), _) => match value {
                Value::String(text) => Ok(regex.is_match(text)),
                _ => Err(self.mismatch(value, "a string")),
            },
            (Expected::Value(expected), Op::Contains) => match (value, expected) {
                (Value::Null, _) => Ok(false),
                (Value::String(text), Value::String(part)) => Ok(text.contains(part.as_str())),
                (Value::Array(items), _) => self.has_item(items, expected),
                _ => Err(self.mismatch(value, "a string or a list")),
            },
            (Expected::Exists(expected), _) => Ok(*expected != value.is_null()),
            _ => Err(EvaluationError::Failed(format!("`{}` cannot be compared", self.path))),
        }
    }

    fn equals(&self, value: &Value, expected: &Value) -> Result<bool, EvaluationError> {
        match equality(value, expected) {
            Equality::Equal => Ok(true),
            Equality::Different => Ok(false),
            Equality::Incomparable => Err(self.mismatch(value, type_name(expected))),
        }
    }

    /// Tests if the list of the file has the value.
    fn is_in(&self, value: &Value, list: &[Value]) -> Result<bool, EvaluationError> {
        let mut comparable = value.is_null() || list.is_empty();
        let mut doubtful = false;
        for item in list {
            match equality(value, item) {
                Equality::Equal => return Ok(true),
                Equality::Different => comparable |= !item.is_null(),
                Equality::Incomparable => doubtful |= may_be_same(value, item),
            }
        }
        match comparable && !doubtful {
            true => Ok(false),
            false => Err(self.mismatch(value, "values of the types in its list")),
        }
    }

    /// Tests if the list of the call has the expected value. An item that merely contains the
    /// expected text proves nothing: the service may take a string or a list of strings.
    fn has_item(&self, items: &[Value], expected: &Value) -> Result<bool, EvaluationError> {
        let mut doubtful = None;
        for item in items {
            match (equality(item, expected), item, expected) {
                (Equality::Equal, ..) => return Ok(true),
                (Equality::Incomparable, ..) => doubtful = Some(item),
                (_, Value::String(text), Value::String(part)) if text.contains(part.as_str()) => {
                    doubtful = Some(item);
                }
                _ => {}
            }
        }
        match doubtful {
            None => Ok(false),
            Some(item) if same_type(item, expected) => Err(EvaluationError::TypeMismatch(format!(
                "`{}` is a list with an item that contains the expected string but is not \
                    equal to it",
                self.path
            ))),
            Some(item) => Err(EvaluationError::TypeMismatch(format!(
                "`{}` is a list that contains {}; `contains` looks for {}",
                self.path,
                type_name(item),
                type_name(expected)
            ))),
        }
    }

    fn mismatch(&self, value: &Value, expected: &str) -> EvaluationError {
        EvaluationError::TypeMismatch(format!(
            "`{}` is {}; `{}` compares {expected}",
            self.path,
            type_name(value),
            self.op.as_str()
        ))
    }

    /// Reads the value from the call; `None` if it is missing.
    fn read<'a>(
        &self,
        subject: &'a Subject<'_>,
    ) -> Result<Option<Cow<'a, Value>>, EvaluationError> {
        match &self.operand {
            Operand::Arg(keys) => {
                let presence_only = matches!(self.expected, Expected::Exists(_));
                subject
                    .args
                    .check_readable(keys.iter().map(|key| &**key), presence_only)
                    .map_err(EvaluationError::Failed)?;
                let value = value_at(&subject.args.value, keys).map_err(|not_object| {
                    EvaluationError::TypeMismatch(format!(
                        "`args.{}` is {}; `{}` needs an object there",
                        keys[..not_object.depth].join("."),
                        type_name(not_object.value),
                        self.path
                    ))
                })?;
                Ok(value.map(Cow::Borrowed))
            }
            Operand::Counter(counter) => {
                let value = counter[0].value(subject)?.as_f64();
                Ok(Number::from_f64(value).map(|number| Cow::Owned(Value::Number(number))))
            }
        }
    }
}

/// Checks and compiles the right side.
fn expected(op: Op, value: Option<&Value>) -> Result<Expected, String> {
    let needed = || value.ok_or_else(|| format!("`{}` needs a `value`", op.as_str()));
    let wrong = |expected: &str, value: &Value| {
        format!("`{}` needs {expected} as `value`, found {}", op.as_str(), type_name(value))
    };
    match op {
        Op::Eq | Op::Neq => Ok(Expected::Value(needed()?.clone())),
        Op::Contains => match needed()? {
            value @ (Value::Array(_) | Value::Object(_) | Value::Null) => {
                Err(wrong("a string, a number or a boolean", value))
            }
            value => Ok(Expected::Value(value.clone())),
        },
        Op::In | Op::NotIn => match needed()? {
            Value::Array(items) if items.len() <= LIST_MAX => Ok(Expected::List(items.clone())),
            Value::Array(items) => {
                Err(format!("the list has {} items; the limit is {LIST_MAX}", items.len()))
            }
            other => Err(wrong("a list", other)),
        },
        Op::Lt | Op::Lte | Op::Gt | Op::Gte => match needed()? {
            Value::Number(number) => Ok(Expected::Number(number.clone())),
            other => Err(wrong("a number", other)),
        },
        Op::Regex => match needed()? {
            Value::String(pattern) => compile_regex(pattern).map(Expected::Regex),
            other => Err(wrong("a string", other)),
        },
        Op::Exists => match value {
            None => Ok(Expected::Exists(true)),
            Some(Value::Bool(expected)) => Ok(Expected::Exists(*expected)),
            Some(other) => Err(wrong("true or false", other)),
        },
    }
}

impl Expr for CompiledComparison {
    fn holds(&self, subject: &Subject<'_>) -> Result<bool, EvaluationError> {
        match self.read(subject)? {
            Some(value) => self.compare(&value),
            None => Ok(matches!(self.expected, Expected::Exists(false))),
        }
    }

    fn source(&self) -> String {
        let expected = match &self.expected {
            Expected::Value(value) => preview(value),
            Expected::List(list) => preview(&Value::Array(list.clone())),
            Expected::Number(number) => number.to_string(),
            Expected::Regex(regex) => format!("/{regex}/"),
            Expected::Exists(expected) => expected.to_string(),
        };
        format!("{} {} {expected}", self.path, self.op.as_str())
    }

    fn observed(&self, subject: &Subject<'_>) -> String {
        match self.read(subject) {
            Ok(Some(value)) => format!("{} = {}", self.path, preview(&value)),
            Ok(None) => format!("{} is missing", self.path),
            Err(error) => error.reason().to_owned(),
        }
    }

    fn counters(&self) -> &[Counter] {
        match &self.operand {
            Operand::Arg(_) => &[],
            Operand::Counter(counter) => &counter[..],
        }
    }

    fn arg_paths(&self) -> Vec<ArgPath> {
        match &self.operand {
            Operand::Arg(keys) => vec![ArgPath {
                path: keys.iter().map(|key| key.to_string()).collect(),
                must_exist: false,
            }],
            Operand::Counter(_) => vec![],
        }
    }
}
