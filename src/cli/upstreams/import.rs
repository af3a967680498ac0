//! `airlock upstreams import`: takes over the MCP servers that an MCP client lists in its file.
//! Shows what they become, tries them out, and writes all that can be used at once.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use serde_json::{Value, json};
use toml_edit::Table;

use super::{
    client_file::{self, Entry},
    copies::copy_of,
    draft::{Credential, Draft},
    file::Change,
    keeper::Keeper,
    names::free_name,
    target,
    trial::{Finding, candidate, remedy, trial},
    url::is_local,
    write::write,
};
use crate::{
    app::{self, Failure},
    base::text::quoted,
    catalog::Detected,
    cli::{
        args::Output,
        running,
        screen::{self, heading, note, print, print_json},
        terminal::confirmed,
    },
    config::{Config, Environment, ProcessEnvironment},
};

/// Arguments of `upstreams import`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ImportArgs {
    /// The client's file, such as `claude_desktop_config.json`, `.mcp.json`, `.cursor/mcp.json`,
    /// `.vscode/mcp.json` or `config.toml` of Codex
    file: PathBuf,
    /// Names of the servers to import, as the file has them
    names: Vec<String>,
    /// Import all servers
    #[arg(long, conflicts_with = "names")]
    all: bool,
    /// Show what would be written; connect to nothing and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Write them without connecting to them
    #[arg(long, visible_alias = "force")]
    no_check: bool,
    /// Do not ask, and import also servers that are configured already
    #[arg(long, short)]
    yes: bool,
    /// Allow private and loopback addresses for all of them
    #[arg(long)]
    allow_private: bool,
    #[command(flatten)]
    output: Output,
}

/// What becomes of a server of the file.
struct Plan {
    /// Its name in the file.
    name: String,
    notes: Vec<String>,
    outcome: Outcome,
}

/// What becomes of it.
enum Outcome {
    /// It is to be written.
    Chosen { draft: Box<Draft>, table: Box<Table>, finding: Option<Finding> },
    /// It is left out on purpose.
    Skipped(String),
    /// It cannot be imported.
    Failed(String),
}

impl Outcome {
    /// The upstream, if it is to be written.
    fn chosen(&self) -> Option<&Draft> {
        match self {
            Self::Chosen { draft, .. } => Some(draft),
            Self::Skipped(_) | Self::Failed(_) => None,
        }
    }
}

/// Performs the command.
pub(super) async fn perform(args: ImportArgs, config: &Config) -> Result<ExitCode, Failure> {
    let shown = args.file.display().to_string();
    let bytes = target::read(&args.file)?;
    let environment = ProcessEnvironment.variables();
    let entries = client_file::entries(&args.file, &bytes, &environment)
        .map_err(|why| Failure::other(format!("`{shown}` cannot be imported: {why}")))?;
    for name in &args.names {
        if !entries.iter().any(|entry| entry.name == *name) {
            let names = quoted(entries.iter().map(|entry| &entry.name));
            return Err(Failure::other(format!("`{shown}` lists no server `{name}`"))
                .hint(format!("it lists {names}")));
        }
    }
    let mut keeper = Keeper::new(config);
    let mut plans = planned(&args, entries, config, &mut keeper)?;
    let change = changed(config, &plans)?;
    if args.dry_run {
        report(&args, &change, &plans, &keeper, "planned")?;
        return Ok(code(&plans));
    }
    if !args.all && args.names.is_empty() && !args.yes {
        if !args.output.json {
            report(&args, &change, &plans, &keeper, "planned")?;
        }
        match confirmed(&format!(
            "connect to these servers and write them to {}?",
            change.path().display()
        ))
        .await?
        {
            Some(true) => {}
            Some(false) => return Err(Failure::other("nothing was written")),
            None => {
                return Err(Failure::other("nothing was written, because no servers were chosen")
                    .hint("name them, or choose all with `--all`"));
            }
        }
    }
    if !args.no_check {
        check(&mut plans, config, &change, &mut keeper).await?;
    }
    let drafts: Vec<&Draft> = plans.iter().filter_map(|plan| plan.outcome.chosen()).collect();
    let is_changed = !drafts.is_empty();
    let change = match is_changed {
        true => write(config, &drafts, &mut keeper)?,
        false => change,
    };
    report(&args, &change, &plans, &keeper, "added")?;
    if is_changed && !args.output.json {
        running::note_change(config).await;
    }
    Ok(code(&plans))
}

