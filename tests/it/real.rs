//! Public servers and clients, as people use them. Slow, and not of the ordinary run: `./x real`
//! installs the packages and runs these tests.

mod clients;
mod servers;

use std::path::PathBuf;

use serde_json::Value;

use crate::support::server::airlock;

/// Where `tests/real/setup.sh` installs.
fn home() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).unwrap_or_else(|| {
        PathBuf::from(std::env::var_os("HOME").expect("there is a home")).join(".cache")
    });
    cache.join("airlock/real")
}

/// An installed program of `servers` or `clients`.
fn program(part: &str, path: &str) -> String {
    let program = home().join(part).join(path);
    assert!(
        program.exists(),
        "{} is not installed: run tests/real/setup.sh {part}",
        program.display()
    );
    program.display().to_string()
}

/// What a command of the binary prints as JSON.
async fn printed(config: &std::path::Path, args: &[&str]) -> Value {
    let output = airlock(config).args(args).arg("--json").output().await.unwrap();
    let (out, complaints) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}\n{complaints}"))
}
