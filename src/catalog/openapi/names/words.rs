//! Words of names: how texts of a document are split into words, and words put together into a
//! segment of a path.

use crate::base::text::cut;

/// Names that code cannot reach behind a dot, see `runtime-js/tools.ts`.
pub(super) const ABSENT: [&str; 8] =
    ["then", "catch", "finally", "toJSON", "constructor", "prototype", "valueOf", "toString"];
/// Words in front of a version that say nothing of what is behind it.
pub(super) const SILENT: [&str; 3] = ["api", "apis", "rest"];
/// Words that lead to a noun; without one they say nothing.
const PREPOSITIONS: [&str; 14] =
    ["a", "an", "and", "as", "at", "by", "for", "from", "in", "of", "on", "per", "the", "to"];
/// Digits from which a number is a date.
const DATE_DIGITS_MIN: usize = 6;
/// Longest text that is split, in bytes, and words of it that are read.
const TEXT_BYTES_MAX: usize = 1_000;
const WORDS_MAX: usize = 60;

/// Words in lower case: split where something else than letters and digits stands, and at humps.
pub(in crate::catalog::openapi) fn words(text: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut previous: Option<char> = None;
    let mut chars = cut(text, TEXT_BYTES_MAX).chars().peekable();
    while let Some(c) = chars.next() {
        let next_is_lower = chars.peek().is_some_and(|next| next.is_lowercase());
        let hump = c.is_uppercase()
            && previous.is_some_and(|previous| {
                previous.is_lowercase()
                    || previous.is_numeric()
                    || (previous.is_uppercase() && next_is_lower)
            });
        if (hump || !c.is_alphanumeric()) && !word.is_empty() {
            out.push(std::mem::take(&mut word));
        }
        if c.is_alphanumeric() {
            // The other case of some letters has an accent of its own, which is no letter.
            word.extend(c.to_lowercase().filter(|c| c.is_alphanumeric()));
        }
        previous = Some(c);
    }
    if !word.is_empty() {
        out.push(word);
    }
    out
}

/// The words of a text without the dates in it, without numbers at its ends, and without a version
/// and an `api` in front; a version behind a word, as in `core v1`, is a part of the name.
pub(super) fn telling(text: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let all = words(text);
    let count = all.len().min(WORDS_MAX);
    for word in all.into_iter().take(count) {
        let digits = word.chars().rev().take_while(char::is_ascii_digit).count();
        let head = &word[..word.len() - digits];
        match digits {
            DATE_DIGITS_MIN.. if head.is_empty() || is_silent(head) => {}
            DATE_DIGITS_MIN.. => out.push(head.to_owned()),
            _ => out.push(word),
        }
    }
    let numbers =
        |words: &mut dyn Iterator<Item = &String>| words.take_while(|word| is_number(word)).count();
    out.truncate(out.len() - numbers(&mut out.iter().rev()));
    out.drain(..numbers(&mut out.iter()));
    let silent = out.iter().take_while(|word| is_version(word) || is_silent(word)).count();
    let has_version = out.len() < count || out[..silent].iter().any(|w| is_version(w));
    if has_version && silent < out.len() {
        out.drain(..silent);
    }
    if out.iter().all(|word| is_version(word) || is_silent(word)) {
        out.clear();
    }
    out
}

pub(super) fn is_silent(word: &str) -> bool {
    SILENT.contains(&word)
}

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_ascii_digit())
}

/// Returns true for `v2`, `v1beta1`, `1.0`, `2`, `2015-03-31` and `20150331`.
pub(super) fn is_version(text: &str) -> bool {
    let text = text.to_lowercase();
    let digits = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    text.strip_prefix('v').is_some_and(digits)
        || digits(&text) && text.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-' | '_'))
}

/// Returns true for `v2` and the like: a version that people write behind a name.
pub(super) fn is_short_version(text: &str) -> bool {
    is_version(text) && text.to_lowercase().starts_with('v')
}

pub(super) fn is_preposition(word: &str) -> bool {
    PREPOSITIONS.contains(&word)
}

/// What a word has in common in the forms for one and for many: of `policy` and `policies` it is
/// `polici`, of `cache` and `caches` it is `cach`.
fn stem(word: &str) -> String {
    let is_one = ["ss", "us", "is", "ias"].iter().any(|ending| word.ends_with(ending));
    let cut = |word: &str, ending: &str| {
        word.strip_suffix(ending).filter(|rest| rest.len() >= 2).map(ToOwned::to_owned)
    };
    let one = if is_one { None } else { cut(word, "s") }.unwrap_or_else(|| word.to_owned());
    match cut(&one, "y") {
        Some(rest) => format!("{rest}i"),
        None => cut(&one, "e").filter(|rest| rest.len() >= 3).unwrap_or(one),
    }
}

