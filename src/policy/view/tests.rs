use crate::policy::{tests::*, *};

#[test]
fn views_show_what_lint_needs() {
    let policy = load(
        r#"
hide: [a.x]
tools:
  "a.*":
    limits: [{window: minute, max: 5, scope: session, cost: args.n}]
    rules:
      - {name: one, action: deny, when: 'has(args.p.q) && args.p.r == 1 && args["s"] == 2'}
      - {name: two, action: allow, applies_to: {role: admin}}
"#,
    );
    let rules: Vec<RuleView<'_>> = policy.rules().collect();
    let paths = |rule: &RuleView<'_>| {
        rule.arg_paths.iter().map(|read| (read.path.join("."), read.must_exist)).collect::<Vec<_>>()
    };
    assert_eq!(
        (rules[0].limit_scopes[0], paths(&rules[0])),
        (&[file::Scope::Session][..], vec![("n".to_owned(), true)])
    );
    assert_eq!(
        paths(&rules[1]),
        [
            ("p".to_owned(), true),
            ("p.q".to_owned(), false),
            ("p.r".to_owned(), true),
            ("s".to_owned(), true)
        ]
    );
    assert!(
        rules[1].conditional && !rules[1].restricted && rules[2].restricted && rules[2].action_only
    );
    assert_eq!(
        (rules[1].position, rules[1].pattern.as_str(), &*rules[1].rule.pointer),
        ((7, 9), "a.*", "/tools/a.*/rules/0")
    );
    let entries: Vec<(String, bool, (usize, usize))> = policy
        .entries()
        .map(|entry| (entry.pointer.clone(), entry.hidden, entry.position))
        .collect();
    assert_eq!(
        entries,
        [("/hide/0".to_owned(), true, (2, 8)), ("/tools/a.*".to_owned(), false, (4, 3))]
    );
}
