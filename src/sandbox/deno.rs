//! Finds the executable of Deno for the runtime `local-deno` and checks that it may be used.
//!
//! The runtime relies on internals of Deno and on the behaviour of its V8, so only tested releases
//! are accepted, identified by the digest of their executable. Starts nothing.

use std::{
    ffi::OsString,
    fs::{self, Metadata},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use crate::base::file;

/// The release that is used; its packages are npm's `deno@2.9.6` and PyPI's `deno==2.9.6`.
pub const VERSION: &str = "2.9.6";
/// SHA-256 of its executables for Linux, which are identical in both registries.
const KNOWN: &[&str] = &[
    // x86_64
    "bceb5b6a6239b0b010418406d8c77a508f67cf4337d94288f1c19fe71304aab0",
    // aarch64
    "d08d392418df53f4e6e88a08909c0e1bccbf9adcead7232df72b6ad6075ec416",
];
/// The npm package that holds the executable for this machine.
#[cfg(target_arch = "x86_64")]
const PACKAGE: &str = "@deno/linux-x64-glibc";
#[cfg(target_arch = "aarch64")]
const PACKAGE: &str = "@deno/linux-arm64-glibc";
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const PACKAGE: &str = "@deno/none";
/// Upper bound on executables that are checked; each takes a tenth of a second.
const CANDIDATES_MAX: usize = 8;
/// Bytes read at once to compute the digest.
const CHUNK_BYTES: usize = 1 << 20;

/// Locations in which Deno is searched.
#[derive(Debug, Clone, Default)]
pub struct SearchPaths {
    /// The executable that the configuration names; nothing else is then considered.
    pub configured: Option<PathBuf>,
    /// The folder of this executable.
    pub beside: Option<PathBuf>,
    /// The folder into which `./x setup` installs it.
    pub cache: Option<PathBuf>,
    /// The variable `PATH`.
    pub path: Option<OsString>,
}

/// An executable of Deno that may be used.
#[derive(Debug, Clone)]
pub struct Deno {
    /// Its path.
    pub path: PathBuf,
    /// Identity of the file when it was checked.
    pub identity: OsString,
}

/// Reasons why an executable may not be used.
#[derive(Debug, thiserror::Error)]
pub enum DenoError {
    /// It cannot be read.
    #[error("`{}` cannot be read", path.display())]
    Unreadable {
        /// Path of the executable.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// It is not a tested release.
    #[error(
        "`{}` is not Deno {VERSION} as npm and PyPI have it; its SHA-256 is {found}, which \
        `sandbox.deno_sha256` does not name",
        path.display()
    )]
    Unknown {
        /// Path of the executable.
        path: PathBuf,
        /// Its SHA-256.
        found: String,
    },
}

impl SearchPaths {
    /// Returns the executables that exist, in order of preference. Their content is not checked.
    pub fn find(&self) -> Vec<PathBuf> {
        if let Some(configured) = &self.configured {
            return vec![configured.clone()];
        }
        let package = |folder: &Path| folder.join("node_modules/").join(PACKAGE).join("deno");
        let beside = self.beside.iter().flat_map(|folder| {
            // npm puts packages side by side or, if another version is there, into the package that
            // needs them; this executable is in `bin` of its own package. pip puts all executables
            // into one folder.
            let nested = folder.parent().map(package);
            let siblings =
                folder.ancestors().skip(1).take(3).map(|parent| parent.join(PACKAGE).join("deno"));
            [package(folder)].into_iter().chain(nested).chain(siblings).chain([folder.join("deno")])
        });
        let cached =
            self.cache.iter().flat_map(|folder| [package(folder), folder.join("bin").join("deno")]);
        let path = self
            .path
            .as_ref()
            .into_iter()
            .flat_map(std::env::split_paths)
            .filter(|folder| folder.is_absolute());
        let path = path
            .map(|folder| folder.join("deno"))
            .flat_map(|deno| behind_shim(&deno).into_iter().chain([deno]));
        let mut found: Vec<PathBuf> = Vec::new();
        for candidate in beside.chain(cached).chain(path) {
            if !found.contains(&candidate) && is_executable(&candidate) {
                found.push(candidate);
            }
        }
        found.truncate(CANDIDATES_MAX);
        found
    }
}

/// Returns the path of the executable behind npm's `deno` script, which is in a package beside the
/// script's.
fn behind_shim(deno: &Path) -> Option<PathBuf> {
    let script = fs::canonicalize(deno).ok()?;
    Some(script.parent()?.parent()?.join(PACKAGE).join("deno"))
}

/// Returns true if the kernel itself can execute a file. A script would need an interpreter, which
/// the jail does not have.
fn is_executable(path: &Path) -> bool {
    let mut magic = [0; 4];
    let read = file::open(path).and_then(|mut file| file.read_exact(&mut magic));
    read.is_ok() && magic == *b"\x7fELF"
}

/// Returns the first of the candidates that may be used. Blocks.
///
/// # Errors
/// The error of the first candidate, if none may be used.
pub fn choose(candidates: &[PathBuf], allowed_sha256: Option<&str>) -> Result<Deno, DenoError> {
    let mut first = None;
    for candidate in candidates {
        match check(candidate, allowed_sha256) {
            Ok(deno) => return Ok(deno),
            Err(error) => {
                tracing::warn!("{error}");
                first.get_or_insert(error);
            }
        }
    }
    Err(first.unwrap_or_else(|| DenoError::Unreadable {
        path: PathBuf::new(),
        source: io::ErrorKind::NotFound.into(),
    }))
}

/// Checks the digest of an executable. Blocks: it reads some 96 MB.
///
/// # Errors
/// If the file cannot be read, or is neither a known release nor the one with the digest
/// `allowed_sha256`, in lower-case hexadecimal digits.
pub fn check(path: &Path, allowed_sha256: Option<&str>) -> Result<Deno, DenoError> {
    let unreadable = |source| DenoError::Unreadable { path: path.to_owned(), source };
    let mut file = file::open(path).map_err(unreadable)?;
    let identity = identity_of(&file.metadata().map_err(unreadable)?);
    let mut digest = Sha256::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match file.read(&mut chunk).map_err(unreadable)? {
            0 => break,
            bytes => digest.update(&chunk[..bytes]),
        }
    }
    let found = hex::encode(digest.finalize());
    if !KNOWN.contains(&found.as_str()) && allowed_sha256 != Some(found.as_str()) {
        return Err(DenoError::Unknown { path: path.to_owned(), found });
    }
    Ok(Deno { path: path.to_owned(), identity })
}

/// Returns the identity of a file and its state: it differs for another file under the same name
/// and for the same file after a write.
pub(super) fn identity_of(file: &Metadata) -> OsString {
    let (device, inode, bytes) = (file.dev(), file.ino(), file.len());
    // Unlike the modification time, the change time cannot be set.
    format!("{device}:{inode}:{bytes}:{}.{:09}", file.ctime(), file.ctime_nsec()).into()
}
