//! Descriptions and constraints of a schema, as comments of a declaration.

use serde_json::Value;

use crate::base::text::cut;

/// Longest comment at one place, in bytes.
const COMMENT_BYTES_MAX: usize = 1_000;

/// Constraints of a schema beyond its type.
pub(super) fn remarks(schema: &Value) -> Vec<String> {
    let mut out = Vec::new();
    if let Some(text) =
        schema.get("description").or_else(|| schema.get("title")).and_then(Value::as_str)
    {
        out.push(text.to_owned());
    }
    for (keyword, words) in [
        ("default", "Default"),
        ("minimum", "At least"),
        ("exclusiveMinimum", "More than"),
        ("maximum", "At most"),
        ("exclusiveMaximum", "Less than"),
        ("minLength", "Characters at least"),
        ("maxLength", "Characters at most"),
        ("minItems", "Items at least"),
        ("maxItems", "Items at most"),
        ("pattern", "Pattern"),
        ("format", "Format"),
    ] {
        if let Some(value) = schema.get(keyword) {
            let text = value
                .as_str()
                .filter(|_| keyword != "default")
                .map_or_else(|| value.to_string(), str::to_owned);
            out.push(format!("{words}: {}", cut(&text, 200)));
        }
    }
    if schema.get("type").and_then(Value::as_str) == Some("integer") {
        out.push("Integer".to_owned());
    }
    if schema.get("deprecated") == Some(&Value::Bool(true)) {
        out.push("@deprecated".to_owned());
    }
    out
}

/// A doc comment of these sentences, or nothing. Whatever the upstream wrote, it ends where it
/// should.
pub(in crate::catalog) fn comment(sentences: &[String], level: usize) -> String {
    let indent = "  ".repeat(level);
    let text = sentences.join("\n").replace("*/", "*\\/");
    let text = cut(text.trim(), COMMENT_BYTES_MAX);
    let lines: Vec<&str> =
        text.lines().map(str::trim_end).filter(|line| !line.trim().is_empty()).collect();
    match lines.as_slice() {
        [] => String::new(),
        [line] => format!("{indent}/** {line} */\n"),
        lines => {
            let body: String = lines.iter().map(|line| format!("{indent} * {line}\n")).collect();
            format!("{indent}/**\n{body}{indent} */\n")
        }
    }
}
