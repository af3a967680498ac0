//! `airlock upstreams add`: finds out the protocol of a URL, and writes the upstream to the
//! configuration. Never a secret.

use std::path::Path;

use clap::{Args, ValueEnum};
use serde_json::json;
use toml_edit::{Array, InlineTable, Table, Value, value};
use url::Url;

use super::{
    file::Change,
    url::{secret_parameter, shown},
};
use crate::{
    app::{self, Failure},
    catalog::Detected,
    cli::{
        args::Output,
        running,
        screen::{Spinner, print, print_json},
    },
    config::Config,
    model::is_reserved_namespace,
};

/// Arguments of `upstreams add`.
#[derive(Debug, Args)]
pub(in crate::cli) struct AddArgs {
    /// A URL, the file of an OpenAPI document, or the program of an MCP server
    #[arg(required_unless_present = "command", value_name = "URL|FILE|PROGRAM")]
    target: Option<String>,
    /// The program of an MCP server and its arguments: `-- npx -y PACKAGE`
    #[arg(last = true, conflicts_with = "target")]
    command: Vec<String>,
    /// The name of its tools: `tools.NAME…` [default: made from the target]
    #[arg(long)]
    name: Option<String>,
    /// Its protocol [default: found out]
    #[arg(long, value_enum)]
    kind: Option<Kind>,
    #[command(flatten)]
    output: Output,
}

/// Protocols of services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// The Model Context Protocol
    Mcp,
    /// HTTP, described by OpenAPI
    Openapi,
    /// GraphQL
    Graphql,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Mcp => "mcp",
            Self::Openapi => "openapi",
            Self::Graphql => "graphql",
        }
    }
}

/// The findings about a target.
struct Found {
    kind: Kind,
    wants_oauth: bool,
    is_private: bool,
}

/// Performs the command.
pub(super) async fn perform(args: AddArgs, config: &Config) -> Result<(), Failure> {
    let taken = |name: &str| config.upstreams.iter().any(|upstream| upstream.name == name);
    let target: Vec<String> = args.target.iter().chain(&args.command).cloned().collect();
    let (table, made, wants_oauth) = match (target.as_slice(), args.kind) {
        ([one], _) if one.contains("://") => service(one, args.kind).await?,
        ([one], kind) if kind == Some(Kind::Openapi) || is_document_file(one) => document(one)?,
        (_, None | Some(Kind::Mcp)) => command(&target),
        (_, Some(kind)) => {
            let message = format!(
                "`{}` is not a URL, which an upstream of kind \"{}\" needs",
                target[0],
                kind.as_str()
            );
            return Err(Failure::other(message).hint("give its URL, https://…"));
        }
    };
    let name = args.name.clone().unwrap_or_else(|| free_name(&made, taken));
    let change = Change::begin(config)?.with(&name, table)?;
    change.write()?;
    if args.output.json {
        let kind = change.kind_of(&name);
        return print_json(&json!({
            "id": name, "status": "added", "kind": kind,
            "file": change.path().display().to_string()
        }));
    }
    change.show()?;
    if wants_oauth {
        print(format!("it needs OAuth; allow it in a browser: airlock upstreams login {name}"))?;
    } else {
        print(format!("check whether it answers: airlock upstreams check {name}"))?;
    }
    running::note_change(config).await;
    Ok(())
}

async fn service(text: &str, kind: Option<Kind>) -> Result<(Table, String, bool), Failure> {
    let url = Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let url = url.ok_or_else(|| {
        Failure::other(format!(
            "`{text}` is not a URL; allowed: https://HOST/PATH or http://HOST/PATH"
        ))
    })?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Failure::other(
            "the URL holds a user or a password, which do not belong in the configuration",
        )
        .hint("store it with `airlock secrets set NAME` and refer to it in `auth`"));
    }
    if let Some(name) = secret_parameter(&url) {
        return Err(Failure::other(format!(
            "the URL holds `{name}`, which looks like a secret; \
            it was not written"
        ))
        .hint(
            "leave it out, and give it in `auth = { api_key = { query = \"NAME\", value = { \
                secret = \"NAME\" } } }`",
        ));
    }
    let found = found(&url, kind).await?;
    let mut table = Table::new();
    table["kind"] = value(found.kind.as_str());
    match found.kind {
        Kind::Openapi => table["spec"] = value(text),
        Kind::Mcp | Kind::Graphql => table["url"] = value(text),
    }
    if found.wants_oauth {
        let oauth = InlineTable::from_iter([("oauth", Value::InlineTable(InlineTable::new()))]);
        table["auth"] = value(oauth);
    }
    if found.is_private {
        table["allow_private"] = value(true);
    }
    Ok((table, name_of_host(&url), found.wants_oauth))
}

