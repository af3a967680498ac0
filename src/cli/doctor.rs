//! `airlock doctor`: checks the set-up, and says what to do about what is broken.

use std::process::ExitCode;

use serde::Serialize;
use serde_json::json;

use super::{
    args::Output,
    connection::{Connection, Need},
    running::Broken,
    screen::{self, dim, heading, print, print_json},
    upstreams,
};
use crate::{
    app::{self, Failure, RuntimeStatus},
    base::{
        instance::Instance,
        plural::{counted, verb},
    },
    config::Config,
    sandbox::{LockTier, Locks},
    service::view::{
        ConfigHealth, Health, Overview, PolicyHealth, SandboxHealth, StoreHealth, Upstream,
    },
};

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    Warning,
    Broken,
}

/// One check.
#[derive(Debug, Serialize)]
struct Check {
    id: String,
    status: Verdict,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl Check {
    fn new(id: impl Into<String>, status: Verdict, message: impl Into<String>) -> Self {
        Self { id: id.into(), status, message: message.into(), hint: None }
    }

    fn broken(id: impl Into<String>, failure: &Failure) -> Self {
        Self {
            id: id.into(),
            status: Verdict::Broken,
            message: failure.message.clone(),
            hint: failure.hint.clone(),
        }
    }
}

/// Checks everything; exits with 1 if something is broken.
pub(super) async fn perform(output: Output, config: Config) -> Result<ExitCode, Failure> {
    let mut checks = vec![
        Check::new("version", Verdict::Ok, format!("airlock {}", env!("CARGO_PKG_VERSION"))),
        configuration(&config),
    ];
    let runtimes = app::runtime_statuses(&config);
    checks.extend(runtimes.iter().map(runtime));
    checks.extend(references(&config));
    checks.extend(secrets(&config).await?);
    match ask(&config, &runtimes).await {
        Ok(answered) => checks.extend(answered),
        Err(failure) => checks.push(Check::broken("server", &failure)),
    }
    report(output, &checks)
}

/// The report where there is no configuration to look further with: what the server that runs on an
/// earlier version of it says.
pub(super) fn broken_configuration(output: Output, broken: &Broken) -> Result<ExitCode, Failure> {
    let mut checks = vec![Check::broken("configuration", &broken.failure)];
    if let Some(server) = &broken.server {
        checks.push(Check::new("server", Verdict::Warning, server.summary()));
        checks.extend(parts(None, &server.health, None));
    }
    report(output, &checks)
}

fn configuration(config: &Config) -> Check {
    let file = config.file.as_ref().map_or_else(
        || "no file, so the built-in values are in force".into(),
        |file| file.display().to_string(),
    );
    let upstreams = counted(config.upstreams.len(), "upstream");
    Check::new("configuration", Verdict::Ok, format!("{file}; {upstreams}"))
}

/// The status of a runtime on this machine.
fn runtime(status: &RuntimeStatus) -> Check {
    let id = format!("runtime.{}", status.id);
    match (status.is_installed, status.is_default) {
        (true, true) => {
            Check::new(id, Verdict::Ok, format!("{}; programs run on it", status.message))
        }
        (true, false) => Check::new(
            id,
            Verdict::Ok,
            format!("{}; runs the tasks that ask for it", status.message),
        ),
        (false, true) => {
            let message = "not installed, so only tasks that ask for another runtime can run";
            Check { hint: Some(status.message.clone()), ..Check::new(id, Verdict::Broken, message) }
        }
        (false, false) => {
            let message = format!("not installed, and not needed. {}", status.message);
            Check::new(id, Verdict::Ok, message)
        }
    }
}

/// The runtimes of the server, and those that were installed after its start.
fn sandbox(health: &SandboxHealth, statuses: &[RuntimeStatus]) -> Vec<Check> {
    let mut checks: Vec<_> = health
        .runtimes
        .iter()
        .map(|runtime| {
            let mut message = match runtime.engine.as_str() {
                "not used yet" => "no program has run on it since the server started".to_owned(),
                engine => format!("{engine} works"),
            };
            let workers = counted(runtime.workers, "worker process");
            message.push_str(&format!("; {workers} ready for programs"));
            if runtime.queued > 0 {
                let waits = verb(runtime.queued, "waits", "wait");
                message.push_str(&format!(
                    "; {} {waits} for a worker",
                    counted(runtime.queued, "task")
                ));
            }
            if let Some(tier) = runtime.tier {
                message.push_str(&format!("; {}", isolation(tier, &runtime.locks)));
            }
            Check::new(format!("sandbox.{}", runtime.runtime_id), Verdict::Ok, message)
        })
        .collect();
    let unknown = |status: &&RuntimeStatus| {
        status.is_installed && health.runtimes.iter().all(|runtime| runtime.runtime_id != status.id)
    };
    checks.extend(statuses.iter().filter(unknown).map(|status| {
        let verdict = if status.is_default { Verdict::Broken } else { Verdict::Warning };
        let message = "it was installed after the server started, so the server does not have it \
            yet";
        Check {
            hint: Some("restart the server".into()),
            ..Check::new(format!("sandbox.{}", status.id), verdict, message)
        }
    }));
    if checks.is_empty() {
        checks.push(Check::new(
            "sandbox",
            Verdict::Broken,
            "the server has no runtime, so no code can be run",
        ));
    }
    checks
}

/// The isolation of workers in words.
fn isolation(tier: LockTier, locks: &Locks) -> String {
    match tier {
        LockTier::Jailed => format!("the system isolates them fully ({locks})"),
        LockTier::Restricted => format!(
            "the system isolates them, but filters neither files nor system calls ({locks})"
        ),
        LockTier::Open => format!("the system barely isolates them ({locks})"),
    }
}

/// References to secrets that lead to nothing: the calls that need them will fail.
async fn secrets(config: &Config) -> Result<Vec<Check>, Failure> {
    let missing = app::missing_secrets(config).await?.into_iter();
    Ok(missing
        .map(|one| {
            Check::new(
                format!("upstreams.{}.{}", one.upstream, one.key),
                Verdict::Broken,
                one.message,
            )
        })
        .collect())
}

/// The programs, working directories and documents of upstreams that cannot be used. The server
/// starts all the same, but these upstreams have no tools.
fn references(config: &Config) -> Vec<Check> {
    let broken = upstreams::references::broken(config).into_iter();
    broken
        .map(|broken| {
            let id = format!("upstreams.{}.{}", broken.upstream, broken.key);
            Check { hint: broken.hint, ..Check::new(id, Verdict::Broken, broken.message) }
        })
        .collect()
}

/// The state of the server: of the one that runs, else of one started for the purpose.
async fn ask(config: &Config, runtimes: &[RuntimeStatus]) -> Result<Vec<Check>, Failure> {
    // Also one that has another policy in force, because it refuses that of the file.
    let connection = match Connection::running(config, Need::Record).await? {
        Some(running) => running,
        None => Connection::open(config, Need::Tools).await?,
    };
    let health = connection.client.health().await;
    let overview = connection.client.overview().await;
    let instance = match connection.is_own() {
        true => "no server runs on this database; one was started for this check".into(),
        false => match Instance::find(&config.store.instance_file()) {
            Ok(Some(Instance { pid, url, version, .. })) => {
                format!("airlock {version} runs at {url} (process {pid})")
            }
            _ => "a server runs".into(),
        },
    };
    connection.close().await?;
    let health = health?;
    let mut checks = vec![Check::new("server", Verdict::Ok, instance)];
    checks.extend(sandbox(&health.sandbox, runtimes));
    checks.extend(parts(Some(config), &health, overview.ok()));
    Ok(checks)
}

/// The parts of the server's health that say themselves what is wrong.
fn parts(config: Option<&Config>, health: &Health, overview: Option<Overview>) -> Vec<Check> {
    let mut checks = vec![store(config, &health.store, overview), policy(config, &health.policy)];
    checks.extend(health.configuration.iter().map(running_configuration));
    checks.extend(health.upstreams.iter().map(upstream));
    checks
}

/// Whether the running server uses the configuration file as it is.
fn running_configuration(found: &ConfigHealth) -> Check {
    let (verdict, state) = match found.status.as_str() {
        "ok" => (Verdict::Ok, "the running server uses the configuration file as it is"),
        "restart_needed" => (
            Verdict::Warning,
            "the running server uses the configuration file except for some keys",
        ),
        _ => (Verdict::Warning, "the running server cannot use the changed configuration file"),
    };
    let message = found.message.iter().fold(state.to_owned(), |all, why| format!("{all}; {why}"));
    Check { hint: found.hint.clone(), ..Check::new("server.configuration", verdict, message) }
}

fn store(config: Option<&Config>, health: &StoreHealth, overview: Option<Overview>) -> Check {
    let database = match config {
        Some(config) => format!("the database `{}`", config.store.path.display()),
        None => "the database".to_owned(),
    };
    if let Some(why) = &health.message {
        let message = format!("{database} does not work: {why}");
        return Check::new("store", Verdict::Broken, message);
    }
    let Some(Overview { tasks, unfinished_tasks, pending_approvals, artifacts }) = overview else {
        return Check::new("store", Verdict::Ok, format!("{database} works"));
    };
    let mut message = format!(
        "{database} works: {} and {} on record",
        counted(tasks, "task"),
        counted(artifacts, "artifact")
    );
    if unfinished_tasks > 0 {
        let verb = verb(unfinished_tasks, "has", "have");
        message.push_str(&format!("; {} {verb} not ended", counted(unfinished_tasks, "task")));
    }
    if pending_approvals > 0 {
        let verb = verb(pending_approvals, "waits", "wait");
        message.push_str(&format!(
            "; {} {verb} for your approval",
            counted(pending_approvals, "call")
        ));
    }
    Check::new("store", Verdict::Ok, message)
}

fn policy(config: Option<&Config>, health: &PolicyHealth) -> Check {
    let PolicyHealth { profile, message, hint, .. } = health;
    let files = match config.map(|config| config.policy.files.len()) {
        None => "its policy files".to_owned(),
        Some(0) => "no policy file".to_owned(),
        Some(files) => counted(files, "policy file"),
    };
    let (verdict, message) = match message {
        None => (Verdict::Ok, format!("the profile `{profile}` and {files} are in force")),
        Some(why) => (Verdict::Warning, format!("the policy files are not valid; {why}")),
    };
    Check { hint: hint.clone(), ..Check::new("policy", verdict, message) }
}

fn upstream(upstream: &Upstream) -> Check {
    let Upstream { name, kind, status, tools, message, .. } = upstream;
    let kind = match kind.as_str() {
        "openapi" => "an OpenAPI service",
        "graphql" => "a GraphQL service",
        _ => "an MCP server",
    };
    let tools = counted(*tools, "tool");
    let (verdict, state) = match status.as_str() {
        "ready" => (Verdict::Ok, format!("{kind}, works, {tools}")),
        "connecting" => {
            (Verdict::Warning, format!("{kind}, is still connecting, {tools} when last listed"))
        }
        _ => (Verdict::Broken, format!("{kind}, does not work, {tools} when last listed")),
    };
    let message = message.iter().fold(state, |state, message| format!("{state}; {message}"));
    Check::new(format!("upstreams.{name}"), verdict, message)
}

fn report(output: Output, checks: &[Check]) -> Result<ExitCode, Failure> {
    let worst = [Verdict::Broken, Verdict::Warning]
        .into_iter()
        .find(|verdict| checks.iter().any(|check| check.status == *verdict));
    let worst = worst.unwrap_or(Verdict::Ok);
    if output.json {
        print_json(
            &json!({ "status": worst, "version": env!("CARGO_PKG_VERSION"), "checks": checks }),
        )?;
    } else {
        for check in checks {
            let (sign, word) = match check.status {
                Verdict::Ok => ("✓", "ok"),
                Verdict::Warning => ("!", "warning"),
                Verdict::Broken => ("✗", "broken"),
            };
            print(format!(
                "{} {} {}",
                screen::in_colour_of(word, sign),
                heading(format!("{:<24}", check.id)),
                screen::plain(&check.message)
            ))?;
            if let Some(hint) = &check.hint {
                print(format!("  {}", dim(screen::plain(hint))))?;
            }
        }
    }
    Ok(if worst == Verdict::Broken { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
