use super::*;
use crate::catalog::tool::OfferedTool;

fn snapshot(names: &[(&str, &str)]) -> Snapshot {
    let tools = names.iter().map(|(path, description)| {
        let (upstream, name) = path.split_once('.').unwrap();
        let offered = OfferedTool {
            name: name.to_owned(),
            description: (*description).to_owned(),
            ..OfferedTool::default()
        };
        Arc::new(Tool::admit(&Arc::from(upstream), offered).unwrap())
    });
    Snapshot::build(tools.collect()).unwrap()
}

fn open(_: &Tool) -> Visibility {
    Visibility::Auto
}

fn best_path(snapshot: &Snapshot, query: &str) -> Option<String> {
    discover(
        snapshot,
        &open,
        &Outages::new(),
        &DiscoverQuery { query: query.to_owned(), ..DiscoverQuery::default() },
    )
    .unwrap()
    .best_path
}

#[test]
fn the_best_path_is_right_or_null() {
    let shop = snapshot(&[
        ("shop.orders.create", "Creates an order."),
        ("shop.orders.cancel", "Cancels an order."),
        ("shop.customers.create", "Creates a customer."),
        ("mail.send", "Sends a mail to a customer."),
    ]);
    assert_eq!(best_path(&shop, "cancel an order").as_deref(), Some("shop.orders.cancel"));
    assert_eq!(best_path(&shop, "send mail").as_deref(), Some("mail.send"));
    assert_eq!(
        best_path(&shop, "tools.shop.customers.create").as_deref(),
        Some("shop.customers.create")
    );
    assert_eq!(best_path(&shop, "orders"), None, "two have orders");
    assert_eq!(best_path(&shop, "order a pizza with cheese"), None, "most of it is not covered");
    assert_eq!(best_path(&shop, ""), None);
}

#[test]
fn a_page_goes_on_where_the_last_one_ended_although_the_list_changed() {
    let page = |snapshot: &Snapshot, cursor: Option<String>| {
        let query = ToolsQuery { limit: Some(2), cursor, ..ToolsQuery::default() };
        let page = tools(snapshot, &open, &Outages::new(), &query).unwrap();
        (page.results.into_iter().map(|found| found.path).collect::<Vec<_>>(), page.next_cursor)
    };
    let (first, cursor) = page(&snapshot(&[("a.a", ""), ("a.b", ""), ("a.c", "")]), None);
    assert_eq!(first, ["a.a", "a.b"]);
    let (second, cursor) = page(&snapshot(&[("a.aa", ""), ("a.b", ""), ("a.c", "")]), cursor);
    assert_eq!((second, cursor), (vec!["a.c".to_owned()], None));
}

#[test]
fn compact_is_the_first_line_and_schemas_come_when_asked_for() {
    let snapshot = snapshot(&[("a.b", "\n  First line.\nSecond.")]);
    let query = DiscoverQuery { query: "first".to_owned(), ..DiscoverQuery::default() };
    let compact = discover(&snapshot, &open, &Outages::new(), &query).unwrap().results.remove(0);
    assert_eq!(
        (compact.description.as_str(), compact.input_schema.is_none()),
        ("First line.", true)
    );
    let whole = DiscoverQuery { compact: Some(false), include_schemas: Some(true), ..query };
    let whole = discover(&snapshot, &open, &Outages::new(), &whole).unwrap().results.remove(0);
    assert!(whole.description.ends_with("Second.") && whole.input_schema.unwrap().text() == "{}");
}
