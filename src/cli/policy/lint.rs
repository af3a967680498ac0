//! `airlock policy lint`: what is probably not meant. Knows tools where a server runs.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use serde_json::{Value, json};

use super::{files, invalid, text};
use crate::{
    cli::{
        Failure,
        connection::Connection,
        screen::{self, note, print, print_json},
    },
    config::Config,
    policy::{
        Layer, Policy,
        lint::{self, Severity},
    },
    service::scope_text,
    task::policy_reload::PolicySource,
};

/// The arguments of `policy lint`.
#[derive(Debug, Args)]
pub(in crate::cli) struct LintArgs {
    /// The file; without it all files of the configuration
    file: Option<PathBuf>,
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

/// Exits with 1 where something cannot do what it says.
pub(super) async fn perform(
    args: &LintArgs,
    config: &Config,
    source: &PolicySource,
) -> Result<ExitCode, Failure> {
    let layers = match &args.file {
        Some(file) => vec![files::layer(file, source)?],
        None => files::configured(source)?,
    };
    if layers.is_empty() {
        return Err(Failure::other("there is no policy file")
            .hint("name one, or name some in `policy.files`"));
    }
    if let Err(problems) = Policy::load(layers.clone(), source.options) {
        return invalid(&problems, args.json);
    }
    let findings = match Connection::running(config).await? {
        Some(server) => {
            server.client.policy_question("lint", &as_json(&layers)).await?["findings"].take()
        }
        None => {
            note(
                "no server runs, so its tools are not known: addresses and arguments are not \
                looked up",
            );
            let found = lint::lint(&layers, source.options, &[]);
            json!(found.map_err(|problems| Failure::other(
                problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
            ))?)
        }
    };
    let findings = findings.as_array().map(Vec::as_slice).unwrap_or_default();
    if args.json {
        print_json(&findings.iter().map(|finding| with_ids(finding.clone())).collect())?;
    } else if findings.is_empty() {
        note("nothing to remark");
    } else {
        findings.iter().try_for_each(|finding| print(screen::plain(&row(finding))))?;
    }
    let error = json!(Severity::Error);
    let broken = findings.iter().any(|finding| finding["severity"] == error);
    Ok(if broken { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Layers as the server takes them.
pub(super) fn as_json(layers: &[Layer]) -> Value {
    let layers: Vec<_> = layers
        .iter()
        .map(|layer| json!({ "name": layer.name, "scope": scope_text(&layer.scope), "upstream": layer.upstream, "text": layer.text }))
        .collect();
    json!({ "files": layers })
}

/// Every object of a list has an `id` and a `status`.
fn with_ids(mut finding: Value) -> Value {
    finding["status"] = finding["severity"].clone();
    screen::with_id(finding, "code")
}

fn row(finding: &Value) -> String {
    let place = format!("{}:{}:{}", text(finding, "file"), finding["line"], finding["column"]);
    let hint = finding["hint"].as_str().map(|hint| format!("; {hint}")).unwrap_or_default();
    format!(
        "{place}: {} [{}] {}{hint}",
        text(finding, "severity"),
        text(finding, "code"),
        text(finding, "message")
    )
}
