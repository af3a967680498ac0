use super::{catalogue::ENTRIES, *};
use crate::model::Annotations;

fn tool(name: &str) -> ToolFacts<'_> {
    ToolFacts {
        path: name,
        upstream: "up",
        name,
        input_schema: None,
        annotations: Annotations::default(),
        trusted: false,
        operation: None,
    }
}

fn class(tool: &ToolFacts<'_>) -> Class {
    classify(tool, None).0
}

#[test]
fn the_catalogue_holds_the_tools_of_its_servers() {
    let count = |id: &str| catalogue::entry(id).unwrap().tools.len();
    assert_eq!((count("convex"), count("trigger"), count("mcpgraph")), (12, 38, 13));
    assert_eq!(ENTRIES.len(), 10);
    let of = |upstream: &str, name: &str| classify(&tool(name), catalogue::named(upstream)).0;
    assert_eq!(of("convex", "run"), Class::Execute);
    assert_eq!(of("convex", "envRemove"), Class::Destructive);
    assert_eq!(of("trigger-dev", "whoami"), Class::Read);
    assert_eq!(of("trigger", "switch_profile"), Class::Write);
    assert_eq!(of("mcpgraph", "deleteGraphTool"), Class::Destructive);
    // Another name, another server.
    assert_eq!(of("mine", "whoami"), Class::Unknown);
}

#[test]
fn names_of_entries_are_taken_once() {
    let mut names: Vec<&str> =
        ENTRIES.iter().flat_map(|entry| entry.names.iter().map(String::as_str)).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
}

#[test]
fn a_name_never_makes_a_tool_harmless() {
    for (name, expected) in [
        ("get_thing", Class::Unknown),
        ("get_payment", Class::Unknown),
        ("list_runs", Class::Unknown),
        ("get_and_delete", Class::Destructive),
        ("createIssue", Class::Write),
        ("cancel-run", Class::Execute),
        ("deleteOldRun", Class::Destructive),
        ("refund_charge", Class::Financial),
        ("remove_payment", Class::Financial),
        ("frobnicate", Class::Unknown),
        ("SHELL", Class::Execute),
    ] {
        assert_eq!(class(&tool(name)), expected, "{name}");
    }
}

#[test]
fn an_untrusted_claim_only_raises() {
    let claiming = |name, read_only, destructive, trusted| {
        class(&ToolFacts {
            annotations: Annotations { read_only, destructive, ..Annotations::default() },
            trusted,
            ..tool(name)
        })
    };
    // A lie lowers nothing.
    assert_eq!(claiming("drop_table", Some(true), Some(false), false), Class::Destructive);
    assert_eq!(claiming("frobnicate", Some(true), None, false), Class::Unknown);
    // A confession raises.
    assert_eq!(claiming("frobnicate", None, Some(true), false), Class::Destructive);
    assert_eq!(claiming("pay", None, Some(true), false), Class::Financial);
    // Trusted, both count.
    assert_eq!(claiming("frobnicate", Some(true), None, true), Class::Read);
    assert_eq!(claiming("frobnicate", Some(false), Some(false), true), Class::Write);
    assert_eq!(claiming("frobnicate", Some(false), None, true), Class::Write);
    assert_eq!(claiming("frobnicate", None, Some(true), true), Class::Destructive);
    let read = catalogue::named("convex");
    let confessing = ToolFacts {
        annotations: Annotations { read_only: Some(false), ..Annotations::default() },
        ..tool("tables")
    };
    assert_eq!(classify(&confessing, read).0, Class::Write);
}

#[test]
fn the_verb_goes_before_the_name_but_does_not_hide_money() {
    let asking = |name, operation| class(&ToolFacts { operation: Some(operation), ..tool(name) });
    assert_eq!(asking("anything", Operation::Get), Class::Read);
    assert_eq!(asking("run_report", Operation::Query), Class::Read);
    assert_eq!(asking("anything", Operation::Post), Class::Write);
    assert_eq!(asking("run_job", Operation::Post), Class::Write);
    assert_eq!(asking("refund", Operation::Post), Class::Financial);
    assert_eq!(asking("deleteUser", Operation::Mutation), Class::Destructive);
    assert_eq!(asking("thing", Operation::Delete), Class::Destructive);
}
