//! Splits names, texts and questions into words, and reduces words to their stems.

use std::collections::HashMap;

use tantivy::tokenizer::{AsciiFoldingFilter, Language, RawTokenizer, Stemmer, TextAnalyzer};

/// Longest word that is kept, in characters; the rest of it is dropped.
const WORD_CHARS_MAX: usize = 40;
/// Words that say nothing about a tool: in questions, and in names.
const STOP_WORDS: &[&str] = &[
    "a", "all", "already", "also", "am", "an", "and", "any", "are", "as", "at", "be", "been",
    "being", "but", "by", "can", "could", "do", "does", "each", "every", "for", "from", "had",
    "has", "have", "he", "how", "i", "if", "in", "into", "is", "it", "its", "just", "let", "many",
    "may", "me", "mine", "much", "must", "my", "need", "of", "on", "one", "only", "or", "our",
    "please", "she", "should", "so", "some", "such", "than", "that", "the", "their", "them",
    "then", "there", "these", "they", "this", "those", "to", "too", "tool", "tools", "use",
    "using", "via", "want", "was", "we", "were", "what", "when", "where", "which", "who", "whose",
    "why", "will", "with", "would", "you", "your",
];

/// The longest of them.
const STOP_WORD_BYTES_MAX: usize = 7;

/// Syllables that make one word with what follows them.
const PREFIXES: [&str; 2] = ["re", "un"];

/// Calls `each` with every word in lower case, in order: `getPullRequests` gives `get`, `pull`,
/// `requests`.
pub(in crate::catalog) fn split(text: &str, mut each: impl FnMut(&str)) {
    let mut word = String::new();
    let mut length = 0;
    let mut previous: Option<char> = None;
    let mut chars = text.chars().peekable();
    let mut finish = |word: &mut String, length: &mut usize| {
        if !word.is_empty() {
            each(word);
            word.clear();
        }
        *length = 0;
    };
    while let Some(c) = chars.next() {
        // An apostrophe joins: `user's` and `don't` are one word each, and the stem drops the
        // ending.
        if c == '\'' && previous.is_some() && chars.peek().is_some_and(|next| next.is_alphabetic())
        {
            continue;
        }
        // `re-run`, `reRun` and `rerun` are one word.
        if c == '-'
            && PREFIXES.contains(&word.as_str())
            && chars.peek().is_some_and(|next| next.is_alphabetic())
        {
            continue;
        }
        if !c.is_alphanumeric() {
            finish(&mut word, &mut length);
            previous = None;
            continue;
        }
        let mut ahead = chars.clone();
        let next_is_lower = ahead.next().is_some_and(char::is_lowercase);
        // `PRs` and `URLs` are one word: the plural of letters.
        let is_plural =
            chars.peek() == Some(&'s') && !ahead.next().is_some_and(char::is_alphanumeric);
        let hump = previous.is_some_and(|p| {
            (p.is_lowercase() && c.is_uppercase())
                || (p.is_uppercase() && c.is_uppercase() && next_is_lower && !is_plural)
        });
        let joins = PREFIXES.contains(&word.as_str());
        if (hump && !joins) || previous.is_some_and(|p| p.is_numeric() != c.is_numeric()) {
            finish(&mut word, &mut length);
        }
        if length < WORD_CHARS_MAX {
            word.extend(c.to_lowercase());
            length += 1;
        }
        previous = Some(c);
    }
    finish(&mut word, &mut length);
}

/// Returns true if a word, in lower case, says nothing about a tool.
pub(super) fn is_stop_word(word: &str) -> bool {
    // Asked of every word of every description; most are longer.
    word.len() <= STOP_WORD_BYTES_MAX && STOP_WORDS.binary_search(&word).is_ok()
}

/// Returns true if a word, in lower case, looks like the plural of an English noun.
pub(super) fn is_plural(word: &str) -> bool {
    word.len() > 3
        && word.ends_with('s')
        && !["ss", "us", "is", "access", "status"].iter().any(|ending| word.ends_with(ending))
}

/// The words of a question: each once, without those that say nothing, unless there are no others;
/// at most so many.
pub(in crate::catalog) fn question(text: &str, words_max: usize) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut telling = 0;
    split(text, |word| {
        // A question of one word a thousand times over is a question of one word.
        if telling < words_max && !all.iter().any(|known| known == word) {
            telling += usize::from(!is_stop_word(word));
            all.push(word.to_owned());
        }
    });
    if telling > 0 {
        all.retain(|word| !is_stop_word(word));
    }
    all.truncate(words_max);
    all
}

/// Finds the stem of a word: what is left of it in every number and tense, without accents.
pub(super) struct Stems(TextAnalyzer);

impl Stems {
    pub(in crate::catalog) fn new() -> Self {
        let analyzer = TextAnalyzer::builder(RawTokenizer::default()).filter(AsciiFoldingFilter);
        Self(analyzer.filter(Stemmer::new(Language::English)).build())
    }

    /// The stem of one word in lower case.
    pub(in crate::catalog) fn of(&mut self, word: &str) -> String {
        let mut stream = self.0.token_stream(word);
        if stream.advance() {
            std::mem::take(&mut stream.token_mut().text)
        } else {
            word.to_owned()
        }
    }
}

/// The words of a name, without the commonest endings of number and tense and nothing more: for
/// what must not be mistaken for another word, as `author` may be for `authorization` by its stem.
pub(in crate::catalog) fn words(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    split(text, |word| out.push(trimmed(word.to_owned())));
    out
}

