//! Configuration: read as a whole before anything is opened, and again when its file changes.
//!
//! The layers: built-in defaults, then the file, then `AIRLOCK_…` variables, then flags. Strict: an
//! unknown key or an invalid value stops the start, and all problems are reported at once. No other
//! part reads the environment or the file. Must not open sockets or databases.
//!
//! The floors, lowest first: `keys` (the keys with their documentation), `error`, `toml_json`,
//! `shape` (the JSON Schema of the keys) and `source` (the layers); `check`; `resolved` (the
//! resulting values); `resolve`, `expand`, `credential`, `policy` and `upstreams` (keys to values);
//! `show` and `reference`; `live` (reading again, differences).

mod check;
mod credential;
mod error;
mod expand;
pub mod keys;
mod live;
mod policy;
mod reference;
mod resolve;
mod resolved;
mod shape;
mod show;
mod source;
#[cfg(test)]
mod tests;
mod toml_json;
mod upstreams;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::base::{digest::sha256, instance::ConfigIdentity};

pub use crate::model::{Document, KeyPlace, SecretSource};
pub use error::{ConfigError, Origin, Problem};
pub use expand::{sounds_secret, unexpanded};
pub use keys::{
    ApprovalsKeys as Approvals, Approver, ArtifactsKeys as Artifacts, Isolation, Limits, Profile,
    RuntimeId, Sandbox, Synchronous,
};
pub use live::{Changes, FIXED_SECTIONS};
pub use policy::{PolicyFile, PolicyScope, PolicySettings};
pub use reference::reference;
pub use resolved::{
    Credential, HttpAccess, OAuth, Secret, SecretKey, SecretStore, Server, Store, Transport,
    UnsetVariable, Upstream,
};
pub use shape::Shape;
pub use show::Setting;
pub use source::{Environment, Flag, ProcessEnvironment, read};
pub use toml_json::toml_value;

/// Checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Listener of the server.
    pub server: Server,
    /// Database of the record.
    pub store: Store,
    /// Limits.
    pub limits: Limits,
    /// Isolation of programs.
    pub sandbox: Sandbox,
    /// Retention and quotas of artifacts.
    pub artifacts: Artifacts,
    /// Encrypted secret store.
    pub secrets: SecretStore,
    /// Policy files and profile.
    pub policy: PolicySettings,
    /// Approvals.
    pub approvals: Approvals,
    /// Services whose tools programs may call, sorted by name.
    pub upstreams: Vec<Upstream>,
    /// File that was read, if any.
    pub file: Option<PathBuf>,
    /// SHA-256 digest of that file.
    pub file_digest: Option<String>,
    /// The file sets no key.
    is_file_empty: bool,
    /// `airlock.toml` in the current folder, if it exists and was not read because another program
    /// chose the folder.
    pub ignored_file: Option<PathBuf>,
    /// Path at which commands create a file if there is none: in the user's configuration folder.
    pub new_file: Option<PathBuf>,
    /// Every key with its value and its source, for display; secrets are masked.
    pub settings: Vec<Setting>,
    /// Sources, for reading them again.
    sources: live::KeptSources,
}

/// Sources of the configuration.
pub struct Sources<'a> {
    /// File that the command line names. It must exist.
    pub file: Option<&'a Path>,
    /// Flags of the command line.
    pub flags: &'a [Flag],
    /// Environment.
    pub environment: &'a dyn Environment,
    /// Current folder; relative paths outside of a file are relative to it.
    pub folder: &'a Path,
    /// Read `airlock.toml` in the current folder. False if another program chose the folder: it may
    /// be an untrusted checkout, and the file names programs to start.
    pub search_folder: bool,
}

impl Sources<'_> {
    /// The file of the current folder, if it exists and is not read.
    fn ignored_file(&self, read: Option<&Path>) -> Option<PathBuf> {
        let file = self.folder.join("airlock.toml");
        Some(file).filter(|path| !self.search_folder && path.exists() && read != Some(&**path))
    }

    /// The sources, for reading them again.
    fn kept(&self, read: Option<&Path>, variables: BTreeMap<String, String>) -> live::KeptSources {
        live::KeptSources {
            file: read.map(Path::to_path_buf),
            new_file: source::user_file(&variables),
            flags: self.flags.to_vec(),
            environment: variables,
            folder: self.folder.to_path_buf(),
        }
    }
}

impl Config {
    /// Reads and checks all sources.
    ///
    /// # Errors
    /// All problems of all sources.
    pub fn load(sources: &Sources<'_>) -> Result<Self, ConfigError> {
        Self::load_as(sources, None)
    }

    /// Reads and checks all sources, with this text as the content of the file, whatever is in it
    /// now. The file need not exist.
    ///
    /// # Errors
    /// All problems of all sources.
    pub fn load_text(sources: &Sources<'_>, text: &str) -> Result<Self, ConfigError> {
        Self::load_as(sources, Some(text))
    }

