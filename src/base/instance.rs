//! The file that a running server keeps beside its database, so that its owner's commands find it
//! and the token to use it.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

#[cfg(test)]
mod tests;

/// Longest file that is read, in bytes.
const BYTES_MAX: u64 = 16 * 1024;

/// A running server. Only its owner can read the file.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Its process.
    pub pid: u32,
    /// Where it answers: `http://127.0.0.1:7411`.
    pub url: String,
    /// The owner's right to `/v1`.
    pub token: String,
    /// Its version.
    pub version: String,
    /// Whether it was started to stay, and not by a client or a command for as long as that lives.
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

/// Removes the file when it is dropped, unless another server has written its own meanwhile.
#[derive(Debug)]
pub struct InstanceFile {
    path: PathBuf,
    instance: Instance,
}

impl Instance {
    /// The path of the file for a database: `<database>.instance.json`.
    pub fn path(database: &Path) -> PathBuf {
        let mut name = database.as_os_str().to_owned();
        name.push(".instance.json");
        name.into()
    }

    /// Writes the file, readable for the owner alone, whole or not at all. Call it once the server
    /// holds the database and answers.
    pub fn announce(self, database: &Path) -> io::Result<InstanceFile> {
        let path = Self::path(database);
        let fresh = path.with_extension(format!("{}.tmp", self.pid));
        match fs::remove_file(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
        file.write_all(&serde_json::to_vec(&self)?)?;
        drop(file);
        fs::rename(&fresh, &path)?;
        Ok(InstanceFile { path, instance: self })
    }

    /// The server of a database, if its file is there and its process lives. A file that others could
    /// have written or read is refused, because its token would go to whoever it names.
    pub fn find(database: &Path) -> io::Result<Option<Self>> {
        let path = Self::path(database);
        let file = match OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(&path)
        {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let instance = read(file, &path)?;
        Ok(Some(instance).filter(Self::lives))
    }

    fn lives(&self) -> bool {
        let pid = i32::try_from(self.pid).ok().and_then(rustix::process::Pid::from_raw);
        pid.is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok())
    }
}

fn read(file: File, path: &Path) -> io::Result<Instance> {
    let about = file.metadata()?;
    let owner = rustix::process::geteuid().as_raw();
    if !about.is_file() || about.uid() != owner || about.mode() & 0o077 != 0 {
        let reason =
            format!("`{}` must be a file that only its owner can read and write", path.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
    }
    let mut text = String::new();
    file.take(BYTES_MAX).read_to_string(&mut text)?;
    Ok(serde_json::from_str(&text)?)
}

impl InstanceFile {
    /// Its content.
    pub fn instance(&self) -> &Instance {
        &self.instance
    }
}

impl Drop for InstanceFile {
    fn drop(&mut self) {
        let written = File::open(&self.path).and_then(|file| read(file, &self.path));
        if written.is_ok_and(|written| written == self.instance) {
            // Nothing is lost if it stays: its process does not live and `find` passes it over.
            fs::remove_file(&self.path).ok();
        }
    }
}
