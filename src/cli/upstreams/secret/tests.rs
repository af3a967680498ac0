use super::*;

#[test]
fn in_doubt_a_value_is_a_secret_and_what_people_write_by_hand_is_none() {
    for (name, value) in [
        ("GITHUB_PERSONAL_ACCESS_TOKEN", "x"),
        ("apiKey", "letters"),
        ("DB_PASSWORD", "hunter"),
        ("PGPASSWORD", "hunter"),
        ("OPENAIKEY", "sk-abcdefghijkl"),
        ("AZURE_PAT", "abc"),
        ("SOMETHING", "ghp_abcdefghijklmnop"),
        ("SOMETHING", "a1b2c3d4"),
        ("SOMETHING", "6f1c2a3e-3a51-4a4b-9a86-0c6d5e4f3a2b"),
        ("DATABASE_URL", "postgres://me:pw@db.example/shop"),
        ("HOOK", "https://hooks.example/services/T0AB12CD/B0XY98ZW/a8Bk2Lm9Qr4Tz7Uv3W"),
        ("ENDPOINT", "https://api.example/?api_key=abc"),
        ("OPENAPI_MCP_HEADERS", "{\"Authorization\": \"Bearer x\"}"),
        ("CONNECTION", "Server=db;Password=x"),
        ("SENTRY_DSN", "whatever"),
    ] {
        assert!(is_secret_variable(name, value), "{name}={value}");
    }
    for (name, value) in [
        ("LOG_LEVEL", "debug"),
        ("REGION", "eu-central-1"),
        ("LANG", "en_US.UTF-8"),
        ("TZ", "Europe/Berlin"),
        ("MODEL", "claude-3-5-sonnet-20241022"),
        ("HOST", "127.0.0.1:8080"),
        ("URL", "https://api.example/v1/mcp"),
        ("MAIL", "me@mail.example"),
        ("LIMIT", "4096"),
        ("AUTH", "false"),
        ("DIRECTORIES", "/srv/a,/srv/b"),
        ("TOKEN", ""),
        ("KEY", "/"),
    ] {
        assert!(!is_secret_variable(name, value), "{name}={value}");
    }
}

#[test]
fn a_secret_is_found_in_an_argument_with_its_name() {
    let found = |flag: &str, arg: &str| {
        in_argument(flag, arg).map(|(range, name)| (arg[range].to_owned(), name))
    };
    for (flag, arg, secret, name) in [
        ("", "--api-key=abc", "abc", "--api-key"),
        ("--token", "abc", "abc", "token"),
        ("-e", "GITHUB_TOKEN=abc=", "abc=", "GITHUB_TOKEN"),
        ("--header", "Authorization: Bearer abc", "abc", "Authorization"),
        ("-H", "X-Api-Key:abc", "abc", "X-Api-Key"),
        (
            "",
            "postgresql://me:pw@db.example/shop",
            "postgresql://me:pw@db.example/shop",
            "postgresql_url",
        ),
        ("", "https://h.example/mcp?token=abc", "https://h.example/mcp?token=abc", "https_url"),
        ("-y", "sk-abcdefghijklmnopqrst", "sk-abcdefghijklmnopqrst", "secret"),
        ("--access-key", "abc", "abc", "access-key"),
    ] {
        assert_eq!(found(flag, arg), Some((secret.to_owned(), name.to_owned())), "{flag} {arg}");
    }
    for script in ["API_KEY=abc node s.js", "exec s --token 'abc'", "exec s ghp_abcdefghijklmnop"] {
        assert!(in_script(script), "{script}");
    }
    for script in ["exec s --token \"$TOKEN\"", "A=1 exec s", "echo $KEY >&2; exit 1"] {
        assert!(!in_script(script), "{script}");
    }
    for (flag, arg) in [
        ("-y", "@modelcontextprotocol/server-everything@2025.1.1"),
        ("", "mcp-server-sqlite3-extended"),
        ("--auth", "none"),
        ("--auth", "oauth"),
        ("--api-key", "--verbose"),
        ("", "https://mcp.example/mcp"),
        (
            "run",
            "ghcr.io/x/y@sha256:0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0",
        ),
        ("--header", "Accept: application/json"),
        ("-c", "exec node server.js"),
        ("--key-file", "/etc/key.pem"),
        ("-e", "GITHUB_TOKEN"),
    ] {
        assert_eq!(found(flag, arg), None, "{flag} {arg}");
    }
}
