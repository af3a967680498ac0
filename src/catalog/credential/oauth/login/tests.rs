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
    assert_eq!(
        judge(brought(Some("c"), Some("https://as.example/"), None), &named).as_deref(),
        Ok("c")
    );
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

#[tokio::test]
async fn a_login_that_nobody_allows_is_given_up_whoever_else_comes() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let stranger = async {
        let mut stranger = TcpStream::connect(address).await.unwrap();
        stranger.write_all(b"GET /callback?code=c&state=guessed HTTP/1.1\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stranger.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let (state, server) = (CsrfToken::new_random(), server("https://as.example", false));
    let (given_up, answer) =
        tokio::join!(allowed(&listener, &state, &server, Duration::from_secs(1)), stranger);
    assert_eq!(given_up.unwrap_err(), "nobody allowed it within 1 s");
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
}
