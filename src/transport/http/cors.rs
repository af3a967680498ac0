//! CORS for `/mcp`: pages of allowed origins may read what they may request anyway.
//!
//! Comes after [`host_check`](super::host_check), which refuses every other origin. No credentials
//! that a browser would send by itself are allowed.

use std::{sync::Arc, time::Duration};

use axum::http::{HeaderName, HeaderValue, Method, header};
use tower_http::cors::{AllowHeaders, AllowOrigin, AllowPrivateNetwork, CorsLayer};

use super::host_check::HostPolicy;

/// Time that a browser may remember the answer to a preflight request.
const PREFLIGHT_LIFE: Duration = Duration::from_secs(600);
const METHODS: [Method; 4] = [Method::GET, Method::POST, Method::DELETE, Method::OPTIONS];
/// The headers of a response that a page may read, beside those that it always may.
const EXPOSED: [HeaderName; 6] = [
    HeaderName::from_static("mcp-session-id"),
    HeaderName::from_static("mcp-protocol-version"),
    HeaderName::from_static("ratelimit"),
    HeaderName::from_static("ratelimit-policy"),
    header::RETRY_AFTER,
    header::WWW_AUTHENTICATE,
];

/// The layer around `/mcp`.
pub(super) fn layer(allowed: Arc<HostPolicy>) -> CorsLayer {
    let may_read = move |origin: &HeaderValue| {
        origin.to_str().is_ok_and(|origin| allowed.allows_origin(origin))
    };
    let may_read_here = may_read.clone();
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(move |origin, _| may_read(origin)))
        .allow_private_network(AllowPrivateNetwork::predicate(move |origin, _| {
            may_read_here(origin)
        }))
        .allow_methods(METHODS)
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(EXPOSED)
        .max_age(PREFLIGHT_LIFE)
}
