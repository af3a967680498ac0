//! Policy files as commands read them. Must not judge what they say.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use crate::{
    cli::Failure,
    config::{Config, PolicyFile, PolicyScope},
    policy::{Layer, LayerScope, Options, Profile, file::FILE_BYTES_MAX},
};

/// A file's text. Standard input where it is called `-`.
pub(super) fn read(path: &Path) -> Result<String, Failure> {
    let unreadable = |error: std::io::Error| Failure::other(format!("`{}` cannot be read: {error}", path.display()));
    let mut text = String::new();
    let source: Box<dyn Read> = match path == Path::new("-") {
        true => Box::new(std::io::stdin().lock()),
        false => Box::new(std::fs::File::open(path).map_err(unreadable)?),
    };
    // One byte more tells a file that is too long from one that just fits.
    source.take(FILE_BYTES_MAX as u64 + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() > FILE_BYTES_MAX {
        return Err(Failure::other(format!("`{}` has more than {FILE_BYTES_MAX} bytes", path.display())));
    }
    Ok(text)
}

/// A file as a layer: for whom and for which upstream the configuration says, where it names the file, else for everybody.
pub(super) fn layer(path: &Path, config: &Config) -> Result<Layer, Failure> {
    let text = read(path)?;
    let (scope, upstream) = match named(path, config) {
        Some(file) => (scope(&file.scope), file.upstream.clone()),
        None => (LayerScope::Organisation, None),
    };
    Ok(Layer { scope, name: path.display().to_string(), upstream, text })
}

/// All files of the configuration, in its order.
pub(super) fn configured(config: &Config) -> Result<Vec<Layer>, Failure> {
    config.policy.files.iter().map(|file| layer(&file.path, config)).collect()
}

/// What policies are compiled for here.
pub(super) fn options(config: &Config) -> Options {
    use crate::config::{Approver, Profile as Keys};
    let profile = match config.policy.profile {
        Keys::Readonly => Profile::ReadOnly,
        Keys::Auto => Profile::Auto,
        Keys::Open => Profile::Open,
        Keys::Strict => Profile::Strict,
    };
    Options { profile, approvals: config.approvals.by == Approver::Owner }
}

fn named<'c>(path: &Path, config: &'c Config) -> Option<&'c PolicyFile> {
    let whole = |path: &Path| path.canonicalize().unwrap_or_else(|_| PathBuf::from(path));
    let wanted = whole(path);
    config.policy.files.iter().find(|file| whole(&file.path) == wanted)
}

fn scope(scope: &PolicyScope) -> LayerScope {
    match scope {
        PolicyScope::Organisation => LayerScope::Organisation,
        PolicyScope::Workspace(name) => LayerScope::Workspace(name.clone()),
        PolicyScope::Key(name) => LayerScope::Key(name.clone()),
    }
}