/// Strips the endings of number and tense that English words take, so that `issues`, `listing` and
/// `created` are found by `issue`, `list` and `create`. Light on purpose: a false match costs more
/// than a missed ending.
fn trimmed(mut word: String) -> String {
    if !word.is_ascii() || word.len() < 4 {
        return word;
    }
    if word.ends_with("ies") && word.len() > 4 {
        word.truncate(word.len() - 3);
        word.push('i');
        return word;
    }
    if ["ches", "shes", "sses", "xes", "zes"].iter().any(|ending| word.ends_with(ending)) {
        word.truncate(word.len() - 2);
    } else if word.ends_with('s') && !["ss", "us", "is"].iter().any(|ending| word.ends_with(ending))
    {
        word.truncate(word.len() - 1);
    }
    for (ending, rest_min) in [("ing", 3), ("ed", 3)] {
        if let Some(rest) = word.strip_suffix(ending)
            && rest.len() >= rest_min
            && rest.contains(['a', 'e', 'i', 'o', 'u', 'y'])
        {
            let mut rest = rest.to_owned();
            let doubled = rest.len() > 3
                && rest.as_bytes()[rest.len() - 1] == rest.as_bytes()[rest.len() - 2];
            if doubled && !rest.ends_with(['l', 's', 'z']) {
                rest.pop();
            }
            word = rest;
            break;
        }
    }
    if word.len() > 3 && word.ends_with('e') {
        word.pop();
    } else if word.len() > 3 && word.ends_with('y') {
        word.pop();
        word.push('i');
    }
    word
}

/// A word with the number of its stem.
pub(super) type Numbered = (Box<str>, u32);

/// Remembers stems, for texts that repeat their words.
pub(super) struct Memory {
    stems: Stems,
    known: HashMap<String, u32>,
    numbers: HashMap<String, u32>,
}

impl Memory {
    pub(in crate::catalog) fn new() -> Self {
        Self { stems: Stems::new(), known: HashMap::new(), numbers: HashMap::new() }
    }

    /// The number of the word's stem, a new one for a new stem.
    pub(in crate::catalog) fn number(&mut self, word: &str) -> u32 {
        if let Some(number) = self.known.get(word) {
            return *number;
        }
        let next = u32::try_from(self.numbers.len())
            .expect("there are fewer words than the bytes of all tools");
        let number = *self.numbers.entry(self.stems.of(word)).or_insert(next);
        self.known.insert(word.to_owned(), number);
        number
    }

    /// Every word with the number of its stem, sorted by word; and the stems by number.
    pub(in crate::catalog) fn into_parts(self) -> (Vec<Numbered>, Vec<Box<str>>) {
        let mut words: Vec<Numbered> =
            self.known.into_iter().map(|(word, number)| (word.into_boxed_str(), number)).collect();
        words.sort_unstable();
        let mut stems: Vec<(u32, Box<str>)> = self
            .numbers
            .into_iter()
            .map(|(stem, number)| (number, stem.into_boxed_str()))
            .collect();
        stems.sort_unstable();
        (words, stems.into_iter().map(|(_, stem)| stem).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stems(text: &str) -> Vec<String> {
        let mut stems = Stems::new();
        let mut out = Vec::new();
        split(text, |word| out.push(stems.of(word)));
        out
    }

    #[test]
    fn names_in_every_style_give_the_same_words() {
        let expected = ["get", "pull", "request"];
        for name in [
            "getPullRequests",
            "get_pull_request",
            "get-pull-requests",
            "GetPullRequest",
            "GET PULL REQUEST",
        ] {
            assert_eq!(stems(name), expected, "{name}");
        }
        let mut split_up = Vec::new();
        split("parseHTTPResponse2 the user's größe", |word| split_up.push(word.to_owned()));
        assert_eq!(split_up, ["parse", "http", "response", "2", "the", "users", "größe"]);
        assert_eq!(stems("Größe"), stems("grosse"));
    }

    #[test]
    fn endings_of_number_and_tense_fall() {
        for (one, other) in [
            ("issue", "issues"),
            ("create", "creating"),
            ("create", "created"),
            ("list", "listing"),
            ("repository", "repositories"),
            ("search", "searches"),
            ("query", "queries"),
            ("plan", "planned"),
            ("box", "boxes"),
        ] {
            assert_eq!(stems(one), stems(other), "{one} {other}");
            assert_eq!(words(one), words(other), "{one} {other}");
        }
        for word in ["status", "access", "bus", "string", "red", "author"] {
            assert_eq!(words(word), [word]);
        }
        assert_ne!(words("author"), words("authorization"));
    }

    #[test]
    fn what_belongs_together_is_one_word() {
        for same in ["rerunJobs", "reRunJobs", "re-run jobs", "RERUN_JOBS"] {
            assert_eq!(stems(same), ["rerun", "job"], "{same}");
        }
        assert_eq!(stems("listPRs"), ["list", "prs"]);
        assert_eq!(stems("are unRelated"), ["are", "unrel"]);
    }

    #[test]
    fn a_question_keeps_its_telling_words_or_all_of_them() {
        assert!(
            STOP_WORDS.is_sorted()
                && STOP_WORDS.iter().all(|word| word.len() <= STOP_WORD_BYTES_MAX)
        );
        assert_eq!(question("how do I add the numbers", 8), ["add", "numbers"]);
        assert_eq!(question("to the", 8), ["to", "the"]);
        assert_eq!(question("one two three four", 2), ["two", "three"]);
    }
}
