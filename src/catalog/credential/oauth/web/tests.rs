use super::*;
use crate::catalog::http::config::HttpAccess;

fn web(allow_private: bool, server: &str, issuer: Option<&str>) -> OAuthHttp {
    let config = OAuthConfig {
        upstream: "up".to_owned(),
        server: Some(server.to_owned()),
        client_credentials: false,
        client_id: None,
        client_secret: None,
        scopes: Vec::new(),
        issuer: issuer.map(str::to_owned),
        endpoints: None,
        resource: None,
        redirect_port: None,
    };
    OAuthHttp::new(HttpAccess { allow_private, ..HttpAccess::default() }.address_policy(), &config)
}

#[test]
fn secrets_go_to_encrypted_addresses_and_to_private_ones_that_the_owner_named() {
    let public = web(false, "https://mcp.example/", None);
    assert!(public.endpoint("https://as.example/token").is_ok());
    assert!(public.endpoint("http://as.example/token").unwrap_err().contains("not encrypted"));
    assert!(
        public
            .endpoint("https://10.0.0.1/token")
            .unwrap_err()
            .contains("set `allow_private = true`")
    );
    let private = web(true, "http://10.0.0.1:8080/mcp", Some("http://10.0.0.2/realm"));
    for named in ["http://10.0.0.1:8080/token", "http://10.0.0.2/token", "https://as.example/token"]
    {
        assert!(private.endpoint(named).is_ok(), "{named}");
    }
    for other in ["https://10.0.0.3/token", "https://10.0.0.1:9/token"] {
        assert!(private.endpoint(other).unwrap_err().contains("write the `issuer`"), "{other}");
    }
    for clear in ["http://10.0.0.3/token", "http://as.example/token"] {
        assert!(private.endpoint(clear).unwrap_err().contains("not encrypted"), "{clear}");
    }
    // A name is judged where the connection is made: one that is named and public gets nothing in
    // clear.
    let moved = web(true, "http://1.1.1.1/mcp", None);
    assert!(
        moved
            .endpoint("http://1.1.1.1/token")
            .unwrap_err()
            .contains("the request is not encrypted")
    );
}
