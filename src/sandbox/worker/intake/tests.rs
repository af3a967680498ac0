use deno_core::{JsRuntime, RuntimeOptions, v8};
use serde_json::{Value, json};

use super::*;
use crate::sandbox::worker::testing::on_v8;

/// The value of a program, run by V8 as the engine does.
fn value(code: &str) -> Value {
    run(code).unwrap_or_else(|error| panic!("{code:?}: {error:?}"))
}

/// The error of a program that does not run or throws.
fn error(code: &str) -> TaskError {
    match run(code) {
        Ok(value) => panic!("{code:?} returned {value}"),
        Err(error) => *error,
    }
}

fn place(code: &str) -> (u32, u32) {
    let error = error(code);
    (error.line.unwrap_or_default(), error.column.unwrap_or_default())
}

fn run(code: &str) -> Result<Value, Box<TaskError>> {
    let prepared = prepare(code)?;
    on_v8(move || evaluate(&prepared))
}

fn evaluate(prepared: &Prepared) -> Result<Value, Box<TaskError>> {
    let mut runtime = JsRuntime::new(RuntimeOptions::default());
    runtime.execute_script("bare.js", "delete globalThis.Deno").unwrap();
    deno_core::scope!(scope, runtime);
    v8::tc_scope!(scope, scope);
    let source = v8::String::new(scope, &prepared.script).unwrap();
    let name = v8::String::new(scope, prepared.name).unwrap().into();
    let (lines, columns) = (prepared.line_offset, prepared.column_offset);
    let origin = v8::ScriptOrigin::new(
        scope, name, lines, columns, false, 0, None, false, false, false, None,
    );
    let Some(script) = v8::Script::compile(scope, source, Some(&origin)) else {
        panic!(
            "V8 does not parse {:?}: {}",
            prepared.script,
            scope.exception().unwrap().to_rust_string_lossy(scope)
        );
    };
    let promise: v8::Local<v8::Promise> =
        script.run(scope).expect("an async function does not throw").try_into().unwrap();
    scope.perform_microtask_checkpoint();
    let settled = promise.result(scope);
    match promise.state() {
        v8::PromiseState::Pending => panic!("still pending"),
        v8::PromiseState::Fulfilled => Ok(match v8::json::stringify(scope, settled) {
            Some(json) => {
                serde_json::from_str(&json.to_rust_string_lossy(scope)).unwrap_or(Value::Null)
            }
            None => Value::Null,
        }),
        v8::PromiseState::Rejected => {
            let message = v8::Exception::create_message(scope, settled);
            let at = (
                message.get_line_number(scope).unwrap() as u32,
                message.get_start_column() as u32 + 1,
            );
            let (mut stack, mut class, mut text) =
                (Vec::new(), String::new(), settled.to_rust_string_lossy(scope));
            if let Some(trace) = v8::Exception::get_stack_trace(scope, settled) {
                for frame in
                    (0..trace.get_frame_count()).filter_map(|index| trace.get_frame(scope, index))
                {
                    let function =
                        frame.get_function_name(scope).map(|name| name.to_rust_string_lossy(scope));
                    stack.push((
                        function.unwrap_or_default(),
                        frame.get_line_number() as u32,
                        frame.get_column() as u32,
                    ));
                }
            }
            if let Some((name, message)) = text.clone().split_once(": ") {
                (class, text) = (name.to_owned(), message.to_owned());
            }
            Err(Box::new(prepared.describe(&class, &text, Some(at), &stack)))
        }
    }
}

#[test]
fn a_return_gives_the_value() {
    assert_eq!(value("return 1 + 1"), json!(2));
    assert_eq!(value("const x = await Promise.resolve(3);\nreturn { x };"), json!({"x": 3}));
    assert_eq!(value("if (true) { return 'early' }\nthrow new Error('late')"), json!("early"));
}

