use super::{super::file::differing, *};

fn command_name(text: &str) -> String {
    name_of_command(&text.split(' ').map(str::to_owned).collect::<Vec<_>>())
}

#[test]
fn a_name_is_made_from_what_tells_services_apart() {
    for (url, name) in [
        ("https://mcp.linear.app/mcp", "linear"),
        ("https://api.github.com", "github"),
        ("https://raw.githubusercontent.com/x/api.json", "githubusercontent"),
        ("http://localhost:8000/graphql", "localhost"),
        ("http://127.0.0.1:8000/mcp", "local"),
        ("https://shop.example/graphql", "shop"),
    ] {
        assert_eq!(name_of_host(&Url::parse(url).unwrap()), name, "{url}");
    }
    for (command, name) in [
        ("npx -y @modelcontextprotocol/server-everything", "everything"),
        ("npx -y @modelcontextprotocol/server-github@1.2.3", "github"),
        ("uvx mcp-server-git --repository .", "git"),
        ("docker run -i mcp/fetch:latest", "fetch"),
        ("/opt/tools/weather_server", "weather"),
        ("node build/index.js", "index"),
        (
            "docker run -i --rm -e GITHUB_TOKEN=ghp_abcdefghijklmnopqrst x/github-mcp-server",
            "github",
        ),
        ("docker run -i --rm -e KEY -v /a:/b --network host mcp/fetch", "fetch"),
        ("npx --token ghp_abcdefghijklmnopqrst weather-mcp", "weather"),
        ("mcp", "mcp"),
    ] {
        assert_eq!(command_name(command), name, "{command}");
    }
}

#[test]
fn a_name_is_one_that_is_allowed_and_free() {
    assert_eq!(free_name("getting started!", |_| false), "getting-started-");
    assert_eq!(free_name("1password", |_| false), "_1password");
    assert_eq!(free_name("discover", |_| false), "discover-2");
    assert_eq!(free_name("github", |name| matches!(name, "github" | "github-2")), "github-3");
    assert!(free_name(&"n".repeat(200), |_| true).len() <= 64);
}

#[test]
fn the_lines_that_changed_are_shown_and_no_others() {
    assert_eq!(differing("a\nb\nc\n", "a\nc\n"), (vec!["b"], vec![]));
    assert_eq!(differing("a\nc\n", "a\nb\nc\n"), (vec![], vec!["b"]));
    assert_eq!(differing("", "a\n"), (vec![], vec!["a"]));
    assert_eq!(differing("a\na\n", "a\na\na\n"), (vec![], vec!["a"]));
}
