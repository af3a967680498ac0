//! One operation as a tool, and as a plan of its call.

use std::{
    collections::{BTreeMap, HashSet},
    sync::LazyLock,
};

use http::Method;
use serde_json::{Map, Value, json};

use super::body;
use crate::{
    base::text::cut,
    catalog::{
        openapi::{
            answer,
            document::{Document, flag, text},
            media::Media,
            plan::{BODY, Parameter, Part, Place, Plan, RESPONSE, Stream, Template},
            schema::{Builder, Detail, Direction, Schemas, TooLarge},
            security::Security,
            servers::Target,
            style::{Spelling, Style},
        },
        tool::{OfferedTool, SCHEMA_BYTES_MAX},
    },
    model::{Annotations, Operation},
};

/// An operation and where it stands.
pub(super) struct Found<'d> {
    pub(super) method: &'static str,
    pub(super) path: &'d str,
    pub(super) item: &'d Map<String, Value>,
    pub(super) operation: &'d Map<String, Value>,
}

/// The operation as people name it: `GET /pets`.
pub(super) fn route(found: &Found<'_>) -> String {
    format!("{} {}", found.method.to_uppercase(), found.path)
}

/// Parameters of one operation.
const PARAMETERS_MAX: usize = 200;
/// Longest name of a parameter, in bytes.
const PARAMETER_BYTES_MAX: usize = 200;
/// Longest description of a tool, in bytes.
const DESCRIPTION_BYTES_MAX: usize = 4 * 1024;
/// Longest path, in bytes.
const PATH_BYTES_MAX: usize = 2_000;
/// Levels of detail of the arguments' schema: full, short, without descriptions, and finally a
/// rough outline.
const REQUEST_DETAILS: [Detail; 5] = [
    Detail { words: 1_000, limits: true, references: 64, bytes_max: 48 * 1024 },
    Detail { words: 120, limits: true, references: 64, bytes_max: 64 * 1024 },
    Detail { words: 0, limits: false, references: 64, bytes_max: 128 * 1024 },
    Detail { words: 0, limits: false, references: 2, bytes_max: SCHEMA_BYTES_MAX / 2 },
    Detail { words: 0, limits: false, references: 0, bytes_max: SCHEMA_BYTES_MAX / 2 },
];
/// Levels of detail of the result's schema. Lower than those of the arguments, because there are
/// many and all are kept.
const ANSWER_DETAILS: [Detail; 5] = [
    Detail { words: 300, limits: true, references: 64, bytes_max: 6 * 1024 },
    Detail { words: 0, limits: false, references: 64, bytes_max: 10 * 1024 },
    Detail { words: 0, limits: false, references: 3, bytes_max: 10 * 1024 },
    Detail { words: 0, limits: false, references: 1, bytes_max: 10 * 1024 },
    Detail { words: 0, limits: false, references: 0, bytes_max: 10 * 1024 },
];
/// Headers that are not a caller's: they say where a request goes, who sends it and how it is read.
const OWN_HEADERS: [&str; 22] = [
    "accept",
    "accept-encoding",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "origin",
    "referer",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
];

/// Stands for a parameter that a path has and nothing describes.
static NOTHING: LazyLock<Map<String, Value>> =
    LazyLock::new(|| [("schema".to_owned(), json!({"type": "string"}))].into_iter().collect());

/// An operation that was read.
pub(super) struct Read {
    pub(super) tool: OfferedTool,
    pub(super) plan: Plan,
    /// Roughly what it takes to keep.
    pub(super) bytes: usize,
}

/// A parameter as it is written.
pub(super) struct Written<'d> {
    object: &'d Map<String, Value>,
    schema: Option<&'d Value>,
    is_required: bool,
    plan: Parameter,
}

