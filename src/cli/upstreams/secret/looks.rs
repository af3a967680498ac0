//! What names and texts look like: the words that tell of a secret, and the forms of tokens.

/// Words that make a value a secret, as the last word of its name.
const TELLING: [&str; 28] = [
    "token",
    "secret",
    "secrets",
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "pwd",
    "pw",
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
/// Schemes before a credential in a header.
pub(super) const SCHEMES: [&str; 6] =
    ["Bearer ", "bearer ", "Basic ", "basic ", "Token ", "token "];
/// Longest run of letters or digits in a value that is no secret.
pub(super) const RUN_CHARS_MAX: usize = 24;
/// Changes between letters and digits in such a run.
const CHANGES_MAX: usize = 1;
/// Shortest run in an argument that counts as random, in characters.
pub(super) const RANDOM_CHARS_MIN: usize = 16;

/// The words of a name: `X-Api-Key`, `apiKey` and `API_KEY` alike.
pub(super) fn words(name: &str) -> Vec<String> {
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
pub(in crate::cli::upstreams) fn is_telling(name: &str) -> bool {
    let words = words(name);
    let glued = ["token", "secret", "password", "passwd", "apikey"];
    words.last().is_some_and(|last| {
        TELLING.contains(&last.as_str()) || glued.iter().any(|word| last.ends_with(word))
    }) || words.iter().any(|word| matches!(word.as_str(), "password" | "secret" | "authorization"))
}

pub(super) fn is_switch(value: &str) -> bool {
    matches!(
        value.to_ascii_lowercase().as_str(),
        "true" | "false" | "yes" | "no" | "on" | "off" | "none" | "null" | "auto" | "0" | "1"
    )
}

pub(super) fn has_known_beginning(value: &str) -> bool {
    let value = value.trim_start_matches("Bearer ").trim_start_matches("token ");
    BEGINNINGS.iter().any(|beginning| value.starts_with(beginning))
}

pub(super) fn runs(value: &str) -> impl Iterator<Item = &str> {
    value.split(|c: char| !c.is_alphanumeric()).filter(|run| !run.is_empty())
}

pub(super) fn is_plain_run(run: &str, chars_max: usize) -> bool {
    run.chars().count() <= chars_max && changes(run) <= CHANGES_MAX
}

/// Changes between letters and digits.
pub(super) fn changes(run: &str) -> usize {
    let kinds: Vec<bool> = run.chars().map(|c| c.is_numeric()).collect();
    kinds.windows(2).filter(|pair| pair[0] != pair[1]).count()
}

/// Returns true for a long run of letters and digits as only machines make them. A digest is
/// public.
pub(super) fn is_random(value: &str) -> bool {
    let value = value.rsplit_once("sha256:").map_or(value, |(before, _)| before);
    let is_identifier = uuid::Uuid::try_parse(value).is_ok();
    is_identifier
        || runs(value).any(|run| run.chars().count() >= RANDOM_CHARS_MIN && changes(run) >= 3)
}
