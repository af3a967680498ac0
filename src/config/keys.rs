//! All configuration keys with their meaning, unit, default and range. The checks, the environment
//! variables and `docs/configuration.md` are generated from this file; keys are defined nowhere
//! else.

mod artifacts;
pub mod auth;
mod policy;

use std::{collections::BTreeMap, path::PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use artifacts::ArtifactsKeys;
pub use policy::{
    ApprovalsKeys, Approver, LayerKind, PolicyFileKeys, PolicyFileTable, PolicyKeys, Profile,
};

use self::auth::{AccountKeys, Auth, SecretSource};
use crate::model::{CALL_TIMEOUT_MS, REFRESH_MINUTES, START_TIMEOUT_MS};

/// The configuration file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Keys {
    /// Address of the server, and the requests that it accepts.
    pub server: ServerKeys,
    /// Database of tasks and their record.
    pub store: StoreKeys,
    /// Limits per task, per workspace and for the whole server.
    pub limits: Limits,
    /// Isolation of programs, and the pool of worker processes.
    pub sandbox: Sandbox,
    /// Retention and quotas of artifacts: responses of tools that are too large for a program, and
    /// the images, sounds and blobs in responses.
    pub artifacts: ArtifactsKeys,
    /// Encrypted secret store.
    pub secrets: SecretsKeys,
    /// Policy for tool calls, and what the record contains of them.
    pub policy: PolicyKeys,
    /// Approval of the calls that policy asks about.
    pub approvals: ApprovalsKeys,
    /// Services whose tools programs may call, one table each. The name of the table is the first
    /// segment of the tool paths (`tools.NAME…`). It consists of a letter or `_`, followed by
    /// letters, digits, `_` or `-`; it is at most 64 characters long and must not be `discover`,
    /// `catalog`, `describe`, `artifacts` or `then`.
    pub upstreams: BTreeMap<String, UpstreamKeys>,
}

/// Address of the server, and the requests that it accepts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ServerKeys {
    /// Address and port of `/mcp`, `/v1`, `/healthz` and `/metrics`. Port 0 picks a free port. Only
    /// loopback addresses are allowed, because this version has no authentication.
    pub listen: String,
    /// Host names that clients may send in `Host`, in addition to the loopback names.
    pub allowed_hosts: Vec<String>,
    /// Origins that may send requests to the server, as clients send them in `Origin`: of web pages
    /// (`https://name:port`), or of programs (`vscode-file://vscode-app`, `file://`, `null`). Pages
    /// of these origins may also read the responses of `/mcp`. Other origins are rejected. Clients
    /// that send no `Origin` are not affected. `null` is every page without an origin of its own,
    /// such as a local file or a sandboxed frame.
    pub allowed_origins: Vec<String>,
}

impl Default for ServerKeys {
    fn default() -> Self {
        Self { listen: "127.0.0.1:7411".into(), allowed_hosts: vec![], allowed_origins: vec![] }
    }
}

/// Database of tasks and their record.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StoreKeys {
    /// Database: `sqlite://PATH`. A relative path is relative to the folder of the configuration
    /// file. Default: below `airlock/` in the user's data folder, `airlock.db` for the
    /// configuration file in the user's configuration folder (or none), and
    /// `configurations/NAME/airlock.db` for each other configuration file.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub url: Option<String>,
    /// Folder of the files that the server keeps beside the record: the secret store, the instance
    /// file and the cache of tools, named after the database and its path. A relative path is
    /// relative to the folder of the configuration file. Default: the folder of the database.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub state_dir: Option<String>,
    /// Durability of acknowledged writes. `normal` survives a crash of the process. `full` also
    /// survives a power failure; it flushes the disk for each batch of writes.
    pub synchronous: Synchronous,
}

/// Durability of acknowledged writes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Synchronous {
    /// Survives a crash of the process, such as `kill -9`.
    #[default]
    Normal,
    /// Also survives a power failure.
    Full,
}

/// Encrypted secret store: a file in `store.state_dir`, used by `airlock secrets` and OAuth.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SecretsKeys {
    /// File with the encryption key. Airlock creates it with the first secret, readable only by its
    /// owner. A relative path is relative to the folder of the configuration file. Default:
    /// `airlock/secrets.key` in the user's configuration folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub key_file: Option<String>,
    /// Environment variable with the encryption key, instead of a file: 32 bytes in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub key_env: Option<String>,
}

