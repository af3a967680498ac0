//! What clients write otherwise than the protocol wants, and that is understood all the same: a
//! byte order mark, a greeting without parts that nothing depends on. What cannot be understood is
//! named: the id of a request that is none.

use rmcp::{
    ErrorData,
    model::{
        ClientCapabilities, ErrorCode, Implementation, InitializeRequestParams, ProtocolVersion,
    },
};
use serde_json::{Map, Value, json};

use crate::base::{json::members::members, text::cut};

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
/// The revision of a client that does not say which it speaks, as the protocol has it.
const VERSION: ProtocolVersion = ProtocolVersion::V_2025_03_26;
/// Where a message of the revision without greetings says which one it is of.
const REVISION: &str = "io.modelcontextprotocol/protocolVersion";
/// Longest id that an error repeats, in bytes.
const SHOWN_BYTES: usize = 80;

/// The message without what an editor puts before a text.
pub(in crate::transport) fn unmarked(message: &[u8]) -> &[u8] {
    message.strip_prefix(BYTE_ORDER_MARK).unwrap_or(message)
}

/// The error about a request whose id is no id; none for any other message. Some clients give a
/// notification the id null.
pub(in crate::transport) fn wrong_id(message: &[u8]) -> Option<ErrorData> {
    let text = std::str::from_utf8(message).ok()?;
    let [Some(id), Some(method)] = members(text, ["id", "method"]).ok()? else { return None };
    let id = id.get();
    let is_notification = id == "null" && method.get().starts_with("\"notifications/");
    if is_notification || id.starts_with('"') || id.parse::<i64>().is_ok() {
        return None;
    }
    let message = format!(
        "`id` is {}: the id of a request is a string or a whole number, a notification has none",
        cut(id, SHOWN_BYTES)
    );
    Some(ErrorData::new(ErrorCode::INVALID_REQUEST, message, None))
}

/// The message as the protocol wants it: a greeting with everything in it, a notification without
/// an id. None where it is so already, and for any other message.
pub(in crate::transport) fn completed(message: &[u8]) -> Option<Vec<u8>> {
    let [method, id] = members(std::str::from_utf8(message).ok()?, ["method", "id"]).ok()?;
    let (method, is_notification) = (method?, id.is_some_and(|id| id.get() == "null"));
    if !is_notification && method.get() != "\"initialize\"" {
        return None;
    }
    let mut message: Value = serde_json::from_slice(message).ok()?;
    if is_notification {
        message.as_object_mut()?.remove("id");
    } else {
        message["params"] = greeting(message["params"].take())?.into();
    }
    serde_json::to_vec(&message).ok()
}

/// The parameters of a greeting with everything in them; none where they are whole, or those of the
/// revision that has no greeting.
fn greeting(params: Value) -> Option<Map<String, Value>> {
    if serde_json::from_value::<InitializeRequestParams>(params.clone()).is_ok()
        || params["_meta"].get(REVISION).is_some()
    {
        return None;
    }
    let mut params = match params {
        Value::Object(params) => params,
        _ => Map::new(),
    };
    if !params.get("protocolVersion").is_some_and(Value::is_string) {
        params.insert("protocolVersion".to_owned(), VERSION.as_str().into());
    }
    let capabilities = readable_members(params.get("capabilities"), |one| {
        serde_json::from_value::<ClientCapabilities>(one).is_ok()
    });
    params.insert("capabilities".to_owned(), capabilities.into());
    let (nobody, empty) = (json!({"name": "", "version": ""}), Value::from(""));
    let mut client = readable_members(params.get("clientInfo"), |one| {
        let mut whole = nobody.clone();
        whole.as_object_mut().into_iter().for_each(|whole| {
            whole.extend(one.as_object().cloned().unwrap_or_default());
        });
        serde_json::from_value::<Implementation>(whole).is_ok()
    });
    for name in ["name", "version"] {
        client.entry(name).or_insert_with(|| empty.clone());
    }
    params.insert("clientInfo".to_owned(), client.into());
    if params.get("_meta").is_some_and(|meta| !meta.is_object()) {
        params.remove("_meta");
    }
    Some(params)
}

