//! `airlock policy`, as an owner uses it: a file is written from what is there, edited, tested,
//! explained, put in force, and seen to work.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{
    policy::Policed,
    server::{PATIENCE, airlock, eventually},
};

struct Said {
    code: Option<i32>,
    out: String,
    beside: String,
}

impl Said {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|error| panic!("{error}: {}{}", self.out, self.beside))
    }
}

/// The binary with this configuration and these arguments.
async fn say(config: &Path, args: &[&str]) -> Said {
    let output = airlock(config).args(args).stdin(std::process::Stdio::null()).output();
    let output = tokio::time::timeout(PATIENCE, output).await.expect("the command ends").unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is text");
    Said { code: output.status.code(), out: text(output.stdout), beside: text(output.stderr) }
}

/// A folder with a configuration that names no upstream, and one file.
fn place(file: &str, text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("airlock.db");
    std::fs::write(
        folder.path().join("airlock.toml"),
        format!("[store]\nurl = \"sqlite://{}\"\n", database.display()),
    )
    .unwrap();
    let path = folder.path().join(file);
    std::fs::write(&path, text).unwrap();
    (folder, path.to_str().unwrap().to_owned())
}

const OPEN: &str = "version: \"1\"\ndefault: allow\n";

/// What an owner makes of the scaffold: `add` is harmless but for large numbers, with a test of
/// each, the second of which is wrong.
fn edited(scaffold: &str) -> String {
    let entry = scaffold.split("\n  add:\n").nth(1).expect("the tool has an entry");
    let entry =
        entry.split_inclusive('\n').take_while(|line| line.starts_with("    ")).collect::<String>();
    let ours = concat!(
        "    class: read\n",
        "    deny_if: [{conditions: [{path: args.a, op: gt, value: 100}], message: too much}]\n",
        "    rules: [{action: allow}]\n",
    );
    let file = scaffold.replacen(&entry, ours, 1);
    // Its own tests in place of the scaffold's.
    let (head, _) = file.split_once("\ntests:").expect("it has tests");
    let more = "  - {tool: add, args: {a: 101, b: 1}, expect: deny}\n  - {tool: add, args: {a: 5, \
        b: 1}, expect: deny}\n";
    format!("{head}\ntests:\n{more}")
}

/// Scans the upstream, edits the draft, and tests it until it is right; returns its text.
async fn drafted(policed: &Policed, config: &Path) -> String {
    let scanned = say(config, &["policy", "scan", "demo"]).await;
    assert_eq!(scanned.code, Some(0), "{}", scanned.beside);
    assert!(
        scanned.out.contains("upstream: demo") && scanned.out.contains("\n  add:\n"),
        "{}",
        scanned.out
    );
    assert!(scanned.out.contains("class: ") && scanned.out.contains("tests:"), "{}", scanned.out);

    let draft = policed.server.folder.path().join("draft.yaml");
    let draft_path = draft.to_str().unwrap();
    std::fs::write(&draft, &scanned.out).unwrap();
    let tested = say(config, &["policy", "test", draft_path]).await;
    assert_eq!(
        tested.code,
        Some(0),
        "what is scaffolded passes its own tests: {}{}",
        tested.out,
        tested.beside
    );

    let edited = edited(&scanned.out);
    std::fs::write(&draft, &edited).unwrap();
    let tested = say(config, &["policy", "test", draft_path]).await;
    assert_eq!(tested.code, Some(1), "{}", tested.out);
    assert!(
        tested.out.contains("expected: deny") && tested.beside.contains("1 failed"),
        "{}{}",
        tested.out,
        tested.beside
    );
    let right =
        edited.replace("args: {a: 5, b: 1}, expect: deny", "args: {a: 500, b: 1}, expect: deny");
    std::fs::write(&draft, &right).unwrap();
    let tested = say(config, &["policy", "test", draft_path, "--json"]).await;
    assert_eq!(tested.code, Some(0), "{}", tested.out);
    assert!(
        tested
            .json()
            .as_array()
            .unwrap()
            .iter()
            .all(|one| one["status"] == "passed" && one["known"] == true),
        "{}",
        tested.out
    );
    assert_eq!(say(config, &["policy", "lint", draft_path]).await.code, Some(0));
    right
}

