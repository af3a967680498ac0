use apollo_compiler::ast::OperationType;
use proptest::prelude::*;

use super::*;
use crate::catalog::{
    graphql::{select, tools},
    upstream::import_job::CancelToken,
};

#[test]
fn a_schema_is_read_with_what_calls_need() {
    let schema = read(select::tests::SDL).unwrap();
    assert_eq!(schema.root(OperationType::Mutation).unwrap().as_str(), "Mutation");
    let issues = schema.field("Repository", "issues").unwrap();
    assert_eq!(issues.args[0].default.as_deref(), Some("10"));
    assert_eq!(
        schema.field("Repository", "oldName").unwrap().deprecated.as_deref(),
        Some("use name")
    );
    let possible: Vec<&str> = schema.possible["Node"].iter().map(Name::as_str).collect();
    assert_eq!(possible, ["Issue", "Repository", "User"]);
    let TypeKind::Scalar { specified_by } = schema.kind("DateTime").unwrap() else {
        panic!("a scalar")
    };
    assert_eq!(specified_by.as_deref(), Some("https://scalars.example/date-time"));
}

#[test]
fn other_roots_and_extensions_are_heeded() {
    let schema = read(
        "schema { query: Q } type Q { a: Int } extend type Q { b: Int } extend type \
        Gone { c: Int }",
    )
    .unwrap();
    assert_eq!(schema.query.as_deref(), Some("Q"));
    assert!(schema.field("Q", "b").is_some() && schema.field("Gone", "c").is_some());
}

#[test]
fn a_thing_that_is_defined_twice_is_taken_once_and_noted() {
    let schema =
        read("type Query {\n a: Int\n a: Int\n b: B } type B { c: Int } type B { d: Int }")
            .unwrap();
    assert_eq!(schema.fields("Query").len(), 2);
    assert!(schema.field("B", "c").is_some());
    let note = tools::offer(&schema, &CancelToken::after(std::time::Duration::from_secs(60)))
        .unwrap()
        .note
        .unwrap();
    assert!(
        note.contains("a fault at line 3, column 2: duplicate definitions for the `a` field"),
        "{note}"
    );
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let fault = read("type Query {\n  a: Int\n  b String\n}").unwrap_err();
    assert!(fault.starts_with("line 3, column"), "{fault}");
    assert!(read(&" ".repeat(SDL_BYTES_MAX + 1)).unwrap_err().contains("the limit is 8388608"));
    for open in ["type Query { a: [", "[", "input I { a: [[[[", "type Q @d(a: [[[[", "{"] {
        assert!(read(&open.repeat(20_000)).is_err(), "{open}");
    }
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "type",
            "Query",
            "Mutation",
            "input",
            "enum",
            "union",
            "interface",
            "scalar",
            "extend",
            "schema",
            "implements",
            "directive",
            "A",
            "B",
            "a",
            "b",
            "Int",
            "String",
            "ID",
            "{",
            "}",
            "{",
            "}",
            "(",
            ")",
            "[",
            "]",
            "!",
            ":",
            "=",
            "|",
            "&",
            "@deprecated",
            "\"",
            "\"\"\"text\"\"\"",
            "1",
            "null",
            "query:",
            "a: A",
            "b(a: B = {a: 1}): [A!]!",
            "#x\n",
            "\n",
        ])
        .prop_map(str::to_owned),
        ".{0,6}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_reading_panic(words in prop::collection::vec(word(), 0..60)) {
        if let Ok(schema) = read(&words.join(" ")) {
            tools::offer(&schema, &CancelToken::after(std::time::Duration::from_secs(60))).unwrap();
        }
    }

    #[test]
    fn any_tangle_of_types_makes_tools_that_are_taken(
        types in prop::collection::vec(
            prop::collection::vec((0u8..8, 0u8..4, any::<bool>()), 1..6), 1..8
        ),
    ) {
        // Types that refer to each other in all ways, as objects, interfaces, inputs and unions.
        let count = types.len();
        let text: String = types.iter().enumerate().map(|(at, fields)| {
            let fields: String = fields.iter().enumerate().map(|(n, (to, form, arg))| {
                let to = usize::from(*to) % (count + 1);
                let named = if to == count { "String".to_owned() } else { format!("T{to}") };
                let ty = [
                    named.clone(), format!("{named}!"), format!("[{named}]"), format!("[{named}!]!")
                ][usize::from(*form)].clone();
                let arg = if *arg { format!("(x: I{to} = {{}}, y: Int!)") } else { String::new() };
                format!("f{n}{arg}: {ty} ")
            }).collect();
            let kind = if at % 3 == 2 { "interface" } else { "type" };
            format!(
                "{kind} T{at} {{ {fields} }} input I{at} {{ a: I{} b: [I{at}] }} ", (at + 1) % count
            )
        }).collect();
        let text = format!("type Query {{ q: T0 u: U back: Query }} union U = T0 {text} input \
            I{count} {{ a: Int }}");
        let schema = read(&text).unwrap();
        let offer = tools::offer(
            &schema, &CancelToken::after(std::time::Duration::from_secs(60))
        ).unwrap();
        prop_assert_eq!(offer.tools.len(), 2);
        for tool in offer.tools {
            let value = serde_json::Value::Object(tool.input_schema);
            prop_assert!(jsonschema::validator_for(&value).is_ok(), "{}", value);
        }
    }
}
