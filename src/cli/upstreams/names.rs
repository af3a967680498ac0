//! Names of upstreams, made from what they are.

use url::Url;

use super::secret;
use crate::model::is_reserved_namespace;

/// Options of `docker run` and its like that take a value.
const TAKES_VALUE: [&str; 16] = [
    "-e",
    "--env",
    "--env-file",
    "-v",
    "--volume",
    "--mount",
    "--network",
    "--net",
    "--name",
    "-p",
    "--publish",
    "-u",
    "--user",
    "-w",
    "--workdir",
    "--platform",
];
/// Longest name that is made, in characters.
const NAME_CHARS_MAX: usize = 48;

/// `https://mcp.linear.app/mcp`: `linear`.
pub(super) fn name_of_host(url: &Url) -> String {
    let Some(url::Host::Domain(host)) = url.host() else { return "local".to_owned() };
    let labels: Vec<_> = host
        .split('.')
        .filter(|label| !matches!(*label, "api" | "mcp" | "www" | "graphql" | "app"))
        .collect();
    match labels.as_slice() {
        // The last one is the top level, unless it is all there is.
        [.., name, _] => (*name).to_owned(),
        [only] => (*only).to_owned(),
        [] => host.split('.').next().unwrap_or("local").to_owned(),
    }
}

/// `npx -y @modelcontextprotocol/server-everything@1`: `everything`.
pub(super) fn name_of_command(target: &[String]) -> String {
    let runner = matches!(
        target[0].as_str(),
        "npx" | "uvx" | "bunx" | "pnpx" | "node" | "python" | "python3" | "deno" | "docker"
    );
    let skipped = usize::from(runner && target.len() > 1);
    let words = target.iter().enumerate().skip(skipped).filter(|(at, word)| {
        let before = at.checked_sub(1).map_or("", |before| target[before].as_str());
        !word.starts_with('-')
            && !word.contains('=')
            && !TAKES_VALUE.contains(&before)
            && !matches!(word.as_str(), "run" | "exec" | "dlx")
            // A name is shown everywhere.
            && secret::in_argument(before, word).is_none()
            && !secret::looks_like_token(word)
    });
    let word = words.map(|(_, word)| word).next();
    let word = word.unwrap_or(&target[0]).trim_end_matches('/');
    let last = word.rsplit('/').next().unwrap_or(word);
    let bare = last.split(['@', ':']).find(|part| !part.is_empty()).unwrap_or(last);
    let bare = bare
        .trim_end_matches(".js")
        .trim_end_matches(".mjs")
        .trim_end_matches(".py")
        .trim_end_matches(".ts");
    let parts: Vec<_> = bare
        .split(['-', '_', '.'])
        .filter(|part| !matches!(*part, "mcp" | "server" | ""))
        .collect();
    if parts.is_empty() { bare.to_owned() } else { parts.join("-") }
}

/// The name as the configuration allows it, and one that is free.
pub(super) fn free_name(made: &str, taken: impl Fn(&str) -> bool) -> String {
    let mut name: String = made
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' })
        .take(NAME_CHARS_MAX)
        .collect();
    if !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        name.insert(0, '_');
    }
    let is_free = |name: &str| !taken(name) && !is_reserved_namespace(name);
    if is_free(&name) {
        return name;
    }
    // There are fewer upstreams than numbers.
    (2..10_000u32)
        .map(|number| format!("{name}-{number}"))
        .find(|name| is_free(name))
        .unwrap_or(name)
}

#[cfg(test)]
mod tests;
