//! Keeps the secrets that an owner configured for an upstream out of everything that upstream says.

mod forms;

use std::{
    borrow::Cow,
    sync::{Arc, LazyLock},
};

use arc_swap::ArcSwap;
use regex::Regex;
use serde_json::{Value, value::RawValue};

use self::forms::escaped;
use super::{search::tokenize, tool::OfferedTool};
use crate::model::{FormerName, JsonObject, RawJson};

/// Shorter values are not looked for: they are no secrets and would blank out ordinary words.
const SECRET_BYTES_MIN: usize = 6;
/// Length from which a value of letters and digits without spaces or slashes counts as a secret
/// whatever its name.
const RANDOM_BYTES_MIN: usize = 20;
/// Words in the name of a variable or a header that make its value a secret.
const SECRET_WORDS: &str = "token key secret password passwd passphrase pass pwd credential auth \
    authorization bearer cookie session dsn apikey";
const REDACTED: &str = "[redacted]";

/// Bytes of the beginning of a secret that are blanked where a text was cut in the middle of one.
const HEAD_BYTES_MIN: usize = 8;
/// Least length within a text whose pieces may have been cut before they were joined.
const PIECE_BYTES_MIN: usize = 16;
/// Secrets of one upstream in all their forms; of the fetched ones the oldest make room.
const SECRETS_MAX: usize = 2_000;

/// The secrets of one upstream. Clones share them, so that what is fetched later is blanked
/// everywhere. Never printed.
#[derive(Clone, Default)]
pub(super) struct Secrets(Arc<ArcSwap<Known>>);

/// The secrets in all their forms, the longest first, so that no tail of one is left when a shorter
/// one is part of it.
#[derive(Default)]
struct Known {
    forms: Vec<String>,
    /// Finds any of them in a text, in one pass.
    in_text: Option<Regex>,
    /// Pattern within JSON with canonical escapes.
    in_json: Option<Regex>,
}

impl Known {
    fn new(forms: Vec<String>) -> Self {
        let in_json: Vec<String> = forms.iter().map(|form| escaped(form)).collect();
        Self { in_text: any_of(&forms), in_json: any_of(&in_json), forms }
    }
}

/// Finds any of these texts; none where there are none.
fn any_of(texts: &[String]) -> Option<Regex> {
    let mut longest_first: Vec<&String> = texts.iter().collect();
    longest_first.sort_by(|a, b| b.len().cmp(&a.len()).then(a.cmp(b)));
    let pattern =
        longest_first.iter().map(|text| regex::escape(text)).collect::<Vec<_>>().join("|");
    let built = regex::RegexBuilder::new(&pattern).size_limit(usize::MAX).build();
    (!texts.is_empty())
        .then(|| built.expect("escaped texts are a pattern, and its size has no other limit"))
}

