//! Limits the nesting of programs, because parsers recurse and a stack overflow ends the process.
//!
//! The first check is lexical and runs before the parser. It does not understand regular
//! expressions, which can mislead it, so its limits have a margin of hundreds. The second check
//! counts the syntax tree itself.

use swc_core::ecma::{
    ast::{Expr, Pat, Stmt, TsType},
    visit::{Visit, VisitWith},
};

/// Limit on open brackets of any kind at one position. Far above what people or models write (under
/// 30), far below what the parser's stack holds.
pub const BRACKETS_MAX: usize = 500;
/// Limit on operators in the statements that are open at one position, as in a chain `a + b + c`,
/// and on nested nodes.
pub const OPERATORS_MAX: usize = 2000;

/// The limit that was exceeded, and where.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum TooDeep {
    /// Over [`BRACKETS_MAX`] at this byte offset.
    Brackets(usize),
    /// Over [`OPERATORS_MAX`] at this byte offset.
    Operators(usize),
}

/// Checks the source lexically. Returns the largest number of brackets and operators that are open
/// at one position.
pub(super) fn check_text(code: &str) -> Result<usize, TooDeep> {
    let bytes = code.as_bytes();
    let mut open = Open { levels: vec![Level::default()], operators: 0 };
    let mut strings = Strings::default();
    let mut after_operand = false;
    let mut at = 0;
    let mut peak = 0;
    while let Some(byte) = bytes.get(at) {
        let here = at;
        at += 1;
        match byte {
            b'/' if matches!(bytes.get(at), Some(b'/' | b'*')) => at = end_of_comment(bytes, here),
            b'"' | b'\'' => {
                at = strings.end(bytes, here).unwrap_or(at);
                after_operand = true;
            }
            b'(' | b'[' | b'{' => {
                open.levels.push(Level::default());
                after_operand = false;
            }
            b')' | b']' | b'}' => {
                open.close();
                after_operand = true;
            }
            b',' => open.end_element(),
            b';' => open.end_statement(),
            b'\n' if after_operand => open.end_statement(),
            b if b.is_ascii_whitespace() => {}
            b if is_word(*b) || *b == b'`' => {
                at = here + 1 + bytes[at..].iter().take_while(|b| is_word(**b)).count();
                after_operand = !is_prefix_word(&bytes[here..at]);
                if !after_operand {
                    open.add_operator(here)?;
                }
            }
            b => {
                after_operand = false;
                if *b == b'<' {
                    open.top().angles += 1;
                }
                open.add_operator(here)?;
            }
        }
        if open.levels.len() > BRACKETS_MAX + 1 {
            return Err(TooDeep::Brackets(here));
        }
        peak = peak.max(open.levels.len() + open.operators);
    }
    Ok(peak)
}

/// Open constructs at one position: a level for each bracket, and one for the top.
struct Open {
    levels: Vec<Level>,
    operators: usize,
}

/// Operators in the statement or element under way.
#[derive(Default)]
struct Level {
    operators: usize,
    /// Those that may open type arguments, in which a comma ends no element.
    angles: usize,
}

impl Open {
    fn top(&mut self) -> &mut Level {
        self.levels.last_mut().expect("the top level is never closed")
    }

    fn add_operator(&mut self, at: usize) -> Result<(), TooDeep> {
        self.top().operators += 1;
        self.operators += 1;
        if self.operators > OPERATORS_MAX { Err(TooDeep::Operators(at)) } else { Ok(()) }
    }

    fn end_element(&mut self) {
        let top = self.top();
        let ended = top.operators - top.angles;
        top.operators = top.angles;
        self.operators -= ended;
    }

    fn end_statement(&mut self) {
        self.operators -= std::mem::take(self.top()).operators;
    }

    fn close(&mut self) {
        if self.levels.len() > 1 {
            self.end_statement();
            self.levels.pop();
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | 0x80..)
}

fn end_of_comment(bytes: &[u8], start: usize) -> usize {
    let rest = &bytes[start + 2..];
    let length = match bytes[start + 1] {
        b'/' => rest.iter().position(|b| *b == b'\n'),
        _ => rest.windows(2).position(|pair| pair == b"*/").map(|at| at + 2),
    };
    length.map_or(bytes.len(), |length| start + 2 + length)
}

/// Finds the ends of strings, in linear time for any input.
#[derive(Default)]
struct Strings {
    /// Offset before which no `"` closes, and the same for `'`.
    open_until: [usize; 2],
}

impl Strings {
    /// Offset after the closing quote; `None` if the line ends first, so an apostrophe in a
    /// template hides nothing.
    fn end(&mut self, bytes: &[u8], start: usize) -> Option<usize> {
        let quote = bytes[start];
        let open_until = &mut self.open_until[usize::from(quote == b'\'')];
        if start < *open_until {
            return None;
        }
        let mut at = start + 1;
        loop {
            match bytes.get(at) {
                Some(b'\\') => at += 1,
                Some(byte) if *byte == quote => return Some(at + 1),
                Some(b'\n') | None => {
                    *open_until = at;
                    return None;
                }
                Some(_) => {}
            }
            at += 1;
        }
    }
}

fn is_prefix_word(word: &[u8]) -> bool {
    matches!(
        word,
        b"typeof"
            | b"void"
            | b"delete"
            | b"await"
            | b"new"
            | b"yield"
            | b"keyof"
            | b"readonly"
            | b"else"
            | b"do"
            | b"throw"
    )
}

/// Returns true if expressions, statements, patterns and types nest at most [`OPERATORS_MAX`] deep.
/// Descends no deeper than that.
pub(super) fn is_within_bounds(statements: &[Stmt]) -> bool {
    let mut depth = Depth::default();
    statements.iter().for_each(|statement| statement.visit_with(&mut depth));
    !depth.exceeded
}

#[derive(Default)]
struct Depth {
    now: usize,
    exceeded: bool,
}

impl Depth {
    fn enter<N: VisitWith<Self>>(&mut self, node: &N) {
        if self.now == OPERATORS_MAX {
            self.exceeded = true;
        }
        if self.exceeded {
            return;
        }
        self.now += 1;
        node.visit_children_with(self);
        self.now -= 1;
    }
}

impl Visit for Depth {
    fn visit_expr(&mut self, node: &Expr) {
        self.enter(node);
    }

    fn visit_stmt(&mut self, node: &Stmt) {
        self.enter(node);
    }

    fn visit_pat(&mut self, node: &Pat) {
        self.enter(node);
    }

    fn visit_ts_type(&mut self, node: &TsType) {
        self.enter(node);
    }
}
