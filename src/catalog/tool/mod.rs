//! One tool of an upstream in the catalog: bounded, hashed, with a validator for its arguments.

pub(super) mod omitted_fields;

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::omitted_fields::OmittedFields;
use super::{
    path,
    schema::{checker::Checker, dialect, inferred::InferredSchema, lenient},
};
use crate::{
    base::{digest::sha256_of_json, json::unwrap_descriptions, suggest::fold, text::cut},
    model::{Annotations, FormerName, HostFunction, JsonObject, Operation, Schema},
};

/// Upstream of host functions in search results.
const HOST: &str = "airlock";
/// Longest name of a tool at its upstream, in characters; a longer one is left out of the catalog.
pub(super) const NAME_CHARS_MAX: usize = 128;
/// Longest description that is kept, in bytes; the rest is cut.
pub(super) const DESCRIPTION_BYTES_MAX: usize = 8 * 1024;
/// Largest input or output schema, in bytes of JSON; a tool with a larger one is left out of the
/// catalog.
pub(super) const SCHEMA_BYTES_MAX: usize = 256 * 1024;
/// Largest schema that is compiled on a thread that serves others, in bytes of JSON.
const READY_BYTES_MAX: usize = 8 * 1024;

/// Arguments of a tool that it is found by, values of theirs, and the longest name or value, in
/// bytes.
const ARGUMENTS_MAX: usize = 128;
const VALUES_MAX: usize = 64;
const WORD_BYTES_MAX: usize = 200;

/// A tool as an upstream offers it, before anything is checked.
#[derive(Debug, Clone, Default)]
pub(super) struct OfferedTool {
    /// Its name at the upstream.
    pub name: String,
    /// For people.
    pub title: Option<String>,
    /// Description of its purpose.
    pub description: String,
    /// JSON Schema of the arguments.
    pub input_schema: JsonObject,
    /// JSON Schema of the result.
    pub output_schema: Option<JsonObject>,
    /// Its claims.
    pub annotations: Annotations,
    /// Operation, if the protocol names one.
    pub operation: Option<Operation>,
    /// Identity of the operation behind it, if its name may come to mean another one.
    pub fingerprint: Option<String>,
    /// True if its upstream has read the schema of the arguments as the service means it.
    pub is_relaxed: bool,
    /// Its name in the release before, if that was another.
    pub former: Option<FormerName>,
}

/// A tool as it comes back from where it was kept: everything that was worked out when it was
/// offered.
#[derive(Debug)]
pub(super) struct CachedTool {
    pub name: String,
    pub title: Option<String>,
    pub description: String,
    pub input_schema: Schema,
    pub output_schema: Option<Schema>,
    pub annotations: Annotations,
    pub operation: Option<Operation>,
    pub fingerprint: Option<String>,
    pub former: Option<FormerName>,
    pub arguments: ArgumentWords,
    pub schema_hash: String,
}

/// The call of a tool in one line, and the observed result that it tells.
#[derive(Debug)]
pub(super) struct Hint {
    pub observed: Option<Arc<Value>>,
    pub line: Arc<str>,
}

/// Names of a tool's arguments, and values that they may have, for finding it.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ArgumentWords {
    /// Names, with spaces between them.
    pub names: Box<str>,
    /// Values of enumerations, with spaces between them.
    pub values: Box<str>,
}

impl ArgumentWords {
    fn of(schema: &Value) -> Self {
        let (mut names, mut values) = (Vec::new(), Vec::new());

        // The fields of a body are what a caller thinks of, not that there is one.
        let all = fields(schema).flat_map(|field| std::iter::once(field).chain(fields(field.1)));
        for (name, schema) in all.take(ARGUMENTS_MAX) {
            names.push(cut(name, WORD_BYTES_MAX));
            let items = schema.get("items").and_then(|items| items.get("enum"));
            let allowed = schema.get("enum").or(items).and_then(Value::as_array);
            let left = VALUES_MAX - values.len();
            values.extend(
                allowed
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .take(left)
                    .map(|value| cut(value, WORD_BYTES_MAX)),
            );
        }
        Self { names: names.join(" ").into(), values: values.join(" ").into() }
    }
}

