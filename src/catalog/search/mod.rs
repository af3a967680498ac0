//! Finds tools by words: one index in memory over paths, titles, descriptions, parameter names and
//! their values.
//!
//! The library keeps the postings and weighs one word in one field; here the words of a question
//! are made to meet those of tools (stems, synonyms, beginnings, slips) and weighed together. Knows
//! nothing of upstreams, policy or answers. A question is only ever a list of words, never a query
//! in some syntax.

pub(super) mod nearest;
pub(super) mod query;
pub(super) mod synonyms;
pub(super) mod tokenize;
pub(super) mod vocabulary;

use std::sync::Arc;

use tantivy::{
    DocSet, Index, InvertedIndexReader, Score, TERMINATED, Term,
    fieldnorm::FieldNormReader,
    postings::Postings,
    query::Bm25Weight,
    schema::{Field, IndexRecordOption, Schema, TextFieldIndexing, TextOptions},
};

use self::{
    query::{Question, Word},
    synonyms::Action,
    tokenize::Memory,
    vocabulary::Vocabulary,
};
use super::tool::Tool;
use crate::base::text::cut;

/// Memory of the writer while it builds, in bytes.
const WRITER_BYTES: usize = 64 * 1024 * 1024;
/// Bytes of a description that are indexed; what a tool is for stands at the beginning.
const BODY_BYTES_MAX: usize = 2_000;
/// Weight of the other fields and meanings of one word beside its best.
const TIE_BREAKER: Score = 0.18;
/// Fields, and what a match in them is worth. Settled by `tests/finding`, not by taste.
const FIELDS: [(&str, Score); 6] = [
    ("name", 3.0),
    ("group", 1.9),
    ("summary", 1.7),
    ("body", 0.7),
    ("parameters", 0.7),
    ("values", 0.35),
];
/// Weights of a query that covers the tool's name, and its summary.
const NAME_WORTH: Score = 1.1;
const SUMMARY_WORTH: Score = 0.5;
/// Score factor of a tool that covers nothing of the query, where full coverage counts 1.
const UNCOVERED: Score = 0.45;
/// Score factors of the verbs: they agree, are unknown, are at odds, or contradict each other.
const AGREE: Score = 1.15;
const UNTOLD: Score = 0.92;
const AT_ODDS: Score = 0.75;
const CONTRADICT: Score = 0.5;
/// Share of a verb's weight from which the query counts as having named it.
const NAMED: Score = 0.6;
/// A list was asked for, or one thing; and that is what the tool gives.
const NUMBER_AGREES: Score = 1.1;
/// The question is about the caller's own, and so is the tool; or it is not, and the tool is.
const OWN: Score = 1.25;
const NOT_OWN: Score = 0.93;

/// The index over one list of tools; positions are those of that list.
#[derive(Default)]
pub(super) struct SearchIndex(Option<Filled>);

struct Filled {
    fields: [Indexed; FIELDS.len()],
    vocabulary: Vocabulary,
    traits: Vec<Traits>,
}

/// One field of the index.
struct Indexed {
    field: Field,
    worth: Score,
    postings: Arc<InvertedIndexReader>,
    lengths: FieldNormReader,
    /// The weight of a word that one tool has.
    weight: Bm25Weight,
}

/// Facts about a tool that are compared once it matches.
struct Traits {
    /// Stems of its name and its group.
    name: Weighed,
    /// Stems of its title and the first line of its description.
    summary: Weighed,
    /// Its actions; some tools have two.
    actions: [Option<Action>; 2],
    /// It does something, as its protocol says, else as it says itself, else as it is called.
    changes: bool,
    /// The first word of its name: the verb, where it has one.
    verb: Option<u32>,
    /// It gives several.
    lists: bool,
    /// It is about whoever calls.
    own: bool,
}

/// Stems, each once, and how much they tell together.
#[derive(Default)]
struct Weighed {
    stems: Box<[u32]>,
    worth: Score,
}

impl Weighed {
    fn of(stems: impl Iterator<Item = u32>) -> Self {
        let mut stems: Vec<u32> = stems.collect();
        stems.sort_unstable();
        stems.dedup();
        Self { stems: stems.into(), worth: 0.0 }
    }

    fn weigh(&mut self, vocabulary: &Vocabulary) {
        self.worth = self.stems.iter().map(|stem| vocabulary.telling(*stem)).sum();
    }
}

