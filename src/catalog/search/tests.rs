use serde_json::json;

use super::*;
use crate::catalog::tool::OfferedTool;

fn tool(name: &str, description: &str, parameters: &[&str]) -> Arc<Tool> {
    let properties: serde_json::Map<_, _> =
        parameters.iter().map(|name| ((*name).to_owned(), json!({"type": "string"}))).collect();
    let serde_json::Value::Object(input_schema) =
        json!({"type": "object", "properties": properties})
    else {
        unreachable!()
    };
    let offered = OfferedTool {
        name: name.to_owned(),
        description: description.to_owned(),
        input_schema,
        ..OfferedTool::default()
    };
    Arc::new(Tool::admit(&Arc::from("up"), offered).unwrap())
}

fn names(tools: &[Arc<Tool>], query: &str) -> Vec<String> {
    let index = SearchIndex::build(tools).unwrap();
    sorted(&index, query).into_iter().map(|at| tools[at].name.clone()).collect()
}

fn sorted(index: &SearchIndex, query: &str) -> Vec<usize> {
    let mut found = index.search(query);
    found.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.at.cmp(&b.at)));
    found.into_iter().map(|found| found.at).collect()
}

#[test]
fn the_name_counts_more_than_the_text_and_stems_meet() {
    let tools = [
        tool("deleteRepository", "Removes it, with all issues.", &[]),
        tool("list_issues", "All of a repository.", &[]),
        tool("send-mail", "To somebody.", &["recipient"]),
    ];
    assert_eq!(names(&tools, "listing the issues"), ["list_issues", "deleteRepository"]);
    assert_eq!(names(&tools, "recipients"), ["send-mail"]);
    assert_eq!(names(&tools, "weather"), [""; 0]);
}

#[test]
fn a_question_is_words_never_syntax() {
    let tools = [tool("a", "alpha beta", &[])];
    for query in [
        "alpha AND (",
        "path:alpha",
        "\"alpha",
        "alpha^ ~[ TO ] /(/",
        "-alpha +alpha",
        "alpha\0*?\\",
    ] {
        assert_eq!(names(&tools, query), ["a"], "{query}");
    }
    assert_eq!(names(&tools, &"alpha ".repeat(100_000)), ["a"]);
    assert_eq!(names(&tools, "()*&^"), [""; 0]);
    assert_eq!(names(&[], "alpha"), [""; 0]);
}

#[test]
fn two_thousand_tools_are_all_found_in_the_order_of_their_worth() {
    let tools: Vec<_> = (0..2_000)
        .map(|n| tool(&format!("item{n}.get"), "Reads one item of the shop.", &["id"]))
        .collect();
    let index = SearchIndex::build(&tools).unwrap();
    assert_eq!(index.search("read item").len(), 2_000);
    assert_eq!(tools[sorted(&index, "get item 1234")[0]].name, "item1234.get");
}

#[test]
fn synonyms_beginnings_slips_and_joints_meet_what_is_meant() {
    let tools = [
        tool("repos.delete", "Deletes a repository.", &[]),
        tool("hooks.create", "Creates a webhook.", &["url"]),
        tool("notifications.list", "Lists notifications.", &[]),
        tool("runs.reRun", "Runs it once more.", &[]),
    ];
    for (query, right) in [
        ("remove a repo", "repos.delete"),
        ("add a web hook", "hooks.create"),
        ("show notif", "notifications.list"),
        ("show notificatoins", "notifications.list"),
        ("re-run", "runs.reRun"),
        ("rerun", "runs.reRun"),
    ] {
        assert_eq!(names(&tools, query).first().map(String::as_str), Some(right), "{query}");
    }
    assert_eq!(names(&tools, "xq"), [""; 0], "too short for a slip");
}

#[test]
fn values_of_enumerations_are_found_and_worth_less_than_names() {
    let schema = json!({"type": "object", "properties": {"mode": {"enum": ["turbo", "eco"]}}});
    let serde_json::Value::Object(input_schema) = schema else { unreachable!() };
    let offered = OfferedTool { name: "drive".to_owned(), input_schema, ..OfferedTool::default() };
    let tools = [Arc::new(Tool::admit(&Arc::from("up"), offered).unwrap()), tool("turbo", "", &[])];
    assert_eq!(names(&tools, "turbo"), ["turbo", "drive"]);
}

#[test]
fn fields_of_a_body_are_found_like_arguments() {
    let schema = json!({"type": "object", "properties": {"body": {"type": "object", "properties": {
        "milestone": {"type": "integer"}, "state": {"enum": ["snoozed"]},
        "deep": {"properties": {"unseen": {}}},
    }}}});
    let serde_json::Value::Object(input_schema) = schema else { unreachable!() };
    let offered =
        OfferedTool { name: "issues.update".to_owned(), input_schema, ..OfferedTool::default() };
    let tools = [Arc::new(Tool::admit(&Arc::from("up"), offered).unwrap()), tool("other", "", &[])];
    for word in ["milestone", "snoozed"] {
        assert_eq!(names(&tools, word), ["issues.update"], "{word}");
    }
    assert_eq!(names(&tools, "unseen"), [""; 0]);
}

#[test]
fn a_verb_that_contradicts_the_question_comes_later_and_never_fits() {
    let tools = [
        tool("secrets.delete", "Deletes a secret of a repository.", &[]),
        tool("secrets.create", "Creates a secret.", &[]),
    ];
    let index = SearchIndex::build(&tools).unwrap();
    let at = sorted(&index, "create a secret for the repository");
    assert_eq!(tools[at[0]].name, "secrets.create");
    let found = index.search("create a secret for the repository");
    assert!(
        found.iter().all(|found| found.fits == (tools[found.at].name == "secrets.create")),
        "{found:?}"
    );
}
