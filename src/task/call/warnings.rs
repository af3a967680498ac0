//! The warnings of one task's calls, collected until its end. Pure.

use crate::base::plural::counted;

/// Warnings that are kept; further ones are only counted.
const WARNINGS_MAX: usize = 20;

/// Distinct warnings in the order in which they came. Whoever gives one bounds its length.
#[derive(Debug, Default)]
pub(in crate::task) struct Warnings {
    texts: Vec<String>,
    more: usize,
}

impl Warnings {
    pub(in crate::task) fn add(&mut self, text: String) {
        if self.texts.contains(&text) {
            return;
        }
        if self.texts.len() < WARNINGS_MAX { self.texts.push(text) } else { self.more += 1 }
    }

    /// All of them, and how many more there were.
    pub(in crate::task) fn into_texts(mut self) -> Vec<String> {
        if self.more > 0 {
            let more = counted(self.more, "more warning");
            self.texts.push(format!("and {more} of calls"));
        }
        self.texts
    }
}

#[cfg(test)]
mod tests;
