//! Upstreams behind addresses, and the commands that care for them: what is refused, what is sent,
//! what is written where.

use airlock::catalog::{
    ApiKey, Catalog, Credential, HttpAccess, HttpConfig, KeyPlace, SecretSource, SharedResources,
    StdioConfig, UpstreamConfig, UpstreamKind, UpstreamState, Vault, VaultKey,
};
use axum::{http::StatusCode, response::IntoResponse};
use serde_json::json;

use crate::{
    cli::{place, say},
    support::upstream::{
        PATIENCE, Scripted, environment, install_crypto, one_tool, open, result, stdio,
    },
};

fn up(url: &str, access: HttpAccess) -> UpstreamConfig {
    install_crypto();
    UpstreamConfig::new(
        "up".parse().unwrap(),
        UpstreamKind::McpHttp(HttpConfig { url: url.to_owned(), access }),
    )
}

async fn status(config: UpstreamConfig) -> (UpstreamState, String) {
    let catalog = Catalog::start(vec![config], &environment());
    assert!(catalog.settled(PATIENCE).await);
    let status = catalog.status().remove(0);
    catalog.shutdown().await;
    (status.status, status.message.unwrap_or_default())
}

/// A server whose tool `t` says how it was called.
async fn telling() -> Scripted {
    Scripted::start(|request| match request["method"].as_str() {
        Some("tools/list") => one_tool(request),
        _ => {
            let shown = request["authorization"].as_str().unwrap_or("nothing");
            result(
                request,
                json!({"content": [{"type": "text", "text": format!("called with {shown}")}]}),
            )
        }
    })
    .await
}

#[tokio::test]
async fn an_mcp_server_on_a_private_address_is_refused_with_the_way_out_until_it_is_allowed() {
    let server = telling().await;
    let by_name = format!("http://localhost:{}/mcp", server.address().port());
    for url in [server.url(), by_name.clone()] {
        let (state, message) = status(up(&url, HttpAccess::default())).await;
        assert_eq!(state, UpstreamState::Failed, "{url}");
        assert!(message.contains("a loopback address; set `allow_private = true`"), "{message}");
        let (state, message) =
            status(up(&url, HttpAccess { allow_private: true, ..HttpAccess::default() })).await;
        assert_eq!((state, message.as_str()), (UpstreamState::Ready, ""), "{url}");
    }
    let own = SharedResources { own: vec![server.address()], ..SharedResources::default() };
    for url in [server.url(), by_name] {
        let access =
            HttpAccess { allow_private: true, shared: own.clone(), ..HttpAccess::default() };
        let (state, message) = status(up(&url, access)).await;
        assert!(
            state == UpstreamState::Failed && message.contains("this server itself"),
            "{message}"
        );
    }
    let (_, message) = status(up(
        "http://169.254.169.254/mcp",
        HttpAccess { allow_private: true, ..HttpAccess::default() },
    ))
    .await;
    assert!(message.contains("never connects"), "{message}");
    server.stop().await;
}