impl Secrets {
    /// Secrets among named values; of `Bearer x` also the `x`, and of a URL its password and the
    /// secret parts of its path and query.
    pub(super) fn among<'a>(values: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut secrets = Vec::new();
        for (name, value) in values {
            add(&mut secrets, name, value);
            for (name, value) in parts_of_address(value) {
                add(&mut secrets, &name, &value);
            }
        }
        let these = Self::default();
        these.extend(secrets);
        these
    }

    /// Takes a value that is a secret whatever it looks like: a credential, a token that was
    /// fetched.
    pub(super) fn add(&self, value: &str) {
        if !self.0.load().forms.iter().any(|known| known == value) {
            self.extend(vec![value.to_owned()]);
        }
    }

    fn extend(&self, mut fresh: Vec<String>) {
        fresh.retain(|secret| secret.len() >= SECRET_BYTES_MIN);
        let fresh: Vec<String> = fresh.iter().flat_map(|secret| forms::of(secret)).collect();
        if fresh.is_empty() {
            return;
        }
        self.0.rcu(|known| {
            let free = SECRETS_MAX.saturating_sub(fresh.len());
            let mut all: Vec<String> =
                known.forms.iter().rev().take(free).chain(&fresh).cloned().collect();
            all.sort_by(|a, b| b.len().cmp(&a.len()).then(a.cmp(b)));
            all.dedup();
            Known::new(all)
        });
    }

    /// The text with every secret replaced by `[redacted]`, and the beginning of one where it may
    /// have been cut: any at its end, a long one anywhere.
    pub(super) fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let known = self.0.load();
        let text = replaced(Cow::Borrowed(text), known.in_text.as_ref());
        let text = known.forms.iter().fold(text, |text, secret| without_pieces(text, secret));
        // What a message closes a quoted piece with.
        let end = text.trim_end_matches(['"', '\'', '`', ')', '…', '.']).len();
        match known
            .forms
            .iter()
            .filter_map(|secret| head_at_end(&text.as_bytes()[..end], secret))
            .max()
        {
            Some(length) if text.is_char_boundary(end - length) => {
                Cow::Owned(format!("{}{REDACTED}{}", &text[..end - length], &text[end..]))
            }
            _ => text,
        }
    }

    /// Returns true if a whole secret is in the text, in one of its forms.
    pub(super) fn is_in(&self, text: &str) -> bool {
        self.0.load().in_text.as_ref().is_some_and(|any| any.is_match(text))
    }

    /// Takes away the beginning of a secret at the end of something that was cut there.
    pub(super) fn strip_cut(&self, bytes: &mut bytes::BytesMut) {
        if let Some(length) =
            self.0.load().forms.iter().filter_map(|secret| head_at_end(bytes, secret)).max()
        {
            bytes.truncate(bytes.len() - length);
        }
    }

    /// The value with every secret replaced; none where that leaves no JSON, as with a number.
    pub(super) fn redact_json(&self, json: RawJson) -> Option<RawJson> {
        let known = self.0.load();
        if known.forms.is_empty() {
            return Some(json);
        }
        match replaced(escaped_our_way(json.get()), known.in_json.as_ref()) {
            Cow::Borrowed(_) => Some(json),
            Cow::Owned(text) => RawValue::from_string(text).ok(),
        }
    }

    /// The tool with every secret replaced in all that it says of itself. A name that held one is
    /// no name any more, so that such a tool is left out.
    pub(super) fn redact_tool(&self, offered: OfferedTool) -> OfferedTool {
        if self.0.load().forms.is_empty() {
            return offered;
        }
        let text = |text: String| self.redact(&text).into_owned();
        OfferedTool {
            name: text(offered.name),
            title: offered.title.map(text),
            description: text(offered.description),
            input_schema: self.redact_object(offered.input_schema),
            output_schema: offered.output_schema.map(|schema| self.redact_object(schema)),
            annotations: offered.annotations,
            operation: offered.operation,
            fingerprint: offered.fingerprint,
            is_relaxed: offered.is_relaxed,
            former: offered.former.map(|former| FormerName { name: text(former.name), ..former }),
        }
    }

    fn redact_object(&self, object: JsonObject) -> JsonObject {
        object
            .into_iter()
            .map(|(key, value)| (self.redact(&key).into_owned(), self.redact_value(value)))
            .collect()
    }

    /// Recurses as deep as the parser allowed.
    fn redact_value(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.redact(&text).into_owned()),
            Value::Array(items) => items.into_iter().map(|item| self.redact_value(item)).collect(),
            Value::Object(object) => Value::Object(self.redact_object(object)),
            // As in an answer, a number can be one too.
            Value::Number(number) if self.0.load().forms.contains(&number.to_string()) => {
                Value::from(REDACTED)
            }
            other => other,
        }
    }
}

/// The arguments of a command with the names they go by: `--token x`, `--token=x`, `TOKEN=x`,
/// `Authorization: x`; else none.
pub(super) fn named_arguments(args: &[String]) -> impl Iterator<Item = (&str, &str)> {
    args.iter().enumerate().flat_map(|(at, arg)| {
        let flag = at.checked_sub(1).map_or("", |before| args[before].as_str());
        let name = if flag.starts_with('-') && !flag.contains('=') { flag } else { "" };
        let whole = (!arg.starts_with('-')).then_some((name, arg.as_str()));
        // Both, for a token may end with `=` itself.
        [whole, arg.split_once('='), arg.split_once(": ")].into_iter().flatten()
    })
}

/// Bytes at the end that are an incomplete beginning of the secret.
fn head_at_end(bytes: &[u8], secret: &str) -> Option<usize> {
    let secret = secret.as_bytes();
    (HEAD_BYTES_MIN..secret.len()).rev().find(|length| bytes.ends_with(&secret[..*length]))
}

