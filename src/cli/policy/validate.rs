//! `airlock policy validate`: whether a file can be used. Needs no server.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use serde_json::json;

use super::{files, invalid};
use crate::{
    cli::{
        Failure,
        screen::{print, print_json},
    },
    config::Config,
    policy::Policy,
};

/// The arguments of `policy validate`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ValidateArgs {
    /// The file, YAML or JSON; `-` for standard input
    file: PathBuf,
    /// The upstream whose tools the file names without saying so, as files of Intercept and PolicyLayer do
    #[arg(long, value_name = "NAME")]
    upstream: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Loads it alone.
pub(super) fn perform(args: &ValidateArgs, config: &Config) -> Result<ExitCode, Failure> {
    let mut layer = files::layer(&args.file, config)?;
    layer.upstream = args.upstream.clone().or(layer.upstream);
    let name = layer.name.clone();
    match Policy::load(vec![layer], files::options(config)) {
        Ok(policy) => {
            let revision = policy.revision();
            if args.json {
                print_json(&json!({ "status": "valid", "file": name, "revision": revision, "problems": [] }))?;
            } else {
                print(format!("{name}: valid"))?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(problems) => invalid(&problems, args.json),
    }
}
