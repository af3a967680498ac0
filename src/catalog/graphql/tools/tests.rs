use serde_json::json;

use super::*;
use crate::catalog::graphql::{sdl, select};

fn offer(schema: &ServiceSchema) -> Offer {
    super::offer(schema, &CancelToken::after(std::time::Duration::from_secs(60))).unwrap()
}

fn schema() -> ServiceSchema {
    sdl::read(select::tests::SDL).unwrap()
}

#[test]
fn every_root_field_but_what_leads_back_is_a_tool() {
    let offer = offer(&schema());
    let named: Vec<(&str, Option<&str>)> = offer
        .tools
        .iter()
        .map(|tool| (tool.name.as_str(), tool.operation.map(Operation::as_str)))
        .collect();
    let query = Some("query");
    assert_eq!(
        named,
        [
            ("query.repository", query),
            ("query.search", query),
            ("query.node", query),
            ("query.version", query),
            ("mutation.createIssue", Some("mutation")),
            ("mutation.ping", Some("mutation")),
        ]
    );
    let note = offer.note.unwrap();
    assert!(
        note.contains("1 subscription is not offered")
            && note.contains("1 field is left out, because of a type that leads back"),
        "{note}"
    );
}

#[test]
fn a_query_claims_to_be_harmless_and_a_mutation_claims_nothing() {
    let tools = offer(&schema()).tools;
    let query = &tools[0].annotations;
    assert_eq!(
        (query.read_only, query.idempotent, query.destructive),
        (Some(true), Some(true), None)
    );
    assert_eq!(tools[4].annotations, Annotations::default());
}

#[test]
fn a_leaf_takes_no_selection_and_an_argument_of_that_name_keeps_it() {
    let tools = offer(&schema()).tools;
    assert_eq!(tools[3].input_schema["properties"], json!({}));
    let own = sdl::read("type A { id: ID } type Query { a(select: Int): A }").unwrap();
    let properties = offer(&own).tools[0].input_schema["properties"].clone();
    assert_eq!(properties["select"], json!({"type": ["integer", "null"]}));
    assert!(
        properties["__select"]["description"].as_str().unwrap().contains("Without it: `id`"),
        "{properties}"
    );
}

#[test]
fn the_selection_says_what_it_is_made_of() {
    let description =
        offer(&schema()).tools[0].input_schema["properties"]["select"]["description"].clone();
    let description = description.as_str().unwrap();
    let words = "Which fields of `Repository` to answer, a GraphQL selection set such as `id name \
        owner { login }`. Without it: \
                 `id name stars createdAt owner { id login }`. Further fields: oldName, parent \
        {…}, issues(…) {…}, issue(…) {…}.";
    assert_eq!(description, words);
    let union =
        offer(&schema()).tools[1].input_schema["properties"]["select"]["description"].to_string();
    assert!(union.contains("`... on TYPE { … }` for: Issue, Repository."), "{union}");
}

#[test]
fn a_call_is_one_operation_with_typed_variables_for_what_was_given() {
    let schema = schema();
    let (operation, field) = field_of(&schema, "mutation.createIssue").unwrap();
    let args = json!({"input": {"title": "\") { x } #"}}).as_object().unwrap().clone();
    let selection = default_selection(&schema, field);
    assert_eq!(
        document(operation, field, &args, selection),
        "mutation createIssue($input: CreateIssue!) { createIssue(input: $input) { issue { id \
        number title state labels } } }"
    );
    let (operation, field) = field_of(&schema, "query.version").unwrap();
    assert_eq!(
        document(operation, field, &JsonObject::new(), Vec::new()),
        "query version { version }"
    );
    assert!(
        field_of(&schema, "subscription.changed").is_none()
            && field_of(&schema, "query.gone").is_none()
    );
}

/// The size of GitHub's: some thousand types, 250 root fields, five megabytes.
fn large() -> String {
    let words = "What this is for, in a sentence or two as services write them. ".repeat(3);
    let objects: String = (0..1_000)
        .map(|n| {
            let leaves: String = (0..20)
                .map(|m| {
                    format!(
                        "\"{words}\" leaf{m}(size: Int): \
                String! "
                    )
                })
                .collect();
            let links: String =
                (0..5).map(|m| format!("\"{words}\" link{m}: T{} ", (n * 7 + m) % 1_000)).collect();
            format!(
                "\"{words}\" type T{n} {{ id: ID! {leaves} {links} }} input I{n} {{ a: \
                String! b: [I{}] }} ",
                (n + 1) % 1_000
            )
        })
        .collect();
    let root = |prefix: &str| {
        (0..125).map(|n| format!("{prefix}{n}(input: I{n}!): T{n} ")).collect::<String>()
    };
    format!("type Query {{ {} }} type Mutation {{ {} }} {objects}", root("get"), root("set"))
}

#[test]
fn a_schema_of_the_size_of_the_largest_is_imported_in_seconds_and_within_its_bounds() {
    let text = large();
    assert!(text.len() > 5_000_000, "{}", text.len());
    let began = std::time::Instant::now();
    let offer = offer(&sdl::read(&text).unwrap());
    let took = began.elapsed();
    assert_eq!(offer.tools.len(), 250);
    let bytes: usize = offer
        .tools
        .iter()
        .map(|tool| serde_json::to_string(&tool.input_schema).unwrap().len())
        .sum();
    assert!(bytes <= SCHEMAS_BYTES_MAX, "{bytes}");
    // Generous, since this is built without optimisation and shares the machine.
    assert!(took.as_secs() < 60, "{} bytes took {took:?}", text.len());
}
