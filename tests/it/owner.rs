//! What an owner finds out before anything runs: what the configuration names and is not there, and
//! what starts what.

use std::path::Path;

use crate::{
    cli::{place, say},
    support::server::demo,
};

/// An upstream that describes itself to anybody and wants a credential for its calls, and one that
/// wants a variable.
fn wanting(folder: &Path) -> String {
    let spec = folder.join("spec.json");
    let operation =
        r#"{"get": {"operationId": "getA", "responses": {"200": {"description": "ok"}}}}"#;
    let text = format!(
        r#"{{"openapi": "3.0.0", "info": {{"title": "x", "version": "1"}}, "paths": {{"/a": {operation}}}}}"#
    );
    std::fs::write(&spec, text).unwrap();
    let http = format!(
        "kind = \"openapi\"\nspec = {spec:?}\nbase_url = \"http://127.0.0.1:9/\"\nallow_private = \
        true\n"
    );
    let program = demo(&[]).replace("[upstreams.demo]", "[upstreams.program]");
    format!(
        "[upstreams.kept]\n{http}auth = {{ bearer = {{ secret = \"nothing\" }} }}\n\
         [upstreams.filed]\n{http}auth = {{ basic = {{ user = \"me\", password = {{ file \
        = \"gone.txt\" }} }} }}\n\
         [upstreams.filed.accounts.work]\nauth = {{ api_key = {{ header = \"X-Key\", value = {{ \
        secret = \"work\" }} }} }}\n\
         {program}env = {{ TOKEN = {{ secret = \"lost\" }}, OPEN = \"plain\" \
        }}\n[secrets]\nkey_file = \"secrets.key\"\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_not_there_is_told_with_its_place_before_a_call_needs_it() {
    let folder = place("");
    let config = folder.path().join("airlock.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{text}{}", wanting(folder.path()))).unwrap();

    let checked = say(&config, &["config", "check"], "").await;
    assert_eq!((checked.code, checked.out.as_str()), (Some(78), ""), "{}", checked.beside);
    for expected in [
        "airlock.toml:10: `upstreams.kept.auth.bearer` is {\"secret\":\"nothing\"}: there is no \
        secret `nothing`; set it with `airlock secrets set nothing`",
        "airlock.toml:16: `upstreams.filed.auth.basic.password` is {\"file\":\"gone.txt\"}: the \
        file",
        "airlock.toml:17: `upstreams.filed.accounts.work.auth.api_key.value`",
        "`upstreams.program.env.TOKEN` is {\"secret\":\"lost\"}: there is no secret `lost`",
    ] {
        assert!(checked.beside.contains(expected), "{expected}: {}", checked.beside);
    }
    let reached = say(&config, &["upstreams", "check"], "").await;
    assert_eq!(reached.code, Some(1), "{}", reached.out);
    for expected in [
        "✗ kept",
        "  `upstreams.kept.auth`: there is no secret `nothing`",
        "  `upstreams.program.env.TOKEN`: ",
    ] {
        assert!(reached.out.contains(expected), "{expected}: {}", reached.out);
    }
    let one = say(&config, &["upstreams", "check", "kept", "--json"], "").await;
    assert_eq!(
        (one.code, one.json()[0]["status"].as_str()),
        (Some(1), Some("failed")),
        "{}",
        one.out
    );
    assert_eq!(one.json()[0]["missing"][0]["key"], "auth", "{}", one.out);
    let doctor = say(&config, &["doctor"], "").await;
    assert!(
        doctor.code == Some(1) && doctor.out.contains("✗ upstreams.filed-work.auth"),
        "{}",
        doctor.out
    );

    std::fs::write(folder.path().join("gone.txt"), "hunter2-of-the-file\n").unwrap();
    for name in ["nothing", "work", "lost"] {
        assert_eq!(
            say(&config, &["secrets", "set", name], "hunter2-of-the-store").await.code,
            Some(0)
        );
    }
    let checked = say(&config, &["config", "check"], "").await;
    assert_eq!(checked.code, Some(0), "{}", checked.beside);
    let reached = say(&config, &["upstreams", "check", "--json"], "").await;
    assert_eq!(reached.code, Some(0), "{}", reached.out);
    assert!(
        !format!("{}{}{}", reached.out, reached.beside, checked.out).contains("hunter2"),
        "no value is told"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn policy_files_are_checked_with_the_configuration_and_by_themselves() {
    let folder = place("files = [\"policy.yaml\", \"more.yaml\"]\n");
    let config = folder.path().join("airlock.toml");
    std::fs::write(folder.path().join("policy.yaml"), "version: \"1\"\ntols: {}\n").unwrap();
    for (args, code) in [(&["config", "check"][..], 78), (&["policy", "validate"], 1)] {
        let said = say(&config, args, "").await;
        assert_eq!(said.code, Some(code), "{args:?}: {}{}", said.out, said.beside);
    }
    std::fs::write(folder.path().join("more.yaml"), "version: \"1\"\n").unwrap();
    let checked = say(&config, &["config", "check"], "").await;
    let expected = "policy.yaml:2:1: unknown key `tols`";
    assert!(
        checked.beside.contains("airlock.toml:5: `policy.files`: ")
            && checked.beside.contains(expected),
        "{}",
        checked.beside
    );
    let validated = say(&config, &["policy", "validate"], "").await;
    assert!(
        validated.code == Some(1) && validated.out.contains(expected),
        "{}{}",
        validated.out,
        validated.beside
    );
    std::fs::write(folder.path().join("policy.yaml"), "version: \"1\"\n").unwrap();
    let validated = say(&config, &["policy", "validate"], "").await;
    assert!(
        validated.code == Some(0) && validated.out.contains("more.yaml: valid"),
        "{}{}",
        validated.out,
        validated.beside
    );
    assert!(
        validated.beside.contains("checked 2 files of `policy.files` together"),
        "{}",
        validated.beside
    );
    let validated = say(&config, &["policy", "validate", "--json"], "").await.json();
    assert_eq!(
        (&validated["status"], validated["files"].as_array().map(Vec::len)),
        (&"valid".into(), Some(2)),
        "{validated}"
    );
    assert_eq!(say(&config, &["config", "check"], "").await.code, Some(0));
    let none = place("");
    let validated = say(&none.path().join("airlock.toml"), &["policy", "validate"], "").await;
    assert!(
        validated.out.contains("names no file, so the profile `open` alone decides"),
        "{}",
        validated.out
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_server_open_says_how_one_is_started() {
    let folder = place("");
    let config = folder.path().join("airlock.toml");
    let said = say(&config, &["open"], "").await;
    assert_eq!((said.code, said.out.as_str()), (Some(69), ""));
    assert!(
        said.beside.contains(&format!("`airlock serve --config {}`", config.display())),
        "{}",
        said.beside
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_description_that_is_not_there_is_taken_for_no_program() {
    let folder = place("");
    let config = folder.path().join("airlock.toml");
    let said = say(&config, &["upstreams", "add", "nowhere/api.yaml"], "").await;
    assert!(
        said.code == Some(1) && said.beside.contains("there is no file `"),
        "{}{}",
        said.out,
        said.beside
    );
}
