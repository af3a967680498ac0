use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::policy::tests::*;
use crate::policy::*;

/// The verdict under `require: [{path, op, value}]`, beside an allow.
fn required(op: &str, value: Value, args: Value) -> String {
    let condition = json!({"path": "args.a.b", "op": op, "value": value});
    let file = json!({"tools": {"t.x": {"rules": [
        {"action": "allow"}, {"name": "r", "require": [condition]}
    ]}}});
    verdict(&load(&file.to_string()), "t.x", args)
}

/// The verdict under `action: deny` with that condition.
fn denied(op: &str, value: Value, args: Value) -> String {
    let condition = json!({"path": "args.a.b", "op": op, "value": value});
    let file = json!({"tools": {"t.x": {"rules": [
        {"action": "allow"}, {"name": "r", "action": "deny", "when": [condition]}
    ]}}});
    verdict(&load(&file.to_string()), "t.x", args)
}

fn b(value: Value) -> Value {
    json!({"a": {"b": value}})
}

const YES: &str = "allow by rules[0]";
const NO: &str = "policy_denied by r";
const ERROR: &str = "policy_error by r";

#[test]
fn every_operator_compares_as_in_intercept() {
    for (op, value, holds, fails) in [
        ("eq", json!("x"), vec![json!("x")], vec![json!("y"), json!(null)]),
        ("eq", json!(1), vec![json!(1), json!(1.0)], vec![json!(2)]),
        ("eq", json!(null), vec![json!(null)], vec![json!("x"), json!(["x"])]),
        (
            "eq",
            json!({"k": [1]}),
            vec![json!({"k": [1.0]})],
            vec![json!({"k": [2]}), json!({"k": [1], "l": 1})],
        ),
        ("neq", json!("x"), vec![json!("y"), json!(null)], vec![json!("x")]),
        ("in", json!(["a", 2]), vec![json!("a"), json!(2.0)], vec![json!("b"), json!("3")]),
        ("in", json!([]), vec![], vec![json!("b"), json!(2)]),
        ("not_in", json!(["a", 2]), vec![json!("b"), json!("3")], vec![json!("a"), json!(2)]),
        (
            "lt",
            json!(5),
            vec![json!(4), json!(4.99), json!(-1)],
            vec![json!(5), json!(6), json!(null)],
        ),
        ("lte", json!(5), vec![json!(5), json!(5.0)], vec![json!(5.01)]),
        (
            "gt",
            json!(9007199254740992_u64),
            vec![json!(9007199254740993_u64)],
            vec![json!(9007199254740992_u64)],
        ),
        ("gte", json!(0), vec![json!(0), json!(-0.0)], vec![json!(-1)]),
        (
            "regex",
            json!("^pro?d:"),
            vec![json!("prod:x"), json!("prd:")],
            vec![json!("x prod:"), json!(null)],
        ),
        (
            "contains",
            json!("ab"),
            vec![json!("xaby"), json!(["ab"])],
            vec![json!("xy"), json!(["xy", null]), json!([]), json!(null)],
        ),
        ("contains", json!(1), vec![json!([1.0])], vec![json!([2])]),
        ("exists", json!(true), vec![json!(1), json!(false)], vec![json!(null)]),
    ] {
        for (args, required_is, denied_is) in
            holds.iter().map(|args| (args, YES, NO)).chain(fails.iter().map(|args| (args, NO, YES)))
        {
            assert_eq!(
                required(op, value.clone(), b(args.clone())),
                required_is,
                "require {op} {value} {args}"
            );
            assert_eq!(
                denied(op, value.clone(), b(args.clone())),
                denied_is,
                "deny when {op} {value} {args}"
            );
        }
    }
}

