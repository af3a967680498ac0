//! A JSON Schema, kept as its text.

use std::{
    collections::VecDeque,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;
use serde::{Serialize, Serializer};
use serde_json::{Value, value::RawValue};

use super::RawJson;

/// Text of schemas that stay parsed after they were looked at, in bytes; parsed, they take 10 to 15
/// times as much.
const RECENT_BYTES_MAX: usize = 1024 * 1024;
/// Deepest nesting of a schema: well within what a parser takes.
const DEPTH_MAX: usize = 100;

/// A JSON Schema: its text, parsed when it is looked at and for as long as it is among those that
/// were looked at last. Copies are cheap.
#[derive(Debug, Clone)]
pub struct Schema(Arc<Kept>);

#[derive(Debug)]
struct Kept {
    text: RawJson,
    // A plain mutex: held while it is parsed, which nobody else needs twice.
    parsed: Mutex<Weak<Value>>,
}

impl Schema {
    /// Takes a schema; none when it is nested deeper than 100 levels.
    pub fn new(value: &Value) -> Option<Self> {
        let text = serde_json::value::to_raw_value(value).ok()?;
        (depth(text.get()) <= DEPTH_MAX).then(|| Self::of_text(text))
    }

    /// Takes the text of a schema that was taken before.
    pub fn of_text(text: RawJson) -> Self {
        Self(Arc::new(Kept { text, parsed: Mutex::default() }))
    }

    /// Its text.
    pub fn text(&self) -> &str {
        self.0.text.get()
    }

    /// The schema itself. A text that turns out to be none permits everything: the schema of
    /// nothing in particular.
    pub fn value(&self) -> Arc<Value> {
        let mut parsed = self.0.parsed.lock();
        if let Some(value) = parsed.upgrade() {
            return value;
        }
        let value: Arc<Value> = Arc::new(
            serde_json::from_str(self.text())
                .unwrap_or_else(|_| Value::Object(serde_json::Map::new())),
        );
        *parsed = Arc::downgrade(&value);
        RECENT.lock().add(self.text().len(), value.clone());
        value
    }
}

impl Serialize for Schema {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::serialize(&self.0.text, serializer)
    }
}

/// The schemas that were parsed last.
static RECENT: Mutex<Recent> = Mutex::new(Recent { parsed: VecDeque::new(), bytes: 0 });

struct Recent {
    /// With the size of the text, the oldest first.
    parsed: VecDeque<(usize, Arc<Value>)>,
    bytes: usize,
}

impl Recent {
    fn add(&mut self, bytes: usize, value: Arc<Value>) {
        self.parsed.push_back((bytes, value));
        self.bytes += bytes;
        while self.bytes > RECENT_BYTES_MAX {
            let Some((bytes, _)) = self.parsed.pop_front() else { break };
            self.bytes -= bytes;
        }
    }
}

/// Nesting depth of a JSON text.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests;
