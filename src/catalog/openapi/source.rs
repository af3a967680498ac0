//! Source of an OpenAPI document, and detection of its changes.

use std::{
    collections::BTreeMap,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use sha2::{Digest, Sha256};
use url::Url;

use super::{config::OpenApiConfig, read::DOCUMENT_BYTES_MAX};
use crate::{
    base::{file, offload::offload},
    catalog::{
        credential::config::Credential,
        http::{
            client::{ServiceClient, ServiceConfig},
            config::HttpAccess,
            failure::ServiceFailure,
        },
        redact::Secrets,
        upstream::error::ConnectError,
    },
    model::Document,
};

/// Interval between two looks at a file.
const FILE_PAUSE: Duration = Duration::from_secs(2);
/// Interval between two requests to a URL.
const ADDRESS_PAUSE: Duration = Duration::from_secs(15 * 60);
/// Longest time in which a description is fetched; the supervisor's start timeout is mostly
/// shorter.
const FETCH_MAX: Duration = Duration::from_secs(120);

/// Source of a document.
pub(super) enum Source {
    File(PathBuf),
    Address { url: Url, client: ServiceClient },
}

/// Version of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version {
    digest: [u8; 32],
    /// Modification time and size of a file: while they stay it is not read again.
    stamp: Option<(SystemTime, u64)>,
}

impl Source {
    pub(super) fn new(
        name: &Arc<str>,
        config: &OpenApiConfig,
        secrets: &Secrets,
    ) -> Result<Self, ConnectError> {
        let url = match &config.spec {
            Document::File(path) => return Ok(Self::File(path.clone())),
            Document::Url(url) => {
                Url::parse(url).map_err(|_| ConnectError::new("`spec` is not a URL"))?
            }
        };
        let base = config.base_url.as_deref().and_then(|base| Url::parse(base).ok());
        // Without a base the description's own address is all that is known, and it gets no
        // credential: it may be anybody's.
        let (base_url, access) = match base {
            Some(base) => (base, config.access.clone()),
            None => {
                let access = HttpAccess {
                    headers: BTreeMap::new(),
                    credential: Credential::None,
                    ..config.access.clone()
                };
                (url.clone(), access)
            }
        };
        let mut service = ServiceConfig::new(name.clone(), base_url, access);
        service.timeout = service.timeout.max(FETCH_MAX);
        Ok(Self::Address { url, client: ServiceClient::new(service, secrets.clone())? })
    }

    /// The description as it is now.
    pub(super) async fn read(&self) -> Result<(Bytes, Version), ConnectError> {
        let (bytes, stamp) = match self {
            Self::File(path) => {
                let path = path.clone();
                let read = offload(move || read_file(&path)).await;
                read.unwrap_or_else(|_| Err(ConnectError::new("reading its document panicked")))?
            }
            Self::Address { url, client } => {
                let fetched = client.fetch(url.clone(), DOCUMENT_BYTES_MAX).await;
                let shown = shown(url);
                let bytes = fetched.map_err(|failure| {
                    ConnectError::new(format!(
                        "its OpenAPI document at `{shown}` cannot be fetched: {failure}"
                    ))
                    .hint("open the address of `spec` by hand, or give a file")
                    .permanent(matches!(failure, ServiceFailure::Refused(_)))
                })?;
                (bytes, None)
            }
        };
        let digest = Sha256::digest(&bytes).into();
        Ok((bytes, Version { digest, stamp }))
    }

    /// Waits for a description that differs from `known`. While there is none to be had, `report`
    /// is told why, and that it is over.
    pub(super) async fn newer(
        &self,
        known: &mut Version,
        report: impl Fn(Option<&ConnectError>),
    ) -> (Bytes, Version) {
        let mut failed = false;
        loop {
            tokio::time::sleep(self.pause()).await;
            if let Self::File(path) = self
                && !failed
                && known.stamp.is_some()
                && stamp(path).await == known.stamp
            {
                continue;
            }
            match self.read().await {
                Ok((bytes, version)) if version.digest != known.digest => return (bytes, version),
                Ok((_, version)) => {
                    *known = version;
                    if std::mem::take(&mut failed) {
                        report(None);
                    }
                }
                Err(error) if !failed => {
                    failed = true;
                    report(Some(&error));
                }
                Err(_) => {}
            }
        }
    }

    fn pause(&self) -> Duration {
        match self {
            Self::File(_) => FILE_PAUSE,
            Self::Address { .. } => ADDRESS_PAUSE,
        }
    }
}

async fn stamp(path: &Path) -> Option<(SystemTime, u64)> {
    let metadata = tokio::fs::metadata(path).await.ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

fn read_file(path: &Path) -> Result<(Bytes, Option<(SystemTime, u64)>), ConnectError> {
    let failed = |error: std::io::Error| {
        ConnectError::new(format!(
            "its OpenAPI document `{}` cannot be read: {error}",
            path.display()
        ))
        .hint("`spec` is a path from the folder of the configuration file, or an address")
    };
    let file = file::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(DOCUMENT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    let stamp = metadata.modified().ok().map(|modified| (modified, metadata.len()));
    Ok((bytes.into(), stamp))
}

/// The address without what may be secret in it.
fn shown(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}
