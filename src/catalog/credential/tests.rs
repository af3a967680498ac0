use super::*;
use crate::catalog::http::config::HttpAccess;

async fn sent(
    credential: Credential,
    url: &str,
    headers: &[(&'static str, &'static str)],
) -> (String, Vec<(String, String)>, Secrets) {
    let secrets = Secrets::default();
    let credentials =
        HttpAccess { credential, ..HttpAccess::default() }.credential_provider(secrets.clone());
    let mut map: HeaderMap = headers
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect();
    let mut url = Url::parse(url).unwrap();
    if let Some(request_credential) = credentials.request_credential().await.unwrap() {
        request_credential.put(&mut map, &mut url).unwrap();
    }
    let map = map
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    (url.to_string(), map, secrets)
}

fn value(text: &str) -> SecretSource {
    SecretSource::Value(text.to_owned())
}

fn key(place: KeyPlace, name: &str) -> Credential {
    Credential::ApiKeys(vec![ApiKey { place, name: name.to_owned(), value: value("tok 123456") }])
}

fn header(name: &str, value: &str) -> Vec<(String, String)> {
    vec![(name.to_owned(), value.to_owned())]
}

#[tokio::test]
async fn each_credential_stands_where_it_belongs_and_over_what_an_argument_put_there() {
    let url = "https://h.example/a";
    assert_eq!(sent(Credential::None, url, &[]).await.1, []);
    let (_, headers, _) =
        sent(Credential::Bearer(value("tok-123456")), url, &[("authorization", "mine")]).await;
    assert_eq!(headers, header("authorization", "Bearer tok-123456"));
    let basic = Credential::Basic { user: "me".to_owned(), password: value("tok-123456") };
    let (_, headers, secrets) = sent(basic, url, &[]).await;
    assert_eq!(headers, header("authorization", "Basic bWU6dG9rLTEyMzQ1Ng=="));
    assert_eq!(secrets.redact("bWU6dG9rLTEyMzQ1Ng== tok-123456"), "[redacted] [redacted]");
    let (_, headers, _) = sent(key(KeyPlace::Header, "X-Key"), url, &[("x-key", "mine")]).await;
    assert_eq!(headers, header("x-key", "tok 123456"));
    let (url, ..) =
        sent(key(KeyPlace::Query, "key"), "https://h.example/a?key=mine&q=a+b", &[]).await;
    assert_eq!(url, "https://h.example/a?q=a+b&key=tok+123456");
    let written = "https://h.example/a?ids=1,2&q=a:b/c,d&t=x%20y&flag&%6bey=mine&e=";
    let (url, ..) = sent(key(KeyPlace::Query, "key"), written, &[]).await;
    assert_eq!(url, "https://h.example/a?ids=1,2&q=a:b/c,d&t=x%20y&flag&e=&key=tok+123456");
    let (url, ..) = sent(key(KeyPlace::Query, "key"), "https://h.example/a", &[]).await;
    assert_eq!(url, "https://h.example/a?key=tok+123456");
    let (_, headers, _) = sent(
        key(KeyPlace::Cookie, "sid"),
        "https://h.example/a",
        &[("cookie", "sid=mine; theme=dark")],
    )
    .await;
    assert_eq!(headers, header("cookie", "theme=dark; sid=tok 123456"));
}

