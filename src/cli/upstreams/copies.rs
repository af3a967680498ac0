//! Whether an upstream is configured already, under whatever name.

use crate::config::{Config, Transport, Upstream};

/// The configured upstream that is the same server.
pub(super) fn copy_of<'c>(config: &'c Config, new: &Upstream) -> Option<&'c Upstream> {
    config.upstreams.iter().find(|known| is_same(&known.transport, &new.transport))
}

/// Returns true if both are one server: also with another credential, or another version of the
/// program.
fn is_same(a: &Transport, b: &Transport) -> bool {
    let address = |url: &url::Url| url.as_str().trim_end_matches('/').to_owned();
    match (a, b) {
        (
            Transport::Stdio { command: a, args: a_args, cwd: a_cwd, .. },
            Transport::Stdio { command: b, args: b_args, cwd: b_cwd, .. },
        ) => words(a, a_args) == words(b, b_args) && a_cwd == b_cwd,
        (Transport::Http { url: a }, Transport::Http { url: b }) => address(a) == address(b),
        (Transport::GraphQl { url: a, .. }, Transport::GraphQl { url: b, .. }) => {
            address(a) == address(b)
        }
        (
            Transport::OpenApi { spec: a, base_url: a_base, .. },
            Transport::OpenApi { spec: b, base_url: b_base, .. },
        ) => a == b && a_base.as_ref().map(address) == b_base.as_ref().map(address),
        _ => false,
    }
}

/// The words of a command without what does not tell servers apart.
fn words(command: &str, args: &[String]) -> Vec<String> {
    let name = command.rsplit('/').next().unwrap_or(command).to_owned();
    let args = args.iter().filter(|arg| !matches!(arg.as_str(), "-y" | "--yes" | "--"));
    std::iter::once(name).chain(args.map(|arg| without_version(arg).to_owned())).collect()
}

/// `@scope/package@1.2.3` as `@scope/package`.
fn without_version(word: &str) -> &str {
    let is_version =
        |version: &str| version == "latest" || version.starts_with(|c: char| c.is_ascii_digit());
    match word.rsplit_once('@') {
        Some((package, version)) if !package.is_empty() && is_version(version) => package,
        _ => word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(line: &str) -> Transport {
        let mut words = line.split(' ').map(str::to_owned);
        Transport::Stdio {
            command: words.next().unwrap_or_default(),
            args: words.collect(),
            cwd: None,
            env: [].into(),
            env_secret: [].into(),
            env_pass: vec![],
        }
    }

    #[test]
    fn a_second_copy_is_known_whatever_its_version() {
        for (a, b) in [
            ("npx -y @x/server-time", "npx @x/server-time@latest"),
            ("/usr/bin/mcp-server-time", "mcp-server-time"),
            ("uvx mcp-server-git@2025.1.1 --repository .", "uvx mcp-server-git --repository ."),
        ] {
            assert!(is_same(&program(a), &program(b)), "{a}; {b}");
        }
        for (a, b) in [
            ("npx -y @x/server-time", "npx -y @x/server-git"),
            ("uvx mcp-server-git --repository a", "uvx mcp-server-git --repository b"),
        ] {
            assert!(!is_same(&program(a), &program(b)), "{a}; {b}");
        }
        let http = |url: &str| Transport::Http { url: url::Url::parse(url).unwrap() };
        assert!(is_same(&http("https://h.example/mcp"), &http("https://h.example/mcp/")));
        assert!(!is_same(&http("https://h.example/mcp"), &http("https://h.example/sse")));
    }
}
