//! The places values come from, laid over each other: file, environment, flags. Remembers where
//! each was written; judges none.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};
use toml_edit::{Document, Item, TableLike};

use super::{
    error::{Origin, Problem},
    shape::Shape,
};
use crate::base::suggest::nearest;

/// Longest configuration file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// The process environment, or a map in a test.
pub trait Environment {
    /// All variables whose name and value are text.
    fn variables(&self) -> BTreeMap<String, String>;
}

/// The environment of this process.
#[derive(Debug, Clone, Copy)]
pub struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
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

/// A value given on the command line.
#[derive(Debug, Clone)]
pub struct Flag {
    /// How the flag is written: `--listen`.
    pub name: &'static str,
    /// The key it sets: `server.listen`.
    pub key: &'static str,
    /// Its value.
    pub value: String,
}

/// What was written, as one tree, later sources over earlier ones.
#[derive(Debug, Default)]
pub(super) struct Layers {
    /// The keys that were written, and only those.
    pub(super) tree: Map<String, Value>,
    origins: BTreeMap<Vec<String>, Origin>,
}

impl Layers {
    /// Where the key, or the nearest thing around it, was written.
    pub(super) fn origin(&self, path: &[String]) -> Origin {
        (0..=path.len())
            .rev()
            .find_map(|length| self.origins.get(&path[..length]).cloned())
            .unwrap_or(Origin::Default)
    }

    /// Whether the key itself was written somewhere.
    pub(super) fn is_written(&self, path: &[String]) -> bool {
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

    /// Takes a key away, so that the others can still be judged.
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

    /// Sets one key. Tables on the way are made; a scalar in the way is replaced.
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

    /// Reads the file.
    pub(super) fn add_file(&mut self, path: &Path) -> Result<(), Problem> {
        let whole =
            |message: String| Problem { origin: Origin::File(path.to_path_buf(), 0), message };
        let size = std::fs::metadata(path)
            .map_err(|error| whole(format!("cannot be read: {error}")))?
            .len();
        if size > FILE_BYTES_MAX {
            return Err(whole(format!("has {size} bytes; at most {FILE_BYTES_MAX} are read")));
        }
        let text = std::fs::read_to_string(path)
            .map_err(|error| whole(format!("cannot be read: {error}")))?;
        let document = Document::parse(text.as_str()).map_err(|error| {
            let line = error.span().map_or(0, |span| line_of(&text, span.start));
            let message = error.message().lines().collect::<Vec<_>>().join(", ");
            Problem {
                origin: Origin::File(path.to_path_buf(), line),
                message: format!("is not TOML here: {message}"),
            }
        })?;
        self.origins.insert(vec![], Origin::File(path.to_path_buf(), 0));
        self.add_table(document.as_table(), &mut vec![], &text, path);
        Ok(())
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

    /// Takes the `AIRLOCK_…` variables over what is there, but for those that hold nothing: where
    /// they come from a file of variables, that is how one writes that a key is not set. Names that
    /// are no key come back as problems.
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
                        message: format!("names no key of the configuration{hint}"),
                    });
                }
            }
        }
        problems
    }

    /// `AIRLOCK_UPSTREAMS_NAME_KEY`: the upstream of that name in the file, else a new one in lower
    /// case.
    fn upstream_key(&self, variable: &str, shape: &Shape) -> Option<Vec<String>> {
        let rest = variable.strip_prefix("AIRLOCK_UPSTREAMS_")?.to_lowercase();
        let keys = shape.at(&["upstreams".into(), "*".into()])?.keys();
        let (name, key) = keys
            .into_iter()
            .filter_map(|key| Some((rest.strip_suffix(&key)?.strip_suffix('_')?.to_owned(), key)))
            .filter(|(name, _)| !name.is_empty())
            .max_by_key(|(_, key)| key.len())?;
        let written =
            self.tree.get("upstreams").and_then(Value::as_object).into_iter().flat_map(Map::keys);
        let same = written
            .into_iter()
            .find(|written| written.to_lowercase().replace('-', "_") == name)
            .cloned();
        Some(vec!["upstreams".into(), same.unwrap_or(name), key])
    }

    /// Takes the flags over what is there.
    pub(super) fn add_flags(&mut self, flags: &[Flag], shape: &Shape) {
        for flag in flags {
            let path: Vec<String> = flag.key.split('.').map(str::to_owned).collect();
            let value = shape.parse(&path, &flag.value);
            self.set(&path, value, Origin::Flag(flag.name));
        }
    }
}

/// Variables that are not keys: our own others, and those that Kubernetes sets for a service called
/// `airlock`.
fn is_foreign(name: &str) -> bool {
    matches!(name, "AIRLOCK_LOG" | "AIRLOCK_CONFIG" | "AIRLOCK_PORT")
        || name.starts_with("AIRLOCK_SERVICE_")
        || name.starts_with("AIRLOCK_PORT_")
        || name.starts_with("AIRLOCK_TEST_")
}

/// The file to read: the one that was asked for, else the first that exists of `./airlock.toml`
/// (unless `here` is false) and `airlock/airlock.toml` in the user's configuration folder.
pub(super) fn find_file(
    asked: Option<&Path>,
    here: Option<&Path>,
    variables: &BTreeMap<String, String>,
) -> Option<PathBuf> {
    let asked = asked.map(Path::to_path_buf).or_else(|| {
        variables.get("AIRLOCK_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from)
    });
    asked.or_else(|| {
        let here = here.map(|folder| folder.join("airlock.toml"));
        let user = user_folder(variables, "XDG_CONFIG_HOME", ".config")
            .map(|folder| folder.join("airlock/airlock.toml"));
        here.into_iter().chain(user).find(|path| path.exists())
    })
}

/// A folder of the XDG base directory specification: the variable if it holds an absolute path,
/// else below `HOME`.
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

/// TOML as JSON. Dates become text; tables in arrays become objects.
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

/// One TOML value as JSON.
pub(super) fn value_to_json(value: &toml_edit::Value) -> Value {
    match value {
        toml_edit::Value::String(text) => text.value().as_str().into(),
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
