//! Validates the arguments of a call before anything is sent, and says how to correct them.
//!
//! The schema is the upstream's and the arguments are a guest's. The cost of a validation is
//! estimated first: a cheap one runs at once, a more expensive one on the blocking pool, and one
//! over the limit is left to the upstream.

mod fields;
mod integers;

use std::sync::Arc;

use jsonschema::{ValidationError, error::ValidationErrorKind};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use self::fields::{belongs, field, joined, moved, part, properties, step};
use super::{
    path,
    schema::{checker::Checker, example, typescript},
    tool::Tool,
};
use crate::{
    base::{offload::offload, plural::counted, suggest, text::cut},
    model::JsonObject,
};
use fields::{FORMS_MAX, OPTIONS_MAX, PROPERTIES_MAX, UNKNOWN_MAX};

/// Faults that are told at once; of the others only that there are more.
const FAULTS_MAX: usize = 12;

/// Arguments that are checked on the thread that serves the call, in bytes and in steps: 0.1 ms.
const QUICK_BYTES_MAX: usize = 16 * 1024;
const QUICK_STEPS_MAX: u64 = 5_000;
/// Steps of one check; what may take more is not checked here. Half a second.
const STEPS_MAX: u64 = 5_000_000;
/// Steps of a check of which every fault is told: each may keep 2 KB meanwhile.
const TOLD_STEPS_MAX: u64 = 50_000;
/// Large checks at once, over all calls.
static LARGE: Semaphore = Semaphore::const_new(2);
/// Longest example call, in bytes.
const EXAMPLE_BYTES_MAX: usize = 1_000;

/// Arguments that do not fit the tool. The message alone is enough to write the call right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ArgumentError {
    /// Path of the tool.
    pub tool: String,
    /// Every fault, the expected form and a correct call.
    pub message: String,
}

/// The arguments as an object, when the tool's schema allows them. Nothing, or `null`, is an empty
/// object.
pub(super) async fn check_offloaded(
    tool: &Arc<Tool>,
    args: &str,
) -> Result<JsonObject, ArgumentError> {
    let mut is_quick = false;
    // The common case: small, and right.
    if args.len() <= QUICK_BYTES_MAX && tool.is_ready() {
        let value = if args.trim().is_empty() {
            Ok(json!({}))
        } else {
            serde_json::from_str::<Value>(args)
        };
        if let Ok(value @ Value::Object(_)) = value {
            match tool.checker().map(|checker| checker.allows(&value, QUICK_STEPS_MAX)) {
                None => {
                    return into_object(value)
                        .map_err(|message| ArgumentError { tool: tool.path.clone(), message });
                }
                Some(Some(true)) if !integers::has_rounded(&value) => {
                    return into_object(value)
                        .map_err(|message| ArgumentError { tool: tool.path.clone(), message });
                }
                Some(allowed) => is_quick = allowed.is_some(),
            }
        }
    }
    let args = args.to_owned();
    offloaded_unless(tool, is_quick, move |tool| check(tool, &args)).await
}

/// Validates arguments that are already an object. Converts nothing: what was judged and approved
/// is what is sent.
pub(super) async fn check_value_offloaded(
    tool: &Arc<Tool>,
    args: JsonObject,
) -> Result<JsonObject, ArgumentError> {
    offloaded_unless(tool, false, move |tool| judged(tool, Value::Object(args), false)).await
}

/// Checks where that blocks nobody. What may take long waits for its turn.
async fn offloaded_unless(
    tool: &Arc<Tool>,
    is_quick: bool,
    check: impl FnOnce(&Tool) -> Result<JsonObject, ArgumentError> + Send + 'static,
) -> Result<JsonObject, ArgumentError> {
    // It is never closed; were it, checks would merely not wait for each other.
    let turn = if is_quick { None } else { LARGE.acquire().await.ok() };
    let checked = tool.clone();
    let done = offload(move || {
        let _turn = turn;
        check(&checked)
    });
    let lost = || ArgumentError {
        tool: tool.path.clone(),
        message: "the arguments could not be checked".to_owned(),
    };
    done.await.unwrap_or_else(|_| Err(lost()))
}

/// Returns true if the tool takes a file at this JSON Pointer of its arguments.
pub(super) fn takes_file(tool: &Tool, args: &Value, pointer: &str) -> bool {
    let is_of_service = tool.operation.is_some_and(|operation| operation.is_http());
    let root = tool.input_schema.value();
    is_of_service
        && fields::part(&root, args, pointer).is_some_and(|schema| {
            fields::properties(Some(schema), &root).iter().any(|name| name == "base64")
        })
}

