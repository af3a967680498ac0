//! How well tools are found: written questions over the tools of real services, in two halves. One
//! half settles the weights, the other is held back and measures. Used by a test, which has floors,
//! and by a bench, which reports.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// The servers whose tools the questions are about, beside GitHub; each is a file here, as the
/// server lists them.
pub(crate) const SERVERS: [&str; 5] = ["playwright", "filesystem", "memory", "slack", "everything"];
/// The file with the tools of a service.
pub(crate) fn file(service: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/finding").join(format!("{service}.json"))
}

/// The file as it is.
pub(crate) fn text(service: &str) -> String {
    std::fs::read_to_string(file(service)).expect("the file is in the repository")
}

/// A question and the paths that answer it.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    /// In a user's words.
    pub(crate) text: String,
    /// Any of these is right.
    pub(crate) right: Vec<String>,
}

/// The questions of one half: `tuning`, `heldBack`, or of `unclear`, which have no single answer.
pub(crate) fn questions(half: &str) -> Vec<Question> {
    let mut all: Value = serde_json::from_str(&text("questions")).expect("it is JSON");
    let half: Vec<Vec<String>> =
        serde_json::from_value(all[half].take()).expect("each is a list of texts");
    let question = |mut words: Vec<String>| Question { text: words.remove(0), right: words };
    half.into_iter().map(question).collect()
}

/// What was found for a question.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    /// `bestPath`.
    pub(crate) best: Option<String>,
    /// The paths of the results.
    pub(crate) paths: Vec<String>,
}

/// How well the questions of one half were answered.
#[derive(Debug, Default)]
pub(crate) struct Quality {
    /// Questions.
    pub(crate) asked: usize,
    /// Share of questions with a right answer first, among the first 3, among the first 5.
    pub(crate) recall: [f64; 3],
    /// Mean of one over the rank of the first right answer.
    pub(crate) reciprocal_rank: f64,
    /// Share of questions with a `bestPath`, and share of right ones among those.
    pub(crate) best: [f64; 2],
    /// Questions whose first answer is wrong, in words.
    pub(crate) misses: Vec<String>,
}

/// Measures answers, which come in the order of the questions.
pub(crate) fn measure(questions: &[Question], answers: &[Answer]) -> Quality {
    let mut quality = Quality { asked: questions.len(), ..Quality::default() };
    let (mut given, mut right) = (0, 0);
    for (question, answer) in questions.iter().zip(answers) {
        let rank = answer.paths.iter().position(|path| question.right.contains(path));
        for (recall, within) in quality.recall.iter_mut().zip([1, 3, 5]) {
            *recall += f64::from(u8::from(rank.is_some_and(|rank| rank < within)));
        }
        quality.reciprocal_rank += rank.map_or(0.0, |rank| 1.0 / (rank as f64 + 1.0));
        given += usize::from(answer.best.is_some());
        right +=
            usize::from(answer.best.as_ref().is_some_and(|best| question.right.contains(best)));
        if rank != Some(0) {
            let found = rank.map_or_else(
                || "not among the results".to_owned(),
                |rank| format!("rank {}", rank + 1),
            );
            let first = answer.paths.first().map_or("nothing", String::as_str);
            let mark = if answer.best.is_some() { " (as `bestPath`)" } else { "" };
            quality.misses.push(format!(
                "{}: {found}; first is {first}{mark}, right is {}",
                question.text,
                question.right.first().map_or("none", String::as_str)
            ));
        }
    }
    let asked = questions.len().max(1) as f64;
    quality.recall = quality.recall.map(|sum| sum / asked);
    quality.reciprocal_rank /= asked;
    quality.best =
        [given as f64 / asked, if given == 0 { 1.0 } else { right as f64 / given as f64 }];
    quality
}
