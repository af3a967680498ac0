//! What an agent may send, and what it reads when that fails, in a real worker.

use airlock::model::TaskError;
use serde_json::json;

use crate::support::worker::{Worker, limits};

fn error(code: &str) -> TaskError {
    Worker::start(&limits()).run(code).error().clone()
}

const PROGRAM: &str = "\
interface Item<T> { id: number; value: T }
enum Kind { A = 1, B }
const items = [{ id: 1, value: 'a' }] satisfies Item<string>[];
const first = <T,>(list: T[]): T => list[0]!;
const name = await Promise.resolve(`item-${first<Item<string>>(items).id}`);
if (Kind.B === 2)
  throw new RangeError(name);
";

#[test]
fn a_throw_on_line_7_column_9_is_reported_there() {
    let without_enum =
        PROGRAM.replace("enum Kind { A = 1, B }", "const Kind = { A: 1, B: 2 } as const;");
    for code in [PROGRAM, &without_enum] {
        let error = error(code);
        assert_eq!(
            (error.name.as_str(), error.message.as_str(), error.code.as_str()),
            ("RangeError", "item-1", "uncaught_exception")
        );
        assert_eq!((error.line, error.column), (Some(7), Some(9)), "{error:?}");
        let frame = error.frame.expect("a frame");
        assert!(frame.contains("> 7 |   throw new RangeError(name);\n    |         ^"), "{frame}");
        assert_eq!(error.stack.expect("a stack"), "RangeError: item-1\n    at agent.ts:7:9");
    }
}

#[test]
fn a_syntax_error_is_told_without_running_anything() {
    let ran = Worker::start(&limits()).run("console.log('ran');\nconst a = ;");
    let error = ran.error();
    assert_eq!((error.name.as_str(), error.code.as_str()), ("SyntaxError", "syntax_error"));
    assert_eq!((error.line, error.column), (Some(2), Some(11)));
    assert!(ran.lines.is_empty());
}

#[test]
fn what_other_runtimes_have_comes_with_a_way_out() {
    let mut worker = Worker::start(&limits());
    for (code, hint) in [
        ("await fetch('https://example.com')", "tools.discover"),
        ("require('fs')", "no modules"),
        ("process.env.HOME", "secrets stay with the host"),
        ("Deno.readTextFile('x')", "tools"),
        ("Buffer.from('x')", "Uint8Array"),
        ("document.title", "tools"),
        ("localStorage.getItem('x')", "nothing is stored"),
        ("eval('1')", "cannot be created from strings"),
        ("new Function('return 1')()", "cannot be created from strings"),
        ("await import('fs')", "no modules"),
        ("import fs from 'fs'", "no modules"),
        ("new WebAssembly.Module(new Uint8Array())", "WebAssembly"),
        ("new SharedArrayBuffer(1)", "ArrayBuffer"),
        ("new XMLHttpRequest()", "tools.discover"),
        ("module.exports = 1", "return value"),
        ("__dirname", "no files"),
        ("await crypto.subtle.encrypt({})", "crypto.subtle.digest"),
    ] {
        let ran = worker.run(code);
        let error = ran.error();
        let told = format!("{} {}", error.message, error.hint.as_deref().unwrap_or_default());
        assert!(told.contains(hint), "{code}: {error:?}");
    }
}

#[test]
fn a_program_may_ask_whether_something_exists() {
    let names = [
        "fetch",
        "process",
        "require",
        "Deno",
        "Buffer",
        "window",
        "WebAssembly",
        "SharedArrayBuffer",
    ];
    let code = format!("return [{}]", names.map(|name| format!("typeof {name}")).join(", "));
    assert_eq!(*Worker::start(&limits()).run(&code).value(), json!(vec!["undefined"; names.len()]));
}

#[test]
fn fences_lone_functions_and_last_expressions_give_values() {
    let mut worker = Worker::start(&limits());
    for code in [
        "```ts\nexport default async function main() { return 42 }\n```",
        "async () => 42",
        "const answer: number = 42\nanswer",
        "async function main(): Promise<number> { return 42 }",
    ] {
        assert_eq!(*worker.run(code).value(), json!(42), "{code}");
    }
}

#[test]
fn hostile_nesting_costs_its_sender_an_error_and_not_the_worker() {
    let mut worker = Worker::start(&limits());
    for piece in ["(", "a\n+", "a\n.b", "if(1)\n", "x\n?y:", "`${", "!", "a<b,", "a=>"] {
        let ran = worker.run(&piece.repeat(200_000 / piece.len()));
        let code = ran.error().code.as_str();
        assert!(matches!(code, "code_limit" | "syntax_error"), "{piece}: {:?}", ran.error());
    }
    assert_eq!(*worker.run("return 1").value(), json!(1));
}
