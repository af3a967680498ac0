//! `/healthz`: anybody may ask it, as often as they like, so it is asked below once a second at
//! most.

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

use crate::transport::Port;

/// How old an answer may be. To find it out takes a write to the database.
const AGE_MAX: Duration = Duration::from_secs(1);

/// How the server was when it was last asked.
pub(super) struct LastHealth {
    port: Arc<dyn Port>,
    /// Locked while the answer is found out: all who ask meanwhile wait for the same one.
    last: Mutex<Option<(Instant, Bytes)>>,
}

impl LastHealth {
    pub(super) fn new(port: Arc<dyn Port>) -> Self {
        Self { port, last: Mutex::default() }
    }

    pub(super) async fn answer(&self) -> Response {
        let mut last = self.last.lock().await;
        let known =
            last.as_ref().filter(|(at, _)| at.elapsed() < AGE_MAX).map(|(_, body)| body.clone());
        let body = match known {
            Some(body) => body,
            None => {
                let Ok(text) = serde_json::to_vec(&self.port.health().await) else {
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
