//! Which values are secrets. In doubt one is: a value that is kept encrypted without need does no
//! harm. Decides only; stores and prints nothing.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use url::Url;

/// Words that make a value a secret, as the last word of its name.
const TELLING: [&str; 27] = [
    "token",
    "secret",
    "secrets",
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "pwd",
    "pass",
    "key",
    "keys",
    "apikey",
    "pat",
    "pin",
    "credential",
    "credentials",
    "creds",
    "bearer",
    "authorization",
    "cookie",
    "cookies",
    "jwt",
    "dsn",
    "auth",
    "session",
    "signature",
    "sig",
];
/// Beginnings of the tokens of well-known services.
const BEGINNINGS: [&str; 34] = [
    "sk-",
    "sk_",
    "pk_",
    "rk_",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "xoxa-",
    "xoxc-",
    "xoxd-",
    "xoxe-",
    "xapp-",
    "AKIA",
    "ASIA",
    "AIza",
    "ya29.",
    "eyJ",
    "npm_",
    "pypi-",
    "hf_",
    "lin_api_",
    "ntn_",
    "whsec_",
    "dop_v1_",
    "shpat_",
    "figd_",
    "tvly-",
    "SG.",
];
/// Headers whose values are never secrets.
const HARMLESS_HEADERS: [&str; 6] = [
    "accept",
    "accept-language",
    "accept-encoding",
    "content-type",
    "user-agent",
    "mcp-protocol-version",
];
/// Longest run of letters or digits in a value that is no secret.
const RUN_CHARS_MAX: usize = 24;
/// Changes between letters and digits in such a run.
const CHANGES_MAX: usize = 1;
/// Shortest run in an argument that counts as random, in characters.
const RANDOM_CHARS_MIN: usize = 16;

/// The words of a name: `X-Api-Key`, `apiKey` and `API_KEY` alike.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for c in name.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && before.is_lowercase()) {
            words.push(String::new());
        }
        if c.is_alphanumeric() {
            words.last_mut().expect("there is one from the start").extend(c.to_lowercase());
        }
        before = c;
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Returns true if the name says that its value is a secret.
pub(super) fn is_telling(name: &str) -> bool {
    let words = words(name);
    let glued = ["token", "secret", "password", "passwd", "apikey"];
    words.last().is_some_and(|last| {
        TELLING.contains(&last.as_str()) || glued.iter().any(|word| last.ends_with(word))
    }) || words.iter().any(|word| matches!(word.as_str(), "password" | "secret" | "authorization"))
}

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

/// Returns true if the value of a header is to be kept as a secret.
pub(super) fn is_secret_header(name: &str, value: &str) -> bool {
    !HARMLESS_HEADERS.contains(&name.to_ascii_lowercase().as_str())
        && !value.is_empty()
        && (is_telling(name) || !is_plain(value))
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
        in_argument(before, word).is_some_and(|(range, _)| !word[range].starts_with('$'))
    })
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
        let scheme = ["Bearer ", "Basic ", "Token ", "token "];
        let scheme = scheme.iter().find(|scheme| arg[start..].starts_with(**scheme));
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
    (has_known_beginning(arg) && arg.len() >= RANDOM_CHARS_MIN || is_random(arg))
        .then(|| (0..arg.len(), "secret".to_owned()))
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
        || url.query_pairs().any(|(name, value)| is_secret_parameter(&name, &value))
        || url.path_segments().into_iter().flatten().any(is_secret_segment)
}

/// User and password of a `Basic` credential.
pub(super) fn basic(credential: &str) -> Option<(String, String)> {
    let decoded = STANDARD.decode(credential.trim()).ok()?;
    let (user, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

fn is_switch(value: &str) -> bool {
    matches!(
        value.to_ascii_lowercase().as_str(),
        "true" | "false" | "yes" | "no" | "on" | "off" | "none" | "null" | "auto" | "0" | "1"
    )
}

/// Returns true for the path of something that exists.
fn is_file(value: &str) -> bool {
    value.starts_with(['/', '.']) && std::path::Path::new(value).exists()
}

fn has_known_beginning(value: &str) -> bool {
    let value = value.trim_start_matches("Bearer ").trim_start_matches("token ");
    BEGINNINGS.iter().any(|beginning| value.starts_with(beginning))
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

fn runs(value: &str) -> impl Iterator<Item = &str> {
    value.split(|c: char| !c.is_alphanumeric()).filter(|run| !run.is_empty())
}

fn is_plain_run(run: &str, chars_max: usize) -> bool {
    run.chars().count() <= chars_max && changes(run) <= CHANGES_MAX
}

/// Changes between letters and digits.
fn changes(run: &str) -> usize {
    let kinds: Vec<bool> = run.chars().map(|c| c.is_numeric()).collect();
    kinds.windows(2).filter(|pair| pair[0] != pair[1]).count()
}

/// Returns true for a long run of letters and digits as only machines make them. A digest is
/// public.
fn is_random(value: &str) -> bool {
    let value = value.rsplit_once("sha256:").map_or(value, |(before, _)| before);
    let is_identifier = uuid::Uuid::try_parse(value).is_ok();
    is_identifier
        || runs(value).any(|run| run.chars().count() >= RANDOM_CHARS_MIN && changes(run) >= 3)
}

#[cfg(test)]
mod tests;
