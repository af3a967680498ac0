//! `/v1/artifacts`: the answers that were too large for a program.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{Path, State},
    http::header,
    response::IntoResponse,
    routing::get,
};

use super::rest::{Answer, Api, Asked, asked, owner};
use crate::{model::ArtifactKind, service::ArtifactList, transport::Port};

/// The routes of artifacts, without the gate that stands before them.
pub(super) fn routes() -> Router<Arc<dyn Port>> {
    Router::new()
        .route("/artifacts", get(list))
        .route("/artifacts/{id}", get(one).delete(remove))
        .route("/artifacts/{id}/content", get(content))
}

async fn list(State(port): Api, query: Asked<ArtifactList>) -> Answer {
    Ok(Json(port.artifacts(&owner(), asked(query)?).await?).into_response())
}

async fn one(State(port): Api, Path(id): Path<String>) -> Answer {
    Ok(Json(port.artifact(&owner(), &id).await?.told()).into_response())
}

async fn remove(State(port): Api, Path(id): Path<String>) -> Answer {
    Ok(Json(port.remove_artifact(&owner(), &id).await?).into_response())
}

/// The text as it is, a part at a time: a reader that is slow holds one part. One that loses the
/// artifact on the way sees the answer break off, for its length was announced.
async fn content(State(port): Api, Path(id): Path<String>) -> Answer {
    let artifact = port.artifact(&owner(), &id).await?;
    let kind = match artifact.kind {
        ArtifactKind::Json => "application/json",
        ArtifactKind::Text => "text/plain; charset=utf-8",
    };
    let length = artifact.bytes;
    let parts =
        futures::stream::try_unfold((port, artifact, 0), async |(port, artifact, offset)| {
            let bytes = port
                .artifact_bytes(&owner(), &artifact, offset)
                .await
                .map_err(|error| std::io::Error::other(error.to_string()))?;
            let next = offset + bytes.len() as u64;
            Ok::<_, std::io::Error>(
                (!bytes.is_empty()).then(|| (Bytes::from(bytes), (port, artifact, next))),
            )
        });
    let headers = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::CONTENT_LENGTH, length.to_string()),
        // An upstream wrote it: never shown as a page of this server's own.
        (header::CONTENT_DISPOSITION, "attachment".to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    Ok((headers, Body::from_stream(parts)).into_response())
}
