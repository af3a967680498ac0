//! MCP over an upgraded connection: an `airlock mcp` that finds its database in use hands its
//! client to the server that has it.
//!
//! The near side passes messages on, and remembers as much of them as the next server needs if this
//! one ends; the far side serves them like standard input and output. Only the owner of both, who
//! can read the file of the running server, is admitted.

mod client;

use std::io;

use axum::{
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use hyper_util::rt::TokioIo;
use tokio_util::sync::CancellationToken;

use super::{
    mcp::Mcp,
    stdio::{self, StdioError},
};
use crate::base::error::chain;

pub use client::{Client, EndedBy};

/// The route of the far side, below `/v1`.
pub(super) const PATH: &str = "/mcp";
/// The protocol of the upgraded connection.
const PROTOCOL: &str = "airlock-mcp";
/// Bytes on their way between an adopted client and its server.
const DUPLEX_BYTES: usize = 64 * 1024;

/// The client could not be handed to the running server.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// It does not answer, or does not support it.
    #[error("the running server at {url} does not take the client over")]
    Refused {
        /// The URL of the server.
        url: String,
        /// The error of the connection, where that failed.
        #[source]
        source: Option<reqwest::Error>,
    },
    /// It ended while it served.
    #[error("the connection to the running server broke")]
    Broken(#[source] io::Error),
}

/// The far side: serves the client behind an upgraded connection until either end closes it.
pub(super) async fn serve(mcp: Mcp, stopping: CancellationToken, mut request: Request) -> Response {
    if request.headers().get(header::UPGRADE).is_none_or(|protocol| protocol != PROTOCOL) {
        return StatusCode::UPGRADE_REQUIRED.into_response();
    }
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let served = match upgrade.await {
            Ok(stream) => {
                let (input, output) = tokio::io::split(TokioIo::new(stream));
                stdio::serve_on(mcp, input, output, stopping).await.map_err(|error| chain(&error))
            }
            Err(error) => Err(chain(&error)),
        };
        if let Err(error) = served {
            tracing::warn!("a client of another process was lost: {error}");
        }
    });
    let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static(PROTOCOL));
    response
}

/// The near side: passes the client to the server at `url`, with its owner's token, until the
/// client closes its end, the server does, or `shutdown`, which counts as the client's end.
pub async fn join(
    client: &mut Client,
    url: &str,
    token: &str,
    shutdown: &CancellationToken,
) -> Result<EndedBy, JoinError> {
    let refused = |source| JoinError::Refused { url: url.to_owned(), source };
    // It speaks no TLS, so it needs none of the system's certificates.
    let http = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .redirect(reqwest::redirect::Policy::none())
        .build();
    let request = http
        .map_err(|error| refused(Some(error)))?
        .get(format!("{url}/v1{PATH}"))
        .bearer_auth(token)
        .header(header::CONNECTION, "upgrade")
        .header(header::UPGRADE, PROTOCOL);
    let answer = request.send().await.map_err(|error| refused(Some(error)))?;
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(refused(None));
    }
    let far = answer.upgrade().await.map_err(|error| refused(Some(error)))?;
    tokio::select! {
        left = client.pass(far) => left.map_err(JoinError::Broken),
        () = shutdown.cancelled() => Ok(EndedBy::Client),
    }
}

/// Serves a client that an earlier server left, in this process.
pub async fn adopt(
    mcp: Mcp,
    client: &mut Client,
    shutdown: CancellationToken,
) -> Result<(), StdioError> {
    let (near, far) = tokio::io::duplex(DUPLEX_BYTES);
    let (input, output) = tokio::io::split(far);
    let (served, passed) =
        tokio::join!(stdio::serve_on(mcp, input, output, shutdown), client.pass(near));
    served.and(passed.map(drop).map_err(StdioError::Streams))
}
