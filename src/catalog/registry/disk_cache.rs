//! Caches the tools of upstreams on disk, so that they are known at once after a restart.
//!
//! One file for each upstream, readable by the owner alone, written whole or not at all. A file
//! that is damaged, of another version, of another upstream or writable by others is ignored: the
//! upstream is listed anyway. Only lists without the secrets are cached. The files may be deleted
//! at any time.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use crate::{
    base::digest::sha256,
    catalog::tool::{ArgumentWords, CachedTool, Tool},
    model::{Annotations, FormerName, Operation, RawJson, Schema},
};

/// First word of a file, with the version of its form.
const MAGIC: &str = "airlock-tools/4";
/// Largest file, in bytes: the largest list that an upstream may give, and what is around it.
const FILE_BYTES_MAX: u64 = 96 * 1024 * 1024;
/// File extension of cached lists.
const ENDING: &str = ".tools";
/// Files that are looked at when leftovers are swept.
const SWEPT_MAX: usize = 10_000;

/// The folder with the files.
#[derive(Debug)]
pub(in crate::catalog) struct ToolCache {
    folder: PathBuf,
    /// Largest file, in bytes.
    bytes_max: u64,
}

/// Reasons why a list is not cached or not loaded.
#[derive(Debug, thiserror::Error)]
pub(in crate::catalog) enum ToolCacheError {
    /// The system says no.
    #[error("`{path}` cannot be used")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The file is not ours, not whole or not of this version.
    #[error("`{path}` is not used: {reason}")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The fault.
        reason: &'static str,
    },
    /// The list is larger than is kept.
    #[error("the tools of `{upstream}` take {bytes} bytes, kept are at most {bytes_max}")]
    TooLarge {
        /// The upstream.
        upstream: String,
        /// Size of its list.
        bytes: usize,
        /// Size limit of the cache.
        bytes_max: u64,
    },
}

#[derive(Serialize)]
struct Writing<'a> {
    upstream: &'a str,
    origin: &'a str,
    tools: Vec<WrittenTool<'a>>,
}

#[derive(Serialize)]
struct WrittenTool<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    description: &'a str,
    input: &'a Schema,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<&'a Schema>,
    arguments: &'a ArgumentWords,
    annotations: &'a Annotations,
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<Operation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    former: Option<FormerName>,
    hash: &'a str,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reading {
    upstream: String,
    origin: String,
    tools: Vec<ReadTool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadTool {
    name: String,
    #[serde(default)]
    title: Option<String>,
    description: String,
    input: RawJson,
    #[serde(default)]
    output: Option<RawJson>,
    arguments: ArgumentWords,
    annotations: Annotations,
    #[serde(default)]
    operation: Option<Operation>,
    #[serde(default)]
    fingerprint: Option<String>,
    #[serde(default)]
    former: Option<FormerName>,
    hash: String,
}

impl ToolCache {
    /// A cache in this folder; touches nothing yet.
    pub(in crate::catalog) fn new(folder: PathBuf) -> Self {
        Self { folder, bytes_max: FILE_BYTES_MAX }
    }

    /// Loads the cached tools of an upstream whose origin is unchanged; none if there are none.
    /// Takes milliseconds per megabyte.
    pub(in crate::catalog) fn load(
        &self,
        upstream: &Arc<str>,
        origin: &str,
    ) -> Result<Option<Vec<Tool>>, ToolCacheError> {
        let path = self.path(upstream);
        let Some(body) = read(&path, self.bytes_max)? else { return Ok(None) };
        let foreign = |reason| ToolCacheError::Foreign { path: path.clone(), reason };
        let read: Reading =
            serde_json::from_slice(&body).map_err(|_| foreign("it is not a list of tools"))?;
        if read.upstream != **upstream || read.origin != origin {
            return Err(foreign("it is of an upstream that was configured otherwise"));
        }
        let tools = read.tools.into_iter().map(|tool| {
            // Every field is named, so that a new one cannot be forgotten here.
            let ReadTool {
                name,
                title,
                description,
                input,
                output,
                arguments,
                annotations,
                operation,
                fingerprint,
                former,
                hash: schema_hash,
            } = tool;
            // Not parsed now: that they are objects is what everything else builds on.
            if std::iter::once(&input).chain(&output).any(|schema| !schema.get().starts_with('{')) {
                return Err(foreign("a schema in it is not valid"));
            }
            let (input_schema, output_schema) =
                (Schema::of_text(input), output.map(Schema::of_text));
            #[rustfmt::skip]
            let kept = CachedTool {
                name, title, description, input_schema, output_schema, annotations, operation,
                fingerprint, former, arguments, schema_hash
            };
            Tool::readmit(upstream, kept).map_err(|_| foreign("a tool in it is not allowed"))
        });
        tools.collect::<Result<Vec<Tool>, ToolCacheError>>().map(Some)
    }

