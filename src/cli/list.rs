//! Lists of what the record keeps: one page, as rows for people or as an array for programs.

use clap::Args;
use serde_json::Value;

use super::{
    Failure,
    client::Client,
    screen::{dim, heading, note, print, print_json, with_id},
};

/// Which page, and how to print it.
#[derive(Debug, Args)]
pub(super) struct Page {
    /// How many, 1 to 200
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
    /// Where the page before ended
    #[arg(long)]
    cursor: Option<String>,
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

/// Which of them, and how to print it.
#[derive(Debug, Args)]
pub(super) struct One {
    /// Its id
    pub(super) id: String,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// What is listed, and how a row of it looks.
pub(super) struct List<'l> {
    /// Its name in `/v1` and in the answer: `tasks`.
    pub(super) what: &'l str,
    /// The key of an item that names it.
    pub(super) id: &'l str,
    /// What stands over the rows.
    pub(super) heading: String,
    /// What is said where there is nothing.
    pub(super) empty: &'l str,
    /// An item for people.
    pub(super) row: fn(&Value) -> String,
}

impl List<'_> {
    /// Asks for the page of what `query` selects, and prints it.
    pub(super) async fn show(
        &self,
        client: &Client,
        page: &Page,
        mut query: Vec<(&str, &str)>,
    ) -> Result<(), Failure> {
        let limit = page.limit.to_string();
        query.push(("limit", &limit));
        query.extend(page.cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let mut answer = client.list(self.what, &query).await?;
        let items = answer[self.what].as_array_mut().map(std::mem::take).unwrap_or_default();
        if page.json {
            print_json(&items.into_iter().map(|item| with_id(item, self.id)).collect())?;
        } else if items.is_empty() {
            note(self.empty);
        } else {
            print(heading(&self.heading).to_string())?;
            items.iter().try_for_each(|item| print((self.row)(item)))?;
        }
        if let Some(cursor) = answer["nextCursor"].as_str() {
            note(dim(format!("more: --cursor {cursor}")).for_stderr().to_string());
        }
        Ok(())
    }
}
