//! Every key of the configuration: its name, meaning, unit, default and range. The checks, the
//! names of the environment variables and `docs/configuration.md` are all made from here; nothing
//! else names a key.

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

/// The whole file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Keys {
    /// Where the server listens and whom it answers.
    pub server: ServerKeys,
    /// Where the record of tasks is kept.
    pub store: StoreKeys,
    /// What one task, one workspace and the whole server may use. Every queue and every loop has
    /// its number here.
    pub limits: Limits,
    /// How guests are kept apart, and how many workers stand ready for them.
    pub sandbox: Sandbox,
    /// Answers of tools that are too large for a program and are kept.
    pub artifacts: ArtifactsKeys,
    /// The encrypted store of secrets.
    pub secrets: SecretsKeys,
    /// Which calls of tools are allowed, and what is recorded about them.
    pub policy: PolicyKeys,
    /// Who answers where policy asks for a person's word, and for how long a call waits for it.
    pub approvals: ApprovalsKeys,
    /// The services whose tools guests may call, one table each. The name becomes the first segment
    /// of the tools' paths (`tools.NAME…`): a letter or `_`, then letters, digits, `_` or `-`, at
    /// most 64 characters; not `discover`, `catalog`, `describe`, `artifacts` or `then`.
    pub upstreams: BTreeMap<String, UpstreamKeys>,
}

/// Where the server listens and whom it answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ServerKeys {
    /// Address and port of `/mcp`, `/v1`, `/healthz` and `/metrics`. Port 0 takes a free one. Only
    /// loopback addresses: anything further needs authentication, which this version does not have.
    pub listen: String,
    /// Further names under which a client may address the server in `Host`, beside the loopback
    /// names.
    pub allowed_hosts: Vec<String>,
    /// Origins of web pages that may speak to the server, as `https://name:port`. None unless
    /// listed; clients that send no `Origin` are not concerned.
    pub allowed_origins: Vec<String>,
}

impl Default for ServerKeys {
    fn default() -> Self {
        Self { listen: "127.0.0.1:7411".into(), allowed_hosts: vec![], allowed_origins: vec![] }
    }
}

/// Where the record of tasks is kept.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StoreKeys {
    /// The database: `sqlite://PATH`. A relative path counts from the folder of the file that names
    /// it. Without this key: `airlock/airlock.db` in the user's data folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub url: Option<String>,
    /// What an acknowledged write survives: `normal` the death of the process, `full` also a loss
    /// of power, at the price of a flush of the disk for each batch of writes.
    pub synchronous: Synchronous,
}

/// What an acknowledged write survives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Synchronous {
    /// `kill -9` of the process.
    #[default]
    Normal,
    /// Also a loss of power.
    Full,
}

/// The encrypted store of secrets: a file beside the database that `airlock secrets` and OAuth keep
/// values in.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SecretsKeys {
    /// The file of its key. It is made when the first secret is set, readable by its owner alone.
    /// Without this key: `airlock/secrets.key` in the user's configuration folder. A relative path
    /// counts from the folder of the file that names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub key_file: Option<String>,
    /// The environment variable that holds its key instead of a file: 32 bytes in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub key_env: Option<String>,
}

/// What one task, one workspace and the whole server may use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// How long a task's code may run when the caller does not say, in milliseconds. Time parked on
    /// an approval is not counted.
    #[schemars(range(min = 1, max = 600_000))]
    pub timeout_ms: u64,
    /// CPU time of one task, in milliseconds. It stands still while the code awaits.
    #[schemars(range(min = 10, max = 600_000))]
    pub cpu_ms: u64,
    /// Heap of one task, in MiB.
    #[schemars(range(min = 8, max = 2048))]
    pub heap_mb: u64,
    /// Array buffers of one task, in MiB; counted outside the heap.
    #[schemars(range(min = 1, max = 1024))]
    pub buffers_mb: u64,
    /// Source of one task, in KiB.
    #[schemars(range(min = 1, max = 256))]
    pub code_kb: u64,
    /// Result of one task as JSON, in MiB. What is larger fails the task.
    #[schemars(range(min = 1, max = 64))]
    pub result_mb: u64,
    /// Arguments of one tool call as JSON, in KiB.
    #[schemars(range(min = 1, max = 1024))]
    pub tool_args_kb: u64,
    /// Console output kept of one task, in KiB. What is dropped is counted.
    #[schemars(range(min = 1, max = 1024))]
    pub log_kb: u64,
    /// Console lines kept of one task.
    #[schemars(range(min = 1, max = 100_000))]
    pub log_lines: u64,
    /// Tool calls of one task that may wait for their turn; 256 are under way at once.
    #[schemars(range(min = 1, max = 100_000))]
    pub calls_queued: u64,
    /// Timers of one task that may be set at once.
    #[schemars(range(min = 1, max = 100_000))]
    pub timers: u64,
    /// Tasks that may wait for a worker. More are refused with "busy, retry after".
    #[schemars(range(min = 1, max = 100_000))]
    pub queue: u64,
    /// How long an `execute` is held when its client shows no progress and names no
    /// `resultTimeoutMs`, in milliseconds; the task goes on. 0 switches the cap off.
    #[schemars(range(min = 0, max = 900_000))]
    pub hold_ms: u64,
    /// Requests to `/mcp` per workspace and minute; 0 switches the limit off.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub requests_per_minute: u64,
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
        }
    }
}