#[tokio::test]
async fn an_mcp_server_that_redirects_elsewhere_gets_nothing_sent_there() {
    let (there, heard) =
        (telling().await, std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0)));
    let (place, count) = (there.url(), heard.clone());
    let router = axum::Router::new().fallback(move || {
        count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let place = place.clone();
        async move { (StatusCode::TEMPORARY_REDIRECT, [("location", place)]).into_response() }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let credential = Credential::Bearer(SecretSource::Value("tok-123456".to_owned()));
    let (state, message) =
        status(up(&url, HttpAccess { credential, allow_private: true, ..HttpAccess::default() }))
            .await;
    assert!(state == UpstreamState::Failed && message.contains("307"), "{message}");
    assert!(heard.load(std::sync::atomic::Ordering::Relaxed) > 0);
    server.abort();
    there.stop().await;
}

#[tokio::test]
async fn a_credential_from_the_store_reaches_an_mcp_server_and_no_answer() {
    let server = telling().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "tok-from-file\n").unwrap();
    let sent = |credential| HttpAccess { credential, allow_private: true, ..HttpAccess::default() };
    for (credential, told) in [
        (Credential::Bearer(SecretSource::File(file.clone())), "called with Bearer [redacted]"),
        (
            Credential::Basic { user: "me".to_owned(), password: SecretSource::File(file) },
            "called with Basic [redacted]",
        ),
        (
            Credential::ApiKeys(vec![ApiKey {
                place: KeyPlace::Header,
                name: "Authorization".to_owned(),
                value: SecretSource::Value("plain-key-1".to_owned()),
            }]),
            "called with [redacted]",
        ),
    ] {
        let catalog = Catalog::start(vec![up(&server.url(), sent(credential))], &environment());
        let tool = catalog.resolve("up.t", &open).await.unwrap();
        let answer = catalog.call(&tool, catalog.check(&tool, "{}").await.unwrap()).await.unwrap();
        assert_eq!(answer.get(), format!("\"{told}\""));
        catalog.shutdown().await;
    }
    let missing = sent(Credential::Bearer(SecretSource::Stored("NONE".to_owned())));
    let (state, message) = status(up(&server.url(), missing)).await;
    assert!(
        state == UpstreamState::Failed && message.contains("its credential cannot be used"),
        "{message}"
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_is_found_out_added_listed_checked_and_removed_and_the_file_stays_as_it_was() {
    let server = telling().await;
    let folder = place("# mine, and it stays\n[limits]\nheap_mb = 32 # enough\n");
    let config = folder.path().join("airlock.toml");
    let before = std::fs::read_to_string(&config).unwrap();
    let added = say(&config, &["upstreams", "add", &server.url(), "--name", "notes"], "").await;
    assert_eq!(added.code, Some(0), "{}{}", added.out, added.beside);
    let file = std::fs::read_to_string(&config).unwrap();
    let table = format!(
        "\n[upstreams.notes]\nkind = \"mcp\"\nurl = \"{}\"\nallow_private = true\n",
        server.url()
    );
    assert_eq!(file, format!("{before}{table}"));
    for line in table.trim().lines() {
        assert!(added.out.contains(&format!("+ {line}")), "{}", added.out);
    }
    assert!(
        added.out.contains("airlock upstreams check notes") && !added.out.contains("heap_mb"),
        "{}",
        added.out
    );

    let again = say(&config, &["upstreams", "add", &server.url(), "--name", "notes"], "").await;
    assert!(again.code == Some(1) && again.beside.contains("`notes` already"), "{}", again.beside);
    let listed = say(&config, &["upstreams", "list", "--json"], "").await.json();
    let expected = json!({
        "id": "notes", "status": "configured", "kind": "mcp", "place": server.url(), "auth": "none"
    });
    assert_eq!(listed, json!([expected]));
    let checked = say(&config, &["upstreams", "check", "notes", "--json"], "").await;
    assert_eq!(checked.code, Some(0), "{}", checked.beside);
    let checked = checked.json();
    assert_eq!(
        (&checked[0]["id"], &checked[0]["status"], &checked[0]["tools"]),
        (&json!("notes"), &json!("ready"), &json!(1))
    );
    let unknown = say(&config, &["upstreams", "check", "note"], "").await;
    assert!(
        unknown.code == Some(1) && unknown.beside.contains("there is no upstream `note`"),
        "{}",
        unknown.beside
    );

    let removed = say(&config, &["upstreams", "remove", "notes"], "").await;
    assert_eq!(removed.code, Some(0), "{}", removed.beside);
    assert!(removed.out.contains("- [upstreams.notes]"), "{}", removed.out);
    assert_eq!(std::fs::read_to_string(&config).unwrap(), before);
    server.stop().await;
}

#[tokio::test]
async fn a_program_gets_its_secrets_from_the_store_when_it_is_started_and_says_them_to_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let vault =
        Vault::new(folder.path().join("secrets"), VaultKey::File(folder.path().join("key")));
    vault.set("NOTES", "tok-123456").unwrap();
    let config = |name: &str| StdioConfig {
        command: "sh".to_owned(),
        args: vec!["-c".to_owned(), "echo \"token is $TOKEN\" >&2".to_owned()],
        env_secret: [("TOKEN".to_owned(), SecretSource::Stored(name.to_owned()))].into(),
        vault: Some(vault.clone()),
        ..StdioConfig::default()
    };
    let (_, message) = status(stdio("up", config("NOTES"))).await;
    assert!(
        message.contains("token is [redacted]") && !message.contains("tok-123456"),
        "{message}"
    );
    let (_, message) = status(stdio("up", config("NONE"))).await;
    assert!(
        message.contains("its variable `TOKEN` cannot be set: there is no secret `NONE`"),
        "{message}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_kept_listed_and_removed_and_its_value_is_shown_nowhere() {
    let server = telling().await;
    let folder = place(&format!(
        "[secrets]\nkey_file = \"keys/secrets.key\"\n[upstreams.notes]\nurl \
        = \"{}\"\nallow_private = true\nauth = {{ bearer = {{ secret = \"NOTES\" }} }}\n",
        server.url()
    ));
    let config = folder.path().join("airlock.toml");
    let before = say(&config, &["upstreams", "check"], "").await;
    assert_eq!(before.code, Some(1));
    assert!(
        before.out.contains("there is no secret `NOTES`; set it with `airlock secrets set NOTES`"),
        "{}",
        before.out
    );
    let set = say(&config, &["secrets", "set", "NOTES"], "tok-123456\n").await;
    assert_eq!(set.code, Some(0), "{}", set.beside);
    let after = say(&config, &["upstreams", "check"], "").await;
    assert_eq!(after.code, Some(0), "{}{}", after.out, after.beside);
    let listed = say(&config, &["secrets", "list", "--json"], "").await;
    assert_eq!(
        (&listed.json()[0]["id"], &listed.json()[0]["status"]),
        (&json!("NOTES"), &json!("set"))
    );
    let shown = say(&config, &["config"], "").await;
    for said in [&before, &set, &after, &listed, &shown] {
        assert!(
            !said.out.contains("tok-123456") && !said.beside.contains("tok-123456"),
            "{}{}",
            said.out,
            said.beside
        );
    }
    assert!(shown.out.contains("{\"secret\":\"NOTES\"}"), "{}", shown.out);
    assert_eq!(say(&config, &["secrets", "remove", "NOTES"], "").await.code, Some(0));
    let gone = say(&config, &["secrets", "remove", "NOTES"], "").await;
    assert!(
        gone.code == Some(1) && gone.beside.contains("there is no secret `NOTES`"),
        "{}",
        gone.beside
    );
    let bad = say(&config, &["secrets", "set", "oauth:notes"], "x").await;
    assert!(bad.code == Some(1) && bad.beside.contains("cannot name a secret"), "{}", bad.beside);
    server.stop().await;
}
