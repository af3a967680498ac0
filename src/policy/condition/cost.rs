//! What an expression can cost at the most, reckoned before it is evaluated: the interpreter itself
//! cannot be interrupted.
//!
//! The reckoning follows the tree with upper bounds for the size of every value. A loop over a
//! value costs at most what it costs for as many tiny elements and one that holds everything: what
//! an element costs never grows slower than its size.

use cel::common::ast::{EntryExpr, Expr, IdedExpr, LiteralValue, operators};

/// Most work of one evaluation, in steps of about 100 ns in a release build.
pub(super) const STEPS_MAX: f64 = 50_000.0;

/// Bounds of a value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    /// Values in it, itself included.
    pub(super) values: f64,
    /// Bytes of its texts.
    pub(super) bytes: f64,
    /// Elements of its longest list or mapping.
    pub(super) longest: f64,
}

impl Size {
    pub(super) const TINY: Self = Self { values: 1.0, bytes: 16.0, longest: 0.0 };

    fn and(self, other: Self) -> Self {
        Self {
            values: self.values + other.values,
            bytes: self.bytes + other.bytes,
            longest: self.longest + other.longest,
        }
    }

    fn or(self, other: Self) -> Self {
        Self {
            values: self.values.max(other.values),
            bytes: self.bytes.max(other.bytes),
            longest: self.longest.max(other.longest),
        }
    }

    fn times(self, times: f64) -> Self {
        Self { values: self.values * times, bytes: self.bytes * times, longest: times }
    }

    /// Steps for looking at all of it.
    fn whole(self) -> f64 {
        self.values + self.bytes / 64.0
    }
}

/// What a name stands for, innermost last.
pub(super) type Names<'e> = Vec<(&'e str, Size)>;

/// The steps and the size of the result, at the most. `names` holds what the expression may name.
pub(super) fn reckon<'e>(expr: &'e IdedExpr, names: &mut Names<'e>) -> (f64, Size) {
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
            let (steps, size) = reckon(&select.operand, names);
            (steps + 1.0, if select.test { Size::TINY } else { size })
        }
        Expr::List(list) => {
            let start = (1.0, Size { longest: list.elements.len() as f64, ..Size::TINY });
            list.elements.iter().fold(start, |sum, element| add(sum, reckon(element, names)))
        }
        Expr::Map(map) => map.entries.iter().fold(
            (1.0, Size { longest: map.entries.len() as f64, ..Size::TINY }),
            |sum, entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => {
                    add(add(sum, reckon(&entry.key, names)), reckon(&entry.value, names))
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
                .map(|part| reckon(part, names))
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
        // A regular expression looks at each byte, several times at the worst.
        super::cel::MATCHES => (steps + all.bytes, Size::TINY),
        // Text becomes values: at most one for each two bytes.
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
    let (range_steps, range) = reckon(&comprehension.iter_range, names);
    let (init_steps, _) = reckon(&comprehension.accu_init, names);
    let mut body = |element: Size| {
        let depth = names.len();
        names.push((&comprehension.accu_var, Size::TINY));
        names.push((&comprehension.iter_var, element));
        if let Some(second) = &comprehension.iter_var2 {
            names.push((second, element));
        }
        let (condition, _) = reckon(&comprehension.loop_cond, names);
        let (step, size) = reckon(&comprehension.loop_step, names);
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