/// A tool that matches.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Match {
    /// Its position in the list.
    pub(super) at: usize,
    /// Relevance; comparable within one result list only.
    pub(super) score: Score,
    /// Share of the query that it covers, 0 to 1; words that no tool has count too.
    pub(super) coverage: Score,
    /// True if it does what the question's verb asks for, to as many as it asks for, as far as both
    /// tell.
    pub(super) fits: bool,
}

impl SearchIndex {
    /// Indexes the tools in their order.
    pub(super) fn build(tools: &[Arc<Tool>]) -> tantivy::Result<Self> {
        if tools.is_empty() {
            return Ok(Self::default());
        }
        let mut schema = Schema::builder();
        // The texts come as numbers of stems; the index only cuts at spaces.
        let indexing = TextFieldIndexing::default()
            .set_tokenizer("whitespace")
            .set_index_option(IndexRecordOption::WithFreqs);
        let options = TextOptions::default().set_indexing_options(indexing);
        let fields = FIELDS.map(|(name, _)| schema.add_text_field(name, options.clone()));
        // One segment, written at once: a document's number is its tool's position.
        let mut writer = Index::builder().schema(schema.build()).single_segment_index_writer(
            tantivy::directory::RamDirectory::create(),
            WRITER_BYTES,
        )?;
        let mut memory = Memory::new();
        let mut counted = Counts::default();
        let mut traits = Vec::with_capacity(tools.len());
        let marks = Marks::new(&mut memory);
        for tool in tools {
            let texts = Texts::of(tool, &mut memory);
            traits.push(texts.traits(&marks, tool));
            let mut document = tantivy::TantivyDocument::new();
            for (field, numbers) in fields.iter().zip(&texts.stems) {
                document.add_text(*field, spelled(numbers));
            }
            counted.add(texts.stems.iter().flatten());
            writer.add_document(document)?;
        }
        let searcher = writer.finalize()?.reader()?.searcher();
        let segment = searcher.segment_reader(0);
        let indexed = |field: Field, worth: Score| -> tantivy::Result<Indexed> {
            let postings = segment.inverted_index(field)?;
            let average = postings.total_num_tokens() as Score / tools.len() as Score;
            Ok(Indexed {
                field,
                worth,
                lengths: segment.get_fieldnorms_reader(field)?,
                weight: Bm25Weight::for_one_term_without_explain(
                    1,
                    tools.len() as u64,
                    average.max(1.0),
                ),
                postings,
            })
        };
        let [f0, f1, f2, f3, f4, f5] = fields;
        let worth = |at: usize| FIELDS[at].1;
        let fields = [
            indexed(f0, worth(0))?,
            indexed(f1, worth(1))?,
            indexed(f2, worth(2))?,
            indexed(f3, worth(3))?,
            indexed(f4, worth(4))?,
            indexed(f5, worth(5))?,
        ];
        let vocabulary = Vocabulary::new(memory, counted.0, tools.len());
        for traits in &mut traits {
            traits.name.weigh(&vocabulary);
            traits.summary.weigh(&vocabulary);
        }
        Ok(Self(Some(Filled { fields, vocabulary, traits })))
    }

    /// All tools that match at least half of the words that any tool knows, in no order.
    pub(super) fn search(&self, question: &str) -> Vec<Match> {
        let Some(filled) = &self.0 else { return Vec::new() };
        let question = Question::new(question, &filled.vocabulary);
        filled.matches(&question).unwrap_or_else(|error| {
            tracing::error!(%error, "searching the catalog failed");
            Vec::new()
        })
    }
}

impl Filled {
    fn matches(&self, question: &Question) -> std::io::Result<Vec<Match>> {
        let known = question.words.iter().filter(|word| !word.meanings.is_empty()).count();
        if known == 0 {
            return Ok(Vec::new());
        }
        let mut tally = Tally::new(self.traits.len());
        for word in &question.words {
            self.weigh(word, &mut tally)?;
        }
        let needed = known.div_ceil(2);
        let asked: Score = question.words.iter().map(|word| word.worth).sum();
        let matches =
            tally.tools.iter().enumerate().filter(|(_, sum)| usize::from(sum.words) >= needed);
        Ok(matches
            .map(|(at, sum)| {
                let covered = (sum.covered / asked).min(1.0);
                let (factor, fits) = self.factor(&self.traits[at], question);
                let score = sum.score * factor * (UNCOVERED + (1.0 - UNCOVERED) * covered);
                // Neither one rare word nor many common ones are the whole question.
                let coverage = covered.min(sum.meanings / question.words.len() as Score);
                Match { at, score, coverage, fits }
            })
            .collect())
    }