    fn load_as(sources: &Sources<'_>, text: Option<&str>) -> Result<Self, ConfigError> {
        let shape = Shape::new();
        let variables = sources.environment.variables();
        let mut layers = source::Layers::default();
        let file = source::find_file(
            sources.file,
            sources.search_folder.then_some(sources.folder),
            &variables,
        );
        // What can be read of a broken file still tells where its server is.
        let broken = file.as_ref().and_then(|file| match text {
            Some(text) => layers.add_text(file, text.as_bytes()).err(),
            None => layers.add_file(file).err(),
        });
        let mut problems = layers.add_environment(&variables, &shape);
        layers.add_flags(sources.flags, &shape);
        problems.extend(check::check(&mut layers, &shape));

        let keys = match serde_json::from_value::<keys::Keys>(Value::Object(layers.tree.clone())) {
            Ok(keys) => keys,
            Err(error) => {
                problems.push(Problem { origin: layers.origin(&[]), message: error.to_string() });
                return Err(ConfigError::new(problems));
            }
        };
        let ignored_file = sources.ignored_file(file.as_deref());
        let mut resolver = resolve::Resolver {
            layers: &layers,
            variables: &variables,
            folder: sources.folder,
            file: file.as_deref(),
            problems,
            unset: vec![],
        };
        let server = resolver.server(&keys.server);
        let before = resolver.problems.len();
        let store = resolver.store(&keys.store);
        let instance_file = (resolver.problems.len() == before).then(|| store.instance_file());
        let secrets = resolver.secret_store(&keys.secrets, &store);
        let upstreams = resolver.upstreams(&keys.upstreams);
        let policy = resolver.policy(&keys.policy);
        let sandbox = resolver.sandbox(keys.sandbox.clone());
        if broken.is_some() || !resolver.problems.is_empty() {
            let error = ConfigError::new(broken.map_or(resolver.problems, |only| vec![only]));
            let file = file.as_deref().map(source::whole_path);
            return Err(ConfigError { file, instance_file, ..error });
        }
        let settings = show::settings(&keys, &store, &layers);
        let new_file = source::user_file(&variables);
        let kept = sources.kept(file.as_deref(), variables);
        Ok(Self {
            server,
            store,
            secrets,
            limits: keys.limits,
            sandbox,
            artifacts: keys.artifacts,
            policy,
            approvals: keys.approvals.clone(),
            upstreams,
            file,
            file_digest: layers.file_digest,
            is_file_empty: layers.is_file_empty,
            ignored_file,
            new_file,
            settings,
            sources: kept,
        })
    }

    /// The file to watch for changes: the one that was read, or the one that will be read once it
    /// exists.
    pub fn watched_file(&self) -> Option<PathBuf> {
        let file = self.sources.file.as_ref().or(self.sources.new_file.as_ref());
        file.map(|file| self.sources.folder.join(file))
    }

    /// Reads the sources again: the same file, with the flags and the environment of the start.
    ///
    /// # Errors
    /// All problems of all sources. Also if the file was emptied or removed, as some editors do
    /// before they write it: the defaults have another policy.
    pub fn reread(&self) -> Result<Self, ConfigError> {
        let kept = &self.sources;
        let read = Self::load(&Sources {
            file: kept.file().as_deref(),
            flags: &kept.flags,
            environment: &kept.environment,
            folder: &kept.folder,
            search_folder: false,
        })?;
        let lost = match (&self.file, &read.file) {
            (Some(_), None) => Some("was removed"),
            _ => (read.is_file_empty && !self.is_file_empty).then_some("was emptied"),
        };
        if let Some(lost) = lost {
            let origin = Origin::File(self.file.clone().unwrap_or_default(), 0);
            let message = format!("{lost}; restart the server to run with the defaults");
            return Err(ConfigError::new(vec![Problem { origin, message }]));
        }
        Ok(Self { ignored_file: self.ignored_file.clone(), sources: kept.clone(), ..read })
    }

    /// Returns true if the file still has the content that was read.
    pub fn is_current(&self) -> bool {
        match self.sources.file() {
            None => self.file_digest.is_none(),
            Some(file) => {
                let now = source::read(&self.sources.folder.join(file));
                now.is_ok_and(|bytes| Some(sha256(&bytes)) == self.file_digest)
            }
        }
    }

    /// Differences from an earlier configuration that can take effect at once.
    pub fn changes_since(&self, earlier: &Self) -> Changes {
        live::changes((&earlier.settings, &earlier.upstreams), (&self.settings, &self.upstreams))
    }

    /// Keys that differ from those of the start and take effect at the next start.
    pub fn needs_restart(&self, started: &Self) -> Vec<String> {
        live::fixed_changes(&started.settings, &self.settings)
    }

    /// This configuration, with everything that cannot change while the server runs as it was at
    /// the start.
    pub fn fixed_as(self, started: &Self) -> Self {
        Self {
            server: started.server.clone(),
            store: started.store.clone(),
            secrets: started.secrets.clone(),
            sandbox: started.sandbox.clone(),
            ..self
        }
    }

    /// What distinguishes this configuration from others.
    pub fn identity(&self) -> ConfigIdentity {
        let profile = serde_json::to_value(self.policy.profile).unwrap_or_default();
        ConfigIdentity {
            file: self.file.as_deref().map(source::whole_path),
            digest: self.file_digest.clone(),
            profile: profile.as_str().unwrap_or_default().to_owned(),
            policy_files: self
                .policy
                .files
                .iter()
                .map(|file| source::whole_path(&file.path))
                .collect(),
        }
    }
}
