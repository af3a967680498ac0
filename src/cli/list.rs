//! Lists of records: one page, as rows for people or as an array for programs.

use serde::Serialize;

use super::{
    args::Page,
    screen::{dim, heading, note, print, print_json, with_id},
};
use crate::app::Failure;

/// The items of a page, and how they are printed.
pub(super) struct List<'l, T> {
    /// The items.
    pub(super) items: &'l [T],
    /// Cursor of the next page, if there is one.
    pub(super) next_cursor: Option<&'l str>,
    /// The id of an item.
    pub(super) id: fn(&T) -> String,
    /// The line above the rows.
    pub(super) heading: String,
    /// The message where there are no items.
    pub(super) empty: &'l str,
    /// An item for people.
    pub(super) row: fn(&T) -> String,
}

impl<T: Serialize> List<'_, T> {
    /// Prints the page.
    pub(super) fn show(&self, page: &Page) -> Result<(), Failure> {
        if page.json {
            print_json(&self.items.iter().map(|item| with_id((self.id)(item), item)).collect())?;
        } else if self.items.is_empty() {
            note(self.empty);
        } else {
            print(heading(&self.heading).to_string())?;
            self.items.iter().try_for_each(|item| print((self.row)(item)))?;
        }
        if let Some(cursor) = self.next_cursor {
            note(dim(format!("more: --cursor {cursor}")).for_stderr().to_string());
        }
        Ok(())
    }
}
