//! What a person reads on the pages: lists with counts, sentences, and what became of a call.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{Browser, form_token, parked};
use crate::{approvals::ASKS, support::policy::Policed};

const PAGES: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

/// The part of a page between two marks.
fn between<'p>(page: &'p str, begin: &str, end: &str) -> &'p str {
    let (_, rest) = page.split_once(begin).unwrap_or_else(|| panic!("no {begin:?} in {page}"));
    rest.split_once(end).unwrap_or_else(|| panic!("no {end:?} after {begin:?} in {page}")).0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_inbox_counts_what_waits_and_what_is_past() {
    let policed = Policed::start(ASKS).await;
    let browser = Browser::sign_in(&policed).await;
    let empty = browser.get("/approvals").await;
    for part in [
        "<title>Approvals · Airlock</title>",
        "/assets/airlock.svg",
        "Waiting (0)",
        "Past (0)",
        "No call is waiting",
    ] {
        assert!(empty.contains(part), "{part}: {empty}");
    }
    let (_, first, path) = parked(&policed, &format!("{} the end", "x".repeat(200))).await;
    parked(&policed, "second").await;
    policed.pending(2).await;
    let inbox = browser.get("/approvals").await;
    for part in [
        "<title>(2) Approvals · Airlock</title>",
        "href=\"/assets/waiting.svg\"",
        "Approvals (2)",
        "aria-current=\"page\">Waiting (2)",
        "Past (0)",
    ] {
        assert!(inbox.contains(part), "{part}: {inbox}");
    }
    // The row is the link, and a text that is cut says so.
    let row = between(&inbox, &format!("<a class=\"row\" href=\"{path}\">"), "</a>");
    assert!(row.contains("demo.notes.add") && row.contains("notes stay"), "{row}");
    let brief = between(row, "<code class=\"brief\">", "</code>");
    assert!(brief.ends_with("xxx…") && brief.chars().count() > 160, "{brief}");
    policed.word(&first, "deny", json!({})).await;
    let past = browser.get("/approvals?status=past").await;
    for part in [
        "<title>(1) Approvals · Airlock</title>",
        "Waiting (1)",
        "aria-current=\"page\">Past (1)",
        &path,
        "<span class=\"is-denied\">denied</span>",
    ] {
        assert!(past.contains(part), "{part}: {past}");
    }
    let denied = browser.get("/approvals?status=denied").await;
    assert!(denied.contains(&path) && denied.contains("Only those of status"), "{denied}");
    let expired = browser.get("/approvals?status=expired").await;
    assert!(!expired.contains(&path) && expired.contains("There is none."), "{expired}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_that_is_not_there_is_named_with_those_that_are() {
    let policed = Policed::start(ASKS).await;
    let browser = Browser::sign_in(&policed).await;
    for wrong in ["foo", "Pending", "waiting,past", "%3Cb%3E"] {
        let page = browser.get(&format!("/approvals?status={wrong}")).await;
        let shown = wrong.replace("%3C", "&lt;").replace("%3E", "&gt;");
        let expected = format!("<code>status</code> is <code>{shown}</code>; allowed: ");
        assert!(page.contains(&expected) && page.contains("<code>past</code>"), "{page}");
        assert!(!page.contains("deserialize"), "{page}");
    }
    let (status, refused) =
        policed.server.owner(reqwest::Method::GET, "/v1/approvals?status=foo").await;
    let message = refused["error"]["message"].as_str().unwrap();
    assert_eq!(status, 400);
    assert!(
        message.contains("`foo`") && message.contains("`pending`") && !message.contains("serial"),
        "{message}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_reason_is_a_sentence() {
    for (policy, more, reason) in [
        (
            "version: \"1\"\n",
            "profile = \"auto\"",
            "No rule covers this tool. The <code>auto</code> profile asks before ",
        ),
        (
            "version: \"1\"\ndefault: ask\n",
            "",
            "No rule in <code>policy.yaml</code> covers this tool. The file&#39;s default asks \
            before every call.",
        ),
        (
            "version: \"1\"\ndefault: auto\n",
            "",
            "No rule in <code>policy.yaml</code> covers this tool. The file&#39;s default \
            <code>auto</code> asks before ",
        ),
        (
            "version: \"1\"\ndefault: allow\ntools:\n  demo.notes.add:\n    rules:\n      - { \
            name: notes, action: ask }\n",
            "",
            "The rule <code>notes</code> asks before this call.",
        ),
        (
            "version: \"1\"\ndefault: allow\ntools:\n  demo.notes.add:\n    limits:\n      - { \
            counter: notes, window: day, max: 0, on_exceed: ask }\n",
            "",
            "The limit of 0 per day is used up (rule <code>notes</code>).",
        ),
    ] {
        let policed = Policed::with(policy, more).await;
        let browser = Browser::sign_in(&policed).await;
        policed.begin(json!({ "code": "await tools.demo.notes.add({ text: 'x' })" })).await;
        let approval = policed.pending(1).await.remove(0);
        let card = browser.get(&format!("/approvals/{}", approval["id"].as_str().unwrap())).await;
        let shown = between(&card, "<p class=\"reason\">", "</p>").replace("'", "&#39;");
        assert!(shown.starts_with(reason), "{reason}: {shown}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_the_decision_the_page_says_what_became_of_the_call_and_leads_to_the_next() {
    let policed = Policed::start(ASKS).await;
    let browser = Browser::sign_in(&policed).await;
    let (_, first, first_path) = parked(&policed, "first").await;
    parked(&policed, "second").await;
    let second = policed.pending(2).await.remove(1);
    let second_path = format!("/approvals/{}", second["id"].as_str().unwrap());
    let card = browser.get(&first_path).await;
    assert!(card.contains("This call will be sent, once, to demo"), "{card}");
    assert!(card.contains("<title>(2) demo.notes.add · Airlock</title>"), "{card}");
    // The buttons stand together, and the field of the reason cannot approve.
    let decisions = between(&card, "<div class=\"decisions\">", "</div>");
    let forms: Vec<_> = decisions.split("<form").skip(1).collect();
    assert_eq!(forms.len(), 3);
    assert!(forms[0].contains("/approve\"") && forms[0].contains("Approve once"));
    assert!(forms[1].contains("/deny\"") && !forms[1].contains("name=\"note\""));
    assert!(forms[2].contains("/deny\"") && forms[2].contains("Deny with reason"));
    let token = form_token(&card);
    browser.post(&format!("{first_path}/approve"), &[("csrf", &token)]).await;
    let card = browser.get(&first_path).await;
    for part in [
        "Approved and sent",
        "by the owner (signed in)",
        "This call was sent to demo",
        "Next waiting call: demo.notes.add",
        &format!("href=\"{second_path}\""),
        "All approvals",
    ] {
        assert!(card.contains(part), "{part}: {card}");
    }
    assert!(!card.contains("<form method=\"post\" action=\"/approvals/"), "{card}");
    let denied = [("csrf", token.as_str()), ("note", "no <b>way</b>")];
    browser.post(&format!("{second_path}/deny"), &denied).await;
    let card = browser.get(&second_path).await;
    for part in [
        "Denied",
        "This call was not sent to demo",
        "No other call is waiting.",
        "no &lt;b&gt;way&lt;/b&gt;",
    ] {
        assert!(card.contains(part), "{part}: {card}");
    }
    assert_eq!(policed.row(&first).await["status"], "consumed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_of_a_waiting_call_notices_its_end() {
    let policed = Policed::start(ASKS).await;
    let browser = Browser::sign_in(&policed).await;
    let (task, approval, path) = parked(&policed, "x").await;
    let card = browser.get(&path).await;
    assert!(card.contains("<script>") && card.contains("<noscript><meta http-equiv=\"refresh\""));
    let state = async || -> Value {
        serde_json::from_str(&browser.get(&format!("{path}/status")).await).unwrap()
    };
    let waits = state().await;
    assert_eq!(waits["status"], "pending", "{waits}");
    assert!(waits["left"].as_str().unwrap().starts_with("expires in "), "{waits}");
    assert_eq!(waits["title"], "(1) demo.notes.add · Airlock");
    policed.word(&approval, "deny", json!({})).await;
    policed.end(&task).await;
    assert_eq!(state().await["status"], "denied");
    let card = browser.get(&path).await;
    assert!(!card.contains("<script>") && !card.contains("http-equiv"), "it changes no more");
    // Only a session learns it, and nobody decides there.
    let url = format!("{}{path}/status", policed.server.url);
    let stranger = policed.server.stranger();
    assert_eq!(stranger.get(&url).send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    let posted = browser.post(&format!("{path}/status"), &[("csrf", &form_token(&card))]).await;
    assert_eq!(posted.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_of_a_waiting_call_outlasts_what_passes() {
    let policed = Policed::start(ASKS).await;
    let browser = Browser::sign_in(&policed).await;
    let (_, _, path) = parked(&policed, "x").await;
    let card = browser.get(&path).await;
    let script = between(&card, "<script>", "</script>");
    // The script in a browser that is made up: each answer is one look.
    let code = format!(
        "const look = async (answers) => {{
            const left = {{ textContent: 'as sent' }};
            const document = {{ title: 'as sent', getElementById: () => left }};
            let reloads = 0, next;
            const location = {{ pathname: '/approvals/x', reload: () => {{ reloads += 1 }} }};
            const setTimeout = (again) => {{ next = again }};
            const fetch = async () => {{
                const [status, body] = answers.shift();
                if (status === 0) throw new TypeError('no network');
                return {{ status, ok: status === 200, json: async () => JSON.parse(body) }};
            }};
            (() => {{ {script} }})();
            while (answers.length && next) {{
                const again = next;
                next = undefined;
                await again();
            }}
            return [reloads, left.textContent, document.title, Boolean(next)];
        }};
        const waits = [200, JSON.stringify({{ status: 'pending', left: '1 min', title: 'T' }})];
        const done = [200, JSON.stringify({{ status: 'denied', left: '', title: 'T' }})];
        const silent = [[0], [500, ''], [503, ''], [429, ''], [200, '<html>']];
        return {{
            waits: await look([waits]),
            silent: await Promise.all(silent.map((answer) => look([answer]))),
            back: await look([...silent, waits]),
            over: await Promise.all([done, [401, ''], [404, '']].map((answer) => look([answer]))),
        }}"
    );
    let ran = policed.server.run(&code).await;
    let silent = json!([0, "the server does not answer", "as sent", true]);
    let reloaded = json!([1, "as sent", "as sent", false]);
    let expected = json!({
        "waits": [0, "1 min", "T", true],
        "silent": vec![silent; 5],
        "back": [0, "1 min", "T", true],
        "over": vec![reloaded; 3],
    });
    assert_eq!(ran["result"], expected, "{ran}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn digests_are_folded_and_times_are_local_with_the_exact_one_beside() {
    let policed = Policed::start(ASKS).await;
    let browser = Browser::sign_in(&policed).await;
    let (_, approval, path) = parked(&policed, "x").await;
    let card = browser.get(&path).await;
    let (open, folded) = card.split_once("Ids and digests").unwrap();
    for loud in ["policyRevision", "digest", "taskId"] {
        let text = approval[loud].as_str().unwrap();
        assert!(!open.contains(text) && folded.contains(text), "{loud}: {card}");
    }
    let exact = &approval["createdAt"].as_str().unwrap()[..19];
    let time = between(open, "<dt>Requested</dt><dd><time ", "</time>");
    assert!(time.contains(&format!("title=\"{exact}Z\"")), "{time}");
    let clock = time.rsplit('>').next().unwrap();
    assert!(clock.len() == 8 && clock.matches(':').count() == 2, "{clock}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_line_of_a_call_is_marked_and_a_long_text_begins_unfolded() {
    let policed = Policed::start(ASKS).await;
    let browser = Browser::sign_in(&policed).await;
    let code = format!(
        "const text = 'begin ' + 'x'.repeat({});\nif (text) {{ await tools.demo.notes.add({{\n  \
        text,\n}});\n}}\nreturn 1",
        900
    );
    policed.begin(json!({ "code": code })).await;
    let approval = policed.pending(1).await.remove(0);
    let card = browser.get(&format!("/approvals/{}", approval["id"].as_str().unwrap())).await;
    let marked: Vec<_> = card
        .split("<mark class=\"line\"><span class=\"number\">")
        .skip(1)
        .map(|rest| rest.split('<').next().unwrap())
        .collect();
    assert_eq!(marked, ["2", "3", "4"], "{card}");
    let text = between(&card, "<pre class=\"json\">", "</pre>");
    let (head, rest) = text.split_once("<details").unwrap();
    assert!(head.contains("a string of 906 characters") && head.contains("begin xxxx"), "{head}");
    // The field is called `text`, which has one more.
    assert_eq!(head.matches('x').count() + rest.matches('x').count(), 901, "it is whole");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_root_says_to_people_and_programs_what_this_is() {
    let policed = Policed::start(ASKS).await;
    let stranger = policed.server.stranger();
    let get = async |accept: &str| {
        let request = stranger.get(format!("{}/", policed.server.url)).header("accept", accept);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["vary"], "accept");
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        (kind, answer.text().await.unwrap())
    };
    let (kind, page) = get(PAGES).await;
    assert!(kind.starts_with("text/html"), "{kind}");
    let mcp = format!("{}/mcp", policed.server.url);
    for part in ["href=\"/approvals\"", "airlock open", &mcp, "/healthz", "/metrics"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    for accept in ["*/*", "application/json", "application/json, text/html"] {
        let (kind, body) = get(accept).await;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert!(kind.starts_with("application/json"), "{kind}");
        assert_eq!((&body["name"], &body["mcp"]), (&json!("airlock"), &json!("/mcp")), "{body}");
    }
}

/// Relative luminance of a colour, by WCAG 2.
fn luminance(colour: &str) -> f64 {
    let part = |at: usize| {
        let value = u8::from_str_radix(&colour[at..at + 2], 16).expect("a colour has six digits");
        let value = f64::from(value) / 255.0;
        if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_text_can_be_read_in_light_and_dark() {
    let policed = Policed::start(ASKS).await;
    let url = format!("{}/assets/airlock.css", policed.server.url);
    let css = policed.server.stranger().get(url).send().await.unwrap().text().await.unwrap();
    let (light, rest) = css.split_once("@media (prefers-color-scheme: dark)").unwrap();
    let dark = rest.split_once("}\n}").unwrap().0;
    let colour = |theme: &str, name: &str| {
        let find = |text: &str| {
            let (_, rest) = text.split_once(&format!("--{name}: "))?;
            Some(rest[..7].to_owned())
        };
        let own = if theme == "dark" { find(dark) } else { None };
        own.or_else(|| find(light)).unwrap_or_else(|| panic!("no --{name}"))
    };
    let pairs = [
        ("text", "ground"),
        ("text", "panel"),
        ("text", "mark"),
        ("dim", "ground"),
        ("dim", "panel"),
        ("dim", "mark"),
        ("link", "ground"),
        ("link", "panel"),
        ("good", "ground"),
        ("good", "panel"),
        ("bad", "ground"),
        ("bad", "panel"),
        ("on-colour", "alert"),
        ("on-colour", "go"),
    ];
    for theme in ["light", "dark"] {
        for (text, ground) in pairs {
            let (a, b) = (luminance(&colour(theme, text)), luminance(&colour(theme, ground)));
            let contrast = (a.max(b) + 0.05) / (a.min(b) + 0.05);
            assert!(contrast >= 4.5, "{text} on {ground}, {theme}: {contrast:.2}");
        }
    }
    // Every other colour is one of those.
    let rules = css.split_once("* { box-sizing").unwrap().1;
    let strays: Vec<_> = rules
        .split([' ', ';'])
        .filter(|word| word.starts_with('#') && !word.starts_with("#4493f8"))
        .collect();
    assert!(strays.is_empty(), "{strays:?}");
}
