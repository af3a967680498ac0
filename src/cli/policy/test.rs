//! `airlock policy test`: the tests that stand in a policy file. Needs no server; where one runs,
//! its tools are known.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use serde_json::{Value, json};

use super::{files, invalid, lint::as_json, text};
use crate::{
    cli::{
        Failure,
        connection::Connection,
        screen::{self, in_colour_of, note, print, print_json},
    },
    config::Config,
    model::Timestamp,
    policy::Policy,
    task::policy_reload::PolicySource,
};

/// The arguments of `policy test`.
#[derive(Debug, Args)]
pub(in crate::cli) struct TestArgs {
    /// The file; without it all files of the configuration together
    file: Option<PathBuf>,
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

/// Exits with 1 where a test fails, or where there is none.
pub(super) async fn perform(
    args: &TestArgs,
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
    let policy = match Policy::load(layers.clone(), source.options) {
        Ok(policy) => policy,
        Err(problems) => return invalid(&problems, args.json),
    };
    let mut results = match Connection::running(config).await? {
        Some(server) => {
            server.client.policy_question("test", &as_json(&layers)).await?["results"].take()
        }
        None => json!(policy.run_tests(Timestamp::now(), &|_| None)),
    };
    let results = results.as_array_mut().map(std::mem::take).unwrap_or_default();
    if results.is_empty() {
        return Err(Failure::other("the file has no tests")
            .hint("write some under `tests`: {tool, args, expect}"));
    }
    let failed = results.iter().filter(|result| result["passed"] != true).count();
    if args.json {
        print_json(&results.into_iter().map(with_ids).collect())?;
    } else {
        results.iter().try_for_each(|result| print(row(result)))?;
        note(format!("{} passed, {failed} failed", results.len() - failed));
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn with_ids(mut result: Value) -> Value {
    result["status"] = if result["passed"] == true { "passed" } else { "failed" }.into();
    screen::with_id(result, "name")
}

fn row(result: &Value) -> String {
    let passed = result["passed"] == true;
    let mark = if passed { in_colour_of("ok", "✓") } else { in_colour_of("failed", "✗") };
    let unknown = if result["known"] == true {
        ""
    } else {
        " (the tool is not known here: its name alone speaks)"
    };
    let part = |key: &str| screen::plain(text(result, key));
    let head = format!(
        "{mark} {}:{} {} {}{unknown}",
        part("file"),
        result["line"],
        part("name"),
        part("tool")
    );
    if passed {
        head
    } else {
        format!("{head}\n    expected: {}\n    got:      {}", part("expected"), part("got"))
    }
}
