//! Checks every request: its `Host` must be ours and its `Origin`, where there is one, allowed.
//!
//! Against DNS rebinding and web pages that call a server on the visitor's machine. Stands before
//! every route.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, StatusCode, Uri, header, uri::Authority},
    middleware::Next,
    response::Response,
};

use super::error;
use crate::model::ErrorCode;

/// Characters of an origin that a refusal repeats, at most.
const ORIGIN_CHARS_MAX: usize = 200;

/// The hosts and origins that may be in a request.
#[derive(Debug, Clone)]
pub struct HostPolicy {
    hosts: Vec<String>,
    origins: Vec<String>,
}

impl HostPolicy {
    /// The loopback names, the listener's own address and what the configuration adds. The server's
    /// own pages are allowed origins.
    pub fn new(address: SocketAddr, hosts: &[String], origins: &[String]) -> Self {
        let port = address.port();
        let mut all_hosts: Vec<String> =
            ["localhost", "127.0.0.1", "[::1]"].map(str::to_owned).to_vec();
        if !address.ip().is_unspecified() && !address.ip().is_loopback() {
            all_hosts.push(SocketAddr::new(address.ip(), port).to_string());
        }
        let own = all_hosts.iter().map(|host| {
            if host.ends_with(&format!(":{port}")) {
                host.clone()
            } else {
                format!("{host}:{port}")
            }
        });
        let all_origins =
            own.map(|host| format!("http://{host}")).chain(origins.iter().cloned()).collect();
        all_hosts.extend(hosts.iter().cloned());
        Self { hosts: all_hosts, origins: all_origins }
    }

    fn host(&self, given: &Authority) -> bool {
        self.hosts.iter().filter_map(|host| host.parse::<Authority>().ok()).any(|host| {
            host.host().eq_ignore_ascii_case(given.host())
                && host.port_u16().is_none_or(|port| given.port_u16() == Some(port))
        })
    }

    /// True if requests of this origin are let in.
    pub(super) fn allows_origin(&self, given: &str) -> bool {
        let given = with_port(&given.to_ascii_lowercase());
        self.origins.iter().map(|origin| origin.to_ascii_lowercase()).any(|origin| {
            match origin.strip_suffix(":*") {
                Some(any_port) => split_port(&given).0 == any_port,
                None => given == with_port(&origin),
            }
        })
    }

    /// The refusal of a request that is not allowed.
    fn refuses(&self, uri: &Uri, headers: &HeaderMap) -> Option<Refusal> {
        let host = match single(headers, &header::HOST) {
            Ok(Some(host)) => host.parse::<Authority>().ok(),
            Ok(None) => uri.authority().cloned(),
            Err(()) => None,
        };
        let Some(host) = host else {
            return Some(Refusal {
                status: StatusCode::BAD_REQUEST,
                code: ErrorCode::InvalidHost,
                message: "the request has no well-formed `Host`".to_owned(),
                hint: "send one `Host` header",
            });
        };
        if !self.host(&host) {
            return Some(Refusal {
                status: StatusCode::FORBIDDEN,
                code: ErrorCode::HostNotAllowed,
                message: "the `Host` of this request is not allowed".to_owned(),
                hint: "call the server by the name it listens on, or add the name to \
                    `server.allowed_hosts`",
            });
        }
        match single(headers, &header::ORIGIN) {
            Ok(None) => None,
            Ok(Some(origin)) if self.allows_origin(origin) => None,
            refused => Some(Refusal {
                status: StatusCode::FORBIDDEN,
                code: ErrorCode::OriginNotAllowed,
                message: match refused {
                    Ok(Some(origin)) => {
                        let shown: String = origin
                            .chars()
                            .filter(char::is_ascii_graphic)
                            .take(ORIGIN_CHARS_MAX)
                            .collect();
                        format!("the `Origin` \"{shown}\" of this request is not allowed")
                    }
                    _ => "the `Origin` of this request is not well formed".to_owned(),
                },
                hint: "add it to `server.allowed_origins` if it may call this server",
            }),
        }
    }
}

/// Why a request is not let in.
#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    code: ErrorCode,
    message: String,
    hint: &'static str,
}

/// A header that may be there once: more of them, or one that is not text, is an attack or a
/// mistake.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, ()> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| ()),
        (Some(_), Some(_)) => Err(()),
    }
}

fn split_port(origin: &str) -> (&str, Option<&str>) {
    match origin.rsplit_once(':') {
        Some((rest, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => {
            (rest, Some(port))
        }
        _ => (origin, None),
    }
}

/// Browsers leave the scheme's own port out.
fn with_port(origin: &str) -> String {
    match (split_port(origin).1, origin.split_once("://").map(|(scheme, _)| scheme)) {
        (None, Some("http")) => format!("{origin}:80"),
        (None, Some("https")) => format!("{origin}:443"),
        _ => origin.to_owned(),
    }
}

pub(super) async fn check(
    State(allowed): State<Arc<HostPolicy>>,
    request: Request,
    next: Next,
) -> Response {
    match allowed.refuses(request.uri(), request.headers()) {
        None => next.run(request).await,
        Some(Refusal { status, code, message, hint }) => {
            tracing::warn!(
                %code, path = %request.uri().path(), "a request was refused: {message}"
            );
            if request.uri().path() == "/mcp" {
                error::rpc(
                    status,
                    serde_json::Value::Null,
                    error::INVALID_REQUEST,
                    &format!("{message}: {hint}"),
                    None,
                )
            } else {
                error::refuse(status, code, &message, Some(hint), None)
            }
        }
    }
}

#[cfg(test)]
mod tests;
