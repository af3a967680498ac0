//! The lists of MCP servers that MCP clients keep: Claude Desktop and Code, Cursor, VS Code,
//! Windsurf, Gemini CLI, Zed, Goose, Codex, Continue, opencode. Reads their forms and starts
//! nothing.

mod entry;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

pub(super) use self::entry::Entry;
use self::entry::Reader;
use super::template::Syntax;
use crate::{base::text::decoded, config};

/// Servers that are read of one file.
const ENTRIES_MAX: usize = 200;
/// Folders in which a client keeps its file for a project.
const PROJECT_FOLDERS: [&str; 9] = [
    ".vscode",
    ".cursor",
    ".gemini",
    ".zed",
    ".codex",
    ".windsurf",
    ".continue",
    ".roo",
    ".claude",
];

/// Names of the servers in a file; none if it is no list of servers.
pub(super) fn names(path: &Path, bytes: &[u8]) -> Option<Vec<String>> {
    let value = parse(path, decoded(bytes).ok()?).ok()?;
    let found = servers(&value);
    (!found.is_empty()).then(|| found.into_iter().map(|(name, _)| name).collect())
}

/// The servers in a file, in its order.
///
/// # Errors
/// If it cannot be read, or lists no servers.
pub(super) fn entries(
    path: &Path,
    bytes: &[u8],
    environment: &BTreeMap<String, String>,
) -> Result<Vec<Entry>, String> {
    let text = decoded(bytes).map_err(|error| error.to_string())?;
    let value = parse(path, text)?;
    let found = servers(&value);
    if found.is_empty() {
        return Err("it lists no MCP servers: neither `mcpServers` nor `servers`, \
            `context_servers`, `extensions` or `mcp_servers` contains one"
            .to_owned());
    }
    if found.len() > ENTRIES_MAX {
        return Err(format!("it lists {} servers; the limit is {ENTRIES_MAX}", found.len()));
    }
    let folder = project_folder(path);
    let home = environment.get("HOME").cloned().unwrap_or_default();
    let own = |folder: &Path| folder.display().to_string();
    let known = BTreeMap::from([
        ("workspaceFolder", own(&folder)),
        ("workspaceRoot", own(&folder)),
        ("extensionPath", own(path.parent().unwrap_or(&folder))),
        ("userHome", home),
        ("pathSeparator", "/".to_owned()),
        ("/", "/".to_owned()),
    ]);
    let is_gemini = path.components().any(|part| part.as_os_str() == ".gemini")
        || found.iter().any(|(_, server)| server.get("httpUrl").is_some());
    let inputs = inputs(&value);
    let syntax = Syntax { known, inputs, environment, bare: is_gemini, doubled: false };
    let reader = Reader { syntax, folder, seconds: !is_gemini };
    Ok(found.into_iter().map(|(name, server)| reader.entry(name, server)).collect())
}

/// The folder that the client takes for the project.
fn project_folder(path: &Path) -> PathBuf {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let folder = whole.parent().unwrap_or(Path::new("/"));
    let is_own = |folder: &Path| {
        let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        PROJECT_FOLDERS.contains(&name)
    };
    match folder.parent() {
        Some(above) if is_own(folder) => above.to_path_buf(),
        _ => folder.to_path_buf(),
    }
}

/// JSON with comments, YAML or TOML, by the ending of the name or else the text.
fn parse(path: &Path, text: &str) -> Result<Value, String> {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    match ending.to_ascii_lowercase().as_str() {
        "toml" => {
            config::toml_value(text).map_err(|error| format!("it is not valid TOML: {error}"))
        }
        "yaml" | "yml" => yaml(text),
        _ if text.trim_start().starts_with(['{', '/']) => json(text),
        _ => yaml(text).or_else(|_| config::toml_value(text)),
    }
}

fn json(text: &str) -> Result<Value, String> {
    let options = jsonc_parser::ParseOptions {
        allow_missing_commas: false,
        ..jsonc_parser::ParseOptions::default()
    };
    jsonc_parser::parse_to_serde_value(text, &options)
        .map_err(|error| format!("it is not valid JSON: {error}"))
}

fn yaml(text: &str) -> Result<Value, String> {
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_str_with_options(text, options)
        .map_err(|error| format!("it is not valid YAML: {error}"))
}

/// The servers, wherever the client keeps them.
fn servers(value: &Value) -> Vec<(String, &Map<String, Value>)> {
    let mut found = vec![];
    for key in ["mcpServers", "amp.mcpServers", "context_servers", "mcp_servers"] {
        add(&mut found, value.get(key), |_| true);
    }
    // Other documents have keys of these names too.
    let is_server = |server: &Map<String, Value>| {
        let has = |key: &str| server.get(key).is_some_and(|value| !value.is_null());
        ["command", "cmd", "url", "uri"].into_iter().any(has) && !has("paths")
            || server.get("type").and_then(Value::as_str).is_some_and(|kind| {
                matches!(
                    kind,
                    "builtin" | "platform" | "stdio" | "sse" | "http" | "streamable_http"
                )
            })
    };
    if value.get("openapi").is_none() && value.get("swagger").is_none() {
        add(&mut found, value.get("servers").filter(|servers| servers.is_object()), is_server);
        add(&mut found, value.get("extensions"), is_server);
    }
    let mcp = value.get("mcp");
    add(&mut found, mcp.and_then(|mcp| mcp.get("servers")), is_server);
    add(&mut found, mcp.and_then(|mcp| mcp.get("mcpServers")), |_| true);
    add(&mut found, mcp, is_server);
    let old = value.pointer("/experimental/modelContextProtocolServers");
    add(&mut found, old, |_| true);
    let projects = value.get("projects").and_then(Value::as_object);
    for project in projects.into_iter().flat_map(Map::values) {
        add(&mut found, project.get("mcpServers"), |_| true);
    }
    found
}

/// Adds the servers of a table by name, or of a list whose items name themselves.
fn add<'v>(
    found: &mut Vec<(String, &'v Map<String, Value>)>,
    servers: Option<&'v Value>,
    is_server: impl Fn(&Map<String, Value>) -> bool,
) {
    let table = servers.and_then(Value::as_object).into_iter().flatten();
    let named = table.filter_map(|(name, server)| Some((name.clone(), server.as_object()?)));
    let list = servers.and_then(Value::as_array).into_iter().flatten().enumerate();
    let listed = list.filter_map(|(at, server)| {
        let server = server.as_object()?;
        let name = server.get("name").and_then(Value::as_str);
        let server = server.get("transport").and_then(Value::as_object).unwrap_or(server);
        Some((name.map_or_else(|| format!("server-{}", at + 1), str::to_owned), server))
    });
    for (name, server) in named.chain(listed).filter(|(_, server)| is_server(server)) {
        if !found.iter().any(|(known, same)| *known == name && *same == server) {
            found.push((name, server));
        }
    }
}

/// The inputs of VS Code that are no passwords and have a default.
fn inputs(value: &Value) -> BTreeMap<String, String> {
    let of = |value: &Value| value.get("inputs").and_then(Value::as_array).cloned();
    let all = of(value).or_else(|| value.get("mcp").and_then(of)).unwrap_or_default();
    let plain = all.iter().filter(|input| input["password"] != true);
    plain
        .filter_map(|input| Some((input["id"].as_str()?.into(), input["default"].as_str()?.into())))
        .collect()
}

#[cfg(test)]
mod tests;
