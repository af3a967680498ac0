//! `airlock policy scan`: a policy file over the tools of an upstream, ready to edit.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Map, Value, json};

use crate::{
    app::Failure,
    base::plural::counted,
    cli::{
        args::OUTPUT,
        connection::{Connection, Need},
        screen::{self, note, print, print_json},
    },
    config::Config,
    policy::import::print::yaml,
    service::view::PolicyTool,
};

/// Characters of a description in the comment above its tool.
const DESCRIPTION_CHARS: usize = 100;
/// Tools whose first tests are written.
const TESTED_MAX: usize = 3;

/// The arguments of `policy scan`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ScanArgs {
    /// The upstream, by its name in the configuration
    upstream: String,
    /// Print the tools and their classes as JSON instead of a file
    #[arg(long, help_heading = OUTPUT)]
    json: bool,
}

/// The rule that a class suggests, for its owner to edit: the decision, and calls a minute for each
/// principal.
fn suggestion(class: &str) -> (&'static str, u32) {
    match class {
        "read" => ("allow", 120),
        "write" => ("ask", 30),
        "destructive" | "financial" => ("ask", 5),
        _ => ("ask", 10),
    }
}

/// Asks for the tools and writes the file to standard output.
pub(super) async fn perform(args: ScanArgs, config: &Config) -> Result<ExitCode, Failure> {
    let list = Connection::ask(config, Need::Tools, async |client| {
        client.policy_tools(&args.upstream).await
    });
    let tools = list.await?.tools;
    if tools.is_empty() {
        return Err(Failure::other(format!("the upstream `{}` has no tools", args.upstream))
            .hint("`airlock doctor` shows the status of the upstreams"));
    }
    if args.json {
        print_json(&tools.iter().map(|tool| screen::with_id(&tool.path, tool)).collect())?;
        return Ok(ExitCode::SUCCESS);
    }
    print(scaffold(&args.upstream, &tools).trim_end())?;
    note(format!(
        "{}; edit the file, name it in `policy.files`, then `airlock policy test FILE`",
        counted(tools.len(), "tool")
    ));
    Ok(ExitCode::SUCCESS)
}

/// The file. Entries go by class, the mildest first, and by name.
pub(super) fn scaffold(upstream: &str, tools: &[PolicyTool]) -> String {
    let rank = |class: &str| {
        ["read", "write", "unknown", "execute", "destructive", "financial"]
            .iter()
            .position(|one| *one == class)
    };
    let mut sorted: Vec<&PolicyTool> = tools.iter().collect();
    sorted.sort_by_key(|tool| (rank(&tool.class), &tool.name));
    let (mut entries, mut comments) = (Map::new(), vec![]);
    let mut class_before = "";
    for tool in &sorted {
        let (name, class) = (tool.name.as_str(), tool.class.as_str());
        let (action, max) = suggestion(class);
        let rule = json!({
            "action": action,
            "limit": { "max": max, "window": "minute", "scope": ["principal", "tool"] }
        });
        entries.insert(name.to_owned(), json!({ "class": class, "rules": [rule] }));
        let mut lines = vec![];
        if class != class_before {
            lines.push(format!("-- {class} (known from: {})", tool.class_source));
            class_before = class;
        }
        let description = screen::line(&tool.description, DESCRIPTION_CHARS);
        lines.extend((!description.is_empty()).then_some(description));
        comments.push((format!("/tools/{}", name.replace('~', "~0").replace('/', "~1")), lines));
    }
    let tests: Vec<Value> = sorted
        .iter()
        .take(TESTED_MAX)
        .map(|tool| {
            json!({
                "tool": tool.name, "args": tool.sample, "expect": suggestion(&tool.class).0
            })
        })
        .collect();
    let file = json!({
        "version": "1", "upstream": upstream, "default": "ask", "tools": entries, "tests": tests
    });
    let head = "# Check the classes: some are guesses from the names of the tools. `default: ask` \
        is for tools that are added later.\n";
    let above = |pointer: &str| {
        comments
            .iter()
            .find(|(place, _)| place == pointer)
            .map(|(_, lines)| lines.clone())
            .unwrap_or_default()
    };
    format!("{head}{}", yaml(&file, &above))
}
