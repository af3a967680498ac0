use super::*;

fn allowed(hosts: &[&str], origins: &[&str]) -> HostPolicy {
    let owned = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
    HostPolicy::new("127.0.0.1:7411".parse().unwrap(), &owned(hosts), &owned(origins))
}

fn check(allowed: &HostPolicy, host: &str, origin: Option<&str>, lets_in: bool) {
    let mut headers = HeaderMap::new();
    headers.insert(header::HOST, host.parse().unwrap());
    if let Some(origin) = origin {
        headers.insert(header::ORIGIN, origin.parse().unwrap());
    }
    let refused = allowed.refuses(&Uri::from_static("/mcp"), &headers);
    assert_eq!(refused.is_none(), lets_in, "{host} {origin:?}: {refused:?}");
}

#[test]
fn hosts_match_by_name_and_by_port_where_one_is_given() {
    let allowed = allowed(&["airlock.example", "other.example:8443"], &[]);
    check(&allowed, "LOCALHOST:1", None, true);
    check(&allowed, "[::1]", None, true);
    check(&allowed, "airlock.example:9", None, true);
    check(&allowed, "other.example:8443", None, true);
    check(&allowed, "other.example", None, false);
    check(&allowed, "localhost.", None, false);
    check(&allowed, "127.0.0.2", None, false);
    check(&allowed, "user@evil.example", None, false);
}

#[test]
fn origins_match_whole() {
    let allowed = allowed(&[], &["https://app.example", "http://dev.example:*"]);
    check(&allowed, "localhost", Some("http://localhost:7411"), true);
    check(&allowed, "localhost", Some("http://[::1]:7411"), true);
    check(&allowed, "localhost", Some("http://localhost"), false);
    check(&allowed, "localhost", Some("https://app.example:443"), true);
    check(&allowed, "localhost", Some("HTTPS://App.Example"), true);
    check(&allowed, "localhost", Some("http://app.example"), false);
    check(&allowed, "localhost", Some("http://dev.example:1"), true);
    check(&allowed, "localhost", Some("http://dev.example:1x"), false);
    check(&allowed, "localhost", Some("http://dev.example:*"), false);
    check(&allowed, "localhost", Some("null"), false);
}

#[test]
fn origins_that_are_no_web_addresses_match_only_where_they_are_named() {
    let odd = ["null", "file://", "vscode-file://vscode-app", "app://-", "capacitor://localhost"];
    let (none, all) = (allowed(&[], &[]), allowed(&[], &odd));
    for origin in odd {
        check(&none, "localhost", Some(origin), false);
        check(&all, "localhost", Some(origin), true);
        check(&all, "localhost", Some(&format!("{origin}x")), false);
    }
    for other in
        ["file:///etc/passwd", "app://--", "vscode-file://other", "capacitor://localhost:1"]
    {
        check(&all, "localhost", Some(other), false);
    }
}

#[test]
fn a_refused_origin_is_named_with_the_key_and_cut() {
    let allowed = allowed(&[], &[]);
    let refusal = |origin: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, "localhost".parse().unwrap());
        headers.insert(header::ORIGIN, origin.parse().unwrap());
        allowed.refuses(&Uri::from_static("/mcp"), &headers).unwrap()
    };
    let refused = refusal("capacitor://localhost");
    assert!(refused.message.contains("\"capacitor://localhost\""), "{}", refused.message);
    assert!(refused.hint.contains("server.allowed_origins"));
    assert!(refusal(&format!("https://{}", "x".repeat(5000))).message.len() < 300);
}

#[test]
fn a_server_on_an_address_answers_to_it() {
    let allowed = HostPolicy::new("192.0.2.7:80".parse().unwrap(), &[], &[]);
    check(&allowed, "192.0.2.7:80", Some("http://192.0.2.7:80"), true);
    check(&allowed, "192.0.2.8:80", None, false);
    let everywhere = HostPolicy::new("0.0.0.0:80".parse().unwrap(), &[], &[]);
    check(&everywhere, "0.0.0.0:80", None, false);
}