#[test]
fn a_trailing_expression_is_returned() {
    for (code, expected) in [
        ("1 + 1", json!(2)),
        ("const a = 2\na * 3", json!(6)),
        ("const a = 2; a * 3; // the result", json!(6)),
        ("await Promise.resolve('x')", json!("x")),
        ("let a; a = 5", json!(5)),
        ("1, 2", json!(2)),
        ("\"hello\"", json!("hello")),
        ("'use strict'; 7", json!(7)),
        ("({ a: 1 })", json!({"a": 1})),
        ("[1, 2].map((n) => n * 2)", json!([2, 4])),
        ("`a${1 + 1}`", json!("a2")),
        ("const x: number = 4;\nx as unknown as string", json!(4)),
        ("const x = 1\nx\n/* done */", json!(1)),
        ("x\nfunction f() { return 1 }\nvar x = f()", json!(null)),
        ("if (1 > 0) { 'yes' } else { 'no' }", json!("yes")),
        ("if (1 > 2) 'yes'; else 'no'", json!("no")),
        ("try { JSON.parse('{') } catch (e) { 'caught' }", json!("caught")),
        ("{ const inner = 3; inner }", json!(3)),
        ("main()\nasync function main() { return 8 }", json!(8)),
        ("const n = 3; type N = number; n; interface I {}", json!(3)),
        ("(async () => 9)()", json!(9)),
        ("a <!-- b\nvar a = 1", json!(null)),
    ] {
        assert_eq!(value(code), expected, "{code}");
    }
}

#[test]
fn what_ends_without_an_expression_returns_nothing() {
    for code in [
        "",
        "  \n",
        "// nothing",
        "/* nothing */",
        "const a = 1",
        "class A {}",
        "const a = 1; function f() { return a }",
        "for (const x of [1]) { x }",
        "interface A { b: string }",
        "function* g() { yield 1 }",
        ";",
        "const f = () => 1; class B {}",
    ] {
        assert_eq!(value(code), Value::Null, "{code}");
    }
}

#[test]
fn a_lone_function_is_called() {
    for code in [
        "async () => 4",
        "async () => { return 4 }",
        "() => 4;",
        "(async () => 4)",
        "(async () => 4) satisfies () => Promise<number>",
        "async function main() { return 4 }",
        "function main(): number { return 4 }\n// the end",
        "interface A { n: number }\nasync function main(): Promise<A['n']> { return 4 }",
        "async function () { return 4 }",
        "function () { return 4 };\n",
        "'use strict'; async () => 4",
        "export default async () => 4",
        "export default async function main() { return helper() }\nconst helper = () => 4;",
        "export default function () { return 4 }",
        "export async function main() { return 4 }",
        "const four = 4\nexport default four",
        "export default {}.x ?? 4;",
        "import type { A } from './a'\nasync function main() { return 4 }",
        "export {}\nreturn 4",
    ] {
        assert_eq!(value(code), json!(4), "{code}");
    }
    assert_eq!(value("export default { a: [1] }"), json!({"a": [1]}));
    assert_eq!(
        value("globalThis.tools = 5;\n(function (tools) { return tools })(tools)"),
        json!(5)
    );
}

#[test]
fn a_function_that_names_tools_as_its_parameter_gets_them() {
    let script = |code| prepare(code).unwrap().script;
    assert!(
        script("async (tools) => tools.a()").contains("(tools)\n})()"),
        "{}",
        script("async (tools) => tools.a()")
    );
    assert!(script("async function main(tools) {}").contains("return main(tools);"));
    assert!(script("async function main(other) {}").contains("return main();"));
}

#[test]
fn an_object_alone_is_a_value_and_a_block_is_not() {
    assert_eq!(value("{ a: 1 }"), json!({"a": 1}));
    assert_eq!(value("{ a: 1, b: [2] }"), json!({"a": 1, "b": [2]}));
    assert_eq!(value("// result\n{ a: 1,\n b: 2 };\n"), json!({"a": 1, "b": 2}));
    assert_eq!(value("{ const a = 1; }"), Value::Null);
}

