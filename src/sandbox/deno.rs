//! Deno for the runtime `local-deno`: where it is, and whether it is one that may be used.
//!
//! The runtime leans on what is inside Deno and on how its V8 behaves, so only releases that were
//! tried are taken, known by the digest of their executable. Finds and looks; starts nothing.

use std::{
    ffi::OsString,
    fs::{self, File, Metadata},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

/// The release that is used, and its packages' names: `npm install deno@2.9.6`, `pip install
/// deno==2.9.6`.
pub const VERSION: &str = "2.9.6";
/// The SHA-256 of its executables for Linux, the same in both registries.
const KNOWN: &[&str] = &[
    // x86_64
    "bceb5b6a6239b0b010418406d8c77a508f67cf4337d94288f1c19fe71304aab0",
    // aarch64
    "d08d392418df53f4e6e88a08909c0e1bccbf9adcead7232df72b6ad6075ec416",
];
/// The folder of npm's package that holds the executable for this machine.
#[cfg(target_arch = "x86_64")]
const PACKAGE: &str = "@deno/linux-x64-glibc";
#[cfg(target_arch = "aarch64")]
const PACKAGE: &str = "@deno/linux-arm64-glibc";
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const PACKAGE: &str = "@deno/none";
/// Executables that are looked into: each costs a tenth of a second.
const CANDIDATES_MAX: usize = 8;
/// Read at once while the digest is made, in bytes.
const PIECE_BYTES: usize = 1 << 20;

/// Where to look.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// The owner's own choice; then nothing else is looked at.
    pub configured: Option<PathBuf>,
    /// The folder of this executable.
    pub beside: Option<PathBuf>,
    /// The folder into which the set-up of a checkout fetches it.
    pub cache: Option<PathBuf>,
    /// `PATH`.
    pub path: Option<OsString>,
}

/// A Deno that may be used.
#[derive(Debug, Clone)]
pub struct Deno {
    /// Its executable.
    pub path: PathBuf,
    /// Which file it was when it was looked at.
    pub identity: OsString,
}

/// Why a Deno may not be used.
#[derive(Debug, thiserror::Error)]
pub enum DenoError {
    /// It cannot be read.
    #[error("`{}` cannot be read", path.display())]
    Unreadable {
        /// The executable.
        path: PathBuf,
        /// What failed.
        #[source]
        source: io::Error,
    },
    /// It is not one that was tried.
    #[error(
        "`{}` is not Deno {VERSION} as npm and PyPI have it; its SHA-256 is {found}, which \
        `sandbox.deno_sha256` does not name",
        path.display()
    )]
    Unknown {
        /// The executable.
        path: PathBuf,
        /// Its digest.
        found: String,
    },
}

impl Places {
    /// The executables that are there, not yet looked into, in the order in which they are to be
    /// taken.
    pub fn find(&self) -> Vec<PathBuf> {
        if let Some(configured) = &self.configured {
            return vec![configured.clone()];
        }
        let package = |folder: &Path| folder.join("node_modules/").join(PACKAGE).join("deno");
        let beside = self.beside.iter().flat_map(|folder| {
            // npm puts packages side by side, or, where another version stands there, into the
            // package that needs them; this executable is in `bin` of its own package. pip puts all
            // executables into one folder.
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

/// npm's `deno` on the PATH is a script; the executable stands in a package beside that of the
/// script.
fn behind_shim(deno: &Path) -> Option<PathBuf> {
    let script = fs::canonicalize(deno).ok()?;
    Some(script.parent()?.parent()?.join(PACKAGE).join("deno"))
}

/// Whether a file can be executed by the kernel itself: a script for it would need a program that
/// the jail does not have.
fn is_executable(path: &Path) -> bool {
    let mut magic = [0; 4];
    // Anything else, such as a pipe, may never answer.
    fs::metadata(path).is_ok_and(|file| file.is_file())
        && File::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok()
        && magic == *b"\x7fELF"
}

/// The first of some executables that may be used. Blocking.
///
/// # Errors
/// Why the first may not, where none may.
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

/// Looks into an executable: reads all of it, some 96 MB. Blocking.
///
/// # Errors
/// When it cannot be read, or is neither a known release nor the one whose digest the owner gave,
/// in lower-case hexadecimal digits.
pub fn check(path: &Path, allowed_sha256: Option<&str>) -> Result<Deno, DenoError> {
    let unreadable = |source| DenoError::Unreadable { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(unreadable)?;
    let identity = identity_of(&file.metadata().map_err(unreadable)?);
    let mut digest = Sha256::new();
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match file.read(&mut piece).map_err(unreadable)? {
            0 => break,
            bytes => digest.update(&piece[..bytes]),
        }
    }
    let found = hex::encode(digest.finalize());
    if !KNOWN.contains(&found.as_str()) && allowed_sha256 != Some(found.as_str()) {
        return Err(DenoError::Unknown { path: path.to_owned(), found });
    }
    Ok(Deno { path: path.to_owned(), identity })
}

/// Which file it is, and in which state: another file under the same name, or the same file written
/// to, has another.
pub(super) fn identity_of(file: &Metadata) -> OsString {
    let (device, inode, bytes) = (file.dev(), file.ino(), file.len());
    // The time of change cannot be set, unlike that of writing.
    format!("{device}:{inode}:{bytes}:{}.{:09}", file.ctime(), file.ctime_nsec()).into()
}
