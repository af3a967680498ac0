//! Parameters of one operation: which are a caller's, how they are written, and the names of their
//! arguments. One that cannot be read takes nothing with it but itself.

use std::{collections::HashSet, sync::LazyLock};

use serde_json::{Map, Value, json};

use super::found::Found;
use crate::{
    base::text::cut,
    catalog::{
        openapi::{
            document::{Document, text},
            media::Media,
            plan::{BODY, CONTENT_TYPE, Parameter, Place, RESPONSE},
            security::{Asked, Asking},
            style::{Spelling, Style},
        },
        schema::dialect::flag,
    },
};

/// Parameters of one operation.
pub(super) const PARAMETERS_MAX: usize = 200;
/// Longest name of a parameter, in bytes.
pub(super) const PARAMETER_BYTES_MAX: usize = 200;
/// Headers that the specification says to ignore where they are described as parameters.
const IGNORED_HEADERS: [&str; 3] = ["accept", "authorization", "content-type"];
/// Further headers that are not a caller's: they say where a request goes, who sends it and how it
/// is read.
const OWN_HEADERS: [&str; 18] = [
    "accept-encoding",
    "connection",
    "content-length",
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

/// A parameter as it is written.
pub(super) struct Written<'d> {
    pub(super) object: &'d Map<String, Value>,
    pub(super) schema: Option<&'d Value>,
    pub(super) is_required: bool,
    pub(super) plan: Parameter,
}

/// The parameters of an operation, those of its path included. What is wrong with those that are
/// left out is added to `left_out`.
pub(super) fn parameters<'d>(
    document: &'d Document,
    found: &Found<'d>,
    asking: &Asking<'_>,
    left_out: &mut Vec<String>,
) -> Result<Vec<Written<'d>>, String> {
    let mut seen = HashSet::new();
    let mut out: Vec<Written<'d>> = Vec::new();
    for holder in [found.operation, found.item] {
        for listed in holder.get("parameters").and_then(Value::as_array).into_iter().flatten() {
            let (object, name, place) = match read(document, found, listed)? {
                Ok(read) => read,
                Err(why) => {
                    left_out.push(why);
                    continue;
                }
            };
            if !seen.insert((place, name)) {
                continue;
            }
            let mut one = written(object, name, place);
            match asking.asked(place.as_str(), name, one.is_required, one.schema) {
                Asked::Never => continue,
                Asked::AtWill => one.is_required = false,
                Asked::AsDescribed => {}
            }
            if place == Place::Header {
                match header(name) {
                    Header::Callers => {}
                    Header::Ignored => continue,
                    Header::NotCallers(why) => {
                        left_out.push(format!("header `{}` {why}", cut(name, 60)));
                        continue;
                    }
                }
            }
            if out.len() == PARAMETERS_MAX {
                return Err(format!("it has more than {PARAMETERS_MAX} parameters"));
            }
            out.push(one);
        }
    }
    Ok(out)
}

type Parts<'d> = (&'d Map<String, Value>, &'d str, Place);

/// One parameter; why it is left out; or why the operation is.
fn read<'d>(
    document: &'d Document,
    found: &Found<'d>,
    listed: &'d Value,
) -> Result<Result<Parts<'d>, String>, String> {
    let Some(object) = document.resolved(listed) else {
        let reference = listed.get("$ref").and_then(Value::as_str).map(|text| cut(text, 100));
        return Ok(Err(match reference {
            Some(reference) => format!(
                "a parameter is the reference `{reference}`, which leads nowhere or out of the \
                document"
            ),
            None => "a parameter is not an object".to_owned(),
        }));
    };
    let Some(name) = text(object, "name") else {
        return Ok(Err("a parameter has no `name`".to_owned()));
    };
    let shown = cut(name, 60);
    if name.len() > PARAMETER_BYTES_MAX {
        return Ok(Err(format!(
            "the name of parameter `{shown}` is longer than {PARAMETER_BYTES_MAX} bytes"
        )));
    }
    let Some(place) = text(object, "in") else {
        // The path says where it is.
        return Ok(if found.path.contains(&format!("{{{name}}}")) {
            Ok((object, name, Place::Path))
        } else {
            Err(format!("parameter `{shown}` has no `in`"))
        });
    };
    match (Place::of(&place.to_ascii_lowercase()), place) {
        (Some(place), _) => Ok(Ok((object, name, place))),
        // Without it the operation would be called with nothing.
        (None, "body" | "formData") => Err(format!(
            "parameter `{shown}` is in `{place}`, which is of Swagger 2.0; in OpenAPI 3 that is \
            `requestBody`"
        )),
        (None, place) => Ok(Err(format!(
            "parameter `{shown}` is in `{}`; allowed are path, query, header and cookie",
            cut(place, 60)
        ))),
    }
}