fn code(plans: &[Plan]) -> ExitCode {
    match plans.iter().any(|plan| matches!(plan.outcome, Outcome::Failed(_))) {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    }
}

/// Decides about each server, without connecting to any.
fn planned(
    args: &ImportArgs,
    entries: Vec<Entry>,
    config: &Config,
    keeper: &mut Keeper,
) -> Result<Vec<Plan>, Failure> {
    let mut change = Change::begin(config)?;
    let mut chosen = config.clone();
    let mut plans = vec![];
    for Entry { name, draft, notes, is_disabled } in entries {
        let is_named = args.names.contains(&name);
        if !args.names.is_empty() && !is_named {
            continue;
        }
        let outcome = match draft {
            Ok(draft) if is_airlock(&name, &draft, config) => {
                Outcome::Skipped("it is Airlock itself".into())
            }
            _ if is_disabled && !is_named => {
                Outcome::Skipped("it is disabled in the file; name it to import it".into())
            }
            Err(why) => Outcome::Failed(why),
            Ok(draft) => one(args, draft, &mut change, &mut chosen, keeper)?,
        };
        plans.push(Plan { name, notes, outcome });
    }
    Ok(plans)
}

/// Decides about one server that has a counterpart.
fn one(
    args: &ImportArgs,
    mut draft: Draft,
    change: &mut Change,
    chosen: &mut Config,
    keeper: &mut Keeper,
) -> Result<Outcome, Failure> {
    draft.name = free_name(&draft.name, |name| {
        chosen.upstreams.iter().any(|upstream| upstream.name == name)
    });
    draft.allow_private = args.allow_private || draft.url.as_ref().is_some_and(is_local);
    let name = draft.name.clone();
    let tried = draft.table(keeper).and_then(|table| {
        let changed = change.clone().with(&name, table.clone())?;
        let one = candidate(chosen, &changed, &[&name])?;
        Ok((table, changed, one.upstreams))
    });
    let (table, changed, new) = match tried {
        Ok(tried) => tried,
        Err(failure) => {
            keeper.forget(&name);
            return Ok(Outcome::Failed(failure.on_one_line()));
        }
    };
    if let Some(new) = new.first()
        && let Some(copy) = copy_of(chosen, new).filter(|_| !args.yes)
    {
        keeper.forget(&name);
        return Ok(Outcome::Skipped(format!("it is the same server as `{}`", copy.name)));
    }
    *change = changed;
    chosen.upstreams.extend(new);
    Ok(Outcome::Chosen { draft: Box::new(draft), table: Box::new(table), finding: None })
}

/// The file with all that is chosen.
fn changed(config: &Config, plans: &[Plan]) -> Result<Change, Failure> {
    plans.iter().try_fold(Change::begin(config)?, |change, plan| match &plan.outcome {
        Outcome::Chosen { draft, table, .. } => change.with(&draft.name, (**table).clone()),
        _ => Ok(change),
    })
}

/// Connects to all that is chosen, and leaves out what cannot be used.
async fn check(
    plans: &mut [Plan],
    config: &Config,
    change: &Change,
    keeper: &mut Keeper,
) -> Result<(), Failure> {
    let names: Vec<String> = plans
        .iter()
        .filter_map(|plan| plan.outcome.chosen())
        .map(|draft| draft.name.clone())
        .collect();
    if names.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut found = trial(&candidate(config, change, &names)?, keeper).await?;
    for plan in plans {
        let Outcome::Chosen { draft, table, finding } = &mut plan.outcome else { continue };
        let tried = found.remove(&draft.name);
        if tried.as_ref().is_some_and(|tried| tried.is_ready) {
            *finding = tried;
            continue;
        }
        if wants_login(draft).await {
            // Without a login there is nothing to see.
            draft.auth = Some(Credential::OAuth);
            **table = draft.table(keeper)?;
            continue;
        }
        let reason =
            tried.map_or_else(|| "it did not answer".to_owned(), |tried| tried.reason().to_owned());
        keeper.forget(&draft.name);
        plan.outcome = Outcome::Failed(reason);
    }
    Ok(())
}

