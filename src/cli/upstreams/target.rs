//! What is to be added: a URL, a document, a list of servers of an MCP client, or a program. Looks
//! at the file system and changes nothing.

use std::path::{Path, PathBuf};

use super::{client_file, program, template::Template};
use crate::{
    app::Failure,
    base::{file, text::decoded},
    catalog::{DocumentKind, UnusableDocument, document_kind},
    config::{Environment, ProcessEnvironment},
};

/// Largest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Endings of files that are no programs, and no domains of a service.
const FILE_ENDINGS: [&str; 18] = [
    "json", "jsonc", "yaml", "yml", "toml", "graphql", "graphqls", "gql", "sdl", "py", "js", "mjs",
    "cjs", "ts", "sh", "jar", "rb", "md",
];

/// What is to be added.
#[derive(Debug)]
pub(super) enum Target {
    /// A URL; whether it names its scheme.
    Url(Template),
    /// A document, by its absolute path.
    Document(PathBuf, DocumentKind),
    /// A program and its arguments.
    Program(Vec<String>),
}

/// Finds out what a single word on the command line means.
pub(super) fn of_word(word: &str) -> Result<Target, Failure> {
    if word.trim().is_empty() {
        return Err(Failure::other("the target is empty").hint(FORMS));
    }
    if let Some((scheme, _)) = word.split_once("://") {
        if !matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https") {
            // What follows may hold a secret.
            return Err(Failure::other(format!(
                "`{scheme}://…` is not a URL of a service; allowed: https://HOST/PATH or \
                http://HOST/PATH"
            )));
        }
        return Ok(Target::Url(Template::text(word)));
    }
    let path = Path::new(word);
    if path.is_file() {
        return of_file(path);
    }
    if path.is_dir() && word.contains('/') {
        return Err(Failure::other(format!("`{word}` is a folder")).hint(FORMS));
    }
    if word.contains(char::is_whitespace) {
        return command_line(word);
    }
    let found = !word.contains('/') && find(word).is_some();
    if !found && let Some(url) = address(word) {
        return Ok(Target::Url(Template::text(url)));
    }
    if has_file_ending(path) {
        return Err(no_file(path));
    }
    of_program(vec![word.to_owned()])
}

/// Words behind `--`, or several of them: a program and its arguments.
pub(super) fn of_program(mut words: Vec<String>) -> Result<Target, Failure> {
    if words.len() == 1 && words[0].contains(char::is_whitespace) && !Path::new(&words[0]).is_file()
    {
        return command_line(&words[0]);
    }
    if find(&words[0]).is_none() {
        let (message, hint) = program::missing(&words[0]);
        return Err(Failure::other(message).hint(hint));
    }
    // A server is started in another folder.
    if words[0].contains('/')
        && let Ok(path) = std::path::absolute(&words[0])
    {
        words[0] = path.display().to_string();
    }
    Ok(Target::Program(words))
}

const FORMS: &str = "give a URL, the file of an OpenAPI document or a GraphQL schema, or a \
    program: `-- npx -y PACKAGE`";

fn find(name: &str) -> Option<PathBuf> {
    let path = ProcessEnvironment.variables().remove("PATH").unwrap_or_default();
    program::find(name, &path)
}

/// A whole command line in one word, without what only a shell does.
fn command_line(line: &str) -> Result<Target, Failure> {
    let needs_shell =
        line.contains(['|', '&', ';', '<', '>', '`', '\n', '(', ')']) || line.contains("$(");
    let split = shlex::split(line).filter(|words| !needs_shell && !words.is_empty());
    match split {
        Some(words) if words.len() > 1 => of_program(words),
        _ => Err(Failure::other("the command line is not one program with its arguments")
            .hint("give the words after `--`, or a shell: `-- sh -c 'COMMANDS'`")),
    }
}

