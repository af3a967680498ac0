//! Request body of an operation: its media types, and the schema of the argument `body`.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Map, Value, json};

use super::file::{self, Taken, is_file};
use crate::{
    base::text::cut,
    catalog::{
        openapi::{
            document::{Document, text},
            media::{Media, essence, is_concrete},
            plan::{self, BODY, Form, Shapes},
            schema::{Builder, Detail, TooLarge},
            security::{Asked, Asking},
            style::{Spelling, Style},
            words::plain,
        },
        schema::{
            dialect::{flag, is_nullable},
            lenient::{ABSENT, OPTIONAL},
        },
    },
};

/// Says of a field that a caller does not give it.
const OF_THE_OWNER: &str = "Set by the configuration.";
/// Fields of a form that are described.
const FIELDS_MAX: usize = 500;
/// `allOf` within each other, and schemas in all, that are searched for fields.
const FIELDS_DEPTH_MAX: usize = 6;
const FIELDS_PARTS_MAX: usize = 200;

/// Media types of one body.
pub(super) const MEDIA_MAX: usize = 8;
/// Schemas within each other that are looked at for the shape of their values.
const SHAPE_DEPTH_MAX: usize = 8;

/// A request's body.
pub(super) struct Read<'d> {
    pub(super) plan: plan::Body,
    pub(super) is_required: bool,
    description: Option<&'d str>,
    /// What is described of each way to write it.
    ways: Vec<Described<'d>>,
    /// True if it has more media types than are taken.
    pub(super) is_cut: bool,
}

/// A media type as it is described.
struct Described<'d> {
    kind: &'d str,
    schema: Option<&'d Value>,
    fields: Fields<'d>,
}

/// Fields of a form: of each its schema, and which must be given.
#[derive(Default)]
struct Fields<'d> {
    schemas: Vec<(&'d str, &'d Value)>,
    required: Vec<&'d str>,
    files: HashMap<String, plan::FileField>,
    /// Fields that need not be given, whichever part requires them: only answers have them, or they
    /// have a default.
    optional: HashSet<&'d str>,
}

/// The body of an operation; none where it has none.
pub(super) fn of<'d>(
    document: &'d Document,
    operation: &'d Map<String, Value>,
    asking: &Asking<'_>,
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
    let mut ranked: Vec<(Media, usize, &String, &Value)> = content
        .iter()
        .enumerate()
        .map(|(at, (kind, media))| (of_type(document, kind, media.get("schema")), at, kind, media))
        .collect();
    ranked.sort_by_key(|(media, at, ..)| (*media, *at));
    let is_cut = ranked.len() > MEDIA_MAX;
    ranked.truncate(MEDIA_MAX);
    let has_choice = ranked.len() > 1;
    let (mut ways, mut described) = (Vec::new(), Vec::new());
    for (media, _, kind, written) in ranked {
        let (mut way, one) = way(document, media, (kind, written), asking);
        if has_choice {
            way.known = known(document, media, &one);
        }
        ways.push(way);
        described.push(one);
    }
    Ok(Some(Read {
        plan: plan::Body { ways },
        is_required: flag(written, "required"),
        description: text(written, "description"),
        ways: described,
        is_cut,
    }))
}

/// One way to write a body.
fn way<'d>(
    document: &'d Document,
    media: Media,
    (kind, written): (&'d str, &'d Value),
    asking: &Asking<'_>,
) -> (plan::MediaForm, Described<'d>) {
    let schema = written.get("schema");
    let encoding = written.get("encoding").and_then(Value::as_object);
    let is_form = matches!(media, Media::Form | Media::Multipart);
    let mut fields = if is_form { fields(document, schema, encoding) } else { Fields::default() };
    let of_caller = |(name, schema): &(&str, &Value)| {
        let is_required = fields.required.contains(name);
        asking.asked("field", name, is_required, document.resolved(schema).map(|_| *schema))
    };
    let asked: Vec<(&str, Asked)> =
        fields.schemas.iter().map(|field| (field.0, of_caller(field))).collect();
    for (name, asked) in asked {
        if asked != Asked::AsDescribed {
            fields.required.retain(|required| *required != name);
        }
        if asked == Asked::Never {
            fields.schemas.retain(|(known, _)| *known != name);
        }
    }
    let form = match media {
        Media::Json => Form::Json,
        Media::Form => Form::Urlencoded(spellings(encoding)),
        Media::Multipart => Form::Multipart { files: fields.files.clone(), types: types(encoding) },
        Media::Text | Media::Lines | Media::Events => Form::Text,
        Media::Binary => Form::Binary,
    };
    let shapes = match media {
        Media::Json if is_json_patch(kind) => Shapes::LIST,
        Media::Json => schema.map_or(Shapes::ALL, |schema| shapes(document, schema, 0)),
        Media::Form | Media::Multipart => Shapes::OBJECT,
        Media::Text | Media::Lines | Media::Events => Shapes::PLAIN,
        Media::Binary => Shapes::PLAIN.or(Shapes::OBJECT),
    };
    let content_type = is_concrete(kind).then(|| kind.to_owned());
    let known = plan::Known::default();
    (plan::MediaForm { content_type, form, shapes, known }, Described { kind, schema, fields })
}

