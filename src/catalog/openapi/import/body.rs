//! Request body of an operation: the media type to use, and the schema of the argument `body`.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Map, Value, json};

use crate::{
    base::text::cut,
    catalog::openapi::{
        document::{Document, flag, text},
        media::{Media, essence, is_concrete},
        plan::{self, Form},
        schema::{Builder, Detail, TooLarge},
        style::{Spelling, Style},
    },
};

/// The name of the schema of a file.
pub(super) const FILE: &str = "File";
/// Fields of a form that are described.
const FIELDS_MAX: usize = 500;
/// `allOf` within each other, and schemas in all, that are searched for fields.
const FIELDS_DEPTH_MAX: usize = 6;
const FIELDS_PARTS_MAX: usize = 200;

/// A request's body.
pub(super) struct Read<'d> {
    pub(super) plan: plan::Body,
    pub(super) is_required: bool,
    description: Option<&'d str>,
    kind: &'d str,
    schema: Option<&'d Value>,
    fields: Fields<'d>,
}

/// Fields of a form: of each its schema, and which must be given.
#[derive(Default)]
struct Fields<'d> {
    schemas: Vec<(&'d str, &'d Value)>,
    required: Vec<&'d str>,
    files: HashSet<String>,
}

/// The body of an operation; none where it has none.
pub(super) fn of<'d>(
    document: &'d Document,
    operation: &'d Map<String, Value>,
) -> Result<Option<Read<'d>>, String> {
    let Some(written) = operation.get("requestBody").filter(|written| !written.is_null()) else {
        return Ok(None);
    };
    let written = document
        .resolved(written)
        .ok_or("its body is a reference that leads nowhere or out of the document")?;
    let content =
        written.get("content").and_then(Value::as_object).filter(|content| !content.is_empty());
    let Some(content) = content else { return Ok(None) };
    let schema_of = |media: &'d Value| media.get("schema");
    let ranked = content
        .iter()
        .enumerate()
        .map(|(at, (kind, media))| (of_type(document, kind, schema_of(media)), at, kind, media));
    let Some((media, _, kind, described)) = ranked.min_by_key(|(media, at, ..)| (*media, *at))
    else {
        return Ok(None);
    };
    let schema = schema_of(described);
    let encoding = described.get("encoding").and_then(Value::as_object);
    let is_form = matches!(media, Media::Form | Media::Multipart);
    let fields = if is_form { fields(document, schema, encoding) } else { Fields::default() };
    let form = match media {
        Media::Json => Form::Json,
        Media::Form => Form::Urlencoded(spellings(encoding)),
        Media::Multipart => Form::Multipart { files: fields.files.clone(), types: types(encoding) },
        Media::Text | Media::Lines | Media::Events => Form::Text,
        Media::Binary => Form::Binary,
    };
    let content_type = is_concrete(kind).then(|| kind.clone());
    Ok(Some(Read {
        plan: plan::Body { content_type, form },
        is_required: flag(written, "required"),
        description: text(written, "description"),
        kind,
        schema,
        fields,
    }))
}

/// A wildcard takes JSON, unless it is described as bytes.
fn of_type(document: &Document, kind: &str, schema: Option<&Value>) -> Media {
    match essence(kind).as_str() {
        "*/*" | "application/*" if !schema.is_some_and(|schema| is_file(document, schema)) => {
            Media::Json
        }
        "text/*" => Media::Text,
        _ => Media::of(kind),
    }
}

/// Returns true if a value is bytes: as 3.0 says it, or as 3.1 does.
fn is_file(document: &Document, schema: &Value) -> bool {
    let Some(schema) = document.resolved(schema) else { return false };
    let is = |key: &str, value: &str| schema.get(key).and_then(Value::as_str) == Some(value);
    let names_string = |kind: &Value| {
        kind == "string"
            || kind.as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "string"))
    };
    let is_string = schema.get("type").is_none_or(names_string);
    let media = schema.get("contentMediaType").and_then(Value::as_str).map(Media::of);
    is_string
        && (is("format", "binary")
            || (media == Some(Media::Binary) && schema.get("contentEncoding").is_none()))
}

fn fields<'d>(
    document: &'d Document,
    schema: Option<&'d Value>,
    encoding: Option<&Map<String, Value>>,
) -> Fields<'d> {
    let mut fields = Fields::default();
    if let Some(schema) = schema {
        let mut parts_left = FIELDS_PARTS_MAX;
        gather(document, schema, (true, 0), &mut parts_left, &mut fields);
    }
    for (name, schema) in &fields.schemas {
        let item = document.resolved(schema).and_then(|schema| schema.get("items"));
        let media = encoding
            .and_then(|encoding| encoding.get(*name)?.get("contentType")?.as_str())
            .map(Media::of);
        let says_little = document
            .resolved(schema)
            .is_some_and(|schema| schema.get("type").is_none() && schema.get("$ref").is_none());
        let bytes = is_file(document, schema) || item.is_some_and(|item| is_file(document, item));
        if bytes || (says_little && media == Some(Media::Binary)) {
            fields.files.insert((*name).to_owned());
        }
    }
    fields
}

