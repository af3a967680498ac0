//! The declarations that editors and agents read, against the runtime that they speak of.

use std::collections::{BTreeMap, BTreeSet};

use airlock::model::HOST_FUNCTIONS;
use serde_json::Value;

use crate::support::worker::{Worker, limits};

const RUNTIME: &str = include_str!("../../typings/runtime.d.ts");

/// The names that a line of `runtime.d.ts` declares as values.
fn declared() -> BTreeSet<String> {
    let words = RUNTIME.lines().filter_map(|line| line.strip_prefix("declare "));
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

/// The lines between the braces of an interface.
fn interface(name: &str) -> &'static str {
    let (_, body) = RUNTIME.split_once(&format!("\ninterface {name} {{\n")).expect(name);
    body.split_once("\n}\n").expect("it ends").0
}

/// Fields of an object type, and whether each is optional.
fn fields(members: &str) -> impl Iterator<Item = (&str, bool)> {
    let members = members.split([';', '\n']).filter_map(|member| member.trim().split_once(':'));
    members
        .filter(|(name, _)| !name.starts_with(['/', '*']))
        .map(|(name, _)| (name.trim_end_matches('?'), name.ends_with('?')))
}

/// Methods of an interface, each with the fields of its argument objects; true if every overload
/// has the field as optional.
fn methods(interface_name: &str) -> BTreeMap<&'static str, BTreeMap<&'static str, bool>> {
    let is_code = |line: &&str| !line.trim_start().starts_with(['*', '/']);
    let lines: Vec<&str> = interface(interface_name).lines().filter(is_code).collect();
    let mut found: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
    for member in members_of(lines.join("\n").leak()) {
        let Some((name, rest)) = member.split_once('(') else { continue };
        let method = found.entry(name.split('<').next().unwrap_or(name).trim()).or_default();
        let arguments = rest.split("): Promise").next().unwrap_or_default();
        let object = arguments.split_once('{').and_then(|(_, rest)| rest.rsplit_once('}'));
        let members = match object {
            Some((members, _)) => members,
            None if arguments.contains("DiscoverOptions") => interface("DiscoverOptions"),
            None => continue,
        };
        for (field, is_optional) in fields(members) {
            method.entry(field).and_modify(|all| *all &= is_optional).or_insert(is_optional);
        }
    }
    found
}

/// The members of an interface, which end with a `;` outside of braces.
fn members_of(body: &'static str) -> Vec<&'static str> {
    let (mut depth, mut start, mut members) = (0, 0, vec![]);
    for (at, letter) in body.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ';' if depth == 0 => {
                members.push(&body[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    members
}

#[test]
fn the_declared_host_functions_are_those_of_the_table_with_their_arguments() {
    let namespaces = [("", "Tools"), ("catalog.", "ToolCatalog"), ("artifacts.", "Artifacts")];
    let declared: BTreeMap<String, _> = namespaces
        .iter()
        .flat_map(|(prefix, name)| {
            methods(name)
                .into_iter()
                .map(move |(method, fields)| (format!("{prefix}{method}"), fields))
        })
        .collect();
    let paths: BTreeSet<&str> = HOST_FUNCTIONS.iter().map(|function| function.path).collect();
    assert_eq!(declared.keys().map(String::as_str).collect::<BTreeSet<_>>(), paths);
    for function in &HOST_FUNCTIONS {
        let schema = (function.arguments)();
        let properties = schema["properties"].as_object().expect("an object");
        let fields = &declared[function.path];
        let names: BTreeSet<&str> = properties.keys().map(String::as_str).collect();
        assert_eq!(fields.keys().copied().collect::<BTreeSet<_>>(), names, "{}", function.path);
        for required in schema["required"].as_array().into_iter().flatten() {
            let name = required.as_str().expect("a name");
            assert!(!fields[name], "`{name}` of `{}` is required", function.path);
        }
    }
}

/// What ECMAScript and its annexes define on the global object; V8 may have fewer.
const ECMASCRIPT: &str = "globalThis Infinity NaN undefined eval isFinite isNaN parseFloat \
    parseInt decodeURI decodeURIComponent encodeURI
    encodeURIComponent escape unescape AggregateError Array ArrayBuffer AsyncDisposableStack BigInt BigInt64Array BigUint64Array Boolean
    DataView Date DisposableStack Error EvalError FinalizationRegistry Float16Array Float32Array Float64Array Function Int8Array Int16Array
    Int32Array Intl Iterator JSON Map Math Number Object Promise Proxy RangeError ReferenceError Reflect RegExp Set String SuppressedError
    Symbol SyntaxError TypeError URIError Uint8Array Uint8ClampedArray Uint16Array Uint32Array WeakMap WeakRef WeakSet";
