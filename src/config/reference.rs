//! `docs/configuration.md`, made from the keys.

use std::fmt::Write;

use serde_json::Value;

use super::{
    keys::{Keys, UpstreamKeys},
    shape::{Shape, variable},
};

const HEAD: &str = "# Configuration

<!-- Made from `src/config/keys.rs` by `airlock config reference`; edit there. -->

Airlock reads its configuration once, whole, before it opens anything. Later sources win over earlier ones:

1. the built-in values below;
2. one file: `--config FILE`, else `AIRLOCK_CONFIG`, else `airlock.toml` in the current folder (`airlock mcp`, which other programs
   start in folders of their choosing, leaves that one out), else `~/.config/airlock/airlock.toml`; with no file at all Airlock
   listens on loopback, keeps its record in the user's data folder and has no upstreams;
3. environment variables, as named below; a list is written `a,b` or as in TOML, a table as in TOML. An empty variable is as one that is not
   set, and for a list the empty list;
4. flags.

An unknown key, an unknown `AIRLOCK_…` variable or a value out of range stops the start (exit code 78) with the place, the value and
what is allowed. `airlock config` shows what is in force and where each value comes from; `airlock config check` only checks, and looks whether
the policy files, secrets and runtimes that it names are there.

Besides: `AIRLOCK_LOG` sets what is logged (`info`, `debug`, `warn,airlock=debug`); logs go to standard error.
";

/// The text of the reference page.
pub fn reference() -> String {
    let shape = Shape::new();
    let defaults =
        serde_json::to_value(Keys::default()).expect("the keys are plain data with text keys");
    let mut page = HEAD.to_owned();
    for section in shape.keys() {
        let path = vec![section.clone()];
        let table = shape.at(&path).expect("was just listed");
        if section == "upstreams" {
            write!(page, "\n## `[upstreams.NAME]`\n\n{}\n\n", table.description())
                .expect("a String takes everything");
            let entry = shape
                .at(&["upstreams".into(), "NAME".into()])
                .expect("upstreams are a table of tables");
            let defaults = serde_json::to_value(UpstreamKeys::default())
                .expect("the keys are plain data with text keys");
            rows(&mut page, &entry, &["upstreams".into(), "NAME".into()], &defaults);
        } else {
            write!(page, "\n## `[{section}]`\n\n{}\n\n", table.description())
                .expect("a String takes everything");
            rows(&mut page, &table, &path, &defaults[&section]);
        }
    }
    page
}

fn rows(page: &mut String, table: &Shape, path: &[String], defaults: &Value) {
    page.push_str("| key | allowed | default | what it is for |\n|---|---|---|---|\n");
    for key in table.keys() {
        let shape = table.at(std::slice::from_ref(&key)).expect("was just listed");
        let default = match defaults.get(&key) {
            Some(Value::Object(empty)) if empty.is_empty() => "`{}`".into(),
            Some(value) => format!("`{value}`"),
            None => "–".into(),
        };
        let name = variable(&[path, std::slice::from_ref(&key)].concat());
        let allowed = shape.allowed().replace('|', "\\|");
        writeln!(
            page,
            "| `{key}`<br>`{name}` | {allowed} | {default} | {} |",
            shape.description().replace('|', "\\|")
        )
        .expect("a String takes everything");
    }
}
