//! The files: who may read them, and one server at a time.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::StoreError;

/// Held while a server has the database. The operating system lets go of it when the process ends, in whatever way, so a lock is
/// never stale; the file itself stays, because removing it would let two servers each lock a file of that name.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// Makes the folders and the file where they are missing, for the owner only, and takes the lock `<path>.lock`.
pub(super) fn prepare(path: &Path) -> Result<Lock, StoreError> {
    let open = |source: io::Error| StoreError::Open { path: path.to_owned(), source: Arc::new(source) };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        make_folder(folder).map_err(open)?;
    }
    let lock = lock(path)?;
    // SQLite gives its side files the permissions of this one.
    owners(OpenOptions::new().append(true).create(true)).open(path).map_err(open)?;
    Ok(lock)
}

fn lock(path: &Path) -> Result<Lock, StoreError> {
    let open = |source: io::Error| StoreError::Open { path: path.to_owned(), source: Arc::new(source) };
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let mut file = owners(OpenOptions::new().read(true).write(true).create(true)).open(PathBuf::from(name)).map_err(open)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(StoreError::InUse { path: path.to_owned(), process: holder(&mut file) });
        }
        Err(TryLockError::Error(error)) => return Err(open(error)),
    }
    file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(open)?;
    Ok(Lock { _file: file })
}

/// The process that has written its number into the lock, for the message only.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn owners(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}
