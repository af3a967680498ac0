//! The pages about policy say what is: every example loads, and the published schema is the one of
//! the types.

use std::{fs, path::Path};

use airlock::policy::{Layer, LayerScope, Options, Policy, Profile, file::json_schema};
use serde_json::Value;

fn page(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// The YAML blocks of the owner's guide.
fn examples() -> Vec<String> {
    let guide = page("docs/policy.md");
    let blocks = guide.split("```yaml\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn every_example_of_the_guide_loads_and_passes_its_tests() {
    let examples = examples();
    assert!(examples.len() >= 4, "the guide has examples");
    for text in examples {
        let layer = Layer {
            scope: LayerScope::Organisation,
            name: "docs/policy.md".into(),
            upstream: None,
            text: text.clone(),
        };
        let options = Options { profile: Profile::Auto, approvals: true };
        let policy = Policy::load(vec![layer], options)
            .unwrap_or_else(|problems| panic!("{text}\n{problems:#?}"));
        let failed: Vec<_> = policy
            .run_tests("2026-11-21T10:00:00Z".parse().unwrap(), &|_| None)
            .into_iter()
            .filter(|case| !case.passed)
            .collect();
        assert!(failed.is_empty(), "{failed:#?}");
    }
}

/// Written anew by `UPDATE=1 cargo nextest run the_published_schema_is_the_one_of_the_types`.
#[test]
fn the_published_schema_is_the_one_of_the_types() {
    let made = json_schema();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/policy.schema.json"), &made)
            .unwrap();
    }
    assert_eq!(
        made,
        page("docs/policy.schema.json"),
        "docs/policy.schema.json is stale: run this test with UPDATE=1"
    );
}

#[test]
fn what_loads_satisfies_the_published_schema() {
    let schema: Value = serde_json::from_str(&page("docs/policy.schema.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let fixtures = [
        "website-convex-run.yaml",
        "website-trigger-cancel_run.yaml",
        "policylayer-runGraphTool.json",
    ];
    let fixtures = fixtures.iter().map(|name| page(&format!("src/policy/fixtures/{name}")));
    for text in examples().into_iter().chain(fixtures) {
        let value: Value = serde_saphyr::from_str(&text).unwrap();
        let wrong: Vec<String> = validator
            .iter_errors(&value)
            .map(|error| format!("{} at {}", error, error.instance_path()))
            .collect();
        assert!(wrong.is_empty(), "{text}\n{wrong:#?}");
    }
    for wrong in [
        "tools: {a.b: {rulez: []}}",
        "default: no",
        "tools: {a.b: {limits: [{window: minute}]}}",
        "version: \"2\"",
    ] {
        let value: Value = serde_saphyr::from_str(wrong).unwrap();
        assert!(!validator.is_valid(&value), "{wrong}");
    }
}
