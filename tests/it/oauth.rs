//! OAuth against an authorization server: allowed once in a browser, renewed without a word, told
//! when it is withdrawn.

mod odd_servers;

use std::{process::Stdio, time::Duration};

use airlock::catalog::{
    self, Catalog, Credential, HttpAccess, HttpConfig, OAuthConfig, SecretSource, SharedResources,
    UpstreamConfig, UpstreamErrorCode, UpstreamKind, UpstreamState, Vault, VaultKey,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Child,
};

use crate::{
    cli::{place, say},
    support::{
        authority::{Authority, Ledger},
        server::airlock,
        upstream::{PATIENCE, environment, open},
    },
};

fn vault(folder: &TempDir) -> Vault {
    Vault::new(
        folder.path().join("airlock.db.secrets"),
        VaultKey::File(folder.path().join("secrets.key")),
    )
}

fn oauth(authority: &Authority) -> OAuthConfig {
    OAuthConfig {
        upstream: "notes".to_owned(),
        server: Some(authority.mcp()),
        client_credentials: false,
        client_id: None,
        client_secret: None,
        scopes: Vec::new(),
        issuer: None,
        endpoints: None,
        resource: None,
        redirect_port: None,
    }
}

fn upstream(authority: &Authority, folder: &TempDir, oauth: OAuthConfig) -> UpstreamConfig {
    let shared = SharedResources { vault: Some(vault(folder)), ..SharedResources::default() };
    let access = HttpAccess {
        credential: Credential::OAuth(oauth),
        allow_private: true,
        shared,
        ..HttpAccess::default()
    };
    UpstreamConfig::new(
        "notes".parse().unwrap(),
        UpstreamKind::McpHttp(HttpConfig { url: authority.mcp(), access }),
    )
}

/// A browser whose owner allows everything: follows the page to where it leads.
async fn allow(page: &str) -> reqwest::Response {
    tokio::time::timeout(PATIENCE, reqwest::get(page))
        .await
        .expect("the browser is answered")
        .unwrap()
}

async fn log_in(authority: &Authority, folder: &TempDir) -> Result<(), String> {
    let login = catalog::login(upstream(authority, folder, oauth(authority))).await?;
    let page = login.url().to_string();
    let (finished, _) = tokio::join!(login.finish(), allow(&page));
    finished
}

async fn start(config: UpstreamConfig) -> Catalog {
    let catalog = Catalog::start(vec![config], &environment());
    assert!(catalog.settled(PATIENCE).await);
    catalog
}

async fn call(catalog: &Catalog) -> Result<Value, airlock::catalog::UpstreamError> {
    let tool = catalog.resolve("notes.t", &open).await.unwrap_or_else(|error| panic!("{error}"));
    let args = catalog.check(&tool, "{}").await.unwrap();
    catalog.call(&tool, args).await.map(|json| serde_json::from_str(json.get()).unwrap())
}