/// The explanations of a denied and of an allowed call name the rule of this file.
async fn explained(config: &Path, right: &str) {
    let explained = say(
        config,
        &["policy", "explain", "demo.add", "--args", r#"{"a": 101, "b": 1}"#, "--as", "ci"],
    )
    .await;
    assert_eq!(explained.code, Some(0), "{}", explained.beside);
    assert!(
        explained.out.contains("args.a")
            && explained.out.contains("deny")
            && explained.out.contains("too much"),
        "{}",
        explained.out
    );
    let first = explained.out.lines().next().unwrap();
    assert!(
        first.starts_with("DENY demo.add: rule `") && first.ends_with(": too much"),
        "the answer and why: {first}"
    );
    let line = right.lines().position(|line| line.contains("message: too much")).unwrap() + 1;
    assert!(first.contains(&format!("in policy.yaml:{line}")), "{first}: {right}");
    let allowed =
        say(config, &["policy", "explain", "demo.add", "--args", r#"{"a": 1, "b": 1}"#, "--json"])
            .await
            .json();
    assert_eq!(
        (&allowed["status"], &allowed["verdict"]["outcome"]),
        (&json!("allow"), &json!("allow")),
        "{allowed}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_scans_edits_tests_explains_and_sees_the_effect_without_restarting() {
    let policed = Policed::start(OPEN).await;
    let config = policed.server.config_file();
    let program = "return (await tools.demo.add({ a: 1, b: 2 })).sum";
    assert_eq!(policed.server.run(program).await["result"], 3);

    let right = drafted(&policed, &config).await;
    let before = say(&config, &["policy", "show", "--json"]).await.json();
    policed.rewrite(&right);
    let after = eventually("the new policy is in force", async || {
        let shown = say(&config, &["policy", "show", "--json"]).await.json();
        (shown["revision"] != before["revision"]).then_some(shown)
    })
    .await;
    assert_eq!(
        (&after["status"], &after["layers"][0]["scope"]),
        (&json!("ok"), &json!("organisation"))
    );

    explained(&config, &right).await;

    let refused = policed.server.run("return await tools.demo.add({ a: 101, b: 2 })").await;
    assert_eq!((&refused["status"], policed.hits("add")), (&json!("denied"), 1), "{refused}");
    assert_eq!(policed.server.run(program).await["result"], 3, "what the file allows goes on");

    policed.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_broken_while_the_server_runs_is_told_and_changes_nothing() {
    let policed = Policed::start(OPEN).await;
    let config = policed.server.config_file();
    let after = say(&config, &["policy", "show", "--json"]).await.json();
    policed.rewrite("version: \"1\"\ntols: {}\n");
    let broken = eventually("the invalid file is told", async || {
        let shown = say(&config, &["policy", "show", "--json"]).await.json();
        (shown["status"] == "degraded").then_some(shown)
    })
    .await;
    assert_eq!(broken["revision"], after["revision"], "the last good one stays");
    assert!(broken["problems"][0].as_str().unwrap().contains("did you mean `tools`?"), "{broken}");
    policed.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_tells_what_a_new_file_would_change_and_what_it_cannot_know() {
    let policed = Policed::start(OPEN).await;
    let config = policed.server.config_file();
    policed
        .server
        .run("await tools.demo.add({ a: 1, b: 2 }); await tools.demo.echo({ message: 'x' })")
        .await;
    policed.server.run("await tools.demo.echo({ message: 'y' })").await;
    let file = policed.server.folder.path().join("new.yaml");
    let new = "version: \"1\"\ndefault: allow\ntools:\n  demo.echo: {rules: [{name: quiet, \
        action: deny}]}\n  demo.add: {rules: [{name: small, require: [{path: args.a, op: lt, \
        value: 5}]}]}\n";
    std::fs::write(&file, new).unwrap();
    let said = say(&config, &["policy", "replay", "--since", "1h", file.to_str().unwrap()]).await;
    assert_eq!(said.code, Some(0), "{}", said.beside);
    assert_eq!(said.out.trim(), "demo.echo: allow → deny by `quiet` (2×)", "{}", said.beside);
    assert!(
        said.beside.contains("2 would get another decision, 0 the same, 1 not known")
            && said.beside.contains("policy.record_values"),
        "{}",
        said.beside
    );
    assert!(
        said.beside.contains("this file alone decides, and the profile `auto`"),
        "{}",
        said.beside
    );
    assert!(
        said.beside.contains("the other file of the configuration, which a server also applies"),
        "{}",
        said.beside
    );
    let table = say(&config, &["policy", "replay", file.to_str().unwrap(), "--json"]).await.json();
    let statuses: Vec<_> =
        table.as_array().unwrap().iter().map(|one| one["status"].as_str().unwrap()).collect();
    assert_eq!(statuses.iter().filter(|status| **status == "changed").count(), 2, "{table}");
    policed.server.stop().await;

    let policed = Policed::with(OPEN, "record_values = true\n").await;
    policed
        .server
        .run("await tools.demo.add({ a: 1, b: 2 }); await tools.demo.add({ a: 9, b: 2 })")
        .await;
    let file = policed.server.folder.path().join("new.yaml");
    std::fs::write(&file, new).unwrap();
    let said =
        say(&policed.server.config_file(), &["policy", "replay", file.to_str().unwrap()]).await;
    assert_eq!(said.out.trim(), "demo.add: allow → deny by `small` (1×)", "{}", said.beside);
    assert!(
        said.beside.contains("1 would get another decision, 1 the same, 0 not known"),
        "{}",
        said.beside
    );
    policed.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lint_knows_the_tools_of_the_server_that_runs() {
    let policed = Policed::start(
        "version: \"1\"\ndefault: allow\ntools:\n  demo.ad: {}\n  demo.add:\n    require: [{path: \
        args.aa, op: exists}]\n",
    )
    .await;
    let config = policed.server.config_file();
    let said = say(&config, &["policy", "lint"]).await;
    assert_eq!(said.code, Some(0), "warnings alone fail nothing: {}", said.beside);
    assert!(
        said.out.contains("[no-such-tool] `demo.ad` matches no tool; did you mean `demo.add`?"),
        "{}",
        said.out
    );
    assert!(
        said.out.contains("[no-such-argument]") && said.out.contains("policy.yaml:6:"),
        "{}",
        said.out
    );
    let found = say(&config, &["policy", "lint", "--json"]).await.json();
    assert_eq!((&found[0]["id"], &found[0]["status"]), (&json!("no-such-tool"), &json!("warning")));
    let explained = say(&config, &["policy", "explain", "demo.ad"]).await;
    assert_eq!(explained.code, Some(1));
    assert!(explained.beside.contains("demo.add"), "{}", explained.beside);
    let odd = say(&config, &["policy", "explain", "demo.add", "--as", "who:me"]).await;
    assert!(odd.code == Some(1) && odd.beside.contains("`who:me`"), "{}", odd.beside);
    policed.server.stop().await;
}

#[tokio::test]
async fn validating_needs_no_server_and_tells_every_problem_with_its_place() {
    let bad = "version: \"2\"\ntools:\n  a.b:\n    rules:\n      - {action: dny}\n      - {when: \
        'args.x ==', action: deny}\n    limit: []\n";
    let (folder, file) = place("policy.yaml", bad);
    let config = folder.path().join("airlock.toml");
    let said = say(&config, &["policy", "validate", &file]).await;
    assert_eq!((said.code, said.beside.as_str()), (Some(1), ""), "{}", said.out);
    for expected in
        [":1:1: version", ":5:10: ", "did you mean `deny`?", ":7:5: unknown key `limit`"]
    {
        assert!(said.out.contains(expected), "{expected}: {}", said.out);
    }
    let told = say(&config, &["policy", "validate", &file, "--json"]).await;
    assert_eq!((told.code, &told.json()["status"]), (Some(1), &json!("invalid")));
    assert!(
        told.json()["problems"]
            .as_array()
            .unwrap()
            .iter()
            .all(|one| one["line"].as_u64() > Some(0)),
        "{}",
        told.out
    );
    std::fs::write(&file, "version: \"1\"\ntools: {a.b: {}}\ntests: [{tool: a.b, expect: deny}]\n")
        .unwrap();
    let said = say(&config, &["policy", "validate", &file]).await;
    assert_eq!(
        (said.code, said.out.ends_with(": valid\n")),
        (Some(0), true),
        "{}{}",
        said.out,
        said.beside
    );
    let tested = say(&config, &["policy", "test", &file]).await;
    assert_eq!(tested.code, Some(1), "{}", tested.out);
    assert!(
        tested.out.contains("got:      ask") && tested.out.contains("not known here"),
        "{}",
        tested.out
    );
    assert!(!folder.path().join("airlock.db").exists(), "nothing was opened");
    let linted = say(&config, &["policy", "lint", &file]).await;
    assert!(
        linted.code == Some(0) && linted.beside.contains("no problems found in 1 file"),
        "{}{}",
        linted.out,
        linted.beside
    );
}

#[tokio::test]
async fn the_published_files_validate_as_they_are() {
    for name in [
        "website-convex-run.yaml",
        "website-trigger-cancel_run.yaml",
        "policylayer-runGraphTool.json",
    ] {
        let (folder, _) = place("unused", "");
        let file = format!("{}/tests/policies/published/{name}", env!("CARGO_MANIFEST_DIR"));
        let said = say(
            &folder.path().join("airlock.toml"),
            &["policy", "validate", &file, "--upstream", "up"],
        )
        .await;
        assert_eq!(said.code, Some(0), "{name}: {}{}", said.out, said.beside);
    }
}

#[tokio::test]
async fn an_import_writes_the_policy_and_tells_beside_it_what_became_what() {
    let theirs = "version: \"1\"\ntools:\n  run:\n    rules:\n      - {name: often, rate_limit: \
        5/hour}\n      - {name: money, spend: {daily: 5}, action: deny}\n";
    let (folder, file) = place("theirs.yaml", theirs);
    let config = folder.path().join("airlock.toml");
    let refused =
        say(&config, &["policy", "import", "intercept", &file, "--upstream", "convex"]).await;
    assert_eq!((refused.code, refused.out.as_str()), (Some(1), ""), "{}", refused.beside);
    assert!(
        refused.beside.contains("theirs.yaml:6:23: `spend`")
            && refused.beside.contains("--compat-warn"),
        "{}",
        refused.beside
    );
    let made = say(
        &config,
        &["policy", "import", "intercept", &file, "--upstream", "convex", "--compat-warn"],
    )
    .await;
    assert_eq!(made.code, Some(0), "{}", made.beside);
    assert!(
        made.beside.contains(
            "theirs.yaml:5:9: run: rate_limit `often` → convex.run: limit _rate_hour: 5 in hour"
        ),
        "{}",
        made.beside
    );
    assert!(
        made.beside.contains("warning: ") && made.beside.contains("`spend`"),
        "{}",
        made.beside
    );
    assert!(
        made.beside.contains("warning: the configuration has no upstream `convex` (it has none)"),
        "{}",
        made.beside
    );
    let ours = folder.path().join("ours.yaml");
    std::fs::write(&ours, &made.out).unwrap();
    assert_eq!(say(&config, &["policy", "validate", ours.to_str().unwrap()]).await.code, Some(0));

    let rows = r#"[{"owner": "org", "pattern": "a.*", "action": "block", "position": 1}, {"owner": "user", "pattern": "a.b", "action": "approve", "position": 1}]"#;
    std::fs::write(&file, rows).unwrap();
    let several = say(&config, &["policy", "import", "executor", &file]).await;
    assert!(
        several.code == Some(1) && several.beside.contains("--output FOLDER"),
        "{}",
        several.beside
    );
    let folder_path = folder.path().to_str().unwrap();
    let written =
        say(&config, &["policy", "import", "executor", &file, "--output", folder_path]).await;
    assert_eq!(written.code, Some(0), "{}", written.beside);
    assert!(
        folder.path().join("theirs.org.policy.yaml").exists()
            && folder.path().join("theirs.user.policy.yaml").exists()
    );
    let again =
        say(&config, &["policy", "import", "executor", &file, "--output", folder_path]).await;
    assert!(again.code == Some(1) && again.beside.contains("not overwritten"), "{}", again.beside);
}