/// Asks a server without a credential whether it wants OAuth.
async fn wants_login(draft: &Draft) -> bool {
    let Some(url) = draft.url.as_ref().filter(|_| !draft.has_credential()) else { return false };
    matches!(app::detect(url, draft.allow_private).await, Ok(Detected::Mcp { wants_oauth: true }))
}

/// Returns true if the server is this program.
fn is_airlock(name: &str, draft: &Draft, config: &Config) -> bool {
    let words = draft.words();
    let program = words.first().map(|word| word.rsplit('/').next().unwrap_or(word));
    let starts_it = program == Some("airlock") && words.iter().any(|word| word == "mcp");
    let listens = |url: &url::Url| {
        is_local(url)
            && url.path().trim_end_matches('/') == "/mcp"
            && (url.port() == Some(config.server.listen.port())
                || name.to_ascii_lowercase().contains("airlock"))
    };
    starts_it || draft.url.as_ref().is_some_and(listens)
}

fn report(
    args: &ImportArgs,
    change: &Change,
    plans: &[Plan],
    keeper: &Keeper,
    status: &'static str,
) -> Result<(), Failure> {
    if args.output.json {
        let servers: Vec<Value> = plans.iter().map(|plan| plan.json(status)).collect();
        return print_json(&json!({
            "file": change.path().display().to_string(), "servers": servers,
            "secrets": keeper.names()
        }));
    }
    plans.iter().try_for_each(Plan::show)?;
    if plans.iter().all(|plan| plan.outcome.chosen().is_none()) {
        note("there is nothing to write");
        return Ok(());
    }
    change.show()?;
    let is_written = status == "added";
    let is = if is_written { "is stored encrypted" } else { "would be stored encrypted" };
    for secret in keeper.names() {
        print(format!("the secret `{secret}` {is}; the file refers to it"))?;
    }
    for plan in plans {
        if let Some(draft) = plan.outcome.chosen()
            && draft.auth == Some(Credential::OAuth)
        {
            let name = &draft.name;
            print(format!("`{name}` needs OAuth: airlock upstreams login {name}"))?;
        }
    }
    if !is_written {
        note("nothing is written yet");
    }
    Ok(())
}

impl Plan {
    fn json(&self, status: &str) -> Value {
        let (status, upstream, message, tools) = match &self.outcome {
            Outcome::Chosen { draft, finding, .. } => {
                let tools = finding.as_ref().map(|finding| finding.tools.len());
                (status, Some(draft.name.as_str()), None, tools)
            }
            Outcome::Skipped(why) => ("skipped", None, Some(why), None),
            Outcome::Failed(why) => ("failed", None, Some(why), None),
        };
        let mut plan = json!({ "id": self.name, "status": status, "notes": self.notes });
        let parts = [
            ("upstream", upstream.map(Value::from)),
            ("message", message.map(|why| Value::from(why.as_str()))),
            ("tools", tools.map(Value::from)),
        ];
        for (key, value) in parts {
            if let Some(value) = value {
                plan[key] = value;
            }
        }
        plan
    }

    fn show(&self) -> Result<(), Failure> {
        let name = heading(format!("{:<24}", screen::line(&self.name, 60)));
        let (word, sign, text) = match &self.outcome {
            Outcome::Chosen { draft, finding, .. } => {
                let found = finding.as_ref().map(|finding| finding.summary(&draft.name));
                ("ok", "✓", found.unwrap_or_else(|| format!("becomes `{}`", draft.name)))
            }
            Outcome::Skipped(why) => ("warning", "-", format!("skipped: {why}")),
            Outcome::Failed(why) => ("broken", "✗", format!("not imported: {why}")),
        };
        let sign = screen::in_colour_of(word, sign);
        print(format!("{sign} {name} {}", screen::plain(&text)))?;
        if let Outcome::Failed(why) = &self.outcome
            && remedy(why).contains("--allow-private")
        {
            print("  `--allow-private` allows private addresses")?;
        }
        self.notes.iter().try_for_each(|note| print(format!("  {}", screen::plain(note))))
    }
}
