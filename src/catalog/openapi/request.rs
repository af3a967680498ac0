//! Builds a request from arguments: fills in the path, writes the query, encodes the body. No
//! argument can change the host, leave the path's template or set a header that the document does
//! not name.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use serde_json::Value;
use url::Url;

use super::{
    media::is_concrete,
    plan::{
        BODY, Body, CONTENT_TYPE, FileField, Form, MediaForm, Parameter, Part, Place, Plan,
        RESPONSE, Stream,
    },
    style::{Spelling, Style, encoded, text},
};
use crate::{
    base::{
        base64_text,
        text::{cut, quoted},
    },
    catalog::{
        http::message::{Part as Field, ServiceBody, ServiceRequest, Until},
        upstream::response::{ANSWER_BYTES_MAX, LARGE_BYTES},
    },
    model::JsonObject,
};

/// Longest address of a request, in bytes; servers take about 8 KiB.
pub(super) const URL_BYTES_MAX: usize = 16 * 1024;
/// Largest body of a request, in bytes.
pub(super) const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Events or lines that are read of a stream.
pub(super) const STREAM_ITEMS_MAX: usize = 1_000;
/// Fields of a form.
const FIELDS_MAX: usize = 1_000;

/// The request, and whether the answer is wanted with status and headers. Fails with what is wrong
/// with the arguments.
pub(super) fn request(plan: &Plan, mut args: JsonObject) -> Result<(ServiceRequest, bool), String> {
    let base = plan.base.as_ref().map_err(|elsewhere| {
        format!(
            "`{} {}` is at another origin, `{elsewhere}`; to call it, add an upstream with the \
            same `spec` and this address as its `server`",
            plan.method, plan.route
        )
    })?;
    let with_response = args.shift_remove(RESPONSE) == Some(Value::Bool(true));
    let body = args.shift_remove(BODY).filter(|_| plan.body.is_some());
    let chosen = args.shift_remove(CONTENT_TYPE).filter(|_| plan.body.is_some());
    let url = address(plan, base, &args)?;
    let mut headers = headers(plan, &args)?;
    if let Ok(accept) = HeaderValue::from_str(&plan.accept) {
        headers.insert(header::ACCEPT, accept);
    }
    let body = match (&plan.body, body) {
        (Some(body), Some(value)) => {
            let way = way(body, &value, chosen.as_ref().and_then(Value::as_str))?;
            if value.is_null() && !matches!(way.form, Form::Json) {
                ServiceBody::None
            } else {
                written(way, value)?
            }
        }
        _ => ServiceBody::None,
    };
    let idempotent = matches!(
        plan.method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE | Method::TRACE
    );
    let until = match plan.streams {
        Some(Stream::Lines) => Until::Lines(STREAM_ITEMS_MAX),
        Some(Stream::Events) => Until::Events(STREAM_ITEMS_MAX),
        None => Until::End,
    };
    let method = plan.method.clone();
    // What is cut off anyway is not read for long.
    let answer_bytes_max = if matches!(until, Until::End) { ANSWER_BYTES_MAX } else { LARGE_BYTES };
    let request = ServiceRequest {
        method,
        url,
        headers,
        body,
        idempotent,
        is_graphql: false,
        answer_bytes_max,
        until,
    };
    Ok((request, with_response))
}

fn given<'a>(
    plan: &'a Plan,
    args: &'a JsonObject,
    place: Place,
) -> impl Iterator<Item = (&'a Parameter, &'a Value)> {
    let of_place = plan.parameters.iter().filter(move |parameter| parameter.place == place);
    of_place.filter_map(|parameter| Some((parameter, args.get(&parameter.argument)?)))
}

