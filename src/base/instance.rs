//! Instance file: a running server writes it next to its database, so that the commands of its
//! owner find the server and the token that authorizes them.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

#[cfg(test)]
mod tests;

/// Largest instance file, in bytes.
const BYTES_MAX: u64 = 16 * 1024;

/// What distinguishes a configuration from others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigIdentity {
    /// File that was read, as an absolute path; none without a file.
    pub file: Option<PathBuf>,
    /// SHA-256 digest of the file's content.
    pub digest: Option<String>,
    /// Profile of the policy.
    pub profile: String,
    /// Policy files, as absolute paths.
    pub policy_files: Vec<PathBuf>,
}

impl ConfigIdentity {
    /// Returns true if both are of the same file, which may have changed in the meantime.
    pub fn has_same_file(&self, other: &Self) -> bool {
        self.file == other.file
    }

    /// Returns true if both have the same profile and policy files.
    pub fn has_same_policy(&self, other: &Self) -> bool {
        (&self.profile, &self.policy_files) == (&other.profile, &other.policy_files)
    }
}

/// Running server, as described by its instance file.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Process id.
    pub pid: u32,
    /// Base URL: `http://127.0.0.1:7411`.
    pub url: String,
    /// Owner token for `/v1`.
    pub token: String,
    /// Version of the server.
    pub version: String,
    /// Its configuration, which a command that uses the server must share.
    pub config: ConfigIdentity,
    /// The server was started to keep running, and not by a client or a command for its own
    /// lifetime.
    #[serde(default)]
    pub lasting: bool,
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pid, url, version, .. } = self;
        f.debug_struct("Instance")
            .field("pid", pid)
            .field("url", url)
            .field("version", version)
            .finish_non_exhaustive()
    }
}

/// Instance file on the disk. Dropping it removes the file, unless another server has replaced it.
#[derive(Debug)]
pub struct InstanceFile {
    path: PathBuf,
    instance: Instance,
}

impl Instance {
    /// Writes the instance file atomically, readable only by the owner; creates its folder if
    /// necessary. Call it after the server has locked the database and accepts requests.
    pub fn announce(self, path: &Path) -> io::Result<InstanceFile> {
        if let Some(folder) = path.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        self.write(path)?;
        Ok(InstanceFile { path: path.to_owned(), instance: self })
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        let temporary = path.with_extension(format!("{}.tmp", self.pid));
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        drop(file);
        fs::rename(&temporary, path)
    }

    /// Returns the server that wrote the instance file, if there is one and its process is alive.
    ///
    /// # Errors
    /// The file cannot be read, or other users could have read or written it: the token would be
    /// sent to the URL in the file.
    pub fn find(path: &Path) -> io::Result<Option<Self>> {
        let file = match OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(path)
        {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let instance = read(file, path)?;
        Ok(Some(instance).filter(Self::is_alive))
    }

    /// Returns true if its process runs.
    pub fn is_alive(&self) -> bool {
        let pid = i32::try_from(self.pid).ok().and_then(rustix::process::Pid::from_raw);
        pid.is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok())
    }
}

fn read(file: File, path: &Path) -> io::Result<Instance> {
    let metadata = file.metadata()?;
    let owner = rustix::process::geteuid().as_raw();
    if !metadata.is_file() || metadata.uid() != owner || metadata.mode() & 0o077 != 0 {
        let reason =
            format!("`{}` must be a file that only its owner can read and write", path.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
    }
    let mut text = String::new();
    file.take(BYTES_MAX).read_to_string(&mut text)?;
    Ok(serde_json::from_str(&text)?)
}

impl InstanceFile {
    /// Says that the server has another configuration now.
    pub fn update(&mut self, config: ConfigIdentity) -> io::Result<()> {
        let instance = Instance { config, ..self.instance.clone() };
        instance.write(&self.path)?;
        self.instance = instance;
        Ok(())
    }

    /// Returns the content of the file.
    pub fn instance(&self) -> &Instance {
        &self.instance
    }
}

impl Drop for InstanceFile {
    fn drop(&mut self) {
        let current = File::open(&self.path).and_then(|file| read(file, &self.path));
        if current.is_ok_and(|current| current == self.instance) {
            // A file that stays is harmless: `find` ignores it because its process is not alive.
            fs::remove_file(&self.path).ok();
        }
    }
}
