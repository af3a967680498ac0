//! The files: who may read them, and one server at a time.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::store::StoreError;

/// Files of SQLite beside a database: whoever writes these writes the database.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Held while a server has the database. The operating system lets go of it when the process ends,
/// in whatever way, so a lock is never stale; the file itself stays, because removing it would let
/// two servers each lock a file of that name.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// Makes the folders and the file where they are missing, for the owner only, and takes the lock
/// `<path>.lock`. Refuses files of another owner, and takes everybody else's permissions from those
/// that are there.
pub(super) fn prepare(path: &Path) -> Result<Lock, StoreError> {
    let open =
        |source: io::Error| StoreError::Open { path: path.to_owned(), source: Arc::new(source) };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        make_folder(folder).map_err(open)?;
    }
    let lock = lock(path)?;
    // SQLite gives its side files the permissions of this one. Read and write, so that a pipe of
    // that name does not block.
    let database =
        owners(OpenOptions::new().read(true).append(true).create(true)).open(path).map_err(open)?;
    claim(&database, path).map_err(open)?;
    // The database itself may be a link that its owner has made; SQLite looks beside the target.
    let target = path.canonicalize().map_err(open)?;
    for name in BESIDE.map(|suffix| beside(&target, suffix)) {
        match unlinked(OpenOptions::new().read(true)).open(&name) {
            Ok(file) => claim(&file, &name).map_err(open)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(open(told(&name, error))),
        }
    }
    Ok(lock)
}

fn lock(path: &Path) -> Result<Lock, StoreError> {
    let open =
        |source: io::Error| StoreError::Open { path: path.to_owned(), source: Arc::new(source) };
    let name = beside(path, ".lock");
    let options = &mut OpenOptions::new();
    let mut file = unlinked(owners(options.read(true).write(true).create(true)))
        .open(&name)
        .map_err(|error| open(told(&name, error)))?;
    // Before a byte of it is touched.
    claim(&file, &name).map_err(open)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(StoreError::InUse { path: path.to_owned(), process: holder(&mut file) });
        }
        Err(TryLockError::Error(error)) => return Err(open(error)),
    }
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(open)?;
    Ok(Lock { _file: file })
}

/// The process that has written its number into the lock, for the message only.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Makes an open file the owner's alone, or says why it cannot be.
#[cfg(unix)]
fn claim(file: &File, name: &Path) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    let (found, own) = (file.metadata()?, rustix::process::geteuid().as_raw());
    let name = name.display();
    if !found.is_file() {
        return Err(io::Error::other(format!("`{name}` is not a regular file")));
    }
    if found.uid() != own {
        let owner = found.uid();
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!(
                "`{name}` belongs to user {owner} and this server runs as user {own}, so the \
                server cannot hide it from that user"
            ),
        ));
    }
    if found.mode() & 0o077 != 0 {
        file.set_permissions(fs::Permissions::from_mode(0o600)).map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("access to `{name}` cannot be restricted to its owner: {error}"),
            )
        })?;
        tracing::warn!(
            "other users had access to `{name}` (mode {:o}): now only its owner has",
            found.mode() & 0o777
        );
    }
    Ok(())
}

#[cfg(not(unix))]
fn claim(_: &File, _: &Path) -> io::Result<()> {
    Ok(())
}

/// An error with the name of the file, where that is not the database.
fn told(name: &Path, error: io::Error) -> io::Error {
    let name = name.display();
    #[cfg(unix)]
    if error.raw_os_error() == Some(libc::ELOOP) {
        return io::Error::new(
            error.kind(),
            format!("`{name}` is a symbolic link, which is not followed"),
        );
    }
    io::Error::new(error.kind(), format!("`{name}`: {error}"))
}

fn owners(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// Neither follows a link, which somebody else may have put there, nor waits for the other end of a
/// pipe.
fn unlinked(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(options, libc::O_NOFOLLOW | libc::O_NONBLOCK);
    options
}

fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}