fn add(secrets: &mut Vec<String>, name: &str, value: &str) {
    let token = value.split_once(' ').map_or(value, |(_, token)| token.trim());
    if is_telling(name) || is_random(token) {
        secrets.extend([value.to_owned(), token.to_owned()]);
    }
}

/// Parts of a URL that may be secret, with their names, as written and decoded.
fn parts_of_address(value: &str) -> Vec<(String, String)> {
    let Some(url) = url::Url::parse(value).ok().filter(url::Url::has_host) else {
        return Vec::new();
    };
    let mut parts: Vec<(String, String)> = Vec::new();
    if let Some(password) = url.password() {
        parts.push(("password".to_owned(), password.to_owned()));
    }
    // Some services take the key as the user.
    parts.push((String::new(), url.username().to_owned()));
    parts.extend(url.path().split('/').map(|segment| (String::new(), segment.to_owned())));
    parts.extend(url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())));
    let written =
        url.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    parts.extend(written.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let meant: Vec<_> =
        parts.iter().map(|(name, value)| (name.clone(), percent_decoded(value))).collect();
    parts.extend(meant);
    parts
}

fn percent_decoded(text: &str) -> String {
    // As the value of a query, save that `+` is no space.
    let value = format!("={}", text.replace('+', "%2B").replace('&', "%26"));
    url::form_urlencoded::parse(value.as_bytes())
        .next()
        .map(|(_, decoded)| decoded.into_owned())
        .unwrap_or_default()
}

/// Rewrites JSON with its strings escaped as [`escaped`] does it, so that a secret has one form
/// only. Numbers keep every digit.
fn escaped_our_way(json: &str) -> Cow<'_, str> {
    let mut rest = json;
    let mut out = String::new();
    // In JSON a backslash stands only in strings, and always begins an escape.
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let (character, length) = unescaped(&rest[at..]);
        match character {
            Some(character) => out.push_str(&escaped(character.encode_utf8(&mut [0; 4]))),
            None => out.push_str(&rest[at..at + length]),
        }
        rest = &rest[at + length..];
    }
    if out.is_empty() {
        return Cow::Borrowed(json);
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The character that an escape at the beginning stands for, where it is not half of one or the
/// usual short form; and the length of the escape in bytes.
fn unescaped(text: &str) -> (Option<char>, usize) {
    let unit = |at: usize| u16::from_str_radix(text.get(at..at + 6)?.strip_prefix("\\u")?, 16).ok();
    match text.as_bytes().get(1) {
        Some(b'/') => (Some('/'), 2),
        Some(b'u') => {
            let units = unit(0).into_iter().chain(unit(6));
            match char::decode_utf16(units).next() {
                Some(Ok(character)) => (Some(character), 6 * character.len_utf16()),
                _ => (None, 6.min(text.len())),
            }
        }
        _ => (None, 2.min(text.len())),
    }
}

fn replaced<'a>(text: Cow<'a, str>, any: Option<&Regex>) -> Cow<'a, str> {
    let Some(any) = any.filter(|any| any.is_match(&text)) else { return text };
    Cow::Owned(any.replace_all(&text, regex::NoExpand(REDACTED)).into_owned())
}

/// The text without long beginnings of the secret. Addresses begin alike without being secret for
/// it.
fn without_pieces<'a>(text: Cow<'a, str>, secret: &str) -> Cow<'a, str> {
    let Some(head) = secret.get(..PIECE_BYTES_MIN).filter(|head| !head.contains("://")) else {
        return text;
    };
    if !text.contains(head) {
        return text;
    }
    let mut out = String::new();
    let mut rest = text.as_ref();
    while let Some(at) = rest.find(head) {
        let same = rest[at..]
            .chars()
            .zip(secret.chars())
            .take_while(|(a, b)| a == b)
            .map(|(a, _)| a.len_utf8())
            .sum::<usize>();
        out.push_str(&rest[..at]);
        out.push_str(REDACTED);
        rest = &rest[at + same..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

fn is_telling(name: &str) -> bool {
    static TELLING: LazyLock<Vec<String>> = LazyLock::new(|| tokenize::words(SECRET_WORDS));
    tokenize::words(name).iter().any(|word| TELLING.contains(word))
}

fn is_random(value: &str) -> bool {
    value.len() >= RANDOM_BYTES_MIN
        && !value.contains(|c: char| c.is_whitespace() || c == '/')
        && value.contains(|c: char| c.is_ascii_digit())
        && value.contains(|c: char| c.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests;
