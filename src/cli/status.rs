//! `airlock` without a command: what is configured, what runs, and what to do next. Starts nothing
//! and changes nothing.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use super::{
    connection::{Connection, Need},
    screen::{dim, heading, plain, print},
};
use crate::{
    app::{self, Failure},
    base::{instance::Instance, plural::counted},
    config::Config,
    service::view::{Health, Overview},
};

/// Upstreams that are named; of more the rest is counted.
const NAMED_MAX: usize = 6;

/// What the running server says.
struct Running {
    instance: Option<Instance>,
    health: Health,
    overview: Overview,
}

/// Prints about ten lines.
pub(super) async fn perform(config: &Config) -> Result<ExitCode, Failure> {
    let running = running(config).await;
    line("airlock", env!("CARGO_PKG_VERSION"))?;
    line("configuration", &file(config))?;
    if let Some(above) = parent_file(config) {
        let above = above.display();
        line("", &format!("`{above}` is in a parent folder and is not read"))?;
        line("", &format!("`airlock --config {above}` uses it"))?;
    }
    match &running {
        Ok(None) => line("server", "not running; a command that needs one starts it for itself")?,
        Ok(Some(Running { instance: Some(Instance { pid, url, version, .. }), .. })) => {
            line("server", &format!("airlock {version} runs at {url} (process {pid})"))?;
        }
        Ok(Some(_)) => line("server", "runs")?,
        Err(failure) => line("server", &failure.message)?,
    }
    let running = running.as_ref();
    let answered = running.ok().and_then(Option::as_ref);
    line("upstreams", &upstreams(config, answered))?;
    if let Some(Running { overview, .. }) = answered {
        let waiting = match overview.pending_approvals {
            0 => "no call waits for you".to_owned(),
            count => format!("{} waiting for you", counted(count, "call")),
        };
        line("approvals", &waiting)?;
        line("tasks", &tasks(overview))?;
    }
    let next = match running {
        Err(failure) => failure.hint.clone().unwrap_or_else(|| "airlock doctor".into()),
        Ok(running) => next(config, running.as_ref()).into(),
    };
    line("next", &next)?;
    print(dim("`airlock --help` lists the commands").to_string())?;
    Ok(ExitCode::SUCCESS)
}

fn line(name: &str, text: &str) -> Result<(), Failure> {
    print(format!("{} {}", heading(format!("{name:<13}")), plain(text)).trim_end())
}

async fn running(config: &Config) -> Result<Option<Running>, Failure> {
    let Some(connection) = Connection::running(config, Need::Record).await? else {
        return Ok(None);
    };
    let client = &connection.client;
    let (health, overview) = (client.health().await?, client.overview().await?);
    let instance = Instance::find(&config.store.instance_file()).ok().flatten();
    Ok(Some(Running { instance, health, overview }))
}

/// The file in force and how it was found.
fn file(config: &Config) -> String {
    let Some(file) = &config.file else {
        return "none: built-in values, no upstreams".into();
    };
    let shown = file.display();
    let folder = std::env::current_dir().ok();
    match folder {
        Some(folder) if file.parent() == Some(folder.as_path()) => {
            format!("{shown} (in this folder)")
        }
        _ if config.new_file.as_ref() == Some(file) => {
            format!("{shown} (in your configuration folder)")
        }
        _ => format!("{shown} (named by `--config` or AIRLOCK_CONFIG)"),
    }
}

/// The `airlock.toml` in the nearest folder above this one, where that is not the file in force.
fn parent_file(config: &Config) -> Option<PathBuf> {
    let folder = std::env::current_dir().ok()?;
    let mut above = folder.ancestors().skip(1).map(|folder| folder.join("airlock.toml"));
    let whole = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let in_force = config.file.as_deref().map(whole);
    above.find(|path| path.is_file()).filter(|path| Some(whole(path)) != in_force)
}

/// The upstreams with their tools: as the server knows them, else as they were last listed.
fn upstreams(config: &Config, running: Option<&Running>) -> String {
    let cached = match running {
        None => app::cached_tool_counts(config).unwrap_or_default(),
        Some(_) => Default::default(),
    };
    let of_config = |name: &str| match cached.get(name) {
        Some(tools) => format!("{name} ({} when last listed)", counted(*tools, "tool")),
        None => format!("{name} (not listed yet)"),
    };
    let known: Vec<String> = match running {
        Some(Running { health, .. }) => health
            .upstreams
            .iter()
            .map(|upstream| match upstream.status.as_str() {
                "ready" => format!("{} ({})", upstream.name, counted(upstream.tools, "tool")),
                status => format!("{} ({status})", upstream.name),
            })
            .collect(),
        None => config.upstreams.iter().map(|upstream| of_config(&upstream.name)).collect(),
    };
    if known.is_empty() {
        return "none".into();
    }
    let more = known.len().saturating_sub(NAMED_MAX);
    let named = known.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join(", ");
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}: {named}{rest}", known.len())
}

fn tasks(overview: &Overview) -> String {
    let all = format!("{} on record", counted(overview.tasks, "task"));
    match overview.unfinished_tasks {
        0 => all,
        count => format!("{all}, {count} not ended"),
    }
}

/// The command that most likely comes next.
fn next(config: &Config, running: Option<&Running>) -> &'static str {
    let is_broken = |running: &Running| {
        running.health.status != "ok"
            || running.health.upstreams.iter().any(|upstream| upstream.status == "failed")
    };
    match running {
        Some(running) if running.overview.pending_approvals > 0 => {
            "airlock approvals list   (then `airlock approvals show ID`)"
        }
        _ if config.upstreams.is_empty() => {
            "airlock upstreams add URL   (a service whose tools programs may call)"
        }
        Some(running) if is_broken(running) => "airlock doctor   (something does not work)",
        Some(_) => "airlock tools search WORDS   (then `airlock run FILE`)",
        None => "airlock serve   (or `airlock tools list`, which needs no server)",
    }
}
