//! The names that the release before gave. Programs and policy files hold them, so they lead to the
//! same operations for one release more; nothing else may use them.
use std::collections::{BTreeMap, HashSet};

use super::{
    named::Named,
    words::{ABSENT, SILENT, joined, words},
};
use crate::base::{digest::sha256, text::cut};

/// Longest group, in characters.
const GROUP_CHARS_MAX: usize = 40;
/// Longest name of an operation within its group, in characters; together they stay well below what
/// a path may have.
const OPERATION_CHARS_MAX: usize = 64;
/// Longest version that tells names apart, in characters.
const VERSION_CHARS_MAX: usize = 12;
/// A name for each operation, in their order; no two are alike.
pub(super) fn names(operations: &[Named<'_>]) -> Vec<String> {
    let plain: Vec<(String, String)> =
        operations.iter().map(|named| (group(named), operation(named))).collect();
    let mut names: Vec<String> =
        plain.iter().map(|(group, operation)| format!("{group}.{operation}")).collect();
    // Each way of telling them apart makes longer names, which may in turn be taken.
    let namings: [fn(&Named<'_>, &str) -> String; 3] = [
        |named, operation| joined(operation, &version(named.path).unwrap_or_default()),
        |named, operation| joined(operation, named.method),
        |named, _| {
            segment(&[words(named.method), path_words(named.path)].concat(), OPERATION_CHARS_MAX)
        },
    ];
    for naming in namings {
        for same in alike(&names) {
            let longer: Vec<String> =
                same.iter().map(|at| naming(&operations[*at], &plain[*at].1)).collect();
            if longer.iter().collect::<HashSet<_>>().len() < same.len() {
                continue;
            }
            for (at, operation) in same.into_iter().zip(longer) {
                names[at] = format!("{}.{operation}", plain[at].0);
            }
        }
    }
    for same in alike(&names) {
        for at in same {
            let (group, operation) = &plain[at];
            names[at] = format!("{group}.{operation}_{}", digest(&operations[at]));
        }
    }
    // Only a name that was made to look like a digest can still be taken.
    for same in alike(&names) {
        for (nth, at) in same.into_iter().enumerate().skip(1) {
            names[at] = format!("{}_{nth}_{at}", names[at]);
        }
    }
    names
}

/// Positions that have the same name, for each name that several have; by name, and sorted by what
/// they name.
fn alike(names: &[String]) -> Vec<Vec<usize>> {
    let mut by_name: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, name) in names.iter().enumerate() {
        by_name.entry(name).or_default().push(at);
    }
    by_name.into_values().filter(|same| same.len() > 1).collect()
}

/// Eight digits that tell an operation from any other of the description.
fn digest(named: &Named<'_>) -> String {
    cut(&sha256(format!("{} {}", named.method, named.path)), 8).to_owned()
}

fn group(named: &Named<'_>) -> String {
    segment(&group_words(named), GROUP_CHARS_MAX)
}

fn group_words(named: &Named<'_>) -> Vec<String> {
    let from_path = || {
        telling_segments(named.path).into_iter().find(|segment| !is_variable(segment)).map(words)
    };
    let telling = tag_words(named).or_else(from_path).filter(|words| !words.is_empty());
    telling.unwrap_or_else(|| vec!["root".to_owned()])
}

fn tag_words(named: &Named<'_>) -> Option<Vec<String>> {
    named.tag.map(words).filter(|words| !words.is_empty())
}

fn operation(named: &Named<'_>) -> String {
    let group = group_words(named);
    let from_id = named.operation_id.map(|id| {
        let id = without_route(id, named);
        // Where the id has a group of its own, that is the group or another one, not half of it.
        let own = id.split_once(['/', ':', '.']).map(|(own, _)| without_version(words(own)).len());
        let all = without_version(words(id));
        if own.is_none_or(|own| own == group.len()) { without_group(all, &group) } else { all }
    });
    let from_route = || {
        let mut rest = path_words(named.path);
        if rest.starts_with(&group) {
            // The group says it already.
            rest.drain(..group.len());
        }
        [words(named.method), rest].concat()
    };
    segment(
        &from_id.filter(|words| !words.is_empty()).unwrap_or_else(from_route),
        OPERATION_CHARS_MAX,
    )
}

/// Some frameworks write `name_path_method`, others `PetsController_name`; what only says again
/// where it is is taken off.
fn without_route<'a>(id: &'a str, named: &Named<'_>) -> &'a str {
    let route: String =
        named.path.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect();
    let id = id
        .strip_suffix(&format!("{route}_{}", named.method))
        .filter(|rest| !rest.is_empty())
        .unwrap_or(id);
    id.split_once("Controller_").map(|(_, rest)| rest).filter(|rest| !rest.is_empty()).unwrap_or(id)
}

/// The words without a leading version and an `api` before it.
fn without_version(words: Vec<String>) -> Vec<String> {
    let silent =
        words.iter().take_while(|word| is_version(word) || SILENT.contains(&word.as_str())).count();
    let has_version = words[..silent].iter().any(|word| is_version(word));
    if has_version && silent < words.len() { words[silent..].to_vec() } else { words }
}

/// The words without those of the group at their beginning, be it one or many; all of them where
/// nothing else is left.
fn without_group(words: Vec<String>, group: &[String]) -> Vec<String> {
    let singular = |word: &str| word.strip_suffix('s').unwrap_or(word).to_owned();
    let begins = !group.is_empty()
        && words.len() > group.len()
        && words.iter().zip(group).all(|(word, of_group)| singular(word) == singular(of_group));
    if begins { words[group.len()..].to_vec() } else { words }
}

/// `v2`, `v1beta1`, or a year with a month.
fn is_version(word: &str) -> bool {
    let digits = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    word.strip_prefix('v').is_some_and(digits)
        || (word.len() >= 6 && word.chars().all(|c| c.is_ascii_digit()))
}

fn is_variable(segment: &str) -> bool {
    segment.starts_with('{')
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split(['?', '#'])
        .next()
        .unwrap_or_default()
        .split('/')
        .filter(|segment| !segment.is_empty())
}

/// Segments without leading `api` and versions, as long as others remain.
fn telling_segments(path: &str) -> Vec<&str> {
    let all: Vec<&str> = segments(path).collect();
    let is_silent = |segment: &&&str| {
        let lower = segment.to_lowercase();
        SILENT.contains(&lower.as_str()) || is_version(&lower)
    };
    let silent = all.iter().take_while(is_silent).count();
    if all[silent..].iter().any(|segment| !is_variable(segment)) {
        all[silent..].to_vec()
    } else {
        all
    }
}

/// `/pets/{petId}/toys/{toyId}` as `pets toys by toy id`.
fn path_words(path: &str) -> Vec<String> {
    let telling = telling_segments(path);
    let mut out: Vec<String> = telling
        .iter()
        .filter(|segment| !is_variable(segment))
        .flat_map(|segment| words(segment))
        .collect();
    if let Some(last) = telling.last().filter(|segment| is_variable(segment)) {
        out.push("by".to_owned());
        out.extend(words(last));
    }
    out
}

fn version(path: &str) -> Option<String> {
    let version = segments(path).map(str::to_lowercase).find(|segment| is_version(segment))?;
    Some(segment(&words(&version), VERSION_CHARS_MAX)).filter(|version| !version.starts_with('_'))
}

/// The words as one segment of a path. Where they are too long the last ones are left out.
fn segment(words: &[String], chars_max: usize) -> String {
    let mut out = String::new();
    for word in words {
        let longer = joined(&out, word);
        if longer.chars().count() > chars_max {
            if out.is_empty() {
                out = word.chars().take(chars_max).collect();
            }
            break;
        }
        out = longer;
    }
    if ABSENT.contains(&out.as_str()) {
        out.push('_');
    }
    if out.starts_with(|c: char| c.is_numeric()) {
        out.insert(0, '_');
    }
    out
}
