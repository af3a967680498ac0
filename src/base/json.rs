//! JSON measured without making anything of it: texts that were not parsed, values that were not
//! written.

use std::io;

use serde::Serialize;
use serde_json::Value;

/// No fewer than the values of a JSON text: each stands first in a list or an object, or behind a
/// comma.
pub fn values_in(json: &[u8]) -> usize {
    let (mut count, mut in_text, mut is_escaped) = (1, false, false);
    for byte in json {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_text => is_escaped = true,
            b'"' => in_text = !in_text,
            b',' | b'[' | b'{' if !in_text => count += 1,
            _ => {}
        }
    }
    count
}

/// The size of a value as JSON, in bytes, without writing it anywhere.
pub fn encoded_bytes<T: Serialize + ?Sized>(value: &T) -> usize {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // Counting cannot fail, and a `Value` always serialises; were it otherwise, nothing is larger.
    serde_json::to_writer(&mut count, value).map_or(usize::MAX, |()| count.0)
}

/// Joins the lines of each paragraph of the descriptions in a JSON Schema: where a doc comment
/// wraps means nothing to whoever reads the schema.
pub fn unwrap_descriptions(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(unwrap_descriptions),
        Value::Object(entries) => {
            for (key, value) in entries {
                match value {
                    Value::String(text) if key == "description" => {
                        let paragraphs = text.split("\n\n").map(|text| text.replace('\n', " "));
                        *text = paragraphs.collect::<Vec<_>>().join("\n\n");
                    }
                    _ => unwrap_descriptions(value),
                }
            }
        }
        _ => {}
    }
}
