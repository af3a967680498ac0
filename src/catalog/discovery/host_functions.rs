//! Functions under `tools` that the host answers itself. They are found like tools, and their
//! arguments are validated like those of tools.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    Approval, DescribeQuery, Description, DiscoverQuery, Discovered, Found, ToolsPage, ToolsQuery,
    dispatch::{FUNCTIONS, raw, spelled_out},
    error::FindError,
    not_found::{self, NotFound},
    signature,
};
use crate::{
    base::{suggest, text::cut},
    catalog::{
        arguments::{self, ArgumentError},
        path,
        search::nearest,
        tool::Tool,
    },
    model::{RawJson, Schema},
};

/// Who answers these functions, as results of finding name it.
const SOURCE: &str = "airlock";
/// How much of a wrong path an error repeats, in bytes.
const GIVEN_BYTES_MAX: usize = 200;

/// A function of the host, as a tool that is in no catalog.
#[derive(Debug)]
pub struct HostFunction(Tool);

impl HostFunction {
    /// A function at this path that takes these arguments.
    pub fn new<Args: schemars::JsonSchema>(path: &str) -> Self {
        Self(Tool::own::<Args>(path))
    }

    /// What it does, in one line, and the JSON Schema of what it gives.
    pub fn told(mut self, description: &str, output: &Value) -> Self {
        self.0.description = description.to_owned();
        self.0.output_schema = Schema::new(output);
        self
    }

    /// Where code finds it.
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// The arguments, if they fit; the error says how they would.
    pub fn arguments<Args: DeserializeOwned>(&self, args: &str) -> Result<Args, ArgumentError> {
        let args = Value::Object(arguments::check(&self.0, args)?);
        // The schema that they were checked against is made of the same type.
        serde_json::from_value(args).map_err(|error| ArgumentError {
            tool: self.0.path.clone(),
            message: error.to_string(),
        })
    }

    fn found(&self) -> Found {
        Found {
            path: self.0.path.clone(),
            source: SOURCE.into(),
            hint: signature::hint(&self.0, "").to_string(),
            description: self.0.description.clone(),
            approval: Approval::Auto,
            score: 0.0,
            unavailable: None,
            input_schema: None,
            output_schema: None,
        }
    }

    fn description(&self) -> Description {
        Description {
            path: self.0.path.clone(),
            description: self.0.description.clone(),
            typescript: signature::declaration(&self.0, ""),
            input_schema: self.0.input_schema.clone(),
            output_schema: self.0.output_schema.clone(),
            approval: Approval::Auto,
            unavailable: None,
        }
    }
}

/// Functions of the host in a namespace of their own, which no upstream can have.
#[derive(Debug)]
pub struct HostFunctions {
    namespace: &'static str,
    all: Vec<HostFunction>,
}

impl HostFunctions {
    /// These functions; the paths of all begin with the namespace.
    pub fn new(namespace: &'static str, all: Vec<HostFunction>) -> Self {
        Self { namespace, all }
    }

    /// The function at a path, however it is written; none where the path is not in the namespace
    /// at all.
    pub fn get(&self, given: &str) -> Result<Option<&HostFunction>, NotFound> {
        let path = path::plain(given);
        if !path::is_within(&path, self.namespace) {
            return Ok(None);
        }
        let wanted = suggest::fold(&path);
        match self.all.iter().find(|function| suggest::fold(function.path()) == wanted) {
            Some(function) => Ok(Some(function)),
            None => Err(self.not_found(given, &wanted)),
        }
    }

    fn not_found(&self, given: &str, wanted: &str) -> NotFound {
        let every = || self.all.iter().map(HostFunction::path);
        let is_namespace = wanted == self.namespace;
        // The namespace is right: only what follows it tells which one was meant.
        let slips: Vec<&str> = every()
            .filter(|path| suggest::is_typo(last(wanted), last(&suggest::fold(path))))
            .collect();
        let meant = if is_namespace {
            Vec::new()
        } else {
            nearest::among(cut(wanted, GIVEN_BYTES_MAX), &slips)
        };
        // They are few enough to name all.
        let nearest = if meant.is_empty() { every().collect() } else { meant };
        let nearest = nearest.into_iter().map(str::to_owned).collect();
        NotFound {
            path: cut(given, GIVEN_BYTES_MAX).to_owned(),
            nearest,
            discover: not_found::listing(self.namespace),
            is_namespace,
        }
    }

    /// What a finding function answers about them; none where it was asked about something else, or
    /// cannot be read.
    pub fn find(&self, function: &str, args: &str) -> Option<Result<RawJson, FindError>> {
        let function = FUNCTIONS.iter().find(|known| known.path == function)?;
        let args = spelled_out(&function.path, args);
        let asked: Value = serde_json::from_str(&args).ok()?;
        if function.path == "describe" {
            let query: DescribeQuery = serde_json::from_value(asked).ok()?;
            return match self.get(&query.path) {
                Ok(found) => found.map(|found| raw(function, &found.description())),
                Err(absent) => Some(Err(FindError::Unresolved(absent.into()))),
            };
        }
        let namespace = path::plain(asked.get("namespace")?.as_str()?);
        path::is_within(&namespace, self.namespace).then(|| self.list(function, &args))
    }

    /// The answer of `discover` or `catalog.tools` for the namespace.
    fn list(&self, function: &Tool, args: &str) -> Result<RawJson, FindError> {
        let args = Value::Object(arguments::check(function, args)?);
        let unfit = |message: String| ArgumentError { tool: function.path.clone(), message };
        if function.path == "discover" {
            let query: DiscoverQuery =
                serde_json::from_value(args).map_err(|error| unfit(error.to_string()))?;
            let mut results = self.matching(query.namespace.as_deref(), &query.query);
            let (total, best) = (results.len(), results.first().filter(|_| results.len() == 1));
            let best_path = best.map(|found| found.path.clone());
            results.truncate(query.limit.unwrap_or(8) as usize);
            return raw(function, &Discovered { best_path, results, total });
        }
        let query: ToolsQuery =
            serde_json::from_value(args).map_err(|error| unfit(error.to_string()))?;
        let all =
            self.matching(query.namespace.as_deref(), query.query.as_deref().unwrap_or_default());
        let begin = query.cursor.as_deref().map_or(Ok(0), str::parse::<usize>);
        let begin = begin.map_err(|_| {
            unfit("field `cursor` must be the `nextCursor` of the page before".to_owned())
        })?;
        let total = all.len();
        let results: Vec<Found> =
            all.into_iter().skip(begin).take(query.limit.unwrap_or(50) as usize).collect();
        let end = begin.saturating_add(results.len());
        raw(
            function,
            &ToolsPage { results, total, next_cursor: (end < total).then(|| end.to_string()) },
        )
    }

    /// Those in the namespace whose path or description has one of the words; without words all.
    fn matching(&self, namespace: Option<&str>, words: &str) -> Vec<Found> {
        let namespace = path::plain(namespace.unwrap_or(self.namespace)).into_owned();
        let words: Vec<String> = words.split_whitespace().map(str::to_lowercase).collect();
        let has_one = |function: &&HostFunction| {
            let text = format!("{} {}", function.0.path, function.0.description).to_lowercase();
            words.is_empty() || words.iter().any(|word| text.contains(word.as_str()))
        };
        let inside = |function: &&HostFunction| path::is_within(function.path(), &namespace);
        self.all.iter().filter(inside).filter(has_one).map(HostFunction::found).collect()
    }
}

fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}