#[test]
fn a_missing_argument_fails_every_operator_but_exists_false() {
    for (op, value) in [
        ("eq", json!("x")),
        ("neq", json!("x")),
        ("in", json!(["x"])),
        ("not_in", json!(["x"])),
        ("lt", json!(1)),
        ("lte", json!(1)),
        ("gt", json!(1)),
        ("gte", json!(1)),
        ("regex", json!(".*")),
        ("contains", json!("")),
        ("exists", json!(true)),
    ] {
        for args in [json!({}), json!({"a": null}), json!({"a": {"c": 1}})] {
            assert_eq!(required(op, value.clone(), args.clone()), NO, "{op} {args}");
            assert_eq!(denied(op, value.clone(), args.clone()), YES, "{op} {args}");
        }
    }
    assert_eq!(required("exists", json!(false), json!({})), YES);
    assert_eq!(required("exists", json!(false), b(json!(null))), YES);
}

#[test]
fn a_value_of_another_type_passes_neither_a_denial_nor_a_requirement() {
    for (op, value, args) in [
        ("eq", json!("/secret"), b(json!(["/secret"]))),
        ("eq", json!("/secret"), b(json!({"0": "/secret"}))),
        ("eq", json!("/secret"), b(json!(1))),
        ("eq", json!(5), b(json!("5"))),
        ("eq", json!(5), b(json!([5]))),
        ("eq", json!(true), b(json!("true"))),
        ("eq", json!(true), b(json!(1))),
        ("eq", json!([5]), b(json!(["5"]))),
        ("eq", json!({"k": [1, 2]}), b(json!({"k": [1, "2"]}))),
        ("neq", json!("/home"), b(json!(["/secret"]))),
        ("neq", json!(5), b(json!("5"))),
        ("in", json!(["/secret", null]), b(json!(["/secret"]))),
        ("in", json!([5, 6]), b(json!("6"))),
        ("in", json!([5, 6]), b(json!([6]))),
        ("not_in", json!(["/home"]), b(json!(["/secret"]))),
        ("not_in", json!([5, true]), b(json!("5"))),
        ("in", json!([22, "ssh"]), b(json!("22"))),
        ("not_in", json!(["22", 80]), b(json!(22))),
        ("in", json!([true, "x"]), b(json!("TRUE"))),
        ("in", json!([["a"], "x"]), b(json!("a"))),
        ("contains", json!("/hidden"), b(json!(["/hidden/x"]))),
        ("contains", json!("/hidden"), b(json!(["/home", ["/hidden"]]))),
        ("contains", json!("/hidden"), b(json!({"path": "/hidden"}))),
        ("contains", json!(5), b(json!(["5"]))),
        ("contains", json!(5), b(json!("5"))),
        ("regex", json!("^/secret"), b(json!(["/secret"]))),
        ("gt", json!(5), b(json!([6]))),
        // An object is missing on the way.
        ("eq", json!("root"), json!({"a": [{"b": "root"}]})),
        ("regex", json!("root"), json!({"a": [{"b": "root"}]})),
        ("lt", json!(5), json!({"a": "{\"b\": 1}"})),
        ("exists", json!(true), json!({"a": [{"b": 1}]})),
        ("exists", json!(false), json!({"a": 1})),
    ] {
        assert_eq!(denied(op, value.clone(), args.clone()), ERROR, "deny when {op} {value} {args}");
        assert_eq!(required(op, value.clone(), args.clone()), NO, "require {op} {value} {args}");
        let condition = json!({"path": "args.a.b", "op": op, "value": value});
        for guarded in [
            json!({"deny_if": [{"conditions": [condition]}], "rules": [{"action": "allow"}]}),
            json!({"rules": [{"action": "allow"}, {"action": "ask", "when": [condition]}]}),
        ] {
            let policy = load(&json!({"tools": {"t.x": guarded}}).to_string());
            let verdict = verdict(&policy, "t.x", args.clone());
            assert!(verdict.starts_with("policy_error"), "{guarded} {args}: {verdict}");
        }
    }
}

#[test]
fn a_difference_that_no_conversion_removes_is_a_difference() {
    for (op, value, args) in [
        ("eq", json!([5, 6]), json!(["5"])),
        ("eq", json!([5, 6]), json!(["5", 7])),
        ("eq", json!({"k": 1}), json!({"l": "1"})),
        ("contains", json!("b"), json!(["a", "c", null])),
        ("in", json!([[1], [2]]), json!([3])),
    ] {
        assert_eq!(denied(op, value.clone(), b(args.clone())), YES, "{op} {value} {args}");
    }
}

