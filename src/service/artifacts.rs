//! Artifacts, for the owner: listed, read and removed.

use super::{
    Service, ServiceError,
    requests::{ArtifactList, ArtifactRead},
    tasks::{store_error, within},
    view::{Artifact, ArtifactPage, Removed},
};
use crate::{
    base::base64_text,
    model::{ArtifactId, ErrorCode, Principal, Timestamp},
    store::{ARTIFACT_PART_BYTES, ARTIFACTS_LIST_MAX, ArtifactAt, ArtifactFilter},
};

/// Artifacts in a page unless the caller says otherwise.
const LIST_LIMIT: u32 = 50;

impl Service {
    /// Artifacts of the workspace, the newest first.
    pub(super) async fn artifact_list(
        &self,
        who: &Principal,
        request: ArtifactList,
    ) -> Result<ArtifactPage, ServiceError> {
        let limit =
            within("limit", request.limit.map(u64::from), 1, u64::from(ARTIFACTS_LIST_MAX))?;
        let limit = limit.map_or(LIST_LIMIT, |limit| limit as u32);
        let filter = ArtifactFilter { limit, cursor: request.cursor };
        let page = self.store.artifacts(&who.workspace_id, Timestamp::now(), filter).await;
        let page = page.map_err(store_error)?;
        Ok(ArtifactPage {
            artifacts: page.artifacts.into_iter().map(Into::into).collect(),
            next_cursor: page.next_cursor,
        })
    }

    /// One artifact, without its text.
    pub(super) async fn artifact_get(
        &self,
        who: &Principal,
        id: &str,
    ) -> Result<Artifact, ServiceError> {
        // A malformed id is no artifact's, so it is not found either.
        let parsed: ArtifactId = id.parse().map_err(|_| not_found(id))?;
        let found = self.artifacts.find(&who.workspace_id, parsed).await.map_err(store_error)?;
        found.map(Into::into).ok_or_else(|| not_found(id))
    }

    /// One part of what it stands for, at most 256 KiB: of its text, or of its decoded bytes. Empty
    /// beyond the end.
    pub(super) async fn artifact_read(
        &self,
        who: &Principal,
        request: ArtifactRead,
    ) -> Result<Vec<u8>, ServiceError> {
        let ArtifactRead { id, part } = request;
        let gone = || not_found(&id.to_string());
        let found = self.artifacts.find(&who.workspace_id, id).await.map_err(store_error)?;
        let artifact = found.ok_or_else(gone)?;
        let offset = u64::from(part) * ARTIFACT_PART_BYTES as u64;
        if offset >= artifact.bytes {
            return Ok(Vec::new());
        }
        let part = self.artifacts.part(&who.workspace_id, id, ArtifactAt::Byte(offset)).await;
        let bytes = part.map_err(store_error)?.ok_or_else(gone)?.bytes;
        Ok(match artifact.media {
            None => bytes,
            // A part is a multiple of four characters.
            Some(_) => base64_text::decoded(&String::from_utf8_lossy(&bytes)),
        })
    }

    /// Removes it.
    pub(super) async fn artifact_remove(
        &self,
        who: &Principal,
        id: &str,
    ) -> Result<Removed, ServiceError> {
        let parsed: ArtifactId = id.parse().map_err(|_| not_found(id))?;
        match self.artifacts.remove(&who.workspace_id, parsed).await.map_err(store_error)? {
            true => Ok(Removed { removed: true }),
            false => Err(not_found(id)),
        }
    }
}

fn not_found(id: &str) -> ServiceError {
    let id: String = id.chars().take(80).collect();
    ServiceError::new(ErrorCode::ArtifactNotFound, format!("there is no artifact `{id}`"))
        .hint("it may have expired; `airlock artifacts list` names those there are")
}
