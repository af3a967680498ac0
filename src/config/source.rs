//! Merges the layers of the configuration: file, environment, flags. Records the origin of each
//! key. Must not check values.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};
use toml_edit::{Document, TableLike};

use super::{
    error::{Origin, Problem},
    shape::Shape,
    toml_json::to_json,
};
use crate::base::{digest::sha256, file, suggest::nearest, text::decoded};

/// Largest configuration file, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Lines before a mistake that are left out until the rest is TOML.
const VALUE_LINES_MAX: usize = 200;

/// Environment of the process, or a map in a test.
pub trait Environment {
    /// Returns all variables whose name and value are UTF-8.
    fn variables(&self) -> BTreeMap<String, String>;
}

/// Environment of this process.
#[derive(Debug, Clone, Copy)]
pub struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    #[expect(clippy::disallowed_methods, reason = "only this function reads the environment")]
    fn variables(&self) -> BTreeMap<String, String> {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }
}

impl Environment for BTreeMap<String, String> {
    fn variables(&self) -> BTreeMap<String, String> {
        self.clone()
    }
}

/// Flag of the command line.
#[derive(Debug, Clone)]
pub struct Flag {
    /// Name of the flag: `--listen`.
    pub name: &'static str,
    /// Key that it sets: `server.listen`.
    pub key: &'static str,
    /// Value of the flag.
    pub value: String,
}

/// Merged layers; later layers override earlier ones.
#[derive(Debug, Default)]
pub(super) struct Layers {
    /// Keys that are set in any layer.
    pub(super) tree: Map<String, Value>,
    origins: BTreeMap<Vec<String>, Origin>,
    /// Digest of the file as it was read.
    pub(super) file_digest: Option<String>,
    /// The file sets no key.
    pub(super) is_file_empty: bool,
}

impl Layers {
    /// Returns the origin of a key, or of its nearest known parent.
    pub(super) fn origin(&self, path: &[String]) -> Origin {
        (0..=path.len())
            .rev()
            .find_map(|length| self.origins.get(&path[..length]).cloned())
            .unwrap_or(Origin::Default)
    }

    /// Returns true if the key itself is set in any layer.
    pub(super) fn is_set(&self, path: &[String]) -> bool {
        let mut table = &self.tree;
        let Some((last, above)) = path.split_last() else { return false };
        for key in above {
            match table.get(key) {
                Some(Value::Object(inner)) => table = inner,
                _ => return false,
            }
        }
        table.contains_key(last)
    }

    /// Removes a key, so that the others can still be checked.
    pub(super) fn remove(&mut self, path: &[String]) {
        let Some((last, above)) = path.split_last() else { return };
        let mut table = &mut self.tree;
        for key in above {
            match table.get_mut(key) {
                Some(Value::Object(inner)) => table = inner,
                _ => return,
            }
        }
        table.remove(last);
    }

    /// Sets a key. Missing parent tables are created; a parent that is not a table is replaced.
    fn set(&mut self, path: &[String], value: Value, origin: Origin) {
        let Some((last, above)) = path.split_last() else { return };
        let mut table = &mut self.tree;
        for key in above {
            let slot = table.entry(key.clone()).or_insert_with(|| Value::Object(Map::new()));
            if !slot.is_object() {
                *slot = Value::Object(Map::new());
            }
            table = slot.as_object_mut().expect("was made an object above");
        }
        table.insert(last.clone(), value);
        self.origins.retain(|known, _| !known.starts_with(path));
        self.origins.insert(path.to_vec(), origin);
    }

    /// Adds the file.
    pub(super) fn add_file(&mut self, path: &Path) -> Result<(), Problem> {
        let file_problem =
            |message: String| Problem { origin: Origin::File(path.to_path_buf(), 0), message };
        let bytes = read(path).map_err(|error| file_problem(format!("cannot be read: {error}")))?;
        self.add_text(path, &bytes)
    }

    /// Adds the content of the file.
    pub(super) fn add_text(&mut self, path: &Path, bytes: &[u8]) -> Result<(), Problem> {
        let file_problem =
            |message: String| Problem { origin: Origin::File(path.to_path_buf(), 0), message };
        self.file_digest = Some(sha256(bytes));
        let text = decoded(bytes)
            .map_err(|error| file_problem(format!("cannot be read: {error}")))?
            .to_owned();
        let document = Document::parse(text.as_str()).map_err(|error| {
            let line = error.span().map_or(0, |span| line_of(&text, span.start));
            let message = error.message().lines().collect::<Vec<_>>().join(", ");
            self.add_lines_before(line, &text, path);
            Problem {
                origin: Origin::File(path.to_path_buf(), line),
                message: format!("is not valid TOML: {message}"),
            }
        })?;
        self.add_document(&document, &text, path);
        Ok(())
    }

    fn add_document(&mut self, document: &Document<&str>, text: &str, path: &Path) {
        self.origins.insert(vec![], Origin::File(path.to_path_buf(), 0));
        self.is_file_empty = document.as_table().is_empty();
        self.add_table(document.as_table(), &mut vec![], text, path);
    }

    /// Adds the lines before the one that is not TOML, as far as they are: a value over several
    /// lines may begin among them.
    fn add_lines_before(&mut self, line: usize, text: &str, path: &Path) {
        let lines: Vec<&str> = text.lines().take(line.saturating_sub(1)).collect();
        let readable = (0..=lines.len().min(VALUE_LINES_MAX)).find_map(|dropped| {
            let text = lines[..lines.len() - dropped].join("\n");
            Document::parse(text.as_str()).is_ok().then_some(text)
        });
        if let Some(text) = readable
            && let Ok(document) = Document::parse(text.as_str())
        {
            self.add_document(&document, &text, path);
        }
    }

