//! Settings of an MCP server.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use crate::catalog::{
    credential::{config::SecretSource, vault::Vault},
    http::config::HttpAccess,
    upstream::response::ResponseLimits,
};

/// A command to run. It sees nothing of the server's environment but a short list of harmless names
/// and those in `env_pass`.
#[derive(Clone, Default)]
pub struct StdioConfig {
    /// The program: a path, or a name that is looked up in `PATH`.
    pub command: String,
    /// Its arguments. Values that a flag such as `--token` tells, or that look random, are blanked
    /// out of what it says.
    pub args: Vec<String>,
    /// Its working directory; none for the server's own.
    pub cwd: Option<PathBuf>,
    /// Variables with their values. Values that look like secrets, by name or by themselves, are
    /// blanked out of what it says.
    pub env: BTreeMap<String, String>,
    /// Variables whose values are secrets kept elsewhere, read at each start of the program.
    pub env_secret: BTreeMap<String, SecretSource>,
    /// The store that some of them are in.
    pub vault: Option<Vault>,
    /// Names of further variables that are taken from the server's environment; for their values
    /// the same holds.
    pub env_pass: Vec<String>,
    /// Size limits of its responses.
    pub response_limits: ResponseLimits,
}

/// An address and how it is reached.
#[derive(Clone, Default)]
pub struct HttpConfig {
    /// `http://…` or `https://…`, the endpoint itself. A password, and what looks secret in its
    /// path and query, is blanked out.
    pub url: String,
    /// Access to its URL.
    pub access: HttpAccess,
}

// Values may be secrets, so neither is printed with them.
impl fmt::Debug for StdioConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StdioConfig")
            .field("command", &self.command)
            .field("env", &self.env.keys())
            .field("env_secret", &self.env_secret)
            .field("env_pass", &self.env_pass)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for HttpConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpConfig").field("access", &self.access).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_printed_without_its_values() {
        let stdio = StdioConfig {
            env: [("TOKEN".to_owned(), "tok-123456".to_owned())].into(),
            ..StdioConfig::default()
        };
        let url = "https://host.example/mcp?key=tok-654321".to_owned();
        let headers = [("Authorization".to_owned(), "tok-123456".to_owned())].into();
        let http = HttpConfig { url, access: HttpAccess { headers, ..HttpAccess::default() } };
        let printed = format!("{stdio:?} {http:?}");
        assert!(
            printed.contains("TOKEN")
                && printed.contains("Authorization")
                && !printed.contains("tok-"),
            "{printed}"
        );
    }
}
