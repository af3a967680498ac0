//! Top level of one file: its upstream, entries, presets and budgets.

use std::time::Duration;

use super::layer::LayerCompiler;
use crate::policy::{
    classify::presets,
    compiled::{ApprovalTerms, AssignedPresets, CompiledEntry, CompiledRule},
    file::{Action, Entry, PolicyFile, escape_token},
    model::{
        decision::Budget,
        layer::{Layer, LayerScope},
    },
};

/// Entry with its full path and its pointer.
pub(super) type LocatedEntry<'f> = (String, String, &'f Entry);

impl LayerCompiler<'_> {
    /// Returns the upstream that the file is bound to, by itself or by the configuration.
    pub(super) fn resolve_upstream(&mut self, layer: &Layer, file: &PolicyFile) -> Option<String> {
        let bound = match (&layer.upstream, &file.upstream) {
            (Some(by_layer), Some(by_file)) if by_layer != by_file => {
                let message =
                    format!("the file is bound to `{by_file}` but configured for `{by_layer}`");
                self.reader.problem("/upstream", message, Some("keep one of them".into()));
                return None;
            }
            (by_layer, by_file) => by_layer.as_ref().or(by_file.as_ref())?,
        };
        if bound.is_empty() || bound.contains('*') {
            self.reader.problem(
                "/upstream",
                format!("`{bound}` is not the name of an upstream"),
                None,
            );
            return None;
        }
        Some(bound.clone())
    }

    /// Returns all entries of the file with their full paths.
    pub(super) fn located_entries<'f>(&mut self, file: &'f PolicyFile) -> Vec<LocatedEntry<'f>> {
        let tools = file.tools.iter().map(|(name, entry)| {
            (self.path(name), format!("/tools/{}", escape_token(name)), entry)
        });
        let all =
            file.all_tools.iter().map(|entry| (self.path("*"), "/all_tools".to_owned(), entry));
        let located: Vec<LocatedEntry<'f>> = tools.chain(all).collect();
        for (path, pointer, _) in &located {
            let exact = !path.contains('*');
            if self.upstream.is_none() && exact && !path.contains('.') {
                let hint = format!(
                    "write `UPSTREAM.{path}`, or bind the file to its upstream: `upstream: NAME`"
                );
                self.reader.problem(
                    pointer,
                    format!("`{path}` names a tool without its upstream"),
                    Some(hint),
                );
            }
        }
        located
    }

    /// Compiles `hide`.
    pub(super) fn hidden_entries(&mut self, layer: usize, file: &PolicyFile) -> Vec<CompiledEntry> {
        let mut hidden = Vec::new();
        for (index, name) in file.hide.iter().enumerate() {
            let pointer = format!("/hide/{index}");
            let Some(pattern) = self.pattern(&self.path(name), &pointer) else { continue };
            let hide = Some(self.rule_ref("hide", &pointer));
            let terms = ApprovalTerms::default();
            hidden.push(CompiledEntry {
                layer,
                pattern,
                pointer,
                hide,
                class: None,
                terms,
                rules: vec![],
                is_listing: false,
            });
        }
        hidden
    }

    /// Compiles one entry.
    pub(super) fn entry(
        &mut self,
        layer: usize,
        path: &str,
        pointer: &str,
        entry: &Entry,
    ) -> Option<CompiledEntry> {
        let pattern = self.pattern(path, pointer);
        let terms = self.terms(entry.approval.as_ref(), &format!("{pointer}/approval"));
        let rules: Vec<CompiledRule> = self.rules(path, pointer, entry);
        let permits =
            entry.rules.iter().any(|rule| matches!(rule.action, Some(Action::Allow | Action::Ask)));
        let shadow_only = !rules.is_empty() && rules.iter().all(|rule| rule.shadow);
        let catch_all = path == self.path("*");
        Some(CompiledEntry {
            layer,
            pattern: pattern?,
            pointer: pointer.to_owned(),
            hide: entry.hide.then(|| self.rule_ref("hide", &format!("{pointer}/hide"))),
            class: entry
                .class
                .map(|class| (class, self.rule_ref("class", &format!("{pointer}/class")))),
            terms,
            rules,
            is_listing: !permits && !shadow_only && !catch_all,
        })
    }

    pub(super) fn budget(&mut self, file: &PolicyFile) -> Budget {
        let Some(budgets) = &file.budgets else { return Budget::default() };
        let wall_time = budgets
            .wall_time
            .as_ref()
            .and_then(|text| self.duration(text, "/budgets/wall_time", Duration::MAX));
        Budget { calls: budgets.calls, bytes_returned: budgets.bytes_returned, wall_time }
    }

    /// Adds the presets that the file assigns to `assigned`.
    pub(super) fn presets(
        &mut self,
        scope: &LayerScope,
        file: &PolicyFile,
        assigned: &mut AssignedPresets,
    ) {
        if !file.presets.is_empty() && *scope != LayerScope::Organisation {
            let hint = "the class of a tool is the same for every caller".to_owned();
            self.reader.problem(
                "/presets",
                "`presets` is not allowed in a file for one workspace or key",
                Some(hint),
            );
            return;
        }
        for (upstream, id) in &file.presets {
            let pointer = format!("/presets/{}", escape_token(upstream));
            let preset = presets::by_id(id);
            if preset.is_none() && id != "none" {
                let ids: Vec<String> =
                    presets::PRESETS.iter().map(|preset| format!("`{}`", preset.id)).collect();
                self.reader.problem(
                    &pointer,
                    format!("there is no preset `{id}`"),
                    Some(format!("the presets are {}, and `none` for no preset", ids.join(", "))),
                );
                continue;
            }
            let same = assigned.get(upstream).is_none_or(|other| {
                other.map(|preset| &preset.id) == preset.map(|preset| &preset.id)
            });
            if !same {
                self.reader.problem(
                    &pointer,
                    format!("another file assigns another preset to `{upstream}`"),
                    None,
                );
            }
            assigned.insert(upstream.clone(), preset);
        }
    }
}
