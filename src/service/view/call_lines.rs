//! Which lines of a program a call takes, for whoever reads it. A guess from brackets and quotes,
//! and no parser: it marks lines and decides nothing.

/// Lines that one call may take.
const LINES_MAX: u32 = 200;

/// The last line of the call that begins in `first`, a line number from 1; none where the line is
/// not there or the call does not end.
pub(super) fn last_line(program: &str, first: u32) -> Option<u32> {
    let skipped = usize::try_from(first.checked_sub(1)?).ok()?;
    let mut scan = Scan::default();
    for (number, line) in (first..).zip(program.lines().skip(skipped)).take(LINES_MAX as usize) {
        // What stands before the call does not count: `for (…) { await tools.…`.
        let begin = match number == first {
            true => line.find("tools").unwrap_or(0),
            false => 0,
        };
        if scan.ends_within(&line[begin..]) {
            return Some(number);
        }
    }
    None
}

/// The place between brackets and quotes.
#[derive(Default)]
struct Scan {
    depth: u32,
    /// A bracket has been opened and closed.
    closed: bool,
    /// The quote of the string that goes on.
    quote: Option<char>,
    in_comment: bool,
}

impl Scan {
    /// Reads a line. Returns true if the call has ended at its end.
    fn ends_within(&mut self, line: &str) -> bool {
        let mut chars = line.chars().peekable();
        while let Some(c) = chars.next() {
            let next = chars.peek().copied();
            match (self.quote, c) {
                (_, '*') if self.in_comment && next == Some('/') => {
                    self.in_comment = false;
                    chars.next();
                }
                _ if self.in_comment => {}
                (Some(_), '\\') => drop(chars.next()),
                (Some(quote), c) if c == quote => self.quote = None,
                (Some(_), _) => {}
                (None, '/') if next == Some('/') => break,
                (None, '/') if next == Some('*') => self.in_comment = true,
                (None, '"' | '\'' | '`') => self.quote = Some(c),
                (None, '(' | '[' | '{') => self.depth += 1,
                (None, ')' | ']' | '}') => {
                    self.depth = self.depth.saturating_sub(1);
                    self.closed |= self.depth == 0;
                }
                _ => {}
            }
        }
        // Only templates go on after a line end.
        self.quote = self.quote.filter(|quote| *quote == '`');
        self.depth == 0 && self.closed && self.quote.is_none() && !self.in_comment
    }
}

#[cfg(test)]
mod tests {
    use super::last_line;

    #[test]
    fn a_call_ends_where_its_brackets_do() {
        for (program, first, last) in [
            ("await tools.a.b({ x: 1 })", 1, Some(1)),
            ("a();\nawait tools.a.b({\n  x: [1,\n  2],\n});\nb()", 2, Some(5)),
            ("for (const x of y) { await tools.a(\n  x)\n}", 1, Some(2)),
            ("tools.a({ x: \")\",\n y: ')}' /* } */, // )\n z: `\n)}`,\n})", 1, Some(5)),
            ("tools.a\n  .b\n  .c({\n})", 1, Some(4)),
            ("t.add({\n  x: 'it\\'s)'\n})", 1, Some(3)),
            ("const t = tools.a\nreturn 1", 1, None),
            ("tools.a({", 1, None),
            ("tools.a()", 2, None),
            ("tools.a()", 0, None),
        ] {
            assert_eq!(last_line(program, first), last, "{program}");
        }
        let long = format!("tools.a({{\n{}}})", "x,\n".repeat(300));
        assert_eq!(last_line(&long, 1), None);
    }
}
