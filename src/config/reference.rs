//! Generates `docs/configuration.md` from the keys.

use std::fmt::Write;

use serde_json::Value;

use super::{
    keys::{Keys, UpstreamKeys},
    shape::{Shape, variable},
};

const HEAD: &str = "# Configuration

<!-- Generated from `src/config/keys.rs` by `airlock config reference`; edit there. -->

Airlock reads its whole configuration once, before it opens anything. Later sources override earlier
ones:

1. The defaults below.
2. One file: `--config FILE`, or else `AIRLOCK_CONFIG`, or else `airlock.toml` in the current
   folder, or else `~/.config/airlock/airlock.toml`. `airlock mcp` skips the current folder, because
   other programs choose it. Without a file, Airlock listens on loopback, keeps its record in the user's
   data folder and has no upstreams.
3. Environment variables, as named below. Write a list as `a,b` or in TOML, and a table in TOML. An
   empty variable counts as not set; for a list it is the empty list.
4. Flags.

An unknown key, an unknown `AIRLOCK_…` variable or a value out of range stops the start with exit
code 78. The message names the origin, the value and the allowed values. `airlock config` shows the
configuration in force and the origin of each value. `airlock config check` only checks; it also
tests that the policy files, secrets and runtimes exist.

`AIRLOCK_LOG` sets the log level (`info`, `debug`, `warn,airlock=debug`). Logs go to standard error.
";

/// Returns the reference page.
pub fn reference() -> String {
    let shape = Shape::new();
    let defaults =
        serde_json::to_value(Keys::default()).expect("the keys are plain data with string keys");
    let mut page = HEAD.to_owned();
    for section in shape.keys() {
        let path = vec![section.clone()];
        let table = shape.at(&path).expect("the key is in the list");
        if section == "upstreams" {
            write!(page, "\n## `[upstreams.NAME]`\n\n{}\n\n", table.description())
                .expect("writing to a String cannot fail");
            let entry = shape
                .at(&["upstreams".into(), "NAME".into()])
                .expect("upstreams are a table of tables");
            let defaults = serde_json::to_value(UpstreamKeys::default())
                .expect("the keys are plain data with string keys");
            rows(&mut page, &entry, &["upstreams".into(), "NAME".into()], &defaults);
        } else {
            write!(page, "\n## `[{section}]`\n\n{}\n\n", table.description())
                .expect("writing to a String cannot fail");
            rows(&mut page, &table, &path, &defaults[&section]);
        }
    }
    page
}

fn rows(page: &mut String, table: &Shape, path: &[String], defaults: &Value) {
    page.push_str("| key | allowed | default | meaning |\n|---|---|---|---|\n");
    for key in table.keys() {
        let shape = table.at(std::slice::from_ref(&key)).expect("the key is in the list");
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
        .expect("writing to a String cannot fail");
    }
}
