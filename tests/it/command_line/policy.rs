//! Commands on policy as their owner meets them.

use super::{objects, place, say};
use crate::{
    cli::Said,
    support::{
        policy::Policed,
        server::{demo, eventually},
    },
};

/// A configuration with this policy file, without a server.
fn with_policy(policy: &str) -> tempfile::TempDir {
    let folder = place(&demo(&[]));
    let file = folder.path().join("policy.yaml");
    std::fs::write(&file, policy).unwrap();
    let config = folder.path().join("airlock.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let with_file = format!("[policy]\nfiles = [{:?}]\n", file.to_str().unwrap());
    std::fs::write(&config, text.replace("[policy]\n", &with_file)).unwrap();
    folder
}

const DENYING: &str = r#"version: "1"
default: allow
tools:
  demo.echo:
    rules: [{action: deny}]
  demo.add:
    rules: [{action: ask, name: sums}]
  demo.notes.*:
    hide: true
"#;

async fn in_place(folder: &tempfile::TempDir, args: &[&str]) -> Said {
    say(&folder.path().join("airlock.toml"), args, "").await
}

#[tokio::test(flavor = "multi_thread")]
async fn lint_knows_the_tools_without_a_server() {
    let folder = with_policy("version: \"1\"\ntools:\n  demo.ad:\n    rules: [{action: deny}]\n");
    let said = in_place(&folder, &["policy", "lint"]).await;
    assert!(said.out.contains("demo.ad") && said.out.contains("no-such-tool"), "{}", said.out);
    let listed = in_place(&folder, &["policy", "lint", "--json"]).await;
    assert_eq!(objects(&listed.json()).len(), 1, "{}", listed.out);

    let clean = with_policy("version: \"1\"\ntools:\n  demo.add:\n    rules: [{action: deny}]\n");
    let said = in_place(&clean, &["policy", "lint"]).await;
    assert_eq!((said.code, said.out.as_str()), (Some(0), ""), "{}", said.beside);
    assert!(said.beside.contains("no problems found in 1 file"), "{}", said.beside);
    assert!(!said.beside.contains("not known"), "{}", said.beside);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_sees_what_the_policy_says_about_each_tool() {
    let folder = with_policy(DENYING);
    let listed = in_place(&folder, &["tools", "list", "--json"]).await.json();
    let verdict = |path: &str| {
        let tool = objects(&listed).iter().find(|tool| tool["id"] == path);
        tool.unwrap_or_else(|| panic!("{path}: {listed}"))["verdict"].as_str().unwrap().to_owned()
    };
    for (path, right) in [
        ("demo.echo", "deny"),
        ("demo.add", "ask"),
        ("demo.big", "allow"),
        ("demo.notes.add", "deny"),
    ] {
        assert_eq!(verdict(path), right, "{path}");
    }
    let text = in_place(&folder, &["tools", "list"]).await.out;
    for line in ["deny  demo.echo", "ask   demo.add", "allow demo.big"] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let one = in_place(&folder, &["tools", "describe", "demo.echo"]).await;
    assert!(one.out.contains("deny: policy denies every call"), "{}{}", one.out, one.beside);
    // For an agent it does not exist.
    let program = "return [(await tools.catalog.tools({ limit: 200 })).results.map(t => t.path), \
        await tools.demo.echo({ message: 'x' }).catch(e => e.name)]";
    let seen = say(&folder.path().join("airlock.toml"), &["run", "-"], program).await;
    let seen = seen.json();
    assert!(!seen[0].to_string().contains("demo.echo"), "{seen}");
    assert!(seen[0].to_string().contains("demo.add"), "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn show_prints_the_rules_in_force() {
    let folder = with_policy(DENYING);
    let said = in_place(&folder, &["policy", "show"]).await;
    assert_eq!(said.code, Some(0), "{}", said.beside);
    for part in ["policy.yaml", "demo.echo", "sums", "hide", "demo.notes.*", "default allow"] {
        assert!(said.out.contains(part), "{part}: {}", said.out);
    }
    let json = in_place(&folder, &["policy", "show", "--json"]).await.json();
    let rules: Vec<_> = json["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| (rule["tools"].as_str().unwrap(), rule["action"].as_str().unwrap()))
        .collect();
    assert_eq!(
        rules,
        [("demo.echo", "deny"), ("demo.add", "ask"), ("demo.notes.*", "hide")],
        "{json}"
    );
    assert_eq!(json["layers"][0]["default"], "allow", "{json}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_without_tests_is_told_what_one_looks_like() {
    let folder = with_policy(DENYING);
    let said = in_place(&folder, &["policy", "test"]).await;
    assert_eq!(said.code, Some(1), "{}", said.out);
    let example = said.beside.split_once("tests:").expect("an example").1;
    let example = example.split("\n\n").next().unwrap();
    let file = folder.path().join("policy.yaml");
    std::fs::write(&file, format!("{DENYING}tests:{example}\n")).unwrap();
    let ran = in_place(&folder, &["policy", "test"]).await;
    assert!(
        ran.beside.contains("1 passed") || ran.beside.contains("1 failed"),
        "the example is a test: {}{}",
        ran.out,
        ran.beside
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_file_is_told_by_every_command_that_the_policy_decides_about() {
    let policed = Policed::start("version: \"1\"\ndefault: allow\n").await;
    let config = policed.server.config_file();
    policed.rewrite("version: \"1\"\ntols: {}\n");
    let call = ["tools", "call", "demo.add", "--args", r#"{"a": 1, "b": 2}"#];
    for args in [&["policy", "explain", "demo.add"][..], &call, &["tools", "list"]] {
        let said = say(&config, args, "").await;
        assert_eq!(said.code, Some(0), "{}", said.beside);
        assert!(
            said.beside.contains("did you mean `tools`?") && said.beside.contains("stays in force"),
            "{args:?}: {}",
            said.beside
        );
    }
    policed.rewrite("version: \"1\"\ndefault: allow\n");
    eventually("nothing is told of a good file", async || {
        let said = say(&config, &["policy", "explain", "demo.add"], "").await;
        said.beside.is_empty().then_some(())
    })
    .await;
    policed.server.stop().await;

    let folder = with_policy("version: \"1\"\ntols: {}\n");
    for args in [&["policy", "explain", "demo.add"][..], &call, &["run", "-"]] {
        let said = in_place(&folder, args).await;
        assert_eq!((said.code, said.out.as_str()), (Some(78), ""), "{args:?}: {}", said.beside);
        assert!(said.beside.contains("did you mean `tools`?"), "{}", said.beside);
    }
}
