//! The answer to `tools/list`, with each tool as the protocol library's types want it: the library
//! reads no tool at all where one member of one of them is odd.

use serde_json::{Map, Value, json, value::RawValue};

use crate::{
    base::{
        json::members::{members, present_members, scalar},
        text::cut,
    },
    model::JsonObject,
};

/// Member of a tidied answer's `_meta` that holds the remarks, as a list of texts.
pub(in crate::catalog::mcp) const REMARKS: &str = "airlock/remarks";
/// Tools of one page that a remark names.
const NAMED_MAX: usize = 20;
/// Longest piece of a server's own words in a remark, in bytes.
const WORDS_BYTES_MAX: usize = 80;

/// The tools of one page, and those that are odd.
#[derive(Default)]
struct Page {
    tools: Vec<String>,
    /// Names of tools whose schema is none, so that they take any object.
    unbound: Vec<String>,
    /// Reasons why entries were left out.
    left_out: Vec<String>,
}

/// The answer as the library wants it; none where its `tools` are no list. Null is an empty list to
/// some languages.
pub(super) fn tidied(result: &str, tools: &RawValue) -> Option<String> {
    let entries: Vec<&RawValue> = match tools.get() {
        "null" => Vec::new(),
        list => serde_json::from_str(list).ok()?,
    };
    let mut page = Page::default();
    for (at, entry) in entries.into_iter().enumerate() {
        match page.tool(entry) {
            Ok(tool) => page.tools.push(tool),
            Err(why) => page.left_out.push(format!("entry {} {why}", at + 1)),
        }
    }
    let cursor = present_members(result, ["nextCursor"]).ok()?[0];
    // An empty one is how some say that there is no next page.
    let cursor = cursor.and_then(scalar).filter(|cursor| !cursor.is_empty());
    let cursor = cursor.map(|cursor| format!(r#""nextCursor":{},"#, Value::from(cursor)));
    Some(format!(
        r#"{{{}"_meta":{{"{REMARKS}":{}}},"tools":[{}]}}"#,
        cursor.unwrap_or_default(),
        Value::from(page.remarks()),
        page.tools.join(",")
    ))
}

impl Page {
    fn remarks(&self) -> Vec<String> {
        let list = |all: &[String]| {
            let more = all.len().saturating_sub(NAMED_MAX);
            let named = all.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join(", ");
            if more == 0 { named } else { format!("{named} and {more} more") }
        };
        let mut remarks = Vec::new();
        if !self.unbound.is_empty() {
            remarks.push(format!(
                "tools whose `inputSchema` is not a JSON Schema take any object: {}",
                list(&self.unbound)
            ));
        }
        if !self.left_out.is_empty() {
            remarks.push(format!("tools left out: {}", list(&self.left_out)));
        }
        remarks
    }

    /// One tool, or why it is left out.
    fn tool(&mut self, entry: &RawValue) -> Result<String, String> {
        let names = ["name", "title", "description", "inputSchema", "outputSchema", "annotations"];
        let read = present_members(entry.get(), names);
        let [name, title, description, input, output, annotations] =
            read.map_err(|_| "is not an object".to_owned())?;
        let name = name.ok_or("has no `name`")?;
        let Ok(name) = serde_json::from_str::<String>(name.get()) else {
            let shown = cut(name.get(), WORDS_BYTES_MAX);
            return Err(format!("has the `name` {shown}, which is not a string"));
        };
        let shown = format!("`{}`", cut(&name, WORDS_BYTES_MAX));
        let mut tool = json!({ "name": name });
        let texts = [("title", title), ("description", description)];
        for (member, text) in
            texts.into_iter().filter_map(|(name, raw)| Some((name, scalar(raw?)?)))
        {
            tool[member] = Value::from(text);
        }
        let schema = match input {
            Some(schema) if schema.get().starts_with('{') => {
                let schema = serde_json::from_str::<JsonObject>(schema.get());
                let schema = schema.map_err(|error| {
                    format!("({shown}) has an `inputSchema` that cannot be read: {error}")
                })?;
                with_fields(schema)
            }
            _ => {
                self.unbound.push(shown);
                JsonObject::from_iter([("type".to_owned(), Value::from("object"))])
            }
        };
        tool["inputSchema"] = Value::Object(schema);
        if let Some(schema) = output.and_then(|raw| serde_json::from_str(raw.get()).ok()) {
            tool["outputSchema"] = Value::Object(schema);
        }
        if let Some(claims) = annotations.map(claims).filter(|claims| !claims.is_empty()) {
            tool["annotations"] = Value::Object(claims);
        }
        Ok(tool.to_string())
    }
}

/// The schema; an empty list of fields, which is how PHP writes an empty object, becomes one.
fn with_fields(mut schema: JsonObject) -> JsonObject {
    for key in ["properties", "$defs", "definitions", "patternProperties"] {
        if let Some(fields) = schema.get_mut(key)
            && fields.as_array().is_some_and(Vec::is_empty)
        {
            *fields = Value::Object(Map::new());
        }
    }
    schema
}

/// Claims of a tool about itself. One that is neither true nor false says nothing.
fn claims(annotations: &RawValue) -> JsonObject {
    let names = ["readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"];
    let Ok(found) = members(annotations.get(), names) else { return JsonObject::new() };
    let flags = names.iter().zip(found).filter_map(|(name, raw)| {
        let flag = serde_json::from_str::<bool>(raw?.get()).ok()?;
        Some(((*name).to_owned(), Value::from(flag)))
    });
    let title = present_members(annotations.get(), ["title"]).ok().and_then(|[title]| title);
    let title = title.and_then(scalar).map(|title| ("title".to_owned(), Value::from(title)));
    flags.chain(title).collect()
}
