//! Keeps the secrets that an owner configured for an upstream out of everything that upstream says.

use std::{borrow::Cow, sync::LazyLock};

use serde_json::value::RawValue;

use super::words;
use crate::model::RawJson;

/// Shorter values are not looked for: they are no secrets and would blank out ordinary words.
const SECRET_BYTES_MIN: usize = 6;
/// From this length on, a value of letters and digits without spaces or slashes is taken for a secret whatever its name.
const RANDOM_BYTES_MIN: usize = 20;
/// Words in the name of a variable or a header that make its value a secret.
const SECRET_WORDS: &str =
    "token key secret password passwd passphrase pass pwd credential auth authorization bearer cookie session dsn apikey";
const REDACTED: &str = "[redacted]";

/// The secrets of one upstream. Never printed.
#[derive(Clone, Default)]
pub(super) struct Secrets(Vec<String>);

impl Secrets {
    /// Of these names with their values, the values that are secrets; of `Bearer x` the `x` as well.
    pub(super) fn among<'a>(values: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut secrets = Vec::new();
        for (name, value) in values {
            let token = value.split_once(' ').map_or(value, |(_, token)| token.trim());
            if is_telling(name) || is_random(token) {
                secrets.extend([value.to_owned(), token.to_owned()]);
            }
        }
        secrets.retain(|secret| secret.len() >= SECRET_BYTES_MIN);
        // The longest first, so that no tail of it is left when a shorter one is part of it.
        secrets.sort_by(|a, b| b.len().cmp(&a.len()).then(a.cmp(b)));
        secrets.dedup();
        Self(secrets)
    }

    /// The text with every secret replaced by `[redacted]`.
    pub(super) fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.0.iter().fold(Cow::Borrowed(text), |text, secret| replaced(text, secret))
    }

    /// The value with every secret replaced; none where that leaves no JSON, as with a number.
    pub(super) fn redact_json(&self, json: RawJson) -> Option<RawJson> {
        let clean = self.0.iter().fold(Cow::Borrowed(json.get()), |text, secret| {
            // In JSON a secret stands with its escapes.
            let quoted = serde_json::Value::from(secret.as_str()).to_string();
            replaced(text, &quoted[1..quoted.len() - 1])
        });
        match clean {
            Cow::Borrowed(_) => Some(json),
            Cow::Owned(text) => RawValue::from_string(text).ok(),
        }
    }
}

fn replaced<'a>(text: Cow<'a, str>, secret: &str) -> Cow<'a, str> {
    if text.contains(secret) { Cow::Owned(text.replace(secret, REDACTED)) } else { text }
}

fn is_telling(name: &str) -> bool {
    static TELLING: LazyLock<Vec<String>> = LazyLock::new(|| words::words(SECRET_WORDS));
    words::words(name).iter().any(|word| TELLING.contains(word))
}

fn is_random(value: &str) -> bool {
    value.len() >= RANDOM_BYTES_MIN
        && !value.contains(|c: char| c.is_whitespace() || c == '/')
        && value.contains(|c: char| c.is_ascii_digit())
        && value.contains(|c: char| c.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> Secrets {
        Secrets::among([
            ("Authorization", "Bearer tok-123456"),
            ("DB_PASSWORD", "tok-123456-and \"more"),
            ("PIN_KEY", "998877"),
            ("API_TOKEN", "on"),
            ("WHATEVER", "k3f9a8b7c6d5e4f3a2b1c0"),
            ("NODE_ENV", "production"),
            ("GIT_AUTHOR_NAME", "Jane Doe"),
        ])
    }

    #[test]
    fn a_secret_is_found_whole_and_without_its_scheme() {
        let secrets = secrets();
        assert_eq!(secrets.redact("Bearer tok-123456 on"), "[redacted] on");
        assert_eq!(secrets.redact("x tok-123456-and \"more tok-123456"), "x [redacted] [redacted]");
        assert_eq!(secrets.redact("id k3f9a8b7c6d5e4f3a2b1c0"), "id [redacted]");
    }

    #[test]
    fn a_setting_that_is_no_secret_stays_readable() {
        assert!(matches!(secrets().redact("production of Jane Doe"), Cow::Borrowed(_)));
    }

    #[test]
    fn an_answer_stays_json_or_is_not_given() {
        let redacted = |text: &str| {
            let json = serde_json::value::RawValue::from_string(text.to_owned()).unwrap();
            secrets().redact_json(json).map(|json| json.get().to_owned())
        };
        assert_eq!(redacted(r#"{"a": "tok-123456-and \"more"}"#).as_deref(), Some(r#"{"a": "[redacted]"}"#));
        assert_eq!(redacted("[1, 2]").as_deref(), Some("[1, 2]"));
        assert_eq!(redacted("998877"), None);
    }
}
