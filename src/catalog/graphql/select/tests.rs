use proptest::prelude::*;

use super::*;
use crate::catalog::graphql::tools;

/// A service with everything that a selection can meet.
pub(in crate::catalog::graphql) const SDL: &str = r#"
type Query {
  repository(owner: String!, name: String!): Repository
  search(text: String!): [Hit!]!
  node(id: ID!): Node
  relay: Query
  version: String!
}
type Mutation { createIssue(input: CreateIssue!): CreateIssuePayload  ping: Boolean }
type Subscription { changed: Issue }
interface Node { id: ID! }
union Hit = Repository | Issue
enum State { OPEN CLOSED }
scalar DateTime @specifiedBy(url: "https://scalars.example/date-time")
type Repository implements Node {
  id: ID!  name: String!  stars: Int  createdAt: DateTime!
  oldName: String @deprecated(reason: "use name")
  owner: User!
  parent: Repository
  issues(first: Int = 10, states: [State!], filter: IssueFilter): IssueConnection!
  issue(number: Int!): Issue
  query: Query!
}
type User implements Node { id: ID!  login: String!  repositories(first: Int): [Repository!]! }
type IssueConnection { totalCount: Int!  pageInfo: Page!  nodes: [Issue]  edges: [IssueEdge] }
type IssueEdge { cursor: String!  node: Issue }
type Page { hasNextPage: Boolean!  endCursor: String }
type Issue implements Node { id: ID!  number: Int!  title: String!  state: State!  author: User  labels: [String!]! }
input IssueFilter { title: String  states: [State!]  since: DateTime  not: IssueFilter }
input CreateIssue { repositoryId: ID!  title: String!  state: State = OPEN  labels: [String!] }
type CreateIssuePayload { issue: Issue  query: Query }
"#;

