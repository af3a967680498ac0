use super::{Dialect, ImportOptions, Imported, import};
use crate::policy::Problem;

fn strict(dialect: Dialect, text: &str) -> Result<Imported, Vec<Problem>> {
    import(dialect, "source.yaml", text, ImportOptions { upstream: Some("up"), compat_warn: false })
}

fn lenient(dialect: Dialect, text: &str) -> Imported {
    import(dialect, "source.yaml", text, ImportOptions { upstream: Some("up"), compat_warn: true })
        .unwrap()
}

fn problems(dialect: Dialect, text: &str) -> Vec<String> {
    strict(dialect, text).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn an_import_of_intercept_reports_each_mapping() {
    let text = r#"version: "1"
hide: [transfer]
tools:
  charge:
    rules:
      - name: size
        conditions: [{path: args.amount, op: lte, value: 500}]
        on_deny: "Too much"
      - name: spend
        conditions: [{path: state.charge.spend, op: lt, value: 1000}, {path: args.currency, op: in, value: [usd]}]
        state: {counter: spend, window: day, increment_from: args.amount}
  refund:
    rules:
      - {name: ask, action: require_approval, approval_timeout: 30m}
  read:
    rules: []
  "*":
    rules:
      - {name: all, rate_limit: 60/minute}
"#;
    let made = strict(Dialect::Intercept, text).unwrap();
    insta::assert_snapshot!(made.layers[0].text, @r#"
    # Imported from source.yaml (intercept).
    version: "1"
    upstream: up
    default: allow
    hide: [transfer]
    tools:
      charge:
        rules:
          - name: size
            require:
              - {path: args.amount, op: lte, value: 500}
            message: Too much
          - name: spend
            require:
              - {path: args.currency, op: in, value: [usd]}
            limit: {counter: spend, max: 999, window: day, algo: fixed, cost: args.amount, scope: [workspace, tool]}
      refund:
        rules:
          - {name: ask, action: ask, approval_timeout: "30m"}
      read: {rules: []}
      "*":
        rules:
          - name: all
            limit: {counter: _rate_minute, max: 60, window: minute, algo: fixed, scope: [workspace, upstream]}
    "#);
    let mappings: Vec<_> = made
        .mappings
        .iter()
        .map(|one| {
            let at = one.position;
            format!("{}:{} {} → {}", at.line, at.column, one.source, one.target)
        })
        .collect();
    insta::assert_snapshot!(mappings.join("\n"), @"
    1:1 no `default`, which means allow → default: allow
    2:8 hide transfer → hide: up.transfer
    6:9 charge: evaluate `size` → up.charge: require (1)
    9:9 charge: evaluate `spend` → up.charge: require (1), limit spend: 999 in day, for each workspace, tool
    14:9 refund: require_approval `ask` → up.refund: action ask
    15:3 read: no rules → up.read: listed
    19:9 *: rate_limit `all` → up.*: limit _rate_minute: 60 in minute, for each workspace, upstream
    ");
    assert!(made.warnings.is_empty(), "{:?}", made.warnings);
}

#[test]
fn nothing_is_dropped_silently() {
    let text = r#"version: "1"
tols: {}
approvals: {notify: {}}
tools:
  a:
    rules:
      - {name: x, rate_limit: 5/hour, on_denied: hm}
      - {name: y, spend: {daily: 5}, action: deny}
      - {name: z, action: deny, idempotency_window: 5m}
  get_*: {rules: []}
"#;
    let lines = problems(Dialect::Intercept, text);
    insta::assert_snapshot!(lines.join("\n"), @"
    source.yaml:2:1: unknown key `tols` (at /tols); did you mean `tools`?
    source.yaml:3:1: `approvals` configures where Intercept announces approvals; that is not part of a policy here (at /approvals); approvals are decided with `airlock approvals`
    source.yaml:7:39: unknown key `on_denied` (at /tools/a/rules/0/on_denied); did you mean `on_deny`?
    source.yaml:8:19: `spend` reads the price from a payment challenge of the upstream, which is not supported here (at /tools/a/rules/1/spend); if an argument holds the price: `limit: {max: N, window: day, cost: args.NAME}`
    source.yaml:9:33: `idempotency_window` caches the response of a repeated call, which is not supported here (at /tools/a/rules/2/idempotency_window); a program can keep the response itself
    source.yaml:10:3: `get_*` names no tool: Intercept matches names exactly, so this never matched (at /tools/get_*); name each tool, or write a pattern of whole segments after the import: `upstream.*`
    ");
    let made = lenient(Dialect::Intercept, text);
    assert_eq!(made.warnings.len(), lines.len(), "each is listed: {:?}", made.warnings);
}

#[test]
fn a_file_that_intercept_refuses_is_refused_here_with_its_position() {
    let table = [
        ("tools: {a: {rules: [{name: x}]}}", "at least one condition"),
        ("tools: {a: {rules: [{name: x, rate_limit: 0/hour}]}}", "a number from 1 on"),
        ("tools: {a: {rules: [{name: x, rate_limit: 5/week}]}}", "`minute`, `hour` or `day`"),
        (
            "tools: {a: {rules: [{name: x, rate_limit: 5/hour, conditions: [{path: args.a, op: \
            eq, value: 1}]}]}}",
            "cannot be combined",
        ),
        (
            "tools: {a: {rules: [{name: x, rate_limit: 5/hour, action: deny}]}}",
            "cannot deny or ask; write",
        ),
        (
            "tools: {a: {rules: [{name: x, rate_limit: 5/hour}, {name: y, rate_limit: 6/hour}]}}",
            "rules[0] of this tool already uses",
        ),
        (
            "tools: {a: {rules: [{name: x, conditions: [{path: arg.a, op: eq, value: 1}]}]}}",
            "must begin with `args.` or `state.`",
        ),
        (
            "tools: {a: {rules: [{name: x, conditions: [{path: args.a, op: equals, value: 1}]}]}}",
            "`op` is `equals`",
        ),
        (
            "tools: {a: {rules: [{name: x, conditions: [{path: args.a, op: lt, value: '1'}]}]}}",
            "`lt` needs a number",
        ),
        (
            "tools: {a: {rules: [{name: x, conditions: [{path: args.a, op: in, value: 1}]}]}}",
            "`in` needs a list",
        ),
        (
            "tools: {a: {rules: [{name: x, conditions: [{path: args.a, op: exists, value: 1}]}]}}",
            "`exists` needs true or false",
        ),
        ("version: '2'\ntools: {}", "`version` is `2`"),
        ("default: ask\ntools: {}", "`default` is `ask`"),
        ("hide: [a, a]\ntools: {}", "is a duplicate"),
        ("tools: {a: {rules: [{name: x, action: deni}]}}", "did you mean `deny`?"),
        ("tools: [a]", "`tools` must be a mapping, not a list"),
        ("tools: {a: {rules: {name: x}}}", "`rules` must be a list, not a mapping"),
        ("tools: {a: 1, a: 2}", "source.yaml:1:"),
        ("a: [", "source.yaml:"),
        ("", "the file is empty"),
    ];
    for (text, expected) in table {
        let lines = problems(Dialect::Intercept, text).join("\n");
        assert!(lines.contains(expected), "{text}\n{lines}");
        assert!(lines.starts_with("source.yaml:"), "{lines}");
    }
}

#[test]
fn a_counter_never_goes_down() {
    let rule = |increment: &str| {
        format!(
            "tools: {{a: {{rules: [{{name: x, conditions: [{{path: state.a.c, op: lte, value: \
            5}}], state: {{counter: c, window: day, increment: {increment}}}}}]}}}}"
        )
    };
    assert!(
        problems(Dialect::Intercept, &rule("-5"))[0]
            .contains("must be a whole number that is not negative")
    );
    assert!(
        problems(Dialect::Intercept, &rule("0.5"))[0]
            .contains("must be a whole number that is not negative")
    );
    let zero = strict(Dialect::Intercept, &rule("0")).unwrap();
    assert!(zero.warnings[0].message.contains("counts 1 for each call"), "{:?}", zero.warnings);
    assert!(!zero.layers[0].text.contains("cost"), "{}", zero.layers[0].text);
}

#[test]
fn a_string_of_digits_does_not_pass_a_rule_that_asks() {
    let text = "tools: {a: {rules: [{name: x, action: require_approval, conditions: [{path: \
        args.n, op: eq, value: 5}, {path: args.m, op: in, value: ['1', true, x]}]}, {name: y, \
        conditions: [{path: args.n, op: eq, value: 5}]}]}}";
    let made = strict(Dialect::Intercept, text).unwrap().layers.remove(0).text;
    assert!(made.contains(r#"{path: args.n, op: in, value: [5, "5"]}"#), "{made}");
    assert!(made.contains(r#"{path: args.m, op: in, value: ["1", true, x, 1, "true"]}"#), "{made}");
    assert!(
        made.contains("{path: args.n, op: eq, value: 5}"),
        "a requirement is unchanged: {made}"
    );
}

#[test]
fn a_bare_name_needs_its_upstream() {
    let made =
        import(Dialect::Intercept, "f", "tools: {run: {rules: []}}", ImportOptions::default())
            .unwrap_err();
    assert!(made[0].to_string().contains("`--upstream NAME`"), "{}", made[0]);
    let made = import(
        Dialect::Intercept,
        "f",
        "tools: {convex.run: {rules: []}}",
        ImportOptions::default(),
    )
    .unwrap();
    assert!(made.layers[0].text.contains("convex.run: {rules: []}\n"), "{}", made.layers[0].text);
    assert!(!made.layers[0].text.contains("upstream"), "{}", made.layers[0].text);
}

#[test]
fn policylayer_keeps_its_keys() {
    let text = "{\n\t\"version\": \"1\",\n\t\"default\": \"deny\",\n\t\"hide\": \"*\",\n\t\"all_tools\": {\"limits\": [{\"counter\": \"c\", \"window\": \"minute\", \"max\": 5, \"scope\": \"grant\"}]},\n\t\"tools\": {\"read\": {}, \"pay\": {\"require\": [{\"path\": \"args.reason\", \"op\": \"exists\", \"value\": true}], \"deny_if\": [{\"conditions\": [], \"on_deny\": \"Requires human approval.\"}]}}\n}";
    let made = strict(Dialect::PolicyLayer, text).unwrap();
    insta::assert_snapshot!(made.layers[0].text, @r#"
    # Imported from source.yaml (policylayer).
    version: "1"
    upstream: up
    default: deny
    hide: ["*"]
    tools:
      "*":
        limits:
          - {counter: c, max: 5, window: minute, algo: fixed, scope: [principal, upstream]}
      read: {}
      pay:
        require:
          - {path: args.reason, op: exists, value: true}
        deny_if:
          - {conditions: [], message: Requires human approval.}
    "#);
    assert!(made.warnings[0].message.contains("denies every call"), "{:?}", made.warnings);
    for (text, expected) in [
        (r#"{"tools": {}}"#, "has no `default`"),
        (
            r#"{"default": "deny", "tools": {"a": {"limits": [{"counter": "c", "window": "minute", "max": 5, "scope": "session"}]}}}"#,
            "`scope` is `session`",
        ),
        (r#"{"default": "deny", "tools": {"a": {"limit": []}}}"#, "did you mean `limits`?"),
        (
            r#"{"default": "deny", "tools": {"a": {"deny_if": [{"on_deny": "x"}]}}}"#,
            "needs `conditions`",
        ),
    ] {
        let lines = problems(Dialect::PolicyLayer, text).join("\n");
        assert!(lines.contains(expected), "{text}\n{lines}");
    }
}

#[test]
fn executors_rows_become_a_layer_for_each_owner() {
    let rows = r#"[
      {"owner": "org", "pattern": "github.issues.list", "action": "approve", "position": 1},
      {"owner": "org", "pattern": "github.*", "action": "require_approval", "position": 2},
      {"owner": "org", "pattern": "github.issues.create", "action": "approve", "position": 3},
      {"owner": "user", "pattern": "slack.*.*.post", "action": "block", "position": 0, "id": "x"}
    ]"#;
    let made = import(Dialect::Executor, "rows.json", rows, ImportOptions::default()).unwrap();
    let texts: Vec<_> =
        made.layers.iter().map(|layer| format!("{}\n{}", layer.owner, layer.text)).collect();
    insta::assert_snapshot!(texts.join("---\n"), @r#"
    org
    # Imported from rows.json (executor).
    version: "1"
    tools:
      github.issues.list:
        rules:
          - {action: allow}
      "github.*":
        rules:
          - {action: ask}
    ---
    user
    # Imported from rows.json (executor).
    version: "1"
    tools:
      "slack.*.*.post":
        rules:
          - {action: deny}
    "#);
    assert!(
        made.mappings.iter().any(|one| one.target.starts_with("omitted: `github.*`")),
        "{:?}",
        made.mappings
    );
}

#[test]
fn an_order_of_rows_that_patterns_cannot_express_is_reported() {
    let rows = |first: &str, second: &str| {
        let (one, two) = (first.split_once(' ').unwrap(), second.split_once(' ').unwrap());
        format!(
            "- {{owner: org, pattern: {:?}, action: {}, position: 1}}\n- {{owner: org, pattern: \
            {:?}, action: {}, position: 2}}\n",
            one.0, one.1, two.0, two.1
        )
    };
    let problem = |first, second| match import(
        Dialect::Executor,
        "f",
        &rows(first, second),
        ImportOptions::default(),
    ) {
        Ok(_) => String::new(),
        Err(problems) => problems[0].to_string(),
    };
    assert!(problem("a.b approve", "a.* block").contains("deny always wins"));
    assert!(
        problem("a.*.c approve", "a.b.* require_approval").contains("neither is more specific")
    );
    assert_eq!(problem("a.b approve", "a.* require_approval"), "");
    assert_eq!(problem("a.b block", "a.* approve"), "");
    assert!(problem("a.org.main.b approve", "c.d block").contains("is for one connection"));
    assert!(problem("*.b approve", "c.d block").contains("is not a pattern"));
    assert!(problem("a.b* approve", "c.d block").contains("is not a pattern"));
}

#[test]
fn claude_codes_lists_keep_their_order_of_deny_ask_allow() {
    let text = r#"{"permissions": {
      "allow": ["mcp__github__list_issues", "mcp__slack", "Bash(npm run test *)", "Read(./src/**)", "mcp__jira__read"],
      "ask": ["mcp__github", "mcp__slack__post"],
      "deny": ["mcp__jira__*", "WebFetch"],
      "defaultMode": "dontAsk"
    }}"#;
    let made =
        import(Dialect::ClaudeCode, "settings.json", text, ImportOptions::default()).unwrap();
    insta::assert_snapshot!(made.layers[0].text, @r#"
    # Imported from settings.json (claude-code).
    version: "1"
    default: deny
    tools:
      "slack.*":
        rules:
          - {action: allow}
      "github.*":
        rules:
          - {action: ask}
      slack.post:
        rules:
          - {action: ask}
      "jira.*":
        rules:
          - {action: deny}
    "#);
    let not_applicable =
        made.mappings.iter().filter(|one| one.target.starts_with("not applicable")).count();
    let omitted = made.mappings.iter().filter(|one| one.target.starts_with("omitted")).count();
    assert_eq!((not_applicable, omitted), (3, 2), "{:?}", made.mappings);
    let lines =
        problems(Dialect::ClaudeCode, r#"{"allow": ["mcp__a__get_*"], "denied": []}"#).join("\n");
    assert!(
        lines.contains("cannot be converted") && lines.contains("did you mean `deny`?"),
        "{lines}"
    );
}

#[test]
fn a_file_that_is_too_large_or_too_deep_is_refused() {
    let large = format!("tools: {{}}\n# {}", "x".repeat(crate::policy::file::FILE_BYTES_MAX));
    assert!(problems(Dialect::Intercept, &large)[0].contains("the limit is 1048576"));
    let deep = format!("tools: {}1{}", "[".repeat(100), "]".repeat(100));
    assert!(
        problems(Dialect::Intercept, &deep)[0].starts_with("source.yaml:1:"),
        "{:?}",
        problems(Dialect::Intercept, &deep)
    );
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c \
        [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e \
        [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\n";
    assert!(!problems(Dialect::Intercept, bomb).is_empty());
}