fn fields(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema.get("properties").and_then(Value::as_object).into_iter().flatten()
}

/// Reasons why an offered tool is left out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unfit {
    /// Its name cannot be a path.
    #[error(
        "tool name {0:?} is empty, longer than {NAME_CHARS_MAX} characters or contains characters \
        that a path cannot contain"
    )]
    Name(String),
    /// A schema is too large.
    #[error("schema of `{name}` is {bytes} bytes; the limit is {SCHEMA_BYTES_MAX}")]
    Schema {
        /// The tool.
        name: String,
        /// Size of the schema as JSON.
        bytes: usize,
    },
    /// A schema is nested too deep.
    #[error("schema of `{0}` is nested too deep")]
    Deep(String),
}

/// Path that a tool had in the release before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormerToolPath {
    /// The path.
    pub path: String,
    /// So many leading segments of the present path no path of the release before begins with.
    pub new_from: usize,
}

/// A tool in the catalog.
#[derive(Debug)]
pub struct Tool {
    /// Path for the call: `<upstream>.<name>`.
    pub path: String,
    /// The upstream that offers it.
    pub upstream: Arc<str>,
    /// Its name at the upstream.
    pub name: String,
    /// Its path in the release before, if that was another. A call of it leads here, and policies
    /// that were written for it hold.
    pub former: Option<FormerToolPath>,
    /// For people.
    pub title: Option<String>,
    /// Description of its purpose, at most 8 KiB.
    pub description: String,
    /// JSON Schema of the arguments as the service means it; what calls are checked against.
    pub input_schema: Schema,
    /// JSON Schema of the result, where the upstream gives one.
    pub output_schema: Option<Schema>,
    /// Its claims.
    pub annotations: Annotations,
    /// Operation, if the protocol names one: none for MCP.
    pub operation: Option<Operation>,
    /// Identity of the operation behind it, if its name may come to mean another one.
    pub(super) fingerprint: Option<String>,
    /// True if the owner believes its claims.
    pub trusted: bool,
    /// SHA-256, in hex, over the canonical JSON (RFC 8785) of name, description and both schemas.
    pub schema_hash: String,
    /// Size of both schemas together, in bytes of JSON.
    pub(super) schema_bytes: usize,
    /// Inferred schema of its responses, if the upstream gives none.
    pub(super) observed: Arc<InferredSchema>,
    /// Fields that its answers are without, since its service refuses them.
    pub(super) omitted_fields: OmittedFields,
    /// Words of its arguments, for search.
    pub(super) arguments: ArgumentWords,
    /// Places of its arguments that no value fits as its upstream describes them, when it was taken
    /// in; they are not checked.
    pub(super) impossible: Vec<String>,
    /// Its call in one line, once somebody asked.
    pub(super) hint: Mutex<Option<Hint>>,
    checker: OnceLock<Option<Checker>>,
    /// Set once arguments were not checked because that would have taken too long.
    unchecked_logged: AtomicBool,
}