#[test]
fn an_expression_does_not_compare_values_of_different_types() {
    for (expression, args) in [
        ("args.x == 5", json!({"x": "5"})),
        ("args.x == 5", json!({"x": [5]})),
        ("args.x != 5", json!({"x": "5"})),
        (r#"args.x == "a""#, json!({"x": ["a"]})),
        (r#"args.x == "a""#, json!({"x": {"a": 1}})),
        (r#"args.x == ["a"]"#, json!({"x": [["a"]]})),
        (r#"args.x == {"a": 1}"#, json!({"x": {"a": "1"}})),
        (r#"args.x in ["a", "b"]"#, json!({"x": ["a"]})),
        (r#"args.x in ["a", null]"#, json!({"x": ["a"]})),
        ("args.x in [5, 6]", json!({"x": "6"})),
        (r#"args.x in [22, "ssh"]"#, json!({"x": "22"})),
        (r#"args.x in ["22", 80]"#, json!({"x": 22})),
        (r#"args.x in [["a"], "b"]"#, json!({"x": "a"})),
        (r#"args.x in {"a": 1}"#, json!({"x": 1})),
        (r#""a" in args.x"#, json!({"x": ["b", ["a"]]})),
        (r#""a" in args.x"#, json!({"x": "a"})),
        ("5 in args.x", json!({"x": ["5"]})),
        (r#"args.x == 5 || args.x == "6""#, json!({"x": "5"})),
        (r#"args.x.y == "a""#, json!({"x": [{"y": "a"}]})),
        (r#"has(args.x.y) && args.x.y == "a""#, json!({"x": [{"y": "a"}]})),
    ] {
        assert_eq!(cel(expression, args.clone()), ERROR, "{expression} {args}");
    }
    for (expression, args) in [
        ("args.x == 5", json!({"x": 5.0})),
        (r#"args.x == 5 || args.x == "5""#, json!({"x": "5"})),
        ("args.x == null", json!({"x": null})),
        ("args.x != null", json!({"x": "a"})),
        ("args.x != 5", json!({"x": null})),
        ("args.x == [1, null]", json!({"x": [1, null]})),
        (r#"args.x in ["a", 2]"#, json!({"x": 2})),
        (r#"!(args.x in ["a", 2])"#, json!({"x": "b"})),
        (r#"!("a" in args.x)"#, json!({"x": ["b", null]})),
        (r#"!("a" in args.x)"#, json!({"x": []})),
        (r#""a" in args.x"#, json!({"x": {"a": 1}})),
        ("type(args.x) == string", json!({"x": "a"})),
        ("type(args.x) != string", json!({"x": 1})),
        (r#"args.x.exists_one(i, i == "a")"#, json!({"x": ["a", "b"]})),
        (r#"string(args.x) == "5""#, json!({"x": 5})),
    ] {
        assert_eq!(cel(expression, args.clone()), NO, "{expression} {args}");
    }
    let policy =
        load(r#"{"tools": {"t.x": {"rules": [{"action": "deny", "when": "args.x == \"a\""}]}}}"#);
    let Verdict::Deny(denial) = decide(&policy, "t.x", json!({"x": ["secret"]})).verdict else {
        panic!("denied")
    };
    assert_eq!(
        denial.message,
        "call of `t.x`: rule `rules[0]` could not be evaluated: `==` compares a value of type list \
        with one of type string"
    );
}

#[test]
fn a_number_in_quotes_is_not_a_number_and_never_passes_a_denial() {
    for (op, value) in
        [("gt", json!(50_000)), ("lt", json!(1)), ("gte", json!(5)), ("lte", json!(5))]
    {
        assert_eq!(required(op, value.clone(), b(json!("60000"))), NO);
        assert_eq!(denied(op, value.clone(), b(json!("60000"))), ERROR);
        assert_eq!(denied(op, value.clone(), b(json!([60_000]))), ERROR);
    }
    assert_eq!(denied("regex", json!("x"), b(json!(1))), ERROR);
    assert_eq!(denied("contains", json!("x"), b(json!(1))), ERROR);
}

#[test]
fn a_meaningless_comparison_is_a_problem() {
    for (op, value, problem) in [
        ("lt", "\"5\"", "`lt` needs a number as `value`, found a string"),
        ("in", "x", "`in` needs a list as `value`, found a string"),
        ("regex", "\"(\"", "the pattern does not compile"),
        ("regex", "\"a{1000}{1000}\"", "the compiled pattern is larger than"),
        ("exists", "1", "`exists` needs true or false as `value`, found a number"),
        ("equals", "1", "`equals` is not one of `eq`"),
        (
            "contains",
            "[1]",
            "`contains` needs a string, a number or a boolean as `value`, found a list",
        ),
    ] {
        let messages = problems(&format!(
            "tools: {{t.x: {{require: [{{path: args.a, op: {op}, value: {value}}}]}}}}"
        ));
        assert!(
            messages.iter().any(|message| message.contains(problem)),
            "{op} {value}: {messages:?}"
        );
    }
    let messages = problems(
        "tools: {t.x: {require: [{path: arg.a, op: eq, value: 1}, {path: args.a, op: gt}, {path: \
        args., op: eq, value: 1}]}}",
    );
    assert!(messages[0].contains("`arg.a` is not a path"), "{messages:?}");
    assert!(messages[1].contains("`gt` needs a `value`"), "{messages:?}");
    assert!(messages[2].contains("`args.` is not the path of an argument"), "{messages:?}");
}

/// The verdict of a tool that is allowed, but denied when an expression holds.
fn cel(expression: &str, args: Value) -> String {
    let file = json!({"tools": {"t.x": {"rules": [
        {"action": "allow"}, {"name": "r", "action": "deny", "when": expression}
    ]}}});
    verdict(&load(&file.to_string()), "t.x", args)
}

#[test]
fn expressions_see_the_call() {
    for (expression, args) in [
        (r#"args.deploymentSelector.startsWith("prod:")"#, json!({"deploymentSelector": "prod:x"})),
        (
            r#"has(json(args.args).amount) && json(args.args).amount > 10000"#,
            json!({"args": "{\"amount\": 10000.5}"}),
        ),
        (r#"base64(args.x) == "hi""#, json!({"x": "aGk="})),
        (r#"base64(args.x) == "hi""#, json!({"x": "aGk"})),
        (r#"cidr(args.ip, "10.0.0.0/8")"#, json!({"ip": "10.1.2.3"})),
        (r#"cidr(args.ip, "10.0.0.0/8")"#, json!({"ip": "::ffff:10.1.2.3"})),
        (r#"!cidr(args.ip, "10.0.0.0/8")"#, json!({"ip": "11.1.2.3"})),
        (r#"args.items.exists(i, i.price > 5)"#, json!({"items": [{"price": 1}, {"price": 6}]})),
        (r#"args.name.matches("^a+$")"#, json!({"name": "aaa"})),
        (
            r#"tool.class == "unknown" && tool.upstream == "t" && tool.name == "x" && tool.path == "t.x""#,
            json!({}),
        ),
        (
            r#"caller.principal == "alice" && caller.role == "agent" && caller.key == "ci" && caller.session == """#,
            json!({}),
        ),
        (r#"!has(args.x)"#, json!({})),
        (r#"args.n > 5 && args.f > 5 && args.n == 6.0"#, json!({"n": 6, "f": 5.5})),
        (r#"size(args.list) == 2 && "a" in args.list"#, json!({"list": ["a", "b"]})),
    ] {
        assert_eq!(cel(expression, args.clone()), NO, "{expression} {args}");
    }
    assert_eq!(cel(r#"args.x == "prod""#, json!({"x": "dev"})), YES);
    assert_eq!(cel(r#"args.x > 5"#, json!({"x": 5})), YES);
}

#[test]
fn an_expression_that_fails_denies_whatever_the_action() {
    for (expression, args) in [
        ("args.missing == 1", json!({})),
        ("args.x > 5", json!({"x": "6"})),
        ("args.x + 1 > 5", json!({"x": 1.5})),
        ("1 / args.x > 1", json!({"x": 0})),
        ("args.x * 9223372036854775807 > 1", json!({"x": 2})),
        ("args.x", json!({"x": 1})),
        ("args.x[5] == 1", json!({"x": [1]})),
        ("json(args.x).a == 1", json!({"x": "{\"a\": 1, \"a\": 2}"})),
        ("json(args.x).a == 1", json!({"x": "{"})),
        (r#"base64(args.x) == """#, json!({"x": "!"})),
        (r#"cidr(args.x, "10.0.0.0/8")"#, json!({"x": "10"})),
    ] {
        for action in ["allow", "ask", "deny"] {
            let file = json!({
                "default": "allow",
                "tools": {"t.x": {"rules": [{"name": "r", "action": action, "when": expression}]}}
            });
            assert_eq!(
                verdict(&load(&file.to_string()), "t.x", args.clone()),
                ERROR,
                "{action} {expression}"
            );
        }
        let file = json!({
            "default": "allow", "tools": {"t.x": {"rules": [{"name": "r", "require": expression}]}}
        });
        assert_eq!(
            verdict(&load(&file.to_string()), "t.x", args.clone()),
            ERROR,
            "require {expression}"
        );
    }
}

#[test]
fn loops_and_sizes_of_objects_and_texts_are_those_of_cel() {
    let args = json!({"o": {"a": 1, "b": 2}, "t": "grün", "l": [1, 2], "e": {}, "n": 5});
    // A rule that denies: NO means that the expression holds.
    for (expression, expected) in [
        ("args.o.exists(key, key == 'a')", NO),
        ("args.o.exists(key, args.o[key] == 2)", NO),
        ("args.o.exists(key, key == 'c')", YES),
        ("args.o.all(key, args.o[key] > 0)", NO),
        ("args.o.map(key, args.o[key]).exists(value, value == 2)", NO),
        ("args.o.filter(key, key == 'a').size() == 1", NO),
        ("args.e.exists(key, true)", YES),
        ("args.e.all(key, false)", NO),
        ("size(args.o) == 2", NO),
        ("args.o.size() == 2", NO),
        ("size(args.e) == 0", NO),
        ("size(args.t) == 4", NO),
        ("args.t.size() == 4", NO),
        ("size(args.l) == 2", NO),
        ("args.t.exists(c, c == 'g')", ERROR),
        ("args.t.all(c, c == 'g')", ERROR),
        ("args.n.exists(c, true)", ERROR),
        ("size(args.n) == 1", ERROR),
    ] {
        assert_eq!(cel(expression, args.clone()), expected, "{expression}");
    }
    for (expression, words) in [
        ("args.t.exists(c, c == 'g')", "and not through a string"),
        ("args.n.exists(c, true)", "and not through a number"),
        ("args.t.map(c, c).size() == 1", "and not through a string"),
        ("size(args.n) == 1", "`size` does not take a number"),
        ("args.n.contains('x')", "`contains` of a number does not take a string"),
        ("args.t + args.n == 'x'", "the expression has a type error"),
    ] {
        let file = json!({"tools": {"t.x": {"rules": [{"action": "deny", "when": expression}]}}});
        let Verdict::Deny(denial) = decide(&load(&file.to_string()), "t.x", args.clone()).verdict
        else {
            panic!("denied")
        };
        assert!(denial.message.contains(words), "{expression}: {}", denial.message);
    }
}

#[test]
fn the_reason_of_a_failure_contains_no_values() {
    let policy =
        load(r#"{"tools": {"t.x": {"rules": [{"action": "deny", "when": "args.x > 5"}]}}}"#);
    let Verdict::Deny(denial) = decide(&policy, "t.x", json!({"x": "very secret"})).verdict else {
        panic!("denied")
    };
    assert!(!denial.message.contains("secret"), "{}", denial.message);
    assert!(
        denial.message.contains("rule `rules[0]` could not be evaluated"),
        "{}",
        denial.message
    );
}

#[test]
fn an_expression_that_cannot_work_is_a_problem() {
    let nested = format!("{}args.x{}", "(".repeat(300), ")".repeat(300));
    let long = format!("args.x == \"{}\"", "a".repeat(4096));
    let deep = format!("{}true", "args.x == 1 && (".repeat(40)) + &")".repeat(40);
    for (expression, problem) in [
        ("arg.x == 1", "`arg` is not known; the variables are `args`, `tool` and `caller`"),
        ("args.x ==", "the expression does not parse"),
        ("lower(args.x)", "`lower` is not a function"),
        ("args.x.matches(args.y)", "the pattern of `matches` must be a string literal"),
        (r#"args.x.matches("(")"#, "the pattern does not compile"),
        (r#"cidr(args.x, "ten")"#, "`ten` is not a network"),
        ("args.?x.hasValue()", "the expression does not parse"),
        ("args.a.all(x, args.b.all(y, args.c.all(z, true)))", "loops are nested deeper than 2"),
        ("args.a.map(x, x).map(x, x).map(x, x) == []", "loops are nested deeper than 2"),
        (
            r#"counter("t.y", "spend") > 1"#,
            "no limit of `t.y` in this file has the counter `spend`",
        ),
        ("counter(args.a, args.b) > 1", "`counter` takes two string literals"),
        (&nested, "brackets and signs; the limit is 256"),
        (&long, "the limit is 4096"),
        (&deep, "the expression"),
    ] {
        let file = json!({"tools": {"t.x": {"require": [expression]}}});
        let messages = problems(&file.to_string());
        assert!(
            messages.len() == 1 && messages[0].contains(problem),
            "{}: {messages:?}",
            &expression[..expression.len().min(60)]
        );
    }
}

#[test]
fn an_expression_cannot_stall() {
    let numbers: Vec<u32> = (0..40_000).collect();
    let text = "a".repeat(200_000);
    let large = json!({
        "a": numbers, "b": numbers, "s": text, "j": serde_json::to_string(&numbers).unwrap()
    });
    // Under the bound of arguments in all.
    let args = |keys: &[&str]| {
        Value::Object(keys.iter().map(|key| ((*key).to_owned(), large[key].clone())).collect())
    };
    let plus = vec!["args.s"; 500].join(" + ");
    for (expression, args) in [
        ("args.a.exists(x, args.a.exists(y, x + y < 0))", args(&["a"])),
        ("json(args.j).exists(x, json(args.j).exists(y, x + y < 0))", args(&["j"])),
        ("args.a.map(x, args.a).size() < 0", args(&["a"])),
        ("args.a.map(x, args.a.map(y, args.a)).size() < 0", args(&["a"])),
        ("[args.s].map(x, x + x + x + x).map(y, y + y + y + y).size() < 0", args(&["s"])),
        (r#"args.a.exists(x, string(x).matches("(a*)*b"))"#, args(&["a"])),
        (r#"args.s.matches("(.*)(.*)(.*)(.*)(.*)[0-9]$")"#, args(&["s"])),
        (&format!("size({plus}) < 0"), args(&["s"])),
    ] {
        let file = json!({"tools": {"t.x": {"rules": [
            {"action": "allow"}, {"name": "r", "action": "deny", "when": expression}
        ]}}});
        let policy = match Policy::load(vec![layer(&file.to_string())], ATTENDED) {
            Ok(policy) => policy,
            Err(_) => continue,
        };
        let began = Instant::now();
        let result = verdict(&policy, "t.x", args);
        let took = began.elapsed();
        assert!(took < Duration::from_secs(5), "{expression} took {took:?}");
        assert_eq!(result, ERROR, "{expression}");
    }
    // What is reasonable goes through.
    let items: Vec<Value> = (0..1000).map(|n| json!({"price": n, "name": "abc"})).collect();
    assert_eq!(cel("args.items.exists(i, i.price > 5000)", json!({"items": items})), YES);
}

#[test]
fn counters_are_read_by_both_languages() {
    let policy = load(
        r#"
default: allow
tools:
  pay.charge:
    limits: [{counter: spend, window: day, max: 1000, cost: args.amount, scope: [principal, tool]}]
  pay.refund:
    rules:
      - {name: r, action: deny, when: 'counter("pay.charge", "spend") < 10.5'}
  pay.note:
    rules:
      - {name: r, action: deny, when: [{path: state.pay.charge.spend, op: lt, value: 10.5}]}
"#,
    );
    for path in ["pay.refund", "pay.note"] {
        let args = serde_json::value::RawValue::from_string("{}".into()).unwrap();
        let call = Call {
            tool: tool(path),
            args: &args,
            caller: CALLER,
            now: "2026-11-21T10:00:00Z".parse().unwrap(),
        };
        let reads = policy.counters_read(&call);
        assert_eq!(reads.len(), 1);
        assert_eq!(
            reads[0].key.as_str(),
            r#"["spend","pay.charge","day","principal","local","alice","tool","pay.charge"]"#
        );
        let with = |amount: f64| {
            let values = CounterValues::from_iter([(
                reads[0].key.clone(),
                Amount::from_f64(amount).unwrap(),
            )]);
            summary(&decide_raw(&policy, tool(path), "{}", CALLER, &values))
        };
        assert_eq!(with(10.4), NO);
        assert_eq!(with(10.5), "allow by default");
        assert_eq!(
            summary(&decide_raw(&policy, tool(path), "{}", CALLER, &CounterValues::none())),
            ERROR,
            "unknown is a no"
        );
    }
    // Conditions read the same key that limits reserve.
    let reserved = decide(&policy, "pay.charge", json!({"amount": 5}));
    assert_eq!(
        reserved.reservations[0].key.as_str(),
        r#"["spend","pay.charge","day","principal","local","alice","tool","pay.charge"]"#
    );
}

#[test]
fn no_condition_sees_into_an_artifact() {
    let handle = json!({"$artifact": "art_x", "bytes": 1, "sha256": "y"});
    let args = json!({"a": {"b": handle, "c": "x"}, "list": [handle], "n": 1});
    for (expression, expected) in [
        // What does not look at one is answered.
        ("args.n == 1", NO),
        ("args.a.c == 'x'", NO),
        ("has(args.a.b)", NO),
        ("has(args.a.d)", YES),
        ("has(args.list)", NO),
        // What looks at one, into one, or at everything is not.
        ("args.a.b == 1", ERROR),
        ("args.a.b.bytes == 1", ERROR),
        ("has(args.a.b.bytes)", ERROR),
        ("args['a']['b']['bytes'] == 1", ERROR),
        ("args.a == 1", ERROR),
        ("args.list[0].bytes == 1", ERROR),
        ("args.list.exists(item, item.bytes == 1)", ERROR),
        ("size(args) > 0", ERROR),
        ("args[args.a.c] == 1", ERROR),
        ("args.all(key, key != 'z')", ERROR),
        ("'a' in args", ERROR),
    ] {
        assert_eq!(cel(expression, args.clone()), expected, "{expression}");
    }
    for (op, value) in
        [("eq", json!("x")), ("neq", json!("x")), ("contains", json!("x")), ("regex", json!("x"))]
    {
        assert_eq!(denied(op, value.clone(), b(handle.clone())), ERROR, "{op}");
        assert_eq!(required(op, value, b(handle.clone())), ERROR, "{op}");
    }
    assert_eq!(required("exists", json!(true), b(handle.clone())), YES);
    assert_eq!(denied("eq", json!(1), json!({"a": handle})), ERROR, "beyond it");
    // An object that merely has such a key is an ordinary one.
    assert_eq!(required("eq", json!(5), json!({"a": {"b": 5, "$artifact": 5}})), YES);
}
