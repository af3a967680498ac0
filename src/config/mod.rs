//! The configuration: read once, whole, before anything is opened.
//!
//! Built-in values, then the file, then `AIRLOCK_…` variables, then flags. Strict: an unknown key
//! or a bad value stops the start, and all problems are told at once. Nothing else in the program
//! reads the environment or the file. Opens no socket and no database.

mod check;
mod credential;
mod error;
pub mod keys;
mod policy;
mod reference;
mod resolve;
mod shape;
mod show;
mod source;
#[cfg(test)]
mod tests;
mod upstreams;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde_json::Value;
use url::Url;

use crate::model::Document;

pub use credential::{Credential, KeyPlace, OAuth, SecretSource};
pub use error::{ConfigError, Origin, Problem};
pub use keys::{
    ApprovalsKeys as Approvals, Approver, ArtifactsKeys as Artifacts, Isolation, Limits, Profile,
    RuntimeId, Sandbox, Synchronous,
};
pub use policy::{PolicyFile, PolicyScope, PolicySettings};
pub use reference::reference;
pub use shape::Shape;
pub use show::Setting;
pub use source::{Environment, Flag, ProcessEnvironment};

/// What the program works with. Every value has been checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the server listens and whom it answers.
    pub server: Server,
    /// Where the record is kept.
    pub store: Store,
    /// What may be used.
    pub limits: Limits,
    /// How guests are kept apart.
    pub sandbox: Sandbox,
    /// Answers that are kept.
    pub artifacts: Artifacts,
    /// The encrypted store of secrets.
    pub secrets: SecretStore,
    /// Which calls are allowed.
    pub policy: PolicySettings,
    /// Who answers where policy asks.
    pub approvals: Approvals,
    /// The services whose tools guests may call, by name.
    pub upstreams: Vec<Upstream>,
    /// The file that was read, if there was one.
    pub file: Option<PathBuf>,
    /// Where a file is to be made when there is none: in the user's configuration folder.
    pub new_file: Option<PathBuf>,
    /// Every key with its value and where it was written, for people; secrets are masked.
    pub settings: Vec<Setting>,
}

/// Where the server listens and whom it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// A loopback address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Names allowed in `Host`, beside the loopback names.
    pub allowed_hosts: Vec<String>,
    /// Origins of web pages that may speak to the server.
    pub allowed_origins: Vec<String>,
}

/// Where the record is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// The SQLite file; absolute.
    pub path: PathBuf,
    /// What an acknowledged write survives.
    pub synchronous: Synchronous,
}

/// The encrypted store of secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretStore {
    /// Its file, beside the database.
    pub file: PathBuf,
    /// Its key.
    pub key: SecretKey,
}

/// Where the key of the store of secrets is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretKey {
    /// In this file; absolute.
    File(PathBuf),
    /// In this variable, which is set.
    Variable(String, Secret),
}

/// One service whose tools guests may call.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// The first segment of its tools' paths.
    pub name: String,
    /// Protocol, and where it is.
    pub transport: Transport,
    /// Access to its URL; none for a program.
    pub access: Option<HttpAccess>,
    /// After how many minutes its tools are asked for again; 0 is never.
    pub refresh_minutes: u64,
    /// How long it may take to answer one call, in milliseconds.
    pub call_timeout_ms: u64,
    /// How long it may take to start and list its tools, in milliseconds.
    pub start_timeout_ms: u64,
    /// Whether what it says of its tools is believed.
    pub trusted: bool,
}

/// Protocol of an upstream, and where it is.
#[derive(Debug, Clone)]
pub enum Transport {
    /// A child process, over its standard input and output.
    Stdio {
        /// The program.
        command: String,
        /// Its arguments.
        args: Vec<String>,
        /// Variables set for it whose values stand in the configuration: not everything that a
        /// program is told is a secret.
        env: BTreeMap<String, Secret>,
        /// Variables set for it whose values are secrets.
        env_secret: BTreeMap<String, SecretSource>,
        /// Variables it gets from the server's environment.
        env_pass: Vec<String>,
    },
    /// MCP over streamable HTTP.
    Http {
        /// Its endpoint; without user and password.
        url: Url,
    },
    /// HTTP, as an OpenAPI description says.
    OpenApi {
        /// The description.
        spec: Document,
        /// Where calls go, if not where the description says; without user and password.
        base_url: Option<Url>,
        /// Which of the description's servers, by its address as it is written there or its
        /// description, if not the first.
        server: Option<String>,
        /// Values for the variables of the description's server address.
        server_variables: BTreeMap<String, String>,
    },
    /// GraphQL.
    GraphQl {
        /// Its endpoint; without user and password.
        url: Url,
        /// Its schema, if it is not asked for it.
        schema: Option<Document>,
    },
}

/// Headers, credential and limits of the requests to an upstream.
#[derive(Debug, Clone)]
pub struct HttpAccess {
    /// Sent with each request.
    pub headers: BTreeMap<String, Secret>,
    /// Those whose value does not stand in the file, and so is a secret whatever it looks like.
    pub secret_headers: BTreeSet<String>,
    /// How Airlock identifies itself.
    pub credential: Credential,
    /// Whether the address may be private.
    pub allow_private: bool,
}

/// A value that no log, error or answer may show.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a value into keeping.
    pub fn new(value: String) -> Self {
        Self(value)
    }

    /// The value, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Where to look for the configuration.
pub struct Sources<'a> {
    /// The file that was asked for. It must exist.
    pub file: Option<&'a Path>,
    /// Values from the command line.
    pub flags: &'a [Flag],
    /// The environment.
    pub environment: &'a dyn Environment,
    /// The current folder: relative paths outside of a file count from it.
    pub folder: &'a Path,
    /// Whether `airlock.toml` in the current folder counts. Not where another program chose the
    /// folder: it may be a checkout of somebody else's, and the file names programs to start.
    pub here: bool,
}

impl Config {
    /// Reads everything and checks it whole.
    pub fn load(sources: &Sources<'_>) -> Result<Self, ConfigError> {
        let shape = Shape::new();
        let variables = sources.environment.variables();
        let mut layers = source::Layers::default();
        let file =
            source::find_file(sources.file, sources.here.then_some(sources.folder), &variables);
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
        let mut resolver = resolve::Resolver {
            layers: &layers,
            variables: &variables,
            folder: sources.folder,
            problems,
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
        let folder = source::user_folder(&variables, "XDG_CONFIG_HOME", ".config");
        let new_file = folder.map(|folder| folder.join("airlock/airlock.toml"));
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
            new_file,
            settings,
        })
    }
}
