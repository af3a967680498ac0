//! The tools that one upstream offers, on their way to the registry and to the disk cache.
//! Admission runs on the blocking pool, at a rate that a server that keeps changing its list cannot
//! raise.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use super::{Offer, Upstream};
use crate::{
    base::{error::chain, memory, offload::offload},
    catalog::{
        redact::Secrets,
        registry::{Snapshot, ToolRegistry, disk_cache::ToolCache},
        tool::{OfferedTool, Tool},
    },
};

/// Schemas of a list, in bytes of JSON, after which memory that reading them took is given back at
/// once.
const LARGE_BYTES_MIN: usize = 1024 * 1024;
/// Shortest pause between two lists that an upstream wants to be read, and the longest.
const RELIST_PAUSE: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(60));
/// Length of the pause as a multiple of the last listing's duration: an upstream whose list changes
/// all the time costs a twentieth of a core.
const RELIST_TIMES: u32 = 20;
/// Shortest time between two writings of one upstream's tools; what came meanwhile is written then,
/// or at the stop.
const KEEP_EVERY: Duration = Duration::from_secs(30);

/// The pause after a reading that took so long.
pub(super) fn relist_pause(took: Duration) -> Duration {
    took.saturating_mul(RELIST_TIMES).clamp(RELIST_PAUSE.0, RELIST_PAUSE.1)
}

/// The tools of one upstream: as it offers them, in the registry, and on the disk for the next
/// start.
pub(super) struct ToolList {
    name: Arc<str>,
    secrets: Secrets,
    /// True if what it says of its tools is believed.
    trusted: bool,
    registry: Arc<ToolRegistry>,
    /// Cache for the next start, if any.
    kept: Option<Arc<ToolCache>>,
    /// Identity of the upstream across restarts.
    origin: String,
    // A plain lock: held for a moment only.
    unwritten: Mutex<Unwritten>,
}

#[derive(Default)]
struct Unwritten {
    /// Tools that are newer than the file.
    tools: Option<Vec<Arc<Tool>>>,
    written_at: Option<Instant>,
}

impl ToolList {
    pub(super) fn new(
        name: Arc<str>,
        upstream: &dyn Upstream,
        secrets: Secrets,
        trusted: bool,
        registry: Arc<ToolRegistry>,
        kept: Option<Arc<ToolCache>>,
    ) -> Self {
        let (origin, unwritten) = (origin(upstream), Mutex::default());
        Self { name, secrets, trusted, registry, kept, origin, unwritten }
    }

    fn unwritten<T>(&self, read: impl FnOnce(&mut Unwritten) -> T) -> T {
        read(&mut self.unwritten.lock())
    }

    /// Time at which unwritten tools may be written, if there are any.
    fn due(&self) -> Option<Instant> {
        self.unwritten(|unwritten| {
            unwritten.tools.as_ref()?;
            Some(unwritten.written_at.map_or_else(Instant::now, |at| at + KEEP_EVERY))
        })
    }

    /// Cached tools of the last run. Blocks.
    pub(super) fn recall(&self) -> Option<Vec<Arc<Tool>>> {
        match self.kept.as_ref()?.load(&self.name, &self.origin) {
            Ok(tools) => tools.map(|tools| {
                let trusted = |mut tool: Tool| {
                    // The owner's configuration says it, never what was kept.
                    tool.trusted = self.trusted;
                    Arc::new(tool)
                };
                tools.into_iter().map(trusted).collect()
            }),
            Err(error) => {
                tracing::info!(upstream = %self.name, error = %chain(&error), "what was kept of \
                    upstream `{}` is not used", self.name);
                None
            }
        }
    }

