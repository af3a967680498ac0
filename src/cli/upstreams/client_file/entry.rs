//! One server of a client's file, as an upstream.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::cli::upstreams::{
    draft::{Credential, Draft, Kind},
    program::is_relative_path,
    secret::is_secret_variable,
    template::{Piece, Syntax, Template},
};

/// Keys that say nothing that an upstream needs.
const IDLE_KEYS: [&str; 17] = [
    "type",
    "name",
    "description",
    "display_name",
    "displayName",
    "icon",
    "bundled",
    "source",
    "version",
    "gallery",
    "required",
    "schema",
    "disabled",
    "enabled",
    "timeout",
    "transport",
    "settings",
];
/// Keys that choose tools, which policy does here.
const TOOL_KEYS: [&str; 12] = [
    "alwaysAllow",
    "autoApprove",
    "trust",
    "includeTools",
    "excludeTools",
    "enabled_tools",
    "disabled_tools",
    "disabledTools",
    "enabledTools",
    "available_tools",
    "tools",
    "allowedTools",
];
/// Longest time of a call or a start, in milliseconds.
const TIME_MS_MAX: u64 = 600_000;

/// A server of a client's file.
#[derive(Debug)]
pub(in crate::cli::upstreams) struct Entry {
    /// Its name there.
    pub(in crate::cli::upstreams) name: String,
    /// The upstream, or why there is none.
    pub(in crate::cli::upstreams) draft: Result<Draft, String>,
    /// What is not taken over.
    pub(in crate::cli::upstreams) notes: Vec<String>,
    /// The client does not use it.
    pub(in crate::cli::upstreams) is_disabled: bool,
}

/// Reads the servers of one file.
pub(super) struct Reader<'s> {
    pub(super) syntax: Syntax<'s>,
    /// The folder that relative paths are in.
    pub(super) folder: PathBuf,
    /// Short times are in seconds.
    pub(super) seconds: bool,
}

