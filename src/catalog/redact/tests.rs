use super::*;

fn secrets() -> Secrets {
    Secrets::among([
        ("Authorization", "Bearer tok-123456"),
        ("DB_PASSWORD", "tok-123456-and \"more"),
        ("PIN_KEY", "998877"),
        ("API_TOKEN", "on"),
        ("WHATEVER", "k3f9a8b7c6d5e4f3a2b1c0"),
        ("NODE_ENV", "production"),
        ("GIT_AUTHOR_NAME", "Jane Doe"),
    ])
}

#[test]
fn a_secret_is_found_whole_and_without_its_scheme() {
    let secrets = secrets();
    assert_eq!(secrets.redact("Bearer tok-123456 on"), "[redacted] on");
    assert_eq!(secrets.redact("x tok-123456-and \"more tok-123456"), "x [redacted] [redacted]");
    assert_eq!(secrets.redact("id k3f9a8b7c6d5e4f3a2b1c0"), "id [redacted]");
}

#[test]
fn a_setting_that_is_no_secret_stays_readable() {
    assert!(matches!(secrets().redact("production of Jane Doe"), Cow::Borrowed(_)));
}

#[test]
fn an_answer_stays_json_or_is_not_given() {
    let redacted = |text: &str| {
        let json = serde_json::value::RawValue::from_string(text.to_owned()).unwrap();
        secrets().redact_json(json).map(|json| json.get().to_owned())
    };
    assert_eq!(
        redacted(r#"{"a": "tok-123456-and \"more"}"#).as_deref(),
        Some(r#"{"a": "[redacted]"}"#)
    );
    assert_eq!(redacted("[1, 2]").as_deref(), Some("[1, 2]"));
    assert_eq!(redacted("998877"), None);
}

#[test]
fn a_secret_is_found_however_the_upstream_escapes_it() {
    let secrets = Secrets::among([("TOKEN", "ab/cd\u{e9}\u{1f511}\"x")]);
    let redacted = |text: &str| {
        let json = RawValue::from_string(text.to_owned()).unwrap();
        secrets.redact_json(json).unwrap().get().to_owned()
    };
    for form in [
        "ab/cd\u{e9}\u{1f511}\\\"x",
        r#"ab\/cd\u00e9\ud83d\udd11\"x"#,
        r#"\u0061b\u002Fcd\u00E9\uD83D\uDD11\u0022\u0078"#,
        r#"ab\u002fcd\u00e9\ud83d\udd11\"\u0078"#,
    ] {
        let json = format!(r#"{{"{form}": [12345678901234567890.10, "\ud83d \n{form}\ud83d"]}}"#);
        assert_eq!(
            redacted(&json),
            r#"{"[redacted]": [12345678901234567890.10, "\ud83d \n[redacted]\ud83d"]}"#,
            "{form}"
        );
    }
    // As JSON within a text, and within JSON.
    let nested = serde_json::json!({"error": "bad ab/cd\u{e9}\u{1f511}\"x"}).to_string();
    for text in [nested.clone(), nested.replace('/', "\\/")] {
        assert_eq!(secrets.redact(&text), r#"{"error":"bad [redacted]"}"#);
        assert_eq!(
            redacted(&Value::from(text.as_str()).to_string()),
            r#""{\"error\":\"bad [redacted]\"}""#
        );
    }
}

#[test]
fn the_secrets_of_a_command_line_are_those_that_a_name_tells_or_that_look_random() {
    let args = [
        "server.js",
        "--token",
        "tok-111111",
        "--api-key=tok-222222",
        "-H",
        "Authorization: Bearer tok-333333==",
        "DB_PASSWORD=tok-444444",
        "k3f9a8b7c6d5e4f3a2b1c0",
        "postgres://me:tok-555555@db.example/sales",
        "--auth",
        "--verbose",
        "--log-level-of-stage-2=debug",
        "--name",
        "visible",
    ]
    .map(str::to_owned);
    let secrets = Secrets::among(named_arguments(&args));
    let got = "tok-111111 tok-222222 tok-333333== tok-444444 k3f9a8b7c6d5e4f3a2b1c0 tok-555555";
    assert_eq!(secrets.redact(got), ["[redacted]"; 6].join(" "));
    let plain = "server.js --token --api-key --verbose --log-level-of-stage-2=debug db.example \
        sales visible";
    assert_eq!(secrets.redact(plain), plain);
}

#[test]
fn the_secrets_of_an_address_are_its_password_and_what_its_query_and_path_hide() {
    let url = "https://me:pw%2F12345@host.example/mcp/k3f9a8b7c6d5e4f3a2b1c0?token=tok%2B123456&mode=readonly";
    let secrets = Secrets::among([("url", url)]);
    let got = "pw/12345 pw%2F12345 k3f9a8b7c6d5e4f3a2b1c0 tok+123456 tok%2B123456";
    assert_eq!(secrets.redact(got), ["[redacted]"; 5].join(" "));
    assert_eq!(secrets.redact("host.example mcp readonly"), "host.example mcp readonly");
}

#[test]
fn the_beginning_of_a_secret_where_a_text_was_cut_is_blanked_too() {
    let secret = "sk-live-0123456789abcdef";
    let secrets = Secrets::among([("API_KEY", secret)]);
    for length in 8..secret.len() {
        let cut = &secret[..length];
        assert_eq!(secrets.redact(&format!("bad key {cut}")), "bad key [redacted]");
        assert_eq!(secrets.redact(&format!("cursor \"{cut}\"")), "cursor \"[redacted]\"");
        let mut body = bytes::BytesMut::from(format!("bad key {cut}").as_bytes());
        secrets.strip_cut(&mut body);
        assert_eq!(&body[..], b"bad key ");
    }
    // Seven characters are not yet worth hiding, and the middle of a text was not cut.
    assert_eq!(secrets.redact("bad key sk-live"), "bad key sk-live");
    assert_eq!(secrets.redact("sk-live-0 is how they begin"), "sk-live-0 is how they begin");
}

#[test]
fn what_is_fetched_later_is_blanked_by_all_clones_in_all_its_forms() {
    let secrets = Secrets::among([("API_KEY", "first-123456")]);
    let clone = secrets.clone();
    secrets.add("short");
    secrets.add("plain words/and+more");
    let got = "first-123456 plain words/and+more plain+words%2Fand%2Bmore \
        plain%20words%2Fand%2Bmore plain words\\/and+more short";
    assert_eq!(clone.redact(got), "[redacted] [redacted] [redacted] [redacted] [redacted] short");
}

#[test]
fn a_secret_is_found_in_the_encodings_of_bytes_wherever_it_stands() {
    use base64::{
        Engine as _,
        engine::general_purpose::{STANDARD, URL_SAFE},
    };
    let secret = "ab/cd+ef?gh~ij>kl";
    let secrets = Secrets::among([("API_KEY", secret)]);
    for before in ["", "1", "12", "123"] {
        for after in ["", "x", "xy"] {
            let got = format!("{before}{secret}{after}");
            for text in [STANDARD.encode(&got), URL_SAFE.encode(&got)] {
                let clean = secrets.redact(&text).into_owned();
                // What is left holds no more than the bits that are shared with the neighbours.
                assert!(
                    clean.contains("[redacted]") && clean.len() <= "[redacted]".len() + 12,
                    "{before}:{after}: {text} gave {clean}"
                );
            }
        }
    }
    let hex = hex::encode(secret);
    let got = format!(
        "{hex} {} ab%2fcd%2bef%3fgh%7eij%3ekl ab%2Fcd%2Bef%3Fgh%7Eij%3Ekl",
        hex.to_uppercase()
    );
    assert_eq!(secrets.redact(&got), "[redacted] [redacted] [redacted] [redacted]");
}

#[test]
fn a_piece_of_a_secret_that_was_cut_within_a_text_is_blanked() {
    let secrets = Secrets::among([
        ("API_KEY", "sk-live-0123456789abcdef"),
        ("AUTH_URL", "https://auth.example/realms/9f8e7d6c5b4a"),
    ]);
    assert_eq!(
        secrets.redact("bad key sk-live-01234567 (retry after 5 s)"),
        "bad key [redacted] (retry after 5 s)"
    );
    assert_eq!(secrets.redact("sk-live-0123 is how they begin"), "sk-live-0123 is how they begin");
    assert_eq!(
        secrets.redact("see https://auth.example/docs please"),
        "see https://auth.example/docs please"
    );
}
