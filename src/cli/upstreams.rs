//! `airlock upstreams`: the services whose tools code may call, as the configuration names them.

mod add;
mod client_file;
mod copies;
mod draft;
mod file;
mod import;
mod keeper;
mod list;
mod names;
mod options;
pub(in crate::cli) mod program;
pub(in crate::cli) mod references;
mod secret;
mod target;
mod template;
mod trial;
mod url;
mod write;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::json;

use super::{
    args::Output,
    running::{self, Broken},
    screen::{self, Spinner, heading, note, print, print_json},
};
use crate::{
    app::{self, Failure},
    base::{plural::counted, text::quoted},
    catalog::{MissingSecret, UpstreamState, UpstreamStatus},
    config::{Config, Upstream},
    service::view,
};

/// The commands on upstreams.
#[derive(Debug, Subcommand)]
pub(super) enum UpstreamsCommand {
    /// Add a service to the configuration: its URL, the file of its OpenAPI document or GraphQL
    /// schema, or the command of an MCP server. Connects to it first
    Add(Box<add::AddArgs>),
    /// Import the MCP servers that an MCP client lists in its file
    Import(import::ImportArgs),
    /// List the configured upstreams
    List(Output),
    /// Remove an upstream from the configuration
    Remove(OneArgs),
    /// Connect to upstreams, count their tools, and say what is wrong; exits with 1 if one of them
    /// does not work
    Check(CheckArgs),
    /// Log in to a service that wants OAuth: allow Airlock to use it, in your browser
    Login(OneArgs),
}

/// Arguments of a command on one upstream.
#[derive(Debug, Args)]
pub(super) struct OneArgs {
    /// The upstream's name
    name: String,
    #[command(flatten)]
    output: Output,
}

/// Arguments of `upstreams check`.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// The upstream's name; without it, all upstreams are checked
    name: Option<String>,
    #[command(flatten)]
    output: Output,
}

/// Performs the command.
pub(super) async fn perform(
    command: UpstreamsCommand,
    config: Config,
) -> Result<ExitCode, Failure> {
    match command {
        UpstreamsCommand::Add(args) => add::perform(*args, &config).await?,
        UpstreamsCommand::Import(args) => return import::perform(args, &config).await,
        UpstreamsCommand::List(output) => list::perform(&config, output).await?,
        UpstreamsCommand::Remove(args) => remove(&args, &config).await?,
        UpstreamsCommand::Check(args) => return check(&args, config).await,
        UpstreamsCommand::Login(args) => login(&args, &config).await?,
    }
    Ok(ExitCode::SUCCESS)
}

fn named<'a>(config: &'a Config, name: &str) -> Result<&'a Upstream, Failure> {
    config.upstreams.iter().find(|upstream| upstream.name == name).ok_or_else(|| {
        let hint = match quoted(config.upstreams.iter().map(|upstream| &upstream.name)) {
            names if names.is_empty() => {
                "no upstreams are configured; `airlock upstreams add` adds one".into()
            }
            names => names,
        };
        Failure::other(format!("there is no upstream `{name}`")).hint(hint)
    })
}

/// The upstreams that the running server serves while the file is broken.
pub(super) fn list_broken(output: Output, broken: Broken) -> Result<ExitCode, Failure> {
    let Broken { failure, server } = broken;
    let Some(server) = server else { return Err(failure) };
    let upstreams = &server.health.upstreams;
    if output.json {
        let row = |upstream: &view::Upstream| {
            let view::Upstream { name, status, kind, message, .. } = upstream;
            json!({ "id": name, "status": status, "kind": kind, "message": message })
        };
        let rows: Vec<_> = upstreams.iter().map(row).collect();
        print_json(&json!(rows))?;
    } else {
        for view::Upstream { name, status, kind, message, .. } in upstreams {
            let state = screen::in_colour_of(status, &format!("{status:<10}"));
            print(format!("{} {state} {kind}", heading(format!("{name:<24}"))))?;
            if let Some(message) = message {
                print(format!("  {}", screen::plain(message)))?;
            }
        }
    }
    note(server.summary());
    Err(failure)
}

