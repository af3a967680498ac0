//! The repository tests itself: the shape that ARCHITECTURE.md promises, and the sizes that keep it
//! readable.

mod arrows;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use airlock::model::ErrorCode;

/// Lines of a file at the most.
const FILE_LINES_MAX: usize = 600;
/// Columns of a line at the most, as in rustfmt.toml.
const LINE_COLUMNS_MAX: usize = 100;
/// Lines of a function at the most, from its signature to its closing brace.
const FUNCTION_LINES_MAX: usize = 70;

/// Longer files, since lines are 100 columns wide. This list may only shrink.
const LONG_FILES: &[&str] = &[];
/// Longer functions, as `file: name`. This list may only shrink.
const LONG_FUNCTIONS: &[&str] = &[];

/// Who stands on whom: a module may import those of lower rank only, so nothing points up and
/// islands do not know each other.
const RANKS: [(&str, u8); 15] = [
    ("model", 0),
    ("base", 0),
    ("sandbox", 1),
    ("policy", 1),
    ("catalog", 1),
    ("store", 1),
    ("config", 1),
    ("demo_upstream", 1),
    ("artifacts", 2),
    ("task", 3),
    ("service", 4),
    ("transport", 5),
    ("app", 6),
    ("cli", 7),
    ("main", 8),
];

/// Words that say nothing; a name made with one of them hides what the thing is.
const REFUSED_WORDS: [&str; 7] =
    ["Manager", "Helper", "Utils", "Common", "Info", "Data", "Handler"];

/// Where the environment is read although it is not `config`, and why.
const READERS_OF_THE_ENVIRONMENT: [(&str, &str); 2] = [
    ("src/catalog/", "hands the variables that `env_pass` names on to the programs of upstreams"),
    ("src/sandbox/worker/", "another process, whose environment is empty"),
];

