//! The instructions that tell a model how to work. Every text stays under 2 KB, because clients cut
//! longer ones.

use std::fmt::Write as _;

use crate::{base::text::cut, service::view::Namespace};

/// Bytes of a description or of the instructions, at most.
pub(super) const TEXT_BYTES_MAX: usize = 2048;
/// Characters of a namespace's name in the list, at most.
const NAMESPACE_CHARS_MAX: usize = 40;

/// Bytes of the reason why there are no tools, at most.
const WHY_BYTES_MAX: usize = 700;

const INSTRUCTIONS: &str = "\
Airlock runs TypeScript that you write, in an isolated sandbox. The code reaches the outside only \
    through `tools.*`.
Prefer one program that discovers, calls, filters and joins over many single calls: only what \
    you `return` comes back.
1. `execute` with a short program: \
    `const { bestPath, results } = await tools.discover(\"what you need\"); return results;`
2. `execute` the work: call tools by their path, loop, combine, and `return` a small value.
3. An answer with status `running` goes on without you: wait for it with \
    `task_get {taskId, waitMs: 50000}`; `task_cancel` stops it.
A failed program comes back with the line and column of your own source and a hint.";

/// The description of `task_get`.
pub(super) const TASK_GET: &str = "\
Read a task: its status, result, error, logs and usage. `waitMs` (at most 50000) waits for its \
    end. A result larger than 1 MiB is read \
    in pieces: `resultOffset` and `resultLimit` in bytes of its JSON text; go on at \
    `resultPage.nextOffset`. Tasks are kept; the id stays valid.";

/// The description of `task_list`.
pub(super) const TASK_LIST: &str = "\
List tasks, newest first, without code and results. Filter by `status`, `sessionId` or `metadata` \
    (top-level keys with equal values); go on with `cursor`.";

/// The description of `task_cancel`.
pub(super) const TASK_CANCEL: &str = "\
Stop a task: its code ends, its calls are aborted, its approvals cancelled. What tools have done \
    already stays done. A task that has ended is returned as it is.";

const EXECUTE: &str = "\
Run TypeScript in an isolated sandbox and get back what it returns.

Write the body of an async function: `return` gives the value, `await` works at the top level, \
    types are fine. The value comes back as JSON; `console.log` output comes back as `logs`. \
    No imports, no fetch, no files, no process: the outside is `tools.*` only. Do not shadow \
    `tools`.

Work like this:
1. Find: `return await tools.discover(\"open issues\", { limit: 5 });` gives paths, each with a \
    `hint`, the call's TypeScript signature. Also `tools.describe(path)`, \
    `tools.catalog.namespaces()`, `tools.catalog.tools({ namespace })`.
2. Call by the hint: `await tools.<upstream>.<group>.<operation>({ … })`, or \
    `tools[path](args)`. None or one object as argument.
3. Do loops, filters and joins in code, run independent calls with `Promise.all`, and return only \
    what you need. An answer over 8 MiB is a handle for `tools.artifacts.read`, so is an \
    image: return it to see it.

A refused call rejects with `ToolPolicyError`, a failed one with `ToolCallError`; both can be \
    caught. Errors name the line of your source.
Results over 1 MiB are read in pages with task_get. A long task answers `running`: \
    call task_get with its taskId and waitMs.";

/// The description of `execute`, with the connected namespaces as far as they fit.
pub(super) fn execute(namespaces: &[Namespace]) -> String {
    with_namespaces(EXECUTE, namespaces, "")
}

/// The instructions that a client reads once, when it connects, with the namespaces of that moment.
/// Without any they say why.
pub(super) fn instructions(namespaces: &[Namespace], why_none: &str) -> String {
    with_namespaces(INSTRUCTIONS, namespaces, why_none)
}

