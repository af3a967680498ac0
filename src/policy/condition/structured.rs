//! Comparisons `{path, op, value}`, with the meaning they have in Intercept.
//!
//! A value that is missing makes every comparison false but `exists: false`. Numbers compare with
//! numbers only: a text that looks like one is none. Under `when` such a mismatch is an error, and
//! so a denial, for a rule that cannot see must not let pass; under `require` it is a no.

use regex::Regex;
use serde_json::{Number, Value};

use super::{ArgPath, Counter, Expr, NoAnswer, Subject, shown};
use crate::policy::file::{Op, kind};

/// Most items of the list behind `in` and `not_in`.
pub(in crate::policy) const LIST_MAX: usize = 1000;
/// Longest pattern of `regex`, in bytes.
pub(in crate::policy) const REGEX_BYTES_MAX: usize = 1024;
/// Largest compiled form of a pattern, in bytes.
const REGEX_SIZE_MAX: usize = 256 * 1024;

/// A pattern with a bounded size; it finds in the time of the text's length.
pub(in crate::policy) fn regex(pattern: &str) -> Result<Regex, String> {
    if pattern.len() > REGEX_BYTES_MAX {
        return Err(format!(
            "the pattern has {} bytes, allowed are {REGEX_BYTES_MAX}",
            pattern.len()
        ));
    }
    let built = regex::RegexBuilder::new(pattern)
        .size_limit(REGEX_SIZE_MAX)
        .dfa_size_limit(REGEX_SIZE_MAX)
        .nest_limit(64)
        .build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => {
            format!("the pattern is too large: compiled it has more than {REGEX_SIZE_MAX} bytes")
        }
        _ => "the pattern does not compile".into(),
    })
}

#[derive(Debug)]
enum Left {
    /// Keys from the top of the arguments.
    Args(Vec<Box<str>>),
    /// The value of a counter.
    Counter(Box<[Counter; 1]>),
}

#[derive(Debug)]
enum Right {
    Value(Value),
    List(Vec<Value>),
    Number(Number),
    Regex(Regex),
    Exists(bool),
}

/// One comparison, compiled.
#[derive(Debug)]
pub(in crate::policy) struct Comparison {
    path: Box<str>,
    left: Left,
    op: Op,
    right: Right,
}

impl Comparison {
    /// Of an argument: `path` without `args.`.
    pub(in crate::policy) fn of_args(
        path: &str,
        op: Op,
        value: Option<&Value>,
    ) -> Result<Self, String> {
        let keys: Vec<Box<str>> =
            path.strip_prefix("args.").unwrap_or_default().split('.').map(Into::into).collect();
        if keys.iter().any(|key| key.is_empty()) {
            return Err(format!("`{path}` is no path of an argument such as `args.a.b`"));
        }
        Ok(Self { path: path.into(), left: Left::Args(keys), op, right: right(op, value)? })
    }

    /// Of a counter.
    pub(in crate::policy) fn of_counter(
        path: &str,
        counter: Counter,
        op: Op,
        value: Option<&Value>,
    ) -> Result<Self, String> {
        Ok(Self {
            path: path.into(),
            left: Left::Counter(Box::new([counter])),
            op,
            right: right(op, value)?,
        })
    }

    fn compare(&self, value: &Value) -> Result<bool, NoAnswer> {
        match (&self.right, self.op) {
            (Right::Value(right), Op::Eq) => Ok(same(value, right)),
            (Right::Value(right), Op::Neq) => Ok(!same(value, right)),
            (Right::List(list), Op::In) => Ok(list.iter().any(|item| same(value, item))),
            (Right::List(list), Op::NotIn) => Ok(!list.iter().any(|item| same(value, item))),
            // A null stands for nothing, as a missing value does.
            (Right::Number(_) | Right::Regex(_), _) if value.is_null() => Ok(false),
            (Right::Number(right), op) => {
                let Value::Number(left) = value else {
                    return Err(self.mismatch(value, "a number"));
                };
                let order = compare_numbers(left, right);
                Ok(match op {
                    Op::Lt => order.is_lt(),
                    Op::Lte => order.is_le(),
                    Op::Gt => order.is_gt(),
                    _ => order.is_ge(),
                })
            }
            (Right::Regex(regex), _) => match value {
                Value::String(text) => Ok(regex.is_match(text)),
                _ => Err(self.mismatch(value, "a text")),
            },
            (Right::Value(right), Op::Contains) => match (value, right) {
                (Value::Null, _) => Ok(false),
                (Value::String(text), Value::String(part)) => Ok(text.contains(part.as_str())),
                (Value::Array(items), _) => Ok(items.iter().any(|item| same(item, right))),
                _ => Err(self.mismatch(value, "a text or a list")),
            },
            (Right::Exists(expected), _) => Ok(*expected != value.is_null()),
            _ => Err(NoAnswer::Failed(format!("`{}` cannot be compared", self.path))),
        }
    }

