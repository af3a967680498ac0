//! Turns the protocol library's errors into sentences that a person or an agent can act on.

use std::error::Error;

use rmcp::{
    model::{ErrorCode, ErrorData},
    service::{ClientInitializeError, ServiceError},
    transport::{
        DynamicTransportError, auth::AuthError, streamable_http_client::StreamableHttpError,
    },
};

use serde_json::Value;

use super::{
    backpressure, http_client,
    message::{self, SAID_BYTES_MAX},
};
use crate::{
    base::text::cut,
    catalog::{
        http::{breaker::CallOutcome, client},
        tool::Tool,
        upstream::error::{ConnectError, UpstreamError, UpstreamErrorCode},
    },
};

/// What the library answers in place of a server to a call that was being answered when the session
/// had to be made anew.
const LOST_IN_SESSION: &str =
    "streamable HTTP session was re-initialized before the response arrived";

/// The address without what may be secret in it: user, password, query.
pub(super) fn shown_url(url: &str) -> String {
    url::Url::parse(url).map_or_else(
        |_| "(not a URL)".to_owned(),
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

/// Error of a failed handshake with a child process.
pub(super) fn of_child(command: &str, error: &ClientInitializeError) -> ConnectError {
    match error {
        ClientInitializeError::ConnectionClosed(_)
        | ClientInitializeError::TransportError { .. } => {
            ConnectError::new(format!("command `{command}` ended before the handshake was done"))
                .hint(
                    "run the command by hand to see what it says; an MCP server stays and waits \
                    on its standard input",
                )
        }
        other => of_handshake(&format!("command `{command}`"), other),
    }
}

/// Error of a failed handshake over HTTP; `url` is fit to be shown.
pub(super) fn of_address(url: &str, error: &ClientInitializeError) -> ConnectError {
    let who = format!("`{url}`");
    let error = match error {
        ClientInitializeError::LegacyFallbackFailed { fallback, .. } => fallback.as_ref(),
        other => other,
    };
    let ClientInitializeError::TransportError { error: transport, .. } = error else {
        return of_handshake(&who, error);
    };
    match http_failure(transport) {
        Some(HttpFailure::Status(status @ (401 | 403))) => {
            ConnectError::new(format!("{who} answered HTTP {status}: it needs authorization")).hint(
                "set `auth` of the upstream, such as `{ bearer = { secret = \"NAME\" } }` or `{ \
            oauth = {} }`, or its `headers`",
            )
        }
        Some(HttpFailure::Status(status)) => ConnectError::new(format!(
            "{who} answered HTTP \
            {status}"
        ))
        .hint("check that `url` of the upstream is the MCP endpoint itself"),
        Some(HttpFailure::NoSession) => {
            ConnectError::new(format!("{who} does not know the session that it has just begun"))
        }
        Some(HttpFailure::NotUnderstood(cause)) => {
            ConnectError::new(format!("{who} does not answer as an MCP server does: {cause}"))
                .hint("check that `url` of the upstream is the MCP endpoint itself")
        }
        Some(HttpFailure::Credential(why)) => ConnectError::new(format!(
            "nothing is sent to {who}: its credential cannot be used: {why}"
        )),
        Some(HttpFailure::Refused(why)) => ConnectError::new(format!(
            "{who} cannot be reached: \
            {why}"
        ))
        .permanent(true),
        Some(HttpFailure::NotSent(cause) | HttpFailure::Broken(cause)) => {
            ConnectError::new(format!("{who} could not be reached: {cause}")).hint(
                "check `url` of the upstream, and that the server runs and can be reached \
                    from here",
            )
        }
        None => ConnectError::new(format!("{who} could not be reached")),
    }
}

/// Returns true if what answered a handshake over HTTP may not be the endpoint of streamable HTTP.
pub(super) fn is_other_endpoint(error: &ClientInitializeError) -> bool {
    let error = match error {
        ClientInitializeError::LegacyFallbackFailed { fallback, .. } => fallback.as_ref(),
        other => other,
    };
    match error {
        ClientInitializeError::TransportError { error, .. } => matches!(
            http_failure(error),
            Some(HttpFailure::Status(400 | 404 | 405 | 406 | 415) | HttpFailure::NotUnderstood(_))
        ),
        _ => false,
    }
}

fn of_handshake(who: &str, error: &ClientInitializeError) -> ConnectError {
    match error {
        ClientInitializeError::JsonRpcError(refusal) if refusal.code.0 == message::UNREADABLE => {
            ConnectError::new(format!(
                "the answer of {who} to the handshake cannot be read: {}",
                cut(&refusal.message, SAID_BYTES_MAX)
            ))
        }
        ClientInitializeError::JsonRpcError(refusal) => {
            ConnectError::new(format!("{who} refused the handshake: {}", said(refusal)))
        }
        ClientInitializeError::NoCompatibleProtocolVersion { server_supported, .. } => {
            let offered = server_supported
                .iter()
                .take(10)
                .map(|version| cut(version.as_str(), 20))
                .collect::<Vec<_>>()
                .join(", ");
            ConnectError::new(format!(
                "{who} supports only the protocol versions `{offered}`, none of which Airlock \
                supports"
            ))
        }
        _ => ConnectError::new(format!("{who} does not answer as an MCP server does")),
    }
}

/// Reason why an HTTP request failed.
enum HttpFailure {
    /// Answered with this status.
    Status(u16),
    /// Denied the session that was begun anew, too.
    NoSession,
    /// Answered with something else than the protocol allows.
    NotUnderstood(String),
    /// The address is one that is not to be reached: nothing was sent.
    Refused(String),
    /// There is no credential to send it with.
    Credential(String),
    /// No connection: the request was not sent.
    NotSent(String),
    /// Sent, and no answer came.
    Broken(String),
}

/// The HTTP client's own account, when it is one.
fn http_failure(error: &DynamicTransportError) -> Option<HttpFailure> {
    use StreamableHttpError as Http;
    Some(match error.error.downcast_ref::<Http<reqwest::Error>>()? {
        Http::HttpStatus(status) => HttpFailure::Status(status.status),
        Http::AuthRequired(_) => HttpFailure::Status(401),
        Http::InsufficientScope(_) => HttpFailure::Status(403),
        Http::SessionExpired => HttpFailure::NoSession,
        Http::UnexpectedServerResponse(text) => {
            HttpFailure::NotUnderstood(cut(text, SAID_BYTES_MAX).to_owned())
        }
        Http::UnexpectedContentType(kind) => {
            let kind = kind.as_deref().unwrap_or("none");
            HttpFailure::NotUnderstood(format!("content type `{}`", cut(kind, SAID_BYTES_MAX)))
        }
        Http::Deserialize(error) => HttpFailure::NotUnderstood(error.to_string()),
        Http::Auth(AuthError::CredentialStoreError(why)) => HttpFailure::Credential(why.clone()),
        Http::Client(error) if let Some(why) = http_client::refused_address(error) => {
            HttpFailure::Refused(why)
        }
        Http::Client(error) if error.is_connect() => HttpFailure::NotSent(innermost(error)),
        Http::Client(error) => HttpFailure::Broken(innermost(error)),
        other => HttpFailure::Broken(cut(&other.to_string(), SAID_BYTES_MAX).to_owned()),
    })
}

/// Returns true if the way to the server is broken, rather than the call.
pub(super) fn is_transport(error: &ServiceError) -> bool {
    match error {
        ServiceError::TransportClosed => true,
        // An answer, even a bad one, shows that somebody is there.
        ServiceError::TransportSend(error) => {
            use HttpFailure::{Broken, Credential, NotSent, Refused};
            !backpressure::is_crowded_out(error.error.as_ref())
                && matches!(
                    http_failure(error),
                    None | Some(NotSent(_) | Broken(_) | Refused(_) | Credential(_))
                )
        }
        _ => false,
    }
}

/// Outcome of a failed call for the breaker: neither a call that was not sent nor an unavailable
/// credential is the server's fault. As with other services, a gateway's error counts as no
/// response.
pub(super) fn call_outcome(error: &ServiceError) -> Option<CallOutcome> {
    use HttpFailure::{Broken, Credential, NoSession, NotSent, NotUnderstood, Refused, Status};
    match error {
        ServiceError::TransportClosed => Some(CallOutcome::Failure),
        ServiceError::TransportSend(error)
            if backpressure::is_crowded_out(error.error.as_ref()) =>
        {
            None
        }
        ServiceError::TransportSend(error) => match http_failure(error) {
            Some(Refused(_) | Credential(_)) => None,
            Some(Status(status)) => Some(client::outcome_of_status(status)),
            Some(NotUnderstood(_) | NoSession) => Some(CallOutcome::Success),
            Some(NotSent(_) | Broken(_)) | None => Some(CallOutcome::Failure),
        },
        _ => Some(CallOutcome::Success),
    }
}

/// Error of a call that the protocol could not answer.
pub(super) fn of_call(tool: &Tool, error: &ServiceError) -> UpstreamError {
    use UpstreamErrorCode as Code;
    let upstream = &tool.upstream;
    match error {
        ServiceError::McpError(refusal) if refusal.code.0 == message::OVERSIZED => {
            let (bytes, values) = (message::BYTES_MAX, message::VALUES_MAX);
            let mut error = UpstreamError::too_large(tool, bytes);
            error.message = format!(
                "the response of `{}` is larger than {bytes} bytes, or has more than {values} \
                values; ask for less, page by page where the tool can",
                tool.path
            );
            error
        }
        ServiceError::McpError(refusal) if refusal.code.0 == message::UNREADABLE => {
            let why = cut(&refusal.message, SAID_BYTES_MAX);
            let message = format!(
                "`{upstream}` answered the call, which may have taken effect, but its answer \
                cannot be read: {why}"
            );
            UpstreamError::new(Code::BadAnswer, tool, message)
        }
        // The library's own words for a call whose answer was lost with the session.
        ServiceError::McpError(refusal)
            if refusal.code == ErrorCode::INTERNAL_ERROR && refusal.message == LOST_IN_SESSION =>
        {
            lost(tool)
        }
        ServiceError::McpError(refusal) => {
            let code = match refusal.code.0 {
                message::UNNUMBERED => String::new(),
                code => format!(" ({code})"),
            };
            let message = format!("`{upstream}` refused the call{code}: {}", said(refusal));
            UpstreamError::new(Code::Refused, tool, message)
        }
        ServiceError::TransportClosed => lost(tool),
        ServiceError::TransportSend(error) => of_send(tool, error),
        ServiceError::Cancelled { .. } => {
            UpstreamError::new(Code::Lost, tool, format!("`{upstream}` cancelled the call"))
                .retryable(is_repeatable(tool))
        }
        _ => UpstreamError::new(
            Code::BadAnswer,
            tool,
            format!("`{upstream}` answered with something that is not the result of a tool"),
        ),
    }
}

/// What an error says: its message, and its details where they say more.
pub(super) fn said(error: &ErrorData) -> String {
    let message = cut(&error.message, SAID_BYTES_MAX);
    let details = match &error.data {
        None | Some(Value::Null) => return message.to_owned(),
        Some(Value::String(text)) => text.trim().to_owned(),
        Some(Value::Object(members)) if members.is_empty() => return message.to_owned(),
        Some(Value::Array(items)) if items.is_empty() => return message.to_owned(),
        Some(details) => details.to_string(),
    };
    if details.is_empty() || message.contains(&details) {
        return message.to_owned();
    }
    format!("{message}; its details: {}", cut(&details, SAID_BYTES_MAX))
}

fn of_send(tool: &Tool, error: &DynamicTransportError) -> UpstreamError {
    use UpstreamErrorCode as Code;
    let upstream = &tool.upstream;
    if backpressure::is_crowded_out(error.error.as_ref()) {
        let message = format!(
            "the call was not sent: calls of more than {} bytes wait for `{upstream}` to take them",
            backpressure::LEAVING_BYTES_MAX
        );
        return UpstreamError::new(Code::Busy, tool, message).retryable(true);
    }
    match http_failure(error) {
        Some(HttpFailure::Status(status)) => {
            // Only of the first is it certain that the call was not tried.
            let retryable = status == 429 || (status >= 500 && is_repeatable(tool));
            let message = format!("`{upstream}` answered HTTP {status}");
            UpstreamError::new(Code::Refused, tool, message)
                .status(Some(status))
                .retryable(retryable)
        }
        Some(HttpFailure::NoSession) => UpstreamError::new(
            Code::Refused,
            tool,
            format!("`{upstream}` refused the call: it knows no session, not even a new one"),
        ),
        Some(HttpFailure::NotUnderstood(cause)) => UpstreamError::new(
            Code::BadAnswer,
            tool,
            format!("the response of `{upstream}` was not understood: {cause}"),
        ),
        Some(HttpFailure::Refused(why)) => UpstreamError::new(
            Code::Refused,
            tool,
            format!("a call of `{upstream}` was not sent: {why}"),
        ),
        Some(HttpFailure::Credential(why)) => {
            let message =
                format!("`{upstream}` cannot be called: its credential cannot be used: {why}");
            UpstreamError::new(Code::Unavailable, tool, message)
        }
        Some(HttpFailure::NotSent(cause)) => UpstreamError::new(
            Code::Unavailable,
            tool,
            format!("`{upstream}` could not be reached: {cause}"),
        )
        .retryable(true),
        Some(HttpFailure::Broken(_)) | None => lost(tool),
    }
}

fn lost(tool: &Tool) -> UpstreamError {
    let message = format!(
        "the connection to `{}` broke before it answered; it is not known whether the call took \
        effect",
        tool.upstream
    );
    UpstreamError::new(UpstreamErrorCode::Lost, tool, message).retryable(is_repeatable(tool))
}

/// Returns true if a second try does no harm, as the tool itself claims.
fn is_repeatable(tool: &Tool) -> bool {
    tool.annotations.read_only == Some(true) || tool.annotations.idempotent == Some(true)
}

/// The first cause, in its own words, which unlike the outer ones never repeat the address.
pub(super) fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut current = error;
    while let Some(source) = current.source() {
        current = source;
    }
    cut(&current.to_string(), SAID_BYTES_MAX).to_owned()
}

#[cfg(test)]
mod tests {
    use rmcp::model::{ErrorCode, ErrorData};
    use serde_json::json;

    use super::{said, shown_url};

    #[test]
    fn the_details_of_an_error_are_told_where_they_say_more() {
        let told = |data| said(&ErrorData::new(ErrorCode(-32_000), "no such row", Some(data)));
        let row = told(json!({"row": 7}));
        assert_eq!(row, r#"no such row; its details: {"row":7}"#);
        assert_eq!(told(json!("id 7")), "no such row; its details: id 7");
        assert_eq!(told(json!(41)), "no such row; its details: 41");
        for none in [json!(null), json!({}), json!([]), json!(" "), json!("such row")] {
            assert_eq!(told(none), "no such row");
        }
    }

    #[test]
    fn an_address_is_shown_without_user_password_and_query() {
        assert_eq!(
            shown_url("https://me:pw@host.example:8443/mcp?token=abc#x"),
            "https://host.example:8443/mcp"
        );
        assert_eq!(shown_url("no address"), "(not a URL)");
    }
}