fn address(plan: &Plan, base: &Url, args: &JsonObject) -> Result<Url, String> {
    let mut path = base.path().trim_end_matches('/').to_owned();
    for part in &plan.template.parts {
        match part {
            Part::Text(text) => path.push_str(text),
            Part::Variable(at) => path.push_str(&variable(&plan.parameters[*at], args)?),
        }
    }
    if path.is_empty() {
        path.push('/');
    }
    let mut query: Vec<String> =
        base.query().into_iter().chain(plan.template.query.as_deref()).map(str::to_owned).collect();
    for (parameter, value) in given(plan, args, Place::Query) {
        query.extend(pairs(parameter, value));
    }
    let query = query.join("&");
    if path.len() + query.len() > URL_BYTES_MAX {
        return Err(format!(
            "the URL would be {} bytes; the limit is {URL_BYTES_MAX}; give less in path and \
            query",
            path.len() + query.len()
        ));
    }
    let mut url = base.clone();
    url.set_path(&path);
    url.set_query((!query.is_empty()).then_some(query.as_str()));
    url.set_fragment(None);
    // An address that reads otherwise than it was written has left its template.
    if url.path() != path || url.origin() != base.origin() {
        return Err("the arguments make an address that leaves the operation's path".to_owned());
    }
    Ok(url)
}

/// Value of a path variable: never empty, and never a step up or sideways.
fn variable(parameter: &Parameter, args: &JsonObject) -> Result<String, String> {
    let name = &parameter.argument;
    let value = args.get(name).filter(|value| !value.is_null());
    let value =
        value.ok_or_else(|| format!("field `{name}` is missing; it is part of the path"))?;
    let plain =
        if parameter.json { value.to_string() } else { parameter.spelling.in_header(value) };
    if plain.is_empty() {
        return Err(format!("field `{name}` is empty; it is part of the path"));
    }
    // Some servers decode before they split.
    if plain.split(['/', '\\']).any(|segment| matches!(segment, "." | "..")) {
        return Err(format!(
            "field `{name}` holds a segment `.` or `..`, which may not stand in a path"
        ));
    }
    Ok(if parameter.json {
        encoded(&plain)
    } else {
        parameter.spelling.in_path(&parameter.name, value)
    })
}

/// `name=value`, as query and cookies have it.
fn pairs(parameter: &Parameter, value: &Value) -> Vec<String> {
    match value {
        Value::Null => Vec::new(),
        value if parameter.json => {
            parameter.spelling.pairs(&parameter.name, &Value::String(value.to_string()))
        }
        value => parameter.spelling.pairs(&parameter.name, value),
    }
}

fn headers(plan: &Plan, args: &JsonObject) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    let unfit = |parameter: &Parameter| {
        format!("field `{}` holds characters that no header may hold", parameter.argument)
    };
    for (parameter, value) in given(plan, args, Place::Header).filter(|(_, value)| !value.is_null())
    {
        let name = HeaderName::try_from(parameter.name.as_str()).map_err(|_| unfit(parameter))?;
        let text =
            if parameter.json { value.to_string() } else { parameter.spelling.in_header(value) };
        headers.insert(name, HeaderValue::try_from(text).map_err(|_| unfit(parameter))?);
    }
    let cookies: Vec<String> = given(plan, args, Place::Cookie)
        .flat_map(|(parameter, value)| pairs(parameter, value))
        .collect();
    if !cookies.is_empty() {
        let value = HeaderValue::try_from(cookies.join("; "))
            .map_err(|_| "a cookie holds characters that no header may hold")?;
        headers.insert(header::COOKIE, value);
    }
    Ok(headers)
}