#[tokio::test]
async fn several_keys_go_with_one_request_and_each_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).unwrap();
        SecretSource::File(folder.path().join(name))
    };
    let keys = [
        (KeyPlace::Query, "key", file("key", "key-111111")),
        (KeyPlace::Query, "token", file("token", "tok-111111")),
        (KeyPlace::Header, "x-app", value("app-111111")),
        (KeyPlace::Field, "sign", value("sgn-111111")),
    ];
    let key = |(place, name, value): (_, &str, _)| ApiKey { place, name: name.to_owned(), value };
    let credential = Credential::ApiKeys(keys.map(key).to_vec());
    let secrets = Secrets::default();
    let provider =
        HttpAccess { credential, ..HttpAccess::default() }.credential_provider(secrets.clone());
    let first = provider.request_credential().await.unwrap().unwrap();
    let mut url = Url::parse("https://h.example/a?token=mine&q=1").unwrap();
    let mut headers = HeaderMap::new();
    first.put(&mut headers, &mut url).unwrap();
    assert_eq!(url.as_str(), "https://h.example/a?q=1&key=key-111111&token=tok-111111");
    assert_eq!(headers["x-app"], "app-111111");
    assert_eq!(first.fields().collect::<Vec<_>>(), [("sign", "sgn-111111")]);
    assert!(provider.renewed(&first).await.unwrap().is_none(), "they are the same still");
    file("token", "tok-222222");
    assert!(provider.request_credential().await.unwrap() == Some(first.clone()), "it is fresh");
    let second = provider.renewed(&first).await.unwrap().unwrap();
    second.put(&mut headers, &mut url).unwrap();
    assert_eq!(url.as_str(), "https://h.example/a?q=1&key=key-111111&token=tok-222222");
    let told = "key-111111 tok-111111 tok-222222 app-111111 sgn-111111";
    assert_eq!(secrets.redact(told), ["[redacted]"; 5].join(" "));
}

#[tokio::test]
async fn a_file_is_read_again_when_its_value_was_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "tok-111111\n# a comment\n").unwrap();
    let secrets = Secrets::default();
    let credential = Credential::Bearer(SecretSource::File(path.clone()));
    let credentials =
        HttpAccess { credential, ..HttpAccess::default() }.credential_provider(secrets.clone());
    let first = credentials.request_credential().await.unwrap().unwrap();
    assert_eq!(first.token(), Some("tok-111111"));
    assert!(credentials.renewed(&first).await.unwrap().is_none(), "it is the same still");
    std::fs::write(&path, "tok-222222").unwrap();
    assert!(
        credentials.request_credential().await.unwrap().unwrap() == first,
        "it is used for a while"
    );
    let renewed = credentials.renewed(&first).await.unwrap().unwrap();
    assert_eq!(renewed.token(), Some("tok-222222"));
    assert_eq!(secrets.redact("tok-111111 tok-222222"), "[redacted] [redacted]");
    std::fs::write(&path, "\n").unwrap();
    let error = credentials.renewed(&first).await.err().unwrap();
    assert!(error.contains("is empty"), "{error}");
}

#[tokio::test]
async fn a_value_is_read_without_what_editors_and_shells_leave_around_it() {
    let url = "https://h.example/a";
    for token in [
        "tok-123456",
        "\u{feff}tok-123456",
        "tok-123456\r\n",
        "Bearer tok-123456",
        " bearer  tok-123456 ",
    ] {
        let (_, headers, secrets) = sent(Credential::Bearer(value(token)), url, &[]).await;
        assert_eq!(headers, header("authorization", "Bearer tok-123456"), "{token:?}");
        assert_eq!(secrets.redact("it is tok-123456"), "it is [redacted]", "{token:?}");
    }
    let api_key = |text: &str| {
        let (name, value) = ("x-key".to_owned(), value(text));
        Credential::ApiKeys(vec![ApiKey { place: KeyPlace::Header, name, value }])
    };
    let (_, headers, _) = sent(api_key("\u{feff}Bearer 123456\n"), url, &[]).await;
    assert_eq!(headers, header("x-key", "Bearer 123456"));
    for empty in ["", "  ", "\u{feff}", "\r\n"] {
        for credential in [Credential::Bearer(value(empty)), api_key(empty)] {
            let provider = HttpAccess { credential, ..HttpAccess::default() }
                .credential_provider(Secrets::default());
            let error = provider.request_credential().await.err().unwrap();
            assert!(error.contains("its value is empty"), "{empty:?}: {error}");
        }
    }
    // Some services take a key as the user, with an empty password.
    let basic = Credential::Basic { user: "me".to_owned(), password: value("") };
    assert_eq!(sent(basic, url, &[]).await.1, header("authorization", "Basic bWU6"));
}
