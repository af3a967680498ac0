//! Tools that had another path in the release before: what was written for it holds, and nothing
//! that was denied or asked becomes allowed.

use serde_json::json;

use super::*;
use crate::model::Operation;

/// A tool whose group is older than it: a star below the group may mean the tools that were there.
const MOVED: (&str, &str, usize) = ("up.widgets.make", "up._2015.makeWidgets", 3);
/// A tool in a group that the release before did not have.
const REGROUPED: (&str, &str, usize) = ("up.issue.make", "up._2.makeIssue", 2);

fn renamed((path, former, new_from): (&'static str, &'static str, usize)) -> ToolFacts<'static> {
    ToolFacts {
        operation: Some(Operation::Post),
        former: Some(FormerPath { path: former, new_from }),
        ..tool(path)
    }
}

/// The tool as it was in the release before.
fn before((_, former, _): (&'static str, &'static str, usize)) -> ToolFacts<'static> {
    ToolFacts { operation: Some(Operation::Post), ..tool(former) }
}

fn decided(policy: &Policy, tool: ToolFacts<'_>) -> Decision {
    decide_raw(policy, tool, "{}", CALLER, &CounterValues::none())
}

fn found(text: &str, tool: ToolFacts<'_>) -> String {
    summary(&decided(&load(text), tool))
}

#[test]
fn an_expression_about_a_name_is_not_slipped_by_another_name() {
    for expression in [
        "tool.name.contains('Widgets')",
        "tool.path == 'up._2015.makeWidgets'",
        "tool.name.startsWith('_2015')",
        "tool.path == 'up.widgets.make'",
        "!(tool.name in ['_2015.makeWidgets'])",
    ] {
        for action in ["deny", "ask", "allow"] {
            let rule = format!("{{action: {action}, when: \"{expression}\", name: named}}");
            let text = format!("default: allow\ntools:\n  \"up.*\": {{rules: [{rule}]}}\n");
            let decision = decided(&load(&text), renamed(MOVED));
            let Verdict::Deny(denial) = &decision.verdict else { panic!("{text}{decision:?}") };
            assert!(denial.message.contains("`up._2015.makeWidgets`"), "{}", denial.message);
        }
    }
    for (expression, expected) in [
        ("tool.upstream == 'up' && tool.class != 'read'", "policy_denied by named"),
        ("tool.name.size() > 1", "policy_denied by named"),
        ("tool.name.contains('gadget')", "allow by default"),
    ] {
        let rule = format!("{{action: deny, when: \"{expression}\", name: named}}");
        let text = format!("default: allow\ntools:\n  \"up.*\": {{rules: [{rule}]}}\n");
        assert_eq!(found(&text, renamed(MOVED)), expected, "{text}");
    }
}

#[test]
fn every_verdict_of_a_rule_for_the_former_name_holds() {
    for (tools, expected) in [
        ("up._2015.makeWidgets: {rules: [{action: deny}]}", "policy_denied by rules[0]"),
        ("up._2015.makeWidgets: {rules: [{action: ask}]}", "ask by rules[0]"),
        ("up._2015.makeWidgets: {rules: [{action: allow}]}", "allow by rules[0]"),
        ("up._2015.makeWidgets: {hide: true}", "hidden by hide"),
        ("\"up._2015.*\": {rules: [{action: deny}]}", "policy_denied by rules[0]"),
        ("\"up._2015.*\": {rules: [{action: allow}]}", "allow by rules[0]"),
        ("\"up.*.makeWidgets\": {rules: [{action: allow}]}", "allow by rules[0]"),
        // The present name, exactly.
        ("up.widgets.make: {rules: [{action: allow}]}", "allow by rules[0]"),
        ("up.widgets.make: {rules: [{action: deny}]}", "policy_denied by rules[0]"),
        // Two names, two rules: the stricter one.
        (
            "up._2015.makeWidgets: {rules: [{action: allow}]}\n  up.widgets.make: {rules: \
             [{action: deny, name: no}]}",
            "policy_denied by no",
        ),
        (
            "up._2015.makeWidgets: {rules: [{action: deny, name: no}]}\n  up.widgets.make: \
             {rules: [{action: allow}]}",
            "policy_denied by no",
        ),
        (
            "up._2015.makeWidgets: {rules: [{action: allow}]}\n  up.widgets.make: {rules: \
             [{action: ask, name: careful}]}",
            "ask by careful",
        ),
        (
            "up._2015.makeWidgets: {rules: [{action: ask, name: careful}]}\n  \"up.widgets.*\": \
             {rules: [{action: allow}]}",
            "ask by careful",
        ),
        // A star that may be older than the name.
        ("\"up.widgets.*\": {rules: [{action: allow}]}", "ask by class default"),
        ("\"up.*.make\": {rules: [{action: allow}]}", "ask by class default"),
        ("\"up.widgets.*\": {rules: [{action: deny}]}", "policy_denied by rules[0]"),
        ("\"up.*.make\": {rules: [{action: ask, name: careful}]}", "ask by careful"),
        ("\"up.widgets.*\": {hide: true}", "hidden by hide"),
        // What may only restrict opens nothing that is denied.
        ("\"up.widgets.*\": {rules: [{action: ask}]}\ndefault: deny", "policy_denied by default"),
        (
            "\"up.widgets.*\": {rules: [{action: ask, name: careful}]}\ndefault: allow",
            "ask by careful",
        ),
    ] {
        assert_eq!(found(&format!("tools:\n  {tools}"), renamed(MOVED)), expected, "{tools}");
    }
}

