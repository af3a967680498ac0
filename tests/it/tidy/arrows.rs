//! Which file imports which: no circles within a part, and no arrow up between the floors of the
//! catalog and of policy.

use std::collections::{BTreeMap, BTreeSet};

use super::{Source, is_test, none, part, sources};

/// The floors of a part, lowest first: a file may import from its own floor and from those below.
/// Files of the root folder are named with their extension.
type Floors = &'static [&'static [&'static str]];

const CATALOG_FLOORS: Floors = &[
    &["path.rs", "net"],
    &["schema"],
    &["tool"],
    &["search", "arguments"],
    &["registry", "redact"],
    &["credential"],
    &["upstream"],
    &["http"],
    &["mcp", "openapi", "graphql"],
    &["config.rs", "detect.rs", "detect", "document.rs", "login.rs", "missing_secrets.rs"],
    &["discovery", "mod.rs"],
];

const POLICY_FLOORS: Floors = &[
    &["model"],
    &["args.rs", "classify", "file"],
    &["condition"],
    &["compiled.rs"],
    &["compile"],
    &["loaded.rs"],
    &["view.rs", "decide"],
    &["policy_tests.rs", "lint", "import", "fuzz.rs", "tests"],
    &["mod.rs"],
];

/// Files of a part that stand in circles, by their number. A number may only fall.
const IN_CIRCLES: &[(&str, usize)] = &[];

/// Names that were given up for the field's words, each in the part that had it.
const RETIRED: &[(&str, &[&str])] = &[
    (
        "catalog",
        &[
            "Lane",
            "Shelf",
            "Sight",
            "Sights",
            "Asker",
            "Fuse",
            "Reach",
            "Surroundings",
            "AnswerBounds",
            "Guard",
            "Identity",
            "Proof",
            "Ears",
            "ProgressDesk",
            "KeptTools",
            "KeptTool",
            "Kept",
            "View",
            "Way",
            "HostFunctions",
            "ToldError",
            "reach",
            "surroundings",
            "epitaph",
            "last_words",
            "ears",
            "verdict",
            "told",
            "heard",
            "lasting",
        ],
    ),
    ("base", &["InstanceNote", "Look", "spelled", "give_back"]),
    ("config", &["Reach", "refuse", "own_reach", "is_written"]),
    (
        "sandbox",
        &[
            "Drive", "Turn", "Doing", "Hold", "Gasp", "Seat", "Place", "Places", "Answer", "Told",
            "Ending", "Look", "Woken",
        ],
    ),
    (
        "policy",
        &[
            "Hold",
            "Scribe",
            "scribe",
            "Catalogue",
            "Remember",
            "NoAmount",
            "NoPattern",
            "NoAnswer",
            "Deciding",
            "Given",
            "Said",
            "Spoken",
            "Structured",
            "Carried",
            "Reliance",
            "told",
        ],
    ),
    ("artifacts", &["Failed", "Looked", "Unkept", "Place", "told", "asked"]),
    (
        "task",
        &[
            "Passage",
            "Cleared",
            "Desk",
            "Shares",
            "Turns",
            "Spending",
            "Circumstances",
            "LivePolicy",
            "HostParts",
            "Unfinished",
            "Parked",
            "Unkept",
            "spending",
            "standing",
            "use_word",
            "told",
            "noted",
            "unpark",
            "become_status",
        ],
    ),
    (
        "service",
        &[
            "Word",
            "Patience",
            "TaskAnswer",
            "TaskListAnswer",
            "ApprovalAnswer",
            "PolicyQuestion",
            "carry",
            "forsaken",
            "asks",
        ],
    ),
    ("transport", &["Port", "SignIn", "Standing", "Word", "Patience", "door", "gate", "apologise"]),
    (
        "cli",
        &[
            "Application",
            "Tell",
            "Side",
            "RuntimeStanding",
            "Spoken",
            "Heard",
            "WordArgs",
            "tell",
            "told",
        ],
    ),
    (
        "app",
        &[
            "Parts",
            "Port",
            "Tell",
            "come_back",
            "own_or_find",
            "InstanceNote",
            "reached",
            "standings",
        ],
    ),
];

type Arrows = BTreeMap<String, BTreeSet<String>>;

/// A file's code without comments, without its tests, and, where it is the face of a part, without
/// what it only passes on.
fn code(source: &Source) -> String {
    let text = source.text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let is_face = source.path == format!("src/{}/mod.rs", part(&source.path))
        || source.path == format!("src/{}.rs", part(&source.path));
    let mut passes_on = false;
    let mut code = String::new();
    for line in text.lines() {
        passes_on |= is_face && line.starts_with("pub use ");
        if !passes_on && !line.trim_start().starts_with("//") {
            code.push_str(line);
            code.push('\n');
        }
        passes_on &= !line.ends_with(';');
    }
    // Who may see a thing is no import.
    code.replace("pub(in crate::", "pub(in ")
}

/// Every path of a code, with those in braces spelled out: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn paths(code: &str) -> Vec<Vec<String>> {
    let mut found = vec![];
    let mut rest = code;
    let mut before = ' ';
    while let Some(first) = rest.chars().next() {
        let begins = (first.is_alphabetic() || first == '_')
            && !(before.is_alphanumeric() || matches!(before, '_' | ':' | '.' | '\'' | '"'));
        if begins {
            rest = tree(rest, &mut vec![], &mut found);
            before = 'x';
        } else {
            before = first;
            rest = &rest[first.len_utf8()..];
        }
    }
    found
}

