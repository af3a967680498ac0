//! Tool paths: comparison, rendering as a JavaScript expression, and normalisation of near misses.

use std::borrow::Cow;

use crate::base::suggest::fold;

/// Suffixes that carry no information, such as `Api` in `issuesApi`.
const ENDINGS: [&str; 4] = ["api", "tool", "service", "mcp"];
/// Shortest name that is left when an ending falls, in bytes.
const NAME_BYTES_MIN: usize = 2;
/// The path without what callers get wrong in names: also without the number of nouns and endings
/// such as `Api`. What is left may stand for several paths, and then means none of them.
pub(super) fn normalized(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for (at, segment) in fold(path).split('.').enumerate() {
        if at > 0 {
            out.push('.');
        }
        let whole = ENDINGS
            .iter()
            .find_map(|ending| segment.strip_suffix(ending))
            .filter(|rest| rest.len() >= NAME_BYTES_MIN);
        let whole = whole.unwrap_or(segment);
        match whole {
            _ if whole.len() < NAME_BYTES_MIN + 1 || whole.ends_with("ss") => out.push_str(whole),
            _ if whole.ends_with("ies") => {
                out.push_str(&whole[..whole.len() - 3]);
                out.push('y');
            }
            _ => out.push_str(whole.strip_suffix('s').unwrap_or(whole)),
        }
    }
    out
}

/// The path that a piece of code writes: `tools.everything["get-sum"]`, also copied with what a
/// hint has around it, is `everything.get-sum`. What is no such code stays as it is.
pub(super) fn plain(path: &str) -> Cow<'_, str> {
    let path = path.trim();
    let code = path.strip_prefix("await ").map_or(path, str::trim_start);
    let code = match code.strip_prefix("tools") {
        Some(rest) if rest.starts_with(['.', '[']) => {
            let rest = rest.strip_prefix('.').unwrap_or(rest);
            // A hint goes on with the arguments.
            rest.split_once('(').map_or(rest, |(path, _)| path)
        }
        _ => path,
    };
    match code.contains('[') {
        true => members(code).map_or(Cow::Borrowed(code), Cow::Owned),
        false => Cow::Borrowed(code),
    }
}

/// Members behind dots and in brackets, joined by dots; none where it is not these alone.
fn members(mut code: &str) -> Option<String> {
    let mut out = String::with_capacity(code.len());
    loop {
        let (member, rest) = match code.strip_prefix('[') {
            Some(inner) => {
                let quote = inner.chars().next().filter(|c| matches!(c, '"' | '\'' | '`'))?;
                let (member, rest) = inner[1..].split_once(quote)?;
                (member, rest.strip_prefix(']')?)
            }
            None => code.split_at(code.find(['[', '.']).unwrap_or(code.len())),
        };
        // An escape could mean any letter.
        if member.is_empty() || member.contains('\\') {
            return None;
        }
        out.push_str(member);
        code = match rest.strip_prefix('.') {
            Some(next) if !next.starts_with('[') => next,
            None if rest.is_empty() => return Some(out),
            None if rest.starts_with('[') => rest,
            _ => return None,
        };
        out.push('.');
    }
}

/// Returns true if the path is in the namespace: the upstream's name, or the path's first segments.
pub(super) fn is_within(path: &str, namespace: &str) -> bool {
    is_folded_within(&fold(path), &fold(namespace))
}

/// Compares like [`is_within`], for folded paths.
pub(super) fn is_folded_within(path: &str, namespace: &str) -> bool {
    path.strip_prefix(namespace).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Returns true if JavaScript can write it after a dot.
pub(super) fn is_identifier(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_alphabetic() || c == '_' || c == '$')
        && chars.all(|c| c.is_alphanumeric() || c == '_' || c == '$')
}

/// The path as an expression: `tools.everything["get-sum"]`.
pub(super) fn expression(path: &str) -> String {
    let mut out = "tools".to_owned();
    for segment in path.split('.') {
        if is_identifier(segment) {
            out.push('.');
            out.push_str(segment);
        } else {
            out.push('[');
            out.push_str(&serde_json::Value::from(segment).to_string());
            out.push(']');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_written_with_brackets_where_a_dot_will_not_do() {
        assert_eq!(expression("everything.get-sum"), r#"tools.everything["get-sum"]"#);
        assert_eq!(expression("my-up.notes.add"), r#"tools["my-up"].notes.add"#);
        assert_eq!(expression("a.2nd"), r#"tools.a["2nd"]"#);
    }

    #[test]
    fn a_path_that_is_written_as_code_is_understood() {
        for (code, path) in [
            (r#"tools.everything["get-sum"]"#, "everything.get-sum"),
            (r#"everything["get-sum"]"#, "everything.get-sum"),
            ("tools['my-up'].notes['2nd']", "my-up.notes.2nd"),
            ("tools[`a.b`].c", "a.b.c"),
            ("tools.demo.add(args: { a: number }): Promise<number>", "demo.add"),
            ("await tools.demo.add", "demo.add"),
            (" tools.demo.add ", "demo.add"),
            ("toolsmith.add", "toolsmith.add"),
            ("demo.add", "demo.add"),
        ] {
            assert_eq!(plain(code), path, "{code}");
        }
        for no_code in [
            "a[b]",
            "a[\"b\"",
            "a[\"b\"]c",
            "a.[\"b\"]",
            "a[\"\\u0062\"]",
            "a[\"\"]",
            "a..b[\"c\"]",
            "a[\"b\"].",
        ] {
            assert_eq!(plain(no_code), no_code);
        }
    }

    #[test]
    fn what_callers_get_wrong_in_names_heals() {
        for (given, right) in [
            ("GitHub.Issue.create", "github.issues.create"),
            ("github_api.issues.create", "github.issues.create"),
            ("github.issuesApi.list-for-repos", "github.issues.listForRepo"),
            ("shop.category.get", "shop.categories.get"),
            ("githubMcp.issues.create", "github.issues.create"),
        ] {
            assert_eq!(normalized(given), normalized(right), "{given}");
        }
        for (one, other) in
            [("a.api", "a.tool"), ("a.pass", "a.pas"), ("a.s", "a."), ("a.create", "a.delete")]
        {
            assert_ne!(normalized(one), normalized(other), "{one}");
        }
    }

    #[test]
    fn a_namespace_is_whole_segments() {
        assert!(is_within("github.issues.create", "GitHub"));
        assert!(is_within("github.issues.create", "github.issues"));
        assert!(!is_within("github.issues.create", "github.iss"));
        assert!(!is_within("github2.x", "github"));
    }
}
