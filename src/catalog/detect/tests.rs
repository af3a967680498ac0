use super::*;

fn answer(status: u16, body: &str, challenge: Option<&'static str>) -> ServiceAnswer {
    let challenge =
        challenge.map(|challenge| (header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge)));
    ServiceAnswer {
        status: StatusCode::from_u16(status).unwrap(),
        headers: challenge.into_iter().collect(),
        body: Bytes::from(body.to_owned()),
        truncated: false,
        permit: None,
        moved_to: None,
    }
}

#[test]
fn a_description_is_known_by_its_beginning() {
    for yes in [
        "{\"openapi\": \"3.1.0\", \"info\": {",
        "{\n  \"info\": {},\n  \"swagger\" : \"2.0\"",
        "openapi: 3.0.3\ninfo:",
        "# mine\nopenapi: '3.1.0'\n",
        "swagger: \"2.0\"",
    ] {
        assert!(is_description(yes), "{yes}");
    }
    for no in [
        "",
        "<html>openapi: no",
        "{\"openapi\": 3}",
        "{\"openapi\": \"4.0\"}",
        "\"openapi\":\"3.0\"",
        "  openapi: 3.0",
    ] {
        assert!(!is_description(no), "{no}");
    }
}

#[test]
fn an_endpoint_is_known_by_how_it_answers() {
    let mcp = |wants_oauth| Some(Detected::Mcp { wants_oauth });
    assert_eq!(
        is_mcp(&answer(200, "{\"jsonrpc\": \"2.0\", \"id\": 1,\n\"result\": {}}", None)),
        mcp(false)
    );
    assert_eq!(
        is_mcp(&answer(
            200,
            "event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n\n",
            None
        )),
        mcp(false)
    );
    assert_eq!(is_mcp(&answer(400, "{\"jsonrpc\":\"2.0\",\"error\":{}}", None)), mcp(false));
    assert_eq!(
        is_mcp(&answer(401, "", Some("Bearer resource_metadata=\"https://h/.well-known\""))),
        mcp(true)
    );
    assert_eq!(is_mcp(&answer(401, "", Some("Basic"))), None);
    assert_eq!(is_mcp(&answer(200, "{\"data\": {}}", None)), None);
    assert!(is_graphql(&answer(200, "{\"data\": {\"__typename\": \"Query\"}}", None)));
    assert!(is_graphql(&answer(401, "{\"errors\": [{\"message\": \"who are you?\"}]}", None)));
    assert!(!is_graphql(&answer(200, "{\"errors\": [\"x\"]}", None)));
    assert!(!is_graphql(&answer(200, "<html>", None)));
}