#[test]
fn a_fence_is_taken_off_and_lines_stay_the_callers() {
    assert_eq!(value("```ts\nreturn 1\n```"), json!(1));
    assert_eq!(value("\n~~~typescript\n2\n~~~\n\n"), json!(2));
    assert_eq!(value("```\n3\n"), json!(3));
    assert_eq!(value("````js\nconst t = `\n\\`\\`\\`\n`; t.length\n````"), json!(5));
    assert_eq!(value("#!/usr/bin/env node\n4"), json!(4));
    assert_eq!(place("```ts\nconst a = 1\nthrow new Error('x')\n```"), (3, 7));
    assert_eq!(place("```ts\r\nconst a = = 1\r\n```"), (2, 11));
}

#[test]
fn every_form_of_typescript_runs() {
    for (code, expected) in [
        ("interface A<T> { x: T }\nconst a: A<number> = { x: 1 };\nreturn a.x", json!(1)),
        (
            "function f(a: string): string;\nfunction f(a: number): number;\nfunction f(a: any) { \
            return a }\nreturn f(2)",
            json!(2),
        ),
        (
            "abstract class A { abstract f(): number; protected readonly n = 3 }\nclass B extends \
            A { f() { return this.n } }\nreturn new B().f()",
            json!(3),
        ),
        ("const a = { b: 1 } satisfies Record<string, number>;\nreturn a!.b as number", json!(1)),
        ("const f = <T,>(x: T): x is NonNullable<T> => x != null;\nreturn f(1)", json!(true)),
        ("enum Color { Red = 1, Green }\nreturn [Color.Green, Color[1]]", json!([2, "Red"])),
        ("const enum E { A = 'a' }\nreturn E.A", json!("a")),
        (
            "namespace N { export const x = 4; export namespace M { export const y = x + 1 } \
            }\nreturn N.M.y",
            json!(5),
        ),
        (
            "class P { constructor(private readonly x: number, public y = 2) {} sum() { return \
            this.x + this.y } }\nreturn new P(3).sum()",
            json!(5),
        ),
        (
            "class P { z = this.x + 1; constructor(public x: number) {} }\nreturn new P(3).z",
            json!(4),
        ),
        ("const v = <number>(5 as unknown);\nreturn v", json!(5)),
        (
            "declare const missing: string;\ndeclare function gone(): void;\nreturn typeof missing",
            json!("undefined"),
        ),
        (
            "type Fn = new (...args: any[]) => object;\nlet x: Fn | undefined;\nreturn x === \
            undefined",
            json!(true),
        ),
        ("using r = { [Symbol.dispose]() {} };\nreturn 1", json!(1)),
        ("return (await Promise.resolve(2)) ** 2", json!(4)),
        (
            "class C { #p = 1; accessor = 2; static s: number; static { C.s = 3 } declare q: \
            string; get p() { return this.#p } }\nreturn new C().p + C.s",
            json!(4),
        ),
        ("label: for (const i of [1, 2]) { continue label }\nreturn 'ok'", json!("ok")),
    ] {
        assert_eq!(value(code), expected, "{code}");
    }
}

const PROGRAM: &str = "\
interface Item<T> { id: number; value: T }
type Name = `item-${number}`;
const items = [{ id: 1, value: 'a' }] satisfies Item<string>[];
const first: Item<string> = items[0]!;
const name = `item-${first.id}` as Name;
const got = await Promise.resolve<Name>(name);
";

#[test]
fn a_throw_on_line_7_column_9_is_reported_there_when_types_are_stripped() {
    for line in ["if (1) {throw new Error(got)}", "  throw new Error(got);"] {
        let error = error(&format!("{PROGRAM}{line}\n"));
        let column = if line.starts_with("if") { 15 } else { 9 };
        assert_eq!((error.line, error.column), (Some(7), Some(column)), "{error:?}");
        assert_eq!((error.name.as_str(), error.message.as_str()), ("Error", "item-1"));
        assert_eq!(error.stack.unwrap(), format!("Error: item-1\n    at agent.ts:7:{column}"));
    }
    assert_eq!(place(&format!("{PROGRAM}        null.x")), (7, 14));
    assert_eq!(place(&format!("{PROGRAM}        nothing()")), (7, 9));
}

