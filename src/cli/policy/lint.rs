//! `airlock policy lint`: likely mistakes. Knows the tools where a server runs.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use super::{files, problems::invalid};
use crate::{
    app::Failure,
    cli::{
        connection::{Connection, Need},
        screen::{self, note, print, print_json},
    },
    config::Config,
    policy::{Policy, lint},
    service::view::{PolicyFinding, Severity},
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

/// Exits with 1 where a rule cannot do what it says.
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
    let findings = match Connection::running(config, Need::Tools).await? {
        Some(server) => server.client.lint(&files::as_request(&layers)).await?.findings,
        None => {
            note("no server runs, so its tools are not known: paths and arguments are not checked");
            let found = lint::lint(&layers, source.options, &[]);
            let found = found.map_err(|problems| {
                let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
                Failure::other(lines.join("\n"))
            })?;
            found.into_iter().map(PolicyFinding::from).collect()
        }
    };
    if args.json {
        print_json(&findings.iter().map(with_ids).collect())?;
    } else if findings.is_empty() {
        note("no findings");
    } else {
        findings.iter().try_for_each(|finding| print(screen::plain(&row(finding))))?;
    }
    let broken = findings.iter().any(|finding| finding.severity == Severity::Error);
    Ok(if broken { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The finding as JSON: every object of a list has an `id` and a `status`.
fn with_ids(finding: &PolicyFinding) -> serde_json::Value {
    let mut object = screen::with_id(&finding.code, finding);
    object["status"] = finding.severity.as_str().into();
    object
}

fn row(finding: &PolicyFinding) -> String {
    let PolicyFinding { code, severity, file, line, column, message, hint, .. } = finding;
    let hint = hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
    format!("{file}:{line}:{column}: {} [{code}] {message}{hint}", severity.as_str())
}
