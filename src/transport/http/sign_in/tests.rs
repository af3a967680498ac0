use super::*;

fn gate() -> SignIn {
    SignIn::new(OwnerToken::new("secret"), SocketAddr::from(([127, 0, 0, 1], 7411)))
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
    let gate = gate();
    let link = gate.link().unwrap();
    let cookie = gate.enter(&link).unwrap();
    let text = cookie.to_str().unwrap();
    for part in ["airlock_7411=", "; HttpOnly", "; SameSite=Strict", "; Path=/", "; Max-Age=43200"]
    {
        assert!(text.contains(part), "{text}");
    }
    assert!(gate.enter(&link).is_none());
    assert!(gate.enter("guessed").is_none());
    assert!(gate.form(&with_cookie(&cookie)).is_some());
}

#[test]
fn links_and_sessions_are_bounded() {
    let gate = gate();
    let links: Vec<_> = (0..=LINKS_MAX).map(|_| gate.link().unwrap()).collect();
    assert!(gate.enter(&links[0]).is_none(), "the oldest gave way");
    assert!(gate.enter(&links[1]).is_some());
    let cookies: Vec<_> =
        (0..=SESSIONS_MAX).map(|_| gate.enter(&gate.link().unwrap()).unwrap()).collect();
    assert!(gate.form(&with_cookie(&cookies[0])).is_none());
    assert!(gate.form(&with_cookie(cookies.last().unwrap())).is_some());
}

#[test]
fn a_cookie_alone_changes_nothing() {
    let gate = gate();
    let headers = with_cookie(&gate.enter(&gate.link().unwrap()).unwrap());
    assert_eq!(gate.shown(&request("GET", headers.clone())), Some(OwnerAuth::Session));
    assert_eq!(gate.shown(&request("POST", headers.clone())), None);
    let mut upgrade = headers.clone();
    upgrade.insert(header::UPGRADE, HeaderValue::from_static("mcp"));
    assert_eq!(gate.shown(&request("GET", upgrade)), None);
    let mut forged = headers.clone();
    forged.insert(CSRF_HEADER, HeaderValue::from_static("guessed"));
    assert_eq!(gate.shown(&request("POST", forged)), None);
    let mut own = headers.clone();
    own.insert(CSRF_HEADER, gate.form(&headers).unwrap().parse().unwrap());
    assert_eq!(gate.shown(&request("POST", own)), Some(OwnerAuth::Session));
    gate.leave(&headers);
    assert_eq!(gate.shown(&request("GET", headers)), None);
}

#[test]
fn a_wrong_token_is_not_rescued_by_a_session() {
    let gate = gate();
    let mut headers = with_cookie(&gate.enter(&gate.link().unwrap()).unwrap());
    headers.insert(header::AUTHORIZATION, HeaderValue::from_static("Bearer wrong"));
    assert_eq!(gate.shown(&request("GET", headers.clone())), None);
    headers.insert(header::AUTHORIZATION, HeaderValue::from_static("bearer secret"));
    assert_eq!(gate.shown(&request("POST", headers)), Some(OwnerAuth::Token));
}