#[test]
fn a_throw_on_line_7_column_9_is_reported_there_when_an_enum_is_transformed() {
    let program = PROGRAM.replace("type Name", "enum Kind { A, B } type Name");
    let error = error(&format!("{program}  throw new Error(got + Kind.B);\n"));
    assert_eq!((error.line, error.column), (Some(7), Some(9)), "{error:?}");
    assert_eq!(error.message, "item-11");
    assert_eq!(error.stack.unwrap(), "Error: item-11\n    at agent.ts:7:9");
    assert_eq!(place(&format!("{program}        nothing()")), (7, 9));
    assert_eq!(place(&format!("{program}        nothing(Kind.A)\n")), (7, 9));
    assert_eq!(
        place(&format!("{program}        nothing() // returned, so text was put before it")),
        (7, 9)
    );
}

#[test]
fn columns_count_utf16_units_and_lines_as_v8_does() {
    assert_eq!(place("const s = '😀'; throw new Error(s)"), (1, 23));
    assert_eq!(place("const s: string = '😀é'; enum E { A }\n'😀' + missing"), (2, 8));
    assert_eq!(place("const a = 1;\r\nconst b = 2;\r\nthrow new Error('x')"), (3, 7));
    assert_eq!(place("enum E { A }\r\nconst b = '\u{2028}';\r\nmissing"), (4, 1));
    assert_eq!(place("const b = '\u{2028}';\nmissing"), (3, 1));
    assert_eq!(place("\u{feff}missing"), (1, 1));
    assert_eq!(place("\u{feff}enum E { A } missing"), (1, 14));
    assert_eq!(place("[1].map((x) => { return x.y.z })"), (1, 29));
    assert_eq!(place("async () => { missing }"), (1, 15));
    assert_eq!(place("export default async () => { missing }"), (1, 30));
}

#[test]
fn a_stack_names_the_callers_functions_only() {
    let error = error(
        "function inner(x: number) {\n  return missing(x);\n}\nasync function main() {\n  return \
        inner(1);\n}\nmain()",
    );
    assert_eq!(
        error.stack.unwrap(),
        "ReferenceError: missing is not defined\n    at inner (agent.ts:2:3)\n    at main \
        (agent.ts:5:10)\n    at agent.ts:7:1"
    );
    assert_eq!(
        error.frame.unwrap(),
        "  1 | function inner(x: number) {\n> 2 |   return missing(x);\n    |   ^\n  3 | }"
    );
}

#[test]
fn a_syntax_error_shows_its_place_in_the_callers_text() {
    let error = error("const a = 1;\nconst b = ;\nconst c = 2;");
    assert_eq!((error.name.as_str(), error.code.as_str()), ("SyntaxError", "syntax_error"));
    assert_eq!((error.line, error.column), (Some(2), Some(11)));
    assert_eq!(
        error.frame.unwrap(),
        "  1 | const a = 1;\n> 2 | const b = ;\n    |           ^\n  3 | const c = 2;"
    );
    for (code, expected) in [
        ("foo({", (1, 6)),
        ("return 1;\nif (x {", (2, 7)),
        ("`open", (1, 1)),
        ("/* open", (1, 8)),
        ("'😀' '", (1, 6)),
        ("return 1\n}", (2, 1)),
    ] {
        assert_eq!(place(code), expected, "{code}: {:?}", super::prepare(code).unwrap_err());
    }
}

#[test]
fn a_program_cannot_step_out_of_its_wrapper() {
    for code in [
        "})(); evil(); (async()=>{",
        "}, async()=>{",
        "})(), (async()=>{",
        "}).then(()=>{",
        "return 1 })(); (async () => {",
        "*/ })(); /*",
        "a) + (b",
        "}; {",
        "1 }) && (async()=>{",
    ] {
        let error = prepare(code).expect_err(code);
        assert_eq!(
            (error.code.as_str(), error.line),
            ("syntax_error", Some(1)),
            "{code}: {error:?}"
        );
    }
}

