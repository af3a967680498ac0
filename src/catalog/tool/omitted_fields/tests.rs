use super::*;

fn path(text: &str) -> FieldPath {
    text.split('.').map(str::to_owned).collect()
}

fn whole() -> Schema {
    let supplier = json!({
        "type": "object", "properties": {"margin": {"type": "number"}}, "required": ["margin"]
    });
    let line = json!({
        "type": "object", "properties": {"sku": {"type": "string"}, "cost": {"type": "number"}},
        "required": ["sku", "cost"]
    });
    Schema::new(&json!({
        "type": "object",
        "description": "Without `select`.",
        "properties": {
            "id": {"type": "string"}, "supplier": supplier,
            "lines": {"type": "array", "items": line}
        },
        "required": ["id", "supplier", "lines"],
    }))
    .unwrap()
}

#[test]
fn what_is_left_out_is_not_in_the_schema_which_says_so() {
    let left_out = OmittedFields::default();
    assert!(left_out.paths().is_empty() && left_out.output().is_none());
    left_out.add(&[path("lines.cost")], Some(&whole()), "select");
    left_out.add(&[path("supplier.margin"), path("gone"), path("id.x")], Some(&whole()), "select");
    let output = left_out.output().unwrap().value();
    let line =
        json!({"type": "object", "properties": {"sku": {"type": "string"}}, "required": ["sku"]});
    assert_eq!(
        output["properties"],
        json!({"id": {"type": "string"}, "lines": {"type": "array", "items": line}})
    );
    assert_eq!(output["required"], json!(["id", "lines"]));
    let description = output["description"].as_str().unwrap();
    assert!(
        description.starts_with("Without `select`. Left out at present")
            && description.contains("`supplier.margin`"),
        "{description}"
    );
    left_out.clear();
    assert!(left_out.paths().is_empty() && left_out.output().is_none());
}

#[test]
fn what_is_kept_and_told_is_bounded() {
    let left_out = OmittedFields::default();
    let many: Vec<FieldPath> =
        (0..1_000).map(|n| path(&format!("f{n}.{}", "x".repeat(n)))).collect();
    left_out.add(&many, None, "select");
    assert_eq!(left_out.paths().len(), FIELDS_MAX);
    assert!(named(&left_out.paths()).len() <= NOTE_BYTES_MAX);
    assert_eq!(named(&[path("a.b"), path("c")]), "`a.b`, `c`");
    assert!(named(&vec![path("a"); 10]).ends_with("`a`, 2 more"));
}
