//! From files to rules: everything that can be wrong is found here, so that deciding meets nothing
//! unexpected.

use std::{collections::HashMap, sync::Arc, time::Duration};

use super::{
    Budget, Layer, LayerScope, Options, Pattern, Problem, RuleRef,
    class::catalogue,
    file::{Case, Document, DurationText, Entry, Mode, PolicyFile, Reader, step},
    rules::{Catalogue, CompiledEntry, CompiledLayer, CompiledRule, Terms},
};

mod limits;
mod parts;

pub(super) use parts::duration;

/// Most rules of all files together.
pub const RULES_MAX: usize = 10_000;
/// Most files.
pub const LAYERS_MAX: usize = 100;
/// Longest time that an approval may wait.
pub const APPROVAL_MAX: Duration = Duration::from_secs(24 * 3600);

/// All files, compiled.
#[derive(Debug, Default)]
pub(super) struct Compiled {
    pub(super) layers: Vec<CompiledLayer>,
    pub(super) entries: Vec<CompiledEntry>,
    pub(super) catalogue: Catalogue,
}

/// Compiles all files, or says everything that is wrong.
pub(super) fn compile(layers: Vec<Layer>, _options: Options) -> Result<Compiled, Vec<Problem>> {
    let mut compiled = Compiled::default();
    let mut problems = Vec::new();
    let everywhere = |file: &str, message: String, hint: &str| {
        let (file, hint) = (file.to_owned(), Some(hint.to_owned()));
        Problem { file, line: 0, column: 0, pointer: String::new(), message, hint }
    };
    if layers.len() > LAYERS_MAX {
        return Err(vec![everywhere(
            "policy",
            format!("{} files, allowed are {LAYERS_MAX}", layers.len()),
            "put files together",
        )]);
    }
    for layer in layers {
        let name = layer.name.clone();
        match Document::parse(&layer.name, &layer.text) {
            Err(found) => problems.extend(found),
            Ok((document, found)) => {
                let before = problems.len();
                problems.extend(found);
                // What could not be read is missing here, so rules that depend on it are told once,
                // above.
                let reported = problems.len() > before;
                problems.extend(compile_layer(layer, document, reported, &mut compiled));
            }
        }
        let rules: usize = compiled.entries.iter().map(|entry| entry.rules.len()).sum();
        if rules > RULES_MAX {
            problems.push(everywhere(
                &name,
                format!("there are more than {RULES_MAX} rules"),
                "put rules together with patterns",
            ));
            break;
        }
    }
    if problems.is_empty() { Ok(compiled) } else { Err(problems) }
}

/// One file while it is compiled.
struct LayerCompiler<'a> {
    reader: Reader<'a>,
    name: Arc<str>,
    /// Names of tools are names at this upstream.
    upstream: Option<String>,
    shadow: bool,
    /// Counters, by the address as the file writes it and their name.
    counters: HashMap<(String, String), super::condition::Counter>,
    /// Where each counter is declared.
    declared: HashMap<String, String>,
}

fn compile_layer(
    layer: Layer,
    document: Document,
    reported: bool,
    compiled: &mut Compiled,
) -> Vec<Problem> {
    let Document { file, places } = document;
    let mut compiler = LayerCompiler {
        reader: Reader::new(&layer.name, &places),
        name: layer.name.as_str().into(),
        upstream: None,
        shadow: file.mode == Some(Mode::Shadow),
        counters: HashMap::new(),
        declared: HashMap::new(),
    };
    compiler.upstream = compiler.bind(&layer, &file);
    let reach = compiler.upstream.as_ref().map(|upstream| format!("{upstream}.*"));
    let reach = compiler.pattern(reach.as_deref().unwrap_or("*"), "/upstream");
    let budget = compiler.budget(&file);
    compiler.catalogue(&layer.scope, &file, &mut compiled.catalogue);
    let addressed = compiler.addressed(&file);
    compiler.collect_counters(&addressed);
    let at = compiled.layers.len();
    let mut entries = compiler.hidden(at, &file);
    for (address, pointer, entry) in &addressed {
        entries.extend(compiler.entry(at, address, pointer, entry));
    }
    if reported {
        // Counters that could not be read must not be told as unknown.
        return vec![];
    }
    let cases = file
        .tests
        .into_iter()
        .map(|case| Case { tool: compiler.address(&case.tool), ..case })
        .collect();
    let problems = compiler.reader.finish();
    let Some(reach) = reach else { return problems };
    let default_rule = RuleRef {
        name: "default".into(),
        pointer: "/default".into(),
        layer: layer.name.as_str().into(),
    };
    // As in Intercept: a file about one upstream allows what it does not list.
    let default =
        file.default.or(compiler.upstream.is_some().then_some(super::file::Default::Allow));
    compiled.entries.extend(entries);
    compiled.layers.push(CompiledLayer {
        scope: layer.scope,
        name: layer.name.as_str().into(),
        shadow: compiler.shadow,
        reach,
        default,
        default_rule,
        budget,
        cases,
        places,
    });
    problems
}

/// An entry with the address it stands under, complete, and its pointer.
type Addressed<'f> = (String, String, &'f Entry);

