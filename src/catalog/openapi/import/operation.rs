//! One operation as a tool, and as a plan of its call.

use http::Method;
use serde_json::{Map, Value, json};

use super::{
    body, file,
    found::{Found, route},
    parameters::{Written, name_arguments, parameters},
    template::template,
};
use crate::{
    base::{json::encoded_bytes, text::cut},
    catalog::{
        openapi::{
            answer,
            document::text,
            media::Media,
            names::Name,
            plan::{BODY, CONTENT_TYPE, Place, Plan, RESPONSE, Stream},
            schema::{Builder, Detail, Direction, Schemas, TooLarge},
            security::{Asking, Security},
            servers::Target,
            words::plain,
        },
        schema::{
            dialect::flag,
            lenient::{self, OPTIONAL},
        },
        tool::{OfferedTool, SCHEMA_BYTES_MAX},
    },
    model::{Annotations, Operation},
};

/// Longest description of a tool, in bytes.
const DESCRIPTION_BYTES_MAX: usize = 4 * 1024;
/// Levels of detail of the arguments' schema: full, short, without descriptions, and finally a
/// rough outline.
const REQUEST_DETAILS: [Detail; 5] = [
    Detail { words: 1_000, limits: true, references: 64, bytes_max: 48 * 1024 },
    Detail { words: 120, limits: true, references: 64, bytes_max: 64 * 1024 },
    Detail { words: 0, limits: false, references: 64, bytes_max: 128 * 1024 },
    Detail { words: 0, limits: false, references: 2, bytes_max: SCHEMA_BYTES_MAX / 2 },
    Detail { words: 0, limits: false, references: 0, bytes_max: SCHEMA_BYTES_MAX / 2 },
];
/// Largest schema of a result, in bytes of JSON.
const ANSWER_BYTES_MAX: usize = 10 * 1024;
/// Levels of detail of the result's schema. Lower than those of the arguments, because there are
/// many and all are kept.
const ANSWER_DETAILS: [Detail; 5] = [
    Detail { words: 300, limits: true, references: 64, bytes_max: 6 * 1024 },
    Detail { words: 0, limits: false, references: 64, bytes_max: ANSWER_BYTES_MAX },
    Detail { words: 0, limits: false, references: 3, bytes_max: ANSWER_BYTES_MAX },
    Detail { words: 0, limits: false, references: 1, bytes_max: ANSWER_BYTES_MAX },
    Detail { words: 0, limits: false, references: 0, bytes_max: ANSWER_BYTES_MAX },
];

/// An operation that was read.
pub(super) struct Read {
    pub(super) tool: OfferedTool,
    pub(super) plan: Plan,
    /// Roughly what it takes to keep.
    pub(super) bytes: usize,
    /// What is wrong with parameters that are left out.
    pub(super) left_out: Vec<String>,
    /// True if its body has more media types than can be chosen.
    pub(super) has_more_media: bool,
    /// Places of the arguments that no value fits as they are described; they are not checked.
    pub(super) impossible: Vec<String>,
}

/// What the arguments of an operation are made of.
struct Arguments<'a, 'd> {
    written: &'a [Written<'d>],
    body: Option<&'a body::Read<'d>>,
    asking: &'a Asking<'a>,
}