/// The way to write a body: the chosen one, else the first that fits the value. A text is sent as
/// something else than JSON only where that is all there is, or it was chosen: it may be a slip.
fn way<'p>(body: &'p Body, value: &Value, chosen: Option<&str>) -> Result<&'p MediaForm, String> {
    let types = || quoted(body.ways.iter().filter_map(|way| way.content_type.as_deref()));
    if let Some(chosen) = chosen {
        let is_it = |way: &&MediaForm| {
            way.content_type.as_deref().is_some_and(|kind| kind.eq_ignore_ascii_case(chosen))
        };
        return body.ways.iter().find(is_it).ok_or_else(|| {
            format!("field `{CONTENT_TYPE}` is {:?}; allowed: {}", cut(chosen, 80), types())
        });
    }
    let [usual, others @ ..] = body.ways.as_slice() else {
        return Err(format!("field `{BODY}` has no media type"));
    };
    if others.is_empty() {
        return Ok(usual);
    }
    let is_of_fields =
        |way: &&MediaForm| !matches!(way.form, Form::Text | Form::Binary) && way.shapes.has(value);
    let holds_file = |way: &&MediaForm| match (&way.form, value) {
        (Form::Multipart { files, .. }, Value::Object(fields)) => {
            files.keys().any(|name| fields.get(name).is_some_and(is_file))
        }
        _ => false,
    };
    let has_fields = body.ways.iter().any(|way| !matches!(way.form, Form::Text | Form::Binary));
    let fitting = body
        .ways
        .iter()
        .find(holds_file)
        // The first of those that fit equally well.
        .or_else(|| body.ways.iter().filter(is_of_fields).min_by_key(|way| way.known.faults(value)))
        .or_else(|| body.ways.iter().find(|way| !has_fields && way.shapes.has(value)));
    fitting.ok_or_else(|| {
        let shape = match value {
            Value::Object(_) => "an object",
            Value::Array(_) => "an array",
            Value::String(_) => "a string",
            _ => "a plain value",
        };
        format!(
            "field `{BODY}` is {shape}, which is sent in none of its media types unless \
            `{CONTENT_TYPE}` chooses one: {}",
            types()
        )
    })
}

/// Returns true if a value is a file, or a list of files.
fn is_file(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.first().is_some_and(is_file),
        value => ["base64", "text"].iter().any(|key| value.get(key).is_some_and(Value::is_string)),
    }
}

fn written(how: &MediaForm, value: Value) -> Result<ServiceBody, String> {
    let bytes = |kind: &str, bytes: Vec<u8>| ServiceBody::Bytes {
        content_type: kind.to_owned(),
        bytes: bytes.into(),
    };
    let kind = how.content_type.as_deref();
    let body = match &how.form {
        Form::Json => bytes(kind.unwrap_or("application/json"), value.to_string().into_bytes()),
        Form::Urlencoded(spellings) => {
            bytes("application/x-www-form-urlencoded", urlencoded(&value, spellings)?.into_bytes())
        }
        Form::Multipart { files, types } => ServiceBody::Multipart(multipart(value, files, types)?),
        Form::Text => bytes(kind.unwrap_or("text/plain; charset=utf-8"), text(&value).into_bytes()),
        Form::Binary => {
            let file = File::of(value, BODY)?;
            let kind = kind
                .map(str::to_owned)
                .or(file.kind)
                .unwrap_or_else(|| "application/octet-stream".to_owned());
            ServiceBody::Bytes { content_type: kind, bytes: file.bytes }
        }
    };
    let size = match &body {
        ServiceBody::Bytes { bytes, .. } => bytes.len(),
        ServiceBody::Multipart(fields) => fields.iter().map(|field| field.bytes.len()).sum(),
        ServiceBody::None => 0,
    };
    if size > BODY_BYTES_MAX {
        return Err(format!("field `{BODY}` is {size} bytes; the limit is {BODY_BYTES_MAX}"));
    }
    Ok(body)
}

fn fields(value: Value) -> Result<JsonObject, String> {
    match value {
        Value::Object(fields) if fields.len() <= FIELDS_MAX => Ok(fields),
        Value::Object(fields) => {
            Err(format!("field `{BODY}` has {} fields; the limit is {FIELDS_MAX}", fields.len()))
        }
        _ => Err(format!("field `{BODY}` must be an object: its fields are those of a form")),
    }
}

