//! Paths of tools: told apart, written as code, healed when they are nearly right.

use std::sync::Arc;

use super::tool::Tool;

/// Endings that say of a name only what every name here is.
const ENDINGS: [&str; 4] = ["api", "tool", "service", "mcp"];
/// Shortest name that is left when an ending falls, in bytes.
const NAME_BYTES_MIN: usize = 2;
/// Names that are suggested at most.
const NEAREST_MAX: usize = 3;
/// Similarity from which one name is taken for a slip of another, 0 to 1.
const SLIP_MIN: f64 = 0.75;
/// Similarity below which a name is no suggestion, 0 to 1.
const NEAREST_MIN: f64 = 0.55;
/// How much less like it than the likest a name may be and still be suggested, 0 to 1.
const NEAREST_SPAN: f64 = 0.06;

/// The path without case, `_` and `-`: `getSum`, `get_sum` and `get-sum` are one.
pub(super) fn fold(path: &str) -> String {
    path.chars().filter(|c| !matches!(c, '_' | '-')).flat_map(char::to_lowercase).collect()
}

/// The path without what callers get wrong in names: also without the number of nouns and endings such as `Api`. What is left may
/// stand for several paths, and then means none of them.
pub(super) fn healed(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for (at, segment) in fold(path).split('.').enumerate() {
        if at > 0 {
            out.push('.');
        }
        let whole = ENDINGS.iter().find_map(|ending| segment.strip_suffix(ending)).filter(|rest| rest.len() >= NAME_BYTES_MIN);
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

/// Whether the path is in the namespace: the upstream's name, or the path's first segments.
pub(super) fn is_within(path: &str, namespace: &str) -> bool {
    let (path, namespace) = (fold(path), fold(namespace));
    path.strip_prefix(&namespace).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Whether JavaScript can write it after a dot.
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

/// How much two names are alike, 0 to 1, if so much that one is taken for a slip of the other.
pub(super) fn slip(given: &str, wanted: &str) -> Option<f64> {
    Some(strsim::jaro_winkler(&fold(given), &fold(wanted))).filter(|likeness| *likeness >= SLIP_MIN)
}

/// Whether one name is taken for a slip of the other.
pub(super) fn is_slip(given: &str, wanted: &str) -> bool {
    slip(given, wanted).is_some()
}

/// The paths most like a wrong one, the likest first; every tool comes with its folded path.
pub(super) fn nearest<'a>(path: &str, tools: impl Iterator<Item = (&'a Arc<Tool>, &'a str)>) -> Vec<String> {
    let wrong = fold(path);
    let wrong_leaf = wrong.rsplit('.').next().unwrap_or_default().to_owned();
    let mut scored: Vec<(f64, &str)> = tools
        .filter_map(|(tool, right)| {
            let leaf = right.rsplit('.').next().unwrap_or_default();
            // A right name in a wrong place is as good as a nearly right path.
            let score = strsim::jaro_winkler(&wrong, right).max(strsim::jaro_winkler(&wrong_leaf, leaf) * 0.95);
            (score >= NEAREST_MIN).then_some((score, tool.path.as_str()))
        })
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    let best = scored.first().map_or(0.0, |(score, _)| *score);
    scored
        .into_iter()
        .take_while(|(score, _)| *score >= best - NEAREST_SPAN)
        .take(NEAREST_MAX)
        .map(|(_, path)| path.to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::tool::OfferedTool;

    #[test]
    fn a_path_is_written_with_brackets_where_a_dot_will_not_do() {
        assert_eq!(expression("everything.get-sum"), r#"tools.everything["get-sum"]"#);
        assert_eq!(expression("my-up.notes.add"), r#"tools["my-up"].notes.add"#);
        assert_eq!(expression("a.2nd"), r#"tools.a["2nd"]"#);
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
            assert_eq!(healed(given), healed(right), "{given}");
        }
        for (one, other) in [("a.api", "a.tool"), ("a.pass", "a.pas"), ("a.s", "a."), ("a.create", "a.delete")] {
            assert_ne!(healed(one), healed(other), "{one}");
        }
    }

    fn suggested(wrong: &str, known: &[&str]) -> Vec<String> {
        let tools: Vec<(Arc<Tool>, String)> = known
            .iter()
            .map(|path| {
                let (upstream, name) = path.split_once('.').unwrap();
                let tool = Tool::admit(&upstream.into(), OfferedTool { name: name.into(), ..OfferedTool::default() }).unwrap();
                (Arc::new(tool), fold(path))
            })
            .collect();
        nearest(wrong, tools.iter().map(|(tool, folded)| (tool, folded.as_str())))
    }

    #[test]
    fn at_most_three_names_are_suggested_and_only_near_ones() {
        let known = ["git.issues.create", "git.issues.list", "git.repos.get"];
        assert_eq!(suggested("git.issues.creat", &known), ["git.issues.create"]);
        assert_eq!(suggested("git.pulls.merge", &["shop.orders.add"]), Vec::<String>::new());
        let alike = ["up.get_a", "up.get_b", "up.get_c", "up.get_d", "up.get_e"];
        assert_eq!(suggested("up.get_x", &alike), ["up.get_a", "up.get_b", "up.get_c"]);
    }

    #[test]
    fn a_namespace_is_whole_segments() {
        assert!(is_within("github.issues.create", "GitHub"));
        assert!(is_within("github.issues.create", "github.issues"));
        assert!(!is_within("github.issues.create", "github.iss"));
        assert!(!is_within("github2.x", "github"));
    }
}