fn gather<'d>(
    document: &'d Document,
    schema: &'d Value,
    (must, depth): (bool, usize),
    parts_left: &mut usize,
    fields: &mut Fields<'d>,
) {
    let Some(schema) =
        document.resolved(schema).filter(|_| depth <= FIELDS_DEPTH_MAX && *parts_left > 0)
    else {
        return;
    };
    *parts_left -= 1;
    for (name, property) in
        schema.get("properties").and_then(Value::as_object).into_iter().flatten()
    {
        let is_read_only =
            document.resolved(property).is_some_and(|property| flag(property, "readOnly"));
        let is_known = fields.schemas.iter().any(|(known, _)| known == name);
        if !is_read_only && !is_known && fields.schemas.len() < FIELDS_MAX {
            fields.schemas.push((name, property));
        }
    }
    if must {
        fields.required.extend(
            schema
                .get("required")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .take(FIELDS_MAX),
        );
    }
    for (key, must) in [("allOf", must), ("oneOf", false), ("anyOf", false)] {
        for part in schema.get(key).and_then(Value::as_array).into_iter().flatten().take(20) {
            gather(document, part, (must, depth + 1), parts_left, fields);
        }
    }
}

/// Fields that the description writes in a way of its own.
fn spellings(encoding: Option<&Map<String, Value>>) -> BTreeMap<String, Spelling> {
    let mut out = BTreeMap::new();
    for (name, encoding) in encoding.into_iter().flatten().take(FIELDS_MAX) {
        let Some(encoding) = encoding.as_object() else { continue };
        let style = text(encoding, "style").and_then(Style::of);
        let explode = encoding.get("explode").and_then(Value::as_bool);
        let reserved = flag(encoding, "allowReserved");
        if style.is_some() || explode.is_some() || reserved {
            let style = style
                .filter(|style| !matches!(style, Style::Simple | Style::Label | Style::Matrix))
                .unwrap_or(Style::Form);
            out.insert(
                name.clone(),
                Spelling { style, explode: explode.unwrap_or(style == Style::Form), reserved },
            );
        }
    }
    out
}

/// Types of fields; of several the first, for the value itself says a better one.
fn types(encoding: Option<&Map<String, Value>>) -> BTreeMap<String, String> {
    let listed = encoding.into_iter().flatten().take(FIELDS_MAX);
    listed
        .filter_map(|(name, encoding)| {
            let kind = encoding.get("contentType")?.as_str()?.split(',').next()?.trim();
            is_concrete(kind).then(|| (name.clone(), kind.to_owned()))
        })
        .collect()
}

/// The schema of the argument `body`, and whether it has a file in it.
pub(super) fn schema<'d>(
    builder: &mut Builder<'_, 'd>,
    detail: Detail,
    body: &Read<'d>,
) -> Result<(Value, bool), TooLarge> {
    let shown = cut(body.kind, 100);
    let (mut schema, has_file, remark) = match &body.plan.form {
        Form::Json => {
            let schema = body.schema.map_or_else(|| Ok(json!({})), |schema| builder.top(schema))?;
            (schema, false, String::new())
        }
        Form::Urlencoded(_) | Form::Multipart { .. } => {
            let is_multipart = matches!(body.plan.form, Form::Multipart { .. });
            let schema = form_schema(builder, body, is_multipart)?;
            (schema, is_multipart && !body.fields.files.is_empty(), String::new())
        }
        Form::Text => (json!({"type": "string"}), false, format!("a text of type `{shown}`")),
        Form::Binary => (reference(), true, format!("bytes of type `{shown}`")),
    };
    let Value::Object(map) = &mut schema else { return Ok((schema, has_file)) };
    let mut words = body
        .description
        .filter(|_| detail.words > 0)
        .map(|words| cut(words, detail.words).to_owned())
        .unwrap_or_default();
    if !remark.is_empty() {
        words = if words.is_empty() { remark } else { format!("{words}\n{remark}") };
    }
    if !words.is_empty() {
        builder.spend(words.len() + 18)?;
        map.insert("description".to_owned(), words.into());
    }
    Ok((schema, has_file))
}

fn form_schema<'d>(
    builder: &mut Builder<'_, 'd>,
    body: &Read<'d>,
    is_multipart: bool,
) -> Result<Value, TooLarge> {
    let mut properties = Map::new();
    for (name, schema) in &body.fields.schemas {
        builder.spend(name.len() + 4)?;
        let new = match is_multipart && body.fields.files.contains(*name) {
            false => builder.top(schema)?,
            true => file_of(builder, schema)?,
        };
        properties.insert((*name).to_owned(), new);
    }
    let known = |name: &&&str| body.fields.schemas.iter().any(|(known, _)| known == *name);
    let mut required: Vec<&str> = body.fields.required.iter().filter(known).copied().collect();
    required.sort_unstable();
    required.dedup();
    let mut schema = json!({"type": "object", "properties": properties});
    if !required.is_empty() {
        schema["required"] = required.into();
    }
    Ok(schema)
}

/// A file, or a list of files, with the description's own words.
fn file_of<'d>(builder: &mut Builder<'_, 'd>, schema: &'d Value) -> Result<Value, TooLarge> {
    let schema_of_body = builder.top(schema)?;
    let is_list = schema_of_body.get("type").is_some_and(|kind| kind == "array");
    let mut out =
        if is_list { json!({"type": "array", "items": reference()}) } else { reference() };
    if let Some(words) = schema_of_body.get("description") {
        out["description"] = words.clone();
    }
    Ok(out)
}

fn reference() -> Value {
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