/// What a file holds, or the program that it is.
fn of_file(path: &Path) -> Result<Target, Failure> {
    let whole = std::path::absolute(path).map_err(|error| {
        Failure::other(format!("the path `{}` cannot be made absolute: {error}", path.display()))
    })?;
    let shown = path.display();
    let bytes = read(path)?;
    if let Err(error) = decoded(&bytes) {
        return match program::is_program(path) {
            true => Ok(Target::Program(vec![whole.display().to_string()])),
            false => Err(Failure::other(format!("`{shown}` cannot be read: {error}"))),
        };
    }
    if let Some(servers) = client_file::names(path, &bytes) {
        let count = servers.len();
        let s = if count == 1 { "" } else { "s" };
        return Err(Failure::other(format!(
            "`{shown}` lists {count} MCP server{s} of a client ({}); it is not one upstream",
            servers.iter().take(5).cloned().collect::<Vec<_>>().join(", ")
        ))
        .hint(format!("import them: airlock upstreams import {shown} --all")));
    }
    match document_kind(&bytes) {
        Ok(kind) => Ok(Target::Document(whole, kind)),
        Err(_) if program::is_program(path) => {
            Ok(Target::Program(vec![whole.display().to_string()]))
        }
        Err(error @ UnusableDocument::Faulty(..)) => {
            Err(Failure::other(format!("`{shown}` cannot be used: {error}")))
        }
        Err(UnusableDocument::Other) => {
            let hint = program::runner(&path.to_string_lossy()).map(|runner| {
                format!("a script is started by its interpreter: `-- {runner} {shown}`")
            });
            Err(Failure::other(format!(
                "`{shown}` is neither an OpenAPI document, nor a GraphQL schema, nor a list of MCP \
                servers, nor a program"
            ))
            .hint(hint.unwrap_or_else(|| FORMS.to_owned())))
        }
    }
}

/// Reads a file of the owner's, within a bound.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => no_file(path),
        _ => Failure::other(format!("`{}` cannot be read: {error}", path.display())),
    };
    file::read(path, FILE_BYTES_MAX).map_err(failed)
}

fn no_file(path: &Path) -> Failure {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    Failure::other(format!("there is no file `{}`", whole.display()))
}

fn has_file_ending(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    FILE_ENDINGS.contains(&ending.to_ascii_lowercase().as_str())
}

/// The URL that `host/path` or `host:port/path` stands for: http on this machine, else https.
pub(super) fn address(word: &str) -> Option<String> {
    let (authority, rest) = match word.find(['/', '?', '#']) {
        Some(at) => word.split_at(at),
        None => (word, ""),
    };
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (name, port) = match host.strip_prefix('[').and_then(|host| host.split_once(']')) {
        Some((name, rest)) => (name, rest.strip_prefix(':')),
        None => match host.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (host, None),
        },
    };
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return None;
    }
    let is_ip = name.parse::<std::net::IpAddr>();
    let is_local = name.eq_ignore_ascii_case("localhost")
        || name.to_ascii_lowercase().ends_with(".localhost")
        || is_ip.as_ref().is_ok_and(|ip| ip.is_loopback() || ip.is_unspecified());
    let labels: Vec<&str> = name.split('.').collect();
    let is_label =
        |label: &&str| !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || c == '-');
    let top = labels.last().copied().unwrap_or_default();
    let is_domain = labels.len() > 1
        && labels.iter().all(is_label)
        && top.len() > 1
        && top.chars().all(char::is_alphabetic)
        // Without a path or a port it may be the name of a file.
        && (!rest.is_empty() || port.is_some() || !FILE_ENDINGS.contains(&top));
    // A name and a port are a machine of the own network.
    let is_named = port.is_some() && labels.len() == 1 && labels.iter().all(is_label);
    let scheme = if is_local { "http" } else { "https" };
    (is_local || is_ip.is_ok() || is_domain || is_named).then(|| format!("{scheme}://{word}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_needs_no_scheme() {
        for (word, url) in [
            ("mcp.linear.app/mcp", "https://mcp.linear.app/mcp"),
            ("mcp.linear.app", "https://mcp.linear.app"),
            ("localhost:3000/mcp", "http://localhost:3000/mcp"),
            ("localhost", "http://localhost"),
            ("127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("[::1]:8080/mcp", "http://[::1]:8080/mcp"),
            ("10.0.0.7/mcp", "https://10.0.0.7/mcp"),
            ("shop:8443/graphql", "https://shop:8443/graphql"),
            ("docs.example.md/mcp", "https://docs.example.md/mcp"),
        ] {
            assert_eq!(address(word).as_deref(), Some(url), "{word}");
        }
        for word in [
            "npx",
            "schema.graphql",
            "openapi.json",
            "./server",
            "../a.b/c",
            "bin/server",
            "mcp-server-time",
            "host:port/x",
            "@scope/package",
            "server.py",
        ] {
            assert_eq!(address(word), None, "{word}");
        }
    }
}
