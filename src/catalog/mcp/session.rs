//! Finds in a server's answer that it has lost the session it was asked in, and whether that is
//! certain: a call that was refused for it did not reach its tool, and may be sent again.

use bytes::Bytes;
use http::StatusCode;
use rmcp::model::{ClientJsonRpcMessage, ClientRequest, ErrorCode, PingRequest, RequestId};

use super::incoming::ProtocolError;

/// Bytes on both sides of the word `session` in which a server says what is wrong with it.
const AROUND_BYTES: usize = 60;
/// Words by which servers say that there is no such session.
const MARKS: [&str; 14] = [
    "does not exist",
    "doesn't exist",
    "expired",
    "invalid",
    "missing",
    "no active",
    "no longer",
    "no such",
    "no valid",
    "not found",
    "not valid",
    "required",
    "unknown",
    "unrecogni",
];
/// Words by which servers say that nobody has begun a session with them.
const NOT_BEGUN: [&str; 3] = ["before initialization", "not initialized", "not initialised"];
/// Id of the question whether a session is there, far from those of the library.
const QUESTION_ID: i64 = i32::MAX as i64;

/// What an answer says of its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SessionSign {
    /// Nothing, or nothing that is known.
    Silent,
    /// It may be lost, or the words are a tool's own about a session of its own.
    Doubtful,
    /// It is lost, and the request was refused before it began.
    Lost,
}

impl SessionSign {
    /// What a whole answer says.
    pub(super) fn of(status: StatusCode, body: &str) -> Self {
        let error = ProtocolError::within(body);
        let is_named = matches!(error, Some((Some(_), _)));
        let words = match &error {
            Some((_, error)) => error.words.as_str(),
            None if status.is_success() => return Self::Silent,
            None => body,
        };
        match status.as_u16() {
            404 => match error {
                // The server is there, and has no such method.
                Some((Some(_), error)) if error.code() == ErrorCode::METHOD_NOT_FOUND.0 => {
                    Self::Silent
                }
                _ => Self::Lost,
            },
            401 | 429 => Self::Silent,
            200..=299 | 400 | 410 if !is_named && mentions(words) => Self::Lost,
            400..=499 if !is_named && says_lost(words) => Self::Lost,
            _ if says_lost(words) => Self::Doubtful,
            _ => Self::Silent,
        }
    }
}

/// Returns true if words say that a session is not there.
pub(super) fn says_lost(words: &str) -> bool {
    let words = words.to_ascii_lowercase().replace(['_', '-'], " ");
    let around = |at: usize| {
        let begin = words.floor_char_boundary(at.saturating_sub(AROUND_BYTES));
        let end = words.ceil_char_boundary((at + AROUND_BYTES).min(words.len()));
        &words[begin..end]
    };
    NOT_BEGUN.iter().any(|phrase| words.contains(phrase))
        || words.match_indices("session").any(|(at, _)| {
            let around = around(at);
            MARKS.iter().any(|mark| around.contains(mark))
        })
}

/// Returns true if words that can only be about the session are about it.
fn mentions(words: &str) -> bool {
    let words = words.to_ascii_lowercase();
    ["session", "initializ", "initialis"].iter().any(|word| words.contains(word))
}

/// The question whether a session is there, as the body of a request.
pub(super) fn question() -> Result<Bytes, serde_json::Error> {
    let ping = ClientRequest::PingRequest(PingRequest::default());
    let ping = ClientJsonRpcMessage::request(ping, RequestId::Number(QUESTION_ID));
    serde_json::to_vec(&ping).map(Bytes::from)
}

/// Returns true if this answer to the question denies the session.
pub(super) fn is_denied(status: StatusCode, body: &str) -> bool {
    // Of a stream, the data of its events.
    let data: Vec<&str> = body.lines().filter_map(|line| line.strip_prefix("data:")).collect();
    let data = data.join("\n");
    let body = if data.is_empty() { body } else { &data };
    SessionSign::of(status, body) != SessionSign::Silent
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn error(id: serde_json::Value, words: &str) -> String {
        json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32000, "message": words}}).to_string()
    }

    fn sign(status: u16, body: &str) -> SessionSign {
        SessionSign::of(StatusCode::from_u16(status).unwrap(), body)
    }

    #[test]
    fn a_refusal_that_names_no_request_and_says_that_there_is_no_session_is_certain() {
        for status in [400, 403, 409, 410, 422] {
            for words in [
                "Session not found",
                "session expired, initialize again",
                "Invalid session id: 5",
                "unknown Mcp-Session-Id",
                "Missing session ID",
                "Server not initialized",
            ] {
                assert_eq!(sign(status, words), SessionSign::Lost, "{status} {words}");
                let body = error(json!(null), words);
                assert_eq!(sign(status, &body), SessionSign::Lost, "{status} {body}");
            }
        }
        assert_eq!(sign(404, "<p>gone</p>"), SessionSign::Lost);
        assert_eq!(sign(404, &error(json!(7), "gone")), SessionSign::Lost);
        assert_eq!(sign(200, &error(json!(null), "no session")), SessionSign::Lost);
    }

    #[test]
    fn one_that_names_the_request_or_comes_from_a_server_in_trouble_is_doubtful() {
        for status in [200, 400, 403, 409, 422, 500] {
            let body = error(json!(7), "Session not found");
            assert_eq!(sign(status, &body), SessionSign::Doubtful, "{status}");
        }
        for words in ["Error: session not found", "SESSION_NOT_FOUND"] {
            assert_eq!(sign(500, words), SessionSign::Doubtful, "{words}");
            assert_eq!(sign(503, &error(json!(null), words)), SessionSign::Doubtful, "{words}");
        }
    }

    #[test]
    fn what_is_about_something_else_says_nothing() {
        let unknown = json!({"jsonrpc": "2.0", "id": 7, "error":
            {"code": -32601, "message": "Method not found"}});
        for (status, body) in [
            (404, unknown.to_string()),
            (200, "session not found".to_owned()),
            (200, error(json!(7), "no such row")),
            (400, "Bad Request".to_owned()),
            (401, "session expired".to_owned()),
            (429, "too many sessions: one is required".to_owned()),
            (403, "your session may not write".to_owned()),
            (500, "cannot initialize the database".to_owned()),
            (500, format!("session {} invalid", "x".repeat(200))),
        ] {
            assert_eq!(sign(status, &body), SessionSign::Silent, "{status} {body}");
        }
    }

    #[test]
    fn the_answer_to_the_question_is_read_from_a_stream_too() {
        let lost = error(json!(QUESTION_ID), "Session not found");
        let fine = json!({"jsonrpc": "2.0", "id": QUESTION_ID, "result": {}}).to_string();
        let ok = StatusCode::OK;
        for (body, expected) in [
            (lost.clone(), true),
            (format!("event: message\ndata: {lost}\n\n"), true),
            (fine.clone(), false),
            (format!("data: {fine}\n\n"), false),
            (String::new(), false),
        ] {
            assert_eq!(is_denied(ok, &body), expected, "{body}");
        }
        assert!(is_denied(StatusCode::NOT_FOUND, ""));
    }
}
