use super::*;

fn sessions() -> BrowserSessions {
    BrowserSessions::new(SocketAddr::from(([127, 0, 0, 1], 7411)))
}

fn with_cookie(cookie: &HeaderValue) -> HeaderMap {
    let pair = cookie.to_str().unwrap().split(';').next().unwrap();
    HeaderMap::from_iter([(
        header::COOKIE,
        HeaderValue::from_str(&format!("other=1; {pair}")).unwrap(),
    )])
}

fn request(method: &str, headers: HeaderMap) -> Request {
    let mut request = Request::builder()
        .method(method)
        .uri("/v1/approvals")
        .body(axum::body::Body::empty())
        .unwrap();
    *request.headers_mut() = headers;
    request
}

#[test]
fn a_link_works_once() {
    let sessions = sessions();
    let link = sessions.link().unwrap();
    let cookie = sessions.enter(&link).unwrap();
    let text = cookie.to_str().unwrap();
    for part in ["airlock_7411=", "; HttpOnly", "; SameSite=Strict", "; Path=/", "; Max-Age=43200"]
    {
        assert!(text.contains(part), "{text}");
    }
    assert!(sessions.enter(&link).is_none());
    assert!(sessions.enter("guessed").is_none());
    assert!(sessions.find(&with_cookie(&cookie)).is_some());
}

#[test]
fn links_and_sessions_are_bounded() {
    let sessions = sessions();
    let links: Vec<_> = (0..=LINKS_MAX).map(|_| sessions.link().unwrap()).collect();
    assert!(sessions.enter(&links[0]).is_none(), "the oldest gave way");
    assert!(sessions.enter(&links[1]).is_some());
    let cookies: Vec<_> =
        (0..=SESSIONS_MAX).map(|_| sessions.enter(&sessions.link().unwrap()).unwrap()).collect();
    assert!(sessions.find(&with_cookie(&cookies[0])).is_none());
    assert!(sessions.find(&with_cookie(cookies.last().unwrap())).is_some());
}

#[test]
fn a_cookie_alone_changes_nothing() {
    let sessions = sessions();
    let headers = with_cookie(&sessions.enter(&sessions.link().unwrap()).unwrap());
    assert!(sessions.admits(&request("GET", headers.clone())));
    assert!(!sessions.admits(&request("POST", headers.clone())));
    let mut upgrade = headers.clone();
    upgrade.insert(header::UPGRADE, HeaderValue::from_static("mcp"));
    assert!(!sessions.admits(&request("GET", upgrade)));
    let mut forged = headers.clone();
    forged.insert(CSRF_HEADER, HeaderValue::from_static("guessed"));
    assert!(!sessions.admits(&request("POST", forged)));
    let mut own = headers.clone();
    own.insert(CSRF_HEADER, sessions.find(&headers).unwrap().form.parse().unwrap());
    assert!(sessions.admits(&request("POST", own)));
    sessions.leave(&headers);
    assert!(!sessions.admits(&request("GET", headers)));
}