/// Validates like [`check_offloaded`], on the calling thread.
pub(super) fn check(tool: &Tool, args: &str) -> Result<JsonObject, ArgumentError> {
    let error = |message: String| ArgumentError { tool: tool.path.clone(), message };
    let call = path::expression(&tool.path);
    let given =
        if args.trim().is_empty() { Ok(Value::Null) } else { serde_json::from_str::<Value>(args) };
    let value = match given {
        Ok(Value::Null) => json!({}),
        Ok(object @ Value::Object(_)) => object,
        Ok(other) => {
            let message = format!("`{call}` takes one object, got {}", shown(&other));
            return Err(error(format!("{message}; {}", example(tool, &json!({})))));
        }
        Err(fault) => {
            return Err(error(format!("the arguments of `{call}` are not JSON: {fault}")));
        }
    };
    judged(tool, value, true)
}

fn judged(tool: &Tool, value: Value, may_convert: bool) -> Result<JsonObject, ArgumentError> {
    let error = |message: String| ArgumentError { tool: tool.path.clone(), message };
    let Some(checker) = tool.checker() else { return into_object(value).map_err(error) };
    let call = path::expression(&tool.path);
    if let Some(fault) = integers::rounded(&tool.input_schema.value(), &value) {
        return Err(error(format!("`{call}`: {fault}")));
    }
    let converted = || {
        Some(&value)
            .filter(|_| may_convert)
            .and_then(|value| integers::converted(&tool.input_schema.value(), value))
            .filter(|converted| checker.allows(converted, STEPS_MAX) == Some(true))
    };
    match checker.allows(&value, STEPS_MAX) {
        Some(true) => into_object(value).map_err(error),
        Some(false) => match converted() {
            Some(converted) => into_object(converted).map_err(error),
            None => Err(error(format!(
                "`{call}`: {}; {}",
                faults(tool, checker, &value),
                example(tool, &value)
            ))),
        },
        None => {
            tool.log_unchecked();
            into_object(value).map_err(error)
        }
    }
}

/// Describes every fault of invalid arguments.
fn faults(tool: &Tool, checker: &Checker, value: &Value) -> String {
    if checker.work.on(value, TOLD_STEPS_MAX).is_none() {
        return match checker.first_fault(value) {
            Some(fault) => format!("{}, and perhaps more", fault_message(tool, value, &fault)),
            None => "the arguments do not fit, and to say where would take too long".to_owned(),
        };
    }
    let mut faults: Vec<String> = Vec::new();
    for fault in checker.validator.iter_errors(value).take(FAULTS_MAX + 1) {
        tell(tool, value, &fault, FORMS_MAX, &mut faults);
    }
    let more = faults.len() > FAULTS_MAX;
    faults.truncate(FAULTS_MAX);
    if more {
        faults.push("and more".to_owned());
    }
    faults.join("; ")
}

fn into_object(value: Value) -> Result<JsonObject, String> {
    match value {
        Value::Object(object) => Ok(object),
        other => Err(format!("expected an object, got {}", shown(&other))),
    }
}

/// One fault, or those of the form that was most likely meant, each once.
fn tell(
    tool: &Tool,
    args: &Value,
    fault: &ValidationError<'_>,
    forms_left: usize,
    out: &mut Vec<String>,
) {
    let forms = match fault.kind() {
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context }
            if forms_left > 0 =>
        {
            context
        }
        _ => {
            let text = fault_message(tool, args, fault);
            if out.len() <= FAULTS_MAX && !out.contains(&text) {
                out.push(text);
            }
            return;
        }
    };
    // A form that is of another type altogether, or says with a constant that it is another one,
    // was not meant.
    let place = fault.instance_path().to_string();
    let is_other = |fault: &&ValidationError<'_>| match fault.kind() {
        ValidationErrorKind::Type { .. } => fault.instance_path().to_string() == place,
        ValidationErrorKind::Constant { .. } => true,
        ValidationErrorKind::Enum { options } => {
            options.as_array().is_some_and(|options| options.len() == 1)
        }
        _ => false,
    };
    let mut meant =
        forms.iter().filter(|form| !form.is_empty() && !form.iter().any(|fault| is_other(&fault)));
    match (meant.next(), meant.next()) {
        (Some(form), None) => form
            .iter()
            .take(FAULTS_MAX)
            .for_each(|fault| tell(tool, args, fault, forms_left - 1, out)),
        _ => {
            let text = fault_message(tool, args, fault);
            if out.len() <= FAULTS_MAX && !out.contains(&text) {
                out.push(text);
            }
        }
    }
}