    /// Adds what one word is worth to every tool that has it, in whatever field and meaning: the
    /// best whole, the others in part.
    fn weigh(&self, word: &Word, tally: &mut Tally) -> std::io::Result<()> {
        for meaning in &word.meanings {
            for indexed in &self.fields {
                let term = Term::from_field_text(indexed.field, &spelled(&[meaning.stem]));
                let Some(mut postings) =
                    indexed.postings.read_postings(&term, IndexRecordOption::WithFreqs)?
                else {
                    continue;
                };
                let worth =
                    indexed.worth * meaning.worth * word.worth / self.vocabulary.worth_max();
                let mut tool = postings.doc();
                while tool != TERMINATED {
                    let weight = indexed
                        .weight
                        .score(indexed.lengths.fieldnorm_id(tool), postings.term_freq());
                    tally.add(tool, worth * weight, meaning.worth);
                    tool = postings.advance();
                }
            }
        }
        tally.finish(word.worth);
        Ok(())
    }

    /// Score factor of the tool as a whole, and whether it does what is asked for.
    fn factor(&self, traits: &Traits, question: &Question) -> (Score, bool) {
        let explained = |stems: &Weighed| {
            let sum: Score = stems
                .stems
                .iter()
                .map(|stem| question.explained[*stem as usize] * self.vocabulary.telling(*stem))
                .sum();
            if stems.worth > 0.0 { sum / stems.worth } else { 0.0 }
        };
        let mut factor =
            1.0 + NAME_WORTH * explained(&traits.name) + SUMMARY_WORTH * explained(&traits.summary);
        let verbs = agreement(question.action, traits.actions);
        factor *= verbs;
        let looks = question.action.is_none_or(|action| action == Action::Read);
        if looks && question.plural == traits.lists {
            factor *= NUMBER_AGREES;
        }
        if traits.own {
            factor *= if question.own { OWN } else { NOT_OWN };
        }
        // One word alone is a subject, not a question; and whoever asks for nothing to be done gets
        // nothing that does.
        let is_named = |verb: u32| question.explained[verb as usize] >= NAMED;
        let asks =
            question.action.is_some() || !traits.changes || traits.verb.is_some_and(is_named);
        let fits = asks
            && question.words.len() > 1
            && verbs >= 1.0
            && (!looks || !question.plural || traits.lists);
        (factor, fits)
    }
}

/// Score factor for the verbs of the query and of the tool.
fn agreement(asked: Option<Action>, offered: [Option<Action>; 2]) -> Score {
    let Some(first) = offered[0] else { return if asked.is_some() { UNTOLD } else { 1.0 } };
    match asked {
        Some(asked) if offered.contains(&Some(asked)) => AGREE,
        Some(Action::Delete) => CONTRADICT,
        Some(_) if first == Action::Delete => CONTRADICT,
        Some(_) => AT_ODDS,
        None => 1.0,
    }
}

/// Sums while the words of a question are weighed.
struct Tally {
    tools: Vec<Sum>,
    /// Tools that have the present word.
    touched: Vec<u32>,
}

#[derive(Clone, Copy, Default)]
struct Sum {
    score: Score,
    covered: Score,
    words: u16,
    /// The worths of the best meaning of each word.
    meanings: Score,
    /// Of the present word: the best match, all matches, and the worth of the best meaning.
    best: Score,
    all: Score,
    meaning: Score,
}

impl Tally {
    fn new(tools: usize) -> Self {
        Self { tools: vec![Sum::default(); tools], touched: Vec::new() }
    }

    fn add(&mut self, tool: u32, score: Score, meaning: Score) {
        let sum = &mut self.tools[tool as usize];
        if sum.all == 0.0 {
            self.touched.push(tool);
        }
        sum.best = sum.best.max(score);
        sum.all += score;
        sum.meaning = sum.meaning.max(meaning);
    }

