//! Fields of a form that take files, in the ways that descriptions say so, and the schema of a
//! file as an argument.

use serde_json::{Map, Value, json};

use crate::catalog::{
    openapi::{
        document::Document,
        media::Media,
        plan::FileField,
        schema::{Builder, TooLarge},
    },
    schema::dialect::is_nullable,
};

/// The name of the schema of a file.
pub(super) const FILE: &str = "File";
/// Schemas within each other, and alternatives of one, that are looked at for files.
const DEPTH_MAX: usize = 8;
const PARTS_MAX: usize = 20;

/// What a value may be, as far as files go.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Taken {
    /// A file.
    pub(super) one: bool,
    /// A list of files.
    pub(super) many: bool,
    null: bool,
    /// Something that is no file.
    other: bool,
}

impl Taken {
    /// What a value of this schema may be.
    pub(super) fn of(document: &Document, schema: &Value) -> Self {
        Self::within(document, schema, 0)
    }

    /// What a field with files is; none where it takes none.
    pub(super) fn field(self) -> Option<FileField> {
        (self.one || self.many).then_some(match self.other {
            false => FileField::Only,
            true => FileField::OrPlain,
        })
    }

    fn within(document: &Document, schema: &Value, depth: usize) -> Self {
        let other = Self { other: true, ..Self::default() };
        let Some(map) = document.resolved(schema).filter(|_| depth <= DEPTH_MAX) else {
            return other;
        };
        let parts = |key: &str| {
            let parts = map.get(key).and_then(Value::as_array).filter(|parts| !parts.is_empty());
            parts.map(|parts| {
                let parts = parts.iter().take(PARTS_MAX);
                let taken = parts.map(|part| Self::within(document, part, depth + 1));
                taken.fold(Self::default(), Self::or)
            })
        };
        let mut taken = if is_bytes(map) {
            Self { one: true, ..Self::default() }
        } else if is(map, "array") || map.get("type").is_none() && map.contains_key("items") {
            let items = map.get("items").map(|items| Self::within(document, items, depth + 1));
            let items = items.unwrap_or(other);
            Self { many: items.one, other: items.other || items.many, ..Self::default() }
        } else if let Some(forms) = parts("anyOf").or_else(|| parts("oneOf")) {
            forms
        } else if let Some(all) = parts("allOf").filter(|all| all.one || all.many) {
            // The other parts say more of the same value.
            Self { other: false, ..all }
        } else if map.get("type").is_some_and(|kind| kind == "null") {
            Self::default()
        } else {
            other
        };
        taken.null |= is(map, "null") || is_nullable(map);
        taken
    }

    fn or(self, other: Self) -> Self {
        Self {
            one: self.one || other.one,
            many: self.many || other.many,
            null: self.null || other.null,
            other: self.other || other.other,
        }
    }
}

/// Returns true if a value may be of a type, so far as the schema says its types.
fn is(map: &Map<String, Value>, wanted: &str) -> bool {
    match map.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == wanted),
        Some(kind) => kind == wanted,
        None => false,
    }
}

/// Returns true if a value is bytes.
pub(super) fn is_file(document: &Document, schema: &Value) -> bool {
    let taken = Taken::of(document, schema);
    taken.one && !taken.other
}

/// As Swagger says it, as 3.0 does, or as 3.1 does.
fn is_bytes(map: &Map<String, Value>) -> bool {
    let format = map.get("format").and_then(Value::as_str);
    let media = map.get("contentMediaType").and_then(Value::as_str).map(Media::of);
    let is_text = map.get("type").is_none() || is(map, "string");
    is(map, "file")
        || is_text
            && (matches!(format, Some("binary" | "file"))
                || media == Some(Media::Binary) && map.get("contentEncoding").is_none())
}

/// The schema of a field that takes files, with the description's own words.
pub(super) fn field_schema<'d>(
    builder: &mut Builder<'_, 'd>,
    schema: &'d Value,
) -> Result<Value, TooLarge> {
    let taken = Taken::of(builder.schemas.document, schema);
    let mut described = builder.top(schema)?;
    let words = described.as_object_mut().and_then(|map| map.shift_remove("description"));
    let mut forms = Vec::new();
    if taken.one || !taken.many {
        forms.push(reference());
    }
    if taken.many {
        forms.push(json!({"type": "array", "items": reference()}));
    }
    if taken.other && taken.field().is_some() {
        forms.push(described);
    } else if taken.null {
        forms.push(json!({"type": "null"}));
    }
    let mut out = match forms.len() {
        1 => forms.remove(0),
        _ => json!({ "anyOf": forms }),
    };
    if let Some(words) = words {
        out["description"] = words;
    }
    Ok(out)
}

/// Refers to the schema of a file.
pub(super) fn reference() -> Value {
    json!({"$ref": format!("#/$defs/{FILE}")})
}

/// A file as an argument. What an answer gives as bytes fits as it is.
pub(super) fn file_schema() -> Value {
    json!({
        "description": "a text, or { base64 } or { text } with name and media type",
        "anyOf": [
            {"type": "string"},
            {"type": "object", "properties": {
                "base64": {"type": "string"}, "text": {"type": "string"},
                "name": {"type": "string"}, "type": {"type": "string"},
            }},
        ],
    })
}