#[test]
fn a_star_below_a_group_that_is_new_allows() {
    for (tools, expected) in [
        ("\"up.issue.*\": {rules: [{action: allow}]}", "allow by rules[0]"),
        ("\"up._2.*\": {rules: [{action: allow}]}", "allow by rules[0]"),
        ("\"up.*.make\": {rules: [{action: allow}]}", "ask by class default"),
    ] {
        assert_eq!(found(&format!("tools:\n  {tools}"), renamed(REGROUPED)), expected, "{tools}");
    }
    let listed = "default: deny\ntools: {\"up.issue.*\": {}}";
    assert_eq!(found(listed, renamed(REGROUPED)), "allow by listed");
    assert_eq!(
        found("default: deny\ntools: {\"up.widgets.*\": {}}", renamed(MOVED)),
        "policy_denied by default"
    );
}

#[test]
fn conditions_of_either_name_are_checked_and_limits_of_either_count() {
    let policy = load(
        "default: allow\ntools:\n  up._2015.makeWidgets: {deny_if: [{conditions: [{path: args.n, \
         op: gt, value: 5}]}], limits: [{window: day, max: 3}]}\n  \"up.widgets.*\": {limits: \
         [{window: hour, max: 2}]}",
    );
    let with = |args: Value| {
        decide_raw(&policy, renamed(MOVED), &args.to_string(), CALLER, &CounterValues::none())
    };
    assert_eq!(summary(&with(json!({"n": 9}))), "policy_denied by deny_if[0]");
    let allowed = with(json!({"n": 1}));
    assert_eq!(summary(&allowed), "allow by default");
    let windows: Vec<String> =
        limits(&allowed).into_iter().map(|(max, window, _)| format!("{max} {window}")).collect();
    assert_eq!(windows, ["3 day", "2 hour"]);
}

#[test]
fn a_counter_of_each_tool_goes_on_under_the_new_name() {
    let text = "default: allow\ntools: {\"up.*\": {limits: [{counter: c, window: day, max: 3, \
                scope: [tool]}]}}";
    let policy = load(text);
    let keys = |tool| -> Vec<String> {
        limits(&decided(&policy, tool)).into_iter().map(|(_, _, key)| key).collect()
    };
    let (old, new) = (keys(before(MOVED)), keys(renamed(MOVED)));
    assert_eq!((old.len(), new.len()), (1, 2));
    assert!(new.contains(&old[0]), "{new:?}");
    // What the next release counts goes on, too.
    let next = keys(ToolFacts { former: None, ..renamed(MOVED) });
    assert!(new.contains(&next[0]), "{new:?}");
}

#[test]
fn a_new_name_makes_no_tool_more_harmless() {
    let facts = ToolFacts {
        former: Some(FormerPath { path: "up.payouts.payoutsRefundAll", new_from: 3 }),
        operation: Some(Operation::Post),
        ..tool("up.payouts.all")
    };
    let open = Options { profile: Profile::Open, approvals: true };
    let policy = with("tools: {}", open);
    assert_eq!(
        decided(&policy, facts).class,
        decided(
            &policy,
            ToolFacts { operation: Some(Operation::Post), ..tool("up.payouts.payoutsRefundAll") }
        )
        .class
    );
    // A class that a file sets for a star raises, and lowers only what it named before.
    let lowered = |pattern: &str, facts| {
        let policy = load(&format!("tools: {{\"{pattern}\": {{class: read}}}}"));
        decided(&policy, facts).class
    };
    assert_eq!(lowered("up.widgets.*", renamed(MOVED)), Class::Write);
    assert_eq!(lowered("up._2015.*", renamed(MOVED)), Class::Read);
    assert_eq!(lowered("up.widgets.make", renamed(MOVED)), Class::Read);
    let raised = load("tools: {\"up.widgets.*\": {class: destructive}}");
    assert_eq!(decided(&raised, renamed(MOVED)).class, Class::Destructive);
}

/// From lenient to strict.
fn strictness(decision: &Decision) -> u8 {
    match &decision.verdict {
        Verdict::Allow => 0,
        Verdict::Ask(_) => 1,
        Verdict::Deny(denial) if denial.hidden => 3,
        Verdict::Deny(_) => 2,
    }
}

#[test]
fn no_policy_of_the_release_before_is_weaker_under_the_new_names() {
    // Whatever could be written then: none names the new tool, or what was new with it.
    let patterns = ["*", "up.*", "up._2015.*", "up.widgets.*", "up.*.make", "up._2015.makeWidgets"];
    let effects = [
        "{}",
        "{hide: true}",
        "{class: read}",
        "{class: destructive}",
        "{rules: [{action: allow}]}",
        "{rules: [{action: ask}]}",
        "{rules: [{action: deny}]}",
    ];
    let entries: Vec<(usize, String)> = patterns
        .iter()
        .enumerate()
        .flat_map(|(at, pattern)| {
            effects.iter().map(move |effect| (at, format!("\"{pattern}\": {effect}")))
        })
        .collect();
    let mut compared = 0;
    for default in ["", "default: deny\n", "default: auto\n"] {
        for (one, first) in &entries {
            for (_, second) in entries.iter().filter(|(other, _)| other > one) {
                let policy = load(&format!("{default}tools:\n  {first}\n  {second}"));
                let (then, now) =
                    (decided(&policy, before(MOVED)), decided(&policy, renamed(MOVED)));
                let case = format!("{default}{first} {second}");
                assert!(strictness(&now) >= strictness(&then), "{case}");
                let seen = |tool: ToolFacts<'_>| match policy.view(&tool, &CALLER) {
                    Listing::Auto => 0,
                    Listing::Required => 1,
                    Listing::Hidden => 2,
                };
                assert!(seen(renamed(MOVED)) >= seen(before(MOVED)), "listed: {case}");
                compared += 1;
            }
        }
    }
    assert!(compared > 2_000, "{compared}");
}
