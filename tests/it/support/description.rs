//! The real description of GitHub's REST interface, as npm has it.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// The description, fetched once into the build's own folder, or none, with a message, where npm is
/// missing.
pub(crate) fn github() -> Option<PathBuf> {
    const PACKAGE: &str = "@octokit/openapi@23.0.2";
    const INNER: &str = "package/generated/api.github.com.json";
    if Command::new("npm").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "npm is needed for the description of GitHub");
        eprintln!("skipped: npm is needed for the description of GitHub");
        return None;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("octokit-openapi-23.0.2");
    std::fs::create_dir_all(&folder).unwrap();
    // Tests run in several processes at once; one fetches, the others wait.
    let lock = std::fs::File::create(folder.join("lock")).unwrap();
    lock.lock().unwrap();
    if !folder.join(INNER).exists() {
        let run = |command: &mut Command| {
            let output = command.current_dir(&folder).output().unwrap();
            assert!(
                output.status.success(),
                "{command:?}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
            String::from_utf8(output.stdout).unwrap()
        };
        let archive = run(Command::new("npm").args(["pack", "--silent", PACKAGE]));
        let archive = archive.trim().lines().last().unwrap().to_owned();
        run(Command::new("tar").args(["-xzf", &archive, INNER]));
        std::fs::remove_file(folder.join(archive)).unwrap();
    }
    Some(folder.join(INNER))
}
