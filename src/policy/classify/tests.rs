use super::{presets::PRESETS, *};
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
        former: None,
    }
}

fn class(tool: &ToolFacts<'_>) -> Class {
    classify(tool, None).0
}

#[test]
fn the_presets_list_the_tools_of_their_servers() {
    let count = |id: &str| presets::by_id(id).unwrap().tools.len();
    assert_eq!((count("convex"), count("trigger"), count("mcpgraph")), (12, 38, 13));
    assert_eq!(PRESETS.len(), 10);
    let of =
        |upstream: &str, name: &str| classify(&tool(name), presets::by_upstream_name(upstream)).0;
    assert_eq!(of("convex", "run"), Class::Execute);
    assert_eq!(of("convex", "envRemove"), Class::Destructive);
    assert_eq!(of("trigger-dev", "whoami"), Class::Read);
    assert_eq!(of("trigger", "switch_profile"), Class::Write);
    assert_eq!(of("mcpgraph", "deleteGraphTool"), Class::Destructive);
    // An upstream of another name uses no preset.
    assert_eq!(of("mine", "whoami"), Class::Unknown);
}

#[test]
fn each_name_belongs_to_one_preset() {
    let mut names: Vec<&str> =
        PRESETS.iter().flat_map(|preset| preset.names.iter().map(String::as_str)).collect();
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
fn an_untrusted_annotation_only_raises() {
    let annotated = |name, read_only, destructive, trusted| {
        class(&ToolFacts {
            annotations: Annotations { read_only, destructive, ..Annotations::default() },
            trusted,
            ..tool(name)
        })
    };
    // A false annotation cannot lower the class.
    assert_eq!(annotated("drop_table", Some(true), Some(false), false), Class::Destructive);
    assert_eq!(annotated("frobnicate", Some(true), None, false), Class::Unknown);
    // An incriminating annotation raises it.
    assert_eq!(annotated("frobnicate", None, Some(true), false), Class::Destructive);
    assert_eq!(annotated("pay", None, Some(true), false), Class::Financial);
    // If the upstream is trusted, both count.
    assert_eq!(annotated("frobnicate", Some(true), None, true), Class::Read);
    assert_eq!(annotated("frobnicate", Some(false), Some(false), true), Class::Write);
    assert_eq!(annotated("frobnicate", Some(false), None, true), Class::Write);
    assert_eq!(annotated("frobnicate", None, Some(true), true), Class::Destructive);
    let read = presets::by_upstream_name("convex");
    let incriminating = ToolFacts {
        annotations: Annotations { read_only: Some(false), ..Annotations::default() },
        ..tool("tables")
    };
    assert_eq!(classify(&incriminating, read).0, Class::Write);
}

#[test]
fn the_request_beats_the_name_but_does_not_hide_money() {
    let requesting =
        |name, operation| class(&ToolFacts { operation: Some(operation), ..tool(name) });
    assert_eq!(requesting("anything", Operation::Get), Class::Read);
    assert_eq!(requesting("run_report", Operation::Query), Class::Read);
    assert_eq!(requesting("anything", Operation::Post), Class::Write);
    assert_eq!(requesting("run_job", Operation::Post), Class::Write);
    assert_eq!(requesting("refund", Operation::Post), Class::Financial);
    assert_eq!(requesting("deleteUser", Operation::Mutation), Class::Destructive);
    assert_eq!(requesting("thing", Operation::Delete), Class::Destructive);
}
