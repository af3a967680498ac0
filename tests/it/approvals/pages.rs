//! The owner's pages, as a browser without scripts sees them.

mod looks;

use std::process::Stdio;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::ASKS;
use crate::support::{policy::Policed, server::airlock};

pub(super) struct Browser<'a> {
    policed: &'a Policed,
    http: Client,
    cookie: String,
}

impl<'a> Browser<'a> {
    /// Signs in with the link that `airlock open` prints.
    async fn sign_in(policed: &'a Policed) -> Self {
        let link = link(policed).await;
        let http = policed.server.stranger();
        let entered = http.get(&link).send().await.unwrap();
        assert_eq!(entered.status(), 200);
        let cookie = entered.headers()["set-cookie"].to_str().unwrap().to_owned();
        for part in ["HttpOnly", "SameSite=Strict", "Path=/"] {
            assert!(cookie.contains(part), "{cookie}");
        }
        let again = http.get(&link).send().await.unwrap();
        assert_eq!(
            (again.status(), again.headers().contains_key("set-cookie")),
            (StatusCode::UNAUTHORIZED, false),
            "it works once"
        );
        let cookie = cookie.split(';').next().unwrap().to_owned();
        Self { policed, http, cookie }
    }

    async fn get(&self, path: &str) -> String {
        let request = self
            .http
            .get(format!("{}{path}", self.policed.server.url))
            .header("cookie", &self.cookie);
        let answer = request.send().await.unwrap();
        let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        let page = answer.text().await.unwrap();
        assert!(!page.contains(" style="), "{page}");
        match page.split_once("<script>") {
            None => assert!(!page.contains("<script") && !policy.contains("script"), "{policy}"),
            Some((_, rest)) => {
                // The one script is allowed by what it says, and nothing else is.
                let (script, rest) = rest.split_once("</script>").unwrap();
                assert!(!rest.contains("<script") && !page.contains("<script "), "{page}");
                let digest = STANDARD.encode(Sha256::digest(script.as_bytes()));
                let allowed = format!("; script-src 'sha256-{digest}'; connect-src 'self';");
                assert!(policy.contains(&allowed), "{policy}");
                assert!(!script.contains("innerHTML") && !script.contains("method"), "{script}");
            }
        }
        page
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> Response {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self
            .http
            .post(format!("{}{path}", self.policed.server.url))
            .header("cookie", &self.cookie);
        request
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body)
            .send()
            .await
            .unwrap()
    }
}

async fn link(policed: &Policed) -> String {
    let command = airlock(&policed.server.config_file())
        .arg("open")
        .stderr(Stdio::null())
        .output()
        .await
        .unwrap();
    assert!(command.status.success());
    String::from_utf8(command.stdout).unwrap().trim().to_owned()
}

/// The session's token in the page's form.
fn form_token(page: &str) -> String {
    let (_, rest) = page.split_once("name=\"csrf\" value=\"").expect("the page has a form");
    rest.split('"').next().unwrap().to_owned()
}