/// The fields of a media type, by which values tell it from others.
fn known(document: &Document, media: Media, described: &Described<'_>) -> plan::Known {
    let of_json = match media {
        Media::Json => fields(document, described.schema, None),
        _ => Fields::default(),
    };
    let known = if media == Media::Json { &of_json } else { &described.fields };
    plan::Known {
        required: known.required.iter().map(|name| (*name).to_owned()).collect(),
        // Beyond the bound no name is known to be unknown.
        names: match known.schemas.len() < FIELDS_MAX {
            true => known.schemas.iter().map(|(name, _)| (*name).to_owned()).collect(),
            false => Box::default(),
        },
    }
}

/// A list of changes (RFC 6902), whatever its schema says: some describe all their patches alike.
fn is_json_patch(kind: &str) -> bool {
    matches!(
        essence(kind).as_str(),
        "application/json-patch+json" | "application/json-patch-query+json"
    )
}

/// The shapes of the values of a schema, as far as can be told.
fn shapes(document: &Document, schema: &Value, depth: usize) -> Shapes {
    let Some(schema) = document.resolved(schema).filter(|_| depth <= SHAPE_DEPTH_MAX) else {
        return Shapes::ALL;
    };
    let of_kind = |kind: &Value| match kind.as_str() {
        Some("object") => Shapes::OBJECT,
        Some("array") => Shapes::LIST,
        Some(_) => Shapes::PLAIN,
        None => Shapes::ALL,
    };
    let mut own = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().map(of_kind).fold(Shapes::NONE, Shapes::or),
        Some(kind) => of_kind(kind),
        None if schema.contains_key("properties") => Shapes::OBJECT,
        None if schema.contains_key("items") => Shapes::LIST,
        None => Shapes::ALL,
    };
    if is_nullable(schema) {
        own.plain = true;
    }
    let parts = |key: &str| {
        let parts = schema.get(key).and_then(Value::as_array).filter(|parts| !parts.is_empty());
        parts.map(|parts| parts.iter().take(20).map(|part| shapes(document, part, depth + 1)))
    };
    let all = parts("allOf").map_or(Shapes::ALL, |parts| parts.fold(Shapes::ALL, Shapes::and));
    let forms = ["anyOf", "oneOf"].into_iter().filter_map(parts);
    forms.fold(own.and(all), |known, forms| known.and(forms.fold(Shapes::NONE, Shapes::or)))
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

