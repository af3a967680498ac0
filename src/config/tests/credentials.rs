//! Tests of credentials: their forms, and what is wrong with one.

use super::*;
use crate::model::ApiKey;

#[test]
fn a_credential_is_a_reference_in_each_of_its_forms() {
    let folder = Folder::with(
        "[upstreams.z]\ncommand = \"x\"\nenv = { A = { secret = \"A\" }, B = { file = \"b\" } }\n\
         [upstreams.a]\nurl = \"https://h/\"\nauth = { bearer = { file = \"token\" } }\n\
         [upstreams.b]\nurl = \"https://h/\"\nauth = { basic = { user = \"me\", password = { \
        keychain = \"svc/acc/x\" } } }\n\
         [upstreams.c]\nurl = \"https://h/\"\nauth = { api_key = { query = \"key\", value = { \
        secret = \"C\" } } }\n\
         [upstreams.d]\nurl = \"https://h/\"\nauth = { api_key = { cookie = \"sid\", value = { \
        env = \"D\" } } }\n\
         [upstreams.e]\nurl = \"https://h/\"\n[upstreams.e.auth.oauth]\ngrant \
        = \"client_credentials\"\nclient_id = \"me\"\n\
         client_secret = { env = \"D\" }\ntoken_url = \"https://as/token\"\nscopes = [\"x\"]\n",
    );
    let config = folder.load(&[("D", "hunter2")], &[]).unwrap();
    let credential = |at: usize| config.upstreams[at].access.clone().expect("a URL").credential;
    let key = |place, name: &str, value| {
        Credential::ApiKeys(vec![ApiKey { place, name: name.into(), value }])
    };
    let hunter = SecretSource::Value("hunter2".into());
    assert_eq!(
        credential(0),
        Credential::Bearer(SecretSource::File(folder.0.path().join("token")))
    );
    let entry = SecretSource::Keychain { service: "svc".into(), account: "acc/x".into() };
    assert_eq!(credential(1), Credential::Basic { user: "me".into(), password: entry });
    assert_eq!(credential(2), key(KeyPlace::Query, "key", SecretSource::Stored("C".into())));
    assert_eq!(credential(3), key(KeyPlace::Cookie, "sid", hunter.clone()));
    let Credential::OAuth(oauth) = credential(4) else { panic!("OAuth was written") };
    assert!(oauth.client_credentials && oauth.client_secret == Some(hunter));
    assert_eq!(oauth.endpoints.unwrap().1.as_str(), "https://as/token");
    let shown = serde_json::to_string(&config.settings).unwrap();
    assert!(
        !shown.contains("hunter2")
            && shown.contains("svc/acc/x")
            && shown.contains(r#"{"secret":"C"}"#),
        "{shown}"
    );
    let Transport::Stdio { env_secret, .. } = &config.upstreams[5].transport else {
        panic!("a program was given")
    };
    assert_eq!(env_secret["A"], SecretSource::Stored("A".into()));
    assert_eq!(env_secret["B"], SecretSource::File(folder.0.path().join("b")));
    assert_eq!(config.secrets.file, config.store.path.with_file_name("airlock.db.secrets"));
    assert_eq!(
        config.secrets.key,
        SecretKey::File(folder.0.path().join("home/.config/airlock/secrets.key"))
    );
}

#[test]
fn a_literal_secret_and_an_invalid_credential_are_rejected_with_a_hint() {
    let upstream =
        |auth: &str| problems_of(&format!("[upstreams.a]\nurl = \"https://h/\"\nauth = {auth}\n"));
    insta::assert_snapshot!(upstream("{ bearer = \"hunter2\" }"), @r#"
    the configuration has a problem
      airlock.toml:3: `upstreams.a.auth` contains a literal secret, which does not belong in this file; store it with `airlock secrets set NAME` and write `{ secret = "NAME" }`; or write `{ env = "NAME" }`, `{ file = "PATH" }` or `{ keychain = "SERVICE/ACCOUNT" }`
    "#);
    for (auth, expected) in [
        ("{ basic = { user = \"me\", password = \"hunter2\" } }", "contains a literal secret"),
        ("{ bearer = \"${X_TOKEN}\" }", "write `{ env = \"X_TOKEN\" }`"),
        ("{ bearer = \"Bearer $X_TOKEN\" }", "write `{ env = \"X_TOKEN\" }`"),
        ("{ basic = { user = \"me\", password = \"${env:PW}\" } }", "write `{ env = \"PW\" }`"),
        (
            "{ api_key = { value = { env = \"X\" } } }",
            "exactly one of `header`, `query`, `cookie` and `field`",
        ),
        (
            "{ api_key = { header = \"a\", query = \"b\", value = { secret = \"X\" } } }",
            "exactly one of",
        ),
        (
            "{ api_key = { header = \"a b\", value = { secret = \"X\" } } }",
            "is not a valid name of a header",
        ),
        ("{ api_key = [] }", "has 0 API keys; allowed: 1 to 8"),
        (
            "{ api_key = [{ query = \"k\", value = { secret = \"X\" } }, { query = \"k\", value = { \
            secret = \"Y\" } }] }",
            "has two API keys with the name `k`",
        ),
        ("{ api_key = [{ query = \"k\", value = \"hunter2\" }] }", "contains a literal secret"),
        ("{ bearer = { keychain = \"alone\" } }", "SERVICE/ACCOUNT"),
        ("{ bearers = { env = \"X\" } }", "allowed: `{ bearer = SECRET }`"),
        ("{ oauth = { grant = \"client_credentials\" } }", "needs `client_id` and `client_secret`"),
        (
            "{ oauth = { client_id = \"x\", client_secret = { secret = \"X\" } } }",
            "set `issuer` or `token_url`",
        ),
        ("{ oauth = { token_url = \"https://as/t\", client_id = \"x\" } }", "together, or neither"),
        ("{ oauth = { issuer = \"ftp://as/\" } }", "`issuer` in `upstreams.a.auth` is not a URL"),
    ] {
        let error = upstream(auth);
        assert!(error.contains(expected) && !error.contains("hunter2"), "{auth}: {error}");
    }
    let both = problems_of("[secrets]\nkey_file = \"a\"\nkey_env = \"B\"\n");
    assert!(both.contains("both `key_file` and `key_env`"), "{both}");
}
