//! Shared by the handlers of `/v1`: the service, the owner, and the parsing of queries and bodies.

use std::sync::Arc;

use axum::{
    Extension,
    body::Bytes,
    extract::{
        Query, State,
        rejection::{BytesRejection, QueryRejection},
    },
    response::Response,
};
use serde::de::DeserializeOwned;

use super::super::error::{self, Failure};
use crate::{
    base::unique_keys::duplicate_key,
    model::ErrorCode,
    service::{Service, ServiceError},
    transport::auth::Owner,
};

/// The service.
pub(super) type Api = State<Arc<Service>>;
/// The owner, authenticated in front of every route.
pub(super) type By = Extension<Owner>;
/// A response, or the failure that becomes one.
pub(super) type Answer = Result<Response, Failure>;
/// A query string that may not have been understood.
pub(super) type MaybeQuery<T> = Result<Query<T>, QueryRejection>;
/// A body that may not have been read.
pub(super) type MaybeBody = Result<Bytes, BytesRejection>;

/// The parsed query string.
pub(super) fn query<T>(query: MaybeQuery<T>) -> Result<T, Failure> {
    query.map(|Query(query)| query).map_err(|refused| {
        // Whose words these are does not matter to whoever asked.
        let text = refused.body_text();
        let text = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
        ServiceError::new(ErrorCode::InvalidArgument, format!("in the query, {text}")).into()
    })
}

/// The bytes of the body; the error is a response of its own.
pub(super) fn bytes(body: MaybeBody) -> Result<Bytes, Failure> {
    body.map_err(|refused| Failure::Response(Box::new(error::unread(&refused))))
}

/// The body as JSON of this type, which `what` names in the error.
pub(super) fn json<T: DeserializeOwned>(body: MaybeBody, what: &str) -> Result<T, Failure> {
    let body = bytes(body)?;
    unambiguous(&body, "the body")?;
    serde_json::from_slice(&body).map_err(|error| {
        let message = format!("the body is not {what}: {error}");
        ServiceError::new(ErrorCode::InvalidArgument, message).into()
    })
}

/// Refuses JSON in which an object has a key twice: readers disagree about which one counts.
pub(super) fn unambiguous(json: &[u8], what: &str) -> Result<(), Failure> {
    duplicate_key(json).map_or(Ok(()), |doubled| {
        let message = format!("{what} has {doubled}");
        Err(ServiceError::new(ErrorCode::InvalidArgument, message).hint("send it once").into())
    })
}
