use axum::http::{HeaderMap, HeaderValue};

use super::*;

fn authenticator() -> Authenticator {
    let address = SocketAddr::from(([127, 0, 0, 1], 7411));
    Authenticator::new(OwnerToken::new("secret"), address)
}

fn request(method: &str, headers: &HeaderMap) -> Request {
    let mut request = Request::builder()
        .method(method)
        .uri("/v1/approvals")
        .body(axum::body::Body::empty())
        .unwrap();
    *request.headers_mut() = headers.clone();
    request
}

fn auth(authenticator: &Authenticator, method: &str, headers: &HeaderMap) -> Option<OwnerAuth> {
    authenticator.owner(&request(method, headers)).map(|owner| owner.auth)
}

#[test]
fn a_wrong_token_is_not_rescued_by_a_session() {
    let authenticator = authenticator();
    let sessions = &authenticator.sessions;
    let cookie = sessions.enter(&sessions.link().unwrap()).unwrap();
    let pair = cookie.to_str().unwrap().split(';').next().unwrap();
    let mut headers =
        HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_str(pair).unwrap())]);
    assert_eq!(auth(&authenticator, "GET", &headers), Some(OwnerAuth::Session));
    assert_eq!(auth(&authenticator, "POST", &headers), None);
    headers.insert(header::AUTHORIZATION, HeaderValue::from_static("Bearer wrong"));
    assert_eq!(auth(&authenticator, "GET", &headers), None);
    headers.insert(header::AUTHORIZATION, HeaderValue::from_static("bearer secret"));
    assert_eq!(auth(&authenticator, "POST", &headers), Some(OwnerAuth::Token));
}

#[test]
fn only_the_owner_has_more_roles_than_an_agent() {
    use crate::model::Role::{Admin, Agent, Approver};
    assert_eq!(agent().roles, [Agent].into());
    assert_eq!(stdio_agent().roles, [Agent].into());
    assert_eq!(anonymous().roles, [].into());
    let headers =
        HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static("Bearer secret"))]);
    let owner = authenticator().owner(&request("GET", &headers)).unwrap();
    assert_eq!(owner.principal.roles, [Agent, Approver, Admin].into());
}
