//! `airlock upstreams`: the services whose tools code may call, as the configuration names them.

mod add;
mod file;

use std::{process::ExitCode, sync::Arc};

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use url::Url;

use super::{
    Application, Failure, Output,
    connection::Connection,
    screen::{self, Spinner, dim, heading, note, print, print_json},
};
use crate::{
    catalog::{MissingSecret, UpstreamState, UpstreamStatus},
    config::{Config, Credential, HttpAccess, Transport, Upstream},
    model::Document,
};

/// What to do with upstreams.
#[derive(Debug, Subcommand)]
pub(super) enum UpstreamsCommand {
    /// Add a service to the configuration: its address, its description's file, or the command of
    /// an MCP server
    Add(add::AddArgs),
    /// List the configured upstreams
    List(Output),
    /// Remove an upstream from the configuration
    Remove(OneArgs),
    /// Reach upstreams, count their tools, and say what is wrong; exits with 1 if one cannot be
    /// used
    Check(CheckArgs),
    /// Allow Airlock to use a service that speaks OAuth, in a browser
    Login(OneArgs),
}

/// Which upstream.
#[derive(Debug, Args)]
pub(super) struct OneArgs {
    /// Its name
    name: String,
    #[command(flatten)]
    output: Output,
}

/// Which upstreams.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Its name; all without it
    name: Option<String>,
    #[command(flatten)]
    output: Output,
}

/// Does it.
pub(super) async fn perform(
    command: UpstreamsCommand,
    config: Config,
    application: &Arc<dyn Application>,
) -> Result<ExitCode, Failure> {
    match command {
        UpstreamsCommand::Add(args) => add::perform(args, &config, application).await?,
        UpstreamsCommand::List(output) => list(&config, output).await?,
        UpstreamsCommand::Remove(args) => remove(&args, &config)?,
        UpstreamsCommand::Check(args) => return check(&args, config, application).await,
        UpstreamsCommand::Login(args) => login(&args, &config, application).await?,
    }
    Ok(ExitCode::SUCCESS)
}

fn named<'a>(config: &'a Config, name: &str) -> Result<&'a Upstream, Failure> {
    config.upstreams.iter().find(|upstream| upstream.name == name).ok_or_else(|| {
        let names: Vec<_> =
            config.upstreams.iter().map(|upstream| format!("`{}`", upstream.name)).collect();
        let hint = if names.is_empty() {
            "there are none; add one with `airlock upstreams add`".into()
        } else {
            names.join(", ")
        };
        Failure::other(format!("there is no upstream `{name}`")).hint(hint)
    })
}

async fn list(config: &Config, output: Output) -> Result<(), Failure> {
    // Only a server that runs knows how they are; `check` finds out otherwise.
    let health = match Connection::running(config).await? {
        Some(running) => running.client.health().await.unwrap_or_default(),
        None => Value::Null,
    };
    let status = |name: &str| {
        let all = health["upstreams"].as_array().into_iter().flatten();
        all.filter(|upstream| upstream["name"] == name)
            .find_map(|upstream| upstream["status"].as_str())
            .unwrap_or("configured")
    };
    let rows: Vec<_> =
        config.upstreams.iter().map(|upstream| row(upstream, status(&upstream.name))).collect();
    if output.json {
        return print_json(&rows.into());
    }
    if rows.is_empty() {
        note("no upstreams; `airlock upstreams add ADDRESS` adds one");
    }
    rows.iter().try_for_each(|row| {
        let text = |key: &str| row[key].as_str().unwrap_or_default();
        let state = screen::in_colour_of(text("status"), &format!("{:<10}", text("status")));
        let place = screen::line(text("place"), screen::width().saturating_sub(56));
        print(format!(
            "{} {state} {:<8} {:<10} {}",
            heading(format!("{:<24}", text("id"))),
            text("kind"),
            text("auth"),
            dim(place)
        ))
    })
}

fn row(upstream: &Upstream, status: &str) -> Value {
    let (kind, place) = match &upstream.transport {
        Transport::Stdio { command, args, .. } => {
            ("mcp", [std::slice::from_ref(command), args].concat().join(" "))
        }
        Transport::Http { url } => ("mcp", shown(url)),
        Transport::OpenApi { spec, base_url, .. } => {
            let spec = match spec {
                Document::File(path) => path.display().to_string(),
                Document::Url(url) => Url::parse(url).as_ref().map_or_else(|_| url.clone(), shown),
            };
            ("openapi", base_url.as_ref().map_or(spec, shown))
        }
        Transport::GraphQl { url, .. } => ("graphql", shown(url)),
    };
    let access = upstream.access.as_ref();
    json!({ "id": upstream.name, "status": status, "kind": kind, "place": place, "auth": access.map_or("none", auth) })
}

