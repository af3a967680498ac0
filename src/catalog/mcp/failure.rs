//! Turns the protocol library's errors into sentences that a person or an agent can act on.

use std::error::Error;

use rmcp::{
    service::{ClientInitializeError, ServiceError},
    transport::streamable_http_client::{AuthRequiredError, HttpStatusError, InsufficientScopeError},
};

use super::lines;
use crate::catalog::{
    tool::{Tool, cut},
    upstream::{ConnectError, UpstreamError, UpstreamErrorCode},
};

/// Longest piece of an upstream's own words in an error, in bytes.
pub(super) const SAID_BYTES_MAX: usize = 4 * 1024;

/// The address without what may be secret in it: user, password, query.
pub(super) fn shown_url(url: &str) -> String {
    url::Url::parse(url).map_or_else(
        |_| "(not an address)".to_owned(),
        |mut url| {
            url.set_query(None);
            url.set_fragment(None);
            // Only an address that cannot hold credentials refuses this, and then there are none.
            let _ = url.set_username("");
            let _ = url.set_password(None);
            url.to_string()
        },
    )
}

/// Why the handshake failed; `who` names the command or the address.
pub(super) fn of_start(who: &str, error: &ClientInitializeError) -> ConnectError {
    let fallback = match error {
        ClientInitializeError::LegacyFallbackFailed { fallback, .. } => fallback.as_ref(),
        other => other,
    };
    if error.is_authorization_required() {
        return ConnectError::new(format!("{who} answered 401: it needs authorization"))
            .hint("set a header such as `Authorization` in the `headers` of the upstream");
    }
    match fallback {
        ClientInitializeError::ConnectionClosed(_) => ConnectError::new(format!("{who} ended before the handshake was done"))
            .hint("run the command by hand to see what it says; an MCP server waits on its standard input"),
        ClientInitializeError::JsonRpcError(refusal) => {
            ConnectError::new(format!("{who} refused the handshake: {}", cut(&refusal.message, 500)))
        }
        ClientInitializeError::NoCompatibleProtocolVersion { server_supported, .. } => {
            let offered = server_supported.iter().take(10).map(|version| version.as_str()).collect::<Vec<_>>().join(", ");
            ConnectError::new(format!("{who} speaks protocol versions {offered:?} only, none of which is spoken here"))
        }
        ClientInitializeError::TransportError { error, .. } => {
            let status = status(error);
            let cause = innermost(error);
            match status {
                Some(code) => ConnectError::new(format!("{who} answered HTTP {code}")).hint("check the address of the upstream"),
                None => ConnectError::new(format!("{who} could not be reached: {cause}"))
                    .hint("check the address, and that the server runs and can be reached from here"),
            }
        }
        _ => ConnectError::new(format!("{who} does not answer as an MCP server does")),
    }
}

/// Whether the way to the server is broken, rather than the call.
pub(super) fn is_transport(error: &ServiceError) -> bool {
    match error {
        ServiceError::TransportClosed => true,
        // An HTTP answer, even a bad one, shows that somebody is there.
        ServiceError::TransportSend(error) => status(error).is_none(),
        _ => false,
    }
}

/// What code sees of a call that the protocol could not answer.
pub(super) fn of_call(tool: &Tool, error: &ServiceError) -> UpstreamError {
    use UpstreamErrorCode as Code;
    let upstream = &tool.upstream;
    match error {
        ServiceError::McpError(refusal) if refusal.code.0 == lines::OVERSIZED => too_large(tool, lines::LINE_BYTES_MAX),
        ServiceError::McpError(refusal) => {
            let code = refusal.code.0;
            UpstreamError::new(
                Code::Refused,
                tool,
                format!("`{upstream}` refused the call ({code}): {}", cut(&refusal.message, SAID_BYTES_MAX)),
            )
        }
        ServiceError::TransportClosed => {
            let message =
                format!("the connection to `{upstream}` broke before it answered; whether the call had an effect is not known");
            UpstreamError::new(Code::Lost, tool, message).retryable(is_repeatable(tool))
        }
        ServiceError::TransportSend(error) => of_send(tool, error),
        ServiceError::Cancelled { .. } => {
            UpstreamError::new(Code::Lost, tool, format!("`{upstream}` cancelled the call")).retryable(is_repeatable(tool))
        }
        _ => UpstreamError::new(
            Code::BadAnswer,
            tool,
            format!("`{upstream}` answered with something that is not the result of a tool"),
        ),
    }
}

fn of_send(tool: &Tool, error: &(dyn Error + 'static)) -> UpstreamError {
    use UpstreamErrorCode as Code;
    let upstream = &tool.upstream;
    match status(error) {
        Some(code) => {
            let refused_unread = matches!(code, 429 | 503);
            let retryable = refused_unread || (code >= 500 && is_repeatable(tool));
            UpstreamError::new(Code::Refused, tool, format!("`{upstream}` answered HTTP {code}"))
                .status(Some(code))
                .retryable(retryable)
        }
        None => {
            let cause = innermost(error);
            if cause.contains("exceeded the maximum size") {
                return too_large(tool, lines::LINE_BYTES_MAX);
            }
            let connected = !cause.to_lowercase().contains("refused");
            let message = format!("`{upstream}` could not be asked: {}", cut(&cause, 300));
            if connected {
                UpstreamError::new(Code::Lost, tool, message).retryable(is_repeatable(tool))
            } else {
                UpstreamError::new(Code::Unavailable, tool, message).retryable(true)
            }
        }
    }
}

/// An answer that is larger than is accepted.
pub(super) fn too_large(tool: &Tool, bytes_max: usize) -> UpstreamError {
    let message =
        format!("the answer of `{}` is larger than {bytes_max} bytes; ask for less, page by page where the tool can", tool.path);
    UpstreamError::new(UpstreamErrorCode::AnswerTooLarge, tool, message)
}

/// Whether a second try does no harm, as the tool itself claims.
fn is_repeatable(tool: &Tool) -> bool {
    tool.annotations.read_only == Some(true) || tool.annotations.idempotent == Some(true)
}

/// The HTTP status somewhere in the chain of causes.
fn status(error: &(dyn Error + 'static)) -> Option<u16> {
    let mut current = Some(error);
    while let Some(error) = current {
        if let Some(status) = error.downcast_ref::<HttpStatusError>() {
            return Some(status.status);
        }
        if error.is::<AuthRequiredError>() {
            return Some(401);
        }
        if error.is::<InsufficientScopeError>() {
            return Some(403);
        }
        // The library keeps other statuses only in words: `unexpected server response: HTTP 404 Not Found: …`.
        let text = error.to_string();
        if let Some((_, rest)) = text.split_once("unexpected server response: HTTP ") {
            return rest.get(..3).and_then(|digits| digits.parse().ok());
        }
        current = error.source();
    }
    None
}

/// The first cause, in its own words, which unlike the outer ones never repeat the address.
pub(super) fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut current = error;
    while let Some(source) = current.source() {
        current = source;
    }
    cut(&current.to_string(), 500).to_owned()
}

#[cfg(test)]
mod tests {
    use super::shown_url;

    #[test]
    fn an_address_is_shown_without_user_password_and_query() {
        assert_eq!(shown_url("https://me:pw@host.example:8443/mcp?token=abc#x"), "https://host.example:8443/mcp");
        assert_eq!(shown_url("no address"), "(not an address)");
    }
}