async fn parked(policed: &Policed, text: &str) -> (Value, Value, String) {
    let code = format!(
        "await tools.demo.echo({{ message: 'before' }});\nreturn await tools.demo.notes.add({{ \
        text: {text:?} }})"
    );
    let task = policed.begin(json!({ "code": code })).await;
    let approval = policed.pending(1).await.remove(0);
    let path = format!("/approvals/{}", approval["id"].as_str().unwrap());
    (task, approval, path)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_shows_everything_and_approves_once() {
    let policed = Policed::start(ASKS).await;
    let browser = Browser::sign_in(&policed).await;
    let (task, approval, path) = parked(&policed, "pay <b>me</b> \u{202e}kcab").await;
    let inbox = browser.get("/approvals").await;
    assert!(inbox.contains(&path) && inbox.contains("demo.notes.add"), "{inbox}");
    let card = browser.get(&path).await;
    for part in [
        "pay &lt;b&gt;me&lt;/b&gt; ",
        "\\u{202e}",
        "notes-need-a-word",
        "policy.yaml",
        "airlock-tests",
        "demo.echo",
        "completed",
        "expires in ",
        "Approve once",
        "demo's description of this tool (not checked)",
    ] {
        assert!(card.contains(part), "{part}: {card}");
    }
    let marked = "<mark class=\"line\"><span class=\"number\">2</span><span \
        class=\"code\">return await tools.demo.notes.add(";
    assert!(card.contains(marked), "the calling line is marked: {card}");
    assert!(!card.contains('\u{202e}') && !card.contains("<b>me"), "{card}");
    assert!(
        card.contains("await tools.demo.echo({ message: &#39;before&#39; })")
            || card.contains("await tools.demo.echo({ message: 'before' })"),
        "{card}"
    );
    let digest = approval["digest"].as_str().unwrap();
    assert!(card.contains(&digest[..20]), "{card}");
    let token = form_token(&card);
    for wrong in [
        &[("note", "x")][..],
        &[("csrf", "guessed")],
        &[("csrf", ""), ("note", "")],
        &[("csrf", &token), ("by", "root")],
    ] {
        let refused = browser.post(&format!("{path}/approve"), wrong).await;
        assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{wrong:?}");
    }
    let elsewhere = Browser {
        policed: &policed,
        http: browser.http.clone(),
        cookie: "airlock_1=guessed".into(),
    };
    assert_eq!(
        elsewhere.post(&format!("{path}/approve"), &[("csrf", &token)]).await.status(),
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(policed.row(&approval).await["status"], "pending");
    let approved = browser.post(&format!("{path}/approve"), &[("csrf", &token)]).await;
    assert_eq!(
        (approved.status(), approved.headers()["location"].to_str().unwrap()),
        (StatusCode::SEE_OTHER, path.as_str())
    );
    assert_eq!(policed.end(&task).await["status"], "completed");
    let late = browser.post(&format!("{path}/deny"), &[("csrf", &token), ("note", "late")]).await;
    assert_eq!(late.status(), StatusCode::CONFLICT);
    assert!(late.text().await.unwrap().contains("it was already approved and sent"));
    let row = policed.row(&approval).await;
    assert_eq!(
        (&row["status"], &row["decidedBy"]),
        (&json!("consumed"), &json!("owner (signed in)")),
        "{row}"
    );
    assert_eq!(policed.hits("notes.add"), 1);
    assert!(!browser.get(&path).await.contains("Approve once"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_denies_with_a_reason() {
    let policed = Policed::start(ASKS).await;
    let browser = Browser::sign_in(&policed).await;
    let (task, _, path) = parked(&policed, "x").await;
    let token = form_token(&browser.get(&path).await);
    let denied = browser
        .post(&format!("{path}/deny"), &[("csrf", &token), ("note", "ask me tomorrow & never")])
        .await;
    assert_eq!(denied.status(), StatusCode::SEE_OTHER);
    let end = policed.end(&task).await;
    assert!(end["error"]["message"].as_str().unwrap().contains("ask me tomorrow & never"), "{end}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_session_there_is_nothing_to_see_and_a_cookie_alone_changes_nothing() {
    let policed = Policed::start(ASKS).await;
    let (task, approval, path) = parked(&policed, "a-secret-text").await;
    let stranger = policed.server.stranger();
    let url = |path: &str| format!("{}{path}", policed.server.url);
    for page in ["/approvals", &path, "/sign-in/guessed"] {
        let answer = stranger.get(url(page)).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{page}");
        let text = answer.text().await.unwrap();
        assert!(
            text.contains("airlock open")
                && !text.contains("a-secret-text")
                && !text.contains("demo.notes"),
            "{text}"
        );
    }
    let browser = Browser::sign_in(&policed).await;
    let listed =
        stranger.get(url("/v1/approvals")).header("cookie", &browser.cookie).send().await.unwrap();
    assert_eq!(listed.status(), StatusCode::OK, "a session may read");
    let approve = format!("/v1{path}/approve");
    let forged = stranger
        .post(url(&approve))
        .header("cookie", &browser.cookie)
        .json(&json!({}))
        .send()
        .await
        .unwrap();
    assert_eq!(forged.status(), StatusCode::UNAUTHORIZED, "and change nothing without its token");
    let link =
        stranger.post(url("/v1/sign-in")).header("cookie", &browser.cookie).send().await.unwrap();
    assert_eq!(link.status(), StatusCode::UNAUTHORIZED);
    let token = form_token(&browser.get(&path).await);
    let link = stranger
        .post(url("/v1/sign-in"))
        .header("cookie", &browser.cookie)
        .header("x-airlock-csrf", &token)
        .send()
        .await
        .unwrap();
    assert_eq!(link.status(), StatusCode::FORBIDDEN, "a session makes no further ones");
    let foreign = browser
        .http
        .post(url(&format!("{path}/approve")))
        .header("cookie", &browser.cookie)
        .header("origin", "https://evil.example");
    let foreign = foreign
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("csrf={token}"))
        .send()
        .await
        .unwrap();
    assert_eq!(
        foreign.status(),
        StatusCode::FORBIDDEN,
        "another site's form is refused at the door"
    );
    assert_eq!(policed.row(&approval).await["status"], "pending");
    assert_eq!(
        browser.post("/sign-out", &[("csrf", &token)]).await.status(),
        StatusCode::SEE_OTHER
    );
    let gone =
        stranger.get(url("/v1/approvals")).header("cookie", &browser.cookie).send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::UNAUTHORIZED, "the session is over");
    policed.server.call("task_cancel", json!({ "taskId": task })).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_of_a_sign_in_is_in_the_log() {
    let policed = Policed::start(ASKS).await;
    let link = link(&policed).await;
    let secret = link.rsplit('/').next().unwrap();
    policed.server.stranger().get(&link).send().await.unwrap();
    assert!(secret.len() > 40 && !policed.server.log().contains(secret));
    assert!(!policed.server.log().contains(&policed.server.token));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_is_refused_with_a_page_and_a_program_with_json() {
    let policed = Policed::start(ASKS).await;
    let browser = Browser::sign_in(&policed).await;
    let ask = async |method: &str, path: &str, accept: &str, origin: Option<&str>| {
        let request =
            browser.http.request(method.parse().unwrap(), format!("{}{path}", policed.server.url));
        let request = request.header("accept", accept).header("cookie", &browser.cookie);
        let request =
            if let Some(origin) = origin { request.header("origin", origin) } else { request };
        let answer = request.send().await.unwrap();
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        let bare = answer.headers().get("content-security-policy").is_none();
        (answer.status().as_u16(), kind, bare, answer.text().await.unwrap())
    };
    let pages = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let evil = Some("https://evil.example/<b>");
    for (method, path, origin, status, expected) in [
        ("POST", "/approvals/x/approve", evil, 403, "server.allowed_origins"),
        ("GET", "/nowhere/<b>", None, 404, "there is no <code>/nowhere/"),
        ("PUT", "/approvals", None, 405, "does not take PUT"),
        ("GET", "/approvals?status=odd", None, 400, "<code>status</code> is <code>odd</code>"),
        ("GET", "/v1/tasks/task_1", None, 404, "task_1"),
    ] {
        let (got, kind, bare, page) = ask(method, path, pages, origin).await;
        assert_eq!(
            (got, kind.as_str(), bare),
            (status, "text/html; charset=utf-8", false),
            "{path}: {page}"
        );
        assert!(
            page.contains("That did not work") && page.contains(expected) && !page.contains("<b>"),
            "{path}: {page}"
        );
        assert!(
            page.contains("/assets/airlock.css") && page.contains("href=\"/approvals\""),
            "{path}: {page}"
        );
    }
    for accept in ["*/*", "application/json", "application/json, text/html"] {
        let (status, kind, _, body) = ask("POST", "/approvals/x/approve", accept, evil).await;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(
            (status, kind.as_str(), &body["error"]["code"]),
            (403, "application/json", &json!("origin_not_allowed"))
        );
    }
    let (status, kind, ..) = ask("POST", "/mcp", pages, evil).await;
    assert_eq!((status, kind.as_str()), (403, "application/json"), "agents' way in has no pages");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_over_http_is_shown_with_where_it_goes() {
    let folder = tempfile::tempdir().unwrap();
    let spec = folder.path().join("things.json");
    let description = json!({
        "openapi": "3.0.0", "info": { "title": "things", "version": "1" },
        "paths": { "/things/{id}": { "delete": {
            "operationId": "dropThing", "description": "Drops p\u{430}ypal\u{202e} things.",
            "parameters": [{
                "name": "id", "in": "path", "required": true, "schema": { "type": "string" }
            }],
            "responses": { "204": { "description": "gone" } },
        } } },
    });
    std::fs::write(&spec, description.to_string()).unwrap();
    let upstream = format!(
        "[upstreams.things]\nkind = \"openapi\"\nspec = {spec:?}\nbase_url \
        = \"http://127.0.0.1:9/base?key=hunter2\"\nallow_private = true\n"
    );
    let policed = Policed::with("version: \"1\"\n", &upstream).await;
    let tools = policed.server.owner(reqwest::Method::GET, "/v1/tools?namespace=things").await.1;
    let tool = tools["results"][0]["path"].as_str().unwrap_or_else(|| panic!("{tools}")).to_owned();
    policed.begin(json!({ "code": format!("return await tools.{tool}({{ id: 'a/b' }})") })).await;
    let approval = policed.pending(1).await.remove(0);
    let row = policed.row(&approval).await;
    assert_eq!(row["about"]["route"], "DELETE http://127.0.0.1:9/base/things/{id}", "{row}");
    let browser = Browser::sign_in(&policed).await;
    let card = browser.get(&format!("/approvals/{}", approval["id"].as_str().unwrap())).await;
    assert!(card.contains("<code>DELETE http://127.0.0.1:9/base/things/{id}</code>"), "{card}");
    assert!(
        card.contains("<mark class=\"strange\"")
            && card.contains("\\u{202e}")
            && !card.contains("hunter2"),
        "{card}"
    );
}
