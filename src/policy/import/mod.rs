//! Converts policies of other products to our file format. Must not decide, and must not know files
//! or the network: text in, text out.
//!
//! An import never changes meaning silently. A part that cannot be converted is an error with its
//! line and column or, if the owner asks for it, a warning. Every mapping is reported.

mod claude_code;
mod executor;
mod imported;
mod intercept;
mod policylayer;
pub mod print;
mod report;
#[cfg(test)]
mod tests;
mod tree;

use serde_json::Value;

use self::report::ImportReport;
pub use self::{
    imported::{Dialect, ImportOptions, Imported, ImportedLayer, Mapping},
    tree::Position,
};
use super::model::problem::Problem;

/// Converts a text. `file` is its name in problems.
///
/// # Errors
/// Everything that cannot be converted, in the order of the text.
pub fn import(
    dialect: Dialect,
    file: &str,
    text: &str,
    options: ImportOptions<'_>,
) -> Result<Imported, Vec<Problem>> {
    let mut report = ImportReport::new(file, options);
    // JSON may be indented with tabs, which YAML does not allow. JSON strings contain no tabs.
    let untabbed = text.trim_start().starts_with(['{', '[']).then(|| text.replace('\t', " "));
    let converted = match tree::read(untabbed.as_deref().unwrap_or(text)) {
        Ok(root) => match dialect {
            Dialect::Intercept => vec![("policy", intercept::convert(&root, &mut report))],
            Dialect::PolicyLayer => vec![("policy", policylayer::convert(&root, &mut report))],
            Dialect::Executor => executor::convert(&root, &mut report),
            Dialect::ClaudeCode => vec![("policy", claude_code::convert(&root, &mut report))],
        },
        Err(error) => {
            let at = Position { line: error.line.max(1), column: error.column.max(1) };
            report.error(at, "", error.message, error.hint);
            vec![]
        }
    };
    let head = format!("# Imported from {} ({}).\n", one_line(file), dialect.name());
    let layer = |(owner, value): (&str, Value)| ImportedLayer {
        owner: owner.to_owned(),
        text: format!("{head}{}", print::yaml(&value, &|_| vec![])),
    };
    let layers = converted.into_iter().map(layer).collect();
    report.finish(layers)
}

fn one_line(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
