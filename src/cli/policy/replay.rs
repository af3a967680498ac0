//! `airlock policy replay`: what a policy file would have changed about the calls on record.
//! Nothing is called.
//!
//! The file is judged alone, with the profile: what other files of the configuration answer is not
//! in it.
//!
//! Arguments are on record only where `policy.record_values` is on. Without them a call is decided
//! again with the names of its arguments alone, and where the answer hangs on their values this
//! says that it is not known.

use std::{collections::BTreeMap, path::PathBuf, process::ExitCode, sync::Arc};

use clap::Args;
use serde_json::{Value, json};

use super::{files, invalid, text};
use crate::{
    cli::{
        Application, Failure,
        client::Client,
        connection::{Connection, Need},
        screen::{self, note, print, print_json},
    },
    config::Config,
    model::Timestamp,
    policy::Policy,
    task::policy_reload::PolicySource,
};

/// Tasks that are looked through.
const TASKS_MAX: usize = 10_000;
/// Calls that are decided again.
const CALLS_MAX: usize = 100_000;
/// Calls that one question to the server holds.
const CALLS_PER_QUESTION: usize = 500;
/// The longest time that is looked back.
const SINCE_MAX_SECONDS: u64 = 366 * 24 * 3600;

/// The arguments of `policy replay`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ReplayArgs {
    /// The policy file, as it may become
    file: PathBuf,
    /// How far back: `30m`, `12h`, `7d`
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = since)]
    since: u64,
    /// Print a JSON array
    #[arg(long)]
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
    application: &Arc<dyn Application>,
) -> Result<ExitCode, Failure> {
    let layer = files::layer(&args.file, source)?;
    if let Err(problems) = Policy::load(vec![layer.clone()], source.options) {
        return invalid(&problems, args.json);
    }
    let results = Connection::ask(config, application, Need::Tools, async |client| {
        replay(client, layer, args.since).await
    })
    .await?;
    if args.json {
        print_json(&results.into_iter().map(|result| screen::with_id(result, "call")).collect())?;
    } else {
        tell(&results)?;
        let wanted = args.file.canonicalize().ok();
        let others =
            source.files.iter().filter(|file| file.path.canonicalize().ok() != wanted).count();
        let profile = source.options.profile.as_str();
        let rest = match others {
            0 => String::new(),
            1 => "; the other file of the configuration, which counts too in service, is left out"
                .into(),
            many => format!(
                "; the {many} other files of the configuration, which count too in service, are \
                left out"
            ),
        };
        note(format!(
            "judged by this file alone, and by the profile `{profile}` where it says \
            nothing{rest}; limits are not counted"
        ));
    }
    Ok(ExitCode::SUCCESS)
}

async fn replay(
    client: &Client,
    layer: crate::policy::Layer,
    since: u64,
) -> Result<Vec<Value>, Failure> {
    let from = Timestamp::now().as_second().saturating_sub_unsigned(since);
    let calls = recorded(client, from).await?;
    let mut results = vec![];
    for some in calls.chunks(CALLS_PER_QUESTION) {
        let mut asked = super::lint::as_json(std::slice::from_ref(&layer));
        asked["calls"] = some.into();
        let mut answer = client.policy_question("replay", &asked).await?;
        results.extend(answer["results"].as_array_mut().map(std::mem::take).unwrap_or_default());
    }
    Ok(results)
}

/// The decisions on record since then, the newest task first.
async fn recorded(client: &Client, from: i64) -> Result<Vec<Value>, Failure> {
    let (mut calls, mut tasks_seen) = (vec![], 0);
    let mut cursor: Option<String> = None;
    loop {
        let mut query = vec![("limit", "200")];
        query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let page = client.list("tasks", &query).await?;
        for task in page["tasks"].as_array().into_iter().flatten() {
            let created =
                text(task, "createdAt").parse::<Timestamp>().map_or(i64::MAX, |at| at.as_second());
            tasks_seen += 1;
            if created < from {
                return Ok(calls);
            }
            if tasks_seen > TASKS_MAX || calls.len() >= CALLS_MAX {
                note(format!(
                    "only the newest {} tasks with {} calls are looked at",
                    tasks_seen - 1,
                    calls.len()
                ));
                return Ok(calls);
            }
            calls.extend(calls_of(client, task).await?);
        }
        match page["nextCursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => return Ok(calls),
        }
    }
}

/// The decided calls of one task.
async fn calls_of(client: &Client, task: &Value) -> Result<Vec<Value>, Failure> {
    let id = text(task, "taskId");
    let events = client.events(id).await?;
    let decided = events.iter().filter(|event| {
        event["type"] == "tool.call.requested" && event["data"]["decision"].is_object()
    });
    let call = |event: &Value| {
        let data = &event["data"];
        json!({
            "call": format!("{id}/{}", data["seq"]),
            "at": event["at"],
            "tool": data["tool"],
            "arguments": data["arguments"],
            "argumentKeys": data["argumentKeys"],
            "workspace": task["workspaceId"],
            "principal": task["accountId"],
            "session": task["sessionId"],
            "was": data["decision"]["outcome"],
            "wasRule": data["decision"]["rule"],
        })
    };
    Ok(decided.map(call).collect())
}

fn tell(results: &[Value]) -> Result<(), Failure> {
    let mut changes: BTreeMap<(String, String, String, String), usize> = BTreeMap::new();
    let (mut same, mut unknown) = (0, 0);
    for result in results {
        match text(result, "change") {
            "same" => same += 1,
            "unknown" => unknown += 1,
            _ => {
                let part = |key| text(result, key).to_owned();
                *changes
                    .entry((part("tool"), part("was"), part("now"), part("rule")))
                    .or_default() += 1;
            }
        }
    }
    for ((tool, was, now, rule), count) in &changes {
        let by = if rule.is_empty() { String::new() } else { format!(" by `{rule}`") };
        print(screen::plain(&format!("{tool}: {was} → {now}{by} ({count}×)")))?;
    }
    let changed: usize = changes.values().sum();
    note(format!(
        "{} calls: {changed} would change, {same} would not, {unknown} not known",
        results.len()
    ));
    if unknown > 0 {
        note(
            "what is not known hangs on values of arguments, which are on record only with \
            `policy.record_values = true`",
        );
    }
    Ok(())
}
