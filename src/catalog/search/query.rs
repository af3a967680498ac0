//! Parses a question about tools: its words, what each may match among the words that tools use,
//! and which action it asks for.

use super::{
    synonyms::{self, Action},
    tokenize::{self, Stems},
    vocabulary::Vocabulary,
};
use crate::base::text::cut;

/// Words of a question that count; the rest is dropped.
const WORDS_MAX: usize = 16;
/// Weights of a word that was guessed from its beginning, from a typo, or from two words run
/// together.
const PREFIX: f32 = 0.7;
const SLIP: f32 = 0.75;
const JOINED: f32 = 0.85;
/// Words by which callers speak of what is theirs.
const OWN: [&str; 5] = ["i", "me", "mine", "my", "myself"];
/// Words by which a question asks to look, without a verb that says so.
const LOOKING: [&str; 10] =
    ["what", "which", "who", "how", "where", "whose", "is", "are", "has", "does"];

/// A question, as the tools of one catalog understand it.
pub(super) struct Question {
    /// Its telling words.
    pub(in crate::catalog) words: Vec<Word>,
    /// Action that is asked for.
    pub(super) action: Option<Action>,
    /// Several things are asked for.
    pub(super) plural: bool,
    /// It is about what is the caller's.
    pub(in crate::catalog) own: bool,
    /// By the number of a stem: how well the question explains it, 0 to 1.
    pub(super) explained: Vec<f32>,
}

/// One word of a question.
pub(super) struct Word {
    /// Stems that it may mean; none where no tool knows it.
    pub(super) meanings: Vec<Meaning>,
    /// Weight; rare words have more.
    pub(in crate::catalog) worth: f32,
}

/// One thing that a word may mean.
#[derive(Debug, Clone, Copy)]
pub(super) struct Meaning {
    pub(super) stem: u32,
    /// Probability of this meaning, 0 to 1.
    pub(in crate::catalog) worth: f32,
}

impl Question {
    pub(in crate::catalog) fn new(text: &str, vocabulary: &Vocabulary) -> Self {
        let mut stems = Stems::new();
        let surfaces = tokenize::question(text, WORDS_MAX);
        let mut out = Self {
            words: Vec::new(),
            action: None,
            plural: false,
            own: false,
            explained: vec![0.0; vocabulary.len()],
        };
        let mut looks = false;
        let mut first = true;
        tokenize::split(cut(text, 200), |word| {
            out.own |= OWN.contains(&word);
            looks |= std::mem::take(&mut first) && LOOKING.contains(&word);
            out.plural |= ["all", "every", "each"].contains(&word);
        });
        let all: Vec<String> = surfaces.iter().map(|word| stems.of(word)).collect();
        for (at, stem) in all.iter().enumerate() {
            let surface = &surfaces[at];
            // `Open issues` are things in a state; `open an issue` wants one.
            let is_state = surface == "open"
                && surfaces.get(at + 1).is_some_and(|next| tokenize::is_plural(next));
            out.action = out.action.or_else(|| synonyms::action(stem).filter(|_| !is_state));
            out.plural |= tokenize::is_plural(surface) && synonyms::action(stem).is_none();
            let mut meanings = meanings(surface, stem, vocabulary, &mut stems);
            for neighbour in [at.checked_sub(1), Some(at + 1).filter(|next| *next < surfaces.len())]
                .into_iter()
                .flatten()
            {
                let joined =
                    format!("{}{}", surfaces[at.min(neighbour)], surfaces[at.max(neighbour)]);
                if let Some(stem) = vocabulary.stem(&stems.of(&joined)) {
                    add(&mut meanings, stem, JOINED);
                }
            }
            out.words.push(Word { worth: worth(&meanings, vocabulary), meanings });
        }
        // `Which comments did she edit` asks to look.
        if looks {
            out.action = Some(Action::Read);
        }
        for meaning in out.words.iter().flat_map(|word| &word.meanings) {
            let known = &mut out.explained[meaning.stem as usize];
            *known = known.max(meaning.worth);
        }
        if out.own {
            for stem in ["authent", "user"].iter().filter_map(|stem| vocabulary.stem(stem)) {
                let known = &mut out.explained[stem as usize];
                *known = known.max(0.8);
            }
        }
        out
    }
}

/// Meanings of a word: itself, synonyms, and if no tool has it, words that it begins or is a typo
/// of.
fn meanings(surface: &str, stem: &str, vocabulary: &Vocabulary, stems: &mut Stems) -> Vec<Meaning> {
    let mut out = Vec::new();
    if let Some(stem) = vocabulary.stem(stem) {
        add(&mut out, stem, 1.0);
    }
    for (other, worth) in synonyms::related(stem) {
        if let Some(other) = vocabulary.stem(other) {
            add(&mut out, other, *worth);
        }
    }
    if !out.is_empty() {
        return out;
    }
    let ascii = stems.of(surface);
    for begun in vocabulary.beginning(surface) {
        add(&mut out, begun, PREFIX);
    }
    if let Some((one, other)) = vocabulary.halves(surface).filter(|_| out.is_empty()) {
        add(&mut out, one, JOINED);
        add(&mut out, other, JOINED);
    }
    if out.is_empty() {
        let slipped = vocabulary.slipped(surface);
        let slipped = if slipped.is_empty() { vocabulary.slipped(&ascii) } else { slipped };
        for meant in slipped {
            add(&mut out, meant, SLIP);
        }
    }
    out
}

fn add(meanings: &mut Vec<Meaning>, stem: u32, worth: f32) {
    match meanings.iter_mut().find(|known| known.stem == stem) {
        Some(known) => known.worth = known.worth.max(worth),
        None => meanings.push(Meaning { stem, worth }),
    }
}

/// Weight of a word: the rarity of its most common meaning, so that a rare synonym of a common word
/// does not outweigh it.
fn worth(meanings: &[Meaning], vocabulary: &Vocabulary) -> f32 {
    let likely = meanings.iter().filter(|meaning| meaning.worth >= 0.6);
    let worth = likely.map(|meaning| vocabulary.worth(meaning.stem)).fold(f32::INFINITY, f32::min);
    if worth.is_finite() { worth } else { vocabulary.worth_max() * 0.6 }
}
