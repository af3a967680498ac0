//! A secret on the command line is stored encrypted, and the file refers to it.

use serde_json::json;

use super::{at, file, own_place, program, seen};
use crate::support::upstream::{Scripted, one_tool, result};

const SECRET: &str = "tok-Zx81Qq";

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_of_a_program_becomes_a_reference_and_reaches_it() {
    for (given, line, arrives) in [
        (
            &["--env", "WEATHER_TOKEN=SECRET", "--env", "LOG_LEVEL=debug", "--", "PROGRAM"][..],
            "env = { WEATHER_TOKEN = { secret = \"WEATHER_TOKEN\" }, LOG_LEVEL = \"debug\" }",
            "WEATHER_TOKEN=SECRET\n",
        ),
        (
            &["--env", "DATABASE_URL=postgres://me:SECRET@db.example/x", "--", "PROGRAM"],
            "env = { DATABASE_URL = { secret = \"WEATHER_DATABASE_URL\" } }",
            "DATABASE_URL=postgres://me:SECRET@db.example/x\n",
        ),
        (
            &["--env", "HEADERS={\"Authorization\": \"Bearer SECRET\"}", "--", "PROGRAM"],
            "env = { HEADERS = { secret = \"WEATHER_HEADERS\" } }",
            "HEADERS={\"Authorization\": \"Bearer SECRET\"}\n",
        ),
        (
            &["--", "PROGRAM", "--verbose", "--api-key=SECRET", "two words"],
            "env = { AIRLOCK_ARG_API_KEY = { secret = \"WEATHER_API_KEY\" } }",
            "args: --verbose --api-key=SECRET two words\n",
        ),
        (
            &["--", "PROGRAM", "--token", "SECRET"],
            "env = { AIRLOCK_ARG_TOKEN = { secret = \"WEATHER_TOKEN\" } }",
            "args: --token SECRET\n",
        ),
        (
            &["--", "PROGRAM", "--header", "Authorization: Bearer SECRET"],
            "env = { AIRLOCK_ARG_AUTHORIZATION = { secret = \"WEATHER_AUTHORIZATION\" } }",
            "args: --header Authorization: Bearer SECRET\n",
        ),
        (
            &["--", "PROGRAM", "postgresql://me:SECRET@db.example/x"],
            "env = { AIRLOCK_ARG_POSTGRESQL_URL = { secret = \"WEATHER_POSTGRESQL_URL\" } }",
            "args: postgresql://me:SECRET@db.example/x\n",
        ),
    ] {
        let folder = own_place();
        let server = program(folder.path(), "weather-server");
        let filled: Vec<String> = given
            .iter()
            .map(|arg| arg.replace("SECRET", SECRET).replace("PROGRAM", server.to_str().unwrap()))
            .collect();
        let filled: Vec<&str> = filled.iter().map(String::as_str).collect();
        let added = at(folder.path(), &[&["upstreams", "add"], &filled[..]].concat(), &[]).await;
        assert_eq!(added.code, Some(0), "{given:?}: {}{}", added.out, added.beside);
        let text = file(folder.path());
        assert!(text.contains(line), "{line}: {text}");
        let listed = at(folder.path(), &["config"], &[]).await;
        let everything =
            format!("{text}{}{}{}{}", added.out, added.beside, listed.out, listed.beside);
        assert!(!everything.contains(SECRET), "{given:?}: {everything}");
        assert!(text.contains("[upstreams.weather]"), "{text}");
        assert!(added.out.contains("is stored encrypted"), "{}", added.out);
        // Once when it was tried out, before the secret was stored, and once from the store.
        let arrives = arrives.replace("SECRET", SECRET);
        assert!(seen(&server).contains(&arrives), "{arrives}: {}", seen(&server));
        std::fs::remove_file(format!("{}.seen", server.display())).unwrap();
        let checked = at(folder.path(), &["upstreams", "check"], &[]).await;
        assert_eq!(checked.code, Some(0), "{}{}", checked.out, checked.beside);
        assert!(seen(&server).contains(&arrives), "{arrives}: {}", seen(&server));
    }
}

