//! The operators `==`, `!=` and `in`, which fail where CEL's own say "different" of values of
//! different types. A service may take `["x"]` or `"5"` where a rule compares `"x"` or 5, and a
//! rule that compares nothing must not let a call pass. `null` differs from every other value.

use cel::{
    DeclarationError, Env, ExecutionError,
    common::{
        types::{CelBool, CelDouble, CelInt, CelList, CelMap, CelString, CelUInt, DYN_TYPE, Kind},
        value::{CowVal, Val},
    },
};

use crate::policy::condition::value::Equality;

/// Internal names of the operators. The check at load replaces the operators by them.
pub(super) const EQUALS: &str = "airlock_equals";
pub(super) const NOT_EQUALS: &str = "airlock_not_equals";
/// `in` with a list or map that the call contains.
pub(super) const IN: &str = "airlock_in";
/// `in` with a list or map that is written in the expression.
pub(super) const IN_LITERAL: &str = "airlock_in_literal";
/// Function name of the errors of these operators, whose messages contain no value of the call.
pub(super) const MISMATCH: &str = "airlock_comparison";

/// Declares the operators.
pub(super) fn declare(env: &mut Env) -> Result<(), DeclarationError> {
    let operands = || vec![DYN_TYPE, DYN_TYPE];
    env.add_overload(EQUALS, "airlock_equals_dyn_dyn", operands(), equals)?;
    env.add_overload(NOT_EQUALS, "airlock_not_equals_dyn_dyn", operands(), not_equals)?;
    env.add_overload(IN, "airlock_in_dyn_dyn", operands(), is_in)?;
    env.add_overload(IN_LITERAL, "airlock_in_literal_dyn_dyn", operands(), is_in_literal)
}

fn equals<'b, 'v>(operands: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let [left, right] = pair(&operands)?;
    Ok(CowVal::owned(CelBool::from(definite("==", left, right)?)))
}

fn not_equals<'b, 'v>(operands: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let [left, right] = pair(&operands)?;
    Ok(CowVal::owned(CelBool::from(!definite("!=", left, right)?)))
}

fn is_in<'b, 'v>(operands: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    contains(&operands, |_| true)
}

fn is_in_literal<'b, 'v>(operands: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    contains(&operands, |comparable| comparable == 0)
}

/// Tests if the right operand contains the left one. `is_doubtful` gets the number of items that
/// can be compared with it, if there are others: true means that "no" would prove nothing.
fn contains<'b, 'v>(
    operands: &[CowVal<'b, 'v>],
    is_doubtful: fn(usize) -> bool,
) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let [value, container] = pair(operands)?;
    let items: Vec<&dyn Val> =
        match (container.downcast_ref::<CelList<'_>>(), container.downcast_ref::<CelMap<'_>>()) {
            (Some(list), _) => list.inner().iter().map(|item| &**item as &dyn Val).collect(),
            (_, Some(map)) => map.inner().keys().map(|key| key.inner() as &dyn Val).collect(),
            _ => return Err(mismatch("in", value, container)),
        };
    let (mut comparable, mut incomparable, mut doubtful) = (0, 0, false);
    for item in &items {
        match equality(value, *item) {
            Equality::Equal => return Ok(CowVal::owned(CelBool::from(true))),
            Equality::Different
                if kind(*item) == Kind::NullType && kind(value) != Kind::NullType => {}
            Equality::Different => comparable += 1,
            Equality::Incomparable => {
                incomparable += 1;
                doubtful |= may_be_same(value, *item);
            }
        }
    }
    match incomparable > 0 && (doubtful || is_doubtful(comparable)) {
        true => Err(mismatch("in", value, container)),
        false => Ok(CowVal::owned(CelBool::from(false))),
    }
}

fn pair<'o>(operands: &'o [CowVal<'_, '_>]) -> Result<[&'o dyn Val; 2], ExecutionError> {
    match operands {
        [left, right] => Ok([left.as_ref(), right.as_ref()]),
        _ => Err(ExecutionError::function_error(MISMATCH, "a comparison takes two values")),
    }
}

fn definite(operator: &str, left: &dyn Val, right: &dyn Val) -> Result<bool, ExecutionError> {
    match equality(left, right) {
        Equality::Equal => Ok(true),
        Equality::Different => Ok(false),
        Equality::Incomparable => Err(mismatch(operator, left, right)),
    }
}

/// Compares values as [`value::equality`](crate::policy::condition::value::equality) compares JSON.
fn equality(left: &dyn Val, right: &dyn Val) -> Equality {
    match (kind(left), kind(right)) {
        (Kind::NullType, other) | (other, Kind::NullType) => (other == Kind::NullType).into(),
        (left_kind, right_kind) if left_kind != right_kind => Equality::Incomparable,
        (Kind::List, _) => lists(left, right),
        (Kind::Map, _) => maps(left, right),
        _ => left.equals(right).into(),
    }
}

/// Kind of a value; the three kinds of numbers count as one.
fn kind(value: &dyn Val) -> Kind {
    match value.get_type().kind() {
        Kind::Int | Kind::UInt => Kind::Double,
        kind => kind,
    }
}

/// Returns true if values of different types may be the same to a service, as
/// [`value::may_be_same`](crate::policy::condition::value::may_be_same) says of JSON.
fn may_be_same(left: &dyn Val, right: &dyn Val) -> bool {
    match (text(left), text(right)) {
        (Some(left), Some(right)) => left.eq_ignore_ascii_case(&right),
        _ => true,
    }
}

/// A scalar as text; none for other values.
fn text(value: &dyn Val) -> Option<String> {
    if let Some(text) = value.downcast_ref::<CelString<'_>>() {
        return Some(text.inner().to_owned());
    }
    let int = value.downcast_ref::<CelInt>().map(|value| value.inner().to_string());
    let uint = || value.downcast_ref::<CelUInt>().map(|value| value.inner().to_string());
    let double = || value.downcast_ref::<CelDouble>().map(|value| value.inner().to_string());
    let boolean = || value.downcast_ref::<CelBool>().map(|value| value.inner().to_string());
    int.or_else(uint).or_else(double).or_else(boolean)
}

fn lists(left: &dyn Val, right: &dyn Val) -> Equality {
    let (Some(left), Some(right)) =
        (left.downcast_ref::<CelList<'_>>(), right.downcast_ref::<CelList<'_>>())
    else {
        return Equality::Incomparable;
    };
    let (left, right) = (left.inner(), right.inner());
    match left.len() == right.len() {
        true => Equality::of_all(left.iter().zip(right).map(|(a, b)| equality(&**a, &**b))),
        false => Equality::Different,
    }
}

fn maps(left: &dyn Val, right: &dyn Val) -> Equality {
    let (Some(left), Some(right)) =
        (left.downcast_ref::<CelMap<'_>>(), right.downcast_ref::<CelMap<'_>>())
    else {
        return Equality::Incomparable;
    };
    let (left, right) = (left.inner(), right.inner());
    match left.len() == right.len() {
        true => Equality::of_all(left.iter().map(|(key, a)| match right.get(key) {
            Some(b) => equality(&**a, &**b),
            None => Equality::Different,
        })),
        false => Equality::Different,
    }
}

fn mismatch(operator: &str, left: &dyn Val, right: &dyn Val) -> ExecutionError {
    let (left, right) = (left.get_type().name(), right.get_type().name());
    ExecutionError::function_error(
        MISMATCH,
        format!("`{operator}` compares a value of type {left} with one of type {right}"),
    )
}
