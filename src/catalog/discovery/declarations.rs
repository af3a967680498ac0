//! TypeScript declarations of all tools, for editors to complete and check programs.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use crate::catalog::{
    discovery::signature::types_of,
    schema::{
        jsdoc::comment,
        typescript::{argument_list, key, pascal},
    },
    tool::Tool,
};

/// Names that the runtime's own declarations have, beside which these are read.
const TAKEN: &[&str] = &[
    "tools",
    "Tools",
    "ToolPath",
    "ToolSummary",
    "FoundTool",
    "DiscoverOptions",
    "DiscoverResult",
    "NamespaceSummary",
    "ToolDescription",
    "ToolCatalog",
    "ToolCallError",
    "ToolPolicyError",
    "ToolNotFoundError",
    "ToolArgumentError",
    "Console",
    "Record",
    "Promise",
    "Array",
    "Object",
    "Error",
];

/// One step of the paths: a tool, or what leads to tools, or both.
#[derive(Default)]
struct Step<'a> {
    tool: Option<Signature<'a>>,
    further: BTreeMap<&'a str, Step<'a>>,
}

/// A tool as its place in the tree tells it.
struct Signature<'a> {
    tool: &'a Tool,
    list: String,
    result: String,
}

/// All tools as declarations that extend the runtime's `Tools`, as far as this workspace knows
/// them; none when they would be more than `bytes_max`.
pub(in crate::catalog) fn all<'a>(
    tools: impl Iterator<Item = &'a Arc<Tool>>,
    workspace: &str,
    bytes_max: usize,
) -> Option<String> {
    let taken =
        RefCell::new(TAKEN.iter().map(|name| (*name).to_owned()).collect::<HashSet<String>>());
    let mut root = Step::default();
    let mut types = String::new();
    let mut numbers = HashMap::new();
    for tool in tools {
        let base = fresh(&pascal(&tool.path), &taken, &mut numbers);
        let (args, result) = (format!("{base}Args"), format!("{base}Result"));
        let list = argument_list(&tool.input_schema.value(), || args.clone());
        types.push('\n');
        types_of(tool, workspace, &list, &base, &taken, &mut types);
        let step = tool
            .path
            .split('.')
            .fold(&mut root, |step, segment| step.further.entry(segment).or_default());
        step.tool = Some(Signature { tool, list, result });
        if types.len() > bytes_max {
            return None;
        }
    }
    let mut out =
        "// The tools that code may call, beside `typings/runtime.d.ts`. Written by `airlock \
        tools types`.\n\n"
            .to_owned();
    out.push_str("interface Tools {\n");
    root.write(1, &mut out);
    out.push_str("}\n");
    out.push_str(&types);
    Some(out).filter(|out| out.len() <= bytes_max)
}

/// A name of which neither the arguments' type nor the result's is taken; takes both. Where many
/// want one name, each goes on with the number that the one before came to.
fn fresh(
    wanted: &str,
    taken: &RefCell<HashSet<String>>,
    numbers: &mut HashMap<String, usize>,
) -> String {
    let mut taken = taken.borrow_mut();
    let number = numbers.entry(wanted.to_owned()).or_insert(1);
    let mut base = if *number == 1 { wanted.to_owned() } else { format!("{wanted}{number}") };
    while ["Args", "Result"].iter().any(|end| taken.contains(&format!("{base}{end}"))) {
        *number += 1;
        base = format!("{wanted}{number}");
    }
    taken.extend(["Args", "Result"].map(|end| format!("{base}{end}")));
    base
}

impl Step<'_> {
    fn write(&self, level: usize, out: &mut String) {
        let indent = "  ".repeat(level);
        for (name, step) in &self.further {
            match &step.tool {
                Some(signature) if step.further.is_empty() => {
                    out.push_str(&comment(
                        std::slice::from_ref(&signature.tool.description),
                        level,
                    ));
                    out.push_str(&format!(
                        "{indent}{}({}): Promise<{}>;\n",
                        key(name),
                        signature.list,
                        signature.result
                    ));
                }
                signature => {
                    out.push_str(&format!("{indent}readonly {}: {{\n", key(name)));
                    if let Some(signature) = signature {
                        out.push_str(&comment(
                            std::slice::from_ref(&signature.tool.description),
                            level + 1,
                        ));
                        out.push_str(&format!(
                            "{indent}  ({}): Promise<{}>;\n",
                            signature.list, signature.result
                        ));
                    }
                    step.write(level + 1, out);
                    out.push_str(&format!("{indent}}};\n"));
                }
            }
        }
    }
}
