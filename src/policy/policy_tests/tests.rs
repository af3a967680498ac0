use serde_json::json;

use crate::policy::tests::*;
use crate::policy::*;

#[test]
fn a_file_tests_itself() {
    let policy = load(
        r#"
default: deny
hide: [a.hidden]
tools:
  convex.run: {rules: [{name: no-prod, action: deny, when: 'args.deploymentSelector.startsWith("prod:")'}, {action: ask, name: asks}]}
  a.key: {rules: [{action: allow, applies_to: {key: ci}}]}
  a.spend: {limits: [{counter: c, window: day, max: 5}], rules: [{action: deny, when: 'counter("a.spend", "c") > 1'}]}
tests:
  - {tool: convex.run, args: {deploymentSelector: "prod:x"}, expect: deny, rule: no-prod}
  - {tool: convex.run, args: {deploymentSelector: "dev:x"}, expect: ask}
  - {name: for ci, tool: a.key, as: {key: ci}, expect: allow}
  - {tool: a.key, expect: deny, rule: default}
  - {tool: a.hidden, expect: hidden}
  - {tool: a.spend, expect: allow}
  - {name: wrong, tool: a.key, expect: allow}
  - {name: wrong rule, tool: a.key, expect: deny, rule: other}
"#,
    );
    let reports = policy.run_tests(crate::model::Timestamp::UNIX_EPOCH, &|path| {
        (path == "a.key").then(|| tool("a.key"))
    });
    let failed: Vec<&TestReport> = reports.iter().filter(|report| !report.passed).collect();
    assert_eq!(
        failed.iter().map(|report| report.name.as_str()).collect::<Vec<_>>(),
        ["wrong", "wrong rule"]
    );
    assert_eq!((failed[0].line, failed[0].expected.as_str()), (15, "allow"));
    assert_eq!(
        failed[0].got,
        "deny by default (policy.yaml/default): policy_denied: call of `a.key`: not permitted by \
        policy"
    );
    assert_eq!(
        (reports[2].name.as_str(), reports[2].known, reports[0].known),
        ("for ci", true, false)
    );
}

#[test]
fn a_test_can_set_the_class() {
    let policy = load(
        "tests: [{tool: x.y, class: read, expect: allow}, {tool: x.y, class: financial, expect: \
        ask}]",
    );
    let reports = policy.run_tests(crate::model::Timestamp::UNIX_EPOCH, &|_| None);
    assert!(reports.iter().all(|report| report.passed), "{reports:?}");
    // Outside of tests the class is not affected.
    assert_eq!(verdict(&policy, "x.y", json!({})), "ask by class default");
}

#[test]
fn a_file_for_one_upstream_tests_its_tool_names() {
    let policy = load(
        "upstream: convex\ntools: {run: {rules: [{action: deny}]}}\ntests: [{tool: run, expect: \
        deny}, {tool: other, expect: allow}]",
    );
    let reports = policy.run_tests(crate::model::Timestamp::UNIX_EPOCH, &|_| None);
    assert!(
        reports.iter().all(|report| report.passed && report.tool.starts_with("convex.")),
        "{reports:?}"
    );
}