impl Reader<'_> {
    /// Reads a server.
    pub(super) fn entry(&self, name: String, server: &Map<String, Value>) -> Entry {
        let is_disabled = server.get("disabled") == Some(&Value::Bool(true))
            || server.get("enabled") == Some(&Value::Bool(false));
        let mut notes = vec![];
        let draft = self.draft(&name, server, &mut notes);
        Entry { name, draft, notes, is_disabled }
    }

    fn draft(
        &self,
        name: &str,
        server: &Map<String, Value>,
        notes: &mut Vec<String>,
    ) -> Result<Draft, String> {
        let kind = server.get("type").and_then(Value::as_str).unwrap_or_default();
        if matches!(
            kind,
            "builtin" | "platform" | "inline_python" | "frontend" | "ws" | "websocket"
        ) {
            return Err(format!("it has the type \"{kind}\", which works in its client only"));
        }
        let mut draft = Draft { name: name.to_owned(), kind: Kind::Mcp, ..Draft::default() };
        self.times(server, &mut draft);
        let url = ["httpUrl", "url", "serverUrl", "uri", "endpoint"]
            .into_iter()
            .find_map(|key| server.get(key)?.as_str());
        let command = server.get("command").or_else(|| server.get("cmd"));
        match (command, url) {
            (Some(command), _) if !command.is_null() => {
                self.program(server, command, &mut draft)?
            }
            (_, Some(url)) => self.service(server, url, &mut draft, notes)?,
            _ => return Err("it names neither a program nor a URL".to_owned()),
        }
        let known = [
            "command",
            "cmd",
            "args",
            "env",
            "envs",
            "environment",
            "env_keys",
            "env_vars",
            "cwd",
            "httpUrl",
            "url",
            "serverUrl",
            "uri",
            "endpoint",
            "headers",
            "http_headers",
            "env_http_headers",
            "bearer_token_env_var",
            "requestOptions",
            "startup_timeout_sec",
            "startup_timeout_ms",
            "tool_timeout_sec",
            "oauth",
            "auth",
        ];
        for key in server.keys() {
            if TOOL_KEYS.contains(&key.as_str()) {
                notes.push(format!("`{key}` is not imported: a policy file decides about tools"));
            } else if !known.contains(&key.as_str()) && !IDLE_KEYS.contains(&key.as_str()) {
                notes.push(format!("`{key}` is not imported"));
            }
        }
        Ok(draft)
    }

    fn times(&self, server: &Map<String, Value>, draft: &mut Draft) {
        let number = |key: &str| server.get(key).and_then(Value::as_f64).filter(|n| *n > 0.0);
        // A number of milliseconds under a second would be no time for a call.
        let ms = |value: f64, in_seconds: bool| {
            let factor = if in_seconds { 1000.0 } else { 1.0 };
            ((value * factor) as u64).clamp(1, TIME_MS_MAX)
        };
        draft.call_timeout_ms = number("tool_timeout_sec")
            .map(|time| ms(time, true))
            .or_else(|| number("timeout").map(|time| ms(time, self.seconds && time < 1000.0)));
        draft.start_timeout_ms = number("startup_timeout_sec")
            .map(|time| ms(time, true))
            .or_else(|| number("startup_timeout_ms").map(|time| ms(time, false)))
            .map(|time| time.max(100));
    }

    fn program(
        &self,
        server: &Map<String, Value>,
        command: &Value,
        draft: &mut Draft,
    ) -> Result<(), String> {
        let (words, inner) = match command {
            Value::String(command) => (vec![command.clone()], None),
            Value::Array(words) => (strings(words), None),
            Value::Object(inner) => {
                let path = inner.get("path").or_else(|| inner.get("command"));
                let path = path.and_then(Value::as_str).ok_or("its `command` names no program")?;
                (vec![path.to_owned()], Some(inner))
            }
            _ => return Err("its `command` is neither a string nor a list".to_owned()),
        };
        let args = inner.unwrap_or(server).get("args").and_then(Value::as_array);
        let mut words = [words, args.map(|args| strings(args)).unwrap_or_default()].concat();
        // How Windows starts scripts.
        if words.len() > 2
            && matches!(words[0].to_ascii_lowercase().as_str(), "cmd" | "cmd.exe")
            && words[1].eq_ignore_ascii_case("/c")
        {
            words.drain(..2);
        }
        // The whole command line in one string.
        if let [line] = words.as_slice()
            && line.contains(' ')
            && !Path::new(line).exists()
            && let Some(split) = shlex::split(line)
        {
            words = split;
        }
        let mut words = words.iter().map(|word| self.read(word)).collect::<Result<Vec<_>, _>>()?;
        if words.is_empty() {
            return Err("its `command` is empty".to_owned());
        }
        let folder = server.get("cwd").and_then(Value::as_str).filter(|cwd| !cwd.is_empty());
        draft.cwd = match folder {
            Some(cwd) => Some(self.folder(cwd)?),
            None => self.needed_folder(&words),
        };
        let mut command = words.remove(0);
        if let Some(path) = command.plain().filter(|path| path.contains('/'))
            && !path.starts_with(['/', '~'])
        {
            command = Template::text(self.folder.join(path).display().to_string());
        }
        draft.command = Some(command);
        draft.args = words;
        self.environment(inner.unwrap_or(server), draft)
    }

    /// A folder, as a path of the configuration.
    fn folder(&self, cwd: &str) -> Result<String, String> {
        let written = self.read(cwd)?.written().ok_or("its `cwd` contains a secret")?;
        Ok(match written.starts_with(['/', '~', '$']) {
            true => written,
            false => self.folder.join(written).display().to_string(),
        })
    }

    /// The folder of the file, if a word is the relative path of something in it: the client starts
    /// its servers there.
    fn needed_folder(&self, words: &[Template]) -> Option<String> {
        let is_here =
            |word: &Template| word.plain().is_some_and(|word| is_relative_path(word, &self.folder));
        words.iter().skip(1).any(is_here).then(|| self.folder.display().to_string())
    }

    fn environment(&self, server: &Map<String, Value>, draft: &mut Draft) -> Result<(), String> {
        for key in ["env", "envs", "environment"] {
            for (name, value) in server.get(key).and_then(Value::as_object).into_iter().flatten() {
                let Some(text) = scalar(value) else { continue };
                draft.env.push((name.clone(), self.read(&text)?));
            }
        }
        let names = |key: &str| {
            let list = server.get(key).and_then(Value::as_array).into_iter().flatten();
            let named = |item: &Value| {
                let name = item.as_str().or_else(|| item.get("name")?.as_str())?;
                Some(name.to_owned())
            };
            list.filter_map(named).collect::<Vec<_>>()
        };
        // Goose keeps these in its own keychain.
        let secrets = names("env_keys").into_iter().map(|name| (name.clone(), Piece::Secret(name)));
        let passed =
            names("env_vars").into_iter().map(|name| (name.clone(), Piece::Variable(name)));
        for (name, piece) in secrets.chain(passed) {
            if !draft.env.iter().any(|(known, _)| *known == name) {
                draft.env.push((name, Template(vec![piece])));
            }
        }
        Ok(())
    }

    fn service(
        &self,
        server: &Map<String, Value>,
        url: &str,
        draft: &mut Draft,
        notes: &mut Vec<String>,
    ) -> Result<(), String> {
        let url = self.read(url)?;
        let url = self.present(url, notes);
        draft.url = Some(draft.service(&url).map_err(|failure| failure.on_one_line())?);
        let options = server.get("requestOptions").and_then(|options| options.get("headers"));
        let headers = [server.get("headers"), server.get("http_headers"), options];
        for (name, value) in headers.into_iter().flatten().filter_map(Value::as_object).flatten() {
            let Some(text) = scalar(value) else { continue };
            let value = self.read(&text)?;
            draft.header(name, value).map_err(|failure| failure.on_one_line())?;
        }
        let by_variable = server.get("env_http_headers").and_then(Value::as_object);
        for (name, variable) in by_variable.into_iter().flatten() {
            let Some(variable) = variable.as_str() else { continue };
            let value = Template(vec![Piece::Variable(variable.to_owned())]);
            draft.header(name, value).map_err(|failure| failure.on_one_line())?;
        }
        if let Some(variable) = server.get("bearer_token_env_var").and_then(Value::as_str) {
            let token = Template(vec![Piece::Variable(variable.to_owned())]);
            draft.set_auth(Credential::Bearer(token)).map_err(|failure| failure.on_one_line())?;
        }
        Ok(())
    }

    /// The URL with the present values of variables that are no secrets: in a URL the configuration
    /// expands none.
    fn present(&self, url: Template, notes: &mut Vec<String>) -> Template {
        let pieces = url.0.into_iter().map(|piece| match piece {
            Piece::Variable(name) => {
                let value = self
                    .syntax
                    .environment
                    .get(&name)
                    .filter(|value| !is_secret_variable(&name, value));
                match value {
                    Some(value) => {
                        notes.push(format!(
                            "`${{{name}}}` in its URL is replaced by its present value"
                        ));
                        Piece::Text(value.clone())
                    }
                    None => Piece::Variable(name),
                }
            }
            piece => piece,
        });
        Template(pieces.collect()).joined()
    }

    fn read(&self, text: &str) -> Result<Template, String> {
        Template::read(text, &self.syntax)
            .map_err(|reference| format!("`{reference}` has no counterpart in Airlock"))
    }
}

fn strings(values: &[Value]) -> Vec<String> {
    values.iter().filter_map(scalar).collect()
}

/// A string, a number or a boolean as text.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}
