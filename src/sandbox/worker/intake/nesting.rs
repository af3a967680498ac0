//! Bounds on how deep a program nests, because parsers recurse and a stack that overflows ends the process.
//!
//! The first check is lexical and comes before the parser; it does not understand regular expressions and can be led astray
//! by them, so it never refuses what it should not without a margin of hundreds, and the second check counts the tree itself.

use swc_ecma_ast::{Expr, Pat, Stmt, TsType};
use swc_ecma_visit::{Visit, VisitWith};

/// Open brackets of any kind at one place. Far over what people or models write (under 30), far under the parser's stack.
pub const BRACKETS_MAX: usize = 500;
/// Operators in the statements that are open at one place, that is a chain such as `a + b + c`, or nodes one in another.
pub const LINKS_MAX: usize = 2000;

/// Which bound was passed, and with what.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum TooDeep {
    /// Over [`BRACKETS_MAX`] at this byte offset.
    Brackets(usize),
    /// Over [`LINKS_MAX`] at this byte offset.
    Links(usize),
}

/// Looks at the text alone.
pub(super) fn check_text(code: &str) -> Result<(), TooDeep> {
    let bytes = code.as_bytes();
    // Operators of the statement under way, one entry for each open bracket and one for the top.
    let mut levels = vec![0usize];
    let mut links = 0;
    let mut after_operand = false;
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let next = bytes.get(at + 1);
        let here = at;
        at += 1;
        match byte {
            b'/' if matches!(next, Some(b'/' | b'*')) => at = end_of_comment(bytes, here),
            b'"' | b'\'' => {
                at = end_of_string(bytes, here).unwrap_or(at);
                after_operand = true;
            }
            b'(' | b'[' | b'{' => {
                levels.push(0);
                after_operand = false;
                if levels.len() > BRACKETS_MAX + 1 {
                    return Err(TooDeep::Brackets(here));
                }
            }
            b')' | b']' | b'}' => {
                links -= if levels.len() > 1 { levels.pop().unwrap_or(0) } else { 0 };
                after_operand = true;
            }
            b';' | b',' => links -= levels.last_mut().map_or(0, std::mem::take),
            b'\n' if after_operand => links -= levels.last_mut().map_or(0, std::mem::take),
            b if b.is_ascii_whitespace() => {}
            b if b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$' | b'`' | 0x80..) => {
                at = end_of_word(bytes, here);
                after_operand = !is_prefix_word(&bytes[here..at]);
                links += levels.last_mut().map_or(0, |level| {
                    let one = usize::from(!after_operand);
                    *level += one;
                    one
                });
            }
            _ => {
                after_operand = false;
                links += levels.last_mut().map_or(0, |level| {
                    *level += 1;
                    1
                });
            }
        }
        if links > LINKS_MAX {
            return Err(TooDeep::Links(here));
        }
    }
    Ok(())
}

fn end_of_comment(bytes: &[u8], start: usize) -> usize {
    let rest = &bytes[start + 2..];
    let length = match bytes[start + 1] {
        b'/' => rest.iter().position(|b| *b == b'\n'),
        _ => rest.windows(2).position(|pair| pair == b"*/").map(|at| at + 2),
    };
    length.map_or(bytes.len(), |length| start + 2 + length)
}

/// One past the closing quote; none when the line ends before, so that an apostrophe in a template's text swallows nothing.
fn end_of_string(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        match bytes.get(at)? {
            b'\\' => at += 1,
            b'\n' => return None,
            b if *b == bytes[start] => return Some(at + 1),
            _ => {}
        }
        at += 1;
    }
}

fn end_of_word(bytes: &[u8], start: usize) -> usize {
    let word = bytes[start..].iter().skip(1).take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$' | 0x80..));
    start + 1 + word.count()
}

fn is_prefix_word(word: &[u8]) -> bool {
    matches!(
        word,
        b"typeof" | b"void" | b"delete" | b"await" | b"new" | b"yield" | b"keyof" | b"readonly" | b"else" | b"do" | b"throw"
    )
}

/// Whether expressions, statements, patterns and types stay within [`LINKS_MAX`] of each other. Looks no deeper than that.
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
        if self.now == LINKS_MAX {
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
