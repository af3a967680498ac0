//! State of the compilation of one file, and what all of its parts need.

use std::{collections::HashMap, sync::Arc, time::Duration};

use super::duration::parse_duration;
use crate::policy::{
    condition::Counter,
    file::{DurationText, Reader},
    model::{pattern::Pattern, verdict::RuleRef},
};

/// One file while it is compiled.
pub(super) struct LayerCompiler<'a> {
    pub(super) reader: Reader<'a>,
    pub(super) name: Arc<str>,
    /// Upstream whose tools the file names without its prefix.
    pub(super) upstream: Option<String>,
    pub(super) shadow: bool,
    /// Named counters, by the tool name in the file and their own name.
    pub(super) counters: HashMap<(String, String), Counter>,
    /// Pointer at which each counter is declared.
    pub(super) declared: HashMap<String, String>,
}

impl LayerCompiler<'_> {
    pub(super) fn rule_ref(&self, name: impl Into<Arc<str>>, pointer: &str) -> RuleRef {
        RuleRef { name: name.into(), pointer: pointer.into(), layer: self.name.clone() }
    }

    pub(super) fn pattern(&mut self, text: &str, pointer: &str) -> Option<Pattern> {
        let parsed = Pattern::parse(text);
        parsed
            .map_err(|error| {
                let message = format!("`{text}` is not a tool pattern: {error}");
                self.reader.problem(pointer, message, None)
            })
            .ok()
    }

    /// Returns the full path of a tool name of this file.
    pub(super) fn path(&self, name: &str) -> String {
        match &self.upstream {
            Some(upstream) => format!("{upstream}.{name}"),
            None => name.to_owned(),
        }
    }

    /// Returns the tool name that `state.TOOL.…` uses for a full path, and true if `_global` means
    /// it too.
    pub(super) fn state_name(&self, path: &str) -> (String, bool) {
        let prefix = self.upstream.as_ref().map(|upstream| format!("{upstream}."));
        let name = prefix.as_ref().and_then(|prefix| path.strip_prefix(prefix)).unwrap_or(path);
        (name.to_owned(), name == "*")
    }

    pub(super) fn duration(
        &mut self,
        text: &DurationText,
        pointer: &str,
        max: Duration,
    ) -> Option<Duration> {
        match parse_duration(text) {
            Some(duration) if duration > Duration::ZERO && duration <= max => Some(duration),
            Some(duration) => {
                let message = format!(
                    "the duration is {} s; the limit is 1 to {} s",
                    duration.as_secs(),
                    max.as_secs()
                );
                self.reader.problem(pointer, message, None);
                None
            }
            None => {
                self.reader.problem(
                    pointer,
                    "this is not a duration",
                    Some("write seconds, or a string such as `90s`, `30m`, `24h`".into()),
                );
                None
            }
        }
    }
}