#[test]
fn what_cannot_run_is_refused_with_a_way_out() {
    for (code, message, hint) in [
        ("import fs from 'fs';\nfs.readFileSync('x')", "imports are not available", hint::IMPORT),
        ("import x = require('x');", "imports are not available", hint::IMPORT),
        ("export * from 'x'", "imports are not available", hint::IMPORT),
        ("function d(c: any) {}\n@d class A {}", "decorators are not available", hint::DECORATORS),
        ("class A { @d() m() {} }", "decorators are not available", hint::DECORATORS),
        ("return <div>hello</div>", "JSX is not available", hint::JSX),
    ] {
        let error = prepare(code).expect_err(code);
        assert_eq!(
            (error.message.as_str(), error.hint.as_deref()),
            (message, Some(hint)),
            "{code}"
        );
    }
    assert_eq!(place("function d(c: any) {}\n  @d class A {}"), (2, 3));
    assert_eq!(place("const a = 1\nimport fs from 'fs'"), (2, 1));
    assert!(error("Here is it:\n```ts\nreturn 1\n```").hint.unwrap().contains("Markdown"));
}

#[test]
fn code_that_was_escaped_once_too_often_is_refused_and_told_so() {
    for (code, hint) in [
        ("const few = [1, 2].filter(n =&gt; n &lt; 2); return few", "HTML escapes"),
        ("return 1;\nconst w = &quot;x&quot;; return w", "HTML escapes"),
        ("const w = &#39;x&#39;", "HTML escapes"),
        ("if (a &amp;&amp; b) { return 1 }", "HTML escapes"),
        (r"const k = 1;\nreturn k", "escaped once too often"),
        (r"const k = 1;\n\treturn k", "escaped once too often"),
        ("const k = \\\"x\\\";\nreturn k", "escaped once too often"),
        (r"const k = \'x\'; return k", "escaped once too often"),
        ("const k = “one”; return k", "typographic quotes"),
        ("return tools.x.y({ a: ‘one’ })", "typographic quotes"),
        ("return 1;\nconst k = \"one”; return k", "typographic quotes"),
        ("const k = 'one’", "typographic quotes"),
        ("const k = 'one\ntwo'; return k", "backticks"),
        ("const k = \"one\r\ntwo\"; return k", "backticks"),
    ] {
        let error = error(code);
        assert!(error.hint.as_ref().is_some_and(|said| said.contains(hint)), "{code}: {error:?}");
        assert!(error.line.is_some(), "{code}: {error:?}");
    }
    for code in [
        "const s = 'it’s'; return )",
        "const s = '&lt;';\nreturn )",
        r"const s = 'a\nb';\nreturn )",
        "return (",
    ] {
        let error = error(code.replace("\\nreturn", "\nreturn").as_str());
        assert_eq!(error.hint, None, "{code}");
    }
}

#[test]
fn an_escape_that_parses_is_told_when_its_name_is_missed() {
    let error = error("const n = 1; return n &lt; 2");
    assert_eq!(error.message, "lt is not defined");
    assert!(error.hint.as_ref().unwrap().contains("HTML escapes"), "{error:?}");
}

#[test]
fn an_unknown_global_comes_with_what_to_use_instead() {
    for name in [
        "require",
        "fetch",
        "process",
        "Deno",
        "Bun",
        "Buffer",
        "window",
        "document",
        "fs",
        "localStorage",
        "__dirname",
        "module",
        "exports",
        "XMLHttpRequest",
        "global",
    ] {
        let error = error(&format!("const x = 1;\n  {name}('x')"));
        assert_eq!((error.line, error.column), (Some(2), Some(3)), "{name}");
        assert!(error.hint.is_some(), "{name}: {error:?}");
    }
    assert!(error("fetch('https://example.com')").hint.unwrap().contains("tools.discover"));
    assert_eq!(error("notKnown").hint, None);
}

#[test]
fn the_samples_of_the_typings_are_programs() {
    for sample in [
        include_str!("../../../../typings/samples/finds-and-calls.ts"),
        include_str!("../../../../typings/samples/uses-every-global.ts"),
        include_str!("../../../../typings/samples/refuses-what-is-not-there.ts"),
    ] {
        assert!(prepare(sample).is_ok(), "{:?}", prepare(sample).err());
    }
}

