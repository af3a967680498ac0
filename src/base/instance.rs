//! The note that a running server leaves beside its database, so that its owner's commands find it
//! and their right to use it.

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

/// Longest note that is read, in bytes.
const BYTES_MAX: u64 = 16 * 1024;

/// A running server. Only its owner can read the note.
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

/// Takes the note away when it is dropped, unless another server has written its own meanwhile.
#[derive(Debug)]
pub struct InstanceNote {
    path: PathBuf,
    instance: Instance,
}

impl Instance {
    /// Where the note of a database's server lies: `<database>.instance.json`.
    pub fn path(database: &Path) -> PathBuf {
        let mut name = database.as_os_str().to_owned();
        name.push(".instance.json");
        name.into()
    }

    /// Leaves the note, readable for the owner alone, whole or not at all. Call it once the server
    /// holds the database and answers.
    pub fn announce(self, database: &Path) -> io::Result<InstanceNote> {
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
        Ok(InstanceNote { path, instance: self })
    }

    /// The server of a database, if it left a note and its process lives. A note that others could
    /// have written or read is refused, for its token would go to whoever it names.
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

impl InstanceNote {
    /// What it says.
    pub fn instance(&self) -> &Instance {
        &self.instance
    }
}

impl Drop for InstanceNote {
    fn drop(&mut self) {
        let written = File::open(&self.path).and_then(|file| read(file, &self.path));
        if written.is_ok_and(|written| written == self.instance) {
            // Nothing is lost if it stays: its process does not live and `find` passes it over.
            fs::remove_file(&self.path).ok();
        }
    }
}
