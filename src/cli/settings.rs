//! `airlock config`: the settings in force, where each value comes from, and whether what they name
//! can be used: policy files, secrets, runtimes, programs, working directories and documents.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    args::OUTPUT,
    screen::{dim, heading, print, print_json},
    upstreams,
};
use crate::{
    app::{self, Failure},
    base::plural::counted,
    catalog::MissingSecret,
    config::{self, Config},
};

/// The arguments of `config`.
#[derive(Debug, Args)]
pub(super) struct SettingsArgs {
    #[command(subcommand)]
    command: Option<SettingsCommand>,
    /// Print JSON
    #[arg(long, global = true, help_heading = OUTPUT)]
    json: bool,
}

/// The commands on the configuration.
#[derive(Debug, Subcommand)]
enum SettingsCommand {
    /// Show every key, its value and where it was written (what `config` alone does)
    Show,
    /// Check the configuration and what it names: policy files, secrets, runtimes, programs,
    /// working directories and documents. Lists every problem; exits with 78 if there is one
    Check,
    /// Print the reference of all keys, in Markdown
    Reference,
}

impl SettingsArgs {
    /// True if the command needs no configuration.
    pub(super) fn needs_no_configuration(&self) -> bool {
        matches!(self.command, Some(SettingsCommand::Reference))
    }
}

/// Prints the reference page.
pub(super) fn reference() -> Result<ExitCode, Failure> {
    print(config::reference().trim_end()).map(|()| ExitCode::SUCCESS)
}

/// Prints what is in force.
pub(super) async fn perform(args: &SettingsArgs, config: &Config) -> Result<ExitCode, Failure> {
    let file = config.file.as_ref().map(|file| file.display().to_string());
    let check = matches!(args.command, Some(SettingsCommand::Check));
    if check {
        app::warn(config);
        check_references(config).await?;
    }
    match (check, args.json) {
        (true, true) => print_json(&json!({ "status": "ok", "file": file }))?,
        (true, false) => print(format!(
            "the configuration is in order ({})",
            file.as_deref().unwrap_or("no file")
        ))?,
        (false, true) => print_json(&json!({ "file": file, "settings": config.settings }))?,
        (false, false) => show(config, file.as_deref())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn show(config: &Config, file: Option<&str>) -> Result<(), Failure> {
    print(dim(format!("# file: {}", file.unwrap_or("none"))).to_string())?;
    let mut section = "";
    for setting in &config.settings {
        let (table, key) = setting.key.split_once('.').unwrap_or((setting.key.as_str(), ""));
        if table != section {
            print(format!("\n{}", heading(format!("[{table}]"))))?;
            section = table;
        }
        // A table without keys.
        if key.is_empty() {
            print(dim(format!("# empty, {}", setting.origin)).to_string())?;
            continue;
        }
        let line = format!("{key} = {}", setting.value);
        print(format!("{line:<48} {}", dim(format!("# {}", setting.origin))))?;
    }
    Ok(())
}

/// Checks that the policy files, secrets, runtimes, programs, working directories and documents
/// that the configuration names can be used. The failure lists every problem.
async fn check_references(config: &Config) -> Result<(), Failure> {
    let mut problems = vec![];
    if let Err(found) = app::policy_source(config).load() {
        let origin = origin_of(config, "policy.files");
        problems.extend(found.iter().map(|problem| format!("{origin}: `policy.files`: {problem}")));
    }
    problems.extend(app::missing_secrets(config).await?.iter().map(|missing| {
        match holder(config, missing) {
            Some((key, value, origin)) => {
                format!("{origin}: `{key}` is {value}: {}", missing.message)
            }
            None => {
                format!("`upstreams.{}.{}`: {}", missing.upstream, missing.key, missing.message)
            }
        }
    }));
    problems.extend(upstreams::references::broken(config).into_iter().map(|broken| {
        let key = format!("upstreams.{}.{}", broken.upstream, broken.key);
        let hint = broken.hint.map(|hint| format!("; {hint}")).unwrap_or_default();
        format!("{}: `{key}`: {}{hint}", origin_of(config, &key), broken.message)
    }));
    for runtime in app::runtime_statuses(config).iter().filter(|runtime| !runtime.is_installed) {
        // A runtime that nothing names may be missing, also the default: all but running code works
        // without.
        if let Some(key) = runtime.key {
            problems.push(format!(
                "{}: `{key}`: `{}` is not installed: {}",
                origin_of(config, key),
                runtime.id,
                runtime.message
            ));
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    let count = counted(problems.len(), "problem");
    Err(Failure::config(format!("the configuration has {count}\n  {}", problems.join("\n  "))))
}

/// The place where a key is set.
fn origin_of<'a>(config: &'a Config, key: &str) -> &'a str {
    config
        .settings
        .iter()
        .find(|setting| setting.key == key)
        .map_or("default", |setting| &setting.origin)
}

/// The key that refers to what is missing, its value, and where it stands. An account of an
/// upstream stands below it.
fn holder(config: &Config, missing: &MissingSecret) -> Option<(String, Value, String)> {
    let MissingSecret { upstream, key, .. } = missing;
    let holds = |at: &str| {
        let mut parts = at.splitn(6, '.');
        let (Some("upstreams"), Some(name), Some(part)) =
            (parts.next(), parts.next(), parts.next())
        else {
            return false;
        };
        match (part, parts.next(), parts.next()) {
            ("accounts", Some(account), Some(part)) => {
                format!("{name}-{account}") == *upstream && part == key
            }
            ("env", Some(variable), None) => name == upstream && *key == format!("env.{variable}"),
            _ => name == upstream && part == key,
        }
    };
    let mut references = config.settings.iter().flat_map(|setting| {
        let mut found = vec![];
        references(setting.key.clone(), &setting.value, &mut found);
        found.into_iter().map(|(key, value)| (key, value, setting.origin.clone()))
    });
    references.find(|(at, ..)| holds(at))
}

/// The references in a value of the configuration, with their keys.
fn references(key: String, value: &Value, found: &mut Vec<(String, Value)>) {
    let Some(table) = value.as_object() else { return };
    if table.len() == 1
        && table.keys().all(|key| matches!(key.as_str(), "file" | "keychain" | "secret"))
    {
        found.push((key, value.clone()));
        return;
    }
    table.iter().for_each(|(name, value)| references(format!("{key}.{name}"), value, found));
}
