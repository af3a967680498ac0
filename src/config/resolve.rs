//! Resolves the keys of the server, the store, approvals, the secret store and the sandbox, and
//! checks what a JSON Schema cannot: addresses, database URLs, paths.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use url::Url;

use super::{
    error::{Origin, Problem},
    keys::{Sandbox, SecretsKeys, ServerKeys, StoreKeys},
    resolved::{Secret, SecretKey, SecretStore, Server, Store, UnsetVariable},
    source::{Layers, user_file, user_folder, whole_path},
};
use crate::base::digest::sha256;

/// Most characters of a folder's name in the path of its database.
const NAME_CHARS_MAX: usize = 40;

/// Resolves keys to values and collects problems.
pub(super) struct Resolver<'a> {
    pub(super) layers: &'a Layers,
    pub(super) variables: &'a BTreeMap<String, String>,
    /// Folder of relative paths that are not in a file.
    pub(super) folder: &'a Path,
    /// File that was read.
    pub(super) file: Option<&'a Path>,
    pub(super) problems: Vec<Problem>,
    /// References of the present upstream to variables that are not set.
    pub(super) unset: Vec<UnsetVariable>,
}

impl Resolver<'_> {
    /// Records a problem at a path.
    pub(super) fn report(&mut self, path: &[&str], message: String) {
        let path: Vec<String> = path.iter().map(|&key| key.to_owned()).collect();
        self.problems.push(Problem { origin: self.layers.origin(&path), message });
    }

    /// Resolves `[server]`. Only loopback addresses are allowed, because this version has no
    /// authentication.
    pub(super) fn server(&mut self, keys: &ServerKeys) -> Server {
        let numeric = keys.listen.replacen("localhost:", "127.0.0.1:", 1);
        let listen = numeric.parse::<SocketAddr>().unwrap_or_else(|_| {
            let message = format!(
                "`server.listen` is \"{}\"; allowed: ADDRESS:PORT, such as \"127.0.0.1:7411\"",
                keys.listen
            );
            self.report(&["server", "listen"], message);
            SocketAddr::from(([127, 0, 0, 1], 0))
        });
        if !listen.ip().is_loopback() {
            let message = format!(
                "`server.listen` is \"{listen}\", which is not a loopback address; others need \
                authentication, which this version does not have; \
                 allowed: an address of 127.0.0.0/8 or [::1]; use an SSH tunnel to connect from \
                another machine",
            );
            self.report(&["server", "listen"], message);
        }
        for origin in keys.allowed_origins.iter().filter(|origin| !is_origin(origin)) {
            let message = format!(
                "`server.allowed_origins` contains \"{origin}\"; allowed: origins as clients send \
                them, such as \"https://name:port\", \"app://name\", \"file://\" or \"null\""
            );
            self.report(&["server", "allowed_origins"], message);
        }
        Server {
            listen,
            allowed_hosts: keys.allowed_hosts.clone(),
            allowed_origins: keys.allowed_origins.clone(),
        }
    }

    pub(super) fn store(&mut self, keys: &StoreKeys) -> Store {
        let path = match &keys.url {
            Some(url) => self.database(url),
            None => {
                let folder = user_folder(self.variables, "XDG_DATA_HOME", ".local/share");
                if folder.is_none() {
                    let message = "`store.url` is not set, and neither XDG_DATA_HOME nor HOME \
                        gives the user's data folder; set `store.url`";
                    self.report(&["store", "url"], message.into());
                }
                folder.map(|folder| folder.join("airlock").join(self.default_database()))
            }
        };
        let path = path.unwrap_or_default();
        let state_dir = match &keys.state_dir {
            Some(folder) => self.absolute(&["store", "state_dir"], folder),
            None => path.parent().map(Path::to_path_buf).unwrap_or_default(),
        };
        Store { path, state_dir, synchronous: keys.synchronous }
    }

    /// Returns the path of the database below the user's data folder. A file elsewhere than in the
    /// user's configuration folder has a database of its own, so that no command is handed to a
    /// server with another configuration.
    fn default_database(&self) -> PathBuf {
        let users = user_file(self.variables).map(|file| whole_path(&file));
        let file = self.file.map(whole_path).filter(|file| Some(file) != users.as_ref());
        let Some(file) = file else { return "airlock.db".into() };
        let digest = sha256(file.as_os_str().as_encoded_bytes());
        let folder = file.parent().and_then(Path::file_name).unwrap_or_default();
        let is_plain = |c: &char| c.is_alphanumeric() || matches!(c, '-' | '_');
        let name: String =
            folder.to_string_lossy().chars().filter(is_plain).take(NAME_CHARS_MAX).collect();
        PathBuf::from("configurations").join(format!("{name}-{}", &digest[..16])).join("airlock.db")
    }

    pub(super) fn sandbox(&mut self, keys: Sandbox) -> Sandbox {
        let deno = keys
            .deno
            .as_ref()
            .map(|path| self.absolute(&["sandbox", "deno"], &path.to_string_lossy()));
        let deno_sha256 = keys.deno_sha256.as_ref().map(|digest| digest.to_ascii_lowercase());
        if let Some(digest) = &deno_sha256
            && (digest.len() != 64 || !digest.bytes().all(|byte| byte.is_ascii_hexdigit()))
        {
            let message = format!(
                "`sandbox.deno_sha256` is \"{digest}\"; allowed: a SHA-256 as 64 hexadecimal digits"
            );
            self.report(&["sandbox", "deno_sha256"], message);
        }
        Sandbox { deno, deno_sha256, ..keys }
    }

    /// Resolves `[secrets]`. The secret store is in the state folder; its key is elsewhere, so
    /// that a copy of the folder is not a copy of both.
    pub(super) fn secret_store(&mut self, keys: &SecretsKeys, store: &Store) -> SecretStore {
        let key = match (&keys.key_env, &keys.key_file) {
            (Some(_), Some(_)) => {
                self.report(
                    &["secrets"],
                    "`secrets` has both `key_file` and `key_env`; keep one of them".into(),
                );
                SecretKey::File(PathBuf::new())
            }
            (Some(variable), None) => {
                let value = self.variables.get(variable);
                if value.is_none() {
                    let message = format!(
                        "`secrets.key_env` names the environment variable `{variable}`, which is \
                        not set"
                    );
                    self.report(&["secrets", "key_env"], message);
                }
                SecretKey::Variable(
                    variable.clone(),
                    Secret::new(value.cloned().unwrap_or_default()),
                )
            }
            (None, Some(path)) => SecretKey::File(self.absolute(&["secrets", "key_file"], path)),
            (None, None) => {
                let folder = user_folder(self.variables, "XDG_CONFIG_HOME", ".config");
                let store_folder = || store.path.parent().unwrap_or(self.folder).to_path_buf();
                SecretKey::File(
                    folder
                        .map_or_else(store_folder, |folder| folder.join("airlock"))
                        .join("secrets.key"),
                )
            }
        };
        SecretStore { file: store.secret_store(), key }
    }

    fn database(&mut self, url: &str) -> Option<PathBuf> {
        if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            let message = "`store.url` is a Postgres database, which this version does not \
                support; allowed: \"sqlite://PATH\"";
            self.report(&["store", "url"], message.into());
            return None;
        }
        let path = url
            .strip_prefix("sqlite://")
            .or_else(|| url.strip_prefix("sqlite:"))
            .unwrap_or_default();
        if path.is_empty()
            || path.contains(['?', '\0'])
            || path.ends_with('/')
            || path == ":memory:"
        {
            self.report(
                &["store", "url"],
                format!(
                    "`store.url` is \"{url}\"; allowed: \"sqlite://PATH\" with the path of a file"
                ),
            );
            return None;
        }
        Some(self.absolute(&["store", "url"], path))
    }

    /// Resolves the path at a key. A relative path in a file is relative to the folder of that
    /// file.
    pub(super) fn absolute(&self, key: &[&str], path: &str) -> PathBuf {
        let key: Vec<String> = key.iter().map(|&key| key.to_owned()).collect();
        let base = match &self.layers.origin(&key) {
            Origin::File(file, _) => {
                file.parent().map(|folder| self.folder.join(folder)).unwrap_or_default()
            }
            _ => self.folder.to_path_buf(),
        };
        base.join(self.in_home(path))
    }
}

/// True for an origin as clients send it: of a web page, or of a program whose pages have a scheme
/// of their own. Without a path, a user or a wildcard.
fn is_origin(text: &str) -> bool {
    match text.split_once("://") {
        None => text == "null",
        Some(("http" | "https", _)) => {
            let is_whole = |url: Url| url.origin().ascii_serialization() == text;
            !text.contains('*') && Url::parse(text).is_ok_and(is_whole)
        }
        Some((scheme, name)) => {
            scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.bytes().all(|c| c.is_ascii_alphanumeric() || b"+-.".contains(&c))
                && !scheme.eq_ignore_ascii_case("http")
                && !scheme.eq_ignore_ascii_case("https")
                && name.bytes().all(|c| c.is_ascii_alphanumeric() || b"-._~:[]".contains(&c))
        }
    }
}

#[cfg(test)]
mod tests;
