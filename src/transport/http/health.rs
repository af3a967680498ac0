//! `/healthz`: anybody may request it, as often as they like, so an answer is reused for a second.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    body::Bytes,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use tokio::sync::Mutex;

use super::error::Failure;
use crate::{
    service::{HealthCheck, Service},
    transport::auth,
};

/// Age of an answer, at most. Finding it out takes a write to the database.
const AGE_MAX: Duration = Duration::from_secs(1);

/// The latest answer.
pub(super) struct LastHealth {
    service: Arc<Service>,
    /// Locked while the service is asked: requests that arrive meanwhile wait for the same answer.
    last: Mutex<Option<(Instant, Bytes)>>,
}

impl LastHealth {
    pub(super) fn new(service: Arc<Service>) -> Self {
        Self { service, last: Mutex::default() }
    }

    pub(super) async fn answer(&self) -> Response {
        let mut last = self.last.lock().await;
        let known =
            last.as_ref().filter(|(at, _)| at.elapsed() < AGE_MAX).map(|(_, body)| body.clone());
        let body = match known {
            Some(body) => body,
            None => {
                let health = match self.service.call(&auth::anonymous(), HealthCheck).await {
                    Ok(health) => health,
                    Err(error) => return Failure::from(error).into_response(),
                };
                let Ok(text) = serde_json::to_vec(&health) else {
                    return StatusCode::INTERNAL_SERVER_ERROR.into_response();
                };
                let body = Bytes::from(text);
                *last = Some((Instant::now(), body.clone()));
                body
            }
        };
        drop(last);
        ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body)
            .into_response()
    }
}
