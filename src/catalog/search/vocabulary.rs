//! All words of all tools: how rare each is, and which one a misspelt word stands for.

use super::tokenize::{Memory, Numbered};

/// Shortest beginning that is taken for a word, in characters.
const PREFIX_CHARS_MIN: usize = 3;
/// Words that one beginning may mean.
const PREFIXED_MAX: usize = 12;
/// Shortest word that may hold a slip, in characters; below it, too many words are one letter
/// apart.
const SLIP_CHARS_MIN: usize = 4;
/// Shortest word that may hold two slips, in characters.
const TWO_SLIPS_CHARS_MIN: usize = 8;
/// Words that one word with a slip may mean.
const SLIPPED_MAX: usize = 4;

/// The words of one list of tools.
pub(super) struct Vocabulary {
    /// Every word as it is written, in lower case, with the number of its stem; sorted.
    words: Vec<Numbered>,
    stems: std::collections::HashMap<Box<str>, u32>,
    /// Weight of each stem, by its number: the rarer, the more.
    worths: Vec<f32>,
    /// Specificity of each stem for a name that holds it, by its number.
    tellings: Vec<f32>,
    worth_max: f32,
}

impl Vocabulary {
    /// `counts` says of each stem how many of the `tools` have it.
    pub(in crate::catalog) fn new(memory: Memory, mut counts: Vec<u32>, tools: usize) -> Self {
        let (words, stems) = memory.into_parts();
        // Stems that were looked up and are in no tool.
        counts.resize(stems.len(), 0);
        let stems = (0u32..).zip(stems).map(|(number, stem)| (stem, number)).collect();
        let worths: Vec<f32> = counts.iter().map(|count| rarity(*count as usize, tools)).collect();
        let words = words.into_iter().filter(|(_, number)| counts[*number as usize] > 0).collect();
        // Rare words tell more of a name than common ones, but not as much more as they tell of a
        // question.
        let tellings = worths.iter().map(|worth| worth.sqrt()).collect();
        Self { words, stems, worths, tellings, worth_max: rarity(1, tools) }
    }

    /// The number of a stem that some tool has.
    pub(super) fn stem(&self, stem: &str) -> Option<u32> {
        self.stems.get(stem).copied().filter(|number| self.worths[*number as usize] > 0.0)
    }

    /// Stems there are, in any tool or none.
    pub(in crate::catalog) fn len(&self) -> usize {
        self.worths.len()
    }

    /// Weight of this stem.
    pub(in crate::catalog) fn worth(&self, stem: u32) -> f32 {
        self.worths[stem as usize]
    }

    /// Specificity of a stem for a name that holds it.
    pub(in crate::catalog) fn telling(&self, stem: u32) -> f32 {
        self.tellings[stem as usize]
    }

    /// Weight of a stem that a single tool has.
    pub(super) fn worth_max(&self) -> f32 {
        self.worth_max
    }

    /// Stems of the words that begin like this.
    pub(in crate::catalog) fn beginning(&self, prefix: &str) -> Vec<u32> {
        if prefix.chars().count() < PREFIX_CHARS_MIN {
            return Vec::new();
        }
        let start = self.words.partition_point(|(word, _)| **word < *prefix);
        let with = self.words[start..]
            .iter()
            .take_while(|(word, _)| word.starts_with(prefix))
            .take(PREFIXED_MAX);
        distinct(with.map(|(_, number)| *number))
    }

    /// Stems of the words that are a slip of the pen away, of those with the fewest slips.
    pub(super) fn slipped(&self, wrong: &str) -> Vec<u32> {
        let length = wrong.chars().count();
        if length < SLIP_CHARS_MIN {
            return Vec::new();
        }
        let slips_max = if length < TWO_SLIPS_CHARS_MIN { 1 } else { 2 };
        let mut found: Vec<(usize, u32)> = Vec::new();
        for (word, number) in
            self.words.iter().filter(|(word, _)| word.len().abs_diff(wrong.len()) <= slips_max)
        {
            // Few mistake the first letter, and most words are told apart by it.
            if !shares_head(word, wrong) {
                continue;
            }
            let slips = strsim::osa_distance(word, wrong);
            if slips <= slips_max {
                found.push((slips, *number));
            }
        }
        found.sort_unstable();
        let fewest = found.first().map_or(0, |(slips, _)| *slips);
        let mut stems = distinct(
            found.into_iter().take_while(|(slips, _)| *slips == fewest).map(|(_, number)| number),
        );
        stems.truncate(SLIPPED_MAX);
        stems
    }

    /// Two words that one was run together from: `pullrequest`.
    pub(super) fn halves(&self, word: &str) -> Option<(u32, u32)> {
        let find = |part: &str| {
            let at = self.words.binary_search_by(|(known, _)| (**known).cmp(part)).ok()?;
            Some(self.words[at].1)
        };
        let cuts = word
            .char_indices()
            .map(|(at, _)| at)
            .filter(|at| *at >= PREFIX_CHARS_MIN && word.len() - at >= PREFIX_CHARS_MIN);
        cuts.rev().find_map(|at| Some((find(&word[..at])?, find(&word[at..])?)))
    }
}

/// Returns true if the first letters are the same, or the first two are swapped.
fn shares_head(one: &str, other: &str) -> bool {
    let head = |text: &str| {
        let mut chars = text.chars();
        (chars.next(), chars.next())
    };
    let (one, other) = (head(one), head(other));
    one.0 == other.0 || (one.0 == other.1 && one.1 == other.0)
}

fn distinct(numbers: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut out = Vec::new();
    for number in numbers {
        if !out.contains(&number) {
            out.push(number);
        }
    }
    out
}

/// Weight of a word that `having` of the tools have; zero if none has it.
fn rarity(having: usize, tools: usize) -> f32 {
    if having == 0 {
        return 0.0;
    }
    let (having, tools) = (having as f32, tools as f32);
    (1.0 + (tools - having + 0.5) / (having + 0.5)).ln()
}