/// Finds out the protocol of a URL. One that is private is asked too: its owner named it.
async fn found(url: &Url, kind: Option<Kind>) -> Result<Found, Failure> {
    let spinner =
        Spinner::start(&format!("asking {} for its protocol", url.origin().ascii_serialization()));
    let mut is_private = false;
    let mut detected = app::detect(url, false).await;
    if detected.as_ref().is_err_and(|why| why.contains("allow_private")) {
        is_private = true;
        detected = app::detect(url, true).await;
    }
    drop(spinner);
    let found = |kind, wants_oauth| Found { kind, wants_oauth, is_private };
    match (detected, kind) {
        (Ok(Detected::Mcp { wants_oauth }), None | Some(Kind::Mcp)) => {
            Ok(found(Kind::Mcp, wants_oauth))
        }
        (Ok(Detected::OpenApi), None | Some(Kind::Openapi)) => Ok(found(Kind::Openapi, false)),
        (Ok(Detected::GraphQl), None | Some(Kind::Graphql)) => Ok(found(Kind::Graphql, false)),
        // The owner knows better, also where nobody answers.
        (_, Some(kind)) => Ok(found(kind, false)),
        (Err(why), None) => Err(Failure::unavailable(format!(
            "the protocol of `{}` is not known: {why}",
            shown(url)
        ))
        .hint("check the URL, or name it with `--kind mcp`, `--kind openapi` or `--kind graphql`")),
    }
}

fn document(text: &str) -> Result<(Table, String, bool), Failure> {
    let path = std::path::absolute(text)
        .map_err(|error| Failure::other(format!("`{text}` is not a path: {error}")))?;
    if !path.is_file() {
        return Err(Failure::other(format!("there is no file `{}`", path.display())));
    }
    let mut table = Table::new();
    table["kind"] = value("openapi");
    table["spec"] = value(path.display().to_string());
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    Ok((table, stem, false))
}

fn command(target: &[String]) -> (Table, String, bool) {
    let mut table = Table::new();
    table["kind"] = value("mcp");
    table["command"] = value(&target[0]);
    if target.len() > 1 {
        table["args"] = value(target[1..].iter().map(String::as_str).collect::<Array>());
    }
    (table, name_of_command(target), false)
}

fn is_document_file(text: &str) -> bool {
    let ending = Path::new(text).extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    // Also where there is none: no program is called so, and `document` says that the file is
    // missing.
    matches!(ending.to_ascii_lowercase().as_str(), "json" | "yaml" | "yml")
}

/// `https://mcp.linear.app/mcp`: `linear`.
fn name_of_host(url: &Url) -> String {
    let Some(url::Host::Domain(host)) = url.host() else { return "local".to_owned() };
    let labels: Vec<_> = host
        .split('.')
        .filter(|label| !matches!(*label, "api" | "mcp" | "www" | "graphql" | "app"))
        .collect();
    match labels.as_slice() {
        // The last one is the top level, unless it is all there is.
        [.., name, _] => (*name).to_owned(),
        [only] => (*only).to_owned(),
        [] => host.split('.').next().unwrap_or("local").to_owned(),
    }
}

/// `npx -y @modelcontextprotocol/server-everything@1`: `everything`.
fn name_of_command(target: &[String]) -> String {
    let runner = matches!(
        target[0].as_str(),
        "npx" | "uvx" | "bunx" | "pnpx" | "node" | "python" | "python3" | "deno" | "docker"
    );
    let words = target.iter().skip(usize::from(runner && target.len() > 1));
    let word = words
        .filter(|word| !word.starts_with('-'))
        .find(|word| !matches!(word.as_str(), "run" | "exec" | "dlx"));
    let word = word.unwrap_or(&target[0]).trim_end_matches('/');
    let last = word.rsplit('/').next().unwrap_or(word);
    let bare = last.split(['@', ':']).find(|part| !part.is_empty()).unwrap_or(last);
    let bare = bare
        .trim_end_matches(".js")
        .trim_end_matches(".mjs")
        .trim_end_matches(".py")
        .trim_end_matches(".ts");
    let parts: Vec<_> = bare
        .split(['-', '_', '.'])
        .filter(|part| !matches!(*part, "mcp" | "server" | ""))
        .collect();
    if parts.is_empty() { bare.to_owned() } else { parts.join("-") }
}

/// The name as the configuration allows it, and one that is free.
fn free_name(made: &str, taken: impl Fn(&str) -> bool) -> String {
    let mut name: String = made
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' })
        .take(48)
        .collect();
    if !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        name.insert(0, '_');
    }
    let is_free = |name: &str| !taken(name) && !is_reserved_namespace(name);
    if is_free(&name) {
        return name;
    }
    // There are fewer upstreams than numbers.
    (2..10_000u32)
        .map(|number| format!("{name}-{number}"))
        .find(|name| is_free(name))
        .unwrap_or(name)
}

#[cfg(test)]
mod tests;
