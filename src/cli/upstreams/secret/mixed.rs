//! Values of which a part is a variable: whether the rest of them is a secret.

use super::{
    super::template::Template,
    looks::{
        RUN_CHARS_MAX, SCHEMES, has_known_beginning, is_plain_run, is_random, is_switch,
        is_telling, runs, words,
    },
};

/// Stands for a variable in a text that is looked at.
pub(in crate::cli::upstreams) const VARIABLE: char = '\u{fffc}';

/// A name and its value in a text: `name=value` or `name: value`.
#[derive(Debug)]
pub(super) struct Pair<'t> {
    pub(super) name: &'t str,
    pub(super) sign: &'t str,
    pub(super) value: &'t str,
    /// It is a parameter of a URL.
    is_parameter: bool,
}

/// Returns true if the texts beside the variables of a value may be a secret, or a part of one.
pub(in crate::cli::upstreams) fn is_beside_variables(name: &str, value: &Template) -> bool {
    let whole = value.marked(VARIABLE);
    let names_it = |pair: &Pair<'_>| {
        is_telling(pair.name) || pair.is_parameter && words(pair.name).iter().any(|w| is_telling(w))
    };
    is_telling(name) && has_own_part(&whole)
        || passwords(&whole).any(has_own_part)
        || pairs(&whole).any(|pair| names_it(&pair) && has_own_part(pair.value))
        || holds_token(&whole)
}

/// Returns true if there is more in a value than variables, a scheme and punctuation.
pub(super) fn has_own_part(value: &str) -> bool {
    let is_around = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '[' | '(');
    let value = value.trim_matches(is_around);
    let scheme = SCHEMES.iter().find_map(|scheme| value.strip_prefix(scheme));
    let value = scheme.unwrap_or(value);
    value.chars().any(char::is_alphanumeric) && !is_switch(value)
}

/// The names in a text with their values, each up to the next one.
pub(super) fn pairs(text: &str) -> impl Iterator<Item = Pair<'_>> {
    let is_quote = |c: char| c.is_whitespace() || matches!(c, '"' | '\'');
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    text.match_indices(['=', ':']).filter_map(move |(at, sign)| {
        let (before, value) = (text[..at].trim_end_matches(is_quote), &text[at + sign.len()..]);
        let start = before.trim_end_matches(is_of_name).len();
        let end = value.find([';', '&', ',', '\n', '}']).unwrap_or(value.len());
        let is_parameter = text[..start].ends_with(['?', '&']);
        let pair = Pair { name: &before[start..], sign, value: &value[..end], is_parameter };
        // After a colon a path is what is mounted there, or the rest of an address.
        let is_path = sign == ":" && value.starts_with('/');
        (!pair.name.is_empty() && !is_path).then_some(pair)
    })
}

/// What stands between a user and a host: `user:password@host`.
fn passwords(text: &str) -> impl Iterator<Item = &str> {
    let is_outside = |c: char| c.is_whitespace() || "/@?&=,;\"'()[]{}<>".contains(c);
    text.match_indices('@').filter_map(move |(at, _)| {
        let start = text[..at]
            .rfind(is_outside)
            .map_or(0, |at| at + text[at..].chars().next().map_or(0, char::len_utf8));
        text[start..at].split_once(':').map(|(_, password)| password)
    })
}

/// Returns true if a word in the text looks like a token whatever its name. In an address, words of
/// letters and digits are usual, unless a variable is a part of them, or they are a user.
fn holds_token(text: &str) -> bool {
    let is_address = text.contains("://");
    let is_end =
        |c: char| c == VARIABLE || c.is_whitespace() || "=:/,;&?@(){}[]<>|+\"'".contains(c);
    let mut start = 0;
    text.split(is_end).any(|word| {
        let (before, after) = (&text[..start], &text[start + word.len()..]);
        start += word.len() + after.chars().next().map_or(0, char::len_utf8);
        let is_part = before.ends_with(VARIABLE) || after.starts_with([VARIABLE, '@']);
        let is_name = after.starts_with('=') && !after.starts_with("==");
        let is_usual = |run: &str| match is_address && !is_part {
            true => run.chars().count() <= RUN_CHARS_MAX,
            false => is_plain_run(run, RUN_CHARS_MAX),
        };
        has_known_beginning(word) && !is_name || is_random(word) || !runs(word).all(is_usual)
    })
}
