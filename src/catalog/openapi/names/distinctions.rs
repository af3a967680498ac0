//! Ways of telling apart operations that want the same name.

use std::collections::HashSet;

use super::{
    named::Named,
    own::{self, Own},
    words::{self, words},
};
use crate::base::text::cut;

/// Longest version that tells names apart, in bytes.
const VERSION_BYTES_MAX: usize = 12;

/// Words of an operation.
type WordsOf = fn(&Named<'_>, &Own) -> Vec<String>;

/// A way of telling apart: words that each gets.
#[derive(Clone, Copy)]
pub(super) enum Distinction {
    /// All of these words.
    Each(WordsOf),
    /// Of these words those that the others have not.
    Difference(WordsOf),
}

/// All ways, in the order in which they are tried.
pub(super) const DISTINCTIONS: [Distinction; 10] = [
    Distinction::Each(short_version),
    Distinction::Each(variable),
    Distinction::Difference(path),
    Distinction::Difference(id),
    Distinction::Each(method),
    Distinction::Difference(route),
    Distinction::Each(version),
    Distinction::Difference(whole_route),
    Distinction::Difference(whole_id),
    Distinction::Each(whole_path),
];

impl Distinction {
    /// The words that each of these operations gets.
    pub(super) fn words(self, same: &[(&Named<'_>, &Own)]) -> Vec<Vec<String>> {
        match self {
            Self::Each(words) => same.iter().map(|(named, own)| words(named, own)).collect(),
            Self::Difference(words) => {
                let all: Vec<_> = same.iter().map(|(named, own)| words(named, own)).collect();
                differences(&all)
            }
        }
    }
}

fn short_version(named: &Named<'_>, _: &Own) -> Vec<String> {
    let version = own::path_segments(named.path).find(|segment| words::is_short_version(segment));
    version.map(bounded).unwrap_or_default()
}

fn version(named: &Named<'_>, _: &Own) -> Vec<String> {
    let version = own::path_segments(named.path).find(|segment| words::is_version(segment));
    let mut words = version.map(bounded).unwrap_or_default();
    if let Some(first) = words.first_mut().filter(|first| !first.starts_with('v')) {
        first.insert(0, 'v');
    }
    words
}

fn bounded(version: &str) -> Vec<String> {
    vec![cut(&words(version).concat(), VERSION_BYTES_MAX).to_owned()]
}

/// `by id`, where the path ends in it and the name does not say it.
fn variable(named: &Named<'_>, own: &Own) -> Vec<String> {
    let last = own::path_segments(named.path).last();
    let says_it = own.segments.iter().flatten().any(|word| word == "by");
    match last.filter(|last| own::is_variable(last) && !says_it) {
        Some(last) => own::by(last, &own.group),
        None => Vec::new(),
    }
}

/// The words of the path without those that the group says.
fn path(named: &Named<'_>, own: &Own) -> Vec<String> {
    let telling = own::telling_segments(named.path);
    words::without(own::path_words(&telling, &own.group), &own.group)
}

fn route(named: &Named<'_>, own: &Own) -> Vec<String> {
    [method(named, own), path(named, own)].concat()
}

fn whole_path(named: &Named<'_>, _: &Own) -> Vec<String> {
    words(named.path)
}

fn whole_route(named: &Named<'_>, own: &Own) -> Vec<String> {
    [method(named, own), whole_path(named, own)].concat()
}

fn method(named: &Named<'_>, _: &Own) -> Vec<String> {
    words(named.method)
}

fn id(named: &Named<'_>, _: &Own) -> Vec<String> {
    named.operation_id.map(words::telling).unwrap_or_default()
}

fn whole_id(named: &Named<'_>, _: &Own) -> Vec<String> {
    named.operation_id.map(words).unwrap_or_default()
}

/// The words of each that not all have: those between what all begin and what all end with, and of
/// these only such as not all have, where they are enough to tell them apart.
fn differences(all: &[Vec<String>]) -> Vec<Vec<String>> {
    let Some(first) = all.first() else { return Vec::new() };
    let least = all.iter().map(Vec::len).min().unwrap_or(0);
    let front = (0..least).take_while(|n| all.iter().all(|words| words[*n] == first[*n])).count();
    let is_same_end =
        |n: &usize| all.iter().all(|words| words[words.len() - n] == first[first.len() - n]);
    let back = (1..=least - front).take_while(is_same_end).count();
    let between = || all.iter().map(|words| &words[front..words.len() - back]);
    let mut everywhere: HashSet<&String> = first.iter().collect();
    for words in all {
        let own: HashSet<&String> = words.iter().collect();
        everywhere.retain(|word| own.contains(word));
    }
    let telling: Vec<Vec<String>> = between()
        .map(|words| words.iter().filter(|word| !everywhere.contains(word)).cloned().collect())
        .collect();
    match telling.iter().collect::<HashSet<_>>().len() == all.len() {
        true => telling,
        false => between().map(<[String]>::to_vec).collect(),
    }
}