/// One fault as a sentence.
fn fault_message(tool: &Tool, args: &Value, fault: &ValidationError<'_>) -> String {
    let at = field(&fault.instance_path().to_string());
    let root = &*tool.input_schema.value();
    let schema = part(root, args, &fault.instance_path().to_string());
    match fault.kind() {
        ValidationErrorKind::Required { property } => {
            missing(&at, property.as_str().unwrap_or_default(), fault.instance(), schema, root)
        }
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            unknown_fields(&at, unexpected, schema, root)
        }
        ValidationErrorKind::Type { .. } => of_another_type(&at, fault.instance(), schema, root),
        ValidationErrorKind::Enum { options } => one_of(&at, options, fault.instance()),
        ValidationErrorKind::Constant { expected_value } => {
            format!(
                "{} must be {}, got {}",
                named(&at),
                shown(expected_value),
                shown(fault.instance())
            )
        }
        ValidationErrorKind::AnyOf { .. } | ValidationErrorKind::OneOfNotValid { .. } => {
            let wanted = schema.map_or_else(
                || "one of several forms".to_owned(),
                |schema| typescript::inline(schema, root),
            );
            format!("{} must be {wanted}, got {}", named(&at), shown(fault.instance()))
        }
        ValidationErrorKind::Pattern { pattern } => {
            format!(
                "{} must match the pattern `{}`, got {}",
                named(&at),
                cut(pattern, 200),
                shown(fault.instance())
            )
        }
        ValidationErrorKind::Format { format } => {
            format!(
                "{} must be in the format `{}`, got {}",
                named(&at),
                cut(format, 80),
                shown(fault.instance())
            )
        }
        _ => out_of_bounds(&at, fault),
    }
}

/// A required field is not there.
fn missing(at: &str, name: &str, given: &Value, schema: Option<&Value>, root: &Value) -> String {
    let wanted = schema
        .and_then(|schema| step(schema, root, name, FORMS_MAX))
        .map(|schema| typescript::inline(schema, root));
    let given: Vec<_> =
        given.as_object().into_iter().flat_map(|map| map.keys().take(PROPERTIES_MAX)).collect();
    let known = properties(schema, root);
    // Where unknown fields are faults, the typo is told as one of those.
    let is_told =
        schema.and_then(|schema| schema.get("additionalProperties")) == Some(&Value::Bool(false));
    let typo = given
        .iter()
        .find(|given| !is_told && !known.contains(given) && suggest::is_typo(given, name));
    let field = joined(at, name);
    let kind = wanted.map(|kind| format!(" ({kind})")).unwrap_or_default();
    let meant = typo.map(|typo| format!(", did you mean it by `{}`?", joined(at, typo)));
    format!("field `{field}` is missing{kind}{}", meant.unwrap_or_default())
}

fn of_another_type(at: &str, given: &Value, schema: Option<&Value>, root: &Value) -> String {
    let wanted =
        schema.map_or_else(|| "another type".to_owned(), |schema| typescript::inline(schema, root));
    let meant = schema
        .and_then(|schema| example::meant(schema, given))
        .map(|meant| format!(", did you mean {}?", cut(&example::literal(&meant, 80), 80)));
    format!("{} must be {wanted}, got {}{}", named(at), shown(given), meant.unwrap_or_default())
}

fn out_of_bounds(at: &str, fault: &ValidationError<'_>) -> String {
    let (field, given) = (named(at), fault.instance());
    match fault.kind() {
        ValidationErrorKind::MinLength { limit } => {
            format!("{field} must have at least {}", counted(*limit, "character"))
        }
        ValidationErrorKind::MaxLength { limit } => {
            let length = given.as_str().map_or(0, |text| text.chars().count());
            format!("{field} must have at most {}, got {length}", counted(*limit, "character"))
        }
        ValidationErrorKind::MinItems { limit } => {
            format!("{field} must have at least {}, got {}", counted(*limit, "item"), items(fault))
        }
        ValidationErrorKind::MaxItems { limit } => {
            format!("{field} must have at most {}, got {}", counted(*limit, "item"), items(fault))
        }
        ValidationErrorKind::Minimum { limit } => {
            format!("{field} must be at least {limit}, got {}", shown(given))
        }
        ValidationErrorKind::Maximum { limit } => {
            format!("{field} must be at most {limit}, got {}", shown(given))
        }
        _ => format!("{field}: {}", cut(&fault.masked_with("the value").to_string(), 300)),
    }
}

