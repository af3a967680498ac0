//! The configuration as people meet it: the reference page, the example file.

use std::{collections::BTreeMap, fs, path::Path};

use airlock::config::{Config, Sources};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_reference_page_tells_of_the_keys_as_they_are() {
    let page = fs::read_to_string(root().join("docs/configuration.md")).unwrap_or_default();
    assert!(
        page == airlock::config::reference(),
        "docs/configuration.md is stale; make it again: cargo run -- config reference > \
        docs/configuration.md"
    );
}

#[test]
fn the_example_file_can_be_used_as_it_is() {
    let file = root().join("examples/airlock.toml");
    let environment = BTreeMap::from([("HOME".to_owned(), "/home/me".to_owned())]);
    let sources = Sources {
        file: Some(&file),
        flags: &[],
        environment: &environment,
        folder: root(),
        search_folder: false,
    };
    let config = Config::load(&sources).unwrap();
    assert_eq!(config.upstreams.len(), 1);
}

#[test]
fn the_example_file_names_every_key_outside_of_upstreams_with_its_default() {
    let text = fs::read_to_string(root().join("examples/airlock.toml")).unwrap();
    let environment = BTreeMap::from([("HOME".to_owned(), "/home/me".to_owned())]);
    let sources = Sources {
        file: None,
        flags: &[],
        environment: &environment,
        folder: Path::new("/nowhere"),
        search_folder: false,
    };
    for setting in Config::load(&sources).unwrap().settings {
        let Some((section, key)) = setting.key.split_once('.') else { continue };
        let line = match section {
            "store" if key == "url" => {
                "# url = \"sqlite:///home/me/.local/share/airlock/airlock.db\"".to_owned()
            }
            _ => format!("# {key} = {}", setting.value),
        };
        assert!(
            text.lines().any(|written| written.starts_with(&line)),
            "examples/airlock.toml has no line `{line}`"
        );
    }
}

#[test]
fn no_key_is_without_effect() {
    let app = ["src/app/settings.rs", "src/app/runtimes.rs"]
        .map(|file| fs::read_to_string(root().join(file)).unwrap())
        .concat();
    let environment = BTreeMap::from([("HOME".to_owned(), "/home/me".to_owned())]);
    let sources = Sources {
        file: None,
        flags: &[],
        environment: &environment,
        folder: Path::new("/nowhere"),
        search_folder: false,
    };
    let settings = Config::load(&sources).unwrap().settings;
    let keys = settings
        .iter()
        .map(|setting| setting.key.as_str())
        .filter(|key| key.starts_with("limits.") || key.starts_with("sandbox."));
    let idle: Vec<_> = keys.filter(|key| !app.contains(*key)).collect();
    assert!(
        idle.is_empty(),
        "src/app/settings.rs and src/app/runtimes.rs use none of these keys: {idle:?}"
    );
}
