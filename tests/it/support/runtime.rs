//! Which runtime the tests of guests run on: `AIRLOCK_TEST_RUNTIME`, else the one that a server
//! takes by itself. CI runs them on each.

use std::path::PathBuf;

use airlock::sandbox::deno::SearchPaths;

/// The id of the runtime under test.
pub(crate) fn id() -> &'static str {
    match std::env::var("AIRLOCK_TEST_RUNTIME").as_deref() {
        Ok("local-deno") => "local-deno",
        Ok("local-v8") => "local-v8",
        Ok(other) => panic!("AIRLOCK_TEST_RUNTIME is `{other}`"),
        Err(_) if cfg!(feature = "v8") => "local-v8",
        Err(_) => "local-deno",
    }
}

/// Whether it is Deno.
pub(crate) fn is_deno() -> bool {
    id() == "local-deno"
}

/// The executable of Deno, where that is under test.
pub(crate) fn deno() -> Option<PathBuf> {
    is_deno().then(|| find_deno().expect("Deno is not there: `./x setup --tests` fetches it"))
}

/// The executable of Deno that the set-up fetched, or that is on the PATH.
pub(crate) fn find_deno() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(std::env::home_dir()?.join(".cache")));
    SearchPaths {
        cache: cache.map(|cache| cache.join("airlock/deno")),
        path: std::env::var_os("PATH"),
        ..SearchPaths::default()
    }
    .find()
    .into_iter()
    .next()
}
