//! `/v1/artifacts`: tool responses that were too large for a program, and the images, sounds and
//! blobs in responses.

use std::sync::Arc;

use axum::{
    Extension, Json, Router,
    body::{Body, Bytes},
    extract::{Path, State},
    http::header,
    response::IntoResponse,
    routing::get,
};

use super::extract::{Answer, Api, By, MaybeQuery, query};
use crate::{
    model::ArtifactKind,
    service::{ArtifactGet, ArtifactList, ArtifactRead, ArtifactRemove, Service},
};

/// The routes of artifacts, without the authentication in front of them.
pub(super) fn routes() -> Router<Arc<Service>> {
    Router::new()
        .route("/artifacts", get(list))
        .route("/artifacts/{id}", get(one).delete(remove))
        .route("/artifacts/{id}/content", get(content))
}

async fn list(
    State(service): Api,
    Extension(owner): By,
    asked: MaybeQuery<ArtifactList>,
) -> Answer {
    Ok(Json(service.call(&owner.principal, query(asked)?).await?).into_response())
}

async fn one(State(service): Api, Extension(owner): By, Path(id): Path<String>) -> Answer {
    Ok(Json(service.call(&owner.principal, ArtifactGet { id }).await?).into_response())
}

async fn remove(State(service): Api, Extension(owner): By, Path(id): Path<String>) -> Answer {
    Ok(Json(service.call(&owner.principal, ArtifactRemove { id }).await?).into_response())
}

/// The text, or the bytes, as they are, a part at a time, so that a slow reader holds one part.
/// Where the artifact is removed meanwhile the response breaks off, which the reader sees by its
/// announced length.
async fn content(State(service): Api, Extension(owner): By, Path(id): Path<String>) -> Answer {
    let artifact = service.call(&owner.principal, ArtifactGet { id }).await?;
    let kind = match (artifact.kind, artifact.mime_type) {
        (_, Some(mime_type)) => mime_type,
        (ArtifactKind::Json, None) => "application/json".to_owned(),
        (_, None) => "text/plain; charset=utf-8".to_owned(),
    };
    let (id, length) = (artifact.id, artifact.bytes);
    let start = (service, owner.principal, 0);
    let parts = futures::stream::try_unfold(start, move |(service, who, part)| async move {
        let bytes = service.call(&who, ArtifactRead { id, part }).await;
        let bytes = bytes.map_err(|error| std::io::Error::other(error.to_string()))?;
        Ok::<_, std::io::Error>(
            (!bytes.is_empty()).then(|| (Bytes::from(bytes), (service, who, part + 1))),
        )
    });
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_LENGTH, length.to_string()),
        // An upstream wrote it: never shown as a page of this server's own.
        (header::CONTENT_DISPOSITION, "attachment".to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    Ok((headers, Body::from_stream(parts)).into_response())
}