/// An address without its query, which may hold a key.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

fn auth(access: &HttpAccess) -> &'static str {
    match &access.credential {
        Credential::None if access.headers.is_empty() => "none",
        Credential::None => "headers",
        Credential::ApiKey { .. } => "api_key",
        Credential::Bearer(_) => "bearer",
        Credential::Basic { .. } => "basic",
        Credential::OAuth(_) => "oauth",
    }
}

fn remove(args: &OneArgs, config: &Config) -> Result<(), Failure> {
    let change = file::Change::begin(config)?.without(&args.name)?;
    change.write()?;
    if args.output.json {
        return print_json(
            &json!({ "id": args.name, "status": "removed", "file": change.path().display().to_string() }),
        );
    }
    change.show()?;
    note("a running server keeps it until it is started again");
    Ok(())
}

async fn check(
    args: &CheckArgs,
    mut config: Config,
    application: &Arc<dyn Application>,
) -> Result<ExitCode, Failure> {
    if let Some(name) = &args.name {
        let one = named(&config, name)?.clone();
        config.upstreams = vec![one];
    }
    let names: Vec<_> = config.upstreams.iter().map(|upstream| upstream.name.clone()).collect();
    let spinner = Spinner::start(&format!("reaching {}", names.join(", ")));
    let missing = application.missing_secrets(&config).await?;
    let shown = spinner.clone();
    let found =
        application.reach(config, Box::new(move |done, all| shown.count(done, all))).await?;
    drop(spinner);
    let of = |name: &str| -> Vec<&MissingSecret> {
        missing.iter().filter(|missing| missing.upstream == name).collect()
    };
    let is_whole =
        missing.is_empty() && found.iter().all(|status| status.status == UpstreamState::Ready);
    if args.output.json {
        let with_id = |status: &UpstreamStatus| {
            let mut row = serde_json::to_value(status).expect("a status is plain data");
            row["id"] = status.name.clone().into();
            let missing = of(&status.name);
            if !missing.is_empty() {
                row["status"] = "failed".into();
                row["missing"] = json!(missing);
            }
            row
        };
        print_json(&found.iter().map(with_id).collect())?;
    } else if found.is_empty() {
        note("no upstreams; `airlock upstreams add ADDRESS` adds one");
    } else {
        found.iter().try_for_each(|status| tell(status, &of(&status.name)))?;
    }
    Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn tell(status: &UpstreamStatus, missing: &[&MissingSecret]) -> Result<(), Failure> {
    let (word, sign) = match (status.status, &status.message) {
        // It describes itself to anybody, and would refuse its calls.
        _ if !missing.is_empty() => ("broken", "✗"),
        (UpstreamState::Ready, None) => ("ok", "✓"),
        (UpstreamState::Ready, Some(_)) => ("warning", "!"),
        (UpstreamState::Connecting | UpstreamState::Failed, _) => ("broken", "✗"),
    };
    let counted = format!("{} {} tools", status.kind, status.tools);
    print(format!(
        "{} {} {counted}",
        screen::in_colour_of(word, sign),
        heading(format!("{:<24}", status.name))
    ))?;
    for MissingSecret { upstream, key, message } in missing {
        print(format!("  `upstreams.{upstream}.{key}`: {}", screen::plain(message)))?;
    }
    let said = |message: &&str| !missing.iter().any(|missing| message.contains(&missing.message));
    let message = status.message.as_deref().filter(said);
    let silent = missing.is_empty() && word == "broken" && status.message.is_none();
    let message = message.or(silent.then_some("it did not answer in time"));
    message.map_or(Ok(()), |message| print(format!("  {}", screen::plain(message))))
}

async fn login(
    args: &OneArgs,
    config: &Config,
    application: &Arc<dyn Application>,
) -> Result<(), Failure> {
    let upstream = named(config, &args.name)?;
    let refused =
        |why: String| Failure::unavailable(format!("nobody can log in to `{}`: {why}", args.name));
    let spinner = Spinner::start("asking for its authorization server");
    let login = application.login(config, &upstream.name).await?;
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