/// Reads one operation, or says why it cannot be offered.
pub(super) fn read<'d>(
    found: &Found<'d>,
    name: &str,
    schemas: &Schemas<'d>,
    target: Target,
    security: &Security,
) -> Result<Read, String> {
    let document = schemas.document;
    let body = body::of(document, found.operation)?;
    let mut written = parameters(document, found, security)?;
    let template = template(found.path, &mut written)?;
    name_arguments(&mut written, body.is_some());
    let (output_schema, answers, streams) = answers(schemas, found.operation);
    let (input_schema, bytes) = input_schema(schemas, &written, body.as_ref())?;
    let (method, operation) = method(found.method);
    let base = match target {
        Target::Below(url) => Ok(url),
        Target::Elsewhere { origin, .. } => Err(origin),
        Target::NotChosen => return Err("it is at another server".to_owned()),
    };
    let description = description(found);
    let bytes = bytes + description.len() + output_schema.as_ref().map_or(0, |(_, bytes)| *bytes);
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
        name: name.to_owned(),
        title: text(found.operation, "summary").map(|summary| cut(summary, 200).to_owned()),
        description,
        input_schema,
        output_schema: output_schema.map(|(schema, _)| schema),
        annotations: annotations(operation),
        operation: Some(operation),
        fingerprint: Some(plan.fingerprint()),
    };
    Ok(Read { tool, plan, bytes })
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

fn description(found: &Found<'_>) -> String {
    let mut out = String::new();
    if flag(found.operation, "deprecated") {
        out.push_str("Deprecated. ");
    }
    let own = text(found.operation, "description").or_else(|| text(found.item, "description"));
    match (text(found.operation, "summary"), own) {
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
    // What the tool stands for; `Plan::schema_of_body` is the same.
    out.push_str(&route(found));
    out
}

/// The parameters of an operation, those of its path included.
fn parameters<'d>(
    document: &'d Document,
    found: &Found<'d>,
    security: &Security,
) -> Result<Vec<Written<'d>>, String> {
    let mut seen = HashSet::new();
    let mut out: Vec<Written<'d>> = Vec::new();
    for holder in [found.operation, found.item] {
        for listed in holder.get("parameters").and_then(Value::as_array).into_iter().flatten() {
            let object = document
                .resolved(listed)
                .ok_or("a parameter is a reference that leads nowhere or out of the document")?;
            let (Some(name), Some(place)) =
                (text(object, "name"), object.get("in").and_then(Value::as_str))
            else {
                return Err("a parameter has no `name` or no `in`".to_owned());
            };
            let Some(place) = Place::of(place) else {
                return Err(format!("parameter `{}` is in `{}`", cut(name, 60), cut(place, 60)));
            };
            if name.len() > PARAMETER_BYTES_MAX {
                return Err(format!(
                    "the name of a parameter is longer than {PARAMETER_BYTES_MAX} bytes"
                ));
            }
            let is_ours = match place {
                Place::Header => {
                    is_own_header(name) || http::HeaderName::from_bytes(name.as_bytes()).is_err()
                }
                _ => false,
            };
            if is_ours || security.holds(place.as_str(), name) || !seen.insert((place, name)) {
                continue;
            }
            if out.len() == PARAMETERS_MAX {
                return Err(format!("it has more than {PARAMETERS_MAX} parameters"));
            }
            out.push(written(object, name, place));
        }
    }
    Ok(out)
}

fn is_own_header(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    OWN_HEADERS.contains(&name.as_str())
        || ["proxy-", "sec-", "x-forwarded-"].iter().any(|prefix| name.starts_with(prefix))
}

