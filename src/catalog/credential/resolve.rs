//! Reads a secret from the place that the owner configured.

use std::{io::Read, path::Path};

use super::{
    config::SecretSource,
    keychain,
    vault::{VALUE_BYTES_MAX, Vault},
};
use crate::base::{file, offload::offload, text::decoded};

/// The value that a reference leads to. The error is free of values.
pub(in crate::catalog) async fn resolve(
    source: &SecretSource,
    vault: Option<&Vault>,
) -> Result<String, String> {
    match source {
        SecretSource::Value(value) => Ok(value.clone()),
        SecretSource::File(path) => read_file(path).await,
        SecretSource::Keychain { service, account } => keychain::look_up(service, account).await,
        SecretSource::Stored(name) => {
            let vault = vault.ok_or("there is no secret store")?.clone();
            let name = name.clone();
            let opened = offload(move || vault.get(&name)).await;
            opened
                .map_err(|_| "the secret store could not be read")?
                .map_err(|error| error.to_string())
        }
    }
}

/// The first line of a file.
async fn read_file(path: &Path) -> Result<String, String> {
    let failed =
        |error: std::io::Error| format!("the file `{}` cannot be read: {error}", path.display());
    let own = path.to_path_buf();
    let read = offload(move || {
        let mut bytes = Vec::new();
        file::open(&own)?.take(VALUE_BYTES_MAX as u64).read_to_end(&mut bytes).map(|_| bytes)
    });
    let bytes = read.await.map_err(std::io::Error::other).and_then(|read| read).map_err(failed)?;
    let text = decoded(&bytes)
        .map_err(|error| format!("the file `{}` cannot be read: {error}", path.display()))?;
    let line = text.lines().next().unwrap_or_default().trim();
    if line.is_empty() {
        Err(format!("the first line of the file `{}` is empty", path.display()))
    } else {
        Ok(line.to_owned())
    }
}
