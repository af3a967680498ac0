//! The encrypted store of secrets: one file beside the database, each value sealed with
//! XChaCha20-Poly1305 and bound to its name. The file without the key reveals the names and nothing
//! else.

use std::{
    collections::BTreeMap,
    fmt,
    fs::{self, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::base::file;

/// The form of the file.
const VERSION: u32 = 1;
/// Bytes of a key.
const KEY_BYTES: usize = 32;
/// Bytes of a nonce. That many random ones never meet.
const NONCE_BYTES: usize = 24;
/// Secrets that are kept.
const ENTRIES_MAX: usize = 1_000;
/// Largest value, in bytes.
pub const VALUE_BYTES_MAX: usize = 64 * 1024;
/// Longest name, in characters.
const NAME_CHARS_MAX: usize = 128;
/// Largest file that is read, in bytes: every entry at its largest, twice.
const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Location of the key of the store.
#[derive(Clone, PartialEq, Eq)]
pub enum VaultKey {
    /// A file, created on first use, readable by its owner alone.
    File(PathBuf),
    /// A variable of this name with 32 bytes in base64.
    Given {
        /// Name of the variable.
        variable: String,
        /// Its value.
        value: String,
    },
}

impl fmt::Debug for VaultKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Given { variable, .. } => write!(f, "env {variable}"),
        }
    }
}

/// Reasons why the store cannot be used. Never holds a value.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// A file cannot be read or written.
    #[error("`{path}` cannot be {done}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// `read` or `written`.
        done: &'static str,
        /// The cause.
        source: io::Error,
    },
    /// The file of the store is not one.
    #[error("`{}` is not a secret store of version {VERSION}", _0.display())]
    Malformed(PathBuf),
    /// The key is not one.
    #[error("the key of the secrets in {0} is not 32 bytes in base64")]
    BadKey(String),
    /// Others than its owner can read the key.
    #[error("the key file `{}` can be read by other users than its owner", _0.display())]
    KeyIsOpen(PathBuf),
    /// There are secrets and their key is gone.
    #[error("the key file `{}` is missing, and secrets were encrypted with it", _0.display())]
    KeyIsMissing(PathBuf),
    /// Sealed with another key, or changed.
    #[error(
        "secret `{0}` cannot be decrypted: it was encrypted with another key, or the file was \
        changed"
    )]
    Sealed(String),
    /// There is none of that name.
    #[error("there is no secret `{0}`; set it with `airlock secrets set {0}`")]
    Absent(String),
    /// A name that is not allowed.
    #[error(
        "`{0}` cannot name a secret; allowed: letters, digits, `_`, `-`, `.`, at most \
        {NAME_CHARS_MAX}"
    )]
    Name(String),
    /// A value that is not allowed.
    #[error("the value is {0} bytes; the limit is 1 to {VALUE_BYTES_MAX}")]
    Value(usize),
    /// There are too many.
    #[error("there are {ENTRIES_MAX} secrets already, which is the limit")]
    Full,
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    NoRandomness,
}

/// The encrypted store. Cheap to clone; each use reads the file anew, so that what a command sets
/// counts at once.
#[derive(Debug, Clone)]
pub struct Vault(Arc<Place>);

#[derive(Debug)]
struct Place {
    file: PathBuf,
    key: VaultKey,
}

/// One secret, without its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoredSecret {
    /// Its name.
    pub name: String,
    /// Time at which it was set.
    pub changed: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct Sheet {
    version: u32,
    #[serde(default)]
    secrets: BTreeMap<String, Sealed>,
}

#[derive(Serialize, Deserialize)]
struct Sealed {
    nonce: String,
    sealed: String,
    changed: Timestamp,
}

impl Vault {
    /// The store in this file; neither it nor its key need exist.
    pub fn new(file: PathBuf, key: VaultKey) -> Self {
        Self(Arc::new(Place { file, key }))
    }

    /// A value.
    pub fn get(&self, name: &str) -> Result<String, VaultError> {
        let sheet = self.read()?;
        let entry = sheet.secrets.get(name).ok_or_else(|| VaultError::Absent(name.to_owned()))?;
        let damaged = || VaultError::Sealed(name.to_owned());
        let nonce: [u8; NONCE_BYTES] = STANDARD
            .decode(&entry.nonce)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(damaged)?;
        let sealed = STANDARD.decode(&entry.sealed).map_err(|_| damaged())?;
        let context = context(name);
        let payload = Payload { msg: &sealed, aad: context.as_bytes() };
        let opened =
            self.cipher(false)?.decrypt(&XNonce::from(nonce), payload).map_err(|_| damaged())?;
        String::from_utf8(opened).map_err(|_| damaged())
    }

    /// Sets a value, over the one that was there.
    pub fn set(&self, name: &str, value: &str) -> Result<(), VaultError> {
        self.put(name, value, true).map(drop)
    }

    /// Sets a value if there is none of that name; returns whether it was set.
    pub fn set_if_absent(&self, name: &str, value: &str) -> Result<bool, VaultError> {
        self.put(name, value, false)
    }

