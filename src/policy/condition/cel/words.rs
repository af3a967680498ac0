//! The interpreter's messages in words that the owner of a policy knows, without its own terms.

use cel::{OverloadError, common::ast::operators};

/// Longest piece of an expression that a message repeats, in bytes.
const SHOWN_BYTES: usize = 60;
/// Quotes of word processors, which no expression has.
const TYPOGRAPHIC: [char; 6] = ['“', '”', '„', '‘', '’', '‚'];

/// What is wrong with the syntax of an expression.
pub(super) fn syntax(message: &str, source: &str) -> String {
    let message = message.trim();
    let message = message.strip_prefix("Syntax error: ").unwrap_or(message);
    if source.contains(TYPOGRAPHIC) {
        return "it has typographic quotes; write \" or '".to_owned();
    }
    if let Some((found, wanted)) =
        message.strip_prefix("mismatched input ").and_then(|rest| rest.rsplit_once(" expecting "))
    {
        return match (quoted(found), quoted(wanted)) {
            (None, Some(wanted)) => format!("it ends where `{wanted}` is expected"),
            (Some(found), None) => format!("it should end before `{found}`"),
            (Some(found), Some(wanted)) => format!("`{found}` stands where `{wanted}` is expected"),
            (None, None) => "it ends too early".to_owned(),
        };
    }
    if message.starts_with("unable to unescape") {
        return "a string has a backslash that begins no escape".to_owned();
    }
    if let Some(name) = message.strip_prefix("reserved identifier: ") {
        return format!("`{}` is a reserved word", shown(name));
    }
    if message.starts_with("error recovery attempt limit") {
        return "it has too many mistakes".to_owned();
    }
    if message.starts_with("expression recursion limit") {
        return "it is nested too deep".to_owned();
    }
    if message.starts_with("expression count exceeds") {
        return "it is too large".to_owned();
    }
    let known = ["expected ", "unexpected ", "unterminated ", "unsupported syntax "];
    if known.iter().any(|begin| message.starts_with(begin)) {
        return shown(message).replace('\'', "`");
    }
    "it is no expression".to_owned()
}

/// A piece of the expression; none for its end.
fn quoted(piece: &str) -> Option<&str> {
    (piece != "<EOF>").then(|| shown(piece.trim_matches('\'')))
}

fn shown(text: &str) -> &str {
    &text[..text.floor_char_boundary(SHOWN_BYTES)]
}

/// What is wrong with the types of a function's or an operator's values.
pub(super) fn types(error: &OverloadError) -> String {
    let types: Vec<&str> = error.argument_types().iter().map(|name| kind(name)).collect();
    let function = operator(error.function());
    match (error.is_member_function(), types.as_slice()) {
        (true, [of]) => format!("`{function}` is no function of {of}"),
        (true, [of, rest @ ..]) => {
            format!("`{function}` of {of} does not take {}", rest.join(" and "))
        }
        (_, []) => format!("`{function}` needs a value"),
        (_, all) => format!("`{function}` does not take {}", all.join(" and ")),
    }
}

/// What is wrong with a value of one type where another is needed.
pub(super) fn unexpected(got: &str, want: &str) -> String {
    match want {
        "iterable" => format!(
            "`exists`, `all`, `map` and `filter` go through a list, or the keys of an object, and \
            not through {}",
            kind(got)
        ),
        want => format!("there is {} where {} is needed", kind(got), kind(want)),
    }
}

/// A type, as the owner of a policy calls it.
fn kind(name: &str) -> &str {
    match name {
        "string" => "a string",
        "int" | "uint" | "double" => "a number",
        "bool" => "a boolean",
        "list" => "a list",
        "map" => "an object",
        "null" | "null_type" => "null",
        "bytes" => "bytes",
        _ => "another value",
    }
}

/// An operator as it is written; a function by its name.
fn operator(name: &str) -> &str {
    match name {
        operators::INDEX => "[]",
        operators::CONDITIONAL => "?:",
        operators::IN => "in",
        name => name.trim_matches('_'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_about_syntax_has_no_terms_of_the_parser() {
        for (message, words) in [
            ("Syntax error: mismatched input 'b' expecting <EOF>", "it should end before `b`"),
            ("Syntax error: mismatched input <EOF> expecting ')'", "it ends where `)` is expected"),
            (
                "Syntax error: mismatched input 'x' expecting ')'",
                "`x` stands where `)` is expected",
            ),
            ("expected ']'", "expected `]`"),
            ("unexpected single '&', expected '&&'", "unexpected single `&`, expected `&&`"),
            ("unable to unescape string", "a string has a backslash that begins no escape"),
            ("reserved identifier: package", "`package` is a reserved word"),
            ("error recovery attempt limit exceeded: 30", "it has too many mistakes"),
            ("something new", "it is no expression"),
        ] {
            assert_eq!(syntax(message, "a b"), words);
        }
        let quotes = syntax("unexpected character", "args.x == “a”");
        assert_eq!(quotes, "it has typographic quotes; write \" or '");
    }

    #[test]
    fn operators_and_types_have_their_usual_names() {
        for (name, written) in [("_+_", "+"), ("_[_]", "[]"), ("!_", "!"), ("size", "size")] {
            assert_eq!(operator(name), written);
        }
        assert_eq!(unexpected("bool", "string"), "there is a boolean where a string is needed");
        assert!(unexpected("string", "iterable").ends_with("not through a string"));
    }
}
