use super::*;
use crate::cli::upstreams::{draft::Credential, template::Template};

fn read(file: &str, text: &str) -> Vec<Entry> {
    let environment = BTreeMap::from([("HOME".to_owned(), "/home/me".to_owned())]);
    entries(Path::new(file), text.as_bytes(), &environment).expect("it lists servers")
}

fn one(file: &str, text: &str) -> Entry {
    let mut all = read(file, text);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

#[test]
fn a_file_that_lists_no_servers_is_none() {
    for (file, text) in [
        ("a.json", "{}"),
        ("a.json", r#"{"openapi": "3.1.0", "servers": [{"url": "https://h.example"}]}"#),
        ("a.yaml", "openapi: 3.1.0\nservers: [{url: https://h.example}]\n"),
        ("a.json", r#"{"extensions": {"code": 1}}"#),
        ("a.toml", "[tool]\nname = 1\n"),
        ("a.graphql", "type Query { a: Int }"),
        ("a.json", "[1, 2"),
        ("a.json", ""),
    ] {
        assert_eq!(names(Path::new(file), text.as_bytes()), None, "{text}");
    }
}

#[test]
fn programs_are_read_in_the_forms_of_the_clients() {
    let words = |entry: Entry| entry.draft.expect("it has a counterpart").words();
    for (file, text, expected) in [
        (
            "claude_desktop_config.json",
            r#"{"mcpServers": {"a": {"command": "npx", "args": ["-y", "x"]}}}"#,
            &["npx", "-y", "x"][..],
        ),
        (
            "mcp.json",
            "{\n // mine\n \"servers\": {\"a\": {\"type\": \"stdio\", \"command\": \"npx\", \
                \"args\": [\"x\",],},}, /* end */ }",
            &["npx", "x"],
        ),
        (
            "settings.json",
            r#"{"context_servers": {"a": {"command": {"path": "npx", "args": ["x"]}}}}"#,
            &["npx", "x"],
        ),
        (
            "config.yaml",
            "extensions:\n  a: {type: stdio, cmd: npx, args: [x], enabled: true}\n",
            &["npx", "x"],
        ),
        (
            "config.yaml",
            "mcpServers:\n  - name: a\n    command: npx\n    args: [x]\n",
            &["npx", "x"],
        ),
        ("config.toml", "[mcp_servers.a]\ncommand = \"npx\"\nargs = [\"x\"]\n", &["npx", "x"]),
        (
            "opencode.json",
            r#"{"mcp": {"a": {"type": "local", "command": ["npx", "x"]}}}"#,
            &["npx", "x"],
        ),
        ("a.json", r#"{"mcpServers": {"a": {"command": "npx -y x"}}}"#, &["npx", "-y", "x"]),
        (
            "a.json",
            r#"{"mcpServers": {"a": {"command": "cmd", "args": ["/c", "npx", "x"]}}}"#,
            &["npx", "x"],
        ),
    ] {
        assert_eq!(words(one(file, text)), expected, "{text}");
    }
}

#[test]
fn services_and_their_credentials_are_read_in_the_forms_of_the_clients() {
    let variable = |name: &str| {
        Template(vec![crate::cli::upstreams::template::Piece::Variable(name.to_owned())])
    };
    for (file, text, auth) in [
        ("a.json", r#"{"mcpServers": {"a": {"httpUrl": "https://h.example/mcp"}}}"#, None),
        ("a.json", r#"{"mcpServers": {"a": {"serverUrl": "https://h.example/mcp"}}}"#, None),
        (
            "mcp.json",
            r#"{"servers": {"a": {"type": "http", "url": "https://h.example/mcp",
                "headers": {"Authorization": "Bearer ${env:KEY}"}}}}"#,
            Some(Credential::Bearer(variable("KEY"))),
        ),
        (
            "config.toml",
            "[mcp_servers.a]\nurl = \"https://h.example/mcp\"\nbearer_token_env_var = \"KEY\"\n",
            Some(Credential::Bearer(variable("KEY"))),
        ),
        (
            "config.yaml",
            "extensions:\n  a:\n    type: streamable_http\n    uri: https://h.example/mcp\n    \
                headers: {X-Api-Key: abc}\n",
            Some(Credential::Key("header", "X-Api-Key".into(), Template::text("abc"))),
        ),
        (
            "a.json",
            r#"{"mcpServers": {"a": {"url": "https://h.example/mcp?api_key=${KEY}"}}}"#,
            Some(Credential::Key("query", "api_key".into(), variable("KEY"))),
        ),
    ] {
        let draft = one(file, text).draft.expect("it has a counterpart");
        assert_eq!(
            draft.url.as_ref().map(url::Url::as_str),
            Some("https://h.example/mcp"),
            "{text}"
        );
        assert_eq!(draft.auth, auth, "{text}");
    }
}

#[test]
fn what_has_no_counterpart_is_named() {
    for (text, word) in [
        (
            r#"{"mcpServers": {"a": {"command": "x", "env": {"A": "${command:b}"}}}}"#,
            "${command:b}",
        ),
        (r#"{"mcpServers": {"a": {"url": "https://${HOST_X}/mcp"}}}"#, "variable"),
        (r#"{"mcpServers": {"a": {}}}"#, "neither a program nor a URL"),
        ("{\"extensions\": {\"a\": {\"type\": \"builtin\", \"name\": \"a\"}}}", "builtin"),
    ] {
        let why = one("a.json", text).draft.expect_err(text);
        assert!(why.contains(word), "{why}");
    }
    let entry = one(
        "a.json",
        r#"{"mcpServers": {"a": {"command": "x", "alwaysAllow": ["b"], "odd": 1,
            "disabled": true}}}"#,
    );
    assert!(entry.is_disabled && entry.draft.is_ok());
    assert_eq!(
        entry.notes,
        [
            "`alwaysAllow` is not imported: a policy file decides about tools",
            "`odd` is not imported"
        ]
    );
}

#[test]
fn there_are_not_more_servers_in_a_file_than_are_read() {
    let list = |count: usize| {
        let servers: Map<String, Value> =
            (0..count).map(|n| (format!("s{n}"), serde_json::json!({ "command": "x" }))).collect();
        serde_json::json!({ "mcpServers": servers }).to_string()
    };
    let environment = BTreeMap::new();
    let read = |text: String| entries(Path::new("a.json"), text.as_bytes(), &environment);
    assert_eq!(read(list(ENTRIES_MAX)).map(|all| all.len()), Ok(200));
    let refused = read(list(ENTRIES_MAX + 1)).err();
    assert_eq!(refused.as_deref(), Some("it lists 201 servers; the limit is 200"));
}

#[test]
fn times_are_milliseconds_whatever_the_client_counts_in() {
    let ms = |file: &str, text: &str| one(file, text).draft.expect(text).call_timeout_ms;
    let toml = "[mcp_servers.a]\ncommand = \"x\"\ntool_timeout_sec = 30\n";
    assert_eq!(ms("config.toml", toml), Some(30_000));
    let gemini = r#"{"mcpServers": {"a": {"command": "x", "timeout": 500}}}"#;
    assert_eq!(ms("/home/me/.gemini/settings.json", gemini), Some(500));
    assert_eq!(ms("a.json", gemini), Some(500_000));
    let goose = "extensions: {a: {type: stdio, cmd: x, timeout: 300}}";
    assert_eq!(ms("config.yaml", goose), Some(300_000));
}
