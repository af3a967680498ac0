//! Finds a refused credential in an answer that looks like a success: some servers answer 200 and
//! say it in an error of the protocol.

use futures::StreamExt;
use rmcp::{
    model::{ClientJsonRpcMessage, ClientRequest, ErrorCode, ErrorData, JsonRpcMessage},
    transport::streamable_http_client::StreamableHttpPostResponse,
};
use serde_json::Value;

/// Longest message that is taken for one about a credential, in bytes: it says little else.
const WORDS_BYTES_MAX: usize = 300;
/// Phrases by which servers say that a credential is missing, wrong or too old.
const PHRASES: [&str; 16] = [
    "access token expired",
    "access token has expired",
    "authentication failed",
    "authentication required",
    "expired token",
    "invalid access token",
    "invalid bearer",
    "invalid token",
    "invalid_token",
    "not authenticated",
    "token expired",
    "token has expired",
    "token is expired",
    "token is invalid",
    "unauthenticated",
    "unauthorized",
];
/// Codes of errors that are about the message and not about who sent it.
const OTHER_CODES: [ErrorCode; 3] =
    [ErrorCode::PARSE_ERROR, ErrorCode::METHOD_NOT_FOUND, ErrorCode::INVALID_PARAMS];
/// Codes and statuses that say it in `data`, in capital letters.
const DETAILS: [&str; 5] =
    ["401", "INVALID_TOKEN", "TOKEN_EXPIRED", "UNAUTHENTICATED", "UNAUTHORIZED"];

/// Looks at an answer, and returns it with its error, if it is one. Of a stream the first event is
/// waited for.
pub(super) async fn first_error(
    answer: StreamableHttpPostResponse,
) -> (StreamableHttpPostResponse, Option<ErrorData>) {
    match answer {
        StreamableHttpPostResponse::Json(message, session) => {
            let error = error_of(&message).cloned();
            (StreamableHttpPostResponse::Json(message, session), error)
        }
        StreamableHttpPostResponse::Sse(mut events, session) => {
            let Some(first) = events.next().await else {
                return (StreamableHttpPostResponse::Sse(events, session), None);
            };
            let data = first.as_ref().ok().and_then(|event| event.data.as_deref());
            let message = data.filter(|data| data.len() <= 64 * WORDS_BYTES_MAX);
            let message = message.and_then(|data| serde_json::from_str(data).ok());
            let error = message.as_ref().and_then(error_of).cloned();
            let events = futures::stream::iter([first]).chain(events).boxed();
            (StreamableHttpPostResponse::Sse(events, session), error)
        }
        accepted => (accepted, None),
    }
}

fn error_of(message: &rmcp::model::ServerJsonRpcMessage) -> Option<&ErrorData> {
    match message {
        JsonRpcMessage::Error(refused) => Some(&refused.error),
        _ => None,
    }
}

/// Returns true if the error says that the credential was refused, so that nothing was done. An
/// internal error of a call may be one in the middle of its work, whatever it says.
pub(super) fn is_refusal(error: &ErrorData, asked: &ClientJsonRpcMessage) -> bool {
    let is_call = matches!(
        asked,
        JsonRpcMessage::Request(request)
            if matches!(request.request, ClientRequest::CallToolRequest(_))
    );
    if OTHER_CODES.contains(&error.code)
        || is_call && error.code == ErrorCode::INTERNAL_ERROR
        || error.message.len() > WORDS_BYTES_MAX
    {
        return false;
    }
    let words = error.message.to_ascii_lowercase().replace("unauthorised", "unauthorized");
    let detail = |name: &str| match error.data.as_ref()?.get(name)? {
        Value::String(text) => Some(text.to_ascii_uppercase()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let says_detail = || {
        ["code", "status", "statusCode", "error", "type"]
            .into_iter()
            .filter_map(detail)
            .any(|said| DETAILS.contains(&said.as_str()))
    };
    error.code.0 == 401 || PHRASES.iter().any(|phrase| words.contains(phrase)) || says_detail()
}

#[cfg(test)]
mod tests {
    use rmcp::model::{CallToolRequest, CallToolRequestParams, PingRequest, RequestId};
    use serde_json::json;

    use super::*;

    fn asked(is_call: bool) -> ClientJsonRpcMessage {
        let request = match is_call {
            true => CallToolRequest::new(CallToolRequestParams::new("t")).into(),
            false => ClientRequest::PingRequest(PingRequest::default()),
        };
        ClientJsonRpcMessage::request(request, RequestId::Number(1))
    }

    fn refuses(code: i32, message: &str, data: Value, is_call: bool) -> bool {
        let data = Some(data).filter(|data| !data.is_null());
        is_refusal(&ErrorData::new(ErrorCode(code), message.to_owned(), data), &asked(is_call))
    }

    #[test]
    fn an_error_about_the_credential_is_found_by_its_words_its_code_or_its_details() {
        for (code, message, data) in [
            (-32001, "Unauthorized", Value::Null),
            (-32000, "Access token expired, log in again", Value::Null),
            (-32600, "invalid_token: The access token is unknown", Value::Null),
            (401, "no", Value::Null),
            (-32000, "refused", json!({"status": 401})),
            (-32000, "refused", json!({"code": "unauthenticated"})),
        ] {
            assert!(refuses(code, message, data.clone(), true), "{message} {data}");
            assert!(refuses(code, message, data, false), "{message}");
        }
        assert!(refuses(-32603, "Unauthorized", Value::Null, false));
    }

    #[test]
    fn other_errors_and_those_in_the_middle_of_a_call_are_none() {
        for (code, message, data) in [
            (-32603, "Unauthorized", Value::Null),
            (-32602, "invalid token in `query`", Value::Null),
            (-32700, "invalid token < at 0", Value::Null),
            (-32000, "the session has ended", Value::Null),
            (-32000, "forbidden", json!({"status": 403})),
            (-32001, "Request timed out", json!([401])),
        ] {
            assert!(!refuses(code, message, data.clone(), true), "{message} {data}");
        }
        assert!(!refuses(-32000, &format!("unauthorized {}", "x".repeat(400)), json!({}), false));
    }
}