/// How guests are kept apart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sandbox {
    /// `tenant`: a worker process serves one tenant, each task in a fresh isolate. `task`: a fresh
    /// process for each task.
    pub isolation: Isolation,
    /// Worker processes at the most; each runs one task at a time.
    #[schemars(range(min = 1, max = 1024))]
    pub workers_max: u64,
    /// Armed workers kept ready for a tenant that has none.
    #[schemars(range(min = 0, max = 64))]
    pub workers_spare: u64,
    /// Tasks after which a worker is replaced.
    #[schemars(range(min = 1, max = 100_000))]
    pub tasks_per_worker: u64,
    /// Minutes after which a worker is replaced.
    #[schemars(range(min = 1, max = 1440))]
    pub worker_minutes: u64,
    /// Whether V8 may use its optimising compilers: faster loops, more of the engine exposed to
    /// hostile code.
    pub optimize: bool,
    /// The runtime of a task that names none: `local-v8` (V8 in the worker itself) or `local-deno`
    /// (Deno as a jailed child of it). Without it `local-v8`, and `local-deno` in a build without
    /// V8.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RuntimeId")]
    pub runtime: Option<RuntimeId>,
    /// The executable of Deno. Without it, it is looked for beside `airlock`, in the cache of
    /// `./x`, and on `PATH`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub deno: Option<PathBuf>,
    /// The SHA-256 of an executable of Deno that may be used beside the releases that Airlock
    /// knows: 64 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub deno_sha256: Option<String>,
}

/// What runs tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RuntimeId {
    /// V8 in the worker itself.
    LocalV8,
    /// Deno as a jailed child of the worker.
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

/// What a worker process is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    /// One tenant, many tasks, a fresh isolate each.
    #[default]
    Tenant,
    /// One task.
    Task,
}

/// One upstream as it is written. What belongs together is checked when it is read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UpstreamKeys {
    /// What it speaks. `mcp` needs `command` (a child process, over its standard input and output)
    /// or `url` (streamable HTTP), `openapi` needs `spec`, `graphql` needs `url`.
    pub kind: UpstreamKind,
    /// The program to start, a name on `PATH` or a path. It is started without a shell.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub command: Option<String>,
    /// Its arguments.
    pub args: Vec<String>,
    /// Environment variables for it: a text, or a SECRET as in `auth`.
    pub env: BTreeMap<String, SecretSource>,
    /// Names of variables that it gets from the server's environment as they are, where they are
    /// set.
    pub env_pass: Vec<String>,
    /// The address of its MCP or GraphQL endpoint, `https://…` or `http://…`, without a user or
    /// password in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub url: Option<String>,
    /// Its description: an OpenAPI document in JSON or YAML, or for `graphql` a schema in SDL
    /// (without it the endpoint is asked). A file, or an address `https://…`. A relative path
    /// counts from the folder of the file that names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub spec: Option<String>,
    /// Where the calls of an `openapi` upstream go. Without it, where its description says.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub base_url: Option<String>,
    /// Which of the servers that an OpenAPI description names calls go to: its address as it is
    /// written there, or its description. Without it, and without `base_url`, the first. One that
    /// only some operations name leaves the others out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub server: Option<String>,
    /// Values for the variables of the server address in an OpenAPI description.
    pub server_variables: BTreeMap<String, String>,
    /// Whether an upstream with an address may be on a private or loopback one. Metadata addresses
    /// of cloud machines and this server itself are refused even then.
    pub allow_private: bool,
    /// Whether rules may believe what it says of its own tools: that one only reads, or destroys
    /// nothing.
    pub trusted: bool,
    /// HTTP headers sent with each request: a text, or `{ env = "NAME" }`.
    pub headers: BTreeMap<String, SecretSource>,
    /// How Airlock identifies itself to it: `{ bearer = SECRET }`, `{ basic = { user = "NAME",
    /// password = SECRET } }`, `{ api_key = { header = "NAME", value = SECRET } }` (or `query`, or
    /// `cookie`), `{ oauth = {} }`. A SECRET is `{ env = "NAME" }`, `{ file = "PATH" }`, `{
    /// keychain = "SERVICE/ACCOUNT" }` or `{ secret = "NAME" }`, as kept by `airlock secrets set`.
    /// docs/credentials.md tells more.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Auth")]
    pub auth: Option<Auth>,
    /// Further accounts at the same service, one table each with `auth` and `headers`. Each is an
    /// upstream of its own beside this one, `NAME-ACCOUNT`, with the same tools and limits.
    pub accounts: BTreeMap<String, AccountKeys>,
    /// After how many minutes its tools are asked for again, also when it does not say that they
    /// changed; 0 is never.
    #[schemars(range(min = 0, max = 10_080))]
    pub refresh_minutes: u64,
    /// How long it may take to answer one call, in milliseconds.
    #[schemars(range(min = 1, max = 600_000))]
    pub call_timeout_ms: u64,
    /// How long it may take to start and to list its tools, in milliseconds; also how long a call
    /// waits for that.
    #[schemars(range(min = 100, max = 600_000))]
    pub start_timeout_ms: u64,
}

impl Default for UpstreamKeys {
    fn default() -> Self {
        Self {
            kind: UpstreamKind::Mcp,
            command: None,
            args: vec![],
            env: BTreeMap::new(),
            env_pass: vec![],
            url: None,
            spec: None,
            base_url: None,
            server: None,
            server_variables: BTreeMap::new(),
            allow_private: false,
            trusted: false,
            headers: BTreeMap::new(),
            auth: None,
            accounts: BTreeMap::new(),
            refresh_minutes: 60,
            call_timeout_ms: 60_000,
            start_timeout_ms: 60_000,
        }
    }
}

/// What an upstream speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum UpstreamKind {
    /// The Model Context Protocol.
    #[default]
    Mcp,
    /// A service that describes itself by OpenAPI.
    OpenApi,
    /// A service that speaks GraphQL.
    GraphQl,
}