/// Reads one operation, or says why it cannot be offered.
pub(super) fn read<'d>(
    found: &Found<'d>,
    name: &Name,
    schemas: &Schemas<'d>,
    target: Target,
    security: &Security,
) -> Result<Read, String> {
    let document = schemas.document;
    let asking = security.asking(found.path, found.operation);
    let body = body::of(document, found.operation, &asking)?;
    let mut left_out = Vec::new();
    let mut written = parameters(document, found, &asking, &mut left_out)?;
    let template = template(found.path, &asking, &mut written, &mut left_out)?;
    name_arguments(&mut written, body.is_some());
    let Answers { schema: output_schema, is_cut, types: answers, streams } =
        answers(schemas, found.operation);
    let arguments = Arguments { written: &written, body: body.as_ref(), asking: &asking };
    let (input_schema, impossible) = input_schema(schemas, &arguments)?;
    let bytes = encoded_bytes(&input_schema);
    let (method, operation) = method(found.method);
    let base = match target {
        Target::Below(url) => Ok(url),
        Target::Elsewhere { server, .. } => Err(cut(&server, 200).to_owned()),
        Target::NotChosen => return Err("it is at another server".to_owned()),
    };
    let description = description(found, is_cut);
    let bytes = bytes + description.len() + output_schema.as_ref().map_or(0, |(_, bytes)| *bytes);
    let has_more_media = body.as_ref().is_some_and(|body| body.is_cut);
    let plan = Plan {
        method,
        route: found.path.to_owned(),
        template,
        base,
        parameters: written.into_iter().map(|written| written.plan).collect(),
        body: body.map(|body| body.plan),
        accept: accept(&answers),
        is_json: answer::is_json(&answers),
        streams,
        credential: security.wanted(found.operation),
    };
    let tool = OfferedTool {
        name: name.present.clone(),
        former: name.former.clone(),
        title: text(found.operation, "summary").map(|summary| cut(&plain(summary), 200).to_owned()),
        description,
        input_schema,
        output_schema: output_schema.map(|(schema, _)| schema),
        annotations: annotations(operation),
        operation: Some(operation),
        fingerprint: Some(plan.fingerprint()),
        is_relaxed: true,
    };
    Ok(Read { tool, plan, bytes, left_out, has_more_media, impossible })
}

fn method(name: &str) -> (Method, Operation) {
    match name {
        "put" => (Method::PUT, Operation::Put),
        "post" => (Method::POST, Operation::Post),
        "delete" => (Method::DELETE, Operation::Delete),
        "options" => (Method::OPTIONS, Operation::Options),
        "head" => (Method::HEAD, Operation::Head),
        "patch" => (Method::PATCH, Operation::Patch),
        "trace" => (Method::TRACE, Operation::Trace),
        _ => (Method::GET, Operation::Get),
    }
}

/// Annotations that follow from the method (RFC 9110, 9.2).
fn annotations(operation: Operation) -> Annotations {
    let is_safe = matches!(
        operation,
        Operation::Get | Operation::Head | Operation::Options | Operation::Trace
    );
    Annotations {
        read_only: Some(is_safe),
        destructive: matches!(operation, Operation::Delete)
            .then_some(true)
            .or(is_safe.then_some(false)),
        idempotent: Some(is_safe || matches!(operation, Operation::Put | Operation::Delete)),
        open_world: None,
    }
}

fn description(found: &Found<'_>, is_cut: bool) -> String {
    let mut out = String::new();
    if flag(found.operation, "deprecated") {
        out.push_str("Deprecated. ");
    }
    let own = text(found.operation, "description").or_else(|| text(found.item, "description"));
    let (summary, own) = (text(found.operation, "summary").map(plain), own.map(plain));
    match (summary.as_deref(), own.as_deref()) {
        (Some(summary), Some(own)) if !own.starts_with(summary) => {
            out.push_str(summary);
            out.push_str(if summary.ends_with(['.', '!', '?']) { "\n\n" } else { ".\n\n" });
            out.push_str(own);
        }
        (summary, own) => out.push_str(own.or(summary).unwrap_or_default()),
    }
    let mut out = cut(&out, DESCRIPTION_BYTES_MAX).trim_end().to_owned();
    if !out.is_empty() {
        out.push_str("\n\n");
    }
    if is_cut {
        out.push_str(&format!(
            "The type of its result is larger than the {ANSWER_BYTES_MAX} bytes that are kept; \
            what is left out of it is `unknown`.\n\n"
        ));
    }
    // What the tool stands for; `Plan::schema_of_body` is the same.
    out.push_str(&route(found));
    out
}

/// The schema of the arguments, in the most detail that fits, and the places that no value fits.
fn input_schema<'d>(
    schemas: &Schemas<'d>,
    of: &Arguments<'_, 'd>,
) -> Result<(Map<String, Value>, Vec<String>), String> {
    for detail in REQUEST_DETAILS {
        let mut builder = Builder::new(schemas, Direction::Request, detail);
        let Ok(schema) = arguments(&mut builder, detail, of) else {
            builder.blame();
            continue;
        };
        let mut schema = Value::Object(schema);
        let impossible = lenient::relax(&mut schema);
        match schema {
            Value::Object(schema) if encoded_bytes(&schema) <= SCHEMA_BYTES_MAX => {
                return Ok((schema, impossible));
            }
            _ => {}
        }
    }
    Err(format!(
        "the schema of its arguments has more than {SCHEMA_BYTES_MAX} bytes even without any words"
    ))
}

