//! Generates `docs/configuration.md` from the keys.

use std::fmt::Write;

use serde_json::Value;

use super::{
    keys::{Keys, UpstreamKeys},
    shape::{Shape, variable},
};

const HEAD: &str = "# Configuration

<!-- Generated from `src/config/keys.rs` by `airlock config reference`; edit there. -->

Airlock reads its whole configuration before it opens anything, and again when the file changes
([below](#changes-while-the-server-runs)). Later sources override earlier ones:

1. The defaults below.
2. One file: `--config FILE`, or else `AIRLOCK_CONFIG`, or else `airlock.toml` in the current
   folder, or else `~/.config/airlock/airlock.toml`. `airlock mcp` skips the current folder, because
   other programs choose it. Without a file, Airlock listens on loopback, keeps its record in the
   user's data folder and has no upstreams.
3. Environment variables, as named below. Write a list as `a,b` or in TOML, and a table in TOML. An
   empty variable counts as not set; for a list it is the empty list.
4. Flags.

An unknown key, an unknown `AIRLOCK_…` variable or a value out of range stops the start with exit
code 78. The message names the origin, the value and the allowed values. `airlock config` shows the
configuration in force and the origin of each value. `airlock config check` checks the configuration
and what it names: policy files, secrets, runtimes, and the programs, working directories and
documents of upstreams. It connects to nothing.

`AIRLOCK_LOG` sets the log level (`info`, `debug`, `warn,airlock=debug`). Logs go to standard error.

## Changes while the server runs

A running server (`airlock serve`, `airlock mcp`) takes up changes of its configuration file and of
its policy files without a restart, as soon as they are saved. On SIGHUP, `airlock serve` reads them
at once. The environment and the flags stay those of the start.

- **All or nothing.** The new file is checked as a whole, with the policy files that it names. If
  anything in it is not valid, or it was emptied, the last valid configuration stays in force. The
  log, `/healthz` (`degraded`), `airlock doctor` and `airlock upstreams list` name the file, the
  line and the reason. Correct the file, and it is taken up.
- **Upstreams** are added, removed and connected again if one of their keys changed. All others keep
  their connections, processes and tools. Calls under way at a removed or changed upstream have 5 s
  to end; then they fail with `upstream_lost`. A changed program is started once the old one has
  ended. A call that was approved before its upstream changed is not sent.
- **Limits, policy, approvals and artifacts** are in force for tasks, calls and requests that begin
  afterwards. Workers with other limits are replaced when they are idle.
- **`[server]`, `[store]`, `[sandbox]` and `[secrets]` need a restart.** Changed keys of these
  sections are named as \"needs a restart\" in the same places; everything else of the file is taken
  up.
- Clients get `notifications/tools/list_changed` when the list of tools says something else than
  before.
- The log lists the names of the upstreams and keys that changed, never their values.
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
