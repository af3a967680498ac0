//! Maps the configuration to the settings of each part.

use std::{sync::Arc, time::Duration};

use super::{Failure, runtimes};
use crate::{
    artifacts::ArtifactTerms,
    config::{self, Config},
    model::InstanceId,
    policy::{LayerScope, Options, Problem, Profile},
    service::ServiceLimits,
    store::{SqliteConfig, Synchronous},
    task::{
        approval::waiters::ApprovalTerms,
        engine::{EngineConfig, EngineLimits, TaskEngine},
        policy_reload::{PolicyFile, PolicySource, ReloadingPolicy},
    },
    transport::{http::HttpOptions, mcp::McpOptions, rate_limit::RateLimits},
};

/// Time that an answer is held for an approval. Short, because only the answer tells some people
/// that they are asked.
const APPROVAL_HOLD_MS: u64 = 60_000;
/// Polls for each request that starts work, unless the configuration says otherwise.
const POLLS_PER_REQUEST: u64 = 10;

pub(super) fn store(config: &Config) -> SqliteConfig {
    SqliteConfig {
        synchronous: match config.store.synchronous {
            config::Synchronous::Normal => Synchronous::Normal,
            config::Synchronous::Full => Synchronous::Full,
        },
        ..SqliteConfig::new(&config.store.path)
    }
}

pub(super) fn engine(config: &Config, instance_id: InstanceId) -> EngineConfig {
    EngineConfig { limits: engine_limits(config), instance_id }
}

pub(super) fn engine_limits(config: &Config) -> EngineLimits {
    EngineLimits {
        cpu_ms_max: config.limits.cpu_ms,
        queue_max: config.limits.queue as usize,
        spill_after: Duration::from_millis(config.approvals.spill_after_ms),
    }
}

pub(super) fn service_limits(config: &Config) -> ServiceLimits {
    ServiceLimits {
        code_bytes_max: config.limits.code_kb as usize * 1024,
        timeout_ms: config.limits.timeout_ms,
        hold_ms: config.limits.hold_ms,
        approval_hold_ms: APPROVAL_HOLD_MS,
        runtime_id: runtimes::default_id(config).into(),
    }
}

pub(super) fn approval_terms(config: &Config) -> ApprovalTerms {
    let approvals = &config.approvals;
    ApprovalTerms {
        timeout: Duration::from_millis(approvals.timeout_ms),
        calls_max: approvals.calls_max as usize,
        tasks_max: approvals.tasks_max as usize,
    }
}

pub(super) fn artifact_terms(config: &Config) -> ArtifactTerms {
    let artifacts = &config.artifacts;
    ArtifactTerms {
        life: Duration::from_secs(artifacts.ttl_hours * 3600),
        workspace_bytes_max: artifacts.workspace_mb * 1024 * 1024,
    }
}

pub(super) fn mcp(config: &Config, engine: &TaskEngine) -> McpOptions {
    McpOptions {
        code_bytes_max: config.limits.code_kb as usize * 1024,
        timeout_ms: config.limits.timeout_ms,
        runtime_id: runtimes::default_id(config).into(),
        runtimes: engine.runtimes().map(|runtime| runtime.id().to_owned()).collect(),
        why_no_tools: why_no_tools(config),
        ..McpOptions::default()
    }
}

/// What a model and its user are told where no upstreams are configured; a file that was not read
/// may be why.
pub(super) fn why_no_tools(config: &Config) -> String {
    let add = "no upstreams are configured; the user adds one with `airlock upstreams add …`";
    match &config.ignored_file {
        Some(file) => {
            let file = file.display();
            format!("{add}. `{file}` is not read here; the user names it with `--config {file}`")
        }
        None => add.to_owned(),
    }
}

/// The limits on requests.
pub(super) fn rates(config: &Config) -> Arc<RateLimits> {
    let (work, polls) = per_minute(config);
    RateLimits::new(work, polls)
}

/// Sets the limits on requests.
pub(super) fn set_rates(config: &Config, rates: &RateLimits) {
    let (work, polls) = per_minute(config);
    rates.set(work, polls);
}

/// Requests that start work, and others. Whoever does not say otherwise may poll ten times as often
/// as start work.
fn per_minute(config: &Config) -> (u32, u32) {
    let work = config.limits.requests_per_minute;
    let polls = config.limits.polls_per_minute.unwrap_or(work * POLLS_PER_REQUEST);
    (work as u32, polls as u32)
}

pub(super) fn http(config: &Config, rates: Arc<RateLimits>) -> HttpOptions {
    HttpOptions {
        allowed_hosts: config.server.allowed_hosts.clone(),
        allowed_origins: config.server.allowed_origins.clone(),
        rates,
        ..HttpOptions::default()
    }
}

/// Logs a warning about each setting that lets in more than an owner may expect.
pub fn warn(config: &Config) {
    if config.server.allowed_origins.iter().any(|origin| origin.eq_ignore_ascii_case("null")) {
        tracing::warn!(
            "`server.allowed_origins` contains \"null\": every page without an origin of its own, \
            such as a local file or a sandboxed frame of any web page, may send requests to this \
            server; name the client's own origin if it has one"
        );
    }
}

/// The policy that the files of the configuration make now.
pub(super) fn policy(config: &Config) -> Result<Arc<ReloadingPolicy>, Failure> {
    let source = policy_source(config);
    warn_of_denials(&source);
    ReloadingPolicy::open(source).map_err(|problems| invalid_policy(&problems))
}

/// Logs a warning where calls are denied because nobody can be asked.
pub(super) fn warn_of_denials(source: &PolicySource) {
    if !source.options.approvals {
        tracing::warn!(
            "nobody can approve (`approvals.by` is \"nobody\"): calls that policy would ask about \
            are denied"
        );
    }
}

/// The policy files of the configuration, and the options that they are compiled with.
pub fn policy_source(config: &Config) -> PolicySource {
    let profile = match config.policy.profile {
        config::Profile::Readonly => Profile::ReadOnly,
        config::Profile::Auto => Profile::Auto,
        config::Profile::Open => Profile::Open,
        config::Profile::Strict => Profile::Strict,
    };
    let file = |file: &config::PolicyFile| PolicyFile {
        path: file.path.clone(),
        scope: match &file.scope {
            config::PolicyScope::Organisation => LayerScope::Organisation,
            config::PolicyScope::Workspace(name) => LayerScope::Workspace(name.clone()),
            config::PolicyScope::Key(name) => LayerScope::Key(name.clone()),
        },
        upstream: file.upstream.clone(),
    };
    let options = Options { profile, approvals: config.approvals.by == config::Approver::Owner };
    PolicySource { files: config.policy.files.iter().map(file).collect(), options }
}

fn invalid_policy(problems: &[Problem]) -> Failure {
    let lines: String = problems.iter().map(|problem| format!("\n  {problem}")).collect();
    let message = format!("the policy cannot be used:{lines}");
    Failure::config(message).hint("`airlock policy validate` checks the files of the configuration")
}