fn fields<'d>(
    document: &'d Document,
    schema: Option<&'d Value>,
    encoding: Option<&Map<String, Value>>,
) -> Fields<'d> {
    let mut fields = Fields::default();
    if let Some(schema) = schema {
        let mut parts_left = FIELDS_PARTS_MAX;
        gather(document, schema, (true, 0), &mut parts_left, &mut fields);
        let Fields { required, optional, .. } = &mut fields;
        required.retain(|name| !optional.contains(name));
    }
    for (name, schema) in &fields.schemas {
        let media = encoding
            .and_then(|encoding| encoding.get(*name)?.get("contentType")?.as_str())
            .map(Media::of);
        let says_little = document
            .resolved(schema)
            .is_some_and(|schema| schema.get("type").is_none() && schema.get("$ref").is_none());
        let of_media =
            (says_little && media == Some(Media::Binary)).then_some(plan::FileField::Only);
        if let Some(field) = Taken::of(document, schema).field().or(of_media) {
            fields.files.insert((*name).to_owned(), field);
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
    let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    for (name, property) in properties.take(FIELDS_MAX * 2) {
        let is_read_only = property.as_object().is_some_and(|own| flag(own, "readOnly"))
            || document.resolved(property).is_some_and(|property| flag(property, "readOnly"));
        let has_default = property.get("default").is_some()
            || document.resolved(property).is_some_and(|field| field.contains_key("default"));
        if is_read_only || has_default {
            fields.optional.insert(name);
        }
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
    asking: &Asking<'_>,
) -> Result<(Value, bool), TooLarge> {
    let (mut forms, mut remarks, mut needs_file): (Vec<Value>, Vec<String>, bool) =
        (Vec::new(), Vec::new(), false);
    for (at, (way, described)) in body.plan.ways.iter().zip(&body.ways).enumerate() {
        // What is described alike takes no second place.
        let is_like = |other: &(&plan::MediaForm, &Described<'_>)| {
            let (other, known) = other;
            let is_plain = |form: &Form| match form {
                Form::Json | Form::Urlencoded(_) => true,
                Form::Multipart { files, .. } => files.is_empty(),
                Form::Text | Form::Binary => false,
            };
            is_plain(&way.form)
                && is_plain(&other.form)
                && way.shapes == other.shapes
                && known.schema == described.schema
        };
        if body.plan.ways.iter().zip(&body.ways).take(at).any(|other| is_like(&other)) {
            continue;
        }
        let (schema, has_file, remark) = of_form(builder, way, described, asking)?;
        needs_file |= has_file;
        remarks.extend(remark.filter(|remark| !remarks.contains(remark)));
        if !forms.contains(&schema) {
            forms.push(schema);
        }
    }
    let is_anything = |form: &Value| form.as_object().is_some_and(Map::is_empty);
    let mut schema = match forms.len() {
        1 => forms.remove(0),
        _ if forms.iter().any(is_anything) => json!({}),
        _ => json!({ "anyOf": forms }),
    };
    let Value::Object(map) = &mut schema else { return Ok((schema, needs_file)) };
    let mut words = body
        .description
        .filter(|_| detail.words > 0)
        .map(|words| cut(&plain(words), detail.words).to_owned())
        .unwrap_or_default();
    if !remarks.is_empty() {
        let remark = remarks.join(", or ");
        words = if words.is_empty() { remark } else { format!("{words}\n{remark}") };
    }
    if !words.is_empty() {
        builder.spend(words.len() + 18)?;
        map.insert("description".to_owned(), words.into());
    }
    Ok((schema, needs_file))
}

/// The schema of the argument that chooses among media types; none where there is no choice.
pub(super) fn choice(body: &Read<'_>) -> Option<Value> {
    let mut types: Vec<&str> =
        body.plan.ways.iter().filter_map(|way| way.content_type.as_deref()).collect();
    types.dedup();
    (types.len() > 1).then(|| {
        json!({
            "type": "string", "enum": types,
            "description": format!("Media type of `{BODY}`; without it the first that fits it.")
        })
    })
}

/// The schema of a body of one media type, whether it has a file in it, and what else is to be
/// said.
fn of_form<'d>(
    builder: &mut Builder<'_, 'd>,
    way: &plan::MediaForm,
    described: &Described<'d>,
    asking: &Asking<'_>,
) -> Result<(Value, bool, Option<String>), TooLarge> {
    let shown = cut(described.kind, 100);
    Ok(match &way.form {
        Form::Json => {
            let mut schema =
                described.schema.map_or_else(|| Ok(json!({})), |schema| builder.top(schema))?;
            let is_list = schema.get("type").is_some_and(|kind| kind == "array");
            if is_json_patch(described.kind) && !is_list {
                schema = json!({"type": "array", "items": {"type": "object"}});
            }
            of_caller(&mut schema, asking, 0);
            (schema, false, None)
        }
        Form::Urlencoded(_) => (form_schema(builder, described, false)?, false, None),
        Form::Multipart { files, .. } => {
            (form_schema(builder, described, true)?, !files.is_empty(), None)
        }
        Form::Text => (json!({"type": "string"}), false, Some(format!("a text of type `{shown}`"))),
        Form::Binary => (file::reference(), true, Some(format!("bytes of type `{shown}`"))),
    })
}

/// Marks fields of a JSON object that a caller is not asked for.
fn of_caller(schema: &mut Value, asking: &Asking<'_>, depth: usize) {
    let required: Vec<String> = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|name| Some(name.as_str()?.to_owned()))
        .collect();
    let fields = schema.get_mut("properties").and_then(Value::as_object_mut);
    for (name, field) in fields.into_iter().flatten() {
        let asked = asking.asked("field", name, required.contains(name), Some(field));
        let is_owned = asking.is_owned("field", name);
        let Some(field) = field.as_object_mut() else { continue };
        match asked {
            _ if is_owned => drop(field.insert(ABSENT.to_owned(), OF_THE_OWNER.into())),
            // It may as well be what the call is about.
            Asked::Never | Asked::AtWill => drop(field.insert(OPTIONAL.to_owned(), true.into())),
            Asked::AsDescribed => {}
        }
    }
    let parts = schema.get_mut("allOf").and_then(Value::as_array_mut);
    for part in parts.into_iter().flatten().filter(|_| depth < FIELDS_DEPTH_MAX) {
        of_caller(part, asking, depth + 1);
    }
}

fn form_schema<'d>(
    builder: &mut Builder<'_, 'd>,
    body: &Described<'d>,
    is_multipart: bool,
) -> Result<Value, TooLarge> {
    let mut properties = Map::new();
    for (name, schema) in &body.fields.schemas {
        builder.spend(name.len() + 4)?;
        let new = match is_multipart && body.fields.files.contains_key(*name) {
            false => builder.top(schema)?,
            true => file::field_schema(builder, schema)?,
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
