//! What the calls of a task were warned of, until its end. Pure.

/// Warnings that are kept; more are counted.
const WARNINGS_MAX: usize = 20;

/// Each once, in the order in which they came; every one is bounded by who gives it.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    texts: Vec<String>,
    more: usize,
}

impl Warnings {
    pub(super) fn add(&mut self, text: String) {
        if self.texts.contains(&text) {
            return;
        }
        if self.texts.len() < WARNINGS_MAX { self.texts.push(text) } else { self.more += 1 }
    }

    /// All of them, and how many more there were.
    pub(super) fn told(mut self) -> Vec<String> {
        if self.more > 0 {
            self.texts.push(format!("and {} more warnings of calls", self.more));
        }
        self.texts
    }
}

#[cfg(test)]
mod tests;
