//! Finds messages in a text that is not one message: several one after another, or one with other
//! words around it, such as the prefix of a log.

use serde_json::value::RawValue;

use super::envelope::{CLIENT_REQUESTS, Envelope, Kind};

/// Bytes in front of a message, since the one before it, that are looked through for its beginning.
pub(in crate::catalog::mcp) const WORDS_BYTES_MAX: usize = 256;
/// Members with which a message may begin.
const FIRST_MEMBERS: [&str; 5] = ["jsonrpc", "id", "method", "result", "error"];

/// The messages in a text, and what follows the last one. Those that only a client sends are left
/// out: a log tells them. So is what stands within something else.
pub(super) fn messages(text: &str) -> (Vec<&RawValue>, &str) {
    let (mut found, mut at, mut from) = (Vec::new(), 0, 0);
    while let Some(begin) = begin(&text[from..]).map(|ahead| from + ahead) {
        if begin - at > WORDS_BYTES_MAX || is_within(&text[at..begin]) {
            break;
        }
        let mut values = serde_json::Deserializer::from_str(&text[begin..]).into_iter();
        match values.next() {
            Some(Ok(value)) => {
                from = begin + values.byte_offset();
                if is_servers(value) {
                    at = from;
                    found.push(value);
                }
            }
            _ => from = begin + 1,
        }
    }
    (found, &text[at..])
}

/// Returns true if these words leave something open, of which the next is a part.
fn is_within(words: &str) -> bool {
    // A bracket behind an escape gives a log its colour.
    let words = words.replace("\u{1b}[", "");
    [('{', '}'), ('[', ']')]
        .iter()
        .any(|(open, close)| words.matches(*open).count() > words.matches(*close).count())
}

/// Returns true if a text is one message.
pub(super) fn is_message(text: &str) -> bool {
    serde_json::from_str::<&RawValue>(text).is_ok_and(is_servers)
}

/// Position of the next brace that may begin a message.
fn begin(text: &str) -> Option<usize> {
    let mut braces = text.match_indices('{').map(|(at, _)| at);
    braces.find(|at| {
        let member = text[at + 1..].trim_start().strip_prefix('"').unwrap_or_default();
        FIRST_MEMBERS
            .iter()
            .any(|name| member.strip_prefix(name).is_some_and(|rest| rest.starts_with('"')))
    })
}

fn is_servers(value: &RawValue) -> bool {
    let Some(envelope) = Envelope::of(value.get()).filter(Envelope::has_version) else {
        return false;
    };
    match envelope.kind() {
        Kind::Request(method) => !CLIENT_REQUESTS.contains(&method.as_str()),
        Kind::Result(_) | Kind::Error(_) => true,
        Kind::Other => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"a":"}{"}}"#;
    const TWO: &str = r#"{"id":2,"jsonrpc":"2.0","error":{"code":1,"message":"{"}}"#;

    fn found(text: &str) -> Vec<&str> {
        messages(text).0.into_iter().map(RawValue::get).collect()
    }

    #[test]
    fn messages_are_found_one_after_another_and_among_other_words() {
        for text in [
            format!("INFO {ONE}"),
            format!("[12:00:01] {{worker}} say \"{ONE} (3 ms)"),
            format!("\u{1b}[32mDEBUG\u{1b}[0m {{\"level\":1}} {ONE}"),
            format!("{ONE}\u{1b}[0m"),
        ] {
            assert_eq!(found(&text), [ONE], "{text}");
        }
        assert_eq!(found(&format!("{ONE}{TWO}")), [ONE, TWO]);
        assert_eq!(found(&format!("> {ONE} , {TWO};")), [ONE, TWO]);
        assert_eq!(messages(&format!("{ONE} {{\"jsonrpc")).1, " {\"jsonrpc");
    }

    #[test]
    fn what_a_log_tells_of_requests_and_of_broken_messages_is_none() {
        for text in [
            r#"got {"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}"#,
            r#"sent {"jsonrpc":"2.0","id":1,"result":{"content":[{"ty..."#,
            r#"INFO {"id":1,"result":{}}"#,
            r#"{"level":30,"msg":"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}"}"#,
            r#"{"level":30,"msg":{"jsonrpc":"2.0","id":1,"result":{}},"x"#,
            r#"[{"jsonrpc":"2.0","id":1,"result":{}},"#,
            "no { message",
            "",
        ] {
            assert_eq!(found(text), [""; 0], "{text}");
        }
        let far = format!("{} {ONE}", "x".repeat(WORDS_BYTES_MAX));
        assert_eq!(found(&far), [""; 0], "the words before it are bounded");
    }
}
