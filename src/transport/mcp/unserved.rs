//! Requests that the handler has no method for: unknown methods, and known ones whose parameters
//! cannot be read.

use rmcp::{
    ErrorData,
    model::{
        CallToolRequestParams, CustomRequest, ErrorCode, JsonRpcMessage, ServerJsonRpcMessage,
    },
};
use serde_json::Value;

use crate::{base::unique_keys::duplicate_key, model, service::ServiceError};

/// Methods of which a request with parameters that cannot be read is told so. Not `initialize` and
/// `ping`: whoever sends them without a handshake speaks the revision that has neither.
const METHODS: [&str; 4] = ["server/discover", "tools/list", "tools/call", "subscriptions/listen"];
/// Characters of a method that an error repeats, at most.
const SHOWN_CHARS: usize = 128;

/// Turns the name of a method that is not served, which is all that rmcp says, into a sentence.
pub(in crate::transport) fn explain(message: &mut ServerJsonRpcMessage) {
    if let JsonRpcMessage::Error(message) = message
        && message.error.code == ErrorCode::METHOD_NOT_FOUND
        && !message.error.message.contains(' ')
    {
        let method: String = message.error.message.chars().take(SHOWN_CHARS).collect();
        message.error.message = format!(
            "`{method}` is not served, or not in this revision of the protocol: this server has \
            tools (`tools/list`, `tools/call`), and neither resources nor prompts"
        )
        .into();
    }
}

/// The error about a message in the text of which an object has a key twice: readers disagree about
/// which of the two counts, and what is checked must be what is done. None where there is none.
pub(in crate::transport) fn doubled_key(message: &[u8]) -> Option<ErrorData> {
    let doubled = duplicate_key(message)?;
    let message = format!("the message has {doubled}; send it once");
    Some(ErrorData::new(ErrorCode::INVALID_REQUEST, message, None))
}

/// What becomes of a request that is none of rmcp's.
pub(super) enum Unserved {
    /// A call of this tool whose arguments are no object: an error of the tool, which the model
    /// sees and can act on.
    Call(ServiceError),
    /// Anything else: an error of the protocol.
    Refused(ErrorData),
}

/// Says what is wrong with a request. `tools` are the tools that there are.
pub(super) fn judge(request: &CustomRequest, tools: &[&str]) -> Unserved {
    let name = request.method.as_str();
    if !METHODS.contains(&name) {
        return Unserved::Refused(ErrorData::new(
            ErrorCode::METHOD_NOT_FOUND,
            request.method.clone(),
            None,
        ));
    }
    let params = request.params.clone().unwrap_or_default();
    if name == "tools/call"
        && let Some(tool) = params["name"].as_str().filter(|name| tools.contains(name))
        && let Some(given) = kind(&params["arguments"])
    {
        let message = format!("the arguments of `{tool}` are {given}: arguments must be an object");
        let message = match params["arguments"] {
            Value::String(_) => message + ", not its JSON text",
            _ => message,
        };
        let error = ServiceError::new(model::ErrorCode::InvalidArgument, message);
        let example = r#"{"name":"execute","arguments":{"code":"return 1"}}"#;
        return Unserved::Call(error.hint(format!("send them as in {example}")));
    }
    let why = match name {
        "tools/call" => serde_json::from_value::<CallToolRequestParams>(params)
            .err()
            .map_or_else(String::new, |error| format!(": {error}")),
        _ => String::new(),
    };
    let message = format!("the `params` of `{name}` cannot be read{why}");
    Unserved::Refused(ErrorData::invalid_params(message, None))
}

/// The kind of a value that is no object; none for an object, or where there is nothing.
fn kind(value: &Value) -> Option<&'static str> {
    match value {
        Value::Null | Value::Object(_) => None,
        Value::String(_) => Some("a string"),
        Value::Array(_) => Some("an array"),
        Value::Number(_) => Some("a number"),
        Value::Bool(_) => Some("a boolean"),
    }
}

#[cfg(test)]
mod tests;
