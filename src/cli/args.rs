//! Arguments that several commands have.

use clap::Args;
use serde::Deserialize;

use crate::{app::Failure, base::unique_keys::duplicate_key};

/// Heading of the options that say how an answer is printed.
pub(super) const OUTPUT: &str = "Output options";
/// Help for the id of a task, an approval or an artifact.
pub(super) const ID: &str = "The id, or its first digits (at least 4)";
/// Heading of the options that every command has.
pub(super) const GLOBAL: &str = "Global options";
/// Items in a page unless the user says otherwise.
const LIMIT: u32 = 50;
/// Items in a page, at most; so many are asked for at once where all are wanted.
const LIMIT_MAX: u32 = 200;

/// A query string.
pub(super) type Query = [(&'static str, String)];

/// Output format.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Output {
    /// Print JSON; errors are JSON too, on standard error
    #[arg(long, help_heading = OUTPUT)]
    pub(super) json: bool,
}

/// Page of a list, and output format.
#[derive(Debug, Args)]
pub(super) struct Page {
    /// Items in the page, 1 to 200 [default: 50]
    #[arg(
        long,
        value_name = "COUNT",
        value_parser = clap::value_parser!(u32).range(1..=i64::from(LIMIT_MAX)),
        conflicts_with = "all",
        help_heading = OUTPUT
    )]
    limit: Option<u32>,
    /// Cursor of the page, from the page before
    #[arg(long, help_heading = OUTPUT)]
    pub(super) cursor: Option<String>,
    /// Print every page
    #[arg(long, help_heading = OUTPUT)]
    pub(super) all: bool,
    /// Print a JSON array; `nextCursor` in its last object is the cursor of the next page
    #[arg(long, help_heading = OUTPUT)]
    pub(super) json: bool,
}

impl Page {
    /// The query string of the page at this cursor.
    pub(super) fn query(&self, cursor: Option<&str>) -> Vec<(&'static str, String)> {
        let limit = if self.all { LIMIT_MAX } else { self.limit.unwrap_or(LIMIT) };
        let cursor = cursor.map(|cursor| ("cursor", cursor.to_owned()));
        [("limit", limit.to_string())].into_iter().chain(cursor).collect()
    }
}

/// One of several, and output format.
#[derive(Debug, Args)]
pub(super) struct One {
    #[arg(help = ID)]
    pub(super) id: String,
    #[command(flatten)]
    pub(super) output: Output,
}

/// The value of an option that is JSON. Readers disagree about a key that is there twice, so that
/// is refused.
pub(super) fn json_option<'t, T: Deserialize<'t>>(name: &str, text: &'t str) -> Result<T, Failure> {
    let value = serde_json::from_str(text)
        .map_err(|error| Failure::other(format!("`{name}` is not valid JSON: {error}")))?;
    match duplicate_key(text.as_bytes()) {
        None => Ok(value),
        Some(doubled) => {
            Err(Failure::other(format!("`{name}` has {doubled}")).hint("send it once"))
        }
    }
}