/// Takes a path, or a tree of paths, off the front of `text`.
fn tree<'t>(text: &'t str, prefix: &mut Vec<String>, found: &mut Vec<Vec<String>>) -> &'t str {
    let depth = prefix.len();
    let mut rest = text;
    loop {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        prefix.push(rest[..end].to_owned());
        rest = &rest[end..];
        match rest.strip_prefix("::") {
            Some(next) if next.starts_with(|c: char| c.is_alphabetic() || c == '_') => rest = next,
            Some(next) if next.starts_with('{') => {
                rest = group(&next[1..], prefix, found);
                break;
            }
            _ => {
                found.push(prefix.clone());
                break;
            }
        }
    }
    prefix.truncate(depth);
    rest
}

/// Takes what stands in braces, up to the closing one.
fn group<'t>(text: &'t str, prefix: &mut Vec<String>, found: &mut Vec<Vec<String>>) -> &'t str {
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        match first {
            '}' => return &rest[1..],
            c if c.is_alphabetic() || c == '_' => {
                rest = tree(rest, prefix, found);
                // Another name for it is no path.
                if let Some(alias) = rest.strip_prefix(" as ") {
                    rest = alias.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_');
                }
            }
            _ => rest = &rest[first.len_utf8()..],
        }
    }
    rest
}

/// The module that a file is, from the root of the crate on.
fn module(path: &str) -> Vec<String> {
    let path = path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    path.split('/').map(str::to_owned).collect()
}

/// The arrows between the files of each part.
fn arrows() -> BTreeMap<String, Arrows> {
    let all: Vec<Source> =
        sources("src", ".rs").into_iter().filter(|source| !is_test(&source.path)).collect();
    let files: BTreeMap<Vec<String>, &str> =
        all.iter().map(|source| (module(&source.path), source.path.as_str())).collect();
    let mut arrows: BTreeMap<String, Arrows> = BTreeMap::new();
    for source in &all {
        let (own, code) = (module(&source.path), code(source));
        let to = arrows.entry(part(&source.path).to_owned()).or_default();
        let to = to.entry(source.path.clone()).or_default();
        for path in paths(&code) {
            let Some(path) = absolute(&path, &own, &files) else { continue };
            let file = (1..=path.len()).rev().find_map(|length| files.get(&path[..length]));
            let is_of_part = |file: &&&str| part(file) == part(&source.path);
            to.extend(file.filter(is_of_part).map(|file| (*file).to_owned()));
        }
        to.remove(&source.path);
    }
    arrows
}

/// The path from the root of the crate on; none where it leads out of the crate, or is none.
fn absolute(
    path: &[String],
    own: &[String],
    files: &BTreeMap<Vec<String>, &str>,
) -> Option<Vec<String>> {
    let ups = path.iter().take_while(|segment| *segment == "super").count();
    match path.first()?.as_str() {
        "crate" => Some(path[1..].to_vec()),
        "self" => Some([own, &path[1..]].concat()),
        // Alone it says who may see a thing.
        "super" if path.len() > ups => {
            Some([&own[..own.len().checked_sub(ups)?], &path[ups..]].concat())
        }
        "super" => None,
        first => {
            let child = [own, &[first.to_owned()]].concat();
            (path.len() > 1 && files.contains_key(&child)).then(|| [own, path].concat())
        }
    }
}

