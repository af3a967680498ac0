//! Lists of records: a page, or all pages as they arrive; as rows for people, or as one array of
//! JSON for programs. Holds one page at a time.

use serde::Serialize;

use super::{
    args::{Page, Query},
    screen::{dim, note, pretty, print_while_read, with_id},
    table::{Cell, Column, Table},
};
use crate::app::Failure;

/// One page of a list, with the cursor of the next one.
pub(super) struct Items<T> {
    pub(super) items: Vec<T>,
    pub(super) next_cursor: Option<String>,
}

/// How the items of a list are printed.
pub(super) struct List<'l, T> {
    /// The id of an item.
    pub(super) id: fn(&T) -> String,
    /// The message where there are no items.
    pub(super) empty: &'l str,
    /// Some items for people; the first time it is called with true.
    pub(super) lines: &'l mut dyn FnMut(&[T], bool) -> Vec<String>,
}

/// Rows in columns, for [`List::lines`].
pub(super) fn rows<T>(
    columns: &[Column],
    cells: fn(&T) -> Vec<Cell>,
) -> impl FnMut(&[T], bool) -> Vec<String> {
    let mut table = Table::new(columns);
    move |items: &[T], is_first: bool| {
        let rows: Vec<_> = items.iter().map(cells).collect();
        table.lines(&rows, is_first)
    }
}

impl<T: Serialize> List<'_, T> {
    /// Prints the page, or all of them; returns the number of items. An array of JSON whose list
    /// goes on has `nextCursor` in its last object.
    pub(super) async fn show(
        self,
        page: &Page,
        mut fetch: impl AsyncFnMut(&Query) -> Result<Items<T>, Failure>,
    ) -> Result<usize, Failure> {
        let List { id, empty, lines } = self;
        let (mut cursor, mut shown, mut is_begun) = (page.cursor.clone(), 0, false);
        loop {
            let query = page.query(cursor.as_deref());
            let Items { items, next_cursor } = fetch(query.as_slice()).await?;
            // A cursor that stands still would never end.
            let next = next_cursor.filter(|next| Some(next) != cursor.as_ref());
            let is_last = !page.all || next.is_none();
            let text = match page.json {
                true => {
                    let begin = if is_begun { "" } else { "[" };
                    is_begun = true;
                    let cursor = next.as_deref().filter(|_| is_last);
                    let rest = objects(&items, id, shown, cursor);
                    let end = match (is_last, shown + items.len()) {
                        (false, _) => "",
                        (true, 0) => "]\n",
                        (true, _) => "\n]\n",
                    };
                    format!("{begin}{rest}{end}")
                }
                false if items.is_empty() => String::new(),
                false => lines(&items, shown == 0).join("\n") + "\n",
            };
            shown += items.len();
            if !text.is_empty() && !print_while_read(&text)? {
                return Ok(shown);
            }
            if !is_last {
                cursor = next;
                continue;
            }
            if !page.json && shown == 0 {
                note(empty);
            }
            if let Some(cursor) = next.filter(|_| !page.json) {
                let more =
                    format!("there are more: `--cursor {cursor}` continues, `--all` prints all");
                note(dim(more).for_stderr().to_string());
            }
            return Ok(shown);
        }
    }
}

/// Items of the array behind those `before`; the last one with the cursor of what follows it.
fn objects<T: Serialize>(
    items: &[T],
    id: fn(&T) -> String,
    before: usize,
    next: Option<&str>,
) -> String {
    let mut objects: Vec<_> = items.iter().map(|item| with_id(id(item), item)).collect();
    if let (Some(cursor), Some(last)) = (next, objects.last_mut()) {
        last["nextCursor"] = cursor.into();
    }
    let indented = |object| format!("\n  {}", pretty(object).replace('\n', "\n  "));
    let text = objects.iter().map(indented).collect::<Vec<_>>().join(",");
    match before > 0 && !text.is_empty() {
        true => format!(",{text}"),
        false => text,
    }
}
