//! Programs: whether there is one of a name. Starts none.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// The file of a program, by its path or by its name in `path`, the list of folders.
pub(in crate::cli) fn find(program: &str, path: &str) -> Option<PathBuf> {
    if program.contains('/') {
        return Some(PathBuf::from(program)).filter(|file| is_program(file));
    }
    std::env::split_paths(path).map(|folder| folder.join(program)).find(|file| is_program(file))
}

/// Returns true for a file that may be executed.
pub(super) fn is_program(file: &Path) -> bool {
    std::fs::metadata(file)
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// Why there is no such program, and the remedy.
pub(in crate::cli) fn missing(program: &str) -> (String, String) {
    if !program.contains('/') {
        let package = match program {
            "npx" | "npm" | "node" => "it comes with Node.js",
            "uvx" | "uv" => "it comes with uv (https://docs.astral.sh/uv)",
            "docker" => "it comes with Docker",
            "bunx" | "bun" => "it comes with Bun",
            _ => "install it, or give its whole path",
        };
        return (format!("the program `{program}` was not found in PATH"), package.to_owned());
    }
    match Path::new(program).exists() {
        true => (
            format!("`{program}` is not a program: the file may not be executed"),
            runner(program).map_or_else(
                || format!("chmod +x {program}"),
                |runner| format!("run it with its interpreter: `-- {runner} {program}`"),
            ),
        ),
        false => {
            (format!("there is no program `{program}`"), "check the path of the program".to_owned())
        }
    }
}

/// Returns true if the word is the relative path of something in the folder.
pub(super) fn is_relative_path(word: &str, folder: &Path) -> bool {
    !word.is_empty()
        && !word.starts_with(['/', '-', '~', '@'])
        && !word.contains("://")
        && folder.join(word).exists()
}

/// The interpreter of a script, by its ending.
pub(super) fn runner(script: &str) -> Option<&'static str> {
    let ending = Path::new(script).extension()?.to_str()?;
    Some(match ending {
        "py" => "python3",
        "js" | "mjs" | "cjs" => "node",
        "ts" => "npx -y tsx",
        "sh" => "sh",
        "rb" => "ruby",
        "jar" => "java -jar",
        _ => return None,
    })
}
