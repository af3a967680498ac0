//! Keeps the secrets that an owner configured for an upstream out of everything that upstream says.

use std::{borrow::Cow, sync::LazyLock};

use serde_json::{Value, value::RawValue};

use super::{tool::OfferedTool, words};
use crate::model::{JsonObject, RawJson};

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
    /// Of these names with their values, the values that are secrets; of `Bearer x` the `x` as well, and of an address its
    /// password and what is secret in its path and query.
    pub(super) fn among<'a>(values: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut secrets = Vec::new();
        for (name, value) in values {
            add(&mut secrets, name, value);
            for (name, value) in parts_of_address(value) {
                add(&mut secrets, &name, &value);
            }
        }
        secrets.retain(|secret| secret.len() >= SECRET_BYTES_MIN);
        // Quoted in JSON, as a server may log or report it, a secret stands with escapes.
        let written: Vec<String> = secrets.iter().map(|secret| escaped(secret)).collect();
        secrets.extend(written.iter().map(|secret| secret.replace('/', "\\/")));
        secrets.extend(written);
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
        if self.0.is_empty() {
            return Some(json);
        }
        let clean = self.0.iter().fold(escaped_our_way(json.get()), |text, secret| replaced(text, &escaped(secret)));
        match clean {
            Cow::Borrowed(_) => Some(json),
            Cow::Owned(text) => RawValue::from_string(text).ok(),
        }
    }

    /// The tool with every secret replaced in all that it says of itself. A name that held one is no name any more, so that
    /// such a tool is left out.
    pub(super) fn redact_tool(&self, offered: OfferedTool) -> OfferedTool {
        if self.0.is_empty() {
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
        }
    }

    fn redact_object(&self, object: JsonObject) -> JsonObject {
        object.into_iter().map(|(key, value)| (self.redact(&key).into_owned(), self.redact_value(value))).collect()
    }

    /// As deep as the parser let it become.
    fn redact_value(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.redact(&text).into_owned()),
            Value::Array(items) => items.into_iter().map(|item| self.redact_value(item)).collect(),
            Value::Object(object) => Value::Object(self.redact_object(object)),
            // As in an answer, a number can be one too.
            Value::Number(number) if self.0.contains(&number.to_string()) => Value::from(REDACTED),
            other => other,
        }
    }
}

/// The arguments of a command with the names they go by: `--token x`, `--token=x`, `TOKEN=x`, `Authorization: x`; else none.
pub(super) fn named_arguments(args: &[String]) -> impl Iterator<Item = (&str, &str)> {
    args.iter().enumerate().flat_map(|(at, arg)| {
        let flag = at.checked_sub(1).map_or("", |before| args[before].as_str());
        let name = if flag.starts_with('-') && !flag.contains('=') { flag } else { "" };
        let whole = (!arg.starts_with('-')).then_some((name, arg.as_str()));
        // Both, for a token may end with `=` itself.
        [whole, arg.split_once('='), arg.split_once(": ")].into_iter().flatten()
    })
}

fn add(secrets: &mut Vec<String>, name: &str, value: &str) {
    let token = value.split_once(' ').map_or(value, |(_, token)| token.trim());
    if is_telling(name) || is_random(token) {
        secrets.extend([value.to_owned(), token.to_owned()]);
    }
}

/// What in an address may be secret, with the names it goes by, as it is written and as it is meant.
fn parts_of_address(value: &str) -> Vec<(String, String)> {
    let Some(url) = url::Url::parse(value).ok().filter(url::Url::has_host) else { return Vec::new() };
    let mut parts: Vec<(String, String)> = Vec::new();
    if let Some(password) = url.password() {
        parts.push(("password".to_owned(), password.to_owned()));
    }
    // Some services take the key as the user.
    parts.push((String::new(), url.username().to_owned()));
    parts.extend(url.path().split('/').map(|segment| (String::new(), segment.to_owned())));
    parts.extend(url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())));
    let written = url.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    parts.extend(written.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let meant: Vec<_> = parts.iter().map(|(name, value)| (name.clone(), percent_decoded(value))).collect();
    parts.extend(meant);
    parts
}

