//! The signature of a tool in TypeScript: one line for a hint, a whole declaration for a
//! description.

use std::{cell::RefCell, collections::HashSet, sync::Arc};

use serde_json::Value;

use crate::{
    catalog::{
        path,
        schema::{
            jsdoc::comment,
            typescript::{Writer, argument_list, key, pascal},
        },
        tool::{Hint, Tool},
    },
    model::Schema,
};

/// Longest hint, in bytes; a longer one is told with less depth.
const HINT_BYTES_MAX: usize = 400;

/// Deepest nesting that a hint tells.
const HINT_DEPTH_MAX: usize = 4;

/// The call in one line: `tools.demo.add(args: { a: number; b: number }): Promise<{ sum: number
/// }>`. Made once, and again when more was observed of the result: what this workspace was
/// answered.
pub(in crate::catalog) fn hint(tool: &Tool, workspace: &str) -> Arc<str> {
    if let Some(output) = tool.omitted_fields.output() {
        return line(tool, Some(&output), None).into();
    }
    let observed = tool.observed.schema(workspace).filter(|_| tool.output_schema.is_none());
    let mut known = tool.hint.lock();
    let of = |schema: &Option<Arc<Value>>| schema.as_ref().map(Arc::as_ptr);
    if let Some(hint) = known.as_ref().filter(|hint| of(&hint.observed) == of(&observed)) {
        return hint.line.clone();
    }
    let line: Arc<str> = line(tool, tool.output_schema.as_ref(), observed.as_deref()).into();
    *known = Some(Hint { observed, line: line.clone() });
    line
}

fn line(tool: &Tool, output: Option<&Schema>, observed: Option<&Value>) -> String {
    let call = path::expression(&tool.path);
    let mut line = String::new();
    let input = &*tool.input_schema.value();
    let output = output.map(Schema::value);
    // What a call needs is told before what it gives.
    let whole = (0..=HINT_DEPTH_MAX).rev().map(|depth| (false, HINT_DEPTH_MAX, depth));
    let shorter = (2..HINT_DEPTH_MAX).rev().map(|depth| (false, depth, 0));
    // Of a large body, what it must have says more than that there is one.
    let needed = (1..=HINT_DEPTH_MAX).rev().map(|depth| (true, depth, 0));
    let least = [(false, 1, 0), (false, 0, 0)];
    for (needed_only, args_depth, depth) in whole.chain(shorter).chain(needed).chain(least) {
        let args = argument_list(input, || {
            Writer::inline(input, args_depth).needed_only(needed_only).of(input, 0)
        });
        let result = match (&output, observed) {
            (Some(schema), _) => Writer::inline(schema, depth).of(schema, 0),
            (None, Some(schema)) => {
                format!("/* observed */ {}", Writer::inline(schema, depth).of(schema, 0))
            }
            (None, None) => "unknown".to_owned(),
        };
        line = format!("{call}({args}): Promise<{result}>");
        if line.len() <= HINT_BYTES_MAX {
            break;
        }
    }
    line
}

/// `tools` with this one function in it, and the types that it needs, as a TypeScript declaration.
pub(in crate::catalog) fn declaration(tool: &Tool, workspace: &str) -> String {
    let base = pascal(&tool.name);
    let (args, result) = (format!("{base}Args"), format!("{base}Result"));
    let taken = RefCell::new(HashSet::from([args.clone(), result.clone(), "tools".to_owned()]));
    let mut out = "declare const tools: {\n".to_owned();
    let mut segments: Vec<&str> = tool.path.split('.').collect();
    let leaf = segments.pop().unwrap_or_default();
    for (level, segment) in segments.iter().enumerate() {
        out.push_str(&format!("{}{}: {{\n", "  ".repeat(level + 1), key(segment)));
    }
    let indent = segments.len() + 1;
    out.push_str(&comment(std::slice::from_ref(&tool.description), indent));
    let list = argument_list(&tool.input_schema.value(), || args.clone());
    out.push_str(&format!("{}{}({list}): Promise<{result}>;\n", "  ".repeat(indent), key(leaf)));
    for level in (1..indent).rev() {
        out.push_str(&format!("{}}};\n", "  ".repeat(level)));
    }
    out.push_str("};\n");
    if !list.is_empty() {
        out.push('\n');
    }
    types_of(tool, workspace, &list, &base, &taken, &mut out);
    out
}

/// The types that a tool's signature names.
pub(super) fn types_of(
    tool: &Tool,
    workspace: &str,
    list: &str,
    base: &str,
    taken: &RefCell<HashSet<String>>,
    out: &mut String,
) {
    let (args, result) = (&*format!("{base}Args"), &*format!("{base}Result"));
    if !list.is_empty() {
        out.push_str(&Writer::declared(&tool.input_schema.value(), args, base, taken).all());
    }
    out.push('\n');
    out.push_str(&comment(tool.omitted_fields.summary().as_slice(), 0));
    match (tool.output(), tool.observed.schema(workspace)) {
        (Some(schema), _) => {
            out.push_str(&Writer::declared(&schema.value(), result, base, taken).all())
        }
        (None, Some(schema)) => {
            out.push_str("/* observed: learned from answers, not promised by the upstream */\n");
            out.push_str(&Writer::declared(&schema, result, base, taken).all());
        }
        (None, None) => {
            // Only MCP has texts that may be JSON.
            let text = if tool.operation.is_none() {
                " A text that is an object or a list in JSON comes as its value."
            } else {
                ""
            };
            out.push_str(&format!(
                "/** The upstream does not describe its result.{text} */\ntype \
                {result} = unknown;\n"
            ));
        }
    }
}

#[cfg(test)]
mod tests;