    /// Writes what an upstream offers, unless the file says the same already. Takes a while, too.
    pub(in crate::catalog) fn save(
        &self,
        upstream: &str,
        origin: &str,
        tools: &[Arc<Tool>],
    ) -> Result<(), ToolCacheError> {
        let tools = tools.iter().map(|tool| WrittenTool {
            name: &tool.name,
            title: tool.title.as_deref(),
            description: &tool.description,
            input: &tool.input_schema,
            output: tool.output_schema.as_ref(),
            arguments: &tool.arguments,
            annotations: &tool.annotations,
            operation: tool.operation,
            fingerprint: tool.fingerprint.as_deref(),
            former: tool.former_name(),
            hash: &tool.schema_hash,
        });
        let body = serde_json::to_vec(&Writing { upstream, origin, tools: tools.collect() })
            .map_err(|error| self.failed(&self.folder, error.into()))?;
        let head = head(&body);
        if (head.len() + body.len()) as u64 > self.bytes_max {
            return Err(ToolCacheError::TooLarge {
                upstream: upstream.to_owned(),
                bytes: body.len(),
                bytes_max: self.bytes_max,
            });
        }
        let path = self.path(upstream);
        if has_head(&path, &head) {
            return Ok(());
        }
        self.write(&path, &head, &body).map_err(|error| self.failed(&path, error))
    }

    /// Removes files of upstreams that are not among these, and what an interrupted write left.
    pub(in crate::catalog) fn sweep(&self, upstreams: &[Arc<str>]) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        for entry in entries.flatten().take(SWEPT_MAX) {
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            let is_known = name
                .strip_suffix(ENDING)
                .is_some_and(|name| upstreams.iter().any(|known| **known == *name));
            if !is_known && (name.ends_with(ENDING) || name.ends_with(".new")) {
                // What cannot be removed is looked at again at the next start.
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// The name of an upstream is letters, digits, `_` and `-`: a file's name as it is.
    fn path(&self, upstream: &str) -> PathBuf {
        self.folder.join(format!("{upstream}{ENDING}"))
    }

    fn write(&self, path: &Path, head: &str, body: &[u8]) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let new = path.with_extension("new");
        // What an interrupted write left may have other rights.
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        let written = file
            .write_all(head.as_bytes())
            .and_then(|()| file.write_all(body))
            .and_then(|()| file.sync_all());
        let renamed = written.and_then(|()| fs::rename(&new, path));
        if renamed.is_err() {
            // The failure is reported.
            let _ = fs::remove_file(&new);
        }
        renamed
    }

    fn failed(&self, path: &Path, source: io::Error) -> ToolCacheError {
        ToolCacheError::Io { path: path.to_owned(), source }
    }
}

/// Header of a file: the version, the body's length, its digest.
fn head(body: &[u8]) -> String {
    format!("{MAGIC} {:>10} {}\n", body.len(), sha256(body))
}

fn has_head(path: &Path, head: &str) -> bool {
    let mut found = vec![0; head.len()];
    open(path).is_ok_and(|mut file| file.read_exact(&mut found).is_ok() && found == head.as_bytes())
}

/// Follows no link: the file is ours or none.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)
}

/// The body of a file that is whole and ours; none where there is no file.
fn read(path: &Path, bytes_max: u64) -> Result<Option<Vec<u8>>, ToolCacheError> {
    let failed = |source| ToolCacheError::Io { path: path.to_owned(), source };
    let foreign = |reason| Err(ToolCacheError::Foreign { path: path.to_owned(), reason });
    let mut file = match open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(failed)?,
    };
    let about = file.metadata().map_err(failed)?;
    if !about.is_file()
        || about.uid() != rustix::process::geteuid().as_raw()
        || about.mode() & 0o022 != 0
    {
        return foreign("others than the owner could have written it");
    }
    if about.len() > bytes_max {
        return foreign("it is too large");
    }
    let mut bytes = Vec::with_capacity(about.len() as usize);
    Read::take(&mut file, bytes_max).read_to_end(&mut bytes).map_err(failed)?;
    let Some(end) = bytes.iter().take(200).position(|byte| *byte == b'\n') else {
        return foreign("it has no head");
    };
    let body = bytes.split_off(end + 1);
    if bytes != head(&body).as_bytes() {
        return foreign("it is damaged, or of another version");
    }
    Ok(Some(body))
}

#[cfg(test)]
mod tests;