/// Words without their borders and numbers: `data sets` and `dataset` are the same.
fn compact(words: &[String]) -> String {
    words.iter().map(|word| stem(word)).collect()
}

pub(super) fn are_alike(one: &[String], other: &[String]) -> bool {
    !one.is_empty() && compact(one) == compact(other)
}

/// The places where the words say the same as these, be it one or many, the last first.
fn found(words: &[String], these: &[String]) -> impl Iterator<Item = (usize, usize)> {
    let wanted = compact(these);
    let stems: Vec<String> = words.iter().map(|word| stem(word)).collect();
    (0..stems.len()).rev().filter_map(move |from| {
        let mut left = wanted.as_str();
        for (at, stem) in stems.iter().enumerate().skip(from) {
            left = left.strip_prefix(stem.as_str())?;
            if left.is_empty() {
                return Some((from, at + 1));
            }
        }
        None
    })
}

/// The words without those that say these again, wherever they stand; and without what then leads
/// nowhere: `add labels to issue` is `add labels` among issues. Nothing where nothing else is left.
pub(super) fn without(mut words: Vec<String>, these: &[String]) -> Vec<String> {
    if these.is_empty() {
        return words;
    }
    let leads =
        |words: &[String], at: usize| words.get(at).is_some_and(|word| is_preposition(word));
    // `for authenticated user` says more than `user`; `by id user` does not.
    let is_told_apart = |words: &[String], from: usize, to: usize| {
        let leads_there = |word: &String| matches!(word.as_str(), "by" | "for" | "of" | "to");
        to == words.len()
            && from >= 2
            && leads_there(&words[from - 2])
            && !leads(words, from - 1)
            && words[from - 1] != "id"
    };
    let place =
        |words: &[String]| found(words, these).find(|(from, to)| !is_told_apart(words, *from, *to));
    while let Some((from, to)) = place(&words) {
        if to - from == words.len() {
            return Vec::new();
        }
        let goes_on = to < words.len() && !leads(&words, to);
        words.drain(from..to);
        if !goes_on {
            let kept = words[..from].iter().rposition(|word| !is_preposition(word));
            words.drain(kept.map_or(0, |at| at + 1)..from);
        }
    }
    // Such as the `domains` of `domains create record` among domain records.
    let leading = (1..these.len()).rev().find(|count| {
        words.len() > *count
            && are_alike(&words[..*count], &these[..*count])
            && found(&words[*count..], &these[*count..]).next().is_some()
    });
    words.drain(..leading.unwrap_or(0));
    if words.iter().all(|word| is_preposition(word)) { Vec::new() } else { words }
}

/// A name with one word more, in camel case.
pub(super) fn joined(head: &str, word: &str) -> String {
    if head.is_empty() {
        return word.to_owned();
    }
    let mut chars = word.chars();
    let first: String = chars
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .filter(|c| c.is_alphanumeric())
        .collect();
    format!("{head}{first}{}", chars.as_str())
}

/// The words in camel case. Where they are too long, some in the middle are left out: names begin
/// or end with what is done.
pub(super) fn camel(words: &[String], chars_max: usize) -> String {
    let written =
        |words: &[&String]| words.iter().fold(String::new(), |out, word| joined(&out, word));
    let mut kept: Vec<&String> = words.iter().collect();
    let out = written(&kept);
    if out.chars().count() <= chars_max {
        return out;
    }
    let fits = |count: usize| written(&kept[..count]).chars().count() <= chars_max / 3;
    let front = (1..kept.len()).take_while(|count| fits(*count)).count().max(1);
    while kept.len() > front + 1 && written(&kept).chars().count() > chars_max {
        kept.remove(front);
    }
    written(&kept).chars().take(chars_max).collect()
}

/// The words as one segment of a path that code can write behind a dot.
pub(super) fn segment(words: &[String], chars_max: usize) -> String {
    let mut out = camel(words, chars_max);
    if ABSENT.contains(&out.as_str()) {
        out.push('_');
    }
    if out.starts_with(|c: char| c.is_numeric()) {
        out.insert(0, '_');
    }
    out
}
