//! Arguments that several commands have.

use clap::Args;
use serde::Deserialize;

use crate::{app::Failure, base::unique_keys::duplicate_key};

/// Output format.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Output {
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// Page of a list, and output format.
#[derive(Debug, Args)]
pub(super) struct Page {
    /// Items in the page, 1 to 200
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
    /// Cursor of the page, from the page before
    #[arg(long)]
    cursor: Option<String>,
    /// Print a JSON array
    #[arg(long)]
    pub(super) json: bool,
}

impl Page {
    /// Its part of a query string.
    pub(super) fn query(&self) -> Vec<(&'static str, String)> {
        let limit = Some(("limit", self.limit.to_string()));
        limit.into_iter().chain(self.cursor.clone().map(|cursor| ("cursor", cursor))).collect()
    }
}

/// One of several, and output format.
#[derive(Debug, Args)]
pub(super) struct One {
    /// Its id
    pub(super) id: String,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// The value of an option that is JSON. Readers disagree about a key that is there twice, so that
/// is refused.
pub(super) fn json_option<'t, T: Deserialize<'t>>(name: &str, text: &'t str) -> Result<T, Failure> {
    let value = serde_json::from_str(text)
        .map_err(|error| Failure::other(format!("`{name}` is not JSON: {error}")))?;
    match duplicate_key(text.as_bytes()) {
        None => Ok(value),
        Some(doubled) => {
            Err(Failure::other(format!("`{name}` has {doubled}")).hint("send it once"))
        }
    }
}
