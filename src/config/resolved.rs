//! Resolved configuration values: checked, with absolute paths and secrets from the environment.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::SocketAddr,
    path::PathBuf,
};

use url::Url;

use super::{error::Origin, keys::Synchronous};
use crate::{
    base::digest,
    model::{Document, OperationPattern, SecretSource},
};

/// Digits of the digest of a database's path in the names of its state files.
const STATE_DIGEST_CHARS: usize = 12;

/// Listener of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Loopback address and port; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Host names allowed in `Host`, in addition to the loopback names.
    pub allowed_hosts: Vec<String>,
    /// Origins of web pages that may send requests.
    pub allowed_origins: Vec<String>,
}

/// Database of the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// Absolute path of the SQLite file.
    pub path: PathBuf,
    /// Absolute path of the folder of the files that the server keeps beside the record.
    pub state_dir: PathBuf,
    /// Durability of acknowledged writes.
    pub synchronous: Synchronous,
}

impl Store {
    /// Path of the instance file, through which commands find the running server.
    pub fn instance_file(&self) -> PathBuf {
        self.state_file("instance.json")
    }

    /// Path of the page that leads a browser to the running server with a link to sign in.
    pub fn sign_in_page(&self) -> PathBuf {
        self.state_file("sign-in.html")
    }

    /// Path of the folder that caches the tools of upstreams.
    pub fn tool_cache(&self) -> PathBuf {
        self.state_file("catalog")
    }

    /// Path of the encrypted secret store.
    pub(super) fn secret_store(&self) -> PathBuf {
        self.state_file("secrets")
    }

    /// Named after the database; away from its folder also after its path, so that databases of
    /// one name never share a file.
    fn state_file(&self, extension: &str) -> PathBuf {
        let name = self.path.file_name().unwrap_or("airlock".as_ref());
        let mut file = self.state_dir.join(name);
        if self.path.parent() != Some(&*self.state_dir) {
            let digest = digest::sha256(self.path.as_os_str().as_encoded_bytes());
            file.add_extension(&digest[..STATE_DIGEST_CHARS]);
        }
        file.with_added_extension(extension)
    }
}

/// Encrypted secret store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretStore {
    /// File of the store.
    pub file: PathBuf,
    /// Encryption key.
    pub key: SecretKey,
}

/// Location of the key of the secret store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretKey {
    /// Absolute path of the key file.
    File(PathBuf),
    /// Name and value of the environment variable that holds the key.
    Variable(String, Secret),
}

/// Service whose tools programs may call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// First segment of the paths of its tools.
    pub name: String,
    /// Connection to it.
    pub transport: Transport,
    /// Headers, credential and permitted addresses of its URL; none for a program.
    pub access: Option<HttpAccess>,
    /// Interval of refreshes of its tool list, in minutes; 0 disables them.
    pub refresh_minutes: u64,
    /// Timeout of one call, in milliseconds.
    pub call_timeout_ms: u64,
    /// Timeout of starting it and listing its tools, in milliseconds.
    pub start_timeout_ms: u64,
    /// The owner trusts the annotations of its tools.
    pub trusted: bool,
    /// Environment variables that it needs and that are not set. It cannot be used until they are.
    pub unset: Vec<UnsetVariable>,
}

/// Reference to an environment variable that is not set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsetVariable {
    /// Path of the key that holds the reference, below the upstream: `auth`, `env.TOKEN`.
    pub key: String,
    /// Name of the variable.
    pub variable: String,
    /// Place of the key.
    pub origin: Origin,
}

/// Connection to an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// MCP over the standard input and output of a child process.
    Stdio {
        /// Program.
        command: String,
        /// Arguments of the program.
        args: Vec<String>,
        /// Its working directory, absolute; default: that of the server.
        cwd: Option<PathBuf>,
        /// Environment variables whose values are in the configuration; not every variable is a
        /// secret.
        env: BTreeMap<String, Secret>,
        /// Environment variables whose values are secrets.
        env_secret: BTreeMap<String, SecretSource>,
        /// Environment variables that it inherits from the server.
        env_pass: Vec<String>,
    },
    /// MCP over streamable HTTP.
    Http {
        /// Endpoint, without credentials.
        url: Url,
    },
    /// HTTP API with an OpenAPI document.
    OpenApi {
        /// OpenAPI document.
        spec: Document,
        /// Base URL of calls, without credentials; default: that of the OpenAPI document.
        base_url: Option<Url>,
        /// Server of the OpenAPI document, by its URL as written there or its description; default:
        /// the first.
        server: Option<String>,
        /// Values for the variables of the server URL.
        server_variables: BTreeMap<String, String>,
        /// Operations that become tools; empty for all.
        only: Vec<OperationPattern>,
        /// Operations that do not.
        except: Vec<OperationPattern>,
    },
    /// GraphQL.
    GraphQl {
        /// Endpoint, without credentials.
        url: Url,
        /// Schema; default: introspection of the endpoint.
        schema: Option<Document>,
    },
}

/// Settings of HTTP requests to an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpAccess {
    /// Headers of each request.
    pub headers: BTreeMap<String, Secret>,
    /// Names of the headers whose values are not in the file and therefore count as secrets.
    pub secret_headers: BTreeSet<String>,
    /// Credential of Airlock.
    pub credential: Credential,
    /// Private and loopback addresses are permitted.
    pub allow_private: bool,
}

/// Value that must not appear in logs, errors or responses.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value.
    pub fn new(value: String) -> Self {
        Self(value)
    }

    /// Returns the value, for the code that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Credential of Airlock at an upstream.
pub type Credential = crate::model::Credential<Box<OAuth>>;

/// Settings of OAuth 2.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuth {
    /// The client acts for itself instead of a person who authorized it.
    pub client_credentials: bool,
    /// Client id that Airlock is registered with.
    pub client_id: Option<String>,
    /// Client secret.
    pub client_secret: Option<SecretSource>,
    /// Requested scopes.
    pub scopes: Vec<String>,
    /// Authorization server.
    pub issuer: Option<Url>,
    /// Authorization and token endpoints of an authorization server without metadata.
    pub endpoints: Option<(Option<Url>, Url)>,
    /// Resource that the token is for.
    pub resource: Option<Url>,
    /// Loopback port of the redirect.
    pub redirect_port: Option<u16>,
}
