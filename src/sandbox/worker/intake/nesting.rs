//! Bounds on how deep a program nests, because parsers recurse and a stack that overflows ends the
//! process.
//!
//! The first check is lexical and comes before the parser; it does not understand regular
//! expressions and can be led astray by them, so it never refuses what it should not without a
//! margin of hundreds, and the second check counts the tree itself.

use swc_core::ecma::{
    ast::{Expr, Pat, Stmt, TsType},
    visit::{Visit, VisitWith},
};

/// Open brackets of any kind at one place. Far over what people or models write (under 30), far
/// under the parser's stack.
pub const BRACKETS_MAX: usize = 500;
/// Operators in the statements that are open at one place, that is a chain such as `a + b + c`, or
/// nodes one in another.
pub const LINKS_MAX: usize = 2000;

/// Which bound was passed, and with what.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum TooDeep {
    /// Over [`BRACKETS_MAX`] at this byte offset.
    Brackets(usize),
    /// Over [`LINKS_MAX`] at this byte offset.
    Links(usize),
}

/// Looks at the text alone: the most brackets and operators that are open at one place.
pub(super) fn check_text(code: &str) -> Result<usize, TooDeep> {
    let bytes = code.as_bytes();
    let mut open = Open { levels: vec![Level::default()], links: 0 };
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
                    open.link(here)?;
                }
            }
            b => {
                after_operand = false;
                if *b == b'<' {
                    open.top().angles += 1;
                }
                open.link(here)?;
            }
        }
        if open.levels.len() > BRACKETS_MAX + 1 {
            return Err(TooDeep::Brackets(here));
        }
        peak = peak.max(open.levels.len() + open.links);
    }
    Ok(peak)
}

/// What is open at one place of the text: a level for each bracket, and one for the top.
struct Open {
    levels: Vec<Level>,
    links: usize,
}

/// Operators in the statement or element under way.
#[derive(Default)]
struct Level {
    links: usize,
    /// Those that may open type arguments, so that a comma does not end what they are part of.
    angles: usize,
}

impl Open {
    fn top(&mut self) -> &mut Level {
        self.levels.last_mut().expect("the level of the top is never closed")
    }

    fn link(&mut self, at: usize) -> Result<(), TooDeep> {
        self.top().links += 1;
        self.links += 1;
        if self.links > LINKS_MAX { Err(TooDeep::Links(at)) } else { Ok(()) }
    }

    fn end_element(&mut self) {
        let top = self.top();
        let ended = top.links - top.angles;
        top.links = top.angles;
        self.links -= ended;
    }

    fn end_statement(&mut self) {
        self.links -= std::mem::take(self.top()).links;
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

/// Finds the ends of strings, in one pass over any text.
#[derive(Default)]
struct Strings {
    /// No `"` closes before this offset, then no `'`.
    open_until: [usize; 2],
}

impl Strings {
    /// One past the closing quote; none when the line ends before, so that an apostrophe in a
    /// template's text swallows nothing.
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

/// Whether expressions, statements, patterns and types stay within [`LINKS_MAX`] of each other.
/// Looks no deeper than that.
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
