//! `airlock policy lint`: likely mistakes. Needs the tools, so it starts a server where none runs.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use super::{files, problems::invalid};
use crate::{
    app::Failure,
    base::plural::counted,
    cli::{
        args::OUTPUT,
        connection::{Connection, Need},
        screen::{self, note, print, print_json},
    },
    config::Config,
    policy::Policy,
    service::view::{PolicyFinding, Severity},
    task::policy_reload::PolicySource,
};

/// The arguments of `policy lint`.
#[derive(Debug, Args)]
pub(in crate::cli) struct LintArgs {
    /// The file; without it all files of the configuration
    file: Option<PathBuf>,
    /// Print a JSON array
    #[arg(long, help_heading = OUTPUT)]
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
    let request = files::as_request(&layers);
    let findings = Connection::ask(config, Need::Tools, async |client| {
        let findings = client.lint(&request).await?.findings;
        // A rule about tools that are not known cannot be checked.
        for upstream in client.health().await?.upstreams {
            if upstream.status != "ready" {
                note(format!(
                    "the upstream `{}` does not work: its tools are checked as they were last \
                    listed ({})",
                    upstream.name,
                    counted(upstream.tools, "tool")
                ));
            }
        }
        Ok(findings)
    });
    let findings = findings.await?;
    if args.json {
        print_json(&findings.iter().map(with_ids).collect())?;
    } else if findings.is_empty() {
        note(format!("no problems found in {}", counted(layers.len(), "file")));
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
