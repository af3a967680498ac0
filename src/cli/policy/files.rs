//! Reads policy files for commands. Must not judge their content.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use crate::{
    app::Failure,
    base::text::decoded,
    policy::{Layer, LayerScope, file::FILE_BYTES_MAX},
    service::{PolicyFileText, PolicyFiles, scope_text},
    task::policy_reload::PolicySource,
};

/// A file's text. Standard input where it is called `-`.
pub(super) fn read(path: &Path) -> Result<String, Failure> {
    let unreadable = |error: std::io::Error| {
        Failure::other(format!("`{}` cannot be read: {error}", path.display()))
    };
    let mut bytes = Vec::new();
    let source: Box<dyn Read> = match path == Path::new("-") {
        true => Box::new(std::io::stdin().lock()),
        false => Box::new(std::fs::File::open(path).map_err(unreadable)?),
    };
    // One byte more distinguishes a file that is too long from one that just fits.
    source.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > FILE_BYTES_MAX {
        return Err(Failure::other(format!(
            "`{}` is larger than {FILE_BYTES_MAX} bytes",
            path.display()
        )));
    }
    let text = decoded(&bytes);
    text.map(str::to_owned).map_err(|error| unreadable(std::io::Error::other(error)))
}

/// A file as a layer: with the scope and the upstream of the configuration where that names the
/// file, else for everybody.
pub(super) fn layer(path: &Path, source: &PolicySource) -> Result<Layer, Failure> {
    let text = read(path)?;
    let whole = |path: &Path| path.canonicalize().unwrap_or_else(|_| PathBuf::from(path));
    let wanted = whole(path);
    let named = source.files.iter().find(|file| whole(&file.path) == wanted);
    let (scope, upstream) = named.map_or((LayerScope::Organisation, None), |file| {
        (file.scope.clone(), file.upstream.clone())
    });
    Ok(Layer { scope, name: path.display().to_string(), upstream, text })
}

/// All files of the configuration, in its order.
pub(super) fn configured(source: &PolicySource) -> Result<Vec<Layer>, Failure> {
    source.files.iter().map(|file| layer(&file.path, source)).collect()
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
