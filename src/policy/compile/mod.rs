//! Compiles policy files and reports everything that is wrong with them, so that decisions meet no
//! invalid policy.

use std::collections::HashMap;

use self::layer::LayerCompiler;
use super::{
    compiled::{Compiled, CompiledLayer},
    file::{DefaultAction, Document, Mode, Reader, TestCase},
    model::{layer::Layer, problem::Problem, verdict::RuleRef},
};

mod conditions;
mod duration;
mod entries;
mod layer;
mod limits;
mod rules;

pub use rules::APPROVAL_MAX;

/// Most rules of all files together.
pub const RULES_MAX: usize = 10_000;
/// Most files of one policy.
pub const LAYERS_MAX: usize = 100;

/// Compiles all files.
///
/// # Errors
/// All problems of all files.
pub(super) fn compile(layers: Vec<Layer>) -> Result<Compiled, Vec<Problem>> {
    let mut compiled = Compiled::default();
    let mut problems = Vec::new();
    let without_position = |file: &str, message: String, hint: &str| {
        let (file, hint) = (file.to_owned(), Some(hint.to_owned()));
        Problem { file, line: 0, column: 0, pointer: String::new(), message, hint }
    };
    if layers.len() > LAYERS_MAX {
        return Err(vec![without_position(
            "policy",
            format!("there are {} files; the limit is {LAYERS_MAX}", layers.len()),
            "merge some of them",
        )]);
    }
    for layer in layers {
        let name = layer.name.clone();
        match Document::parse(&layer.name, &layer.text) {
            Err(found) => problems.extend(found),
            Ok((document, found)) => {
                let before = problems.len();
                problems.extend(found);
                // Parts that could not be read are missing here. Rules that depend on them must not
                // cause further problems.
                let incomplete = problems.len() > before;
                problems.extend(compile_layer(layer, document, incomplete, &mut compiled));
            }
        }
        let rules: usize = compiled.entries.iter().map(|entry| entry.rules.len()).sum();
        if rules > RULES_MAX {
            problems.push(without_position(
                &name,
                format!("there are more than {RULES_MAX} rules"),
                "merge rules by using patterns",
            ));
            break;
        }
    }
    if problems.is_empty() { Ok(compiled) } else { Err(problems) }
}

fn compile_layer(
    layer: Layer,
    document: Document,
    incomplete: bool,
    compiled: &mut Compiled,
) -> Vec<Problem> {
    let Document { file, positions } = document;
    let mut compiler = LayerCompiler {
        reader: Reader::new(&layer.name, &positions),
        name: layer.name.as_str().into(),
        upstream: None,
        shadow: file.mode == Some(Mode::Shadow),
        counters: HashMap::new(),
        declared: HashMap::new(),
    };
    compiler.upstream = compiler.resolve_upstream(&layer, &file);
    let reach = compiler.upstream.as_ref().map(|upstream| format!("{upstream}.*"));
    let reach = compiler.pattern(reach.as_deref().unwrap_or("*"), "/upstream");
    let budget = compiler.budget(&file);
    compiler.presets(&layer.scope, &file, &mut compiled.presets);
    let located = compiler.located_entries(&file);
    compiler.collect_counters(located.iter().map(|(path, _, entry)| (path.as_str(), *entry)));
    let at = compiled.layers.len();
    let mut entries = compiler.hidden_entries(at, &file);
    for (path, pointer, entry) in &located {
        entries.extend(compiler.entry(at, path, pointer, entry));
    }
    if incomplete {
        // Counters that could not be read would be reported as unknown.
        return vec![];
    }
    let tests = file
        .tests
        .into_iter()
        .map(|test| TestCase { tool: compiler.path(&test.tool), ..test })
        .collect();
    let problems = compiler.reader.finish();
    let Some(reach) = reach else { return problems };
    let default_rule = RuleRef {
        name: "default".into(),
        pointer: "/default".into(),
        layer: layer.name.as_str().into(),
    };
    // As in Intercept, a file for one upstream allows the tools that it does not list.
    let default = file.default.or(compiler.upstream.is_some().then_some(DefaultAction::Allow));
    compiled.entries.extend(entries);
    compiled.layers.push(CompiledLayer {
        scope: layer.scope,
        name: layer.name.as_str().into(),
        shadow: compiler.shadow,
        reach,
        default,
        default_rule,
        budget,
        tests,
        positions,
    });
    problems
}
