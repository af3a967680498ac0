//! `airlock doctor`: checks the set-up, and says what to do about what is broken.

use std::{fmt::Write, path::Path, process::ExitCode};

use serde::Serialize;
use serde_json::{Value, json};

use super::{
    args::Output,
    connection::{Connection, Need},
    running::Broken,
    screen::{self, dim, heading, print, print_json},
};
use crate::{
    app::{self, Failure, RuntimeStatus},
    base::instance::Instance,
    config::{Config, Environment, ProcessEnvironment, Transport},
    service::view::{Health, SandboxHealth, Upstream},
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
    checks.extend(commands(&config));
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
        checks.extend(parts(&server.health));
    }
    report(output, &checks)
}

fn configuration(config: &Config) -> Check {
    let file = config
        .file
        .as_ref()
        .map_or_else(|| "no file, built-in values".into(), |file| file.display().to_string());
    let count = config.upstreams.len();
    Check::new(
        "configuration",
        Verdict::Ok,
        format!("{file}; {count} upstream{}", if count == 1 { "" } else { "s" }),
    )
}

/// The status of a runtime on this machine.
fn runtime(status: &RuntimeStatus) -> Check {
    let id = format!("runtime.{}", status.id);
    match (status.is_installed, status.is_default) {
        (true, true) => {
            Check::new(id, Verdict::Ok, format!("{}; programs run on it", status.message))
        }
        (true, false) => {
            Check::new(id, Verdict::Ok, format!("{}; for tasks that ask for it", status.message))
        }
        (false, true) => {
            let message = "not installed, so no code runs unless it asks for another runtime";
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
            let workers = runtime.workers;
            let plural = if workers == 1 { "" } else { "s" };
            let mut message = format!("{}; {workers} worker{plural}", runtime.engine);
            match runtime.queued {
                0 => {}
                1 => message.push_str(", 1 task waits for one"),
                tasks => write!(message, ", {tasks} tasks wait for one")
                    .expect("a String takes everything"),
            }
            let locks = &runtime.locks;
            if !locks.is_empty() {
                let tier = locks.tier();
                write!(message, "; tier: {tier}; locks: {locks}")
                    .expect("a String takes everything");
            }
            Check::new(format!("sandbox.{}", runtime.runtime_id), Verdict::Ok, message)
        })
        .collect();
    let unknown = |status: &&RuntimeStatus| {
        status.is_installed && health.runtimes.iter().all(|runtime| runtime.runtime_id != status.id)
    };
    checks.extend(statuses.iter().filter(unknown).map(|status| {
        let verdict = if status.is_default { Verdict::Broken } else { Verdict::Warning };
        let message = "the server does not have it, because it was installed after its start";
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

/// The programs of the upstreams: missing ones are no reason not to start, but no tools will come
/// from them.
fn commands(config: &Config) -> Vec<Check> {
    let path = ProcessEnvironment.variables().remove("PATH").unwrap_or_default();
    let missing = config.upstreams.iter().filter_map(|upstream| {
        let Transport::Stdio { command, .. } = &upstream.transport else { return None };
        let found = match command.contains('/') {
            true => Path::new(command).is_file(),
            false => std::env::split_paths(&path).any(|folder| folder.join(command).is_file()),
        };
        let mut check = Check::new(
            format!("upstreams.{}.command", upstream.name),
            Verdict::Broken,
            format!("the program `{command}` was not found"),
        );
        check.hint = Some("install it, or write its whole path in `command`".into());
        (!found).then_some(check)
    });
    missing.collect()
}

/// The state of the server: of the one that runs, else of one started for the purpose.
async fn ask(config: &Config, runtimes: &[RuntimeStatus]) -> Result<Vec<Check>, Failure> {
    // Also one that has another policy in force, because it refuses that of the file.
    let connection = match Connection::running(config, Need::Record).await? {
        Some(running) => running,
        None => Connection::open(config, Need::Tools).await?,
    };
    let health = connection.client.health().await;
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
    checks.extend(parts(&health));
    Ok(checks)
}

/// The parts of the server's health that say themselves what is wrong.
fn parts(health: &Health) -> Vec<Check> {
    let mut checks = vec![part("store", &health.store), part("policy", &health.policy)];
    checks.extend(health.configuration.iter().map(|found| part("server.configuration", found)));
    let upstream = |upstream: &Upstream| part(&format!("upstreams.{}", upstream.name), upstream);
    checks.extend(health.upstreams.iter().map(upstream));
    checks
}

/// A part of the server's health: its `status`, its further fields, and `message` where something
/// is wrong.
fn part(id: &str, health: &impl Serialize) -> Check {
    let health = serde_json::to_value(health).expect("a part of the health has string keys");
    let status = health["status"].as_str().unwrap_or("unknown");
    let verdict = match status {
        "ok" | "ready" => Verdict::Ok,
        "connecting" | "degraded" | "starting" | "restart_needed" => Verdict::Warning,
        _ => Verdict::Broken,
    };
    let shown = |key: &str, value: &Value| {
        !matches!(key, "status" | "name" | "message" | "hint" | "needsRestart") && !value.is_null()
    };
    let details = health.as_object().into_iter().flatten().filter(|(key, value)| shown(key, value));
    let mut words = vec![status.to_owned()];
    words.extend(details.map(|(key, value)| format!("{}: {}", key_in_words(key), plain(value))));
    words.extend(health["message"].as_str().map(str::to_owned));
    let mut check = Check::new(id, verdict, words.join(", "));
    check.hint = health["hint"].as_str().map(str::to_owned);
    check
}

/// `parkedTasks` as `parked tasks`.
fn key_in_words(key: &str) -> String {
    key.chars()
        .flat_map(|c| c.is_uppercase().then_some(' ').into_iter().chain(c.to_lowercase()))
        .collect()
}

/// A value in words: strings without quotes, lists and tables without brackets.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join("; "),
        Value::Object(table) => table
            .iter()
            .map(|(key, value)| format!("{key} {}", plain(value)))
            .collect::<Vec<_>>()
            .join(", "),
        other => other.to_string(),
    }
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