/// The members of an object that can be read, each by itself.
fn readable_members(
    object: Option<&Value>,
    is_readable: impl Fn(Value) -> bool,
) -> Map<String, Value> {
    let members = object.and_then(Value::as_object).into_iter().flatten();
    members
        .filter(|(name, member)| is_readable(json!({ name.as_str(): member })))
        .map(|(name, member)| (name.clone(), member.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(params: Value) -> Value {
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params});
        let completed = completed(message.to_string().as_bytes());
        let mut message: Value = match completed {
            Some(completed) => serde_json::from_slice(&completed).unwrap(),
            None => message,
        };
        message["params"].take()
    }

    #[test]
    fn a_greeting_gets_what_it_lacks_and_loses_what_cannot_be_read() {
        let nobody = json!({"name": "", "version": ""});
        for params in [
            json!({"protocolVersion": "2025-06-18"}),
            json!({"protocolVersion": "2025-06-18", "capabilities": null, "clientInfo": null}),
            json!({"protocolVersion": "2025-06-18", "capabilities": [], "clientInfo": "me"}),
            json!({"protocolVersion": "2025-06-18", "capabilities": {"roots": 5}, "_meta": []}),
        ] {
            let all = json!({
                "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": nobody
            });
            assert_eq!(whole(params.clone()), all, "{params}");
        }
        for params in [Value::Null, json!([]), json!({"protocolVersion": null})] {
            assert_eq!(whole(params)["protocolVersion"], "2025-03-26");
        }
        let client = json!({"name": "me", "version": 5, "title": "Me", "icons": "none"});
        let kept = whole(json!({
            "protocolVersion": "2025-06-18", "clientInfo": client,
            "capabilities": {"roots": {"listChanged": true}, "sampling": []}
        }));
        assert_eq!(kept["clientInfo"], json!({"name": "me", "title": "Me", "version": ""}));
        assert_eq!(kept["capabilities"]["roots"], json!({"listChanged": true}));
    }

    #[test]
    fn what_is_whole_and_what_is_no_greeting_stays_as_it_is() {
        for message in [
            json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
                "protocolVersion": "2025-06-18", "capabilities": {},
                "clientInfo": {"name": "me", "version": "1"}}}),
            json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": []}),
            json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
                "_meta": {REVISION: "2026-07-28"}}}),
            json!(["initialize"]),
            json!("initialize"),
        ] {
            assert_eq!(completed(message.to_string().as_bytes()), None, "{message}");
        }
    }

    #[test]
    fn a_notification_loses_the_id_that_is_null() {
        let notice = br#"{"jsonrpc":"2.0","id":null,"method":"notifications/x"}"#;
        let completed: Value = serde_json::from_slice(&completed(notice).unwrap()).unwrap();
        assert_eq!(completed, json!({"jsonrpc": "2.0", "method": "notifications/x"}));
    }

    #[test]
    fn only_the_id_of_a_request_that_is_none_is_an_error() {
        for id in ["null", "true", "1.5", "1.0", "{}", "[1]", "1e2", "9223372036854775808"] {
            let error = wrong_id(format!(r#"{{"id":{id},"method":"ping"}}"#).as_bytes()).unwrap();
            assert!(error.message.contains(&format!("`id` is {id}: ")), "{}", error.message);
        }
        for fine in [
            r#"{"id":1,"method":"ping"}"#,
            r#"{"id":"null","method":"ping"}"#,
            r#"{"method":"ping"}"#,
            r#"{"id":null,"method":"notifications/initialized"}"#,
            r#"{"id":null,"result":{}}"#,
            "[]",
        ] {
            assert!(wrong_id(fine.as_bytes()).is_none(), "{fine}");
        }
    }
}
