//! Keeps the values an owner configured for an upstream out of everything that upstream says.

use std::borrow::Cow;

/// Shorter values are not looked for: they are no secrets and would blank out ordinary words.
const SECRET_BYTES_MIN: usize = 6;

/// The configured values of one upstream. Never printed.
#[derive(Clone, Default)]
pub(super) struct Secrets(Vec<String>);

impl Secrets {
    /// Every value, and for `Bearer x` the `x` as well.
    pub(super) fn new(values: impl IntoIterator<Item = String>) -> Self {
        let mut secrets = Vec::new();
        for value in values {
            if let Some((_, token)) = value.split_once(' ') {
                secrets.push(token.trim().to_owned());
            }
            secrets.push(value);
        }
        secrets.retain(|secret| secret.len() >= SECRET_BYTES_MIN);
        // The longest first, so that no tail of it is left when a shorter one is part of it.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.dedup();
        Self(secrets)
    }

    /// The text with every value replaced by `[redacted]`.
    pub(super) fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut out = Cow::Borrowed(text);
        for secret in &self.0 {
            if out.contains(secret.as_str()) {
                out = Cow::Owned(out.replace(secret.as_str(), "[redacted]"));
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_whole_and_without_its_scheme() {
        let secrets = Secrets::new(["Bearer tok-123456".to_owned(), "tok-123456-and-more".to_owned(), "on".to_owned()]);
        assert_eq!(secrets.redact("Bearer tok-123456 on"), "[redacted] on");
        assert_eq!(secrets.redact("x tok-123456-and-more tok-123456"), "x [redacted] [redacted]");
        assert!(matches!(secrets.redact("nothing here"), Cow::Borrowed(_)));
    }
}
