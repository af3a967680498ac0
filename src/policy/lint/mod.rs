//! Finds probable mistakes in valid policy files: patterns that match no tool, former names,
//! arguments that no schema has, rules that never apply. Pure: files and facts of tools in,
//! findings out. Must not decide about calls.

mod argument_use;
mod arguments;
mod enforceability;
mod former_names;
mod patterns;
mod reachability;
mod report;
mod samples;
mod schema;
#[cfg(test)]
mod tests;

pub use argument_use::ArgumentUse;
pub use report::{Code, FINDINGS_MAX, Finding, Severity};
use serde_json::Value;

use self::report::Report;
use super::{
    loaded::Policy,
    model::{
        call::ToolFacts,
        layer::{Layer, LayerScope, Options},
        problem::Problem,
    },
};

/// Checks files. If `tools` is empty, patterns and arguments are not checked.
///
/// # Errors
/// The problems of files that are not valid.
pub fn lint(
    layers: &[Layer],
    options: Options,
    tools: &[ToolFacts<'_>],
) -> Result<Vec<Finding>, Vec<Problem>> {
    let policy = Policy::load(layers.to_vec(), options)?;
    let scopes: Vec<LayerScope> = layers.iter().map(|layer| layer.scope.clone()).collect();
    let mut report = Report::default();
    patterns::check(&policy, tools, &mut report);
    former_names::check(&policy, tools, &mut report);
    arguments::check(&policy, tools, &mut report);
    reachability::check(&policy, &scopes, tools, &mut report);
    enforceability::check(&policy, &mut report);
    samples::check(&policy, tools, &mut report);
    Ok(report.finish())
}

/// Returns arguments with everything that a schema requires and nothing else.
pub fn sample(schema: &Value) -> Value {
    schema::sample(schema, false)
}
