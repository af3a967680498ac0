//! Counts what a server sends against the protocol, and tells it in its upstream's note.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use parking_lot::Mutex;

use crate::base::{
    plural::{counted, verb},
    text::cut,
};

/// Longest piece of a server's own words in the note, in bytes.
const WORDS_BYTES_MAX: usize = 200;

/// What is wrong with something that a server sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Oddity {
    /// It is not a message of the protocol, such as a line of a log. It is dropped.
    NoMessage,
    /// It is a message that only a client sends, as if the server repeated what it reads. It is
    /// dropped, since an answer would be repeated too.
    Repeated,
    /// A message that was not JSON, and was repaired.
    Repaired,
    /// A message that cannot be read.
    Unreadable,
    /// A message over several lines, or beside other text.
    Unframed,
}

/// The remarks on one connection. Clones share them.
#[derive(Clone)]
pub(super) struct Remarks(Arc<Inner>);

struct Inner {
    /// What messages are read from, such as `lines to its standard output`.
    pieces: &'static str,
    counts: [AtomicU64; 5],
    /// Errors without the id of a request, and the words of the last one.
    unaddressed: Mutex<(u64, String)>,
}

impl Remarks {
    /// For a server whose messages are read from these pieces.
    pub(super) fn new(pieces: &'static str) -> Self {
        let (counts, unaddressed) = Default::default();
        Self(Arc::new(Inner { pieces, counts, unaddressed }))
    }

    /// Counts an oddity; the first of its kind is logged.
    pub(super) fn add(&self, oddity: Oddity) {
        if self.0.counts[oddity as usize].fetch_add(1, Ordering::Relaxed) == 0 {
            let what = self.sentence(oddity, 1);
            tracing::warn!("an upstream {what}; its status counts further ones");
        }
    }

    /// Counts an error that answers no request that it names.
    pub(super) fn add_unaddressed(&self, words: &str) {
        let mut unaddressed = self.0.unaddressed.lock();
        unaddressed.0 += 1;
        unaddressed.1 = cut(words, WORDS_BYTES_MAX).replace(char::is_control, " ");
    }

    fn sentence(&self, oddity: Oddity, count: u64) -> String {
        let pieces = self.0.pieces;
        match oddity {
            Oddity::NoMessage => {
                format!("writes {pieces} that are not messages ({count} so far); they are ignored")
            }
            Oddity::Repeated => format!(
                "writes {pieces} that repeat the messages it receives ({count} so far); they are \
                ignored"
            ),
            Oddity::Repaired => {
                let were = verb(count, "was", "were");
                format!(
                    "sent {} that {were} not valid JSON and {were} repaired",
                    counted(count, "message")
                )
            }
            Oddity::Unreadable => {
                format!("sent {} that could not be read", counted(count, "message"))
            }
            Oddity::Unframed => {
                let were = verb(count, "was", "were");
                format!(
                    "sent {} that {were} not one line or one event by {}, and {were} read all the \
                    same",
                    counted(count, "message"),
                    verb(count, "itself", "themselves")
                )
            }
        }
    }

    /// The remarks as one text, if there are any.
    pub(super) fn note(&self) -> Option<String> {
        let all = [
            Oddity::NoMessage,
            Oddity::Repeated,
            Oddity::Repaired,
            Oddity::Unreadable,
            Oddity::Unframed,
        ];
        let mut notes: Vec<String> = all
            .into_iter()
            .map(|oddity| (oddity, self.0.counts[oddity as usize].load(Ordering::Relaxed)))
            .filter(|(_, count)| *count > 0)
            .map(|(oddity, count)| format!("it {}", self.sentence(oddity, count)))
            .collect();
        let (count, words) = &*self.0.unaddressed.lock();
        if *count > 0 {
            notes.push(format!(
                "it sent {} that {} no request, the last one: {words:?}",
                counted(*count, "error"),
                verb(*count, "names", "name")
            ));
        }
        (!notes.is_empty()).then(|| notes.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_told_once_with_its_number() {
        let remarks = Remarks::new("lines to its standard output");
        assert_eq!(remarks.note(), None);
        for _ in 0..3 {
            remarks.add(Oddity::NoMessage);
        }
        remarks.add(Oddity::Unreadable);
        remarks.add_unaddressed("parse\nerror");
        let note = remarks.note().unwrap();
        assert_eq!(note.matches("that are not messages (3 so far)").count(), 1, "{note}");
        assert!(note.contains("it sent 1 message that could not be read"), "{note}");
        assert!(note.contains("the last one: \"parse error\""), "{note}");
    }
}
