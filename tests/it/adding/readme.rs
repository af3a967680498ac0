//! The README's first program runs as it is printed, for one who follows the README in order.

use std::{os::unix::fs::PermissionsExt, path::Path, process::Stdio};

use tokio::process::Command;

use crate::support::{
    server::{PATIENCE, TestServer},
    upstream::everything,
};

/// A block of code of the README's section, without its fence.
fn block(section: &str, language: &str, number: usize) -> String {
    let start = format!("\n```{language}\n");
    let found = section.split(&start).nth(number + 1);
    let found = found.unwrap_or_else(|| panic!("there is no block {number} of {language}"));
    found.split("\n```").next().unwrap_or_default().to_owned()
}

fn section() -> String {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let text = std::fs::read_to_string(readme).unwrap();
    let section = text.split("\n## First program\n").nth(1).expect("there is a first program");
    section.split("\n## ").next().unwrap_or_default().to_owned()
}

/// A folder that is its own home, with `airlock`, and `npx` for the one package.
fn home(entry: &Path) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let bin = folder.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_airlock"), bin.join("airlock")).unwrap();
    let npx = format!(
        "#!/bin/sh\n[ \"$*\" = '-y @modelcontextprotocol/server-everything' ] || exit 9\nexec node \
        '{}' stdio\n",
        entry.display()
    );
    std::fs::write(bin.join("npx"), npx).unwrap();
    let runs = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(bin.join("npx"), runs).unwrap();
    folder
}

/// Gives the commands of a block to a shell, and returns what they wrote to standard output.
async fn shell(home: &Path, commands: &str) -> String {
    let script: String = commands
        .lines()
        .map(|line| format!("{} || exit 1\n", line.strip_prefix("$ ").expect("a command")))
        .collect();
    let path = std::env::var("PATH").unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", &script]).current_dir(home).env_clear().env("HOME", home);
    command.env("PATH", format!("{}:{path}", home.join("bin").display()));
    if std::env::var_os("AIRLOCK_TEST_RUNTIME").is_some() {
        command.env("AIRLOCK_SANDBOX_RUNTIME", crate::support::runtime::id());
    }
    // Deno is looked for in the cache of the real home.
    if let Some(cache) = std::env::var_os("XDG_CACHE_HOME") {
        command.env("XDG_CACHE_HOME", cache);
    } else if let Some(real) = std::env::var_os("HOME") {
        command.env("XDG_CACHE_HOME", Path::new(&real).join(".cache"));
    }
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE * 4, command.output()).await.unwrap().unwrap();
    let beside = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {beside}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_program_of_the_readme_runs_as_printed_and_answers_as_shown() {
    let Some(entry) = everything() else { return };
    let (section, folder) = (section(), home(&entry));
    let added = shell(folder.path(), &block(&section, "console", 0)).await;
    assert!(added.contains("[upstreams.everything]"), "{added}");
    let program = block(&section, "ts", 0);
    std::fs::write(folder.path().join("sum.ts"), &program).unwrap();
    let answer = shell(folder.path(), &block(&section, "console", 1)).await;
    assert_eq!(answer.trim(), block(&section, "json", 0).trim());

    // What an agent gets.
    let config = folder.path().join(".config/airlock/airlock.toml");
    let table = std::fs::read_to_string(config).unwrap();
    let npx = format!("command = {:?}", folder.path().join("bin/npx"));
    let server = TestServer::with(&table.replace("command = \"npx\"", &npx)).await;
    let result = server.call("execute", serde_json::json!({ "code": program })).await;
    let text = result["content"][0]["text"].as_str().unwrap();
    let shown = section.split("````text\n").nth(1).unwrap().split("\n````").next().unwrap();
    let without_id = |text: &str| {
        let (first, rest) = text.split_once('\n').unwrap();
        assert!(first.starts_with("taskId: task_"), "{text}");
        rest.replace(crate::support::runtime::id(), "local-v8").trim().to_owned()
    };
    assert_eq!(without_id(text), without_id(shown));
    server.stop().await;
}
