use serde_json::json;

use super::*;

#[test]
fn the_list_of_tools_is_small() {
    let tools = tools(&McpOptions::default(), &[]);
    let bytes = serde_json::to_vec(&tools).unwrap().len();
    // Some clients show the model all of it.
    assert!(bytes < 15_000, "{bytes} bytes");
}

#[test]
fn arguments_are_plain_and_no_more_than_the_requests_have() {
    for tool in tools(&McpOptions::default(), &[]) {
        assert_eq!(tool.input_schema["additionalProperties"], false);
        for (name, property) in tool.input_schema["properties"].as_object().unwrap() {
            assert!(property["type"].is_string(), "{} {name}: {property}", tool.name);
            assert!(property["description"].is_string(), "{} {name}: {property}", tool.name);
            for odd in ["format", "anyOf", "oneOf", "$ref"] {
                assert!(property.get(odd).is_none(), "{} {name}: {property}", tool.name);
            }
        }
    }
}

#[test]
fn the_configured_bounds_are_stated() {
    let options = McpOptions {
        code_bytes_max: 99,
        timeout_ms: 7,
        runtime_id: "other".to_owned(),
        runtimes: vec!["one".to_owned(), "other".to_owned()],
        ..McpOptions::default()
    };
    let tools = tools(&options, &[]);
    let properties = &tools[0].input_schema["properties"];
    assert_eq!(properties["code"]["maxLength"], 99);
    assert_eq!(properties["timeoutMs"]["default"], 7);
    assert_eq!(
        (&properties["runtimeId"]["default"], &properties["runtimeId"]["enum"]),
        (&json!("other"), &json!(["one", "other"]))
    );
}
