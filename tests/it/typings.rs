//! The declarations that editors and agents read, against the runtime that they speak of.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::worker::{Worker, limits};

/// The names that a line of `runtime.d.ts` declares as values.
fn declared() -> BTreeSet<String> {
    let words = include_str!("../../typings/runtime.d.ts")
        .lines()
        .filter_map(|line| line.strip_prefix("declare "));
    let names = words.filter_map(|line| line.split([' ', '<', '(', ':']).nth(1).map(str::to_owned));
    names.collect()
}

#[test]
fn every_declared_name_exists_and_every_global_is_declared() {
    let ran = Worker::start(&limits()).run("return Object.getOwnPropertyNames(globalThis)");
    let present: BTreeSet<String> = ran
        .value()
        .as_array()
        .expect("an array")
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    let ecmascript: BTreeSet<String> = ECMASCRIPT.split_whitespace().map(str::to_owned).collect();
    let declared = declared();
    assert!(declared.len() > 20, "{declared:?}");
    let missing: Vec<_> = declared.difference(&present).collect();
    assert!(missing.is_empty(), "declared, but not there: {missing:?}");
    let unknown: Vec<_> = present
        .iter()
        .filter(|name| !declared.contains(*name) && !ecmascript.contains(*name))
        .collect();
    assert!(unknown.is_empty(), "there, but not declared: {unknown:?}");
}

/// What ECMAScript and its annexes define on the global object; V8 may have fewer.
const ECMASCRIPT: &str = "globalThis Infinity NaN undefined eval isFinite isNaN parseFloat \
    parseInt decodeURI decodeURIComponent encodeURI
    encodeURIComponent escape unescape AggregateError Array ArrayBuffer AsyncDisposableStack BigInt BigInt64Array BigUint64Array Boolean
    DataView Date DisposableStack Error EvalError FinalizationRegistry Float16Array Float32Array Float64Array Function Int8Array Int16Array
    Int32Array Intl Iterator JSON Map Math Number Object Promise Proxy RangeError ReferenceError Reflect RegExp Set String SuppressedError
    Symbol SyntaxError TypeError URIError Uint8Array Uint8ClampedArray Uint16Array Uint32Array WeakMap WeakRef WeakSet";