fn items(fault: &ValidationError<'_>) -> usize {
    fault.instance().as_array().map_or(0, Vec::len)
}

fn unknown_fields(at: &str, unexpected: &[String], schema: Option<&Value>, root: &Value) -> String {
    let known = &properties(schema, root);
    let texts: Vec<String> = unexpected
        .iter()
        .take(UNKNOWN_MAX)
        .map(|name| {
            let near = suggest::nearest(name, known.iter().map(String::as_str));
            let field = joined(at, cut(name, 80));
            if let Some(inner) = schema.and_then(|schema| belongs(schema, root, name)) {
                return format!(
                    "field `{field}` belongs in `{}`: write `{}`",
                    joined(at, inner),
                    joined(at, &joined(inner, name))
                );
            }
            match near {
                Some(near) => {
                    format!("there is no field `{field}`, did you mean `{}`?", joined(at, near))
                }
                None if known.is_empty() => {
                    format!("there is no field `{field}`, none are taken here")
                }
                None => format!(
                    "there is no field `{field}`, only {}",
                    listed(known.iter().map(|name| format!("`{name}`")))
                ),
            }
        })
        .collect();
    texts.join("; ")
}

fn one_of(at: &str, options: &Value, given: &Value) -> String {
    let options = options.as_array().map(Vec::as_slice).unwrap_or_default();
    let near = given.as_str().and_then(|given| {
        let texts = options.iter().take(PROPERTIES_MAX).filter_map(Value::as_str);
        suggest::nearest(given, texts)
    });
    let hint =
        near.map(|near| format!(", did you mean {}?", Value::from(near))).unwrap_or_default();
    format!(
        "{} must be one of {}, got {}{hint}",
        named(at),
        listed(options.iter().map(|option| cut(&example::literal(option, 80), 80).to_owned())),
        shown(given)
    )
}

fn listed(items: impl Iterator<Item = String>) -> String {
    let mut items = items;
    let mut text = items.by_ref().take(OPTIONS_MAX).collect::<Vec<_>>().join(", ");
    let rest = items.count();
    if rest > 0 {
        text.push_str(&format!(" and {rest} more"));
    }
    text
}

fn named(at: &str) -> String {
    if at.is_empty() { "the argument".to_owned() } else { format!("field `{at}`") }
}

/// A value as code, short.
fn shown(value: &Value) -> String {
    let text = match value {
        Value::Object(_) => return "an object".to_owned(),
        Value::Array(_) => return "an array".to_owned(),
        Value::String(text) => Value::from(cut(text, 80)).to_string(),
        other => other.to_string(),
    };
    let kind = match value {
        Value::String(_) => "string ",
        Value::Number(_) => "number ",
        Value::Bool(_) => "boolean ",
        _ => "",
    };
    format!("{kind}{text}")
}

/// A call that the schema allows: what was given and fits is kept, what is required and missing is
/// filled in. Where the schema wants more than can be guessed, it is only said to be like a correct
/// one.
fn example(tool: &Tool, given: &Value) -> String {
    let call = |text: &str| {
        format!("await {}({})", path::expression(&tool.path), if text == "{}" { "" } else { text })
    };
    let fits = |args: &Value| {
        tool.checker().is_none_or(|checker| checker.allows(args, TOLD_STEPS_MAX) == Some(true))
    };
    let schema = tool.input_schema.value();
    let given = moved(&schema, given);
    let tries = [Some(&given), None].map(|given| example::arguments(&schema, given));
    let texts = tries
        .into_iter()
        .flatten()
        .map(|args| (example::literal(&args, EXAMPLE_BYTES_MAX + 1), args));
    let short: Vec<(String, Value)> =
        texts.filter(|(text, _)| text.len() <= EXAMPLE_BYTES_MAX).collect();
    if let Some((text, _)) = short.iter().find(|(_, args)| fits(args)) {
        return format!("correct: {}", call(text));
    }
    let text = short.first().map_or("{ … }", |(text, _)| text);
    format!("like: {}", call(text))
}

#[cfg(test)]
mod tests;