async fn remove(args: &OneArgs, config: &Config) -> Result<(), Failure> {
    let change = file::Change::alone(config)?.without(&args.name)?;
    change.write()?;
    if args.output.json {
        return print_json(&json!({
            "id": args.name, "status": "removed", "file": change.path().display().to_string()
        }));
    }
    change.show()?;
    running::note_change(config).await;
    Ok(())
}

async fn check(args: &CheckArgs, mut config: Config) -> Result<ExitCode, Failure> {
    if let Some(name) = &args.name {
        let one = named(&config, name)?.clone();
        config.upstreams = vec![one];
    }
    let names: Vec<_> = config.upstreams.iter().map(|upstream| upstream.name.clone()).collect();
    let spinner = Spinner::start(&format!("connecting to {}", names.join(", ")));
    let missing = app::missing_secrets(&config).await?;
    let progress = spinner.clone();
    let found =
        app::connect_all(&config, Box::new(move |done, all| progress.count(done, all))).await?;
    drop(spinner);
    let of = |name: &str| -> Vec<&MissingSecret> {
        missing.iter().filter(|missing| missing.upstream == name).collect()
    };
    let is_whole =
        missing.is_empty() && found.iter().all(|status| status.status == UpstreamState::Ready);
    if args.output.json {
        let checked = |status: &UpstreamStatus| {
            let mut upstream = view::Upstream::from(status.clone());
            let missing = of(&status.name);
            if !missing.is_empty() {
                upstream.status = "failed".into();
            }
            Checked { id: upstream.name.clone(), upstream, missing }
        };
        let all: Vec<_> = found.iter().map(checked).collect();
        print_json(&serde_json::to_value(&all).expect("a result has string keys"))?;
    } else if found.is_empty() {
        note("no upstreams are configured; `airlock upstreams add URL` adds one");
    } else {
        found.iter().try_for_each(|status| report(status, &of(&status.name)))?;
    }
    Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The result of `upstreams check` for one upstream.
#[derive(Serialize)]
struct Checked<'m> {
    #[serde(flatten)]
    upstream: view::Upstream,
    id: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    missing: Vec<&'m MissingSecret>,
}

fn report(status: &UpstreamStatus, missing: &[&MissingSecret]) -> Result<(), Failure> {
    let (word, sign) = match (status.status, &status.message) {
        // It lists its tools to anybody, and would refuse the calls.
        _ if !missing.is_empty() => ("broken", "✗"),
        (UpstreamState::Ready, None) => ("ok", "✓"),
        (UpstreamState::Ready, Some(_)) => ("warning", "!"),
        (UpstreamState::Connecting | UpstreamState::Failed, _) => ("broken", "✗"),
    };
    let counted = format!("{} {}", status.kind, counted(status.tools, "tool"));
    print(format!(
        "{} {} {counted}",
        screen::in_colour_of(word, sign),
        heading(format!("{:<24}", status.name))
    ))?;
    for MissingSecret { upstream, key, message } in missing {
        print(format!("  `upstreams.{upstream}.{key}`: {}", screen::plain(message)))?;
    }
    let is_new = |message: &&str| !missing.iter().any(|missing| message.contains(&missing.message));
    let message = status.message.as_deref().filter(is_new);
    let silent = missing.is_empty() && word == "broken" && status.message.is_none();
    let message = message.or(silent.then_some("it did not answer in time"));
    message.map_or(Ok(()), |message| print(format!("  {}", screen::plain(message))))
}

async fn login(args: &OneArgs, config: &Config) -> Result<(), Failure> {
    let upstream = named(config, &args.name)?;
    let refused =
        |why: String| Failure::unavailable(format!("cannot log in to `{}`: {why}", args.name));
    let spinner = Spinner::start("looking for its authorization server");
    let login = app::login(config, &upstream.name).await?;
    drop(spinner);
    let hint = "open this page in a browser on this machine, and allow Airlock to use the service";
    if args.output.json {
        // Standard output carries the answer alone.
        note(login.url());
    } else {
        print(format!("{hint}:\n\n  {}\n", login.url()))?;
    }
    let spinner = Spinner::start("waiting for the browser");
    let finished = login.finish().await;
    drop(spinner);
    finished.map_err(refused)?;
    match args.output.json {
        true => print_json(&json!({ "id": args.name, "status": "ready" })),
        false => print(format!("Airlock may use `{}` now", args.name)),
    }
}
