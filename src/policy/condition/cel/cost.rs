//! Upper bound on the cost of an expression, computed before evaluation because the interpreter
//! cannot be interrupted.
//!
//! The estimate walks the tree with an upper bound for the size of every value. A loop costs at
//! most as much as a loop over the same number of tiny elements plus one element that holds
//! everything, because the cost of an element never grows slower than its size.

use cel::common::ast::{EntryExpr, Expr, IdedExpr, LiteralValue, operators};

use super::{functions::MATCHES, size::Size};

/// Most steps of one evaluation; a step takes about 100 ns in a release build.
pub(super) const STEPS_MAX: f64 = 50_000.0;

/// Variables in scope with the sizes of their values, innermost last.
pub(super) type Names<'e> = Vec<(&'e str, Size)>;

/// Returns upper bounds of the steps and of the size of the result. `names` holds the variables in
/// scope.
pub(super) fn estimate<'e>(expr: &'e IdedExpr, names: &mut Names<'e>) -> (f64, Size) {
    match &expr.expr {
        Expr::Unspecified | Expr::Struct(_) => (f64::INFINITY, Size::TINY),
        Expr::Literal(LiteralValue::String(text)) => {
            (1.0, Size { bytes: text.inner().len() as f64, ..Size::TINY })
        }
        Expr::Literal(_) => (1.0, Size::TINY),
        Expr::Ident(name) => (
            1.0,
            names
                .iter()
                .rev()
                .find(|(known, _)| known == name)
                .map_or(Size::TINY, |(_, size)| *size),
        ),
        Expr::Select(select) => {
            let (steps, size) = estimate(&select.operand, names);
            (steps + 1.0, if select.test { Size::TINY } else { size })
        }
        Expr::List(list) => {
            let start = (1.0, Size { longest: list.elements.len() as f64, ..Size::TINY });
            list.elements.iter().fold(start, |sum, element| add(sum, estimate(element, names)))
        }
        Expr::Map(map) => map.entries.iter().fold(
            (1.0, Size { longest: map.entries.len() as f64, ..Size::TINY }),
            |sum, entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => {
                    add(add(sum, estimate(&entry.key, names)), estimate(&entry.value, names))
                }
                EntryExpr::StructField(_) => (f64::INFINITY, Size::TINY),
            },
        ),
        Expr::Call(call) => {
            let parts: Vec<(f64, Size)> = call
                .target
                .as_deref()
                .into_iter()
                .chain(&call.args)
                .map(|part| estimate(part, names))
                .collect();
            function(&call.func_name, &parts)
        }
        Expr::Comprehension(_) => comprehension(expr, names),
    }
}

fn add(sum: (f64, Size), part: (f64, Size)) -> (f64, Size) {
    (sum.0 + part.0, sum.1.and(part.1))
}

fn function(name: &str, parts: &[(f64, Size)]) -> (f64, Size) {
    let steps = 1.0 + parts.iter().map(|(steps, _)| steps).sum::<f64>();
    let all = parts
        .iter()
        .fold(Size { values: 0.0, bytes: 0.0, longest: 0.0 }, |all, (_, size)| all.and(*size));
    let largest = parts.iter().fold(Size::TINY, |largest, (_, size)| largest.or(*size));
    match name {
        operators::LOGICAL_AND
        | operators::LOGICAL_OR
        | operators::LOGICAL_NOT
        | operators::NOT_STRICTLY_FALSE => (steps, Size::TINY),
        operators::CONDITIONAL => (steps, largest),
        operators::INDEX => (steps + 1.0, parts.first().map_or(Size::TINY, |(_, size)| *size)),
        operators::ADD => (steps + all.whole(), all),
        // A regular expression visits each byte, in the worst case several times.
        MATCHES => (steps + all.bytes, Size::TINY),
        // JSON holds at most one value for each two bytes.
        "json" => (
            steps + all.bytes / 4.0,
            Size {
                values: 1.0 + all.bytes / 2.0,
                bytes: all.bytes,
                longest: 1.0 + all.bytes / 2.0,
            },
        ),
        "base64" | "string" | "bytes" | "dyn" => (steps + all.whole(), all.and(Size::TINY)),
        _ => (steps + all.whole(), Size::TINY),
    }
}

fn comprehension<'e>(expr: &'e IdedExpr, names: &mut Names<'e>) -> (f64, Size) {
    let Expr::Comprehension(comprehension) = &expr.expr else { return (f64::INFINITY, Size::TINY) };
    let (range_steps, range) = estimate(&comprehension.iter_range, names);
    let (init_steps, _) = estimate(&comprehension.accu_init, names);
    let mut body = |element: Size| {
        let depth = names.len();
        names.push((&comprehension.accu_var, Size::TINY));
        names.push((&comprehension.iter_var, element));
        if let Some(second) = &comprehension.iter_var2 {
            names.push((second, element));
        }
        let (condition, _) = estimate(&comprehension.loop_cond, names);
        let (step, size) = estimate(&comprehension.loop_step, names);
        names.truncate(depth);
        (condition + step + 2.0, size)
    };
    let (tiny_steps, tiny) = body(Size::TINY);
    let (full_steps, full) = body(range);
    let times = range.longest + 1.0;
    // Each element is copied once.
    let steps = range_steps + init_steps + range.whole() + times * tiny_steps + full_steps;
    let result = tiny.times(times).and(full);
    (steps, result)
}