/// An MCP server that answers only those who send the secret anywhere.
async fn guarded() -> Scripted {
    Scripted::start(|request| {
        let is_known = request["authorization"].as_str().is_some_and(|given| {
            given == format!("Bearer {SECRET}") || given == "Basic bWU6dG9rLVp4ODFRcQ=="
        });
        match (is_known, request["method"].as_str()) {
            (false, _) => {
                axum::response::IntoResponse::into_response(axum::http::StatusCode::UNAUTHORIZED)
            }
            (true, Some("tools/list")) => one_tool(request),
            (true, _) => result(request, json!({"content": []})),
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_of_a_service_becomes_its_credential() {
    let server = guarded().await;
    let url = server.url();
    let with_user = url.replace("http://", &format!("http://me:{SECRET}@"));
    let header = format!("Authorization: Bearer {SECRET}");
    for (args, line) in [
        (&[&*url, "--header", &header][..], "auth = { bearer = { secret = \"NOTES_TOKEN\" } }"),
        (
            &[&*with_user],
            "auth = { basic = { user = \"me\", password = { secret = \"NOTES_PASSWORD\" } } }",
        ),
        (&[&*url, "--bearer-env", "NOTES"], "auth = { bearer = { env = \"NOTES\" } }"),
        (
            &[&*url, "--header", "Authorization: Bearer ${NOTES}"],
            "auth = { bearer = { env = \"NOTES\" } }",
        ),
    ] {
        let folder = own_place();
        let args = [&["upstreams", "add", "--name", "notes"], args].concat();
        let added = at(folder.path(), &args, &[("NOTES", SECRET)]).await;
        assert_eq!(added.code, Some(0), "{args:?}: {}{}", added.out, added.beside);
        let text = file(folder.path());
        assert!(
            text.contains(line) && text.contains(&format!("url = \"{url}\"")),
            "{line}: {text}"
        );
        let everything = format!("{text}{}{}", added.out, added.beside);
        assert!(!everything.contains(SECRET), "{everything}");
    }
    // Without a credential it says what is missing.
    let folder = own_place();
    let before = file(folder.path());
    let said = at(folder.path(), &["upstreams", "add", &url], &[]).await;
    assert_eq!(said.code, Some(69), "{}", said.out);
    assert!(said.beside.contains("401") && said.beside.contains("--bearer-env"), "{}", said.beside);
    assert_eq!(file(folder.path()), before);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_in_a_query_or_a_header_are_not_written() {
    let server = super::server().await;
    let url = server.url();
    let with_key = format!("{url}?region=eu&api_key={SECRET}");
    let header = format!("X-Api-Key: {SECRET}");
    for (args, lines) in [
        (
            &[&*with_key][..],
            &[
                "?region=eu\"",
                "api_key = { query = \"api_key\", value = { secret = \"NOTES_API_KEY\" } }",
            ][..],
        ),
        (
            &[&*url, "-H", &header, "-H", "X-Region: eu"],
            &[
                "headers = { X-Region = \"eu\" }",
                "api_key = { header = \"X-Api-Key\", value = { secret = \"NOTES_X_API_KEY\" } }",
            ],
        ),
    ] {
        let folder = own_place();
        let args = [&["upstreams", "add", "--name", "notes", "--kind", "mcp"], args].concat();
        let added = at(folder.path(), &args, &[]).await;
        assert_eq!(added.code, Some(0), "{args:?}: {}{}", added.out, added.beside);
        let text = file(folder.path());
        assert!(lines.iter().all(|line| text.contains(line)), "{lines:?}: {text}");
        assert!(!format!("{text}{}{}", added.out, added.beside).contains(SECRET), "{text}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_cannot_be_a_reference_is_refused_with_the_right_form() {
    let folder = own_place();
    let folder = folder.path();
    let before = file(folder);
    let key = "ghp_Zx81Qq55Rr20Tt77Uu";
    let in_path = format!("https://h.example/mcp/{key}");
    let as_user = format!("https://{key}@h.example/mcp");
    let first = format!("DD-Api-Key: {key}");
    let second = format!("DD-Application-Key: {key}");
    let no_name = format!("--header={key}");
    for (args, word) in [
        (&[&*in_path][..], "--bearer-env NAME"),
        (&[&*as_user], "--header 'Authorization: …'"),
        (&["https://h.example/mcp", "-H", &first, "-H", &second], "--header 'NAME: ${VARIABLE}'"),
        (&["https://h.example/mcp", "--bearer-env", key], "the name of the variable"),
        (&["https://h.example/mcp", &no_name], "--header 'NAME: VALUE'"),
        (&["https://h.example/mcp", "--env", "KEY=1"], "--bearer-env NAME"),
        (&["--header", &first, "--", "sh"], "--env NAME=VALUE"),
    ] {
        let said = at(folder, &[&["upstreams", "add", "--no-check"], args].concat(), &[]).await;
        assert_eq!(said.code, Some(1), "{args:?}: {}{}", said.out, said.beside);
        assert!(said.beside.contains(word), "{args:?}: {}", said.beside);
        assert!(!format!("{}{}", said.out, said.beside).contains(key), "{}", said.beside);
        assert_eq!(file(folder), before);
    }
    let listed = at(folder, &["secrets", "list", "--json"], &[]).await;
    assert_eq!(listed.json(), json!([]), "nothing is stored either");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_beside_a_variable_is_refused_and_never_written() {
    let folder = own_place();
    let folder = folder.path();
    let before = file(folder);
    let url = "https://h.example/mcp";
    for (args, named) in [
        (
            &["--env", "DATABASE_URL=postgres://app:S3cret@db/${DB}", "--", "sh"][..],
            "`DATABASE_URL`",
        ),
        (&["--env", "DATABASE_URL=postgres://app:S3cret@${HOST}/x", "--", "sh"], "`DATABASE_URL`"),
        (&["--env", "PASSWORD=S3cret${X}", "--", "sh"], "`PASSWORD`"),
        (&["--env", "PASSWORD=${X}S3cret", "--", "sh"], "`PASSWORD`"),
        (&["--env", "SETTINGS=Server=${DB};Password=S3cret", "--", "sh"], "`SETTINGS`"),
        (
            &["--env", "HEADERS={\"X-Api-Key\": \"S3cret\", \"X-A\": \"${A}\"}", "--", "sh"],
            "`HEADERS`",
        ),
        (&["--env", "ENDPOINT=https://h.example/${A}?api_key=S3cret", "--", "sh"], "`ENDPOINT`"),
        (&["--env", "ENDPOINT=https://S3cret9Zx8@h.example/${A}", "--", "sh"], "`ENDPOINT`"),
        (&["--env", "ENDPOINT=https://h.example/${A}/ghp_S3cret", "--", "sh"], "`ENDPOINT`"),
        (&[url, "--header", "Authorization: Bearer sk-S3cret${X}"], "the header `Authorization`"),
        (&[url, "--header", "Cookie: session=S3cret; user=${X}"], "the header `Cookie`"),
        (&[url, "--header", "X-Region: eu-ghp_S3cret ${X} ghp_S3cret"], "the header `X-Region`"),
        (&[url, "--spec", "https://me:S3cret@h.example/api.json"], "`--spec`"),
        (&[url, "--spec", "https://h.example/api.json?token=S3cret"], "`--spec`"),
        (&[url, "--kind", "openapi", "--server", "https://me:S3cret@h.example"], "`--server`"),
    ] {
        let said = at(folder, &[&["upstreams", "add", "--no-check"], args].concat(), &[]).await;
        assert_eq!(said.code, Some(1), "{args:?}: {}{}", said.out, said.beside);
        assert!(said.beside.contains(named), "{args:?}: {}", said.beside);
        assert!(!format!("{}{}", said.out, said.beside).contains("S3cret"), "{}", said.beside);
        assert_eq!(file(folder), before, "{args:?}");
    }
    let listed = at(folder, &["secrets", "list", "--json"], &[]).await;
    assert_eq!(listed.json(), json!([]), "nothing is stored either");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variable_beside_what_is_no_secret_is_written_and_expanded() {
    let folder = own_place();
    let folder = folder.path();
    let server = program(folder, "weather-server");
    std::fs::write(folder.join("key.json"), "{}").unwrap();
    let given = [
        ("DATABASE_URL", "postgres://${USER}:${MINE}@db.example/shop?charset=utf8mb4"),
        ("HEADERS", "{\"Authorization\": \"Bearer ${MINE}\"}"),
        ("APPLICATION_CREDENTIALS", "${PLACE}/key.json"),
        ("PRICE", "5$$${MINE}"),
        ("TEMPLATE", "$${MINE}"),
    ];
    let given = given.map(|(name, value)| format!("{name}={value}"));
    let mut args = vec!["upstreams", "add"];
    given.iter().for_each(|given| args.extend(["--env", given]));
    args.extend(["--", server.to_str().unwrap()]);
    let place = folder.to_str().unwrap();
    let environment = [("USER", "me"), ("MINE", SECRET), ("PLACE", place)];
    let added = at(folder, &args, &environment).await;
    assert_eq!(added.code, Some(0), "{}{}", added.out, added.beside);
    assert!(!file(folder).contains(SECRET), "{}", file(folder));
    for line in [
        format!("DATABASE_URL=postgres://me:{SECRET}@db.example/shop?charset=utf8mb4\n"),
        format!("HEADERS={{\"Authorization\": \"Bearer {SECRET}\"}}\n"),
        format!("APPLICATION_CREDENTIALS={place}/key.json\n"),
        format!("PRICE=5${SECRET}\n"),
        "TEMPLATE=${MINE}\n".to_owned(),
    ] {
        assert!(seen(&server).contains(&line), "{line}: {}", seen(&server));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_gives_an_argument_to_a_program_is_no_variable_that_it_reads() {
    let folder = own_place();
    let folder = folder.path();
    let server = program(folder, "weather-server");
    let path = server.to_str().unwrap();
    let args = [
        "upstreams",
        "add",
        "--",
        path,
        "--path",
        "/x",
        "--token",
        SECRET,
        "--home=ghp_a1b2c3d4e5f6g7h8",
    ];
    let added = at(folder, &args, &[("TOKEN", "other")]).await;
    assert_eq!(added.code, Some(0), "{}{}", added.out, added.beside);
    let seen = seen(&server);
    let line = format!("args: --path /x --token {SECRET} --home=ghp_a1b2c3d4e5f6g7h8\n");
    assert!(seen.contains(&line), "{seen}");
    let holders = seen.lines().filter(|line| !line.starts_with("args: "));
    let holders: Vec<&str> =
        holders.filter(|line| line.contains(SECRET) || line.contains("ghp_")).collect();
    assert!(
        holders.len() == 2 && holders.iter().all(|line| line.starts_with("AIRLOCK_ARG_")),
        "{holders:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_at_once_lose_no_upstream_and_no_secret() {
    let folder = own_place();
    let folder = folder.path();
    // Names whose secrets are named alike.
    let names = ["team-a", "team_a", "Team-A", "TEAM_A"];
    let adding = names.map(|name| async move {
        let server = program(folder, name);
        let given = format!("TOKEN=tok-{name}-Zx81");
        let args = ["upstreams", "add", "--no-check", "--name", name, "--env", &given, "--"];
        let args = [&args[..], &[server.to_str().unwrap()]].concat();
        let added = at(folder, &args, &[]).await;
        assert_eq!(added.code, Some(0), "{name}: {}{}", added.out, added.beside);
        server
    });
    let servers = futures::future::join_all(adding).await;
    let listed = at(folder, &["secrets", "list", "--json"], &[]).await;
    assert_eq!(listed.json().as_array().unwrap().len(), names.len(), "{}", listed.out);
    let checked = at(folder, &["upstreams", "check"], &[]).await;
    assert_eq!(checked.code, Some(0), "{}{}", checked.out, checked.beside);
    for (name, server) in names.iter().zip(servers) {
        let own = format!("TOKEN=tok-{name}-Zx81\n");
        assert!(seen(&server).contains(&own), "{name}: {}", seen(&server));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_of_an_upstream_that_is_not_written_is_not_stored() {
    let folder = own_place();
    let folder = folder.path();
    let given = format!("KEY={SECRET}");
    let args = ["upstreams", "add", "--env", &given, "--", "sh", "-c", "echo $KEY >&2; exit 1"];
    let said = at(folder, &args, &[]).await;
    assert_eq!(said.code, Some(69), "{}", said.out);
    assert!(said.beside.contains("[redacted]") && !said.beside.contains(SECRET), "{}", said.beside);
    let listed = at(folder, &["secrets", "list", "--json"], &[]).await;
    assert_eq!(listed.json(), json!([]));
}