fn written<'d>(object: &'d Map<String, Value>, name: &str, place: Place) -> Written<'d> {
    let content = object.get("content").and_then(|content| content.as_object()?.iter().next());
    let schema = content.map_or_else(|| object.get("schema"), |(_, media)| media.get("schema"));
    let usual = match place {
        Place::Path | Place::Header => Style::Simple,
        Place::Query | Place::Cookie => Style::Form,
    };
    let style = text(object, "style").and_then(Style::of).unwrap_or(usual);
    let fits = match place {
        Place::Path => matches!(style, Style::Simple | Style::Label | Style::Matrix),
        Place::Header => style == Style::Simple,
        Place::Query | Place::Cookie => {
            !matches!(style, Style::Simple | Style::Label | Style::Matrix)
        }
    };
    let style = if fits { style } else { usual };
    let explode = object.get("explode").and_then(Value::as_bool).unwrap_or(style == Style::Form);
    let reserved = place == Place::Query && flag(object, "allowReserved");
    let plan = Parameter {
        name: name.to_owned(),
        argument: name.to_owned(),
        place,
        spelling: Spelling { style, explode, reserved },
        json: content.is_some_and(|(kind, _)| Media::of(kind) == Media::Json),
    };
    Written { object, schema, is_required: place == Place::Path || flag(object, "required"), plan }
}

/// A name is given to one parameter: that of the path goes first, then query, header, cookie;
/// others are told by their place.
fn name_arguments(written: &mut [Written<'_>], has_body: bool) {
    let mut taken: HashSet<String> = HashSet::from([RESPONSE.to_owned()]);
    if has_body {
        taken.insert(BODY.to_owned());
    }
    let mut order: Vec<usize> = (0..written.len()).collect();
    order.sort_by(|a, b| {
        let key = |at: &usize| (written[*at].plan.place, &written[*at].plan.name);
        key(a).cmp(&key(b))
    });
    for at in order {
        let plan = &mut written[at].plan;
        let by_place = format!("{}_{}", plan.place.as_str(), plan.name);
        let numbered = (2..).map(|n| format!("{by_place}_{n}"));
        let mut names = [plan.name.clone(), by_place.clone()].into_iter().chain(numbered);
        // The numbers never end.
        plan.argument = names.find(|name| !taken.contains(name)).unwrap_or_default();
        taken.insert(plan.argument.clone());
    }
}

/// The path with its variables; one that is not described takes a text.
fn template(path: &str, written: &mut Vec<Written<'_>>) -> Result<Template, String> {
    if !path.starts_with('/') || path.len() > PATH_BYTES_MAX {
        return Err(format!("a path begins with `/` and has at most {PATH_BYTES_MAX} bytes"));
    }
    let path = path.split('#').next().unwrap_or_default();
    let (path, query) =
        path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let mut parts = Vec::new();
    let mut used = HashSet::new();
    let mut rest = path;
    while let Some((before, inner)) = rest.split_once('{') {
        let (name, after) = inner.split_once('}').ok_or("a variable of its path is not closed")?;
        parts.push(Part::Text(literal(before)?));
        // `{path*}` and `{+path}` are no part of OpenAPI; they are found all the same.
        let name = name.trim_matches(['*', '+']);
        let at =
            written.iter().position(|one| one.plan.place == Place::Path && one.plan.name == name);
        let at = match at {
            Some(at) => at,
            None if name.is_empty()
                || name.len() > PARAMETER_BYTES_MAX
                || written.len() >= PARAMETERS_MAX =>
            {
                return Err("its path has a variable that cannot be named".to_owned());
            }
            None => {
                written.push(self::written(&NOTHING, name, Place::Path));
                written.len() - 1
            }
        };
        used.insert(at);
        parts.push(Part::Variable(at));
        rest = after;
    }
    parts.push(Part::Text(literal(rest)?));
    // What is described and does not stand in the path cannot be sent.
    if used.len() < written.iter().filter(|one| one.plan.place == Place::Path).count() {
        let mut at = 0;
        let mut moved: BTreeMap<usize, usize> = BTreeMap::new();
        let mut kept = 0;
        written.retain(|one| {
            let keep = one.plan.place != Place::Path || used.contains(&at);
            if keep {
                moved.insert(at, kept);
                kept += 1;
            }
            at += 1;
            keep
        });
        for part in &mut parts {
            if let Part::Variable(at) = part {
                *at = moved.get(at).copied().unwrap_or_default();
            }
        }
    }
    let query =
        query.filter(|query| !query.is_empty() && !query.contains(['{', '}'])).map(|query| {
            let pairs = url::form_urlencoded::parse(query.as_bytes());
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
        });
    Ok(Template { parts, query })
}

/// A part of a path as it stands in an address.
fn literal(text: &str) -> Result<String, String> {
    let mut url = url::Url::parse("http://h/").map_err(|_| "its path cannot be read")?;
    // Alone, a part such as `..` of `{a}..` would be taken for a whole segment.
    if text.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err("its path holds a segment `.` or `..`".to_owned());
    }
    url.set_path(&format!("x{text}x"));
    let path = url.path().strip_prefix("/x").and_then(|path| path.strip_suffix('x'));
    path.map(str::to_owned).ok_or_else(|| "its path cannot be read".to_owned())
}