    fn add_table(&mut self, table: &dyn TableLike, at: &mut Vec<String>, text: &str, file: &Path) {
        for (key, item) in table.iter() {
            at.push(key.to_owned());
            let span = table.key(key).and_then(toml_edit::Key::span).or_else(|| item.span());
            let origin =
                Origin::File(file.to_path_buf(), span.map_or(0, |span| line_of(text, span.start)));
            match item.as_table_like() {
                Some(inner) => {
                    self.set(at, Value::Object(Map::new()), origin);
                    self.add_table(inner, at, text, file);
                }
                None => self.set(at, to_json(item), origin),
            }
            at.pop();
        }
    }

    /// Adds the `AIRLOCK_…` variables. An empty variable counts as not set, because that is how
    /// files of variables leave a key unset; for a list it is the empty list. Returns a problem for
    /// each name that is not a key.
    pub(super) fn add_environment(
        &mut self,
        variables: &BTreeMap<String, String>,
        shape: &Shape,
    ) -> Vec<Problem> {
        let known = shape.variables();
        let mut problems = vec![];
        for (name, text) in
            variables.iter().filter(|(name, _)| name.starts_with("AIRLOCK_") && !is_foreign(name))
        {
            let origin = Origin::Variable(name.clone());
            let path = known.get(name).cloned().or_else(|| self.upstream_key(name, shape));
            match path {
                Some(path) if text.is_empty() && !shape.may_be_empty(&path) => {}
                Some(path) => self.set(&path, shape.parse(&path, text), origin),
                None => {
                    let near = nearest(name, known.keys().map(String::as_str));
                    let hint =
                        near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
                    problems.push(Problem {
                        origin,
                        message: format!("is not a configuration key{hint}"),
                    });
                }
            }
        }
        problems
    }

    /// Returns the key of `AIRLOCK_UPSTREAMS_NAME_KEY`: of the upstream with that name in the file,
    /// or else of a new one with a lower-case name.
    fn upstream_key(&self, variable: &str, shape: &Shape) -> Option<Vec<String>> {
        let rest = variable.strip_prefix("AIRLOCK_UPSTREAMS_")?.to_lowercase();
        let keys = shape.at(&["upstreams".into(), "*".into()])?.keys();
        let (name, key) = keys
            .into_iter()
            .filter_map(|key| Some((rest.strip_suffix(&key)?.strip_suffix('_')?.to_owned(), key)))
            .filter(|(name, _)| !name.is_empty())
            .max_by_key(|(_, key)| key.len())?;
        let existing =
            self.tree.get("upstreams").and_then(Value::as_object).into_iter().flat_map(Map::keys);
        let same = existing
            .into_iter()
            .find(|existing| existing.to_lowercase().replace('-', "_") == name)
            .cloned();
        Some(vec!["upstreams".into(), same.unwrap_or(name), key])
    }

    /// Adds the flags.
    pub(super) fn add_flags(&mut self, flags: &[Flag], shape: &Shape) {
        for flag in flags {
            let path: Vec<String> = flag.key.split('.').map(str::to_owned).collect();
            let value = shape.parse(&path, &flag.value);
            self.set(&path, value, Origin::Flag(flag.name));
        }
    }
}

/// Returns true for variables that are not keys: other variables of ours, those by which programs
/// of upstreams get their arguments, and those that Kubernetes sets for a service named `airlock`.
fn is_foreign(name: &str) -> bool {
    matches!(name, "AIRLOCK_LOG" | "AIRLOCK_CONFIG" | "AIRLOCK_PORT")
        || name.starts_with("AIRLOCK_ARG_")
        || name.starts_with("AIRLOCK_SERVICE_")
        || name.starts_with("AIRLOCK_PORT_")
        || name.starts_with("AIRLOCK_TEST_")
}

/// Returns the content of a configuration file, which is a regular file of at most 1 MiB. Never
/// waits for another process.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    file::read(path, FILE_BYTES_MAX)
}

/// Returns the file to read: the requested one, or else the first that exists of `airlock.toml` in
/// `folder` and `airlock/airlock.toml` in the user's configuration folder.
pub(super) fn find_file(
    requested: Option<&Path>,
    folder: Option<&Path>,
    variables: &BTreeMap<String, String>,
) -> Option<PathBuf> {
    let requested = requested.map(Path::to_path_buf).or_else(|| {
        variables.get("AIRLOCK_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from)
    });
    requested.or_else(|| {
        let current = folder.map(|folder| folder.join("airlock.toml"));
        current.into_iter().chain(user_file(variables)).find(|path| path.exists())
    })
}

/// Returns the path of a file without links and relative parts, as far as it exists.
pub(super) fn whole_path(path: &Path) -> PathBuf {
    path.canonicalize()
        .or_else(|_| std::path::absolute(path))
        .unwrap_or_else(|_| path.to_path_buf())
}

/// Returns the user's own configuration file, which may not exist.
pub(super) fn user_file(variables: &BTreeMap<String, String>) -> Option<PathBuf> {
    user_folder(variables, "XDG_CONFIG_HOME", ".config")
        .map(|folder| folder.join("airlock/airlock.toml"))
}

/// Returns a folder of the XDG base directory specification: the variable if it is an absolute
/// path, or else a path below `HOME`.
pub(super) fn user_folder(
    variables: &BTreeMap<String, String>,
    variable: &str,
    below_home: &str,
) -> Option<PathBuf> {
    let set = variables.get(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    set.or_else(|| {
        variables
            .get("HOME")
            .filter(|home| !home.is_empty())
            .map(|home| Path::new(home).join(below_home))
    })
}

fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count() + 1
}
