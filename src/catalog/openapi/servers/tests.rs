use serde_json::json;

use super::*;

fn base(
    servers: Value,
    given: Option<&str>,
    spec: Option<&str>,
    variables: &[(&str, &str)],
) -> Result<String, String> {
    let document = Document::new(json!({"openapi": "3.0.0", "servers": servers})).unwrap();
    let variables =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let (given, spec) =
        (given.map(|url| Url::parse(url).unwrap()), spec.map(|url| Url::parse(url).unwrap()));
    let setting = Setting { base: given, spec, variables, ..Setting::default() };
    Servers::new(&document, &setting)
        .map(|servers| servers.base.to_string())
        .map_err(|error| format!("{error}; {}", error.hint.as_deref().unwrap_or_default()))
}

#[test]
fn calls_go_where_the_owner_says_else_to_the_first_server() {
    let two = json!([{"url": "https://a.example/v1"}, {"url": "https://b.example"}]);
    assert_eq!(base(two.clone(), None, None, &[]).unwrap(), "https://a.example/v1");
    assert_eq!(base(two, Some("http://127.0.0.1:1/x"), None, &[]).unwrap(), "http://127.0.0.1:1/x");
    let spec = Some("https://s.example/docs/api.json");
    assert_eq!(base(json!([{"url": "/v2"}]), None, spec, &[]).unwrap(), "https://s.example/v2");
    assert_eq!(base(json!([{"url": "v2"}]), None, spec, &[]).unwrap(), "https://s.example/docs/v2");
    assert_eq!(
        base(json!([{"url": "//h.example/v2"}]), None, spec, &[]).unwrap(),
        "https://h.example/v2"
    );
    assert_eq!(base(json!(null), None, spec, &[]).unwrap(), "https://s.example/");
    assert_eq!(
        base(json!([{"url": "https://u:p@a.example/"}]), None, None, &[]).unwrap(),
        "https://a.example/"
    );
    for (servers, reason) in [
        (json!([{"url": "/v2"}]), r#"its server address "/v2" names no host"#),
        (json!(null), r#"its server address "/" names no host"#),
        (
            json!([{"url": "file:///etc/passwd"}]),
            r#"its server address "file:///etc/passwd" names no host"#,
        ),
    ] {
        let expected = format!(
            "its OpenAPI document does not say where it is: {reason}; set `base_url` of the \
            upstream"
        );
        assert_eq!(base(servers, None, None, &[]).unwrap_err(), expected);
    }
}

#[test]
fn a_variable_takes_its_default_or_an_allowed_value_of_the_owner() {
    let servers = json!([{"url": "https://{region}.a.example:{port}/{v}", "variables": {
        "region": {"default": "eu", "enum": ["eu", "us"]}, "port": {"default": 8443},
        "v": {"default": "v1"}}}]);
    assert_eq!(base(servers.clone(), None, None, &[]).unwrap(), "https://eu.a.example:8443/v1");
    assert_eq!(
        base(servers.clone(), None, None, &[("region", "us"), ("v", "v2")]).unwrap(),
        "https://us.a.example:8443/v2"
    );
    let error = base(servers.clone(), None, None, &[("region", "evil.example/")]).unwrap_err();
    assert!(
        error.contains(
            "variable `region` of its server address is `evil.example/`; allowed: `eu`, `us`"
        ),
        "{error}"
    );
    let error = base(servers, None, None, &[("regoin", "us")]).unwrap_err();
    assert!(
        error.contains("`regoin`") && error.contains("it has `region`, `port`, `v`"),
        "{error}"
    );
    let error = base(json!([{"url": "https://{host}/"}]), None, None, &[]).unwrap_err();
    assert!(error.contains("variable `host` of its server address has no value"), "{error}");
}

#[test]
fn an_operation_with_a_server_of_its_own_never_leaves_the_origin() {
    let document =
        Document::new(json!({"openapi": "3.0.0", "servers": [{"url": "https://a.example/v1"}]}))
            .unwrap();
    let own = |given: Option<&str>, url: &str| {
        let setting =
            Setting { base: given.map(|url| Url::parse(url).unwrap()), ..Setting::default() };
        let operation = json!({"servers": [{"url": url}]});
        let servers = Servers::new(&document, &setting).unwrap();
        match servers.of(&Map::new(), operation.as_object().unwrap()) {
            Target::Below(url) => url.to_string(),
            Target::Elsewhere { origin, .. } => format!("refused {origin}"),
            Target::NotChosen => unreachable!("nothing was chosen"),
        }
    };
    assert_eq!(own(None, "https://a.example/v2"), "https://a.example/v2");
    assert_eq!(own(None, "/v3"), "https://a.example/v3");
    assert_eq!(own(None, "https://uploads.example/"), "refused https://uploads.example");
    assert_eq!(own(Some("http://127.0.0.1:9/"), "https://a.example/v2"), "http://127.0.0.1:9/v2");
    assert_eq!(
        own(Some("http://127.0.0.1:9/"), "https://uploads.example/"),
        "refused https://uploads.example"
    );
    assert_eq!(
        own(Some("https://uploads.example"), "https://uploads.example/x"),
        "https://uploads.example/x"
    );
}

#[test]
fn the_owner_chooses_among_the_servers_by_address_or_description() {
    let document = Document::new(json!({
        "openapi": "3.0.0",
        "servers": [
            {"url": "https://a.example/v1", "description": "production"},
            {
                "url": "https://{region}.test.example", "description": "test",
                "variables": {"region": {"default": "eu", "enum": ["eu", "us"]}}
            },
        ],
        "paths": {
            "/up": {"post": {"servers": [{"url": "https://uploads.example/"}]}}, "/x": {"get": {}}
        },
    }))
    .unwrap();
    let chosen = |server: &str, variables: &[(&str, &str)]| {
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let setting = Setting { server: Some(server.to_owned()), variables, ..Setting::default() };
        let paths = document.get("paths").unwrap().as_object().unwrap().clone();
        let servers = Servers::new(&document, &setting)
            .map_err(|error| format!("{error}; {}", error.hint.clone().unwrap_or_default()))?;
        let targets: Vec<String> = paths
            .values()
            .flat_map(|item| {
                item.as_object().unwrap().values().map(move |operation| (item, operation))
            })
            .map(|(item, operation)| {
                match servers.of(item.as_object().unwrap(), operation.as_object().unwrap()) {
                    Target::Below(url) => url.to_string(),
                    Target::Elsewhere { server, .. } => format!("elsewhere {server}"),
                    Target::NotChosen => "left out".to_owned(),
                }
            })
            .collect();
        Ok::<_, String>(targets)
    };
    assert_eq!(
        chosen("https://a.example/v1/", &[]).unwrap(),
        ["elsewhere https://uploads.example/", "https://a.example/v1"]
    );
    assert_eq!(chosen("test", &[]).unwrap()[1], "https://eu.test.example/");
    assert_eq!(
        chosen("https://{region}.test.example", &[("region", "us")]).unwrap()[1],
        "https://us.test.example/"
    );
    assert!(
        chosen("test", &[("region", "evil.example/")]).unwrap_err().contains("allowed: `eu`, `us`")
    );
    // One of operations alone: the others are not of this upstream.
    assert_eq!(
        chosen("https://uploads.example", &[]).unwrap(),
        ["https://uploads.example/", "left out"]
    );
    let error = chosen("https://evil.example", &[]).unwrap_err();
    let known = "it names `https://a.example/v1`, `https://{region}.test.example`, \
        `https://uploads.example/`";
    assert!(
        error.starts_with(&format!(
            "its OpenAPI document has no server `https://evil.example`; {known}"
        )),
        "{error}"
    );
}

#[test]
fn a_server_without_a_scheme_has_that_of_its_document_and_later_ones_are_named() {
    let listed =
        json!([{"url": "//api.lockers.example/v2"}, {"url": "https://eu.lockers.example"}]);
    assert_eq!(base(listed.clone(), None, None, &[]).unwrap(), "https://api.lockers.example/v2");
    let spec = Some("http://s.example/openapi.json");
    assert_eq!(base(listed, None, spec, &[]).unwrap(), "http://api.lockers.example/v2");
    let listed = json!([
        {"url": "/v1"}, {"url": "https://{region}.h.example", "variables": {"region": {"default": "eu"}}},
        {"url": "v2"}, {"url": "https://{unknown}.h.example"}, {"url": "http://trial.example"}
    ]);
    let error = base(listed, None, None, &[]).unwrap_err();
    assert!(
        error.ends_with(
            "or choose another of its servers: `server = \"https://{region}.h.example\"`, or \
            `server = \"http://trial.example\"`"
        ),
        "{error}"
    );
}
