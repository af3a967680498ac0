//! `airlock policy validate`: whether a file, or all that the configuration names, can be used.
//! Needs no server.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use serde_json::json;

use super::{files, problems::invalid};
use crate::{
    app::Failure,
    base::plural::counted,
    cli::args::OUTPUT,
    cli::screen::{note, print, print_json},
    policy::Policy,
    task::policy_reload::PolicySource,
};

/// The arguments of `policy validate`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ValidateArgs {
    /// The file, YAML or JSON; `-` for standard input; without it all files of the configuration
    /// together, as a server loads them
    file: Option<PathBuf>,
    /// The upstream whose tools the file means, if it names tools without their upstream, as files
    /// of Intercept and PolicyLayer do
    #[arg(long, value_name = "NAME", requires = "file")]
    upstream: Option<String>,
    /// Print JSON
    #[arg(long, help_heading = OUTPUT)]
    json: bool,
}

/// Loads it alone, or what the configuration names together.
pub(super) fn perform(args: &ValidateArgs, source: &PolicySource) -> Result<ExitCode, Failure> {
    match &args.file {
        Some(file) => one(file, args, source),
        None => configured(args.json, source),
    }
}

fn configured(json: bool, source: &PolicySource) -> Result<ExitCode, Failure> {
    let policy = match source.load() {
        Ok(policy) => policy,
        Err(problems) => return invalid(&problems, json),
    };
    let files: Vec<_> = source.files.iter().map(|file| file.path.display().to_string()).collect();
    let profile = source.options.profile.as_str();
    if json {
        print_json(&json!({
            "status": "valid", "files": files, "profile": profile,
            "revision": policy.revision(), "problems": []
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    files.iter().try_for_each(|file| print(format!("{file}: valid")))?;
    match files.len() {
        0 => print(format!(
            "`policy.files` names no file, so the profile `{profile}` alone decides"
        ))?,
        count => note(format!(
            "checked {} of `policy.files` together, as a server loads them, with the profile \
            `{profile}`",
            counted(count, "file")
        )),
    }
    Ok(ExitCode::SUCCESS)
}

fn one(file: &Path, args: &ValidateArgs, source: &PolicySource) -> Result<ExitCode, Failure> {
    let mut layer = files::layer(file, source)?;
    layer.upstream = args.upstream.clone().or(layer.upstream);
    let name = layer.name.clone();
    match Policy::load(vec![layer], source.options) {
        Ok(policy) => {
            let revision = policy.revision();
            if args.json {
                print_json(&json!({
                    "status": "valid", "file": name, "revision": revision, "problems": []
                }))?;
            } else {
                print(format!("{name}: valid"))?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(problems) => invalid(&problems, args.json),
    }
}
