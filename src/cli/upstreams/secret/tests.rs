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

#[test]
fn what_is_secret_beside_a_variable_is_found_wherever_it_stands() {
    use crate::cli::upstreams::template::{Piece, Template};

    let read = |text: &str| {
        let mut pieces = vec![];
        for (at, part) in text.split('|').enumerate() {
            let variable = at % 2 == 1;
            let part = part.to_owned();
            pieces.push(if variable { Piece::Variable(part) } else { Piece::Text(part) });
        }
        Template(pieces).joined()
    };
    for (name, value) in [
        ("PASSWORD", "hunter|X|"),
        ("PASSWORD", "|X|hunter"),
        ("DB_PW", "pa|word|"),
        ("API_KEY", "key-|KEY|"),
        ("DATABASE_URL", "postgres://app:S3cret@db/|DB|"),
        ("DATABASE_URL", "postgres://|USER|:secret@db/x"),
        ("DATABASE_URL", "app:secret@tcp(|HOST|:3306)/x"),
        ("ENDPOINT", "https://h.example/?api_key=abc&region=|R|"),
        ("ENDPOINT", "https://h.example/?key_value=abc&region=|R|"),
        ("ENDPOINT", "https://h.example/hook/a1b2c3d4|R|"),
        ("ENDPOINT", "https://a1b2c3d4@h.example/|R|"),
        ("SETTINGS", "Server=|H|;Password=x"),
        ("HEADERS", "{\"Authorization\": \"Bearer x\", \"A\": \"|A|\"}"),
        ("SOMETHING", "ghp_abc|X|"),
        ("SOMETHING", "|X|:a1b2c3d4"),
        ("SOMETHING", "6f1c2a3e-3a51-4a4b-9a86-0c6d5e4f3a2b,|X|"),
    ] {
        assert!(is_beside_variables(name, &read(value)), "{name}={value}");
    }
    for (name, value) in [
        ("PATH", "|HOME|/bin:/usr/bin"),
        ("TOKEN", "|A|-|B|"),
        ("AUTHORIZATION", "Bearer |TOKEN|"),
        ("DATABASE_URL", "postgres://|USER|:|PW|@db.example:5432/shop?charset=utf8mb4"),
        ("ENDPOINT", "https://h.example/v1alpha1/?api_key=|KEY|&count=5"),
        ("HEADERS", "{\"Authorization\": \"Bearer |TOKEN|\", \"X-Region\": \"eu-1\"}"),
        ("SETTINGS", "Server=db;Password=|PW|;Encrypt=true"),
        ("REPOSITORY", "ssh://git@|HOST|/team/project.git"),
        ("GREETING", "hello |NAME|, 5$"),
        ("", "--npm_config_cache=|HOME|/.npm"),
        ("", "|HOME|/.aws/credentials:/root/.aws/credentials"),
        ("--header", "X-Api-Key: |KEY|"),
        ("--key-file", "|HOME|/keys.pem"),
    ] {
        assert!(!is_beside_variables(name, &read(value)), "{name}={value}");
    }
    for script in ["TOKEN=\u{fffc}abc exec s", "exec s --token ${TOKEN:-abc}"] {
        assert!(in_script(script), "{script}");
    }
    for script in ["TOKEN=\u{fffc} exec s", "exec s --token=${TOKEN} --key $KEY"] {
        assert!(!in_script(script), "{script}");
    }
}
