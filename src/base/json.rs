//! Measures JSON without parsing or writing it, reads single members of an object, repairs what is
//! nearly JSON, and tidies JSON Schemas.

pub mod members;
pub mod repair;
pub mod splice;
pub mod written;

use std::io;

use serde::Serialize;
use serde_json::Value;

/// Returns an upper bound on the number of values in a JSON text. Each value is the first of a list
/// or an object, or follows a comma.
pub fn values_in(json: &[u8]) -> usize {
    let (mut count, mut in_string, mut is_escaped) = (1, false, false);
    for byte in json {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_string => is_escaped = true,
            b'"' => in_string = !in_string,
            b',' | b'[' | b'{' if !in_string => count += 1,
            _ => {}
        }
    }
    count
}

/// Returns the size of a value as JSON, in bytes, without allocating it.
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
    // Counting cannot fail and a `Value` always serialises; if it did not, it would count as too
    // large.
    serde_json::to_writer(&mut count, value).map_or(usize::MAX, |()| count.0)
}

/// Joins the lines of each paragraph of all descriptions in a JSON Schema, because they come from
/// wrapped doc comments.
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
