use super::*;
use crate::catalog::graphql::{sdl, select, tools};

fn chosen(text: &str, ty: &str, is_list: bool) -> String {
    tools::text(&selection(&sdl::read(text).unwrap(), &Name::new(ty).unwrap(), is_list))
}

#[test]
fn leaves_come_with_one_level_of_what_is_cheap_and_nothing_that_needs_thought() {
    // No deprecated field, no field with arguments that holds objects, nothing that leads back:
    // neither to a root nor to itself.
    let repository = chosen(select::tests::SDL, "Repository", false);
    assert_eq!(repository, "id name stars createdAt owner { id login }");
    assert_eq!(chosen(select::tests::SDL, "Repository", true), "id name stars createdAt");
}

#[test]
fn a_page_is_told_with_its_objects_and_the_way_to_the_next() {
    let page = chosen(select::tests::SDL, "IssueConnection", false);
    assert_eq!(
        page,
        "totalCount pageInfo { hasNextPage endCursor } nodes { id number title state labels }"
    );
    let edges =
        "type Query { a: C } type C { edges: [E] } type E { node: N } type N { id: ID! next: C }";
    assert_eq!(chosen(edges, "C", false), "edges { node { id } }");
}

#[test]
fn a_wrapping_is_told_as_what_it_holds() {
    assert_eq!(
        chosen(select::tests::SDL, "CreateIssuePayload", false),
        "issue { id number title state labels }"
    );
}

#[test]
fn a_union_and_an_interface_say_what_they_are() {
    assert_eq!(chosen(select::tests::SDL, "Node", false), "__typename id");
    let hit = chosen(select::tests::SDL, "Hit", false);
    assert_eq!(
        hit,
        "__typename ... on Issue { id title number state } ... on Repository { id name createdAt }"
    );
    // The same name with another type in the second member would be refused by the service.
    let clash = "type Query { u: U } union U = A | B type A { id: ID! title: String } type B { \
        id: ID! title: String! }";
    assert_eq!(chosen(clash, "U", false), "__typename ... on A { id title } ... on B { id }");
}

#[test]
fn what_has_no_leaf_is_told_by_the_leaves_of_its_objects() {
    let sdl = "type Query { p: Placed s: Sheet } union Placed = OrderPlaced | Refused | Late | Odd
        type OrderPlaced { order: Order! by(x: Int): Order } type Order { id: ID! total: Float placed: Placed buyer: Buyer }
        type Refused { order: Buyer reason: Reason } type Reason { code: Int } type Buyer { email: String }
        type Late { status: String order: Order! } type Odd { weight: Int }
        type Sheet { inner: Inner } type Inner { holds: Order deep: Sheet }";
    let late = "... on Late { status order { id total } }";
    // `order` of the second member is of another type, which the service would refuse.
    let placed = |late: &str| {
        format!(
            "__typename ... on OrderPlaced {{ order {{ id total }} }} ... on Refused {{ reason {{ \
            code }} }} {late} ... on Odd {{ weight }}"
        )
    };
    let sorted = |text: String| {
        let mut parts: Vec<String> = text.split(" ... ").map(str::to_owned).collect();
        parts.sort();
        parts
    };
    assert_eq!(sorted(chosen(sdl, "Placed", false)), sorted(placed(late)));
    // In a list the leaf is enough.
    assert_eq!(sorted(chosen(sdl, "Placed", true)), sorted(placed("... on Late { status }")));
    assert_eq!(chosen(sdl, "Sheet", false), "inner { holds { id total } }");
    assert_eq!(chosen(sdl, "Sheet", true), "inner { __typename }");
    assert_eq!(chosen(sdl, "OrderPlaced", true), "order { id total }");
}

#[test]
fn an_object_without_anything_to_tell_is_told_by_its_type() {
    assert_eq!(chosen("type Query { a: A } type A { b(x: Int!): Int }", "A", false), "__typename");
}

#[test]
fn large_types_and_types_in_circles_stay_within_the_bounds() {
    let many: String = (0..500).map(|n| format!("f{n}: Int o{n}: O{n} ")).collect();
    let objects: String = (0..500)
        .map(|n| {
            format!(
                "type O{n} {{ id: ID! {} }} ",
                (0..20).map(|m| format!("g{m}: Int ")).collect::<String>()
            )
        })
        .collect();
    let text = format!("type Query {{ t: T }} type T {{ {many} id: ID! }} {objects}");
    let got = chosen(&text, "T", false);
    assert!(
        got.contains(" id ") || got.ends_with(" id"),
        "what tells most is among the leaves: {got}"
    );
    assert!(got.matches(|c: char| c.is_alphanumeric() || c == '_').count() < 2 * BYTES_MAX);
    assert!(
        got.split_whitespace().filter(|word| !matches!(*word, "{" | "}")).count() <= FIELDS_MAX,
        "{got}"
    );
    let circle = "type Query { a: A } type A { totalCount: Int nodes: [B] } type B { totalCount: \
        Int nodes: [A] }";
    assert_eq!(chosen(circle, "A", false), "totalCount nodes { totalCount }");
    let bare: String = (0..300)
        .map(|n| {
            let fields: String =
                (0..300).map(|m| format!("o{m}: B{} ", (n + m + 1) % 300)).collect();
            format!("type B{n} {{ {fields} }} type M{n} {{ {fields} }} ")
        })
        .collect();
    let members = (0..300).map(|n| format!("M{n}")).collect::<Vec<_>>().join(" | ");
    let bare = format!("type Query {{ b: B0 u: U }} union U = {members} {bare}");
    for (ty, is_list) in [("B0", false), ("B0", true), ("U", false), ("U", true)] {
        let got = chosen(&bare, ty, is_list);
        let fields =
            got.split_whitespace().filter(|word| word.starts_with('o') && *word != "on").count();
        assert!(
            fields <= FIELDS_MAX && got.len() < 4 * BYTES_MAX,
            "{ty}: {fields} fields, {} bytes",
            got.len()
        );
    }
    let chain: String =
        (0..300).map(|n| format!("type C{n} {{ totalCount: Int nodes: [C{}] }} ", n + 1)).collect();
    assert!(
        chosen(&format!("type Query {{ a: C0 }} {chain} type C300 {{ id: ID }}"), "C0", false)
            .len()
            < 200
    );
}

#[test]
fn fields_that_failed_are_taken_out_with_what_becomes_hollow() {
    let schema = sdl::read(select::tests::SDL).unwrap();
    let whole = selection(&schema, &Name::new("Repository").unwrap(), false);
    let path = |text: &str| text.split('.').map(str::to_owned).collect::<Vec<_>>();
    let left = |paths: &[&str]| {
        let paths: Vec<_> = paths.iter().map(|text| path(text)).collect();
        without(&whole, &paths).map(|left| tools::text(&left))
    };
    assert_eq!(left(&["stars", "owner.login"]).as_deref(), Some("id name createdAt owner { id }"));
    assert_eq!(left(&["owner.login", "owner.id"]).as_deref(), Some("id name stars createdAt"));
    assert_eq!(left(&["gone", "name.x", "owner.id.x"]), None);
    assert_eq!(left(&["id", "name", "stars", "createdAt", "owner"]), None);
    let union = selection(&schema, &Name::new("Hit").unwrap(), true);
    let left =
        without(&union, &[path("id"), path("title"), path("number"), path("state")]).unwrap();
    assert_eq!(tools::text(&left), "__typename ... on Repository { name createdAt }");
}
