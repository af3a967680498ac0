//! Converts TOML to JSON.

use serde_json::Value;
use toml_edit::Item;

/// Reads a TOML document. The error says what is wrong with it and where, without its text.
pub fn toml_value(text: &str) -> Result<Value, String> {
    let document = toml_edit::Document::parse(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        let line = text.as_bytes().iter().take(start).filter(|byte| **byte == b'\n').count() + 1;
        format!("line {line}: {}", error.message().lines().next().unwrap_or_default())
    })?;
    Ok(table_to_json(document.as_table()))
}

/// Converts an item. Dates become strings; tables in arrays become objects.
pub(super) fn to_json(item: &Item) -> Value {
    match item {
        Item::None => Value::Null,
        Item::Value(value) => value_to_json(value),
        Item::Table(table) => table_to_json(table),
        Item::ArrayOfTables(tables) => tables.iter().map(table_to_json).collect(),
    }
}

fn table_to_json(table: &toml_edit::Table) -> Value {
    table.iter().map(|(key, item)| (key.to_owned(), to_json(item))).collect()
}

/// Converts one value.
pub(super) fn value_to_json(value: &toml_edit::Value) -> Value {
    match value {
        toml_edit::Value::String(string) => string.value().as_str().into(),
        toml_edit::Value::Integer(number) => (*number.value()).into(),
        toml_edit::Value::Float(number) => (*number.value()).into(),
        toml_edit::Value::Boolean(flag) => (*flag.value()).into(),
        toml_edit::Value::Datetime(date) => date.value().to_string().into(),
        toml_edit::Value::Array(array) => array.iter().map(value_to_json).collect(),
        toml_edit::Value::InlineTable(table) => {
            table.iter().map(|(key, value)| (key.to_owned(), value_to_json(value))).collect()
        }
    }
}