    fn mismatch(&self, value: &Value, expected: &str) -> NoAnswer {
        NoAnswer::Mismatch(format!(
            "`{}` is {}, `{}` compares {expected}",
            self.path,
            kind(value),
            self.op.as_str()
        ))
    }

    fn find<'a>(
        &self,
        subject: &'a Subject<'_>,
    ) -> Result<Option<std::borrow::Cow<'a, Value>>, NoAnswer> {
        match &self.left {
            Left::Args(keys) => {
                let presence = matches!(self.right, Right::Exists(_));
                subject
                    .args
                    .seen(keys.iter().map(|key| &**key), presence)
                    .map_err(NoAnswer::Failed)?;
                Ok(find(&subject.args.value, keys).map(std::borrow::Cow::Borrowed))
            }
            Left::Counter(counter) => {
                let value = counter[0].value(subject)?.as_f64();
                Ok(Number::from_f64(value)
                    .map(|number| std::borrow::Cow::Owned(Value::Number(number))))
            }
        }
    }
}

/// The value at keys; lists have none.
pub(in crate::policy) fn find<'v>(value: &'v Value, keys: &[Box<str>]) -> Option<&'v Value> {
    keys.iter().try_fold(value, |value, key| value.as_object()?.get(&**key))
}

fn right(op: Op, value: Option<&Value>) -> Result<Right, String> {
    let needed = || value.ok_or_else(|| format!("`{}` needs a `value`", op.as_str()));
    let wrong = |expected: &str, value: &Value| {
        format!("`{}` needs {expected} as `value`, found {}", op.as_str(), kind(value))
    };
    match op {
        Op::Eq | Op::Neq => Ok(Right::Value(needed()?.clone())),
        Op::Contains => match needed()? {
            value @ (Value::Array(_) | Value::Object(_) | Value::Null) => {
                Err(wrong("a text, a number or a truth value", value))
            }
            value => Ok(Right::Value(value.clone())),
        },
        Op::In | Op::NotIn => match needed()? {
            Value::Array(items) if items.len() <= LIST_MAX => Ok(Right::List(items.clone())),
            Value::Array(items) => {
                Err(format!("the list has {} items, allowed are {LIST_MAX}", items.len()))
            }
            other => Err(wrong("a list", other)),
        },
        Op::Lt | Op::Lte | Op::Gt | Op::Gte => match needed()? {
            Value::Number(number) => Ok(Right::Number(number.clone())),
            other => Err(wrong("a number", other)),
        },
        Op::Regex => match needed()? {
            Value::String(pattern) => regex(pattern).map(Right::Regex),
            other => Err(wrong("a text", other)),
        },
        Op::Exists => match value {
            None => Ok(Right::Exists(true)),
            Some(Value::Bool(expected)) => Ok(Right::Exists(*expected)),
            Some(other) => Err(wrong("true or false", other)),
        },
    }
}

/// Equal as JSON, where 1 and 1.0 are the same number.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => compare_numbers(left, right).is_eq(),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(a, b)| same(a, b))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, a)| right.get(key).is_some_and(|b| same(a, b)))
        }
        _ => left == right,
    }
}

fn compare_numbers(left: &Number, right: &Number) -> std::cmp::Ordering {
    let whole = |number: &Number| {
        number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
    };
    match (whole(left), whole(right)) {
        (Some(left), Some(right)) => left.cmp(&right),
        // Both are finite, for nothing else is read; so they do compare.
        _ => left.as_f64().partial_cmp(&right.as_f64()).unwrap_or(std::cmp::Ordering::Less),
    }
}

impl Expr for Comparison {
    fn holds(&self, subject: &Subject<'_>) -> Result<bool, NoAnswer> {
        match self.find(subject)? {
            Some(value) => self.compare(&value),
            None => Ok(matches!(self.right, Right::Exists(false))),
        }
    }

    fn source(&self) -> String {
        let right = match &self.right {
            Right::Value(value) => shown(value),
            Right::List(list) => shown(&Value::Array(list.clone())),
            Right::Number(number) => number.to_string(),
            Right::Regex(regex) => format!("/{regex}/"),
            Right::Exists(expected) => expected.to_string(),
        };
        format!("{} {} {right}", self.path, self.op.as_str())
    }

    fn observed(&self, subject: &Subject<'_>) -> String {
        match self.find(subject) {
            Ok(Some(value)) => format!("{} = {}", self.path, shown(&value)),
            Ok(None) => format!("{} is missing", self.path),
            Err(error) => error.reason().to_owned(),
        }
    }

    fn counters(&self) -> &[Counter] {
        match &self.left {
            Left::Args(_) => &[],
            Left::Counter(counter) => &counter[..],
        }
    }

    fn arg_paths(&self) -> Vec<ArgPath> {
        match &self.left {
            Left::Args(keys) => vec![ArgPath {
                path: keys.iter().map(|key| key.to_string()).collect(),
                must_exist: false,
            }],
            Left::Counter(_) => vec![],
        }
    }
}
