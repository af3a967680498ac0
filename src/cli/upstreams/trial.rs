//! Tries upstreams out that are not written yet: connects to them and lists their tools.

use std::collections::BTreeMap;

use super::{draft::Kind, file::Change, keeper::Keeper};
use crate::{
    app::{self, Failure, Probed},
    catalog::UpstreamState,
    cli::screen::{self, Spinner},
    config::Config,
};

/// Tools that are named.
const TOOLS_SHOWN: usize = 5;

/// What was found of an upstream.
#[derive(Debug, Clone)]
pub(super) struct Finding {
    /// Its kind, as the catalog names it.
    pub(super) kind: &'static str,
    /// Paths of its tools.
    pub(super) tools: Vec<String>,
    /// Why it cannot be used, or what is left out of it.
    pub(super) message: Option<String>,
    /// It is connected and has listed its tools.
    pub(super) is_ready: bool,
}

impl Finding {
    fn of(probed: Probed) -> Self {
        let status = probed.status;
        Self {
            kind: status.kind,
            tools: probed.tools,
            message: status.message.map(|message| screen::plain(&message)),
            is_ready: status.status == UpstreamState::Ready,
        }
    }

    /// Why it cannot be used.
    pub(super) fn reason(&self) -> &str {
        self.message.as_deref().unwrap_or("it did not answer in time")
    }

    /// What it is, for people: `MCP server with 13 tools: add, echo, …`.
    pub(super) fn summary(&self, name: &str) -> String {
        let count = self.tools.len();
        let s = if count == 1 { "" } else { "s" };
        let own = |path: &String| {
            let path =
                path.strip_prefix(name).and_then(|path| path.strip_prefix('.')).unwrap_or(path);
            screen::line(path, 60)
        };
        let shown: Vec<String> = self.tools.iter().take(TOOLS_SHOWN).map(own).collect();
        let more = match count.saturating_sub(TOOLS_SHOWN) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let colon = if count == 0 { "" } else { ": " };
        format!("{} with {count} tool{s}{colon}{}{more}", Kind::title(self.kind), shown.join(", "))
    }
}

/// The remedy for an upstream that cannot be used, in options of the command line.
pub(super) fn remedy(reason: &str) -> String {
    let mut hints = vec![];
    if reason.contains("`base_url`") || reason.contains("`server") {
        hints.push("say where its calls go with `--base-url URL`");
    }
    if reason.contains("`allow_private") {
        hints.push("if it is meant to be on a private address, give `--allow-private`");
    }
    if ["401", "403", "authoriz", "credential"].iter().any(|word| reason.contains(word)) {
        hints.push("give its credential with `--bearer-env NAME` or `--header 'NAME: VALUE'`");
    }
    hints.push("`--no-check` writes it without connecting");
    hints.join("; ")
}

/// The configuration with the changed file, and with these upstreams alone.
pub(super) fn candidate(
    config: &Config,
    change: &Change,
    names: &[&str],
) -> Result<Config, Failure> {
    let loaded = change.load()?;
    let upstreams = loaded.upstreams.into_iter();
    let upstreams = upstreams.filter(|upstream| names.contains(&upstream.name.as_str()));
    let mut candidate = config.clone();
    candidate.upstreams = upstreams.collect();
    Ok(candidate)
}

/// Connects to the upstreams of the candidate.
pub(super) async fn trial(
    candidate: &Config,
    keeper: &Keeper,
) -> Result<BTreeMap<String, Finding>, Failure> {
    let names: Vec<_> = candidate.upstreams.iter().map(|upstream| upstream.name.as_str()).collect();
    let spinner = Spinner::start(&format!("connecting to {}", names.join(", ")));
    let progress = spinner.clone();
    let on_progress = Box::new(move |done, all| progress.count(done, all));
    let found = app::probe(candidate, &keeper.values(), on_progress).await;
    drop(spinner);
    Ok(found?.into_iter().map(|probed| (probed.status.name.clone(), Finding::of(probed))).collect())
}