/// The URL that a login prints, and everything that it printed up to there.
async fn login_page(child: &mut Child) -> (String, String) {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut told = String::new();
    loop {
        let line = tokio::time::timeout(PATIENCE, lines.next_line())
            .await
            .expect("the page is told")
            .unwrap()
            .expect("a page");
        told.push_str(&line);
        if line.trim().starts_with("http") {
            return (line.trim().to_owned(), told);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_allows_it_once_in_a_browser_and_no_token_is_ever_shown() {
    let authority = Authority::start(Ledger::default()).await;
    let folder = place(&format!(
        "[secrets]\nkey_file = \"secrets.key\"\n[upstreams.notes]\nurl = \"{}\"\nallow_private = \
        true\nauth = {{ oauth = {{}} }}\n",
        authority.mcp()
    ));
    let config = folder.path().join("airlock.toml");
    let before = say(&config, &["upstreams", "check", "--json"], "").await;
    assert_eq!(before.code, Some(1), "{}{}", before.out, before.beside);
    let message = before.json()[0]["message"].as_str().unwrap().to_owned();
    assert!(
        message.contains("nobody has allowed it yet; run `airlock upstreams login notes`"),
        "{message}"
    );

    let mut child = airlock(&config)
        .args(["upstreams", "login", "notes"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (page, told) = login_page(&mut child).await;
    for part in [
        "code_challenge_method=S256",
        "response_type=code",
        "client_id=client-1",
        "scope=notes",
        "&resource=",
    ] {
        assert!(page.contains(part), "{page}");
    }
    // Whoever knocks without knowing the state does not end the login.
    let redirect = url::Url::parse(&page).unwrap();
    let redirect =
        redirect.query_pairs().find(|(name, _)| name == "redirect_uri").unwrap().1.into_owned();
    assert_eq!(allow(&format!("{redirect}?code=stolen&state=guessed")).await.status(), 404);
    let shown = allow(&page).await;
    assert_eq!(shown.status(), 200);
    assert!(shown.text().await.unwrap().contains("You can close this page"));
    assert!(
        tokio::time::timeout(PATIENCE, child.wait()).await.expect("it ends").unwrap().success()
    );
    {
        let ledger = authority.ledger();
        assert_eq!(ledger.registered[0]["redirect_uris"], json!([redirect]));
        assert_eq!(ledger.asked[0]["resource"], authority.mcp());
    }
    let after = say(&config, &["upstreams", "check"], "").await;
    assert_eq!(after.code, Some(0), "{}{}", after.out, after.beside);
    assert!(after.out.contains("mcp 1 tool"), "{}", after.out);
    let kept = std::fs::read_to_string(folder.path().join("airlock.db.secrets")).unwrap();
    for text in [&told, &after.out, &after.beside, &kept] {
        assert!(
            !text.contains("at-0000") && !text.contains("rt-0000") && !text.contains("sec-client"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_token_that_is_refused_is_renewed_once_for_many_calls_and_blanked_in_answers() {
    let authority = Authority::start(Ledger::default()).await;
    let folder = tempfile::tempdir().unwrap();
    log_in(&authority, &folder).await.unwrap();
    let catalog = start(upstream(&authority, &folder, oauth(&authority))).await;
    assert_eq!(call(&catalog).await, Ok(json!("called with Bearer [redacted]")));
    authority.ledger().withdraw_access();
    let calls = futures::future::join_all((0..8).map(|_| call(&catalog))).await;
    for answer in calls {
        assert_eq!(answer, Ok(json!("called with Bearer [redacted]")));
    }
    assert_eq!(authority.ledger().times("refresh_token"), 1);
    let resources: Vec<_> =
        authority.ledger().asked.iter().map(|fields| fields["resource"].clone()).collect();
    assert_eq!(resources, [authority.mcp(), authority.mcp()]);
    catalog.shutdown().await;
    // What was renewed is kept: the next server goes on with it.
    let catalog = start(upstream(&authority, &folder, oauth(&authority))).await;
    assert_eq!(call(&catalog).await, Ok(json!("called with Bearer [redacted]")));
    assert_eq!(authority.ledger().times("refresh_token"), 1);
    catalog.shutdown().await;
}

#[tokio::test]
async fn a_token_that_is_about_to_end_is_renewed_before_it_is_refused() {
    let authority = Authority::start(Ledger { lasts: Some(5), ..Ledger::default() }).await;
    let folder = tempfile::tempdir().unwrap();
    log_in(&authority, &folder).await.unwrap();
    authority.ledger().lasts = None;
    let catalog = start(upstream(&authority, &folder, oauth(&authority))).await;
    assert_eq!(call(&catalog).await, Ok(json!("called with Bearer [redacted]")));
    assert_eq!(authority.ledger().times("refresh_token"), 1);
    catalog.shutdown().await;
}

#[tokio::test]
async fn access_that_was_withdrawn_is_told_with_the_way_out_and_works_again_after_a_login() {
    let authority = Authority::start(Ledger::default()).await;
    let folder = tempfile::tempdir().unwrap();
    log_in(&authority, &folder).await.unwrap();
    let catalog = start(upstream(&authority, &folder, oauth(&authority))).await;
    assert!(call(&catalog).await.is_ok());
    authority.ledger().withdraw_all();
    let error = call(&catalog).await.unwrap_err();
    assert_eq!(error.code, UpstreamErrorCode::Unavailable, "{error:?}");
    assert!(
        error.message.contains("is withdrawn")
            && error.message.contains("airlock upstreams login notes"),
        "{error:?}"
    );
    assert!(!error.message.contains("rt-"), "{error:?}");
    log_in(&authority, &folder).await.unwrap();
    let began = std::time::Instant::now();
    while let Err(error) = call(&catalog).await {
        assert!(began.elapsed() < PATIENCE, "{error:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    catalog.shutdown().await;
}

#[tokio::test]
async fn a_service_that_refuses_every_token_does_not_get_a_new_one_for_each_call() {
    let authority = Authority::start(Ledger::default()).await;
    let folder = tempfile::tempdir().unwrap();
    log_in(&authority, &folder).await.unwrap();
    let catalog = start(upstream(&authority, &folder, oauth(&authority))).await;
    assert!(call(&catalog).await.is_ok());
    authority.ledger().refuses_all = true;
    for _ in 0..20 {
        assert!(call(&catalog).await.is_err());
    }
    let renewed = authority.ledger().times("refresh_token");
    assert!((1..=6).contains(&renewed), "{renewed} tokens were fetched");
    catalog.shutdown().await;
}

#[tokio::test]
async fn a_client_may_speak_for_itself() {
    let authority = Authority::start(Ledger::default()).await;
    let folder = tempfile::tempdir().unwrap();
    vault(&folder).set("ROBOT", "sec-robot-1234").unwrap();
    let robot = OAuthConfig {
        client_credentials: true,
        client_id: Some("robot".to_owned()),
        client_secret: Some(SecretSource::Stored("ROBOT".to_owned())),
        issuer: Some(authority.url().to_owned()),
        ..oauth(&authority)
    };
    let catalog = start(upstream(&authority, &folder, robot.clone())).await;
    assert_eq!(call(&catalog).await, Ok(json!("called with Bearer [redacted]")));
    authority.ledger().withdraw_access();
    assert_eq!(call(&catalog).await, Ok(json!("called with Bearer [redacted]")));
    assert_eq!(authority.ledger().times("client_credentials"), 2);
    catalog.shutdown().await;

    // Whom the service names is not who the secret is for.
    let strayed =
        start(upstream(&authority, &folder, OAuthConfig { issuer: None, ..robot.clone() })).await;
    let message = strayed.status().remove(0).message.unwrap();
    assert!(message.contains("does not name the `issuer`"), "{message}");
    assert_eq!(authority.ledger().times("client_credentials"), 2);
    strayed.shutdown().await;

    vault(&folder).set("ROBOT", "sec-wrong-1234").unwrap();
    let catalog = start(upstream(&authority, &folder, robot)).await;
    let status = catalog.status().remove(0);
    assert_eq!(status.status, UpstreamState::Failed);
    let message = status.message.unwrap();
    assert!(message.ends_with("refuses: invalid_grant") && !message.contains("sec-"), "{message}");
    catalog.shutdown().await;
}

#[tokio::test]
async fn a_server_that_is_not_who_it_says_or_checks_no_proof_gets_no_code() {
    for (ledger, word) in [
        (
            Ledger { issuer: Some("https://other.example".to_owned()), ..Ledger::default() },
            "issuer mismatch",
        ),
        (
            Ledger { answers_as: Some("https://evil.example".to_owned()), ..Ledger::default() },
            "https://evil.example",
        ),
        (Ledger { without_pkce: true, ..Ledger::default() }, "PKCE"),
    ] {
        let authority = Authority::start(ledger).await;
        let folder = tempfile::tempdir().unwrap();
        let error = log_in(&authority, &folder).await.unwrap_err();
        assert!(error.contains(word), "{error}");
        assert_eq!(authority.ledger().asked.len(), 0, "no code was redeemed");
    }
}

#[tokio::test]
async fn a_token_for_one_service_is_not_shown_to_another_of_the_same_name() {
    let (first, second) =
        (Authority::start(Ledger::default()).await, Authority::start(Ledger::default()).await);
    let folder = tempfile::tempdir().unwrap();
    log_in(&first, &folder).await.unwrap();
    let catalog = start(upstream(&second, &folder, oauth(&second))).await;
    let message = catalog.status().remove(0).message.unwrap();
    assert!(message.contains("granted for another address"), "{message}");
    catalog.shutdown().await;
}

#[tokio::test]
async fn an_authorization_server_on_a_private_address_is_not_asked_unless_that_is_allowed() {
    let authority = Authority::start(Ledger::default()).await;
    let folder = tempfile::tempdir().unwrap();
    let endpoints =
        (Some(format!("{}/authorize", authority.url())), format!("{}/token", authority.url()));
    let named = OAuthConfig {
        client_id: Some("me".to_owned()),
        endpoints: Some(endpoints),
        ..oauth(&authority)
    };
    let mut config = upstream(&authority, &folder, named);
    let UpstreamKind::McpHttp(http) = &mut config.kind else { unreachable!("made above") };
    http.access.allow_private = false;
    let error = catalog::login(config).await.err().expect("refused");
    assert!(error.contains("not encrypted"), "{error}");
    assert!(authority.ledger().asked.is_empty());
}
