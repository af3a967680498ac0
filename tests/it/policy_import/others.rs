//! Rows of Executor and lists of Claude Code, imported: they answer in the order that those systems
//! have.

use airlock::policy::{
    Layer, LayerScope, Options, Policy, Profile,
    import::{Dialect, ImportOptions, import},
};

use super::judge::Judge;

/// The layers of an import in one policy, with the profile that answers where no row does.
async fn judge(dialect: Dialect, text: &str, profile: Profile, upstream: &str) -> Judge {
    let imported = import(dialect, "theirs", text, ImportOptions::default()).unwrap();
    let layers = imported.layers.into_iter().map(|layer| Layer {
        scope: if layer.owner == "user" {
            LayerScope::Workspace("w".into())
        } else {
            LayerScope::Organisation
        },
        name: layer.owner,
        upstream: None,
        text: layer.text,
    });
    let policy = Policy::load(layers.collect(), Options { profile, approvals: true }).unwrap();
    Judge::over(policy, upstream).await
}

#[tokio::test]
async fn executors_first_row_speaks_and_the_stricter_owner_wins() {
    let rows = r#"{"policies": [
      {"owner": "org", "pattern": "github.*", "action": "require_approval", "position": 3},
      {"owner": "org", "pattern": "github.issues.list", "action": "approve", "position": 1},
      {"owner": "org", "pattern": "github.repos.delete", "action": "block", "position": 2},
      {"owner": "org", "pattern": "github.issues.late", "action": "approve", "position": 4},
      {"owner": "user", "pattern": "github.issues.*", "action": "approve", "position": 1},
      {"owner": "user", "pattern": "github.users.*", "action": "block", "position": 2}
    ]}"#;
    let judge = judge(Dialect::Executor, rows, Profile::Open, "github").await;
    for (tool, expected) in [
        ("issues.list", "allow"),
        ("issues.create", "ask"),
        ("issues.late", "ask"),
        ("repos.get", "ask"),
        ("repos.delete", "deny"),
        ("users.get", "deny"),
    ] {
        assert_eq!(judge.call(tool, "{}", false).await.what, expected, "{tool}");
    }
}

#[tokio::test]
async fn claude_codes_deny_goes_before_ask_and_ask_before_allow() {
    let settings = r#"{"permissions": {
      "allow": ["mcp__github", "mcp__github__list_issues", "Bash(ls)"],
      "ask": ["mcp__github__create_issue", "mcp__github__list_issues"],
      "deny": ["mcp__github__delete_repository"]
    }}"#;
    let judge = judge(Dialect::ClaudeCode, settings, Profile::Open, "github").await;
    for (tool, expected) in [
        ("get_issue", "allow"),
        ("list_issues", "ask"),
        ("create_issue", "ask"),
        ("delete_repository", "deny"),
    ] {
        assert_eq!(judge.call(tool, "{}", false).await.what, expected, "{tool}");
    }
    let other = self::judge(Dialect::ClaudeCode, settings, Profile::Open, "slack").await;
    assert_eq!(
        other.call("read", "{}", false).await.what,
        "ask",
        "what no list names is asked about, as there"
    );
}
