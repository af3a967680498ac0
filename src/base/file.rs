//! Reads files that an owner names, whole and within a bound. Opens regular files only: whoever
//! opens a pipe may wait for ever, and a device may give bytes without end.

use std::{
    fs::{self, File, FileType},
    io::{self, Read},
    os::unix::fs::{FileTypeExt, OpenOptionsExt},
    path::Path,
};

/// Returns the content of a regular file, or of the one that a link leads to. Never waits for
/// another process.
///
/// # Errors
/// If it is no regular file, is larger than `bytes_max`, or cannot be read.
pub fn read(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        let message = format!("it is larger than {bytes_max} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}

/// Opens a regular file for reading. Never waits for another process.
///
/// # Errors
/// If it is no regular file, or cannot be opened.
pub fn open(path: &Path) -> io::Result<File> {
    // Before it is opened: that alone may move a device.
    regular(fs::metadata(path)?.file_type())?;
    // It may be another one by now, so the opening must not wait either.
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    regular(file.metadata()?.file_type())?;
    Ok(file)
}

fn regular(kind: FileType) -> io::Result<()> {
    let what = match kind {
        kind if kind.is_file() => return Ok(()),
        kind if kind.is_dir() => "folder",
        kind if kind.is_fifo() => "pipe",
        kind if kind.is_socket() => "socket",
        _ => "device",
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("it is a {what}, not a file")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_within_their_bound_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "12345").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        for path in [&file, &link] {
            assert_eq!(read(path, 5).unwrap(), b"12345");
            assert_eq!(read(path, 4).unwrap_err().to_string(), "it is larger than 4 bytes");
        }
        let pipe = folder.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0)
            .unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap();
        for (path, what) in [
            (folder.path().to_path_buf(), "folder"),
            (pipe, "pipe"),
            (folder.path().join("socket"), "socket"),
            ("/dev/zero".into(), "device"),
            ("/dev/null".into(), "device"),
        ] {
            let refused = read(&path, 5).unwrap_err().to_string();
            assert_eq!(refused, format!("it is a {what}, not a file"));
        }
        let missing = read(&folder.path().join("missing"), 5).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }
}
