//! Kept answers, for the owner: listed, read and taken away.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Service, ServiceError,
    tasks::{store_error, within},
};
use crate::{
    model::{Artifact, ArtifactId, ErrorCode, Principal},
    store::{ARTIFACTS_LIST_MAX, ArtifactAt},
};

/// Artifacts in a page unless the caller says otherwise.
const LIST_LIMIT: u32 = 50;

/// Which artifacts to list.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ArtifactList {
    /// How many, 1 to 200; 50 unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `nextCursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

impl Service {
    /// Artifacts of the workspace, the newest first.
    pub async fn artifacts(
        &self,
        who: &Principal,
        request: ArtifactList,
    ) -> Result<Value, ServiceError> {
        let limit =
            within("limit", request.limit.map(u64::from), 1, u64::from(ARTIFACTS_LIST_MAX))?;
        let limit = limit.map_or(LIST_LIMIT, |limit| limit as u32);
        self.artifacts.page(&who.workspace_id, limit, request.cursor).await.map_err(store_error)
    }

    /// One artifact, its text aside.
    pub async fn artifact(&self, who: &Principal, id: &str) -> Result<Artifact, ServiceError> {
        // A malformed id is no artifact's, so it is not found either.
        let parsed: ArtifactId = id.parse().map_err(|_| not_found(id))?;
        let found = self.artifacts.find(&who.workspace_id, parsed).await.map_err(store_error)?;
        found.ok_or_else(|| not_found(id))
    }

    /// The bytes of its text from this one on, at most 256 KiB; none of them beyond the end.
    pub async fn artifact_bytes(
        &self,
        who: &Principal,
        artifact: &Artifact,
        offset: u64,
    ) -> Result<Vec<u8>, ServiceError> {
        if offset >= artifact.bytes {
            return Ok(Vec::new());
        }
        let part = self
            .artifacts
            .part(&who.workspace_id, artifact.id, ArtifactAt::Byte(offset))
            .await
            .map_err(store_error)?;
        let part = part.ok_or_else(|| not_found(&artifact.id.to_string()))?;
        let skipped = usize::try_from(offset - part.offset()).unwrap_or(usize::MAX);
        Ok(part.bytes.get(skipped..).unwrap_or_default().to_vec())
    }

    /// Takes it away.
    pub async fn remove_artifact(&self, who: &Principal, id: &str) -> Result<Value, ServiceError> {
        let parsed: ArtifactId = id.parse().map_err(|_| not_found(id))?;
        match self.artifacts.remove(&who.workspace_id, parsed).await.map_err(store_error)? {
            true => Ok(json!({ "removed": true })),
            false => Err(not_found(id)),
        }
    }
}

fn not_found(id: &str) -> ServiceError {
    let id: String = id.chars().take(80).collect();
    ServiceError::new(ErrorCode::ArtifactNotFound, format!("there is no artifact `{id}`"))
        .hint("it may have expired; `airlock artifacts list` names those there are")
}