fn schema() -> ServiceSchema {
    sdl::read(SDL).unwrap()
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn of(parent: &str, text: &str) -> Result<String, String> {
    rebuilt(&schema(), &name(parent), text)
        .map(|selection| tools::text(&selection))
        .map_err(|error| error.0)
}

#[test]
fn a_selection_is_rebuilt_field_by_field() {
    for (given, sent) in [
        ("id name", "id name"),
        ("{ id name }", "id name"),
        ("id, name # and no more }", "id name"),
        ("owner { login }", "owner { login }"),
        ("mine: owner { who: login }", "mine: owner { who: login }"),
        (
            "issues(first: 5, states: [OPEN]) { nodes { id } }",
            "issues(first: 5, states: [OPEN]) { nodes { id } }",
        ),
        ("issues(states: OPEN) { totalCount }", "issues(states: OPEN) { totalCount }"),
        (r#"issues(states: ["OPEN"]) { totalCount }"#, "issues(states: [OPEN]) { totalCount }"),
        (
            r#"issues(filter: {title: "a\"} x { y", since: "2026", not: {states: [CLOSED]}}) { totalCount }"#,
            r#"issues(filter: {title: "a\"} x { y", since: "2026", not: {states: [CLOSED]}}) { totalCount }"#,
        ),
        ("... on Repository { id }", "... on Repository { id }"),
        ("... on Node { id }", "... on Node { id }"),
        ("... { id }", "... { id }"),
        ("__typename id", "__typename id"),
        // An object alone is asked for its leaves.
        ("owner", "owner { id login }"),
        ("id id", "id id"),
    ] {
        assert_eq!(of("Repository", given), Ok(sent.to_owned()), "{given}");
    }
    assert_eq!(of("Hit", "... on Issue { title }").as_deref(), Ok("... on Issue { title }"));
    assert_eq!(of("Node", "id ... on User { login }").as_deref(), Ok("id ... on User { login }"));
}

#[test]
fn what_would_reach_another_root_field_is_refused() {
    for (parent, given) in [
        ("Repository", "id } version {"),
        ("Repository", "id } } query { version"),
        ("Repository", "id } mutation { ping"),
        ("Repository", "{ id } { version }"),
        ("Repository", "{ id } query B { version }"),
        ("Repository", "id } fragment F on Query { version"),
        ("Repository", "query { version }"),
        ("Repository", "{ ...F } fragment F on Repository { id }"),
        ("Repository", "mutation { ping }"),
        ("Repository", "{ id"),
        ("Repository", "query: query { version }"),
        ("CreateIssuePayload", "query { version }"),
        ("CreateIssuePayload", "q: query { version }"),
        ("Repository", "... on Query { version }"),
        ("Node", "... on Query { version }"),
        ("Repository", "owner { id } } version {"),
        ("Repository", "owner { repositories { query { version } } }"),
    ] {
        let refused = of(parent, given);
        assert!(refused.is_err(), "{given}: {refused:?}");
    }
    assert!(
        of("CreateIssuePayload", "query { version }").unwrap_err().contains("a tool of its own")
    );
}

#[test]
fn a_refusal_names_what_is_wrong_and_what_would_be_right() {
    for (given, words) in [
        ("titel", "`Repository` has no field `titel`, only `id`"),
        ("nam", "has no field `nam`, did you mean `name`?"),
        ("owner { logn }", "`owner`, a `User`, has no field `logn`, did you mean `login`?"),
        ("id { x }", "`id` is a `ID!`, which has no fields to choose from"),
        ("issue { id }", "`issue` needs the argument `number: Int!`"),
        (
            "issue(number: $n) { id }",
            "`issue(number:)` is the variable `$n`; write the value itself there",
        ),
        ("issue(number: \"1\") { id }", "`issue(number:)` must be `Int!`, got `\"1\"`"),
        ("issue(number: null) { id }", "must be `Int!`, got `null`"),
        ("issue(number: 3000000000) { id }", "must be `Int!`"),
        (
            "issues(frist: 1) { totalCount }",
            "`issues` takes no argument `frist`, did you mean `first`?",
        ),
        ("issues(first: 1, first: 2) { totalCount }", "twice"),
        (
            "issues(states: [OPN]) { totalCount }",
            "`issues(states:)` must be one of its values, got `OPN`, did you mean `OPEN`?",
        ),
        (
            "issues(filter: {titel: \"x\"}) { totalCount }",
            "has no field `titel`, did you mean `title`?",
        ),
        ("issues(filter: {since: $now}) { totalCount }", "the variable `$now`"),
        ("issues(filter: \"x\") { totalCount }", "must be an object of type `IssueFilter`"),
        ("id @include(if: true)", "has the directive `@include`"),
        ("...F", "named fragment"),
        ("... on Issue { id }", "a `Repository` is never a `Issue`"),
        ("a: name a: id", "`a` is asked for twice and differently"),
        ("", "it is empty"),
        ("id name {", "it is not a selection set"),
        (
            "id, owner.login",
            "line 1, column 5: write nested fields with braces: `owner { login }` instead of \
            `owner.login`",
        ),
        (
            "id\n  issues(filter: \"a.b\") { nodes.author.login }",
            "line 2, column 27: write nested fields with braces: `nodes { author { login } }` \
            instead of `nodes.author.login`",
        ),
        ("id # a.b\n  name(filter: \"a.b \\\" c.d\" }", "line 2, column "),
        (
            "{ id\n  parent.owner.login }",
            "line 2, column 3: write nested fields with braces: `parent { owner { login } }` \
            instead of `parent.owner.login`",
        ),
        ("\n\n  id name(", ": at its end: "),
        ("\n\n  id name(: 1)", "line 3, column 11: "),
        ("id ..", "line 1, column 4: "),
        ("id name }", "it "),
        ("__typename(x: 1)", "takes neither"),
        ("__schema { types { name } }", "has no field `__schema`"),
    ] {
        let error = of("Repository", given).unwrap_err();
        assert!(error.contains(words), "{given}: {error}");
    }
}

#[test]
fn all_that_is_wrong_is_told_up_to_a_bound() {
    let told = of("Repository", "id nam owner { logn id } strs issue").unwrap_err();
    for wanted in ["`nam`", "did you mean `name`?", "`owner`", "`logn`", "`strs`", "number: Int!"] {
        assert!(told.contains(wanted), "{wanted}: {told}");
    }
    let many = (0..20).map(|n| format!("wrong{n}")).collect::<Vec<_>>().join(" ");
    let told = of("Repository", &many).unwrap_err();
    assert!(told.contains("`wrong4`") && !told.contains("`wrong5`"), "{told}");
    assert!(told.ends_with("; and 15 more"), "{told}");
    // The same thing is told once.
    let told = of("Repository", "nam nam").unwrap_err();
    assert_eq!(told.matches("no field `nam`").count(), 1, "{told}");
}

#[test]
fn a_field_that_only_some_members_have_is_told_with_them() {
    for (parent, given, words) in [
        (
            "Hit",
            "title",
            "`Hit` has no field `title`; `Issue` has it: write `... on Issue { title }`",
        ),
        (
            "Hit",
            "id",
            "`Hit` has no field `id`; `Issue`, `Repository` have it: write `... on Issue { id }`",
        ),
        ("Hit", "titel", "`Hit` has no field `titel`, did you mean `... on Issue { title }`?"),
        ("Hit", "zzz", "nor has any of `Issue`, `Repository`: write `... on Issue { fields }`"),
        (
            "Node",
            "login",
            "`Node` has no field `login`; `User` has it: write `... on User { login }`",
        ),
        ("Node", "idd", "`Node` has no field `idd`, did you mean `id`?"),
        ("Node", "zzz", "`Node` has no field `zzz`, only `id`"),
    ] {
        let error = of(parent, given).unwrap_err();
        assert!(error.contains(words), "{given}: {error}");
    }
}

#[test]
fn depth_number_and_length_are_bounded() {
    let nested = |levels: usize| {
        (1..levels).fold("id".to_owned(), |inner, _| format!("parent {{ {inner} }}"))
    };
    assert!(of("Repository", &nested(DEPTH_MAX)).is_ok());
    assert!(of("Repository", &nested(DEPTH_MAX + 1)).unwrap_err().contains("deeper than 8 levels"));
    let wide = |count: usize| (0..count).map(|n| format!("a{n}: id")).collect::<Vec<_>>().join(" ");
    assert!(of("Repository", &wide(FIELDS_MAX)).is_ok());
    assert!(of("Repository", &wide(FIELDS_MAX + 1)).unwrap_err().contains("more than 500 fields"));
    assert!(
        of("Repository", &"# ".repeat(TEXT_BYTES_MAX)).unwrap_err().contains("the limit is 16384")
    );
    for open in ["{", "[", "owner{", "... on Repository{", "issues(filter:{not:{not:", "a(b:[[[[["]
    {
        let text = open.repeat(TEXT_BYTES_MAX / open.len());
        assert!(of("Repository", &text).is_err(), "{open}");
    }
    let fragments = "... { id } ".repeat(FRAGMENTS_MAX + 1);
    assert!(of("Repository", &fragments).unwrap_err().contains("inline fragments"));
}

/// Whatever a text was, the document that is sent has one operation with one root field.
fn is_one_root_field(selection: Vec<Selection>) -> Result<(), String> {
    let schema = schema();
    let (operation, field) = tools::field_of(&schema, "query.repository").unwrap();
    let args = serde_json::json!({"owner": "a", "name": "b"}).as_object().unwrap().clone();
    let document = tools::document(operation, field, &args, selection);
    let valid = apollo_compiler::Schema::parse_and_validate(SDL, "schema").unwrap();
    let parsed = apollo_compiler::ExecutableDocument::parse_and_validate(&valid, &document, "call");
    let parsed = parsed.map_err(|error| format!("{document}\n{error}"))?;
    let operations: Vec<_> = parsed.operations.iter().collect();
    let [only] = operations.as_slice() else {
        return Err(format!("{} operations: {document}", operations.len()));
    };
    let roots: Vec<_> = only.root_fields(&parsed).map(|field| field.name.to_string()).collect();
    let back = only
        .all_fields(&parsed)
        .any(|field| field.definition.ty.inner_named_type().as_str() == "Query");
    if roots == ["repository"] && !back && parsed.fragments.is_empty() {
        Ok(())
    } else {
        Err(document)
    }
}

fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "id",
            "name",
            "owner",
            "login",
            "issues",
            "nodes",
            "edges",
            "node",
            "query",
            "version",
            "relay",
            "parent",
            "x:",
            "{",
            "}",
            "}",
            "{",
            "(",
            ")",
            "(first: 1)",
            "(number: 1)",
            "issue",
            "... on Repository",
            "... on Query",
            "...F",
            "fragment F on Query",
            "@skip(if: true)",
            "\"",
            "\"\"\"",
            "#",
            "\n",
            "$v",
            "mutation",
            "subscription",
            "[",
            "]",
            ":",
            "!",
            "\u{feff}",
            "\\",
        ])
        .prop_map(str::to_owned),
        ".{0,8}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_taken_is_one_valid_root_field(
        pieces in prop::collection::vec(piece(), 0..24), glue in "[ ,\n]{0,1}"
    ) {
        let text = pieces.join(if glue.is_empty() { " " } else { &glue });
        if let Ok(selection) = rebuilt(&schema(), &name("Repository"), &text)
            && let Err(document) = is_one_root_field(selection) {
            prop_assert!(false, "{text:?} became {document}");
        }
    }

    #[test]
    fn a_selection_of_fields_that_exist_is_taken_and_valid(
        fields in prop::collection::vec(prop::sample::select(vec![
            "id", "name", "stars", "createdAt", "owner { id login }", "owner", "issues { nodes { \
                id title author { login } } }",
            "issues(first: 3) { totalCount }", "parent { parent { id } }", "... on Node { id }", "b: name",
        ]), 1..10),
    ) {
        let mut fields = fields;
        // The same page with and without arguments cannot be asked for at once.
        let paged = fields.iter().any(|field| field.starts_with("issues("));
        fields.retain(|field| !(paged && field.starts_with("issues {")));
        let selection = rebuilt(&schema(), &name("Repository"), &fields.join(" "));
        prop_assert!(selection.is_ok(), "{selection:?}");
        let checked = is_one_root_field(selection.unwrap());
        prop_assert!(checked.is_ok(), "{checked:?}");
    }
}