impl Tool {
    /// True if the other one is of the same upstream, as it is configured now: a later upstream of
    /// the same name may be another service.
    pub fn is_beside(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.upstream, &other.upstream)
    }

    /// Takes an offered tool into the catalog, or says why not.
    pub(super) fn admit(upstream: &Arc<str>, offered: OfferedTool) -> Result<Self, Unfit> {
        let mut input = Value::Object(offered.input_schema);
        let mut output = offered.output_schema.map(Value::Object);
        let schema_hash = sha256_of_json(&serde_json::json!({
            "name": offered.name, "description": offered.description, "input": input,
            "output": output,
        }));
        let impossible = if offered.is_relaxed {
            Vec::new()
        } else {
            std::iter::once(&mut input).chain(&mut output).for_each(dialect::translate);
            lenient::relax(&mut input)
        };
        let arguments = ArgumentWords::of(&input);
        let taken = |schema: &Value| {
            Schema::new(schema).ok_or_else(|| Unfit::Deep(offered.name.chars().take(80).collect()))
        };
        let cached = CachedTool {
            input_schema: taken(&input)?,
            output_schema: output.as_ref().map(taken).transpose()?,
            name: offered.name,
            title: offered.title,
            description: offered.description,
            annotations: offered.annotations,
            operation: offered.operation,
            fingerprint: offered.fingerprint,
            former: offered.former,
            arguments,
            schema_hash,
        };
        Ok(Self { impossible, ..Self::readmit(upstream, cached)? })
    }

    /// Admits a tool that was admitted before.
    pub(super) fn readmit(upstream: &Arc<str>, cached: CachedTool) -> Result<Self, Unfit> {
        if !is_path(&cached.name) {
            return Err(Unfit::Name(cached.name.chars().take(80).collect()));
        }
        let mut schema_bytes = 0;
        for schema in std::iter::once(&cached.input_schema).chain(&cached.output_schema) {
            let bytes = schema.text().len();
            schema_bytes += bytes;
            if bytes > SCHEMA_BYTES_MAX {
                return Err(Unfit::Schema { name: cached.name, bytes });
            }
        }
        Ok(Self {
            path: format!("{upstream}.{}", cached.name),
            former: cached.former.map(|former| FormerToolPath {
                path: format!("{upstream}.{}", former.name),
                // The upstream stands before the name.
                new_from: former.new_from.saturating_add(1),
            }),
            upstream: upstream.clone(),
            title: cached.title.map(|title| cut(&title, 200).to_owned()),
            description: cut(&cached.description, DESCRIPTION_BYTES_MAX).to_owned(),
            name: cached.name,
            input_schema: cached.input_schema,
            output_schema: cached.output_schema,
            annotations: cached.annotations,
            operation: cached.operation,
            fingerprint: cached.fingerprint,
            trusted: false,
            schema_hash: cached.schema_hash,
            schema_bytes,
            observed: Arc::default(),
            omitted_fields: OmittedFields::default(),
            arguments: cached.arguments,
            impossible: Vec::new(),
            hint: Mutex::default(),
            checker: OnceLock::new(),
            unchecked_logged: AtomicBool::new(false),
        })
    }

    /// A host function as a tool, so that it is found, described and validated like one.
    pub(super) fn of_host(function: &HostFunction) -> Self {
        let mut input = (function.arguments)();
        unwrap_descriptions(&mut input);
        let output = Schema::new(&(function.output)());
        Self {
            path: function.path.to_owned(),
            upstream: Arc::from(HOST),
            name: function.path.to_owned(),
            former: None,
            title: None,
            description: function.description.to_owned(),
            schema_bytes: 0,
            arguments: ArgumentWords::of(&input),
            impossible: Vec::new(),
            input_schema: Schema::new(&input).expect("the schema of a struct is flat"),
            output_schema: output,
            annotations: Annotations { read_only: Some(true), ..Annotations::default() },
            operation: None,
            fingerprint: None,
            trusted: true,
            schema_hash: String::new(),
            observed: Arc::default(),
            omitted_fields: OmittedFields::default(),
            hint: Mutex::default(),
            checker: OnceLock::new(),
            unchecked_logged: AtomicBool::new(false),
        }
    }

    /// Returns true if it looks up resources or prompts of an MCP server, and is not one of the
    /// server's own tools. It is found where resources or prompts are asked for.
    pub(super) fn is_lookup(&self) -> bool {
        self.operation == Some(Operation::Read)
    }

    /// Returns true if that is its path, or the one that it had in the release before.
    pub fn is_named(&self, path: &str) -> bool {
        self.path == path || self.former.as_ref().is_some_and(|former| former.path == path)
    }

    /// The notice for a caller who gave the path that the tool had in the release before.
    pub fn renamed_from(&self, given: &str) -> Option<String> {
        let former = self.former.as_ref()?;
        let given = fold(&path::plain(given));
        (given == fold(&former.path) && given != fold(&self.path)).then(|| {
            format!(
                "`{}` is now `{}`; the former name leads there until the next release",
                former.path, self.path
            )
        })
    }

    /// Its name in the release before, as it is kept.
    pub(super) fn former_name(&self) -> Option<FormerName> {
        let former = self.former.as_ref()?;
        let name = former.path.strip_prefix(&*self.upstream)?.strip_prefix('.')?.to_owned();
        Some(FormerName { name, new_from: former.new_from.saturating_sub(1) })
    }

    /// The schema of the result as it is at present: without the fields that are left out.
    pub(super) fn output(&self) -> Option<Schema> {
        self.omitted_fields.output().or_else(|| self.output_schema.clone())
    }

    /// Validator of the arguments; none if the schema does not compile or its cost is unbounded:
    /// then only the upstream can judge them. Slow the first time unless [`Self::is_ready`].
    pub(super) fn checker(&self) -> Option<&Checker> {
        self.checker
            .get_or_init(|| {
                Checker::of(&self.input_schema.value())
                    .inspect_err(|error| {
                        let reason = cut(error, 300).to_owned();
                        tracing::warn!(tool = %self.path, %reason, "input schema of `{}` cannot \
                            be used, arguments are not checked", self.path);
                    })
                    .ok()
            })
            .as_ref()
    }

    /// Returns true if [`Self::checker`] answers within a millisecond or two.
    pub(super) fn is_ready(&self) -> bool {
        // A pattern of a few characters can take milliseconds to compile.
        let is_quick = |text: &str| text.len() <= READY_BYTES_MAX && !text.contains("\"pattern");
        self.checker.get().is_some() || is_quick(self.input_schema.text())
    }

    /// Says, once, that arguments were not checked.
    pub(super) fn log_unchecked(&self) {
        if !self.unchecked_logged.swap(true, Ordering::Relaxed) {
            tracing::warn!(tool = %self.path, "arguments of `{}` were not checked, it would take \
                too long", self.path);
        }
    }
}