/// The schema of the arguments, in the most detail that fits, and its size.
fn input_schema<'d>(
    schemas: &Schemas<'d>,
    written: &[Written<'d>],
    body: Option<&body::Read<'d>>,
) -> Result<(Map<String, Value>, usize), String> {
    for detail in REQUEST_DETAILS {
        let mut builder = Builder::new(schemas, Direction::Request, detail);
        let Ok(schema) = arguments(&mut builder, detail, written, body) else {
            builder.blame();
            continue;
        };
        let bytes = serde_json::to_vec(&schema).map_or(usize::MAX, |text| text.len());
        if bytes <= SCHEMA_BYTES_MAX {
            return Ok((schema, bytes));
        }
    }
    Err(format!(
        "the schema of its arguments has more than {SCHEMA_BYTES_MAX} bytes even without any words"
    ))
}

fn arguments<'d>(
    builder: &mut Builder<'_, 'd>,
    detail: Detail,
    written: &[Written<'d>],
    body: Option<&body::Read<'d>>,
) -> Result<Map<String, Value>, TooLarge> {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for one in written {
        builder.spend(one.plan.argument.len() + 8)?;
        properties.insert(one.plan.argument.clone(), argument(builder, detail, one)?);
        if one.is_required {
            required.push(Value::from(one.plan.argument.as_str()));
        }
    }
    let mut needs_file = false;
    if let Some(body) = body {
        let (schema, has_file) = body::schema(builder, detail, body)?;
        needs_file = has_file;
        properties.insert(BODY.to_owned(), schema);
        if body.is_required {
            required.push(BODY.into());
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
        definitions.insert(body::FILE.to_owned(), body::file_schema());
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
        builder.spend(words.len().min(detail.words))?;
        map.insert("description".to_owned(), cut(words, detail.words).into());
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
    Ok(schema)
}

type Answers = (Option<(Map<String, Value>, usize)>, Vec<String>, Option<Stream>);

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
    let schema = match made(&types, &statuses, streams) {
        Some(Value::Object(made)) => {
            let bytes = serde_json::to_vec(&made).map_or(0, |text| text.len());
            Some((made, bytes))
        }
        _ => schema.and_then(|schema| output_schema(schemas, schema)),
    };
    (schema, types, streams)
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

fn output_schema<'d>(
    schemas: &Schemas<'d>,
    schema: &'d Value,
) -> Option<(Map<String, Value>, usize)> {
    for detail in ANSWER_DETAILS {
        let mut builder = Builder::new(schemas, Direction::ToolResponse, detail);
        let built = builder.top(schema).and_then(|top| Ok((top, builder.definitions()?)));
        let Ok((Value::Object(mut top), definitions)) = built else {
            builder.blame();
            continue;
        };
        if top.is_empty() {
            return None;
        }
        if !definitions.is_empty() {
            top.insert("$defs".to_owned(), Value::Object(definitions));
        }
        let bytes = serde_json::to_vec(&top).map_or(0, |text| text.len());
        return Some((top, bytes));
    }
    None
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
