//! `airlock policy replay`: what a policy file would have changed about the calls on record.
//! Nothing is called.
//!
//! The file is judged alone, with the profile: what other files of the configuration answer is not
//! in it.
//!
//! Arguments are on record only where `policy.record_values` is on. Without them a call is decided
//! again with the names of its arguments alone, and where the answer hangs on their values this
//! says that it is not known.

use std::{collections::BTreeMap, path::PathBuf, process::ExitCode};

use clap::Args;

use super::{files, problems::invalid};
use crate::{
    app::Failure,
    base::plural::counted,
    cli::{
        args::OUTPUT,
        client::Client,
        connection::{Connection, Need},
        screen::{self, note, print, print_json},
    },
    config::Config,
    model::{Event, EventDetails, Timestamp},
    policy::{Layer, Policy},
    service::{
        PolicyReplay, RecordedCall,
        view::{PolicyReplayResult, TaskRow},
    },
    task::policy_reload::PolicySource,
};

/// Tasks that are read.
const TASKS_MAX: usize = 10_000;
/// Calls that are decided again.
const CALLS_MAX: usize = 100_000;
/// Calls in one request to the server.
const CALLS_PER_REQUEST: usize = 500;
/// The longest time that is looked back.
const SINCE_MAX_SECONDS: u64 = 366 * 24 * 3600;

/// The arguments of `policy replay`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ReplayArgs {
    /// The policy file, as it may become
    file: PathBuf,
    /// Age of the oldest call: `30m`, `12h`, `7d`
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = since)]
    since: u64,
    /// Print a JSON array
    #[arg(long, help_heading = OUTPUT)]
    json: bool,
}

fn since(text: &str) -> Result<u64, String> {
    let (number, unit) = text.split_at(text.len().saturating_sub(1));
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        _ => return Err("write a number with `s`, `m`, `h` or `d`".into()),
    };
    let number: u64 =
        number.parse().map_err(|_| "write a number with `s`, `m`, `h` or `d`".to_owned())?;
    number
        .checked_mul(seconds)
        .filter(|all| (1..=SINCE_MAX_SECONDS).contains(all))
        .ok_or_else(|| "1 s to 366 d are allowed".into())
}

/// Reads the record, decides again, and prints what would be different.
pub(super) async fn perform(
    args: &ReplayArgs,
    config: &Config,
    source: &PolicySource,
) -> Result<ExitCode, Failure> {
    let layer = files::layer(&args.file, source)?;
    if let Err(problems) = Policy::load(vec![layer.clone()], source.options) {
        return invalid(&problems, args.json);
    }
    let results = Connection::ask(config, Need::Tools, async |client| {
        replay(client, layer, args.since).await
    })
    .await?;
    if args.json {
        print_json(&results.iter().map(|result| screen::with_id(&result.call, result)).collect())?;
    } else {
        show(&results)?;
        let wanted = args.file.canonicalize().ok();
        let others =
            source.files.iter().filter(|file| file.path.canonicalize().ok() != wanted).count();
        let profile = source.options.profile.as_str();
        let rest = match others {
            0 => String::new(),
            1 => "; the other file of the configuration, which a server also applies, is left out"
                .into(),
            many => format!(
                "; the {many} other files of the configuration, which a server also applies, are \
                left out"
            ),
        };
        note(format!(
            "this file alone decides, and the profile `{profile}` where the file does not{rest}; \
            limits are not counted"
        ));
    }
    Ok(ExitCode::SUCCESS)
}

async fn replay(
    client: &Client,
    layer: Layer,
    since: u64,
) -> Result<Vec<PolicyReplayResult>, Failure> {
    let from = Timestamp::now().as_second().saturating_sub_unsigned(since);
    let calls = recorded(client, from).await?;
    let files = files::as_request(std::slice::from_ref(&layer)).files;
    let mut results = vec![];
    for some in calls.chunks(CALLS_PER_REQUEST) {
        let request = PolicyReplay { files: files.clone(), calls: some.to_vec() };
        results.extend(client.replay(&request).await?.results);
    }
    Ok(results)
}

/// The decided calls on record since then, the newest task first.
async fn recorded(client: &Client, from: i64) -> Result<Vec<RecordedCall>, Failure> {
    let (mut calls, mut tasks_seen) = (vec![], 0);
    let mut cursor: Option<String> = None;
    loop {
        let mut query = vec![("limit", "200".to_owned())];
        query.extend(cursor.take().map(|cursor| ("cursor", cursor)));
        let page = client.tasks(&query).await?;
        for task in &page.tasks {
            tasks_seen += 1;
            if task.created_at.as_second() < from {
                return Ok(calls);
            }
            if tasks_seen > TASKS_MAX || calls.len() >= CALLS_MAX {
                note(format!(
                    "only the newest {} with {} are looked at",
                    counted(tasks_seen - 1, "task"),
                    counted(calls.len(), "call")
                ));
                return Ok(calls);
            }
            calls.extend(calls_of(client, task).await?);
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(calls);
        }
    }
}

/// The decided calls of one task.
async fn calls_of(client: &Client, task: &TaskRow) -> Result<Vec<RecordedCall>, Failure> {
    let events = client.events(&task.task_id.to_string(), 0).await?;
    let call = |event: Event| {
        let EventDetails::CallRequested(call) = event.data else { return None };
        // Host functions are decided too: they are always allowed.
        let decision = call.decision?;
        Some(RecordedCall {
            call: format!("{}/{}", task.task_id, call.seq),
            at: event.at,
            tool: call.tool,
            arguments: call.arguments,
            argument_keys: call.argument_keys,
            workspace: None,
            principal: None,
            session: task.session_id.clone(),
            was: decision.outcome,
            was_rule: decision.rule.map(|rule| rule.rule),
        })
    };
    Ok(events.into_iter().filter_map(call).collect())
}

fn show(results: &[PolicyReplayResult]) -> Result<(), Failure> {
    let mut changes: BTreeMap<(&str, &str, &str, &str), usize> = BTreeMap::new();
    let (mut same, mut unknown) = (0, 0);
    for result in results {
        match result.change.as_str() {
            "same" => same += 1,
            "unknown" => unknown += 1,
            _ => {
                let now = result.now.as_deref().unwrap_or_default();
                let rule = result.rule.as_deref().unwrap_or_default();
                *changes.entry((&result.tool, &result.was, now, rule)).or_default() += 1;
            }
        }
    }
    for ((tool, was, now, rule), count) in &changes {
        let by = if rule.is_empty() { String::new() } else { format!(" by `{rule}`") };
        print(screen::plain(&format!("{tool}: {was} → {now}{by} ({count}×)")))?;
    }
    let changed: usize = changes.values().sum();
    note(format!(
        "{}: {changed} would get another decision, {same} the same, {unknown} not known",
        counted(results.len(), "call")
    ));
    if unknown > 0 {
        note(
            "the decisions that are not known depend on values of arguments, which are recorded \
            only with `policy.record_values = true`",
        );
    }
    Ok(())
}