/// The files from which one comes back to oneself.
fn in_circles(arrows: &Arrows) -> Vec<&str> {
    let reaches_itself = |file: &str| {
        let mut seen = BTreeSet::new();
        let mut open: Vec<&str> = vec![file];
        while let Some(next) = open.pop() {
            for to in arrows.get(next).into_iter().flatten() {
                if to == file {
                    return true;
                }
                if seen.insert(to.as_str()) {
                    open.push(to);
                }
            }
        }
        false
    };
    arrows.keys().map(String::as_str).filter(|file| reaches_itself(file)).collect()
}

#[test]
fn paths_are_found_in_trees_and_in_code() {
    let code = "use crate::{a::{self, B}, c};\nfn f() { super::d::e(x.y::<Z>()) }";
    let joined: Vec<String> = paths(code).into_iter().map(|path| path.join("::")).collect();
    for path in ["crate::a::self", "crate::a::B", "crate::c", "super::d::e"] {
        assert!(joined.iter().any(|found| found == path), "{path}: {joined:?}");
    }
}

#[test]
fn files_of_a_part_do_not_import_each_other_in_circles() {
    let known = IN_CIRCLES.iter().copied().collect::<BTreeMap<_, _>>();
    let mut wrong = vec![];
    for (part, arrows) in &arrows() {
        let found = in_circles(arrows);
        let allowed = known.get(part.as_str()).copied().unwrap_or(0);
        if found.len() != allowed {
            wrong.push(format!("{part}: {} instead of {allowed}: {found:?}", found.len()));
        }
    }
    none(wrong, "files stand in circles; fewer than were known is good, then say so here");
}

#[test]
fn no_floor_imports_from_one_above_it() {
    let mut wrong = vec![];
    for (part, floors) in [("catalog", CATALOG_FLOORS), ("policy", POLICY_FLOORS)] {
        wrong.extend(arrows_up(part, floors));
    }
    none(wrong, "arrows point up");
}

fn arrows_up(part: &str, floors: Floors) -> Vec<String> {
    let floor = |path: &str| {
        let rest = path.strip_prefix(&format!("src/{part}/"))?;
        let name = rest.split('/').next()?;
        floors.iter().position(|floor| floor.contains(&name))
    };
    let mut wrong = vec![];
    for (from, all) in &arrows()[part] {
        let Some(own) = floor(from) else {
            wrong.push(format!("{from} has no floor"));
            continue;
        };
        for to in all.iter().filter(|to| floor(to).is_some_and(|other| other > own)) {
            wrong.push(format!("{from} imports {to}, which stands above it"));
        }
    }
    wrong
}

#[test]
fn no_name_comes_back_that_was_given_up() {
    let mut wrong = vec![];
    for (retired_in, words) in RETIRED {
        let sources = sources("src", ".rs");
        let its = |source: &&Source| part(&source.path) == *retired_in && !is_test(&source.path);
        for source in sources.iter().filter(its) {
            let code = code(source);
            let names: BTreeSet<&str> =
                code.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
            let found = words.iter().filter(|word| names.contains(**word));
            wrong.extend(found.map(|word| format!("{}: `{word}`", source.path)));
        }
    }
    none(wrong, "these names were given up for the words of CONTRIBUTING.md:");
}

#[test]
fn every_word_of_the_glossary_is_in_use() {
    let page = std::fs::read_to_string(super::root().join("CONTRIBUTING.md")).unwrap();
    let words: Vec<&str> = page
        .split("## The words")
        .nth(1)
        .and_then(|rest| rest.split("\n## ").next())
        .into_iter()
        .flat_map(str::lines)
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    assert_eq!(words.len(), 25, "{words:?}");
    let code: String = sources("src", ".rs").into_iter().map(|source| source.text).collect();
    let names: BTreeSet<&str> = code.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    none(
        words
            .iter()
            .filter(|word| !names.contains(**word))
            .map(|word| (*word).to_owned())
            .collect(),
        "these words of CONTRIBUTING.md are no names in the code:",
    );
}
