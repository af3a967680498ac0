//! Turns the keys into what the program works with, and refuses what no schema can tell: addresses,
//! databases. Upstreams are next door, in [`super::upstreams`].

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use url::Url;

use super::{
    Secret, SecretKey, SecretStore, Server, Store,
    error::{Origin, Problem},
    keys::{Sandbox, SecretsKeys, ServerKeys, StoreKeys},
    source::{Layers, user_folder},
};

/// Collects problems while it resolves.
pub(super) struct Resolver<'a> {
    pub(super) layers: &'a Layers,
    pub(super) variables: &'a BTreeMap<String, String>,
    /// The folder that relative paths outside of a file count from.
    pub(super) folder: &'a Path,
    pub(super) problems: Vec<Problem>,
}

impl Resolver<'_> {
    /// Tells what is wrong at a path.
    pub(super) fn refuse(&mut self, path: &[&str], message: String) {
        let path: Vec<String> = path.iter().map(|&key| key.to_owned()).collect();
        self.problems.push(Problem { origin: self.layers.origin(&path), message });
    }

    /// Only loopback: this version cannot tell callers apart.
    pub(super) fn server(&mut self, keys: &ServerKeys) -> Server {
        let numeric = keys.listen.replacen("localhost:", "127.0.0.1:", 1);
        let listen = numeric.parse::<SocketAddr>().unwrap_or_else(|_| {
            let message = format!(
                "`server.listen` is \"{}\"; allowed: ADDRESS:PORT, such as \"127.0.0.1:7411\"",
                keys.listen
            );
            self.refuse(&["server", "listen"], message);
            SocketAddr::from(([127, 0, 0, 1], 0))
        });
        if !listen.ip().is_loopback() {
            let message = format!(
                "`server.listen` is \"{listen}\", beyond loopback, which needs authentication \
                that this version does not have; \
                 allowed: an address of 127.0.0.0/8 or [::1]; to reach it from elsewhere, put an \
                SSH tunnel in front",
            );
            self.refuse(&["server", "listen"], message);
        }
        for origin in &keys.allowed_origins {
            let plain =
                Url::parse(origin).is_ok_and(|url| url.origin().ascii_serialization() == *origin);
            if !plain {
                let message = format!(
                    "`server.allowed_origins` holds \"{origin}\"; allowed: origins such \
                    as \"https://name:port\""
                );
                self.refuse(&["server", "allowed_origins"], message);
            }
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
                        says where the user's data folder is; set `store.url`";
                    self.refuse(&["store", "url"], message.into());
                }
                folder.map(|folder| folder.join("airlock/airlock.db"))
            }
        };
        Store { path: path.unwrap_or_default(), synchronous: keys.synchronous }
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
            self.refuse(&["sandbox", "deno_sha256"], message);
        }
        Sandbox { deno, deno_sha256, ..keys }
    }

    /// The store of secrets lies beside the database; its key does not, so that a copy of the one
    /// is not a copy of both.
    pub(super) fn secret_store(&mut self, keys: &SecretsKeys, store: &Store) -> SecretStore {
        let mut file = store.path.clone().into_os_string();
        file.push(".secrets");
        let key = match (&keys.key_env, &keys.key_file) {
            (Some(_), Some(_)) => {
                self.refuse(
                    &["secrets"],
                    "`secrets` has both `key_file` and `key_env`; keep one of them".into(),
                );
                SecretKey::File(PathBuf::new())
            }
            (Some(variable), None) => {
                let value = self.variables.get(variable);
                if value.is_none() {
                    let message = format!(
                        "`secrets.key_env` takes the environment variable `{variable}`, which is \
                        not set"
                    );
                    self.refuse(&["secrets", "key_env"], message);
                }
                SecretKey::Variable(
                    variable.clone(),
                    Secret::new(value.cloned().unwrap_or_default()),
                )
            }
            (None, Some(path)) => SecretKey::File(self.absolute(&["secrets", "key_file"], path)),
            (None, None) => {
                let folder = user_folder(self.variables, "XDG_CONFIG_HOME", ".config");
                let beside = || store.path.parent().unwrap_or(self.folder).to_path_buf();
                SecretKey::File(
                    folder.map_or_else(beside, |folder| folder.join("airlock")).join("secrets.key"),
                )
            }
        };
        SecretStore { file: file.into(), key }
    }

    fn database(&mut self, url: &str) -> Option<PathBuf> {
        if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            let message = "`store.url` names a Postgres database, which is not in this version; \
                allowed: \"sqlite://PATH\"";
            self.refuse(&["store", "url"], message.into());
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
            self.refuse(
                &["store", "url"],
                format!(
                    "`store.url` is \"{url}\"; allowed: \"sqlite://PATH\" with the path of a file"
                ),
            );
            return None;
        }
        Some(self.absolute(&["store", "url"], path))
    }

    /// A path that was written at a key: relative ones count from the folder of the file that names
    /// it.
    pub(super) fn absolute(&self, key: &[&str], path: &str) -> PathBuf {
        let key: Vec<String> = key.iter().map(|&key| key.to_owned()).collect();
        let base = match &self.layers.origin(&key) {
            Origin::File(file, _) => {
                file.parent().map(|folder| self.folder.join(folder)).unwrap_or_default()
            }
            _ => self.folder.to_path_buf(),
        };
        base.join(path)
    }
}