/// Returns true if a tool's own name can stand in a path: dots split it into segments, none may be
/// empty.
fn is_path(name: &str) -> bool {
    let allowed = |c: char| {
        c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ':' | '@' | '$' | '+' | ' ')
    };
    name.chars().count() <= NAME_CHARS_MAX
        && name.chars().all(allowed)
        && name.split('.').all(|segment| !segment.is_empty() && segment.trim() == segment)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(name: &str, description: &str, schema: &str) -> Result<Tool, Unfit> {
        let input_schema = serde_json::from_str(schema).unwrap();
        let offered = OfferedTool {
            name: name.to_owned(),
            description: description.to_owned(),
            input_schema,
            ..OfferedTool::default()
        };
        Tool::admit(&Arc::from("up"), offered)
    }

    #[test]
    fn the_hash_heeds_meaning_and_not_the_order_of_keys() {
        let hash = |description, schema| admitted("t", description, schema).unwrap().schema_hash;
        let one = hash("x", r#"{"type": "object", "title": "T"}"#);
        assert_eq!(one.len(), 64);
        assert_eq!(one, hash("x", r#"{"title": "T", "type": "object"}"#));
        assert_ne!(one, hash("y", r#"{"title": "T", "type": "object"}"#));
        assert_ne!(one, hash("x", r#"{"title": "U", "type": "object"}"#));
    }

    #[test]
    fn a_name_that_cannot_be_a_path_is_unfit() {
        for good in ["get-sum", "notes.add", "a/b", "größe", "a b"] {
            assert!(admitted(good, "", "{}").is_ok(), "{good:?}");
        }
        for bad in ["", ".", "a..b", "a.", "a\"b", "a\nb", " a", "a*", &"n".repeat(129)] {
            assert!(matches!(admitted(bad, "", "{}"), Err(Unfit::Name(_))), "{bad:?}");
        }
    }

    #[test]
    fn a_schema_that_is_too_large_or_too_deep_is_unfit() {
        let large = format!(r#"{{"description": "{}"}}"#, "x".repeat(SCHEMA_BYTES_MAX));
        assert!(matches!(
            admitted("t", "", &large),
            Err(Unfit::Schema { bytes, .. }) if bytes > SCHEMA_BYTES_MAX
        ));
        let deep = format!("{}{{}}{}", r#"{"items":"#.repeat(100), "}".repeat(100));
        assert_eq!(admitted("t", "", &deep).unwrap_err(), Unfit::Deep("t".to_owned()));
    }
}