fn arguments<'d>(
    builder: &mut Builder<'_, 'd>,
    detail: Detail,
    of: &Arguments<'_, 'd>,
) -> Result<Map<String, Value>, TooLarge> {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for one in of.written {
        builder.spend(one.plan.argument.len() + 8)?;
        properties.insert(one.plan.argument.clone(), argument(builder, detail, one)?);
        if one.is_required {
            required.push(Value::from(one.plan.argument.as_str()));
        }
    }
    let mut needs_file = false;
    if let Some(body) = of.body {
        let (schema, has_file) = body::schema(builder, detail, body, of.asking)?;
        needs_file = has_file;
        properties.insert(BODY.to_owned(), schema);
        if body.is_required {
            required.push(BODY.into());
        }
        if let Some(choice) = body::choice(body) {
            properties.insert(CONTENT_TYPE.to_owned(), choice);
        }
    }
    properties.insert(
        RESPONSE.to_owned(),
        json!({"type": "boolean", "description": "true: the answer is {status, headers, body}"}),
    );
    let mut schema: Map<String, Value> = [
        ("type".to_owned(), Value::from("object")),
        ("properties".to_owned(), Value::Object(properties)),
    ]
    .into_iter()
    .collect();
    if !required.is_empty() {
        schema.insert("required".to_owned(), Value::Array(required));
    }
    schema.insert("additionalProperties".to_owned(), Value::Bool(false));
    let mut definitions = builder.definitions()?;
    if needs_file {
        definitions.insert(file::FILE.to_owned(), file::file_schema());
    }
    if !definitions.is_empty() {
        schema.insert("$defs".to_owned(), Value::Object(definitions));
    }
    Ok(schema)
}

fn argument<'d>(
    builder: &mut Builder<'_, 'd>,
    detail: Detail,
    one: &Written<'d>,
) -> Result<Value, TooLarge> {
    let mut schema = match one.schema {
        Some(schema) => builder.top(schema)?,
        None => json!({}),
    };
    let Value::Object(map) = &mut schema else { return Ok(schema) };
    if let Some(words) = text(one.object, "description").filter(|_| detail.words > 0) {
        let words = plain(words);
        builder.spend(words.len().min(detail.words))?;
        map.insert("description".to_owned(), cut(&words, detail.words).into());
    }
    if flag(one.object, "deprecated") {
        map.insert("deprecated".to_owned(), Value::Bool(true));
    }
    let example =
        one.object.get("example").filter(|example| !example.is_object() && !example.is_null());
    if let Some(example) = example.filter(|example| {
        detail.limits && example.to_string().len() <= 100 && !map.contains_key("enum")
    }) {
        builder.spend(120)?;
        map.insert("examples".to_owned(), json!([example]));
    }
    if one.plan.place == Place::Path {
        // A path always has a value there, so nothing takes the place of one that is not given.
        map.shift_remove(OPTIONAL);
        if let Some(default) = map.shift_remove("default") {
            map.entry("examples").or_insert_with(|| json!([default]));
        }
    }
    Ok(schema)
}

/// A schema, and its size in bytes of JSON.
type MeasuredSchema = (Map<String, Value>, usize);

/// What successful responses are.
struct Answers {
    schema: Option<MeasuredSchema>,
    /// True if parts of the schema, or all of it, are left out for its size.
    is_cut: bool,
    /// All media types.
    types: Vec<String>,
    streams: Option<Stream>,
}