/// Limits per task, per workspace and for the whole server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Default timeout of a task, in milliseconds. Time spent waiting for approvals does not count.
    #[schemars(range(min = 1, max = 600_000))]
    pub timeout_ms: u64,
    /// CPU time of one task, in milliseconds. It does not advance while the code awaits.
    #[schemars(range(min = 10, max = 600_000))]
    pub cpu_ms: u64,
    /// Heap of one task, in MiB.
    #[schemars(range(min = 8, max = 2048))]
    pub heap_mb: u64,
    /// Array buffers of one task, in MiB. They do not count toward the heap.
    #[schemars(range(min = 1, max = 1024))]
    pub buffers_mb: u64,
    /// Source code of one task, in KiB.
    #[schemars(range(min = 1, max = 256))]
    pub code_kb: u64,
    /// Result of one task as JSON, in MiB. A larger result fails the task.
    #[schemars(range(min = 1, max = 64))]
    pub result_mb: u64,
    /// Arguments of one tool call as JSON, in KiB.
    #[schemars(range(min = 1, max = 1024))]
    pub tool_args_kb: u64,
    /// Console output kept per task, in KiB. Dropped output is counted.
    #[schemars(range(min = 1, max = 1024))]
    pub log_kb: u64,
    /// Console lines kept per task.
    #[schemars(range(min = 1, max = 100_000))]
    pub log_lines: u64,
    /// Queued tool calls of one task. 256 calls run at the same time.
    #[schemars(range(min = 1, max = 100_000))]
    pub calls_queued: u64,
    /// Active timers of one task.
    #[schemars(range(min = 1, max = 100_000))]
    pub timers: u64,
    /// Tasks that may wait for a worker. Further tasks are rejected with "busy, retry after".
    #[schemars(range(min = 1, max = 100_000))]
    pub queue: u64,
    /// Longest time that `execute` waits for the result if the client sends neither a progress
    /// token nor `resultTimeoutMs`, in milliseconds. The task continues in the background. 0
    /// disables this cap.
    #[schemars(range(min = 0, max = 900_000))]
    pub hold_ms: u64,
    /// Requests that start work (`execute`) per workspace and minute, over HTTP and stdio together.
    /// 0 disables the limit.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub requests_per_minute: u64,
    /// Other requests per workspace and minute: lists, polls such as `task_get`, pings and
    /// handshakes. 0 disables the limit. Default: ten times `requests_per_minute`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64", range(min = 0, max = 10_000_000))]
    pub polls_per_minute: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            timeout_ms: 300_000,
            cpu_ms: 30_000,
            heap_mb: 64,
            buffers_mb: 64,
            code_kb: 256,
            result_mb: 64,
            tool_args_kb: 1024,
            log_kb: 64,
            log_lines: 1000,
            calls_queued: 10_000,
            timers: 1000,
            queue: 1000,
            hold_ms: 50_000,
            requests_per_minute: 100,
            polls_per_minute: None,
        }
    }
}

/// Isolation of programs, and the pool of worker processes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sandbox {
    /// `tenant`: a worker process serves one tenant and runs each task in a fresh isolate. `task`:
    /// each task runs in a fresh process.
    pub isolation: Isolation,
    /// Maximum number of worker processes. Each runs one task at a time.
    #[schemars(range(min = 1, max = 1024))]
    pub workers_max: u64,
    /// Idle workers kept ready for tenants without a worker.
    #[schemars(range(min = 0, max = 64))]
    pub workers_spare: u64,
    /// Tasks after which a worker is replaced.
    #[schemars(range(min = 1, max = 100_000))]
    pub tasks_per_worker: u64,
    /// Minutes after which a worker is replaced.
    #[schemars(range(min = 1, max = 1440))]
    pub worker_minutes: u64,
    /// Enables the optimizing compilers of V8. Loops run faster, but hostile code can attack more
    /// of the engine.
    pub optimize: bool,
    /// Default runtime of a task: `local-v8` (V8 in the worker itself) or `local-deno` (Deno as a
    /// jailed child process of the worker). Default: `local-v8`, or `local-deno` in a build without
    /// V8.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RuntimeId")]
    pub runtime: Option<RuntimeId>,
    /// Executable of Deno. Default: the first one found next to `airlock`, in the cache of `./x`,
    /// or on `PATH`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub deno: Option<PathBuf>,
    /// SHA-256 digest of a Deno executable to accept in addition to the releases that Airlock
    /// knows: 64 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub deno_sha256: Option<String>,
}

/// Runtime of tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RuntimeId {
    /// V8 in the worker itself.
    LocalV8,
    /// Deno as a jailed child process of the worker.
    LocalDeno,
}

impl Default for Sandbox {
    fn default() -> Self {
        Self {
            isolation: Isolation::Tenant,
            workers_max: 64,
            workers_spare: 2,
            tasks_per_worker: 200,
            worker_minutes: 30,
            optimize: true,
            runtime: None,
            deno: None,
            deno_sha256: None,
        }
    }
}

/// Scope of a worker process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    /// One tenant, with a fresh isolate for each task.
    #[default]
    Tenant,
    /// One task.
    Task,
}

