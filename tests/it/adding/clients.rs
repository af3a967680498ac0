//! `airlock upstreams import`: the files of the clients, as people have them.

use std::{path::Path, process::Stdio};

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use super::{at, file, own_place, program, seen, server};
use crate::support::server::airlock;

const SECRET: &str = "tok-Zx81Qq";
const KEY: &str = "own-Wq72Pp";

/// A client's file of `tests/client-files`, filled in.
fn fill(folder: &Path, name: &str, program: &Path, url: &str) -> String {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/client-files");
    let text = std::fs::read_to_string(fixtures.join(name)).unwrap();
    let text = text
        .replace("PROGRAM", program.to_str().unwrap())
        .replace("URL", url)
        .replace("SECRET", SECRET);
    std::fs::write(folder.join(name), text).unwrap();
    name.to_owned()
}

/// Stores a secret by its command.
async fn store(folder: &Path, name: &str, value: &str) {
    let mut command = airlock(&folder.join("airlock.toml"));
    let mut child = command
        .args(["secrets", "set", name])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(value.as_bytes()).await.unwrap();
    assert!(child.wait().await.unwrap().success());
}

/// The outcomes of the servers of an answer, by name.
fn outcomes(answer: &Value) -> Vec<(String, String)> {
    let of = |server: &Value, key: &str| server[key].as_str().unwrap_or_default().to_owned();
    answer["servers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|server| (of(server, "id"), of(server, "status")))
        .collect()
}

/// A client's file: what becomes of its servers, what is in the configuration then, and what the
/// program sees.
type Case = (
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static [&'static str],
    &'static [&'static str],
);

const CASES: &[Case] = &[
    (
        "claude-desktop.json",
        &[("weather", "added"), ("airlock", "skipped")],
        &["WEATHER_API_KEY = { secret = \"WEATHER_API_KEY\" }, LOG_LEVEL = \"info\""],
        &["args: --units metric\n", "WEATHER_API_KEY=tok-Zx81Qq\n", "LOG_LEVEL=info\n"],
    ),
    (
        "claude-code.mcp.json",
        &[("weather", "added"), ("notes", "added")],
        &["WEATHER_API_KEY = { env = \"MY_KEY\" }", "auth = { bearer = { env = \"MY_KEY\" } }"],
        &["args: --units metric\n", "WEATHER_API_KEY=own-Wq72Pp\n"],
    ),
    (
        "cursor.json",
        &[("weather", "added"), ("notes", "added")],
        &[
            "OTHER = { env = \"MY_KEY\" }",
            "API_KEY = { secret = \"WEATHER_API_KEY\" }",
            "api_key = { header = \"X-Api-Key\", value = { secret = \"NOTES_X_API_KEY\" } }",
        ],
        &["--api-key=tok-Zx81Qq\n", "OTHER=own-Wq72Pp\n", "args: --root /"],
    ),
    (
        "vscode.json",
        &[("weather", "added"), ("notes", "added"), ("mine", "skipped")],
        &[
            "WEATHER_API_KEY = { secret = \"weather-key\" }, LOG_LEVEL = \"info\"",
            "auth = { bearer = { secret = \"weather-key\" } }",
        ],
        &["WEATHER_API_KEY=own-Wq72Pp\n"],
    ),
    (
        "windsurf.json",
        &[("weather", "added"), ("notes", "added"), ("idle", "skipped")],
        &["{ secret = \"NOTES_TOKEN\" }", "WEATHER_API_KEY = { env = \"MY_KEY\" }"],
        &["WEATHER_API_KEY=own-Wq72Pp\n"],
    ),
    (
        "gemini.json",
        &[("weather", "added"), ("notes", "added")],
        &["call_timeout_ms = 15000", "call_timeout_ms = 5000", "{ env = \"MY_KEY\" }"],
        &["WEATHER_API_KEY=own-Wq72Pp\n"],
    ),
    (
        "zed.json",
        &[("weather", "added"), ("older", "added"), ("an-extension", "failed")],
        &["TOKEN = { secret = \"WEATHER_TOKEN\" }", "KEY = { secret = \"OLDER_KEY\" }"],
        &["args: older\n", "KEY=tok-Zx81Qq\n"],
    ),
    (
        "goose.yaml",
        &[("developer", "failed"), ("weather", "added"), ("notes", "added")],
        &["WEATHER_KEY = { secret = \"WEATHER_KEY\" }", "call_timeout_ms = 300000"],
        &["args: --units metric\n", "WEATHER_KEY=own-Wq72Pp\n"],
    ),
    (
        "codex.toml",
        &[("weather", "added"), ("notes", "added")],
        &[
            "MY_KEY = { env = \"MY_KEY\" }",
            "start_timeout_ms = 20000",
            "call_timeout_ms = 30000",
            "headers = { X-Region = \"eu\" }",
        ],
        &["WEATHER_API_KEY=tok-Zx81Qq\n", "MY_KEY=own-Wq72Pp\n"],
    ),
    (
        "continue.yaml",
        &[("weather", "added"), ("notes", "added")],
        &["WEATHER_API_KEY = { secret = \"weather-key\" }"],
        &["WEATHER_API_KEY=own-Wq72Pp\n"],
    ),
    (
        "opencode.json",
        &[("weather", "added"), ("notes", "added")],
        &["WEATHER_API_KEY = { secret = \"WEATHER_API_KEY\" }"],
        &["WEATHER_API_KEY=tok-Zx81Qq\n"],
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn the_files_of_all_clients_are_imported_and_their_secrets_become_references() {
    let notes = server().await;
    for (name, expected, lines, arrives) in CASES {
        let folder = own_place();
        let folder = folder.path();
        let before = file(folder);
        let server = program(folder, "weather-server");
        let list = fill(folder, name, &server, &notes.url());
        store(folder, "weather-key", KEY).await;
        store(folder, "WEATHER_KEY", KEY).await;
        let environment = [("MY_KEY", KEY)];
        let args = ["upstreams", "import", &list, "--all", "--json"];
        let planned = at(folder, &[&args[..], &["--dry-run"]].concat(), &environment).await;
        assert!(planned.json()["servers"].is_array(), "{name}: {}", planned.beside);
        assert_eq!(file(folder), before, "{name}: nothing is written");
        assert_eq!(seen(&server), "", "{name}: nothing is started");

        let imported = at(folder, &args, &environment).await;
        let answer = imported.json();
        let own = |(name, status): &(&str, &str)| ((*name).to_owned(), (*status).to_owned());
        let mut expected: Vec<_> = expected.iter().map(own).collect();
        let mut found = outcomes(&answer);
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{name}: {answer} {}", imported.beside);
        let failed = expected.iter().any(|(_, status)| status == "failed");
        assert_eq!(imported.code, Some(i32::from(failed)), "{name}: {answer}");
        let text = file(folder);
        assert!(text.starts_with(&before), "{name}: the rest stays: {text}");
        for line in *lines {
            assert!(text.contains(line), "{name}: {line}: {text}");
        }
        for line in *arrives {
            assert!(seen(&server).contains(line), "{name}: {line}: {}", seen(&server));
        }
        let again = at(folder, &["upstreams", "import", &list, "--all"], &environment).await;
        assert!(again.out.contains("it is the same server as `weather`"), "{name}: {}", again.out);
        assert_eq!(file(folder), text, "{name}");
        let said = [&planned, &imported, &again].map(|said| format!("{}{}", said.out, said.beside));
        let everything = format!("{text}{}", said.concat());
        assert!(!everything.contains(SECRET) && !everything.contains(KEY), "{name}: {everything}");
    }
    notes.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_are_chosen_and_what_cannot_be_used_is_left_out_with_its_reason() {
    let folder = own_place();
    let folder = folder.path();
    let before = file(folder);
    let server = program(folder, "weather-server");
    let list = json!({"mcpServers": {
        "weather": {"command": server},
        "broken": {"command": "sh", "args": ["-c", "echo 'no license' >&2; exit 3"],
            "env": {"TOKEN": SECRET}},
        "missing": {"command": "no-such-program"},
        "foreign": {"command": "x", "env": {"A": "${command:pick}"}},
        "unset": {"command": server, "args": ["b"], "env": {"TOKEN": "${NO_SUCH_VARIABLE}"}},
    }});
    std::fs::write(folder.join("list.json"), list.to_string()).unwrap();
    let import = ["upstreams", "import", "list.json"];
    let said = at(folder, &import, &[]).await;
    assert_eq!(said.code, Some(1), "{}", said.out);
    assert!(
        said.beside.contains("`--all`") && said.out.contains("[upstreams.weather]"),
        "{}",
        said.out
    );
    assert_eq!((file(folder), seen(&server)), (before.clone(), String::new()));
    let said = at(folder, &[&import[..], &["nothing"]].concat(), &[]).await;
    assert!(said.beside.contains("no server `nothing`") && said.beside.contains("`weather`"));

    let said = at(folder, &[&import[..], &["--all"]].concat(), &[]).await;
    assert_eq!(said.code, Some(1), "{}{}", said.out, said.beside);
    for (name, words) in [
        ("weather", "MCP server with"),
        ("broken", "no license"),
        ("missing", "no-such-program"),
        ("foreign", "${command:pick}"),
        ("unset", "`NO_SUCH_VARIABLE` is not set"),
    ] {
        let line = said.out.lines().find(|line| line.contains(name) && line.contains(words));
        assert!(line.is_some(), "{name}: {words}: {}", said.out);
    }
    let text = file(folder);
    assert!(
        text.contains("[upstreams.weather]") && text.matches("[upstreams.").count() == 1,
        "{text}"
    );
    let listed = at(folder, &["secrets", "list", "--json"], &[]).await;
    assert_eq!(listed.json(), json!([]), "the secret of what was not written");

    let named =
        at(folder, &[&import[..], &["missing", "--no-check", "--json"]].concat(), &[]).await;
    assert_eq!(named.code, Some(0), "{}", named.beside);
    assert!(file(folder).contains("[upstreams.missing]"), "{}", file(folder));
    for (name, text, word) in [
        ("none.json", "{\"a\": 1}", "lists no MCP servers"),
        ("odd.json", "{\"mcpServers\": ", "is not valid JSON"),
        ("odd.toml", "[mcp_servers", "is not valid TOML"),
    ] {
        std::fs::write(folder.join(name), text).unwrap();
        let said = at(folder, &["upstreams", "import", name, "--all"], &[]).await;
        assert!(said.code == Some(1) && said.beside.contains(word), "{name}: {}", said.beside);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_beside_a_variable_is_not_imported_and_its_place_is_named() {
    let folder = own_place();
    let folder = folder.path();
    let before = file(folder);
    let server = program(folder, "weather-server");
    let key = "sk-Zx81Qq55Rr20Tt77Uu";
    let list = json!({"mcpServers": {
        "env": {"command": server, "env": {"PASSWORD": format!("{key}$word")}},
        "short": {"command": server, "env": {"DB_PW": "Zx81Qq$word"}},
        "argument": {"command": server, "args": [format!("--token={key}${{X}}")]},
        "option": {"command": server, "args": ["--token", format!("{key}==${{X}}")]},
        "positional": {"command": server, "args": [format!("${{X}}{key}")]},
        "script": {"command": "sh", "args": ["-c", format!("TOKEN=${{X}}{key} exec x")]},
        "header": {"httpUrl": "https://h.example/mcp",
            "headers": {"Authorization": format!("Bearer {key}${{X}}")}},
        "url": {"httpUrl": format!("https://h.example/mcp?api_key={key}${{UNSET}}")},
    }});
    // It has bare variables as well.
    std::fs::create_dir(folder.join(".gemini")).unwrap();
    std::fs::write(folder.join(".gemini/settings.json"), list.to_string()).unwrap();
    let args = ["upstreams", "import", ".gemini/settings.json", "--all", "--no-check"];
    let said = at(folder, &args, &[("X", "1"), ("word", "2")]).await;
    assert_eq!(said.code, Some(1), "{}{}", said.out, said.beside);
    for (name, words) in [
        ("env", "`PASSWORD` holds what looks like a secret beside a variable"),
        ("short", "`DB_PW` holds"),
        ("argument", "the argument `--token` holds"),
        ("option", "the argument `--token` holds"),
        ("positional", "an argument holds"),
        ("script", "the commands for the shell contain a secret"),
        ("header", "the header `Authorization` holds"),
        ("url", "the URL contains a variable"),
    ] {
        let line = said.out.lines().find(|line| line.starts_with(&format!("✗ {name} ")));
        assert!(line.is_some_and(|line| line.contains(words)), "{name}: {words}: {}", said.out);
    }
    assert!(said.out.contains("write `${secret:NAME}` in its place"), "{}", said.out);
    let everything = format!("{}{}{}", file(folder), said.out, said.beside);
    assert!(!everything.contains("Zx81Qq"), "{everything}");
    assert_eq!(file(folder), before);
}