/// Successful responses: the schema of the first in JSON, all media types, and whether it is a
/// stream.
fn answers<'d>(schemas: &Schemas<'d>, operation: &'d Map<String, Value>) -> Answers {
    let responses = operation.get("responses").and_then(Value::as_object);
    let mut fine: Vec<(&str, &Value)> = responses
        .into_iter()
        .flatten()
        .map(|(status, response)| (status.as_str(), response))
        .filter(|(status, _)| status.starts_with('2'))
        .collect();
    fine.sort_by_key(|(status, _)| *status);
    if fine.is_empty() {
        fine.extend(responses.and_then(|responses| Some(("default", responses.get("default")?))));
    }
    let statuses: Vec<&str> = fine.iter().map(|(status, _)| *status).collect();
    let (mut types, mut schema): (Vec<String>, Option<&'d Value>) = (Vec::new(), None);
    for (_, response) in fine.into_iter().take(20) {
        let content = schemas
            .document
            .resolved(response)
            .and_then(|response| response.get("content")?.as_object());
        for (kind, media) in content.into_iter().flatten().take(20) {
            types.push(kind.clone());
            // What some frameworks write for whatever they send by default, which is JSON.
            let is_json = Media::of(kind) == Media::Json || kind == "*/*";
            if schema.is_none() && is_json {
                schema = media.get("schema");
            }
        }
    }
    let streams = answer::stream_of(&types);
    // What comes in one form or another has no one schema.
    let (schema, is_cut) = match made(&types, &statuses, streams) {
        Some(Value::Object(made)) => {
            let bytes = serde_json::to_vec(&made).map_or(0, |text| text.len());
            (Some((made, bytes)), false)
        }
        _ => schema.map_or((None, false), |schema| output_schema(schemas, schema)),
    };
    Answers { schema, is_cut, types, streams }
}

/// The schema of what is made of an answer that is not JSON, whatever the service says of it; see
/// `answer::value`.
fn made(types: &[String], statuses: &[&str], streams: Option<Stream>) -> Option<Value> {
    if streams.is_some() {
        return Some(json!({
            "type": "object", "required": ["items", "truncated"],
            "properties": { "items": { "type": "array" }, "truncated": { "type": "boolean" } },
        }));
    }
    if types.is_empty() {
        let is_empty =
            !statuses.is_empty() && statuses.iter().all(|status| matches!(*status, "204" | "205"));
        return is_empty.then(|| json!({ "type": "null" }));
    }
    types.iter().all(|kind| kind != "*/*" && Media::of(kind) == Media::Binary).then(|| {
        json!({
            "type": "object", "required": ["type", "base64", "bytes"],
            "properties": {
                "type": { "type": "string" }, "base64": { "type": "string" },
                "bytes": { "type": "integer" },
                "truncated": { "type": "boolean" },
            },
        })
    })
}

/// The schema of a result in the most detail that fits, and whether parts of it are left out.
fn output_schema<'d>(schemas: &Schemas<'d>, schema: &'d Value) -> (Option<MeasuredSchema>, bool) {
    for detail in ANSWER_DETAILS {
        let mut builder = Builder::new(schemas, Direction::ToolResponse, detail);
        let built = builder.top(schema).and_then(|top| Ok((top, builder.definitions()?)));
        let Ok((Value::Object(mut top), definitions)) = built else {
            builder.blame();
            continue;
        };
        let is_cut = builder.is_cut;
        if top.is_empty() {
            return (None, is_cut);
        }
        if !definitions.is_empty() {
            top.insert("$defs".to_owned(), Value::Object(definitions));
        }
        let mut whole = Value::Object(top);
        lenient::without_absent(&mut whole);
        let Value::Object(top) = whole else { return (None, is_cut) };
        let bytes = encoded_bytes(&top);
        return (Some((top, bytes)), is_cut);
    }
    (None, true)
}

/// JSON first where there is JSON; whatever else is sent is taken too.
fn accept(types: &[String]) -> String {
    let mut concrete: Vec<&str> = types
        .iter()
        .map(String::as_str)
        .filter(|kind| crate::catalog::openapi::media::is_concrete(kind))
        .collect();
    concrete.sort_by_key(|kind| Media::of(kind));
    concrete.dedup();
    concrete.truncate(6);
    match concrete.as_slice() {
        [] => "application/json, */*;q=0.5".to_owned(),
        [first, rest @ ..] => {
            let rest: String = rest.iter().map(|kind| format!(", {kind};q=0.9")).collect();
            format!("{first}{rest}, */*;q=0.1")
        }
    }
}