/// One upstream. Combinations of keys are checked when the configuration is resolved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UpstreamKeys {
    /// Protocol of the service. `mcp` needs `command` (a child process, over its standard input and
    /// output) or `url` (streamable HTTP). `openapi` needs `spec`. `graphql` needs `url`.
    pub kind: UpstreamKind,
    /// Program to start: a name on `PATH` or a path. It is started without a shell, but a leading
    /// `~/` and `${NAME}` (an environment variable of the server) are expanded.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub command: Option<String>,
    /// Arguments of the program, expanded like `command`. In an argument with spaces, such as a
    /// script, only variables that are set are expanded. A variable whose name sounds like a secret
    /// (such as `API_TOKEN`) is refused: pass it in `env` instead.
    pub args: Vec<String>,
    /// Working directory of the program; a leading `~/` and `${NAME}` are expanded. A relative path
    /// is relative to the folder of the configuration file. Default: the directory in which the
    /// server was started.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub cwd: Option<String>,
    /// Environment variables of the program: a string, or a SECRET as in `auth`. `${NAME}` in a
    /// string is expanded; before a brace, `$$` is a literal `$`.
    pub env: BTreeMap<String, SecretSource>,
    /// Names of environment variables that the program inherits from the server, if they are set.
    pub env_pass: Vec<String>,
    /// URL of the MCP or GraphQL endpoint, `https://…` or `http://…`, without user or password.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub url: Option<String>,
    /// OpenAPI document in JSON or YAML, or for `graphql` a schema in SDL (default: introspection
    /// of the endpoint). A file, or a URL `https://…`. A relative path is relative to the folder of
    /// the configuration file; a leading `~/` and `${NAME}` are expanded.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub spec: Option<String>,
    /// Base URL of the calls of an `openapi` upstream. Default: the server in the OpenAPI document.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub base_url: Option<String>,
    /// Server of the OpenAPI document to call: its URL as written there, or its `description`.
    /// Default, without `base_url`: the first server. If only some operations list the server, the
    /// others are omitted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub server: Option<String>,
    /// Values for the variables of the server URL in the OpenAPI document.
    pub server_variables: BTreeMap<String, String>,
    /// Operations of the OpenAPI document that become tools: paths such as `/users/**`, methods and
    /// paths such as `GET /users/*`, or names of tools such as `issues.*`. Default: all.
    pub only: Vec<String>,
    /// Operations of the OpenAPI document that do not become tools, even if `only` lists them.
    pub except: Vec<String>,
    /// Permits private and loopback addresses for an upstream with a URL. Metadata addresses of
    /// cloud machines and the address of this server stay forbidden.
    pub allow_private: bool,
    /// Trusts the annotations of the upstream's tools, such as read-only or not destructive.
    pub trusted: bool,
    /// HTTP headers of each request: a string, in which `${NAME}` is expanded, or
    /// `{ env = "NAME" }`.
    pub headers: BTreeMap<String, SecretSource>,
    /// Credential of Airlock: `{ bearer = SECRET }`, `{ basic = { user = "NAME", password = SECRET
    /// } }`, `{ api_key = { header = "NAME", value = SECRET } }` (or `query`, `cookie`, or `field`
    /// of a body; up to 8 in a list), `{ oauth = {} }`. A SECRET is `{ env = "NAME" }`, `{ file =
    /// "PATH" }`, `{ keychain = "SERVICE/ACCOUNT" }` or `{ secret = "NAME" }`, as stored by
    /// `airlock secrets set`. See docs/credentials.md.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Auth")]
    pub auth: Option<Auth>,
    /// Additional accounts at the same service, one table each with `auth` and `headers`. Each is
    /// an upstream of its own, `NAME-ACCOUNT`, with the same tools and limits.
    pub accounts: BTreeMap<String, AccountKeys>,
    /// Interval of refreshes of the tool list, in minutes, even if the upstream reports no changes.
    /// 0 disables them.
    #[schemars(range(min = 0, max = 10_080))]
    pub refresh_minutes: u64,
    /// Timeout of one call, in milliseconds.
    #[schemars(range(min = 1, max = 600_000))]
    pub call_timeout_ms: u64,
    /// Timeout of starting the upstream and listing its tools, in milliseconds. A call waits for
    /// the same time until the upstream is ready.
    #[schemars(range(min = 100, max = 600_000))]
    pub start_timeout_ms: u64,
}

impl Default for UpstreamKeys {
    fn default() -> Self {
        Self {
            kind: UpstreamKind::Mcp,
            command: None,
            args: vec![],
            cwd: None,
            env: BTreeMap::new(),
            env_pass: vec![],
            url: None,
            spec: None,
            base_url: None,
            server: None,
            server_variables: BTreeMap::new(),
            only: vec![],
            except: vec![],
            allow_private: false,
            trusted: false,
            headers: BTreeMap::new(),
            auth: None,
            accounts: BTreeMap::new(),
            refresh_minutes: REFRESH_MINUTES,
            call_timeout_ms: CALL_TIMEOUT_MS,
            start_timeout_ms: START_TIMEOUT_MS,
        }
    }
}

/// Protocol of an upstream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum UpstreamKind {
    /// The Model Context Protocol.
    #[default]
    Mcp,
    /// HTTP API with an OpenAPI document.
    OpenApi,
    /// GraphQL.
    GraphQl,
}
