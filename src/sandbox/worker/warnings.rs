//! What the caller of a run should know although nothing failed, within bounds.

/// Warnings that are kept; the others are counted.
const WARNINGS_MAX: usize = 20;
/// A warning's length in bytes.
const WARNING_BYTES_MAX: usize = 1024;

/// The warnings of one run.
#[derive(Default)]
pub(super) struct Warnings {
    kept: Vec<String>,
    more: u64,
}

impl Warnings {
    /// Keeps one, cut to its bound.
    pub(super) fn add(&mut self, mut warning: String) {
        if self.kept.len() >= WARNINGS_MAX {
            self.more += 1;
            return;
        }
        if warning.len() > WARNING_BYTES_MAX {
            warning.truncate(warning.floor_char_boundary(WARNING_BYTES_MAX));
            warning.push('…');
        }
        self.kept.push(warning);
    }

    /// Tells of calls that had no answer when the program ended.
    pub(super) fn add_abandoned(&mut self, calls: usize) {
        match calls {
            0 => {}
            1 => self.add(
                "1 tool call was still running when the program ended; it was \
                abandoned: `await` it"
                    .into(),
            ),
            many => self.add(format!(
                "{many} tool calls were still running when the program ended; \
                    they were abandoned: `await` them"
            )),
        }
    }

    /// Tells of a rejected promise that nobody handled, and where it was rejected.
    pub(super) fn add_rejection(&mut self, name: &str, message: &str, place: Option<String>) {
        let place = place.map(|place| format!(" at {place}")).unwrap_or_default();
        self.add(format!("a rejected promise was not handled: {name}: {message}{place}"));
    }

    /// Tells how many more rejected promises there were.
    pub(super) fn add_more_rejections(&mut self, more: u64) {
        if more > 0 {
            self.add(format!("{more} more rejected promises were not handled"));
        }
    }

    /// All of them, and how many more there were.
    pub(super) fn into_texts(self) -> Vec<String> {
        let mut texts = self.kept;
        if self.more > 0 {
            texts.push(format!("and {} more warnings", self.more));
        }
        texts
    }
}