#[test]
fn code_over_its_bounds_is_refused_before_it_is_parsed() {
    let limit = |code: &str| {
        let error = prepare(code).expect_err("over a bound");
        assert_eq!(
            (error.name.as_str(), error.code.as_str()),
            ("LimitError", "code_limit"),
            "{error:?}"
        );
        error.message
    };
    let nested = |depth: usize| format!("return {}1{}", "(".repeat(depth), ")".repeat(depth));
    assert!(prepare(&nested(BRACKETS_MAX)).is_ok());
    assert_eq!(limit(&nested(BRACKETS_MAX + 1)), "the code has more than 500 open brackets here");
    assert!(prepare(&format!("return {}1", "!".repeat(OPERATORS_MAX - 10))).is_ok());
    assert_eq!(
        limit(&format!("return {}1", "!".repeat(OPERATORS_MAX + 1))),
        "the code has more than 2000 operators in one statement here"
    );
    assert!(prepare(&format!("return {}1", "1 + ".repeat(OPERATORS_MAX - 10))).is_ok());
    let full = format!("//{}", "x".repeat(CODE_BYTES_MAX - 2));
    assert!(prepare(&full).is_ok());
    assert_eq!(limit(&format!("{full}x")), "the code is 262145 bytes; the limit is 262144");
}

/// Pieces of code whose repetition nests deep, or makes a parser try again and again.
#[rustfmt::skip]
const HOSTILE_PIECES: &[&str] = &[
    "a?(b", "a?(b)=>", "a?(b):c=>", "async(", "async(a", "async<T>(", "<T>(", "a<b>(", "({a=",
    "[a=", "(a,b=(", "f<T>(", "a?b?(c):d:", "let a=<T>(x)=>", "a<b,", "type A=(a:", "type A=[a:",
    "type A=(new()=>", "/a/+", "x<y>`${", "(", "[", "{", "!", "a=>", "a?", "a.", "a+", "a\n+",
    "x\n?y:", "if(1)\n", "`${", "<A", "A<", "a()", "a``", "typeof ", "new ", "class A{",
    "function f(){", "a\n.b", "{a:", "(a", "[,", "/*", "\"", "await ", "async()=>", "type A=B[",
    "type A=keyof ", "a as ", "-", "- -", "a**", "a,", "a=", "()=>{", "else ", "a:", "do ",
    "for(;;)", "/(/;", "'\\", "\u{2028}", "@a ", "#a in ", "a!", "a?.b", "x as A|",
];

#[test]
fn hostile_nesting_never_overflows_the_stack() {
    let size = CODE_BYTES_MAX - 64;
    for piece in HOSTILE_PIECES {
        let _ = prepare(&piece.repeat(size / piece.len()));
    }
    let _ = prepare(&"if(a)b;else ".repeat(2000));
}

#[test]
fn honest_code_is_not_refused_for_its_texts() {
    assert!(prepare(&"console.log(\"a ( b [ c { d\");\n".repeat(1000)).is_ok());
    assert!(prepare(&format!("return `{}`", "(don't do it, it's wrong)\n".repeat(1000))).is_ok());
    assert!(
        prepare(
            &"const { a, b } = await tools.x.y({ q: 1 })\n"
                .replace("const {", "var {")
                .repeat(2000)
        )
        .is_ok()
    );
    assert!(
        prepare(&format!("return [{}]", "{ id: 1, name: 'x', ok: !false, n: -1 },\n".repeat(4000)))
            .is_ok()
    );
    assert!(
        prepare(&format!("let s = ''\n{}", "s += `<li>${1 + 2}</li>` // ok\n".repeat(3000)))
            .is_ok()
    );
}

#[test]
fn a_long_line_is_cut_around_the_place() {
    let error = error(&format!(
        "const a = '{}'; missing; const b = '{}'",
        "x".repeat(500),
        "y".repeat(500)
    ));
    let frame = error.frame.unwrap();
    assert!(frame.chars().count() < 600, "{frame}");
    let marked = frame
        .lines()
        .next()
        .unwrap()
        .chars()
        .nth(frame.lines().nth(1).unwrap().chars().count() - 1);
    assert_eq!(marked, Some('m'), "{frame}");
}
