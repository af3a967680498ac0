//! The three files that PolicyLayer's website prints, byte for byte.

use airlock::{
    model::Schema,
    policy::import::{Dialect, ImportOptions, import},
};
use serde_json::json;

use super::judge::{Judge, load};

const CONVEX: &str = include_str!("../../policies/published/website-convex-run.yaml");
const TRIGGER: &str = include_str!("../../policies/published/website-trigger-cancel_run.yaml");
const GRAPH: &str = include_str!("../../policies/published/policylayer-runGraphTool.json");

/// The file bound to its upstream as it is, and imported.
async fn both(dialect: Dialect, text: &str, upstream: &str) -> [Judge; 2] {
    let options = ImportOptions { upstream: Some(upstream), compat_warn: false };
    let imported = import(dialect, "published", text, options).unwrap();
    assert!(imported.warnings.is_empty(), "{:?}", imported.warnings);
    [
        Judge::over(load(text, Some(upstream)).unwrap(), upstream).await,
        Judge::over(load(&imported.layers[0].text, None).unwrap(), upstream).await,
    ]
}

#[tokio::test]
async fn ten_calls_in_sixty_seconds_with_required_arguments() {
    let table = [
        (CONVEX, "convex", "run", json!({ "functionName": "f", "args": "{}" }), "functionName"),
        (TRIGGER, "trigger", "cancel_run", json!({ "runId": "run_1" }), "runId"),
    ];
    for (text, upstream, tool, args, required) in table {
        for mut judge in both(Dialect::Intercept, text, upstream).await {
            let schema = json!({
                "type": "object", "properties": { required: { "type": "string" } },
                "required": [required]
            });
            judge.schemas.insert(tool.into(), Schema::new(&schema).unwrap());
            let mut without = args.clone();
            without.as_object_mut().unwrap().remove(required);
            assert_eq!(
                judge.call(tool, &without.to_string(), false).await.what,
                "deny",
                "{tool} without {required}"
            );
            let mut null = args.clone();
            null[required] = json!(null);
            assert_eq!(
                judge.call(tool, &null.to_string(), false).await.what,
                "deny",
                "{tool} with null"
            );
            for call in 0..10 {
                assert_eq!(
                    judge.call(tool, &args.to_string(), false).await.what,
                    "allow",
                    "{tool}, call {call}"
                );
            }
            assert_eq!(judge.call(tool, &args.to_string(), false).await.what, "rate_limited");
            judge.pass(59);
            assert_eq!(judge.call(tool, &args.to_string(), false).await.what, "rate_limited");
            judge.pass(1);
            assert_eq!(judge.call(tool, &args.to_string(), false).await.what, "allow");
            assert_eq!(
                judge.call("another_tool", "{}", false).await.what,
                "allow",
                "what the file does not name is allowed, as there"
            );
        }
    }
}

#[tokio::test]
async fn a_default_of_deny_and_ten_calls_a_minute_for_each_grant() {
    for mut judge in both(Dialect::PolicyLayer, GRAPH, "graph").await {
        for _ in 0..10 {
            assert_eq!(judge.call("runGraphTool", "{}", false).await.what, "allow");
        }
        assert_eq!(judge.call("runGraphTool", "{}", false).await.what, "rate_limited");
        judge.principal = "bob".into();
        assert_eq!(
            judge.call("runGraphTool", "{}", false).await.what,
            "allow",
            "each has a quota of its own"
        );
        assert_eq!(judge.call("deleteGraphTool", "{}", false).await.what, "deny");
        assert_eq!(judge.call("listGraphTools", "{}", false).await.what, "deny");
        judge.principal = "alice".into();
        judge.pass(60);
        assert_eq!(judge.call("runGraphTool", "{}", false).await.what, "allow");
    }
}

#[test]
fn the_published_files_are_those_of_the_website() {
    // Their lengths: nobody tidies them up.
    assert_eq!([CONVEX.len(), TRIGGER.len(), GRAPH.len()], [154, 161, 206]);
}