    fn finish(&mut self, worth: Score) {
        for tool in self.touched.drain(..) {
            let sum = &mut self.tools[tool as usize];
            sum.score += sum.best + TIE_BREAKER * (sum.all - sum.best);
            sum.covered += worth * sum.meaning;
            sum.words += 1;
            sum.meanings += sum.meaning;
            (sum.best, sum.all, sum.meaning) = (0.0, 0.0, 0.0);
        }
    }
}

/// Tools that have each stem, in any field.
#[derive(Default)]
struct Counts(Vec<u32>);

impl Counts {
    fn add<'a>(&mut self, numbers: impl Iterator<Item = &'a u32>) {
        let mut all: Vec<u32> = numbers.copied().collect();
        all.sort_unstable();
        all.dedup();
        for number in all {
            let number = number as usize;
            if self.0.len() <= number {
                self.0.resize(number + 1, 0);
            }
            self.0[number] += 1;
        }
    }
}

/// Stems that say something about the whole tool.
struct Marks {
    actions: Vec<(u32, Action)>,
    several: [u32; 2],
    own: [u32; 3],
}

impl Marks {
    fn new(memory: &mut Memory) -> Self {
        let actions =
            synonyms::verbs().map(|(verb, action)| (memory.number(verb), action)).collect();
        Self {
            actions,
            several: ["list", "all"].map(|word| memory.number(word)),
            own: ["authenticated", "me", "my"].map(|word| memory.number(word)),
        }
    }

    fn action(&self, stem: u32) -> Option<Action> {
        self.actions.iter().find(|(known, _)| *known == stem).map(|(_, action)| *action)
    }
}

/// The stems of a tool, field by field, in the order of [`FIELDS`].
struct Texts {
    stems: [Vec<u32>; FIELDS.len()],
    /// Its name speaks of several.
    plural: bool,
}

impl Texts {
    fn of(tool: &Tool, memory: &mut Memory) -> Self {
        let mut segments: Vec<&str> = tool.path.split('.').collect();
        let name = segments.pop().unwrap_or_default();
        let (head, body) = headline(&tool.description);
        let mut out: [Vec<u32>; FIELDS.len()] = Default::default();
        let mut plural = false;
        let mut take = |field: usize, text: &str| {
            tokenize::split(text, |word| {
                if !tokenize::is_stop_word(word) || field < 2 {
                    let number = memory.number(word);
                    out[field].push(number);
                    plural |= field == 0 && tokenize::is_plural(word);
                }
            });
        };
        take(0, name);
        segments.iter().for_each(|segment| take(1, segment));
        take(2, tool.title.as_deref().unwrap_or_default());
        take(2, head);
        take(3, cut(body, BODY_BYTES_MAX));
        take(4, &tool.arguments.names);
        take(5, &tool.arguments.values);
        Self { stems: out, plural }
    }

    fn traits(&self, marks: &Marks, tool: &Tool) -> Traits {
        let [name, group, summary, ..] = &self.stems;
        let action = |stems: &[u32]| stems.iter().find_map(|stem| marks.action(*stem));
        let first = action(name).or_else(|| action(&summary[..summary.len().min(3)]));
        let second = name
            .iter()
            .filter_map(|stem| marks.action(*stem))
            .find(|second| Some(*second) != first);
        let claimed = tool
            .operation
            .map(|operation| !operation.reads())
            .or(tool.annotations.read_only.map(|reads| !reads));
        Traits {
            changes: claimed.unwrap_or_else(|| first.is_some_and(|action| action != Action::Read)),
            verb: name.first().copied(),
            lists: self.plural
                || name.iter().chain(summary).any(|stem| marks.several.contains(stem)),
            own: marks.own.iter().any(|stem| name.contains(stem)),
            // The upstream's own name explains nothing.
            name: Weighed::of(group.iter().skip(1).chain(name).copied()),
            summary: Weighed::of(summary.iter().copied()),
            actions: [first, second],
        }
    }
}

/// The first line of a text, and the rest.
fn headline(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    text.split_once('\n').unwrap_or((text, ""))
}

/// Stems as the index reads them.
fn spelled(numbers: &[u32]) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(numbers.len() * 6);
    for number in numbers {
        // Writing to a string cannot fail.
        let _ = write!(out, "{number} ");
    }
    out.truncate(out.trim_end().len());
    out
}

#[cfg(test)]
mod tests;