impl LayerCompiler<'_> {
    fn bind(&mut self, layer: &Layer, file: &PolicyFile) -> Option<String> {
        let bound = match (&layer.upstream, &file.upstream) {
            (Some(by_layer), Some(by_file)) if by_layer != by_file => {
                let message =
                    format!("the file is bound to `{by_file}`, and configured for `{by_layer}`");
                self.reader.problem("/upstream", message, Some("keep one of them".into()));
                return None;
            }
            (by_layer, by_file) => by_layer.as_ref().or(by_file.as_ref())?,
        };
        if bound.is_empty() || bound.contains('*') {
            self.reader.problem("/upstream", format!("`{bound}` is no name of an upstream"), None);
            return None;
        }
        Some(bound.clone())
    }

    fn rule_ref(&self, name: impl Into<Arc<str>>, pointer: &str) -> RuleRef {
        RuleRef { name: name.into(), pointer: pointer.into(), layer: self.name.clone() }
    }

    fn pattern(&mut self, address: &str, pointer: &str) -> Option<Pattern> {
        let parsed = Pattern::parse(address);
        parsed
            .map_err(|error| {
                self.reader.problem(pointer, format!("`{address}` is no address: {error}"), None)
            })
            .ok()
    }

    /// The address of a name of this file.
    fn address(&self, name: &str) -> String {
        match &self.upstream {
            Some(upstream) => format!("{upstream}.{name}"),
            None => name.to_owned(),
        }
    }

    fn addressed<'f>(&mut self, file: &'f PolicyFile) -> Vec<Addressed<'f>> {
        let tools = file
            .tools
            .iter()
            .map(|(name, entry)| (self.address(name), format!("/tools/{}", step(name)), entry));
        let all =
            file.all_tools.iter().map(|entry| (self.address("*"), "/all_tools".to_owned(), entry));
        let addressed: Vec<Addressed<'f>> = tools.chain(all).collect();
        for (address, pointer, _) in &addressed {
            let exact = !address.contains('*');
            if self.upstream.is_none() && exact && !address.contains('.') {
                let hint = format!(
                    "write `UPSTREAM.{address}`, or bind the file to its upstream: `upstream: NAME`"
                );
                self.reader.problem(
                    pointer,
                    format!("`{address}` names a tool without its upstream"),
                    Some(hint),
                );
            }
        }
        addressed
    }

    fn hidden(&mut self, layer: usize, file: &PolicyFile) -> Vec<CompiledEntry> {
        let mut hidden = Vec::new();
        for (index, name) in file.hide.iter().enumerate() {
            let pointer = format!("/hide/{index}");
            let Some(pattern) = self.pattern(&self.address(name), &pointer) else { continue };
            let hide = Some(self.rule_ref("hide", &pointer));
            let terms = Terms::default();
            hidden.push(CompiledEntry {
                layer,
                pattern,
                pointer,
                hide,
                class: None,
                terms,
                rules: vec![],
                lists: false,
            });
        }
        hidden
    }

    fn entry(
        &mut self,
        layer: usize,
        address: &str,
        pointer: &str,
        entry: &Entry,
    ) -> Option<CompiledEntry> {
        let pattern = self.pattern(address, pointer);
        let terms = self.terms(entry.approval.as_ref(), &format!("{pointer}/approval"));
        let rules: Vec<CompiledRule> = self.rules(address, pointer, entry);
        let answers = entry.rules.iter().any(|rule| {
            matches!(rule.action, Some(super::file::Action::Allow | super::file::Action::Ask))
        });
        let watches_only = !rules.is_empty() && rules.iter().all(|rule| rule.shadow);
        let catch_all = address == self.address("*");
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
            lists: !answers && !watches_only && !catch_all,
        })
    }

    fn budget(&mut self, file: &PolicyFile) -> Budget {
        let Some(budgets) = &file.budgets else { return Budget::default() };
        let wall_time = budgets
            .wall_time
            .as_ref()
            .and_then(|text| self.duration(text, "/budgets/wall_time", Duration::MAX));
        Budget { calls: budgets.calls, bytes_returned: budgets.bytes_returned, wall_time }
    }

    fn duration(&mut self, text: &DurationText, pointer: &str, max: Duration) -> Option<Duration> {
        match duration(text) {
            Some(duration) if duration > Duration::ZERO && duration <= max => Some(duration),
            Some(duration) => {
                let message = format!(
                    "{} s is out of range, allowed are 1 to {}",
                    duration.as_secs(),
                    max.as_secs()
                );
                self.reader.problem(pointer, message, None);
                None
            }
            None => {
                self.reader.problem(
                    pointer,
                    "this is no duration",
                    Some("write seconds, or text such as `90s`, `30m`, `24h`".into()),
                );
                None
            }
        }
    }

    fn catalogue(&mut self, scope: &LayerScope, file: &PolicyFile, known: &mut Catalogue) {
        if !file.catalogue.is_empty() && *scope != LayerScope::Organisation {
            let hint = "the class of a tool is the same for everybody".to_owned();
            self.reader.problem(
                "/catalogue",
                "`catalogue` stands in a file for one workspace or key",
                Some(hint),
            );
            return;
        }
        for (upstream, id) in &file.catalogue {
            let pointer = format!("/catalogue/{}", step(upstream));
            let entry = catalogue::entry(id);
            if entry.is_none() && id != "none" {
                let ids: Vec<String> =
                    catalogue::ENTRIES.iter().map(|entry| format!("`{}`", entry.id)).collect();
                self.reader.problem(
                    &pointer,
                    format!("the catalogue has no entry `{id}`"),
                    Some(format!("it has `none`, {}", ids.join(", "))),
                );
                continue;
            }
            let same = known
                .get(upstream)
                .is_none_or(|other| other.map(|entry| &entry.id) == entry.map(|entry| &entry.id));
            if !same {
                self.reader.problem(
                    &pointer,
                    format!("another file takes `{upstream}` for another entry"),
                    None,
                );
            }
            known.insert(upstream.clone(), entry);
        }
    }
}