    fn put(&self, name: &str, value: &str, over: bool) -> Result<bool, VaultError> {
        if !is_name(name) {
            return Err(VaultError::Name(name.chars().take(NAME_CHARS_MAX).collect()));
        }
        if !(1..=VALUE_BYTES_MAX).contains(&value.len()) {
            return Err(VaultError::Value(value.len()));
        }
        self.change(|sheet| {
            if !over && sheet.secrets.contains_key(name) {
                return Ok(false);
            }
            if sheet.secrets.len() >= ENTRIES_MAX && !sheet.secrets.contains_key(name) {
                return Err(VaultError::Full);
            }
            let mut nonce = [0; NONCE_BYTES];
            getrandom::fill(&mut nonce).map_err(|_| VaultError::NoRandomness)?;
            let context = context(name);
            let payload = Payload { msg: value.as_bytes(), aad: context.as_bytes() };
            let cipher = self.cipher(sheet.secrets.is_empty())?;
            let sealed = cipher
                .encrypt(&XNonce::from(nonce), payload)
                .map_err(|_| VaultError::Value(value.len()))?;
            let entry = Sealed {
                nonce: STANDARD.encode(nonce),
                sealed: STANDARD.encode(sealed),
                changed: Timestamp::now(),
            };
            sheet.secrets.insert(name.to_owned(), entry);
            Ok(true)
        })
    }

    /// Takes a secret away.
    pub fn remove(&self, name: &str) -> Result<(), VaultError> {
        self.change(|sheet| match sheet.secrets.remove(name) {
            Some(_) => Ok(()),
            None => Err(VaultError::Absent(name.to_owned())),
        })
    }

    /// All entries, by name.
    pub fn list(&self) -> Result<Vec<StoredSecret>, VaultError> {
        let secrets = self.read()?.secrets.into_iter();
        Ok(secrets.map(|(name, entry)| StoredSecret { name, changed: entry.changed }).collect())
    }

    fn read(&self) -> Result<Sheet, VaultError> {
        let path = &self.0.file;
        let failed = |source| VaultError::File { path: path.clone(), done: "read", source };
        let mut text = String::new();
        match file::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Sheet { version: VERSION, secrets: BTreeMap::new() });
            }
            Err(error) => return Err(failed(error)),
            Ok(file) => file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?,
        };
        let sheet =
            serde_json::from_str::<Sheet>(&text).ok().filter(|sheet| sheet.version == VERSION);
        sheet.ok_or_else(|| VaultError::Malformed(path.clone()))
    }

    /// Reads, changes and writes under a lock, so that neither a server nor a command undoes what
    /// the other did.
    fn change<T>(
        &self,
        change: impl FnOnce(&mut Sheet) -> Result<T, VaultError>,
    ) -> Result<T, VaultError> {
        let path = &self.0.file;
        let failed = |source| VaultError::File { path: path.clone(), done: "written", source };
        if let Some(folder) = path.parent() {
            private_folder(folder).map_err(failed)?;
        }
        let lock =
            private().create(true).truncate(false).open(beside(path, "lock")).map_err(failed)?;
        lock.lock().map_err(failed)?;
        let mut sheet = self.read()?;
        let changed = change(&mut sheet)?;
        let text = serde_json::to_vec(&sheet).expect("a sheet is plain data with text keys");
        replace(path, &text).map_err(failed)?;
        Ok(changed)
    }

    fn cipher(&self, may_make_key: bool) -> Result<XChaCha20Poly1305, VaultError> {
        let (text, place) = match &self.0.key {
            VaultKey::Given { variable, value } => (value.clone(), format!("`{variable}`")),
            VaultKey::File(path) => {
                (read_or_make_key(path, may_make_key)?, format!("`{}`", path.display()))
            }
        };
        let key = STANDARD.decode(text.trim()).ok().filter(|key| key.len() == KEY_BYTES);
        let key = key.ok_or_else(|| VaultError::BadKey(place.clone()))?;
        XChaCha20Poly1305::new_from_slice(&key).map_err(|_| VaultError::BadKey(place))
    }
}

/// Data that a sealed value is bound to: moved under another name it does not open.
fn context(name: &str) -> String {
    format!("airlock secret {VERSION}\0{name}")
}

/// Names of the owner's, and those of tokens, which hold a colon.
fn is_name(name: &str) -> bool {
    (1..=NAME_CHARS_MAX).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':'))
}

fn read_or_make_key(path: &Path, may_make: bool) -> Result<String, VaultError> {
    let failed = |done| move |source| VaultError::File { path: path.to_path_buf(), done, source };
    match file::open(path) {
        Ok(file) => {
            let mode = file.metadata().map_err(failed("read"))?.permissions().mode();
            if mode & 0o077 != 0 {
                return Err(VaultError::KeyIsOpen(path.to_path_buf()));
            }
            let mut text = String::new();
            file.take(1024).read_to_string(&mut text).map_err(failed("read"))?;
            Ok(text)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound && may_make => {
            let mut key = [0; KEY_BYTES];
            getrandom::fill(&mut key).map_err(|_| VaultError::NoRandomness)?;
            let text = STANDARD.encode(key);
            if let Some(folder) = path.parent() {
                private_folder(folder).map_err(failed("written"))?;
            }
            let mut file = private().create_new(true).open(path).map_err(failed("written"))?;
            file.write_all(text.as_bytes())
                .and_then(|()| file.sync_all())
                .map_err(failed("written"))?;
            Ok(text)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(VaultError::KeyIsMissing(path.to_path_buf()))
        }
        Err(error) => Err(failed("read")(error)),
    }
}

/// Creates a folder that is missing, for its owner alone.
fn private_folder(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(ending);
    path.with_file_name(name)
}

/// Writes the file whole or not at all, readable by its owner alone.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let fresh = beside(path, "new");
    // One that a crash left may have other rights.
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = private().create_new(true).open(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&fresh, path)
}

#[cfg(test)]
mod tests;