fn percent_decoded(text: &str) -> String {
    // As the value of a query, save that `+` is no space.
    let value = format!("={}", text.replace('+', "%2B").replace('&', "%26"));
    url::form_urlencoded::parse(value.as_bytes()).next().map(|(_, decoded)| decoded.into_owned()).unwrap_or_default()
}

/// The text as it stands within a JSON string.
fn escaped(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// The same JSON with its strings escaped as [`escaped`] does it, so that a secret has one form only. Numbers stay as they
/// are, to the digit.
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

/// The character that an escape at the beginning stands for, where it is not half of one or the usual short form; and the
/// length of the escape in bytes.
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

    #[test]
    fn a_secret_is_found_however_the_upstream_escapes_it() {
        let secrets = Secrets::among([("TOKEN", "ab/cd\u{e9}\u{1f511}\"x")]);
        let redacted = |text: &str| {
            let json = RawValue::from_string(text.to_owned()).unwrap();
            secrets.redact_json(json).unwrap().get().to_owned()
        };
        for form in [
            "ab/cd\u{e9}\u{1f511}\\\"x",
            r#"ab\/cd\u00e9\ud83d\udd11\"x"#,
            r#"\u0061b\u002Fcd\u00E9\uD83D\uDD11\u0022\u0078"#,
            r#"ab\u002fcd\u00e9\ud83d\udd11\"\u0078"#,
        ] {
            let json = format!(r#"{{"{form}": [12345678901234567890.10, "\ud83d \n{form}\ud83d"]}}"#);
            assert_eq!(redacted(&json), r#"{"[redacted]": [12345678901234567890.10, "\ud83d \n[redacted]\ud83d"]}"#, "{form}");
        }
        // As JSON within a text, and within JSON.
        let nested = serde_json::json!({"error": "bad ab/cd\u{e9}\u{1f511}\"x"}).to_string();
        for text in [nested.clone(), nested.replace('/', "\\/")] {
            assert_eq!(secrets.redact(&text), r#"{"error":"bad [redacted]"}"#);
            assert_eq!(redacted(&Value::from(text.as_str()).to_string()), r#""{\"error\":\"bad [redacted]\"}""#);
        }
    }

    #[test]
    fn the_secrets_of_a_command_line_are_those_that_a_name_tells_or_that_look_random() {
        let args = [
            "server.js",
            "--token",
            "tok-111111",
            "--api-key=tok-222222",
            "-H",
            "Authorization: Bearer tok-333333==",
            "DB_PASSWORD=tok-444444",
            "k3f9a8b7c6d5e4f3a2b1c0",
            "postgres://me:tok-555555@db.example/sales",
            "--auth",
            "--verbose",
            "--log-level-of-stage-2=debug",
            "--name",
            "visible",
        ]
        .map(str::to_owned);
        let secrets = Secrets::among(named_arguments(&args));
        let said = "tok-111111 tok-222222 tok-333333== tok-444444 k3f9a8b7c6d5e4f3a2b1c0 tok-555555";
        assert_eq!(secrets.redact(said), ["[redacted]"; 6].join(" "));
        let plain = "server.js --token --api-key --verbose --log-level-of-stage-2=debug db.example sales visible";
        assert_eq!(secrets.redact(plain), plain);
    }

    #[test]
    fn the_secrets_of_an_address_are_its_password_and_what_its_query_and_path_hide() {
        let url = "https://me:pw%2F12345@host.example/mcp/k3f9a8b7c6d5e4f3a2b1c0?token=tok%2B123456&mode=readonly";
        let secrets = Secrets::among([("url", url)]);
        let said = "pw/12345 pw%2F12345 k3f9a8b7c6d5e4f3a2b1c0 tok+123456 tok%2B123456";
        assert_eq!(secrets.redact(said), ["[redacted]"; 5].join(" "));
        assert_eq!(secrets.redact("host.example mcp readonly"), "host.example mcp readonly");
    }
}
