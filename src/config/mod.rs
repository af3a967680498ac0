//! Configuration: read once and completely, before anything is opened.
//!
//! The layers: built-in defaults, then the file, then `AIRLOCK_…` variables, then flags. Strict: an
//! unknown key or an invalid value stops the start, and all problems are reported at once. No other
//! part reads the environment or the file. Must not open sockets or databases.
//!
//! The floors, lowest first: `keys` (the keys with their documentation), `error`, `toml_json`,
//! `shape` (the JSON Schema of the keys) and `source` (the layers); `check`; `resolved` (the
//! resulting values); `resolve`, `expand`, `credential`, `policy` and `upstreams` (keys to values);
//! `show` and `reference`.

mod check;
mod credential;
mod error;
mod expand;
pub mod keys;
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

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::base::instance::ConfigIdentity;

pub use crate::model::{Document, KeyPlace, SecretSource};
pub use error::{ConfigError, Origin, Problem};
pub use keys::{
    ApprovalsKeys as Approvals, Approver, ArtifactsKeys as Artifacts, Isolation, Limits, Profile,
    RuntimeId, Sandbox, Synchronous,
};
pub use policy::{PolicyFile, PolicyScope, PolicySettings};
pub use reference::reference;
pub use resolved::{
    Credential, HttpAccess, OAuth, Secret, SecretKey, SecretStore, Server, Store, Transport,
    UnsetVariable, Upstream,
};
pub use shape::Shape;
pub use show::Setting;
pub use source::{Environment, Flag, ProcessEnvironment};

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
    /// `airlock.toml` in the current folder, if it exists and was not read because another program
    /// chose the folder.
    pub ignored_file: Option<PathBuf>,
    /// Path at which commands create a file if there is none: in the user's configuration folder.
    pub new_file: Option<PathBuf>,
    /// Every key with its value and its source, for display; secrets are masked.
    pub settings: Vec<Setting>,
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

impl Config {
    /// Reads and checks all sources.
    ///
    /// # Errors
    /// All problems of all sources.
    pub fn load(sources: &Sources<'_>) -> Result<Self, ConfigError> {
        let shape = Shape::new();
        let variables = sources.environment.variables();
        let mut layers = source::Layers::default();
        let file = source::find_file(
            sources.file,
            sources.search_folder.then_some(sources.folder),
            &variables,
        );
        if let Some(file) = &file {
            layers.add_file(file).map_err(|problem| ConfigError::new(vec![problem]))?;
        }
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
        let ignored_file = sources.folder.join("airlock.toml");
        let ignored_file = Some(ignored_file)
            .filter(|path| !sources.search_folder && path.exists() && file.as_ref() != Some(path));
        let mut resolver = resolve::Resolver {
            layers: &layers,
            variables: &variables,
            folder: sources.folder,
            file: file.as_deref(),
            problems,
            unset: vec![],
        };
        let server = resolver.server(&keys.server);
        let store = resolver.store(&keys.store);
        let secrets = resolver.secret_store(&keys.secrets, &store);
        let upstreams = resolver.upstreams(&keys.upstreams);
        let policy = resolver.policy(&keys.policy);
        let approvals = resolver.approvals(&keys.approvals, keys.sandbox.workers_max);
        let sandbox = resolver.sandbox(keys.sandbox.clone());
        if !resolver.problems.is_empty() {
            return Err(ConfigError::new(resolver.problems));
        }
        let settings = show::settings(&keys, &store, &layers);
        let new_file = source::user_file(&variables);
        let (limits, artifacts) = (keys.limits, keys.artifacts);
        Ok(Self {
            server,
            store,
            secrets,
            limits,
            sandbox,
            artifacts,
            policy,
            approvals,
            upstreams,
            file,
            file_digest: layers.file_digest,
            ignored_file,
            new_file,
            settings,
        })
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
