//! `airlock policy test`: the tests in a policy file. Needs no server; where one runs, its tools
//! are known.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use super::{files, problems::invalid};
use crate::{
    app::Failure,
    cli::{
        args::OUTPUT,
        connection::{Connection, Need},
        screen::{self, in_colour_of, note, print, print_json},
    },
    config::Config,
    model::Timestamp,
    policy::Policy,
    service::view::PolicyCase,
    task::policy_reload::PolicySource,
};

/// The arguments of `policy test`.
#[derive(Debug, Args)]
pub(in crate::cli) struct TestArgs {
    /// The file; without it all files of the configuration together
    file: Option<PathBuf>,
    /// Print a JSON array
    #[arg(long, help_heading = OUTPUT)]
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
    let results: Vec<PolicyCase> = match Connection::running(config, Need::Record).await? {
        Some(server) => server.client.test(&files::as_request(&layers)).await?.results,
        None => {
            let reports = policy.run_tests(Timestamp::now(), &|_| None);
            reports.into_iter().map(Into::into).collect()
        }
    };
    if results.is_empty() {
        let what = match args.file {
            Some(_) => "the file has no tests",
            None => "the policy files have no tests",
        };
        return Err(Failure::other(what).coded("no_tests").hint(example(&policy)));
    }
    let failed = results.iter().filter(|result| !result.passed).count();
    if args.json {
        print_json(&results.iter().map(with_ids).collect())?;
    } else {
        results.iter().try_for_each(|result| print(row(result)))?;
        note(format!("{} passed, {failed} failed", results.len() - failed));
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What a test looks like, on a tool that the policy names.
fn example(policy: &Policy) -> String {
    let mut named = policy.rules().map(|rule| rule.pattern.to_string());
    let tool = named.find(|tool| !tool.contains('*'));
    let tool = tool.unwrap_or_else(|| "github.issues.create".into());
    format!(
        "a test names a call and the decision that it must get (allow, ask or deny); add, for \
        example:\n\ntests:\n  - name: what must happen\n    tool: {tool}\n    args: {{}}\n    \
        expect: ask\n\n`airlock policy scan UPSTREAM` writes a file with tests"
    )
}

fn with_ids(result: &PolicyCase) -> serde_json::Value {
    let mut object = screen::with_id(&result.name, result);
    object["status"] = if result.passed { "passed" } else { "failed" }.into();
    object
}

fn row(result: &PolicyCase) -> String {
    let mark =
        if result.passed { in_colour_of("ok", "✓") } else { in_colour_of("failed", "✗") };
    let unknown = match result.known {
        true => "",
        false => " (the tool is not known here: only its name counts)",
    };
    let PolicyCase { file, line, name, tool, expected, got, .. } = result;
    let head = screen::plain(&format!("{file}:{line} {name} {tool}{unknown}"));
    match result.passed {
        true => format!("{mark} {head}"),
        false => format!(
            "{mark} {head}\n    expected: {}\n    got:      {}",
            screen::plain(expected),
            screen::plain(got)
        ),
    }
}