    /// Puts what fits into the registry; returns what was left out.
    pub(super) async fn publish(&self, offer: Offer) -> Option<String> {
        let Offer { tools, note } = offer;
        let (name, secrets, trusted) = (self.name.clone(), self.secrets.clone(), self.trusted);
        let before = self.registry.present();
        let taken = offload(move || admitted(&name, &secrets, trusted, &before, tools)).await;
        let Ok((tools, left_out)) = taken else {
            tracing::error!(upstream = %self.name, "taking in the tools of upstream `{}` \
                panicked; they stay as they were", self.name);
            return Some(
                "its new tool list could not be used; the tools stay as they were".to_owned(),
            );
        };
        let mut notes: Vec<String> = note.into_iter().collect();
        if let Some(first) = left_out.first() {
            let text = format!("tools left out: {}, the first because {first}", left_out.len());
            tracing::warn!(upstream = %self.name, "upstream `{}`: {text}", self.name);
            notes.push(text);
        }
        notes.extend(of_impossible(&tools));
        let note = (!notes.is_empty()).then(|| notes.join("; "));
        self.registry.replace(&self.name, tools.clone()).await;
        if self.kept.is_some() {
            self.unwritten(|unwritten| unwritten.tools = Some(tools));
            if self.due().is_some_and(|due| due <= Instant::now()) {
                self.keep_now().await;
            }
        }
        note.map(|note| self.secrets.redact(&note).into_owned())
    }

    /// Waits until there is something to write and it is time to; for ever where there is nothing.
    pub(super) async fn keep_due(&self) {
        match self.due() {
            Some(due) => tokio::time::sleep_until(due.into()).await,
            None => std::future::pending().await,
        }
    }

    /// Writes down what is unwritten, for the next start. What cannot be written is merely asked
    /// for again then.
    pub(super) async fn keep_now(&self) {
        let unwritten = self.unwritten(|unwritten| {
            unwritten.written_at = Some(Instant::now());
            unwritten.tools.take()
        });
        let (Some(tools), Some(kept)) = (unwritten, self.kept.clone()) else { return };
        let (name, origin) = (self.name.clone(), self.origin.clone());
        let written = offload(move || {
            let saved = kept.save(&name, &origin, &tools);
            if tools.iter().map(|tool| tool.schema_bytes).sum::<usize>() > LARGE_BYTES_MIN {
                memory::trim();
            }
            saved
        })
        .await;
        if let Ok(Err(error)) = written {
            tracing::warn!(upstream = %self.name, error = %chain(&error), "the tools of upstream \
                `{}` are not kept for the next start", self.name);
        }
    }
}

/// A digest of what makes the upstream this one; what it is made of may be secret.
pub(in crate::catalog) fn origin(upstream: &dyn Upstream) -> String {
    let mut digest = Sha256::new();
    digest.update(upstream.kind());
    digest.update([0]);
    digest.update(upstream.origin());
    hex::encode(digest.finalize())
}

/// Note on tools whose arguments no value fits to the letter.
fn of_impossible(tools: &[Arc<Tool>]) -> Option<String> {
    let mut concerned = tools.iter().filter_map(|tool| Some((tool, tool.impossible.first()?)));
    let (tool, place) = concerned.next()?;
    Some(format!(
        "tools with arguments that are not checked, because their schema admits nothing: {}, the \
        first `{place}` of `{}`",
        concerned.count() + 1,
        tool.name
    ))
}

/// The tools that fit, and why the others do not. Takes milliseconds per megabyte of schemas.
fn admitted(
    upstream: &Arc<str>,
    secrets: &Secrets,
    trusted: bool,
    before: &Snapshot,
    offered: Vec<OfferedTool>,
) -> (Vec<Arc<Tool>>, Vec<String>) {
    let mut tools: Vec<Arc<Tool>> = Vec::with_capacity(offered.len());
    let mut paths = HashSet::new();
    let mut left_out = Vec::new();
    for offered in offered {
        match Tool::admit(upstream, secrets.redact_tool(offered)) {
            Ok(tool) if !paths.insert(tool.path.clone()) => {
                left_out.push(format!("`{}` is listed twice", tool.name))
            }
            Ok(mut tool) => {
                tool.trusted = trusted;
                // What was learned of a tool outlives a new list in which it is the same.
                if let Some(known) =
                    before.get(&tool.path).filter(|known| known.schema_hash == tool.schema_hash)
                {
                    tool.observed = known.observed.clone();
                    // What was refused may be allowed by now.
                    known.omitted_fields.clear();
                }
                tools.push(Arc::new(tool));
            }
            Err(unfit) => left_out.push(unfit.to_string()),
        }
    }
    (tools, left_out)
}

#[cfg(test)]
mod tests;
