//! Reads policy files for commands. Must not judge their content.

use std::{
    io::{self, Read},
    path::{Path, PathBuf},
};

use crate::{
    app::Failure,
    base::{file, text::decoded},
    policy::{Layer, LayerScope, file::FILE_BYTES_MAX},
    service::{PolicyFileText, PolicyFiles, scope_text},
    task::policy_reload::PolicySource,
};

/// A file's text. Standard input where it is called `-`. The person may name a pipe, which the
/// command then waits for.
pub(super) fn read(path: &Path) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let source: io::Result<Box<dyn Read>> = match path == Path::new("-") {
        true => Ok(Box::new(io::stdin().lock())),
        false => std::fs::File::open(path).map(|file| Box::new(file) as _),
    };
    // One byte more distinguishes a file that is too long from one that just fits.
    let bytes_max = FILE_BYTES_MAX as u64 + 1;
    let read = source.and_then(|source| source.take(bytes_max).read_to_end(&mut bytes));
    if bytes.len() > FILE_BYTES_MAX {
        return Err(Failure::other(format!(
            "`{}` is larger than {FILE_BYTES_MAX} bytes",
            path.display()
        )));
    }
    text(path, read.map(|_| bytes))
}

fn text(path: &Path, bytes: io::Result<Vec<u8>>) -> Result<String, Failure> {
    let text = bytes.and_then(|bytes| decoded(&bytes).map(str::to_owned).map_err(io::Error::other));
    text.map_err(|error| Failure::other(format!("`{}` cannot be read: {error}", path.display())))
}

/// A file as a layer: with the scope and the upstream of the configuration where that names the
/// file, else for everybody.
pub(super) fn layer(path: &Path, source: &PolicySource) -> Result<Layer, Failure> {
    Ok(with_text(path, read(path)?, source))
}

fn with_text(path: &Path, text: String, source: &PolicySource) -> Layer {
    let whole = |path: &Path| path.canonicalize().unwrap_or_else(|_| PathBuf::from(path));
    let wanted = whole(path);
    let named = source.files.iter().find(|file| whole(&file.path) == wanted);
    let (scope, upstream) = named.map_or((LayerScope::Organisation, None), |file| {
        (file.scope.clone(), file.upstream.clone())
    });
    Layer { scope, name: path.display().to_string(), upstream, text }
}

/// All files of the configuration, in its order.
pub(super) fn configured(source: &PolicySource) -> Result<Vec<Layer>, Failure> {
    let layer = |path: &PathBuf| {
        let text = text(path, file::read(path, FILE_BYTES_MAX as u64))?;
        Ok(with_text(path, text, source))
    };
    source.files.iter().map(|file| layer(&file.path)).collect()
}

/// Layers as a server takes them.
pub(super) fn as_request(layers: &[Layer]) -> PolicyFiles {
    let file = |layer: &Layer| PolicyFileText {
        name: layer.name.clone(),
        scope: Some(scope_text(&layer.scope)),
        upstream: layer.upstream.clone(),
        text: layer.text.clone(),
    };
    PolicyFiles { files: layers.iter().map(file).collect() }
}