struct Source {
    path: String,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &str, ending: &str) -> Vec<Source> {
    let mut found = vec![];
    let mut open = vec![root().join(folder)];
    while let Some(folder) = open.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && !matches!(name.as_str(), "node_modules" | "target" | ".venv") {
                open.push(path);
            } else if name.ends_with(ending) {
                let text = fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
                found.push(Source { path, text });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn rust() -> Vec<Source> {
    let all: Vec<_> =
        ["src", "tests", "benches"].into_iter().flat_map(|folder| sources(folder, ".rs")).collect();
    assert!(all.len() > 10, "the sources are found");
    all
}

fn none(wrong: Vec<String>, rule: &str) {
    assert!(wrong.is_empty(), "{rule}\n  {}", wrong.join("\n  "));
}

/// Whether a file holds the tests of a pure part.
fn is_test(path: &str) -> bool {
    path.starts_with("src/") && path.ends_with("tests.rs")
}

/// The part of the package a file belongs to: `src/cli/run.rs` to `cli`.
fn part(path: &str) -> &str {
    let rest = path.trim_start_matches("src/");
    rest.split('/').next().unwrap_or(rest).trim_end_matches(".rs")
}

/// The modules that a text names behind `crate::`, alone or in braces.
fn imports(text: &str) -> BTreeSet<String> {
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n");
    let mut names = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let begins_a_path =
            !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            _ if !begins_a_path => {}
            None => drop(names.insert(word(rest))),
            Some(group) => {
                let mut depth = 0;
                let mut expects_a_name = true;
                for (at, c) in group.char_indices() {
                    match c {
                        '}' if depth == 0 => break,
                        '{' => depth += 1,
                        '}' => depth -= 1,
                        ',' if depth == 0 => expects_a_name = true,
                        _ if expects_a_name && depth == 0 && (c.is_alphabetic() || c == '_') => {
                            expects_a_name = false;
                            names.insert(word(&group[at..]));
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    names
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

#[test]
fn imports_are_found_alone_and_in_braces() {
    let text = "use crate::{\n    base::instance::Instance,\n    config::{Config, Flag},\n};\nuse \
        crate::model::Task;\nlet x = crate::store::A;\n// crate::no\n";
    assert_eq!(imports(text).into_iter().collect::<Vec<_>>(), ["base", "config", "model", "store"]);
}

#[test]
fn an_arrow_only_points_down() {
    let ranks = BTreeMap::from(RANKS);
    let mut wrong = vec![];
    for source in sources("src", ".rs").iter().filter(|source| source.path != "src/lib.rs") {
        let own = part(&source.path);
        let Some(rank) = ranks.get(own) else {
            wrong.push(format!("{}: `{own}` has no place in the table of layers", source.path));
            continue;
        };
        let up = imports(&source.text).into_iter().filter(|name| {
            name != own && ranks.get(name.as_str()).is_some_and(|other| other >= rank)
        });
        wrong.extend(up.map(|name| format!("{}: `{own}` must not know `{name}`", source.path)));
    }
    none(wrong, "a module knows only what stands below it:");
}

#[test]
fn only_the_store_knows_sql_and_only_the_worker_knows_the_engine() {
    let owners = [
        ("sqlx::", "src/store/"),
        ("deno_core", "src/sandbox/worker/"),
        ("axum::", "src/transport/"),
        ("tantivy::", "src/catalog/"),
    ];
    let mut wrong = vec![];
    for source in sources("src", ".rs") {
        let code = source.text.lines().filter(|line| !line.trim_start().starts_with("//"));
        for line in code {
            let strays = owners
                .iter()
                .filter(|(word, owner)| line.contains(word) && !source.path.starts_with(owner));
            wrong.extend(
                strays.map(|(word, owner)| format!("{}: `{word}` belongs to {owner}", source.path)),
            );
        }
    }
    none(wrong, "each outer library has one owner:");
}

#[test]
fn only_config_reads_the_environment() {
    let mut wrong = vec![];
    for source in sources("src", ".rs") {
        let excepted =
            READERS_OF_THE_ENVIRONMENT.iter().any(|(place, _)| source.path.starts_with(place));
        let reads = ["env::var(", "env::vars(", "env::var_os(", "env::vars_os("]
            .iter()
            .any(|call| source.text.contains(call));
        if reads && !excepted && part(&source.path) != "config" && !is_test(&source.path) {
            wrong.push(source.path);
        }
    }
    none(wrong, "only `config` reads the environment:");
}

#[test]
fn a_file_can_be_read_in_one_sitting() {
    let files = rust().into_iter().chain(sources("runtime-js", ".ts"));
    let long = files.filter(|source| {
        source.text.lines().count() > FILE_LINES_MAX && !LONG_FILES.contains(&source.path.as_str())
    });
    none(
        long.map(|source| source.path).collect(),
        &format!("files have at most {FILE_LINES_MAX} lines:"),
    );
    let still_long = |file: &str| {
        fs::read_to_string(root().join(file))
            .is_ok_and(|text| text.lines().count() > FILE_LINES_MAX)
    };
    none(
        LONG_FILES.iter().filter(|file| !still_long(file)).map(|file| file.to_string()).collect(),
        "these are no exceptions any more:",
    );
}

/// The formatter leaves alone what stands in macros and texts.
#[test]
fn a_line_fits_its_columns() {
    let mut wide = vec![];
    for source in rust().into_iter().chain(sources("runtime-js", "s")) {
        // The tests of a part hold data and snapshots, which are not broken into lines.
        let is_test = source.path.ends_with("tests.rs") || source.path.contains("/tests/");
        if !source.path.starts_with("tests/") && !is_test {
            let lines = source.text.lines().enumerate();
            let too_wide = lines.filter(|(_, line)| line.chars().count() > LINE_COLUMNS_MAX);
            wide.extend(too_wide.map(|(number, _)| format!("{}:{}", source.path, number + 1)));
        }
    }
    none(wide, &format!("lines have at most {LINE_COLUMNS_MAX} columns:"));
}

#[test]
fn a_function_fits_a_screen() {
    let (mut wrong, mut excepted) = (vec![], vec![]);
    for source in rust() {
        let lines: Vec<_> = source.text.lines().collect();
        for (start, line) in lines.iter().enumerate() {
            let trimmed = line.trim_start();
            let Some(name) = function(trimmed) else { continue };
            let indent = &line[..line.len() - trimmed.len()];
            // The formatter puts the closing brace of a function under its signature.
            let end = lines[start..].iter().position(|line| *line == format!("{indent}}}"));
            let declared_only = lines[start..]
                .iter()
                .take_while(|line| !line.ends_with('{'))
                .any(|line| line.ends_with(';'));
            let length = end.map_or(0, |end| end + 1);
            let key = format!("{}: {name}", source.path);
            match length > FUNCTION_LINES_MAX && !declared_only {
                true if LONG_FUNCTIONS.contains(&key.as_str()) => excepted.push(key),
                true => wrong.push(format!("{key} has {length} lines")),
                false => {}
            }
        }
    }
    wrong.extend(
        LONG_FUNCTIONS
            .iter()
            .filter(|known| !excepted.iter().any(|key| key == *known))
            .map(|known| format!("{known} is no exception any more")),
    );
    none(wrong, &format!("functions have at most {FUNCTION_LINES_MAX} lines:"));
}

fn function(line: &str) -> Option<String> {
    let words = line.split("fn ").next()?;
    let prefix_only = words.split_whitespace().all(|word| {
        matches!(
            word,
            "pub" | "async" | "const" | "unsafe" | "extern" | "\"C\"" | "pub(super)" | "pub(crate)"
        ) || word.starts_with("pub(in")
    });
    (prefix_only && line.contains("fn ")).then(|| word(line[words.len() + 3..].trim_start()))
}

#[test]
fn every_module_says_first_what_it_is_for() {
    let silent = rust()
        .into_iter()
        .filter(|source| !source.text.starts_with("//! ") && !is_test(&source.path));
    none(silent.map(|source| source.path).collect(), "a module opens with `//!`:");
}

#[test]
fn no_file_is_forgotten() {
    let mut wrong = vec![];
    for source in rust() {
        let path = Path::new(&source.path);
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        let root =
            matches!(source.path.as_str(), "src/main.rs" | "src/lib.rs" | "tests/it/main.rs")
                || source.path.starts_with("benches/");
        if root {
            continue;
        }
        let (name, folder) = match stem.as_str() {
            "mod" => (
                path.parent().unwrap().file_name().unwrap().to_string_lossy().into_owned(),
                path.parent().unwrap().parent().unwrap(),
            ),
            _ => (stem, path.parent().unwrap()),
        };
        let parents = [
            folder.join("mod.rs"),
            folder.join("lib.rs"),
            folder.join("main.rs"),
            folder.with_extension("rs"),
        ];
        let named = parents
            .iter()
            .filter_map(|parent| fs::read_to_string(self::root().join(parent)).ok())
            .any(|text| {
                text.lines()
                    .map(str::trim)
                    .any(|line| line.ends_with(&format!("mod {name};")) && !line.starts_with("//"))
            });
        if !named {
            wrong.push(source.path);
        }
    }
    none(wrong, "every file is a module of its parent:");
}

#[test]
fn names_say_what_the_thing_is() {
    let mut wrong = vec![];
    for source in rust() {
        for line in source.text.lines().map(str::trim_start) {
            let line = line
                .trim_start_matches("pub ")
                .trim_start_matches("pub(crate) ")
                .trim_start_matches("pub(super) ");
            let named = ["struct ", "enum ", "trait ", "type "]
                .iter()
                .find_map(|keyword| line.strip_prefix(keyword))
                .map(word);
            let Some(name) = named else { continue };
            let refused = REFUSED_WORDS
                .iter()
                .filter(|word| !(**word == "Handler" && part(&source.path) == "transport"));
            wrong.extend(
                refused
                    .filter(|word| name.ends_with(*word))
                    .map(|_| format!("{}: {name}", source.path)),
            );
        }
    }
    none(wrong, &format!("names do without {}:", REFUSED_WORDS.join(", ")));
}

/// What stands in backticks in a text, outside of fenced blocks.
fn quoted(text: &str) -> Vec<String> {
    let mut prose = String::new();
    let mut fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            prose.push_str(line);
            prose.push('\n');
        }
    }
    prose.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn what_the_architecture_page_names_exists() {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let code: String = rust().into_iter().map(|source| source.text).collect();
    let mut wrong = vec![];
    for name in quoted(&page) {
        let is_type = name.chars().next().is_some_and(char::is_uppercase)
            && name.chars().all(char::is_alphanumeric);
        let plain = name.split("::").last().unwrap_or(&name);
        let known = if name.contains('/') && !name.starts_with('/') && !name.contains([' ', '*']) {
            root().join(name.trim_end_matches('/')).exists()
        } else if is_type || name.contains("::") {
            ["struct", "enum", "trait", "type", "fn", "mod", "const"].iter().any(|kind| {
                code.match_indices(&format!("{kind} {plain}"))
                    .any(|(at, found)| word(&code[at + found.len()..]).is_empty())
            }) || code.contains(&format!("    {plain},"))
        } else {
            true
        };
        if !known {
            wrong.push(name);
        }
    }
    none(wrong, "ARCHITECTURE.md names what exists:");
    let parts: BTreeSet<_> =
        sources("src", ".rs").iter().map(|source| part(&source.path).to_owned()).collect();
    let silent = parts.iter().filter(|part| *part != "lib" && !page.contains(&format!("`{part}`")));
    none(silent.cloned().collect(), "ARCHITECTURE.md tells of every part:");
}

#[test]
fn the_specification_names_tests_that_exist() {
    let page = fs::read_to_string(root().join("docs/SPECIFICATION.md")).unwrap();
    let code: String = rust().into_iter().map(|source| source.text).collect();
    let is_test = |name: &String| {
        name.matches('_').count() > 2
            && name.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit())
    };
    let tests: Vec<_> = quoted(&page).into_iter().filter(is_test).collect();
    assert!(tests.len() > 20, "the page names its tests");
    let lost = tests.into_iter().filter(|name| !code.contains(&format!("fn {name}()")));
    none(lost.collect(), "docs/SPECIFICATION.md names tests that exist:");
}

#[test]
fn every_code_has_a_page_and_every_page_a_code() {
    let codes: BTreeSet<String> =
        ErrorCode::ALL.iter().map(|code| code.as_str().to_owned()).collect();
    let pages: BTreeSet<String> = fs::read_dir(root().join("docs/errors"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter_map(|path: PathBuf| Some(path.file_stem()?.to_str()?.to_owned()))
        .filter(|name| name != "README")
        .collect();
    assert_eq!(codes, pages, "each code has a page docs/errors/CODE.md, and each page a code");
    let list = fs::read_to_string(root().join("docs/errors/README.md")).unwrap();
    let given_out: String = sources("src", ".rs")
        .into_iter()
        .filter(|source| source.path != "src/model/error_code.rs" && !is_test(&source.path))
        .map(|source| source.text)
        .collect();
    for code in ErrorCode::ALL {
        assert!(list.contains(&format!("| [{code}]({code}.md) |")), "`{code}` is not in the list");
        assert!(given_out.contains(&format!("ErrorCode::{code:?}")), "`{code}` is never given out");
    }
}
