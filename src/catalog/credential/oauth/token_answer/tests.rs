use super::*;

fn tidy(status: u16, body: &str) -> Result<(u16, Value), String> {
    let mut response = HttpResponse::new(body.as_bytes().to_vec());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    let tidied = tidied(response)?;
    assert_eq!(tidied.headers()[CONTENT_TYPE], "application/json");
    Ok((tidied.status().as_u16(), serde_json::from_slice(tidied.body()).unwrap()))
}

fn granted_by(body: &str) -> Value {
    let (status, granted) = tidy(200, body).unwrap();
    assert_eq!(status, 200, "{granted}");
    granted
}

#[test]
fn the_life_of_a_token_is_read_in_any_form_and_unknown_where_it_is_none() {
    for (life, seconds) in [
        ("3600", Some(3600)),
        ("\"3600\"", Some(3600)),
        ("\" 3600.5 \"", Some(3600)),
        ("3600.0", Some(3600)),
        ("3.6e3", Some(3600)),
        ("0", None),
        ("\"0\"", None),
        ("-1", None),
        ("null", None),
        ("\"soon\"", None),
        ("NaN", None),
        ("[]", None),
        ("1e300", Some(u64::MAX)),
    ] {
        let granted =
            granted_by(&format!(r#"{{"access_token":"at","token_type":"x","expires_in":{life}}}"#));
        assert_eq!(granted.get("expires_in").and_then(Value::as_u64), seconds, "{life}");
    }
}

#[test]
fn a_nearly_right_grant_is_taken() {
    let bare = json!({"access_token": "at", "token_type": "bearer"});
    for body in [
        r#"{"access_token":"at"}"#,
        r#"{"access_token":"at","token_type":null,"refresh_token":null,"scope":null}"#,
        r#"{"access_token":"at","token_type":"","refresh_token":"","scope":"","error":null}"#,
        r#"{"access_token":" at ","error":"","scope":[],"expires_in":0,}"#,
        r#"{"access_token":"at","error":0,"refresh_token":false,"token_type":false}"#,
        "access_token=at&token_type=bearer&scope=",
        "\u{feff}{\"access_token\":\"at\"}",
    ] {
        assert_eq!(granted_by(body), bare, "{body}");
    }
    for scope in [r#""a b""#, r#"["a","b"]"#, r#""a,b""#, r#"[" a","b "]"#] {
        let granted = granted_by(&format!(r#"{{"access_token":"at","scope":{scope}}}"#));
        assert_eq!(granted["scope"], "a b", "{scope}");
    }
    let form = "access_token=a%2Bt&refresh_token=rt&token_type=bearer&scope=repo%2Cgist";
    let granted = granted_by(form);
    assert_eq!((&granted["access_token"], &granted["scope"]), (&json!("a+t"), &json!("repo gist")));
    assert_eq!(tidy(201, r#"{"access_token":"at"}"#).unwrap().0, 200);
}

#[test]
fn a_refusal_is_one_whatever_its_status_and_form() {
    for (status, body, code) in [
        (200, r#"{"error":"bad_refresh_token","error_description":"used"}"#, "bad_refresh_token"),
        (200, "error=invalid_grant&error_description=used", "invalid_grant"),
        (400, "error=invalid_grant&error_description=used", "invalid_grant"),
        (401, r#"{"error":{"type":"invalid_client","message":"x"}}"#, "invalid_client"),
        (200, r#"{"access_token":"at","error":"invalid_grant"}"#, "invalid_grant"),
        (200, r#"{"error":"<b>secret</b>"}"#, "an error without a code"),
        (403, r#"{"error":true}"#, "an error without a code"),
    ] {
        let (tidied, refusal) = tidy(status, body).unwrap();
        assert_eq!((tidied, &refusal["error"]), (400, &json!(code)), "{body}");
    }
}

#[test]
fn what_is_neither_names_the_reason_and_nothing_of_the_body() {
    for (status, body, words) in [
        (200, "<p>sec-1</p>", "neither JSON nor a form"),
        (200, "", "neither JSON nor a form"),
        (200, "[\"sec-1\"]", "neither JSON nor a form"),
        (200, r#"{"token":"sec-1"}"#, "has no `access_token`"),
        (200, r#"{"access_token":41,"x":"sec-1"}"#, "has a `access_token` that is not a string"),
        (200, r#"{"access_token":"sec-1","refresh_token":[]}"#, "has a `refresh_token`"),
        (500, "sec-1", "answered HTTP 500"),
        (400, "sec-1", "answered HTTP 400"),
        (302, "", "answered HTTP 302"),
        (503, r#"{"error":"temporarily_unavailable","x":"sec-1"}"#, "HTTP 503 with the error"),
        (400, r#"{"error":"slow_down"}"#, "the error `slow_down`"),
        (429, r#"{"error":"invalid_grant"}"#, "answered HTTP 429"),
    ] {
        let failure = tidy(status, body).unwrap_err();
        assert!(failure.contains(words) && !failure.contains("sec-1"), "{body}: {failure}");
    }
}
