use http::HeaderValue;

use super::*;
use crate::catalog::http::config::{HttpAccess, SharedResources};

fn follow(
    from: &str,
    method: Method,
    status: u16,
    to: &str,
) -> Result<Option<(String, String, bool)>, String> {
    let shared = SharedResources {
        own: vec!["127.0.0.1:7411".parse().unwrap()],
        ..SharedResources::default()
    };
    let headers = HeaderMap::from_iter([(LOCATION, HeaderValue::try_from(to).unwrap())]);
    let status = StatusCode::from_u16(status).unwrap();
    let from = Url::parse(from).unwrap();
    // What is private is allowed where the owner named it.
    let allow_private = from.scheme() == "http";
    let addresses = HttpAccess { shared, allow_private, ..HttpAccess::default() }.address_policy();
    let hop = next(&from, (&method, false), status, &headers, &addresses, &[from.origin()]);
    let hop =
        hop.map(|hop| hop.map(|hop| (hop.url.to_string(), hop.method.to_string(), hop.with_body)));
    hop.map_err(|failure| failure.to_string())
}

fn to(url: &str, method: &str, with_body: bool) -> Result<Option<(String, String, bool)>, String> {
    Ok(Some((url.to_owned(), method.to_owned(), with_body)))
}

const FROM: &str = "https://api.example/a/b";

#[test]
fn a_redirect_is_followed_when_it_says_the_same_thing_elsewhere() {
    for status in [301, 302, 307, 308] {
        assert_eq!(
            follow(FROM, Method::GET, status, "/c"),
            to("https://api.example/c", "GET", true)
        );
        assert_eq!(
            follow(FROM, Method::HEAD, status, "c"),
            to("https://api.example/a/c", "HEAD", true)
        );
        assert_eq!(
            follow(FROM, Method::GET, status, "https://cdn.example/c"),
            to("https://cdn.example/c", "GET", false)
        );
    }
    assert_eq!(follow(FROM, Method::POST, 303, "/c"), to("https://api.example/c", "GET", false));
    assert_eq!(follow(FROM, Method::POST, 307, "/c"), to("https://api.example/c", "POST", true));
    assert_eq!(
        follow(FROM, Method::DELETE, 308, "/c"),
        to("https://api.example/c", "DELETE", true)
    );
    assert_eq!(
        follow("http://api.example/", Method::GET, 301, "https://api.example/"),
        to("https://api.example/", "GET", true)
    );
    assert_eq!(
        follow(FROM, Method::GET, 302, "https://me:pw@api.example/c#x"),
        to("https://api.example/c", "GET", true)
    );
}

#[test]
fn a_redirect_that_would_change_what_is_done_is_an_answer() {
    for status in [301, 302] {
        assert_eq!(follow(FROM, Method::POST, status, "/c"), Ok(None));
        assert_eq!(follow(FROM, Method::DELETE, status, "/c"), Ok(None));
    }
    assert_eq!(follow(FROM, Method::GET, 304, "/c"), Ok(None));
    // Where it leads is told without what may be secret in it.
    let told = |to: &str| {
        let headers = HeaderMap::from_iter([(LOCATION, HeaderValue::try_from(to).unwrap())]);
        location(&Url::parse(FROM).unwrap(), &headers)
    };
    assert_eq!(told("../graphql/?key=s#x").as_deref(), Some("https://api.example/graphql/"));
    assert_eq!(told("https://me:pw@new.example/v2").as_deref(), Some("https://new.example/v2"));
    assert_eq!((told("file:///etc"), told("http://")), (None, None));
}

#[test]
fn a_redirect_is_refused_where_it_leads_out_of_bounds() {
    let refused = |method: Method, status, to: &str| follow(FROM, method, status, to).unwrap_err();
    insta::assert_snapshot!(refused(Method::GET, 302, "http://api.example/"), @"it redirects from \
        https to `http://api.example`, which is not encrypted");
    insta::assert_snapshot!(refused(Method::POST, 307, "https://evil.example/"), @"it redirects a \
        `POST` to another origin, `https://evil.example/`; if that is its new address, set it in the \
        configuration");
    insta::assert_snapshot!(refused(Method::GET, 302, "https://127.0.0.1/"), @"it redirects to \
        `https://127.0.0.1`: `127.0.0.1` is a loopback address; set `allow_private = true` for \
        the upstream if it is meant to be there");
    insta::assert_snapshot!(refused(Method::GET, 302, "https://[::ffff:169.254.169.254]/"), @"it \
        redirects to `https://[::ffff:a9fe:a9fe]`: `::ffff:169.254.169.254` is a link-local \
        address, as metadata of cloud machines has, to which Airlock never connects");
    insta::assert_snapshot!(refused(Method::GET, 302, "https://api.example:7411/"), @"it \
        redirects to `https://api.example:7411`, a port of this server itself");
    let at_home = follow("http://10.0.0.1/", Method::GET, 302, "/c");
    assert_eq!(at_home, to("http://10.0.0.1/c", "GET", true));
    let neighbour =
        follow("http://10.0.0.1/", Method::GET, 302, "http://10.0.0.1:8080/").unwrap_err();
    insta::assert_snapshot!(neighbour, @"it redirects to `http://10.0.0.1:8080`: `10.0.0.1` is a \
        private address; `allow_private` of the upstream holds for the origin that is configured, \
        not for others");
    insta::assert_snapshot!(follow("http://api.example/", Method::GET, 302, "file:///etc/passwd").unwrap_err(), @"it redirects to `null`: the scheme \
        `file` is not supported");
}
