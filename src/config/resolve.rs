//! Turns the keys into what the program works with, and refuses what no schema can tell: addresses, databases, upstreams whose
//! keys do not belong together, secrets that are not there.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use url::Url;

use super::{
    Secret, Server, Store, Transport, Upstream,
    error::{Origin, Problem},
    keys::{Auth, SecretSource, ServerKeys, StoreKeys, UpstreamKeys},
    source::{Layers, user_folder},
};

/// Names that mean something else under `tools`.
const RESERVED_NAMES: [&str; 4] = ["discover", "catalog", "describe", "then"];
/// Longest name of an upstream, in characters.
const NAME_CHARS_MAX: usize = 64;

/// Collects problems while it resolves.
pub(super) struct Resolver<'a> {
    pub(super) layers: &'a Layers,
    pub(super) variables: &'a BTreeMap<String, String>,
    /// The folder that relative paths outside of a file count from.
    pub(super) folder: &'a Path,
    pub(super) problems: Vec<Problem>,
}

impl Resolver<'_> {
    pub(super) fn refuse(&mut self, path: &[&str], message: String) {
        let path: Vec<String> = path.iter().map(|&key| key.to_owned()).collect();
        self.problems.push(Problem { origin: self.layers.origin(&path), message });
    }

    /// Only loopback: this version cannot tell callers apart.
    pub(super) fn server(&mut self, keys: &ServerKeys) -> Server {
        let numeric = keys.listen.replacen("localhost:", "127.0.0.1:", 1);
        let listen = numeric.parse::<SocketAddr>().unwrap_or_else(|_| {
            let message = format!("`server.listen` is \"{}\"; allowed: ADDRESS:PORT, such as \"127.0.0.1:7411\"", keys.listen);
            self.refuse(&["server", "listen"], message);
            SocketAddr::from(([127, 0, 0, 1], 0))
        });
        if !listen.ip().is_loopback() {
            let message = format!(
                "`server.listen` is \"{listen}\", beyond loopback, which needs authentication that this version does not have; \
                 allowed: an address of 127.0.0.0/8 or [::1]; to reach it from elsewhere, put an SSH tunnel in front",
            );
            self.refuse(&["server", "listen"], message);
        }
        for origin in &keys.allowed_origins {
            let plain = Url::parse(origin).is_ok_and(|url| url.origin().ascii_serialization() == *origin);
            if !plain {
                let message =
                    format!("`server.allowed_origins` holds \"{origin}\"; allowed: origins such as \"https://name:port\"");
                self.refuse(&["server", "allowed_origins"], message);
            }
        }
        Server { listen, allowed_hosts: keys.allowed_hosts.clone(), allowed_origins: keys.allowed_origins.clone() }
    }

    pub(super) fn store(&mut self, keys: &StoreKeys) -> Store {
        let path = match &keys.url {
            Some(url) => self.database(url),
            None => {
                let folder = user_folder(self.variables, "XDG_DATA_HOME", ".local/share");
                if folder.is_none() {
                    let message = "`store.url` is not set, and neither XDG_DATA_HOME nor HOME says where the user's data folder is; set `store.url`";
                    self.refuse(&["store", "url"], message.into());
                }
                folder.map(|folder| folder.join("airlock/airlock.db"))
            }
        };
        Store { path: path.unwrap_or_default(), synchronous: keys.synchronous }
    }

    fn database(&mut self, url: &str) -> Option<PathBuf> {
        if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            let message = "`store.url` names a Postgres database, which is not in this version; allowed: \"sqlite://PATH\"";
            self.refuse(&["store", "url"], message.into());
            return None;
        }
        let path = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:")).unwrap_or_default();
        if path.is_empty() || path.contains(['?', '\0']) || path.ends_with('/') || path == ":memory:" {
            self.refuse(&["store", "url"], format!("`store.url` is \"{url}\"; allowed: \"sqlite://PATH\" with the path of a file"));
            return None;
        }
        let origin = self.layers.origin(&["store".into(), "url".into()]);
        let base = match &origin {
            Origin::File(file, _) => file.parent().map(|folder| self.folder.join(folder)).unwrap_or_default(),
            _ => self.folder.to_path_buf(),
        };
        Some(base.join(path))
    }

    pub(super) fn upstream(&mut self, name: &str, keys: &UpstreamKeys) -> Option<Upstream> {
        let before = self.problems.len();
        self.check_name(name);
        let transport = match (&keys.command, &keys.url) {
            (Some(command), None) => self.stdio(name, keys, command),
            (None, Some(url)) => self.http(name, keys, url),
            (Some(_), Some(_)) => {
                self.refuse(&["upstreams", name], format!("`upstreams.{name}` has both `command` and `url`; keep one of them"));
                None
            }
            (None, None) => {
                let message =
                    format!("`upstreams.{name}` has neither `command` (a program to start) nor `url` (a server to connect to)");
                self.refuse(&["upstreams", name], message);
                None
            }
        };
        let transport = transport.filter(|_| self.problems.len() == before)?;
        let UpstreamKeys { call_timeout_ms, start_timeout_ms, .. } = *keys;
        Some(Upstream { name: name.to_owned(), transport, call_timeout_ms, start_timeout_ms })
    }

    fn check_name(&mut self, name: &str) {
        let mut characters = name.chars();
        let first = characters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
        let rest = characters.all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        if !first || !rest || name.len() > NAME_CHARS_MAX {
            let message = format!(
                "`{name}` cannot name an upstream; allowed: a letter or `_`, then letters, digits, `_` or `-`, at most {NAME_CHARS_MAX} characters"
            );
            self.refuse(&["upstreams", name], message);
        } else if RESERVED_NAMES.contains(&name) {
            let message = format!("`{name}` cannot name an upstream: `tools.{name}` means something else; choose another name");
            self.refuse(&["upstreams", name], message);
        }
    }

    fn stdio(&mut self, name: &str, keys: &UpstreamKeys, command: &str) -> Option<Transport> {
        if command.trim().is_empty() {
            self.refuse(&["upstreams", name, "command"], format!("`upstreams.{name}.command` is empty; name a program"));
        }
        if !keys.headers.is_empty() || keys.auth.is_some() {
            let key = if keys.auth.is_some() { "auth" } else { "headers" };
            let message = format!("`upstreams.{name}.{key}` belongs to an upstream with `url`; for one with `command` use `env`");
            self.refuse(&["upstreams", name, key], message);
        }
        let env = self.secrets(name, "env", &keys.env);
        Some(Transport::Stdio { command: command.to_owned(), args: keys.args.clone(), env, env_pass: keys.env_pass.clone() })
    }

    fn http(&mut self, name: &str, keys: &UpstreamKeys, url: &str) -> Option<Transport> {
        let used = [("args", !keys.args.is_empty()), ("env", !keys.env.is_empty()), ("env_pass", !keys.env_pass.is_empty())];
        for (key, _) in used.into_iter().filter(|(_, used)| *used) {
            let message = format!("`upstreams.{name}.{key}` belongs to an upstream with `command`; this one has `url`");
            self.refuse(&["upstreams", name, key], message);
        }
        let parsed = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let Some(parsed) = parsed else {
            let message =
                format!("`upstreams.{name}.url` is not an address; allowed: \"https://HOST/PATH\" or \"http://HOST/PATH\"");
            self.refuse(&["upstreams", name, "url"], message);
            return None;
        };
        if !parsed.username().is_empty() || parsed.password().is_some() {
            let message = format!("`upstreams.{name}.url` holds a user or a password; give them in `auth` or `headers` instead");
            self.refuse(&["upstreams", name, "url"], message);
        }
        let mut headers = self.secrets(name, "headers", &keys.headers);
        for header in keys.headers.keys() {
            if http::HeaderName::from_bytes(header.as_bytes()).is_err() {
                let message = format!("`upstreams.{name}.headers` holds `{header}`, which is not the name of an HTTP header");
                self.refuse(&["upstreams", name, "headers", header], message);
            }
        }
        if let Some(Auth::Bearer(source)) = &keys.auth {
            let token = self.secret(&["upstreams", name, "auth"], source)?;
            let given = headers.insert("authorization".into(), Secret::new(format!("Bearer {}", token.expose())));
            if given.is_some() || keys.headers.keys().any(|header| header.eq_ignore_ascii_case("authorization")) {
                let message = format!("`upstreams.{name}` has both `auth` and an `Authorization` header; keep one of them");
                self.refuse(&["upstreams", name, "auth"], message);
            }
        }
        Some(Transport::Http { url: parsed, headers })
    }

    fn secrets(&mut self, name: &str, key: &str, sources: &BTreeMap<String, SecretSource>) -> BTreeMap<String, Secret> {
        let found = sources.iter().filter_map(|(entry, source)| {
            let secret = self.secret(&["upstreams", name, key, entry], source)?;
            Some((entry.clone(), secret))
        });
        found.collect()
    }

    fn secret(&mut self, path: &[&str], source: &SecretSource) -> Option<Secret> {
        match source {
            SecretSource::Text(text) => Some(Secret::new(text.clone())),
            SecretSource::Variable(variable) => {
                let value = self.variables.get(&variable.env);
                if value.is_none() {
                    let message =
                        format!("`{}` takes the environment variable `{}`, which is not set", path.join("."), variable.env);
                    self.refuse(path, message);
                }
                value.map(|value| Secret::new(value.clone()))
            }
        }
    }
}
