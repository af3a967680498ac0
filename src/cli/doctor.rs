//! `airlock doctor`: is the set-up whole, and if not, what to do.

use std::{fmt::Write, path::Path, process::ExitCode, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Application, Command, Failure, Output, RuntimeStanding,
    connection::{Connection, Need},
    screen::{self, dim, heading, print, print_json},
};
use crate::{
    base::instance::Instance,
    config::{Config, Environment, ProcessEnvironment, Transport},
    sandbox::Locks,
};

/// How one thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    Warning,
    Broken,
}

/// One thing that was looked at.
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

/// Looks at everything; exits with 1 if something is broken.
pub(super) async fn perform(
    output: Output,
    config: Config,
    application: &Arc<dyn Application>,
) -> Result<ExitCode, Failure> {
    let mut checks = vec![
        Check::new("version", Verdict::Ok, format!("airlock {}", env!("CARGO_PKG_VERSION"))),
        configuration(&config),
    ];
    let standings = application.runtimes(&config);
    checks.extend(standings.iter().map(runtime));
    checks.extend(commands(&config));
    checks.extend(secrets(&config, application).await?);
    match ask(&config, &standings, application).await {
        Ok(answered) => checks.extend(answered),
        Err(failure) => checks.push(Check::broken("server", &failure)),
    }
    report(output, &checks)
}

/// The report where there is no configuration to look further with.
pub(super) fn broken_configuration(
    command: &Command,
    failure: &Failure,
) -> Result<ExitCode, Failure> {
    let Command::Doctor(output) = command else { return Err(failure.clone()) };
    report(*output, &[Check::broken("configuration", failure)])
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

/// How a runtime is on this machine.
fn runtime(standing: &RuntimeStanding) -> Check {
    let id = format!("runtime.{}", standing.id);
    match (standing.is_here, standing.is_default) {
        (true, true) => {
            Check::new(id, Verdict::Ok, format!("{}; programs run on it", standing.message))
        }
        (true, false) => {
            Check::new(id, Verdict::Ok, format!("{}; for tasks that ask for it", standing.message))
        }
        (false, true) => {
            let message = "it is not here, so code cannot be run that does not ask for another";
            Check {
                hint: Some(standing.message.clone()),
                ..Check::new(id, Verdict::Broken, message)
            }
        }
        (false, false) => {
            Check::new(id, Verdict::Ok, format!("not here, and not needed. {}", standing.message))
        }
    }
}

/// How the server uses its runtimes, and which it has not found because they came after it.
fn sandbox(health: &Value, standings: &[RuntimeStanding]) -> Vec<Check> {
    let used: Vec<_> = health["runtimes"].as_array().into_iter().flatten().collect();
    let mut checks: Vec<_> = used
        .iter()
        .map(|runtime| {
            let count = |key: &str| runtime[key].as_u64().unwrap_or(0);
            let (workers, engine) = (count("workers"), runtime["engine"].as_str().unwrap_or("?"));
            let mut message =
                format!("{engine}; {workers} worker{}", if workers == 1 { "" } else { "s" });
            match count("queued") {
                0 => {}
                1 => message.push_str(", 1 task waits for one"),
                tasks => write!(message, ", {tasks} tasks wait for one")
                    .expect("a String takes everything"),
            }
            let locks = Locks::deserialize(&runtime["locks"]).unwrap_or_default();
            if !locks.is_empty() {
                let tier = locks.tier();
                write!(message, "; tier: {tier}; locks: {locks}")
                    .expect("a String takes everything");
            }
            Check::new(
                format!("sandbox.{}", runtime["runtimeId"].as_str().unwrap_or("?")),
                Verdict::Ok,
                message,
            )
        })
        .collect();
    let unknown = |standing: &&RuntimeStanding| {
        standing.is_here && used.iter().all(|runtime| runtime["runtimeId"] != standing.id)
    };
    checks.extend(standings.iter().filter(unknown).map(|standing| {
        let verdict = if standing.is_default { Verdict::Broken } else { Verdict::Warning };
        let message = "the server does not have it, for it came after the server's start";
        Check {
            hint: Some("restart the server".into()),
            ..Check::new(format!("sandbox.{}", standing.id), verdict, message)
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
async fn secrets(
    config: &Config,
    application: &Arc<dyn Application>,
) -> Result<Vec<Check>, Failure> {
    let missing = application.missing_secrets(config).await?.into_iter();
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

/// What the server says: the one that runs, else one started for the purpose.
async fn ask(
    config: &Config,
    standings: &[RuntimeStanding],
    application: &Arc<dyn Application>,
) -> Result<Vec<Check>, Failure> {
    let connection = Connection::open(config, application, Need::Tools).await?;
    let health = connection.client.health().await;
    let instance = match connection.is_own() {
        true => "no server runs on this database; one was started to look".into(),
        false => match Instance::find(&config.store.path) {
            Ok(Some(Instance { pid, url, version, .. })) => {
                format!("airlock {version} runs at {url} (process {pid})")
            }
            _ => "a server runs".into(),
        },
    };
    connection.close().await?;
    let health = health?;
    let mut checks = vec![Check::new("server", Verdict::Ok, instance)];
    checks.extend(sandbox(&health["sandbox"], standings));
    checks.extend(["store", "policy"].map(|id| part(id, &health[id])));
    checks.extend(health["upstreams"].as_array().into_iter().flatten().map(|upstream| {
        let name = upstream["name"].as_str().unwrap_or("?");
        part(&format!("upstreams.{name}"), upstream)
    }));
    Ok(checks)
}

/// A part of the server's health: `status`, what else it says, and `message` where something is
/// wrong.
fn part(id: &str, health: &Value) -> Check {
    let status = health["status"].as_str().or(health.as_str()).unwrap_or("unknown");
    let verdict = match status {
        "ok" | "ready" => Verdict::Ok,
        "connecting" | "degraded" | "starting" => Verdict::Warning,
        _ => Verdict::Broken,
    };
    let shown = |key: &str, value: &Value| {
        !matches!(key, "status" | "name" | "message" | "hint") && !value.is_null()
    };
    let details = health.as_object().into_iter().flatten().filter(|(key, value)| shown(key, value));
    let mut words = vec![status.to_owned()];
    words.extend(details.map(|(key, value)| format!("{}: {}", key_in_words(key), said(value))));
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

/// A value in words: texts without quotes, lists and tables without brackets.
fn said(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(said).collect::<Vec<_>>().join("; "),
        Value::Object(table) => table
            .iter()
            .map(|(key, value)| format!("{key} {}", said(value)))
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
