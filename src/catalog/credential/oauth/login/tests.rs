use super::*;

fn server(issuer: &str, names_itself: bool) -> Server {
    Server {
        issuer: Some(issuer.to_owned()),
        authorization: None,
        token: String::new(),
        secret_in_body: false,
        names_itself,
        scopes: Vec::new(),
        resource: None,
    }
}

fn brought(code: Option<&str>, issuer: Option<&str>, error: Option<&str>) -> Brought {
    let text = |text: Option<&str>| text.map(str::to_owned);
    Brought { code: text(code), state: None, issuer: text(issuer), error: text(error) }
}

#[test]
fn a_code_counts_only_from_the_issuer_that_was_asked() {
    let (silent, named) = (server("https://as.example", false), server("https://as.example", true));
    assert_eq!(judge(brought(Some("c"), None, None), &silent).as_deref(), Ok("c"));
    assert_eq!(judge(brought(Some("c"), Some("https://as.example/"), None), &named).as_deref(), Ok("c"));
    for (brought, server, word) in [
        (brought(Some("c"), Some("https://evil.example"), None), &silent, "https://evil.example"),
        (brought(Some("c"), None, None), &named, "does not name its issuer"),
        (brought(Some("c"), None, Some("access_denied")), &silent, "access_denied"),
        (brought(None, None, None), &silent, "no code"),
        (brought(Some(""), None, None), &silent, "no code"),
    ] {
        let error = judge(brought, server).unwrap_err();
        assert!(error.contains(word), "{error}");
    }
}