fn with_namespaces(text: &str, namespaces: &[Namespace], why_none: &str) -> String {
    let mut text = text.to_owned();
    text.push_str("\n\n");
    if namespaces.is_empty() {
        text.push_str("No tools are connected");
        if !why_none.is_empty() {
            text.push_str(": ");
            text.push_str(cut(why_none, WHY_BYTES_MAX));
        }
        text.push('.');
        return text;
    }
    let (unknown, known): (Vec<_>, Vec<_>) =
        namespaces.iter().partition(|namespace| namespace.tools == 0);
    let (failed, awaited): (Vec<_>, Vec<_>) =
        unknown.into_iter().partition(|namespace| namespace.is_down);
    let counted = |namespace: &Namespace| {
        let down = if namespace.is_down { ", down now" } else { "" };
        format!("{} ({} tools{down})", shown(namespace), namespace.tools)
    };
    let parts: [(&str, Vec<String>); 3] = [
        ("Connected: ", known.into_iter().map(counted).collect()),
        (
            "Connecting (`tools.discover` waits for them): ",
            awaited.into_iter().map(shown).collect(),
        ),
        ("Down now: ", failed.into_iter().map(shown).collect()),
    ];
    let mut left = namespaces.len();
    let mut separator = "";
    'parts: for (title, names) in &parts {
        let mut begin = *title;
        for name in names {
            // Leaves room for the note that there are more.
            if text.len() + separator.len() + begin.len() + name.len() > TEXT_BYTES_MAX - 64 {
                break 'parts;
            }
            let _ = write!(text, "{separator}{begin}{name}");
            (separator, begin) = (", ", "");
            left -= 1;
        }
        if !names.is_empty() {
            separator = ". ";
        }
    }
    if left > 0 {
        let _ = write!(text, " and {left} more: see tools.catalog.namespaces()");
    }
    text.push('.');
    text
}

fn shown(namespace: &Namespace) -> String {
    namespace.namespace.chars().take(NAMESPACE_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn many() -> Vec<Namespace> {
        let namespace = |n: usize| Namespace {
            namespace: format!("namespace_number_{n}"),
            tools: n,
            is_down: n % 2 == 1,
        };
        (1..=200).map(namespace).collect()
    }

    #[test]
    fn every_text_stays_under_two_kilobytes() {
        let many = many();
        for text in [
            &instructions(&[], &"why ".repeat(500)),
            &instructions(&many, ""),
            TASK_GET,
            TASK_LIST,
            TASK_CANCEL,
            &execute(&[]),
            &execute(&many),
        ] {
            assert!(text.len() < TEXT_BYTES_MAX, "{} bytes: {text}", text.len());
        }
    }

    #[test]
    fn the_namespaces_are_named_with_their_counts_and_those_that_are_down_marked() {
        let github = Namespace { namespace: "github".to_owned(), tools: 42, is_down: false };
        let linear = Namespace { namespace: "linear".to_owned(), tools: 7, is_down: true };
        for text in
            [execute(&[github.clone(), linear.clone()]), instructions(&[github, linear], "")]
        {
            assert!(
                text.ends_with("Connected: github (42 tools), linear (7 tools, down now)."),
                "{text}"
            );
        }
    }

    #[test]
    fn upstreams_of_which_nothing_is_known_yet_are_named() {
        let count =
            |name: &str, tools, is_down| Namespace { namespace: name.to_owned(), tools, is_down };
        let (files, shop) = (count("files", 0, false), count("shop", 0, true));
        let ends = |namespaces: &[Namespace], end: &str| {
            for text in [execute(namespaces), instructions(namespaces, "")] {
                assert!(text.ends_with(&format!("\n\n{end}")), "{text}");
            }
        };
        ends(
            &[files.clone(), count("notes", 0, false)],
            "Connecting (`tools.discover` waits for them): files, notes.",
        );
        ends(
            &[count("github", 42, false), files, shop],
            "Connected: github (42 tools). Connecting (`tools.discover` waits for them): files. \
            Down now: shop.",
        );
        ends(&[], "No tools are connected.");
    }

    #[test]
    fn namespaces_that_do_not_fit_are_counted() {
        for text in [execute(&many()), instructions(&many(), "")] {
            let listed = text.matches("namespace_number_").count();
            assert!(listed > 3, "{text}");
            assert!(text.contains(&format!("and {} more", 200 - listed)), "{text}");
        }
    }
}