/// Whose a header is.
enum Header {
    Callers,
    /// Nobody's: the specification says so.
    Ignored,
    /// Not a caller's, for this reason.
    NotCallers(&'static str),
}

fn header(name: &str) -> Header {
    if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
        return Header::NotCallers("has a name that HTTP does not allow");
    }
    let name = name.to_ascii_lowercase();
    let has_prefix = |prefix: &&str| name.starts_with(*prefix);
    if IGNORED_HEADERS.contains(&name.as_str()) {
        Header::Ignored
    } else if OWN_HEADERS.contains(&name.as_str())
        || ["proxy-", "sec-", "x-forwarded-"].iter().any(has_prefix)
    {
        Header::NotCallers("is not a caller's to set")
    } else {
        Header::Callers
    }
}

/// A parameter that only the path tells of.
pub(super) fn undescribed<'d>(name: &str, place: Place) -> Written<'d> {
    written(&NOTHING, name, place)
}

fn written<'d>(object: &'d Map<String, Value>, name: &str, place: Place) -> Written<'d> {
    let content = object.get("content").and_then(|content| content.as_object()?.iter().next());
    let schema = content.map_or_else(|| object.get("schema"), |(_, media)| media.get("schema"));
    let plan = Parameter {
        name: name.to_owned(),
        argument: name.to_owned(),
        place,
        spelling: spelling(object, place),
        json: content.is_some_and(|(kind, _)| Media::of(kind) == Media::Json),
    };
    Written { object, schema, is_required: place == Place::Path || flag(object, "required"), plan }
}

/// How a parameter is written at a place, as far as its description fits that.
pub(super) fn spelling(object: &Map<String, Value>, place: Place) -> Spelling {
    let usual = match place {
        Place::Path | Place::Header => Style::Simple,
        Place::Query | Place::Cookie => Style::Form,
    };
    let style = text(object, "style").and_then(Style::of).unwrap_or(usual);
    let is_delimited = matches!(style, Style::Space | Style::Pipe | Style::Tab);
    let fits = match place {
        Place::Path => {
            is_delimited || matches!(style, Style::Simple | Style::Label | Style::Matrix)
        }
        Place::Header => is_delimited || style == Style::Simple,
        Place::Query | Place::Cookie => {
            !matches!(style, Style::Simple | Style::Label | Style::Matrix)
        }
    };
    let style = if fits { style } else { usual };
    let explode = object.get("explode").and_then(Value::as_bool).unwrap_or(style == Style::Form);
    let reserved = matches!(place, Place::Query | Place::Path)
        && (flag(object, "allowReserved") || flag(object, "x-ms-skip-url-encoding"));
    Spelling { style, explode, reserved }
}

/// Each parameter gets the name of its own: that of the path goes first, then query, header,
/// cookie; others are told by their place.
pub(super) fn name_arguments(written: &mut [Written<'_>], has_body: bool) {
    let mut taken: HashSet<String> = HashSet::from([RESPONSE.to_owned()]);
    if has_body {
        taken.extend([BODY, CONTENT_TYPE].map(str::to_owned));
    }
    let mut order: Vec<usize> = (0..written.len()).collect();
    order.sort_by(|a, b| {
        let key = |at: &usize| (written[*at].plan.place, &written[*at].plan.name);
        key(a).cmp(&key(b))
    });
    for at in order {
        let plan = &mut written[at].plan;
        // A variable of the path may be sent under another name in the query.
        let wanted = std::mem::take(&mut plan.argument);
        let by_place = format!("{}_{wanted}", plan.place.as_str());
        let numbered = (2..).map(|n| format!("{by_place}_{n}"));
        let mut names = [wanted, by_place.clone()].into_iter().chain(numbered);
        // The numbers never end.
        plan.argument = names.find(|name| !taken.contains(name)).unwrap_or_default();
        taken.insert(plan.argument.clone());
    }
}

#[cfg(test)]
mod tests;
