//! Finding one's way: `airlock` alone, help, completions, the manual page, the doctor, hints.

use std::{path::Path, process::Stdio};

use serde_json::json;
use tokio::process::Command;

use super::{place, say};
use crate::support::server::{TestServer, airlock, demo};

/// What the binary says in this folder, with nothing but a home folder in its environment.
async fn in_folder(folder: &Path, home: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_airlock"));
    let out = command
        .env_clear()
        .env("HOME", home)
        .env("PATH", "/usr/bin:/bin")
        .current_dir(folder)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (out.status.code(), text(out.stdout), text(out.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn alone_it_says_where_one_stands_and_starts_nothing() {
    let home = tempfile::tempdir().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (code, said, beside) = in_folder(folder.path(), home.path(), &[]).await;
    assert_eq!(code, Some(0), "{beside}");
    for part in [env!("CARGO_PKG_VERSION"), "configuration none", "not running", "upstreams add"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(said.lines().count() <= 12, "{said}");
    let left: Vec<_> = std::fs::read_dir(home.path()).unwrap().collect();
    assert!(left.is_empty(), "it starts and writes nothing: {left:?}");

    // A file of a parent folder is not read; it is named.
    std::fs::write(folder.path().join("airlock.toml"), demo(&[])).unwrap();
    let below = folder.path().join("a/b");
    std::fs::create_dir_all(&below).unwrap();
    let (_, said, _) = in_folder(&below, home.path(), &[]).await;
    let above = folder.path().join("airlock.toml");
    assert!(
        said.contains(&format!("`{}` is in a parent folder and is not read", above.display())),
        "{said}"
    );
    let (_, said, _) = in_folder(folder.path(), home.path(), &[]).await;
    assert!(said.contains("(in this folder)") && !said.contains("parent folder"), "{said}");
    assert!(said.contains("demo (not listed yet)"), "{said}");
    let named = above.to_str().unwrap();
    let (_, said, _) = in_folder(&below, home.path(), &["--config", named]).await;
    assert!(said.contains("named by `--config`") && !said.contains("parent folder"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn alone_it_says_what_the_running_server_has() {
    let server = TestServer::start().await;
    server.run("return 1").await;
    server.run("return 2").await;
    let said = say(&server.config_file(), &[], "").await;
    assert_eq!(said.code, Some(0), "{}", said.beside);
    for part in [
        server.url.as_str(),
        "demo (",
        "no call waits for you",
        "2 tasks on record",
        "airlock tools search",
    ] {
        assert!(said.out.contains(part), "{part}: {}", said.out);
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn completions_a_manual_page_and_the_version_are_printed() {
    let folder = place("");
    let config = folder.path().join("airlock.toml");
    for (shell, part) in [
        ("bash", "complete -F _airlock"),
        ("zsh", "#compdef airlock"),
        ("fish", "complete -c airlock"),
    ] {
        let said = say(&config, &["completions", shell], "").await;
        assert_eq!(said.code, Some(0), "{}", said.beside);
        assert!(said.out.contains(part) && said.out.contains("approvals"), "{shell}");
    }
    let other = say(&config, &["completions", "cmd"], "").await;
    assert!(other.code == Some(2) && other.beside.contains("zsh"), "{}", other.beside);
    let page = say(&config, &["man"], "").await.out;
    for part in [".TH airlock 1", "approvals approve", "tools list", "nextCursor", "Exit codes"] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("__mcp"), "what is hidden stays so");
    let version = env!("CARGO_PKG_VERSION");
    let said = say(&config, &["version"], "").await.out;
    assert_eq!(said, format!("airlock {version}\n"));
    let said = say(&config, &["version", "--json"], "").await.json();
    assert_eq!(said["version"], json!(version));
    // They work where the configuration does not.
    let broken = place("[limits]\nheap = 1\n");
    for args in [&["version"][..], &["man"], &["completions", "bash"], &["config", "reference"]] {
        let said = say(&broken.path().join("airlock.toml"), args, "").await;
        assert_eq!(said.code, Some(0), "{args:?}: {}", said.beside);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn help_has_a_commands_own_options_first_and_the_global_ones_last() {
    let folder = place("");
    let config = folder.path().join("airlock.toml");
    for (args, own) in [
        (&["tasks", "list", "--help"][..], &["--status", "--session", "--metadata"][..]),
        (&["run", "--help"], &["--timeout-ms", "--runtime"]),
        (&["tools", "list", "--help"], &["--namespace"]),
        (&["policy", "explain", "--help"], &["--args", "--as"]),
        (&["tasks", "wait", "--help"], &["--timeout"]),
        (&["tasks", "follow", "--help"], &[]),
        (&["approvals", "watch", "--help"], &[]),
        (&["open", "--help"], &[]),
    ] {
        let help = say(&config, args, "").await.out;
        let at = |part: &str| help.find(part).unwrap_or_else(|| panic!("{part}: {help}"));
        let (output, global) = (at("Output options:"), at("Global options:"));
        assert!(output < at("--json") && at("--json") < global, "{help}");
        assert!(global < at("--config") && at("--config") < at("--log"), "{help}");
        for option in own {
            assert!(at(option) < output, "{option}: {help}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_that_takes_an_id_explains_it_in_the_same_words() {
    let folder = place("");
    let config = folder.path().join("airlock.toml");
    for command in [
        ["tasks", "get"],
        ["tasks", "wait"],
        ["tasks", "follow"],
        ["tasks", "cancel"],
        ["approvals", "show"],
        ["approvals", "approve"],
        ["approvals", "deny"],
        ["artifacts", "show"],
        ["artifacts", "get"],
        ["artifacts", "remove"],
    ] {
        let help = say(&config, &[&command[..], &["--help"]].concat(), "").await.out;
        let explained = "The id, or its first digits (at least 4)";
        assert!(help.contains(explained), "{command:?}: {help}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_counts_what_is_on_record() {
    let server = TestServer::start().await;
    for _ in 0..3 {
        server.run("return 1").await;
    }
    let said = say(&server.config_file(), &["doctor"], "").await;
    assert_eq!(said.code, Some(0), "{}", said.out);
    for part in [
        "works: 3 tasks and 0 artifacts on record",
        "the profile `open` and no policy file are in force",
        "an MCP server, works, ",
        "1 upstream",
    ] {
        assert!(said.out.contains(part), "{part}: {}", said.out);
    }
    for raw in ["runtimeId", "parkedTasks", "parked tasks", "revision: ", "kind: ", "tasks: "] {
        assert!(!said.out.contains(raw), "{raw}: {}", said.out);
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hints_name_commands_that_a_binary_has() {
    let folder = place("[limits]\nheap = 1\n");
    let config = folder.path().join("airlock.toml");
    let said = say(&config, &["tasks", "list"], "").await.beside;
    assert!(said.contains("`airlock config reference`") && !said.contains("docs/"), "{said}");
    let missing = folder.path().join("nowhere.toml");
    let said = airlock(&missing).arg("config").output().await.unwrap();
    let said = String::from_utf8(said.stderr).unwrap();
    assert!(said.contains("nowhere.toml") && !said.contains("docs/"), "{said}");

    let folder = place("");
    let config = folder.path().join("airlock.toml");
    let said = say(&config, &["secrets", "remove", "NOPE"], "").await.beside;
    assert!(said.contains("there is no secret `NOPE`"), "{said}");
    assert!(!said.contains("set it with"), "{said}");
    let said = say(&config, &["config"], "").await.out;
    assert!(said.contains("[upstreams]") && !said.contains("[]\n"), "{said}");
    let said = say(&config, &["tools", "list"], "").await;
    assert!(said.beside.contains("airlock upstreams add"), "{}", said.beside);
}
