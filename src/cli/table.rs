//! Rows in columns. On a terminal they fit its width; in a file or a pipe nothing is cut.

use console::{Alignment, Style, pad_str};

use super::screen::{self, heading};

/// Columns of the last column of a terminal, at least: a line that is wrapped says more than one
/// that is cut to nothing.
const LAST_COLUMNS_MIN: usize = 32;

/// One column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    name: &'static str,
    alignment: Alignment,
    /// Columns on a terminal, at most.
    widest: usize,
}

impl Column {
    /// A column of text that is never cut.
    pub(super) const fn whole(name: &'static str) -> Self {
        Self { name, alignment: Alignment::Left, widest: usize::MAX }
    }

    /// A column of text that takes at most so much of a terminal.
    pub(super) const fn text(name: &'static str, widest: usize) -> Self {
        Self { name, alignment: Alignment::Left, widest }
    }

    /// A column of numbers.
    pub(super) const fn number(name: &'static str) -> Self {
        Self { name, alignment: Alignment::Right, widest: usize::MAX }
    }
}

/// One cell.
pub(super) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// Text in the colour of a status.
    pub(super) fn status(status: &str) -> Self {
        Self { style: screen::style_of(status), ..Self::from(status) }
    }

    /// Secondary text.
    pub(super) fn dim(text: impl Into<String>) -> Self {
        Self { style: Style::new().dim(), ..Self::from(text.into()) }
    }

    /// Important text.
    pub(super) fn bold(text: impl Into<String>) -> Self {
        Self { style: Style::new().bold(), ..Self::from(text.into()) }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: screen::line(&text.into(), usize::MAX), style: Style::new() }
    }
}

/// The columns with their widths, which only grow.
pub(super) struct Table {
    columns: Vec<Column>,
    widths: Vec<usize>,
    /// Columns of the terminal; none elsewhere.
    terminal: Option<usize>,
}

impl Table {
    pub(super) fn new(columns: &[Column]) -> Self {
        Self::within(screen::terminal_width(), columns)
    }

    pub(super) fn within(terminal: Option<usize>, columns: &[Column]) -> Self {
        let widths = columns.iter().map(|column| column.name.len()).collect();
        Self { columns: columns.to_vec(), widths, terminal }
    }

    /// The rows as lines, below the names of the columns where `with_names`.
    pub(super) fn lines(&mut self, rows: &[Vec<Cell>], with_names: bool) -> Vec<String> {
        for row in rows {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = (*width).max(console::measure_text_width(&cell.text));
            }
        }
        let names = || self.columns.iter().map(|column| column.name);
        let names = with_names.then(|| {
            let name = |name: &'static str| Cell { text: name.into(), style: Style::new() };
            heading(self.line(&names().map(name).collect::<Vec<_>>())).to_string()
        });
        names.into_iter().chain(rows.iter().map(|row| self.line(row))).collect()
    }

    fn line(&self, cells: &[Cell]) -> String {
        let mut line = String::new();
        let mut used = 0;
        let last = self.columns.len() - 1;
        for (at, (column, cell)) in self.columns.iter().zip(cells).enumerate() {
            let widest = match self.terminal {
                None => usize::MAX,
                Some(columns) if at == last => {
                    columns.saturating_sub(used).max(LAST_COLUMNS_MIN).min(column.widest)
                }
                Some(_) => column.widest,
            };
            let width = self.widths[at].min(widest);
            let text = console::truncate_str(&cell.text, widest, "…");
            let text = match at == last && column.alignment == Alignment::Left {
                // Nothing stands behind it.
                true => text,
                false => pad_str(&text, width, column.alignment, None).into_owned().into(),
            };
            if at > 0 {
                line.push_str("  ");
            }
            line.push_str(&cell.style.apply_to(text).to_string());
            used += width + 2;
        }
        line.trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests;
