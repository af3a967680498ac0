//! Which values are secrets. In doubt one is: a value that is kept encrypted without need does no
//! harm. Decides only; stores and prints nothing.

mod looks;
mod mixed;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use url::Url;

pub(super) use self::{
    looks::is_telling,
    mixed::{VARIABLE, is_beside_variables},
};
use self::{
    looks::{
        RANDOM_CHARS_MIN, RUN_CHARS_MAX, SCHEMES, has_known_beginning, is_plain_run, is_random,
        is_switch, runs, words,
    },
    mixed::{has_own_part, pairs},
};

/// Headers whose values are never secrets.
const HARMLESS_HEADERS: [&str; 6] = [
    "accept",
    "accept-language",
    "accept-encoding",
    "content-type",
    "user-agent",
    "mcp-protocol-version",
];

/// Returns true if the value of an environment variable is to be kept as a secret.
pub(super) fn is_secret_variable(name: &str, value: &str) -> bool {
    if value.is_empty() || is_switch(value) || is_file(value) {
        return false;
    }
    is_telling(name) || !is_plain(value)
}

/// Returns true if a text looks like a secret whatever its name.
pub(super) fn looks_like_token(text: &str) -> bool {
    has_known_beginning(text.trim()) || is_random(text)
}

/// Returns true for a header whose values are never secrets.
pub(super) fn is_harmless_header(name: &str) -> bool {
    HARMLESS_HEADERS.contains(&name.to_ascii_lowercase().as_str())
}

/// Returns true if the value of a header is to be kept as a secret.
pub(super) fn is_secret_header(name: &str, value: &str) -> bool {
    !is_harmless_header(name) && !value.is_empty() && (is_telling(name) || !is_plain(value))
}

/// Returns true if a query parameter of a URL is a secret.
pub(super) fn is_secret_parameter(name: &str, value: &str) -> bool {
    let names_it = words(name).iter().any(|word| is_telling(word));
    !value.is_empty()
        && !is_switch(value)
        && (names_it || is_random(value) || has_known_beginning(value))
}

/// Returns true if a part of the path of a URL is a secret.
pub(super) fn is_secret_segment(segment: &str) -> bool {
    has_known_beginning(segment) && segment.len() >= RANDOM_CHARS_MIN || is_random(segment)
}

/// Returns true if the commands of a shell hold a secret, and not only a variable with one.
pub(super) fn in_script(script: &str) -> bool {
    let words: Vec<&str> = script
        .split(|c: char| c.is_whitespace() || "\"';|&()<>".contains(c))
        .filter(|word| !word.is_empty())
        .collect();
    let before = std::iter::once("").chain(words.iter().copied());
    before.zip(&words).any(|(before, word)| {
        in_argument(before, word)
            // What a variable of the shell holds is not in the commands.
            .is_some_and(|(range, _)| has_own_part(&without_shell_variables(&word[range])))
    })
}

/// The text without the names of variables: `a${NAME:-b}$C` as `a:-b}`.
fn without_shell_variables(text: &str) -> String {
    let mut parts = text.split('$');
    let mut left = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let part = part.strip_prefix('{').unwrap_or(part);
        left.push_str(part.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_'));
    }
    left
}

/// The part of an argument that is a secret, as a range of its bytes, and a name for it; `flag` is
/// the argument before it. The commands behind `-c` are no argument.
pub(super) fn in_argument(flag: &str, arg: &str) -> Option<(std::ops::Range<usize>, String)> {
    if flag == "-c" {
        return None;
    }
    let whole = |name: &str| Some((0..arg.len(), name.to_owned()));
    let from = |start: usize, name: &str| Some((start..arg.len(), name.to_owned()));
    // A flag with its value, a variable with its value.
    if let Some((name, value)) = arg.split_once('=')
        && !name.is_empty()
        && !name.contains("://")
        && is_secret_argument(name, value)
    {
        return from(name.len() + 1, name);
    }
    // A header.
    if let Some((name, value)) = arg.split_once(':')
        && !value.starts_with("//")
        && !name.contains(['/', '@', ' '])
        && (is_telling(name) && !value.trim().is_empty() && !is_switch(value.trim()))
    {
        let start = arg.len() - value.trim_start().len();
        // The scheme of a credential may be read.
        let scheme = SCHEMES.iter().find(|scheme| arg[start..].starts_with(**scheme));
        return from(start + scheme.map_or(0, |scheme| scheme.len()), name);
    }
    if flag.starts_with('-') && !flag.contains('=') && !arg.starts_with('-') {
        let name = flag.trim_start_matches('-');
        if is_secret_argument(name, arg) {
            // A letter names nothing.
            return whole(if name.len() > 1 { name } else { "secret" });
        }
    }
    if let Ok(url) = Url::parse(arg)
        && url.has_host()
        && has_secret(&url)
    {
        return whole(&format!("{}_url", url.scheme()));
    }
    let is_secret = has_known_beginning(arg) && arg.len() >= RANDOM_CHARS_MIN
        || is_random(arg)
        // As in `Server=db;Password=x`.
        || pairs(arg)
            .any(|pair| pair.sign == "=" && is_secret_argument(pair.name, pair.value));
    is_secret.then(|| (0..arg.len(), "secret".to_owned()))
}

fn is_secret_argument(name: &str, value: &str) -> bool {
    let weak = ["auth", "session", "signature", "sig", "pass", "key", "keys", "cookie", "pin"];
    let is_weak = words(name).last().is_some_and(|last| weak.contains(&last.as_str()))
        && !words(name).iter().any(|word| matches!(word.as_str(), "api" | "access" | "private"));
    let switched = value.is_empty() || is_switch(value) || is_file(value);
    !switched && is_telling(name) && (!is_weak || !is_plain(value) || value.len() >= 12)
        || !switched && has_known_beginning(value) && value.len() >= RANDOM_CHARS_MIN
        || Url::parse(value).is_ok_and(|url| url.has_host() && has_secret(&url))
}

/// Returns true if a URL holds a secret anywhere.
pub(super) fn has_secret(url: &Url) -> bool {
    url.password().is_some()
        || is_random(url.username())
        || has_known_beginning(url.username())
        || url.query_pairs().any(|(name, value)| is_secret_parameter(&name, &value))
        || url.path_segments().into_iter().flatten().any(is_secret_segment)
}

/// User and password of a `Basic` credential.
pub(super) fn basic(credential: &str) -> Option<(String, String)> {
    let decoded = STANDARD.decode(credential.trim()).ok()?;
    let (user, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// Returns true for the path of something that exists.
pub(super) fn is_file(value: &str) -> bool {
    value.starts_with(['/', '.']) && std::path::Path::new(value).exists()
}

/// Returns true for words, numbers, dates, versions, paths, addresses and lists of them: for what
/// people write by hand.
fn is_plain(value: &str) -> bool {
    if has_known_beginning(value) {
        return false;
    }
    if let Ok(url) = Url::parse(value)
        && url.has_host()
    {
        return !has_secret(&url) && url.username().is_empty() && url.fragment().is_none();
    }
    let allowed = |c: char| c.is_alphanumeric() || " _.,:;/@+-~*[]".contains(c);
    value.chars().all(allowed) && runs(value).all(|run| is_plain_run(run, RUN_CHARS_MAX))
}

#[cfg(test)]
mod tests;