fn urlencoded(value: &Value, spellings: &BTreeMap<String, Spelling>) -> Result<String, String> {
    let usual = Spelling { style: Style::Form, explode: true, reserved: false };
    let fields = fields(value.clone())?;
    let pairs = fields.iter().flat_map(|(name, value)| match (spellings.get(name), value) {
        (Some(spelling), value) => spelling.pairs(name, value),
        // An object has no way of its own to stand in a form.
        (None, Value::Object(_)) => usual.pairs(name, &Value::String(value.to_string())),
        (None, value) => usual.pairs(name, value),
    });
    Ok(pairs.collect::<Vec<_>>().join("&"))
}

fn multipart(
    value: Value,
    files: &HashMap<String, FileField>,
    types: &BTreeMap<String, String>,
) -> Result<Vec<Field>, String> {
    let mut parts = Vec::new();
    for (name, value) in fields(value)? {
        // A list is several parts of one name.
        let items = match value {
            Value::Array(items) => items,
            other => vec![other],
        };
        for item in items.into_iter().filter(|item| !item.is_null()) {
            if parts.len() == FIELDS_MAX {
                return Err(format!("field `{BODY}` has more than {FIELDS_MAX} parts"));
            }
            let declared = types.get(&name).cloned();
            let is_a_file = match files.get(&name) {
                Some(FileField::Only) => true,
                Some(FileField::OrPlain) => is_file(&item),
                None => false,
            };
            parts.push(if is_a_file {
                let file = File::of(item, &format!("{BODY}.{name}"))?;
                // Without a name a server takes it for a plain field.
                let file_name = Some(file.name.unwrap_or_else(|| name.clone()));
                let kind =
                    file.kind.or(declared).unwrap_or_else(|| "application/octet-stream".to_owned());
                Field { name: name.clone(), file_name, content_type: Some(kind), bytes: file.bytes }
            } else {
                let json = item.is_object() || item.is_array();
                let kind = declared.or_else(|| json.then(|| "application/json".to_owned()));
                Field {
                    name: name.clone(),
                    file_name: None,
                    content_type: kind,
                    bytes: text(&item).into(),
                }
            });
        }
    }
    Ok(parts)
}

/// A file as code gives it: `{base64 | text, name?, type?}`, which is also how an answer gives one,
/// or only its text.
struct File {
    bytes: Bytes,
    name: Option<String>,
    kind: Option<String>,
}

impl File {
    fn of(value: Value, field: &str) -> Result<Self, String> {
        let mut file = match value {
            Value::String(text) => return Ok(Self { bytes: text.into(), name: None, kind: None }),
            Value::Object(file) => file,
            _ => {
                return Err(format!(
                    "field `{field}` must be a file: {{ base64, name, type }} or {{ text, name, \
                    type }}"
                ));
            }
        };
        if file.get("truncated") == Some(&Value::Bool(true)) {
            return Err(format!(
                "field `{field}` is the head of a larger answer (`truncated`), which is not the \
                file"
            ));
        }
        let mut taken = |key: &str| match file.remove(key) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        let (name, kind) = (taken("name"), taken("type"));
        let bytes: Bytes = match (taken("base64"), taken("text")) {
            (Some(base64), None) => base64_text::bytes(&base64)
                .ok_or_else(|| format!("field `{field}.base64` is not base64"))?
                .into(),
            (None, Some(text)) => text.into(),
            _ => return Err(format!("field `{field}` must have either `base64` or `text`")),
        };
        if name.as_ref().is_some_and(|name| name.len() > 255 || name.chars().any(char::is_control))
        {
            return Err(format!(
                "field `{field}.name` is longer than 255 bytes or holds control characters"
            ));
        }
        // `Uint8Array` says how code held the bytes, not what they are.
        let kind = kind.filter(|kind| kind.contains('/'));
        if let Some(kind) = kind.as_ref().filter(|kind| !is_concrete(kind)) {
            let shown = cut(kind, 80);
            return Err(format!(
                "field `{field}.type` is {shown:?}, which is not a media type such as `image/png`"
            ));
        }
        Ok(Self { bytes, name, kind })
    }
}

#[cfg(test)]
mod tests;
